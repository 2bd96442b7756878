"""React: decides by likelihood, calls, notes, answers; never the same call twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from denizens.core import (
    Action,
    Affordance,
    AgentState,
    Failed,
    Input,
    Json,
    canonical,
    from_json,
    to_json,
)
from denizens.planners import React, ToolCallRecord, goals_of, world_tools
from denizens.planners.goals import accept_goals
from denizens.planners.steps import action_from_call
from denizens.planners.text import is_grounded
from denizens.testing import RandomAnswerer, RefusingAnswerer, RepeatingAnswerer
from denizens.testing.adversarial_models import FAILURE_REASONS
from denizens.tests.support.planner_driver import (
    AT,
    CAN,
    DOING,
    PLACES,
    PRICE,
    ScriptedAnswers,
    ThoughtDriver,
    situation,
    spec,
    task,
)
from hypothesis import given
from hypothesis import strategies as st

STOCK = spec("stock", "thing")
WHOLE = React(way="whole")


def cheap(arguments: Json) -> Json:
    return "2 francs"


def test_a_goal_is_worked_off() -> None:
    """One call, one answer: four asks, and the result stands in the answer's prompt."""
    told = ScriptedAnswers(
        moves=["price", "answer"],
        arguments=[{"thing": "rye"}],
        texts={"answer": ["A rye costs 2 francs."]},
        tools={"price": cheap},
    )
    outcome = told.think(WHOLE.work(task("What does a rye cost?", PRICE, STOCK)))
    assert (outcome.status, outcome.answer) == ("done", "A rye costs 2 francs.")
    assert told.kinds() == ["tool", "arguments", "call", "tool", "answer"]
    assert [(one.tool, one.ok, one.text) for one in outcome.calls] == [("price", True, "2 francs")]
    assert "price (thing rye) says: 2 francs" in told.prompt("answer")
    assert told.done()


def test_no_text_is_parsed_for_the_decision() -> None:
    """The decision is a Choose among the tools, answering, asking back and none of these."""
    told = ScriptedAnswers(moves=["none"])
    outcome = told.think(WHOLE.work(task("Paint the fence.", PRICE, STOCK)))
    assert told.offered() == ["answer", "price", "stock", "ask_back", "none of these"]
    assert (outcome.status, outcome.calls) == ("gave_up", ())
    assert told.kinds() == ["tool"]


def test_the_same_call_is_masked() -> None:
    """A model that wants the same call again gets the next likeliest move; it is called once."""
    calls: list[Json] = []

    def price(given: Json) -> Json:
        calls.append(given)
        return "2 francs"

    told = ScriptedAnswers(
        moves=["price", "price"],
        arguments=[{"thing": "rye"}, {"thing": "rye"}],
        texts={"answer": ["It costs 2 francs."]},
        tools={"price": price},
    )
    outcome = told.think(WHOLE.work(task("What does a rye cost?", PRICE)))
    assert len(calls) == 1
    assert outcome.status == "done"
    assert told.kinds() == ["tool", "arguments", "call", "tool", "arguments", "answer"]


def test_a_tool_without_arguments_is_offered_once() -> None:
    """What could only be repeated is no option any more."""
    told = ScriptedAnswers(
        moves=["now", "none"], arguments=[{}], tools={"now": lambda given: "nine"}, texts={}
    )
    told.think(WHOLE.work(task("What time is it?", spec("now"), PRICE)))
    assert "now" in told.offered(0)
    assert "now" not in told.offered(1)


@pytest.mark.parametrize("reason", ["denied", "budget", "unknown", "gone"])
def test_a_closed_tool_is_not_offered_again(reason: str) -> None:
    """After a refusal that stands, the tool is out; after a mere failure it stays."""
    bad = ToolCallRecord(tool="price", arguments={}, ok=False, text="no", reason=reason)  # type: ignore[arg-type]
    failed = replace(bad, reason="failed")
    for made, stays in ((bad, False), (failed, True)):
        told = ScriptedAnswers(moves=["none"])
        told.think(WHOLE.work(task("What does a rye cost?", PRICE, STOCK, calls=(made,))))
        assert ("price" in told.offered()) == stays


def test_a_failure_is_noted_and_something_else_tried() -> None:
    """An error is data: it stands in the next decision, and another tool answers."""

    def down(given: Json) -> Json:
        raise ValueError("the till is broken")

    told = ScriptedAnswers(
        moves=["price", "stock", "answer"],
        arguments=[{"thing": "rye"}, {"thing": "rye"}],
        texts={"answer": ["There are 3 rye."]},
        tools={"price": down, "stock": lambda given: 3},
    )
    outcome = told.think(WHOLE.work(task("How is the rye?", PRICE, STOCK)))
    assert [(one.ok, one.text) for one in outcome.calls] == [
        (False, "the till is broken"),
        (True, "3"),
    ]
    assert "price (thing rye) failed: the till is broken" in told.prompt("answer")


def test_a_liar_is_found_out() -> None:
    """Two sources that contradict each other: a third is asked, the one alone is doubted."""
    sensors = [spec(f"sensor_{name}", "room") for name in "abc"]
    values = {"sensor_a": "31 degrees", "sensor_b": "12 degrees", "sensor_c": "12 degrees"}
    told = ScriptedAnswers(
        moves=["sensor_a", "sensor_b", "answer", "sensor_c", "answer"],
        arguments=[{"room": "cellar"}] * 3,
        texts={"answer": ["It is 12 degrees."]},
        tools={name: lambda given, value=value: value for name, value in values.items()},  # type: ignore[misc]
        check=["contradict"] * 3,
    )
    outcome = told.think(WHOLE.work(task("How warm is the cellar?", *sensors)))
    assert [(one.tool, one.doubted) for one in outcome.calls] == [
        ("sensor_a", True),
        ("sensor_b", False),
        ("sensor_c", False),
    ]
    # After the contradiction answering is no option: one more source, or none.
    assert "answer" not in told.offered(3)
    assert "31 degrees (other sources do not agree)" in told.prompt("answer")
    assert told.kinds().count("check") == 3
    assert told.done()


def test_an_open_contradiction_is_told() -> None:
    """Two against each other and nobody else to ask: both are doubted, and it ends."""
    sensors = [spec(f"sensor_{name}", "room") for name in "ab"]
    told = ScriptedAnswers(
        moves=["sensor_a", "sensor_b", "answer", "none"],
        arguments=[{"room": "cellar"}] * 2,
        texts={"answer": ["One says 31, the other 12 degrees."]},
        tools={"sensor_a": lambda given: "31 degrees", "sensor_b": lambda given: "12 degrees"},
        check=["contradict", "contradict"],
    )
    outcome = told.think(WHOLE.work(task("How warm is the cellar?", *sensors)))
    assert [one.doubted for one in outcome.calls] == [True, True]
    assert outcome.status == "done"


def test_equal_results_are_not_asked_about() -> None:
    """Sources that say the same word for word agree without a model."""
    sensors = [spec(f"sensor_{name}", "room") for name in "ab"]
    told = ScriptedAnswers(
        moves=["sensor_a", "sensor_b", "answer"],
        arguments=[{"room": "cellar"}] * 2,
        texts={"answer": ["12 degrees."]},
        tools={f"sensor_{name}": lambda given: "12 degrees" for name in "ab"},
    )
    outcome = told.think(WHOLE.work(task("How warm is the cellar?", *sensors)))
    assert not any(one.doubted for one in outcome.calls)
    assert "check" not in told.kinds()


def test_what_is_missing_is_asked_for() -> None:
    """Asking back ends the work for now, with the question, and progress to go on from."""
    told = ScriptedAnswers(moves=["ask_back"], texts={"ask_back": ["For how many?"]})
    outcome = told.think(WHOLE.work(task("Book a table.", PRICE)))
    assert (outcome.status, outcome.answer) == ("waiting", "For how many?")
    assert outcome.action is None
    assert outcome.progress == {"rounds": 1, "made": []}


def test_what_nothing_bears_out_is_not_said() -> None:
    """An answer with a number of its own is not given; what was found is."""
    told = ScriptedAnswers(
        moves=["price", "answer"],
        arguments=[{"thing": "rye"}],
        texts={"answer": ["A rye costs 5 francs."]},
        tools={"price": cheap},
    )
    outcome = told.think(WHOLE.work(task("What does a rye cost?", PRICE)))
    assert (outcome.status, outcome.answer) == ("done", "2 francs")
    assert "A rye costs 5 francs." in outcome.why
    assert is_grounded("", [], 0.0) is False


def test_rounds_end_the_work() -> None:
    """A model that always finds new arguments is stopped at the bound, with a typed outcome."""
    told = ScriptedAnswers(
        moves=["price"] * 4, arguments=[{"thing": str(n)} for n in range(4)], tools={"price": cheap}
    )
    outcome = told.think(React(rounds=4, way="whole").work(task("What costs what?", PRICE)))
    assert (outcome.status, len(outcome.calls)) == ("stopped", 4)
    assert "4 rounds" in outcome.why


def test_an_engine_fault_is_an_outcome() -> None:
    """Where no decision can be had the work has failed, and says why."""
    told = ScriptedAnswers(moves=["!"])
    outcome = told.think(WHOLE.work(task("What does a rye cost?", PRICE)))
    assert outcome.status == "failed"
    assert "out of memory" in outcome.why
    told = ScriptedAnswers(
        moves=["answer"], texts={"answer": [Failed(reason="limit", detail="full")]}
    )
    outcome = told.think(WHOLE.work(task("What does a rye cost?", PRICE)))
    assert (outcome.status, outcome.why) == ("failed", "no answer: full")


@given(
    st.integers(-6, 6),
    st.text(max_size=20),
    st.integers(1, 6),
    st.booleans(),
    st.sampled_from(["fields", "whole"]),
)
def test_who_repeats_itself_ends(place: int, text: str, rounds: int, check: bool, way: str) -> None:
    """A model that says the same every time ends within the bound, with a typed outcome."""
    react = React(rounds=rounds, check=check, way=way)  # type: ignore[arg-type]
    bound = ThoughtDriver(RepeatingAnswerer(place, text))
    tools = (PRICE, STOCK, spec("now"))
    outcome = bound.think(react.work(task("What does a rye cost?", *tools)), react.most_asks(1))
    assert outcome.status in ("done", "stopped", "gave_up", "waiting", "failed")
    keys = [one.key for one in outcome.calls]
    assert len(keys) == len(set(keys))


@given(st.integers(0, 2**32), st.integers(1, 5))
def test_nonsense_ends(seed: int, rounds: int) -> None:
    """Whatever is answered, the work ends within its bound, and nothing is called twice."""
    react = React(rounds=rounds)
    outcome = ThoughtDriver(RandomAnswerer(seed)).think(
        react.work(task("What does a rye cost?", PRICE, STOCK)), react.most_asks(1)
    )
    keys = [one.key for one in outcome.calls]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("reason", FAILURE_REASONS)
def test_failures_end(reason: str) -> None:
    """Each kind of failure gives an outcome."""
    outcome = ThoughtDriver(RefusingAnswerer(reason)).think(WHOLE.work(task("What?", PRICE)), 10)
    assert outcome.status == "failed"


# -- in a world -----------------------------------------------------------------------


def test_the_world_is_offered_as_tools() -> None:
    """What is afforded becomes tools, alike ones as one; a call of one is that action."""
    tools = world_tools((*CAN, Affordance("talk", "Ada"), Affordance("talk", "Cy")))
    assert [one.name for one in tools] == ["world.wait", "world.act", "world.talk"]
    act = tools[1].parameters
    assert act["properties"]["target"] == {"enum": list(PLACES)}
    assert act["required"] == ["target", "doing"]
    made = action_from_call("world.act", {"target": PLACES[1], "doing": "resting"}, CAN)
    assert made == Action("act", PLACES[1], {"doing": "resting"})
    assert action_from_call("world.act", {"target": "the moon", "doing": "resting"}, CAN) is None
    assert action_from_call("world.act", "the moon", CAN) is None


def test_verbs_with_other_fields_are_tools_of_their_own() -> None:
    """One verb with two kinds of fields gives two tools, and each finds its own target."""
    can = (Affordance("act", "a", DOING), Affordance("act", "b"))
    assert [one.name for one in world_tools(can)] == ["world.act", "world.act_2"]
    assert action_from_call("world.act_2", {"target": "b"}, can) == Action("act", "b")
    assert action_from_call("world.act_2", {"target": "a"}, can) is None


def test_an_act_ends_the_step_and_the_next_goes_on() -> None:
    """Acting in the world ends the step; the goal goes on at the next, where it is known."""
    told = ScriptedAnswers(
        moves=["world.act"], arguments=[{"target": PLACES[0], "doing": "baking"}]
    )
    first = told.think(WHOLE.decide(situation("Bake a rye.", can=CAN)))
    assert first.action == Action("act", PLACES[0], {"doing": "baking"})
    (goal,) = goals_of(first.state)
    assert goal.progress["rounds"] == 1
    later = situation(can=CAN, state=first.state, now=AT + timedelta(minutes=1))
    told = ScriptedAnswers(moves=["answer"], texts={"answer": ["The rye is baked."]})
    second = told.think(WHOLE.decide(later))
    assert "world.act (target v:Bakery:room:oven, doing baking) says: done" in told.prompt("answer")
    assert goals_of(second.state) == ()
    (kept,) = second.records
    assert "Bake a rye." in kept.text
    assert "The rye is baked." in kept.text
    assert kept.id == 3


def test_goals_come_by_whispers_and_questions_are_answered_by_them() -> None:
    """A whisper "goal: ..." is a goal; a goal that waits for a person is taken up by the next."""
    whisper = Input(kind="whisper", to="Bo Li", text="goal: Book a table.")
    told = ScriptedAnswers(moves=["ask_back"], texts={"ask_back": ["For how many?"]})
    asked = told.think(WHOLE.decide(situation(inputs=(whisper,))))
    (goal,) = goals_of(asked.state)
    assert (goal.text, goal.asked) == ("Book a table.", "For how many?")
    assert asked.action == Action("wait")
    # Nobody answers: nothing is asked.
    quiet = ScriptedAnswers()
    still = quiet.think(WHOLE.decide(situation(state=asked.state)))
    assert quiet.kinds() == []
    assert goals_of(still.state) == (goal,)
    answer = Input(kind="whisper", to="Bo Li", text="Four.")
    told = ScriptedAnswers(moves=["answer"], texts={"answer": ["It is booked for four."]})
    done = told.think(WHOLE.decide(situation(state=still.state, inputs=(answer,))))
    assert "For how many? Four." in told.prompt("answer")
    assert goals_of(done.state) == ()


def test_goals_travel_as_json() -> None:
    """A state with a goal in progress comes back from JSON as it was."""
    told = ScriptedAnswers(
        moves=["world.act"], arguments=[{"target": PLACES[0], "doing": "baking"}]
    )
    state = told.think(WHOLE.decide(situation("Bake a rye.", can=CAN))).state
    back = from_json(AgentState, to_json(state))
    assert canonical(to_json(back)) == canonical(to_json(state))
    assert goals_of(back) == goals_of(state)


def test_without_goals_nothing_is_asked() -> None:
    """An idle agent goes on, or waits; other whispers are thoughts of its own."""
    plain = Input(kind="whisper", to="Bo Li", text="It rains.")
    told = ScriptedAnswers()
    can = (*CAN, Affordance("continue"))
    made = told.think(WHOLE.decide(situation(can=can, inputs=(plain,))))
    assert made.action == Action("continue")
    assert [record.text for record in made.records] == ["It rains."]
    assert set(told.kinds()) == {"importance", "embed"}
    empty = Input(kind="whisper", to="Bo Li", text="Goal:  ")
    assert goals_of(accept_goals(situation(inputs=(empty,))).state) == ()
