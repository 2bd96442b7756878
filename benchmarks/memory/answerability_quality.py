"""How well a memory knows what it does not hold: measured, and what fits its weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...core import Cue, Json, Seed
from ...memory.recall import FEATURES, cue_features, logistic_probability, packaged_weights
from .locomo import LocomoConversation, replace_names
from .recall_quality import TUNED_CONVERSATIONS, Embedder, memory_of

FOREIGN_QUESTIONS = 250  # questions of other conversations asked of each memory
BINS = 10
# When fitting, a foreign question counts half: there are as many of them as one likes.
WEIGHTS = {"own": 1.0, "adversarial": 1.0, "foreign": 0.5}

QuestionKind = Literal["own", "adversarial", "foreign"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScoredQuestion:
    """A question asked of a memory: ``own`` ones it can answer; ``adversarial`` ones (LoCoMo's
    category 5) tell of one speaker what is true of the other; ``foreign`` ones are of another
    conversation, its speakers' names changed to this one's."""

    conversation: str
    text: str
    kind: QuestionKind
    features: tuple[float, ...]
    probability: float


def questions_for(
    all: Sequence[LocomoConversation], one: LocomoConversation
) -> Iterator[tuple[str, QuestionKind]]:
    """What is asked of a conversation's memory; the foreign ones drawn by a fixed seed."""
    for question in one.questions:
        if question.turns:
            yield question.text, "adversarial" if question.category == 5 else "own"
    foreign = [
        replace_names(question.text, dict(zip(other.speakers, one.speakers)))
        for other in all
        if other.name != one.name
        for question in other.questions
        if question.category != 5 and question.turns
    ]
    rng = Seed.of(1).child("knowing", one.name).rng()
    for text in rng.sample(foreign, min(FOREIGN_QUESTIONS, len(foreign))):
        yield text, "foreign"


def score_questions(
    all: Sequence[LocomoConversation], one: LocomoConversation, embed: Embedder
) -> Iterator[ScoredQuestion]:
    """Ask them."""
    listed = list(questions_for(all, one))
    with memory_of(one, embed) as memory:
        rows = embed([text for text, _ in listed])
        for (text, kind), row in zip(listed, rows, strict=True):
            cue = Cue(text=text, at=one.asked, touch=False)
            given = cue_features(memory.loader, memory.rules_for(cue), cue, row)
            known = logistic_probability(given, packaged_weights())
            yield ScoredQuestion(
                one.name, text, kind, tuple(given[name] for name in FEATURES), known
            )


def measure_answerability(
    all: Sequence[LocomoConversation], embed: Embedder, told: Callable[[str], None]
) -> dict[str, Json]:
    """AUROC and calibration error of both kinds of questions a memory cannot answer against
    those it can: over all conversations, those fitted on and the others."""
    found: list[ScoredQuestion] = []
    for one in all:
        found.extend(score_questions(all, one, embed))
        told(f"conversation {one.name}: {len(found)} questions so far")
    fitted = {one.name for one in all[:TUNED_CONVERSATIONS]}
    return {
        **answerability_figures(found),
        "fitted_on": answerability_figures([one for one in found if one.conversation in fitted]),
        "checked_on": answerability_figures(
            [one for one in found if one.conversation not in fitted]
        ),
    }


def answerability_figures(found: Sequence[ScoredQuestion]) -> dict[str, Json]:
    """``auroc`` and ``calibration_error`` against the adversarial, the foreign and both."""
    out: dict[str, Json] = {}
    for name, kinds in (
        ("adversarial", ("adversarial",)),
        ("foreign", ("foreign",)),
        ("both", ("adversarial", "foreign")),
    ):
        those = [one for one in found if one.kind == "own" or one.kind in kinds]
        truth = np.array([one.kind == "own" for one in those], np.bool_)
        told = np.array([one.probability for one in those], np.float64)
        if truth.any() and not truth.all():
            out[name] = {
                "auroc": round(auroc(told, truth), 4),
                "calibration_error": round(calibration_error(told, truth), 4),
                "questions": len(those),
            }
    return out


def auroc(told: Floats, truth: NDArray[np.bool_]) -> float:
    """How often a true one is told higher than a false one, ties half.

    >>> auroc(np.array([0.9, 0.4, 0.4]), np.array([True, True, False]))
    0.75
    """
    _, where, counts = np.unique(told, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[where]
    high, low = int(truth.sum()), int((~truth).sum())
    return float((ranks[truth].sum() - high * (high + 1) / 2) / (high * low))


def calibration_error(told: Floats, truth: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten equal bins: the mean distance of what was told from
    what was true (Guo et al. 2017).

    >>> round(calibration_error(np.array([0.75, 0.75]), np.array([True, False])), 6)
    0.25
    """
    bins = np.minimum((told * BINS).astype(np.int64), BINS - 1)
    error = 0.0
    for one in np.unique(bins):
        there = bins == one
        error += float(abs(told[there].mean() - truth[there].mean()) * there.mean())
    return error


def fit_answerability(
    all: Sequence[LocomoConversation], embed: Embedder, to: Path, told: Callable[[str], None]
) -> None:
    """Fit the weights on the first conversations and write them: what ``knowing.json``, beside
    ``memory/recall/answerability.py``, is made by."""
    found = [row for one in all[:TUNED_CONVERSATIONS] for row in score_questions(all, one, embed)]
    rows = np.array([one.features for one in found])
    truth = np.array([one.kind == "own" for one in found])
    counts = np.array([WEIGHTS[one.kind] for one in found])
    weights = fit_logistic(rows, truth, counts)
    kept = {name: round(float(w), 4) for name, w in zip(("bias", *FEATURES), weights, strict=True)}
    body = {
        "weights": kept,
        "questions": len(found),
        "about": "fitted by `denizens bench memory --calibrate RUN_FILE` on the first two "
        "conversations of LoCoMo with MiniLM",
    }
    to.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
    told(f"{to}: {kept}")


def fit_logistic(
    rows: Floats, truth: NDArray[np.bool_], counts: Floats, ridge: float = 1.0
) -> Floats:
    """Bias and weights of a logistic regression by Newton's method; the weights of the
    standardised columns are held small by ``ridge``."""
    middle, spread = rows.mean(0), rows.std(0)
    table = np.column_stack([np.ones(len(rows)), (rows - middle) / spread])
    penalty = np.diag([0.0, *np.full(rows.shape[1], ridge)])
    weights = np.zeros(table.shape[1])
    for _ in range(50):
        told = 1 / (1 + np.exp(-table @ weights))
        slope = table.T @ (counts * (told - truth)) + penalty @ weights
        curve = (table.T * (counts * told * (1 - told))) @ table + penalty
        step = np.linalg.solve(curve, slope)
        weights = weights - step
        if float(np.abs(step).max()) < 1e-10:
            break
    plain: Floats = weights.copy()
    plain[1:] /= spread
    plain[0] -= float(plain[1:] @ middle)
    return plain
