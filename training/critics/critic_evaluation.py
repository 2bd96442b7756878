"""Figures of critics: right reply among 20, area under the ROC curve, calibration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...core import (
    DEFAULT_VOICE,
    NEXT_LINE_ROLE,
    NONE_OF_THESE,
    Choice,
    Choose,
    ModelError,
    Option,
    answer_all,
)
from ...models import LocalModel
from ...models.decisions import LineMatcher, measuring_features
from ..reply_items import NextLineItem
from .critic_data import FALSE_KINDS, TRUE

Judge: TypeAlias = Literal["critic", "likelihood", "corrected"]
"""What ranks the lines: the voice's critic, the mean log-probability of their tokens, or by how
much the conversation raises it."""

CALIBRATION_BINS = 10


def evaluate_reply_at_1(
    model: LocalModel,
    items: Sequence[NextLineItem],
    *,
    by: Judge = "critic",
    voice: str = DEFAULT_VOICE,
) -> float:
    """The share of items whose true line ranks first among it and the others. ``voice`` "" is the
    base model. Raises ModelError where the voice has no critic, or the engine fails."""
    scores = [reply_scores(model, item, by, voice) for item in items]
    return float(np.mean([row[0] > max(row[1:]) for row in scores]))


def reply_scores(model: LocalModel, item: NextLineItem, by: Judge, voice: str) -> list[float]:
    """The score of an item's true line, then those of the others."""
    drafts = tuple(dict.fromkeys((item.true, *item.others)))
    if by == "critic":
        if model.decider.critic(voice) is None:
            raise ModelError(
                f"voice '{voice}' has no critic, so it cannot rank lines; train one "
                "(denizens train critic --voice DIR) and load the model with the voice"
            )
        ask = _line_ask(item, drafts, voice, none=True)
        (answer,) = answer_all(model.client(), [ask])
        return _log_odds(answer)
    (rows,) = line_feature_rows(model, [_line_ask(item, drafts, voice)])
    return [row["likelihood" if by == "likelihood" else "gain"] for row in rows]


def _line_ask(
    item: NextLineItem, drafts: Sequence[str], voice: str, *, none: bool = False
) -> Choose:
    options = [Option(text) for text in drafts] + ([NONE_OF_THESE] if none else [])
    return Choose(
        messages=item.messages,
        options=tuple(options),
        about=item.last or "the beginning",
        role=NEXT_LINE_ROLE,
        voice=voice,
    )


def _log_odds(answer: object) -> list[float]:
    """The logit of each option against the last, none of these."""
    if not isinstance(answer, Choice):
        raise ModelError(f"lines could not be judged: {answer}")
    *shares, none = (max(share, 1e-300) for share in answer.probabilities)
    return [float(np.log(share / none)) for share in shares]


def line_feature_rows(
    model: LocalModel, asks: Sequence[Choose], matcher: LineMatcher | None = None
) -> list[list[dict[str, float]]]:
    """The critic's features of each option of asks with the role ``NEXT_LINE_ROLE``. Raises
    ModelError where the engine fails."""
    with measuring_features(model.decider):
        for answer in answer_all(model.client(), asks):
            if not isinstance(answer, Choice):
                raise ModelError(f"lines could not be scored: {answer}")
        return [model.decider.line_features(ask, matcher) for ask in asks]


def critic_auc(
    model: LocalModel, items: Sequence[NextLineItem], *, voice: str = DEFAULT_VOICE
) -> float:
    """The probability that the critic scores a true line above a line of another talk, each in
    its own prompt or another's."""
    scores = [reply_scores(model, item, "critic", voice) for item in items]
    return roc_auc([row[0] for row in scores], [score for row in scores for score in row[1:]])


def roc_auc(true: Sequence[float], false: Sequence[float]) -> float:
    """The area under the ROC curve: the share of pairs of a true and a false one in which the true
    one has the higher score; equal scores count half. NaN where there is no pair.

    >>> roc_auc([3.0, 2.0], [1.0, 2.0])
    0.875
    """
    if not len(true) or not len(false):
        return float("nan")
    from sklearn.metrics import roc_auc_score  # takes a second to import

    labels = [1] * len(true) + [0] * len(false)
    return float(roc_auc_score(labels, [*true, *false]))


@dataclass(frozen=True, slots=True)
class CriticFigures:
    """A critic on items. ``auc`` by kind of false line, ``calibration_error`` the expected one
    (Naeini et al. 2015) in the mixture for which it is calibrated, ``lines`` the number of true
    ones, ``accepted`` the mean probability by kind."""

    auc: Mapping[str, float]
    calibration_error: float
    lines: int
    accepted: Mapping[str, float]


def critic_figures(
    logits: Sequence[NDArray[np.float64]],
    kinds_of_items: Sequence[Sequence[str]],
    weights: NDArray[np.float64],
) -> CriticFigures:
    """The figures from the logits of each item's drafts; ``weights`` of all drafts in a row make
    the mixture."""
    flat = np.concatenate(logits)
    kinds = np.array([kind for item in kinds_of_items for kind in item])
    shares = 1 / (1 + np.exp(-flat))
    true = flat[kinds == TRUE]
    present = [kind for kind in FALSE_KINDS if (kinds == kind).any()]
    return CriticFigures(
        auc={kind: roc_auc(true, flat[kinds == kind]) for kind in present},
        calibration_error=expected_calibration_error(shares, kinds == TRUE, weights),
        lines=len(true),
        accepted={kind: float(shares[kinds == kind].mean()) for kind in (TRUE, *present)},
    )


def expected_calibration_error(
    probabilities: NDArray[np.float64],
    outcomes: Iterable[bool],
    weights: NDArray[np.float64],
) -> float:
    """The weighted mean difference between a bin's mean probability and its share of outcomes,
    over ten bins of equal width."""
    happened = np.asarray(list(outcomes), dtype=float)
    bins = np.minimum((probabilities * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    error = 0.0
    for number in range(CALIBRATION_BINS):
        inside = bins == number
        weight = weights[inside]
        if weight.sum() > 0:
            gap = (weight * (probabilities[inside] - happened[inside])).sum()
            error += abs(float(gap)) / float(weights.sum())
    return error
