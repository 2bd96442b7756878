"""Trials: a task worked off by a planner with a model, and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..agents import Agent, Caller, Guard, Minds, Stopped, guarded
from ..core import (
    Answer,
    Ask,
    Asked,
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
from ..memory import Memory
from ..planners import (
    Deliberate,
    Outcome,
    PlanAndExecute,
    React,
    Reflexion,
    Routine,
    Task,
    Worker,
    call_key,
)
from ..simulation.failures import SPOKEN, failure_of
from ..tools import Policy, Toolbox
from .oracle import Oracle
from .task_world import Office
from .tasks import PROBLEMS, Problem

AT = datetime(2026, 5, 4, 9)
WHO = "Bo Li"

WORKERS: Mapping[str, Callable[[], Worker]] = {
    "react": React,
    "plan_and_execute": PlanAndExecute,
    "reflexion": Reflexion,
    "deliberate": lambda: Deliberate(then=React()),
}
"""The planners that work off goals, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How a task went: the outcome, whether it is solved, and the asks: how many of
    each role, ``call`` and ``recall`` for those of tools and memory."""

    problem: str
    outcome: Outcome
    solved: bool
    asks: Mapping[str, int]
    spoken: int = 0
    failed: int = 0
    fault: str = ""

    @property
    def asked(self) -> int:
        """All asks."""
        return sum(self.asks.values())


class Watched:
    """Faculties whose calls' ends are told to an oracle, where there is one."""

    def __init__(self, minds: Minds, oracle: Oracle | None) -> None:
        self._minds = minds
        self._oracle = oracle
        self._calls: dict[AskId, Call] = {}

    def submit(self, where: AskId, ask: Ask) -> None:
        """Send an ask on."""
        if isinstance(ask, Call):
            self._calls[where] = ask
        self._minds.submit(where, ask)

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        """What is answered."""
        found = self._minds.wait()
        for where, answer in found:
            made = self._calls.pop(where, None)
            if made is not None and self._oracle is not None:
                worked = isinstance(answer, ToolResult) and answer.ok
                self._oracle.tried[call_key(made.tool, made.arguments)] = worked
        return found


def attempt(
    problem: Problem, worker: Worker, *, model: Model | None = None, seed: int = 0
) -> Trial:
    """One task worked off once; without a model by the perfect one."""
    office = Office()
    box = Toolbox(problem.tools(office), policy=Policy(ask=problem.asks))
    oracle = Oracle(problem, box.specs()) if model is None else None
    mind = oracle.model() if oracle is not None else model
    assert mind is not None, "one of the two"
    memory = Memory(":memory:", WHO)
    agent = Agent(Persona(name=WHO), model=mind, memory=memory, planner=Routine(), tools=box)
    task = Task(
        goal=problem.goal,
        seed=Seed.of(seed).child(problem.name),
        now=AT,
        who=WHO,
        tools=agent.tools.specs(),
    )
    people = Caller({WHO: agent}, AT, approver=lambda one: one.tool not in problem.denied)
    minds = Watched(Minds({WHO: agent}, at=AT, caller=people), oracle)
    asks: list[Asked] = []
    thought = guarded(worker.work(task), Guard(WHO, agent.tools), asks)
    ended = drive({WHO: thought}, minds)[WHO]
    outcome = Outcome(status="stopped", why=ended.why) if isinstance(ended, Stopped) else ended
    spoken = [one for one in asks if one.ask.kind in SPOKEN]
    faults = [fault for one in spoken if (fault := failure_of(one.ask, one.answer))]
    counted = Counter(str(getattr(one.ask, "role", one.ask.kind)) for one in asks)
    return Trial(
        problem=problem.name,
        outcome=outcome,
        solved=problem.solved(outcome, office),
        asks=dict(sorted(counted.items())),
        spoken=len(spoken),
        failed=len(faults),
        fault=f"{faults[-1].reason}: {faults[-1].detail}" if faults else "",
    )


def measure(
    name: str = "perfect",
    *,
    device: str = "auto",
    dtype: str = "auto",
    planners: Sequence[str] = tuple(WORKERS),
    tasks: Sequence[str] = (),
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Json]:
    """Every planner on every task: solved or not, how it ended, and the asks. Raises AsksFailed
    where the model answered none of a planner's: that is no score."""
    from ..models import load_model

    model = None if name == "perfect" else load_model(name, device=device, dtype=dtype)
    found: dict[str, Json] = {"model": name}
    for planner in planners:
        progress(f"{planner}: {len(tasks or PROBLEMS)} tasks")
        rows: dict[str, Json] = {}
        trials = []
        for problem in PROBLEMS:
            if tasks and problem.name not in tasks:
                continue
            trial = attempt(problem, WORKERS[planner](), model=model)
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


def require_answers(planner: str, trials: Sequence[Trial]) -> None:
    """Let no score stand for a model that does not answer. Raises AsksFailed."""
    asked, failed = sum(one.spoken for one in trials), sum(one.failed for one in trials)
    if asked and failed == asked:
        last = next(one.fault for one in reversed(trials) if one.fault)
        raise AsksFailed(
            f"{planner}: all {asked} asks failed ({last}), so there is nothing to score; check the "
            "model, its server, key and account"
        )
