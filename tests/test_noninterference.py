"""Random lives of the worst minds there are: nothing that Ada confided comes to anybody else, and
no stranger's words make anything happen.

Of 2,000 lives of each sort: ``python -m denizens.tests.support.noninterference --lives 2000``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from denizens.tests.support.label_mutations import MUTATIONS, Mutation, mutated, places
from denizens.tests.support.noninterference import describe_script, differences, stopped
from denizens.tests.support.random_scripts import Sort, make_script
from denizens.tests.support.script_runner import run_script

LIVES = 200
TOGETHER = 10
"""So many lives make a test, which one process runs."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What these minds get wrong is not worth a line of the log each."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _equal(sort: Sort, first: int) -> None:
    for seed in range(first, first + TOGETHER):
        made = make_script(seed, sort)
        faults = differences(made)
        assert not faults, "\n".join([describe_script(made), *map(str, faults[:3])])


@pytest.mark.parametrize("first", range(0, LIVES, TOGETHER))
def test_what_is_confided_comes_to_nobody_else(first: int) -> None:
    """Two lives that differ in what Ada said in confidence are equal in all that others are
    given: answers, lines, deeds, calls in their chats, what is recalled for them and how it
    scores, exports, claims, notes, and answers over MCP."""
    _equal("told", first)


@pytest.mark.parametrize("first", range(0, LIVES, TOGETHER))
def test_no_stranger_makes_anything_happen(first: int) -> None:
    """Two lives that differ in the words of a stranger make the same calls that act, unless one
    was stopped by them; and no such call runs in a thought that has them before its eyes."""
    _equal("done", first)


def test_lives_are_full() -> None:
    """These lives do what they are there for: they act, they are refused, and much is told."""
    lived = [run_script(make_script(seed, "done"), 0) for seed in range(12)]
    ran = sum(len(thought.ran) for one in lived for thought in one.thoughts)
    strange = sum(bool(thought.strange) for one in lived for thought in one.thoughts)
    assert ran >= 5
    assert strange >= 50
    assert stopped(lived[0], lived[0]) == 0
    assert sum(len(one.got) for one in lived) > 500


def test_a_life_is_its_number() -> None:
    """The same number makes the same script, and living it twice the same life."""
    for sort in ("told", "done"):
        made = make_script(3, sort)
        assert made == make_script(3, sort)
        assert run_script(made, 0).got == run_script(made, 0).got


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_every_mutation_still_has_its_place(mutation: Mutation) -> None:
    """The words that a mutation replaces stand in its file exactly once, and what comes of it
    is Python."""
    assert places(mutation) == 1
    compile(mutated(mutation), mutation.file, "exec")
