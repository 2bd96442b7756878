"""Rules that read facts out of plain sentences, without a model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from ..core import Record, Time
from .claim_drafts import Draft, Said, said
from .claim_likeness import MONTHS

SHAPES = Path(__file__).parent / "claim_shapes.txt"

_NAME = r"[A-Z][\w.'’-]*?(?: (?:[A-Z][\w.'’-]*?|of|the))*?"
_WHEN = "now|again|these days|nowadays|today|yesterday|at last|any ?more"
_JOINS = f"{_WHEN}|since|until|last|this|but|and|because|with|from|as of"
_PIECES = {
    "WHO": rf"(?P<s>{_NAME}|[Ii]|[Yy]ou)",
    "OWNER": rf"(?:(?P<s>{_NAME})['’]s?|(?P<my>[Mm]y|[Yy]our))",
    "NAME": _NAME,
    "NOW": "(?:(?:now|still|currently|just|has|have|recently|already|finally|also) )*",
    "BE": "(?:is|am|are|['’]m|['’]re|was|has been|have been)",
    "NOUN": "(?P<r>[a-z]+(?: [a-z]+)?)",
    "DIGITS": r"(?P<o>\+?\d[\d /()-]{2,}\d)",
    "O": "(?P<o>[^.,;!?]+?)",
    "END": rf"(?= (?:{_JOINS}) | (?:{_WHEN})$|$|[.,;!])",
}
_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“])|\n+")
_CLAUSES = re.compile(
    r"[,;]? (?:and|but) (?=(?:I|[Mm]y|you|your|[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*) )"
    r"|,? and (?=(?:lives?|works?|plays?|studies|drives?|moved|likes?|is|has) )"
)
_VERB = re.compile(r"(?:lives?|works?|plays?|studies|drives?|moved|likes?|is|has) ")
# What is asked, supposed, wished or denied was not said to be so. ("May" is a month.)
_UNSURE = re.compile(
    r"\?|\bmay\b|(?i:\b(?:if|would|could|should|might|maybe|perhaps|wants? to|wish\w*|"
    r"hopes? to|dreams? of|plans? to|not|never|used to|almost|nearly|pretends?|imagine)\b)|n['’]t\b"
)
_SINCE = re.compile(
    rf"\b(?:since|as of|from|in)\s+(?:(?P<day>\d{{1,2}}) )?"
    rf"(?:(?P<month>{MONTHS.replace(' ', '|')}) )?(?P<year>(?:19|20)\d\d)\b",
    re.IGNORECASE,
)
_AGO = {"yesterday": 1, "last week": 7, "last month": 30, "last year": 365}
_NOBODY = {"it", "he", "she", "they", "we", "this", "that", "there", "what", "who", "everybody"}
_OPENINGS = {"and", "but", "so", "the", "now", "then", "today", "dr", "dr.", "mr.", "mrs."}


@cache
def shapes() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The relations and what they look like, in the order in which they are tried."""
    found = []
    for line in SHAPES.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        relation, _, shape = line.partition(" = ")
        for name, piece in _PIECES.items():
            shape = shape.replace(f"<{name}>", piece)
        found.append((relation, re.compile(shape)))
    return tuple(found)


def drafts(record: Record) -> list[Draft]:
    """The facts a record's words state, by rule; each once, in the order of the text.

    >>> now = datetime(2023, 1, 1)
    >>> line = Record(id=4, kind="thought", text="Ada moved to Porto.", created=now)
    >>> [(d.subject, d.relation, d.object) for d in drafts(line)]
    [('Ada', 'lives in', 'Porto')]
    """
    line = said(record)
    found: dict[tuple[str, str, str], Draft] = {}
    for sentence in _SENTENCES.split(line.words):
        if sentence.rstrip("\"' ").endswith("?"):
            continue
        subject = ""
        for clause in _CLAUSES.split(sentence.strip()):
            whole = f"{subject} {clause}" if subject and _VERB.match(clause) else clause
            for draft in _in_clause(whole, line, record):
                subject = draft.subject
                found.setdefault((draft.subject, draft.relation, draft.object), draft)
    return list(found.values())


def _in_clause(clause: str, line: Said, record: Record) -> Iterator[Draft]:
    since = _since(clause, record.created)
    unsure = bool(_UNSURE.search(clause))
    taken: set[str] = set()
    for relation, shape in shapes():
        denies = relation.startswith("-")
        if unsure and not denies:
            return
        match = shape.search(clause)
        if not match or not (subject := _subject(match, line)):
            continue
        thing = _clean(match["o"] or "")
        # The first shape that reads an object has it: "likes soup best" is no second liking.
        if not denies and (not thing or any(thing in other or other in thing for other in taken)):
            continue
        taken.add(thing)
        name = relation.lstrip("+-")
        yield Draft(
            subject=subject,
            relation=name.replace("*", match["r"]) if "*" in name else name,
            object=thing,
            source=record.id,
            since=since,
            denies=denies,
            replaces=relation.startswith("+"),
            confidence=0.7 if relation.startswith("+") else 0.9,
        )
        if denies:
            return


def _subject(match: re.Match[str], line: Said) -> str:
    """Whom a match speaks of; empty where that is nobody by name."""
    name = match["s"] if match["s"] else match.groupdict().get("my") or ""
    if name.casefold() in ("i", "my"):
        return line.who
    if name.casefold() in ("you", "your"):
        return line.to
    words = name.split()
    while words and words[0].casefold() in _OPENINGS:
        words = words[1:]
    plain = " ".join(words)
    return "" if plain.casefold() in _NOBODY else plain


def _clean(thing: str) -> str:
    return re.sub(rf"\s+(?:{_WHEN})$", "", thing.strip(" \"'”")).strip()


def _since(clause: str, now: Time) -> Time | None:
    if match := _SINCE.search(clause):
        month = MONTHS.split().index(match["month"].lower()) + 1 if match["month"] else 1
        try:
            moment = datetime(int(match["year"]), month, int(match["day"] or 1))
        except ValueError:
            return None
        return moment if moment <= now else None
    for words, days in _AGO.items():
        if words in clause.lower():
            return now - timedelta(days=days)
    return None
