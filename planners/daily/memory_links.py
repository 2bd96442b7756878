"""Two memories about the same: what somebody told, and what one knew of it already."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ...core import Record
from ..text import Evidence, content_terms, source_line
from .fact_sentences import is_heard, memory_facts

# Least likeness of two facts that belong together, a cosine.
MIN_LIKENESS = 0.2
# A shared person says less than a shared thing.
_PERSON_WEIGHT = 0.5
# Two friendships, likings or names of the same town are no link.
_COMMON_TERMS = content_terms("like friend best person people town father mother own")
_SAME_FACT = 0.85  # Dice coefficient above which two sentences tell the same


@dataclass(frozen=True, slots=True)
class RememberedFact:
    """A fact that a record tells, as a clause in the third person."""

    record: Record
    fact: str


def linked_facts(
    recent: Sequence[Record], known: Sequence[Record], me: str
) -> tuple[RememberedFact, RememberedFact] | None:
    """Of the facts that ``me`` heard lately and of all others the two that are most alike without
    being the same; None if no two have a likeness of ``MIN_LIKENESS``.

    Likeness is the cosine of vectors with a component for each word stem, log(n / df), where
    ``df`` of the ``n`` facts have the word, and for each person, half of that; the name of ``me``
    does not count. Two facts that share only people are not alike."""
    records = {record.id: record for record in (*recent, *known)}
    facts = [
        RememberedFact(record, fact)
        for record in records.values()
        for fact in dict.fromkeys(memory_facts(record))
    ]
    names = Evidence([source_line(one.fact) for one in facts], [me])
    people = {one: set(names.people_in(one.fact)) - {*names.people_in(me)} for one in facts}
    named = content_terms(" ".join([me, *(key for keys in people.values() for key in keys)]))
    terms = {one: content_terms(one.fact) - named - _COMMON_TERMS for one in facts}
    counts = Counter(key for one in facts for key in (*terms[one], *people[one]))
    weights = {key: math.log(len(facts) / count) for key, count in counts.items()}
    vectors = {
        one: {key: weights[key] for key in terms[one]}
        | {key: _PERSON_WEIGHT * weights[key] for key in people[one]}
        for one in facts
    }
    latest = {record.id for record in recent if is_heard(record)}
    best, most = None, MIN_LIKENESS
    for one in facts:
        for other in facts if one.record.id in latest else ():
            if one.record.id == other.record.id or _same_fact(one.fact, other.fact):
                continue
            alike = terms[one] & terms[other]
            value = _cosine(vectors[one], vectors[other]) if alike else 0.0
            if value > most:
                best, most = (one, other), value
    return best


def _same_fact(one: str, other: str) -> bool:
    first, second = content_terms(one), content_terms(other)
    return 2 * len(first & second) > _SAME_FACT * (len(first) + len(second))


def _cosine(one: dict[str, float], other: dict[str, float]) -> float:
    norms = math.sqrt(sum(w * w for w in one.values()) * sum(w * w for w in other.values()))
    return sum(one[key] * other[key] for key in one.keys() & other.keys()) / norms if norms else 0.0
