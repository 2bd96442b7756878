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

    def __init__(self, minds: AskRouter, oracle: PerfectModel | None) -> None:
        self._minds = minds
        self._oracle = oracle
        self._calls: dict[AskId, Call] = {}

    def submit(self, where: AskId, ask: Ask) -> None:
        """Forward an ask."""
        if isinstance(ask, Call):
            self._calls[where] = ask
        self._minds.submit(where, ask)

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        """Wait for answers."""
        found = self._minds.wait()
        for where, answer in found:
            made = self._calls.pop(where, None)
            if made is not None and self._oracle is not None:
                worked = isinstance(answer, ToolResult) and answer.ok
                self._oracle.outcomes[call_key(made.tool, made.arguments)] = worked
        return found


def run_task(
    problem: BenchmarkTask, worker: TaskWorker, *, model: Model | None = None, seed: int = 0
) -> TaskRun:
    """Run a task once; without a model by the perfect one."""
    office = TaskState()
    box = Toolbox(problem.tools(office), policy=Policy(ask=problem.needs_approval))
    oracle = PerfectModel(problem, box.specs()) if model is None else None
    mind = oracle.as_model() if oracle is not None else model
    assert mind is not None, "one of the two"
    memory = Memory(":memory:", AGENT_NAME)
    agent = Agent(Persona(name=AGENT_NAME), model=mind, memory=memory, planner=Routine(), tools=box)
    task = Task(
        goal=problem.goal,
        seed=Seed.of(seed).child(problem.name),
        now=NOW,
        who=AGENT_NAME,
        tools=agent.tools.specs(),
    )
    people = ToolExecutor(
        {AGENT_NAME: agent}, NOW, approver=lambda one: one.tool not in problem.denied
    )
    minds = ObservedAsks(AskRouter({AGENT_NAME: agent}, at=NOW, executor=people), oracle)
    asks: list[AnsweredAsk] = []
    thought = run_guarded(worker.work(task), ThoughtGuard(AGENT_NAME, agent.tools), asks)
    ended = drive({AGENT_NAME: thought}, minds)[AGENT_NAME]
    outcome = (
        TaskOutcome(status="stopped", why=ended.why) if isinstance(ended, StoppedThought) else ended
    )
    spoken = [one for one in asks if one.ask.kind in LANGUAGE_KINDS]
    faults = [fault for one in spoken if (fault := failure_of(one.ask, one.answer))]
    counted = Counter(str(getattr(one.ask, "role", one.ask.kind)) for one in asks)
    return TaskRun(
        task=problem.name,
        outcome=outcome,
        solved=problem.solved(outcome, office),
        asks=dict(sorted(counted.items())),
        model_asks=len(spoken),
        failed=len(faults),
        fault=f"{faults[-1].reason}: {faults[-1].detail}" if faults else "",
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
    found: dict[str, Json] = {"model": name}
    for planner in planners:
        progress(f"{planner}: {len(tasks or BENCHMARK_TASKS)} tasks")
        rows: dict[str, Json] = {}
        trials = []
        for problem in BENCHMARK_TASKS:
            if tasks and problem.name not in tasks:
                continue
            trial = run_task(problem, TASK_PLANNERS[planner](), model=model)
            trials.append(trial)
            rows[problem.name] = {
                "solved": trial.solved,
                "status": trial.outcome.status,
                "calls": [f"{one.tool}{'' if one.ok else ' !'}" for one in trial.outcome.calls],
                "asks": trial.asked,
                "failed": trial.failed,
                "answer": trial.outcome.answer,
                "why": trial.outcome.why,
            }
        require_answers(planner, trials)
        solved = sum(bool(row["solved"]) for row in rows.values())
        found[planner] = {"solved": solved, "of": len(rows), "tasks": rows}
    return found


def require_answers(planner: str, trials: Sequence[TaskRun]) -> None:
    """Raise AsksFailed when all asks of a planner failed: there is nothing to score."""
    asked, failed = sum(one.model_asks for one in trials), sum(one.failed for one in trials)
    if asked and failed == asked:
        last = next(one.fault for one in reversed(trials) if one.fault)
        raise AsksFailed(
            f"{planner}: all {asked} asks failed ({last}), so there is nothing to score; check the "
            "model, its server, key and account"
        )
