"""The formulas of recall scores, on arrays over the candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .recall_rules import RuleSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Positions = NDArray[np.int64]


def min_max_scale(
    values: Floats, equal: float, bounds: tuple[float, float] | None = None
) -> Floats:
    """Min-max scaled to [0, 1]; ``equal`` everywhere when all values are equal. ``bounds``
    are the least and the largest value if ``values`` are only some of all.

    >>> min_max_scale(np.array([2.0, 4.0, 3.0]), 0.5).tolist()
    [0.0, 1.0, 0.5]
    >>> min_max_scale(np.array([7.0, 7.0]), 0.5).tolist()
    [0.5, 0.5]
    """
    if not values.size:
        return values
    low, high = bounds if bounds else (values.min(), values.max())
    if low == high:
        return np.full_like(values, equal)
    scaled: Floats = (values - low) / (high - low)
    return scaled


def recency_decay(hours: Floats, decay: float) -> Floats:
    """Recency weights of records last accessed ``hours`` ago: decay ** hours, in (0, 1] (Park et
    al. 2023, section 4.1). A time in the future, as in an interview about an earlier moment, counts
    as now.

    >>> recency_decay(np.array([0.0, 1.0, -3.0]), 0.5).tolist()
    [1.0, 0.5, 1.0]
    """
    weights: Floats = np.power(decay, np.maximum(hours, 0.0))
    return weights


def rank_decay(count: int, decay: float, newest_first: bool) -> Floats:
    """decay ** i for i from 1, for candidates sorted from the oldest to the newest access.

    The published code gives the oldest the highest value; ``newest_first`` reverses that.

    >>> rank_decay(3, 0.5, False).tolist()
    [0.5, 0.25, 0.125]
    """
    powers: Floats = np.power(decay, np.arange(1.0, count + 1.0))
    return powers[::-1] if newest_first else powers


def listing_order(
    candidates: Positions, is_event: NDArray[np.bool_], since: Floats, rules: RuleSet
) -> Positions:
    """The candidates in the order in which the rules rank and break ties; ``is_event`` and
    ``since`` are arrays over ``candidates``."""
    if rules.listing == "reverie":
        newest = np.arange(len(candidates))[::-1]
        order = np.concatenate([newest[is_event[newest]], newest[~is_event[newest]]])
        candidates, since = candidates[order], since[order]
    if rules.recency == "rank":
        candidates = candidates[np.argsort(since, kind="stable")]
    return candidates


def weighted_sum(
    recency: Floats, importance: Floats, relevance: Floats, weights: Sequence[float | Floats]
) -> Floats:
    """The score: the sum of the scaled parts by their weights (Park et al. 2023, section 4.1).
    ``weights`` are numbers, or arrays if they differ between candidates."""
    recency_weight, importance_weight, relevance_weight = weights
    score: Floats = (
        recency_weight * recency + relevance_weight * relevance + importance_weight * importance
    )
    return score


def top_positions(scores: Floats, limit: int) -> Positions:
    """Positions of the ``limit`` highest scores, best first, equal ones in the given order.

    >>> top_positions(np.array([1.0, 3.0, 3.0, 2.0]), 3).tolist()
    [1, 2, 3]
    """
    limit = min(limit, len(scores))
    if limit <= 0:
        return np.empty(0, np.int64)
    positions = np.arange(len(scores))
    if limit < len(scores):
        threshold = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        positions = np.flatnonzero(scores >= threshold)
    order = np.argsort(-scores[positions], kind="stable")
    return positions[order[:limit]].astype(np.int64)
