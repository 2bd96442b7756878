"""How well the answerability score predicts that a memory holds an answer; fits its weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from ...core import Cue, Json, Seed
from ...memory.recall import FEATURES, cue_features, logistic_probability, packaged_weights
from ..statistics import auroc, calibration_error
from .locomo import LocomoConversation, replace_names
from .recall_quality import TUNED_CONVERSATIONS, memory_of

if TYPE_CHECKING:
    from ...memory import EmbedFunction


FOREIGN_QUESTIONS = 250
"""Questions of other conversations that are asked of each memory."""
WEIGHTS = {"own": 1.0, "adversarial": 1.0, "foreign": 0.5}
"""Sample weights of a fit: foreign questions can be drawn in any number, so each counts half."""

QuestionKind = Literal["own", "adversarial", "foreign"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScoredQuestion:
    """A question asked of a memory, its features and the predicted probability of an answer.

    An ``own`` question has an answer in the memory. An ``adversarial`` one (category 5 of LoCoMo)
    asks about one speaker what is true of the other. A ``foreign`` one belongs to another
    conversation, with the names of the speakers replaced."""

    conversation: str
    text: str
    kind: QuestionKind
    features: tuple[float, ...]
    probability: float


def questions_for(
    conversations: Sequence[LocomoConversation], conversation: LocomoConversation
) -> Iterator[tuple[str, QuestionKind]]:
    """The questions for a conversation's memory; foreign ones are drawn with a fixed seed."""
    for question in conversation.questions:
        if question.turns:
            yield question.text, "adversarial" if question.category == 5 else "own"
    foreign = [
        replace_names(question.text, dict(zip(other.speakers, conversation.speakers)))
        for other in conversations
        if other.name != conversation.name
        for question in other.questions
        if question.category != 5 and question.turns
    ]
    rng = Seed.of(1).child("knowing", conversation.name).rng()
    for text in rng.sample(foreign, min(FOREIGN_QUESTIONS, len(foreign))):
        yield text, "foreign"


def score_questions(
    conversations: Sequence[LocomoConversation],
    conversation: LocomoConversation,
    embed: EmbedFunction,
) -> Iterator[ScoredQuestion]:
    """Score all questions for a conversation's memory."""
    questions = list(questions_for(conversations, conversation))
    with memory_of(conversation, embed) as memory:
        vectors = embed([text for text, _ in questions])
        for (text, kind), vector in zip(questions, vectors, strict=True):
            cue = Cue(text=text, at=conversation.asked, touch=False)
            features = cue_features(memory.loader, memory.rules_for(cue), cue, vector)
            probability = logistic_probability(features, packaged_weights())
            values = tuple(features[name] for name in FEATURES)
            yield ScoredQuestion(conversation.name, text, kind, values, probability)


def measure_answerability(
    conversations: Sequence[LocomoConversation],
    embed: EmbedFunction,
    progress: Callable[[str], None],
) -> dict[str, Json]:
    """AUROC and calibration error of own questions against adversarial and foreign ones: over
    all conversations, over those that the weights were fitted on, and over the others."""
    questions: list[ScoredQuestion] = []
    for conversation in conversations:
        questions.extend(score_questions(conversations, conversation, embed))
        progress(f"conversation {conversation.name}: {len(questions)} questions so far")
    fitted = {conversation.name for conversation in conversations[:TUNED_CONVERSATIONS]}
    return {
        **answerability_figures(questions),
        "fitted_on": answerability_figures([q for q in questions if q.conversation in fitted]),
        "checked_on": answerability_figures([q for q in questions if q.conversation not in fitted]),
    }


def answerability_figures(questions: Sequence[ScoredQuestion]) -> dict[str, Json]:
    """``auroc`` and ``calibration_error`` against adversarial, foreign, and both questions."""
    figures: dict[str, Json] = {}
    for name, kinds in (
        ("adversarial", ("adversarial",)),
        ("foreign", ("foreign",)),
        ("both", ("adversarial", "foreign")),
    ):
        compared = [q for q in questions if q.kind == "own" or q.kind in kinds]
        truth = np.array([q.kind == "own" for q in compared], np.bool_)
        probabilities = np.array([q.probability for q in compared], np.float64)
        if truth.any() and not truth.all():
            figures[name] = {
                "auroc": round(auroc(probabilities[~truth], probabilities[truth]), 4),
                "calibration_error": round(calibration_error(probabilities, truth), 4),
                "questions": len(compared),
            }
    return figures


def fit_answerability(
    conversations: Sequence[LocomoConversation],
    embed: EmbedFunction,
    to: Path,
    progress: Callable[[str], None],
) -> None:
    """Fit the weights on the first conversations and write them to ``to``, in the format of the
    file that is packaged with ``memory.recall``."""
    questions = [
        question
        for conversation in conversations[:TUNED_CONVERSATIONS]
        for question in score_questions(conversations, conversation, embed)
    ]
    features = np.array([question.features for question in questions])
    truth = np.array([question.kind == "own" for question in questions])
    sample_weights = np.array([WEIGHTS[question.kind] for question in questions])
    fitted = fit_logistic(features, truth, sample_weights)
    names = ("bias", *FEATURES)
    weights = {name: round(float(weight), 4) for name, weight in zip(names, fitted, strict=True)}
    body = {
        "weights": weights,
        "questions": len(questions),
        "about": "fitted by `denizens bench memory --calibrate FILE` on the first two "
        "conversations of LoCoMo with MiniLM",
    }
    to.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
    progress(f"{to}: {weights}")


def fit_logistic(
    features: Floats, truth: NDArray[np.bool_], sample_weights: Floats, ridge: float = 1.0
) -> Floats:
    """Bias and weights of a logistic regression, shape (1 + features,); ``ridge`` penalises the
    weights of the standardised features."""
    mean, spread = features.mean(0), features.std(0)
    model = LogisticRegression(C=1 / ridge, solver="newton-cholesky", tol=1e-10)
    model.fit((features - mean) / spread, truth, sample_weights)
    weights = model.coef_[0] / spread
    fitted: Floats = np.array([model.intercept_[0] - weights @ mean, *weights])
    return fitted
