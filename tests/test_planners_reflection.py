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
    ScheduleEntry,
)
from denizens.planners import Daily, StepBuilder
from denizens.planners.daily.reflection import EVIDENCE_PER_INSIGHT, reflect
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


@pytest.mark.parametrize(("left", "reflects"), [(0.0, True), (-3.5, True), (0.5, False)])
def test_reflection_begins_when_enough_has_happened(left: float, reflects: bool) -> None:
    """At zero or below one reflects, and the counter starts anew from 150."""
    doing = ScheduleEntry(start=NINE, minutes=30, doing="baking", place=OVEN)
    state = AgentState(day="2023-02-13", doing=doing, reflect_left=left, records=4)
    mind = Mind(records=[memory(n) for n in range(1, 5)])
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
@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(0, 9))
def test_an_insight_rests_on_evidence(depths: list[int], wanted: int) -> None:
    """One to three of the memories retrieved, the likeliest first, and one deeper than they."""
    records = [memory(n, depth=depth) for n, depth in enumerate(depths, 1)]
    chosen = f"m{1 + wanted % len(records)}"
    draft = StepBuilder(situation(NINE, AgentState(records=len(records), reflect_left=-1.0)))
    run(reflect(draft, Daily()), Mind(records=records, wanted={"evidence": chosen}))
    made = draft.build(Action("wait"))
    assert made.records
    by_id = {record.id: record for record in records}
    for one in made.records:
        assert 1 <= len(one.evidence) <= EVIDENCE_PER_INSIGHT
        assert by_id[one.evidence[0]].text == chosen
        assert one.depth == 1 + max(by_id[number].depth for number in one.evidence)
        assert set(one.evidence) <= set(made.used)
    assert made.state.reflect_left == 150.0


def test_an_insight_is_the_better_of_two() -> None:
    """Two drafts a question; the one that the memories fit best is what one understands."""
    insights = ("people come and go. ", ' "bread matters to Ada."')
    seeds: list[int] = []

    def say(ask: Generate) -> str:
        if not ask.messages[-1].text.endswith("understands that"):
            return "matters to Ada"
        seeds.append(ask.seed)
        return insights[len(seeds) % 2]

    wanted = {"insight": "bread matters to Ada"}
    mind = Mind(records=[memory(n) for n in range(1, 5)], wanted=wanted, say=say)
    draft = StepBuilder(situation(NINE, AgentState(records=4)))
    run(reflect(draft, Daily(questions=1)), mind)
    (made,) = draft.build(Action("wait")).records
    assert made.text == "Bo understands that bread matters to Ada."
    assert (made.kind, made.who, len(set(seeds))) == ("thought", "Bo Li", 2)
    (choice,) = [ask for ask in mind.asks if isinstance(ask, Choose) and ask.role == "insight"]
    assert choice.about == "m1 m2 m3"
    (ranked,) = [ask for ask in mind.asks if isinstance(ask, Choose) and ask.role == "evidence"]
    assert ranked.about == made.text


@pytest.mark.parametrize("words", ["", "...", "bread, bread", "Ada is kind"])
def test_an_insight_of_few_words_is_none(words: str) -> None:
    """Under four words nothing is understood, and nothing is asked about it."""
    mind = Mind(records=[memory(1)], say=lambda ask: words)
    draft = StepBuilder(situation(NINE, AgentState(records=1)))
    run(reflect(draft, Daily()), mind)
    assert draft.build(Action("wait")).records == ()
    assert "evidence" not in mind.roles()


def test_the_same_insight_is_had_once() -> None:
    """Three questions that lead to the same words make one thought."""
    mind = Mind(records=[memory(1)], say=lambda ask: "Ada bakes every single day")
    draft = StepBuilder(situation(NINE, AgentState(records=1)))
    run(reflect(draft, Daily(questions=3)), mind)
    assert len(draft.build(Action("wait")).records) == 1


def test_what_happened_twice_is_cited_once() -> None:
    """Memories of the same words are one piece of evidence; without a choice the first three."""
    records = [memory(n, text) for n, text in enumerate(("rain", "rain", "sun", "wind", "hail"), 1)]

    @dataclass
    class Undecided(Mind):
        def answer(self, ask: Ask) -> Answer:
            unsure = isinstance(ask, Choose) and ask.role == "evidence"
            return Failed(reason="engine", detail="no") if unsure else super().answer(ask)

    for mind in (Mind(records=records), Undecided(records=records)):
        draft = StepBuilder(situation(NINE, AgentState(records=5)))
        run(reflect(draft, Daily(questions=1)), mind)
        (made,) = draft.build(Action("wait")).records
        by_id = {record.id: record.text for record in records}
        assert [by_id[number] for number in made.evidence] == ["rain", "sun", "wind"]


def test_questions_and_insights_are_asked_side_by_side() -> None:
    """Recall, all questions, all recalls, all drafts, the better ones, all evidence: six rounds."""
    mind, rounds = Mind(records=[memory(n) for n in range(1, 6)]), []
    thought = reflect(StepBuilder(situation(NINE, AgentState(records=5))), Daily(questions=3))
    asks = next(thought)
    while True:
        rounds.append([ask.kind for ask in asks])
        try:
            asks = thought.send(tuple(mind.answer(ask) for ask in asks))
        except StopIteration:
            break
    assert [set(kinds) for kinds in rounds] == [
        {"recall"},
        {"generate"},
        {"recall"},
        {"generate"},
        {"choose"},
        {"choose"},
    ]
    assert [len(kinds) for kinds in rounds] == [1, 3, 3, 6, 3, 3]
    recalls = [ask for ask in mind.asks if isinstance(ask, Recall)]
    assert recalls[0].cue.rules == "recent"
    assert not recalls[0].cue.touch
    assert all(ask.cue.text.endswith("?") for ask in recalls[1:])


def test_without_memories_there_is_nothing_to_reflect_on() -> None:
    """An empty memory, or a model that finds no words, makes no insight; the counter restarts."""
    for mind in (Mind(), Mind(records=[memory(1)], say=lambda ask: " ")):
        draft = StepBuilder(situation(NINE, AgentState(reflect_left=-1.0)))
        run(reflect(draft, Daily()), mind)
        assert draft.build(Action("wait")).records == ()
        assert draft.state.reflect_left == 150.0
