"""Writing to one agent's memory: checks, labels, the store, and the indexes in RAM."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ..core import (
    EVERYBODY,
    AgentId,
    Record,
    RecordId,
    Time,
    replace_surrogates,
    same_name,
    time_error,
)
from .index import IndexLoader, MemoryIndex
from .storage import (
    TEXT_FIELDS,
    AuditEntry,
    RecordAccess,
    StoredRecord,
    Vector,
    append_accesses,
    append_records,
    as_vectors,
    body_of,
    number_fault,
    numbers_fault,
    read_body,
    record_fault,
    step_fault,
    text_fault,
    vector_faults,
    with_evidence_labels,
    write_audit_entry,
)


class RecordWriter:
    """The writer of one agent's memory. Each method writes inside the caller's transaction if one
    is open, updates the loaded indexes, and raises MemoryFault, writing nothing, for invalid
    values."""

    def __init__(self, loader: IndexLoader) -> None:
        self._loader = loader
        self._store = loader.store
        self._agent = loader.agent

    def add(
        self, records: Sequence[Record], vectors: Mapping[RecordId, Vector] | None, step: int
    ) -> None:
        """Append records with their embeddings; see ``Memory.add``."""
        if isinstance(records, Record | str) or not isinstance(records, Iterable):
            raise self._loader.fault(f"{records!r:.60} is no sequence of records; write [record]")
        records = tuple(records)
        if not records:
            return
        self._check_step(step)
        for number, record in enumerate(records, len(self._loader) + 1):
            self._loader.refuse(record_fault(record, number))
        rows, bodies = self._rows(self.labelled(records), vectors, step)
        append_records(self._store, self._agent, rows, bodies)
        self._update(lambda index: index.add(rows, bodies))

    def labelled(self, records: tuple[Record, ...]) -> tuple[Record, ...]:
        """Records to be written, with the sources and audiences that follow from their
        evidence."""
        if all(not record.evidence and record.sources is None for record in records):
            return records
        return with_evidence_labels(
            records,
            self._loader.index.record_sources,
            lambda number: self._loader.record(number).audience,
        )

    def _rows(
        self, records: Sequence[Record], vectors: Mapping[RecordId, Vector] | None, step: int
    ) -> tuple[list[StoredRecord], list[str]]:
        """The rows of records, with their bodies."""
        embeddings = as_vectors(vectors)
        for fault in vector_faults(embeddings, self._loader.index.vectors.columns):
            self._loader.refuse(fault)
        if stray := embeddings.keys() - {record.id for record in records}:
            shown = ", ".join(sorted(map(repr, stray)))
            raise self._loader.fault(f"vectors for records that are not added: {shown}")
        bodies = [body_of(record) for record in records]
        rows = []
        for record, body in zip(records, bodies, strict=True):
            vector = embeddings.get(record.id)
            # A body differs from its record where a lone surrogate was replaced in it.
            if not body.isascii() and _has_lone_surrogate(record):
                record = read_body(body)
            rows.append(StoredRecord(record, step, None if vector is None else vector.tobytes()))
        return rows, bodies

    def mark_accessed(self, ids: Sequence[RecordId], step: int, at: Time) -> None:
        """Write to the access log that records were accessed at ``step``, at time ``at``."""
        self._loader.refuse(numbers_fault("ids", ids))
        ids = tuple(ids)
        if not ids:
            return
        self._check_step(step)
        count = len(self._loader)
        if unknown := [number for number in ids if number_fault(number, count)]:
            raise self._loader.fault(f"cannot mark unknown records {unknown} as accessed")
        self._loader.refuse(time_error(at))
        access = RecordAccess(tuple(dict.fromkeys(ids)), step, at)
        append_accesses(self._store, self._agent, [access])
        self._update(lambda index: index.mark_accessed(access))

    def quarantine(self, who: AgentId, why: str) -> None:
        """Exclude from recall what ``who`` said and what rests on it; see
        ``Memory.quarantine``."""
        self._loader.refuse(text_fault("who", who) or text_fault("why", why))
        if not who.strip() or same_name(who, self._agent):
            raise self._loader.fault("its own thoughts cannot be quarantined; name who said it")
        if who == EVERYBODY:
            raise self._loader.fault(f"'{who}' is nobody's name; name who said it")
        self._write_audit_entry("quarantined", who, why)
        self._update(lambda index: index.set_quarantined(index.quarantined | {who}))

    def release(self, who: AgentId, why: str) -> None:
        """End the quarantine of ``who``, in any spelling of the name."""
        self._loader.refuse(text_fault("who", who) or text_fault("why", why))
        quarantined = self._loader.index.quarantined
        names = sorted(name for name in quarantined if same_name(name, who))
        if not names:
            raise self._loader.fault(
                f"'{who}' is not quarantined; quarantined: {sorted(quarantined)}"
            )
        for name in names:
            self._write_audit_entry("released", name, why)
        self._update(lambda index: index.set_quarantined(index.quarantined.difference(names)))

    def _write_audit_entry(self, what: str, who: AgentId, why: str) -> None:
        step = self._loader.index.last_step
        self._check_step(step)
        write_audit_entry(
            self._store, self._agent, AuditEntry(step, what, {"who": who, "why": why})
        )

    def _update(self, change: Callable[[MemoryIndex], None]) -> None:
        for index in self._loader.loaded():
            change(index)

    def _check_step(self, step: int) -> None:
        """Raises MemoryFault in a view of the past, and for a step before the last one."""
        past = self._loader.as_of_step
        if past is not None:
            raise self._loader.fault(
                f"is seen as of step {past} and read-only; write to the memory"
            )
        self._loader.refuse(step_fault(step))
        last = self._loader.index.last_step
        if step < last:
            raise self._loader.fault(
                f"step {step} lies before step {last}, already written; steps only go forward"
            )


def _has_lone_surrogate(record: Record) -> bool:
    names = (*record.audience, *(record.sources or ()))
    whole = "".join((*(getattr(record, name) for name in TEXT_FIELDS), *names))
    return whole != replace_surrogates(whole)
