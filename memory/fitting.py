"""What is wrong with what a memory is to take in; each text names the fault and the remedy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ..core import AgentId, Record, RecordId, SettingError, Time

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .memory import Vector


def record_fault(record: Record, expected: RecordId) -> str:
    """Why a record cannot be number ``expected``; empty when it can."""
    if record.id != expected:
        return f"record {record.id} should be number {expected}; use next_id"
    if not 1 <= record.importance < math.inf:
        return f"record {record.id}: importance {record.importance} must be 1 or more"
    if wrong := [i for i in record.evidence if not 1 <= i < record.id]:
        return f"record {record.id}: evidence {wrong} is not older than it"
    return time_fault(record.created)


def time_fault(at: Time) -> str:
    """Why a time cannot be one of the world's; empty when it can."""
    if at.tzinfo is None:
        return ""
    return f"time {at.isoformat()} has a time zone; the world's clock has none"


def row_fault(row: NDArray[np.float32], columns: int) -> str:
    """Why a row is no embedding of ``columns`` finite numbers (0: of any length)."""
    if row.ndim != 1 or not row.size or (columns and row.size != columns):
        return (
            f"an embedding of shape {row.shape} beside ones of {columns or 'any'} numbers; "
            "was it made by another model? Use one embedding model for one memory"
        )
    if not math.isfinite(float(row.sum())):
        return "an embedding with a number that is not finite"
    return ""


def row_faults(vectors: Mapping[RecordId, Vector], columns: int) -> Iterator[str]:
    """What is wrong with each of some embeddings."""
    import numpy as np

    rows = [np.ascontiguousarray(vector, "<f4") for vector in vectors.values()]
    # Checked all at once where they are alike, one by one to say which is not.
    whole = np.stack(rows) if len({row.shape for row in rows}) == 1 else None
    if whole is not None and whole.ndim == 2 and np.isfinite(whole.sum()):
        rows = rows[:1]
    for row in rows:
        yield row_fault(row, columns)
        columns = columns or row.size


def packed(vectors: Mapping[RecordId, Vector]) -> dict[RecordId, bytes]:
    """Embeddings as the store keeps them: float32, little-endian."""
    import numpy as np

    return {id: np.ascontiguousarray(vector, "<f4").tobytes() for id, vector in vectors.items()}


def trust_in(agent: AgentId, trust: Mapping[AgentId, float]) -> tuple[tuple[AgentId, float], ...]:
    """The weights of trust in order of name. Raises SettingError for one not in [0, 1]."""
    for who, weight in trust.items():
        if not 0 <= weight <= 1:
            raise SettingError(f"memory of {agent}: trust in '{who}' is {weight}, not in [0, 1]")
    return tuple(sorted(trust.items()))
