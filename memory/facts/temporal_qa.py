"""Answers to questions about facts that change over time, from plain records."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from ...core import AgentId, Cue, MemoryFault, Record, Time
from ...core.text import MONTH_NAMES, MONTH_NUMBERS, name_key
from ..memory import Memory
from ..storage import embed_texts
from .extracted_facts import ExtractedFact, attributed_line
from .relations import lacks_object_kind, mask_name, relation_examples, relation_similarity
from .rule_extraction import extract_facts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..storage import EmbedFunction

# Tuned on phrasings that the benchmark does not use (docs/log.md).
SOFTMAX_TEMPERATURE = 0.02
MAX_FIT_DROP = 0.55
MAX_FIT_DROP_OPEN = 0.15
# Similarities from which a question counts in part, and fully, as about a known relation.
KNOWN_RELATION_RANGE = (0.4, 0.6)
# A record with a lower fit does not answer the question (known relation, unknown relation).
MIN_FIT = 0.5
MIN_FIT_OPEN = 0.3
OBJECT_KIND_PENALTY = 0.15

_DAY = re.compile(
    rf"(?<!\s)\s*+,?\b(?:on|in|as of|by|at)\s+(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)? )?"
    rf"(?P<month>{'|'.join(MONTH_NAMES)}),? (?P<year>(?:19|20)\d\d)\b",
    re.IGNORECASE,
)
_CAPITALS = re.compile(r"[A-Z][\w’'.-]*(?: [A-Z][\w’'.-]*)*")
_QUESTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        "where what which who whom whose when why how in at on is was are were does did do has "
        "had can could tell say behind under the from to of for name i",
    )
)


@dataclass(frozen=True, slots=True)
class TemporalAnswer:
    """The latest record that states the asked fact at the asked time. ``value`` is the object that
    rules extract from it (empty: none), ``others`` are the records that state the same fact at
    other times, in order of validity, ``fit`` is the record's score."""

    record: Record
    since: Time
    value: str
    relation: str
    others: tuple[Record, ...]
    fit: float


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A record with its text without the asked name, the start of its facts, and those facts."""

    record: Record
    masked: str
    since: Time
    facts: tuple[ExtractedFact, ...]


class TemporalQA:
    """Answers questions about changing facts from the texts of a memory.

    Candidates are the records that name the subject of the question. A candidate's fit is the
    cosine of its text and the question, both without the name, plus the agreement of their
    relations: distributions by similarity to example sentences, or the relations that rules
    extract from the record. Of the candidates with a high fit, the latest before the asked time is
    the answer. Embeddings are cached by text.
    """

    def __init__(self, memory: Memory, embed: EmbedFunction | None = None) -> None:
        """``embed`` is the embedding function (default: the memory's)."""
        chosen = embed or memory.embed
        if chosen is None:
            raise MemoryFault(
                f"memory of {memory.agent}: questions about changed facts need an embedder; "
                "give Memory or TemporalQA one (embed=...)"
            )
        self.memory = memory
        self._embed = chosen
        self._cache: dict[str, NDArray[np.float32]] = {}

    def ask(
        self, question: str, *, as_of: Time | None = None, person: AgentId = ""
    ) -> TemporalAnswer | None:
        """The answer as of ``as_of`` (default: the date in the question, else now), from records
        visible to ``person``; None if no record states the fact."""
        when = as_of or question_date(question)
        name = question_subject(question)
        candidates = self._candidates(name, person)
        if not candidates:
            return None
        masked = mask_name(_DAY.sub("", question), name)
        matching, relation, fits = self._matching(masked, candidates)
        valid = [one for one in matching if when is None or one.since <= when]
        if not valid:
            return None
        best = max(valid, key=lambda one: (one.since, one.record.created, one.record.id))
        value = next((fact.object for fact in best.facts if fact.relation == relation), "")
        others = sorted(
            (one for one in matching if one is not best), key=lambda one: (one.since, one.record.id)
        )
        return TemporalAnswer(
            record=best.record,
            since=best.since,
            value=value,
            relation=relation,
            others=tuple(one.record for one in others),
            fit=fits[best.record.id],
        )

    def _candidates(self, name: str, person: AgentId) -> list[_Candidate]:
        # Expired records may have been true at the asked time: at datetime.min none is expired.
        every = Cue(text="", at=datetime.min, person=person, rules="paper")
        first = name.split()[0] if name else ""
        candidates = []
        for record in self.memory.candidates(every):
            # A cheap test first: most records of a large memory are about others.
            if name and first not in record.text and first not in record.who:
                continue
            line = attributed_line(record)
            is_speaker = bool(name) and name_key(line.who) == name_key(name)
            if name and not is_speaker and not _names(record.text, name):
                continue
            facts = tuple(
                fact
                for fact in extract_facts(record)
                if not name or _may_be_same_name(fact.subject, name)
            )
            since = min((fact.since for fact in facts if fact.since), default=record.created)
            words = _in_third_person(line.words) if is_speaker else record.text
            candidates.append(_Candidate(record, mask_name(words, name), since, facts))
        return candidates

    def _matching(
        self, question: str, candidates: Sequence[_Candidate]
    ) -> tuple[list[_Candidate], str, dict[int, float]]:
        """The candidates that state the asked fact, its relation, and the fit of every candidate by
        record id."""
        names, groups = list(relation_examples()), self._example_vectors()
        vectors = self._embed_cached([question, *(one.masked for one in candidates)])
        similarity = relation_similarity(vectors, groups)
        objects = [examples.object for examples in relation_examples().values()]
        similarity[1:] -= OBJECT_KIND_PENALTY * np.array(
            [lacks_object_kind(one.masked, objects) for one in candidates]
        )
        logits = similarity - similarity.max(axis=1, keepdims=True)
        shares = np.exp(logits / SOFTMAX_TEMPERATURE)
        shares /= shares.sum(axis=1, keepdims=True)
        asked, stated = shares[0], shares[1:]
        relation = names[int(asked.argmax())]
        # In [0, 1]: how far the question counts as one about a known relation.
        low, high = KNOWN_RELATION_RANGE
        known = (
            float(np.clip((similarity[0].max() - low) / (high - low), 0, 1)) if relation else 0.0
        )
        for row, candidate in enumerate(candidates):
            if candidate.facts:
                relations = {fact.relation for fact in candidate.facts}
                stated[row] = [name in relations for name in names]
        fit = vectors[1:] @ vectors[0] + known * (stated @ asked)
        floor = float(fit.max()) - MAX_FIT_DROP_OPEN - known * (MAX_FIT_DROP - MAX_FIT_DROP_OPEN)
        floor = max(floor, MIN_FIT_OPEN + known * (MIN_FIT - MIN_FIT_OPEN))
        matching = [one for one, value in zip(candidates, fit) if value >= floor]
        fits = {one.record.id: float(value) for one, value in zip(candidates, fit)}
        return matching, relation if known else "", fits

    def _example_vectors(self) -> list[NDArray[np.float32]]:
        """The embeddings of each relation's example sentences, each of shape (examples, d)."""
        sentences = [examples.sentences for examples in relation_examples().values()]
        rows = self._embed_cached([text for texts in sentences for text in texts])
        return np.split(rows, np.cumsum([len(texts) for texts in sentences])[:-1])

    def _embed_cached(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if new := sorted({text for text in texts if text not in self._cache}):
            self._cache.update(zip(new, embed_texts(self._embed, new)))
        return np.stack([self._cache[text] for text in texts])


def question_subject(question: str) -> str:
    """The first name in a question, empty without one.

    >>> question_subject("Where did Ada Pell live on 3 March 2023?")
    'Ada Pell'
    """
    for run in _CAPITALS.findall(_DAY.sub("", question)):
        words = run.replace("’", "'").split()
        while words and words[0].casefold().strip(".") in _QUESTION_WORDS:
            words = words[1:]
        if words:
            return " ".join(words).removesuffix("'s").rstrip("'.")
    return ""


def question_date(question: str) -> Time | None:
    """The last second of the day (or month) named in a question, None without one.

    >>> question_date("Where did Ada live on 3 March 2023?")
    datetime.datetime(2023, 3, 3, 23, 59, 59)
    """
    match = _DAY.search(question)
    if match is None:
        return None
    month = MONTH_NUMBERS[match["month"].lower()]
    year = int(match["year"])
    try:
        if match["day"]:
            after = datetime(year, month, int(match["day"])) + timedelta(days=1)
        else:
            after = datetime(year + month // 12, month % 12 + 1, 1)
    except ValueError:
        return None
    return after - timedelta(seconds=1)


def _in_third_person(words: str) -> str:
    words = re.sub(r"\bI(?:'m|’m| am)\b", "someone is", words)
    words = re.sub(r"\b[Mm]y\b", "someone's", words)
    return re.sub(r"\b(?:I|me)\b", "someone", words)


def _names(text: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text) is not None


def _may_be_same_name(first: str, second: str) -> bool:
    shorter, longer = sorted((name_key(first).split(), name_key(second).split()), key=len)
    return bool(shorter) and longer[: len(shorter)] == shorter
