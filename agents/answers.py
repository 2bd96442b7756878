"""Whether a model's answer is one to what was asked."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable

from ..core import (
    AgentId,
    Answer,
    AnsweredAsk,
    Ask,
    Choice,
    Choose,
    Completion,
    Embed,
    Failed,
    Rate,
    Rating,
    Recall,
    Vectors,
)

log = logging.getLogger(__name__)

_ANSWER_TYPES: dict[str, type] = {
    "generate": Completion,
    "choose": Choice,
    "rate": Rating,
    "embed": Vectors,
    "recall": Vectors,
}


def validate_answer(ask: Ask, answer: Answer) -> Answer:
    """The answer, or why nobody can use it: a model of one's own may answer with the wrong type,
    an option that was not offered, or numbers that are none. Then it is ``Failed("contract")``,
    which is counted and told as any failure."""
    if isinstance(answer, Failed):
        return answer
    fault = _contract_violation(ask, answer)
    if not fault:
        return answer
    return Failed(reason="contract", detail=f"the model's answer to a {ask.kind}: {fault}")


def _contract_violation(ask: Ask, answer: Answer) -> str:
    expected = _ANSWER_TYPES.get(ask.kind)
    if expected is not None and not isinstance(answer, expected):
        return f"a {type(answer).__name__} instead of a {expected.__name__}"
    if isinstance(ask, Choose) and isinstance(answer, Choice):
        return _choice_violation(len(ask.options), answer)
    if isinstance(ask, Rate) and isinstance(answer, Rating):
        within = ask.low <= answer.value <= ask.high
        return "" if within else f"{answer.value!r} is not between {ask.low} and {ask.high}"
    if isinstance(answer, Vectors):
        return _vectors_violation(len(ask.texts) if isinstance(ask, Embed) else 1, answer)
    if isinstance(answer, Completion) and not isinstance(answer.text, str):
        return f"its text is a {type(answer.text).__name__}"
    return ""


def _choice_violation(offered: int, answer: Choice) -> str:
    if not 0 <= answer.index < offered:
        return f"option {answer.index} of {offered}"
    if len(answer.probabilities) != offered or not all(map(math.isfinite, answer.probabilities)):
        return f"its probabilities are not {offered} finite numbers"
    return ""


def _vectors_violation(wanted: int, answer: Vectors) -> str:
    import numpy as np

    if answer.rows != wanted or not answer.columns:
        return f"{answer.rows} x {answer.columns} numbers for {wanted} texts"
    try:
        numbers = answer.array()
    except ValueError as error:
        return f"its data cannot be read ({error})"
    return "" if np.isfinite(numbers).all() else "some of its numbers are not finite"


def warn_of_failed_recall(who: AgentId, asks: Iterable[AnsweredAsk]) -> None:
    """Say once a reply that its memory could not be searched: its words look like any other's."""
    for asked in asks:
        if isinstance(asked.ask, Recall | Embed) and isinstance(asked.answer, Failed):
            why = f"{asked.answer.reason}: {asked.answer.detail}"
            what = "search the memory" if isinstance(asked.ask, Recall) else "embed a record"
            log.warning("%s: could not %s for this reply (%s); check the embedder", who, what, why)
            return
