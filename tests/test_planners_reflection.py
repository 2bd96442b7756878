"""Reflection: when it begins, what is asked, and what an insight rests on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from denizens.core import (
    Action,
    AgentState,
    Answer,
    Ask,
    Choose,
    Failed,
    Generate,
    Recall,
    Record,
    RecordKind,
    ScheduleEntry,
)
from denizens.planners import Daily, StepBuilder
from denizens.planners.daily.reflection import (
    EVIDENCE_PER_INSIGHT,
    INSIGHT_DRAFTS,
    insight_refusal,
    reflect,
)
from denizens.tests.support.daily_situations import (
    ADA,
    NINE,
    OVEN,
    Mind,
    lived,
    memory,
    situation,
)
from denizens.tests.support.planner_driver import run
from hypothesis import given, settings
from hypothesis import strategies as st

BREAD = [
    memory(1, "Ada Ek bakes rye bread for the school."),
    memory(2, "Ada Ek quarrelled with Cy Dunn about the bread."),
    memory(3, "Cy Dunn lost the key of the mill."),
    memory(4, "Bo Li owes Ada Ek two loaves."),
]
NEEDS = "Ada Ek needs the key of the mill for the bread"


def reflected(
    records: list[Record], *drafts: str, questions: int = 1, **wanted: str
) -> tuple[StepBuilder, Mind]:
    """A reflection on records, in which the drafts of insights are these, in turn."""
    seeds: list[int] = []

    def say(ask: Generate) -> str:
        if not ask.messages[-1].text.endswith("understands that"):
            return "matters to Ada"
        seeds.append(ask.seed)
        return drafts[(len(seeds) - 1) % len(drafts)]

    mind = Mind(records=records, wanted=wanted, say=say)
    draft = StepBuilder(situation(NINE, AgentState(records=len(records), reflect_left=-1.0)))
    run(reflect(draft, Daily(questions=questions)), mind)
    return draft, mind


@pytest.mark.parametrize(("left", "reflects"), [(0.0, True), (-3.5, True), (0.5, False)])
def test_reflection_begins_when_enough_has_happened(left: float, reflects: bool) -> None:
    """At zero or below one reflects, and the counter starts anew from 150."""
    doing = ScheduleEntry(start=NINE, minutes=30, doing="baking", place=OVEN)
    state = AgentState(day="2023-02-13", doing=doing, reflect_left=left, records=4)
    mind = Mind(records=BREAD, say=lambda ask: "Ada Ek needs the rye bread of Cy Dunn")
    made = lived(situation(NINE, state), mind)
    thoughts = [record for record in made.records if record.kind == "thought"]
    assert bool(thoughts) is reflects
    spent = sum(record.importance for record in thoughts)
    assert made.state.reflect_left == (150.0 - spent if reflects else left)


def test_the_threshold_is_used_up_by_importance() -> None:
    """Memories of importance 10 bring a reflection after 15 of them, by default."""
    doing = ScheduleEntry(start=NINE, minutes=600, doing="baking", place=OVEN)
    state, steps = AgentState(day="2023-02-13", doing=doing), 0
    while state.reflect_left > 0:
        seen = replace(ADA, text=f"Ada sings song {steps}")
        now = NINE + timedelta(minutes=steps)
        state = lived(situation(now, state, fresh=(seen,)), Mind(importance=10.0)).state
        steps += 1
    assert steps == 15


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.integers(0, 9))
def test_an_insight_rests_on_evidence(depths: list[int], wanted: int) -> None:
    """One to three of the memories retrieved, the likeliest first, and one deeper than they."""
    records = [replace(BREAD[n], depth=depth) for n, depth in enumerate(depths)]
    chosen = records[wanted % len(records)].text
    draft, _ = reflected(records, "Ada Ek needs bread for the school", evidence=chosen)
    made = draft.build(Action("wait"))
    assert made.records
    by_id = {record.id: record for record in records}
    for one in made.records:
        assert 1 <= len(one.evidence) <= EVIDENCE_PER_INSIGHT
        assert by_id[one.evidence[0]].text == chosen
        assert one.depth == 1 + max(by_id[number].depth for number in one.evidence)
        assert set(one.evidence) <= set(made.used)
    assert made.state.reflect_left == 150.0


def test_an_insight_is_the_best_of_those_that_follow() -> None:
    """Of the drafts of a question those that the memories support are weighed, and the one that
    they fit best is what one understands."""
    drafts = ("people come and go. ", f' "{NEEDS}."', "Ada Ek needs bread for the school")
    draft, mind = reflected(BREAD, *drafts, insight=NEEDS)
    (made,) = draft.build(Action("wait")).records
    assert made.text == f"Bo understands that {NEEDS}."
    assert (made.kind, made.who) == ("thought", "Bo Li")
    asked = [ask for ask in mind.asks if isinstance(ask, Generate)]
    assert len({ask.seed for ask in asked}) == len(asked) == 1 + INSIGHT_DRAFTS
    (choice,) = [ask for ask in mind.asks if isinstance(ask, Choose) and ask.role == "insight"]
    assert choice.about == " ".join(record.text for record in BREAD[:3])
    assert len(choice.options) == 2
    (ranked,) = [ask for ask in mind.asks if isinstance(ask, Choose) and ask.role == "evidence"]
    assert ranked.about == made.text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (NEEDS, ""),
        ("Ada Ek must remember the loaves of Bo Li", ""),
        ("the events are filled with joy", "word"),
        ("people are important and care for others", "empty"),
        ("Cy Dunn bakes rye bread for the school", "who"),
        ("Dora Holm bakes rye bread for the school", "name"),
        ("Bo Li owes Ada Ek five loaves", "word"),
        ("Bo Li owes Ada Ek 5 loaves", "number"),
        ("Cy Dunn lost the key", "known"),
        ("you owe Ada Ek two loaves", "person"),
        ("she bakes bread for the school", "person"),
        ("the rye bread is baked by Cy Dunn for the school", "who"),
    ],
)
def test_what_does_not_follow_is_no_insight(text: str, reason: str) -> None:
    """Nothing invented, nobody's deed given to another, nothing that says nothing, and no mere
    repetition of one memory."""
    assert insight_refusal(text, BREAD, "Bo Li") == reason


@pytest.mark.parametrize("words", ["", "...", "bread, bread", "Ada is kind", "all is full of joy"])
def test_without_a_good_draft_there_is_no_insight(words: str) -> None:
    """Nothing is understood rather than something wrong, and nothing is asked about it."""
    draft, mind = reflected(BREAD, words)
    assert draft.build(Action("wait")).records == ()
    assert "evidence" not in mind.roles()


def test_an_insight_that_fits_other_memories_too_is_dropped() -> None:
    """Its evidence must explain it better than other sets of memories do."""
    more = [*BREAD, memory(5, "The rye is ripe."), memory(6, "The mill stands by the river.")]
    for wanted, kept in (("", 1), ("other", 0)):
        others = "Bo Li owes Ada Ek two loaves. The rye is ripe. The mill stands by the river."
        draft, mind = reflected(more, NEEDS, specificity=others if wanted else "")
        (ask,) = [ask for ask in mind.asks if isinstance(ask, Choose) and ask.role == "specificity"]
        assert ask.about == f"Bo understands that {NEEDS}."
        assert [option.name for option in ask.options][1] == others
        assert len(draft.build(Action("wait")).records) == kept


def test_without_a_draft_two_memories_that_belong_together_are_an_insight() -> None:
    """What was heard and what is known about the same, both in their own words; secrets and what
    is about something else are not joined."""
    records = [
        memory(1, 'Ada Ek said to Bo Li: "I am waiting for a parcel of nails."'),
        memory(2, "A parcel of nails for Ada Ek lies at the mill."),
        memory(3, "Cy Dunn plays the fiddle every evening."),
        memory(4, "Ada Ek hides a parcel of nails in the mill. It is a secret."),
        memory(5, "The river is high after the rain in spring."),
    ]
    kinds: list[RecordKind] = ["utterance", "thought", "thought", "thought", "thought"]
    records = [replace(record, kind=kind) for record, kind in zip(records, kinds, strict=True)]
    records[0] = replace(records[0], importance=5.0)
    draft, mind = reflected(records, "all is full of joy")
    (made,) = draft.build(Action("wait")).records
    assert made.text == (
        "Bo understands that Ada Ek is waiting for a parcel of nails, and that a parcel of nails "
        "for Ada Ek lies at the mill."
    )
    assert made.evidence == (1, 2)
    assert not any(isinstance(ask, Choose) for ask in mind.asks)
    for missing in (0, 1):
        rest = [record for number, record in enumerate(records) if number != missing]
        draft, _ = reflected(rest, "all is full of joy")
        assert draft.build(Action("wait")).records == (), "nothing heard, or nothing like it known"


def test_the_same_insight_is_had_once() -> None:
    """Three questions that lead to the same words make one thought."""
    draft, _ = reflected(BREAD, NEEDS, questions=3)
    assert len(draft.build(Action("wait")).records) == 1


def test_what_happened_twice_is_cited_once() -> None:
    """Memories of the same words are one piece of evidence; without a choice the first three."""
    texts = (BREAD[0].text, *(record.text for record in BREAD))
    records = [memory(n, text) for n, text in enumerate(texts, 1)]

    @dataclass
    class Undecided(Mind):
        def answer(self, ask: Ask) -> Answer:
            unsure = isinstance(ask, Choose) and ask.role == "evidence"
            return Failed(reason="engine", detail="no") if unsure else super().answer(ask)

    for kind in (Mind, Undecided):
        mind = kind(records=records, say=lambda ask: NEEDS)
        draft = StepBuilder(situation(NINE, AgentState(records=5)))
        run(reflect(draft, Daily(questions=1)), mind)
        (made,) = draft.build(Action("wait")).records
        by_id = {record.id: record.text for record in records}
        assert [by_id[number] for number in made.evidence] == [one.text for one in BREAD[:3]]


def test_questions_and_insights_are_asked_side_by_side() -> None:
    """Recall, all questions, all recalls, all drafts, all evidence, all tests of it: six rounds,
    with a choice between drafts where two are good."""
    mind, rounds = Mind(records=BREAD, say=lambda ask: NEEDS), []
    mind.say = lambda ask: f"{NEEDS}{' of Cy Dunn' * (ask.seed % 2)}"
    thought = reflect(StepBuilder(situation(NINE, AgentState(records=5))), Daily(questions=3))
    asks = next(thought)
    while True:
        rounds.append([ask.kind for ask in asks])
        try:
            asks = thought.send(tuple(mind.answer(ask) for ask in asks))
        except StopIteration:
            break
    assert [set(kinds) for kinds in rounds[:4]] == [
        {"recall"},
        {"generate"},
        {"recall"},
        {"generate"},
    ]
    assert all(set(kinds) == {"choose"} for kinds in rounds[4:])
    assert len(rounds) in (6, 7)
    questions = len(rounds[2])
    assert [len(kinds) for kinds in rounds[:4]] == [1, 3, questions, questions * INSIGHT_DRAFTS]
    recalls = [ask for ask in mind.asks if isinstance(ask, Recall)]
    assert recalls[0].cue.rules == "recent"
    assert not recalls[0].cue.touch
    assert all(ask.cue.text.endswith("?") for ask in recalls[1:])


def test_a_question_about_somebody_invented_is_not_asked() -> None:
    """Instead of it the most important memory is what one asks about."""

    def say(ask: Generate) -> str:
        insight = ask.messages[-1].text.endswith("understands that")
        return NEEDS if insight else "did the Golden Ball of 1942 mean to Cy Dunn"

    mind = Mind(records=BREAD, say=say)
    run(reflect(StepBuilder(situation(NINE, AgentState(records=4))), Daily(questions=2)), mind)
    recalls = [ask.cue.text for ask in mind.asks if isinstance(ask, Recall)]
    assert recalls[1:] == ["What does Bo know of this: Bo Li owes Ada Ek two loaves?"]


def test_without_memories_there_is_nothing_to_reflect_on() -> None:
    """An empty memory, or a model that finds no words, makes no insight; the counter restarts."""
    for mind in (Mind(), Mind(records=[memory(1)], say=lambda ask: " ")):
        draft = StepBuilder(situation(NINE, AgentState(reflect_left=-1.0)))
        run(reflect(draft, Daily()), mind)
        assert draft.build(Action("wait")).records == ()
        assert draft.state.reflect_left == 150.0
