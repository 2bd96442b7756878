"""What a field's value may be: candidates read off the request, each of the field's type."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

from ...core import Json, Time
from .argument_fields import ArgumentField, satisfies_schema
from .number_parser import UNITS, ParsedNumber, convert_unit, numbers_in
from .text_spans import FUNCTION_WORDS, TextSpan, spans_in, tokens_of
from .time_expressions import TIME_FORMATS, duration_seconds, time_expressions_in

MAX_CANDIDATES = 40  # candidates of a field
MAX_REQUEST_CHARS = (
    8_000  # characters of a request, its last; a page that was pasted before it is left out
)
MAX_LITERAL_CHARS = 2_000  # characters of a list or an object that a request writes out
MAX_LITERAL_OPENINGS = 200  # openings of such that are looked at
MAX_SINGLE_ITEMS = 12  # phrases that are tried as a list of one
_SEPARATOR = re.compile(r"\s*(?:,\s*(?:and|or)?|\b(?:and|or)\b|&|;)\s*", re.IGNORECASE)
_RANGE = re.compile(r"\s*(?:to|and|until|till|through|-|–|,)\s*(?:[a-z] ?= ?)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ArgumentCandidate:
    """A value; ``label`` is how it is written, ``start`` to ``end`` where it stands in the
    request (-1: nowhere)."""

    value: Json = field(hash=False)
    label: str
    start: int = -1
    end: int = -1
    kind: str = "phrase"
    number: ParsedNumber | None = None


class ParsedRequest:
    """A request, read once: its numbers, spans, words, and what it tells of time; without
    ``now`` only dates and times that need no clock. Of a longer one the last ``MAX_REQUEST_CHARS``
    characters are read."""

    def __init__(self, text: str, now: Time | None = None) -> None:
        text = text[-MAX_REQUEST_CHARS:]
        self.text = text
        self.moments = time_expressions_in(text, now)
        self.numbers = numbers_in(text)
        self.spans = spans_in(text)
        self.tokens = tokens_of(text)

    def around(self, start: int, end: int, before: int, after: int) -> tuple[list[str], list[str]]:
        """The words before and behind a place, nearest last and first, within its sentence."""
        left = [word for begin, stop, word in self.tokens if stop <= start]
        right = [word for begin, stop, word in self.tokens if begin >= end]
        return left[-before:] if before else [], right[:after]

    def window(self, start: int, end: int, before: int = 5, after: int = 3) -> str:
        """The text around a place."""
        lefts = [begin for begin, stop, _ in self.tokens if stop <= start][-before:]
        rights = [stop for begin, stop, _ in self.tokens if begin >= end][:after]
        return self.text[(lefts or [start])[0] : (rights or [end])[-1]]


def candidates_for(one: ArgumentField, reading: ParsedRequest) -> list[ArgumentCandidate]:
    """The values that a request offers for a field, each once and each fitting its schema."""
    found: dict[str, ArgumentCandidate] = {}
    for candidate in _all_candidates(one, reading):
        if (
            len(found) < MAX_CANDIDATES
            and candidate.label.strip()
            and satisfies_schema(candidate.value, one.schema)
        ):
            found.setdefault(candidate.label, candidate)
    return [*found.values()]


def _all_candidates(one: ArgumentField, reading: ParsedRequest) -> Iterator[ArgumentCandidate]:
    if one.kind == "union":
        for way in one.alternatives:
            yield from _all_candidates(way, reading)
    elif one.format in TIME_FORMATS and one.kind in ("string", "array"):
        yield from _moments(one, reading)
    elif one.kind == "boolean":
        yield from (ArgumentCandidate(value, str(value).lower()) for value in (True, False))
    elif one.kind == "array":
        yield from _lists(one, reading)
    elif one.choices:
        yield from (_choice(value, reading) for value in one.choices)
    elif one.kind in ("integer", "number"):
        yield from _numbers(one, reading)
    elif one.kind == "string":
        yield from _texts(one, reading)
    elif one.kind == "object":
        yield from _literals(reading, dict)
    else:
        yield from _literals(reading, list)
        yield from _literals(reading, dict)
        yield from _numbers(one, reading)
        yield from _texts(one, reading)


def _choice(value: Json, reading: ParsedRequest) -> ArgumentCandidate:
    """A listed value, and where the request names it."""
    label = value if isinstance(value, str) else json.dumps(value)
    place = find_mention(label, reading.text)
    return ArgumentCandidate(value, label, *(place or (-1, -1)), kind="choice")


def find_mention(label: str, text: str) -> tuple[int, int] | None:
    """Where a text names a value, in whatever case, joined or apart, with a plural's s."""
    words = [re.escape(word) for word in re.split(r"[\s_-]+", label) if word]
    if not words:
        return None
    if len(label) == 1:  # the letter A is not the word "a"
        alone = re.search(rf"(?<!\w){words[0]}(?!\w)", text)
        return alone.span() if alone else None
    pattern = r"(?<!\w)" + r"[\s_-]*".join(words) + r"(?:s|es)?(?!\w)"
    match = re.search(pattern, text, re.IGNORECASE)
    return match.span() if match else None


# -- numbers --------------------------------------------------------------------------


def _numbers(one: ArgumentField, reading: ParsedRequest) -> Iterator[ArgumentCandidate]:
    units = units_of(one)
    lengths = _durations_in_unit(units, reading)
    yield from (_number(one, number.value, number) for number in lengths)
    stamp = re.search(
        r"\b(?:unix|epoch|timestamp)\b", f"{one.label} {one.description}", re.IGNORECASE
    )
    for place, number in enumerate(reading.numbers):
        if any(whole.start <= number.start and number.end <= whole.end for whole in lengths):
            continue
        if stamp and abs(number.value) < 1e8:
            continue  # the 9 of "tomorrow at 9"
        for value in _values(one, number, units):
            yield _number(one, value, number)
        following = reading.numbers[place + 1 : place + 2]
        if following and following[0].start - number.end < 6:  # 5 ft 10 in
            parts = [convert_unit(n, unit) for n in (number, following[0]) for unit in units[:1]]
            if len(parts) == 2 and number.unit != following[0].unit and None not in parts:
                total = sum(part for part in parts if part is not None)
                both = ParsedNumber(number.start, following[0].end, total, units[0])
                yield _number(one, total, both)


def _durations_in_unit(units: list[str], reading: ParsedRequest) -> list[ParsedNumber]:
    """Lengths of time that more than a number and its unit tell ("1h 30m", "an hour and a
    half"), in the field's unit of time; none where it has no such."""
    unit = next((unit for unit in units if UNITS[unit][0] == "time"), "")
    found = []
    for moment in reading.moments if unit else ():
        seconds = duration_seconds(moment.value) if moment.format == "duration" else None
        if seconds is None:
            continue
        inside = [n for n in reading.numbers if moment.start <= n.start and n.end <= moment.end]
        value = as_whole(seconds / UNITS[unit][2])
        if len(inside) != 1 or convert_unit(inside[0], unit) not in (None, value):
            found.append(ParsedNumber(moment.start, moment.end, value, unit))
    return found


def _number(one: ArgumentField, value: float, number: ParsedNumber) -> ArgumentCandidate:
    value = as_whole(value)
    label = json.dumps(value)
    return ArgumentCandidate(value, label, number.start, number.end, "number", number)


def as_whole(value: float) -> float | int:
    """2 for 2.0."""
    return int(value) if value == int(value) else round(value, 10)


def units_of(one: ArgumentField) -> list[str]:
    """The units that a field's name or description tells."""
    stated = re.findall(r"\b(?:in|as) ([A-Za-z]+)\b(?!')", one.description)
    if any(word.lower() in UNITS and len(word) > 1 for word in stated):
        words = stated
    else:
        words = re.findall(r"[A-Za-z]+", f"{one.label} {one.description}")
    plain = [word.lower() for word in words]
    return [word for word in plain if word in UNITS and (len(word) > 1 or word in ("m", "s", "h"))]


def _values(one: ArgumentField, number: ParsedNumber, units: list[str]) -> Iterator[float]:
    told = f"{one.label} {one.description}".lower()
    if number.unit == "%" and one.kind != "integer":
        whole = re.search(r"percent|%", told) and not re.search(r"decimal|fraction|0\.\d", told)
        yield number.value if whole else number.value / 100
        return
    if number.is_clock and not re.search(r"24|hour|time", told):
        yield (number.value - 1) % 12 + 1
        return
    if number.unit in UNITS and units and not number.is_clock and not number.is_frequency:
        kind, name, _ = UNITS[number.unit]
        same = [unit for unit in units if UNITS[unit][0] == kind]
        if same and all(UNITS[unit][1] != name for unit in same):
            other = convert_unit(number, same[0])
            if other is not None:
                yield other
                return
    yield number.value


# -- times ----------------------------------------------------------------------------


def _moments(one: ArgumentField, reading: ParsedRequest) -> Iterator[ArgumentCandidate]:
    """What the request tells in the field's form: nothing else is a date."""
    own = [moment for moment in reading.moments if moment.format == one.format]
    if one.kind == "string":
        yield from (ArgumentCandidate(m.value, m.value, m.start, m.end, "date") for m in own)
    elif own:
        own.sort(key=lambda moment: (moment.start, moment.end))
        values: list[Json] = [moment.value for moment in own]
        yield _list_candidate(values, own[0].start, max(moment.end for moment in own), "row")


# -- texts ----------------------------------------------------------------------------


def _texts(one: ArgumentField, reading: ParsedRequest) -> Iterator[ArgumentCandidate]:
    for hint in one.hints:
        place = find_mention(hint, reading.text)
        yield ArgumentCandidate(hint, hint, *(place or (-1, -1)), kind="hint")
    yield from _days_in_words(one, reading)
    yield from _times_in_words(one, reading)
    for span in reading.spans:
        text = span.text
        if span.day is not None:
            text = _format_date(span, one) or text
        yield ArgumentCandidate(text, text, span.start, span.end, span.kind)
        if span.kind == "phrase" and re.search(r"[a-z]{3}[^s]s$", text):
            single = text[:-3] + "y" if text.endswith("ies") else text[:-1]
            yield ArgumentCandidate(single, single, span.start, span.end, "singular")


def _days_in_words(one: ArgumentField, reading: ParsedRequest) -> Iterator[ArgumentCandidate]:
    """Days told in words, for a text that is to be a date in a form of its own."""
    written = {(span.start, span.end) for span in reading.spans if span.day is not None}
    for moment in reading.moments:
        if moment.format == "date" and (moment.start, moment.end) not in written:
            day = date.fromisoformat(moment.value)
            if text := _format_date(TextSpan(moment.start, moment.end, "", "date", day), one):
                yield ArgumentCandidate(text, text, moment.start, moment.end, "date")


def _times_in_words(one: ArgumentField, reading: ParsedRequest) -> Iterator[ArgumentCandidate]:
    """Times of day, for a text that is to be one in a form of its own."""
    if one.described_format == "time":
        whole = "SS" in one.description.upper()
        for moment in reading.moments:
            if moment.format == "time":
                text = moment.value if whole else moment.value[:5]
                yield ArgumentCandidate(text, text, moment.start, moment.end, "date")


def _format_date(span: TextSpan, one: ArgumentField) -> str:
    """A date the way the field wants it written; empty where it does not say."""
    day = span.day
    told = f"{one.description} {one.schema.get('format', '')}"
    if day is None:
        return ""
    form = re.search(r"\b[YMD]{1,4}(?P<s>[-/. ])[YMD]{1,4}(?P=s)[YMD]{1,4}\b", told, re.IGNORECASE)
    if form is None:
        iso = one.schema.get("format") == "date" or re.search(r"\d{4}-\d\d-\d\d", told)
        return day.isoformat() if iso else ""
    parts = {"y": f"{day.year:04}", "m": f"{day.month:02}", "d": f"{day.day:02}"}
    return form["s"].join(parts[part[0].lower()] for part in form.group().split(form["s"]))


# -- lists ----------------------------------------------------------------------------


def _lists(one: ArgumentField, reading: ParsedRequest) -> Iterator[ArgumentCandidate]:
    yield from _literals(reading, list)
    if one.item_kind in ("integer", "number", "any") and not one.choices:
        yield from _number_lists(reading)
    if one.choices:
        named = [(find_mention(str(value), reading.text), value) for value in one.choices]
        there = sorted((place, value) for place, value in named if place)
        if there:
            yield _list_candidate(
                [value for _, value in there], there[0][0][0], there[-1][0][1], "choice"
            )
        yield from (
            _list_candidate([value], *(place or (-1, -1)), "choice") for place, value in named
        )
    elif one.item_kind in ("string", "any"):
        yield from _text_lists(reading)


def _list_candidate(values: list[Json], start: int, end: int, kind: str) -> ArgumentCandidate:
    label = ", ".join(one if isinstance(one, str) else json.dumps(one) for one in values)
    return ArgumentCandidate(values, label, start, end, kind)


def _literals(reading: ParsedRequest, wanted: type) -> Iterator[ArgumentCandidate]:
    """Lists or objects that the request writes out, as JSON or as Python does."""
    opening, closing = ("[(", "])") if wanted is list else ("{", "}")
    starts = [place for place, sign in enumerate(reading.text) if sign in opening]
    for start in starts[:MAX_LITERAL_OPENINGS]:
        depth = 0
        for end in range(start, min(start + MAX_LITERAL_CHARS, len(reading.text))):
            depth += reading.text[end] in "[({"
            depth -= reading.text[end] in "])}"
            if depth == 0:
                break
        if depth or reading.text[end] not in closing:
            continue
        value = _parse_literal(reading.text[start : end + 1], reading)
        if isinstance(value, wanted) and value:
            label = reading.text[start : end + 1]
            yield ArgumentCandidate(value, label, start, end + 1, "literal")


def _parse_literal(text: str, reading: ParsedRequest) -> Json:
    """What a list or an object written out holds; None where it is neither."""
    told = re.sub(r"(?<![\w\"])'|'(?![\w\"])", '"', text)
    if told.startswith("("):
        told = f"[{told[1:-1]}]"
    try:
        return json.loads(told)
    except ValueError:
        pass
    if not told.startswith("[") or "[" in told[1:]:
        return None
    parts = [part.strip().strip("'\"") for part in told[1:-1].split(",")]
    numbers = [numbers_in(part) for part in parts]
    if all(len(found) == 1 for found in numbers):
        return [as_whole(found[0].value) for found in numbers]
    return parts if text.startswith("[") and all(parts) else None


def _number_lists(reading: ParsedRequest) -> Iterator[ArgumentCandidate]:
    numbers = reading.numbers
    for begin in range(len(numbers)):
        if begin and _in_one_row(reading, begin - 1):
            continue
        end = begin
        while end + 1 < len(numbers):
            between = reading.text[numbers[end].end : numbers[end + 1].start]
            if not _SEPARATOR.fullmatch(between):
                break
            end += 1
        if end > begin:
            yield _number_row(numbers[begin : end + 1])
    for first, second in pairwise(numbers):
        if _RANGE.fullmatch(reading.text[first.end : second.start]):
            yield _number_row([first, second])
    for number in numbers:
        yield _number_row([number])


def _in_one_row(reading: ParsedRequest, place: int) -> bool:
    first, second = reading.numbers[place : place + 2]
    return bool(_SEPARATOR.fullmatch(reading.text[first.end : second.start]))


def _number_row(numbers: list[ParsedNumber]) -> ArgumentCandidate:
    values: list[Json] = [as_whole(number.value) for number in numbers]
    kind = "row" if len(values) > 1 else "single"
    return _list_candidate(values, numbers[0].start, numbers[-1].end, kind)


def _text_lists(reading: ParsedRequest) -> Iterator[ArgumentCandidate]:
    quoted = [span for span in reading.spans if span.kind == "quoted"]
    if len(quoted) > 1:
        texts: list[Json] = [span.text for span in quoted]
        yield _list_candidate(texts, quoted[0].start, quoted[-1].end, "row")
    for joins in (frozenset(), frozenset(("per", "of"))):  # points per game, cost of living
        yield from _enumerations(reading, joins)
    for span in reading.spans[:MAX_SINGLE_ITEMS]:
        yield _list_candidate([span.text], span.start, span.end, "single")


def _enumerations(reading: ParsedRequest, joins: frozenset[str]) -> Iterator[ArgumentCandidate]:
    """Items with a comma or "and" between: the first may begin, and the last may end, at any
    of the words up to the next function word."""
    tokens = reading.tokens
    apart = FUNCTION_WORDS - joins
    places = [i for i in range(len(tokens)) if tokens[i][2].lower() not in apart]
    groups: list[list[int]] = []
    for i in places:  # words that only blanks part
        before = reading.text[tokens[groups[-1][-1]][1] : tokens[i][0]] if groups else ""
        if groups and before == " ":
            groups[-1].append(i)
        else:
            groups.append([i])
    begin = 0
    while begin < len(groups):
        end = begin
        while end + 1 < len(groups):
            left, right = tokens[groups[end][-1]], tokens[groups[end + 1][0]]
            if not _SEPARATOR.fullmatch(reading.text[left[1] : right[0]]):
                break
            end += 1
        if end > begin:
            yield from _variants(reading, groups[begin : end + 1])
        begin = end + 1


def _variants(reading: ParsedRequest, groups: list[list[int]]) -> Iterator[ArgumentCandidate]:
    tokens = reading.tokens

    def text(words: list[int]) -> str:
        return reading.text[tokens[words[0]][0] : tokens[words[-1]][1]]

    first, *middle, last = groups
    for size in range(len(last), max(0, len(last) - 3), -1):
        for skip in range(min(3, len(first))):
            parts = [first[skip:], *middle, last[:size]]
            start, end = tokens[parts[0][0]][0], tokens[parts[-1][-1]][1]
            yield _list_candidate([text(part) for part in parts], start, end, "row")
