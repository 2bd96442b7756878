"""Signals of the two models weighed into one score, and how the weights are fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .option_features import FEATURE_COSTS

FloatArray: TypeAlias = NDArray[np.float64]

RIDGE = 0.002  # of the squared weights, so that few items cannot make them boundless


@dataclass(frozen=True, slots=True)
class ScoringMethod:
    """Probabilities are softmax(sum of weight * signal / ``temperature``), the weights
    summing to 1. ``none`` is what ``NONE_OF_THESE`` scores: as much as an option that is as likely
    right as wrong."""

    weights: Mapping[str, float]
    temperature: float
    none: float = 0.0

    def scores(self, signals: Mapping[str, FloatArray], none: int | None = None) -> FloatArray:
        """Score of each option over the temperature, shape (options,)."""
        total = np.zeros(len(next(iter(signals.values()))))
        for name, weight in self.weights.items():
            total = total + weight * signals[name]
        if none is not None:
            total[none] += self.none
        return total / self.temperature


def method_cost(name: str) -> int:
    """What a method's signals cost, for breaking ties."""
    return sum(FEATURE_COSTS[signal] for signal in name.split("+"))


@dataclass(frozen=True, slots=True)
class LabelledDecision:
    """A decision whose answer is known: ``right`` and ``none`` are indices of options."""

    signals: Mapping[str, FloatArray] = field(hash=False)
    right: int
    none: int | None = None

    def table(self, names: Sequence[str]) -> FloatArray:
        """Shape (options, signals + 1); the last column marks none of these."""
        mark = np.zeros(len(next(iter(self.signals.values()))))
        if self.none is not None:
            mark[self.none] = 1.0
        return np.stack([*(self.signals[name] for name in names), mark], axis=1)


def nll_loss(method: ScoringMethod, items: Sequence[LabelledDecision]) -> FloatArray:
    """Negative log-likelihood of each item's right option, in nats, shape (items,)."""
    found = []
    for item in items:
        scores = method.scores(item.signals, item.none)
        found.append(float(_logsumexp(scores) - scores[item.right]))
    return np.array(found)


def correct(method: ScoringMethod, items: Sequence[LabelledDecision]) -> NDArray[np.bool_]:
    """Whether each item's right option scores highest, shape (items,)."""
    return np.array([int(np.argmax(method.scores(i.signals, i.none))) == i.right for i in items])


def fit_method(name: str, items: Sequence[LabelledDecision]) -> ScoringMethod:
    """The weights, temperature and score of none that make the right options likeliest.

    Maximum likelihood of a conditional logit with a slight ridge, by Newton's method (the
    loss is convex). A signal that would get a negative weight is left at 0.
    """
    names = name.split("+")
    while True:
        tables = [item.table(names) for item in items]
        weights = _newton(tables, [item.right for item in items])
        bad = [one for one, weight in zip(names, weights) if weight <= 0]
        if not bad or len(names) == 1:
            break
        names = [one for one in names if one != min(zip(weights, names))[1]]
    sharp = float(np.sum(np.maximum(weights[:-1], 1e-3)))
    shares = {one: float(max(w, 1e-3)) / sharp for one, w in zip(names, weights)}
    return ScoringMethod(shares, 1.0 / sharp, float(weights[-1]) / sharp)


def cross_validate(
    name: str, items: Sequence[LabelledDecision], folds: int = 5
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Loss and hit of each item by a method fitted on the other folds; items are dealt to
    folds in turn."""
    losses = np.zeros(len(items))
    right = np.zeros(len(items), dtype=np.bool_)
    for fold in range(folds):
        held = list(range(fold, len(items), folds))
        rest = [item for place, item in enumerate(items) if place % folds != fold]
        method = fit_method(name, rest)
        out = [items[place] for place in held]
        losses[held], right[held] = nll_loss(method, out), correct(method, out)
    return losses, right


def _newton(tables: Sequence[FloatArray], rights: Sequence[int]) -> FloatArray:
    size = tables[0].shape[1]
    # The ridge must mean the same for nats and for cosines.
    spread = np.concatenate([table - table.mean(axis=0) for table in tables]).std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    scaled = [table / scale for table in tables]
    weights = np.zeros(size)
    for _ in range(60):
        gradient, bend = 2 * RIDGE * weights, 2 * RIDGE * np.eye(size)
        for table, right in zip(scaled, rights):
            scores = table @ weights
            odds = np.exp(scores - _logsumexp(scores))
            mean = odds @ table
            gradient = gradient + (mean - table[right]) / len(tables)
            bend = bend + ((table.T * odds) @ table - np.outer(mean, mean)) / len(tables)
        step = np.linalg.solve(bend, gradient)
        # Far steps of an undamped Newton overshoot while the odds are still flat.
        weights = weights - step * min(1.0, 3.0 / max(1e-12, float(np.abs(step).max())))
        if float(np.abs(step).max()) < 1e-9:
            break
    return np.asarray(weights / scale, dtype=np.float64)


def _logsumexp(scores: FloatArray) -> float:
    top = float(scores.max())
    return top + float(np.log(np.sort(np.exp(scores - top)).sum()))
