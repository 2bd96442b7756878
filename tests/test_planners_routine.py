"""Routine: the day by the clock, read from a list or from prose, without any ask."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from denizens.core import (
    Action,
    Affordance,
    AgentState,
    ConversationView,
    Decision,
    Event,
    Observation,
    Persona,
    RoutineEntry,
    Seed,
    Situation,
    Utterance,
)
from denizens.core.protocols.world_protocol import EventKind
from denizens.planners import Routine
from denizens.planners.daily.place_choice import action_targets, best_matching_place, home_bed
from denizens.planners.daily.routine import timetable
from hypothesis import given, settings
from hypothesis import strategies as st

DAY = datetime(2023, 2, 13)
BED, OVEN, COUNTER = "v:Mill:bedroom:bed", "v:Bakery:room:oven", "v:Bakery:room:counter"
SHELF, BENCH = "v:Library:hall:shelf", "v:Park:garden:bench"
KNOWN = (BED, "v:Mill:kitchen:stove", OVEN, COUNTER, SHELF, BENCH)
CAN = (Affordance("wait"), Affordance("continue"), *(Affordance("act", place) for place in KNOWN))
TALKING = tuple(map(Affordance, ("listen", "leave", "wait", "continue")))
BO = Persona(
    name="Bo Li",
    lifestyle="Bo goes to bed around 10pm, wakes up around 5am",
    home="v:Mill:bedroom",
    routine=(
        RoutineEntry(at="05:00", doing="washing", place="v:Mill:kitchen"),
        RoutineEntry(at="06:30", doing="baking", place=OVEN),
        RoutineEntry(at="09:15", doing="reading", place="the library"),
        RoutineEntry(at="12:00", doing="reading", place="a bench in the park"),
        RoutineEntry(at="22:00", doing="sleeping", place="v:Mill:bedroom"),
    ),
)
PROSE = replace(
    BO,
    routine=(),
    lifestyle="Bo goes to bed around 10pm, wakes up around 5am, eats dinner around 6pm",
    daily="Bo Li opens the Bakery at 7am, works at the counter until 2pm, and then visits the "
    "Library. Bo goes home at 5pm.",
)


def situation(
    at: datetime,
    state: AgentState,
    *,
    persona: Persona = BO,
    talk: ConversationView | None = None,
    events: tuple[Event, ...] = (),
) -> Situation:
    in_talk = talk is not None and not talk.ended
    return Situation(
        persona=persona,
        state=state,
        seen=Observation(persona.name, at, "v:Mill:bedroom", events=events, talk=talk),
        fresh=events,
        can=TALKING if in_talk else CAN,
        tools=(),
        inputs=(),
        now=at,
        seed=Seed.of(1),
    )


def decided(given: Situation) -> Decision:
    """What Routine decides; an ask would be an error."""
    with pytest.raises(StopIteration) as end:
        next(Routine().decide(given))
    made = end.value.value
    assert isinstance(made, Decision)
    return made


def lived(
    persona: Persona, start: datetime, minutes: int, every: int = 1
) -> dict[str, tuple[Action, bool]]:
    """The actions taken and whether asleep, by time of day, over a stretch of time."""
    state, found = AgentState(), {}
    for minute in range(0, minutes, every):
        at = start + timedelta(minutes=minute)
        made = decided(situation(at, state, persona=persona))
        state = made.state
        if made.action.verb != "continue":
            found[f"{at:%H:%M}"] = (made.action, state.asleep)
    return found


def test_each_appointment_is_reached_at_its_minute() -> None:
    """A day from midnight: in bed first, then every entry at its time and place, no other."""
    found = lived(BO, DAY, 24 * 60)
    assert {at: action.target for at, (action, _) in found.items()} == {
        "00:00": BED,
        "05:00": "v:Mill:kitchen:stove",
        "06:30": OVEN,
        "09:15": SHELF,
        "12:00": BENCH,
        "22:00": BED,
    }
    assert all(action.verb == "act" for action, _ in found.values())


def test_the_same_doing_at_another_place_is_another_appointment() -> None:
    """Reading in the library and reading in the park: one goes from one to the other."""
    found = lived(BO, DAY.replace(hour=9), 4 * 60)
    assert [(action.fields["doing"], action.target) for action, _ in found.values()] == [
        ("baking", OVEN),
        ("reading", SHELF),
        ("reading", BENCH),
    ]


def test_one_sleeps_through_midnight() -> None:
    """To bed at ten, nothing new at midnight, up at five."""
    found = lived(BO, DAY.replace(hour=21), 9 * 60)
    assert list(found) == ["21:00", "22:00", "05:00"]
    assert [asleep for _, asleep in found.values()] == [False, True, False]
    assert found["22:00"][0].fields == {"doing": "sleeping", "emoji": "💤", "asleep": True}
    assert found["05:00"][0].fields["asleep"] is False


def test_who_sleeps_late_gets_up_when_waking() -> None:
    """An appointment before waking is slept through, and gone to when one wakes up."""
    late = replace(BO, lifestyle="wakes up at 7am, goes to bed at 10pm")
    found = lived(late, DAY.replace(hour=5), 3 * 60)
    assert found["05:00"][0].target == BED
    assert found["05:00"][1]
    assert found["07:00"][0].target == OVEN
    assert not found["07:00"][1]


def test_one_falls_asleep_in_bed() -> None:
    """In bed at ten but awake until eleven: at eleven sleep begins, without a way to go."""
    found = lived(
        replace(BO, lifestyle="to bed at 11pm, awake from 5am"), DAY.replace(hour=21), 180
    )
    assert [(one.target, asleep) for one, asleep in found.values()] == [
        (BENCH, False),
        (BED, False),
        (BED, True),
    ]


def test_bed_time_after_midnight() -> None:
    """Who goes to bed at one is up at midnight and asleep at two."""
    owl = replace(
        BO,
        lifestyle="goes to bed at 1am, wakes up at 9am",
        routine=(
            RoutineEntry(at="09:00", doing="reading", place=SHELF),
            RoutineEntry(at="01:00", doing="sleeping", place=BED),
        ),
    )
    found = lived(owl, DAY.replace(hour=23), 11 * 60)
    assert {at: (one.target, asleep) for at, (one, asleep) in found.items()} == {
        "23:00": (SHELF, False),
        "01:00": (BED, True),
        "09:00": (SHELF, False),
    }


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 24 * 60 - 1))
def test_whenever_one_begins_the_same_appointment_is_in_force(minute: int) -> None:
    """A run may start at any minute: the agent does what it would be doing then."""
    at = DAY + timedelta(minutes=minute)
    started = decided(situation(at, AgentState())).state.doing
    times = [(entry.at, entry.doing) for entry in BO.routine]
    due = [doing for when, doing in times if when <= f"{at:%H:%M}"] or [times[-1][1]]
    assert started is not None
    assert started.doing == due[-1]


def test_a_talk_puts_an_appointment_off_but_loses_it_not() -> None:
    """Caught in a conversation at its minute, one goes there when the talk has ended."""
    state = decided(situation(DAY.replace(hour=6), AgentState())).state
    talk = ConversationView("t1", ("Ada", "Bo Li"), "Ada", (Utterance("Ada", "Hello!", DAY),))
    during = decided(situation(DAY.replace(hour=6, minute=30), state, talk=talk))
    assert during.action == Action("continue")
    assert during.state.doing == state.doing
    over = replace(talk, floor="", ended=True)
    after = decided(situation(DAY.replace(hour=6, minute=31), during.state, talk=over))
    assert (after.action.verb, after.action.target) == ("act", OVEN)


def test_what_is_seen_is_remembered_without_a_model() -> None:
    """Fresh events become memories of importance 1, never embedded."""
    event = Event("doing", "Ada", "is", "singing", "Ada is singing")
    made = decided(situation(DAY.replace(hour=6), AgentState(), events=(event,)))
    assert [(one.text, one.who, one.importance) for one in made.records] == [
        ("Ada is singing", "Ada", 1.0)
    ]
    assert made.embedded == {}
    assert made.state.reflect_left == 149.0


@pytest.mark.parametrize(
    ("arrived", "target", "news"), [(True, OVEN, False), (False, OVEN, True), (True, BED, True)]
)
def test_the_thing_one_uses_is_no_news(arrived: bool, target: str, news: bool) -> None:
    """The oven one stands at is perceived and not remembered; before that it is, and so is
    another's."""
    event = Event("object", "oven", "is", "being used", "oven is being used", OVEN)
    given = situation(DAY.replace(hour=6), AgentState(), events=(event,))
    seen = replace(given.seen, arrived=arrived, target=target)
    made = decided(replace(given, seen=seen))
    assert [one.text for one in made.records] == [event.text] * news
    assert made.state.perceived == (event.key,)


@pytest.mark.parametrize(
    ("subject", "kind", "ended", "news"),
    [
        ("Ada", "doing", False, False),
        ("Cy", "doing", False, True),
        ("Ada", "doing", True, True),
        ("Ada", "news", False, True),
    ],
)
def test_the_talk_one_is_in_is_no_news(
    subject: str, kind: EventKind, ended: bool, news: bool
) -> None:
    """That who talks with one is talking goes unremembered; others, news and what people do
    when the talk has ended do not."""
    event = Event(kind, subject, "is", "busy", f"{subject} is busy")
    talk = ConversationView("t1", ("Ada", "Bo Li"), "" if ended else "Ada", (), ended)
    made = decided(situation(DAY.replace(hour=6), AgentState(), talk=talk, events=(event,)))
    assert [one.text for one in made.records] == [event.text] * news
    assert made.state.perceived == (event.key,)


def test_a_timetable_from_prose_has_its_times_and_places() -> None:
    """Times are read, places found by name; the day begins and ends at home."""
    entries = timetable(PROSE, KNOWN)
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    found = {entry.at: (entry.doing, entry.place) for entry in entries}
    assert found["05:00"] == ("getting up and having breakfast", BED)
    assert found["07:00"][0] == "opening the Bakery at 7am"
    assert found["07:00"][1].startswith("v:Bakery:")
    assert found["09:00"] == ("working at the counter", COUNTER)
    assert found["14:00"][1] in (BED, SHELF)
    assert found["18:00"] == ("eating dinner", BED)
    assert found["22:00"] == ("sleeping", BED)
    assert any(place == SHELF for _, place in found.values())


def test_prose_is_lived() -> None:
    """A day by prose: at work after seven, at home asleep at midnight, without an ask."""
    found = lived(PROSE, DAY, 24 * 60, every=5)
    assert found["00:00"][1]
    assert found["07:00"][0].target.startswith("v:Bakery:")
    assert found["22:00"][0].target == BED
    assert all(action.target in KNOWN for action, _ in found.values())


def test_a_silent_persona_stays_at_home() -> None:
    """Without routine, prose or known places there is still a day, and no error."""
    quiet = Persona(name="Cy", home="v:Mill:bedroom")
    found = lived(quiet, DAY, 24 * 60, every=10)
    assert {action.target for action, _ in found.values()} == {BED}
    assert list(found) == ["00:00", "07:00", "23:00"]


def test_without_a_place_one_waits() -> None:
    """Where the world offers no place and there is no home, waiting is the action."""
    lost = replace(situation(DAY.replace(hour=12), AgentState()), can=(Affordance("wait"),))
    lost = replace(lost, persona=Persona(name="Cy"))
    assert decided(lost).action == Action("wait")


def test_a_place_is_found_by_its_words() -> None:
    """Shared words decide, whole addresses are told apart, nothing shared gives nothing."""
    assert best_matching_place("reads in the library", KNOWN) == SHELF
    assert best_matching_place("stands at the bakery counter", KNOWN) == COUNTER
    assert best_matching_place("rows a boat", KNOWN) == ""
    assert best_matching_place("anything", ()) == ""


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30), st.lists(st.sampled_from(KNOWN), unique=True))
def test_only_known_places_are_found(words: str, known: list[str]) -> None:
    """Whatever the words, the answer is one of the known addresses or nothing."""
    assert best_matching_place(words, known) in {"", *known}


def test_the_home_bed_is_the_bed_of_the_home() -> None:
    """The home's bed, else something in the home, else the home's address."""
    at_home = situation(DAY, AgentState())
    assert home_bed(at_home) == BED
    kitchen = replace(at_home, persona=replace(BO, home="v:Mill:kitchen"))
    assert home_bed(kitchen) == "v:Mill:kitchen:stove"
    away = replace(at_home, persona=replace(BO, home="v:Inn"))
    assert home_bed(away) == "v:Inn"
    assert action_targets((*CAN, Affordance("talk", "Ada"))) == KNOWN


BAKER = Persona(
    name="Runa Vik",
    lifestyle="goes to bed at 9pm, wakes up at 5am",
    home="v:Mill:bedroom",
    routine=(
        RoutineEntry(at="05:30", doing="baking", place=OVEN),
        RoutineEntry(at="12:15", doing="napping", place=BED),
        RoutineEntry(at="12:45", doing="selling bread", place=COUNTER),
    ),
)


def test_who_has_no_appointment_sleeps_at_night() -> None:
    """Nothing of the day is done in bed: from bed time to waking one sleeps, then gets up, and a
    nap at noon is no night."""
    found = lived(BAKER, DAY, 24 * 60)
    told = {at: (action.fields["doing"], asleep) for at, (action, asleep) in found.items()}
    assert told == {
        "00:00": ("sleeping", True),
        "05:00": ("getting up", False),
        "05:30": ("baking", False),
        "12:15": ("napping", False),
        "12:45": ("selling bread", False),
        "21:00": ("sleeping", True),
    }
    assert found["00:00"][0].target == found["21:00"][0].target == BED


def test_a_late_evening_is_lived_to_its_end() -> None:
    """Whoever goes to bed after midnight keeps the evening's appointment until then."""
    owl = replace(BAKER, lifestyle="goes to bed at 2am, wakes up at 5am")
    found = lived(owl, DAY.replace(hour=23), 7 * 60)
    doings = {at: action.fields["doing"] for at, (action, _) in found.items()}
    assert doings == {
        "23:00": "selling bread",
        "02:00": "sleeping",
        "05:00": "getting up",
        "05:30": "baking",
    }
