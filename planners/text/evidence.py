"""Checks of a sentence about people against the lines and records that it rests on.

A small model invents names and swaps who did what. The checks refuse a sentence with a name, a
number or a word that its evidence lacks, and a clause that no sentence of the evidence states
about the same person, with the same negation and mood. They read English; of other languages only
names, numbers and words are checked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ...core.text import STOP_WORDS, EntityNames, sentences, stem
from .claim_clauses import StatedClause, Subject, content_terms, is_lead, read_clause, split_clauses
from .first_person import is_english
from .sentences import SENTENCE_END_MARKS

MAX_CLAIM_WORDS = 30
# Share of a clause's words that one sentence of the evidence must have.
_COVERAGE = 0.75
_FIRST_OR_SECOND = re.compile(r"\b(?:I|me|my|mine|myself|you|your|yours|we|us|our|ours)\b", re.I)
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”")
_CAPITALISED = re.compile(r"[^\W\d_a-zß-ÿ][^\W_]*")
_NUMBER = re.compile(r"\d+(?:[.:]\d+)*")
_COPULA = re.compile(r"\b(?:is|are|was|were|has|have|had|owns?|favou?rites?)\b")
_AUXILIARY = re.compile(
    r"^(?:(?:so|and|but|oh|well)[, ]+)*(?:do|does|did|are|is|was|were|have|has|had|can|could|will|"
    r"would|should|shall)\s+",
    re.IGNORECASE,
)
_IS_A = re.compile(r"(?:[A-Z][\w-]* )+(?:is|was) (?:\w+ly )?(?:an?|the|\w+['’]s)\b")
_BE = re.compile(
    r"\b(?:am|is|are|was|were|be|been|named|called|as)\b|['’](?:m|re|s)\b", re.IGNORECASE
)
_AGENT = re.compile(r"\b(?P<deed>\w+) by (?P<who>[A-Z]\w+(?: [A-Z]\w+)?)")
_SUBJECT_WORD = re.compile(r"(?:and |but |so )?(?:I|you|we|my|your|our|[A-Z]\w+ [A-Z]\w+)\b", re.I)
_INVERTED = re.compile(
    r"^(?:(?:so|and|but|oh|well)[, ]+)*(?P<verb>are|is|was|were|have|can|could|will|would) "
    r"(?P<subject>you|your \w+)\b",
    re.IGNORECASE,
)
_YES = re.compile(
    r"\W*(?:yes|yeah|yep|yup|sure|of course|certainly|definitely|absolutely|indeed|exactly|right|"
    r"i do|i am|i have|i did|i will|i would|that['’]s right|gladly|with pleasure|i['’]d love)\b",
    re.IGNORECASE,
)
_FINITE = re.compile(r"\b(?:is|are|was|were|has|have|had|will|can)\b|\w['’]s\b", re.IGNORECASE)
_UTTERANCE = re.compile(
    r"(?P<who>[^\"]{1,80}?) said to (?P<whom>[^\"]{1,160}?): \"(?P<text>.*)\"", re.S
)
# How far a clause came in the checks, for the reason that is reported.
_REASONS = ("unsupported", "name", "who", "mood", "negation", "")


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A text that a sentence may rest on: a line said by ``speaker`` to ``listener``, both full
    names, or with an empty speaker a statement in the third person."""

    text: str
    speaker: str = ""
    listener: str = ""


def source_line(text: str) -> SourceLine:
    """The text of a record as a source: that of an utterance has a speaker and a listener.

    >>> source_line('Ada Ek said to Bo Li: "I like rye."')
    SourceLine(text='I like rye.', speaker='Ada Ek', listener='Bo Li')
    """
    match = _UTTERANCE.fullmatch(text.strip())
    if match is None:
        return SourceLine(text)
    return SourceLine(match["text"], match["who"].strip(), match["whom"].strip())


@dataclass(frozen=True, slots=True)
class _Statement:
    """A sentence of the evidence: its clauses, the stems of all of them, the keys of the people
    that it names or means by a pronoun."""

    clauses: tuple[StatedClause, ...]
    terms: frozenset[str]
    people: frozenset[str]


class Evidence:
    """The lines and records that a sentence may rest on."""

    def __init__(
        self, lines: Sequence[SourceLine], names: Iterable[str], *, reader: str = ""
    ) -> None:
        """``names`` are the full names of the people concerned. Lines of ``reader`` only ask: a
        sentence rests on what others told."""
        texts = [line.text for line in lines]
        people = [name for line in lines for name in (line.speaker, line.listener) if name]
        spellings = [*names, *people, *_full_names(texts)]
        self.names = EntityNames(dict.fromkeys(spellings))
        self._spelt = _spelt_words([*texts, *spellings])
        self._pairs = {pair for text in [*texts, *spellings] for pair in _name_pairs(text)}
        self._terms = content_terms(" ".join([*texts, *spellings]))
        self._english = is_english(" ".join(texts), spellings)
        self._statements = tuple(
            statement
            for number, line in enumerate(lines)
            if not reader or line.speaker != reader
            for statement in self._statements_of(line, lines[number - 1] if number else None)
        )

    def refusal(self, sentence: str, *, allowed: Collection[str] = ()) -> str:
        """Why a sentence in the third person does not rest on this evidence, in a word: form,
        person, name, number, word, who, negation, mood, unsupported, or empty; an empty text if
        it does. ``allowed`` are stems that need no evidence: a clause whose verb is one of them
        ("needs", "cares") is checked for names, numbers and words only.

        >>> lines = [SourceLine("I quarrelled with Greta Holm.", "Ines Calder", "Nora Vale")]
        >>> evidence = Evidence(lines, ["Ines Calder", "Nora Vale"])
        >>> evidence.refusal("Ines Calder quarrelled with Greta Holm.")
        ''
        >>> evidence.refusal("Nora Vale quarrelled with Greta Holm.")
        'who'
        >>> evidence.refusal("Ines Calder quarrelled with Tobias.")
        'name'
        """
        plain = _QUOTED.sub(" ", sentence)
        if not 3 <= len(sentence.split()) <= MAX_CLAIM_WORDS or re.search(r"[\[\]{}<>*?]", plain):
            return "form"
        if _FIRST_OR_SECOND.search(plain):
            return "person"
        if reason := self._unknown_words(sentence, allowed):
            return reason
        if not self._english:
            return ""
        clauses = self._claims(sentence)
        if not clauses or _BACKWARD.match(sentence):
            return "person"
        telling = [
            one
            for one in clauses
            if one.terms - {*allowed, _SAY, _LIKE, one.subject.key} or self._others(one)
        ]
        if not telling:
            return "empty"
        reasons = [self._clause_refusal(clause, allowed) for clause in telling]
        return next((reason for reason in reasons if reason), "")

    def _claims(self, sentence: str) -> list[StatedClause]:
        clauses: list[StatedClause] = []
        third: Subject | None = None
        for text in split_clauses(sentence):
            clause = read_clause(text, self.names, third=third)
            if (agent := _AGENT.search(text)) and (keys := self.names.mentioned(agent["who"])):
                # "The poem was written by Ada": Ada wrote it.
                clause = replace(clause, subject=Subject(keys[0]))
            clauses.append(replace(clause, terms=self._without_names(clause)))
            third = clause.subject if self._is_person(clause.subject.key) else third
        return clauses

    def people_in(self, text: str) -> list[str]:
        """The keys of the people that a text names."""
        return self.names.mentioned(text)

    def _unknown_words(self, sentence: str, allowed: Collection[str]) -> str:
        numbers = set(_NUMBER.findall(sentence))
        if not numbers <= self._spelt and not content_terms(" ".join(numbers)) <= self._terms:
            return "number"
        first = sentence.split()[0]
        for word in _CAPITALISED.findall(sentence):
            if word not in self._spelt and word not in ("I", first, first.rstrip(",.'’s")):
                return "name"
        if not set(_name_pairs(sentence)) <= self._pairs:
            return "name"
        unknown = content_terms(sentence) - self._terms - {*allowed, _SAY}
        names = {term for word in _CAPITALISED.findall(sentence) for term in content_terms(word)}
        return ("name" if unknown & names else "word") if unknown else ""

    def _without_names(self, clause: StatedClause) -> frozenset[str]:
        keys = self.names.mentioned(clause.text)
        return clause.terms - {stem(word) for key in keys for word in key.split()}

    def _others(self, clause: StatedClause) -> set[str]:
        """The people that a clause names besides its subject."""
        return {*self.names.mentioned(clause.text)} - {clause.subject.key}

    def _clause_refusal(self, claim: StatedClause, allowed: Collection[str]) -> str:
        names = {word for key in self.names.mentioned(claim.text) for word in key.split()}
        said = (word for word in re.findall(r"[^\W_]+", claim.text.lower()) if word not in names)
        verb = next((stem(word) for word in said if word not in STOP_WORDS), "")
        if verb in allowed:
            return ""
        wanted = claim.terms - {*allowed, _SAY}
        claim = replace(claim, terms=wanted)
        order = (term for word in claim.text.split() for term in content_terms(word))
        predicate = next((term for term in order if term in wanted), "")
        if agent := _AGENT.search(claim.text):
            predicate = next(iter(content_terms(agent["deed"])), predicate)
        others = self._others(claim)
        reached = 0
        for statement in self._statements:
            shared = wanted & statement.terms
            if (predicate and predicate not in shared) or len(shared) < _COVERAGE * len(wanted):
                continue
            if not others <= statement.people:
                reached = max(reached, 1)
                continue
            # Who does it is said where the verb stands.
            clauses = [
                one
                for one in statement.clauses
                if (predicate in one.terms if predicate else others & self._others(one))
            ]
            clauses = clauses or list(statement.clauses)  # The verb of an answered question.
            most = max(len(wanted & clause.terms) for clause in clauses)
            for clause in clauses:
                if len(wanted & clause.terms) == most:
                    reached = max(reached, self._compare(claim, clause, statement))
        return _REASONS[reached]

    def _compare(self, claim: StatedClause, clause: StatedClause, statement: _Statement) -> int:
        if not self._same_subject(claim, clause.subject, statement):
            return 2
        if clause.asked or (clause.unreal and not claim.unreal):
            return 3
        if _IS_A.match(claim.text) and not _identifies(clause.text):
            return 2  # Who has a cat is no cat.
        return 5 if claim.negated == clause.negated else 4

    def _same_subject(self, claim: StatedClause, found: Subject, statement: _Statement) -> bool:
        wanted, copula = claim.subject, _COPULA.search(claim.text) is not None
        if not self._is_person(wanted.key):
            return True  # Nobody is said to do it.
        if found.key == wanted.key:
            return found.owned == wanted.owned or copula
        if self._is_person(found.key):
            return False
        # "The dog I have", "My oven broke, it was old": the person stands in another clause.
        subjects = {clause.subject for clause in statement.clauses}
        persons = {subject.key for subject in subjects if self._is_person(subject.key)}
        owned = any(one.key == wanted.key and one.owned == wanted.owned for one in subjects)
        return persons == {wanted.key} and (owned or copula)

    def _is_person(self, key: str) -> bool:
        return bool(key) and self.names.mentioned(key) == [key]

    def _statements_of(self, line: SourceLine, before: SourceLine | None) -> list[_Statement]:
        third: Subject | None = None
        found: list[_Statement] = []
        asked = _last_question(before) if before and before.speaker != line.speaker else ""
        if before and asked and _YES.match(line.text) and " or " not in asked:
            # A question answered with yes is a statement of who answers.
            text = _INVERTED.sub(r"\g<subject> \g<verb>", asked)
            text = _AUXILIARY.sub("", text).rstrip("?") + "."
            found.append(self._statement(text, before, None))
        for number, sentence in enumerate(sentences(line.text)):
            statement = self._statement(sentence, line, third)
            if asked and not number and self._is_fragment(sentence, statement):
                statement = self._answer(statement, line, asked)
            third = self._third_person(statement, line) or third
            if found and _BACKWARD.match(_YES.sub("", sentence)):
                # "I have a dog. His name is Rex."
                found.append(_joined(found[-1], statement))
            found.append(statement)
        return found

    def _is_fragment(self, sentence: str, statement: _Statement) -> bool:
        if len(sentence.split()) > 8 or _FINITE.search(sentence) or _BACKWARD.match(sentence):
            return False
        return not any(self._is_person(clause.subject.key) for clause in statement.clauses)

    def _answer(self, statement: _Statement, line: SourceLine, asked: str) -> _Statement:
        """A statement of a few words as the answer to a question about the speaker."""
        who = Subject(self.names.resolve(line.speaker))
        clauses = tuple(replace(clause, subject=who) for clause in statement.clauses)
        return replace(statement, clauses=clauses, terms=statement.terms | content_terms(asked))

    def _statement(self, sentence: str, line: SourceLine, third: Subject | None) -> _Statement:
        asked = sentence.rstrip("\"'”’ ").endswith("?")
        listener = "" if " and " in line.listener or "," in line.listener else line.listener
        clauses = []
        for text in split_clauses(sentence):
            clause = read_clause(
                text,
                self.names,
                speaker=line.speaker,
                listener=listener,
                third=third,
                asked=asked,
            )
            clauses.append(replace(clause, terms=self._without_names(clause)))
            if self._is_person(clause.subject.key):
                third = clause.subject
        subjects = {clause.subject.key for clause in clauses}
        people = {*self.names.mentioned(sentence), *filter(self._is_person, subjects)}
        for pattern, name in ((r"\b(?:I|me|my|we|us|our)\b", line.speaker), (_YOU, listener)):
            if name and re.search(pattern, sentence):
                people.add(self.names.resolve(name))
        if third and re.search(r"\b(?:him|his|her|them|their)\b", sentence):
            people.add(third.key)
        terms = frozenset[str]().union(*(clause.terms for clause in clauses))
        return _Statement(tuple(clauses), terms, frozenset(people))

    def _third_person(self, statement: _Statement, line: SourceLine) -> Subject | None:
        """The person that "she" in the next sentence stands for."""
        present = {self.names.resolve(name) for name in (line.speaker, line.listener) if name}
        for clause in reversed(statement.clauses):
            subject = clause.subject
            if self._is_person(subject.key) and (subject.owned or subject.key not in present):
                return subject
            for key in reversed(self.names.mentioned(clause.text)):
                if key not in present:
                    return Subject(key)
        return None


_SAY, _LIKE = stem("say"), stem("like")
_NAME_RUN = re.compile(r"\b[A-Z][\w’'-]+(?: [A-Z][\w’'-]+){0,3}")
_BEFORE_START = (*SENTENCE_END_MARKS, '"', "“", ":", "")
_BACKWARD = re.compile(
    r"\W*(?:and |but |so )?(?:he|she|it|they|his|her|its|their|that|this)\b", re.I
)
_YOU = r"\b[Yy]our?\b"


def _identifies(clause: str) -> bool:
    """Whether a clause can say what somebody is: it has a form of "be", or is an answer of a few
    words."""
    if _BE.search(clause):
        return True
    return len(clause.split()) <= 8 and not (_FINITE.search(clause) or _SUBJECT_WORD.match(clause))


def _joined(first: _Statement, second: _Statement) -> _Statement:
    return _Statement(
        first.clauses + second.clauses,
        first.terms | second.terms,
        first.people | second.people,
    )


def _last_question(line: SourceLine) -> str:
    asked = [text for text in sentences(line.text) if text.rstrip("\"'”’ ").endswith("?")]
    return asked[-1] if asked and re.search(_YOU, asked[-1]) else ""


def _full_names(texts: Iterable[str]) -> list[str]:
    """Runs of capitalised words; one that opens a sentence only if it has two words or more."""
    names = []
    for text in texts:
        for match in _NAME_RUN.finditer(text):
            run = re.sub(r"['’]s$", "", match[0])
            opens = (
                not match.start() or text[match.start() - 2 : match.start()][:1] in _BEFORE_START
            )
            words = run.split()
            if words[0].lower() in STOP_WORDS or is_lead(words[0]):
                words, opens = words[1:], False
            if len(words) > 1 or (words and not opens):
                names.append(" ".join(words))
    return names


def _name_pairs(text: str) -> list[tuple[str, str]]:
    words = text.replace("'s", " 's").replace("’s", " ’s").split()
    return [
        (first, second.rstrip(".,!?;:"))
        for first, second in pairwise(words)
        if _CAPITALISED.fullmatch(first) and _CAPITALISED.fullmatch(second.rstrip(".,!?;:"))
    ]


def _spelt_words(texts: Iterable[str]) -> frozenset[str]:
    words = set[str]()
    for text in texts:
        words.update(_CAPITALISED.findall(text), _NUMBER.findall(text))
    return frozenset(words)
