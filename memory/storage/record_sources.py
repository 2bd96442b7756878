"""Whose words the records of a memory rest on, and what a record takes over from its evidence.

A record never is of fewer sources, or for more people, than what it rests on: so nothing
becomes cleaner by losing its evidence. See ``core.labels`` for labels.
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
"""Kinds of records that an agent makes of what it knows."""


def name_forms(names: Iterable[AgentId]) -> frozenset[str]:
    """The forms by which somebody's words are known among sources, as ``same_name`` compares.

    >>> sorted(name_forms(["Eve", "tool:bank"]))
    ['eve', 'person:tool:bank', 'tool:bank']
    """
    names = tuple(names)
    return frozenset(fold_name(form) for name in names for form in (name, source_name(name)))


def has_source(sources: Iterable[str], forms: frozenset[str]) -> bool:
    """Whether one of the sources is somebody whose name has one of these ``name_forms``."""
    if not forms:  # Nobody is meant, as in nearly every step of a life.
        return False
    return any(source in forms or fold_name(source) in forms for source in sources)


class RecordSources:
    """The sources of each record of one memory, by number: its own, and those of all that it
    rests on. Of the first ``unlabelled_count`` records, written before there were labels, only who
    said
    them and what they rest on is known."""

    def __init__(self, owner: AgentId = "", before: int = 0) -> None:
        self.owner = owner
        self.unlabelled_count = before
        self.labels: dict[tuple[str, ...], int] = {(): 0}
        self._lists: list[tuple[str, ...]] = [()]
        self._numbers = array("i")
        self._pending: list[int] = []
        self._known: dict[tuple[AgentId, str, bool, frozenset[int] | None], int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def extend(self, records: Sequence[Record]) -> None:
        """Take in the next records, in order of their numbers."""
        self._pending = []
        for record in records:
            self._pending.append(self._number(record))
        self._numbers.extend(self._pending)
        self._pending = []

    def _number(self, record: Record) -> int:
        if record.sources is not None or record.kind == "document":
            return self._label(self._all_sources(record))
        # Most records share their label with many: worked out once for each case.
        basis = frozenset(map(self._label_of, record.evidence)) if record.evidence else None
        key = (record.who, record.kind, record.id <= self.unlabelled_count, basis)
        if (number := self._known.get(key)) is None:
            number = self._known[key] = self._label(self._all_sources(record))
        return number

    def _label(self, sources: tuple[str, ...]) -> int:
        number = self.labels.setdefault(sources, len(self.labels))
        if number == len(self._lists):
            self._lists.append(sources)
        return number

    def _all_sources(self, record: Record) -> tuple[str, ...]:
        found = set(record_sources(record, self.owner))
        for number in record.evidence:
            found.update(self.of(number))
        if self.unlabelled(record) and not record.evidence:
            found.update(self.unknown(record))
        return tuple(sorted(found))

    def unknown(self, record: Record) -> tuple[str, ...]:
        """UNKNOWN for an agent's own words, of which nobody knows what they rest on."""
        own = record.kind in _SELF_MADE_KINDS and record.who in ("", self.owner)
        return (UNKNOWN_SOURCE,) if own and not record.source.startswith("gone:") else ()

    def unlabelled(self, record: Record) -> bool:
        """Whether a record was written before there were labels."""
        return record.id <= self.unlabelled_count and record.sources is None

    def of(self, number: RecordId) -> tuple[str, ...]:
        """The sources of a record, in order; none for a number that no record has."""
        return self._lists[self._label_of(number)]

    def _label_of(self, number: RecordId) -> int:
        """The number of a record's label; 0, of none, where there is no such record."""
        place = number - 1
        if 0 <= place < len(self._numbers):
            return self._numbers[place]
        place -= len(self._numbers)
        return self._pending[place] if 0 <= place < len(self._pending) else 0

    def any_from(self, numbers: NDArray[np.int64], forms: frozenset[str]) -> NDArray[np.bool_]:
        """Whether each of some records rests on the words of one with one of these forms."""
        import numpy as np

        if not len(numbers):
            return np.zeros(0, np.bool_)
        table = np.array([has_source(sources, forms) for sources in self._lists])
        found: NDArray[np.bool_] = table[np.frombuffer(self._numbers, np.intc)[numbers - 1]]
        return found


def with_evidence_labels(
    records: Sequence[Record], origins: RecordSources, audience_of: Callable[[RecordId], Audience]
) -> tuple[Record, ...]:
    """The records to be written, each with the sources and the audience that it has of what it
    rests on, in the memory or before it among them, and of who said it."""
    whole: list[Record] = []
    for record in records:
        if (record.evidence or record.sources is not None) and record.id > origins.unlabelled_count:
            record = _with_evidence_labels(record, origins, whole, audience_of)
        whole.append(record)
    return tuple(whole)


def _with_evidence_labels(
    record: Record,
    origins: RecordSources,
    before: Sequence[Record],
    audience_of: Callable[[RecordId], Audience],
) -> Record:
    plain = implied_sources(record, origins.owner)
    # What is seen of a thing stands under its name, which is nobody's.
    own = () if record.kind == "observation" and record.sources is not None else plain
    found = {*(plain if record.sources is None else record.sources), *own}
    audiences = [record.audience]
    for number in record.evidence:
        place = number - before[0].id if before else -1
        if 0 <= place < len(before):
            found.update(record_sources(before[place], origins.owner))
            audiences.append(before[place].audience)
        else:
            found.update(origins.of(number))
            audiences.append(audience_of(number))
    sources = tuple(sorted(found))
    if sources != (plain if record.sources is None else record.sources):
        record = replace(record, sources=sources)
    if any(audiences[1:]):
        people = intersect_audiences(audiences, origins.owner)
        if set(people) != set(record.audience):
            record = replace(record, audience=people)
    return record
