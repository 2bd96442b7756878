"""Prompts as files with parts that may be dropped, and the draft of a decision."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from denizens.core import (
    Action,
    AgentState,
    Answer,
    Ask,
    Embed,
    Event,
    Failed,
    Observation,
    Part,
    Persona,
    Rate,
    Rating,
    Record,
    Seed,
    SettingError,
    Situation,
    Thought,
    Vectors,
)
from denizens.planners import IMPORTANCE_ANCHORS, StepBuilder, render_prompt
from denizens.planners.steps import identity_text, remember_events
from denizens.planners.steps import prompt_templates as prompt_files
from hypothesis import given
from hypothesis import strategies as st

NINE = datetime(2023, 2, 13, 9)
BO = Persona(
    name="Bo Li", age=41, traits="dry", background="Bo bakes.", currently="Bo worries.", retention=3
)
FOLDER = Path(prompt_files.__file__).parent.with_name("prompts")


def situation(*fresh: Event, persona: Persona = BO, state: AgentState | None = None) -> Situation:
    return Situation(
        persona=persona,
        state=state or AgentState(reflect_left=20.0),
        seen=Observation(persona.name, NINE, "v:Bakery:room", events=fresh),
        fresh=fresh,
        can=(),
        tools=(),
        inputs=(),
        now=NINE,
        seed=Seed.of(1),
    )


def event(text: str, predicate: str = "is", what: str = "lit") -> Event:
    return Event("object", text.split()[0], predicate, what, text, "v:Bakery:room")


def old(number: int, depth: int = 0) -> Record:
    return Record(id=number, kind="thought", text=f"m{number}", created=NINE, depth=depth)


def rated(ask: Ask) -> Answer:
    """Importance 4, and one row of three numbers a text."""
    if isinstance(ask, Rate):
        return Rating(value=4.0, probabilities=())
    assert isinstance(ask, Embed)
    return Vectors.of(np.eye(len(ask.texts), 3, dtype=np.float32))


def run(thought: Thought[None], rounds: list[tuple[Ask, ...]] | None = None) -> None:
    """Drive a thought by hand with ``rated``, keeping its rounds."""
    try:
        asks = next(thought)
        while True:
            if rounds is not None:
                rounds.append(asks)
            asks = thought.send(tuple(map(rated, asks)))
    except StopIteration:
        return


def test_a_prompt_has_the_sections_of_its_file() -> None:
    """System, user and the beginning of the answer, with every placeholder filled."""
    system, user, answer = render_prompt(
        "plan_note", identity="I", name="Bo", other="Ada", lines=["A: Hi", "B"]
    )
    assert [one.role for one in (system, user, answer)] == ["system", "user", "assistant"]
    assert system.parts == (Part("I"),)
    assert user.text.startswith("Bo talked with Ada:\nA: Hi\nB\nWhat will Bo be")
    assert user.parts[0] == Part("Bo talked with Ada:")
    assert answer.text == "Because of this talk, Bo will be"


def test_memories_are_dropped_from_the_last_and_lines_from_the_oldest() -> None:
    """The drop order: last memories go first, oldest lines of a talk go first, words never."""
    texts = ["first", "second", "third"]
    remembered = render_prompt(
        "insight", identity="I am", name="Bo", question="Why so?", memories=texts
    )
    heard = render_prompt("plan_note", identity="I am", name="Bo", other="Ada", lines=texts)
    for messages, drops in ((remembered, [1, 2, 3]), (heard, [3, 2, 1])):
        parts = [part for message in messages for part in message.parts]
        assert [part.drop for part in parts if part.text in texts] == drops
        assert {part.drop for part in parts if part.text not in texts} == {0}


@given(st.lists(st.text(max_size=9), max_size=6), st.sampled_from(["memories", "lines"]))
def test_each_text_is_a_part_of_its_own(texts: list[str], name: str) -> None:
    """However many texts: each a part, in order, with drops 1 to n, none of them 0."""
    file = {"memories": "insight", "lines": "plan_note"}[name]
    values = {"identity": "I", "name": "Bo", "other": "Ada", "question": "Why?"}
    messages = render_prompt(file, **values, **{name: texts})
    parts = [part for message in messages for part in message.parts if part.drop]
    assert [part.text for part in parts] == texts
    counted = list(range(1, len(texts) + 1))
    assert [part.drop for part in parts] == (counted if name == "memories" else counted[::-1])


@given(st.text(alphabet="{}[]user\n system", max_size=20))
def test_text_of_others_is_data(text: str) -> None:
    """Braces and section heads in a value open no placeholder and no section."""
    messages = render_prompt("plan_note", identity=text, name="Bo", other=text, lines=[text])
    assert [one.role for one in messages] == ["system", "user", "assistant"]
    assert messages[0].text == text
    assert messages[1].parts[1] == Part(text, 1)


def test_a_missing_value_is_a_programming_error() -> None:
    """A placeholder without a value raises KeyError with its name, alone in a line or not."""
    with pytest.raises(KeyError, match="other"):
        render_prompt("plan_note", identity="I", name="Bo", lines=[])
    with pytest.raises(KeyError, match="identity"):
        render_prompt("plan_note", name="Bo", other="Ada", lines=[])


def test_a_missing_prompt_file_is_named() -> None:
    """The error says which file is not there."""
    with pytest.raises(SettingError, match=r"prompts/dream\.txt: no such prompt"):
        render_prompt("dream")


def test_an_unknown_section_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A section that no message can have is named with its file."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "odd.txt").write_text("[system]\nx\n[narrator]\ny\n")
    monkeypatch.setattr(prompt_files, "files", lambda package: tmp_path)
    with pytest.raises(SettingError, match=r"odd\.txt: unknown section '\[narrator\]'"):
        render_prompt("odd")


def test_every_prompt_file_puts_what_is_shared_first() -> None:
    """All built-in prompts have a user section; an identity comes first of all."""
    files = sorted(FOLDER.glob("*.txt"))
    assert len(files) >= 12
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert "[user]\n" in text, file.name
        assert text.startswith("[system]\n{identity}\n") or "{identity}" not in text, file.name
        assert text.rstrip() == text.rstrip("\n"), file.name


def test_an_identity_changes_only_with_what_is_on_the_mind() -> None:
    """Currently comes from the state where it has one; empty fields leave no empty line."""
    assert identity_text(situation()) == (
        "Name: Bo Li (age 41)\nCharacter: dry\nBo bakes.\nBo worries."
    )
    changed = identity_text(situation(state=AgentState(currently="Bo rejoices.")))
    assert changed == "Name: Bo Li (age 41)\nCharacter: dry\nBo bakes.\nBo rejoices."
    assert identity_text(situation(persona=Persona(name="Ada"))) == "Name: Ada (age 30)"


def test_memories_are_numbered_on() -> None:
    """Ids go on from the state's count, and the count goes with them."""
    draft = StepBuilder(situation(state=AgentState(records=7)))
    ids = [draft.add_record("observation", text, importance=1.0) for text in ("a", "b", "c")]
    made = draft.build(Action("wait"))
    assert ids == [8, 9, 10] == [record.id for record in made.records]
    assert made.state.records == 10
    assert {record.place for record in made.records} == {"v:Bakery:room"}
    assert {record.created for record in made.records} == {NINE}
    assert {record.who for record in made.records} == {"Bo Li"}


def test_a_memory_of_an_event_keeps_its_parts() -> None:
    """Subject, predicate and object of an event are kept, and who did it."""
    draft = StepBuilder(situation())
    draft.add_record(
        "observation", "Ada is here", who="Ada", event=event("Ada is here", "is", "here")
    )
    (record,) = draft.build(Action("wait")).records
    assert (record.subject, record.predicate, record.object) == ("Ada", "is", "here")
    assert record.who == "Ada"


@given(st.lists(st.integers(0, 6), min_size=1, max_size=4))
def test_a_thought_is_one_deeper_than_its_evidence(depths: list[int]) -> None:
    """Depth is 1 + the deepest evidence; what was perceived has depth 0."""
    draft = StepBuilder(situation(state=AgentState(records=9)))
    draft.add_record("thought", "t", evidence=[old(i + 1, depth) for i, depth in enumerate(depths)])
    draft.add_record("observation", "o")
    thought, seen = draft.build(Action("wait")).records
    assert thought.depth == 1 + max(depths)
    assert thought.evidence == tuple(range(1, len(depths) + 1))
    assert (seen.depth, seen.evidence) == (0, ())


def test_settling_rates_and_embeds_in_one_round() -> None:
    """Only unrated memories are rated, all are embedded, everything in a single round."""
    draft = StepBuilder(situation())
    draft.add_record("observation", "rated", importance=2.0)
    draft.add_record("thought", "unrated")
    draft.add_record("utterance", "said")
    rounds: list[tuple[Ask, ...]] = []
    run(draft.finalize(), rounds)
    (asks,) = rounds
    rates = [ask for ask in asks if isinstance(ask, Rate)]
    assert [ask.about for ask in rates] == ["unrated", "said"]
    assert {ask.anchors for ask in rates} == {IMPORTANCE_ANCHORS}
    assert {(ask.low, ask.high) for ask in rates} == {(1, 10)}
    assert [ask.texts for ask in asks if isinstance(ask, Embed)] == [("rated", "unrated", "said")]
    made = draft.build(Action("wait"))
    assert [record.importance for record in made.records] == [2.0, 4.0, 4.0]
    assert made.embedded == {1: (1.0, 0.0, 0.0), 2: (0.0, 1.0, 0.0), 3: (0.0, 0.0, 1.0)}
    assert made.state.reflect_left == 20.0 - 10.0


def test_plans_do_not_bring_reflection_nearer() -> None:
    """Importance of observations, utterances and thoughts is spent, that of plans is not."""
    draft = StepBuilder(situation())
    draft.add_record("plan", "the day", importance=9.0)
    draft.add_record("observation", "rain", importance=1.5)
    draft.finalize_without_asks()
    assert draft.build(Action("wait")).state.reflect_left == 18.5


def test_settling_quietly_asks_nothing() -> None:
    """Unrated memories keep importance 1; the cost is one each."""
    draft = StepBuilder(situation())
    draft.add_record("observation", "a")
    draft.add_record("observation", "b")
    draft.finalize_without_asks()
    made = draft.build(Action("wait"))
    assert [record.importance for record in made.records] == [1.0, 1.0]
    assert made.embedded == {}
    assert made.state.reflect_left == 18.0


def test_settling_nothing_asks_nothing() -> None:
    """An empty draft has no round."""
    rounds: list[tuple[Ask, ...]] = []
    draft = StepBuilder(situation())
    run(draft.finalize(), rounds)
    assert rounds == []
    assert draft.build(Action("wait")).state == situation().state


def test_a_failed_rating_makes_an_ordinary_memory() -> None:
    """An engine fault neither loses the memory nor triggers a reflection."""
    draft = StepBuilder(situation())
    draft.add_record("thought", "unrated")
    thought = draft.finalize()
    asks = next(thought)
    with pytest.raises(StopIteration):
        thought.send(tuple(Failed(reason="engine", detail="no") for _ in asks))
    made = draft.build(Action("wait"))
    assert [record.importance for record in made.records] == [3.0]
    assert made.embedded == {}


def test_a_memory_is_used_once() -> None:
    """Used ids keep their order and are not doubled, within a call or across calls."""
    draft = StepBuilder(situation())
    draft.mark_used([old(3), old(1), old(3)])
    draft.mark_used([old(1), old(2)])
    assert draft.build(Action("wait")).used == (3, 1, 2)


def test_a_decision_explains_itself() -> None:
    """All reasons, in order, as one text."""
    draft = StepBuilder(situation())
    draft.explain("It rained.")
    assert draft.build(Action("wait"), "Bo waits.").why == "It rained. Bo waits."


def test_things_at_rest_are_perceived_but_not_remembered() -> None:
    """An idle bed stays out of memory and in mind; a lit oven is remembered."""
    idle, lit = event("bed is idle", "is", "idle"), event("oven is lit")
    draft = StepBuilder(situation(idle, lit))
    remember_events(draft, importance=None)
    made = draft.build(Action("wait"))
    assert [record.text for record in made.records] == ["oven is lit"]
    assert made.records[0].kind == "observation"
    assert made.state.perceived == (idle.key, lit.key)


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6))
def test_one_keeps_in_mind_what_the_retention_allows(known: int, new: int, retention: int) -> None:
    """The last so many events, the newest last; none at retention 0."""
    before = tuple(f"old {i}" for i in range(known))
    fresh = [event(f"thing{i} is lit") for i in range(new)]
    persona = Persona(name="Bo", retention=retention)
    draft = StepBuilder(situation(*fresh, persona=persona, state=AgentState(perceived=before)))
    remember_events(draft)
    all_seen = [*before, *(one.key for one in fresh)]
    kept = all_seen[len(all_seen) - min(retention, len(all_seen)) :] if new else list(before)
    assert list(draft.state.perceived) == kept
    assert len(draft.build(Action("wait")).records) == new
