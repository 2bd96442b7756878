"""Tree of thoughts (Yao et al. 2023): search over generated thoughts rated by the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ...core import (
    Completion,
    Failed,
    Generate,
    Rate,
    Rating,
    Seed,
    Thought,
    all_of,
    generate,
    rate,
)
from ..steps import render_prompt
from .goal_queue import GoalPlanner
from .tasks import Task, TaskOutcome, TaskWorker, compose_answer

MAX_RATING = 10


@dataclass(frozen=True, slots=True, order=True)
class ThoughtNode:
    """A path of thoughts with its value in [0, 1], as rated by the model."""

    value: float
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeOfThoughts(GoalPlanner):
    """Searches a tree of thoughts (Yao et al. 2023), then works on the task with the best path.

    The value of a path is a rating by likelihood; nothing is parsed from prose.

    ``search``: ``best`` expands the best open node, ``beam`` the ``width`` best of each depth.
    ``branch``: thoughts per node; ``depth``: longest path. The search ends with the best path
    when its value reaches ``enough``, at the depth, or after ``asks`` asks. Then ``then`` works
    on the task with the path as hints; without it the answer is generated from the path.
    """

    search: Literal["best", "beam"] = "best"
    branch: int = 3
    width: int = 2
    depth: int = 3
    asks: int = 40
    enough: float = 0.9
    then: TaskWorker | None = None

    def work(self, task: Task) -> Thought[TaskOutcome]:
        """Search, then work on the task with the best path as hints."""
        if isinstance(task.progress, dict) and "path" in task.progress:
            node: ThoughtNode | Failed = ThoughtNode(1.0, tuple(task.progress["path"]))
        else:
            node = yield from self.find_path(task)
        if isinstance(node, Failed):
            return TaskOutcome(status="failed", why=f"no thought ({node.reason}): {node.detail}")
        hinted = replace(task, hints=(*task.hints, *node.path))
        if self.then is None:
            outcome = yield from compose_answer(hinted, task.calls, borne=0.0)
            return replace(outcome, answer=outcome.answer or " ".join(node.path[-1:]))
        inner = task.progress.get("inner") if isinstance(task.progress, dict) else None
        outcome = yield from self.then.work(replace(hinted, progress=inner))
        if outcome.status != "waiting":
            return outcome
        progress = {"path": list(node.path), "inner": outcome.progress}
        progress["made"] = (outcome.progress or {}).get("made", [])
        return replace(outcome, progress=progress)

    def find_path(self, task: Task) -> Thought[ThoughtNode | Failed]:
        """The best path of thoughts on a task; Failed if the model generated no thought."""
        asks_left = self.asks
        best: ThoughtNode | None = None
        frontier = [ThoughtNode(0.0)]
        failure: Failed | None = None
        while frontier and asks_left >= 2 * self.branch:
            width = 1 if self.search == "best" else self.width
            expanded = frontier[: min(width, asks_left // (2 * self.branch))]
            results = yield from all_of([self._expand(task, node) for node in expanded])
            asks_left -= 2 * self.branch * len(expanded)
            children: list[ThoughtNode] = []
            for result in results:
                if isinstance(result, Failed):
                    failure = result
                else:
                    children += result
            candidates = children if best is None else [best, *children]
            best = min(candidates, key=_sort_key, default=None)
            if best is not None and best.value >= self.enough:
                break
            rest = frontier[len(expanded) :] if self.search == "best" else []
            deeper = [node for node in children if len(node.path) < self.depth]
            frontier = sorted([*rest, *deeper], key=_sort_key)
        if best is None:
            return failure or Failed(reason="limit", detail="no thought came to mind")
        return best

    def _expand(self, task: Task, node: ThoughtNode) -> Thought[list[ThoughtNode] | Failed]:
        """The next nodes after a path, each rated; Failed if nothing was generated."""
        seed = task.seed.child("thought", *node.path)
        drafts = yield from all_of(
            [generate(self._thought_request(task, node, seed.child(n))) for n in range(self.branch)]
        )
        failure = next((draft for draft in drafts if isinstance(draft, Failed)), None)
        texts = [draft.text.strip() for draft in drafts if isinstance(draft, Completion)]
        new = [text for text in dict.fromkeys(texts) if text and text not in node.path]
        if not new:
            return failure or []
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
        """The value of a path in [0, 1]; 0 if the rating fails."""
        answer = yield from rate(
            Rate(
                messages=render_prompt(
                    "worth", goal=task.goal, notes=[*task.hints, *task.known, *path]
                ),
                about=f"{task.goal} {' '.join(path)}",
                low=1,
                high=MAX_RATING,
                role="worth",
            )
        )
        return (answer.value - 1) / (MAX_RATING - 1) if isinstance(answer, Rating) else 0.0


def _sort_key(node: ThoughtNode) -> tuple[float, int, tuple[str, ...]]:
    """Highest value first, then the shorter path, then by text."""
    return (-node.value, len(node.path), node.path)
