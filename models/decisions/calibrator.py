"""Measures the scoring methods of decisions for a model: ``denizens models calibrate``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...core import (
    NONE_OF_THESE,
    Anchor,
    Choose,
    Client,
    Failed,
    Json,
    Message,
    ModelError,
    Option,
    Rate,
    Rating,
    answer_all,
    tool_option,
)
from ..embedders import Embedder
from .calibration import DECISION_KINDS, Calibration, RatingRule, calibration_data, decision_kind
from .decider import Decider
from .features import METHOD_NAMES
from .scoring_method import (
    LabelledDecision,
    ScoringMethod,
    cross_validate,
    fit_method,
    method_cost,
)

TIE_NATS = 0.01  # between methods whose losses differ by less, the cheaper one wins
SHARPNESSES = (4.0, 8.0, 12.0, 16.0, 20.0, 24.0, 32.0, 48.0)
OWN_SHARES = (0.0, 0.25, 0.5, 0.75)


class CalibratedModel(Protocol):
    """A model whose decisions can be measured: a ``LocalModel``."""

    @property
    def decider(self) -> Decider:
        """What answers its decisions."""

    @property
    def embedder(self) -> Embedder:
        """What embeds texts for it."""

    def client(self) -> Client:
        """A new client."""


@dataclass(frozen=True, slots=True)
class MethodResult:
    """A method on a kind of decision, by five-fold cross-validation.

    ``loss``: mean negative log-likelihood of the right option, in nats. ``accuracy``: the share of
    right choices. ``method`` is fitted to all items.
    """

    kind: str
    name: str
    items: int
    loss: float
    accuracy: float
    method: ScoringMethod


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """The result of a calibration.

    ``joint_loss``, for comparison: the loss of each kind when one method is fitted to decisions of
    all kinds. ``rating_error``: the mean absolute error of ratings (leave-one-out).
    """

    calibration: Calibration
    measured: tuple[MethodResult, ...]
    joint_loss: dict[str, float]
    rating_error: float

    def table(self) -> list[str]:
        """One line per method; the chosen one of each kind is marked."""
        lines = [f"{'kind':6} {'method':20} {'items':>5} {'loss':>7} {'right':>7}"]
        for result in self.measured:
            mark = " *" if self.calibration.auto[result.kind] == result.name else ""
            figures = f"{result.items:5} {result.loss:7.3f} {result.accuracy:7.3f}"
            lines.append(f"{result.kind:6} {result.name:20} {figures}{mark}")
        rating = self.calibration.rating
        lines.append(
            f"ratings: sharpness {rating.sharpness:g}, share of the number as a reply "
            f"{rating.own:g}, mean error {self.rating_error:.2f} of 1 to 10"
        )
        lines.append("loss: nats, five-fold cross-validation; * is what auto stands for")
        return lines

    def to_json(self) -> dict[str, Json]:
        """The report as JSON, with the fitted methods."""
        return {
            "measured": [
                {
                    "kind": result.kind,
                    "method": result.name,
                    "items": result.items,
                    "loss": result.loss,
                    "accuracy": result.accuracy,
                    "chosen": self.calibration.auto[result.kind] == result.name,
                }
                for result in self.measured
            ],
            "joint_loss": dict(self.joint_loss),
            "rating_error": self.rating_error,
            **self.calibration.to_json(),
        }


def calibrate(model: CalibratedModel) -> CalibrationReport:
    """Measure all methods on the shipped decisions and ratings. Raises ModelError."""
    items = measured_items(model)
    items_of_kind: dict[str, list[LabelledDecision]] = {kind: [] for kind in DECISION_KINDS}
    for role, item in items:
        items_of_kind[decision_kind(role)].append(item)
    results = [
        evaluate_method(kind, name, kind_items)
        for kind, kind_items in items_of_kind.items()
        for name in METHOD_NAMES
    ]
    methods = {
        kind: {result.name: result.method for result in results if result.kind == kind}
        for kind in DECISION_KINDS
    }
    auto = {
        kind: pick_method([result for result in results if result.kind == kind])
        for kind in DECISION_KINDS
    }
    rule, error = fit_rating_rule(model)
    joint_loss = {kind: _joint_loss(kind, auto[kind], items) for kind in DECISION_KINDS}
    return CalibrationReport(Calibration(methods, auto, rule), tuple(results), joint_loss, error)


def evaluate_method(kind: str, name: str, items: Sequence[LabelledDecision]) -> MethodResult:
    """Fit and cross-validate a method on the items of a kind."""
    losses, right = cross_validate(name, items)
    return MethodResult(
        kind, name, len(items), float(losses.mean()), float(right.mean()), fit_method(name, items)
    )


def pick_method(results: Sequence[MethodResult]) -> str:
    """The name of the method with the least loss, or of a cheaper one within ``TIE_NATS``."""
    least_loss = min(result.loss for result in results)
    best_results = [result for result in results if result.loss <= least_loss + TIE_NATS]
    return min(best_results, key=lambda result: (method_cost(result.name), result.loss)).name


def measured_items(model: CalibratedModel) -> list[tuple[str, LabelledDecision]]:
    """The role and features of each shipped decision, in an order that mixes roles over the folds.
    Raises ModelError."""
    asks, rights = shipped_decisions()
    decider = model.decider
    with measuring_features(decider):
        for answer in answer_all(model.client(), asks):
            if isinstance(answer, Failed):
                raise ModelError(f"a decision could not be measured: {answer.detail}")
        return [
            (
                ask.role,
                LabelledDecision(
                    decider.features(ask),
                    right=[option.name for option in ask.options].index(right),
                    none=ask.options.index(NONE_OF_THESE) if NONE_OF_THESE in ask.options else None,
                ),
            )
            for ask, right in zip(asks, rights)
        ]


def shipped_decisions() -> tuple[list[Choose], list[str]]:
    """The shipped decisions, and the names of their right options."""
    data = calibration_data()
    asks = []
    for decision in data["choices"]:
        asks.append(
            Choose(
                messages=(),
                options=tuple(_options(data, decision)),
                about=decision["about"],
                role=decision["role"],
            )
        )
    return asks, [decision["right"] for decision in data["choices"]]


def _options(data: Any, decision: Any) -> Iterator[Option]:
    if "group" in decision:
        for option in data["groups"][decision["group"]]:
            is_none = option["name"] == NONE_OF_THESE.name
            yield NONE_OF_THESE if is_none else Option(option["name"], option["description"])
        return
    for name in decision["options"]:
        tool = data["tools"].get(name)
        yield tool_option(name, tool["description"], tool["parameters"]) if tool else NONE_OF_THESE


@contextmanager
def measuring_features(decider: Decider) -> Iterator[None]:
    """A context in which the decider computes every feature of every option."""
    decider.measuring = True
    try:
        yield
    finally:
        decider.measuring = False


def fit_rating_rule(model: CalibratedModel) -> tuple[RatingRule, float]:
    """The rule with the least mean absolute error on the shipped sentences, each rated with the
    others as anchors; and that error."""
    sentences = [
        Anchor(sentence["value"], sentence["text"]) for sentence in calibration_data()["ratings"]
    ]
    values = np.array([sentence.value for sentence in sentences], dtype=float)
    vectors = model.embedder.vectors([sentence.text for sentence in sentences]).astype(float)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    asks = [
        Rate(messages=importance_question(sentence.text), about=sentence.text, role="digits")
        for sentence in sentences
    ]
    answers = answer_all(model.client(), asks)
    reply_values = np.array([a.value for a in answers if isinstance(a, Rating)])
    best: tuple[float, RatingRule] | None = None
    for sharpness in SHARPNESSES:
        weights = np.exp(sharpness * cosines)
        anchored_values = weights @ values / weights.sum(axis=1)
        for share in OWN_SHARES:
            ratings = share * reply_values + (1 - share) * anchored_values
            error = float(np.abs(ratings - values).mean())
            if best is None or error < best[0] - TIE_NATS:
                best = error, RatingRule(sharpness, share)
    assert best is not None, "there are sharpnesses to try"
    return best[1], best[0]


def importance_question(text: str) -> tuple[Message, ...]:
    """The messages that ask for an importance rating as a number."""
    return (
        Message.of(
            "user",
            "How much does this mean to a person, from 1 (everyday routine) to 10 (it changes "
            f'a life)?\n"{text}"\nAnswer with a number.',
        ),
    )


def _joint_loss(kind: str, name: str, items: Sequence[tuple[str, LabelledDecision]]) -> float:
    losses, _ = cross_validate(name, [item for _, item in items])
    return float(
        np.mean([loss for loss, (role, _) in zip(losses, items) if decision_kind(role) == kind])
    )
