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


def finish(
    scenes: list[Scene],
    queries: NDArray[np.float32],
    places: Ints,
    cuts: Ints,
    limits: list[int],
) -> list[tuple[Hit, ...]]:
    """The hits of each scene, whose likely records are ``places[cuts[i]:cuts[i + 1]]``, least
    and most alike ones among them; all rules have one decay. The numbers are, to the bit,
    those that ``score_some`` gives scene by scene."""
    sizes = np.diff(cuts)
    full = sizes > 0
    cosines = np.empty(len(places), np.float32)
    last, worth = np.empty(len(places)), np.empty(len(places))
    spans = list(zip(cuts[:-1].tolist(), cuts[1:].tolist()))
    for scene, query, (start, stop) in zip(scenes, queries, spans, strict=True):
        mine = places[start:stop]
        np.vecdot(scene.shelf.index.rows_of.take(mine), query, out=cosines[start:stop])
        last[start:stop] = scene.last[mine]
        worth[start:stop] = scene.shelf.importance.array[mine]
    exact = cosines.astype(np.float64)
    begin = cuts[:-1][full]
    alike = np.zeros((2, len(scenes)))
    if len(begin):
        alike[0, full] = np.minimum.reduceat(exact, begin)
        alike[1, full] = np.maximum.reduceat(exact, begin)
    rules = [scene.rules for scene in scenes]
    at = np.array([scene.at for scene in scenes])
    known = np.array([scene.bounds() for scene in scenes])
    decay = rules[0].decay
    weights = fading((np.repeat(at, sizes) - last) / 3600.0, decay)
    ends = fading((at[:, None] - known[:, 0]) / 3600.0, decay)
    equal = np.array([one.equal for one in rules])
    recency = _scaled(weights, (ends[:, 0], ends[:, 1]), equal, sizes)
    importance = _scaled(worth, (known[:, 1, 0], known[:, 1, 1]), equal, sizes)
    relevance = _scaled(exact, (alike[0], alike[1]), equal, sizes)
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
