"""A person's time zone: what "tomorrow", "tonight" and "at eight" mean to them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from denizens import Agent, Memory, Persona, tool
from denizens.agents import ChatSettings
from denizens.core import (
    Cue,
    MemoryFault,
    Record,
    SettingError,
    canonical,
    local_time,
    machine_time,
    time_zone,
    to_json,
    zone_name,
)
from denizens.memory import Facts
from denizens.memory.index import find_date_spans
from denizens.memory.storage import body_of, read_body
from denizens.models import ImprovisedModel
from denizens.planners.arguments.time_expressions import time_expressions_in
from denizens.tools import ToolContext
from denizens.tools.builtin import calendar, clock
from hypothesis import given
from hypothesis import strategies as st

LATE = datetime(2026, 11, 30, 23, 30)
"""In Lisbon; in Tokyo it is 8:30 of the next day."""


@pytest.fixture(autouse=True)
def lisbon() -> Iterator[None]:
    """The clock of the machine is that of Lisbon."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Lisbon"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def test_names_of_zones() -> None:
    """The database's names and offsets are read and written; others are refused with a hint."""
    tokyo = time_zone("Asia/Tokyo")
    assert local_time(LATE, tokyo) == datetime(2026, 12, 1, 8, 30)
    assert machine_time(datetime(2026, 12, 1, 8, 30), tokyo) == LATE
    assert (time_zone(""), time_zone("UTC"), time_zone("utc")) == (None, UTC, UTC)
    assert time_zone("UTC+9") == time_zone("+09:00") == timezone(timedelta(hours=9))
    assert zone_name(ZoneInfo("Asia/Tokyo"), LATE) == "Asia/Tokyo"
    assert zone_name(timezone(timedelta(hours=-5, minutes=-30)), LATE) == "-05:30"
    assert (zone_name(None, LATE), zone_name(UTC, LATE)) == ("", "+00:00")
    for name in ("Asia/Tokio", "Asia", "/etc/passwd", "../x", "+99:00", "a" * 5000, "x\0"):
        with pytest.raises(SettingError, match="is not known") as error:
            time_zone(name)
        assert "\n" not in str(error.value)
    with pytest.raises(SettingError, match="did you mean 'Asia/Tokyo'"):
        time_zone("Asia/Tokio")


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)),
    st.sampled_from(["Asia/Tokyo", "America/New_York", "Australia/Lord_Howe", "+05:45", "UTC"]),
)
def test_clocks_are_converted_there_and_back(at: datetime, name: str) -> None:
    """Back and forth is the same time, but in the hour that a clock shows twice."""
    zone = time_zone(name)
    back = machine_time(local_time(at, zone), zone)
    assert abs(back - at) in (timedelta(0), timedelta(hours=1), timedelta(minutes=30))


def test_the_ends_of_the_calendar() -> None:
    """Times that cannot be converted stay."""
    for at in (datetime.min, datetime.max):
        assert abs(local_time(at, time_zone("Asia/Tokyo")) - at) < timedelta(days=2)
        assert abs(machine_time(at, time_zone("-12:00")) - at) < timedelta(days=2)


def test_dates_of_a_question_follow_the_asker() -> None:
    """ "Yesterday" in Tokyo is the day before by their clock, in times of this machine."""
    (here,) = find_date_spans("yesterday", LATE)
    (there,) = find_date_spans("yesterday", LATE, time_zone("Asia/Tokyo"))
    assert (here.start, here.end) == (datetime(2026, 11, 29), datetime(2026, 11, 30))
    assert (there.start, there.end) == (datetime(2026, 11, 29, 15), datetime(2026, 11, 30, 15))


def test_recall_finds_what_was_yesterday_to_them(tmp_path: Path) -> None:
    """What was on the day before by the clock of who asks scores higher."""
    with Memory(tmp_path / "bo.db", "Bo") as memory:
        memory.remember("Ada baked rye", at=datetime(2026, 11, 28, 16), who="Ada")
        memory.remember("Ada baked rye.", at=datetime(2026, 11, 29, 16), who="Ada")
        scores = {}
        for zone in ("", "Asia/Tokyo"):
            cue = Cue(
                text="What did Ada bake yesterday?",
                at=datetime(2026, 11, 30, 12),
                rules="hybrid",
                zone=zone,
            )
            scores[zone] = {hit.record.id: hit.score for hit in memory.recall(cue)}
        # 16:00 of 28 November in Lisbon is 1:00 of 29 November in Tokyo.
        assert scores["Asia/Tokyo"][1] > scores[""][1]
        assert scores["Asia/Tokyo"][2] < scores[""][2]
        with pytest.raises(MemoryFault, match="is not known"):
            memory.recall(Cue(text="x", at=LATE, zone="Nowhere"))


def test_records_keep_the_zone() -> None:
    """A record has the zone of who said it, and its JSON is as before without one."""
    record = Record(id=1, kind="utterance", text="Tomorrow!", created=LATE, who="Ada")
    assert "zone" not in body_of(record)
    zoned = Record(id=1, kind="utterance", text="x", created=LATE, who="Ada", zone="Asia/Tokyo")
    assert body_of(zoned) == canonical(to_json(zoned))
    assert read_body(body_of(zoned)) == zoned
    memory = Memory(":memory:", "Bo")
    with pytest.raises(MemoryFault, match="time zone 'Nowhere' is not known"):
        memory.add([Record(id=1, kind="thought", text="x", created=LATE, zone="Nowhere")])


def test_facts_begin_by_the_clock_of_the_speaker() -> None:
    """What changed "yesterday" began on the speaker's day before."""
    memory = Memory(":memory:", "Bo")
    for number, zone in enumerate(("", "Asia/Tokyo"), 1):
        memory.add(
            [
                Record(
                    id=number,
                    kind="utterance",
                    text=f'Ada{number} said to Bo: "I moved to Porto on 29 November."',
                    created=LATE,
                    who=f"Ada{number}",
                    zone=zone,
                )
            ]
        )
    facts = Facts(memory)
    facts.learn(memory.records())
    since = {fact.subject: fact.since for fact in facts.find(relation="lives in")}
    assert since == {"Ada1": datetime(2026, 11, 29), "Ada2": datetime(2026, 11, 28, 15)}


def test_arguments_have_the_offset_of_the_speaker() -> None:
    """Dates and times are by the speaker's clock; a moment says its offset, also after a change of
    the clocks."""
    now = LATE.astimezone(ZoneInfo("Asia/Tokyo"))
    found = {(one.format, one.value) for one in time_expressions_in("tomorrow at eight pm", now)}
    assert found >= {("date", "2026-12-02"), ("date-time", "2026-12-02T20:00:00+09:00")}
    night = datetime(2026, 10, 24, 9).astimezone(ZoneInfo("America/New_York"))
    moments = [
        one.value
        for one in time_expressions_in("on 2 November at 9:00", night)
        if one.format == "date-time"
    ]
    assert moments == ["2026-11-02T09:00:00-05:00"]
    plain = time_expressions_in("tomorrow at eight pm", LATE)
    assert ("date-time", "2026-12-01T20:00:00") in {(one.format, one.value) for one in plain}


def test_clock_and_calendar_tell_the_persons_time() -> None:
    """The built-in tools answer by the person's clock."""
    context = ToolContext("Bo", LATE, zone="Asia/Tokyo")
    assert clock.function(context)["moment"] == "2026-12-01 08:30"
    assert calendar.function(context, "tomorrow")["moment"] == "2026-12-02 00:00"
    assert clock.function(ToolContext("Bo", LATE))["moment"] == "2026-11-30 23:30"


@pytest.mark.parametrize("way", ["setting", "message", "nothing"])
def test_a_chat_knows_the_persons_zone(tmp_path: Path, way: str) -> None:
    """By the setting or by the message itself; its records keep it, with the machine's time."""
    seen: list[datetime] = []

    @tool
    def what_time(context: ToolContext) -> str:
        """Tell the time of day now, what time it is."""
        seen.append(context.local_now)
        return f"{context.local_now:%H:%M}"

    settings = ChatSettings(time_zone="Asia/Tokyo" if way == "setting" else "")
    memory = Memory(tmp_path / "bo.db", "Bo")
    bo = Agent(
        Persona(name="Bo"), model=ImprovisedModel(), memory=memory, tools=[what_time], chat=settings
    )
    at = LATE.astimezone(ZoneInfo("Asia/Tokyo")) if way == "message" else LATE
    bo.session("Ada").say("Good morning!", at=at)
    bo.chat("Hello again.", "Cem", at=at)
    zone = "" if way == "nothing" else "Asia/Tokyo"
    records = memory.records(kinds=("utterance",))
    assert len(records) >= 2
    assert {record.created for record in records} == {LATE}
    assert {record.zone for record in records} == {zone}
    assert all(moment == local_time(LATE, time_zone(zone)) for moment in seen)
    memory.close()


def test_a_wrong_zone_is_refused() -> None:
    """An unknown zone and another type are refused where they are set."""
    with pytest.raises(SettingError, match="did you mean 'Asia/Tokyo'"):
        ChatSettings(time_zone="Asia/Tokio")
    with pytest.raises(SettingError, match="must be a name"):
        ChatSettings(time_zone=9)  # type: ignore[arg-type]
