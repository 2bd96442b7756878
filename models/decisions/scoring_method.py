"""Methods that weight the features of options into one score, and fitting the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .features import FEATURE_COSTS, LM_FEATURES

FloatArray: TypeAlias = NDArray[np.float64]

RIDGE = 0.002  # weight of the L2 penalty, which keeps weights finite for few items


@dataclass(frozen=True, slots=True)
class ScoringMethod:
    """Probabilities are softmax(sum of weight * feature / ``temperature``); the weights sum to 1.

    ``none`` is the score of ``NONE_OF_THESE``: that of an option that is as likely right as wrong.
    """

    weights: Mapping[str, float]
    temperature: float
    none: float = 0.0

    @property
    def needs_embeddings(self) -> bool:
        """Whether a feature of the method compares embeddings."""
        return any(name not in LM_FEATURES for name in self.weights)

    def scores(self, features: Mapping[str, FloatArray], none: int | None = None) -> FloatArray:
        """The score of each option divided by the temperature, shape (options,)."""
        total = np.zeros(len(next(iter(features.values()))))
        for name, weight in self.weights.items():
            total = total + weight * features[name]
        if none is not None:
            total[none] += self.none
        return total / self.temperature


def method_cost(name: str) -> int:
    """The total cost of a method's features, which breaks ties between methods."""
    return sum(FEATURE_COSTS[feature] for feature in name.split("+"))


@dataclass(frozen=True, slots=True)
class LabelledDecision:
    """A decision with a known answer: ``right`` and ``none`` are indices of options."""

    features: Mapping[str, FloatArray] = field(hash=False)
    right: int
    none: int | None = None

    def table(self, names: Sequence[str]) -> FloatArray:
        """The named features, shape (options, features + 1); the last column is 1 for none of
        these."""
        is_none = np.zeros(len(next(iter(self.features.values()))))
        if self.none is not None:
            is_none[self.none] = 1.0
        return np.stack([*(self.features[name] for name in names), is_none], axis=1)


def nll_loss(method: ScoringMethod, items: Sequence[LabelledDecision]) -> FloatArray:
    """Negative log-likelihood of each item's right option, in nats, shape (items,)."""
    from scipy.special import logsumexp

    scores = [method.scores(item.features, item.none) for item in items]
    return np.array([float(logsumexp(row) - row[item.right]) for row, item in zip(scores, items)])


def correct(method: ScoringMethod, items: Sequence[LabelledDecision]) -> NDArray[np.bool_]:
    """Whether each item's right option has the highest score, shape (items,)."""
    best = [int(np.argmax(method.scores(item.features, item.none))) for item in items]
    return np.equal(best, [item.right for item in items])


def fit_method(name: str, items: Sequence[LabelledDecision]) -> ScoringMethod:
    """The weights, temperature and score of none that maximize the likelihood of the right options.

    A conditional logit (McFadden 1974) with a small L2 penalty. A feature whose weight would be
    negative gets weight 0.
    """
    names = name.split("+")
    rights = [item.right for item in items]
    while True:
        weights = _fit_logit([item.table(names) for item in items], rights)
        if len(names) == 1 or min(weights[:-1]) > 0:
            break
        names.pop(int(np.argmin(weights[:-1])))
    positive = np.maximum(weights[:-1], 1e-3)
    total = float(positive.sum())
    shares = {feature: float(weight) / total for feature, weight in zip(names, positive)}
    return ScoringMethod(shares, 1.0 / total, float(weights[-1]) / total)


def cross_validate(
    name: str, items: Sequence[LabelledDecision], folds: int = 5
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Loss and correctness of each item under a method fitted on the other folds.

    Item i is in fold i modulo ``folds``.
    """
    losses = np.zeros(len(items))
    right = np.zeros(len(items), dtype=np.bool_)
    for fold in range(folds):
        test = list(range(fold, len(items), folds))
        method = fit_method(name, [item for i, item in enumerate(items) if i % folds != fold])
        test_items = [items[i] for i in test]
        losses[test], right[test] = nll_loss(method, test_items), correct(method, test_items)
    return losses, right


def _fit_logit(tables: Sequence[FloatArray], rights: Sequence[int]) -> FloatArray:
    """The weights of the columns that maximize the penalized likelihood of the right rows."""
    from scipy.optimize import minimize  # takes 0.3 s to import
    from scipy.special import logsumexp, softmax

    # Features in nats and cosines get the same scale, so that the penalty is the same for both.
    deviations = np.concatenate([table - table.mean(axis=0) for table in tables]).std(axis=0)
    scale = np.where(deviations > 0, deviations, 1.0)
    scaled = [table / scale for table in tables]

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        total, gradient = RIDGE * float(weights @ weights), 2 * RIDGE * weights
        for table, right in zip(scaled, rights):
            logits = table @ weights
            total += float(logsumexp(logits) - logits[right]) / len(tables)
            gradient = gradient + (softmax(logits) @ table - table[right]) / len(tables)
        return total, gradient

    start = np.zeros(tables[0].shape[1])
    result = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-8})
    return np.asarray(result.x / scale, dtype=np.float64)
