"""Times that questions speak of, resolved against the clock."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from denizens.memory.index import find_date_spans, time_proximity
from hypothesis import given
from hypothesis import strategies as st

PIECES = "the of before after between to from half early - first 1990s "
PIECES += "last next may 31 30 february 2023 in on ago week two 999 years"
AT = datetime(2023, 6, 14, 15)  # a Wednesday


def days(text: str) -> list[tuple[str, str]]:
    """The first day and the day after the last of each time in a text."""
    return [(str(one.start.date()), str(one.end.date())) for one in find_date_spans(text, AT)]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("What did she do last week?", "2023-06-05", "2023-06-12"),
        ("the trip in May 2023", "2023-05-01", "2023-06-01"),
        ("Who called yesterday?", "2023-06-13", "2023-06-14"),
        ("two months ago", "2023-04-01", "2023-05-01"),
        ("on 7 May", "2023-05-07", "2023-05-08"),
        ("on May 7th, 2021", "2021-05-07", "2021-05-08"),
        ("on 3 September", "2022-09-03", "2022-09-04"),
        ("in august", "2022-08-01", "2022-09-01"),
        ("last March", "2023-03-01", "2023-04-01"),
        ("last Friday", "2023-06-09", "2023-06-10"),
        ("next Friday", "2023-06-16", "2023-06-17"),
        ("last Wednesday", "2023-06-07", "2023-06-08"),
        ("on Monday", "2023-06-12", "2023-06-13"),
        ("last weekend", "2023-06-10", "2023-06-12"),
        ("this month", "2023-06-01", "2023-07-01"),
        ("last year", "2022-01-01", "2023-01-01"),
        ("last summer", "2022-06-01", "2022-09-01"),
        ("last winter", "2022-12-01", "2023-03-01"),
        ("a few days ago", "2023-06-11", "2023-06-12"),
        ("in 2021", "2021-01-01", "2022-01-01"),
        ("2022-02-28", "2022-02-28", "2022-03-01"),
        ("tomorrow", "2023-06-15", "2023-06-16"),
        ("the day before yesterday", "2023-06-12", "2023-06-13"),
        ("the week before last", "2023-05-29", "2023-06-05"),
        ("the month after next", "2023-08-01", "2023-09-01"),
        ("the first week of May", "2023-05-01", "2023-05-08"),
        ("the last week of May", "2023-05-25", "2023-06-01"),
        ("last Friday of May 2022", "2022-05-27", "2022-05-28"),
        ("the week of 7 May", "2023-05-01", "2023-05-08"),
        ("early May", "2023-05-01", "2023-05-11"),
        ("the end of 2021", "2021-09-01", "2022-01-01"),
        ("between 3 and 7 May", "2023-05-03", "2023-05-08"),
        ("May 3-7", "2023-05-03", "2023-05-08"),
        ("from May to July 2022", "2022-05-01", "2022-08-01"),
        ("from 28 December to 3 January 2023", "2022-12-28", "2023-01-04"),
        ("from 2019 to 2021", "2019-01-01", "2022-01-01"),
        ("in the 1990s", "1990-01-01", "2000-01-01"),
        ("the summer of 2021", "2021-06-01", "2021-09-01"),
        ("in winter", "2022-12-01", "2023-03-01"),
        ("in the last two weeks", "2023-05-31", "2023-06-15"),
        ("the week before 3 May", "2023-04-26", "2023-05-03"),
        ("two weeks before 7 May", "2023-04-17", "2023-04-24"),
        ("the day after 7 May 2022", "2022-05-08", "2022-05-09"),
        ("half a year ago", "2022-12-01", "2023-01-01"),
        ("two years and a half ago", "2020-12-01", "2021-01-01"),
        ("a fortnight ago", "2023-05-29", "2023-06-05"),
        ("in two weeks", "2023-06-26", "2023-07-03"),
        ("two weeks from now", "2023-06-26", "2023-07-03"),
        ("twenty days ago", "2023-05-25", "2023-05-26"),
        ("on Monday morning", "2023-06-12", "2023-06-13"),
        ("Tuesday night", "2023-06-13", "2023-06-14"),
        ("since Monday", "2023-06-12", "2023-06-13"),
        ("on the 20th", "2023-05-20", "2023-05-21"),
        ("on 25/12/2022", "2022-12-25", "2022-12-26"),
        ("on 7.5.2023", "2023-05-07", "2023-05-08"),
        ("in 2023-05", "2023-05-01", "2023-06-01"),
    ],
)
def test_times(text: str, start: str, end: str) -> None:
    """Each way of naming a time is the span it means, seen from the moment of asking."""
    assert days(text) == [(start, end)]


@pytest.mark.parametrize(
    "text",
    [
        "you may go",
        "march on",
        "on 31 June",
        "99 loaves",
        "",
        "on 30 February",
        "on 7/5/2023",
        "version 1.2.3",
        "the fifth Friday",
    ],
)
def test_no_times(text: str) -> None:
    """What looks like a date and is none names no time."""
    assert days(text) == []


def test_two_times_in_order() -> None:
    """Several times are all there, in the order of the text, none within another."""
    assert [start for start, _ in days("on 7 May 2022 or in June 2021, or yesterday")] == [
        "2022-05-07",
        "2021-06-01",
        "2023-06-13",
    ]


@given(st.text(max_size=40) | st.lists(st.sampled_from(PIECES.split()), max_size=8).map(" ".join))
def test_any_text(text: str) -> None:
    """No text is an error, and every span has a length."""
    for one in find_date_spans(text, AT):
        assert one.start < one.end
        assert one.matched_text in text


def test_nearness() -> None:
    """1 within the time, falling after it day by day, lower before it; 0 where none is named."""
    times = find_date_spans("on 7 May 2023", AT)
    moments = [datetime(2023, 5, day, 12) for day in (7, 8, 9, 6)] + [datetime(2020, 1, 1)]
    created = np.array([(one - datetime(1970, 1, 1)).total_seconds() for one in moments])
    inside, after, later, before, far = time_proximity(created, times)
    assert inside == 1
    assert 1 > after > later > before > far
    assert far < 1e-6
    assert not time_proximity(created, ()).any()


def test_times_in_a_text_longer_than_any_question() -> None:
    """A pasted megabyte costs no more than its first characters; times there are read."""
    found = find_date_spans("On 3 May? " + "1 " * 500_000 + "on 4 May", datetime(2026, 6, 1))
    assert [one.start.day for one in found] == [3]
