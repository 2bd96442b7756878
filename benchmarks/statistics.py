"""Statistics of benchmarks: ranking, thresholds, calibration, paired tests, intervals."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, mannwhitneyu

from ..core import Seed

CALIBRATION_BINS = 10


def auroc(low: ArrayLike, high: ArrayLike) -> float:
    """The probability that a score of ``high`` exceeds one of ``low``; ties count half.

    >>> auroc([1, 2], [2, 3])
    0.875
    """
    u: Any = mannwhitneyu(high, low, method="asymptotic").statistic
    return float(u / (np.size(low) * np.size(high)))


def calibration_error(probabilities: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten equal bins (Guo et al. 2017): the mean distance of the
    predicted from the observed probability.

    >>> round(calibration_error(np.array([0.75, 0.75]), np.array([True, False])), 6)
    0.25
    """
    bins = np.minimum((probabilities * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    error = 0.0
    for number in np.unique(bins):
        inside = bins == number
        distance = abs(probabilities[inside].mean() - truth[inside].mean())
        error += float(distance * inside.mean())
    return error


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold between two groups and its balanced accuracy on the items it was chosen on
    (``chosen``) and on the others (``checked``)."""

    at: float
    chosen: float
    checked: float


def best_threshold(low: Sequence[float], high: Sequence[float]) -> Threshold:
    """The best threshold on the odd items (the second, fourth, ...), checked on the even ones.

    >>> best_threshold([1, 1, 2, 2], [3, 3, 4, 1])
    Threshold(at=2.5, chosen=0.75, checked=1.0)
    """
    scores = sorted({*low[1::2], *high[1::2]})
    middles = [*((a + b) / 2 for a, b in itertools.pairwise(scores)), scores[-1]]
    accuracies = [balanced_accuracy(low[1::2], high[1::2], at) for at in middles]
    best = accuracies.index(max(accuracies))
    return Threshold(
        middles[best], accuracies[best], balanced_accuracy(low[::2], high[::2], middles[best])
    )


def balanced_accuracy(low: Sequence[float], high: Sequence[float], at: float) -> float:
    """The mean of two shares: of ``low`` at or under a threshold, and of ``high`` above it."""
    below = sum(score <= at for score in low) / len(low)
    above = sum(score > at for score in high) / len(high)
    return (below + above) / 2


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Two methods on the same items: how many items only the first got right (``better``), how
    many only the second (``worse``), McNemar's exact two-sided ``p``, the gain in accuracy of
    the first, and the 95 % bootstrap interval of the gain."""

    better: int
    worse: int
    p: float
    gain: float
    low: float
    high: float


def compare_paired(
    first: Sequence[bool], second: Sequence[bool], rounds: int = 10_000
) -> PairedComparison:
    """McNemar's exact test (1947: binomial, over the items on which the methods differ) and a
    percentile bootstrap over items.

    >>> compare_paired([True] * 9 + [False], [False] * 9 + [True]).p
    0.021484375
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    better, worse = int((a & ~b).sum()), int((~a & b).sum())
    p = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    gains = a.astype(float) - b.astype(float)
    return PairedComparison(
        better, worse, p, float(gains.mean()), *bootstrap_interval(gains, rounds)
    )


def bootstrap_interval(
    values: ArrayLike, rounds: int = 10_000, seed: Seed | None = None
) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the mean; the draws have a fixed seed.

    >>> bootstrap_interval([True] * 4)
    (1.0, 1.0)
    """
    sample = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng((seed or Seed.of(1).child("bootstrap")).number)
    means = sample[rng.integers(0, len(sample), (rounds, len(sample)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
