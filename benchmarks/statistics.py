"""Figures about right and wrong: paired tests, ranking, thresholds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from ..core import Seed


def auroc(low: Sequence[float], high: Sequence[float]) -> float:
    """How often one of ``high`` ranks above one of ``low``, ties counting half.

    >>> auroc([1, 2], [2, 3])
    0.875
    """
    a, b = np.asarray(low, dtype=float)[:, None], np.asarray(high, dtype=float)[None, :]
    return float(((b > a) + 0.5 * (b == a)).mean())


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold between two groups, chosen on some items and checked on others: the mean
    of both groups' shares of right decisions, in each."""

    at: float
    chosen: float
    checked: float


def best_threshold(low: Sequence[float], high: Sequence[float]) -> Threshold:
    """The best threshold on the odd places (the second, fourth, ...), checked on the even.

    >>> best_threshold([1, 1, 2, 2], [3, 3, 4, 1])
    Threshold(at=2.5, chosen=0.75, checked=1.0)
    """
    odd = sorted({*low[1::2], *high[1::2]})
    middles = [*((a + b) / 2 for a, b in itertools.pairwise(odd)), odd[-1]]
    balances = [balanced_accuracy(low[1::2], high[1::2], at) for at in middles]
    best = balances.index(max(balances))
    return Threshold(
        middles[best], balances[best], balanced_accuracy(low[::2], high[::2], middles[best])
    )


def balanced_accuracy(low: Sequence[float], high: Sequence[float], at: float) -> float:
    """The mean of the share of ``low`` at or under the threshold and of ``high`` above it."""
    return (
        sum(one <= at for one in low) / len(low) + sum(one > at for one in high) / len(high)
    ) / 2


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Two ways on the same items: how many only the first got right (``better``) and only
    the second (``worse``), McNemar's exact two-sided p, the first's gain in accuracy and the
    95 % bootstrap interval of the gain."""

    better: int
    worse: int
    p: float
    gain: float
    low: float
    high: float


def compare_paired(
    first: Sequence[bool], second: Sequence[bool], rounds: int = 10_000
) -> PairedComparison:
    """McNemar's exact test (binomial over the items on which the two differ; McNemar 1947)
    and a percentile bootstrap over items with a fixed seed.

    >>> compare_paired([True] * 9 + [False], [False] * 9 + [True]).p
    0.021484375
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    better, worse = int((a & ~b).sum()), int((~a & b).sum())
    count = better + worse
    tail = sum(comb(count, i) for i in range(min(better, worse) + 1)) / 2**count
    gains = a.astype(float) - b.astype(float)
    return PairedComparison(
        better, worse, min(1.0, 2 * tail), float(gains.mean()), *_bootstrap_mean(gains, rounds)
    )


def bootstrap_interval(right: Sequence[bool], rounds: int = 10_000) -> tuple[float, float]:
    """The 95 % bootstrap interval of a share, with a fixed seed.

    >>> bootstrap_interval([True] * 4)
    (1.0, 1.0)
    """
    return _bootstrap_mean(np.asarray(right, dtype=float), rounds)


def _bootstrap_mean(values: NDArray[np.float64], rounds: int) -> tuple[float, float]:
    """The 95 % percentile interval of a mean, over items drawn with a fixed seed."""
    rng = np.random.default_rng(Seed.of(1).child("bootstrap").number)
    drawn = values[rng.integers(0, len(values), (rounds, len(values)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)
