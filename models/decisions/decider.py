"""Choosing and rating by likelihood: no token is generated and no reply is parsed."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import islice

import numpy as np

from ...core import (
    NONE_OF_THESE,
    Anchor,
    Answer,
    Choice,
    Choose,
    ContextTooLong,
    Failed,
    Option,
    Rate,
    Rating,
)
from ..embedders import Embedder
from ..engine import PairScores, PairSums, PromptBuilder, ScoringPlan, TokenPair, uniform
from .calibration import Calibration, decision_kind, rating_examples
from .option_features import FEATURES, LM_FEATURES
from .scorers import FloatArray, ScoringMethod
from .scoring_prompts import ScoringPrompts, first_line, first_line_parts

RERANK_TOP_K = 8  # options that the language model scores; the others lie behind by cosine
ALL_FEATURES = ScoringMethod(dict.fromkeys(FEATURES, 1.0), 1.0)
MAX_CACHED_SUMS = 200_000  # sums: 30 MB at most
MAX_CACHED_OPTIONS = 20_000  # whose lines are not parted anew for each request


class Decider:
    """Answers Choose and Rate with a language model and an embedder.

    ``calibration`` has the methods, ``method`` names one of them or is ``auto``. With
    ``remember`` a pair is scored once. While ``measuring``, every signal of every option is
    asked for, so that ``features`` can tell them afterwards.
    """

    def __init__(
        self,
        prompter: PromptBuilder,
        embedder: Embedder,
        calibration: Calibration,
        *,
        method: str = "auto",
        remember: bool = True,
    ) -> None:
        self._prompts = ScoringPrompts(prompter)
        self._embedder = embedder
        self.calibration = calibration
        self.method = method
        self.measuring = False
        self._remember = remember
        self._cache: OrderedDict[bytes, float] = OrderedDict()

    def embed_ahead(self, asks: Sequence[Choose | Rate]) -> None:
        """Embed the texts of several asks in one batch, where their methods want that."""
        texts = [text for ask in asks if self._needs_embedder(ask) for text in _texts_to_embed(ask)]
        if texts:
            self._embedder.vectors(texts)

    def _needs_embedder(self, ask: Choose | Rate) -> bool:
        if isinstance(ask, Choose) and not self.measuring:
            weights = self.calibration.method(ask.role, self.method).weights
            if all(name in LM_FEATURES for name in weights):
                return False
        return bool(ask.about.strip())

    def prepare(self, ask: Choose | Rate) -> Failed | ScoringPlan:
        """What must be scored before the ask can be answered."""
        fault = _invalid_choose(ask) if isinstance(ask, Choose) else _invalid_rate(ask)
        if fault:
            return fault
        try:
            if isinstance(ask, Choose):
                wanted, answer = self._prepare_choose(ask)
            else:
                wanted, answer = self._prepare_rate(ask)
        except ContextTooLong as error:
            return Failed(reason="context_too_long", detail=str(error))
        unique = sorted(set(wanted))
        known = {
            pair: self._cache[_pair_key(pair)] for pair in unique if _pair_key(pair) in self._cache
        }
        return ScoringPlan(tuple(pair for pair in unique if pair not in known), known, answer)

    def cache_scores(self, scores: PairScores) -> None:
        """Remember scores, so that the same pair is not scored again."""
        if self._remember:
            self._cache.update((_pair_key(pair), sum(row)) for pair, row in scores.items())
            while len(self._cache) > MAX_CACHED_SUMS:
                self._cache.popitem(last=False)

    # -- Choose ---------------------------------------------------------------------

    def _prepare_choose(self, ask: Choose) -> tuple[list[TokenPair], Callable[[PairSums], Answer]]:
        """The pairs of all signals of the method, and what makes the choice of them. Each
        option is scored apart from the others, so that their order cannot matter."""
        method = ALL_FEATURES if self.measuring else self.calibration.method(ask.role, self.method)
        finals = self._finalists(ask, method.weights)
        pairs = {
            name: self._feature_pairs(ask, name, finals)
            for name in method.weights
            if name in LM_FEATURES
        }
        wanted = [pair for rows in pairs.values() for own in rows.values() for pair in own]
        tokens = sum(len(context) + len(target) for context, target in set(wanted))

        def answer(sums: PairSums) -> Answer:
            signals = self._features(ask, method.weights, pairs, finals, sums)
            return _sample_choice(ask, method.scores(signals, _none_index(ask)), tokens)

        return wanted, answer

    def _feature_pairs(
        self, ask: Choose, name: str, finals: Iterable[int]
    ) -> dict[int, tuple[TokenPair, ...]]:
        """What the signal of each finalist needs scored: its own pair, and the prior's."""
        options = {i: ask.options[i] for i in finals}
        if name == "channel":
            prior = self._prompts.prior(ask.about)
            return {
                i: ()
                if one == NONE_OF_THESE
                else (self._prompts.channel(one, ask.about, ask.role), prior)
                for i, one in options.items()
            }
        rows = self._prompts.whole(ask) if name == "whole" else self._prompts.direct(ask)
        if name in ("direct", "whole"):
            return {i: (rows[i],) for i in options}
        return {i: (rows[i], self._prompts.bare(one)) for i, one in options.items()}

    def _finalists(self, ask: Choose, weights: Collection[str]) -> list[int]:
        """Indices of the options that the language model scores: where the embedder has a
        say too, of many only the nearest, and always none of these."""
        places = range(len(ask.options))
        if self.measuring or len(places) <= RERANK_TOP_K or not {"cosine", "parts"} & set(weights):
            return [*places]
        near = self._similarities(ask, "cosine")
        ranked = sorted(places, key=lambda i: (-near[i], ask.options[i].name))
        ranked = [i for i in ranked if ask.options[i] != NONE_OF_THESE][:RERANK_TOP_K]
        return ranked + [i for i in places if ask.options[i] == NONE_OF_THESE]

    def _features(
        self,
        ask: Choose,
        names: Collection[str],
        pairs: Mapping[str, Mapping[int, tuple[TokenPair, ...]]],
        finals: Collection[int],
        sums: PairSums,
    ) -> dict[str, FloatArray]:
        """Each signal's numbers, shape (options,). One that did not reach the finals is no
        likelier than the last finalist."""
        found: dict[str, FloatArray] = {}
        for name in names:
            if name not in LM_FEATURES:
                found[name] = self._similarities(ask, name)
                continue
            own = {i: _feature(name, pairs[name][i], sums) for i in finals}
            least = min(own.values())
            found[name] = np.array([own.get(i, least) for i in range(len(ask.options))])
        return found

    def _similarities(self, ask: Choose, name: str) -> FloatArray:
        """Cosine of ``about`` with each option, shape (options,); 0 for none of these."""
        split = name == "parts" and decision_kind(ask.role) == "tool"
        texts = [option_texts(option)[: None if split else 1] for option in ask.options]
        flat = [text for own in texts for text in own]
        about, *rows = self._embedder.vectors([ask.about, *flat]).astype(float)
        # One by one: a matrix product may round a row by its place.
        near = iter([float(np.dot(about, row)) for row in rows])
        found = np.zeros(len(ask.options))
        for place, own in enumerate(texts):
            whole, *others = islice(near, len(own))
            if ask.options[place] != NONE_OF_THESE:
                found[place] = (whole + others[0] + max(others)) / 3 if others else whole
        return found

    def features(self, ask: Choose) -> dict[str, FloatArray]:
        """Every signal of an ask that was answered while ``measuring``, each of shape
        (options,)."""
        every = range(len(ask.options))
        pairs = {
            name: self._feature_pairs(ask, name, every) for name in FEATURES if name in LM_FEATURES
        }
        rows = {pair for found in pairs.values() for own in found.values() for pair in own}
        sums = {pair: self._cache[_pair_key(pair)] for pair in rows}
        return self._features(ask, FEATURES, pairs, every, sums)

    # -- Rate -----------------------------------------------------------------------

    def _prepare_rate(self, ask: Rate) -> tuple[list[TokenPair], Callable[[PairSums], Answer]]:
        """With anchors: their values and those of the shipped examples for the role, weighted
        by exp(sharpness * cosine(about, example)). Without, or with the share ``own``: the
        likelihood of each number as the reply."""
        anchors = (*ask.anchors, *rating_examples(ask.role, ask.low, ask.high))
        own = self.calibration.rating.own if anchors else 1.0
        rows = self._prompts.digits(ask) if own > 0 else []

        def answer(sums: PairSums) -> Answer:
            values = np.arange(ask.low, ask.high + 1)
            spread = np.zeros(len(values))
            if rows:
                found = np.array([sums[row] for row in rows])
                direct = np.exp(found - found.max())
                spread += own * direct / direct.sum()
            if own < 1:
                spread += (1 - own) * self._anchor_distribution(ask, anchors)
            return Rating(
                value=float(spread @ values),
                probabilities=tuple(float(p) for p in spread),
                tokens_in=len(rows[0][0]) if rows else 0,
            )

        return rows, answer

    def _anchor_distribution(self, ask: Rate, anchors: Sequence[Anchor]) -> FloatArray:
        vectors = self._embedder.vectors([ask.about, *(anchor.text for anchor in anchors)])
        near = (vectors[1:] @ vectors[0]).astype(np.float64)
        weights = np.exp(self.calibration.rating.sharpness * near)
        spread = np.zeros(ask.high - ask.low + 1)
        for anchor, weight in zip(anchors, weights / weights.sum()):
            spread[min(max(anchor.value, ask.low), ask.high) - ask.low] += weight
        return spread


def _pair_key(pair: TokenPair) -> bytes:
    """16 bytes for a pair, whose ids would take kilobytes."""
    context, target = pair
    ids = struct.pack(f"<{len(context) + len(target) + 1}q", len(context), *context, *target)
    return blake2b(ids, digest_size=16).digest()


def _feature(name: str, pairs: Sequence[TokenPair], sums: PairSums) -> float:
    """A signal of the language model, of its own pair and the prior's."""
    if not pairs:
        return 0.0
    own = sums[pairs[0]]
    if name == "whole":
        return own
    if name == "channel":
        surprise = max(-sums[pairs[1]], 1e-6)
        return own / surprise + 1.0
    count = len(pairs[0][1])
    return own / count if name == "direct" else (own - sums[pairs[1]]) / count


def _none_index(ask: Choose) -> int | None:
    return ask.options.index(NONE_OF_THESE) if NONE_OF_THESE in ask.options else None


def _texts_to_embed(ask: Choose | Rate) -> list[str]:
    if isinstance(ask, Rate):
        anchors = (*ask.anchors, *rating_examples(ask.role, ask.low, ask.high))
        return [ask.about, *(anchor.text for anchor in anchors)]
    found = [ask.about]
    for option in ask.options:
        found += option_texts(option)[: None if decision_kind(ask.role) == "tool" else 1]
    return found


@lru_cache(maxsize=MAX_CACHED_OPTIONS)
def option_texts(option: Option) -> tuple[str, ...]:
    """An option's texts that the embedder compares: its first line, and the parts of that."""
    return (first_line(option), *first_line_parts(option))


def _invalid_rate(ask: Rate) -> Failed | None:
    if ask.high >= ask.low:
        return None
    return Failed(reason="refused", detail=f"a Rate from {ask.low} to {ask.high} has no values")


def _invalid_choose(ask: Choose) -> Failed | None:
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


def _sample_choice(ask: Choose, scores: FloatArray, tokens: int) -> Choice:
    """The choice by scores, whatever order the options stand in; equals by name."""
    raised = np.exp(scores - scores.max())
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
