"""Plans as graphs: steps that wait for others, mended by code where a model wrote nonsense.

Plan and execute: a plan as a graph, its steps worked off side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from ...core import (
    Answer,
    Call,
    Completion,
    Decision,
    Failed,
    Generate,
    Json,
    Situation,
    Thought,
    ToolResult,
    all_of,
    from_json,
    generate,
    to_json,
)
from ..arguments import call_key
from ..steps import render_prompt
from .goal_queue import pursue_goals
from .react import React
from .tasks import Task, TaskOutcome, TaskWorker, ToolCallRecord, compose_answer, previous_calls

if TYPE_CHECKING:
    from networkx import DiGraph

MAX_STEPS = 8
"""Steps of a plan, at most."""

StepStatus: TypeAlias = Literal["open", "acting", "done", "lost"]

PLAN_SCHEMA: Json = {
    "type": "object",
    "properties": {
        "steps": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_STEPS,
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string", "minLength": 1, "maxLength": 12},
                    "do": {"type": "string", "minLength": 1, "maxLength": 160},
                    "after": {"type": "array", "items": {"type": "string"}, "maxItems": MAX_STEPS},
                },
                "required": ["id", "do", "after"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["steps"],
    "additionalProperties": False,
}
"""What a plan is written under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    """One step: what to do once the steps in ``after`` are done, how it stands, and its
    result; ``progress`` is its worker's."""

    id: str
    do: str
    after: tuple[str, ...] = ()
    stand: StepStatus = "open"
    result: str = ""
    progress: Json = field(default=None, hash=False)


def step_graph(steps: Iterable[PlanStep]) -> DiGraph[str]:
    """Steps as a directed graph; an edge leads from a step to one that waits for it."""
    import networkx as nx

    graph: DiGraph[str] = nx.DiGraph()
    for step in steps:
        graph.add_node(step.id)
        graph.add_edges_from((before, step.id) for before in step.after)
    return graph


def parse_plan(data: Json) -> tuple[tuple[PlanStep, ...], tuple[str, ...]]:
    """A plan read from what a model wrote, and what had to be mended in it.

    A step without words is left out, an id used twice is renamed, what waits for itself or
    for an unknown step waits for it no more, and of a circle of steps the last written goes
    first free. No steps at all: an empty plan.

    >>> loop = [{"id": "a", "do": "x", "after": ["b"]}, {"id": "b", "do": "y", "after": ["a"]}]
    >>> [(step.id, step.after) for step in parse_plan({"steps": loop})[0]]
    [('a', ()), ('b', ('a',))]
    """
    rows = data.get("steps") if isinstance(data, dict) else None
    mended: list[str] = []
    steps: list[PlanStep] = []
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, dict) or not str(row.get("do") or "").strip():
            mended.append("a step without words was left out")
            continue
        name = str(row.get("id") or f"step {len(steps) + 1}").strip()
        if name in {step.id for step in steps}:
            mended.append(f"two steps are called '{name}'")
            name = _unused_id(name, steps)
        after = row.get("after")
        before = tuple(dict.fromkeys(map(str, after))) if isinstance(after, list) else ()
        steps.append(PlanStep(id=name, do=str(row["do"]).strip(), after=before))
        if len(steps) == MAX_STEPS:
            break
    known = {step.id for step in steps}
    for place, step in enumerate(steps):
        kept = tuple(one for one in step.after if one in known and one != step.id)
        mended += [f"'{step.id}' waits for no '{one}'" for one in step.after if one not in kept]
        steps[place] = replace(step, after=kept)
    return _break_cycles(steps, mended), tuple(mended)


def _unused_id(name: str, steps: Sequence[PlanStep]) -> str:
    taken, number = {step.id for step in steps}, 2
    while f"{name} {number}" in taken:
        number += 1
    return f"{name} {number}"


def _break_cycles(steps: list[PlanStep], mended: list[str]) -> tuple[PlanStep, ...]:
    """In each circle the step written first no longer waits for the one written last."""
    import networkx as nx

    places = {step.id: place for place, step in enumerate(steps)}
    while True:
        try:
            circle = nx.find_cycle(step_graph(steps))
        except nx.NetworkXNoCycle:
            return tuple(steps)
        before, after = max(circle, key=lambda edge: places[edge[0]] - places[edge[1]])
        step = steps[places[after]]
        steps[places[after]] = replace(step, after=tuple(x for x in step.after if x != before))
        mended.append(f"'{after}' and '{before}' waited for each other")


def ready_steps(steps: Sequence[PlanStep]) -> list[PlanStep]:
    """The steps to do now: not done, and all that they wait for done."""
    done = {step.id for step in steps if step.stand == "done"}
    return [step for step in steps if step.stand in ("open", "acting") and set(step.after) <= done]


def upstream_results(steps: Sequence[PlanStep], step: PlanStep) -> list[str]:
    """What the steps found that a step rests on, directly or not, in the plan's order."""
    import networkx as nx

    above = nx.ancestors(step_graph(steps), step.id)
    return [f"{one.do}: {one.result}" for one in steps if one.id in above and one.result]


def final_steps(steps: Sequence[PlanStep]) -> list[PlanStep]:
    """The steps that no other waits for."""
    waited = {one for step in steps for one in step.after}
    return [step for step in steps if step.id not in waited]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAndExecute:
    """Writes a plan of steps that wait for each other (Wang et al. 2023), and has each step
    worked off by ``worker``: those that wait for nothing side by side, their results passed
    on to those after them.

    Where a step comes to nothing the rest is planned anew, ``replans`` times. Steps that may
    act in a world are done one after another, for a body does one thing at a time. ``borne``
    as with React.
    """

    worker: TaskWorker = field(default_factory=lambda: React(rounds=4, ask_back=True))
    replans: int = 2
    borne: float = 0.4

    def decide(self, situation: Situation) -> Thought[Decision]:
        """Work on the first open goal; without one, go on or wait."""
        return (yield from pursue_goals(self, situation))

    def work(self, task: Task) -> Thought[TaskOutcome]:
        """Plan, do, and plan anew where that fails."""
        run = _PlanRun(task)
        while True:
            if not run.steps:
                failed = yield from run.write_plan()
                if failed is not None:
                    return run.outcome("failed", f"no plan ({failed.reason}): {failed.detail}")
            while wave := ready_steps(run.steps):
                outcome = yield from self._run_wave(run, wave)
                if outcome is not None:
                    return outcome
                if run.lost:
                    break
            if not run.lost:
                return (yield from run.finish(self.borne))
            if run.replans == self.replans:
                return run.outcome("gave_up", f"after {run.replans + 1} plans: {run.lost[-1]}")
            run.replan()

    def _run_wave(self, run: _PlanRun, wave: list[PlanStep]) -> Thought[TaskOutcome | None]:
        """Do the steps that can be done now; an outcome where the work ends or waits here."""
        if run.task.can:
            wave = wave[:1]
        acts = {one.name for one in run.task.tools if one.effect == "acts"}
        made: set[str] = set()
        works = [
            _deduplicate_calls(self.worker.work(run.task_for(step)), acts, made) for step in wave
        ]
        outcomes = yield from all_of(works)
        ended: TaskOutcome | None = None
        for step, outcome in zip(wave, outcomes):
            run.record(step, outcome)
            if outcome.status == "failed":
                ended = run.outcome("failed", f"step '{step.do}': {outcome.why}")
            elif outcome.status == "waiting" and ended is None:
                ended = replace(outcome, why=f"step '{step.do}': {outcome.why}")
        if ended is None or ended.status == "failed":
            return ended
        return replace(ended, calls=tuple(run.calls), progress=run.to_progress())


_REPEATED_CALL = ToolResult(
    ok=False, error="another step of the plan makes this very call", reason="repeated"
)


def _deduplicate_calls(
    work: Thought[TaskOutcome], acts: Collection[str], made: set[str]
) -> Thought[TaskOutcome]:
    """A step's work, in which no call that acts is made that a step beside it has made."""
    try:
        asks = next(work)
        while True:
            told: list[Answer | None] = []
            for ask in asks:
                key = call_key(ask.tool, ask.arguments) if isinstance(ask, Call) else ""
                again = isinstance(ask, Call) and ask.tool in acts and key in made
                made.add(key)
                told.append(_REPEATED_CALL if again else None)
            passed = tuple(ask for ask, one in zip(asks, told) if one is None)
            answers = iter((yield passed) if passed else ())
            asks = work.send(tuple(next(answers) if one is None else one for one in told))
    except StopIteration as end:
        result: TaskOutcome = end.value
        return result


class _PlanRun:
    """A plan being worked off; lives inside one ``work``."""

    def __init__(self, task: Task) -> None:
        before = task.progress if isinstance(task.progress, dict) else {}
        self.task = task
        self.steps = tuple(from_json(PlanStep, row) for row in before.get("steps", ()))
        self.replans = int(before.get("replans", 0))
        self.found: list[str] = list(before.get("found", ()))
        self.lost: list[str] = list(before.get("lost", ()))
        self.calls: list[ToolCallRecord] = list(task.made)
        self.mended: tuple[str, ...] = ()

    def write_plan(self) -> Thought[Failed | None]:
        """Write the steps; where none can be used, the goal itself is the only one."""
        written = yield from generate(
            Generate(
                messages=render_prompt(
                    "steps",
                    goal=self.task.goal,
                    tools=[f"- {one.name}: {one.description}" for one in self.task.tools],
                    notes=[*self.task.hints, *self.task.known, *self.found, *self.lost]
                    or ["nothing yet"],
                ),
                max_tokens=320,
                temperature=0.0,
                seed=self.task.seed.child("plan", self.replans).number,
                schema=PLAN_SCHEMA,
                role="plan",
            )
        )
        if isinstance(written, Failed) and written.reason != "schema":
            return written
        data = written.data if isinstance(written, Completion) else None
        self.steps, self.mended = parse_plan(data)
        if not self.steps:
            self.steps = (PlanStep(id="all", do=self.task.goal),)
        self.lost = []
        return None

    def task_for(self, step: PlanStep) -> Task:
        """A step as a task of its own, with the results it rests on."""
        own = previous_calls(step.progress)
        return replace(
            self.task,
            goal=step.do,
            seed=self.task.seed.child("step", self.replans, step.id),
            known=(*self.task.known, *self.found, *upstream_results(self.steps, step)),
            made=own,
            barred=(*self.task.barred, *(one.key for one in self.calls if one not in own)),
            speak=False,
            progress=step.progress,
        )

    def record(self, step: PlanStep, outcome: TaskOutcome) -> None:
        """Keep what came of a step."""
        self.calls += [one for one in outcome.calls if one not in self.calls]
        if outcome.status == "done":
            step = replace(step, stand="done", result=outcome.answer, progress=None)
        elif outcome.status == "waiting":
            step = replace(step, stand="acting", progress=outcome.progress)
        else:
            told = [one.summary for one in outcome.calls if not one.ok]
            self.lost.append(f"'{step.do}' did not work: {'; '.join([outcome.why, *told])}")
            step = replace(step, stand="lost")
        self.steps = tuple(step if one.id == step.id else one for one in self.steps)

    def replan(self) -> None:
        """Keep the results, drop the plan."""
        self.found += [f"{one.do}: {one.result}" for one in self.steps if one.result]
        self.replans += 1
        self.steps = ()

    def finish(self, borne: float) -> Thought[TaskOutcome]:
        """The answer, from what the steps found."""
        results = [f"{one.do}: {one.result}" for one in self.steps if one.result]
        ends = [one.result for one in final_steps(self.steps) if one.result]
        if not self.task.speak:
            return TaskOutcome(status="done", answer="; ".join(ends), calls=tuple(self.calls))
        if not ends and not self.found and not self.task.known:
            return self.outcome("gave_up", "no step of the plan found anything")
        told = replace(self.task, known=(*self.task.known, *self.found, *results))
        doubted = [one for one in self.calls if one.doubted]
        outcome = yield from compose_answer(told, doubted, borne=borne, found=ends)
        why = f"the plan was mended: {'; '.join(self.mended)}" if self.mended else outcome.why
        return replace(outcome, calls=tuple(self.calls), why=why)

    def outcome(self, status: str, why: str) -> TaskOutcome:
        return TaskOutcome(status=status, calls=tuple(self.calls), why=why)  # type: ignore[arg-type]

    def to_progress(self) -> dict[str, object]:
        """What a later step takes up again."""
        return {
            "steps": [to_json(step) for step in self.steps],
            "replans": self.replans,
            "found": self.found,
            "lost": self.lost,
            "made": [to_json(one) for one in self.calls],
        }
