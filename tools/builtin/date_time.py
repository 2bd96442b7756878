"""The tools ``clock`` and ``calendar`` over simulated time. The time comes with the call, so a
replay gives the same results."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import TypedDict

from ...core import Time
from ...core.text import hour_of_day
from ..declaration import ToolContext, tool

_DAY_WORDS = {"yesterday": -1, "today": 0, "tomorrow": 1}
# A day, then " ", ", " or ISO's "T", then a time; the day may be absent.
_DAY_AND_TIME = re.compile(r"(?:(.+?)(?:[ ,]+|(?<=\d)t))?(\d{1,2}):(\d\d) ?(am|pm)?")


class DateTimeInfo(TypedDict):
    """A date and time as text for a model; ``minutes_from_now`` is negative in the past."""

    moment: str
    weekday: str
    minutes_from_now: int


@tool
def clock(context: ToolContext) -> DateTimeInfo:
    """Tell the present date, time and weekday."""
    return _date_time_info(context.local_now, context.local_now)


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
    now = context.local_now
    moment = parse_moment(start, now) + timedelta(days=days, hours=hours, minutes=minutes)
    return _date_time_info(moment, now)


def _date_time_info(moment: Time, now: Time) -> DateTimeInfo:
    return {
        "moment": moment.strftime("%Y-%m-%d %H:%M"),
        "weekday": moment.strftime("%A"),
        "minutes_from_now": round((moment - now).total_seconds() / 60),
    }


def parse_moment(text: str, now: Time) -> Time:
    """The date and time that ``text`` names. A day without a time means midnight, a time without a
    day means today. Raises ValueError for any other text.

    >>> parse_moment("tomorrow 7:30 pm", datetime(2023, 2, 13, 9, 30))
    datetime.datetime(2023, 2, 14, 19, 30)
    """
    words = text.strip().lower()
    if words in ("now", ""):
        return now
    match = _DAY_AND_TIME.fullmatch(words)
    day_text = (match.group(1) or "") if match else words
    try:
        if day_text in _DAY_WORDS or not day_text:
            day = now.date() + timedelta(days=_DAY_WORDS.get(day_text, 0))
        else:
            day = date.fromisoformat(day_text)
        return datetime.combine(day, _parse_time(match) if match else time())
    except ValueError as error:
        raise ValueError(
            f"'{text}' is not a moment ({error}); write 'now', 'tomorrow', 'HH:MM', "
            "'YYYY-MM-DD' or 'YYYY-MM-DD HH:MM'"
        ) from error


def _parse_time(match: re.Match[str]) -> time:
    hour, minute, half = int(match.group(2)), int(match.group(3)), match.group(4)
    if half and 1 <= hour <= 12:
        hour = hour_of_day(hour, half)
    return time(hour, minute)
