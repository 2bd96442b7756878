"""Fact extraction by rules (regular expressions) from plain sentences, without a model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path

from ...core import Record, SettingError, Time, local_time, machine_time, time_zone
from ...core.text import MONTH_NAMES, MONTH_NUMBERS
from ..index import find_date_spans
from .extracted_facts import AttributedLine, ExtractedFact, attributed_line

PATTERNS_FILE = Path(__file__).parent / "relation_patterns.txt"

HEARSAY_CONFIDENCE = 0.5
"""Confidence of a fact from reported speech."""
MAX_CLAUSE_CHARS = 400
"""Clauses with more characters are skipped."""

# "Now I", "Yesterday you": a pronoun of the speaker or listener is never part of a name.
_CAPITAL = r"(?!(?:I|You|My|Your)(?![\w.-]))[A-Z][\w.'’-]*?"
_NAME = rf"(?<!\w){_CAPITAL}(?: (?:{_CAPITAL}|of|the))*?"
_TIME_WORDS = (
    "now|again|these days|nowadays|today|yesterday|at last|any ?more|any longer|either|for good|"
    "for ?ever"
)
_JOINS = f"{_TIME_WORDS}|since|until|last|this|but|and|because|with|from|as of"
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
    "END": rf"(?= (?:{_JOINS}) | (?:{_TIME_WORDS})(?:$|[.,;!])|$|[.,;!])",
}
_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“])|\n+")
_CLAUSE_START = (
    r"(?=(?:(?:now|today|then|these days|so|instead|yesterday|also) )?"
    r"(?:I|[Mm]y|[Yy]ou|[Yy]our|[A-Z][\w'’-]{0,40}(?: [A-Z][\w'’-]{0,40}){0,3}) )"
)
_VERBS = "lives?|works?|plays?|studies|drives?|moved|likes?|is|has"
_CLAUSES = re.compile(
    rf"[,;:]? (?:and|but|so|because|while|although|though) {_CLAUSE_START}|[,;:] {_CLAUSE_START}"
    rf"|,? and (?=(?:{_VERBS}) )"
)
_VERB = re.compile(rf"(?:{_VERBS}) ")
# Clauses that ask, suppose or wish state no fact. ("May" is a month.)
_HYPOTHETICAL = re.compile(
    r"\?|\bmay\b|(?i:\b(?:if|unless|whether|would|could|should|might|maybe|perhaps|wants? to|"
    r"wish\w*|hopes? to|hoping to|dreams? (?:of|that|about)|dream(?:t|ed|ing)|plans? to|"
    r"planning to|almost|nearly|pretend\w*|imagine|suppos\w+|in case|as though|"
    r"(?:think|believe|guess|doubt|suspect|assume|claim)(?:s|ed)?|thought|probably|"
    r"going to)\b)|['’](?:d|ll)\b"
)
_NEGATION = re.compile(
    r"(?i:\b(?:not|never|neither|nor|used to|no longer|stopped|hardly)\b)|n['’]t\b"
)
# "When I live in Rome, I will ...": the part before the comma states no fact, the rest may.
_LEADING_CLAUSE = re.compile(
    r"(?i:when(?:ever)?|once|as soon as|until|till|before|after|while|by the time|the day)\b"
    r"[^,]*(?:, |$)"
)
_TRAILING_CLAUSE = re.compile(
    r"(?i:,? (?:when(?:ever)?|once|as soon as|by the time|as long as) .*$)"
)
_INSTEAD = re.compile(r", (?:and |but )?not (?!only)[^,;.!?]*")
# Verbs of reported speech: the reported words are not the speaker's own.
_SPEECH_VERBS = (
    "says?|said|told|tells?|wrote|writes|replied|answered|shouted|whispered|added|claims|claimed|"
    "insists|insisted|mentioned|reports|reported|heard|asked"
)
_REPORTED = re.compile(
    rf"\b(?P<who>[\w’'-]+)(?: (?:has|have|had|just|once))? (?:{_SPEECH_VERBS})\b(?![:,]? ?[\"“])"
)
# "Tom says: I live in Hull", "I live in Hull, says Tom": the whole sentence is Tom's.
_REPORT_PREFIX = re.compile(
    rf"\b(?P<who>[\w’'-]{{1,40}})(?: \w{{1,40}})? (?:{_SPEECH_VERBS})(?: \w{{1,40}})?: "
)
_REPORT_SUFFIX = re.compile(
    rf", (?:(?P<who>[\w’'-]{{1,40}}) (?:{_SPEECH_VERBS})"
    rf"|(?:{_SPEECH_VERBS}) (?P<last>[\w’'-]{{1,40}}))"
    r"[.!]{0,3}$"
)
_NEGATED_BELIEF = re.compile(
    r"\b(I|You|you) (?:do not|don['’]t) (?:think|believe)(?: that)? (?:I|you) "
)
_QUOTE = re.compile(r"(?P<open>[\"“])(?P<words>[^\"“”]{1,1000})[\"”]")
_SPEAKER_BEFORE_QUOTE = re.compile(
    rf"(?P<who>{_NAME}|(?<!\w)I)(?: (?:just|once|then|has|have|had))? (?:{_SPEECH_VERBS})"
    rf"(?: (?:to )?(?P<to>me|us|you|him|her|them|{_NAME}))?(?: that)?[,:]? *$"
)
_SPEAKER_AFTER_QUOTE = re.compile(rf"[,.]? *(?:{_SPEECH_VERBS}) (?P<who>{_NAME}|I)(?=[\s.,;!?]|$)")
_SPEAKER_WINDOW = 80  # characters before and after a quotation searched for its speaker
# A name after one of these words is no subject: "the mayor of Rome lives in Bath".
_PREPOSITION_BEFORE = re.compile(
    r"(?i:\b(?:of|in|at|from|to|with|for|near|by|than|on|about) |['’]s )$"
)
_ITEMS = re.compile(
    r"(?P<more>(?:, (?!(?:and|but|or) )[^,;.!?]{1,40}){0,20}),? (?:and|or) "
    r"(?P<last>[^,;.!?]{1,40}?)(?=$|[,;.!?])"
)
_LIST_RELATIONS = frozenset({"likes", "knows"})
_DANGLING_PREPOSITION = re.compile(
    r"(?i:\s*\b(?:in|on|since|from|as of|at|by|of|during|until|around)\s*)$"
)
_DATE_RELATIONS = re.compile(r"(?i:\bbirthday\b|\bborn\b)")
_UNTIL = re.compile(r"(?i:until|till|by|before)\b")
_CONTRACTION = re.compile(r"(?<!\w)([Ii]|[Yy]ou)['’](m|re|ve)\b")
_FULL_VERBS = {"m": "am", "re": "are", "ve": "have"}
_SINCE = re.compile(
    rf"\b(?:since|as of|from|in)\s+(?:(?P<day>\d{{1,2}}) )?"
    rf"(?:(?P<month>{'|'.join(MONTH_NAMES)}) )?(?P<year>(?:19|20)\d\d)\b",
    re.IGNORECASE,
)
_AGO = {"yesterday": 1, "last week": 7, "last month": 30, "last year": 365}
_NON_SUBJECT_WORDS = (
    "it he she they we this that there what who everybody everyone nobody someone somebody one "
    "which here these those people"
)
_NON_OBJECT_WORDS = "it that this them him her you me us there here so everything nothing one"
_OPENING_WORDS = (
    "and but so the now then today yesterday dr dr. mr. mrs. well yes yeah no oh ok okay sure "
    "tonight recently lately finally actually honestly sadly luckily hi hello hey anyway besides "
    "also still currently nowadays guess since on in at once when monday tuesday wednesday "
    "thursday friday saturday sunday"
)
_NON_SUBJECTS = frozenset(_NON_SUBJECT_WORDS.split())
_NON_OBJECTS = frozenset(_NON_OBJECT_WORDS.split())
_SENTENCE_OPENERS = frozenset(_OPENING_WORDS.split())


@cache
def relation_patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Relations and their patterns, in the order in which they are tried. A leading "-" marks a
    pattern that denies the relation, "+" one that replaces earlier facts."""
    patterns = []
    for line in PATTERNS_FILE.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        relation, _, pattern = line.partition(" = ")
        for name, piece in _PIECES.items():
            pattern = pattern.replace(f"<{name}>", piece)
        patterns.append((relation, re.compile(pattern)))
    return tuple(patterns)


def extract_facts(record: Record) -> list[ExtractedFact]:
    """The facts that a record's text states, each once, in the order of the text.

    >>> now = datetime(2023, 1, 1)
    >>> record = Record(id=4, kind="thought", text="Ada moved to Porto.", created=now)
    >>> [(fact.subject, fact.relation, fact.object) for fact in extract_facts(record)]
    [('Ada', 'lives in', 'Porto')]
    """
    facts: dict[tuple[str, str, str], ExtractedFact] = {}
    for line in _split_quotations(attributed_line(record)):
        for fact in _facts_of_line(line, record):
            facts.setdefault((fact.subject, fact.relation, fact.object), fact)
    return list(facts.values())


def _split_quotations(line: AttributedLine) -> Iterator[AttributedLine]:
    """The line without its quotations, then each quotation with its own speaker. Quotations
    without a known speaker are dropped; quoted titles stay in the line."""
    rest, quotations, at = [], [], 0
    for quote in _QUOTE.finditer(line.words):
        before = line.words[max(0, quote.start() - _SPEAKER_WINDOW) : quote.start()]
        after = line.words[quote.end() : quote.end() + _SPEAKER_WINDOW]
        speaker = _SPEAKER_BEFORE_QUOTE.search(before) or _SPEAKER_AFTER_QUOTE.match(after)
        is_speech = re.match(r"(?i:i|my|you|we)\b", quote["words"]) or re.search(
            rf"\b(?:{_SPEECH_VERBS})[,:]? *$", before
        )
        if not speaker and not is_speech:
            continue
        rest.append(line.words[at : quote.start()])
        at = quote.end()
        if speaker:
            listener = speaker.groupdict().get("to") or ""
            to = line.who if listener == "me" else line.to if listener == "you" else listener
            who = line.who if speaker["who"] == "I" else _without_openers(speaker["who"])
            if who.casefold() in _NON_SUBJECTS:
                continue
            quotations.append(AttributedLine(who, "" if to in _NON_OBJECTS else to, quote["words"]))
    rest.append(line.words[at:])
    yield AttributedLine(line.who, line.to, " … ".join(rest))
    yield from quotations


def _facts_of_line(line: AttributedLine, record: Record) -> Iterator[ExtractedFact]:
    for sentence in _SENTENCES.split(line.words):
        sentence = sentence.strip()
        if sentence.rstrip("\"' ").endswith("?") or re.match(r"(?i:if|unless)\b", sentence):
            continue
        if leading := _LEADING_CLAUSE.match(sentence):
            sentence = sentence[leading.end() :]
        is_reported = _is_reported(sentence)
        sentence = _NEGATED_BELIEF.sub(r"\1 do not ", sentence)
        subject, is_hearsay = "", is_reported
        for clause in _CLAUSES.split(_INSTEAD.sub("", sentence)):
            if len(clause) > MAX_CLAUSE_CHARS:
                continue
            whole = f"{subject} {clause}" if subject and _VERB.match(clause) else clause
            if re.search(r"(?i:\b(?:if|unless)\b)", clause):
                break  # The rest of the sentence depends on the condition.
            whole = _CONTRACTION.sub(lambda match: f"{match[1]} {_FULL_VERBS[match[2]]}", whole)
            reporter = _REPORTED.search(whole)
            reported = is_reported or (reporter is not None and reporter["who"] != "I")
            is_hearsay = is_hearsay or reported
            for fact in _facts_of_clause(whole, line, record, reported=reported):
                subject = fact.subject
                # Reported speech lowers the confidence up to the end of its sentence.
                yield replace(fact, confidence=HEARSAY_CONFIDENCE) if is_hearsay else fact


def _is_reported(sentence: str) -> bool:
    """Whether a whole sentence is somebody else's, named before a colon or at its end."""
    if match := _REPORT_PREFIX.search(sentence):
        return match["who"] != "I"
    match = _REPORT_SUFFIX.search(sentence)
    return match is not None and (match["who"] or match["last"]) != "I"


def _facts_of_clause(
    clause: str, line: AttributedLine, record: Record, *, reported: bool
) -> Iterator[ExtractedFact]:
    if _HYPOTHETICAL.search(clause):
        return
    zone = _zone_of(record)
    now = local_time(record.created, zone)
    since = _stated_start(clause, now)
    clause, date = _without_dates(_TRAILING_CLAUSE.sub("", clause), now)
    since = since or date
    since = since and machine_time(since, zone)
    denied = bool(_NEGATION.search(clause))
    taken: set[str] = set()
    for relation, pattern in relation_patterns():
        denies = relation.startswith("-")
        if denied and not denies:
            return  # Patterns that deny come first.
        match = pattern.search(clause)
        if not match or not (subject := _subject(match, line, reported)):
            continue
        first = _trim_object(match["o"] or "")
        if (not denies and not first) or first.casefold() in _NON_OBJECTS:
            continue
        # The first pattern takes an object: "likes soup best" is no second liking.
        if not denies and any(first in other or other in first for other in taken):
            continue
        name = relation.lstrip("+-")
        rest = clause[match.end("o") :]
        objects = [first, *_further_items(rest)] if name in _LIST_RELATIONS else [first]
        taken.update(objects)
        for object_ in objects:
            yield ExtractedFact(
                subject=subject,
                relation=name.replace("*", match["r"]) if "*" in name else name,
                object=object_,
                source=record.id,
                since=since,
                denies=denies,
                replaces=relation.startswith("+"),
                confidence=0.7 if relation.startswith("+") else 0.9,
            )
        denied |= denies


def _further_items(rest: str) -> list[str]:
    """The further items of a list: "(tea), rye bread and jam". A second and last item must be
    capitalised, since "(tea) and swim a lot" is no list."""
    match = _ITEMS.match(rest)
    if not match:
        return []
    items = [item.strip() for item in match["more"].split(", ") if item.strip()]
    last = _trim_object(match["last"])
    if not items and not last[:1].isupper():
        return []
    return [item for item in [*items, last] if item and len(item.split()) <= 3]


def _zone_of(record: Record) -> tzinfo | None:
    """The time zone of who said a record; None for one that this machine does not know."""
    try:
        return time_zone(record.zone)
    except SettingError:
        return None


def _without_dates(clause: str, now: Time) -> tuple[str, Time | None]:
    """The clause without its dates, and the start of the first date that is past (or None)."""
    if _DATE_RELATIONS.search(clause):
        return clause, None
    spans = find_date_spans(clause, now)
    for span in spans:
        before, _, after = clause.partition(span.matched_text)
        before = _DANGLING_PREPOSITION.sub("", before)
        clause = " ".join(f"{before} {after.lstrip(' ,')}".split())
    past = [s.start for s in spans if s.start <= now and not _UNTIL.match(s.matched_text)]
    return clause, past[0] if past else None


def _subject(match: re.Match[str], line: AttributedLine, reported: bool) -> str:
    """The subject of a match by name, empty if it has none."""
    name = match["s"] if match["s"] else match.groupdict().get("my") or ""
    # In "Bo says I live in Rome" the pronoun does not denote the speaker of the line.
    if name.casefold() in ("i", "my"):
        return "" if reported else line.who
    if name.casefold() in ("you", "your"):
        return "" if reported else line.to
    if _PREPOSITION_BEFORE.search(match.string, 0, match.start("s")):
        return ""
    plain = _without_openers(name)
    return "" if plain.casefold() in _NON_SUBJECTS else plain


def _without_openers(name: str) -> str:
    words = name.split()
    while words and words[0].casefold() in _SENTENCE_OPENERS:
        words = words[1:]
    return " ".join(words)


def _trim_object(text: str) -> str:
    return re.sub(rf"\s+(?:{_TIME_WORDS})$", "", text.strip(" \"'”")).strip()


def _stated_start(clause: str, now: Time) -> Time | None:
    """The past date after "since", "from" or "in", or the one meant by "last week" and the like."""
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
