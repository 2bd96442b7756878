"""Dates, times of day, moments and durations that a request tells, in figures or in words,
by the clock of the world."""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import monthrange
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import zip_longest
from typing import Literal, TypeAlias

from ...core.text import MONTH_NUMBERS, ORDINALS, SMALL_NUMBER_WORDS, WEEKDAY_NAMES, hour_of_day
from .number_parser import UNITS, numbers_in
from .text_spans import dates_in

TimeFormat: TypeAlias = Literal["date", "time", "date-time", "duration"]
TIME_FORMATS: tuple[TimeFormat, ...] = ("date", "time", "date-time", "duration")
"""Formats of JSON Schema whose values are never written by a model: they are read or asked for."""

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
# What turns a day into another: "a week on Monday", "Friday week", "Wednesday next week".
_SHIFTED = re.compile(
    rf"\b(?P<n>an?|{_HOUR_WORD}|\d{{1,3}}) (?P<unit>day|week|fortnight)s? "
    r"(?P<way>on|from|after|before) (?:the )?$",
    re.IGNORECASE,
)
_WEEK_ON = re.compile(
    r"(?: (?P<week>week|after next)\b|,? (?:of |in )?(?P<next>next week)\b)", re.I
)
# A day that is not the one meant, or of which only a part is said.
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
"""What stands before a part of a row of days: before a weekday, and before a week or longer."""
# Words for days that are not read here: beside them a time of day is not today's.
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
"""Two times of which the first may leave its half of the day to the second."""
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
    """A date, time of day, moment or duration at ``start`` to ``end`` of a text; ``value`` is
    ISO 8601 without a time zone (a duration: days and smaller)."""

    start: int
    end: int
    format: TimeFormat
    value: str


def time_expressions_in(text: str, now: datetime | None = None) -> list[TimeExpression]:
    """What a text tells of time, each form in the order of the text.

    Without ``now`` only what needs no clock is read: no "tomorrow", no "4 June". An hour
    without a half of the day is that of a 24-hour clock, unless the day's part is told.
    "next Friday" is the first Friday after today. What is said only in part ("2-3 days", "the
    end of the month", "3 pm PST") is left out. Blanks and signs of full width are plain ones.

    >>> now = datetime(2026, 5, 1, 9)
    >>> [one.value for one in time_expressions_in("Book it for tomorrow at half past three.", now)]
    ['2026-05-02', '03:30:00', '2026-05-02T03:30:00']
    >>> [one.value for one in time_expressions_in("Remind me in 20 minutes", now) if one.form ==
    "duration"]
    ['PT20M']
    """
    text = text.translate(_HALF_WIDTH)
    found = [
        *_resolve_days(text, sorted(_days(text, now), key=lambda one: (one.start, one.end)), now)
    ]
    found += sorted(_times(text), key=lambda one: one.start)
    spans = [*_durations(text)]
    told = bytearray(len(text))
    for one in found:
        told[one.start : one.end] = b"\1" * (one.end - one.start)
    found += [
        TimeExpression(start, end, "duration", _iso_duration(size))
        for start, end, size in spans
        if not any(told[start:end])  # "5 minutes to 6", "a week on Monday"
    ]
    found += [TimeExpression(*m.span(), "duration", m.group()) for m in _ISO.finditer(text)]
    if now is not None:
        found += _relative_moments(text, spans, now)
    found += _date_times(text, found, now)
    return found


def _days(text: str, now: datetime | None) -> Iterator[TimeExpression]:
    for start, end, day in dates_in(text):
        yield TimeExpression(start, end, "date", day.isoformat())
    for match in _DOTTED.finditer(text):
        if (found := _valid_date(int(match[3]), int(match[2]), int(match[1]))) is not None:
            yield TimeExpression(*match.span(), "date", found.isoformat())
    if now is None:
        return
    for match in _YEARLESS.finditer(text):
        month = MONTH_NUMBERS[(match["m1"] or match["m2"]).lower()]
        number = int(match["d1"] or match["d2"])
        if (found := _next_date(month, number, now.date())) is not None:
            yield TimeExpression(*match.span(), "date", found.isoformat())
    for match in _ORDINAL_DAY.finditer(text):
        if (found := _day_of_month(int(match["day"]), now.date())) is not None:
            yield TimeExpression(*match.span(), "date", found.isoformat())
    taken = bytearray(len(text))
    for match in _NTH.finditer(text):
        taken[match.start() : match.end()] = b"\1" * len(match.group())
        if (found := _nth_weekday(match, now.date())) is not None:
            yield TimeExpression(*match.span(), "date", found.isoformat())
    for match in _DAY.finditer(text):
        if taken[match.start()]:
            continue
        if match["weekday"] and match["weekday"].lower() == "sat" and match["weekday"] == "sat":
            continue  # "she sat": short names of weekdays begin with a capital
        if match["weekday"] and len(match["weekday"]) == 3 and match["weekday"].islower():
            continue
        yield TimeExpression(*match.span(), "date", _relative_day(match, now.date()).isoformat())


def _resolve_days(
    text: str, days: list[TimeExpression], now: datetime | None
) -> Iterator[TimeExpression]:
    """The days that a text means: "a week on Monday" is no Monday next, "the end of next week"
    and "not tomorrow" are left out, "Sat 6 June" is one day."""
    for place, day in enumerate(days):
        before = text[max(0, day.start - 32) : day.start]
        behind = days[place + 1] if place + 1 < len(days) else None
        named = re.fullmatch(rf"(?:{'|'.join(_WEEKDAYS)})\.?", text[day.start : day.end], re.I)
        gap = text[day.end : behind.start] if behind else ""
        dated = behind and re.search(r"\d", text[behind.start : behind.end])
        if named and dated and re.fullmatch(r"|,? (?:the )?", gap):
            continue  # the weekday of the date behind it
        shift = _SHIFTED.search(before)
        week = _WEEK_ON.match(text, day.end) if named else None
        ahead = re.search(r"\bnext week,? (?:on )?$", before, re.I) if named else None
        if text[day.start : day.end].lower() == "next week" and (
            (behind and re.fullmatch(r",? (?:on )?", gap))
            or (place and re.fullmatch(r",? (?:of |in )?", text[days[place - 1].end : day.start]))
        ):
            continue  # of the weekday beside it
        if shift is None and _EXCLUDED_DAY.search(before):
            continue
        long = re.match(r"(?:next|last) (?:week|month|year)", text[day.start : day.end], re.I)
        if (named or long) and _PART_OF[long is None].search(before):
            continue
        at = date.fromisoformat(day.value)
        if named and (ahead or (week and week["next"])) and now is not None:
            monday = now.date() - timedelta(days=now.weekday())
            at = monday + timedelta(days=7 + _WEEKDAYS[text[day.start : day.start + 3].lower()])
        elif week:
            at += timedelta(days=7)
        if shift:
            size = 1 if shift["n"].lower() in ("a", "an") else _number(shift["n"])
            size *= {"day": 1, "week": 7, "fortnight": 14}[shift["unit"].lower()]
            try:
                at += timedelta(days=-size if shift["way"].lower() == "before" else size)
            except OverflowError:
                continue  # a week after the last day of the calendar
        start = day.start - (len(before) - shift.start() if shift else 0)
        yield TimeExpression(start, week.end() if week else day.end, "date", at.isoformat())


def _valid_date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _day_of_month(day: int, today: date) -> date | None:
    """The next such day of a month, today included."""
    first = today.replace(day=1)
    days = (_valid_date(at.year, at.month, day) for at in (_add_months(first, n) for n in range(9)))
    return next((one for one in days if one is not None and one >= today), None)


def _nth_weekday(match: re.Match[str], today: date) -> date | None:
    """The first, second, ... or last weekday of a month."""
    place, weekday = _ORDINALS[match["nth"].lower()], _WEEKDAYS[match["day"].lower()]
    if match["month"]:
        month = MONTH_NUMBERS[match["month"].lower()]
        years = [int(match["year"])] if match["year"] else [today.year, today.year + 1]
        firsts = [date(year, month, 1) for year in years if 0 < year < 9999]
    else:
        firsts = [_add_months(today.replace(day=1), int(match["which"].lower() == "next"))]
    for first in firsts:
        of_month = [
            first + timedelta(days=n)
            for n in range(monthrange(first.year, first.month)[1])
            if (first + timedelta(days=n)).weekday() == weekday
        ]
        found = of_month[place]
        if found >= today or match["year"] or not match["month"]:
            return found
    return None


def _next_date(month: int, day: int, today: date) -> date | None:
    """The next such day of the year, today included; None where there is none in eight years."""
    days = (_valid_date(today.year + ahead, month, day) for ahead in range(9))
    return next((one for one in days if one is not None and one >= today), None)


def _relative_day(match: re.Match[str], today: date) -> date:
    if match["after"]:
        return today + timedelta(days=2 if match["side"].lower().startswith("after") else -2)
    if match["named"]:
        shift = {"tomorrow": 1, "yesterday": -1}.get(match["named"].lower(), 0)
        return today + timedelta(days=shift)
    if match["weekday"]:
        wanted, which = _WEEKDAYS[match["weekday"].lower()], (match["which"] or "").lower()
        ahead = (wanted - today.weekday()) % 7
        if which == "last":
            return today - timedelta(days=(today.weekday() - wanted) % 7 or 7)
        return today + timedelta(days=ahead or (0 if which == "this" else 7))
    way = 1 if match["whole"].lower() == "next" else -1
    match match["span"].lower():
        case "week":
            return today + timedelta(days=7 * way)
        case "month":
            return _add_months(today, way)
    return _add_months(today, 12 * way)


def _add_months(day: date, months: int) -> date:
    """The same day of a month so many months on, or its last."""
    place = day.year * 12 + day.month - 1 + months
    year, month = divmod(place, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _times(text: str) -> Iterator[TimeExpression]:
    taken = bytearray(len(text))
    for stamp in (*_STAMP.finditer(text), *_LENGTH.finditer(text)):
        # The time of a stamp with a zone, and a length of time, are no times of the world.
        if stamp.re is _LENGTH or stamp[3]:
            taken[stamp.start() : stamp.end()] = b"\1" * len(stamp.group())
    tonight = re.search(r"\btonight\b", text, re.I) is not None
    for pattern in (*_RANGES, *_CLOCKS):
        for match in pattern.finditer(text):
            start, end = match.span()
            if any(taken[start:end]):
                continue
            if pattern in _RANGES:
                ends = _range(match)
                if ends is None:
                    continue
                taken[start:end] = b"\1" * (end - start)
                yield TimeExpression(match.start("h"), match.end("h"), "time", ends[0].isoformat())
                yield TimeExpression(match.start("h2"), end, "time", ends[1].isoformat())
                continue
            at = _clock(
                match, _part_of_day_beside(text, start, end) or ("evening" if tonight else "")
            )
            if at is not None:
                taken[start:end] = b"\1" * (end - start)
                if not _ZONE.match(text, end):
                    yield TimeExpression(start, end, "time", at.isoformat())


def _part_of_day_beside(text: str, start: int, end: int) -> str:
    """The part of the day that the words beside a time tell: "tomorrow evening at 7"."""
    found = _PART_BEFORE.search(text, max(0, start - 24), start) or _PART_BEHIND.match(text, end)
    return found["part"].lower() if found else ""


def _range(match: re.Match[str]) -> tuple[time, time] | None:
    """The two times of a range: "from 9 to 5" ends in the afternoon, "11 to 1 pm" begins in
    the morning."""
    parts = match.groupdict()
    first, last = _number(parts["h"]), _number(parts["h2"])
    minute, minute2 = int(parts.get("m") or 0), int(parts.get("m2") or 0)
    told = (parts.get("part") or parts.get("night") or "").lower()
    half = (parts.get("half") or "").lower() or ("a" if told == "morning" else "p" if told else "")
    if half:
        if not (1 <= last <= 12 and first <= 12):
            return None
        end = hour_of_day(last, half)
        begin = hour_of_day(first, half)
        if (begin, minute) >= (end, minute2):
            begin = (begin + 12) % 24
    else:
        begin, end = first, last
        if (end, minute2) <= (begin, minute) and begin <= 12 and end < 12:
            end += 12
    return time(begin % 24, minute), time(end % 24, minute2)


def _clock(match: re.Match[str], beside: str) -> time | None:
    """A time of day; ``beside`` is the part of the day that other words tell."""
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
        back = way in ("to", "till", "before", "of")
        if size > 59 or (name == "half" and way != "past") or (way == "of" and name != "quarter"):
            return None
        hour, minute = (hour - 1, 60 - size) if back else (hour, size)
        hour %= 24
    half = (parts.get("half") or "").lower()
    told = (parts.get("part") or parts.get("night") or "").lower()
    written = parts.get("h") or ""
    if not half and not told and hour < 12 and not written.startswith("0") and "h0" not in parts:
        told = beside
    if half:
        if hour > 12:
            return None
        hour = hour_of_day(hour, half)
    elif told == "morning":
        hour = hour % 12 if hour <= 12 else hour
    elif told and 0 < hour < 12:
        hour += 0 if told == "night" and hour < 5 else 12
    elif told == "night" and hour == 12:
        hour = 0
    return time(hour % 24, minute, int(parts.get("s") or 0))


def _number(word: str) -> int:
    return _SPOKEN.get(word.lower()) or int(word)


def _durations(text: str) -> Iterator[tuple[int, int, float]]:
    """Start, end and seconds of each length of time, those that stand together as one; "2-3
    days" and "an hour or two" are no one length."""
    parts: list[tuple[int, int, float]] = []
    for pattern, size in _HALVES:
        parts += [(*match.span(), size) for match in pattern.finditer(text)]
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
        if (
            kind != "time"
            or number.is_clock
            or number.is_frequency
            or size > 604_800
            or number.value < 0
        ):
            continue
        unit = re.compile(rf"\W?{re.escape(number.unit)}", re.I).match(text, number.end)
        stop = unit.end() if unit else number.end
        half = _AND_A_HALF.match(text, stop)
        start, value = number.start, number.value + (0.5 if half else 0.0)
        digits = text[number.start : number.end]
        comma = _DECIMAL_COMMA.search(text, max(0, start - 9), start)
        if comma and digits.isdecimal() and len(digits) < 3:  # 1,5 hours
            start, value = comma.start(), float(f"{comma[1]}.{digits}")
        parts.append((start, half.end() if half else stop, value * size))
    joined: list[tuple[int, int, float]] = []
    for start, end, seconds in sorted(parts, key=lambda one: (one[0], -one[1])):
        if joined and start < joined[-1][1]:
            continue
        if joined and _JOINED.fullmatch(text[joined[-1][1] : start]):
            before = joined.pop()
            joined.append((before[0], end, before[2] + seconds))
        else:
            joined.append((start, end, seconds))
    for start, end, seconds in joined:
        about = _ABOUT.search(text, max(0, start - 24), start) or _OR_MORE.match(text, end)
        if seconds < 8.64e11 and not about:
            yield start, end, seconds


def _iso_duration(seconds: float) -> str:
    """ISO 8601 of a length of time.

    >>> _iso_duration(5_400), _iso_duration(86_400 * 3), _iso_duration(0)
    ('PT1H30M', 'P3D', 'PT0S')
    """
    days, rest = divmod(round(seconds), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    clock = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (rest, "S")) if n)
    whole = f"P{f'{days}D' if days else ''}{f'T{clock}' if clock else ''}"
    return whole if whole != "P" else "PT0S"


def duration_seconds(duration: str) -> float | None:
    """The seconds of a duration in ISO 8601 of weeks and smaller; None for what is none.

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
    text: str, spans: list[tuple[int, int, float]], now: datetime
) -> Iterator[TimeExpression]:
    """Moments at a distance from now: "in 20 minutes", "three days ago"."""
    for start, end, seconds in spans:
        ahead = re.search(r"\b(?:in|within) (?:about )?$", text[max(0, start - 20) : start], re.I)
        ago = re.compile(r" ago\b", re.I).match(text, end)
        from_now = re.compile(r" (?:from now|later)\b", re.I).match(text, end)
        if not (ahead or ago or from_now):
            continue
        try:
            at = now + timedelta(seconds=-seconds if ago else seconds)
        except OverflowError:
            continue
        yield TimeExpression(start, end, "date", at.date().isoformat())
        if seconds % 86_400 or not seconds:
            at = at.replace(microsecond=0)
            yield TimeExpression(start, end, "date-time", at.isoformat())
            yield TimeExpression(start, end, "time", at.time().isoformat())


def _date_times(
    text: str, found: list[TimeExpression], now: datetime | None
) -> Iterator[TimeExpression]:
    """Moments: as ISO writes them; each time of day with the day next to it, else the next
    such time after now."""
    for match in _STAMP.finditer(text):
        clock = match[2] if match[2].count(":") == 2 else f"{match[2]}:00"
        yield TimeExpression(*match.span(), "date-time", f"{match[1]}T{clock}{match[3] or ''}")
    exact = {(one.start, one.end) for one in found if one.format == "date-time"}
    days = [one for one in found if one.format == "date" and (one.start, one.end) not in exact]
    days.sort(key=lambda day: day.start)
    starts = [day.start for day in days]
    other = not days and _OTHER_DAYS.search(_blanked(text, found)) is not None
    times = [at for at in found if at.format == "time" and (at.start, at.end) not in exact]
    beside = [_nearest_day(days, starts, at) for at in times] if days else []
    many = Counter(beside)
    for at, near in zip_longest(times, beside):
        if near is not None:
            start, end = min(near.start, at.start), max(near.end, at.end)
            if many[near] > 1:  # "from 3 to 5 pm on Friday": each has its own words
                start, end = at.start, at.end
            yield TimeExpression(start, end, "date-time", f"{near.value}T{at.value}")
        elif now is not None and not other:
            clock = time.fromisoformat(at.value)
            day = now.date() + timedelta(days=int(clock <= now.time()))
            yield TimeExpression(at.start, at.end, "date-time", f"{day.isoformat()}T{at.value}")


def _nearest_day(
    days: list[TimeExpression], starts: list[int], at: TimeExpression
) -> TimeExpression:
    """The day that stands next to a time."""
    place = bisect_left(starts, at.start)
    beside = days[max(0, place - 1) : place + 1]
    return min(beside, key=lambda day: max(day.start - at.end, at.start - day.end))


def _blanked(text: str, found: list[TimeExpression]) -> str:
    """The text with blanks where moments stand."""
    letters = list(text)
    for one in found:
        letters[one.start : one.end] = " " * (one.end - one.start)
    return "".join(letters)
