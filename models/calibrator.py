"""Measuring which method suits a model: ``denizens models calibrate``."""

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
    Done,
    Failed,
    Json,
    Message,
    ModelError,
    Option,
    Rate,
    tool_option,
)
from .decisions.calibration import (
    DECISION_KINDS,
    Calibration,
    RatingRule,
    calibration_data,
    decision_kind,
)
from .decisions.decider import Decider
from .decisions.scoring_method import (
    METHOD_NAMES,
    LabelledDecision,
    ScoringMethod,
    cross_validate,
    fit_method,
    method_cost,
)
from .local import LocalModel

TIE_NATS = 0.01  # nats; the cheaper of two methods so near wins
SHARPNESSES = (4.0, 8.0, 12.0, 16.0, 20.0, 24.0, 32.0, 48.0)
OWN_SHARES = (0.0, 0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class MethodResult:
    """A method on a kind of decision, by five-fold cross-validation: mean negative
    log-likelihood of the right option in nats, and the share of right choices."""

    kind: str
    name: str
    items: int
    loss: float
    accuracy: float
    method: ScoringMethod


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """What a calibration found. ``joint_loss`` is the loss of each kind when one method is
    fitted to all decisions alike, for comparison; ``rating_error`` the mean absolute error
    of ratings, each sentence rated by the others."""

    calibration: Calibration
    measured: tuple[MethodResult, ...]
    joint_loss: dict[str, float]
    rating_error: float

    def table(self) -> list[str]:
        """A line a method, the chosen one of its kind marked."""
        lines = [f"{'kind':6} {'method':20} {'items':>5} {'loss':>7} {'right':>7}"]
        for one in self.measured:
            mark = " *" if self.calibration.auto[one.kind] == one.name else ""
            figures = f"{one.items:5} {one.loss:7.3f} {one.accuracy:7.3f}"
            lines.append(f"{one.kind:6} {one.name:20} {figures}{mark}")
        rating = self.calibration.rating
        lines.append(
            f"ratings: sharpness {rating.sharpness:g}, share of the number as a reply "
            f"{rating.own:g}, mean error {self.rating_error:.2f} of 1 to 10"
        )
        lines.append("loss: nats, five-fold cross-validation; * is what auto stands for")
        return lines

    def to_json(self) -> dict[str, Json]:
        """The same as JSON, with the fitted methods."""
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
    """Measure all methods on the shipped decisions and ratings. Raises ModelError."""
    decider = model.decider
    items = measured_items(model)
    kinds: dict[str, list[LabelledDecision]] = {kind: [] for kind in DECISION_KINDS}
    for role, item in items:
        kinds[decision_kind(role)].append(item)
    measured = [
        evaluate_method(kind, name, found) for kind, found in kinds.items() for name in METHOD_NAMES
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
    """A method on the items of a kind."""
    losses, right = cross_validate(name, items)
    return MethodResult(
        kind, name, len(items), float(losses.mean()), float(right.mean()), fit_method(name, items)
    )


def pick_method(measured: Sequence[MethodResult]) -> str:
    """The method with the least loss, or a cheaper one that is as good as it."""
    least = min(one.loss for one in measured)
    good = [one for one in measured if one.loss <= least + TIE_NATS]
    return min(good, key=lambda one: (method_cost(one.name), one.loss)).name


def measured_items(model: LocalModel) -> list[tuple[str, LabelledDecision]]:
    """Role and signals of each shipped decision, answered by the model. The roles are mixed,
    so that folds have some of each."""
    asks, rights = shipped_decisions()
    decider = model.decider
    with measuring_features(decider):
        for answer in answer_all(model, asks):
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
    """While every signal of every option is asked for."""
    decider.measuring = True
    try:
        yield
    finally:
        decider.measuring = False


def answer_all(model: LocalModel, asks: Sequence[Choose | Rate]) -> list[Any]:
    """The answers, in the asks' order."""
    client = model.client()
    tickets = [client.submit(ask) for ask in asks]
    found: dict[int, Any] = {}
    while events := client.wait():
        found |= {event.ticket: event.answer for event in events if isinstance(event, Done)}
    return [found[ticket] for ticket in tickets]


def fit_rating_rule(model: LocalModel, decider: Decider) -> tuple[RatingRule, float]:
    """The rule with the least mean absolute error, each shipped sentence rated by the
    others; and that error."""
    rated = [Anchor(one["value"], one["text"]) for one in calibration_data()["ratings"]]
    values = np.array([one.value for one in rated], dtype=float)
    rows = model.embedder.vectors([one.text for one in rated]).astype(float)
    near = rows @ rows.T
    np.fill_diagonal(near, -np.inf)
    asks = [
        Rate(messages=importance_question(one.text), about=one.text, role="digits") for one in rated
    ]
    own = np.array([answer.value for answer in answer_all(model, asks)])
    best: tuple[float, RatingRule] | None = None
    for sharpness in SHARPNESSES:
        weights = np.exp(sharpness * near)
        by_nearness = weights @ values / weights.sum(axis=1)
        for share in OWN_SHARES:
            told = share * own + (1 - share) * by_nearness
            error = float(np.abs(told - values).mean())
            if best is None or error < best[0] - TIE_NATS:
                best = error, RatingRule(sharpness, share)
    assert best is not None, "there are sharpnesses to try"
    return best[1], best[0]


def importance_question(text: str) -> tuple[Message, ...]:
    """How importance is asked for where the number itself is to be the reply."""
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
