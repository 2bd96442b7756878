"""An independent discriminator, which tells generated lines from true ones.

It is no part of what makes the lines: it looks at them through the base model's likelihood and the
embeddings alone, has a seed of its own, and is trained by cross-validation on the very lines that
it judges.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...core import (
    NEXT_LINE_ROLE,
    NONE_OF_THESE,
    Choice,
    Choose,
    Completion,
    Message,
    ModelError,
    Option,
    Seed,
    answer_all,
)
from ...models import LocalModel
from ...models.decisions import (
    COSINE_FEATURES,
    LIKELIHOOD_FEATURES,
    WORD_FEATURES,
    heard_talk,
)
from .critic_data import GENERATED, TRUE, draft_ask
from .critic_evaluation import line_feature_rows, roc_auc
from .critic_network import JudgedTable, NetworkSettings, fit_network

SEED = 7_919
FOLDS = 5
PROJECTED = 24  # numbers that each embedding is projected to
COLUMNS = LIKELIHOOD_FEATURES + COSINE_FEATURES + WORD_FEATURES
SMALL_NETWORK = NetworkSettings(units=8, steps=300, weight_decay=0.1)


def discriminator_auc(
    model: LocalModel,
    prompts: Sequence[tuple[Message, ...]],
    true: Sequence[str],
    ours: Sequence[str],
    *,
    seed: int = SEED,
) -> float:
    """How well an independent discriminator tells ``ours`` from the ``true`` lines of the same
    prompts: the area under its ROC curve on lines it was not trained with. 0.5: not at all, so
    the lines are like true ones; 1: always. Prompts where both are equal are left out. Raises
    ModelError."""
    kept = [i for i in range(len(prompts)) if true[i].strip() != ours[i].strip() and ours[i]]
    if len(kept) < 2 * FOLDS:
        raise ModelError(
            f"a discriminator needs at least {2 * FOLDS} prompts whose lines differ; there are "
            f"{len(kept)}"
        )
    asks = [_base_ask(prompts[i], (true[i], ours[i])) for i in kept]
    rows = line_feature_rows(model, asks)
    tables = []
    for place, (ask, row) in enumerate(zip(asks, rows)):
        numbers = np.array([[draft[name] for name in COLUMNS] for draft in row])
        features = np.concatenate([numbers, _projections(model, ask)], axis=1)
        tables.append(JudgedTable(features, (TRUE, GENERATED), place))
    areas = []
    for fold in range(FOLDS):
        train = [table for table in tables if table.dialogue % FOLDS != fold]
        network, _ = fit_network(train, SMALL_NETWORK, seed + fold)
        judged = [network.logits(t.features) for t in tables if t.dialogue % FOLDS == fold]
        areas.append(roc_auc([row[0] for row in judged], [row[1] for row in judged]))
    return float(np.mean(areas))


def _base_ask(messages: tuple[Message, ...], lines: tuple[str, str]) -> Choose:
    about = heard_talk(messages, "").last or "the beginning"
    options = tuple(Option(line) for line in lines)
    return Choose(messages=messages, options=options, about=about, role=NEXT_LINE_ROLE)


def _projections(model: LocalModel, ask: Choose) -> NDArray[np.float64]:
    """Random projections of each line's embedding, and of its product with that of the line just
    heard; shape (lines, 2 * PROJECTED)."""
    last, *lines = model.embedder.vectors([ask.about, *(option.name for option in ask.options)])
    rng = np.random.default_rng(SEED)
    matrix = rng.normal(size=(PROJECTED, len(last)))
    products = [matrix @ (line * last * len(last) ** 0.5) for line in lines]
    return np.array(
        [np.concatenate([matrix @ line, product]) for line, product in zip(lines, products)]
    )


def draft_lines(
    model: LocalModel,
    prompts: Sequence[tuple[Message, ...]],
    voice: str,
    *,
    seed: int,
    drafts: int = 1,
) -> list[str]:
    """The next line of each prompt by a voice; of several ``drafts`` its critic picks. Empty where
    nothing was said. Raises ModelError."""
    offered = _offered(model, prompts, voice, seed, drafts)
    if drafts == 1:
        return [(lines or [""])[0] for lines in offered]
    return [text for text, _ in _picked(model, prompts, offered, voice)]


def picked_lines(
    model: LocalModel,
    prompts: Sequence[tuple[Message, ...]],
    voice: str,
    *,
    seed: int,
    drafts: int,
) -> list[tuple[str, float]]:
    """For each prompt the draft that the voice's critic holds likeliest, and its logit; an empty
    one with the logit minus infinity where nothing was said. Raises ModelError."""
    return _picked(model, prompts, _offered(model, prompts, voice, seed, drafts), voice)


def _offered(
    model: LocalModel,
    prompts: Sequence[tuple[Message, ...]],
    voice: str,
    seed: int,
    drafts: int,
) -> list[list[str]]:
    """The different drafts of each prompt."""
    asks = [
        draft_ask(messages, voice, Seed.of(seed).child("line", place, number).number >> 32)
        for place, messages in enumerate(prompts)
        for number in range(drafts)
    ]
    texts = []
    for answer in answer_all(model.client(), asks):
        if not isinstance(answer, Completion):
            raise ModelError(f"a line could not be generated: {answer}")
        texts.append(" ".join(answer.text.split()))
    return [
        [*dict.fromkeys(text for text in texts[start : start + drafts] if text)]
        for start in range(0, len(texts), drafts)
    ]


def _picked(
    model: LocalModel,
    prompts: Sequence[tuple[Message, ...]],
    offered: Sequence[Sequence[str]],
    voice: str,
) -> list[tuple[str, float]]:
    """For each prompt the line that the voice's critic holds likeliest, and its logit."""
    asks = [
        Choose(
            messages=messages,
            options=(*(Option(line) for line in lines), NONE_OF_THESE),
            about=heard_talk(messages, "").last or "the beginning",
            role=NEXT_LINE_ROLE,
            voice=voice,
        )
        for messages, lines in zip(prompts, offered)
    ]
    picks = []
    for lines, answer in zip(offered, answer_all(model.client(), asks)):
        if not isinstance(answer, Choice):
            raise ModelError(f"lines could not be judged: {answer}")
        *shares, none = (max(share, 1e-300) for share in answer.probabilities)
        best = int(np.argmax(shares)) if shares else -1
        picks.append((lines[best], float(np.log(shares[best] / none))) if lines else ("", -np.inf))
    return picks
