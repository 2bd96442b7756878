"""The arithmetic of recall, on arrays over the candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .recall_rules import RuleSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]


def min_max_scale(
    values: Floats, equal: float, bounds: tuple[float, float] | None = None
) -> Floats:
    """Min-max scaled to [0, 1]; ``equal`` everywhere when all values are equal. ``bounds``
    are the least and the largest where ``values`` are only some of all.

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
    within: Floats = (values - low) / (high - low)
    return within


def recency_decay(hours: Floats, decay: float) -> Floats:
    """Weight of memories last accessed ``hours`` ago: decay ** hours, in (0, 1].

    A time that lies ahead (an interview about an earlier moment) counts as now. Park et
    al. 2023, section 4.1.

    >>> recency_decay(np.array([0.0, 1.0, -3.0]), 0.5).tolist()
    [1.0, 0.5, 1.0]
    """
    faded: Floats = np.power(decay, np.maximum(hours, 0.0))
    return faded


def rank_decay(count: int, decay: float, newest_first: bool) -> Floats:
    """decay ** i for candidates sorted from the oldest to the newest access, i from 1.

    Published code gives the oldest the highest value; ``newest_first`` corrects that.

    >>> rank_decay(3, 0.5, False).tolist()
    [0.5, 0.25, 0.125]
    """
    powers: Floats = np.power(decay, np.arange(1.0, count + 1.0))
    return powers[::-1] if newest_first else powers


def listing_order(
    candidates: Places, happened: NDArray[np.bool_], since: Floats, rules: RuleSet
) -> Places:
    """The candidates in the order in which the rules rank and break ties; rows of
    ``happened`` and ``since`` belong to ``candidates``."""
    if rules.listing == "reverie":
        newest = np.arange(len(candidates))[::-1]
        order = np.concatenate([newest[happened[newest]], newest[~happened[newest]]])
        candidates, since = candidates[order], since[order]
    if rules.recency == "rank":
        candidates = candidates[np.argsort(since, kind="stable")]
    return candidates


def top_positions(scores: Floats, limit: int) -> Places:
    """Places of the ``limit`` highest scores, best first, equal ones in the given order.

    >>> top_positions(np.array([1.0, 3.0, 3.0, 2.0]), 3).tolist()
    [1, 2, 3]
    """
    limit = min(limit, len(scores))
    if limit <= 0:
        return np.empty(0, np.int64)
    places = np.arange(len(scores))
    if limit < len(scores):
        bar = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        places = np.flatnonzero(scores >= bar)
    order = np.argsort(-scores[places], kind="stable")
    return places[order[:limit]].astype(np.int64)
