"""The exact scores of many minds' likely records in one arithmetic, and their hits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..core import Hit, Record
from .making import construct_many
from .scoring import recency_decay

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .standing import RecallCache

    Positions = NDArray[np.int64]
    Floats = NDArray[np.float64]
    SegmentBounds = tuple[Floats, Floats]


def exact_cosines(
    stands: list[RecallCache], queries: NDArray[np.float32], places: Positions, cuts: Positions
) -> Floats:
    """Exact cosines of each mind's ``places[cuts[i]:cuts[i + 1]]`` with its query."""
    found = np.empty(len(places), np.float32)
    spans = zip(cuts[:-1].tolist(), cuts[1:].tolist())
    for stand, query, (start, stop) in zip(stands, queries, spans, strict=True):
        rows = stand.shelf.vectors.blocks.take(places[start:stop])
        np.vecdot(rows, query, out=found[start:stop])
    return found.astype(np.float64)


def segment_bounds(values: Floats, cuts: Positions) -> SegmentBounds:
    """The least and the largest of each mind's values; 0 for a scene without any."""
    full = np.diff(cuts) > 0
    low, high = np.zeros(len(full)), np.zeros(len(full))
    if full.any():
        begin = cuts[:-1][full]
        low[full] = np.minimum.reduceat(values, begin)
        high[full] = np.maximum.reduceat(values, begin)
    return low, high


def exact_rescore(
    stands: list[RecallCache],
    queries: NDArray[np.float32],
    at: Floats,
    places: Positions,
    cuts: Positions,
    limits: list[int],
    alike: SegmentBounds,
) -> list[tuple[Hit, ...]]:
    """The hits of each mind, whose likely records are ``places[cuts[i]:cuts[i + 1]]``, asked
    ``at``, by its least and largest cosine, ``alike``; all rules have one decay. The numbers
    are, to the bit, those that ``score_some`` gives mind by mind."""
    sizes = np.diff(cuts)
    columns = np.empty((len(places), 2))
    spans = list(zip(cuts[:-1].tolist(), cuts[1:].tolist()))
    for stand, (start, stop) in zip(stands, spans, strict=True):
        stand.columns.take(places[start:stop], 0, columns[start:stop], "clip")
    exact = exact_cosines(stands, queries, places, cuts)
    rules = [stand.rules for stand in stands]
    known = np.array([stand.bounds for stand in stands])
    decay = rules[0].decay
    weights = recency_decay((np.repeat(at, sizes) - columns[:, 0]) / 3600.0, decay)
    ends = recency_decay((at[:, None] - known[:, :2]) / 3600.0, decay)
    equal = np.array([one.equal for one in rules])
    recency = _min_max_scaled(weights, (ends[:, 0], ends[:, 1]), equal, sizes)
    importance = _min_max_scaled(columns[:, 1], (known[:, 2], known[:, 3]), equal, sizes)
    relevance = _min_max_scaled(exact, alike, equal, sizes)
    score = (
        np.repeat([one.recency_weight for one in rules], sizes) * recency
        + np.repeat([one.relevance_weight for one in rules], sizes) * relevance
        + np.repeat([one.importance_weight for one in rules], sizes) * importance
    )
    for stand, (start, stop) in zip(stands, spans, strict=True):
        if stand.trust is not None:
            score[start:stop] *= stand.trust[places[start:stop]]
    parts = (places, score, recency, importance, relevance)
    return _build_hits(stands, parts, sizes, cuts, limits)


def _min_max_scaled(
    values: Floats, bounds: SegmentBounds, equal: Floats, sizes: Positions
) -> Floats:
    low, high = bounds
    flat = low == high
    spread = np.where(flat, 1.0, high - low)
    within: Floats = (values - np.repeat(low, sizes)) / np.repeat(spread, sizes)
    if flat.any():
        within = np.where(np.repeat(flat, sizes), np.repeat(equal, sizes), within)
    return within


def _build_hits(
    stands: list[RecallCache],
    parts: tuple[Positions, Floats, Floats, Floats, Floats],
    sizes: Positions,
    cuts: Positions,
    limits: list[int],
) -> list[tuple[Hit, ...]]:
    """Each mind's best, equal ones in the order of their places."""
    score = parts[1]
    # One stable sort for all of them, mind by mind.
    order = np.lexsort((-score, np.repeat(np.arange(len(stands)), sizes)))
    rank = np.arange(len(score)) - np.repeat(cuts[:-1], sizes)
    order = order[rank < np.repeat(np.array(limits), sizes)]
    places, *numbers = (part[order].tolist() for part in parts)
    ends = np.cumsum(np.minimum(sizes, limits)).tolist()
    spans = list(zip([0, *ends[:-1]], ends))
    records: list[Record] = []
    for stand, (start, stop) in zip(stands, spans, strict=True):
        records += stand.shelf.records.get_many(places[start:stop])
    names = ("score", "recency", "importance", "relevance")
    hits = construct_many(
        Hit, len(records), record=records, **dict(zip(names, numbers, strict=True))
    )
    return [tuple(hits[start:stop]) for start, stop in spans]
