"""Runs of benchmark tasks: a planner works on a task with a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...agents import Agent, AskRouter, StoppedThought, ThoughtGuard, ToolExecutor, run_guarded
from ...core import (
    Answer,
    AnsweredAsk,
    Ask,
    AskId,
    AsksFailed,
    Call,
    Json,
    Model,
    Persona,
    Seed,
    ToolResult,
    drive,
)
from ...memory import Memory
from ...planners import (
    PlanAndExecute,
    React,
    Reflexion,
    Routine,
    Task,
    TaskOutcome,
    TaskWorker,
    TreeOfThoughts,
    call_key,
)
from ...simulation import LANGUAGE_KINDS, failure_of
from ...tools import Policy, Toolbox
from .perfect_model import PerfectModel
from .task_tools import TaskState
from .tasks import BENCHMARK_TASKS, BenchmarkTask

NOW = datetime(2026, 5, 4, 9)
AGENT_NAME = "Bo Li"

TASK_PLANNERS: Mapping[str, Callable[[], TaskWorker]] = {
    "react": React,
    "plan_and_execute": PlanAndExecute,
    "reflexion": Reflexion,
    "deliberate": lambda: TreeOfThoughts(then=React()),
}
"""The planners that work on goals, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRun:
    """The result of a task: the outcome, whether it is solved, and the number of asks by role
    (``call`` and ``recall`` for tools and memory)."""

    task: str
    outcome: TaskOutcome
    solved: bool
    asks: Mapping[str, int]
    model_asks: int = 0
    failed: int = 0
    fault: str = ""

    @property
    def asked(self) -> int:
        """The number of all asks."""
        return sum(self.asks.values())


class ObservedAsks:
    """An ask handler that reports the outcomes of tool calls to a perfect model, if there is
    one."""

    def __init__(self, router: AskRouter, perfect: PerfectModel | None) -> None:
        self._router = router
        self._perfect = perfect
        self._calls: dict[AskId, Call] = {}

    def submit(self, where: AskId, ask: Ask) -> None:
        """Forward an ask."""
        if isinstance(ask, Call):
            self._calls[where] = ask
        self._router.submit(where, ask)

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        """Wait for answers."""
        answers = self._router.wait()
        for where, answer in answers:
            call = self._calls.pop(where, None)
            if call is not None and self._perfect is not None:
                worked = isinstance(answer, ToolResult) and answer.ok
                self._perfect.outcomes[call_key(call.tool, call.arguments)] = worked
        return answers


def run_task(
    benchmark_task: BenchmarkTask, worker: TaskWorker, *, model: Model | None = None, seed: int = 0
) -> TaskRun:
    """Run a task once; without a model by the perfect one."""
    state = TaskState()
    toolbox = Toolbox(benchmark_task.tools(state), policy=Policy(ask=benchmark_task.needs_approval))
    perfect = PerfectModel(benchmark_task, toolbox.specs()) if model is None else None
    model_used = perfect.as_model() if perfect is not None else model
    assert model_used is not None, "one of the two"
    memory = Memory(":memory:", AGENT_NAME)
    agent = Agent(
        Persona(name=AGENT_NAME), model=model_used, memory=memory, planner=Routine(), tools=toolbox
    )
    task = Task(
        goal=benchmark_task.goal,
        seed=Seed.of(seed).child(benchmark_task.name),
        now=NOW,
        who=AGENT_NAME,
        tools=agent.tools.specs(),
    )
    executor = ToolExecutor(
        {AGENT_NAME: agent}, NOW, approver=lambda request: request.tool not in benchmark_task.denied
    )
    handler = ObservedAsks(AskRouter({AGENT_NAME: agent}, at=NOW, executor=executor), perfect)
    asks: list[AnsweredAsk] = []
    thought = run_guarded(worker.work(task), ThoughtGuard(AGENT_NAME, agent.tools), asks)
    end = drive({AGENT_NAME: thought}, handler)[AGENT_NAME]
    outcome = TaskOutcome(status="stopped", why=end.why) if isinstance(end, StoppedThought) else end
    model_asks = [pair for pair in asks if pair.ask.kind in LANGUAGE_KINDS]
    failures = [fault for pair in model_asks if (fault := failure_of(pair.ask, pair.answer))]
    roles = Counter(str(getattr(pair.ask, "role", pair.ask.kind)) for pair in asks)
    return TaskRun(
        task=benchmark_task.name,
        outcome=outcome,
        solved=benchmark_task.solved(outcome, state),
        asks=dict(sorted(roles.items())),
        model_asks=len(model_asks),
        failed=len(failures),
        fault=f"{failures[-1].reason}: {failures[-1].detail}" if failures else "",
    )


def measure_tasks(
    name: str = "perfect",
    *,
    device: str = "auto",
    dtype: str = "auto",
    planners: Sequence[str] = tuple(TASK_PLANNERS),
    tasks: Sequence[str] = (),
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Json]:
    """Each planner on each task: whether solved, the status, and the asks. Raises AsksFailed when
    the model answered no ask of a planner."""
    from ...models import load_model

    model = None if name == "perfect" else load_model(name, device=device, dtype=dtype)
    figures: dict[str, Json] = {"model": name}
    for planner in planners:
        progress(f"{planner}: {len(tasks or BENCHMARK_TASKS)} tasks")
        rows: dict[str, Json] = {}
        results = []
        for benchmark_task in BENCHMARK_TASKS:
            if tasks and benchmark_task.name not in tasks:
                continue
            result = run_task(benchmark_task, TASK_PLANNERS[planner](), model=model)
            results.append(result)
            rows[benchmark_task.name] = {
                "solved": result.solved,
                "status": result.outcome.status,
                "calls": [f"{call.tool}{'' if call.ok else ' !'}" for call in result.outcome.calls],
                "asks": result.asked,
                "failed": result.failed,
                "answer": result.outcome.answer,
                "why": result.outcome.why,
            }
        require_answers(planner, results)
        solved = sum(bool(row["solved"]) for row in rows.values())
        figures[planner] = {"solved": solved, "of": len(rows), "tasks": rows}
    return figures


def require_answers(planner: str, results: Sequence[TaskRun]) -> None:
    """Raise AsksFailed when all asks of a planner failed: there is nothing to score."""
    asked = sum(result.model_asks for result in results)
    failed = sum(result.failed for result in results)
    if asked and failed == asked:
        fault = next(result.fault for result in reversed(results) if result.fault)
        raise AsksFailed(
            f"{planner}: all {asked} asks failed ({fault}), nothing can be scored; "
            "check the model, its server, key and account"
        )
