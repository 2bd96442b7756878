"""The right reply among others: by the critic, by likelihood, by likelihood less the prior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...core import (
    DEFAULT_VOICE,
    NEXT_LINE_ROLE,
    NONE_OF_THESE,
    Choice,
    Choose,
    Json,
    Message,
    ModelError,
    Option,
    answer_all,
)
from ...models import LocalModel
from ...training import NextLineItem, score_replies
from ..statistics import auroc, bootstrap_interval

NO_CONVERSATION = (Message.of("user", "[I meet somebody.]"),)
"""The prompt whose likelihoods are the prior of a line."""


def measure_replies(model: LocalModel, items: Sequence[NextLineItem]) -> dict[str, Json]:
    """How often the true next line is ranked first among the lines of an item.

    ``reply_at_1``: by what the product uses, a Choose of role ``NEXT_LINE_ROLE`` with the default
    voice (the critic, where the model has one). ``reply_at_1_base`` and ``reply_at_1_voice``: by
    the mean log-likelihood of a line's tokens; ``..._corrected``: the same less that mean without
    the conversation. ``critic_auc``: the AUROC of the critic's probability of true lines against
    the others of all items; ``critic_true``: its mean probability of true lines."""
    chances = critic_chances(model, [(item.messages, item.last, _lines(item)) for item in items])
    figures: dict[str, Json] = {}
    first = [float(np.argmax(row) == 0) for row in chances]
    figures["reply_at_1"] = _share(first)
    figures["reply_at_1_interval"] = [round(end, 3) for end in bootstrap_interval(first)]
    for name, voice in (("base", ""), ("voice", DEFAULT_VOICE)):
        plain, prior = _mean_likelihoods(model, items, voice)
        right = [float(np.argmax(row) == 0) for row in plain]
        figures[f"reply_at_1_{name}"] = _share(right)
        right = [float(np.argmax(row - free) == 0) for row, free in zip(plain, prior)]
        figures[f"reply_at_1_{name}_corrected"] = _share(right)
    others = [chance for row in chances for chance in row[1:]]
    figures["critic_auc"] = round(auroc(others, [row[0] for row in chances]), 3)
    figures["critic_true"] = _share([row[0] for row in chances])
    figures["critic_others"] = _share(others)
    figures["items"] = len(items)
    figures["lines_an_item"] = 1 + len(items[0].others) if items else 0
    return figures


def critic_chances(
    model: LocalModel, asked: Sequence[tuple[tuple[Message, ...], str, Sequence[str]]]
) -> list[list[float]]:
    """The probability of each line to be a true next line, p(line) / (p(line) + p(none)), by
    prompt, last line and lines. Raises ModelError where the model fails."""
    asks = [
        Choose(
            messages=messages,
            options=(*map(Option, lines), NONE_OF_THESE),
            about=last,
            role=NEXT_LINE_ROLE,
            voice=DEFAULT_VOICE,
        )
        for messages, last, lines in asked
    ]
    chances: list[list[float]] = []
    for answer in answer_all(model.client(), asks):
        if not isinstance(answer, Choice):
            raise ModelError(f"lines could not be judged: {answer}")
        *shares, none = answer.probabilities
        chances.append([share / (share + none) if share + none else 0.0 for share in shares])
    return chances


def _lines(item: NextLineItem) -> tuple[str, ...]:
    """The lines of an item, the true one first."""
    return (item.true, *item.others)


def _mean_likelihoods(
    model: LocalModel, items: Sequence[NextLineItem], voice: str
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The mean log-likelihood a token of each line of each item, after its prompt and after a
    prompt without a conversation."""
    lines = [line for item in items for line in _lines(item)]
    prompts = [item.messages for item in items for _ in _lines(item)]
    free = dict(
        zip(
            unique := list(dict.fromkeys(lines)),
            score_replies(model, [NO_CONVERSATION] * len(unique), unique, voice),
        )
    )
    rows = score_replies(model, prompts, lines, voice)
    means = iter([sum(row) / len(row) for row in rows])
    plain = [np.array([next(means) for _ in _lines(item)]) for item in items]
    prior = [
        np.array([sum(free[line]) / len(free[line]) for line in _lines(item)]) for item in items
    ]
    return plain, prior


def _share(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 3) if len(values) else 0.0
