"""Candidates for the value of an argument, read from a request by the field's type."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

from ...core import Json, Time
from .argument_fields import ArgumentField, schema_check
from .number_parser import UNITS, ParsedNumber, convert_unit, numbers_in
from .text_spans import FUNCTION_WORDS, spans_in, tokens_of
from .time_expressions import TIME_FORMATS, duration_seconds, time_expressions_in

MAX_CANDIDATES = 40  # of a field
MAX_REQUEST_CHARS = 8_000  # only the end of a longer request is read
MAX_LITERAL_CHARS = 2_000  # of a list or an object written in the request
MAX_LITERAL_OPENINGS = 200  # brackets that are tried as the beginning of one
MAX_SINGLE_ITEMS = 12  # phrases that are tried as a list of one element
_SEPARATOR = re.compile(r"\s*(?:,\s*(?:and|or)?|\b(?:and|or)\b|&|;)\s*", re.IGNORECASE)
_RANGE = re.compile(r"\s*(?:to|and|until|till|through|-|–|,)\s*(?:[a-z] ?= ?)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ArgumentCandidate:
    """A value with its ``label``, the text that stands for it. ``start`` and ``end`` are its
    position in the request, -1 if it does not occur there; ``kind`` is how it was found."""

    value: Json = field(hash=False)
    label: str
    start: int = -1
    end: int = -1
    kind: str = "phrase"
    number: ParsedNumber | None = None


class ParsedRequest:
    """The end of a request with its numbers, spans, tokens and time expressions. Without ``now``
    only dates and times that do not depend on the present are read."""

    def __init__(self, text: str, now: Time | None = None) -> None:
        self.text = text = text[-MAX_REQUEST_CHARS:]
        self.times = time_expressions_in(text, now)
        self.numbers = numbers_in(text)
        self.spans = spans_in(text)
        self.tokens = tokens_of(text)

    def around(self, start: int, end: int, before: int, after: int) -> tuple[list[str], list[str]]:
        """The last words before a position and the first words after it."""
        left = [word for _, stop, word in self.tokens if stop <= start]
        right = [word for begin, _, word in self.tokens if begin >= end]
        return left[-before:] if before else [], right[:after]

    def window(self, start: int, end: int, before: int = 5, after: int = 3) -> str:
        """The text from some words before a position to some words after it."""
        lefts = [begin for begin, stop, _ in self.tokens if stop <= start][-before:]
        rights = [stop for begin, stop, _ in self.tokens if begin >= end][:after]
        return self.text[(lefts or [start])[0] : (rights or [end])[-1]]


def candidates_for(argument: ArgumentField, parsed: ParsedRequest) -> list[ArgumentCandidate]:
    """The values that a request offers for a field, distinct and valid under its schema."""
    is_valid = schema_check(argument.schema)
    by_label: dict[str, ArgumentCandidate] = {}
    for candidate in _all_candidates(argument, parsed):
        if len(by_label) == MAX_CANDIDATES:
            break
        if candidate.label.strip() and is_valid(candidate.value):
            by_label.setdefault(candidate.label, candidate)
    return [*by_label.values()]


def _all_candidates(argument: ArgumentField, parsed: ParsedRequest) -> Iterator[ArgumentCandidate]:
    kind = argument.kind
    if kind == "union":
        for alternative in argument.alternatives:
            yield from _all_candidates(alternative, parsed)
    elif argument.format in TIME_FORMATS and kind in ("string", "array"):
        yield from _times(argument, parsed)
    elif kind == "boolean":
        yield from (ArgumentCandidate(value, str(value).lower()) for value in (True, False))
    elif kind == "array":
        yield from _lists(argument, parsed)
    elif argument.choices:
        for value in argument.choices:
            label = value if isinstance(value, str) else json.dumps(value)
            place = find_mention(label, parsed.text) or (-1, -1)
            yield ArgumentCandidate(value, label, *place, kind="choice")
    elif kind in ("integer", "number"):
        yield from _numbers(argument, parsed)
    elif kind == "string":
        yield from _texts(argument, parsed)
    elif kind == "object":
        yield from _literals(parsed, dict)
    else:
        yield from _literals(parsed, list)
        yield from _literals(parsed, dict)
        yield from _numbers(argument, parsed)
        yield from _texts(argument, parsed)


def find_mention(label: str, text: str) -> tuple[int, int] | None:
    """Where a text mentions a value: in any case, as one word or several, or in the plural."""
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


def _numbers(argument: ArgumentField, parsed: ParsedRequest) -> Iterator[ArgumentCandidate]:
    units = units_of(argument)
    durations = _durations_in_unit(units, parsed)
    yield from (_number(number.value, number) for number in durations)
    text = f"{argument.label} {argument.description}"
    is_timestamp = re.search(r"\b(?:unix|epoch|timestamp)\b", text, re.IGNORECASE)
    for index, number in enumerate(parsed.numbers):
        if any(span.start <= number.start and number.end <= span.end for span in durations):
            continue
        if is_timestamp and abs(number.value) < 1e8:
            continue  # the 9 of "tomorrow at 9"
        for value in _values(argument, number, units):
            yield _number(value, number)
        following = parsed.numbers[index + 1 : index + 2]
        if following and following[0].start - number.end < 6:  # 5 ft 10 in
            parts = [convert_unit(n, unit) for n in (number, following[0]) for unit in units[:1]]
            if len(parts) == 2 and number.unit != following[0].unit and None not in parts:
                total = sum(part for part in parts if part is not None)
                yield _number(total, ParsedNumber(number.start, following[0].end, total, units[0]))


def _durations_in_unit(units: list[str], parsed: ParsedRequest) -> list[ParsedNumber]:
    """Durations of several parts ("1h 30m", "an hour and a half") in the field's unit of time."""
    unit = next((unit for unit in units if UNITS[unit][0] == "time"), "")
    durations = []
    for time in parsed.times if unit else ():
        seconds = duration_seconds(time.value) if time.format == "duration" else None
        if seconds is None:
            continue
        inside = [n for n in parsed.numbers if time.start <= n.start and n.end <= time.end]
        value = as_whole(seconds / UNITS[unit][2])
        if len(inside) != 1 or convert_unit(inside[0], unit) not in (None, value):
            durations.append(ParsedNumber(time.start, time.end, value, unit))
    return durations


def _number(value: float, number: ParsedNumber) -> ArgumentCandidate:
    value = as_whole(value)
    return ArgumentCandidate(value, json.dumps(value), number.start, number.end, "number", number)


def as_whole(value: float) -> float | int:
    """2 for 2.0; other numbers are rounded to ten digits."""
    return int(value) if value == int(value) else round(value, 10)


def units_of(argument: ArgumentField) -> list[str]:
    """The units that a field's name or description mentions."""
    stated = re.findall(r"\b(?:in|as) ([A-Za-z]+)\b(?!')", argument.description)
    if not any(word.lower() in UNITS and len(word) > 1 for word in stated):
        stated = re.findall(r"[A-Za-z]+", f"{argument.label} {argument.description}")
    words = [word.lower() for word in stated]
    return [word for word in words if word in UNITS and (len(word) > 1 or word in ("m", "s", "h"))]


def _values(argument: ArgumentField, number: ParsedNumber, units: list[str]) -> Iterator[float]:
    """The value of a number for a field: in its unit, and per cent as a fraction if required."""
    text = f"{argument.label} {argument.description}".lower()
    if number.unit == "%" and argument.kind != "integer":
        percent = re.search(r"percent|%", text) and not re.search(r"decimal|fraction|0\.\d", text)
        yield number.value if percent else number.value / 100
        return
    if number.is_clock and not re.search(r"24|hour|time", text):
        yield (number.value - 1) % 12 + 1
        return
    if number.unit in UNITS and units and not number.is_clock and not number.is_frequency:
        kind, name, _ = UNITS[number.unit]
        same_kind = [unit for unit in units if UNITS[unit][0] == kind]
        if same_kind and all(UNITS[unit][1] != name for unit in same_kind):
            converted = convert_unit(number, same_kind[0])
            if converted is not None:
                yield converted
                return
    yield number.value


# -- times and texts ------------------------------------------------------------------


def _times(argument: ArgumentField, parsed: ParsedRequest) -> Iterator[ArgumentCandidate]:
    times = [time for time in parsed.times if time.format == argument.format]
    if argument.kind == "string":
        yield from (ArgumentCandidate(t.value, t.value, t.start, t.end, "date") for t in times)
    elif times:
        times.sort(key=lambda time: (time.start, time.end))
        end = max(time.end for time in times)
        yield _list_candidate([time.value for time in times], times[0].start, end, "row")


def _texts(argument: ArgumentField, parsed: ParsedRequest) -> Iterator[ArgumentCandidate]:
    for hint in argument.hints:
        place = find_mention(hint, parsed.text) or (-1, -1)
        yield ArgumentCandidate(hint, hint, *place, kind="hint")
    yield from _described_times(argument, parsed)
    for span in parsed.spans:
        text = (_format_date(span.day, argument) if span.day else "") or span.text
        yield ArgumentCandidate(text, text, span.start, span.end, span.kind)
        if span.kind == "phrase" and re.search(r"[a-z]{3}[^s]s$", text):
            singular = text[:-3] + "y" if text.endswith("ies") else text[:-1]
            yield ArgumentCandidate(singular, singular, span.start, span.end, "singular")


def _described_times(argument: ArgumentField, parsed: ParsedRequest) -> Iterator[ArgumentCandidate]:
    """Days and times in words, for a text whose format the description gives."""
    written = {(span.start, span.end) for span in parsed.spans if span.day is not None}
    for time in parsed.times:
        if time.format != "date" or (time.start, time.end) in written:
            continue
        if text := _format_date(date.fromisoformat(time.value), argument):
            yield ArgumentCandidate(text, text, time.start, time.end, "date")
    with_seconds = "SS" in argument.description.upper()
    for time in parsed.times if argument.described_format == "time" else ():
        if time.format == "time":
            text = time.value if with_seconds else time.value[:5]
            yield ArgumentCandidate(text, text, time.start, time.end, "date")


def _format_date(day: date, argument: ArgumentField) -> str:
    text = f"{argument.description} {argument.schema.get('format', '')}"
    form = re.search(r"\b[YMD]{1,4}(?P<s>[-/. ])[YMD]{1,4}(?P=s)[YMD]{1,4}\b", text, re.IGNORECASE)
    if form is None:
        iso = argument.schema.get("format") == "date" or re.search(r"\d{4}-\d\d-\d\d", text)
        return day.isoformat() if iso else ""
    parts = {"y": f"{day.year:04}", "m": f"{day.month:02}", "d": f"{day.day:02}"}
    return form["s"].join(parts[part[0].lower()] for part in form[0].split(form["s"]))


# -- lists ----------------------------------------------------------------------------


def _lists(argument: ArgumentField, parsed: ParsedRequest) -> Iterator[ArgumentCandidate]:
    yield from _literals(parsed, list)
    if argument.item_kind in ("integer", "number", "any") and not argument.choices:
        yield from _number_lists(parsed)
    if argument.choices:
        mentions = [(find_mention(str(value), parsed.text), value) for value in argument.choices]
        found = sorted((place, value) for place, value in mentions if place)
        if found:
            start, end = found[0][0][0], found[-1][0][1]
            yield _list_candidate([value for _, value in found], start, end, "choice")
        for place, value in mentions:
            yield _list_candidate([value], *(place or (-1, -1)), "choice")
    elif argument.item_kind in ("string", "any"):
        yield from _text_lists(parsed)


def _list_candidate(values: list[Json], start: int, end: int, kind: str) -> ArgumentCandidate:
    label = ", ".join(value if isinstance(value, str) else json.dumps(value) for value in values)
    return ArgumentCandidate(values, label, start, end, kind)


def _literals(parsed: ParsedRequest, wanted: type) -> Iterator[ArgumentCandidate]:
    text = parsed.text
    opening, closing = ("[(", "])") if wanted is list else ("{", "}")
    starts = [index for index, sign in enumerate(text) if sign in opening]
    for start in starts[:MAX_LITERAL_OPENINGS]:
        depth = 0
        for end in range(start, min(start + MAX_LITERAL_CHARS, len(text))):
            depth += text[end] in "[({"
            depth -= text[end] in "])}"
            if depth == 0:
                break
        if depth or text[end] not in closing:
            continue
        literal = text[start : end + 1]
        value = _parse_literal(literal)
        if isinstance(value, wanted) and value:
            yield ArgumentCandidate(value, literal, start, end + 1, "literal")


def _parse_literal(text: str) -> Json:
    source = re.sub(r"(?<![\w\"])'|'(?![\w\"])", '"', text)
    if source.startswith("("):
        source = f"[{source[1:-1]}]"
    try:
        return json.loads(source)
    except ValueError:
        pass
    if not source.startswith("[") or "[" in source[1:]:
        return None
    items = [item.strip().strip("'\"") for item in source[1:-1].split(",")]
    numbers = [numbers_in(item) for item in items]
    if all(len(found) == 1 for found in numbers):
        return [as_whole(found[0].value) for found in numbers]
    return items if text.startswith("[") and all(items) else None


def _number_lists(parsed: ParsedRequest) -> Iterator[ArgumentCandidate]:
    numbers = parsed.numbers
    row: list[ParsedNumber] = []
    for number in numbers:
        between = parsed.text[row[-1].end : number.start] if row else ""
        if row and not _SEPARATOR.fullmatch(between):
            if len(row) > 1:
                yield _number_row(row)
            row = []
        row.append(number)
    if len(row) > 1:
        yield _number_row(row)
    for first, second in pairwise(numbers):
        if _RANGE.fullmatch(parsed.text[first.end : second.start]):
            yield _number_row([first, second])
    for number in numbers:
        yield _number_row([number])


def _number_row(numbers: list[ParsedNumber]) -> ArgumentCandidate:
    values: list[Json] = [as_whole(number.value) for number in numbers]
    kind = "row" if len(values) > 1 else "single"
    return _list_candidate(values, numbers[0].start, numbers[-1].end, kind)


def _text_lists(parsed: ParsedRequest) -> Iterator[ArgumentCandidate]:
    quoted = [span for span in parsed.spans if span.kind == "quoted"]
    if len(quoted) > 1:
        texts: list[Json] = [span.text for span in quoted]
        yield _list_candidate(texts, quoted[0].start, quoted[-1].end, "row")
    for joins in (frozenset(), frozenset(("per", "of"))):  # points per game, cost of living
        yield from _enumerations(parsed, joins)
    for span in parsed.spans[:MAX_SINGLE_ITEMS]:
        yield _list_candidate([span.text], span.start, span.end, "single")


def _enumerations(parsed: ParsedRequest, joins: frozenset[str]) -> Iterator[ArgumentCandidate]:
    """Items separated by commas, "and" or "or", where ``joins`` are function words within items."""
    text, tokens = parsed.text, parsed.tokens
    separators = FUNCTION_WORDS - joins
    groups: list[list[int]] = []  # of tokens with only a space between them
    for index in range(len(tokens)):
        if tokens[index][2].lower() in separators:
            continue
        if groups and text[tokens[groups[-1][-1]][1] : tokens[index][0]] == " ":
            groups[-1].append(index)
        else:
            groups.append([index])
    run: list[list[int]] = []
    for group in groups:
        between = text[tokens[run[-1][-1]][1] : tokens[group[0]][0]] if run else ""
        if run and not _SEPARATOR.fullmatch(between):
            if len(run) > 1:
                yield from _variants(parsed, run)
            run = []
        run.append(group)
    if len(run) > 1:
        yield from _variants(parsed, run)


def _variants(parsed: ParsedRequest, groups: list[list[int]]) -> Iterator[ArgumentCandidate]:
    """The list of the groups, where the first may begin and the last may end at another word."""
    tokens = parsed.tokens

    def text(words: list[int]) -> str:
        return parsed.text[tokens[words[0]][0] : tokens[words[-1]][1]]

    first, *middle, last = groups
    for size in range(len(last), max(0, len(last) - 3), -1):
        for skip in range(min(3, len(first))):
            items = [first[skip:], *middle, last[:size]]
            start, end = tokens[items[0][0]][0], tokens[items[-1][-1]][1]
            yield _list_candidate([text(item) for item in items], start, end, "row")
