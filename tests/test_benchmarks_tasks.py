"""The twelve tasks: a perfect model solves all by every planner, in so many asks."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from denizens.benchmarks.agents import BENCHMARK_TASKS, TASK_PLANNERS, measure_tasks
from denizens.benchmarks.agents.perfect_model import PerfectModel
from denizens.benchmarks.agents.task_runs import require_answers, run_task
from denizens.benchmarks.agents.task_tools import TaskState
from denizens.benchmarks.agents.tasks import BenchmarkTask
from denizens.cli import main
from denizens.core import AsksFailed, Call, Choose, Failed, Generate, Json, ModelError, Rate
from denizens.models import ImprovisedModel
from denizens.planners import TaskOutcome, ToolCallRecord
from denizens.testing import ScriptedModel
from denizens.tools import Toolbox

BY_NAME = {problem.name: problem for problem in BENCHMARK_TASKS}

# What is asked beside filling in arguments: decisions, calls, and texts or ratings.
DECISIONS = {
    "works": 2,
    "outage": 3,
    "mend": 3,
    "replan": 4,
    "approved": 2,
    "denied": 2,
    "liar": 4,
    "missing": 1,
    "nothing": 1,
    "chain": 6,
    "branches": 4,
    "loop": 2,
}
CALLS = {
    "works": 1,
    "outage": 2,
    "mend": 2,
    "replan": 3,
    "approved": 1,
    "denied": 1,
    "liar": 3,
    "missing": 0,
    "nothing": 0,
    "chain": 5,
    "branches": 3,
    "loop": 1,
}


def roles(problem: str, planner: str) -> dict[str, int]:
    """A trial's asks, which must have solved it."""
    trial = run_task(BY_NAME[problem], TASK_PLANNERS[planner]())
    assert trial.solved, trial
    return dict(trial.asks)


@pytest.mark.parametrize("name", BY_NAME)
def test_react_solves(name: str) -> None:
    """One decision a call and one to end; one text, the answer or the question."""
    asks = roles(name, "react")
    problem = BY_NAME[name]
    texts = asks.get("answer", 0) + asks.get("ask_back", 0)
    assert asks["tool"] == DECISIONS[name]
    assert asks.get("call", 0) == CALLS[name]
    assert texts == (0 if problem.status == "gave_up" else 1)
    # Of three sources two agree word for word; the model is asked about the other pairs.
    assert asks.get("check", 0) == (2 if name == "liar" else 0)


@pytest.mark.parametrize("name", BY_NAME)
def test_plan_and_execute_solves(name: str) -> None:
    """One plan, or two where a step is lost, or all three where nothing can be done."""
    asks = roles(name, "plan_and_execute")
    plans = {"replan": 2, "denied": 3, "nothing": 3, "loop": 3}.get(name, 1)
    assert asks["plan"] == plans
    assert asks.get("call", 0) == CALLS[name]
    steps = {"chain": 5, "branches": 3, "replan": 3, "nothing": 3, "denied": 3, "loop": 3}
    ends = steps.get(name, 1)
    assert asks["tool"] == CALLS[name] + ends


@pytest.mark.parametrize("name", BY_NAME)
def test_reflexion_solves(name: str) -> None:
    """As React; memory is asked once, an answer judged once, two lessons where all is lost."""
    asks, react = roles(name, "reflexion"), roles(name, "react")
    assert asks["recall"] == 1
    assert asks.get("judge", 0) == (BY_NAME[name].status == "done")
    assert asks.get("call", 0) == CALLS[name]
    lost = BY_NAME[name].status == "gave_up"
    assert asks.get("reflect", 0) == (2 if lost else 0)
    assert asks["tool"] == react["tool"] + (2 if lost else 0)


@pytest.mark.parametrize("name", BY_NAME)
def test_deliberate_solves(name: str) -> None:
    """As React, after three thoughts, each of the different ones valued."""
    asks, react = roles(name, "deliberate"), roles(name, "react")
    assert asks["tool"] == react["tool"]
    assert asks["thought"] == 3
    assert 1 <= asks["worth"] <= 2
    assert asks.get("call", 0) == CALLS[name]


@pytest.mark.parametrize("planner", TASK_PLANNERS)
def test_seeds_change_nothing_for_who_knows(planner: str) -> None:
    """The perfect model solves them by other seeds too."""
    for seed in (1, 2):
        for problem in BENCHMARK_TASKS[:4]:
            assert run_task(problem, TASK_PLANNERS[planner](), seed=seed).solved


@pytest.mark.parametrize("planner", TASK_PLANNERS)
def test_by_chance_they_are_not_solved(planner: str) -> None:
    """A model that answers by chance solves those in which nothing is to be done, and hardly
    another."""
    free = {problem.name for problem in BENCHMARK_TASKS if problem.status != "done"}
    for seed in (1, 2, 3):
        solved = {
            problem.name
            for problem in BENCHMARK_TASKS
            if run_task(problem, TASK_PLANNERS[planner](), model=ImprovisedModel(seed)).solved
        }
        assert len(solved - free) <= 1


def test_each_task_is_what_it_says() -> None:
    """Twelve, each with its own goal; what is wanted are tools that are there."""
    assert len(BENCHMARK_TASKS) == 12
    assert len({problem.goal for problem in BENCHMARK_TASKS}) == 12
    for problem in BENCHMARK_TASKS:
        box = Toolbox(problem.tools(TaskState()))
        for want in problem.expected_calls:
            assert want.tool in box.names()
            assert box.refusal(want.tool, dict(want.arguments)) is None
            assert set(want.after) <= {other.tool for other in problem.expected_calls}


def outcome(problem: BenchmarkTask, **more: object) -> TaskOutcome:
    """How a task should end."""
    doubted = [ToolCallRecord(tool=tool, arguments={}, doubted=True) for tool in problem.doubted]
    right = TaskOutcome(status=problem.status, answer=problem.answer, calls=tuple(doubted))
    return replace(right, **more)  # type: ignore[arg-type]


def test_a_task_is_not_solved_by_saying_so() -> None:
    """The right status with a wrong answer, a wrong world or too many calls is no solution."""
    office = TaskState()
    works, liar, denied = BY_NAME["works"], BY_NAME["liar"], BY_NAME["denied"]
    assert works.solved(outcome(works), office)
    assert not works.solved(outcome(works, answer="About four hundred."), office)
    assert not works.solved(outcome(works, status="gave_up"), office)
    many = tuple(ToolCallRecord(tool="clock", arguments={"n": n}) for n in range(9))
    assert not works.solved(outcome(works, calls=many), office)
    assert liar.solved(outcome(liar), office)
    assert not liar.solved(outcome(liar, calls=()), office)
    assert not liar.solved(outcome(liar, answer="12 or 31 degrees"), office)
    assert denied.solved(outcome(denied), office)
    assert not denied.solved(outcome(denied), TaskState(deleted=["old photos"]))
    approved = BY_NAME["approved"]
    assert not approved.solved(outcome(approved), office)
    assert not approved.solved(
        outcome(approved), TaskState(sent=[("Ada", "supper is at seven")] * 2)
    )


def test_the_oracle_cheats_nobody() -> None:
    """It says what was not told to it, and fails where it is asked for what it did not choose."""
    problem = BY_NAME["works"]
    oracle = PerfectModel(problem, Toolbox(problem.tools(TaskState())).specs())
    from denizens.core import Message

    blind = Generate(messages=(Message.of("user", problem.goal),), role="answer")
    assert oracle.answer(blind) == "I was not told 391."
    with pytest.raises(ModelError, match="did not choose"):
        oracle.answer(replace(blind, schema={"properties": {"moment": {}}}, role="arguments"))
    assert oracle.answer(Rate(messages=(), about="nothing", role="worth")) == 2.0
    options = Choose(messages=(), options=(), about=problem.goal, role="tool")
    assert oracle.answer(options) == "none of these"


def test_the_command_tells_all(capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object: every planner, how many solved, and each task."""
    with pytest.raises(SystemExit) as end:
        main(["bench", "tasks", "--planner", "react", "--task", "works", "--json"])
    assert end.value.code == 0
    found: Json = json.loads(capsys.readouterr().out)
    assert found["model"] == "perfect"
    assert (found["react"]["solved"], found["react"]["of"]) == (1, 1)
    assert found["react"]["tasks"]["works"]["calls"] == ["calculator"]


def test_what_is_measured_is_what_was_asked_for() -> None:
    """Only the planners and tasks named, and their figures add up."""
    found = measure_tasks(planners=("react", "reflexion"), tasks=("works", "nothing"))
    assert set(found) == {"model", "react", "reflexion"}
    for name in ("react", "reflexion"):
        assert found[name]["solved"] == found[name]["of"] == 2
        assert set(found[name]["tasks"]) == {"works", "nothing"}


@pytest.mark.real
def test_a_tiny_model_ends_every_task(smollm2: object) -> None:
    """SmolLM2 solves few, but each of every second ends with a typed outcome, and no call is
    made twice."""
    for problem in BENCHMARK_TASKS[::2]:
        trial = run_task(problem, TASK_PLANNERS["react"](), model=smollm2)  # type: ignore[arg-type]
        assert trial.outcome.status in ("done", "stopped", "gave_up", "waiting", "failed")
        keys = [one.key for one in trial.outcome.calls]
        assert len(keys) == len(set(keys))
    assert run_task(BY_NAME["nothing"], TASK_PLANNERS["react"](), model=smollm2).solved  # type: ignore[arg-type]


def test_calls_are_real() -> None:
    """The trial's calls went through the toolbox: they have receipts, failures their reason."""
    trial = run_task(BY_NAME["outage"], TASK_PLANNERS["react"]())
    down, up = trial.outcome.calls
    assert (down.ok, down.reason, bool(down.receipt)) == (False, "gone", True)
    assert (up.ok, bool(up.receipt)) == (True, True)
    assert Call(tool="x", arguments={}).sources == ()


def test_a_dead_model_gets_no_score() -> None:
    """A study of a model that answers nothing ends with an error, not with 0 of 12 solved."""
    dead = ScriptedModel(lambda ask: Failed(reason="denied", detail="answered 402"))
    trial = run_task(BENCHMARK_TASKS[0], TASK_PLANNERS["react"](), model=dead)
    assert trial.failed == trial.model_asks > 0
    with pytest.raises(AsksFailed, match=r"react: all \d+ asks failed \(denied: answered 402"):
        require_answers("react", [trial])
    require_answers("react", [run_task(BENCHMARK_TASKS[0], TASK_PLANNERS["react"]())])
