"""A memory as JSON lines: to look at, to keep, to carry elsewhere."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

from ..core import AgentId, Json, MemoryFault, Record, RecordId, canonical, from_json, to_json
from .claim import visible
from .encoding import gone
from .ledger import Entry, read_entries, read_quarantine, write_entry
from .logbook import BESIDE
from .memory import Memory
from .table import Row, Touch, read_rows, read_touches


@dataclass(frozen=True, slots=True)
class Beside:
    """A line of claims, documents, folds or notes."""

    step: int
    part: str
    body: dict[str, Any] | None


Item: TypeAlias = Row | Touch | Entry | Beside
_BOOKS = {book.part: book for book in BESIDE}


def export_lines(memory: Memory, path: Path | str, *, person: AgentId = "") -> int:
    """Write a memory (all of it, or as of a view's step) to ``path``; returns the lines.

    A line is ``{"step", "record", "vector"}`` (vector: base64 of little-endian float32, or
    null), for an access ``{"step", "at", "touch": [ids]}``, for a line of the log
    ``{"step", "log", "data"}``, or of claims, documents, folds or notes
    ``{"step", "book", "line"}`` (null: erased); in order of steps, so that reading them again
    makes an equal memory, digests included. For a ``person`` it is what is for them or for
    everybody, no more: to be read, and too little to be imported.
    """
    target = Path(path)
    part = target.with_name(f"{target.name}.part{os.getpid()}")
    count = 0
    try:
        with part.open("w", encoding="utf-8") as out:
            for line in _lines(memory, person):
                out.write(canonical(line) + "\n")
                count += 1
        os.replace(part, target)
    except OSError as error:
        raise MemoryFault(f"{target}: cannot be written ({error.strerror})") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def _lines(memory: Memory, person: AgentId) -> Iterator[Json]:
    until = memory.step
    items: list[Item] = list(read_rows(memory.store, memory.agent))
    if person:
        # Numbers, logs and accesses of what is not theirs would tell of it too.
        items = [item for item in items if isinstance(item, Row) and _theirs(item, person)]
    else:
        items += read_touches(memory.store, memory.agent)
        items += read_entries(memory.store, memory.agent)
        for book in BESIDE:
            lines = book.read(memory.store, memory.agent)
            items += [Beside(line.step, book.part, line.body) for line in lines]
    # Stable: within a step the records come before the accesses, as a commit writes them.
    for item in sorted(items, key=lambda item: item.step):
        if until is not None and item.step > until:
            return
        if isinstance(item, Touch):
            yield {"step": item.step, "at": item.at.isoformat(), "touch": list(item.records)}
        elif isinstance(item, Entry):
            yield {"step": item.step, "log": item.what, "data": item.data}
        elif isinstance(item, Beside):
            yield {"step": item.step, "book": item.part, "line": item.body}
        else:
            packed = None if item.vector is None else base64.b64encode(item.vector).decode()
            yield {"step": item.step, "record": to_json(item.record), "vector": packed}


def _theirs(row: Row, person: AgentId) -> bool:
    return visible(row.record.audience, person) and not gone(row.record)


def import_lines(memory: Memory, path: Path | str) -> int:
    """Read what ``export_lines`` wrote into an empty memory, all or nothing; returns the
    lines. Raises MemoryFault naming the line."""
    source = Path(path)
    if len(memory):
        raise MemoryFault(f"memory of {memory.agent}: has records already; import into a new one")
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MemoryFault(f"{source}: cannot be read ({error}); check the file") from error
    # Not splitlines: a text may hold other line separators than the one between lines.
    lines = text.removesuffix("\n").split("\n") if text else []
    items = [_item(line, number, source) for number, line in enumerate(lines, 1)]
    with memory.store.transaction():
        for step, group in groupby(items, key=lambda item: item.step):
            batch = list(group)
            rows = [item for item in batch if isinstance(item, Row)]
            vectors = {row.record.id: _unpacked(row) for row in rows if row.vector is not None}
            memory.add([row.record for row in rows], vectors, step=step)
            for item in batch:
                if isinstance(item, Touch):
                    memory.touch(item.records, step=step, at=item.at)
                elif isinstance(item, Entry):
                    write_entry(memory.store, memory.agent, item)
                elif isinstance(item, Beside):
                    _BOOKS[item.part].append(memory.store, memory.agent, item.body, step=step)
    memory.shelf.quarantined = read_quarantine(memory.store, memory.agent)
    return len(items)


def _item(line: str, number: int, source: Path) -> Item:
    try:
        data = json.loads(line)
        if "touch" in data:
            at = datetime.fromisoformat(data["at"])
            return Touch(tuple(map(RecordId, data["touch"])), int(data["step"]), at)
        if "book" in data:
            body = None if data["line"] is None else dict(data["line"])
            return Beside(int(data["step"]), _BOOKS[data["book"]].part, body)
        if "log" in data:
            return Entry(int(data["step"]), str(data["log"]), dict(data["data"]))
        packed = data["vector"]
        vector = None if packed is None else base64.b64decode(packed, validate=True)
        return Row(from_json(Record, data["record"]), int(data["step"]), vector)
    except (ValueError, KeyError, TypeError) as error:
        raise MemoryFault(f"{source}: line {number} is no memory record ({error!r})") from error


def _unpacked(row: Row) -> list[float]:
    import numpy as np

    values: list[float] = np.frombuffer(row.vector or b"", "<f4").tolist()
    return values
