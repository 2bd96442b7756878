"""Dates, times of day, moments and durations that a request tells, in figures or in words,
by the clock of the world."""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal, TypeAlias

from .numbers import UNITS, numbers_in
from .spans import MONTHS, dates_in

Form: TypeAlias = Literal["date", "time", "date-time", "duration"]
FORMS: tuple[Form, ...] = ("date", "time", "date-time", "duration")
"""Formats of JSON Schema whose values are never written by a model: they are read or asked for."""

_NAMES = "monday tuesday wednesday thursday friday saturday sunday"
_WEEKDAYS = {name: place for place, name in enumerate(_NAMES.split())}
_WEEKDAYS |= {name[:3]: place for name, place in _WEEKDAYS.items() if name != "sunday"}
_HOURS = "one two three four five six seven eight nine ten eleven twelve"
_SPOKEN = {name: place for place, name in enumerate(_HOURS.split(), 1)}
_HOUR = r"(?:[01]?\d|2[0-3]|" + "|".join(_SPOKEN) + ")"
_HALF = r"(?P<half>[ap])\.? ?m\b\.?"
_PART = r"(?: in the (?P<part>morning|afternoon|evening)| at (?P<night>night))?"
_DAY = re.compile(
    r"\b(?:(?P<after>(?:the )?day after tomorrow)|(?P<named>today|tonight|tomorrow|yesterday)"
    rf"|(?:(?P<which>next|this|coming|last) )?(?P<weekday>{'|'.join(_WEEKDAYS)})\b\.?"
    r"|(?P<whole>next|last) (?P<span>week|month|year))\b",
    re.IGNORECASE,
)
_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_YEARLESS = re.compile(
    rf"\b(?:(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m1>{_MONTH})"
    rf"|(?P<m2>{_MONTH})\.? (?P<d2>\d{{1,2}})(?:st|nd|rd|th)?)\b(?!,? \d{{4}})(?![:\d])",
    re.IGNORECASE,
)
_DOTTED = re.compile(r"(?<![\d.])(\d{1,2})\.(\d{1,2})\.(\d{4})(?![\d.]\d)")
_STAMP = re.compile(
    r"\b(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[+-]\d\d:\d\d)?(?!\w)"
)
_CLOCKS = (
    re.compile(
        r"(?<![\d:.])(?P<h>[01]?\d|2[0-3]):(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d))?(?![\d:])"
        rf"(?: ?{_HALF})?",
        re.I,
    ),
    re.compile(rf"(?<![\d:.])(?P<h>0?[1-9]|1[0-2])(?:\.(?P<m>[0-5]\d))? ?{_HALF}", re.I),
    re.compile(r"(?<![\d:.])(?P<h>[01]?\d|2[0-3])h(?P<m>[0-5]\d)?\b(?! ?(?:\d|minutes))"),
    re.compile(r"\b(?P<word>noon|midday|midnight)\b", re.I),
    re.compile(
        rf"\b(?P<shift>half|quarter|five|ten|twenty|\d\d?)(?: minutes)? (?P<way>past|to) "
        rf"(?P<h>{_HOUR})\b(?: ?{_HALF})?{_PART}",
        re.I,
    ),
    re.compile(rf"\b(?P<h>{_HOUR}) ?o['’]?clock\b{_PART}", re.I),
    re.compile(rf"\b(?P<h>{_HOUR})(?: in the (?P<part>morning|afternoon|evening))\b", re.I),
    re.compile(
        rf"\b(?:at|by|until|till|from|around) (?P<h>{_HOUR})\b(?![:.]?\d|[%°/]|-\w)"
        rf"(?! ?{_HALF})(?! (?:[a-z]+s|per|percent|of)\b){_PART}",
        re.I,
    ),
)
_HALVES = (
    (re.compile(r"\bhalf an hour\b", re.I), 1_800.0),
    (re.compile(r"\bhalf a day\b", re.I), 43_200.0),
    (re.compile(r"\b(?:a )?quarter of an hour\b", re.I), 900.0),
    (re.compile(r"\bthree quarters of an hour\b", re.I), 2_700.0),
    (re.compile(r"\ban hour and a half\b", re.I), 5_400.0),
    (re.compile(r"\ba day and a half\b", re.I), 129_600.0),
)
_COMPACT = re.compile(r"\b(?:(\d{1,3})h ?)?(\d{1,3})m(?:in)?\b(?! ?[/²])|\b(\d{1,3})h\b")
_ISO = re.compile(r"\bP(?=[\dT])(?:\d+W|(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+S)?)?)(?!\w)")
_AND_A_HALF = re.compile(r" and a half\b", re.I)
_MIXED = re.compile(r" and a half ([a-z]+)", re.I)
_JOINED = re.compile(r",? and |, | ")


@dataclass(frozen=True, slots=True)
class Moment:
    """A date, time of day, moment or duration at ``start`` to ``end`` of a text; ``value`` is
    ISO 8601 without a time zone (a duration: days and smaller)."""

    start: int
    end: int
    form: Form
    value: str


def moments_in(text: str, now: datetime | None = None) -> list[Moment]:
    """What a text tells of time, each form in the order of the text.

    Without ``now`` only what needs no clock is read: no "tomorrow", no "4 June". An hour
    without a half of the day is that of a 24-hour clock, unless the day's part is told.
    "next Friday" is the first Friday after today.

    >>> now = datetime(2026, 5, 1, 9)
    >>> [one.value for one in moments_in("Book it for tomorrow at half past three.", now)]
    ['2026-05-02', '03:30:00', '2026-05-02T03:30:00']
    >>> [one.value for one in moments_in("Remind me in 20 minutes", now) if one.form == "duration"]
    ['PT20M']
    """
    found = [*_days(text, now), *_times(text)]
    spans = [*_durations(text)]
    found += [Moment(start, end, "duration", _duration(size)) for start, end, size in spans]
    found += [Moment(*m.span(), "duration", m.group()) for m in _ISO.finditer(text)]
    if now is not None:
        found += _ahead(text, spans, now)
    found += _stamped(text, found, now)
    return found


def _days(text: str, now: datetime | None) -> Iterator[Moment]:
    for start, end, day in dates_in(text):
        yield Moment(start, end, "date", day.isoformat())
    for match in _DOTTED.finditer(text):
        if (found := _made(int(match[3]), int(match[2]), int(match[1]))) is not None:
            yield Moment(*match.span(), "date", found.isoformat())
    if now is None:
        return
    for match in _YEARLESS.finditer(text):
        month = MONTHS[(match["m1"] or match["m2"]).lower()]
        number = int(match["d1"] or match["d2"])
        if (found := _coming(month, number, now.date())) is not None:
            yield Moment(*match.span(), "date", found.isoformat())
    for match in _DAY.finditer(text):
        if match["weekday"] and match["weekday"].lower() == "sat" and match["weekday"] == "sat":
            continue  # "she sat": short names of weekdays begin with a capital
        if match["weekday"] and len(match["weekday"]) == 3 and match["weekday"].islower():
            continue
        yield Moment(*match.span(), "date", _relative(match, now.date()).isoformat())


def _made(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _coming(month: int, day: int, today: date) -> date | None:
    """The next such day of the year, today included; None where there is none in eight years."""
    days = (_made(today.year + ahead, month, day) for ahead in range(9))
    return next((one for one in days if one is not None and one >= today), None)


def _relative(match: re.Match[str], today: date) -> date:
    if match["after"]:
        return today + timedelta(days=2)
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
            return _months_on(today, way)
    return _months_on(today, 12 * way)


def _months_on(day: date, months: int) -> date:
    """The same day of a month so many months on, or its last."""
    place = day.year * 12 + day.month - 1 + months
    year, month = divmod(place, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _times(text: str) -> Iterator[Moment]:
    taken = bytearray(len(text))
    tonight = re.search(r"\btonight\b", text, re.I) is not None
    for pattern in _CLOCKS:
        for match in pattern.finditer(text):
            start, end = match.span()
            if any(taken[start:end]):
                continue
            at = _clock(match, tonight)
            if at is not None:
                taken[start:end] = b"\1" * (end - start)
                yield Moment(start, end, "time", at.isoformat())


def _clock(match: re.Match[str], tonight: bool) -> time | None:
    parts = match.groupdict()
    if word := parts.get("word"):
        return time(0 if word.lower() == "midnight" else 12)
    hour, minute = _number(parts["h"]), int(parts.get("m") or 0)
    if shift := parts.get("shift"):
        minutes = {"half": 30, "quarter": 15, "five": 5, "ten": 10, "twenty": 20}
        size = minutes[shift.lower()] if shift.lower() in minutes else int(shift)
        if size > 59 or (shift.lower() == "half" and parts["way"].lower() == "to"):
            return None
        back = parts["way"].lower() == "to"
        hour, minute = (hour - 1, 60 - size) if back else (hour, size)
        hour %= 24
    half = (parts.get("half") or "").lower()
    told = (parts.get("part") or parts.get("night") or "").lower()
    if tonight and not half and hour < 12:
        told = told or "evening"
    if half:
        if hour > 12:
            return None
        hour = hour % 12 + (12 if half == "p" else 0)
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
    """Start, end and seconds of each length of time, those that stand together as one."""
    parts: list[tuple[int, int, float]] = []
    for pattern, size in _HALVES:
        parts += [(*match.span(), size) for match in pattern.finditer(text)]
    for match in _COMPACT.finditer(text):
        hours, minutes = int(match[1] or match[3] or 0), int(match[2] or 0)
        parts.append((*match.span(), 3_600.0 * hours + 60.0 * minutes))
    for number in numbers_in(text):
        if mixed := _MIXED.match(text, number.end):  # two and a half hours
            kind, _, size = UNITS.get(mixed[1].lower(), ("", "", 0.0))
            if kind == "time" and size <= 604_800:
                parts.append((number.start, mixed.end(), (number.value + 0.5) * size))
            continue
        kind, _, size = UNITS.get(number.unit, ("", "", 0.0))
        if kind != "time" or number.clock or number.rate or size > 604_800 or number.value < 0:
            continue
        unit = re.compile(rf"\W?{re.escape(number.unit)}", re.I).match(text, number.end)
        stop = unit.end() if unit else number.end
        half = _AND_A_HALF.match(text, stop)
        value = number.value + (0.5 if half else 0.0)
        parts.append((number.start, half.end() if half else stop, value * size))
    joined: list[tuple[int, int, float]] = []
    for start, end, seconds in sorted(parts, key=lambda one: (one[0], -one[1])):
        if joined and start < joined[-1][1]:
            continue
        if joined and _JOINED.fullmatch(text[joined[-1][1] : start]):
            before = joined.pop()
            joined.append((before[0], end, before[2] + seconds))
        else:
            joined.append((start, end, seconds))
    yield from (one for one in joined if one[2] < 8.64e11)


def _duration(seconds: float) -> str:
    """ISO 8601 of a length of time.

    >>> _duration(5_400), _duration(86_400 * 3), _duration(0)
    ('PT1H30M', 'P3D', 'PT0S')
    """
    days, rest = divmod(round(seconds), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    clock = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (rest, "S")) if n)
    whole = f"P{f'{days}D' if days else ''}{f'T{clock}' if clock else ''}"
    return whole if whole != "P" else "PT0S"


def _ahead(text: str, spans: list[tuple[int, int, float]], now: datetime) -> Iterator[Moment]:
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
        yield Moment(start, end, "date", at.date().isoformat())
        if seconds % 86_400 or not seconds:
            at = at.replace(microsecond=0)
            yield Moment(start, end, "date-time", at.isoformat())
            yield Moment(start, end, "time", at.time().isoformat())


def _stamped(text: str, found: list[Moment], now: datetime | None) -> Iterator[Moment]:
    """Moments: as ISO writes them; each time of day with the day next to it, else the next
    such time after now."""
    for match in _STAMP.finditer(text):
        clock = match[2] if match[2].count(":") == 2 else f"{match[2]}:00"
        yield Moment(*match.span(), "date-time", f"{match[1]}T{clock}{match[3] or ''}")
    exact = {(one.start, one.end) for one in found if one.form == "date-time"}
    days = [one for one in found if one.form == "date" and (one.start, one.end) not in exact]
    days.sort(key=lambda day: day.start)
    starts = [day.start for day in days]
    for at in found:
        if at.form != "time" or (at.start, at.end) in exact:
            continue
        if days:
            place = bisect_left(starts, at.start)
            beside = days[max(0, place - 1) : place + 1]
            near = min(beside, key=lambda day: max(day.start - at.end, at.start - day.end))
            start, end = min(near.start, at.start), max(near.end, at.end)
            yield Moment(start, end, "date-time", f"{near.value}T{at.value}")
        elif now is not None:
            clock = time.fromisoformat(at.value)
            day = now.date() + timedelta(days=int(clock <= now.time()))
            yield Moment(at.start, at.end, "date-time", f"{day.isoformat()}T{at.value}")
