"""Export and import of a memory as JSON Lines."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ..core import (
    AgentId,
    Json,
    MemoryFault,
    Record,
    RecordId,
    canonical,
    from_json,
    is_visible,
    read_text_file,
    time_error,
    to_json,
)
from .memory import Memory
from .storage import (
    AUXILIARY_LOGS,
    MAX_INTEGER,
    AuditEntry,
    RecordAccess,
    StoredRecord,
    atomic_export,
    audit_entry_fault,
    is_erased,
    line_fault,
    number_fault,
    read_accesses,
    read_audit_log,
    read_quarantined,
    read_records,
    record_fault,
    record_numbers,
    step_fault,
    unlabelled_count,
    vector_fault,
    write_audit_entry,
    write_unlabelled_counts,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class AuxiliaryLine:
    """A line of an auxiliary log."""

    step: int
    part: str
    body: dict[str, Any] | None


ExportItem: TypeAlias = StoredRecord | RecordAccess | AuditEntry | AuxiliaryLine
_LOGS = {book.part: book for book in AUXILIARY_LOGS}


def export_lines(memory: Memory, path: Path | str, *, person: AgentId = "") -> int:
    """Write a memory (all of it, or as of a view's step) to ``path``; returns the number of lines.

    Lines are, in order of steps, so that an import makes an equal memory with equal digests:

    - ``{"step", "record", "vector"}``: a record; vector is base64 of little-endian float32, or
      null. A record from before labels existed has no "sources".
    - ``{"step", "at", "touch": [ids]}``: an access.
    - ``{"step", "log", "data"}``: an entry of the audit log.
    - ``{"step", "book", "line"}``: a line of facts, documents, summaries, notes, sessions or
      corrections (null: erased).

    For a ``person`` only the records visible to them are written, numbered from 1. Raises
    MemoryFault for an invalid person or path.
    """
    count = 0
    with atomic_export(path) as part, part.open("w", encoding="utf-8") as out:
        for line in _lines(memory, person):
            out.write(canonical(line) + "\n")
            count += 1
    return count


def _lines(memory: Memory, person: AgentId) -> Iterator[Json]:
    until, before = memory.as_of_step, unlabelled_count(memory.store, memory.agent)
    is_visible((), person)  # Raises MemoryFault for an invalid name.
    rows = read_records(memory.store, memory.agent)
    items: list[ExportItem] = [replace(row, labelled=row.record.id > before) for row in rows]
    if person:
        # Logs, accesses and numbers would reveal other records.
        held = (item for item in items if isinstance(item, StoredRecord))
        items = list(_renumbered([row for row in held if _is_visible_to(row, person)], memory))
    else:
        items += read_accesses(memory.store, memory.agent)
        items += read_audit_log(memory.store, memory.agent)
        for log in AUXILIARY_LOGS:
            lines = log.read(memory.store, memory.agent)
            items += [AuxiliaryLine(line.step, log.part, line.body) for line in lines]
    # Stable: within a step the records come before the accesses, as a commit writes them.
    for item in sorted(items, key=lambda item: item.step):
        if until is not None and item.step > until:
            return
        if isinstance(item, RecordAccess):
            yield {"step": item.step, "at": item.at.isoformat(), "touch": list(item.records)}
        elif isinstance(item, AuditEntry):
            yield {"step": item.step, "log": item.what, "data": item.data}
        elif isinstance(item, AuxiliaryLine):
            yield {"step": item.step, "book": item.part, "line": item.body}
        else:
            packed = None if item.vector is None else base64.b64encode(item.vector).decode()
            record = to_json(item.record)
            if item.labelled:
                record.setdefault("sources", None)
            yield {"step": item.step, "record": record, "vector": packed}


def _renumbered(rows: Sequence[StoredRecord], memory: Memory) -> Iterator[StoredRecord]:
    """The rows numbered from 1, with all their sources, and with evidence only among themselves: a
    gap, and how much evidence a record has, would reveal other records."""
    numbers = {row.record.id: number for number, row in enumerate(rows, 1)}
    depths: dict[RecordId, int] = {}
    for row in rows:
        record = row.record
        basis = tuple(number for number in record.evidence if number in numbers)
        depth, sources = record.depth, record.sources
        if len(basis) < len(record.evidence):
            if not row.labelled:
                sources = memory.sources(record.id)
            depth = 1 + max(depths[number] for number in basis) if basis else 0
        depths[record.id] = depth
        evidence = tuple(numbers[number] for number in basis)
        number = numbers[record.id]
        record = replace(record, id=number, evidence=evidence, depth=depth, sources=sources)
        yield replace(row, record=record)


def _is_visible_to(row: StoredRecord, person: AgentId) -> bool:
    return is_visible(row.record.audience, person) and not is_erased(row.record)


def import_lines(memory: Memory, path: Path | str) -> int:
    """Read what ``export_lines`` wrote into an empty memory, all or nothing; returns the number of
    lines. Raises MemoryFault naming the first line that is invalid or does not follow from those
    before it."""
    if len(memory):
        raise MemoryFault(f"memory of {memory.agent}: has records already; import into a new one")
    logs = [log.part for log in AUXILIARY_LOGS if log.entries(memory.store, memory.agent)]
    logs += ["an audit log"] if memory.audit_log else []
    if logs:
        raise MemoryFault(
            f"memory of {memory.agent}: holds {', '.join(logs)} already, whose numbers the lines "
            "would shift; import into a new one"
        )
    items = read_lines(path)
    unlabelled = [
        item.record.id for item in items if isinstance(item, StoredRecord) and not item.labelled
    ]
    with memory.store.transaction():
        if unlabelled:
            write_unlabelled_counts(memory.store, {memory.agent: max(unlabelled)})
            memory.index.record_sources.unlabelled_count = max(unlabelled)
        for step, group in groupby(items, key=lambda item: item.step):
            batch = list(group)
            rows = [item for item in batch if isinstance(item, StoredRecord)]
            vectors = {
                row.record.id: _decoded_vector(row) for row in rows if row.vector is not None
            }
            memory.add([row.record for row in rows], vectors, step=step)
            for item in batch:
                if isinstance(item, RecordAccess):
                    memory.mark_accessed(item.records, step=step, at=item.at)
                elif isinstance(item, AuditEntry):
                    write_audit_entry(memory.store, memory.agent, item)
                elif isinstance(item, AuxiliaryLine):
                    _LOGS[item.part].append(memory.store, memory.agent, item.body, step=step)
    memory.index.set_quarantined(read_quarantined(memory.store, memory.agent))
    return len(items)


def read_lines(path: Path | str) -> list[ExportItem]:
    """The items of a file that ``export_lines`` wrote. Raises MemoryFault like ``import_lines``."""
    if not isinstance(path, str | Path):
        raise MemoryFault(f"{path!r:.60} is no path; name the file to read")
    source = Path(path)
    text = read_text_file(source, error=MemoryFault)
    # Not splitlines: a text may hold other line separators than the one between lines.
    lines = text.removesuffix("\n").split("\n") if text else []
    items = [_item(line, number, source) for number, line in enumerate(lines, 1)]
    _check_order(items, source)
    return items


def _item(line: str, number: int, source: Path) -> ExportItem:
    """The item of a line. Raises MemoryFault for an invalid one."""
    try:
        item = _read(json.loads(line))
        wrong = step_fault(item.step) or _fault_in(item)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        wrong = " ".join(repr(error).split())[:200]
    if wrong:
        raise MemoryFault(f"{source}: line {number} is no memory record ({wrong})")
    return item


def _read(data: Json) -> ExportItem:
    if not isinstance(data, dict):
        raise TypeError(f"a {type(data).__name__} instead of an object")
    step = data["step"]
    if "touch" in data:
        return RecordAccess(tuple(data["touch"]), step, datetime.fromisoformat(data["at"]))
    if "book" in data:
        if data["book"] not in _LOGS:
            raise ValueError(f"unknown book {data['book']!r}; known: {', '.join(_LOGS)}")
        return AuxiliaryLine(step, data["book"], data["line"])
    if "log" in data:
        return AuditEntry(step, data["log"], data["data"])
    packed = data["vector"]
    vector = None if packed is None else base64.b64decode(packed, validate=True)
    return StoredRecord(
        from_json(Record, data["record"]), step, vector, "sources" in data["record"]
    )


def _fault_in(item: ExportItem) -> str:
    """What is wrong with an item by itself."""
    if isinstance(item, RecordAccess):
        numbers = (number_fault(number, MAX_INTEGER) for number in item.records)
        return time_error(item.at) or next(filter(None, numbers), "")
    if isinstance(item, AuxiliaryLine):
        return line_fault(item.part, item.body)
    if isinstance(item, AuditEntry):
        return audit_entry_fault(item)
    if item.vector is not None and len(item.vector) % 4:
        return f"its vector has {len(item.vector)} bytes, no multiple of 4"
    return record_fault(item.record, item.record.id)


def _check_order(items: Sequence[ExportItem], source: Path) -> None:
    """Raises MemoryFault unless steps do not decrease, records are numbered on, and items that name
    a record come after it or in its step."""
    import numpy as np

    count, columns, step = 0, 0, 0
    for number, item in enumerate(items, 1):
        wrong = "" if item.step >= step else f"step {item.step} lies before step {step}"
        step = item.step
        named: Iterable[RecordId] = ()
        if isinstance(item, StoredRecord):
            wrong = wrong or record_fault(item.record, count + 1)
            if item.vector is not None:
                row = np.frombuffer(item.vector, "<f4")
                wrong = wrong or vector_fault(row, columns)
                columns = row.size
            count += 1
        elif isinstance(item, RecordAccess):
            named = item.records
        elif isinstance(item, AuxiliaryLine):
            named = record_numbers(item.part, item.body)
        if not wrong and (late := [n for n in named if n > count]):
            wrong = f"it names records {late[:9]} that do not come before it"
        if wrong:
            raise MemoryFault(f"{source}: line {number} is no memory record ({wrong})")


def _decoded_vector(row: StoredRecord) -> NDArray[np.float32]:
    import numpy as np

    return np.frombuffer(row.vector or b"", "<f4")
