"""Date expressions in a question ("last week", "in May 2023"), resolved against a clock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from functools import cache
from typing import TYPE_CHECKING

from ...core import local_time, machine_time, to_seconds
from ...core.text import MONTH_NUMBERS, NUMBER_WORDS, ORDINALS, WEEKDAY_NAMES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...core import Time

DECAY_DAYS = 7.0
"""Days in which proximity to a time falls to 1/e."""
MAX_TEXT_LENGTH = 20_000
"""Characters of a text that are searched: each costs many patterns."""
BEFORE_WEIGHT = 0.5
"""Factor of the proximity of what lies before a time: people mention things afterwards."""

_DAYS = [name.lower() for name in WEEKDAY_NAMES]
_NUMBERS = {word: number for word, number in NUMBER_WORDS.items() if number}
_NUMBERS |= {"a": 1, "an": 1, "few": 3, "couple": 2, "several": 4, "dozen": 12}
_MONTH = "|".join(MONTH_NUMBERS) + "|sept"
_COUNT = r"\d{1,3}|" + "|".join(_NUMBERS)
_SEASONS = {"spring": (3, 3), "summer": (6, 3), "autumn": (9, 3), "fall": (9, 3), "winter": (12, 3)}


@dataclass(frozen=True, slots=True)
class DateSpan:
    """The half-open interval [``start``, ``end``), and the words that named it."""

    start: datetime
    end: datetime
    matched_text: str


def find_date_spans(text: str, at: Time, zone: tzinfo | None = None) -> tuple[DateSpan, ...]:
    """The times that a text names, seen from ``at``, in order. With the ``zone`` of who speaks,
    days begin and end by their clock; ``at`` and the spans are times of this machine's clock.

    A date without a year is the latest one that has begun by ``at``, or the next one after the
    word "next". Invalid dates ("31 June") and other words ("you may") are none. Only the first
    ``MAX_TEXT_LENGTH`` characters are searched.

    >>> [str(span.start.date()) for span in find_date_spans("on 7 May?", datetime(2023, 6, 1))]
    ['2023-05-07']
    >>> [(str(span.start.date()), str(span.end.date())) for span in find_date_spans(
    ...     "Did she paint last week or in May 2022?", datetime(2023, 6, 1))]
    [('2023-05-22', '2023-05-29'), ('2022-05-01', '2022-06-01')]
    """
    spans: list[tuple[int, DateSpan]] = []
    text, at = text[:MAX_TEXT_LENGTH], local_time(at, zone)
    taken = bytearray(len(text))
    for pattern, resolve in _compiled_patterns():
        for match in pattern.finditer(text):
            # A longer expression has matched before a shorter one within it.
            if any(taken[match.start() : match.end()]):
                continue
            try:
                interval = resolve(match, at)
                ends = [machine_time(end, zone) for end in interval or ()]
            except (ValueError, OverflowError):
                continue
            if ends:
                span = DateSpan(ends[0], ends[1], match[0].strip())
                spans.append((match.start(), span))
                taken[match.start() : match.end()] = b"\x01" * len(match[0])
    return tuple(span for _, span in sorted(spans, key=lambda pair: pair[0]))


def time_proximity(
    created: NDArray[np.float64], times: tuple[DateSpan, ...]
) -> NDArray[np.float64]:
    """The proximity of each moment (seconds since 1970) to the nearest of the times, in [0, 1]: 1
    within it, falling with the days in between; all 0 without times."""
    import numpy as np

    proximity = np.zeros(len(created))
    # The same time named again and again is one.
    for interval in {(span.start, span.end) for span in times}:
        start, end = map(to_seconds, interval)
        days = np.maximum(np.maximum(start - created, created - end), 0.0) / 86_400.0
        fit = np.exp(-days / DECAY_DAYS)
        fit[created < start] *= BEFORE_WEIGHT
        proximity = np.maximum(proximity, fit)
    return proximity


Interval = tuple[datetime, datetime] | None


def _day(start: datetime, days: int = 1) -> tuple[datetime, datetime]:
    start = start.replace(hour=0, minute=0, second=0, microsecond=0)
    return start, start + timedelta(days=days)


def _month(year: int, month: int, months: int = 1) -> tuple[datetime, datetime]:
    after = month - 1 + months
    return datetime(year, month, 1), datetime(year + after // 12, after % 12 + 1, 1)


def _month_number(word: str) -> int:
    return MONTH_NUMBERS[word.lower()[:3]]


def _count(word: str) -> int:
    return int(word) if word.isdigit() else _NUMBERS[word.lower()]


def _start(parts: dict[str, str | None], at: Time, which: str = "") -> datetime:
    """The first day of a date; without a year, in the latest year in which it has begun."""
    month = _month_number(parts.get("month") or "")
    day = int(parts.get("day") or parts.get("day2") or 1)
    if parts.get("year"):
        return datetime(int(parts["year"] or 0), month, day)
    year = at.year - (datetime(at.year, month, day) > at)
    return datetime(year + (which == "next"), month, day)


def _between(match: re.Match[str], at: Time) -> Interval:
    """From 3 to 7 May, May 3-7, from May to July 2022: from the first day to the last."""
    parts = match.groupdict()
    last = _start(parts, at)
    if parts.get("month0"):
        first = datetime(last.year, _month_number(parts["month0"]), int(parts.get("day0") or 1))
        if first > last:
            first = first.replace(year=last.year - 1)
    else:
        first = last.replace(day=int(parts["day0"]))
    named = parts.get("day") or parts.get("day2")
    end = _day(last)[1] if named else _month(last.year, last.month)[1]
    return (first, end) if first < end else None


def _years(match: re.Match[str], at: Time) -> Interval:
    """From 2019 to 2021, the 1990s."""
    if match.groupdict().get("decade"):
        return datetime(int(match["decade"]), 1, 1), datetime(int(match["decade"]) + 10, 1, 1)
    first, last = int(match["year0"]), int(match["year"])
    return (datetime(first, 1, 1), datetime(last + 1, 1, 1)) if first <= last else None


def _two_days_away(match: re.Match[str], at: Time) -> Interval:
    """The day before yesterday, the day after tomorrow."""
    return _units_back("day", -2 if match["which"].lower() == "after" else 2, at)


def _last_but_one(match: re.Match[str], at: Time) -> Interval:
    """The week before last, the month after next."""
    unit = match["unit"].lower()
    count = -2 if match["which"].lower().startswith("after") else 2
    return _units_back("day" if unit in ("night", "evening", "morning") else unit, count, at)


def _iso_month(match: re.Match[str], at: Time) -> Interval:
    return _month(int(match["year"]), int(match["number"]))


def _part(match: re.Match[str], at: Time) -> Interval:
    """Early May, the end of 2021, mid-June 2022: a third of it."""
    parts = match.groupdict()
    if parts["month"]:
        first = _start(parts, at)
        start, end = _month(first.year, first.month)
    else:
        start, end = _month(int(parts["year2"]), 1, 12)
    word = match["part"].lower()
    number = 0 if word in ("early", "beginning", "start") else 1 if word in ("mid", "middle") else 2
    third = (end - start) / 3
    after = end if number == 2 else _day(start + (number + 1) * third)[0]
    return _day(start + number * third)[0], after


def _rolling_window(match: re.Match[str], at: Time) -> Interval:
    """In the last two weeks, over the next few days: backwards or forwards from now."""
    count = _count(match["count"]) if match["count"] else 3
    days = {"hour": 1, "day": 1, "week": 7, "weekend": 7, "month": 30, "year": 365}
    unit = match["unit"].lower()
    span = timedelta(hours=count) if unit == "hour" else timedelta(days=days[unit] * count)
    if match["which"].lower() in ("next", "coming"):
        return at, at + span
    return (at - span, at) if unit == "hour" else (_day(at - span)[0], _day(at)[1])


def _offset(match: re.Match[str], at: Time) -> Interval:
    """Two weeks before 7 May, the day after 7 May 2023, in two weeks, two years from now."""
    parts = match.groupdict()
    count = _count(parts["count"]) if parts.get("count") else 1
    before = (parts.get("which") or "").lower() == "before"
    middle = _start(parts, at) if parts.get("month") else at
    unit = match["unit"].lower()
    if parts.get("month") and not parts.get("count") and unit == "week":
        # "The week before 3 August": the seven days that end there, whatever weekday it is.
        return _day(middle - timedelta(days=7), 7) if before else _day(middle + timedelta(1), 7)
    return _units_back(unit, count if before else -count, middle)


def _half(match: re.Match[str], at: Time) -> Interval:
    """Half a year ago, a year and a half ago: the month."""
    months = 6 if match[0].lower().startswith("half") else 12 * _count(match["count"]) + 6
    return _units_back("month", months, at)


def _fortnight(match: re.Match[str], at: Time) -> Interval:
    return _units_back("week", 2, at)


def _week_of(match: re.Match[str], at: Time) -> Interval:
    """The first week of May, the last Friday of June 2022, the second weekend of July."""
    first = _start(match.groupdict(), at)
    start, end = _month(first.year, first.month)
    what, order = match["what"].lower(), match["order"].lower()
    if what == "week":
        begin = (
            end - timedelta(days=7) if order == "last" else start + timedelta(7 * ORDINALS[order])
        )
        return begin, begin + timedelta(days=7)
    wanted = 5 if what == "weekend" else _DAYS.index(what)
    begin = start + timedelta(days=(wanted - start.weekday()) % 7)
    days = [begin + timedelta(days=7 * n) for n in range(5)]
    days = [day for day in days if day < end]
    return _day(
        days[-1] if order == "last" else days[ORDINALS[order]], 2 if what == "weekend" else 1
    )


def _week_around(match: re.Match[str], at: Time) -> Interval:
    """The week of 7 May: from its Monday."""
    first = _start(match.groupdict(), at)
    return _day(first - timedelta(days=first.weekday()), 7)


def _season(match: re.Match[str], at: Time) -> Interval:
    """The summer of 2021, in spring: of that year, or the latest that has begun."""
    month, months = _SEASONS[match["what"].lower()]
    if match["year"]:
        return _month(int(match["year"]), month, months)
    return _month(at.year - (datetime(at.year, month, 1) > at), month, months)


def _day_of_month(match: re.Match[str], at: Time) -> Interval:
    """On the 5th: of this month, or of the last month if it has not come yet."""
    day = int(match["day"])
    months = at.year * 12 + at.month - 1 - (day > at.day)
    return _day(datetime(months // 12, months % 12 + 1, day))


def _numeric_date(match: re.Match[str], at: Time) -> Interval:
    """2023/05/07, 7.5.2023, 25/12/2022: if only one reading is a date."""
    parts = match.groupdict()
    first, second, year = int(parts["one"]), int(parts["two"]), int(parts["year"])
    if parts["sign"] == "." or first > 12:
        return _day(datetime(year, second, first))
    if second > 12 or first == second:
        return _day(datetime(year, first, second))
    return None


def _date(match: re.Match[str], at: Time) -> Interval:
    """7 May, May 7th 2023, in May: a day, or a month if no day is named."""
    parts = match.groupdict()
    start = _start(parts, at, (parts.get("which") or "").lower())
    named = parts.get("day") or parts.get("day2")
    return _day(start) if named else _month(start.year, start.month)


def _iso(match: re.Match[str], at: Time) -> Interval:
    day = date.fromisoformat(match[0].replace("/", "-"))
    return _day(datetime.combine(day, datetime.min.time()))


def _year(match: re.Match[str], at: Time) -> Interval:
    return _month(int(match["year"]), 1, 12)


def _ago(match: re.Match[str], at: Time) -> Interval:
    """Two months ago, a week ago: the day, week, month or year that many back."""
    return _units_back(match["unit"].lower(), _count(match["count"]), at)


def _units_back(unit: str, count: int, at: Time) -> Interval:
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


def _relative(match: re.Match[str], at: Time) -> Interval:
    """Last week, this month, next Friday, last summer."""
    which, what = match["which"].lower(), match["what"].lower()
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
    return _units_back(what, step, at)


def _named_day(match: re.Match[str], at: Time) -> Interval:
    """On Friday: the latest one."""
    return _day(at - timedelta(days=(at.weekday() - _DAYS.index(match["what"].lower())) % 7 or 7))


def _relative_day(match: re.Match[str], at: Time) -> Interval:
    back = {"yesterday": 1, "today": 0, "tonight": 0, "tomorrow": -1}
    return _day(at - timedelta(days=back[match[0].lower()]))


def _patterns() -> Iterator[tuple[str, Callable[[re.Match[str], datetime], Interval]]]:
    nth = "(?:st|nd|rd|th)?"
    day = rf"(?P<day>\d{{1,2}}){nth}"
    year = r"(?P<year>(?:19|20)\d\d)"
    units = r"(?P<unit>day|week|weekend|month|year)s?"
    month = rf"(?P<month>{_MONTH})\b\.?"
    of_year = rf"(?:,? (?:of )?{year}\b)?"
    whole = rf"(?:{day}(?: of)? )?{month}(?: (?P<day2>\d{{1,2}}){nth}\b)?{of_year}"
    to = r" ?(?:to|and|until|till|through|-|\u2013) ?"
    days, seasons = "|".join(_DAYS), "|".join(_SEASONS)
    # Forms that contain a shorter form come first.
    yield r"\b(?:the )?day (?P<which>before) yesterday\b", _two_days_away
    yield r"\b(?:the )?day (?P<which>after) tomorrow\b", _two_days_away
    most = "day|night|evening|morning|week|weekend|month|year"
    yield rf"\b(?:the )?(?P<unit>{most}) (?P<which>before last|after next)\b", _last_but_one
    away = rf"(?P<count>{_COUNT})?(?: of)? ?(?:the )?{units} (?P<which>before|after)"
    yield rf"\b{away} (?:the )?{whole}", _offset
    order = rf"(?P<order>{'|'.join(ORDINALS)}|last)"
    yield rf"\b{order} (?P<what>week|weekend|{days}) (?:of|in) {whole}", _week_of
    yield rf"\b(?:the )?week of (?:the )?{whole}", _week_around
    part = r"(?:the )?(?P<part>early|late|mid|beginning|start|middle|end)[ -](?:of |in )?"
    yield rf"\b{part}(?:{month}{of_year}|(?P<year2>(?:19|20)\d\d)\b)", _part
    day0 = rf"(?P<day0>\d{{1,2}}){nth}"
    yield rf"\b(?:between |from )?{day0}{to}{day}(?: of)? {month}{of_year}", _between
    another = rf"(?! (?:{_MONTH})\b)"
    yield rf"\b(?:between |from )?{month} {day0}{to}{day}\b{another}{of_year}", _between
    first = rf"(?:{day0} )?(?P<month0>{_MONTH})\b\.?"
    yield rf"\b(?:between|from) {first}{to}{whole}", _between
    yield rf"\b(?:between|from) (?P<year0>(?:19|20)\d\d){to}{year}\b", _years
    yield r"\b(?:the )?(?P<decade>(?:19|20)\d0)s\b", _years
    yield rf"\b(?:the )?(?P<what>{seasons}) (?:of )?{year}\b", _season
    some = rf"(?P<count>{_COUNT})(?: of)? "
    span = r"(?:in|over|during|within|for) the (?P<which>last|past|previous|next|coming)"
    yield rf"\b{span} {some}(?P<unit>hour|day|week|weekend|month|year)s?\b", _rolling_window
    yield r"\bhalf a year ago\b", _half
    yield rf"\b(?P<count>{_COUNT}) years? and a half ago\b", _half
    yield r"\ba fortnight ago\b", _fortnight
    yield rf"\bin {some}{units}(?:['\u2019]s?)?(?: time)?\b(?! (?:ago|back|earlier))", _offset
    yield rf"\b{some}{units} from now\b", _offset
    yield r"\b\d{4}([-/])\d\d\1\d\d\b", _iso
    yield rf"\b(?P<one>\d{{1,2}})(?P<sign>[./])(?P<two>\d{{1,2}})(?P=sign){year}\b", _numeric_date
    yield r"\b(?P<year>(?:19|20)\d\d)-(?P<number>0[1-9]|1[0-2])\b(?!-)", _iso_month
    yield rf"\b{day}(?: of)? {month}(?:,? {year}\b)?", _date
    yield rf"\b{month} (?:the )?{day}\b(?:,? {year}\b)?", _date
    yield rf"\b{month},? (?:of )?{year}\b", _date
    # Bare "May" and "March" are also other words: only after a word that introduces a time.
    led = r"in|of|since|during|until|by|early|late|mid|around|before|after"
    yield rf"\b(?P<which>last|next|this) (?P<month>{_MONTH})\b(?P<year>)", _date
    yield rf"\b(?:{led}) (?P<month>{_MONTH})\b(?P<year>)", _date
    yield rf"\b(?P<count>{_COUNT})(?: of)? {units} (?:ago|back|earlier)\b", _ago
    what = "|".join((*_DAYS, *_SEASONS, "weekend|week|month|year|night|evening|morning"))
    yield rf"\b(?P<which>last|previous|past|this|next) (?P<what>{what})\b", _relative
    yield r"\b(?:yesterday|today|tonight|tomorrow)\b", _relative_day
    yield rf"\b(?:on|since|until|till|by|before|after) (?P<what>{days})\b", _named_day
    yield rf"\b(?P<what>{days}) (?:morning|afternoon|evening|night)\b", _named_day
    th = r"(?P<day>\d{1,2})(?:st|nd|rd|th)"
    yield rf"\b(?:on|by|since|until|before|after) the {th}\b", _day_of_month
    yield rf"\b(?:in|during|since|all|that) (?:the )?(?P<what>{seasons})\b(?P<year>)", _season
    yield rf"\b(?:in|of|since|during|by|early|late|mid|around|year) {year}\b", _year


@cache
def _compiled_patterns() -> tuple[
    tuple[re.Pattern[str], Callable[[re.Match[str], datetime], Interval]], ...
]:
    # Compiled on first use: a program that never recalls should not wait for them.
    return tuple((re.compile(pattern, re.IGNORECASE), read) for pattern, read in _patterns())
