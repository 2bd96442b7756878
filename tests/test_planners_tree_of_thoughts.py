"""Deliberate: a tree of thoughts, the best path found by likelihood within a bound."""

from __future__ import annotations

from dataclasses import replace

import pytest
from denizens.core import Answer, Ask, Completion, Generate, Rate, Rating
from denizens.planners import React, TreeOfThoughts
from denizens.planners.goals.tree_of_thoughts import ThoughtNode
from denizens.testing import Answerer, RandomAnswerer, RefusingAnswerer, RepeatingAnswerer
from denizens.testing.adversarial_models import FAILURE_REASONS
from denizens.tests.support.planner_driver import ScriptedAnswers, ThoughtDriver, spec, task
from hypothesis import given, settings
from hypothesis import strategies as st

PRICE = spec("price", "thing")


class Tree:
    """Thoughts with known values: each path's next thoughts, and how far a path leads."""

    def __init__(self, grown: dict[tuple[str, ...], list[str]], values: dict[str, float]) -> None:
        self.grown, self.values = grown, values
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, ask: Ask) -> Answer:
        if isinstance(ask, Rate):
            last = ask.messages[0].text.split("Thoughts:\n")[1].split("\nHow sure")[0].split("\n")
            value = self.values[last[-1]]
            return Rating(value=1 + 9 * value, probabilities=())
        assert isinstance(ask, Generate)
        if ask.role == "answer":
            return Completion(text="So it is.")
        told = ask.messages[0].text.split("Thoughts so far:\n")[1].split("\nWhat is")[0]
        path = tuple(told.split("\n")) if told != "-" else ()
        self.asked.append(path)
        found = self.grown.get(path, ["dead end"])
        return Completion(text=found[self.asked.count(path) % len(found)])


def thought_of(planner: TreeOfThoughts, answer: Answerer) -> ThoughtNode:
    """The best path that a planner thinks of."""
    found = ThoughtDriver(answer).think(planner.find_path(task("Where to?")), 100)
    assert isinstance(found, ThoughtNode)
    return found


GROWN = {
    (): ["left", "right"],
    ("left",): ["left left", "left right"],
    ("right",): ["right left", "right right"],
}
VALUES = {"left": 0.6, "right": 0.5, "left left": 0.3, "left right": 0.2}
VALUES |= {"right left": 0.95, "right right": 0.4, "dead end": 0.0}


def test_best_first_turns_back() -> None:
    """It follows the best thought, and the second best where that leads nowhere."""
    planner = TreeOfThoughts(branch=2, depth=2, enough=0.9)
    node = thought_of(planner, Tree(GROWN, VALUES))
    assert (node.path, round(node.value, 3)) == (("right", "right left"), 0.95)


def test_a_narrow_beam_misses_what_a_wide_one_finds() -> None:
    """One path a depth loses the better end; two keep it."""
    for width, path in ((1, ("left",)), (2, ("right", "right left"))):
        planner = TreeOfThoughts(search="beam", width=width, branch=2, depth=2)
        assert thought_of(planner, Tree(GROWN, VALUES)).path == path


def test_enough_is_enough() -> None:
    """A path that is sure enough ends the search."""
    tree = Tree(GROWN, {**VALUES, "left": 0.97})
    assert thought_of(TreeOfThoughts(branch=2), tree).path == ("left",)
    assert len(tree.asked) == 2


@settings(max_examples=60)
@given(st.integers(4, 60), st.integers(1, 4), st.sampled_from(["best", "beam"]), st.integers(1, 3))
def test_asks_bound_the_search(asks: int, branch: int, search: str, width: int) -> None:
    """No search asks more than it may, whatever is answered."""
    planner = TreeOfThoughts(search=search, branch=branch, width=width, depth=9, asks=asks)  # type: ignore[arg-type]
    for answer in (RepeatingAnswerer(0), RandomAnswerer(asks), Tree(GROWN, VALUES)):
        bound = ThoughtDriver(answer)
        bound.think(planner.find_path(task("Where to?")), asks)
        assert bound.asks <= asks


def test_the_answer_is_written_from_the_path() -> None:
    """Without a worker the best path is what the answer rests on."""
    tree = Tree(GROWN, VALUES)
    outcome = ThoughtDriver(tree).think(
        TreeOfThoughts(branch=2, depth=2).work(task("Where to?")), 100
    )
    assert (outcome.status, outcome.answer) == ("done", "So it is.")


def test_a_worker_goes_on_from_the_path() -> None:
    """With one the path is known to it, and its calls are the outcome's."""
    told = ScriptedAnswers(
        moves=["price", "answer"],
        arguments=[{"thing": "rye"}],
        texts={"thought": ["Look it up."] * 2, "answer": ["2 francs."]},
        tools={"price": lambda given: "2 francs"},
        ratings=lambda ask: 10.0,
    )
    planner = TreeOfThoughts(branch=2, then=React(way="whole"))
    outcome = told.think(planner.work(task("What does rye cost?", PRICE)))
    assert (outcome.status, len(outcome.calls)) == ("done", 1)
    assert "Look it up." in told.prompt("answer")
    # The same thought twice is one: it is valued once.
    assert told.kinds()[:3] == ["thought", "thought", "worth"]


def test_waiting_does_not_think_anew() -> None:
    """The path is kept while the worker waits."""
    told = ScriptedAnswers(
        moves=["ask_back"],
        texts={"thought": ["Look it up."] * 2, "ask_back": ["Which rye?"]},
        ratings=lambda ask: 10.0,
    )
    planner = TreeOfThoughts(branch=2, then=React(way="whole"))
    given_task = task("What does rye cost?", PRICE)
    waiting = told.think(planner.work(given_task))
    assert waiting.progress["path"] == ["Look it up."]
    told = ScriptedAnswers(moves=["answer"], texts={"answer": ["2 francs."]})
    again = replace(given_task, progress=waiting.progress)
    assert told.think(planner.work(again)).status == "done"
    assert told.kinds() == ["tool", "answer"]


@pytest.mark.parametrize("reason", FAILURE_REASONS)
def test_failures_end(reason: str) -> None:
    """Each kind of failure gives an outcome."""
    outcome = ThoughtDriver(RefusingAnswerer(reason)).think(
        TreeOfThoughts().work(task("What?")), 50
    )
    assert outcome.status == "failed"
    assert reason in outcome.why
