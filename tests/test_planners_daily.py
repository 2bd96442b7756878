"""Daily from waking to bed: sleep, plans, encounters, refusals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from denizens.core import (
    Action,
    Affordance,
    AgentState,
    Answer,
    Ask,
    ConversationView,
    Event,
    Failed,
    Input,
    RoutineEntry,
    ScheduleEntry,
    Utterance,
)
from denizens.core.protocols.world_protocol import EventKind
from denizens.planners import Daily
from denizens.tests.support.daily_situations import (
    ADA,
    BED,
    BO,
    CAN,
    DAY,
    NINE,
    OVEN,
    PLACES,
    Mind,
    lived,
    memory,
    situation,
)

OWL = replace(
    BO,
    lifestyle="Bo goes to bed at 2am, wakes up at 10am",
    routine=(
        RoutineEntry(at="10:00", doing="having breakfast"),
        RoutineEntry(at="15:00", doing="baking bread"),
        RoutineEntry(at="21:00", doing="playing cards"),
        RoutineEntry(at="00:30", doing="writing letters"),
    ),
)


# -- a life ----------------------------------------------------------------------------------


def test_a_day_of_daily_from_midnight_to_midnight() -> None:
    """Asleep, up at six with a plan, busy at afforded places all day, in bed at ten."""
    state, acted, mind = AgentState(), {}, Mind()
    for minute in range(0, 24 * 60):
        now = DAY + timedelta(minutes=minute)
        made = lived(situation(now, state), mind)
        assert made.action.verb in ("act", "continue")
        if made.action.verb == "act":
            acted[f"{now:%H:%M}"] = made.action
        assert made.state.asleep == (minute < 6 * 60 or minute >= 22 * 60)
        state = made.state
    assert list(acted)[:2] == ["00:00", "06:00"]
    assert list(acted)[-1] == "22:00"
    assert {action.target for action in acted.values()} <= set(PLACES)
    assert acted["00:00"].target == acted["22:00"].target == BED
    assert acted["22:00"].fields == {"doing": "sleeping", "emoji": "💤", "asleep": True}
    awake = [action for at, action in acted.items() if "06:00" <= at < "22:00"]
    assert len(awake) >= 30
    assert all(action.fields["doing"].startswith("baking loaf") for action in awake)
    assert state.day == "2023-02-13"
    assert mind.kinds().count("rate") == mind.kinds().count("embed") == 1


def test_a_late_sleeper_keeps_the_evening_plan_over_midnight() -> None:
    """Bed at two: the plan goes on after midnight, and a new one is made only on waking."""
    state, plans, nights = AgentState(), {}, {}
    for minute in range(0, 27 * 60, 5):
        now = DAY.replace(hour=10) + timedelta(minutes=minute)
        made = lived(situation(now, state, persona=OWL), Mind())
        state = made.state
        if any(record.kind == "plan" for record in made.records):
            plans[f"{now:%d %H:%M}"] = state.day
        nights[f"{now:%d %H:%M}"] = state
    assert plans == {"13 10:00": "2023-02-13", "14 10:00": "2023-02-14"}
    evening, late = nights["13 23:55"], nights["14 01:55"]
    assert (late.day, late.plan) == (evening.day, evening.plan)
    # The room of a block is settled when its time comes; nothing else of it changes.
    unplaced = [[replace(slot, place="") for slot in state.schedule] for state in (late, evening)]
    assert unplaced[0] == unplaced[1]
    last = evening.schedule[-1]
    assert (last.start, last.minutes) == (DAY + timedelta(days=1, minutes=30), 90)
    assert evening.plan[-1].startswith("12:30 am: baking loaf")
    asleep = [at for at, one in nights.items() if one.asleep]
    assert (asleep[0], asleep[-1], len(asleep)) == ("14 02:00", "14 09:55", 96)


def test_a_run_that_begins_after_midnight_plans_the_rest_of_the_night() -> None:
    """Who is up at one plans one hour of yesterday, and the whole day on waking."""
    night = DAY.replace(hour=1)
    made = lived(situation(night, persona=OWL), Mind())
    assert made.state.day == "2023-02-12"
    assert [(slot.start, slot.minutes) for slot in made.state.schedule] == [(night, 60)]
    waking = replace(made.state, asleep=True)
    day = lived(situation(DAY.replace(hour=10), waking, persona=OWL), Mind())
    assert day.state.day == "2023-02-13"
    assert len(day.state.schedule) >= 4


@pytest.mark.parametrize(("kind", "anew"), [("refused", True), ("talk", False), ("news", False)])
def test_a_refusal_makes_the_mind_choose_anew(kind: EventKind, anew: bool) -> None:
    """What the world did not allow is given up; one chooses what to do from here, at once."""
    doing = ScheduleEntry(start=NINE - timedelta(minutes=5), minutes=60, doing="baking", place=OVEN)
    state = AgentState(day="2023-02-13", doing=doing)
    event = Event(kind, "Bo Li", "cannot", f"act {OVEN}", f"Bo Li cannot act {OVEN}: no way")
    mind = Mind(wanted={"place": "v:Park:garden"})
    made = lived(situation(NINE, state, notices=(event,)), mind)
    assert made.action.verb == ("act" if anew else "continue")
    assert ("place" in mind.roles()) is anew
    if anew:
        assert made.action.target == "v:Park:garden:bench"
        assert made.state.doing is not None
        assert (made.state.doing.start, made.state.doing.place) == (NINE, made.action.target)
    else:
        assert made.state.doing == doing


def test_sleep_asks_nothing() -> None:
    """Once in bed, a night costs no ask and no memory, whatever there is to see."""
    mind = Mind()
    to_bed = lived(situation(DAY.replace(hour=22)), mind)
    night = lived(situation(DAY.replace(hour=23), to_bed.state, fresh=(ADA,)), mind)
    assert mind.asks == []
    assert night.action == Action("continue")
    assert night.records == ()
    assert night.state == to_bed.state


def test_going_on_asks_only_what_is_new() -> None:
    """Amid an activity nothing is asked; something seen is rated and embedded, no more."""
    doing = ScheduleEntry(start=NINE, minutes=30, doing="baking", place=OVEN)
    state = AgentState(day="2023-02-13", doing=doing)
    mind = Mind()
    assert lived(situation(NINE, state), mind).action == Action("continue")
    assert mind.asks == []
    made = lived(situation(NINE, state, fresh=(ADA,)), mind)
    assert mind.kinds() == ["rate", "embed"]
    assert [record.importance for record in made.records] == [4.0]
    assert made.state.reflect_left == 146.0


def test_a_new_morning_writes_the_mind_anew() -> None:
    """On the second day what is on the mind is written before the plan; on the first it is not."""
    yesterday = AgentState(day="2023-02-12", asleep=True)
    mind = Mind(records=[memory(1)])
    made = lived(situation(DAY.replace(hour=6), yesterday), mind)
    assert made.state.currently.startswith("Bo Li baking loaf")
    assert made.state.day == "2023-02-13"
    assert not made.state.asleep
    first = lived(situation(DAY.replace(hour=6)), Mind())
    assert first.state.currently == ""


def test_an_encounter_comes_before_what_is_planned() -> None:
    """Somebody freshly seen and free to talk: the action is to talk to them."""
    doing = ScheduleEntry(start=NINE, minutes=30, doing="baking", place=OVEN)
    state = AgentState(day="2023-02-13", doing=doing)
    can = (*CAN, Affordance("talk", "Ada"))
    made = lived(situation(NINE, state, fresh=(ADA,), can=can), Mind(wanted={"react": "talk"}))
    assert made.action == Action("talk", "Ada")
    assert "wanted to talk" in made.why
    on = lived(situation(NINE, state, fresh=(ADA,), can=can), Mind(wanted={"react": "continue"}))
    assert on.action == Action("continue")


def test_a_talk_comes_before_everything() -> None:
    """In a talk one talks, even at bed time; when it has ended one notes it and goes on."""
    talk = ConversationView(
        "t1",
        ("Ada", "Bo Li"),
        "Ada",
        (Utterance("Ada", "I lost the key of the mill at the river.", NINE),),
    )
    can = (Affordance("wait"), Affordance("listen"), Affordance("leave"))
    night = DAY.replace(hour=22, minute=30)
    made = lived(situation(night, talk=talk, can=can), Mind())
    assert made.action == Action("listen")
    assert [record.who for record in made.records] == ["Ada"]
    over = replace(talk, floor="", ended=True)
    after = lived(situation(night, made.state, talk=over), Mind())
    assert after.action.target == BED
    assert [record.kind for record in after.records] == ["thought"]


def test_a_whisper_becomes_a_thought() -> None:
    """Words whispered into a mind are its own thought; a line for the world is not."""
    doing = ScheduleEntry(start=NINE, minutes=30, doing="baking", place=OVEN)
    state = AgentState(day="2023-02-13", doing=doing)
    inputs = (Input(kind="whisper", text="I run for mayor."), Input(kind="line", text="Hello!"))
    made = lived(situation(NINE, state, inputs=inputs), Mind(importance=8.0))
    assert [(one.kind, one.text, one.who) for one in made.records] == [
        ("thought", "I run for mayor.", "Bo Li")
    ]
    assert made.records[0].importance == 8.0
    assert made.embedded.keys() == {1}


def test_daily_lives_without_answers() -> None:
    """With an engine that fails at everything a day goes on at known places, by habit."""

    @dataclass
    class Broken(Mind):
        def answer(self, ask: Ask) -> Answer:
            return Failed(reason="engine", detail="no")

    state = AgentState()
    for hour in range(24):
        made = lived(situation(DAY.replace(hour=hour), state, fresh=(ADA,)), Broken())
        assert made.action.target in ("", *PLACES)
        assert made.embedded == {}
        state = made.state


def test_the_same_situation_is_decided_the_same() -> None:
    """A decision is a function of situation and answers; the planner keeps nothing."""
    planner = Daily()
    given = situation(DAY.replace(hour=6), fresh=(ADA,))
    assert lived(given, Mind(), planner) == lived(given, Mind(), planner) == lived(given, Mind())
