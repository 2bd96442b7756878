"""Clauses of English sentences: who they are about, and whether they state something as a fact."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ...core.text import NUMBER_WORDS, STOP_WORDS, EntityNames, stem
from .sentences import SENTENCE_END_MARKS, word_set
from .verb_forms import IRREGULAR_PASTS

# Words that the same fact is told with: each group counts as its first word.
_SYNONYMS = (
    "like love enjoy fond fan adore favorite favourite interested interest prefer keen passion",
    "work job profession occupation career employed",
    "child children kid kids",
    "mother mom mum",
    "father dad",
    "big large huge",
    "hard difficult",
    "quarrel argue argument quarrels quarrelled quarreled",
    "talk chat speak",
    "say tell mention",
    "scared afraid terrified fear",
    "begin start",
    "film movie",
    "happy glad",
    "sad unhappy",
    "hike hiking",
    "town city",
)
# Words that carry no fact of their own.
_LIGHT = word_set(
    "also really very lot lots thing things get one much many pretty quite still well yes yeah oh "
    "hello hi hey thanks thank okay ok please really actually just even ever always know think say "
    "bit kind sort way something someone somebody anything everything go come make take time day "
    "good great nice new sure right oh let want need feel guess mean named called"
)
_LEAD = re.compile(
    r"(?:(?:well|yes|yeah|yep|oh|ah|and|but|so|or|because|since|when|while|although|though|if|that|"
    r"then|also|actually|really|honestly|today|tonight|tomorrow|yesterday|now|sometimes|usually|"
    r"maybe|perhaps|please|hello|hi|hey|thanks|no|of course|sure|indeed|okay|ok|too|me too)\b"
    r"[,.!]?\s*|[\s,;:\"'“”‘’—–-]+)",
    re.IGNORECASE,
)
_SPLIT = re.compile(
    r"\s*[;—–]\s*|,?\s+(?=(?:but|because|so that|since|while|although|though|when|if|that)\s)"
    r"|,?\s+(?=(?:and|or|so)\s+(?:I|we|you|he|she|they|it|my|your|our|his|her|their|the|there)\b)"
    r"|,\s+(?=(?:I|we|you|he|she|they|it|my|your)\b)|\s+(?=I(?:['’]\w+)?\s)"
    r"|,?\s+(?=(?:and|or|so)\s+[A-Z][\w’'-]+(?:\s+[A-Z][\w’'-]+)?\s+(?:\w+s|\w+ed|is|was|has)\b)"
)
# "I think Greta raised it": what is thought or heard is a clause of its own.
_FINITE = "|".join(("is", "are", "was", "has", "had", "will", "would", "can", r"\w+ed", r"\w+s"))
_THOUGHT = re.compile(
    r"\b(?P<verb>think|know|believe|guess|suppose|heard?|says?|said|tells? me|told me|told|hope|"
    r"sorry|glad|sure)"
    r"\s+"
    r"(?=(?:I|we|you|he|she|they|it|there|the|my|your)\b"
    rf"|[A-Z][\w’'-]+(?:\s+[A-Z][\w’'-]+)?\s+(?:{_FINITE}|{'|'.join(IRREGULAR_PASTS)})\b)"
)
_PRONOUN = re.compile(
    r"(I|we|you|he|she|they|it|there|this|these|those|who)\b(?!['’]s? name)", re.I
)
_POSSESSIVE = re.compile(r"(my|our|your|his|her|their|its)\b", re.IGNORECASE)
_NAME = re.compile(r"((?:[A-Z][\w-]*)(?:\s+[A-Z][\w-]*)*)(['’]s\b|(?<=s)['’](?=\s))?")
_NEGATION = re.compile(
    r"\b(?:not|never|no|nobody|nothing|none|without|hardly|neither|nor|cannot)\b|n['’]t\b",
    re.IGNORECASE,
)
_UNREAL = re.compile(
    r"\b(?:would|wish\w*|hop(?:e|es|ed|ing)|want\w*|might|could|if|maybe|perhaps|should|try|tries|"
    r"trying|plan|plans|planning|going to|will|dream\w*|may|used to|thinking (?:of|about)|"
    r"considering|looking for|need\w*|gonna|wonder\w*|as if|almost)\b|['’](?:ll|d)\b|\bwon['’]t\b",
    re.IGNORECASE,
)
_FIRST, _SECOND = ("i", "my", "we", "our"), ("you", "your")
_WORD = re.compile(r"[^\W_]+(?:['’](?=t\b)t)?")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom or what a clause is about: the key of a person or thing (empty: unknown), and whether
    it is something that belongs to them ("my sister")."""

    key: str
    owned: bool = False


@dataclass(frozen=True, slots=True)
class StatedClause:
    """A clause with its subject, the stems of its words, and its mood. ``unreal``: a wish, a
    plan, a possibility or a thing of the past; ``asked``: part of a question."""

    text: str
    subject: Subject
    terms: frozenset[str]
    negated: bool = False
    unreal: bool = False
    asked: bool = False


def content_terms(text: str) -> frozenset[str]:
    """Stems of the words of a text that carry a fact: synonyms in one form, irregular pasts in
    their base form, numbers as digits, without stop words.

    >>> sorted(content_terms("I really enjoyed the two loaves I bought."))
    ['2', 'buy', 'like', 'loav']
    """
    terms = set()
    for word in _WORD.findall(text.replace("’s", "").replace("'s", "").lower()):
        word = IRREGULAR_PASTS.get(word, word)
        if word in STOP_WORDS or word in _LIGHT or word.endswith(("'t", "’t")):
            continue
        if word in NUMBER_WORDS:
            terms.add(str(NUMBER_WORDS[word]))
            continue
        root = stem(word)
        terms.add(_CANONICAL.get(root, root))
    return frozenset(terms)


def _canonical_stems() -> dict[str, str]:
    groups = (line.split() for line in _SYNONYMS)
    return {stem(word): stem(group[0]) for group in groups for word in group}


_CANONICAL: Mapping[str, str] = _canonical_stems()


def split_clauses(sentence: str) -> list[str]:
    """The clauses of a sentence: it is split at conjunctions that are followed by a subject.

    >>> split_clauses("Greta raised the price, and I quarrelled with her because I was cross.")
    ['Greta raised the price', 'and I quarrelled with her', 'because I was cross.']
    """
    clauses, opening = [], ""
    for part in _SPLIT.split(_THOUGHT.sub(r"\g<verb> that ", sentence)):
        text = f"{opening} {part}".strip()
        opening = "" if _strip_lead(f"{text} x") != "x" else text
        if text and not opening:
            clauses.append(text)
    return clauses


def read_clause(
    text: str,
    names: EntityNames,
    *,
    speaker: str = "",
    listener: str = "",
    third: Subject | None = None,
    asked: bool = False,
) -> StatedClause:
    """A clause said by ``speaker`` to ``listener`` (full names; empty: somebody unknown).
    ``third`` is whom "she" or "they" stands for."""
    body = _strip_lead(text)
    subject = _subject(body, names, speaker, listener, third)
    return StatedClause(
        text=text,
        subject=subject,
        terms=content_terms(text),
        negated=_NEGATION.search(body) is not None,
        unreal=_UNREAL.search(text) is not None,
        asked=asked,
    )


def is_lead(word: str) -> bool:
    """Whether a word may stand before a clause without belonging to it: "well", "but"."""
    return _LEAD.fullmatch(word) is not None


def _strip_lead(text: str) -> str:
    while match := _LEAD.match(text):
        rest = text[match.end() :]
        if not rest.strip(SENTENCE_END_MARKS + " "):
            break
        text = rest
    return text


def _subject(
    body: str, names: EntityNames, speaker: str, listener: str, third: Subject | None
) -> Subject:
    persons = {**dict.fromkeys(_FIRST, speaker), **dict.fromkeys(_SECOND, listener)}
    if match := _PRONOUN.match(body):
        word = match[1].lower()
        if word in persons:
            return Subject(names.resolve(persons[word]) if persons[word] else "")
        return third if third and word in ("he", "she", "they") else Subject("")
    if match := _POSSESSIVE.match(body):
        word = match[1].lower()
        owner = persons.get(word, "")
        other = third.key if third and word in ("his", "her", "their") else ""
        key = names.resolve(owner) if owner else other
        return Subject(key, owned=True)
    if match := _NAME.match(body):
        name = match[1]
        if names.mentioned(name):
            return Subject(names.mentioned(name)[0], owned=match[2] is not None)
    return Subject(next(iter(_first_terms(body)), ""))


def _first_terms(body: str) -> list[str]:
    return [term for word in _WORD.findall(body)[:4] for term in content_terms(word)]
