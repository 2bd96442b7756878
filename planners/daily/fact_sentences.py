"""Facts in lines and records, as sentences in the third person that stand by themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...core import AgentId, Record
from ...core.text import sentences
from ..text import (
    Evidence,
    SourceLine,
    content_terms,
    is_english,
    is_finite_verb,
    source_line,
    to_third_person,
)

# A sentence is worth keeping without a model's help if it tells at least this much: content words,
# names counted twice.
MIN_TOLD = 3
MAX_FACT_WORDS = 22
# A sentence that says only how somebody feels about the talk, or takes leave.
_SMALL_TALK = re.compile(
    r"\b(?:thank\w*|thanks|welcome|goodbye|bye|see you|nice|good|great|glad|happy|sorry|sure|fine|"
    r"sounds?|hope|luck|pleasure|wonderful|lovely|excited|interesting)\b",
    re.IGNORECASE,
)
# What somebody is, has or does for long is worth more than what they do or think just now.
_OF_A_LIFE = re.compile(
    r"\b(?:(?:is|was) (?:an?|in the|from|allergic)(?! (?:little|bit|lot|big|huge|fan))|has an?|"
    r"used to|lives?|works?|owns?|born|grew|married|named|keeps|plays|lost|found|promised|"
    r"quarrel\w*|invit\w*|must)\b"
)
_OPENING = re.compile(
    r"^(?:(?:well|yes|yeah|oh|ah|and|but|so|also|no|hello|hi|hey|good morning|actually|honestly|"
    r"you know|i (?:think|believe|guess|know|heard) (?:that )?)\b,?\s*)+",
    re.IGNORECASE,
)
_NEXT_CLAUSE = re.compile(r",? (?:and|but|so) (?=(?:I|my)\b)")
_UNCLEAR_SUBJECT = re.compile(
    r"(?:it|he|she|they|that|this|these|those|there|what|who|how|his|her|their|its|me|not|just|"
    r"let|please|maybe|perhaps|if|when|because)\b",
    re.IGNORECASE,
)
_UNCLEAR_WORD = re.compile(
    r"\b(?:you|your|yours|we|us|our|it|that|there|here|he|him|she|they|them|this|these)\b",
    re.IGNORECASE,
)
# "that" after these verbs points to nothing.
_REPORTED = re.compile(
    r"\b(?:tells?|told|says?|said|knows?|knew|thinks?|thought|heard|hopes?|believes?|"
    r"guess(?:es|ed)?|noticed|promised|afraid|sure|found|saw|learned|understands)"
    r"(?: (?:me|[A-Z]\w+(?: [A-Z]\w+)?))? that\b"
)
_SECRET = re.compile(
    r"\b(?:secret\w*|nobody|private\w*|confidential\w*|hid(?:es?|den|ing)?)\b", re.I
)
_OWN_NOTE = re.compile(r"^\S+(?: \S+)? (?:learned|understands|heard) that (?:\S+ \S+ said that )?")


def told_facts(lines: Sequence[SourceLine], evidence: Evidence, names: Sequence[str]) -> list[str]:
    """Lines as sentences in the third person, the most telling first: what somebody told of
    themselves is rewritten, what they told of others is reported. English only.

    Left out are questions, small talk, and sentences whose pronouns stand for somebody in another
    sentence."""
    ranked: dict[str, int] = {}
    for line in lines:
        if not is_english(line.text, names):
            continue
        for sentence in _statements(line.text):
            fact = told_fact(sentence, line.speaker)
            value = _told_value(fact, line.speaker, evidence) if fact else 0
            if value >= MIN_TOLD and not evidence.refusal(fact):
                ranked.setdefault(fact, value)
    return sorted(ranked, key=lambda text: -ranked[text])


def told_fact(sentence: str, speaker: AgentId) -> str:
    """A sentence said by ``speaker`` as one about them, or as their report; empty if it is neither
    or depends on other sentences.

    >>> told_fact("Well, I sold my boat to Cy.", "Ada Ek")
    'Ada Ek sold their boat to Cy.'
    >>> told_fact("The mill is closed on Monday!", "Ada Ek")
    'Ada Ek said that the mill is closed on Monday.'
    >>> told_fact("It is closed.", "Ada Ek")
    ''
    """
    body = _standing_sentence(sentence)
    if not body:
        return ""
    if re.search(r"\b(?:I|me|my|mine|myself)\b", body):
        return to_third_person(body, speaker)
    report = _as_clause(body)
    return f"{speaker} said that {report}." if report else ""


def memory_facts(record: Record) -> list[str]:
    """What a record tells, as clauses in the third person that can follow "that"; none of what
    does not stand by itself, and none of a record that calls itself a secret.

    >>> from datetime import datetime
    >>> text = 'Ada Ek said to Bo Li: "Hello! I sold my boat to Cy Dunn."'
    >>> memory_facts(Record(id=1, kind="utterance", text=text, created=datetime(2026, 5, 1)))
    ['Ada Ek sold their boat to Cy Dunn']
    """
    if record.kind not in ("thought", "utterance") or is_secret(record.text):
        return []
    line = source_line(record.text)
    facts = []
    for sentence in sentences(line.text):
        if line.speaker:
            fact = told_fact(sentence, line.speaker).removeprefix(f"{line.speaker} said that ")
        else:
            fact = _as_clause(_standing_sentence(_OWN_NOTE.sub("", sentence)))
        if len(content_terms(fact)) >= MIN_TOLD:
            facts.append(fact.rstrip("."))
    return facts


def is_secret(text: str) -> bool:
    """Whether a text calls itself a secret: it must not go on without that mark."""
    return _SECRET.search(text) is not None


def is_heard(record: Record) -> bool:
    """Whether a record is what another said, or what was learned from it."""
    return record.kind == "utterance" or " learned that " in record.text


def _statements(text: str) -> list[str]:
    """The sentences of a text; one with several clauses about oneself is divided."""
    parts = []
    for sentence in sentences(text):
        pieces = _NEXT_CLAUSE.split(sentence)
        divided = len(pieces) > 1 and all(len(piece.split()) > 2 for piece in pieces)
        parts += (
            [f"{piece.rstrip('.!? ')}{sentence[-1]}" for piece in pieces] if divided else [sentence]
        )
    return parts


def _standing_sentence(sentence: str) -> str:
    """A statement without "well" and the like before it, with a full stop; empty if its words
    point to another sentence, to the listener, or to the place."""
    sentence = sentence.strip()
    if not sentence.endswith((".", "!")) or _UNCLEAR_WORD.search(_REPORTED.sub(" ", sentence)):
        return ""
    body = _OPENING.sub("", sentence).rstrip(".! ")
    if not body or _UNCLEAR_SUBJECT.match(body) or not 3 <= len(body.split()) <= MAX_FACT_WORDS:
        return ""
    body = re.sub(r",? too$", "", body.replace(" also ", " "))
    return f"{body[0].upper()}{body[1:]}."


def _as_clause(body: str) -> str:
    """A sentence that begins with a name or an article, without its full stop; else empty."""
    text = body.rstrip(".")
    named = re.match(r"(?:[A-Z][\w’-]*(?:['’]s)? )+(?:[a-z]+ )??(?P<verb>[a-z]+)\b", text)
    if re.match(r"(?:The|A|An|Some|Every|All|Two|Three|Many)\b", text):
        return f"{text[0].lower()}{text[1:]}"
    return text if named and is_finite_verb(named["verb"]) else ""


def _told_value(fact: str, speaker: AgentId, evidence: Evidence) -> int:
    own = content_terms(speaker)
    others = [key for key in evidence.people_in(fact) if key not in evidence.people_in(speaker)]
    value = len(content_terms(fact) - own) + len(others)
    value += 2 if _OF_A_LIFE.search(fact) else 0
    return value - 2 * len(_SMALL_TALK.findall(fact))
