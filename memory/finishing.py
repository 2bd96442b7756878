"""The exact scores of many minds' likely records in one arithmetic, and their hits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..core import Hit
from .scene import Scene
from .scoring import fading

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Ends = tuple[Floats, Floats]


def cosines_of(
    scenes: list[Scene], queries: NDArray[np.float32], places: Ints, cuts: Ints
) -> Floats:
    """Exact cosines of each scene's ``places[cuts[i]:cuts[i + 1]]`` with its query."""
    found = np.empty(len(places), np.float32)
    spans = zip(cuts[:-1].tolist(), cuts[1:].tolist())
    for scene, query, (start, stop) in zip(scenes, queries, spans, strict=True):
        rows = scene.shelf.index.rows_of.take(places[start:stop])
        np.vecdot(rows, query, out=found[start:stop])
    return found.astype(np.float64)


def ends_of(values: Floats, cuts: Ints) -> Ends:
    """The least and the largest of each scene's values; 0 for a scene without any."""
    full = np.diff(cuts) > 0
    low, high = np.zeros(len(full)), np.zeros(len(full))
    if full.any():
        begin = cuts[:-1][full]
        low[full] = np.minimum.reduceat(values, begin)
        high[full] = np.maximum.reduceat(values, begin)
    return low, high


def finish(
    scenes: list[Scene],
    queries: NDArray[np.float32],
    places: Ints,
    cuts: Ints,
    limits: list[int],
    alike: Ends,
) -> list[tuple[Hit, ...]]:
    """The hits of each scene, whose likely records are ``places[cuts[i]:cuts[i + 1]]``, by
    its least and largest cosine, ``alike``; all rules have one decay. The numbers are, to
    the bit, those that ``score_some`` gives scene by scene."""
    sizes = np.diff(cuts)
    last, worth = np.empty(len(places)), np.empty(len(places))
    spans = list(zip(cuts[:-1].tolist(), cuts[1:].tolist()))
    for scene, (start, stop) in zip(scenes, spans, strict=True):
        mine = places[start:stop]
        last[start:stop] = scene.last[mine]
        worth[start:stop] = scene.shelf.importance.array[mine]
    exact = cosines_of(scenes, queries, places, cuts)
    rules = [scene.rules for scene in scenes]
    at = np.array([scene.at for scene in scenes])
    known = np.array([scene.bounds() for scene in scenes])
    decay = rules[0].decay
    weights = fading((np.repeat(at, sizes) - last) / 3600.0, decay)
    ends = fading((at[:, None] - known[:, 0]) / 3600.0, decay)
    equal = np.array([one.equal for one in rules])
    recency = _scaled(weights, (ends[:, 0], ends[:, 1]), equal, sizes)
    importance = _scaled(worth, (known[:, 1, 0], known[:, 1, 1]), equal, sizes)
    relevance = _scaled(exact, alike, equal, sizes)
    score = (
        np.repeat([one.recency_weight for one in rules], sizes) * recency
        + np.repeat([one.relevance_weight for one in rules], sizes) * relevance
        + np.repeat([one.importance_weight for one in rules], sizes) * importance
    )
    for scene, (start, stop) in zip(scenes, spans, strict=True):
        if scene.trust is not None:
            score[start:stop] *= scene.trust[places[start:stop]]
    parts = (places, score, recency, importance, relevance)
    return _hits(scenes, parts, sizes, cuts, limits)


def _scaled(values: Floats, bounds: Ends, equal: Floats, sizes: Ints) -> Floats:
    low, high = bounds
    flat = low == high
    spread = np.where(flat, 1.0, high - low)
    within: Floats = (values - np.repeat(low, sizes)) / np.repeat(spread, sizes)
    if flat.any():
        within = np.where(np.repeat(flat, sizes), np.repeat(equal, sizes), within)
    return within


def _hits(
    scenes: list[Scene],
    parts: tuple[Ints, Floats, Floats, Floats, Floats],
    sizes: Ints,
    cuts: Ints,
    limits: list[int],
) -> list[tuple[Hit, ...]]:
    """Each scene's best, equal ones in the order of their places."""
    score = parts[1]
    # One stable sort for all of them, scene by scene.
    order = np.lexsort((-score, np.repeat(np.arange(len(scenes)), sizes)))
    rank = np.arange(len(score)) - np.repeat(cuts[:-1], sizes)
    order = order[rank < np.repeat(np.array(limits), sizes)]
    columns = [part[order].tolist() for part in parts]
    counts = np.minimum(sizes, limits).tolist()
    rows = zip(*columns, strict=True)
    answers = []
    for scene, count in zip(scenes, counts, strict=True):
        kept = scene.shelf.records.kept
        answers.append(
            tuple(
                Hit(record=kept(place), score=total, recency=r, importance=i, relevance=c)
                for _, (place, total, r, i, c) in zip(range(count), rows)
            )
        )
    return answers
