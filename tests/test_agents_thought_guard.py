"""The guard around a thought: whose words it has read, and the same call again."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from denizens.agents import AskRouter, ThoughtGuard, run_guarded
from denizens.core import (
    AnsweredAsk,
    Call,
    Choice,
    Choose,
    Cue,
    Embed,
    Label,
    ModelAsk,
    Rate,
    Recall,
    Record,
    RecordKind,
    Situation,
    Thought,
    all_of,
    drive,
    embed,
    recall,
)
from denizens.testing import ScriptedModel
from denizens.tests.support.guarded_agent import (
    NINE,
    call_result,
    calls,
    ends,
    fetch,
    make_agent,
    run_step,
    sent,
)
from denizens.tools import Policy, Toolbox
from hypothesis import given
from hypothesis import strategies as st


def record(
    number: int,
    who: str,
    kind: RecordKind = "utterance",
    *,
    on: tuple[int, ...] = (),
    depth: int = 0,
) -> Record:
    """A memory of ``who``'s words, perhaps resting on others."""
    return Record(
        id=number,
        kind=kind,
        text=f"bread {number}",
        created=NINE,
        who=who,
        evidence=on,
        depth=depth,
        episode="rules.md" if kind == "document" else "",
    )


def recalling(situation: Situation) -> Thought[str]:
    """Recall all, then act."""
    yield from recall(Recall(cue=Cue(text="bread", at=NINE, limit=20)))
    return (yield from sent())


def sending(situation: Situation) -> Thought[str]:
    """Act at once."""
    return (yield from sent())


def stamped(asks: Iterable[AnsweredAsk]) -> tuple[str, ...]:
    """The sources of the one letter that was to be sent."""
    (found,) = [one.ask for one in asks if isinstance(one.ask, Call) and one.ask.tool == "send"]
    return found.sources


@pytest.mark.parametrize(
    ("records", "sources"),
    [
        ([record(1, "Bo Li", "thought")], ()),
        ([record(1, "")], ()),
        ([record(1, "town:house:oven", "observation")], ()),
        ([record(1, "Ada")], ("Ada",)),
        ([record(1, "Ada", "observation"), record(2, "Eve")], ("Ada", "Eve")),
        ([record(1, "Bo Li", "document")], ("document:rules.md",)),
        ([record(1, "tool:web")], ("person:tool:web",)),
        ([record(1, "Eve"), record(2, "Bo Li", "thought", on=(1,), depth=1)], ("Eve",)),
    ],
)
def test_what_is_recalled_is_a_source(records: list[Record], sources: tuple[str, ...]) -> None:
    """Others' words and documents withdraw the right to act; one's own, and what the world's
    things are like, do not."""
    bo = make_agent(recalling, records=records)
    asks = run_step(bo).asks
    assert stamped(asks) == sources
    assert ends(bo) == ["denied" if sources else "sent hello"]


def test_ones_own_thought_does_not_launder_strangers_words() -> None:
    """A thought of one's own that rests on a stranger's words carries them, at any depth, even
    where only that thought is recalled."""
    chain = [record(1, "Eve")]
    kinds: tuple[RecordKind, ...] = ("summary", "plan", "thought")
    for number, kind in enumerate(kinds, 2):
        chain.append(record(number, "Bo Li", kind, on=(number - 1,), depth=number - 1))

    def last(situation: Situation) -> Thought[str]:
        yield from recall(Recall(cue=Cue(text="bread", at=NINE, limit=20, kinds=("thought",))))
        return (yield from sent())

    assert stamped(run_step(make_agent(last, records=chain)).asks) == ("Eve",)
    assert stamped(run_step(make_agent(last, records=chain, trusted=["Eve"])).asks) == ()


@pytest.mark.parametrize(
    ("trusted", "sources"),
    [
        ((), ("Ada", "Eve", "document:rules.md")),
        (("Ada",), ("Eve", "document:rules.md")),
        (("Ada", "document:*"), ("Eve",)),
        (("*",), ()),
    ],
)
def test_who_is_trusted_is_no_source(trusted: tuple[str, ...], sources: tuple[str, ...]) -> None:
    """Trust is given by name or pattern, and takes a source out."""
    records = [record(1, "Ada"), record(2, "Eve"), record(3, "Bo Li", "document")]
    assert (
        stamped(run_step(make_agent(recalling, records=records, trusted=trusted)).asks) == sources
    )


def test_what_is_heard_is_a_source() -> None:
    """Words said nearby and in a talk count before the thought has asked anything."""
    assert stamped(run_step(make_agent(sending)).asks) == ()
    assert stamped(run_step(make_agent(sending), said=["Eve"]).asks) == ("Eve",)
    assert stamped(run_step(make_agent(sending), spoke=["Ada", "Bo Li"]).asks) == ("Ada",)


def test_nobody_passes_for_a_document() -> None:
    """Trust in documents and tools is not given to a person who takes such a name."""
    bo = make_agent(sending, trusted=["document:*", "tool:*"])
    assert stamped(run_step(bo, said=["document:handbook.md"]).asks) == (
        "person:document:handbook.md",
    )


def test_what_a_tool_brings_from_outside_is_a_source() -> None:
    """A page that was read withdraws the right to act from then on; a failed fetch does too,
    since its error is words from outside, but one that never ran does not."""

    def order(page: object) -> list[str]:
        def body(situation: Situation) -> Thought[list[str]]:
            first = yield from sent("first")
            yield from call_result("web.fetch", page=page)
            return [first, (yield from sent("second")), (yield from call_result("double", n=4))]

        bo = make_agent(body)
        run_step(bo)
        found: list[str] = ends(bo)[0]
        return found

    assert order("news") == ["sent first", "denied", "8"]
    assert order("down") == ["sent first", "denied", "8"]
    assert order(["no", "page"]) == ["sent first", "sent second", "8"]


def test_a_thought_cannot_leave_its_sources_out() -> None:
    """What a planner writes into a call takes nothing away, and may add."""

    def body(situation: Situation) -> Thought[str]:
        return (yield from sent(sources=("Mallory",)))

    assert stamped(run_step(make_agent(body), said=["Eve"]).asks) == ("Eve", "Mallory")


def test_a_stranger_gets_an_answer_from_a_calculator() -> None:
    """In a chat what is pure or reads still answers anybody; what acts answers the trusted."""

    def answer(ask: ModelAsk) -> object:
        if isinstance(ask, Choose):
            names = [option.name for option in ask.options]
            wanted = "send" if "send" in ask.about else "double"
            return Choice(
                index=names.index(wanted), probabilities=tuple(float(n == wanted) for n in names)
            )
        if isinstance(ask, Rate):
            return 3
        if ask.role == "arguments":
            return '{"text": "hi"}' if "send" in str(ask) else '{"n": 4}'
        return "Done."

    for trusted, came_of in (((), "denied"), (("Ada",), "")):
        bo = make_agent(sending, trusted=trusted, model=ScriptedModel(answer))  # type: ignore[arg-type]
        ((_, doubled),) = calls(bo.chat("double it", "Ada", at=NINE).step)
        assert doubled.value == 8
        ((_, letter),) = calls(bo.chat("send it", "Ada", at=NINE).step)
        assert letter.reason == came_of


def repeats(policy: Policy | None = None) -> list[str]:
    """What comes of the same calls, made again and again."""

    def body(situation: Situation) -> Thought[list[str]]:
        found = []
        for name, arguments in (
            ("double", {"n": 2}),
            ("double", {"n": 2}),
            ("double", {"n": 3}),
            ("look", {}),
            ("look", {}),
            ("send", {"text": "a"}),
            ("send", {"text": "a"}),
            ("look", {}),
            ("double", {"n": 2}),
        ):
            found.append((yield from call_result(name, **arguments)))
        return found

    bo = make_agent(body, policy=policy)
    run_step(bo)
    found: list[str] = ends(bo)[0]
    return found


def test_the_same_call_again_is_not_made() -> None:
    """A call that cannot bring anything new is answered with that; what was read may be read
    again once something was done, and doing twice is never mistaken for it."""
    sends = ["sent a", "sent a"]
    assert repeats() == ["4", "repeated", "6", "bread", "repeated", *sends, "bread", "repeated"]
    free = repeats(Policy(again=("double",)))
    assert free == ["4", "4", "6", "bread", "repeated", *sends, "bread", "4"]


def test_what_repeats_is_told_the_answer() -> None:
    """The refusal of a repeated call says what came of the first, also side by side."""

    def body(situation: Situation) -> Thought[object]:
        first = yield from all_of([call_result("double", n=5), call_result("double", n=5)])
        yield from call_result("double", n=5)
        return first

    bo = make_agent(body)
    told = [result.error for _, result in calls(run_step(bo))]
    assert ends(bo) == [("10", "repeated")]
    assert "its answer is on the way" in told[1]
    assert "the answer was: 10" in told[2]


def test_bad_luck_may_be_tried_again() -> None:
    """A reading tool that failed can be called again; wrong arguments stay wrong."""

    def body(situation: Situation) -> Thought[list[str]]:
        found = []
        for page in ("down", "down", 3, 3):
            found.append((yield from call_result("web.fetch", page=page)))
        return found

    bo = make_agent(body)
    run_step(bo)
    assert ends(bo) == [["failed", "failed", "arguments", "repeated"]]


@given(st.lists(st.sampled_from(["Ada", "Eve", "Bo Li", ""]), max_size=4), st.booleans())
def test_a_guard_changes_nothing_else(whose: list[str], trusting: bool) -> None:
    """Whatever was read, asks that are no calls pass unchanged and answers come back in order."""
    guard = ThoughtGuard("Bo Li", Toolbox([fetch]), labels=[Label(tuple(whose))])
    asks = (Embed(texts=("a", "b")), Embed(texts=("c",)))
    log: list[AnsweredAsk] = []
    thought = run_guarded(all_of([embed(ask) for ask in asks]), guard, log)
    bo = make_agent(sending)
    first, second = drive({"Bo Li": thought}, AskRouter({"Bo Li": bo}, at=NINE))["Bo Li"]  # type: ignore[misc]
    assert [getattr(one, "rows", 0) for one in (first, second)] == [2, 1]
    assert [one.ask for one in log] == list(asks)
    others = {who for who in whose if who != "Bo Li"}  # Its own words are no stranger's.
    assert guard.sources == {who or "somebody without a name" for who in others}
