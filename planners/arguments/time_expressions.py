"""Time expressions of a request: dates, times of day, moments and durations, in figures or in
words, relative to the clock of the world."""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import monthrange
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import zip_longest
from typing import Literal, TypeAlias

from ...core.text import MONTH_NUMBERS, ORDINALS, SMALL_NUMBER_WORDS, WEEKDAY_NAMES, hour_of_day
from .number_parser import UNITS, numbers_in
from .text_spans import dates_in

TimeFormat: TypeAlias = Literal["date", "time", "date-time", "duration"]
Duration: TypeAlias = tuple[int, int, float]
"""Start, end and seconds of a duration in a text."""
TIME_FORMATS: tuple[TimeFormat, ...] = ("date", "time", "date-time", "duration")
"""JSON Schema formats whose values are never generated: they are read, or asked of the person."""

_WEEKDAY = "|".join(WEEKDAY_NAMES)
_WEEKDAYS = {name.lower(): place for place, name in enumerate(WEEKDAY_NAMES)}
_WEEKDAYS |= {name[:3]: place for name, place in _WEEKDAYS.items() if name != "sunday"}
_HALF_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_HALF_WIDTH |= dict.fromkeys([0xA0, 0x3000, 0x202F, *range(0x2000, 0x200B)], 0x20)
_SPOKEN = {name: place for place, name in enumerate(SMALL_NUMBER_WORDS[1:13], 1)}
_HOUR_WORD = "|".join(_SPOKEN)
_HOUR = rf"(?:[01]?\d|2[0-3]|{_HOUR_WORD})"
_HALF = r"(?P<half>[ap])\.? ?m\b\.?"
_PART = r"(?: in the (?P<part>morning|afternoon|evening)| at (?P<night>night))?"
_DAY = re.compile(
    r"\b(?:(?P<after>(?:the )?day (?P<side>after tomorrow|before yesterday))"
    r"|(?P<named>today|tonight|tomorrow|yesterday)"
    rf"|(?:(?P<which>next|this|coming|last) )?(?P<weekday>{'|'.join(_WEEKDAYS)})\b\.?"
    r"|(?P<whole>next|last) (?P<span>week|month|year))\b",
    re.IGNORECASE,
)
_MONTH = "|".join(sorted(MONTH_NUMBERS, key=len, reverse=True))
_YEARLESS = re.compile(
    rf"\b(?:(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m1>{_MONTH})"
    rf"|(?P<m2>{_MONTH})\.? (?P<d2>\d{{1,2}})(?:st|nd|rd|th)?)\b(?!,? \d{{4}})(?![:\d])",
    re.IGNORECASE,
)
_ORDINALS = ORDINALS | {"last": -1}
_NTH = re.compile(
    rf"\b(?P<nth>{'|'.join(_ORDINALS)}) (?P<day>{_WEEKDAY}) (?:in|of) "
    rf"(?:(?P<which>this|next|the) month|(?P<month>{_MONTH})(?:,? (?P<year>\d{{4}}))?)\b",
    re.IGNORECASE,
)
_ORDINAL_DAY = re.compile(
    rf"\b(?:on|by|until|till|before|from|{_WEEKDAY}),? the "
    r"(?P<day>\d{1,2})(?:st|nd|rd|th)(?= *(?:$|[,.;:!?)]|at\b|by\b|from\b|between\b|around\b"
    r"|in the (?:morning|afternoon|evening)))",
    re.IGNORECASE,
)
# Words that shift a day: "a week on Monday", "Friday week", "Wednesday next week".
_SHIFTED = re.compile(
    rf"\b(?P<n>an?|{_HOUR_WORD}|\d{{1,3}}) (?P<unit>day|week|fortnight)s? "
    r"(?P<way>on|from|after|before) (?:the )?$",
    re.IGNORECASE,
)
_WEEK_ON = re.compile(
    r"(?: (?P<week>week|after next)\b|,? (?:of |in )?(?P<next>next week)\b)", re.I
)
# Words before a day that is excluded: "not on Monday", "the week of the 5th".
_EXCLUDED_DAY = re.compile(
    r"\b(?:not(?: on| for| by)?|instead of|rather than|except(?: on| for)?|but not(?: on)?"
    r"|day (?:after|before)|week (?:of|after|before)|month (?:of|after|before)) (?:the )?$",
    re.IGNORECASE,
)
_PART_OF = {
    True: re.compile(r"\b(?:first|second|third|fourth|1st|2nd|3rd|4th) $", re.IGNORECASE),
    False: re.compile(
        r"\b(?:(?:end|start|beginning|middle|half|part|rest) of|mid|early|late)[ -](?:the )?$",
        re.IGNORECASE,
    ),
}
"""Words for a part of several days: before a weekday (True), before a week or longer (False)."""
# Words for days that are not read: a time of day beside them is not completed with today.
_OTHER_DAYS = re.compile(
    r"\b(?:weekends?|fortnights?|months?|years?|easter|christmas|holidays?|birthday"
    r"|(?:in|of|since|this|next|last) (?:march|may)|\d{1,2}(?:st|nd|rd|th)"
    r"|\d{1,2}/\d{1,2}(?:/\d{2,4})?|\d{1,2}\.\d{1,2}\.(?!\w)"
    r"|january|february|april|june|july|august|september|october|november|december"
    r"|demain|après-demain|hier|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche"
    r"|morgen|übermorgen|gestern|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag"
    r"|mañana|ayer|lunes|martes|miércoles|jueves|viernes|sábado|domingo"
    r"|domani|ieri|amanhã|ontem)\b|[明后後昨]天|[明昨]日|星期|曜日|\d[月号號日]|завтра|вчера",
    re.IGNORECASE,
)
_DOTTED = re.compile(r"(?<![\d.])(\d{1,2})\.(\d{1,2})\.(\d{4})(?![\d.]\d)")
_STAMP = re.compile(
    r"\b(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[+-]\d\d:\d\d)?(?!\w)"
)
_SPOKEN_MINUTES = {"five": 5, "ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30}
_SPOKEN_MINUTES |= {"forty": 40, "forty-five": 45, "fifty": 50}
_SAID_MINUTE = "|".join(sorted(_SPOKEN_MINUTES, key=len, reverse=True))
_CLOCKS = (
    re.compile(
        r"(?<![\d:.])(?P<h>[01]?\d|2[0-3]):(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d))?(?![\d:])"
        rf"(?: ?{_HALF})?",
        re.I,
    ),
    re.compile(rf"(?<![\d:.])(?P<h>0?[1-9]|1[0-2])(?:\.(?P<m>[0-5]\d))? ?{_HALF}", re.I),
    re.compile(
        r"(?<![\d:.])(?P<h>[01]?\d|2[0-3])h(?:(?P<m>[0-5]\d)|(?<=\b(?:at|to|by) \dh)"
        r"|(?<=\b(?:at|to|by) \d\dh)|(?<=\b(?:à|a) \dh)|(?<=\b(?:à|a) \d\dh))\b(?! ?(?:\d|minutes))"
    ),
    re.compile(
        r"\b(?:at|by|until|till|from|around|to) "
        r"(?:(?P<h>[01]\d|2[0-3])(?P<m>[0-5]\d) ?(?:hrs|hours|h)"
        r"|(?P<h0>0\d)(?P<m0>[0-5]\d))\b",
        re.I,
    ),
    re.compile(r"\b(?P<word>noon|midday|midnight)\b", re.I),
    re.compile(
        r"(?<!\bfrom )(?<!\bbetween )(?<!-)\b"
        r"(?:(?P<shift>half|quarter|five|ten|twenty(?:-five)?|\d\d? minutes"
        r"|(?:[1-5]0|[1-5]?5)(?= past\b))|(?<!:)(?P<some>[12]?[05])(?= (?:to|before|till)\b))"
        r"(?: minutes)? (?P<way>past|after|to|till|before|of) "
        rf"(?P<h>{_HOUR})\b(?![:.]?\d)(?: ?{_HALF})?{_PART}",
        re.I,
    ),
    re.compile(rf"\b(?P<h>{_HOUR}) ?o['’]?clock\b{_PART}", re.I),
    re.compile(rf"\b(?P<h>{_HOUR_WORD})(?: (?P<mw>{_SAID_MINUTE}))? ?{_HALF}", re.I),
    re.compile(
        rf"\b(?:at|by|until|till|from|around) (?P<h>{_HOUR_WORD}) "
        rf"(?P<mw>{_SAID_MINUTE})\b(?! (?:[a-z]+s|per|percent|of)\b){_PART}",
        re.I,
    ),
    re.compile(rf"\b(?P<h>{_HOUR})(?: in the (?P<part>morning|afternoon|evening))\b", re.I),
    re.compile(
        rf"\b(?:at|by|until|till|from|around) (?P<h>{_HOUR})\b(?![:.]?\d|[%°/]|-\w)"
        rf"(?! ?{_HALF})(?! ?(?:to|until|till|-|–) ?\d)"
        rf"(?! (?!this\b)(?:[a-z]+s|per|percent|of)\b){_PART}",
        re.I,
    ),
)
_END = rf"(?P<h2>{_HOUR})(?::(?P<m2>[0-5]\d))?"
_RANGES = (
    re.compile(
        rf"(?<![\w:./-])(?P<h>{_HOUR})(?::(?P<m>[0-5]\d))? ?(?:to|and|until|till|-|–) ?{_END} ?"
        rf"{_HALF}",
        re.I,
    ),
    re.compile(
        rf"\bfrom (?P<h>{_HOUR})(?::(?P<m>[0-5]\d))? ?(?:to|until|till|-|–) ?{_END}\b"
        rf"(?![:.]?\d|[%°/]|-\w)(?! (?:[a-z]+s|per|percent|of)\b){_PART}",
        re.I,
    ),
    re.compile(
        rf"(?<![\w:./-])(?P<h>{_HOUR}):(?P<m>[0-5]\d) ?(?:to|until|till|-|–) ?{_END}\b"
        rf"(?![:.]?\d|[%°/]|-\w){_PART}",
        re.I,
    ),
)
"""Ranges of two times, where "am" or "pm" may stand only after the second."""
_ZONE = re.compile(
    r"[ (]*(?:UTC|GMT|Z|[ECMP][SD]?T|AK[SD]T|HST|BST|IST|CES?T|EES?T|WES?T|MSK|JST|KST|A[CEW][SD]T"
    r"|SGT|HKT|NZ[SD]T)\b"
)
_PART_BEFORE = re.compile(
    r"\b(?P<part>morning|afternoon|evening|night),?(?: (?:at|by|around|from|until|till))? ?$", re.I
)
_PART_BEHIND = re.compile(
    rf",? (?:on )?(?:this|that|tomorrow|yesterday|today|(?:next |on )?(?:{'|'.join(_WEEKDAYS)})\.?)"
    r" (?P<part>morning|afternoon|evening|night)\b",
    re.I,
)
_HALVES = (
    (re.compile(r"\bhalf an hour\b", re.I), 1_800.0),
    (re.compile(r"\bhalf a day\b", re.I), 43_200.0),
    (re.compile(r"\b(?:a )?quarter of an hour\b", re.I), 900.0),
    (re.compile(r"\bthree quarters of an hour\b", re.I), 2_700.0),
    (re.compile(r"\ban hour and a half\b", re.I), 5_400.0),
    (re.compile(r"\ba day and a half\b", re.I), 129_600.0),
)
_LENGTH = re.compile(r"(?<![\d:])(\d{1,2}):([0-5]\d) ?(?:hours|hrs|h)\b", re.I)
_DECIMAL_COMMA = re.compile(r"(?<![\d.,])(\d+),$")
_ABOUT = re.compile(
    rf"(?:\d ?[-–^/]|\d[.,]|\b(?:\d+|an?|{_HOUR_WORD}) (?:or|to)"
    r"|\bbetween [^\s,.]{1,12} and) ?$",
    re.I,
)
_OR_MORE = re.compile(r" or (?:two|three|more|less|\d)\b", re.I)
_COMPACT = re.compile(r"\b(?:(\d{1,3})h ?)?(\d{1,3})m(?:in)?\b(?! ?[/²])|\b(\d{1,3})h\b")
_ISO = re.compile(r"\bP(?=[\dT])(?:\d+W|(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+S)?)?)(?!\w)")
_AND_A_HALF = re.compile(r" and a half\b", re.I)
_MIXED = re.compile(r" and a half ([a-z]+)", re.I)
_JOINED = re.compile(r",? and |, | ")


@dataclass(frozen=True, slots=True)
class TimeExpression:
    """A time expression at ``start`` to ``end`` of a text, with its value in ISO 8601. Only a
    date-time has an offset, if the text or the time of speaking has one."""

    start: int
    end: int
    format: TimeFormat
    value: str


def time_expressions_in(text: str, now: datetime | None = None) -> list[TimeExpression]:
    """The time expressions of a text, each format in the order of the text.

    Without ``now`` relative expressions such as "tomorrow" and "4 June" are not read. An hour
    without "am", "pm" or a part of the day is that of a 24-hour clock. "next Friday" is the
    first Friday after today. Inexact expressions ("2-3 days", "the end of the month",
    "3 pm PST") are left out. If ``now`` has a time zone, it is that of the speaker, and moments
    have its offset.

    >>> now = datetime(2026, 5, 1, 9)
    >>> [time.value for time in time_expressions_in("Book it for tomorrow at half past 3.", now)]
    ['2026-05-02', '03:30:00', '2026-05-02T03:30:00']
    """
    if now is not None and now.tzinfo is not None:
        times = time_expressions_in(text, now.replace(tzinfo=None))
        return [_with_offset(time, now) for time in times]
    text = text.translate(_HALF_WIDTH)
    days = sorted(_days(text, now), key=lambda day: (day.start, day.end))
    times = [*_resolve_days(text, days, now)]
    times += sorted(_times(text), key=lambda time: time.start)
    durations = [*_durations(text)]
    taken = bytearray(len(text))
    for found in times:
        taken[found.start : found.end] = b"\1" * (found.end - found.start)
    times += [
        TimeExpression(start, end, "duration", _iso_duration(seconds))
        for start, end, seconds in durations
        if not any(taken[start:end])  # "5 minutes to 6", "a week on Monday"
    ]
    times += [TimeExpression(*m.span(), "duration", m.group()) for m in _ISO.finditer(text)]
    if now is not None:
        times += _relative_moments(text, durations, now)
    times += _date_times(text, times, now)
    return times


def _with_offset(expression: TimeExpression, now: datetime) -> TimeExpression:
    """A moment without an offset with that of the time zone of ``now`` at the moment."""
    if expression.format != "date-time":
        return expression
    try:
        moment = datetime.fromisoformat(expression.value)
    except ValueError:
        return expression
    if moment.tzinfo is not None:
        return expression
    return replace(expression, value=moment.replace(tzinfo=now.tzinfo).isoformat())


def _days(text: str, now: datetime | None) -> Iterator[TimeExpression]:
    for start, end, day in dates_in(text):
        yield TimeExpression(start, end, "date", day.isoformat())
    dates = [(m, _valid_date(int(m[3]), int(m[2]), int(m[1]))) for m in _DOTTED.finditer(text)]
    if now is not None:
        today = now.date()
        for match in _YEARLESS.finditer(text):
            month = MONTH_NUMBERS[(match["m1"] or match["m2"]).lower()]
            dates.append((match, _next_date(month, int(match["d1"] or match["d2"]), today)))
        dates += [(m, _day_of_month(int(m["day"]), today)) for m in _ORDINAL_DAY.finditer(text)]
        nth = [*_NTH.finditer(text)]
        dates += [(match, _nth_weekday(match, today)) for match in nth]
        for match in _DAY.finditer(text):
            name = match["weekday"] or ""
            # "she sat": short names of weekdays begin with a capital.
            is_word = len(name) == 3 and name.islower()
            if not is_word and not any(m.start() <= match.start() < m.end() for m in nth):
                dates.append((match, _relative_day(match, today)))
    for match, date_ in dates:
        if date_ is not None:
            yield TimeExpression(*match.span(), "date", date_.isoformat())


def _resolve_days(
    text: str, days: list[TimeExpression], now: datetime | None
) -> Iterator[TimeExpression]:
    """The days with their context: "a week on Monday" is a week later, "the end of next week" and
    "not tomorrow" are left out, and "Sat 6 June" is one day."""
    for index, day in enumerate(days):
        words, before = text[day.start : day.end], text[max(0, day.start - 32) : day.start]
        following = days[index + 1] if index + 1 < len(days) else None
        gap = text[day.end : following.start] if following else ""
        gap_before = text[days[index - 1].end : day.start] if index else "?"
        is_weekday = re.fullmatch(rf"(?:{'|'.join(_WEEKDAYS)})\.?", words, re.I)
        dated = following and re.search(r"\d", text[following.start : following.end])
        if is_weekday and dated and re.fullmatch(r"|,? (?:the )?", gap):
            continue  # the weekday of the date after it
        shift = _SHIFTED.search(before)
        week = _WEEK_ON.match(text, day.end) if is_weekday else None
        next_week = re.search(r"\bnext week,? (?:on )?$", before, re.I) if is_weekday else None
        if words.lower() == "next week" and (
            (following and re.fullmatch(r",? (?:on )?", gap))
            or re.fullmatch(r",? (?:of |in )?", gap_before)
        ):
            continue  # the week of the weekday beside it
        if shift is None and _EXCLUDED_DAY.search(before):
            continue
        is_long = re.match(r"(?:next|last) (?:week|month|year)", words, re.I)
        if (is_weekday or is_long) and _PART_OF[is_long is None].search(before):
            continue
        resolved = date.fromisoformat(day.value)
        if is_weekday and (next_week or (week and week["next"])) and now is not None:
            monday = now.date() - timedelta(days=now.weekday())
            resolved = monday + timedelta(days=7 + _WEEKDAYS[words[:3].lower()])
        elif week:
            resolved += timedelta(days=7)
        if shift:
            size = 1 if shift["n"].lower() in ("a", "an") else _number(shift["n"])
            size *= {"day": 1, "week": 7, "fortnight": 14}[shift["unit"].lower()]
            try:
                resolved += timedelta(days=-size if shift["way"].lower() == "before" else size)
            except OverflowError:
                continue
        start = day.start - (len(before) - shift.start() if shift else 0)
        end = week.end() if week else day.end
        yield TimeExpression(start, end, "date", resolved.isoformat())


def _valid_date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _day_of_month(day: int, today: date) -> date | None:
    months = (_add_months(today.replace(day=1), number) for number in range(9))
    dates = (_valid_date(month.year, month.month, day) for month in months)
    return next((date_ for date_ in dates if date_ is not None and date_ >= today), None)


def _nth_weekday(match: re.Match[str], today: date) -> date | None:
    """The date of "the second Monday of May": in a named month from today on, else in this or
    the next month."""
    position, weekday = _ORDINALS[match["nth"].lower()], _WEEKDAYS[match["day"].lower()]
    if match["month"]:
        month = MONTH_NUMBERS[match["month"].lower()]
        years = [int(match["year"])] if match["year"] else [today.year, today.year + 1]
        firsts = [date(year, month, 1) for year in years if 0 < year < 9999]
    else:
        firsts = [_add_months(today.replace(day=1), int(match["which"].lower() == "next"))]
    for first in firsts:
        days = [
            first + timedelta(days=number)
            for number in range(monthrange(first.year, first.month)[1])
            if (first + timedelta(days=number)).weekday() == weekday
        ]
        if days[position] >= today or match["year"] or not match["month"]:
            return days[position]
    return None


def _next_date(month: int, day: int, today: date) -> date | None:
    """The next date with this month and day, from today on; None within eight years."""
    dates = (_valid_date(today.year + years, month, day) for years in range(9))
    return next((date_ for date_ in dates if date_ is not None and date_ >= today), None)


def _relative_day(match: re.Match[str], today: date) -> date:
    if match["after"]:
        return today + timedelta(days=2 if match["side"].lower().startswith("after") else -2)
    if match["named"]:
        shift = {"tomorrow": 1, "yesterday": -1}.get(match["named"].lower(), 0)
        return today + timedelta(days=shift)
    if match["weekday"]:
        weekday, which = _WEEKDAYS[match["weekday"].lower()], (match["which"] or "").lower()
        if which == "last":
            return today - timedelta(days=(today.weekday() - weekday) % 7 or 7)
        days = (weekday - today.weekday()) % 7
        return today + timedelta(days=days or (0 if which == "this" else 7))
    sign, span = 1 if match["whole"].lower() == "next" else -1, match["span"].lower()
    if span == "week":
        return today + timedelta(days=7 * sign)
    return _add_months(today, sign if span == "month" else 12 * sign)


def _add_months(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _times(text: str) -> Iterator[TimeExpression]:
    taken = bytearray(len(text))
    for stamp in (*_STAMP.finditer(text), *_LENGTH.finditer(text)):
        # Times with a time zone, and durations, are no times of day in the world.
        if stamp.re is _LENGTH or stamp[3]:
            taken[stamp.start() : stamp.end()] = b"\1" * len(stamp.group())
    tonight = re.search(r"\btonight\b", text, re.I) is not None
    for pattern in (*_RANGES, *_CLOCKS):
        for match in pattern.finditer(text):
            start, end = match.span()
            if any(taken[start:end]):
                continue
            if pattern in _RANGES:
                if (times := _range(match)) is not None:
                    taken[start:end] = b"\1" * (end - start)
                    first, last = (time.isoformat() for time in times)
                    yield TimeExpression(match.start("h"), match.end("h"), "time", first)
                    yield TimeExpression(match.start("h2"), end, "time", last)
                continue
            part = _part_of_day_beside(text, start, end) or ("evening" if tonight else "")
            if (clock := _clock(match, part)) is not None:
                taken[start:end] = b"\1" * (end - start)
                if not _ZONE.match(text, end):
                    yield TimeExpression(start, end, "time", clock.isoformat())


def _part_of_day_beside(text: str, start: int, end: int) -> str:
    """The part of the day in the words beside a time: "tomorrow evening at 7"."""
    match = _PART_BEFORE.search(text, max(0, start - 24), start) or _PART_BEHIND.match(text, end)
    return match["part"].lower() if match else ""


def _range(match: re.Match[str]) -> tuple[time, time] | None:
    """The two times of a range: "from 9 to 5" ends in the afternoon, "11 to 1 pm" begins in
    the morning."""
    parts = match.groupdict()
    first, last = _number(parts["h"]), _number(parts["h2"])
    minute, minute2 = int(parts.get("m") or 0), int(parts.get("m2") or 0)
    part = (parts.get("part") or parts.get("night") or "").lower()
    half = (parts.get("half") or "").lower() or ("a" if part == "morning" else "p" if part else "")
    if half:
        if not (1 <= last <= 12 and first <= 12):
            return None
        first, last = hour_of_day(first, half), hour_of_day(last, half)
        if (first, minute) >= (last, minute2):
            first = (first + 12) % 24
    elif (last, minute2) <= (first, minute) and first <= 12 and last < 12:
        last += 12
    return time(first % 24, minute), time(last % 24, minute2)


def _clock(match: re.Match[str], part_beside: str) -> time | None:
    """The time of day of a match; ``part_beside`` is the part of the day in the words beside it."""
    parts = match.groupdict()
    if word := parts.get("word"):
        return time(0 if word.lower() == "midnight" else 12)
    hour = _number(parts.get("h") or parts["h0"])
    minute = int(parts.get("m") or parts.get("m0") or 0)
    if spoken := parts.get("mw"):
        minute = _SPOKEN_MINUTES[spoken.lower()]
    if shift := parts.get("shift") or parts.get("some"):
        minutes = {"half": 30, "quarter": 15, "twenty-five": 25} | _SPOKEN_MINUTES
        name = shift.lower().removesuffix(" minutes")
        size, way = minutes.get(name) or int(name), parts["way"].lower()
        if size > 59 or (name == "half" and way != "past") or (way == "of" and name != "quarter"):
            return None
        is_before = way in ("to", "till", "before", "of")
        hour, minute = ((hour - 1) % 24, 60 - size) if is_before else (hour % 24, size)
    half = (parts.get("half") or "").lower()
    part = (parts.get("part") or parts.get("night") or "").lower()
    leading_zero = (parts.get("h") or "").startswith("0")
    if not half and not part and hour < 12 and not leading_zero and "h0" not in parts:
        part = part_beside
    if half:
        if hour > 12:
            return None
        hour = hour_of_day(hour, half)
    elif part == "morning":
        hour = hour % 12 if hour <= 12 else hour
    elif part and 0 < hour < 12:
        hour += 0 if part == "night" and hour < 5 else 12
    elif part == "night" and hour == 12:
        hour = 0
    return time(hour % 24, minute, int(parts.get("s") or 0))


def _number(word: str) -> int:
    return _SPOKEN.get(word.lower()) or int(word)


def _durations(text: str) -> Iterator[Duration]:
    """The durations of a text; adjacent ones are added up. "2-3 days" and "an hour or two" are
    left out."""
    parts: list[Duration] = []
    for pattern, seconds in _HALVES:
        parts += [(*match.span(), seconds) for match in pattern.finditer(text)]
    for match in _COMPACT.finditer(text):
        hours, minutes = int(match[1] or match[3] or 0), int(match[2] or 0)
        parts.append((*match.span(), 3_600.0 * hours + 60.0 * minutes))
    for match in _LENGTH.finditer(text):
        parts.append((*match.span(), 3_600.0 * int(match[1]) + 60.0 * int(match[2])))
    for number in numbers_in(text):
        if mixed := _MIXED.match(text, number.end):  # two and a half hours
            kind, _, size = UNITS.get(mixed[1].lower(), ("", "", 0.0))
            if kind == "time" and size <= 604_800:
                parts.append((number.start, mixed.end(), (number.value + 0.5) * size))
            continue
        kind, _, size = UNITS.get(number.unit, ("", "", 0.0))
        if kind != "time" or size > 604_800 or number.value < 0:
            continue
        if number.is_clock or number.is_frequency:
            continue
        unit = re.compile(rf"\W?{re.escape(number.unit)}", re.I).match(text, number.end)
        end = unit.end() if unit else number.end
        half = _AND_A_HALF.match(text, end)
        start, value = number.start, number.value + (0.5 if half else 0.0)
        digits = text[number.start : number.end]
        comma = _DECIMAL_COMMA.search(text, max(0, start - 9), start)
        if comma and digits.isdecimal() and len(digits) < 3:  # 1,5 hours
            start, value = comma.start(), float(f"{comma[1]}.{digits}")
        parts.append((start, half.end() if half else end, value * size))
    joined: list[Duration] = []
    for start, end, seconds in sorted(parts, key=lambda part: (part[0], -part[1])):
        if joined and start < joined[-1][1]:
            continue
        if joined and _JOINED.fullmatch(text[joined[-1][1] : start]):
            before = joined.pop()
            joined.append((before[0], end, before[2] + seconds))
        else:
            joined.append((start, end, seconds))
    for start, end, seconds in joined:
        inexact = _ABOUT.search(text, max(0, start - 24), start) or _OR_MORE.match(text, end)
        if seconds < 8.64e11 and not inexact:
            yield start, end, seconds


def _iso_duration(seconds: float) -> str:
    """A duration in ISO 8601.

    >>> _iso_duration(5_400), _iso_duration(86_400 * 3), _iso_duration(0)
    ('PT1H30M', 'P3D', 'PT0S')
    """
    days, rest = divmod(round(seconds), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    clock = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (rest, "S")) if n)
    if not days:
        return f"PT{clock or '0S'}"
    return f"P{days}DT{clock}" if clock else f"P{days}D"


def duration_seconds(duration: str) -> float | None:
    """The seconds of an ISO 8601 duration of weeks or smaller units; None for other texts.

    >>> duration_seconds("PT1H30M"), duration_seconds("P1D"), duration_seconds("soon")
    (5400.0, 86400.0, None)
    """
    match = re.fullmatch(
        r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", duration
    )
    if match is None:
        return None
    sizes = (604_800, 86_400, 3_600, 60, 1)
    return float(sum(int(part or 0) * size for part, size in zip(match.groups(), sizes)))


def _relative_moments(
    text: str, durations: list[Duration], now: datetime
) -> Iterator[TimeExpression]:
    """Moments relative to now: "in 20 minutes", "three days ago"."""
    for start, end, seconds in durations:
        ahead = re.search(r"\b(?:in|within) (?:about )?$", text[max(0, start - 20) : start], re.I)
        ago = re.compile(r" ago\b", re.I).match(text, end)
        from_now = re.compile(r" (?:from now|later)\b", re.I).match(text, end)
        if not (ahead or ago or from_now):
            continue
        try:
            moment = now + timedelta(seconds=-seconds if ago else seconds)
        except OverflowError:
            continue
        yield TimeExpression(start, end, "date", moment.date().isoformat())
        if seconds % 86_400 or not seconds:
            moment = moment.replace(microsecond=0)
            yield TimeExpression(start, end, "date-time", moment.isoformat())
            yield TimeExpression(start, end, "time", moment.time().isoformat())


def _date_times(
    text: str, found: list[TimeExpression], now: datetime | None
) -> Iterator[TimeExpression]:
    """Moments: those in ISO 8601, and each time of day with the nearest day of the text, or
    without a day its next occurrence after now."""
    for match in _STAMP.finditer(text):
        written = match[2] if match[2].count(":") == 2 else f"{match[2]}:00"
        yield TimeExpression(*match.span(), "date-time", f"{match[1]}T{written}{match[3] or ''}")
    complete = {(moment.start, moment.end) for moment in found if moment.format == "date-time"}
    parts = [part for part in found if (part.start, part.end) not in complete]
    days = sorted((part for part in parts if part.format == "date"), key=lambda day: day.start)
    other_day = not days and _OTHER_DAYS.search(_without_expressions(text, found)) is not None
    clocks = [part for part in parts if part.format == "time"]
    nearest = [_nearest_day(days, clock) for clock in clocks] if days else []
    count = Counter(nearest)
    for clock, day in zip_longest(clocks, nearest):
        start, end = clock.start, clock.end
        if day is not None:
            if count[day] == 1:  # in "from 3 to 5 pm on Friday" each time has only its own words
                start, end = min(day.start, start), max(day.end, end)
            yield TimeExpression(start, end, "date-time", f"{day.value}T{clock.value}")
        elif now is not None and not other_day:
            is_past = time.fromisoformat(clock.value) <= now.time()
            date_ = now.date() + timedelta(days=int(is_past))
            yield TimeExpression(start, end, "date-time", f"{date_.isoformat()}T{clock.value}")


def _nearest_day(days: list[TimeExpression], clock: TimeExpression) -> TimeExpression:
    index = bisect_left(days, clock.start, key=lambda day: day.start)
    beside = days[max(0, index - 1) : index + 1]
    return min(beside, key=lambda day: max(day.start - clock.end, clock.start - day.end))


def _without_expressions(text: str, found: list[TimeExpression]) -> str:
    letters = list(text)
    for part in found:
        letters[part.start : part.end] = " " * (part.end - part.start)
    return "".join(letters)
