"""Planners put together: switched by rule, and a day's doings worked off with tools."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from denizens.core import (
    Action,
    Affordance,
    ConversationView,
    Decision,
    Input,
    Json,
    ScheduleEntry,
    SettingError,
    Situation,
    Thought,
    Utterance,
)
from denizens.models import ImprovisedModel
from denizens.planners import GoalsInRoutine, React, Routine, RuleSwitch, goals_of, planner_by_name
from denizens.planners.composite import at_night, has_goal, spoken_to
from denizens.simulation import build_simulation, read_scenario
from denizens.store import Store
from denizens.tests.support.planner_driver import AT, CAN, ScriptedAnswers, situation

GOING_ON = (*CAN, Affordance("continue"))


class Fixed:
    """A planner that says its own name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def decide(self, given: Situation) -> Thought[Decision]:
        return Decision(action=Action("continue"), state=given.state, why=self.name)
        yield


class Busy(Fixed):
    """One that is doing something, at its place."""

    def decide(self, given: Situation) -> Thought[Decision]:
        slot = ScheduleEntry(start=AT, minutes=60, doing=self.name)
        state = replace(given.state, doing=slot)
        return Decision(action=Action("continue"), state=state, why="busy")
        yield


def test_the_first_rule_that_holds_decides() -> None:
    """Rules are tried in their order; none holds: the last planner."""
    switch = RuleSwitch(
        [(spoken_to, Fixed("talk")), ("at_night", Fixed("night")), ("has_goal", Fixed("work"))],
        Fixed("else"),
    )
    talk = ConversationView("t", ("Bo Li", "Ada"), "Ada", (Utterance("Ada", "Hi!", AT),))
    night = AT.replace(hour=3)
    cases = {
        "else": situation(),
        "work": situation("find a hat"),
        "night": situation("find a hat", now=night),
        "talk": situation("find a hat", now=night, seen=replace(situation().seen, talk=talk)),
    }
    for expected, given in cases.items():
        assert ScriptedAnswers().think(switch.decide(given)).why == expected
    assert switch.names() == ("spoken_to", "at_night", "has_goal")


def test_rules_say_what_they_say() -> None:
    """Each rule holds for what it is called after, and not for its opposite."""
    ended = ConversationView("t", ("Bo Li", "Ada"), "", (), ended=True)
    assert not spoken_to(situation(seen=replace(situation().seen, talk=ended)))
    assert at_night(situation(now=AT.replace(hour=23, minute=30)))
    assert not at_night(situation())
    whisper = Input(kind="whisper", to="Bo Li", text="goal: find a hat")
    assert has_goal(situation(inputs=(whisper,)))
    assert not has_goal(situation(inputs=(replace(whisper, text="find a hat"),)))


def test_a_switch_can_be_named() -> None:
    """From a scenario: rules and planners by their names, wrong ones refused with a hint."""
    rules: list[Json] = [["at_night", "routine"], ["has_goal", "react"]]
    made = planner_by_name("switch", {"rules": rules, "otherwise": "scripted"})
    assert isinstance(made, RuleSwitch)
    assert made.names() == ("at_night", "has_goal")
    with pytest.raises(SettingError, match="did you mean 'at_night'"):
        planner_by_name("switch", {"rules": [["at_nigth", "routine"]]})
    with pytest.raises(SettingError, match="did you mean 'routine'"):
        planner_by_name("switch", {"rules": [["at_night", "routin"]]})
    with pytest.raises(SettingError, match="unknown setting 'rulse'"):
        planner_by_name("switch", {"rulse": []})


@pytest.mark.parametrize(
    "name", ["react", "plan_and_execute", "reflexion", "deliberate", "errands"]
)
def test_new_planners_can_be_named(name: str) -> None:
    """Each planner is found by its name, as a user's own is."""
    assert hasattr(planner_by_name(name), "decide")


def test_a_doing_that_is_a_goal_is_worked_off() -> None:
    """The day says what for; the worker does it with tools, and what came of it is remembered."""
    errands = GoalsInRoutine(planner=Busy("finding out what rye costs"), worker=React(way="whole"))
    told = ScriptedAnswers(
        errand=["What does a rye cost?"],
        moves=["price", "answer"],
        arguments=[{"thing": "rye"}],
        texts={"answer": ["A rye costs 2 francs."]},
        tools={"price": lambda given: "2 francs"},
    )
    made = told.think(errands.decide(situation("What does a rye cost?", can=GOING_ON)))
    assert made.action == Action("continue")
    assert "2 francs" in made.records[-1].text
    assert goals_of(made.state) == ()
    assert made.why.startswith("busy")
    assert told.done()


def test_other_doings_leave_goals_alone() -> None:
    """A doing that fits no goal works on none, and is asked about once."""
    errands = GoalsInRoutine(planner=Busy("having lunch"))
    told = ScriptedAnswers(errand=["none"])
    first = told.think(errands.decide(situation("What does a rye cost?", can=GOING_ON)))
    assert len(goals_of(first.state)) == 1
    later = situation(state=first.state, can=GOING_ON, now=AT + timedelta(minutes=1))
    quiet = ScriptedAnswers()
    second = quiet.think(errands.decide(later))
    assert quiet.kinds() == []
    assert second.state == first.state


def test_any_time_needs_no_doing() -> None:
    """Told so, goals are worked on whenever the day leaves time, and an act replaces idling."""
    errands = GoalsInRoutine(planner=Fixed("idle"), worker=React(way="whole"), any_time=True)
    told = ScriptedAnswers(
        moves=["world.act"], arguments=[{"target": CAN[1].target, "doing": "baking"}]
    )
    made = told.think(errands.decide(situation("Bake a rye.", can=GOING_ON)))
    assert made.action == Action("act", CAN[1].target, {"doing": "baking"})


def test_asleep_or_talking_nobody_works() -> None:
    """At night and in a talk goals wait."""
    talk = ConversationView("t", ("Bo Li", "Ada"), "Ada", (Utterance("Ada", "Hi!", AT),))
    base = situation("Bake a rye.", can=GOING_ON)
    sleeping = replace(base, state=replace(base.state, asleep=True))
    for given in (sleeping, replace(base, seen=replace(base.seen, talk=talk))):
        told = ScriptedAnswers()
        told.think(GoalsInRoutine(planner=Fixed("idle"), any_time=True).decide(given))
        assert told.kinds() == []


def test_records_of_both_are_numbered_on() -> None:
    """What the day noticed and what the work found are one sequence of memories."""
    told = ScriptedAnswers(moves=["none"])
    whisper = Input(kind="whisper", to="Bo Li", text="goal: Paint the fence.")
    errands = GoalsInRoutine(planner=Routine(), worker=React(way="whole"), any_time=True)
    made = told.think(errands.decide(situation(can=GOING_ON, inputs=(whisper,))))
    numbers = [record.id for record in made.records]
    assert numbers == list(range(3, 3 + len(numbers)))
    assert made.state.records == 2 + len(numbers)


def test_a_run_with_goals(tmp_path: Path) -> None:
    """A scenario whose people switch between routine and work runs, and a goal comes to its
    end; the same run twice has the same hash."""
    scenario = read_scenario("crossroads")
    rules: list[Json] = [["at_night", "routine"], ["has_goal", "react"]]
    settings: Json = {"rules": rules, "otherwise": "routine"}
    minds = replace(scenario.minds, planner="switch", settings=settings, tools=("calculator",))
    members = tuple(replace(one, planner="") for one in scenario.people)
    scenario = replace(scenario, minds=minds, people=members)
    who = members[0].persona.name
    hashes = []
    for name in ("one", "two"):
        with Store(tmp_path / f"{name}.db") as store:
            run = build_simulation(scenario, store=store, model=ImprovisedModel(3))
            run.add(Input(kind="whisper", to=who, text="goal: What is 17 times 23?"))
            for _ in run.run(steps=8):
                pass
            hashes.append(run.hash)
            agent = run.agents[who]
            assert not [goal for goal in goals_of(agent.state) if not goal.asked]
            texts = " ".join(record.text for record in agent.memory.records())
            assert "What is 17 times 23?" in texts or "would have to know" in texts
    assert hashes[0] == hashes[1]


def test_a_goal_is_heard_whoever_decides() -> None:
    """A goal that is whispered while another planner has its turn, in a talk or at night, is
    kept for the one that works on goals, and is not taken for a thought."""
    switch = RuleSwitch([("at_night", Routine()), ("has_goal", "react")], Fixed("else"))
    night = situation(
        now=AT.replace(hour=3), inputs=(Input(kind="whisper", to="Bo Li", text="goal: find a hat"),)
    )
    decision = ScriptedAnswers().think(switch.decide(night))
    assert [goal.text for goal in goals_of(decision.state)] == ["find a hat"]
    assert decision.records == ()
