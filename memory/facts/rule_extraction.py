"""Rules that read facts out of plain sentences, without a model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from ...core import Record, Time
from ...core.text import MONTH_NAMES, MONTH_NUMBERS
from ..index import find_date_spans
from .extracted_facts import ExtractedFact, SpokenLine, spoken_line

PATTERNS_FILE = Path(__file__).parent / "relation_patterns.txt"

HEARSAY_CONFIDENCE = 0.5
"""Confidence of what somebody is said to have said."""
MAX_CLAUSE_CHARS = 400
"""Characters of a clause that rules look at; what is longer is no plain sentence."""

# "Now I", "Yesterday you": who speaks or is spoken to is never a part of a name.
_CAPITAL = r"(?!(?:I|You|My|Your)(?![\w.-]))[A-Z][\w.'’-]*?"
_NAME = rf"(?<!\w){_CAPITAL}(?: (?:{_CAPITAL}|of|the))*?"
_WHEN = (
    "now|again|these days|nowadays|today|yesterday|at last|any ?more|any longer|either|for good|"
    "for ?ever"
)
_JOINS = f"{_WHEN}|since|until|last|this|but|and|because|with|from|as of"
_PIECES = {
    "WHO": rf"(?P<s>{_NAME}|(?<!\w)(?:[Ii]|[Yy]ou))",
    "OWNER": rf"(?:(?P<s>{_NAME})['’]s?|(?P<my>(?<!\w)(?:[Mm]y|[Yy]our)))",
    "NO": r"(?:(?:really|just|still) )*(?:do|does|did)(?:n['’]t| not)(?: (?:really|even|still))?",
    "NAME": _NAME,
    "NOW": "(?:(?:now|still|currently|just|has|have|recently|already|finally|also) )*",
    "BE": "(?:is|am|are|['’]m|['’]re|was|has been|have been)",
    "NOUN": "(?P<r>[a-z]+(?: [a-z]+)?)",
    "DIGITS": r"(?P<o>\+?\d[\d /()-]{2,}\d)",
    "O": "(?P<o>[^.,;!?]+?)",
    "END": rf"(?= (?:{_JOINS}) | (?:{_WHEN})(?:$|[.,;!])|$|[.,;!])",
}
_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“])|\n+")
_BEGINS = (
    r"(?=(?:(?:now|today|then|these days|so|instead|yesterday|also) )?"
    r"(?:I|[Mm]y|[Yy]ou|[Yy]our|[A-Z][\w'’-]{0,40}(?: [A-Z][\w'’-]{0,40}){0,3}) )"
)
_VERBS = "lives?|works?|plays?|studies|drives?|moved|likes?|is|has"
_CLAUSES = re.compile(
    rf"[,;:]? (?:and|but|so|because|while|although|though) {_BEGINS}|[,;:] {_BEGINS}"
    rf"|,? and (?=(?:{_VERBS}) )"
)
_VERB = re.compile(rf"(?:{_VERBS}) ")
# What is asked, supposed or wished was not said to be so. ("May" is a month.)
_SUPPOSED = re.compile(
    r"\?|\bmay\b|(?i:\b(?:if|unless|whether|would|could|should|might|maybe|perhaps|wants? to|"
    r"wish\w*|hopes? to|hoping to|dreams? (?:of|that|about)|dream(?:t|ed|ing)|plans? to|"
    r"planning to|almost|nearly|pretend\w*|imagine|suppos\w+|in case|as though|"
    r"(?:think|believe|guess|doubt|suspect|assume|claim)(?:s|ed)?|thought|probably|"
    r"going to)\b)|['’](?:d|ll)\b"
)
_DENIED = re.compile(
    r"(?i:\b(?:not|never|neither|nor|used to|no longer|stopped|hardly)\b)|n['’]t\b"
)
# "When I live in Rome, I will ...": the part before the comma is no fact, the rest may be.
_FRONTED = re.compile(
    r"(?i:when(?:ever)?|once|as soon as|until|till|before|after|while|by the time|the day)\b"
    r"[^,]*(?:, |$)"
)
_TRAILING = re.compile(r"(?i:,? (?:when(?:ever)?|once|as soon as|by the time|as long as) .*$)")
_INSTEAD = re.compile(r", (?:and |but )?not (?!only)[^,;.!?]*")
# Who is said to have said it; their words are not the speaker's own.
_TELLS = (
    "says?|said|told|tells?|wrote|writes|replied|answered|shouted|whispered|added|claims|claimed|"
    "insists|insisted|mentioned|reports|reported|heard|asked"
)
_REPORTED = re.compile(
    rf"\b(?P<who>[\w’'-]+)(?: (?:has|have|had|just|once))? (?:{_TELLS})\b(?![:,]? ?[\"“])"
)
# "Tom says: I live in Hull", "I live in Hull, says Tom": the whole sentence is his.
_TOLD_BEFORE = re.compile(
    rf"\b(?P<who>[\w’'-]{{1,40}})(?: \w{{1,40}})? (?:{_TELLS})(?: \w{{1,40}})?: "
)
_TOLD_AFTER = re.compile(
    rf", (?:(?P<who>[\w’'-]{{1,40}}) (?:{_TELLS})|(?:{_TELLS}) (?P<last>[\w’'-]{{1,40}}))"
    r"[.!]{0,3}$"
)
_DOUBTED = re.compile(r"\b(I|You|you) (?:do not|don['’]t) (?:think|believe)(?: that)? (?:I|you) ")
_QUOTE = re.compile(r"(?P<open>[\"“])(?P<words>[^\"“”]{1,1000})[\"”]")
_TELLER = re.compile(
    rf"(?P<who>{_NAME}|(?<!\w)I)(?: (?:just|once|then|has|have|had))? (?:{_TELLS})"
    rf"(?: (?:to )?(?P<to>me|us|you|him|her|them|{_NAME}))?(?: that)?[,:]? *$"
)
_TOLD_BY = re.compile(rf"[,.]? *(?:{_TELLS}) (?P<who>{_NAME}|I)(?=[\s.,;!?]|$)")
_BEFORE = 80  # characters before and after a quotation in which its speaker is looked for
# A name after one of these is no subject: "the mayor of Rome lives in Bath".
_AFTER = re.compile(r"(?i:\b(?:of|in|at|from|to|with|for|near|by|than|on|about) |['’]s )$")
_ITEMS = re.compile(
    r"(?P<more>(?:, (?!(?:and|but|or) )[^,;.!?]{1,40}){0,20}),? (?:and|or) "
    r"(?P<last>[^,;.!?]{1,40}?)(?=$|[,;.!?])"
)
_SEVERAL = frozenset({"likes", "knows"})
_EDGE = re.compile(r"(?i:\s*\b(?:in|on|since|from|as of|at|by|of|during|until|around)\s*)$")
_DATED = re.compile(r"(?i:\bbirthday\b|\bborn\b)")
_UNTIL = re.compile(r"(?i:until|till|by|before)\b")
_SHORT = re.compile(r"(?<!\w)([Ii]|[Yy]ou)['’](m|re|ve)\b")
_FULL = {"m": "am", "re": "are", "ve": "have"}
_SINCE = re.compile(
    rf"\b(?:since|as of|from|in)\s+(?:(?P<day>\d{{1,2}}) )?"
    rf"(?:(?P<month>{'|'.join(MONTH_NAMES)}) )?(?P<year>(?:19|20)\d\d)\b",
    re.IGNORECASE,
)
_AGO = {"yesterday": 1, "last week": 7, "last month": 30, "last year": 365}
_NOBODY_WORDS = (
    "it he she they we this that there what who everybody everyone nobody someone somebody one "
    "which here these those people"
)
_NOTHING_WORDS = "it that this them him her you me us there here so everything nothing one"
_OPENING_WORDS = (
    "and but so the now then today yesterday dr dr. mr. mrs. well yes yeah no oh ok okay sure "
    "tonight recently lately finally actually honestly sadly luckily hi hello hey anyway besides "
    "also still currently nowadays guess since on in at once when monday tuesday wednesday "
    "thursday friday saturday sunday"
)
_NOBODY = frozenset(_NOBODY_WORDS.split())
_NOTHING = frozenset(_NOTHING_WORDS.split())
_OPENINGS = frozenset(_OPENING_WORDS.split())


@cache
def relation_patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The relations and what they look like, in the order in which they are tried."""
    found = []
    for line in PATTERNS_FILE.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        relation, _, shape = line.partition(" = ")
        for name, piece in _PIECES.items():
            shape = shape.replace(f"<{name}>", piece)
        found.append((relation, re.compile(shape)))
    return tuple(found)


def extract_facts(record: Record) -> list[ExtractedFact]:
    """The facts a record's words state, by rule; each once, in the order of the text.

    >>> now = datetime(2023, 1, 1)
    >>> line = Record(id=4, kind="thought", text="Ada moved to Porto.", created=now)
    >>> [(d.subject, d.relation, d.object) for d in extract_facts(line)]
    [('Ada', 'lives in', 'Porto')]
    """
    line = spoken_line(record)
    found: dict[tuple[str, str, str], ExtractedFact] = {}
    for part in _speeches(line):
        for draft in _in_words(part, record):
            found.setdefault((draft.subject, draft.relation, draft.object), draft)
    return list(found.values())


def _speeches(line: SpokenLine) -> Iterator[SpokenLine]:
    """A line without what it quotes of others, then each quotation with its own speaker;
    those of nobody known are left out. A quoted title stays where it is."""
    rest, quoted, at = [], [], 0
    for quote in _QUOTE.finditer(line.words):
        before = line.words[max(0, quote.start() - _BEFORE) : quote.start()]
        after = line.words[quote.end() : quote.end() + _BEFORE]
        told = _TELLER.search(before) or _TOLD_BY.match(after)
        own = re.match(r"(?i:i|my|you|we)\b", quote["words"])
        if not told and not own and not re.search(rf"\b(?:{_TELLS})[,:]? *$", before):
            continue
        rest.append(line.words[at : quote.start()])
        at = quote.end()
        if told:
            others = told.groupdict().get("to") or ""
            to = line.who if others == "me" else line.to if others == "you" else others
            who = line.who if told["who"] == "I" else _bare(told["who"])
            if who.casefold() in _NOBODY:
                continue
            quoted.append(SpokenLine(who, "" if to in _NOTHING else to, quote["words"]))
    rest.append(line.words[at:])
    yield SpokenLine(line.who, line.to, " … ".join(rest))
    yield from quoted


def _in_words(line: SpokenLine, record: Record) -> Iterator[ExtractedFact]:
    for sentence in _SENTENCES.split(line.words):
        sentence = sentence.strip()
        if sentence.rstrip("\"' ").endswith("?") or re.match(r"(?i:if|unless)\b", sentence):
            continue
        if front := _FRONTED.match(sentence):
            sentence = sentence[front.end() :]
        passed_on = _passed_on(sentence)
        sentence = _DOUBTED.sub(r"\1 do not ", sentence)
        subject, heard = "", passed_on
        for clause in _CLAUSES.split(_INSTEAD.sub("", sentence)):
            if len(clause) > MAX_CLAUSE_CHARS:
                continue
            whole = f"{subject} {clause}" if subject and _VERB.match(clause) else clause
            if re.search(r"(?i:\b(?:if|unless)\b)", clause):
                break  # What follows is under the condition too.
            whole = _SHORT.sub(lambda place: f"{place[1]} {_FULL[place[2]]}", whole)
            teller = _REPORTED.search(whole)
            reported = passed_on or (teller is not None and teller["who"] != "I")
            heard = heard or reported
            for draft in _in_clause(whole, line, record, reported=reported):
                subject = draft.subject
                # What is only passed on counts less, to the end of its sentence.
                yield replace(draft, confidence=HEARSAY_CONFIDENCE) if heard else draft


def _passed_on(sentence: str) -> bool:
    """Whether a sentence is somebody else's, told before it and a colon or at its end."""
    if found := _TOLD_BEFORE.search(sentence):
        return found["who"] != "I"
    found = _TOLD_AFTER.search(sentence)
    return found is not None and (found["who"] or found["last"]) != "I"


def _in_clause(
    clause: str, line: SpokenLine, record: Record, *, reported: bool
) -> Iterator[ExtractedFact]:
    if _SUPPOSED.search(clause):
        return
    since = _since(clause, record.created)
    clause, moment = _undated(_TRAILING.sub("", clause), record.created)
    since = since or moment
    denied = bool(_DENIED.search(clause))
    taken: set[str] = set()
    for relation, shape in relation_patterns():
        denies = relation.startswith("-")
        if denied and not denies:
            return  # The shapes that deny stand first.
        match = shape.search(clause)
        if not match or not (subject := _subject(match, line, reported)):
            continue
        thing = _clean(match["o"] or "")
        if (not denies and not thing) or thing.casefold() in _NOTHING:
            continue
        # The first shape that reads an object has it: "likes soup best" is no second liking.
        if not denies and any(thing in other or other in thing for other in taken):
            continue
        name = relation.lstrip("+-")
        objects = [thing, *_others(clause[match.end("o") :])] if name in _SEVERAL else [thing]
        taken.update(objects)
        for each in objects:
            yield ExtractedFact(
                subject=subject,
                relation=name.replace("*", match["r"]) if "*" in name else name,
                object=each,
                source=record.id,
                since=since,
                denies=denies,
                replaces=relation.startswith("+"),
                confidence=0.7 if relation.startswith("+") else 0.9,
            )
        denied |= denies


def _others(rest: str) -> list[str]:
    """The further items of a list: "(tea), rye bread and jam"; of two only where the second is
    a name, since "(tea) and swim a lot" is none."""
    match = _ITEMS.match(rest)
    if not match:
        return []
    more = [item.strip() for item in match["more"].split(", ") if item.strip()]
    last = _clean(match["last"])
    if not more and not last[:1].isupper():
        return []
    return [item for item in [*more, last] if item and len(item.split()) <= 3]


def _undated(clause: str, now: Time) -> tuple[str, Time | None]:
    """A clause without the times it speaks of, and when the first of those that are past
    began: they are no part of what is said to be so."""
    if _DATED.search(clause):
        return clause, None
    times = find_date_spans(clause, now)
    for time in times:
        before, _, after = clause.partition(time.matched_text)
        clause = " ".join(f"{_EDGE.sub('', before)} {after.lstrip(' ,')}".split())
    past = [
        time.start for time in times if time.start <= now and not _UNTIL.match(time.matched_text)
    ]
    return clause, past[0] if past else None


def _subject(match: re.Match[str], line: SpokenLine, reported: bool) -> str:
    """Whom a match speaks of; empty where that is nobody by name."""
    name = match["s"] if match["s"] else match.groupdict().get("my") or ""
    # "Bo says I live in Rome": what others say of oneself is not one's own word.
    if name.casefold() in ("i", "my"):
        return "" if reported else line.who
    if name.casefold() in ("you", "your"):
        return "" if reported else line.to
    if _AFTER.search(match.string, 0, match.start("s")):
        return ""
    plain = _bare(name)
    return "" if plain.casefold() in _NOBODY else plain


def _bare(name: str) -> str:
    """A name without the words that may open a sentence before it."""
    words = name.split()
    while words and words[0].casefold() in _OPENINGS:
        words = words[1:]
    return " ".join(words)


def _clean(thing: str) -> str:
    return re.sub(rf"\s+(?:{_WHEN})$", "", thing.strip(" \"'”")).strip()


def _since(clause: str, now: Time) -> Time | None:
    if match := _SINCE.search(clause):
        month = MONTH_NUMBERS[match["month"].lower()] if match["month"] else 1
        try:
            moment = datetime(int(match["year"]), month, int(match["day"] or 1))
        except ValueError:
            return None
        return moment if moment <= now else None
    for words, days in _AGO.items():
        if words in clause.lower():
            return now - timedelta(days=days)
    return None
