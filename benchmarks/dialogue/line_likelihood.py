"""The likelihood of true lines, per token, with a voice and without."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...core import DEFAULT_VOICE, Json
from ...models import LocalModel
from ...planners.speech import Speaker, speech_messages
from ...training import PersonaDialogue, SpokenTurns, score_pairs, spoken_lines, spoken_turns
from ..statistics import bootstrap_interval


def measure_likelihood(model: LocalModel, dialogues: Sequence[PersonaDialogue]) -> dict[str, Json]:
    """The negative log-likelihood per token of the true lines of both people of each dialogue, in
    nats, by the default voice (``nll``) and by the base weights (``nll_base``).

    The prompt of a line has the facts of its speaker and the lines before, in the form of
    ``speech_messages`` without names and notes. Counted are the tokens of every own line that the
    context window holds, and the token that ends the turn; ``nll_words`` and ``nll_base_words``
    leave that token out. ``gain`` is 1 - nll / nll_base, with its 95 % bootstrap interval over
    dialogues."""
    turns = [
        (number, spoken)
        for number, dialogue in enumerate(dialogues)
        for speaker in (0, 1)
        if (spoken := _turns_of(model, dialogue, speaker))
    ]
    voice = _losses(model, turns, DEFAULT_VOICE, len(dialogues))
    base = _losses(model, turns, "", len(dialogues))
    low, high = bootstrap_interval((base[:, 0] - voice[:, 0]) / base[:, 0].mean())
    (nll, nll_words), (nll_base, nll_base_words) = _per_token(voice), _per_token(base)
    return {
        "nll": round(nll, 4),
        "nll_base": round(nll_base, 4),
        "gain": round(1 - nll / nll_base, 4),
        "gain_interval": [round(low, 4), round(high, 4)],
        "nll_words": round(nll_words, 4),
        "nll_base_words": round(nll_base_words, 4),
        "tokens": int(base[:, 1].sum()),
        "dialogues": len(dialogues),
    }


def _turns_of(model: LocalModel, dialogue: PersonaDialogue, speaker: int) -> SpokenTurns | None:
    lines = spoken_lines(dialogue, speaker)
    messages = speech_messages(Speaker(facts=dialogue.facts[speaker]), lines)
    return spoken_turns(model.prompt_builder, messages)


def _losses(
    model: LocalModel, turns: Sequence[tuple[int, SpokenTurns]], voice: str, count: int
) -> NDArray[np.float64]:
    """Of each dialogue the summed negative log-likelihoods and their number, then the same
    without the tokens that end turns; shape (dialogues, 4)."""
    rows = score_pairs(model, [spoken.pair._replace(voice=voice) for _, spoken in turns])
    sums = np.zeros((count, 4))
    for (number, spoken), row in zip(turns, rows):
        for start, stop in spoken.turns:
            tokens = row[start:stop]
            sums[number] += (-sum(tokens), len(tokens), -sum(tokens[:-1]), len(tokens) - 1)
    return sums


def _per_token(losses: NDArray[np.float64]) -> tuple[float, float]:
    total, tokens, words_total, words = losses.sum(axis=0)
    return float(total / tokens), float(words_total / words)
