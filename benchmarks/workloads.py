"""Workloads for benchmarks: asks with exact numbers of tokens, made from a seed."""

from __future__ import annotations

import random
from dataclasses import replace

from ..core import Generate, Message, Seed
from ..models import LocalModel
from ..models.engine import PromptBuilder, RepetitionLimits

_TEXT = """
baker river lantern letter market garden window morning bread ferry school winter song neighbour
bridge secret harbour apple candle doctor festival mountain kitchen paper summer travels repairs
remembers watches carries promises quiet narrow golden distant curious old
"""
WORDS = tuple(_TEXT.split())


def text_of_tokens(prompter: PromptBuilder, tokens: int, rng: random.Random) -> str:
    """A text of plain words with exactly ``tokens`` tokens."""
    words: list[str] = []
    while len(prompter.text_ids(" ".join(words))) < tokens:
        words.append(rng.choice(WORDS))
    while len(prompter.text_ids(" ".join(words))) > tokens:
        words.pop()
    text = " ".join(words)
    while len(prompter.text_ids(text)) < tokens:
        text += "."
    return text


def greedy_ask(shared: str, own: str, tokens: int) -> Generate:
    """A greedy Generate of at most ``tokens`` tokens."""
    system = (Message.of("system", shared),) if shared else ()
    return Generate(messages=(*system, Message.of("user", own)), max_tokens=tokens, temperature=0.0)


def town_load(
    prompter: PromptBuilder, asks: int, personas: int, shared: int, own: int, seed: int = 1
) -> list[Generate]:
    """Asks of personas in shuffled order: each prompt begins with the ``shared`` tokens of its
    persona and ends with ``own`` tokens of its own; 8 to 48 tokens are generated."""
    rng = Seed.of(seed).child("town load").rng()
    frame = len(prompter.ids((Message.of("system", ""), Message.of("user", ""))))
    texts = [text_of_tokens(prompter, shared - frame // 2, rng) for _ in range(personas)]
    workload = [
        greedy_ask(
            texts[i % personas],
            text_of_tokens(prompter, own - (frame - frame // 2), rng),
            8 + rng.randrange(41),
        )
        for i in range(asks)
    ]
    rng.shuffle(workload)
    return workload


def uniform_load(
    prompter: PromptBuilder, asks: int, tokens_in: int, tokens_out: int, seed: int = 1
) -> list[Generate]:
    """Asks of equal lengths that share only the first words of the chat template."""
    rng = Seed.of(seed).child("uniform load").rng()
    frame = len(prompter.ids((Message.of("user", ""),)))
    return [
        greedy_ask("", text_of_tokens(prompter, tokens_in - frame, rng), tokens_out)
        for _ in range(asks)
    ]


def without_stops(model: LocalModel) -> LocalModel:
    """The model without stop tokens and repetition limits, as plain ``generate`` runs it: every
    answer has exactly the requested number of tokens."""
    config = model.engine.generation_config
    model.engine.set_generation_config(
        replace(
            config,
            stop_tokens=frozenset(),
            suppressed_tokens=tuple(sorted({*config.suppressed_tokens, *config.stop_tokens})),
            repetition_limits=RepetitionLimits(),
        )
    )
    return model
