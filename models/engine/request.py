"""Choose and Rate on their way: the likelihoods they wait for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from torch import Tensor

from ...core import Answer, Choose, Delta, Done, Failed, ModelAsk, Rate, Ticket
from .generation import GenerationState
from .kv_cache import common_prefix_length
from .sequence import SchedulingKey, TokenPair, TokenSequence

MIN_SHARED_PREFIX = 24  # tokens; a longer beginning of several contexts is run once, before them
MAX_LOGIT_ROWS = 256  # rows of logits at a time: 50 MB of float32 at 49,152 columns


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
        ...

    def prepare(self, ask: Choose | Rate) -> Failed | ScoringPlan:
        """The likelihoods that the ask needs, or the reason why it cannot be answered."""
        ...

    def cache_scores(self, scores: PairScores) -> None:
        """Keep scores, so that no pair is scored twice."""
        ...


@dataclass(slots=True, eq=False)
class PendingDecision:
    """A Choose or a Rate whose pairs are being scored."""

    plan: ScoringPlan
    waiting: set[TokenPair]
    scores: dict[TokenPair, tuple[float, ...]] = field(default_factory=dict)

    def add_score(self, pair: TokenPair, score: tuple[float, ...]) -> bool:
        """Enter a pair's score; whether all are there."""
        self.scores[pair] = score
        self.waiting.discard(pair)
        return not self.waiting

    def answer(self, decider: DecisionScorer) -> Answer:
        """Once all are there."""
        decider.cache_scores(self.scores)
        return self.plan.finish(self.scores)


@dataclass(slots=True, eq=False)
class EngineRequest:
    """An ask in the engine. ``seconds`` of the engine's time and ``reused`` tokens are its
    share so far; ``key`` says when it is its turn. ``prefix_sequence`` runs what its pairs begin
    with."""

    ticket: Ticket
    ask: ModelAsk
    owner: str
    key: SchedulingKey
    generation: GenerationState | None = None
    decision: PendingDecision | None = None
    prefix_sequence: TokenSequence | None = None
    seconds: float = 0.0
    reused: int = 0


ModelEvents: TypeAlias = list[Delta | Done]


@dataclass(slots=True, eq=False)
class ScoringJob:
    """A pair on its way for some orders; ``logprobs`` are the log-probabilities so far."""

    pair: TokenPair
    requests: list[EngineRequest]
    logprobs: list[float] = field(default_factory=list)

    @property
    def target(self) -> tuple[int, ...]:
        """The tokens whose likelihood is wanted."""
        return self.pair[1]

    @property
    def is_finite(self) -> bool:
        """Whether all that was found are numbers; minus infinity is one."""
        return not any(math.isnan(one) for one in self.logprobs)

    def score_logits(self, logits: Tensor) -> bool:
        """Score the next tokens of the target by their logits (n, vocabulary); whether that
        were the last."""
        tokens = self.target[len(self.logprobs) : len(self.logprobs) + len(logits)]
        self.logprobs += token_logprobs(logits, tokens)
        return len(self.logprobs) == len(self.target)


def token_logprobs(logits: Tensor, tokens: Sequence[int]) -> list[float]:
    """Log-probability of each token by its row of logits (n, vocabulary)."""
    import torch

    wanted = torch.tensor(tokens, device=logits.device).unsqueeze(1)
    found = logits.gather(1, wanted).squeeze(1) - logits.logsumexp(dim=1)
    return [float(one) for one in found]


def shared_prefix(pairs: Iterable[TokenPair]) -> tuple[int, ...]:
    """What the contexts of several pairs have in common, all but its last token; empty when
    that is not worth a row of its own."""
    contexts = sorted({context for context, _ in pairs})
    if not contexts:
        return ()
    length = min(len(context) for context in contexts)
    length = min(length, common_prefix_length(contexts[0], contexts[-1])) - (len(contexts) == 1)
    length = min(length, min(map(len, contexts)) - 1)
    return contexts[0][:length] if length >= MIN_SHARED_PREFIX else ()
