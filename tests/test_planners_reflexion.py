"""Reflexion: an attempt is judged, a lesson learned and remembered, and tried again."""

from __future__ import annotations

from datetime import datetime

import pytest
from denizens.core import Hit, Recalled, Record
from denizens.planners import React, Reflexion, goals_of
from denizens.testing import RandomAnswerer, RefusingAnswerer, RepeatingAnswerer
from denizens.testing.adversarial_models import FAILURE_REASONS
from denizens.tests.support.planner_driver import (
    ScriptedAnswers,
    ThoughtDriver,
    situation,
    spec,
    task,
)
from hypothesis import given, settings
from hypothesis import strategies as st

PRICE = spec("price", "thing")
WORKER = React(way="whole", borne=0.0)


def test_a_wrong_attempt_teaches() -> None:
    """Judged wrong: a lesson is written, stands in the next try, and the second is right."""
    told = ScriptedAnswers(
        moves=["price", "answer", "price", "answer"],
        arguments=[{"thing": "rye"}, {"thing": "a loaf of rye"}],
        texts={"answer": ["5 francs.", "2 francs."], "reflect": ["Ask for a loaf."]},
        tools={"price": lambda given: "2 francs"},
        judge=["wrong", "right"],
    )
    outcome = told.think(Reflexion(worker=WORKER).work(task("What does rye cost?", PRICE)))
    assert (outcome.status, outcome.answer) == ("done", "2 francs.")
    assert outcome.lessons == ("Lesson on 'What does rye cost?': Ask for a loaf.",)
    assert outcome.lessons[0] in told.prompt("answer")
    assert "judged wrong: 5 francs." in told.prompt("reflect")
    assert told.done()


def test_the_task_may_bring_its_own_check() -> None:
    """A check says what is wrong; then no model judges."""

    def check(given: object, outcome: object) -> str:
        return "" if "2" in outcome.answer else "no price"  # type: ignore[attr-defined]

    told = ScriptedAnswers(
        moves=["answer", "answer"],
        texts={"answer": ["Who knows.", "2 francs."], "reflect": ["Look it up."]},
    )
    outcome = told.think(
        Reflexion(worker=WORKER, check=check).work(task("What does rye cost?", PRICE))
    )
    assert outcome.answer == "2 francs."
    assert "judge" not in told.kinds()
    assert "It went wrong: no price" in told.prompt("reflect")


def test_tries_are_bounded() -> None:
    """Never right: given up after the last try, the lessons kept."""
    told = ScriptedAnswers(
        moves=["answer"] * 3,
        texts={"answer": ["No idea."] * 3, "reflect": ["Think.", "Think harder."]},
        judge=["wrong"] * 3,
    )
    outcome = told.think(Reflexion(worker=WORKER).work(task("What does rye cost?", PRICE)))
    assert (outcome.status, len(outcome.lessons)) == ("gave_up", 2)
    assert told.done()


def test_lessons_of_like_tasks_are_recalled() -> None:
    """Before the first try memory is asked; lessons stand in the prompt, other thoughts do not."""
    at = datetime(2026, 5, 3)
    texts = ("Lesson on 'the price of oats': ask for a sack.", "Bo likes oats.")
    hits = tuple(
        Hit(
            record=Record(id=n, kind="thought", text=text, created=at),
            score=1,
            recency=1,
            importance=1,
            relevance=1,
        )
        for n, text in enumerate(texts, 1)
    )
    told = ScriptedAnswers(
        moves=["answer"],
        texts={"answer": ["2 francs."]},
        judge=["right"],
        recalled=Recalled(hits=hits),
    )
    told.think(Reflexion(worker=WORKER).work(task("What does rye cost?", PRICE)))
    assert texts[0] in told.prompt("answer")
    assert texts[1] not in told.prompt("answer")


def test_nothing_is_done_twice() -> None:
    """What the first try called is known to the second, which cannot call it again."""
    calls: list[object] = []

    def price(given: object) -> str:
        calls.append(given)
        return "2 francs"

    told = ScriptedAnswers(
        moves=["price", "answer", "price"],
        arguments=[{"thing": "rye"}, {"thing": "rye"}],
        texts={"answer": ["5 francs.", "2 francs."], "reflect": ["Look again."]},
        tools={"price": price},
        judge=["wrong", "right"],
    )
    told.think(Reflexion(worker=WORKER).work(task("What does rye cost?", PRICE)))
    assert len(calls) == 1


def test_lessons_become_memories() -> None:
    """In a life, lessons and the ending are thoughts, and the goal is gone."""
    told = ScriptedAnswers(
        moves=["answer", "answer"],
        texts={"answer": ["5.", "2 francs."], "reflect": ["Look it up."]},
        judge=["wrong", "right"],
    )
    made = told.think(Reflexion(worker=WORKER).decide(situation("What does rye cost?")))
    assert [record.kind for record in made.records] == ["thought", "thought"]
    assert made.records[0].text.startswith("Lesson on 'What does rye cost?'")
    assert goals_of(made.state) == ()


def test_waiting_is_taken_up_again() -> None:
    """A try that asks back waits; later it goes on in the same try."""
    told = ScriptedAnswers(moves=["ask_back"], texts={"ask_back": ["Which rye?"]})
    waiting = told.think(Reflexion(worker=WORKER).work(task("What does it cost?", PRICE)))
    assert (waiting.status, waiting.progress["tries"]) == ("waiting", 0)
    told = ScriptedAnswers(moves=["answer"], texts={"answer": ["2 francs."]}, judge=["right"])
    again = task("What does it cost?", PRICE, progress=waiting.progress)
    assert told.think(Reflexion(worker=WORKER).work(again)).status == "done"


@settings(max_examples=50)
@given(st.integers(-5, 5), st.integers(1, 4))
def test_who_repeats_itself_ends(place: int, tries: int) -> None:
    """A model that says the same every time ends within a bound, with a typed outcome."""
    most = 1 + tries * (React(rounds=3).most_asks(1) + 2)
    worker = Reflexion(worker=React(rounds=3), tries=tries)
    outcome = ThoughtDriver(RepeatingAnswerer(place)).think(worker.work(task("What?", PRICE)), most)
    assert outcome.status in ("done", "stopped", "gave_up", "waiting", "failed")


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_nonsense_ends(seed: int) -> None:
    """Whatever is answered, the work ends."""
    most = 1 + 3 * (React().most_asks(1) * 3 + 2)
    ThoughtDriver(RandomAnswerer(seed)).think(Reflexion().work(task("What?", PRICE)), most)


@pytest.mark.parametrize("reason", FAILURE_REASONS)
def test_failures_end(reason: str) -> None:
    """Each kind of failure gives an outcome."""
    outcome = ThoughtDriver(RefusingAnswerer(reason)).think(
        Reflexion().work(task("What?", PRICE)), 10
    )
    assert outcome.status == "failed"
