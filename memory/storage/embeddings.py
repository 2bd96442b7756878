"""Embeddings: their types, their checks, and the one place that calls an embedder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...core import MemoryFault, RecordId

Vector: TypeAlias = Sequence[float] | NDArray[np.float32]
"""An embedding: a row of real numbers."""
EmbedFunction: TypeAlias = Callable[[Sequence[str]], NDArray[np.float32]]
"""A function from n texts to their embeddings, shape (n, d)."""


def vector_fault(row: NDArray[np.float32], columns: int) -> str:
    """Why a row is no embedding of ``columns`` finite numbers (0: any length); empty if it is."""
    if row.ndim != 1 or not row.size or (columns and row.size != columns):
        return (
            f"an embedding of shape {row.shape} beside ones of {columns or 'any'} numbers; "
            "was it made by another model? Use one embedding model for one memory"
        )
    if not np.isfinite(row).all():
        return "an embedding with a number that is not finite"
    return ""


def vector_faults(rows: Mapping[RecordId, NDArray[np.float32]], columns: int) -> Iterator[str]:
    """``vector_fault`` of each embedding; all must be of one length."""
    each = list(rows.values())
    # All at once if they are alike; one by one to find the one that is not.
    whole = np.stack(each) if len({row.shape for row in each}) == 1 else None
    if whole is not None and whole.ndim == 2 and np.isfinite(whole).all():
        each = each[:1]
    for row in each:
        yield vector_fault(row, columns)
        columns = columns or row.size


def embed_texts(embed: EmbedFunction, texts: Sequence[str]) -> NDArray[np.float32]:
    """The embeddings of texts, one row each. Raises MemoryFault if the embedder returns anything
    else."""
    rows = embed(texts)
    count = len(rows) if hasattr(rows, "__len__") else -1
    if count != len(texts):
        got = f"{count} rows" if count >= 0 else f"{rows!r:.60}"
        raise MemoryFault(
            f"embed returned {got} for {len(texts)} texts; it must return a row of numbers for each"
        )
    return rows


def as_vectors(vectors: Mapping[RecordId, Vector] | None) -> dict[RecordId, NDArray[np.float32]]:
    """Embeddings as stored, little-endian float32. Raises MemoryFault unless ``vectors`` maps
    record numbers to rows of real numbers."""
    if vectors is None:
        return {}
    if not isinstance(vectors, Mapping):
        raise MemoryFault(
            f"vectors are a {type(vectors).__name__}, not a mapping from record numbers to "
            "embeddings; for an array with a row a record: "
            "dict(zip([record.id for record in records], array))"
        )
    return {number: as_vector(vector, f"record {number!r}") for number, vector in vectors.items()}


def as_vector(vector: Vector, whose: str) -> NDArray[np.float32]:
    """An embedding as little-endian float32. Raises MemoryFault unless it is a row of real
    numbers."""
    if type(vector) is np.ndarray and vector.dtype.str == "<f4" and vector.ndim == 1:
        return np.ascontiguousarray(vector)
    try:
        values = np.asarray(vector)
    except (ValueError, TypeError) as error:
        raise MemoryFault(f"the embedding of {whose} is no row of numbers ({error})") from error
    if (values.dtype.kind not in "fiu" and values.size) or not values.ndim:
        raise MemoryFault(
            f"the embedding of {whose} is no row of real numbers ({values.dtype}, shape "
            f"{values.shape})"
        )
    # A number that float32 cannot hold becomes infinite, and is refused as such.
    with np.errstate(over="ignore"):
        row: NDArray[np.float32] = np.ascontiguousarray(values, "<f4")
    return row
