"""Choosing and rating by likelihood: no token is generated and no reply is parsed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core import Answer, Choice, Choose, ContextTooLong, Failed, Message, Option, Rate, Rating
from .embedder import Embedder
from .net import Net
from .prompts import Prompter
from .sampling import uniform

Method: TypeAlias = Literal["auto", "channel", "cosine", "direct"]
Floats: TypeAlias = NDArray[np.float64]

ABOUT_TOKENS = 160  # more of a text changes no decision and costs a prefill
OWN = 0.2  # weight of a rating's own likelihood beside its anchors
NEAR = 12.0  # how fast an anchor's weight falls with its distance
SHARPNESS = 4.0  # of a fused score's difference in nats (cosine differences times 10)


class Decider:
    """Answers Choose and Rate with a language model and an embedder."""

    def __init__(
        self, net: Net, prompter: Prompter, embedder: Embedder, method: Method = "auto"
    ) -> None:
        self._net = net
        self._prompter = prompter
        self._embedder = embedder
        self._method = method

    def choose(self, asks: Sequence[Choose]) -> list[Answer]:
        """Answers in the asks' order; one that cannot be answered is Failed by itself."""
        faults = [_fault(ask) for ask in asks]
        sound = [ask for ask, fault in zip(asks, faults) if fault is None]
        scores = iter(self._scores(sound))
        return [
            fault if fault is not None else _choice(ask, *next(scores))
            for ask, fault in zip(asks, faults)
        ]

    def _scores(self, asks: Sequence[Choose]) -> list[tuple[Floats, int]]:
        rows = [[self._channel_row(option, ask.about) for option in ask.options] for ask in asks]
        flat = iter(self._net.score([row for group in rows for row in group]))
        found: list[tuple[Floats, int]] = []
        for ask, group in zip(asks, rows):
            channel = np.array([float(np.mean(next(flat))) for _ in group])
            cosine = self._cosine(ask)
            fused = channel + 10 * cosine / SHARPNESS
            found.append((fused, sum(len(c) + len(t) for c, t in group)))
        return found

    def _channel_row(self, option: Option, about: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        context = self._prompter.text_ids(f"{option.name}: {option.description}\nRequest:")
        return context[-2000:], self._prompter.text_ids(" " + about)[:ABOUT_TOKENS]

    def _cosine(self, ask: Choose) -> Floats:
        texts = [f"{option.name}: {option.description}" for option in ask.options]
        vectors = self._embedder.vectors([ask.about, *texts]).astype(np.float64)
        similarity: Floats = vectors[1:] @ vectors[0]
        return similarity

    def rate(self, asks: Sequence[Rate]) -> list[Answer]:
        """Answers in the asks' order.

        The likelihood of each number as the reply, mixed with the values of the anchors
        that lie near; an ask without anchors goes by likelihood alone.
        """
        answers: list[Answer] = []
        for ask in asks:
            try:
                direct, tokens = self._direct(ask)
            except ContextTooLong as error:
                answers.append(Failed(reason="context_too_long", detail=str(error)))
                continue
            spread = direct
            if ask.anchors:
                spread = OWN * direct + (1 - OWN) * self._near(ask)
            values = np.arange(ask.low, ask.high + 1)
            answers.append(
                Rating(
                    value=float(spread @ values),
                    probabilities=tuple(float(p) for p in spread),
                    tokens_in=tokens,
                )
            )
        return answers

    def _direct(self, ask: Rate) -> tuple[Floats, int]:
        messages = ask.messages or (Message.of("user", ask.about),)
        context = self._prompter.fit(messages, 8).ids
        targets = [self._prompter.text_ids(f"{value}\n") for value in range(ask.low, ask.high + 1)]
        scores = self._net.score([(context, target) for target in targets])
        spread = np.exp(np.array([sum(score) for score in scores]))
        return spread / spread.sum(), len(context)

    def _near(self, ask: Rate) -> Floats:
        vectors = self._embedder.vectors([ask.about, *(a.text for a in ask.anchors)])
        closeness = np.exp(NEAR * (vectors[1:] @ vectors[0]).astype(np.float64))
        spread = np.zeros(ask.high - ask.low + 1)
        for anchor, weight in zip(ask.anchors, closeness / closeness.sum()):
            spread[min(max(anchor.value, ask.low), ask.high) - ask.low] += weight
        return spread


def _fault(ask: Choose) -> Failed | None:
    names = [option.name for option in ask.options]
    if not names:
        return Failed(reason="refused", detail="a Choose needs at least one option; none was given")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return Failed(
            reason="refused", detail=f"options share the name {twice[0]!r}; make the names differ"
        )
    return None


def _choice(ask: Choose, scores: Floats, tokens: int) -> Choice:
    raised = np.exp(SHARPNESS * (scores - scores.max()))
    # Summed in sorted order: a sum of floats depends on it, and options may be shuffled.
    spread = raised / np.sort(raised).sum()
    order = sorted(range(len(spread)), key=lambda i: (-spread[i], ask.options[i].name))
    index = order[0]
    if ask.temperature > 0:
        heated = [spread[i] ** (1 / ask.temperature) for i in order]
        target = uniform(ask.seed, 0) * sum(heated)
        for place, weight in zip(order, heated):
            index = place
            target -= weight
            if target < 0:
                break
    return Choice(index=index, probabilities=tuple(float(p) for p in spread), tokens_in=tokens)
