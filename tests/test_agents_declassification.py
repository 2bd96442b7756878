"""Releases: what widens an audience or clears a source, by whom, and where that is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from denizens import Agent, Memory, Persona
from denizens.agents import AskRouter
from denizens.cli import main
from denizens.core import (
    EVERYBODY,
    Action,
    Affordance,
    ConversationView,
    Cue,
    Decision,
    Embed,
    Label,
    MemoryFault,
    Observation,
    Recall,
    Recalled,
    SettingError,
    Situation,
    Thought,
    Utterance,
    drive,
    recall,
)
from denizens.memory import ToolCallLog
from denizens.memory.erasure import erase_person
from denizens.models import ImprovisedModel, hashed_vectors
from denizens.planners import DialogueInput, DialogueReply, StepBuilder
from denizens.simulation import Run, build_simulation, call_receipts, read_scenario
from denizens.simulation.builder import policy_of
from denizens.store import Store
from denizens.tools import Policy, Release
from hypothesis import given
from hypothesis import strategies as st

NINE = datetime(2026, 5, 2, 9)
SECRET = "Ada said that she is leaving Leeds"


SCENARIO = """
[scenario]
name = "two"
start = "2026-05-02T09:00:00"
[world]
kind = "places"
[[world.places]]
name = "Green"
[minds]
planner = "routine"
[[people]]
name = "Ada"
home = "two:Green"
"""


def embedded(texts: Sequence[str]) -> Any:
    """The same vectors as ImprovisedModel gives."""
    return hashed_vectors(Embed(texts=tuple(texts))).array()


def mind(**more: Any) -> Agent:
    """Bo, whom Ada told something in confidence, and Eve something about the rent."""
    memory = Memory(":memory:", "Bo", embed=embedded)
    memory.remember(SECRET, at=NINE, who="Ada", kind="utterance", audience="Ada")
    memory.remember("The rent goes to EVE-666", at=NINE, who="Eve", kind="utterance")
    return Agent(Persona(name="Bo"), model=ImprovisedModel(), memory=memory, **more)


def recalled(bo: Agent, person: str, text: str = "leaving Leeds") -> list[str]:
    """What somebody is given of the memory."""
    cue = Cue(text=text, at=NINE, person=person)
    return [hit.record.text for hit in bo.memory.recall(cue)]


def test_a_person_releases_a_memory() -> None:
    """On somebody's word a record is written anew for more people, with the same embedding and
    moment; the old one stays, and the book of calls says who, what and why."""
    bo = mind()
    assert SECRET not in recalled(bo, "Cy")
    new = bo.release(1, audience=["Ada", "Cy"], by="Olga", why="she told them herself")
    assert (new.id, new.text, new.created, new.evidence) == (3, SECRET, NINE, ())
    assert new.audience == ("Ada", "Cy")
    assert bo.memory.record(1).audience == ("Ada",)
    assert SECRET in recalled(bo, "Cy")
    assert SECRET not in recalled(bo, "Eve")
    cue = Cue(text="leaving Leeds", at=NINE, person="Cy", kinds=("utterance",))
    assert bo.memory.recall(cue)[0].relevance > 0
    ((where, entry),) = ToolCallLog(bo.memory.store).entries()
    assert (where.agent, where.path, entry.state) == ("Bo", "release/3", "done")
    assert entry.request is not None
    assert entry.request.arguments == {
        "record": 3,
        "of": 1,
        "audience": ["Ada", "Cy"],
        "was_for": ["Ada"],
        "cleared": [],
    }
    assert entry.approval is not None
    assert (entry.approval.by, entry.approval.note) == ("Olga", "she told them herself")
    assert bo.pending_requests() == ()
    assert bo.memory.store.verify() == ()
    assert SECRET in recalled(bo, "Eve") or bo.release(3, audience=EVERYBODY, by="Olga")
    assert SECRET in recalled(bo, "Eve")


def test_a_person_clears_a_source() -> None:
    """A stranger's words for which somebody vouches are the agent's own from then on, in the
    new record alone."""
    bo = mind()
    new = bo.release(2, clear=["Eve"], by="Olga")
    assert bo.memory.sources(new.id) == ()
    assert (new.who, new.kind) == ("Bo", "thought")
    assert bo.memory.sources(2) == ("Eve",)
    assert bo.memory.record(1).audience == ("Ada",)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"by": ""}, "say by whom"),
        ({"by": "  "}, "say by whom"),
        ({"by": "Olga"}, "nothing to release: record 1 is for Ada"),
        ({"by": "Olga", "audience": ["Ada"]}, "nothing to release"),
        ({"by": "Olga", "audience": ["Cy"]}, "only widens, and the record is for Ada"),
        ({"by": "Olga", "audience": ["", "Ada"]}, "nobody's name"),
        ({"by": "Olga", "clear": ["Eve"]}, "no source of the record is meant by 'Eve'"),
        ({"by": "Olga", "clear": "Ada"}, "must be Sequence of str"),
        ({"by": "Olga", "clear": ["*:Ada"]}, "names no kind of source"),
    ],
)
def test_what_releases_nothing_is_refused(settings: dict[str, Any], words: str) -> None:
    """Without a name, a record or a wider label nothing is written."""
    bo = mind()
    with pytest.raises(SettingError, match=words):
        bo.release(1, **settings)
    with pytest.raises(SettingError, match="the record is for everybody too"):
        bo.release(2, audience=["Cy"], by="Olga")
    with pytest.raises(MemoryFault, match="99"):
        bo.release(99, audience=EVERYBODY, by="Olga")
    assert len(bo.memory) == 2
    assert list(ToolCallLog(bo.memory.store).entries()) == []


def test_a_thought_on_what_is_released_is_as_open() -> None:
    """What is thought of the released record is for those for whom that is, and what is thought
    of the old one is not."""
    bo = mind()
    bo.release(1, audience=EVERYBODY, by="Olga")
    bo.memory.remember("So Ada moves", at=NINE, kind="thought", evidence=[3])
    bo.memory.remember("So Ada goes", at=NINE, kind="thought", evidence=[1])
    found = recalled(bo, "Eve", "Ada moves goes")
    assert "So Ada moves" in found
    assert "So Ada goes" not in found


def test_a_thought_is_released_apart_from_what_it_rests_on() -> None:
    """A thought on a confidence, released itself, does not take the label of that again."""
    bo = mind()
    bo.memory.remember("So Ada goes", at=NINE, kind="thought", evidence=[1, 2])
    new = bo.release(3, audience=EVERYBODY, clear=["Ada"], by="Olga")
    assert (new.audience, new.evidence, new.depth) == ((), (), 0)
    assert bo.memory.sources(new.id) == ("Eve",)
    assert bo.memory.record(3).evidence == (1, 2)


def test_a_release_survives_in_the_file(tmp_path: Path) -> None:
    """Record and entry are one transaction, and are there when the file is opened anew."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        memory.remember(SECRET, at=NINE, who="Ada", audience="Ada")
        bo = Agent(Persona(name="Bo"), model=ImprovisedModel(), memory=memory)
        bo.release(1, audience=EVERYBODY, by="Olga")
        bo.memory.remember("Tea", at=NINE, who="Ada", audience="Ada")
        bo.release(3, audience=EVERYBODY, by="Olga")
    with Memory(path, "Bo") as memory:
        assert memory.store.verify() == ()
        assert memory.record(2).audience == ()
        assert ToolCallLog(memory.store).released_labels("Bo") == {2: ("Ada",), 4: ("Ada",)}


# -- rules of a policy -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "label", "kind", "after"),
    [
        ([Release(name="a", of=("Ada",), to=("*",))], Label(("Ada",), ("Ada",)), "", ((), "a")),
        (
            [Release(name="a", of=("Ada",), to=("Cy",))],
            Label((), ("Ada",)),
            "",
            (("Ada", "Cy"), "a"),
        ),
        ([Release(name="a", of=("Ada",), to=("*",))], Label((), ("Ada", "Cy")), "", None),
        ([Release(name="a", of=("Ada",), to=("*",))], Label((), ("Ada", "Bo")), "", ((), "a")),
        ([Release(name="a", of=("Ada",), to=("*",))], Label((), ("Bo",)), "", None),
        ([Release(name="a", of=("Bo",), to=("*",))], Label((), ("Bo",)), "", ((), "a")),
        ([Release(name="a", of=("*",), to=("*",))], Label((), ("Ada", "Eve")), "", ((), "a")),
        ([Release(name="a", of=("Ada",), to=("*",))], Label(), "", None),
        (
            [Release(name="a", of=("Ada",), to=("*",), kinds=("plan",))],
            Label((), ("Ada",)),
            "thought",
            None,
        ),
        (
            [Release(name="a", of=("Ada",), to=("*",), kinds=("plan",))],
            Label((), ("Ada",)),
            "plan",
            ((), "a"),
        ),
        (
            [
                Release(name="a", of=("Ada",), to=("Cy",)),
                Release(name="b", of=("Ada", "Cy"), to=("Dee",)),
            ],
            Label((), ("Ada",)),
            "",
            (("Ada", "Cy", "Dee"), "ab"),
        ),
    ],
)
def test_rules_widen(
    rules: list[Release], label: Label, kind: str, after: tuple[tuple[str, ...], str] | None
) -> None:
    """A rule holds for what is for nobody but the people it names (and the owner), whatever the
    order of the rules; what is for others too stays as it is."""
    for ordered in (rules, rules[::-1]):
        wider, used = Policy(releases=tuple(ordered)).apply_releases(label, kind=kind, owner="Bo")
        audience, names = after or (label.audience, "")
        assert (wider.audience, "".join(sorted(used))) == (audience, names)
        assert wider.sources == label.sources


def test_rules_clear() -> None:
    """The sources that a rule clears are taken off, by the patterns of ``trusted``; of several
    rules each takes off its own."""
    label = Label(("Ada", "Eve", "document:rules.md", "tool:web.get"))
    for clears, left in (
        (("Eve",), ("Ada", "document:rules.md", "tool:web.get")),
        (("*",), ()),
        (("*d*",), ("Eve", "document:rules.md", "tool:web.get")),
        (("document:*", "tool:web.*"), ("Ada", "Eve")),
    ):
        rule = Release(name="a", clears=clears)
        assert Policy(releases=(rule,)).apply_releases(label) == (Label(left), ("a",))
    both = (Release(name="a", clears=("Eve",)), Release(name="b", clears=("Ada",)))
    assert Policy(releases=both).apply_releases(label)[0].sources == (
        "document:rules.md",
        "tool:web.get",
    )
    narrow = Release(name="a", of=("Ada",), to=("*",), clears=("Eve",))
    assert Policy(releases=(narrow,)).apply_releases(label) == (label, ())


people = st.lists(st.sampled_from(["Ada", "Bo", "Cy", "*"]), max_size=2).map(tuple)
known = st.lists(st.sampled_from(["Ada", "Bo", "Cy"]), max_size=3).map(
    lambda names: tuple(sorted(set(names)))
)


@given(st.lists(st.tuples(people, people, people), max_size=3), known, known)
def test_rules_never_narrow(
    rules: list[tuple[tuple[str, ...], ...]], sources: tuple[str, ...], audience: tuple[str, ...]
) -> None:
    """Whatever the rules, nobody loses what was for them, no source is added, and a label that
    changed has the rule's name."""
    made = [
        Release(name=str(n), of=of if to else (), to=to if of else (), clears=clears or ("Dee",))
        for n, (of, to, clears) in enumerate(rules)
    ]
    label = Label(sources, audience)
    wider, used = Policy(releases=tuple(made)).apply_releases(label, owner="Bo")
    assert set(wider.sources) <= set(sources)
    assert not wider.audience or (audience and set(wider.audience) >= set(audience))
    assert (wider != label) == bool(used)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": " "}, "has no name"),
        ({"name": "a"}, "releases nothing"),
        ({"name": "a", "of": ("Ada",)}, "say of whom"),
        ({"name": "a", "to": ("Ada",)}, "say of whom"),
        ({"name": "a", "of": "Ada", "to": ("*",)}, "give a list of patterns"),
        ({"name": "a", "clears": ("*:x",)}, "names no kind of source"),
        ({"name": "a", "clears": ("Eve",), "kinds": ("thoughts",)}, "did you mean 'thought'"),
    ],
)
def test_wrong_rules_are_refused(settings: dict[str, Any], words: str) -> None:
    """A slip in a rule is an error that says what is missing."""
    with pytest.raises(SettingError, match=words):
        Release(**settings)
    rule = Release(name="a", clears=("Eve",))
    with pytest.raises(SettingError, match="two releases are called 'a'"):
        Policy(releases=(rule, rule))
    with pytest.raises(SettingError, match="give a list of Release"):
        Policy(releases=rule)  # type: ignore[arg-type]


class Musing:
    """Answers by thinking of everything it can recall, and keeps a thought of it."""

    def reply(
        self, situation: Situation, heard: DialogueInput
    ) -> Thought[tuple[DialogueReply, Decision]]:
        """Note a thought that rests on what was found."""
        draft = StepBuilder(situation)
        cue = Cue(text="Leeds rent", at=situation.now, person=heard.line.who)
        found = yield from recall(Recall(cue=cue))
        assert isinstance(found, Recalled)
        basis = [hit.record for hit in found.hits]
        draft.add_record("thought", "One leaves, one pays", evidence=basis, importance=2)
        yield from draft.finalize()
        return DialogueReply(text="Fine."), draft.build(Action("wait"))


def test_a_rule_releases_what_a_thought_writes() -> None:
    """What a chat in private made the mind think is for whom the rule says, of the sources that
    it leaves, also after the file's own checks; the book of calls names the rule."""
    rules = (
        Release(name="moving", of=("Ada",), to=("Cy",)),
        Release(name="rents", clears=("Eve",), kinds=("thought",)),
        Release(name="plans", clears=("*",), kinds=("plan",)),
    )
    plain, open_ = mind(dialogue=Musing()), mind(dialogue=Musing(), policy=Policy(releases=rules))
    for bo in (plain, open_):
        bo.chat("What do you think?", "Ada", at=NINE)
    kept = plain.memory.records(kinds=("thought",))[-1]
    assert (kept.audience, plain.memory.sources(kept.id)) == (("Ada",), ("Ada", "Eve"))
    assert list(ToolCallLog(plain.memory.store).entries()) == []
    free = open_.memory.records(kinds=("thought",))[-1]
    assert (free.audience, open_.memory.sources(free.id)) == (("Ada", "Cy"), ("Ada",))
    assert free.text in recalled(open_, "Cy", "leaves pays")
    assert free.text not in recalled(open_, "Eve", "leaves pays")
    ((where, entry),) = ToolCallLog(open_.memory.store).entries()
    assert entry.request is not None
    assert entry.request.arguments == {
        "record": free.id,
        "audience": ["Ada", "Cy"],
        "was_for": ["Ada"],
        "cleared": ["Eve"],
        "rules": ["moving", "rents"],
        "rested_on": [1, 2],
    }
    assert (where.path, entry.approval) == (f"release/{free.id}", None)
    assert open_.memory.store.verify() == ()


def test_what_was_cleared_is_erased_with_its_person(tmp_path: Path) -> None:
    """Forgetting Eve takes the copies that no longer name her among their sources, those that a
    rule wrote too, and what the book says of them; what others said stays."""
    path = tmp_path / "bo.db"
    rule = Release(name="rents", clears=("Eve",))
    with Memory(path, "Bo", embed=embedded) as memory:
        memory.remember("The rent goes to the mill", at=NINE, who="Eve", kind="utterance")
        memory.remember("The mill is closed", at=NINE, who="Cy", kind="utterance")
        bo = Agent(
            Persona(name="Bo"),
            model=ImprovisedModel(),
            memory=memory,
            dialogue=Musing(),
            policy=Policy(releases=(rule,)),
        )
        bo.release(1, clear=["Eve"], by="Olga")
        bo.chat("What do you think?", "Ada", at=NINE)
        assert [memory.sources(n) for n in (1, 2, 3, 4)] == [("Eve",), ("Cy",), (), ("Ada", "Cy")]
    erase_person(path, "Eve", now=NINE)
    with Memory(path, "Bo") as memory:
        assert [record.text for record in memory.records()] == ["The mill is closed"]
        assert list(ToolCallLog(memory.store).entries()) == []
        assert memory.store.verify() == ()


def test_a_said_line_is_released_too() -> None:
    """A line that rests on strangers' words is said without them where a rule clears them; the
    book of calls has the rule."""

    class Talker:
        def decide(self, situation: Situation) -> Thought[Decision]:
            yield from ()
            return Decision(action=Action("say", "Eve", {"text": "Hm."}), state=situation.state)

    for policy, sources in (
        (Policy(), ("Eve",)),
        (Policy(releases=(Release(name="hm", clears=("Eve",)),)), ()),
        (Policy(releases=(Release(name="hm", clears=("Eve",), kinds=("plan",)),)), ("Eve",)),
    ):
        bo = mind(planner=Talker(), policy=policy)
        talk = ConversationView("1", ("Bo", "Eve"), "Bo", (Utterance("Eve", "Hm?", NINE),))
        seen = Observation("Bo", NINE, "hall", talk=talk)
        life = bo.live(seen, (Affordance("say", "Eve", {}), Affordance("wait")))
        step = drive({"Bo": life}, AskRouter({"Bo": bo}, at=NINE))["Bo"]
        bo.commit(step, number=7, at=NINE)
        assert step.action.sources == sources
        rules = [
            (where.step, entry.request.arguments["rules"], entry.request.sources)
            for where, entry in ToolCallLog(bo.memory.store).entries()
            if entry.request
        ]
        assert rules == ([] if sources else [(7, ["hm"], ("Eve",))])


def test_releases_are_listed_with_the_calls(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``denizens calls`` shows what was released, by whom, in a run; a fork of an earlier step
    has nothing of it."""
    file = tmp_path / "two.toml"
    file.write_text(SCENARIO)
    simulation = build_simulation(
        read_scenario(file), store=Store(tmp_path / "run.db"), model=ImprovisedModel()
    )
    list(simulation.run(steps=3))
    ada = simulation.agents["Ada"]
    ada.memory.remember("Tea at four", at=NINE, audience="Cy")
    ada.release(len(ada.memory), audience=EVERYBODY, by="Olga", why="a party")
    step = ada.memory.index.last_step
    simulation.store.close()
    with Run(tmp_path) as run:
        ((where, told),) = [(one.where, one) for one in call_receipts(run)]
    assert (where.agent, told.state, told.call.tool) == ("Ada", "done", "release")
    with pytest.raises(SystemExit):
        main(["calls", str(tmp_path)])
    out = capsys.readouterr().out
    assert "Ada: release(" in out
    assert "(a party) -> 'released', on the word of Olga" in out
    with Store(tmp_path / "run.db") as store:
        ToolCallLog(store).truncate(step)
        assert list(ToolCallLog(store).entries()) == []


def test_a_rule_stands_in_a_scenario(tmp_path: Path) -> None:
    """Rules are read from the table of a scenario's policy, and a slip names file and key."""
    rule_text = 'releases = [{ name = "moving", of = ["Ada"], to = ["*"], kinds = ["plan"] }]'
    text = SCENARIO.replace("[[people]]", f"[minds.policy]\n{rule_text}\n[[people]]")
    path = tmp_path / "two.toml"
    path.write_text(text)
    scenario = read_scenario(path)
    (rule,) = policy_of(scenario, scenario.people[0]).releases
    assert rule == Release(name="moving", of=("Ada",), to=("*",), kinds=("plan",))
    for wrong, words in (
        (text.replace("kinds", "kind"), "did you mean 'kinds'"),
        (text.replace('to = ["*"], ', ""), "say of whom"),
    ):
        path.write_text(wrong)
        scenario = read_scenario(path)
        with pytest.raises(SettingError, match=words):
            policy_of(scenario, scenario.people[0])
