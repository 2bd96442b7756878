"""PlanAndExecute: a plan as a graph, steps side by side, and planning anew."""

from __future__ import annotations

from typing import Any

import pytest
from denizens.core import Action, Affordance, Failed, Json
from denizens.planners import PlanAndExecute, React
from denizens.planners.goals.plan_and_execute import (
    MAX_STEPS,
    PlanStep,
    final_steps,
    parse_plan,
    ready_steps,
    step_graph,
    upstream_results,
)
from denizens.testing import RandomAnswerer, RefusingAnswerer, RepeatingAnswerer
from denizens.testing.adversarial_models import FAILURE_REASONS
from denizens.tests.support.planner_driver import ScriptedAnswers, ThoughtDriver, spec, task
from hypothesis import given, settings
from hypothesis import strategies as st

TOWN = spec("temperature", "town")
POST = spec("post", "to")
PLANNER = PlanAndExecute(worker=React(way="whole", rounds=3))


def step(name: str, do: str, *after: str) -> dict[str, Json]:
    return {"id": name, "do": do, "after": [*after]}


def plan(*steps: dict[str, Json]) -> Json:
    return {"steps": [*steps]}


def test_steps_that_wait_for_nothing_run_side_by_side() -> None:
    """Two steps are asked in the same rounds; the third gets the results of both."""
    told = ScriptedAnswers(
        moves=["temperature", "temperature", "answer", "answer", "post", "answer"],
        arguments=[{"town": "Bern"}, {"town": "Rome"}, {"to": "Ada"}],
        texts={
            "plan": [
                plan(
                    step("a", "Ask Bern."), step("b", "Ask Rome."), step("c", "Tell Ada.", "a", "b")
                )
            ],
            "answer": ["Ada was told that Rome has 17 degrees, Bern 9."],
        },
        tools={
            "temperature": lambda given: {"Bern": "9 degrees", "Rome": "17 degrees"}[given["town"]],
            "post": lambda given: "sent to Ada",
        },
    )
    outcome = told.think(PLANNER.work(task("Tell Ada which is warmer.", TOWN, POST)))
    assert outcome.status == "done"
    assert [(one.tool, one.text) for one in outcome.calls] == [
        ("temperature", "9 degrees"),
        ("temperature", "17 degrees"),
        ("post", "sent to Ada"),
    ]
    # Both first decisions before any call: they were asked in one round.
    assert told.kinds()[:7] == ["plan", "tool", "tool", "arguments", "arguments", "call", "call"]
    fills = [one.ask for one in told.log if getattr(one.ask, "role", "") == "arguments"]
    last = "\n".join(message.text for message in fills[-1].messages)  # type: ignore[union-attr]
    assert "Ask Bern.: 9 degrees" in last
    assert "Ask Rome.: 17 degrees" in last
    assert told.done()


def test_a_lost_step_is_planned_anew() -> None:
    """What a step found stays known, what failed is told to the next plan, and it is bounded."""

    def town(given: Json) -> Json:
        if given["town"] == "Bern":
            raise ValueError("no thermometer in Bern")
        return "8 degrees"

    told = ScriptedAnswers(
        moves=["temperature", "none", "temperature", "answer"],
        arguments=[{"town": "Bern"}, {"town": "Thun"}],
        texts={
            "plan": [plan(step("a", "Ask Bern.")), plan(step("a", "Ask Thun, it is near."))],
            "answer": ["Near Bern it has 8 degrees."],
        },
        tools={"temperature": town},
    )
    outcome = told.think(PLANNER.work(task("How warm is it in Bern?", TOWN)))
    assert (outcome.status, outcome.answer) == ("done", "Near Bern it has 8 degrees.")
    assert "'Ask Bern.' did not work" in told.prompt("plan")
    assert "no thermometer in Bern" in told.prompt("plan")
    assert told.kinds().count("plan") == 2


def test_planning_anew_is_bounded() -> None:
    """After so many plans it is given up, with what was wrong."""
    told = ScriptedAnswers(moves=["none"] * 3, texts={"plan": [plan(step("a", "Fly."))] * 3})
    outcome = told.think(PLANNER.work(task("Fly to the moon.", TOWN)))
    assert outcome.status == "gave_up"
    assert "after 3 plans" in outcome.why
    assert told.done()


def test_a_step_that_asks_waits() -> None:
    """The question of a step is the question of the work; what others found is kept."""
    told = ScriptedAnswers(
        moves=["ask_back", "temperature", "answer"],
        arguments=[{"town": "Bern"}],
        texts={"plan": [plan(step("a", "Book."), step("b", "Ask Bern."))], "ask_back": ["When?"]},
        tools={"temperature": lambda given: "9 degrees"},
    )
    waiting = told.think(PLANNER.work(task("Book, if it is warm.", TOWN)))
    assert (waiting.status, waiting.answer) == ("waiting", "When?")
    told = ScriptedAnswers(moves=["answer"], texts={"answer": ["It has 9 degrees."]})
    again = task("Book, if it is warm.", TOWN, progress=waiting.progress, known=("When? At nine.",))
    done = told.think(PLANNER.work(again))
    assert done.status == "done"
    assert told.kinds() == ["tool", "answer"]


def test_in_a_world_steps_come_one_after_another() -> None:
    """A body does one thing at a time: each step's action ends a step, and the plan goes on."""
    can = (Affordance("wait"), Affordance("talk", "Ada"), Affordance("talk", "Cy"))
    told = ScriptedAnswers(
        moves=["world.talk"],
        arguments=[{"target": "Ada"}],
        texts={"plan": [plan(step("a", "See Ada."), step("b", "See Cy."))]},
    )
    first = told.think(PLANNER.work(task("See both.", can=can)))
    assert (first.status, first.action) == ("waiting", Action("talk", "Ada"))
    told = ScriptedAnswers(moves=["answer", "world.talk"], arguments=[{"target": "Cy"}])
    second = told.think(PLANNER.work(task("See both.", can=can, progress=first.progress)))
    assert second.action == Action("talk", "Cy")
    assert "plan" not in told.kinds()


def test_nothing_found_is_not_an_answer() -> None:
    """A plan whose steps found nothing gives nothing to say."""
    told = ScriptedAnswers(moves=["answer"], texts={"plan": [plan(step("a", "Muse."))]})
    outcome = told.think(PLANNER.work(task("Who am I?", TOWN)))
    assert (outcome.status, outcome.answer) == ("gave_up", "")


def test_a_plan_that_cannot_be_read_is_the_goal_itself() -> None:
    """Where the model writes no step, the goal is worked on as a whole."""
    told = ScriptedAnswers(
        moves=["temperature", "answer"],
        arguments=[{"town": "Bern"}],
        texts={"plan": [{"steps": []}], "answer": ["9 degrees."]},
        tools={"temperature": lambda given: "9 degrees"},
    )
    assert told.think(PLANNER.work(task("How warm is Bern?", TOWN))).status == "done"
    told = ScriptedAnswers(texts={"plan": [Failed(reason="limit", detail="full")]})
    outcome = told.think(PLANNER.work(task("How warm is Bern?", TOWN)))
    assert (outcome.status, "full" in outcome.why) == ("failed", True)


@pytest.mark.parametrize(
    ("rows", "expected", "said"),
    [
        ([step("a", "x", "a")], {"a": ()}, "'a' waits for no 'a'"),
        ([step("a", "x", "ghost")], {"a": ()}, "'a' waits for no 'ghost'"),
        ([step("a", "x"), step("a", "y")], {"a": (), "a 2": ()}, "two steps are called 'a'"),
        ([step("a", "x", "b"), step("b", "y", "a")], {"a": (), "b": ("a",)}, "waited for each"),
        ([step("a", " "), step("b", "y")], {"b": ()}, "without words"),
        (["nonsense", step("b", "y")], {"b": ()}, "without words"),
    ],
)
def test_a_plan_is_mended(rows: list[Any], expected: dict[str, tuple[str, ...]], said: str) -> None:
    """Circles, unknown steps, names used twice and empty steps are mended, and it is said."""
    steps, mended = parse_plan({"steps": rows})
    assert {one.id: one.after for one in steps} == expected
    assert any(said in one for one in mended)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "id": st.sampled_from("abcdef"),
                "do": st.text("xyz ", max_size=3),
                "after": st.lists(st.sampled_from("abcdefg"), max_size=6),
            }
        ),
        max_size=12,
    )
)
def test_any_plan_can_be_worked_off(rows: list[Json]) -> None:
    """Whatever is written, the plan has no circle, and doing what is ready does all of it."""
    import networkx as nx

    steps, _ = parse_plan({"steps": rows})
    assert len(steps) <= MAX_STEPS
    assert nx.is_directed_acyclic_graph(step_graph(steps))
    done: set[str] = set()
    while len(done) < len(steps):
        now = [one for one in steps if one.id not in done and set(one.after) <= done]
        assert now
        done |= {one.id for one in now}


@pytest.mark.parametrize("data", [None, [], {}, {"steps": "x"}, {"steps": [{"do": 3, "after": 4}]}])
def test_what_is_no_plan_raises_nothing(data: Json) -> None:
    """Anything may have been written."""
    steps, _ = parse_plan(data)
    assert all(one.do for one in steps)


def test_results_flow_along_the_graph() -> None:
    """A step rests on all that lies before it, and on nothing beside it."""
    steps = (
        PlanStep(id="a", do="A", stand="done", result="1"),
        PlanStep(id="b", do="B", after=("a",), stand="done", result="2"),
        PlanStep(id="x", do="X", stand="done", result="9"),
        PlanStep(id="c", do="C", after=("b",)),
    )
    assert upstream_results(steps, steps[3]) == ["A: 1", "B: 2"]
    assert ready_steps(steps) == [steps[3]]
    assert final_steps(steps) == [steps[2], steps[3]]


@settings(max_examples=40)
@given(st.integers(-5, 5), st.integers(0, 3))
def test_who_repeats_itself_ends(place: int, replans: int) -> None:
    """A model that says the same every time ends within a bound, with a typed outcome."""
    planner = PlanAndExecute(worker=React(rounds=3), replans=replans)
    most = (replans + 1) * (1 + MAX_STEPS * React(rounds=3).most_asks(1)) + 1
    tools = (TOWN, POST)
    outcome = ThoughtDriver(RepeatingAnswerer(place)).think(
        planner.work(task("Tell Ada.", *tools)), most
    )
    assert outcome.status in ("done", "stopped", "gave_up", "waiting", "failed")


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_nonsense_ends(seed: int) -> None:
    """Whatever is answered, the work ends."""
    most = 3 * (1 + MAX_STEPS * React(rounds=4).most_asks(1)) + 1
    ThoughtDriver(RandomAnswerer(seed)).think(
        PlanAndExecute().work(task("Tell Ada.", TOWN, POST)), most
    )


@pytest.mark.parametrize("reason", FAILURE_REASONS)
def test_failures_end(reason: str) -> None:
    """Each kind of failure gives an outcome."""
    outcome = ThoughtDriver(RefusingAnswerer(reason)).think(PLANNER.work(task("What?", TOWN)), 20)
    assert outcome.status == "failed"


def test_steps_side_by_side_do_nothing_twice() -> None:
    """Of two steps in one wave that come to the same call, one makes it where it acts; what only
    reads is asked by both."""
    for effect, made in (("acts", 1), ("reads", 2)):
        told = ScriptedAnswers(
            moves=["post", "post", "answer", "answer"],
            arguments=[{"to": "Ada"}, {"to": "Ada"}],
            texts={
                "plan": [plan(step("a", "Post to Ada."), step("b", "Post it to Ada."))],
                "answer": ["It was sent to Ada."],
            },
            tools={"post": lambda given: "sent to Ada"},
        )
        outcome = told.think(PLANNER.work(task("Tell Ada.", spec("post", "to", effect=effect))))
        assert outcome.status == "done"
        assert told.kinds().count("call") == made
        assert [one.reason for one in outcome.calls if not one.ok] == ["repeated"] * (2 - made)
