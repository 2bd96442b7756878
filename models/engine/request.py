"""Requests in the engine: an ask with its generation, or with the likelihoods it waits for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from ...core import Answer, Choose, Delta, Done, Failed, ModelAsk, Rate, Ticket
from .generation import GenerationState
from .kv_cache import common_prefix_length
from .sequence import SchedulingKey, TokenPair, TokenSequence

MIN_SHARED_PREFIX = 24  # tokens; a longer common prefix of several contexts runs once, before them
MAX_LOGIT_ROWS = 256  # rows of logits at a time: 50 MB of float32 at 49,152 columns

ModelEvents: TypeAlias = list[Delta | Done]

PairScores: TypeAlias = Mapping[TokenPair, tuple[float, ...]]
"""Log-probability of each target token after its context, by pair."""

PairSums: TypeAlias = Mapping[TokenPair, float]
"""Log-probability of each pair's whole target after its context."""


@dataclass(frozen=True, slots=True)
class ScoringPlan:
    """The likelihoods that answer a Choose or a Rate.

    ``pairs`` must be scored by the language model; ``known`` were scored before. ``answer``
    computes the answer from the sums of all pairs.
    """

    pairs: tuple[TokenPair, ...]
    known: PairSums
    answer: Callable[[PairSums], Answer]

    def finish(self, scores: PairScores) -> Answer:
        """The answer, once all pairs are scored."""
        return self.answer({**self.known, **{pair: sum(row) for pair, row in scores.items()}})


class DecisionScorer(Protocol):
    """Turns Choose and Rate into likelihoods for the engine to compute."""

    def embed_ahead(self, asks: Sequence[Choose | Rate]) -> None:
        """Embed the texts of several asks in one batch."""

    def prepare(self, ask: Choose | Rate) -> Failed | ScoringPlan:
        """The likelihoods that the ask needs, or the reason why it cannot be answered."""

    def cache_scores(self, scores: PairScores) -> None:
        """Keep scores, so that no pair is scored twice."""


@dataclass(slots=True, eq=False)
class PendingDecision:
    """A Choose or a Rate and the pairs that still have to be scored."""

    plan: ScoringPlan
    waiting: set[TokenPair]
    scores: dict[TokenPair, tuple[float, ...]] = field(default_factory=dict)

    def add_score(self, pair: TokenPair, score: tuple[float, ...]) -> bool:
        """Add the score of a pair; True if it was the last one."""
        self.scores[pair] = score
        self.waiting.discard(pair)
        return not self.waiting

    def answer(self, decider: DecisionScorer) -> Answer:
        """The answer, once all pairs are scored."""
        decider.cache_scores(self.scores)
        return self.plan.finish(self.scores)


@dataclass(slots=True, eq=False)
class EngineRequest:
    """An ask in the engine.

    ``seconds`` and ``reused`` are its share of engine time and of cached tokens so far. ``key``
    orders requests. ``prefix_sequence`` computes the common prefix of its pairs.
    """

    ticket: Ticket
    ask: ModelAsk
    owner: str
    key: SchedulingKey
    generation: GenerationState | None = None
    decision: PendingDecision | None = None
    prefix_sequence: TokenSequence | None = None
    seconds: float = 0.0
    reused: int = 0


@dataclass(slots=True, eq=False)
class ScoringJob:
    """A pair that is being scored for one or more requests; ``logprobs`` are those so far."""

    pair: TokenPair
    requests: list[EngineRequest]
    logprobs: list[float] = field(default_factory=list)

    @property
    def target(self) -> tuple[int, ...]:
        """The tokens whose likelihood is wanted."""
        return self.pair[1]

    @property
    def is_finite(self) -> bool:
        """Whether no log-probability is NaN; minus infinity is allowed."""
        return not any(map(math.isnan, self.logprobs))

    def score_logits(self, logits: Tensor) -> bool:
        """Score the next target tokens by their logits (n, vocabulary); True after the last."""
        tokens = self.target[len(self.logprobs) : len(self.logprobs) + len(logits)]
        self.logprobs += token_logprobs(logits, tokens)
        return len(self.logprobs) == len(self.target)


def token_logprobs(logits: Tensor, tokens: Sequence[int]) -> list[float]:
    """Log-probability of each token by its row of logits (n, vocabulary)."""
    columns = torch.tensor(tokens, device=logits.device).unsqueeze(1)
    logprobs = logits.gather(1, columns).squeeze(1) - logits.logsumexp(dim=1)
    return [float(logprob) for logprob in logprobs]


def shared_prefix(pairs: Iterable[TokenPair]) -> tuple[int, ...]:
    """The common prefix of several contexts without its last token; empty if it is too short
    for a sequence of its own."""
    contexts = sorted({context for context, _ in pairs})
    if not contexts:
        return ()
    length = min(len(context) for context in contexts)
    length = min(length, common_prefix_length(contexts[0], contexts[-1])) - (len(contexts) == 1)
    length = min(length, min(map(len, contexts)) - 1)
    return contexts[0][:length] if length >= MIN_SHARED_PREFIX else ()
