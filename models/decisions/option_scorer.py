"""Choose and Rate from embeddings and log-probabilities, whichever model they come from.

The local engine scores pairs of token ids, a remote model pairs of texts; both use these
functions. Embeddings are rows of length 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Generic, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core import NONE_OF_THESE, Anchor, Choice, Choose, Failed, Option, Rate, Rating, uniform
from .calibration import decision_kind, rating_examples
from .features import LM_FEATURES
from .scoring_method import FloatArray, ScoringMethod
from .scoring_prompts import Pair, ScoringPrompts, first_line, first_line_parts

RERANK_TOP_K = 8  # options that the language model scores; the others rank behind by cosine
MAX_CACHED_OPTIONS = 20_000


class TargetScore(NamedTuple):
    """The log-probability of a target after its context, in nats, and its number of tokens."""

    total: float
    tokens: int


def invalid_ask(ask: Choose | Rate) -> Failed | None:
    """Why no model can answer the ask; None where it is valid."""
    if isinstance(ask, Rate):
        detail = f"a Rate from {ask.low} to {ask.high} has no values"
        return Failed(reason="refused", detail=detail) if ask.high < ask.low else None
    names = [option.name for option in ask.options]
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if not names:
        detail = "a Choose needs at least one option; it has none"
    elif any(not name.strip() for name in names):
        detail = "an option of the Choose has an empty name"
    elif duplicates:
        detail = f"options share the name '{duplicates[0]}'; rename one"
    elif not ask.about.strip():
        detail = "a Choose needs an 'about'; it is empty"
    else:
        return None
    return Failed(reason="refused", detail=detail)


def texts_to_embed(ask: Choose | Rate) -> list[str]:
    """The texts that ``option_similarities`` or ``anchor_distribution`` compares: ``about``
    first, then those of the options or anchors."""
    if isinstance(ask, Rate):
        return [ask.about, *(anchor.text for anchor in rating_anchors(ask))]
    return [ask.about, *(text for texts in _option_texts(ask) for text in texts)]


def _option_texts(ask: Choose) -> list[tuple[str, ...]]:
    count = None if decision_kind(ask.role) == "tool" else 1
    return [_first_line_and_parts(option)[:count] for option in ask.options]


@lru_cache(maxsize=MAX_CACHED_OPTIONS)
def _first_line_and_parts(option: Option) -> tuple[str, ...]:
    return (first_line(option), *first_line_parts(option))


def option_similarities(ask: Choose, vectors: NDArray[np.float32]) -> dict[str, FloatArray]:
    """The features ``cosine`` and ``parts``, each of shape (options,); 0 for none of these.

    ``vectors``: the embeddings of ``texts_to_embed(ask)``, shape (texts, d).
    """
    about, *rows = vectors.astype(float)
    # One by one: a matrix product may round a row by its place.
    cosines = iter([float(np.dot(about, row)) for row in rows])
    cosine, parts = np.zeros(len(ask.options)), np.zeros(len(ask.options))
    for index, texts in enumerate(_option_texts(ask)):
        line, *others = islice(cosines, len(texts))
        if ask.options[index] != NONE_OF_THESE:
            cosine[index] = line
            parts[index] = (line + others[0] + max(others)) / 3 if others else line
    return {"cosine": cosine, "parts": parts}


class OptionScorer(Generic[Pair]):
    """Scores the options of one Choose by one method.

    Each option is scored apart from the others, so that their order cannot matter.
    ``similarities``: see ``option_similarities``; empty where the method uses none of them. Of
    more than ``top_k`` options the language model scores only the nearest, and always none of
    these.
    """

    def __init__(
        self,
        ask: Choose,
        method: ScoringMethod,
        prompts: ScoringPrompts[Pair],
        similarities: Mapping[str, FloatArray],
        top_k: int | None = RERANK_TOP_K,
    ) -> None:
        self._ask = ask
        self._method = method
        self._similarities = similarities
        self._finalists = self._rank_options(top_k)
        self._pairs = {
            name: self._feature_pairs(name, prompts)
            for name in method.weights
            if name in LM_FEATURES
        }

    @property
    def pairs(self) -> list[Pair]:
        """The pairs whose log-probabilities are needed, in a fixed order, without duplicates."""
        rows = [pairs for options in self._pairs.values() for pairs in options.values()]
        return list(dict.fromkeys(pair for pairs in rows for pair in pairs))

    def _rank_options(self, top_k: int | None) -> list[int]:
        options = self._ask.options
        if top_k is None or len(options) <= top_k or not self._similarities:
            return [*range(len(options))]
        cosine = self._similarities["cosine"]
        ranked = sorted(range(len(options)), key=lambda i: (-cosine[i], options[i].name))
        nearest = [i for i in ranked if options[i] != NONE_OF_THESE][:top_k]
        return nearest + [i for i, option in enumerate(options) if option == NONE_OF_THESE]

    def _feature_pairs(
        self, name: str, prompts: ScoringPrompts[Pair]
    ) -> dict[int, tuple[Pair, ...]]:
        """The pairs of a feature by option: the option's own, then that of the prior."""
        ask = self._ask
        options = {i: ask.options[i] for i in self._finalists}
        if name == "channel":
            prior = prompts.prior(ask.about)
            return {
                i: ()
                if option == NONE_OF_THESE
                else (prompts.channel(option, ask.about, ask.role), prior)
                for i, option in options.items()
            }
        pairs = prompts.whole(ask) if name == "whole" else prompts.direct(ask)
        if name in ("direct", "whole"):
            return {i: (pairs[i],) for i in options}
        return {i: (pairs[i], prompts.bare(option)) for i, option in options.items()}

    def features(self, scores: Mapping[Pair, TargetScore]) -> dict[str, FloatArray]:
        """Every feature of the method, each of shape (options,). An option that the language
        model did not score gets the lowest value of those that it did."""
        features: dict[str, FloatArray] = {}
        for name in self._method.weights:
            if name not in LM_FEATURES:
                features[name] = self._similarities[name]
                continue
            values = {
                i: _lm_feature(name, [scores[pair] for pair in self._pairs[name][i]])
                for i in self._finalists
            }
            lowest = min(values.values())
            features[name] = np.array(
                [values.get(i, lowest) for i in range(len(self._ask.options))]
            )
        return features

    def choice(self, scores: Mapping[Pair, TargetScore], tokens_in: int) -> Choice:
        """The choice, once all pairs are scored."""
        options = self._ask.options
        none = options.index(NONE_OF_THESE) if NONE_OF_THESE in options else None
        logits = self._method.scores(self.features(scores), none)
        return sample_choice(self._ask, softmax(logits), tokens_in)


def _lm_feature(name: str, scores: Sequence[TargetScore]) -> float:
    """A feature of the language model from the scores of the option's pair and the prior's."""
    if not scores:
        return 0.0
    total, tokens = scores[0]
    if name == "whole":
        return total
    if name == "channel":
        return total / max(-scores[1].total, 1e-6) + 1.0
    return total / tokens if name == "direct" else (total - scores[1].total) / tokens


def softmax(logits: FloatArray) -> FloatArray:
    """Probabilities, equal to the last bit whatever the order of the logits."""
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / float(np.sort(weights).sum()))


def sample_choice(ask: Choose, probabilities: Sequence[float] | FloatArray, tokens: int) -> Choice:
    """The likeliest option, of equals the first by name; above temperature 0 a random one.

    The draw depends on the ask's seed and the option names, not on their order.
    """
    shares = [float(share) for share in probabilities]
    order = sorted(range(len(shares)), key=lambda i: (-shares[i], ask.options[i].name))
    index = order[0]
    if ask.temperature > 0:
        weights = [shares[i] ** (1 / ask.temperature) for i in order]
        target = uniform(ask.seed, 0) * sum(weights)
        for index, weight in zip(order, weights):  # noqa: B007  the last one is drawn at the end
            target -= weight
            if target < 0:
                break
    return Choice(index=index, probabilities=tuple(shares), tokens_in=tokens)


def rating_anchors(ask: Rate) -> tuple[Anchor, ...]:
    """The anchors of an ask, then the shipped rated sentences for its role and range."""
    return (*ask.anchors, *rating_examples(ask.role, ask.low, ask.high))


def anchor_distribution(ask: Rate, vectors: NDArray[np.float32], sharpness: float) -> FloatArray:
    """Probabilities of the values ``low`` to ``high``: those of the anchors, each weighted by
    exp(sharpness * cosine(about, anchor)).

    ``vectors``: the embeddings of ``texts_to_embed(ask)``, shape (texts, d).
    """
    weights = np.exp(sharpness * (vectors[1:] @ vectors[0]).astype(np.float64))
    distribution = np.zeros(ask.high - ask.low + 1)
    for anchor, weight in zip(rating_anchors(ask), weights / weights.sum()):
        distribution[min(max(anchor.value, ask.low), ask.high) - ask.low] += weight
    return distribution


def expected_rating(
    ask: Rate,
    share: float,
    reply: Sequence[float] | FloatArray | None,
    anchored: FloatArray | None,
    tokens_in: int,
) -> Rating:
    """The rating of share * reply + (1 - share) * anchored, both probabilities of the values
    ``low`` to ``high``; a part whose weight is 0 may be None."""
    values = np.arange(ask.low, ask.high + 1)
    distribution = np.zeros(len(values))
    if reply is not None:
        distribution += share * np.asarray(reply)
    if anchored is not None:
        distribution += (1 - share) * anchored
    return Rating(
        value=float(distribution @ values),
        probabilities=tuple(float(probability) for probability in distribution),
        tokens_in=tokens_in,
    )
