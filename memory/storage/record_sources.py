"""The sources of the records of a memory, and the labels that follow from a record's evidence.

A record never has fewer sources, or a wider audience, than its evidence, so that no label is lost
when evidence is erased. Labels are defined in ``core.labels``.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ...core import (
    UNKNOWN_SOURCE,
    AgentId,
    Audience,
    Record,
    RecordId,
    implied_sources,
    intersect_audiences,
    record_sources,
    source_name,
)
from ...core.text import fold_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SELF_MADE_KINDS = frozenset({"thought", "plan", "summary", "utterance"})
"""Kinds of records that an agent derives from others."""


def name_forms(names: Iterable[AgentId]) -> frozenset[str]:
    """The folded forms of names as sources, for comparison as by ``same_name``.

    >>> sorted(name_forms(["Eve", "tool:bank"]))
    ['eve', 'person:tool:bank', 'tool:bank']
    """
    names = tuple(names)
    return frozenset(fold_name(form) for name in names for form in (name, source_name(name)))


def has_source(sources: Iterable[str], forms: frozenset[str]) -> bool:
    """Whether one of the sources has one of these ``name_forms``."""
    if not forms:  # The usual case.
        return False
    return any(source in forms or fold_name(source) in forms for source in sources)


class RecordSources:
    """The sources of each record of one memory, by number: its own and those of all its evidence.
    Of the first ``unlabelled_count`` records, written before labels existed, only who said them and
    their evidence are known."""

    def __init__(self, owner: AgentId = "", unlabelled_count: int = 0) -> None:
        self.owner = owner
        self.unlabelled_count = unlabelled_count
        # Each distinct tuple of sources has a number; 0 is the empty one.
        self._numbers: dict[tuple[str, ...], int] = {(): 0}
        self._tuples: list[tuple[str, ...]] = [()]
        self._number_of_record = array("i")
        self._pending: list[int] = []
        self._cache: dict[tuple[AgentId, str, bool, frozenset[int] | None], int] = {}

    def __len__(self) -> int:
        return len(self._number_of_record)

    def extend(self, records: Sequence[Record]) -> None:
        """Add the next records, in order of their numbers."""
        self._pending = []
        for record in records:
            self._pending.append(self._number(record))
        self._number_of_record.extend(self._pending)
        self._pending = []

    def _number(self, record: Record) -> int:
        if record.sources is not None or record.kind == "document":
            return self._number_of(self._all_sources(record))
        # Most records share their sources with many: computed once for each case.
        evidence = frozenset(map(self._at, record.evidence)) if record.evidence else None
        key = (record.who, record.kind, record.id <= self.unlabelled_count, evidence)
        if (number := self._cache.get(key)) is None:
            number = self._cache[key] = self._number_of(self._all_sources(record))
        return number

    def _number_of(self, sources: tuple[str, ...]) -> int:
        number = self._numbers.setdefault(sources, len(self._numbers))
        if number == len(self._tuples):
            self._tuples.append(sources)
        return number

    def _all_sources(self, record: Record) -> tuple[str, ...]:
        sources = set(record_sources(record, self.owner))
        for number in record.evidence:
            sources.update(self.of(number))
        if self._is_unlabelled(record) and not record.evidence:
            own = record.kind in _SELF_MADE_KINDS and record.who in ("", self.owner)
            if own and not record.source.startswith("gone:"):
                sources.add(UNKNOWN_SOURCE)
        return tuple(sorted(sources))

    def _is_unlabelled(self, record: Record) -> bool:
        return record.id <= self.unlabelled_count and record.sources is None

    def of(self, number: RecordId) -> tuple[str, ...]:
        """The sources of a record, in order; none for a number that no record has."""
        return self._tuples[self._at(number)]

    def _at(self, number: RecordId) -> int:
        """The number of a record's sources; 0 if there is no such record."""
        position = number - 1
        if 0 <= position < len(self._number_of_record):
            return self._number_of_record[position]
        position -= len(self._number_of_record)
        return self._pending[position] if 0 <= position < len(self._pending) else 0

    def any_from(self, numbers: NDArray[np.int64], forms: frozenset[str]) -> NDArray[np.bool_]:
        """Whether each of these records has a source with one of these ``name_forms``."""
        import numpy as np

        if not len(numbers):
            return np.zeros(0, np.bool_)
        matches = np.array([has_source(sources, forms) for sources in self._tuples])
        mask: NDArray[np.bool_] = matches[
            np.frombuffer(self._number_of_record, np.intc)[numbers - 1]
        ]
        return mask


def with_evidence_labels(
    records: Sequence[Record], known: RecordSources, audience_of: Callable[[RecordId], Audience]
) -> tuple[Record, ...]:
    """The records to be written, each with the sources and the audience that follow from its
    speaker and its evidence, which is in the memory (``known``) or earlier in ``records``."""
    labelled: list[Record] = []
    for record in records:
        if (record.evidence or record.sources is not None) and record.id > known.unlabelled_count:
            record = _with_evidence_labels(record, known, labelled, audience_of)
        labelled.append(record)
    return tuple(labelled)


def _with_evidence_labels(
    record: Record,
    known: RecordSources,
    before: Sequence[Record],
    audience_of: Callable[[RecordId], Audience],
) -> Record:
    implied = implied_sources(record, known.owner)
    stated = implied if record.sources is None else record.sources
    sources = set(stated)
    # An observation of an object is recorded under its name, which is no source.
    if record.kind != "observation" or record.sources is None:
        sources.update(implied)
    audiences = [record.audience]
    for number in record.evidence:
        position = number - before[0].id if before else -1
        if 0 <= position < len(before):
            sources.update(record_sources(before[position], known.owner))
            audiences.append(before[position].audience)
        else:
            sources.update(known.of(number))
            audiences.append(audience_of(number))
    if tuple(sorted(sources)) != stated:
        record = replace(record, sources=tuple(sorted(sources)))
    if any(audiences[1:]):
        people = intersect_audiences(audiences, known.owner)
        if set(people) != set(record.audience):
            record = replace(record, audience=people)
    return record
