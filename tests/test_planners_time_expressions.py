"""Times in words are read by the world's clock, or asked for; never made up."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from denizens import Failed
from denizens.core import (
    Choice,
    Choose,
    Completion,
    Generate,
    ModelAsk,
    Seed,
    ToolSpec,
    run_thoughts,
)
from denizens.planners import IncompleteCall, ProposedCall, fill_arguments, propose_call
from denizens.planners.arguments import forbids_action
from denizens.planners.arguments.argument_fields import fields_of
from denizens.planners.arguments.time_expressions import time_expressions_in
from denizens.planners.arguments.value_candidates import ParsedRequest, candidates_for
from denizens.testing import ScriptedModel

# A Friday.
NOW = datetime(2026, 5, 1, 9)


def read(text: str, form: str) -> list[str]:
    return [one.value for one in time_expressions_in(text, NOW) if one.format == form]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("tomorrow", "2026-05-02"),
        ("the day after tomorrow", "2026-05-03"),
        ("yesterday", "2026-04-30"),
        ("next Friday at noon", "2026-05-08"),
        ("this Friday", "2026-05-01"),
        ("on Monday", "2026-05-04"),
        ("last Monday", "2026-04-27"),
        ("4 June", "2026-06-04"),
        ("the 3rd of March", "2027-03-03"),
        ("June 4th, 2027", "2027-06-04"),
        ("04.06.2026", "2026-06-04"),
        ("in 3 days", "2026-05-04"),
        ("two weeks ago", "2026-04-17"),
        ("next month", "2026-06-01"),
        ("February 29", "2028-02-29"),
    ],
)
def test_days(text: str, day: str) -> None:
    """A day in words is that day of the world's calendar."""
    assert read(f"Book a table for {text}, please.", "date")[:1] == [day]


@pytest.mark.parametrize("text", ["she sat down", "the sun rose", "may I?", "31 June", "in March"])
def test_what_is_no_day(text: str) -> None:
    """Words that look like days are none."""
    assert read(text, "date") == []


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("3:30 pm", "15:30:00"),
        ("15:30", "15:30:00"),
        ("at 9", "09:00:00"),
        ("at nine", "09:00:00"),
        ("at 9 in the evening", "21:00:00"),
        ("half past three", "03:30:00"),
        ("quarter to eight pm", "19:45:00"),
        ("twenty minutes past five", "05:20:00"),
        ("noon", "12:00:00"),
        ("midnight", "00:00:00"),
        ("12 am", "00:00:00"),
        ("7.15 p.m.", "19:15:00"),
        ("4 o'clock in the afternoon", "16:00:00"),
        ("tonight at 8", "20:00:00"),
        ("18h30", "18:30:00"),
    ],
)
def test_times(text: str, at: str) -> None:
    """A time of day is read in figures and in words."""
    assert read(f"Come {text}!", "time") == [at]


@pytest.mark.parametrize(
    "text",
    ["page 12", "at 9 percent", "at 5 euros", "at 12 High-Street-34", "25:70", "version 3.5"],
)
def test_what_is_no_time(text: str) -> None:
    """Numbers of other things are no times of day."""
    assert read(f"Open it {text}", "time") in ([], ["12:00:00"] if "High" in text else [])


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("20 minutes", "PT20M"),
        ("an hour and a half", "PT1H30M"),
        ("half an hour", "PT30M"),
        ("2 hours and 15 minutes", "PT2H15M"),
        ("three days", "P3D"),
        ("1h 30m", "PT1H30M"),
        ("two and a half hours", "PT2H30M"),
        ("90 seconds", "PT1M30S"),
        ("a week", "P7D"),
    ],
)
def test_durations(text: str, length: str) -> None:
    """A length of time is read whole, in figures and in words."""
    assert read(f"Wait for {text}.", "duration") == [length]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("tomorrow at 9", "2026-05-02T09:00:00"),
        ("in 20 minutes", "2026-05-01T09:20:00"),
        ("at 8", "2026-05-02T08:00:00"),
        ("at 10", "2026-05-01T10:00:00"),
        ("2026-06-04 15:30", "2026-06-04T15:30:00"),
    ],
)
def test_moments(text: str, moment: str) -> None:
    """A day and a time make a moment; a time alone is the next such time."""
    assert read(f"Remind me {text}", "date-time")[0] == moment


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("a week on Monday", ["2026-05-11"]),
        ("two weeks from Tuesday", ["2026-05-19"]),
        ("two days after Monday", ["2026-05-06"]),
        ("the day before yesterday", ["2026-04-29"]),
        ("Monday week", ["2026-05-11"]),
        ("Wednesday next week", ["2026-05-06"]),
        ("next week on Wednesday", ["2026-05-06"]),
        ("the first Monday in June", ["2026-06-01"]),
        ("the last Friday of the month", ["2026-05-29"]),
        ("Sat 6 June", ["2026-06-06"]),
        ("Friday the 15th at 9", ["2026-05-15"]),
        ("the meeting on the 31st", ["2026-05-31"]),
        ("Monday, Tuesday and Sunday", ["2026-05-04", "2026-05-05", "2026-05-03"]),
        ("not tomorrow but Sunday", ["2026-05-03"]),
        ("the end of next week", []),
        ("early tomorrow", ["2026-05-02"]),
        ("late next month", []),
        ("the day before Friday", []),
        ("the second Monday", []),
    ],
)
def test_days_that_other_words_move(text: str, days: list[str]) -> None:
    """Words beside a day count: they move it, belong to it, or it is not read at all."""
    assert read(f"Book it for {text}, please.", "date") == days


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("tomorrow evening at seven", ["19:00:00"]),
        ("Friday night at 9", ["21:00:00"]),
        ("at 7 this evening", ["19:00:00"]),
        ("at seven thirty pm", ["19:30:00"]),
        ("seven p.m.", ["19:00:00"]),
        ("at twenty-five past six", ["06:25:00"]),
        ("quarter of five", ["04:45:00"]),
        ("3:30\u202fpm", ["15:30:00"]),
        ("\uff13\uff1a\uff13\uff10 pm", ["15:30:00"]),
        ("at 1530 hrs", ["15:30:00"]),
        ("between 3 and 5 pm", ["15:00:00", "17:00:00"]),
        ("from 11 to 1 pm", ["11:00:00", "13:00:00"]),
        ("from 9 to 5", ["09:00:00", "17:00:00"]),
        ("from ten to five", ["10:00:00", "17:00:00"]),
        ("from 9 to 11:30", ["09:00:00", "11:30:00"]),
        ("9:30-11", ["09:30:00", "11:00:00"]),
        ("at 3:30pm PST", []),
        ("in 1:30 hours", ["10:30:00"]),
        ("in 2h", ["11:00:00"]),
    ],
)
def test_times_in_their_words(text: str, times: list[str]) -> None:
    """Parts of the day, minutes in words, ranges, clocks of four figures and odd blanks are read;
    a time of another zone is none of the world's."""
    assert read(f"Come {text}!", "time") == times


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("1,5 hours", ["PT1H30M"]),
        ("1:30 hours", ["PT1H30M"]),
        ("2-3 days", []),
        ("two or three hours", []),
        ("an hour or two", []),
        ("10^9 days", []),
        ("5 minutes to 6", []),
    ],
)
def test_lengths_of_time_are_whole(text: str, lengths: list[str]) -> None:
    """A decimal comma is one number; of a range or an estimate no end is taken for the whole."""
    assert read(f"Wait for {text}.", "duration") == lengths


@pytest.mark.parametrize(
    "text",
    ["next weekend at 9", "Christmas Eve at 6", "demain à 15h", "in May at 9", "4/6/26 at 9"],
)
def test_a_time_beside_a_day_that_is_not_read_is_not_todays(text: str) -> None:
    """Where a day is told that is not understood, the next such time is no answer."""
    assert read(f"Book it {text}", "date-time") == []


def test_stamps_with_a_zone_are_one_moment() -> None:
    """The offset of a stamp is no time of its own."""
    told = [
        one for one in time_expressions_in("at 2026-06-04T15:30:00+02:00", NOW) if "T" in one.value
    ]
    assert [one.value for one in told] == ["2026-06-04T15:30:00+02:00"]


def test_without_a_clock_nothing_relative_is_read() -> None:
    """What needs today's date is not read where nobody says what day it is."""
    assert [one.value for one in time_expressions_in("tomorrow, 4 June, in 20 minutes")] == [
        "PT20M"
    ]


def spec(effect: str = "acts", **fields: Any) -> ToolSpec:
    schema = {"type": "object", "properties": fields, "required": list(fields)}
    return ToolSpec("meet", "Book a meeting.", schema, effect)  # type: ignore[arg-type]


DAY = {"type": "string", "format": "date"}
TIME = {"type": "string", "format": "time"}


def writer(**data: Any) -> ScriptedModel:
    """A model that writes these arguments whatever it is asked, and likes the last tool."""

    def answer(ask: ModelAsk) -> Any:
        if isinstance(ask, Choose):
            last = len(ask.options) - 1
            spread = tuple(float(i == last) for i in range(last + 1))
            return Choice(index=last, probabilities=spread)
        if isinstance(ask, Generate):
            return Completion(text="", data=data)
        return Failed(reason="engine", detail="no vectors")

    return ScriptedModel(answer)


def test_a_model_never_writes_a_time() -> None:
    """Whatever the model writes, the time is the request's, or is named as not said."""
    tool = spec("reads", day=DAY, time=TIME)
    made = writer(day="1999-01-01", time="04:30:04Z")
    (told,) = run_thoughts(
        made, [fill_arguments(tool, "Meet tomorrow at 9", seed=Seed.of(1), now=NOW)]
    )
    assert told == {"day": "2026-05-02", "time": "09:00:00"}
    (told,) = run_thoughts(made, [fill_arguments(tool, "Meet tomorrow", seed=Seed.of(1), now=NOW)])
    assert isinstance(told, Failed)
    assert (told.reason, told.detail) == ("unsaid", "time")


def test_what_acts_invents_no_number_and_no_code() -> None:
    """A payment of an amount or to an account that nobody named is not drafted; one that only
    reads may guess."""
    pay = spec(amount={"type": "number"})
    (told,) = run_thoughts(
        writer(amount=50), [propose_call("Pay the rent", [pay], seed=Seed.of(1))]
    )
    assert told == IncompleteCall(pay, ("amount",), 1.0)
    assert told.question == "For meet: which amount?"
    send = spec(to={"type": "string", "pattern": "@"})
    (told,) = run_thoughts(
        writer(to="eve@x.org"), [propose_call("Write to Bo", [send], seed=Seed.of(1))]
    )
    assert isinstance(told, IncompleteCall)
    look = spec("reads", amount={"type": "number"})
    (told,) = run_thoughts(writer(amount=50), [propose_call("Look it up", [look], seed=Seed.of(1))])
    assert isinstance(told, ProposedCall)


@pytest.mark.parametrize(
    "union",
    [
        {"anyOf": [DAY, {"type": "integer"}]},
        {"oneOf": [{"$ref": "#/$defs/day"}, {"type": "integer"}]},
        {"type": ["integer", "string"]},
    ],
)
def test_unions_offer_the_values_of_each_way(union: Any) -> None:
    """A union's candidates are those of its alternatives."""
    schema = {"type": "object", "properties": {"when": union}, "required": ["when"]}
    (one,) = fields_of(ToolSpec("x", "Open.", {**schema, "$defs": {"day": DAY}}))
    found = [c.value for c in candidates_for(one, ParsedRequest("Open the diary at page 12.", NOW))]
    assert 12 in found


def test_large_whole_numbers_keep_their_digits() -> None:
    """A number of 23 digits arrives as written."""
    pay = spec(number={"type": "integer"})
    request = "Use the account number 12345678901234567890123"
    (told,) = run_thoughts(writer(), [fill_arguments(pay, request, seed=Seed.of(1))])
    assert told == {"number": 12345678901234567890123}


@pytest.mark.parametrize(
    ("request_", "refuses"),
    [
        ("Don't call the bakery.", True),
        ("Please do not book a meeting tomorrow", True),
        ("No need to pay Bo", True),
        ("I don't want you to send it", True),
        ("Don't forget to pay Bo", False),
        ("Don't pay Bo, but Ada instead", False),
        ("Don't wait. Pay Bo now", False),
        ("I don't know the way, look it up", False),
        ("Pay Bo", False),
    ],
)
def test_what_is_not_to_be_done_is_not_done(request_: str, refuses: bool) -> None:
    """An order not to do something calls no tool, and the model is not even asked."""
    assert forbids_action(request_) is refuses
    if refuses:
        (told,) = run_thoughts(writer(), [propose_call(request_, [spec()], seed=Seed.of(1))])
        assert told is None


@pytest.mark.parametrize(
    "shape",
    [
        "9",
        "at 9 ",
        "1h",
        "P",
        "half ",
        "in a ",
        "next ",
        "12.",
        ":",
        "1,",
        "9-",
        "from 9 to ",
        "not ",
    ],
)
def test_hostile_requests_end(shape: str) -> None:
    """20,000 characters of one shape are read, and nothing stands outside of them."""
    text = (shape * 20_000)[:20_000]
    assert all(0 <= one.start < one.end <= len(text) for one in time_expressions_in(text, NOW))


def test_texts_that_are_to_be_times_are_read_or_asked_for() -> None:
    """Of what acts, a text whose description shows how a date or a time is written is one."""
    day = {"type": "string", "description": "the day, YYYY-MM-DD"}
    clock = {"type": "string", "description": "when, as HH:MM"}
    tool = spec(day=day, time=clock)
    made = writer(day="2024-02-02", time="04:04")
    (told,) = run_thoughts(
        made, [fill_arguments(tool, "Meet tomorrow at 3:30 pm", seed=Seed.of(1), now=NOW)]
    )
    assert told == {"day": "2026-05-02", "time": "15:30"}
    (told,) = run_thoughts(made, [fill_arguments(tool, "Meet Bo", seed=Seed.of(1), now=NOW)])
    assert isinstance(told, Failed)
    assert (told.reason, told.detail) == ("unsaid", "day, time")


@pytest.mark.parametrize(
    ("about", "request_", "value"),
    [
        ("in how many minutes", "Remind me in an hour and a half", 90),
        ("in seconds", "Wait 1h 30m", 5400),
        ("in seconds", "Wait half an hour", 1800),
        ("in minutes", "Wait two hours", 120),
        ("a Unix timestamp", "Meet tomorrow at 9", None),
    ],
)
def test_lengths_of_time_as_numbers(about: str, request_: str, value: int | None) -> None:
    """A length of time is converted whole; an hour of the day is no timestamp."""
    tool = spec(wait={"type": "integer", "description": about})
    (told,) = run_thoughts(writer(), [fill_arguments(tool, request_, seed=Seed.of(1), now=NOW)])
    assert told == {"wait": value} or (value is None and isinstance(told, Failed))


def test_both_ends_of_a_range_are_moments() -> None:
    """Two times of one day fill two fields."""
    form = {"type": "string", "format": "date-time"}
    request_ = "Meet from 3 to 5 pm on Friday"
    (told,) = run_thoughts(
        writer(), [fill_arguments(spec(start=form, end=form), request_, seed=Seed.of(1), now=NOW)]
    )
    assert told == {"start": "2026-05-08T15:00:00", "end": "2026-05-08T17:00:00"}


@pytest.mark.parametrize("text", ["a week after 31 December 9999", "two weeks before 0001-01-02"])
def test_days_beyond_the_calendar_are_left_out(text: str) -> None:
    """No date of the calendar is no date, and no error."""
    assert not [one for one in time_expressions_in(text, NOW) if one.format == "date"]
