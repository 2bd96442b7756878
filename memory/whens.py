"""The times a question speaks of ("last week", "in May 2023"), resolved against a clock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..core import Time

FADING = 7.0  # days in which nearness falls to 1/e
AHEAD = 0.5  # what lies before the time counts half: people tell of things afterwards

_YEAR = "January February March April May June July August September October November December"
_WEEK = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_TEN = "one two three four five six seven eight nine ten"
_MONTHS = _YEAR.lower().split()
_DAYS = _WEEK.lower().split()
_NUMBERS = {word: number for number, word in enumerate(_TEN.split(), 1)}
_NUMBERS |= {"a": 1, "an": 1, "few": 3, "couple": 2}
_MONTH = "|".join(f"{name}|{name[:3]}" for name in _MONTHS) + "|sept"
_COUNT = r"\d{1,3}|" + "|".join(_NUMBERS)
_SEASONS = {"spring": (3, 3), "summer": (6, 3), "autumn": (9, 3), "fall": (9, 3), "winter": (12, 3)}


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start`` on, to before ``end``; ``words`` are those of the question."""

    start: datetime
    end: datetime
    words: str


def spans(text: str, at: Time) -> tuple[Span, ...]:
    """The times that a text speaks of, seen from ``at``.

    A date without a year is the latest one that has begun by ``at``, or the next one after
    the word "next". What is no date ("you may", "31 June") is none.

    >>> [str(one.start.date()) for one in spans("on 7 May?", datetime(2023, 6, 1))]
    ['2023-05-07']
    >>> [(str(one.start.date()), str(one.end.date())) for one in spans(
    ...     "Did she paint last week or in May 2022?", datetime(2023, 6, 1))]
    [('2023-05-22', '2023-05-29'), ('2022-05-01', '2022-06-01')]
    """
    found: list[tuple[int, int, Span]] = []
    for pattern, read in _FORMS:
        for place in pattern.finditer(text):
            # A longer form has taken the place of a shorter one within it.
            if any(place.start() < end and start < place.end() for start, end, _ in found):
                continue
            try:
                times = read(place, at)
            except (ValueError, OverflowError):
                continue
            if times is not None:
                span = Span(times[0], times[1], place[0].strip())
                found.append((place.start(), place.end(), span))
    return tuple(span for _, _, span in sorted(found, key=lambda one: one[0]))


def nearness(created: NDArray[np.float64], times: tuple[Span, ...]) -> NDArray[np.float64]:
    """How near each moment (seconds since 1970) is to the nearest of the times, in [0, 1]: 1
    within it, falling with the days that lie between; all 0 when there are no times."""
    import numpy as np

    near = np.zeros(len(created))
    for one in times:
        start, end = _seconds(one.start), _seconds(one.end)
        days = np.maximum(np.maximum(start - created, created - end), 0.0) / 86_400.0
        fit = np.exp(-days / FADING)
        fit[created < start] *= AHEAD
        near = np.maximum(near, fit)
    return near


def _seconds(at: datetime) -> float:
    return (at - datetime(1970, 1, 1)).total_seconds()


Times = tuple[datetime, datetime] | None


def _day(start: datetime, days: int = 1) -> tuple[datetime, datetime]:
    start = start.replace(hour=0, minute=0, second=0, microsecond=0)
    return start, start + timedelta(days=days)


def _month(year: int, month: int, months: int = 1) -> tuple[datetime, datetime]:
    after = month - 1 + months
    return datetime(year, month, 1), datetime(year + after // 12, after % 12 + 1, 1)


def _month_number(word: str) -> int:
    return next(n for n, name in enumerate(_MONTHS, 1) if name.startswith(word.lower()[:3]))


def _count(word: str) -> int:
    return int(word) if word.isdigit() else _NUMBERS[word.lower()]


def _date(place: re.Match[str], at: Time) -> Times:
    """7 May, May 7th 2023, in May: a day, or a month where no day is named."""
    parts = place.groupdict()
    month = _month_number(parts["month"])
    day = parts.get("day") or parts.get("day2")
    if parts["year"]:
        year = int(parts["year"])
    else:
        year = at.year - (datetime(at.year, month, int(day or 1)) > at)
        if (parts.get("which") or "").lower() == "next":
            year += 1
    return _day(datetime(year, month, int(day))) if day else _month(year, month)


def _iso(place: re.Match[str], at: Time) -> Times:
    return _day(datetime.combine(date.fromisoformat(place[0]), datetime.min.time()))


def _year(place: re.Match[str], at: Time) -> Times:
    return _month(int(place["year"]), 1, 12)


def _ago(place: re.Match[str], at: Time) -> Times:
    """Two months ago, a week ago: the day, week, month or year so many back."""
    return _back(place["unit"].lower(), _count(place["count"]), at)


def _back(unit: str, count: int, at: Time) -> Times:
    if unit == "day":
        return _day(at - timedelta(days=count))
    if unit == "week":
        return _day(at - timedelta(days=at.weekday() + 7 * count), 7)
    if unit == "weekend":
        return _day(at - timedelta(days=at.weekday() + 7 * count - 5), 2)
    if unit == "month":
        months = at.year * 12 + at.month - 1 - count
        return _month(months // 12, months % 12 + 1)
    return _month(at.year - count, 1, 12)


def _relative(place: re.Match[str], at: Time) -> Times:
    """Last week, this month, next Friday, last summer."""
    which, what = place["which"].lower(), place["what"].lower()
    step = {"last": 1, "previous": 1, "past": 1, "this": 0, "next": -1}[which]
    if what in _DAYS:
        back = (at.weekday() - _DAYS.index(what)) % 7
        back = (back or 7) if step == 1 else back if step == 0 else (back or 7) - 7
        return _day(at - timedelta(days=back))
    if what in _SEASONS:
        month, months = _SEASONS[what]
        start, end = _month(at.year, month, months)
        years = 0 if step == 0 else (end > at) if step == 1 else -(start <= at)
        return _month(at.year - years, month, months)
    if what in ("night", "evening", "morning"):
        return _day(at - timedelta(days=step))
    return _back(what, step, at)


def _named_day(place: re.Match[str], at: Time) -> Times:
    """On Friday: the latest one."""
    return _day(at - timedelta(days=(at.weekday() - _DAYS.index(place["what"].lower())) % 7 or 7))


def _near_day(place: re.Match[str], at: Time) -> Times:
    back = {"yesterday": 1, "today": 0, "tonight": 0, "tomorrow": -1}
    return _day(at - timedelta(days=back[place[0].lower()]))


def _patterns() -> Iterator[tuple[str, Callable[[re.Match[str], datetime], Times]]]:
    day = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
    year = r"(?P<year>(?:19|20)\d\d)"
    yield r"\b\d{4}-\d\d-\d\d\b", _iso
    yield rf"\b{day}(?: of)? (?P<month>{_MONTH})\b\.?(?:,? {year}\b)?", _date
    yield rf"\b(?P<month>{_MONTH})\b\.? (?:the )?{day}\b(?:,? {year}\b)?", _date
    yield rf"\b(?P<month>{_MONTH})\b\.?,? (?:of )?{year}\b", _date
    # Bare "May" and "March" are words too: only after a word that a time follows.
    led = r"in|of|since|during|until|by|early|late|mid|around|before|after"
    yield rf"\b(?P<which>last|next|this) (?P<month>{_MONTH})\b(?P<year>)", _date
    yield rf"\b(?:{led}) (?P<month>{_MONTH})\b(?P<year>)", _date
    units = r"(?P<unit>day|week|weekend|month|year)s?"
    yield rf"\b(?P<count>{_COUNT})(?: of)? {units} (?:ago|back|earlier)\b", _ago
    what = "|".join((*_DAYS, *_SEASONS, "weekend|week|month|year|night|evening|morning"))
    yield rf"\b(?P<which>last|previous|past|this|next) (?P<what>{what})\b", _relative
    yield r"\b(?:yesterday|today|tonight|tomorrow)\b", _near_day
    yield rf"\bon (?P<what>{'|'.join(_DAYS)})\b", _named_day
    yield rf"\b(?:in|of|since|during|by|early|late|mid|around|year) {year}\b", _year


_FORMS = tuple((re.compile(pattern, re.IGNORECASE), read) for pattern, read in _patterns())
