"""Personas: read from three kinds of file, with hours of waking and sleep."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from denizens.core import Persona, RoutineEntry, SettingError, clock_minutes
from hypothesis import given
from hypothesis import strategies as st

BO = Persona(
    name="Bo Li",
    age=41,
    traits="patient, dry",
    background="Bo Li bakes.",
    currently="Bo Li worries about the oven.",
    lifestyle="Bo goes to bed around 10pm, awakes up around 4:30am",
    home="v:Mill:bedroom",
    knows=("v:Mill", "v:Bakery"),
    facts=("Ada owes Bo a letter.",),
    routine=(RoutineEntry(at="05:00", doing="baking", place="v:Bakery:room:oven"),),
    retention=5,
)
SCRATCH = {
    "name": "Bo Li",
    "age": 41,
    "innate": "patient, dry",
    "learned": "Bo Li bakes.",
    "currently": "Bo Li worries.",
    "lifestyle": "to bed at 10pm",
    "living_area": "v:Mill:bedroom",
    "daily_plan_req": None,
    "vision_r": 4,
    "importance_trigger_max": 99,
    "curr_time": "kept out",
}


def living(lifestyle: str) -> Persona:
    return Persona(name="Bo Li", lifestyle=lifestyle)


def clock(minute: int, style: str) -> str:
    """A time as people write it: 4:30am, 4 am, 10PM."""
    hour, rest = divmod(minute, 60)
    half = "am" if hour < 12 else "pm"
    text = f"{(hour + 11) % 12 + 1}" + (f":{rest:02d}" if rest else "")
    return f"{text}{style}{half}"


def test_a_persona_comes_back_from_its_own_json(tmp_path: Path) -> None:
    """as_json writes what load reads."""
    (tmp_path / "bo.json").write_text(BO.as_json(), encoding="utf-8")
    assert Persona.load(tmp_path / "bo.json") == BO


def test_a_persona_is_read_from_toml(tmp_path: Path) -> None:
    """TOML with a routine gives the same person."""
    text = (
        'name = "Bo Li"\nknows = ["v:Mill"]\n'
        '[[routine]]\nat = "05:00"\ndoing = "baking"\nplace = "the oven"\n'
    )
    (tmp_path / "bo.toml").write_text(text, encoding="utf-8")
    found = Persona.load(str(tmp_path / "bo.toml"))
    assert found.knows == ("v:Mill",)
    assert found.routine == (RoutineEntry(at="05:00", doing="baking", place="the oven"),)
    assert found.first_name == "Bo"
    assert (found.vision, found.attention, found.retention) == (8, 8, 8)
    assert (found.recency_decay, found.reflect_after) == (0.995, 150.0)


def test_a_persona_file_with_a_wrong_key_is_refused(tmp_path: Path) -> None:
    """The file, the key and the near one are named."""
    (tmp_path / "bo.toml").write_text('name = "Bo"\ntrait = "dry"\n', encoding="utf-8")
    with pytest.raises(SettingError, match=r"bo\.toml: unknown key 'trait'.*'traits'"):
        Persona.load(tmp_path / "bo.toml")


def test_a_scratch_file_becomes_a_persona(tmp_path: Path) -> None:
    """Smallville's field names are taken over, what is no identity is left out."""
    (tmp_path / "scratch.json").write_text(json.dumps(SCRATCH), encoding="utf-8")
    found = Persona.load(tmp_path / "scratch.json")
    assert found == Persona(
        name="Bo Li",
        age=41,
        traits="patient, dry",
        background="Bo Li bakes.",
        currently="Bo Li worries.",
        lifestyle="to bed at 10pm",
        home="v:Mill:bedroom",
        vision=4,
        reflect_after=99.0,
    )


@pytest.mark.parametrize("change", [{"name": None}, {"age": "old"}, {"vision_r": [8]}])
def test_a_broken_scratch_file_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    """A field missing or of another kind is a SettingError with the file and what it needs."""
    data = {key: value for key, value in (SCRATCH | change).items() if value is not None}
    (tmp_path / "scratch.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(SettingError, match=r"scratch\.json: not a usable .* it needs name"):
        Persona.load(tmp_path / "scratch.json")


@pytest.mark.data
def test_the_people_of_smallville_load(data: Path) -> None:
    """All 25 real personas become people with an identity, a home and hours of sleep."""
    files = sorted((data / "smallville" / "base_the_ville_n25").glob("personas/*/*/scratch.json"))
    assert len(files) == 25
    people = [Persona.load(file) for file in files]
    assert len({person.name for person in people}) == 25
    for file, person in zip(files, people, strict=True):
        assert person.name == file.parent.parent.name
        assert person.traits
        assert person.background.startswith(person.first_name)
        assert person.home.startswith("the Ville:")
        wake, sleep = person.waking_hours()
        assert 4 * 60 <= wake <= 11 * 60, person.name
        assert sleep >= 20 * 60 or sleep <= 4 * 60, person.name
        assert person.sleeps_at((wake - 30) % 1440)
        assert not person.sleeps_at((wake + 60) % 1440)
        assert clock_minutes(person.lifestyle) is not None


@pytest.mark.data
def test_isabella_is_read_field_by_field(data: Path) -> None:
    """One real persona: her hours as her file says, her values as the code's."""
    folder = data / "smallville" / "base_the_ville_isabella_maria_klaus" / "personas"
    found = Persona.load(folder / "Isabella Rodriguez" / "bootstrap_memory" / "scratch.json")
    assert (found.name, found.age) == ("Isabella Rodriguez", 34)
    assert found.traits == "friendly, outgoing, hospitable"
    assert found.waking_hours() == (6 * 60, 23 * 60)
    assert "Valentine's Day party" in found.currently
    assert found.home == "the Ville:Isabella Rodriguez's apartment:main room"
    assert found.recency_decay in (0.99, 0.995)
    assert found.reflect_after == 150.0


@pytest.mark.parametrize(
    ("lifestyle", "hours"),
    [
        ("", (7 * 60, 23 * 60)),
        ("Bo goes to bed around 11pm, awakes up around 6am.", (6 * 60, 23 * 60)),
        ("Bo wakes up at 7:30 am and goes to bed at 12:15 am", (7 * 60 + 30, 15)),
        ("Bo goes to bed around midnight, wakes up around 8am", (8 * 60, 0)),
        ("Bo gets up at noon; sleeps from 3am", (12 * 60, 3 * 60)),
        ("Bo eats at 5pm. Bo rises at 5am", (5 * 60, 23 * 60)),
    ],
)
def test_hours_are_read_from_prose(lifestyle: str, hours: tuple[int, int]) -> None:
    """Bed time and waking are found where they stand; what is silent keeps 7:00 and 23:00."""
    assert living(lifestyle).waking_hours() == hours


@given(st.integers(0, 1439), st.integers(0, 1439), st.sampled_from(["", " "]))
def test_any_hours_are_read_as_written(wake: int, sleep: int, style: str) -> None:
    """Every minute of the day is read back in both spellings, in either order."""
    to_bed, up = clock(sleep, style), clock(wake, style)
    assert living(f"Bo goes to bed at {to_bed}, wakes up at {up}").waking_hours() == (wake, sleep)
    assert living(f"Bo wakes up at {up}, goes to bed at {to_bed}").waking_hours() == (wake, sleep)


@given(st.integers(0, 1439), st.integers(1, 1439))
def test_one_sleeps_from_bed_time_to_waking(wake: int, awake: int) -> None:
    """Asleep exactly from bed time to waking, across midnight or after it."""
    sleep = (wake + awake) % 1440
    person = living(f"goes to bed at {clock(sleep, '')}, wakes up at {clock(wake, '')}")
    for minute in {0, 1, 719, 1439, wake, sleep, (wake - 1) % 1440, (sleep - 1) % 1440}:
        assert person.sleeps_at(minute) == ((minute - wake) % 1440 >= awake)


@pytest.mark.parametrize(
    ("lifestyle", "hour", "day"),
    [
        ("goes to bed at 10pm, wakes up at 6am", 0, 14),
        ("goes to bed at 10pm, wakes up at 6am", 23, 14),
        ("goes to bed at midnight, wakes up at 8am", 23, 14),
        ("goes to bed at midnight, wakes up at 8am", 0, 13),
        ("goes to bed at 2am, wakes up at 10am", 1, 13),
        ("goes to bed at 2am, wakes up at 10am", 9, 13),
        ("goes to bed at 2am, wakes up at 10am", 10, 14),
    ],
)
def test_a_late_evening_belongs_to_the_day_before(lifestyle: str, hour: int, day: int) -> None:
    """Who goes to bed after midnight lives the old day until waking, others until midnight."""
    now = datetime(2023, 2, 14, hour, 59, 59)
    assert living(lifestyle).lived_day(now) == datetime(2023, 2, day)


@given(st.integers(0, 1439), st.integers(1, 1439), st.integers(0, 4 * 1440))
def test_a_lived_day_never_changes_while_one_is_up(wake: int, awake: int, minute: int) -> None:
    """From waking to bed time it is one and the same day; it begins at a midnight, at most
    two days ago, and time never goes back."""
    sleep = (wake + awake) % 1440
    person = living(f"goes to bed at {clock(sleep, '')}, wakes up at {clock(wake, '')}")
    now = datetime(2023, 2, 13) + timedelta(minutes=minute)
    later = now + timedelta(minutes=1)
    lived, then = person.lived_day(now), person.lived_day(later)
    assert (lived.hour, lived.minute, lived.second) == (0, 0, 0)
    assert timedelta(0) <= now - lived < timedelta(days=2)
    assert then - lived in (timedelta(0), timedelta(days=1))
    up = not person.sleeps_at(minute % 1440)
    if up and not person.sleeps_at((minute + 1) % 1440):
        assert then == lived


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("12am", 0),
        ("12 pm", 720),
        ("at 12:30 AM", 30),
        ("from 9am to 5pm", 540),
        ("noon", 720),
        ("room 12", None),
        ("10 amps", None),
        ("afternoon", None),
        ("", None),
    ],
)
def test_a_time_of_day_is_found_in_words(text: str, minutes: int | None) -> None:
    """The first time in a text counts; numbers and words that only look like one do not."""
    assert clock_minutes(text) == minutes


def test_the_first_name_is_the_first_word() -> None:
    """Also where there is only one."""
    assert BO.first_name == "Bo"
    assert replace(BO, name="Ada").first_name == "Ada"
