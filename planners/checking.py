"""Sources held against each other: a tool that lies is found out where others were asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..core import Choice, Choose, Option, Seed, Thought, all_of, canonical, choose
from .outcome import Task, ToolCallRecord

AGREE = Option("agree", "Both say the same.")
CONTRADICT = Option("contradict", "They say different things; both cannot be right.")


def cross_check(
    task: Task, made: Sequence[ToolCallRecord], *, seed: Seed
) -> Thought[tuple[tuple[ToolCallRecord, ...], bool]]:
    """The calls, those marked that other sources do not bear out, and whether a contradiction
    stands open.

    Only answers of different tools to the same arguments are compared. Equal ones agree; for
    the rest a model says whether they do. What contradicts a majority is doubted; where there
    is none, all are."""
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(made):
        if one.ok and one.arguments:
            groups.setdefault(canonical(one.arguments), []).append(place)
    alike = [group for group in groups.values() if len({made[i].tool for i in group}) > 1]
    pairs = [(i, j) for group in alike for at, i in enumerate(group) for j in group[at + 1 :]]
    agreed = yield from all_of([_results_agree(task, made[i], made[j], seed) for i, j in pairs])
    found = dict(zip(pairs, agreed))
    doubted: set[int] = set()
    open_ = False
    for group in alike:
        friends = {i: sum(found[min(i, j), max(i, j)] for j in group if j != i) for i in group}
        if all(count == len(group) - 1 for count in friends.values()):
            continue
        most = {i for i in group if 2 * (friends[i] + 1) > len(group)}
        doubted |= set(group) - most
        open_ = open_ or not most
    marked = tuple(replace(one, doubted=place in doubted) for place, one in enumerate(made))
    return marked, open_


def _results_agree(
    task: Task, one: ToolCallRecord, other: ToolCallRecord, seed: Seed
) -> Thought[bool]:
    if one.text.strip().lower() == other.text.strip().lower():
        return True
    picked = yield from choose(
        Choose(
            messages=(),
            options=(AGREE, CONTRADICT),
            about=f"{task.goal} {one.summary}. {other.summary}.",
            role="check",
            seed=seed.child("agree").number,
        )
    )
    # Where no model can say, what differs is not taken for the same.
    return isinstance(picked, Choice) and picked.index == 0
