"""Telling and reckoning the world's time. The moment comes with the call, so a run that is
replayed tells the same time again."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import TypedDict

from ...core import Time
from ...core.text import hour_of_day
from ..declaration import ToolContext, tool

_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
# A day, then " ", ", " or ISO's "T", then a time; the day may be absent.
_TIMED = re.compile(r"(?:(.+?)(?:[ ,]+|(?<=\d)t))?(\d{1,2}):(\d\d) ?(am|pm)?")


class DateTimeInfo(TypedDict):
    """A moment in words that a model reads well; ``minutes_from_now`` is negative in the past."""

    moment: str
    weekday: str
    minutes_from_now: int


@tool
def clock(context: ToolContext) -> DateTimeInfo:
    """Tell the present date, time and weekday."""
    return _moment(context.now, context.now)


@tool
def calendar(
    context: ToolContext, start: str = "now", days: int = 0, hours: int = 0, minutes: int = 0
) -> DateTimeInfo:
    """Find the date, time and weekday some days, hours or minutes after (or before) a moment.

    Args:
        start: "now", "today", "tomorrow", "yesterday", "HH:MM", "YYYY-MM-DD", or "YYYY-MM-DD HH:MM"
        days: days to add; negative goes back
        hours: hours to add; negative goes back
        minutes: minutes to add; negative goes back

    Raises ValueError when ``start`` is none of those, OverflowError beyond year 9999.
    """
    moment = parse_moment(start, context.now) + timedelta(days=days, hours=hours, minutes=minutes)
    return _moment(moment, context.now)


def _moment(moment: Time, now: Time) -> DateTimeInfo:
    return {
        "moment": moment.strftime("%Y-%m-%d %H:%M"),
        "weekday": moment.strftime("%A"),
        "minutes_from_now": round((moment - now).total_seconds() / 60),
    }


def parse_moment(text: str, now: Time) -> Time:
    """The moment that ``text`` names. A day without a time begins at midnight; a time
    without a day is today's.

    >>> parse_moment("tomorrow 7:30 pm", datetime(2023, 2, 13, 9, 30))
    datetime.datetime(2023, 2, 14, 19, 30)
    """
    words = text.strip().lower()
    if words in ("now", ""):
        return now
    at = _TIMED.fullmatch(words)
    day = (at.group(1) or "") if at else words
    try:
        if day in _DAYS or not day:
            on = now.date() + timedelta(days=_DAYS.get(day, 0))
        else:
            on = date.fromisoformat(day)
        return datetime.combine(on, _time(at) if at else time())
    except ValueError as error:
        raise ValueError(
            f"'{text}' is not a moment ({error}); write 'now', 'tomorrow', 'HH:MM', "
            "'YYYY-MM-DD' or 'YYYY-MM-DD HH:MM'"
        ) from error


def _time(at: re.Match[str]) -> time:
    hour, minute, half = int(at.group(2)), int(at.group(3)), at.group(4)
    if half and 1 <= hour <= 12:
        hour = hour_of_day(hour, half)
    return time(hour, minute)
