"""Spans of a request that may be the text of an argument: quotations, dates, names, phrases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import TypeAlias

from ...core.text import MONTH_NUMBERS
from ..text import word_set

Token: TypeAlias = tuple[int, int, str]
"""Start, end and text of a word."""
MAX_PHRASES = 40  # spans of a request after which no phrase is added
MAX_PHRASE_WORDS = 7  # in a phrase
FUNCTION_WORDS = word_set("""
a an the and or but if then else of in on at by for from to with without into onto over under
about between among through during before after since until till within against as than that
this these those there here it its is are was were be been being am do does did done has have had
having will would can could should shall may might must i me my mine you your yours he him his
she her we us our they them their who whom whose which what when where why how not no don't
please also just only some any all each every both more most very so such using use used via
per let's let want need like tell show give get find i'm i'd i'll what's it's
""")
_MONTH = "|".join(sorted(MONTH_NUMBERS, key=len, reverse=True))

_TOKEN = re.compile(r"[^\s,;:!?()\[\]{}\"“”`]+")
_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|`([^`]+)`|(?<!\w)'(.+?)'(?!\w)|‘([^’]+)’")
_TYPED = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.]+|https?://[^\s,\"'<>]+|(?:[A-Za-z]:)?[\\/][\w.\\/-]+"
    r"|#?\b[A-Za-z]*\d[\w-]*[A-Za-z-][\w-]*\b|\b\d+-[\w-]+"
)
_DATES = re.compile(
    rf"\b(?P<y1>\d{{4}})[-/](?P<m1>\d{{1,2}})[-/](?P<d1>\d{{1,2}})\b"
    rf"|\b(?P<m2>\d{{1,2}})[-/](?P<d2>\d{{1,2}})[-/](?P<y2>\d{{4}})\b"
    rf"|\b(?P<n3>{_MONTH})\.? (?P<d3>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y3>\d{{4}})\b"
    rf"|\b(?P<d4>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<n4>{_MONTH})\.?,? (?P<y4>\d{{4}})\b",
    re.IGNORECASE,
)
_FORMULA = re.compile(r"(?<![\w.])[\w.()^*]+(?:\s?(?:\*\*|[-+*/^=])\s?-?[\w.()^*]+)+")


@dataclass(frozen=True, slots=True)
class TextSpan:
    """The text at ``start`` to ``end`` of a request. ``kind``: quoted, typed (an address or a
    code), date, formula, name (capitalised) or phrase; ``day`` of a date."""

    start: int
    end: int
    text: str
    kind: str = "phrase"
    day: date | None = None


def spans_in(text: str) -> list[TextSpan]:
    """The distinct spans of a text: quotations, dates, codes, formulas, names, then phrases.

    >>> [span.text for span in spans_in("Play 'Hey Jude' in Los Angeles, California")][:3]
    ['Hey Jude', 'Los Angeles, California', 'Los Angeles']
    """
    spans: dict[tuple[int, int], TextSpan] = {}
    for span in (*_quoted(text), *_dates(text), *_typed(text), *_formulas(text), *_names(text)):
        spans.setdefault((span.start, span.end), span)
    for span in _phrases(text):
        if len(spans) >= MAX_PHRASES:
            break
        spans.setdefault((span.start, span.end), span)
    return [*spans.values()]


def _quoted(text: str) -> Iterator[TextSpan]:
    for match in _QUOTED.finditer(text):
        group = match.lastindex or 0
        if match.end() - match.start() < len(text) - 2 and match.group(group).strip():
            yield TextSpan(*match.span(group), match.group(group), "quoted")


def _typed(text: str) -> Iterator[TextSpan]:
    for match in _TYPED.finditer(text):
        code = match[0].rstrip(".")
        yield TextSpan(match.start(), match.start() + len(code), code, "typed")


def _dates(text: str) -> Iterator[TextSpan]:
    for start, end, day in dates_in(text):
        yield TextSpan(start, end, text[start:end], "date", day)


def dates_in(text: str) -> Iterator[tuple[int, int, date]]:
    """Start, end and day of each date written with its year.

    >>> [day.isoformat() for _, _, day in dates_in("from March 4, 2021 to 2021-05-01")]
    ['2021-03-04', '2021-05-01']
    """
    for match in _DATES.finditer(text):
        parts = {key[0]: part for key, part in match.groupdict().items() if part}
        month = int(parts["m"]) if "m" in parts else MONTH_NUMBERS[parts["n"].lower()]
        day, year = int(parts["d"]), int(parts["y"])
        if month > 12 >= day:
            day, month = month, day
        try:
            yield *match.span(), date(year, month, day)
        except ValueError:
            continue


def _formulas(text: str) -> Iterator[TextSpan]:
    for match in _FORMULA.finditer(text):
        formula = match[0].strip()
        has_operand = re.search(r"\d|[a-z]\^|\b[a-z]\b", formula)
        if not has_operand or not re.search(r"[*^+=/(]|\s-\s", formula):
            continue
        formula = formula.rstrip(".")
        for part in dict.fromkeys((formula, formula.rpartition("=")[2].strip())):
            start = match.start() + match[0].rindex(part)
            if len(part) > 1:
                yield TextSpan(start, start + len(part), part, "formula")


def tokens_of(text: str) -> list[Token]:
    """The words of a text, without quotes, possessive endings and full stops."""
    tokens = []
    for match in _TOKEN.finditer(text):
        word = match[0].strip("'‘’")
        start = match.start() + match[0].find(word)
        if word.endswith(".") and not re.fullmatch(r"(?:[A-Za-z]\.)+", word):
            word = word.rstrip(".")
        word = word.removesuffix("'s").removesuffix("’s")
        if word:
            tokens.append((start, start + len(word), word))
    return tokens


def _adjacent(text: str, left: Token, right: Token) -> bool:
    return text[left[1] : right[0]].strip() == "" and "\n" not in text[left[1] : right[0]]


def _names(text: str) -> Iterator[TextSpan]:
    """Runs of capitalised words, which "of" and "the" may join; before each run the one with a
    second part after a comma: "Paris, France" before "Paris"."""
    tokens = tokens_of(text)
    runs: list[tuple[int, int]] = []
    index = 0
    while index < len(tokens):
        start, _, word = tokens[index]
        if not word[:1].isupper() or (word.lower() in FUNCTION_WORDS and len(word) > 1):
            index += 1
            continue
        last = index
        while last + 1 < len(tokens) and _adjacent(text, tokens[last], tokens[last + 1]):
            following = tokens[last + 1][2]
            joins = following.lower() in ("of", "the", "and", "&", "de", "la", "v", "v.", "vs")
            if following[:1].isupper() or (following.isdigit() and len(following) < 5):
                last += 1
            elif joins and last + 2 < len(tokens) and tokens[last + 2][2][:1].isupper():
                last += 2
            else:
                break
        before = text[max(0, start - 16) : start].rstrip()[-1:]
        begins_sentence = index == 0 or before in (".", "?", "!", "")
        if not (begins_sentence and last == index):
            runs.append((index, last))
        if begins_sentence and last > index:
            runs.append((index + 1, last))
        index = last + 1
    for (first, last), (next_first, next_last) in zip(runs, [*runs[1:], (-1, -1)]):
        between = text[tokens[last][1] : tokens[next_first][0]]
        if next_first == last + 1 and between in (", ", ","):
            yield _span_over(text, tokens, first, next_last, "name")
        yield _span_over(text, tokens, first, last, "name")


def _span_over(text: str, tokens: list[Token], first: int, last: int, kind: str) -> TextSpan:
    start, end = tokens[first][0], tokens[last][1]
    return TextSpan(start, end, text[start:end], kind)


def _phrases(text: str) -> Iterator[TextSpan]:
    """Runs of words without a function word at either end: first those between function words
    or punctuation, then parts of them."""
    tokens = tokens_of(text)
    is_function = [word.lower() in FUNCTION_WORDS for _, _, word in tokens]
    adjacent = [_adjacent(text, *pair) for pair in pairwise(tokens)]
    ranked: list[tuple[int, int, int]] = []
    for first in range(len(tokens)):
        for last in range(first, min(len(tokens), first + MAX_PHRASE_WORDS)):
            if last > first and not adjacent[last - 1]:
                break
            if is_function[first] or is_function[last]:
                continue
            inner = sum(is_function[first : last + 1])
            alphanumeric = any(sign.isalnum() for sign in tokens[first][2] + tokens[last][2])
            if inner > 2 or not alphanumeric:
                continue
            left = first == 0 or is_function[first - 1] or not adjacent[first - 1]
            right = last + 1 == len(tokens) or is_function[last + 1] or not adjacent[last]
            cost = 2 * inner + (not left) + (not right) + (last - first > 3)
            ranked.append((cost, first, last))
    for _, first, last in sorted(ranked):
        yield _span_over(text, tokens, first, last, "phrase")
