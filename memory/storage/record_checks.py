"""Looking at stored rows one by one: which are whole, and what is wrong with the others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from ...core import AgentId, RecordId
from .record_codec import read_body
from .record_table import (
    ACCESS_CHAIN,
    RECORD_CHAIN,
    RecordAccess,
    StoredRecord,
    content_digest,
)

RawRow = tuple[Any, ...]


@dataclass(slots=True)
class RecordExamination:
    """An agent's stored memory, row by row: what is ``intact``, by number, and what is wrong
    with the rest (``damaged``, by number; 0 for what has no number)."""

    intact: dict[RecordId, StoredRecord] = field(default_factory=dict)
    touches: list[RecordAccess] = field(default_factory=list)
    damaged: list[tuple[RecordId, str]] = field(default_factory=list)
    lost_touches: int = 0
    count: int = 0


def examine_records(
    agent: AgentId, records: Iterable[RawRow], touches: Iterable[RawRow], written: tuple[int, int]
) -> RecordExamination:
    """Check raw rows (id, step, body, vector, digest, link) and (n, step, at, records,
    link), in order; ``written`` are how many of both there should be."""
    found = RecordExamination()
    before: tuple[int, str, int] = (0, "", 0)
    rows = [row for row in records if isinstance(row[0], int) and row[0] >= 1]
    sizes = Counter(len(row[3]) for row in rows if isinstance(row[3], bytes))
    size = sizes.most_common(1)[0][0] if sizes else 0
    for place, row in enumerate(rows):
        number, step, body, vector, _, link = row
        follower = rows[place + 1] if place + 1 < len(rows) else None
        why = _record_fault(agent, row, before, follower) or _vector_fault(vector, size)
        if why:
            found.damaged.append((number, why))
        else:
            step = max(int(step), before[2])
            found.intact[number] = StoredRecord(read_body(body), step, vector)
            before = (number, str(link), step)
    found.count = max([written[0], *(row[0] for row in rows[-1:])])
    have = set(found.intact) | {number for number, _ in found.damaged}
    missing = sorted(set(range(1, found.count + 1)) - have)
    found.damaged += [(number, "is missing") for number in missing]
    found.touches = list(_touches(agent, touches, found.count))
    found.lost_touches = max(0, written[1] - len(found.touches))
    return found


def _record_fault(
    agent: AgentId, row: RawRow, before: tuple[int, str, int], after: RawRow | None
) -> str:
    """What is wrong with a row, or nothing."""
    number, step, body, vector, mark, link = row
    if not isinstance(body, str) or not (vector is None or isinstance(vector, bytes)):
        return "holds what no record holds"
    if content_digest(body, vector) != mark:
        return "does not hash to its digest"
    if not isinstance(step, int):
        return "has no step"
    try:
        record = read_body(body)
    except ValueError:
        return "is no record"
    if record.id != number or record.created.tzinfo is not None:
        return "has another's number"
    # Its link can be tried only behind a row that is whole; and it may be the link that is
    # damaged, not what it vouches for: then the row behind does not follow from it either.
    if before[0] == number - 1 and RECORD_CHAIN.link(before[1], agent, row[:-1]) != link:
        follows = (
            after is not None
            and after[0] == number + 1
            and RECORD_CHAIN.link(str(link), agent, after[:-1]) == after[-1]
        )
        if follows or after is None:
            return "does not fit the chain of digests"
    return ""


def _vector_fault(vector: bytes | None, size: int) -> str:
    """Why an embedding does not go with those of ``size`` bytes that most records have."""
    if vector is None:
        return ""
    if len(vector) != size or size % 4 or not size:
        return f"has an embedding of {len(vector)} bytes, where most have {size}"
    return "" if np.isfinite(np.frombuffer(vector, "<f4")).all() else "has no finite embedding"


def _touches(agent: AgentId, rows: Iterable[RawRow], count: int) -> Iterator[RecordAccess]:
    before: tuple[int, str] = (0, "")
    for n, step, at, records, link in rows:
        if not (isinstance(n, int) and isinstance(step, int)):
            continue
        chained = ACCESS_CHAIN.link(before[1], agent, (n, step, at, records))
        if before[0] == n - 1 and chained != link:
            continue
        before = (n, str(link))
        try:
            ids: Sequence[int] = json.loads(records)
            touch = RecordAccess(tuple(ids), step, datetime.fromisoformat(at))
        except (ValueError, TypeError):
            continue
        if ids and all(isinstance(i, int) and 1 <= i <= count for i in ids):
            yield touch
