"""The testing kit: check_planner and check_tool find what breaks, and name the clause."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from denizens.agents import Agent, AskRouter
from denizens.core import (
    Action,
    AnsweredAsk,
    Choose,
    Decision,
    Generate,
    Option,
    Planner,
    PlannerError,
    Record,
    ReplayDiverged,
    Situation,
    Thought,
    ToolError,
    ToolSpec,
    choose,
    drive,
    generate,
)
from denizens.memory import Memory
from denizens.models import ImprovisedModel
from denizens.planners import (
    Daily,
    Dialogue,
    GoalsInRoutine,
    PlanAndExecute,
    React,
    Reflexion,
    Routine,
    RuleSwitch,
    Scripted,
    TreeOfThoughts,
)
from denizens.simulation import begin, read_scenario
from denizens.testing import (
    adversarial_answerers,
    check_planner,
    check_tool,
    default_situations,
    recorded_asks,
    retrace,
    retrace_step,
)
from denizens.tools import calculator, calendar, clock, tool

NOWHERE = Action("act", "no such place", {"doing": "nothing"})
OURS: dict[str, Callable[[], Planner]] = {
    "daily": Daily,
    "routine": Routine,
    "scripted": Scripted,
    "react": React,
    "react whole": lambda: React(way="whole"),
    "plan and execute": PlanAndExecute,
    "reflexion": Reflexion,
    "deliberate": TreeOfThoughts,
    "deliberate, then react": lambda: TreeOfThoughts(then=React()),
    "beam": lambda: TreeOfThoughts(search="beam", then=PlanAndExecute()),
    "dialogue": Dialogue,
    "errands": lambda: GoalsInRoutine(planner=Routine(), any_time=True),
    "daily with errands": GoalsInRoutine,
    "switch": lambda: RuleSwitch(
        [("spoken_to", "dialogue"), ("at_night", "routine"), ("has_goal", "react")], "daily"
    ),
}


@pytest.mark.parametrize("name", OURS)
def test_our_planners_keep_the_contract(name: str) -> None:
    """Every planner of ours, in every situation, with every unhelpful model."""
    check_planner(OURS[name])


# -- planners that break a clause -------------------------------------------------------


@dataclass
class Broken:
    """A planner that does one thing wrong."""

    how: str
    count: int = 0

    def decide(self, situation: Situation) -> Thought[Decision]:
        state = situation.state
        ask = Choose(messages=(), options=(Option("a"), Option("b")), about="x", role="move")
        self.count += 1
        if self.how == "for ever":
            while True:
                yield from choose(ask)
        if self.how == "raises":
            answer = yield from generate(Generate(messages=()))
            return Decision(action=Action("wait"), state=state, why=answer.text.upper())  # type: ignore[union-attr]
        if self.how == "forbidden":
            return Decision(action=NOWHERE, state=state)
        if self.how == "fields":
            place = next((can.target for can in situation.can if can.verb == "act"), "")
            return Decision(action=Action("act", place) if place else Action("wait"), state=state)
        if self.how == "state":
            return Decision(action=Action("wait"), state=state, why=str(self.count))
        if self.how == "json":
            state = replace(state, drafts={"box": {1, 2}})
        if self.how == "chance":
            yield from choose(replace(ask, about=str(time.perf_counter_ns())))
        if self.how == "numbers":
            record = Record(id=1, kind="thought", text="x", created=situation.now)
            return Decision(action=Action("wait"), state=state, records=(record,))
        if self.how == "swallows":
            try:
                yield from choose(ask)
            except GeneratorExit:
                self.count += 1000
                raise
            return Decision(action=Action("wait"), state=state, why=str(self.count > 1000))
        return Decision(action=Action("wait"), state=state)


@pytest.mark.parametrize(
    ("how", "clause"),
    [
        ("for ever", "ends within its bound"),
        ("raises", "no answer of a model raises an error"),
        ("forbidden", "one of the affordances"),
        ("fields", "one of the affordances"),
        ("state", "holds no state"),
        ("json", "survive JSON unchanged"),
        ("chance", "the same situation and answers"),
        ("numbers", "continue the numbers"),
        ("swallows", "rebuilt from its answers"),
    ],
)
def test_what_breaks_is_named(how: str, clause: str) -> None:
    """Each clause finds the planner that breaks it, and says which it is."""
    with pytest.raises(PlannerError, match=clause):
        check_planner(lambda: Broken(how))


def test_a_planner_that_breaks_nothing_passes() -> None:
    """The search above is not for any planner of this shape."""
    check_planner(lambda: Broken("nothing"))


def test_the_bound_can_be_set() -> None:
    """Who asks more than the caller allows is told so."""
    with pytest.raises(PlannerError, match="ends within its bound"):
        check_planner(React, most_asks=2)


def test_the_usual_situations_differ() -> None:
    """Alone, at work, in talks, at night, with goals and tools, in a world and in none."""
    given = default_situations()
    assert len({repr(one) for one in given}) == len(given) >= 10
    assert any(not one.can for one in given)
    assert any(one.seen.talk and one.seen.talk.ended for one in given)
    assert any(one.seen.talk and one.seen.talk.floor == one.persona.name for one in given)
    assert any(one.inputs for one in given)
    assert len(adversarial_answerers(given[0].seed)) >= 30


# -- tools ------------------------------------------------------------------------------

TRIES: list[int] = []


@tool(effect="pure")
def fickle(n: int) -> int:
    """Another number each time, though it says it is pure."""
    TRIES.append(n)
    return len(TRIES)


@tool(effect="reads", timeout=0.1)
def patient(n: int) -> int:
    """Wait a while and give the number."""
    time.sleep(0.01)
    return n


@tool(effect="reads")
def fails(n: int) -> int:
    """Fail, always."""
    raise RuntimeError("no")


class Foreign:
    """A tool that was not made by ``@tool``; ``wrong`` says what it does wrong."""

    context = ""

    def __init__(self, wrong: str = "") -> None:
        self.name = "foreign"
        self.wrong = wrong
        schema: Any = {
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "required": ["n"],
            "additionalProperties": False,
        }
        if wrong == "schema":
            schema["properties"]["n"] = {"type": "whole number"}
        if wrong == "list":
            schema = {"type": "array"}
        name = "other" if wrong == "name" else "foreign"
        about = " " if wrong == "silent" else "Give a number back."
        self.spec = ToolSpec(name, about, schema, "pure")

    def arguments(self, given: Any) -> dict[str, Any]:
        if self.wrong != "lenient" and (set(given) != {"n"} or not isinstance(given["n"], int)):
            raise ValueError("n must be a whole number, and nothing else given")
        return dict(given)

    def function(self, **given: Any) -> Any:
        return given.get("n")


@pytest.mark.parametrize(
    ("given", "examples"),
    [
        (calculator, [{"expression": "2 + 3"}]),
        (clock, [{}]),
        (calendar, []),
        (patient, [{"n": 3}]),
        (Foreign(), [{"n": 3}]),
    ],
)
def test_good_tools_pass(given: Any, examples: list[Any]) -> None:
    """Our own tools and a foreign one keep the contract."""
    check_tool(given, examples)


@pytest.mark.parametrize(
    ("given", "example", "clause"),
    [
        (fickle, {"n": 1}, "a pure tool gives the same"),
        (fails, {"n": 1}, "it works with the examples"),
        (calculator, {"expression": "2 +"}, "it works with the examples"),
        (Foreign("schema"), {"n": 1}, "valid JSON Schema"),
        (Foreign("list"), {"n": 1}, "describes an object"),
        (Foreign("name"), {"n": 1}, "its spec has the tool's name"),
        (Foreign("silent"), {"n": 1}, "it has a description"),
        (Foreign("lenient"), {"n": 1}, "arguments that do not fit are refused"),
    ],
)
def test_bad_tools_are_named(given: Any, example: Any, clause: str) -> None:
    """Each clause finds the tool that breaks it, and says which it is."""
    with pytest.raises(ToolError, match=clause):
        check_tool(given, [example])


# -- recorded runs ----------------------------------------------------------------------


def test_a_step_is_retraced() -> None:
    """A step's asks with their answers give the same decision again, without a model."""
    given = default_situations()[4]
    ana = Agent(given.persona, model=ImprovisedModel(2), memory=Memory(":memory:", "Ana Ek"))
    planner = React()
    log: list[AnsweredAsk] = []
    decided = drive(
        {"Ana Ek": logged(planner.decide(given), log)}, AskRouter({"Ana Ek": ana}, at=given.now)
    )["Ana Ek"]
    assert len(log) >= 3
    assert retrace_step(planner, given, log) == decided


def logged(thought: Thought[Decision], log: list[AnsweredAsk]) -> Thought[Decision]:
    from denizens.core import traced

    return traced(thought, log)


def test_a_changed_planner_diverges() -> None:
    """Another ask, one too many, and one left over are each told apart."""
    ask = Generate(messages=(), role="speech")

    def thought(count: int, seed: int = 0) -> Thought[int]:
        for _ in range(count):
            yield from generate(replace(ask, seed=seed))
        return count

    from denizens.core import Completion

    record = [AnsweredAsk(ask, Completion(text="x"))] * 2
    assert retrace(thought(2), record) == 2
    with pytest.raises(ReplayDiverged, match="ask 1 is a generate"):
        retrace(thought(2, seed=1), record)
    with pytest.raises(ReplayDiverged, match=r"ask 3 .* is not on record"):
        retrace(thought(3), record)
    with pytest.raises(ReplayDiverged, match="ended after 1 asks"):
        retrace(thought(1), record)


def test_a_recorded_run_is_read(tmp_path: Path) -> None:
    """What somebody asked in each step of a run comes back in order, with its answers."""
    scenario = read_scenario("crossroads")
    who = scenario.people[0].persona.name
    simulation = begin(scenario, tmp_path / "run", model=ImprovisedModel())
    seen: dict[int, tuple[AnsweredAsk, ...]] = {}
    for tick in simulation.run(steps=6):
        if tick.steps[who].asks:
            seen[tick.step] = tick.steps[who].asks
    simulation.store.close()
    assert seen
    assert dict(recorded_asks(tmp_path / "run", who)) == seen
