"""Pieces of a request that may be an argument's text: names, phrases, quotations, lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from ...core.text import MONTH_NUMBERS

MAX_PHRASES = 40  # phrases of a request that are weighed; a longer request has its plainest ones
MAX_PHRASE_WORDS = 7  # in a phrase

_FUNCTION_WORDS_TEXT = """
a an the and or but if then else of in on at by for from to with without into onto over under
about between among through during before after since until till within against as than that
this these those there here it its is are was were be been being am do does did done has have had
having will would can could should shall may might must i me my mine you your yours he him his
she her we us our they them their who whom whose which what when where why how not no don't
please also just only some any all each every both more most very so such using use used via
per let's let want need like tell show give get find i'm i'd i'll what's it's
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS_TEXT.split())
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
    """``text`` as found at ``start`` to ``end`` of the request. ``kind``: quoted, typed (an
    address, a code), date, formula, name (capitalised) or phrase."""

    start: int
    end: int
    text: str
    kind: str = "phrase"
    day: date | None = None


def spans_in(text: str) -> list[TextSpan]:
    """The pieces of a text, none twice, in the order of how plainly they stand out.

    >>> [one.text for one in spans_in("Play 'Hey Jude' in Los Angeles, California")][:3]
    ['Hey Jude', 'Los Angeles, California', 'Los Angeles']
    """
    found: dict[tuple[int, int], TextSpan] = {}
    for span in (*_quoted(text), *_dates(text), *_typed(text), *_formulas(text), *_names(text)):
        found.setdefault((span.start, span.end), span)
    for span in _phrases(text):
        if len(found) >= MAX_PHRASES:
            break
        found.setdefault((span.start, span.end), span)
    return [*found.values()]


def _quoted(text: str) -> Iterator[TextSpan]:
    for match in _QUOTED.finditer(text):
        group = match.lastindex or 0
        if match.end() - match.start() < len(text) - 2 and match.group(group).strip():
            yield TextSpan(*match.span(group), match.group(group), "quoted")


def _typed(text: str) -> Iterator[TextSpan]:
    for match in _TYPED.finditer(text):
        text_found = match.group().rstrip(".")
        yield TextSpan(match.start(), match.start() + len(text_found), text_found, "typed")


def _dates(text: str) -> Iterator[TextSpan]:
    for start, end, when in dates_in(text):
        yield TextSpan(start, end, text[start:end], "date", when)


def dates_in(text: str) -> Iterator[tuple[int, int, date]]:
    """Start, end and day of each date that is written with its year.

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
            when = date(year, month, day)
        except ValueError:
            continue
        yield *match.span(), when


def _formulas(text: str) -> Iterator[TextSpan]:
    for match in _FORMULA.finditer(text):
        whole = match.group().strip()
        if not re.search(r"\d|[a-z]\^|\b[a-z]\b", whole) or not re.search(r"[*^+=/(]|\s-\s", whole):
            continue
        whole = whole.rstrip(".")
        for part in dict.fromkeys((whole, whole.rpartition("=")[2].strip())):
            at = match.start() + match.group().rindex(part)
            if len(part) > 1:
                yield TextSpan(at, at + len(part), part, "formula")


def tokens_of(text: str) -> list[tuple[int, int, str]]:
    """Start, end and text of each word, without the stop at its end."""
    found = []
    for match in _TOKEN.finditer(text):
        word = match.group()
        bare = word.strip("'‘’")
        lead = word.find(bare) if bare else 0
        if bare.endswith(".") and not re.fullmatch(r"(?:[A-Za-z]\.)+", bare):
            bare = bare.rstrip(".")
        for tail in ("'s", "’s"):  # the owner's name, without its case
            bare = bare.removesuffix(tail)
        if bare:
            start = match.start() + lead
            found.append((start, start + len(bare), bare))
    return found


def _only_blanks_between(
    text: str, left: tuple[int, int, str], right: tuple[int, int, str]
) -> bool:
    """Whether only blanks stand between two words."""
    return text[left[1] : right[0]].strip() == "" and "\n" not in text[left[1] : right[0]]


def _names(text: str) -> Iterator[TextSpan]:
    """Capitalised words in a row ("of" and "the" may join them), with what follows a comma
    first: "Paris, France" before "Paris"."""
    tokens = tokens_of(text)
    runs: list[tuple[int, int]] = []
    place = 0
    while place < len(tokens):
        word = tokens[place][2]
        first = place == 0 or text[max(0, tokens[place][0] - 16) : tokens[place][0]].rstrip()[
            -1:
        ] in (".", "?", "!", "")
        if not word[:1].isupper() or (word.lower() in FUNCTION_WORDS and len(word) > 1):
            place += 1
            continue
        last = place
        while last + 1 < len(tokens) and _only_blanks_between(text, tokens[last], tokens[last + 1]):
            following = tokens[last + 1][2]
            inner = following.lower() in ("of", "the", "and", "&", "de", "la", "v", "v.", "vs")
            if following[:1].isupper() or (following.isdigit() and len(following) < 5):
                last += 1
            elif inner and last + 2 < len(tokens) and tokens[last + 2][2][:1].isupper():
                last += 2
            else:
                break
        if not (first and last == place):
            runs.append((place, last))
        if first and last > place:
            runs.append((place + 1, last))
        place = last + 1
    for number, (begin, end) in enumerate(runs):
        if number + 1 < len(runs):
            after, finish = runs[number + 1]
            between = text[tokens[end][1] : tokens[after][0]]
            if between in (", ", ",") and after == end + 1:
                yield _span_over(text, tokens, begin, finish, "name")
        yield _span_over(text, tokens, begin, end, "name")


def _span_over(
    text: str, tokens: list[tuple[int, int, str]], begin: int, end: int, kind: str
) -> TextSpan:
    start, stop = tokens[begin][0], tokens[end][1]
    return TextSpan(start, stop, text[start:stop], kind)


def _phrases(text: str) -> Iterator[TextSpan]:
    """Words in a row without a function word at either end: whole runs first, then what is
    between other words, shorter ones last."""
    tokens = tokens_of(text)
    found: list[tuple[int, int, int]] = []
    for begin in range(len(tokens)):
        for end in range(begin, min(len(tokens), begin + MAX_PHRASE_WORDS)):
            if end > begin and not _only_blanks_between(text, tokens[end - 1], tokens[end]):
                break
            if any(tokens[i][2].lower() in FUNCTION_WORDS for i in (begin, end)):
                continue
            if not any(sign.isalnum() for sign in tokens[begin][2] + tokens[end][2]):
                continue
            inner = sum(tokens[i][2].lower() in FUNCTION_WORDS for i in range(begin, end + 1))
            left = begin == 0 or tokens[begin - 1][2].lower() in FUNCTION_WORDS
            left = left or not _only_blanks_between(text, tokens[begin - 1], tokens[begin])
            right = end + 1 == len(tokens) or tokens[end + 1][2].lower() in FUNCTION_WORDS
            right = right or not _only_blanks_between(text, tokens[end], tokens[end + 1])
            if inner > 2:
                continue
            cost = 2 * inner + (not left) + (not right) + (end - begin > 3)
            found.append((cost, begin, end))
    for _, begin, end in sorted(found):
        yield _span_over(text, tokens, begin, end, "phrase")
