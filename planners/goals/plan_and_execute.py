"""Plan-and-execute (Wang et al. 2023): a generated plan as a graph of steps, executed in waves.

Invalid parts of a generated plan are repaired by code.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from ...core import (
    Answer,
    Call,
    Completion,
    Failed,
    Generate,
    Json,
    Thought,
    ToolResult,
    all_of,
    from_json,
    generate,
    to_json,
)
from ..arguments import call_key
from ..steps import render_prompt
from .goal_queue import GoalPlanner
from .react import React
from .tasks import (
    Task,
    TaskOutcome,
    TaskStatus,
    TaskWorker,
    ToolCallRecord,
    compose_answer,
    previous_calls,
)

if TYPE_CHECKING:
    from networkx import DiGraph

MAX_STEPS = 8
"""Most steps of a plan."""

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
"""JSON Schema of a generated plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    """A step of a plan, ready once the steps in ``after`` are done. ``stand`` is its status and
    ``progress`` the state of its worker."""

    id: str
    do: str
    after: tuple[str, ...] = ()
    stand: StepStatus = "open"
    result: str = ""
    progress: Json = field(default=None, hash=False)


def step_graph(steps: Iterable[PlanStep]) -> DiGraph[str]:
    """The steps as a directed graph with edges from a step to those that depend on it."""
    import networkx as nx

    graph: DiGraph[str] = nx.DiGraph()
    for step in steps:
        graph.add_node(step.id)
        graph.add_edges_from((before, step.id) for before in step.after)
    return graph


def parse_plan(data: Json) -> tuple[tuple[PlanStep, ...], tuple[str, ...]]:
    """The steps of a generated plan, and descriptions of its repairs.

    Steps without text are removed, duplicate ids renamed, and dependencies of a step on itself
    or on unknown steps removed; in a cycle the step written first loses its dependency on the
    one written last. Without steps the plan is empty.

    >>> loop = [{"id": "a", "do": "x", "after": ["b"]}, {"id": "b", "do": "y", "after": ["a"]}]
    >>> [(step.id, step.after) for step in parse_plan({"steps": loop})[0]]
    [('a', ()), ('b', ('a',))]
    """
    rows = data.get("steps") if isinstance(data, dict) else None
    repairs: list[str] = []
    steps: list[PlanStep] = []
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, dict) or not str(row.get("do") or "").strip():
            repairs.append("a step without words was left out")
            continue
        name = str(row.get("id") or f"step {len(steps) + 1}").strip()
        if name in {step.id for step in steps}:
            repairs.append(f"two steps are called '{name}'")
            name = _unused_id(name, steps)
        value = row.get("after")
        after = tuple(dict.fromkeys(map(str, value))) if isinstance(value, list) else ()
        steps.append(PlanStep(id=name, do=str(row["do"]).strip(), after=after))
        if len(steps) == MAX_STEPS:
            break
    known = {step.id for step in steps}
    for index, step in enumerate(steps):
        after = tuple(name for name in step.after if name in known and name != step.id)
        repairs += [
            f"'{step.id}' waits for no '{name}'" for name in step.after if name not in after
        ]
        steps[index] = replace(step, after=after)
    return _break_cycles(steps, repairs), tuple(repairs)


def _unused_id(name: str, steps: Sequence[PlanStep]) -> str:
    taken, number = {step.id for step in steps}, 2
    while f"{name} {number}" in taken:
        number += 1
    return f"{name} {number}"


def _break_cycles(steps: list[PlanStep], repairs: list[str]) -> tuple[PlanStep, ...]:
    """The steps without cycles: in each, the dependency on the step written last is removed."""
    import networkx as nx

    index = {step.id: number for number, step in enumerate(steps)}
    while True:
        try:
            cycle = nx.find_cycle(step_graph(steps))
        except nx.NetworkXNoCycle:
            return tuple(steps)
        last, first = max(cycle, key=lambda edge: index[edge[0]] - index[edge[1]])
        step = steps[index[first]]
        after = tuple(name for name in step.after if name != last)
        steps[index[first]] = replace(step, after=after)
        repairs.append(f"'{first}' and '{last}' waited for each other")


def ready_steps(steps: Sequence[PlanStep]) -> list[PlanStep]:
    """The open steps whose dependencies are all done."""
    done = {step.id for step in steps if step.stand == "done"}
    return [step for step in steps if step.stand in ("open", "acting") and set(step.after) <= done]


def upstream_results(steps: Sequence[PlanStep], step: PlanStep) -> list[str]:
    """The results of all steps that a step depends on, directly or not, in the plan's order."""
    import networkx as nx

    ancestors = nx.ancestors(step_graph(steps), step.id)
    return _results([other for other in steps if other.id in ancestors])


def _results(steps: Sequence[PlanStep]) -> list[str]:
    return [f"{step.do}: {step.result}" for step in steps if step.result]


def final_steps(steps: Sequence[PlanStep]) -> list[PlanStep]:
    """The steps on which no other step depends."""
    required = {name for step in steps for name in step.after}
    return [step for step in steps if step.id not in required]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAndExecute(GoalPlanner):
    """Generates a plan of dependent steps, and has ``worker`` work on each step.

    Steps whose dependencies are done run in parallel; their results are known facts of later
    steps. If a step fails, the rest is planned anew, at most ``replans`` times. In a world steps
    run one after another, since a body does one thing at a time. ``borne`` as in React.
    """

    worker: TaskWorker = field(default_factory=lambda: React(rounds=4, ask_back=True))
    replans: int = 2
    borne: float = 0.4

    def work(self, task: Task) -> Thought[TaskOutcome]:
        """Plan and execute; plan anew if a step fails."""
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
                if run.failures:
                    break
            if not run.failures:
                return (yield from run.finish(self.borne))
            if run.replans == self.replans:
                return run.outcome("gave_up", f"after {run.replans + 1} plans: {run.failures[-1]}")
            run.replan()

    def _run_wave(self, run: _PlanRun, wave: list[PlanStep]) -> Thought[TaskOutcome | None]:
        """Execute the ready steps; an outcome if the task ends or waits here."""
        if run.task.can:
            wave = wave[:1]
        acting_tools = {tool.name for tool in run.task.tools if tool.effect == "acts"}
        called: set[str] = set()
        outcomes = yield from all_of(
            [
                _deduplicate_calls(self.worker.work(run.task_for(step)), acting_tools, called)
                for step in wave
            ]
        )
        result: TaskOutcome | None = None
        for step, outcome in zip(wave, outcomes):
            run.record(step, outcome)
            if outcome.status == "failed":
                result = run.outcome("failed", f"step '{step.do}': {outcome.why}")
            elif outcome.status == "waiting" and result is None:
                result = replace(outcome, why=f"step '{step.do}': {outcome.why}")
        if result is None or result.status == "failed":
            return result
        return replace(result, calls=tuple(run.calls), progress=run.to_progress())


_REPEATED_CALL = ToolResult(
    ok=False, error="another step of the plan makes this very call", reason="repeated"
)


def _deduplicate_calls(
    work: Thought[TaskOutcome], acting_tools: Collection[str], called: set[str]
) -> Thought[TaskOutcome]:
    """The thought ``work``, in which a call of an acting tool is refused if a parallel step has
    made the same call; ``called`` holds the keys of calls of all parallel steps."""
    try:
        asks = next(work)
        while True:
            refusals: list[Answer | None] = []
            for ask in asks:
                key = call_key(ask.tool, ask.arguments) if isinstance(ask, Call) else ""
                repeated = isinstance(ask, Call) and ask.tool in acting_tools and key in called
                called.add(key)
                refusals.append(_REPEATED_CALL if repeated else None)
            passed = tuple(ask for ask, refusal in zip(asks, refusals) if refusal is None)
            answers = iter((yield passed) if passed else ())
            asks = work.send(tuple(refusal or next(answers) for refusal in refusals))
    except StopIteration as end:
        result: TaskOutcome = end.value
        return result


class _PlanRun:
    """The execution of a plan within one call of ``work``. ``results`` are those of earlier
    plans, and ``failures`` describe the failed steps of this one."""

    def __init__(self, task: Task) -> None:
        progress = task.progress if isinstance(task.progress, dict) else {}
        self.task = task
        self.steps = tuple(from_json(PlanStep, row) for row in progress.get("steps", ()))
        self.replans = int(progress.get("replans", 0))
        self.results: list[str] = list(progress.get("found", ()))
        self.failures: list[str] = list(progress.get("lost", ()))
        self.calls: list[ToolCallRecord] = list(task.calls)
        self.repairs: tuple[str, ...] = ()

    def write_plan(self) -> Thought[Failed | None]:
        """Generate the steps; without a usable one, the goal itself is the only step. Returns a
        Failed if the model gave no answer."""
        completion = yield from generate(
            Generate(
                messages=render_prompt(
                    "steps",
                    goal=self.task.goal,
                    tools=[f"- {tool.name}: {tool.description}" for tool in self.task.tools],
                    notes=[*self.task.hints, *self.task.known, *self.results, *self.failures]
                    or ["nothing yet"],
                ),
                max_tokens=320,
                temperature=0.0,
                seed=self.task.seed.child("plan", self.replans).number,
                schema=PLAN_SCHEMA,
                role="plan",
            )
        )
        if isinstance(completion, Failed) and completion.reason != "schema":
            return completion
        data = completion.data if isinstance(completion, Completion) else None
        self.steps, self.repairs = parse_plan(data)
        if not self.steps:
            self.steps = (PlanStep(id="all", do=self.task.goal),)
        self.failures = []
        return None

    def task_for(self, step: PlanStep) -> Task:
        """The task of a step, with the results of the steps it depends on as known facts."""
        calls = previous_calls(step.progress)
        others = (call.key for call in self.calls if call not in calls)
        return replace(
            self.task,
            goal=step.do,
            seed=self.task.seed.child("step", self.replans, step.id),
            known=(*self.task.known, *self.results, *upstream_results(self.steps, step)),
            calls=calls,
            forbidden=(*self.task.forbidden, *others),
            speak=False,
            progress=step.progress,
        )

    def record(self, step: PlanStep, outcome: TaskOutcome) -> None:
        """Store the outcome of a step."""
        self.calls += [call for call in outcome.calls if call not in self.calls]
        if outcome.status == "done":
            step = replace(step, stand="done", result=outcome.answer, progress=None)
        elif outcome.status == "waiting":
            step = replace(step, stand="acting", progress=outcome.progress)
        else:
            reasons = [outcome.why, *(call.summary for call in outcome.calls if not call.ok)]
            self.failures.append(f"'{step.do}' did not work: {'; '.join(reasons)}")
            step = replace(step, stand="lost")
        self.steps = tuple(step if other.id == step.id else other for other in self.steps)

    def replan(self) -> None:
        """Keep the results and drop the plan."""
        self.results += _results(self.steps)
        self.replans += 1
        self.steps = ()

    def finish(self, borne: float) -> Thought[TaskOutcome]:
        """The outcome of a completed plan: an answer from the results of its steps."""
        results = [step.result for step in final_steps(self.steps) if step.result]
        if not self.task.speak:
            return TaskOutcome(status="done", answer="; ".join(results), calls=tuple(self.calls))
        if not results and not self.results and not self.task.known:
            return self.outcome("gave_up", "no step of the plan found anything")
        known = (*self.task.known, *self.results, *_results(self.steps))
        doubted = [call for call in self.calls if call.doubted]
        outcome = yield from compose_answer(
            replace(self.task, known=known), doubted, borne=borne, results=results
        )
        why = f"the plan was mended: {'; '.join(self.repairs)}" if self.repairs else outcome.why
        return replace(outcome, calls=tuple(self.calls), why=why)

    def outcome(self, status: TaskStatus, why: str) -> TaskOutcome:
        return TaskOutcome(status=status, calls=tuple(self.calls), why=why)

    def to_progress(self) -> dict[str, object]:
        """The state that a later step of the agent continues from."""
        return {
            "steps": [to_json(step) for step in self.steps],
            "replans": self.replans,
            "found": self.results,
            "lost": self.failures,
            "made": [to_json(call) for call in self.calls],
        }
