"""Deliberate: a tree of thoughts, searched by how likely they are to lead somewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ...core import (
    Completion,
    Decision,
    Failed,
    Generate,
    Rate,
    Rating,
    Seed,
    Situation,
    Thought,
    all_of,
    generate,
    rate,
)
from ..steps import render_prompt
from .goal_queue import pursue_goals
from .tasks import Task, TaskOutcome, TaskWorker, compose_answer

MAX_RATING = 10


@dataclass(frozen=True, slots=True, order=True)
class ThoughtNode:
    """Thoughts so far; ``value`` in [0, 1] is how far they lead, by the model's rating."""

    value: float
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeOfThoughts:
    """Tree of thoughts (Yao et al. 2023), each valued by likelihood: no value is parsed.

    ``search`` is ``best`` (the best of all open thoughts is followed next) or ``beam`` (the
    ``width`` best of each depth). Each thought has ``branch`` next ones, a path at most
    ``depth``. It ends when a path is valued ``enough``, at the depth, or at ``asks`` asks,
    with the best path. ``then`` works the task off with that path known; without it the
    answer is written from the path.
    """

    search: Literal["best", "beam"] = "best"
    branch: int = 3
    width: int = 2
    depth: int = 3
    asks: int = 40
    enough: float = 0.9
    then: TaskWorker | None = None

    def decide(self, situation: Situation) -> Thought[Decision]:
        """Work on the first open goal; without one, go on or wait."""
        return (yield from pursue_goals(self, situation))

    def work(self, task: Task) -> Thought[TaskOutcome]:
        """Search, then work the task off in the light of the best path."""
        if isinstance(task.progress, dict) and "path" in task.progress:
            node: ThoughtNode | Failed = ThoughtNode(1.0, tuple(task.progress["path"]))
        else:
            node = yield from self.find_path(task)
        if isinstance(node, Failed):
            return TaskOutcome(status="failed", why=f"no thought ({node.reason}): {node.detail}")
        told = replace(task, hints=(*task.hints, *node.path))
        if self.then is None:
            outcome = yield from compose_answer(told, task.made, borne=0.0)
            return replace(outcome, answer=outcome.answer or " ".join(node.path[-1:]))
        inner = task.progress.get("inner") if isinstance(task.progress, dict) else None
        outcome = yield from self.then.work(replace(told, progress=inner))
        if outcome.status != "waiting":
            return outcome
        kept = {"path": list(node.path), "inner": outcome.progress}
        kept["made"] = (outcome.progress or {}).get("made", [])
        return replace(outcome, progress=kept)

    def find_path(self, task: Task) -> Thought[ThoughtNode | Failed]:
        """The best path of thoughts on a task; Failed where there is not one thought."""
        left = self.asks
        best: ThoughtNode | None = None
        frontier = [ThoughtNode(0.0)]
        fault: Failed | None = None
        while frontier and left >= 2 * self.branch:
            wide = 1 if self.search == "best" else self.width
            grown = frontier[: min(wide, left // (2 * self.branch))]
            found = yield from all_of([self._expand(task, node) for node in grown])
            left -= 2 * self.branch * len(grown)
            children: list[ThoughtNode] = []
            for one in found:
                if isinstance(one, Failed):
                    fault = one
                else:
                    children += one
            for child in children:
                if best is None or _sort_key(child) < _sort_key(best):
                    best = child
            if best is not None and best.value >= self.enough:
                break
            rest = frontier[len(grown) :] if self.search == "best" else []
            deeper = [node for node in children if len(node.path) < self.depth]
            frontier = sorted([*rest, *deeper], key=_sort_key)
        if best is None:
            return fault or Failed(reason="limit", detail="no thought came to mind")
        return best

    def _expand(self, task: Task, node: ThoughtNode) -> Thought[list[ThoughtNode] | Failed]:
        """The next thoughts after a path, each valued."""
        seed = task.seed.child("thought", *node.path)
        drafts = yield from all_of(
            [generate(self._thought_request(task, node, seed.child(n))) for n in range(self.branch)]
        )
        fault = next((one for one in drafts if isinstance(one, Failed)), None)
        texts = [one.text.strip() for one in drafts if isinstance(one, Completion)]
        # A thought had before leads nowhere new.
        new = [text for text in dict.fromkeys(texts) if text and text not in node.path]
        if not new:
            return fault or []
        paths = [(*node.path, text) for text in new]
        values = yield from all_of([self._rate_path(task, path) for path in paths])
        return [ThoughtNode(value, path) for value, path in zip(values, paths)]

    def _thought_request(self, task: Task, node: ThoughtNode, seed: Seed) -> Generate:
        return Generate(
            messages=render_prompt(
                "thought", goal=task.goal, notes=[*task.hints, *task.known, *node.path] or ["-"]
            ),
            max_tokens=48,
            temperature=0.8,
            seed=seed.number,
            stop=("\n",),
            role="thought",
        )

    def _rate_path(self, task: Task, path: tuple[str, ...]) -> Thought[float]:
        """How far a path leads, in [0, 1]; nowhere where it cannot be rated."""
        said = " ".join(path)
        answer = yield from rate(
            Rate(
                messages=render_prompt(
                    "worth", goal=task.goal, notes=[*task.hints, *task.known, *path]
                ),
                about=f"{task.goal} {said}",
                low=1,
                high=MAX_RATING,
                role="worth",
            )
        )
        return (answer.value - 1) / (MAX_RATING - 1) if isinstance(answer, Rating) else 0.0


def _sort_key(node: ThoughtNode) -> tuple[float, int, tuple[str, ...]]:
    """Best first; of equals the shorter path, then by its words."""
    return (-node.value, len(node.path), node.path)
