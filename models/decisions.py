"""Choosing and rating by likelihood: no token is generated and no reply is parsed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core import Answer, Choice, Choose, Failed, Message, Option, Rate, Rating
from .embedder import Embedder
from .prompts import Prompter
from .rows import Pair
from .sampling import uniform

Method: TypeAlias = Literal["auto", "channel", "cosine", "direct"]
Floats: TypeAlias = NDArray[np.float64]
Scores: TypeAlias = Mapping[Pair, tuple[float, ...]]

ABOUT_TOKENS = 160  # more of a text changes no decision and costs a prefill
OPTION_TOKENS = 320
FINALISTS = 8  # options that the language model scores; the others lie behind by cosine
REMEMBERED = 50_000

# One nat per token of channel is worth a third of a cosine of 1, and probabilities are
# softmax(6 * score): both by negative log-likelihood on 100 tool choices of BFCL.
COSINE = 3.0
SHARPNESS = 6.0
# How fast an anchor's weight falls with its distance: everyday events come out at 1 to 4,
# grave ones at 7 to 10.
NEARNESS = 16.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What the language model must score for an ask: ``pairs`` of context and target, each
    target token's log-probability after the context. ``finish`` makes the answer of them."""

    ask: Choose | Rate
    pairs: tuple[Pair, ...]
    decider: Decider

    def finish(self, scores: Scores) -> Answer:
        """The answer, once all pairs are scored."""
        if isinstance(self.ask, Choose):
            return self.decider.chosen(self.ask, scores)
        return self.decider.rated(self.ask, scores)


class Decider:
    """Answers Choose and Rate with a language model and an embedder.

    ``own`` is the weight, 0 to 1, of a rating's likelihood as a reply where anchors are
    given too; small models rate near chance by it and leave it at 0.
    """

    def __init__(
        self,
        prompter: Prompter,
        embedder: Embedder,
        *,
        method: Method = "auto",
        own: float = 0.0,
        remember: bool = True,
    ) -> None:
        self._prompter = prompter
        self._embedder = embedder
        self._method = method
        self._own = own
        self._remember = remember
        self._known: OrderedDict[Pair, tuple[float, ...]] = OrderedDict()

    def warm(self, asks: Sequence[Choose | Rate]) -> None:
        """Embed the texts of several asks in one batch."""
        texts = [text for ask in asks if ask.about.strip() for text in _texts(ask)]
        self._embedder.vectors(texts)

    def prepare(self, ask: Choose | Rate) -> Failed | Plan:
        """What must be scored before the ask can be answered. Raises ContextTooLong."""
        if isinstance(ask, Choose):
            fault = _fault(ask)
            rows = [] if fault else self._rows(ask)
        else:
            fault = _range_fault(ask)
            rows = [] if fault else self._rating_rows(ask)
        if fault:
            return fault
        new = tuple(sorted({row for row in rows if row not in self._known}))
        return Plan(ask, new, self)

    def learn(self, scores: Scores) -> None:
        """Remember scores, so that the same pair is not scored again."""
        if self._remember:
            self._known.update(scores)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def _mean(self, pair: Pair, scores: Scores) -> float:
        return float(np.mean(scores[pair] if pair in scores else self._known[pair]))

    def chosen(self, ask: Choose, scores: Scores) -> Choice:
        """The answer to a Choose of which all pairs are scored.

        Each option is scored apart from the others, so their order cannot matter:

        - ``channel``: mean log p(token of ``about`` | the option's description),
        - ``cosine``: nearness of ``about`` to the description by the embedder,
        - ``direct``: mean log p(token of the option's name | messages),
        - ``auto``: channel + 3 * cosine.

        Probabilities are softmax(6 * score).
        """
        rows = self._rows(ask)
        return self._choice(ask, rows, {row: self._mean(row, scores) for row in rows})

    def _rows(self, ask: Choose) -> list[Pair]:
        """What the language model is to score: (context, target) of each finalist."""
        if self._method == "cosine":
            return []
        if self._method == "direct":
            messages = ask.messages or (Message.of("user", ask.about),)
            targets = [self._prompter.text_ids(option.name) for option in ask.options]
            context = self._prompter.fit(messages, max(map(len, targets))).ids
            return [(context, target) for target in targets]
        return [self._channel(option, ask.about) for option in self._finalists(ask)]

    def _finalists(self, ask: Choose) -> list[Option]:
        if self._method == "channel" or len(ask.options) <= FINALISTS:
            return list(ask.options)
        scored = zip(-self._cosines(ask), (o.name for o in ask.options), ask.options)
        return [option for _, _, option in sorted(scored, key=lambda s: s[:2])[:FINALISTS]]

    def _channel(self, option: Option, about: str) -> Pair:
        context = self._prompter.text_ids(said(option))[:OPTION_TOKENS]
        request = self._prompter.text_ids("\nRequest:")
        return context + request, self._prompter.text_ids(" " + about)[:ABOUT_TOKENS]

    def _choice(self, ask: Choose, rows: list[Pair], means: dict[Pair, float]) -> Choice:
        tokens = sum(len(context) + len(target) for context, target in rows)
        if self._method == "cosine":
            return _drawn(ask, COSINE * self._cosines(ask), tokens)
        if self._method == "direct":
            return _drawn(ask, np.array([means[row] for row in rows]), tokens)
        own = [means.get(self._channel(option, ask.about)) for option in ask.options]
        # One that did not reach the finals is no likelier than the last finalist.
        least = min(score for score in own if score is not None)
        channel = np.array([least if score is None else score for score in own])
        if self._method == "channel":
            return _drawn(ask, channel, tokens)
        return _drawn(ask, channel + COSINE * self._cosines(ask), tokens)

    def _cosines(self, ask: Choose) -> Floats:
        """Cosine of ``about`` with each option, shape (options,)."""
        vectors = self._embedder.vectors([ask.about, *map(said, ask.options)]).astype(np.float64)
        # Row by row: a matrix product may round a row by its place.
        return np.array([float(np.dot(vectors[0], vector)) for vector in vectors[1:]])

    def rated(self, ask: Rate, scores: Scores) -> Rating:
        """The answer to a Rate of which all pairs are scored.

        With anchors: their values, weighted by exp(16 * cosine(about, anchor)). Without, or
        with the share ``own``: the likelihood of each number as the reply.
        """
        own = self._own if ask.anchors else 1.0
        values = np.arange(ask.low, ask.high + 1)
        spread = np.zeros(len(values))
        rows = self._rating_rows(ask)
        if rows:
            sums = [sum(scores[row] if row in scores else self._known[row]) for row in rows]
            direct = np.exp(np.array(sums) - max(sums))
            spread += own * direct / direct.sum()
        if own < 1:
            spread += (1 - own) * self._near(ask)
        return Rating(
            value=float(spread @ values),
            probabilities=tuple(float(p) for p in spread),
            tokens_in=len(rows[0][0]) if rows else 0,
        )

    def _rating_rows(self, ask: Rate) -> list[Pair]:
        if ask.anchors and self._own <= 0:
            return []
        messages = ask.messages or (Message.of("user", ask.about),)
        # The line break ends the number: without it "1" would also count for "10".
        targets = [self._prompter.text_ids(f"{i}\n") for i in range(ask.low, ask.high + 1)]
        context = self._prompter.fit(messages, max(map(len, targets))).ids
        return [(context, target) for target in targets]

    def _near(self, ask: Rate) -> Floats:
        vectors = self._embedder.vectors([ask.about, *(anchor.text for anchor in ask.anchors)])
        weights = np.exp(NEARNESS * (vectors[1:] @ vectors[0]).astype(np.float64))
        spread = np.zeros(ask.high - ask.low + 1)
        for anchor, weight in zip(ask.anchors, weights / weights.sum()):
            spread[min(max(anchor.value, ask.low), ask.high) - ask.low] += weight
        return spread


def _texts(ask: Choose | Rate) -> tuple[str, ...]:
    if isinstance(ask, Choose):
        return (ask.about, *map(said, ask.options))
    return (ask.about, *(anchor.text for anchor in ask.anchors))


def _range_fault(ask: Rate) -> Failed | None:
    if ask.high >= ask.low:
        return None
    return Failed(reason="refused", detail=f"a Rate from {ask.low} to {ask.high} has no values")


def said(option: Option) -> str:
    """What stands for an option: its description, else its name."""
    return option.description or option.name


def _fault(ask: Choose) -> Failed | None:
    names = [option.name for option in ask.options]
    if not names:
        return Failed(reason="refused", detail="a Choose needs at least one option; it has none")
    if any(not name.strip() for name in names):
        return Failed(reason="refused", detail="an option of the Choose has an empty name")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return Failed(reason="refused", detail=f"options share the name '{twice[0]}'; rename one")
    if not ask.about.strip():
        return Failed(reason="refused", detail="a Choose needs an 'about'; it is empty")
    return None


def _drawn(ask: Choose, scores: Floats, tokens: int) -> Choice:
    """The choice by scores, whatever order the options stand in; equals by name."""
    raised = np.exp(SHARPNESS * (scores - scores.max()))
    # Summed in sorted order: options may be shuffled, and float sums depend on order.
    spread = raised / float(np.sort(raised).sum())
    order = sorted(range(len(spread)), key=lambda i: (-spread[i], ask.options[i].name))
    index = order[0]
    if ask.temperature > 0:
        heated = [float(spread[i]) ** (1 / ask.temperature) for i in order]
        target = uniform(ask.seed, 0) * sum(heated)
        for index, weight in zip(order, heated):  # noqa: B007  the last one is drawn at the end
            target -= weight
            if target < 0:
                break
    return Choice(index=index, probabilities=tuple(float(p) for p in spread), tokens_in=tokens)
