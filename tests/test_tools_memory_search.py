"""Searching memory, documents and facts: found with who and when, and only for whom it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from denizens.agents import Agent, fact_search_tool, run_tool
from denizens.core import Call, Embed, Failed, ModelAsk, Persona, Utterance
from denizens.memory import Documents, Facts, Memory
from denizens.models import ImprovisedModel, hashed_vectors
from denizens.testing import ScriptedModel
from denizens.tools import Toolbox, ToolContext, knowledge_search, memory_search

NINE = datetime(2023, 2, 13, 9)


def embedded(texts: Sequence[str]) -> Any:
    """The same vectors as ImprovisedModel gives."""
    return hashed_vectors(Embed(texts=tuple(texts))).array()


@pytest.fixture
def bo(tmp_path: Path) -> Agent:
    """Bo remembers what people said, some of it in confidence, and has read a handbook."""
    memory = Memory(":memory:", "Bo", embed=embedded)
    for days, who, text, audience in (
        (9, "Ada", "Ada wants a loaf of rye every Friday", ()),
        (5, "Cem", "Cem said the rye was sold out at the mill", ()),
        (3, "Ada", "Ada said in confidence that she is leaving Leeds", ("Ada",)),
        (1, "Cem", "Cem said in confidence that he owes Ada money", ("Cem",)),
    ):
        at = NINE - timedelta(days=days)
        memory.remember(text, at=at, who=who, kind="utterance", audience=audience)
    handbook = tmp_path / "handbook.md"
    handbook.write_text(
        "# Ovens\n\nThe oven is heated to 230 degrees before rye bread goes in.\n\n"
        "# Leave\n\nEverybody has 25 days of leave a year.\n"
    )
    Documents(memory).add(handbook, at=NINE)
    private = tmp_path / "ada.md"
    private.write_text("# Ada\n\nAda's diagnosis is a rye allergy.\n")
    Documents(memory).add(private, at=NINE, audience=("Ada",))
    claims = Facts(memory)
    claims.assert_fact("Ada", "lives in", "Leeds", at=NINE - timedelta(days=40), who="Cem")
    claims.assert_fact(
        "Cem", "owes", "Ada", at=NINE - timedelta(days=1), who="Cem", audience=("Cem",)
    )
    return Agent(
        Persona(name="Bo", age=40),
        model=ImprovisedModel(),
        memory=memory,
        tools=[memory_search, knowledge_search, fact_search_tool(memory), "answer_from_documents"],
    )


def texts(agent: Agent, tool: str, person: str, **given: Any) -> list[str]:
    found = run_tool(agent, tool, given, at=NINE, person=person or None)
    assert found.ok, found.error
    return [one["text"] for one in found.value["found"]]


def test_memories_are_told_with_who_and_when(bo: Agent) -> None:
    """What is found says whose words it is and of when; a person and days narrow it."""
    found = run_tool(bo, "memory_search", {"query": "rye", "who": "cem"}, at=NINE).value["found"]
    assert found[0] == {
        "text": "Cem said the rye was sold out at the mill",
        "who": "Cem",
        "when": "2023-02-08 09:00",
        "kind": "utterance",
    }
    assert {one["who"] for one in found} == {"Cem"}
    late = texts(bo, "memory_search", "", query="rye", since="2023-02-09")
    assert not any("mill" in text or "loaf" in text for text in late)
    early = texts(bo, "memory_search", "", query="rye", before="2023-02-07")
    assert early == ["Ada wants a loaf of rye every Friday"]
    assert len(texts(bo, "memory_search", "", query="rye", limit=1)) == 1


def test_nobody_is_shown_what_is_for_others(bo: Agent) -> None:
    """On behalf of a person no search of any kind gives what is in confidence with another;
    the owner alone sees all."""
    secrets = {"Ada": ["leaving Leeds", "diagnosis"], "Cem": ["owes"]}
    queries = ("confidence", "leaving Leeds", "money owes", "diagnosis allergy", "rye Ada")
    for person in ("Ada", "Cem", "Dee"):
        shown = []
        for query in queries:
            shown += texts(bo, "memory_search", person, query=query, limit=10)
            shown += texts(bo, "knowledge_search", person, query=query, limit=10)
            answer = run_tool(
                bo, "answer_from_documents", {"question": query}, at=NINE, person=person or None
            )
            shown.append(str(answer.value))
            for subject in ("Ada", "Cem"):
                facts = run_tool(
                    bo, "fact_search", {"subject": subject}, at=NINE, person=person or None
                )
                shown.append(str(facts.value))
        told = "\n".join(shown)
        for whose, words in secrets.items():
            for word in words:
                assert (word in told) == (whose == person), (person, word)
    everything = texts(bo, "memory_search", "", query="confidence", limit=10)
    assert sum("confidence" in text for text in everything) == 2


def test_passages_come_with_their_places(bo: Agent) -> None:
    """Documents are told by name and place."""
    query = {"query": "the oven is heated to degrees"}
    found = run_tool(bo, "knowledge_search", query, at=NINE).value["found"]
    assert found[0]["document"] == "handbook.md"
    assert "230 degrees" in found[0]["text"]
    assert found[0]["place"] == "line 3"


def test_facts_are_told_with_since_and_who(bo: Agent) -> None:
    """What is held for true says since when and from whom; it is marked as from outside."""
    found = run_tool(bo, "fact_search", {"subject": "ada", "relation": "lives in"}, at=NINE)
    assert found.value == [
        {"fact": "Ada lives in Leeds", "since": "2023-01-04", "until": None, "who": "Cem"}
    ]
    assert fact_search_tool(bo.memory).spec.outside
    assert run_tool(bo, "fact_search", {"subject": "ada"}, at=datetime(2022, 1, 1)).value == []


def test_facts_come_with_the_words_they_rest_on(bo: Agent) -> None:
    """A search tells whose words it looked through, and for whom these are; in everybody's
    hearing it finds what is for everybody."""
    box = bo.tools
    for person, facts, sources, audience in (
        ("*", [], ("Cem",), ()),
        ("Dee", [], ("Cem",), ()),
        ("Cem", ["Cem owes Ada"], ("Cem",), ("Cem",)),
        # Alone it searched what Ada confided too.
        ("", ["Cem owes Ada"], ("Cem",), ("Bo",)),
    ):
        context = ToolContext("Bo", NINE, person=person)
        found = box.call("fact_search", {"subject": "Cem"}, context=context, key="k")
        assert [fact["fact"] for fact in found.value] == facts
        assert (found.sources, found.audience) == (sources, audience)


def test_answers_quote_and_cite(bo: Agent) -> None:
    """An answer from documents has the sentence it rests on and its place; a model's words
    that bring in another number are not taken."""

    def script(ask: ModelAsk) -> str:
        return "It is 999 degrees."

    bo.model = ScriptedModel(script)
    asked = {"question": "How hot is the oven heated before rye bread goes in?"}
    found = run_tool(bo, "answer_from_documents", asked, at=NINE).value
    assert found["answer"] == found["quote"]
    assert "230 degrees" in found["quote"]
    assert found["sources"][0]["document"] == "handbook.md"


def test_an_agent_without_documents_does_not_know() -> None:
    """Where nothing was read there is no answer, and no model is asked to make one up."""
    asked: list[ModelAsk] = []

    def script(ask: ModelAsk) -> Failed:
        asked.append(ask)
        return Failed(reason="engine", detail="not asked")

    agent = Agent(
        Persona(name="Bo", age=40),
        model=ScriptedModel(script),
        memory=Memory(":memory:", "Bo"),
        tools=["answer_from_documents"],
    )
    found = run_tool(agent, "answer_from_documents", {"question": "How hot?"}, at=NINE).value
    assert (found["answer"], found["sources"]) == (None, [])
    assert asked == []


def test_a_search_in_a_chat_is_on_the_persons_behalf(bo: Agent) -> None:
    """In a reply the one who talks is the person: a call that the mind makes while it answers
    Cem finds nothing of Ada's."""
    from denizens.agents import AskRouter, run_skills
    from denizens.core import call, drive

    for person, seen in (("Cem", False), ("Ada", True)):
        line = Utterance(person, "Where is she going?", NINE)
        thought = run_skills(
            call(Call(tool="memory_search", arguments={"query": "leaving Leeds"})),
            bo.tools,
            who="Bo",
            now=line.at,
            person=line.who,
        )
        result = drive({"Bo": thought}, AskRouter({"Bo": bo}, at=NINE))["Bo"]
        assert ("leaving Leeds" in str(result)) == seen


def test_a_search_reads_whose_words_it_found(bo: Agent) -> None:
    """The guard sees the recall inside the skill: the words of people and documents that were
    found count as read, so that rights can follow."""
    from denizens.agents import AskRouter, ThoughtGuard, run_guarded, run_skills
    from denizens.core import call, drive

    guard = ThoughtGuard("Bo", bo.tools)
    ask = Call(tool="knowledge_search", arguments={"query": "oven rye degrees"})
    inner = run_skills(call(ask), bo.tools, who="Bo", now=NINE)
    drive({"Bo": run_guarded(inner, guard, [])}, AskRouter({"Bo": bo}, at=NINE))
    assert "document:handbook.md" in guard.sources


def test_wrong_queries_are_told(bo: Agent) -> None:
    """An empty query and a day that is none get an error in words."""
    assert "query is empty" in run_tool(bo, "memory_search", {"query": " "}, at=NINE).error
    wrong = run_tool(bo, "memory_search", {"query": "rye", "since": "someday"}, at=NINE)
    assert "not a moment" in wrong.error
    assert not Toolbox([memory_search]).spec("memory_search").outside


def test_a_search_gives_ten_at_most(bo: Agent, tmp_path: Path) -> None:
    """However many a model asks for, no search gives more than its description says, nor looks
    for more."""
    parts = (f"# Part {n}\n\nRye bread number {n} takes {n} grams of salt.\n" for n in range(40))
    (tmp_path / "rye.md").write_text("\n".join(parts), encoding="utf-8")
    Documents(bo.memory).add(tmp_path / "rye.md", at=NINE)
    for tool in ("memory_search", "knowledge_search"):
        for limit, most in ((10**30, 10), (100, 10), (3, 3), (0, 1), (-5, 1)):
            found = run_tool(bo, tool, {"query": "rye bread", "limit": limit}, at=NINE)
            assert found.ok, found.error
            assert len(found.value["found"]) == most, (tool, limit)
