"""Which scoring method suits a model: ``denizens models calibrate``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import (
    NONE_OF_THESE,
    Anchor,
    Choose,
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
from .decisions import (
    DECISION_KINDS,
    METHOD_NAMES,
    Calibration,
    Decider,
    LabelledDecision,
    RatingRule,
    ScoringMethod,
    calibration_data,
    cross_validate,
    decision_kind,
    fit_method,
    method_cost,
)
from .local import LocalModel

TIE_NATS = 0.01  # nats; of methods within this loss the cheapest wins
SHARPNESSES = (4.0, 8.0, 12.0, 16.0, 20.0, 24.0, 32.0, 48.0)
OWN_SHARES = (0.0, 0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class MethodResult:
    """A method on a kind of decision, by five-fold cross-validation: ``loss`` is the mean negative
    log-likelihood of the right option in nats, ``accuracy`` the share of right choices."""

    kind: str
    name: str
    items: int
    loss: float
    accuracy: float
    method: ScoringMethod


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """The result of a calibration.

    ``joint_loss`` is the loss of each kind if one method is fitted to all decisions, for
    comparison; ``rating_error`` the mean absolute error of ratings, leave-one-out.
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
                    "kind": one.kind,
                    "method": one.name,
                    "items": one.items,
                    "loss": one.loss,
                    "accuracy": one.accuracy,
                    "chosen": self.calibration.auto[one.kind] == one.name,
                }
                for one in self.measured
            ],
            "joint_loss": dict(self.joint_loss),
            "rating_error": self.rating_error,
            **self.calibration.to_json(),
        }


def calibrate(model: LocalModel) -> CalibrationReport:
    """Measure all methods on the shipped decisions and ratings. Raises ModelError if a decision
    cannot be answered."""
    decider = model.decider
    items = measured_items(model)
    kinds: dict[str, list[LabelledDecision]] = {kind: [] for kind in DECISION_KINDS}
    for role, item in items:
        kinds[decision_kind(role)].append(item)
    measured = [
        evaluate_method(kind, name, group) for kind, group in kinds.items() for name in METHOD_NAMES
    ]
    methods = {
        kind: {one.name: one.method for one in measured if one.kind == kind}
        for kind in DECISION_KINDS
    }
    auto = {
        kind: pick_method([one for one in measured if one.kind == kind]) for kind in DECISION_KINDS
    }
    rule, error = fit_rating_rule(model, decider)
    joint = {kind: _joint_loss(kind, auto[kind], items) for kind in DECISION_KINDS}
    return CalibrationReport(Calibration(methods, auto, rule), tuple(measured), joint, error)


def evaluate_method(kind: str, name: str, items: Sequence[LabelledDecision]) -> MethodResult:
    """Cross-validate a method on the decisions of a kind, and fit it to all of them."""
    losses, right = cross_validate(name, items)
    return MethodResult(
        kind, name, len(items), float(losses.mean()), float(right.mean()), fit_method(name, items)
    )


def pick_method(measured: Sequence[MethodResult]) -> str:
    """The cheapest of the methods whose loss is within TIE_NATS of the least."""
    least = min(one.loss for one in measured)
    good = [one for one in measured if one.loss <= least + TIE_NATS]
    return min(good, key=lambda one: (method_cost(one.name), one.loss)).name


def measured_items(model: LocalModel) -> list[tuple[str, LabelledDecision]]:
    """Role and features of each shipped decision, measured by the model. The roles are mixed, so
    that every fold has some of each."""
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
    """The shipped decisions as asks, and the names of their right options."""
    data = calibration_data()
    asks = []
    for one in data["choices"]:
        asks.append(
            Choose(
                messages=(),
                options=tuple(_options(data, one)),
                about=one["about"],
                role=one["role"],
            )
        )
    return asks, [one["right"] for one in data["choices"]]


def _options(data: Any, one: Any) -> Iterator[Option]:
    if "group" in one:
        for option in data["groups"][one["group"]]:
            same = option["name"] == NONE_OF_THESE.name
            yield NONE_OF_THESE if same else Option(option["name"], option["description"])
        return
    for name in one["options"]:
        tool = data["tools"].get(name)
        yield tool_option(name, tool["description"], tool["parameters"]) if tool else NONE_OF_THESE


@contextmanager
def measuring_features(decider: Decider) -> Iterator[None]:
    """Within this block the decider computes all features of all options."""
    decider.measuring = True
    try:
        yield
    finally:
        decider.measuring = False


def fit_rating_rule(model: LocalModel, decider: Decider) -> tuple[RatingRule, float]:
    """The rule with the least mean absolute error, each shipped sentence rated by the others, and
    that error."""
    anchors = [Anchor(one["value"], one["text"]) for one in calibration_data()["ratings"]]
    values = np.array([one.value for one in anchors], dtype=float)
    rows = model.embedder.vectors([one.text for one in anchors]).astype(float)
    similarity = rows @ rows.T
    np.fill_diagonal(similarity, -np.inf)
    asks = [
        Rate(messages=importance_question(one.text), about=one.text, role="digits")
        for one in anchors
    ]
    answers = answer_all(model.client(), asks)
    replies = np.array([answer.value for answer in answers if isinstance(answer, Rating)])
    best: tuple[float, RatingRule] | None = None
    for sharpness in SHARPNESSES:
        weights = np.exp(sharpness * similarity)
        by_similarity = weights @ values / weights.sum(axis=1)
        for share in OWN_SHARES:
            ratings = share * replies + (1 - share) * by_similarity
            error = float(np.abs(ratings - values).mean())
            if best is None or error < best[0] - TIE_NATS:
                best = error, RatingRule(sharpness, share)
    assert best is not None, "there are sharpnesses to try"
    return best[1], best[0]


def importance_question(text: str) -> tuple[Message, ...]:
    """The prompt that asks for importance as a number in the reply."""
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
