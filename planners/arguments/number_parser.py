"""Numbers in a text, in digits and in words, with their units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

from ...core.text import NUMBER_WORDS, SMALL_NUMBER_WORDS, TENS_WORDS, hour_of_day
from ..text import word_set

_SCALES = {
    "hundred": 100,
    "thousand": 1_000,
    "k": 1_000,
    "million": 1_000_000,
    "billion": 1_000_000_000,
    "trillion": 1_000_000_000_000,
}
# Times per year, as in "compounded monthly".
TIMES_PER_YEAR = {
    "annually": 1,
    "yearly": 1,
    "semiannually": 2,
    "semi-annually": 2,
    "quarterly": 4,
    "monthly": 12,
    "weekly": 52,
    "daily": 365,
}
_OTHER_WORDS = {"dozen": 12.0, "once": 1.0, "twice": 2.0, "rest": 0.0, "pi": 3.1416}
# Sizes of units by dimension, under all names of a unit.
_SIZES: dict[str, dict[str, float]] = {
    "time": {
        "second seconds sec secs s": 1,
        "minute minutes min mins": 60,
        "hour hours hr hrs h": 3_600,
        "day days": 86_400,
        "week weeks": 604_800,
        "month months": 2_629_746,
        "year years yr yrs": 31_556_952,
        "decade decades": 315_569_520,
        "century centuries": 3_155_695_200,
    },
    "length": {
        "millimeter millimeters millimetre millimetres mm": 0.001,
        "centimeter centimeters centimetre centimetres cm": 0.01,
        "meter meters metre metres m": 1,
        "kilometer kilometers kilometre kilometres km kms": 1_000,
        "inch inches in": 0.0254,
        "foot feet ft": 0.3048,
        "yard yards yd": 0.9144,
        "mile miles mi": 1_609.344,
    },
    "mass": {
        "milligram milligrams mg": 0.000_001,
        "gram grams g": 0.001,
        "kilogram kilograms kg kgs": 1,
        "pound pounds lb lbs": 0.453_592_37,
        "ounce ounces oz": 0.028_349_523,
    },
}
UNITS: dict[str, tuple[str, str, float]] = {
    name: (kind, names.split()[0], size)
    for kind, sizes in _SIZES.items()
    for names, size in sizes.items()
    for name in names.split()
}
"""Dimension, first name and size of a unit, by each of its names."""

_NO_UNITS = word_set("and or to on in for at from with by of is the a as if between per")
_DIGITS = re.compile(
    r"(?<![\w.])(?P<sign>[-−–])?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?:[eE][+-]?\d+)?"
)
_WORD = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")
_AFTER = re.compile(r"[ -]?(%|percent\b|[A-Za-z]+)?")
_MAX_CODE_CHARS = 64  # of an identifier beside a number
_CLOCK = re.compile(r"\b(\d{1,2})(?::(\d\d))? ?([ap])\.?m\b\.?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ParsedNumber:
    """A number at ``start`` to ``end`` of a text. ``unit``: the word after it in lower case, "%"
    for per cent. ``is_clock``: an hour of the day; ``is_frequency``: times per year."""

    start: int
    end: int
    value: float  # an int if written as one, so that no digit is lost
    unit: str = ""
    is_money: bool = False
    is_clock: bool = False
    is_frequency: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether the value is a whole number."""
        return self.value == int(self.value)


def numbers_in(text: str) -> list[ParsedNumber]:
    """The numbers of a text in order, without overlaps.

    >>> [(number.value, number.unit) for number in numbers_in("two trips of -3.5 km at 5%")]
    [(2.0, 'trips'), (-3.5, 'km'), (5, '%')]
    >>> [number.value for number in numbers_in("213 million people by 11 PM")]
    [213000000, 23.0]
    """
    numbers: list[ParsedNumber] = []
    taken = bytearray(len(text))
    for number in (*_clocks(text), *_digits(text), *_words(text)):
        if not any(taken[number.start : number.end]):
            numbers.append(number)
            taken[number.start : number.end] = b"\1" * (number.end - number.start)
    return sorted(numbers, key=lambda number: number.start)


def _clocks(text: str) -> Iterator[ParsedNumber]:
    for match in _CLOCK.finditer(text):
        hour = int(match.group(1))
        if 1 <= hour <= 12:
            hour = hour_of_day(hour, match.group(3))
            yield ParsedNumber(*match.span(), float(hour), "hour", is_clock=True)


def _digits(text: str) -> Iterator[ParsedNumber]:
    for match in _DIGITS.finditer(text):
        written = match.group().replace(",", "").replace("−", "-").replace("–", "-")
        start, end = match.span()
        is_exponent = re.search(r"[A-Za-z)]\^$", text[max(0, start - 2) : start])
        if is_exponent or _in_code(text, start, end):
            continue
        if "," in match.group() and text.rfind("[", 0, start) > text.rfind("]", 0, start):
            continue  # elements of a list
        if len(written) > 200:
            continue  # a code; too large for a float
        value: float = float(written) if re.search(r"[.eE]", written) else int(written)
        if match.group("sign") and start and text[start - 1].isalnum():
            value, start = -value, start + 1  # the end of a range
        if not isfinite(value):
            continue
        end, value = _scaled(text, end, value)
        if re.match(r" ?°? ?[SW]\b(?! [A-Z])", text[end : end + 8]) and value != int(value):
            value = -value  # south and west
        money = text[max(0, start - 1) : start] in ("$", "€", "£", "¥")
        yield ParsedNumber(start, end, value, _unit(text, end), is_money=money)


def _in_code(text: str, start: int, end: int) -> bool:
    before = re.search(r"[\w#/:_.-]*$", text[max(0, start - _MAX_CODE_CHARS) : start])
    after = re.match(r"[-–/:_.](?=\w)[\w/:_.-]*", text[end : end + _MAX_CODE_CHARS])
    whole = (before[0] if before else "") + text[start:end] + (after[0] if after else "")
    if re.search(r"\d[-–/:_]\w|#|\d\.\d+\.\d", whole) is None:
        return False
    # 5-10 and 2-bedroom are no codes.
    return re.fullmatch(r"-?\d+(?:\.\d+)?[-–](?:\d+(?:\.\d+)?|[a-z]+)\.?", whole) is None


def _unit(text: str, end: int) -> str:
    """The word after a number that ends at ``end``, in lower case; "%" for per cent."""
    unit = (_AFTER.match(text, end) or [""])[0]
    word = unit.strip(" -").lower()
    if word in ("percent", "percentage"):
        return "%"
    return "" if word in _NO_UNITS and (word != "in" or unit.startswith(" ")) else word


def _scaled(text: str, end: int, value: float) -> tuple[int, float]:
    match = re.compile(r" ?(hundred|thousand|million|billion|trillion|k)\b", re.I).match(text, end)
    if match is None or match.group(1) == "K":  # 300K is a temperature
        return end, value
    return match.end(), round(value * _SCALES[match.group(1).lower()], 6)


def _words(text: str) -> Iterator[ParsedNumber]:
    matches = [*_WORD.finditer(text)]
    index = 0
    while index < len(matches):
        first, total, part, found = index, 0.0, 0.0, False
        while index < len(matches):
            word = matches[index][0].lower()
            if index > first and text[matches[index - 1].end() : matches[index].start()] != " ":
                break
            value = _word_value(word)
            if value is not None:
                part, found = part + value, True
            elif found and word in _SCALES and word != "k":
                part *= _SCALES[word]
                if _SCALES[word] > 100:
                    total, part = total + part, 0.0
            else:
                break
            index += 1
        if found:
            start, end = matches[first].start(), matches[index - 1].end()
            yield ParsedNumber(start, end, total + part, _unit(text, end))
        else:
            yield from _special_words(text, matches[index])
            index += 1


def _word_value(word: str) -> float | None:
    """The value of a number word such as "twenty-five"; None for other words."""
    parts = word.split("-")
    if len(parts) == 2 and parts[0] in TENS_WORDS and parts[1] in SMALL_NUMBER_WORDS[1:10]:
        return float(NUMBER_WORDS[parts[0]] + NUMBER_WORDS[parts[1]])
    return float(NUMBER_WORDS[word]) if word in NUMBER_WORDS else None


def _special_words(text: str, match: re.Match[str]) -> Iterator[ParsedNumber]:
    word = match.group().lower()
    if word in TIMES_PER_YEAR:
        yield ParsedNumber(*match.span(), float(TIMES_PER_YEAR[word]), "year", is_frequency=True)
    elif word in _OTHER_WORDS:
        yield ParsedNumber(*match.span(), _OTHER_WORDS[word])
    elif word.partition("-")[0] in NUMBER_WORDS:  # six-sided
        head, _, unit = word.partition("-")
        yield ParsedNumber(match.start(), match.end(), float(NUMBER_WORDS[head]), unit)
    elif word in UNITS and UNITS[word][0] == "time" and len(word) > 2:
        before = text[max(0, match.start() - 20) : match.start()].rstrip().lower()
        if re.search(r"\b(next|past|last|a|an|one)$", before):
            yield ParsedNumber(*match.span(), 1.0, word)


def convert_unit(number: ParsedNumber, unit: str) -> float | None:
    """The value of a number in another unit; None if the dimensions differ.

    >>> convert_unit(ParsedNumber(0, 1, 2.0, "weeks"), "days")
    14.0
    """
    if number.unit not in UNITS or unit not in UNITS:
        return None
    kind, _, size = UNITS[number.unit]
    other, _, step = UNITS[unit]
    return round(number.value * size / step, 6) if kind == other else None
