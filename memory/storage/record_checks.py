"""Examining stored rows one by one: which are intact, and what is wrong with the others."""

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
from .record_table import ACCESS_CHAIN, RECORD_CHAIN, RecordAccess, StoredRecord, content_digest

RawRow = tuple[Any, ...]


@dataclass(slots=True)
class RecordExamination:
    """The rows of an agent's memory: ``intact`` records by number, ``accesses``, what is wrong with
    the ``damaged`` records by number, and the ``count`` of records there should be."""

    intact: dict[RecordId, StoredRecord] = field(default_factory=dict)
    accesses: list[RecordAccess] = field(default_factory=list)
    damaged: list[tuple[RecordId, str]] = field(default_factory=list)
    lost_accesses: int = 0
    count: int = 0


def examine_records(
    agent: AgentId, records: Iterable[RawRow], accesses: Iterable[RawRow], heads: tuple[int, int]
) -> RecordExamination:
    """Check raw rows (id, step, body, vector, digest, link) and (n, step, at, records, link), in
    order; ``heads`` says how many of both there should be."""
    result = RecordExamination()
    before: tuple[int, str, int] = (0, "", 0)
    rows = [row for row in records if isinstance(row[0], int) and row[0] >= 1]
    sizes = Counter(len(row[3]) for row in rows if isinstance(row[3], bytes))
    size = sizes.most_common(1)[0][0] if sizes else 0
    for position, row in enumerate(rows):
        number, step, body, vector, _, link = row
        after = rows[position + 1] if position + 1 < len(rows) else None
        fault = _record_fault(agent, row, before, after) or _vector_fault(vector, size)
        if fault:
            result.damaged.append((number, fault))
        else:
            step = max(int(step), before[2])
            result.intact[number] = StoredRecord(read_body(body), step, vector)
            before = (number, str(link), step)
    result.count = max([heads[0], *(row[0] for row in rows[-1:])])
    existing = set(result.intact) | {number for number, _ in result.damaged}
    missing = sorted(set(range(1, result.count + 1)) - existing)
    result.damaged += [(number, "is missing") for number in missing]
    result.accesses = list(_intact_accesses(agent, accesses, result.count))
    result.lost_accesses = max(0, heads[1] - len(result.accesses))
    return result


def _record_fault(
    agent: AgentId, row: RawRow, before: tuple[int, str, int], after: RawRow | None
) -> str:
    """What is wrong with a row, or nothing. ``before`` is number, link and step of the last intact
    row, ``after`` the next row."""
    number, step, body, vector, digest, link = row
    if not isinstance(body, str) or not (vector is None or isinstance(vector, bytes)):
        return "holds values that no record has"
    if content_digest(body, vector) != digest:
        return "does not hash to its digest"
    if not isinstance(step, int):
        return "has no step"
    try:
        record = read_body(body)
    except ValueError:
        return "is no record"
    if record.id != number or record.created.tzinfo is not None:
        return "has the number of another"
    # A link can be checked only after an intact row. If it does not fit, it may be the link itself
    # that is damaged; then the next row does not follow from it either.
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
    """Why an embedding does not fit those of ``size`` bytes that most records have, or nothing."""
    if vector is None:
        return ""
    if len(vector) != size or size % 4 or not size:
        return f"has an embedding of {len(vector)} bytes, where most have {size}"
    return "" if np.isfinite(np.frombuffer(vector, "<f4")).all() else "has no finite embedding"


def _intact_accesses(agent: AgentId, rows: Iterable[RawRow], count: int) -> Iterator[RecordAccess]:
    before: tuple[int, str] = (0, "")
    for n, step, at, records, link in rows:
        if not (isinstance(n, int) and isinstance(step, int)):
            continue
        expected = ACCESS_CHAIN.link(before[1], agent, (n, step, at, records))
        if before[0] == n - 1 and expected != link:
            continue
        before = (n, str(link))
        try:
            ids: Sequence[int] = json.loads(records)
            access = RecordAccess(tuple(ids), step, datetime.fromisoformat(at))
        except (ValueError, TypeError):
            continue
        if ids and all(isinstance(i, int) and 1 <= i <= count for i in ids):
            yield access
