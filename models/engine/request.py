"""Requests of the engine, and the token sequences that run for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from ...core import Answer, Choose, Delta, Done, Failed, ModelAsk, Rate, Ticket
from .generation import GenerationState
from .kv_cache import SHARED, CacheScope, CacheSlot, PrefixNode, common_prefix_length


class TokenPair(NamedTuple):
    """Token ids of a context, and of a target whose likelihood after the context is wanted.

    ``voice``: whose likelihood, as in the asks; "" is that of the base weights. ``owner``: whose
    private text it has, as in ``cache_owner``; scores are kept for each owner apart.
    """

    context: tuple[int, ...]
    target: tuple[int, ...]
    voice: str = ""
    owner: str = ""


SchedulingKey: TypeAlias = tuple[int, int, int, int]
"""Order of requests: priority, age group, prefix group, ticket; the lowest goes first."""


@dataclass(slots=True, eq=False)
class TokenSequence:
    """One token sequence and its place in the caches.

    ``ids`` are all its tokens; keys and values of the first ``computed`` are cached. Logits are
    wanted behind every token from ``logits_from`` on. The first ``cacheable`` tokens go to the
    prefix cache (``cached`` once they did); the first ``initial_computed`` were in it when the
    sequence was allocated. ``owner`` receives the logits: an EngineRequest or a ScoringJob.
    ``scope`` says with which adapter it runs, and who may find what is cached of it.
    ``single_pass``: the sequence runs in one pass, so its own keys need no slot.
    ``last_pass`` is the number of the last pass it took part in, or before which it was added.
    ``prefix_nodes`` are read in place, ``prefix_kvs`` are their tensors and ``prefix_tokens``
    their length; ``slot`` holds the rest. ``state`` is the cache of an EagerBackend.
    """

    ids: list[int]
    logits_from: int
    cacheable: int
    key: SchedulingKey
    owner: Any
    scope: CacheScope = SHARED
    single_pass: bool = False
    computed: int = 0
    initial_computed: int = 0
    reused: int = 0
    cached: bool = False
    last_pass: int = 0
    prefix_nodes: list[PrefixNode] = field(default_factory=list)
    prefix_kvs: tuple[Tensor, ...] = ()
    prefix_tokens: int = 0
    slot: CacheSlot | None = None
    state: Any = None

    @property
    def adapter(self) -> str:
        """The digest of the adapter that it runs with, or ""."""
        return self.scope.adapter

    @property
    def pending(self) -> int:
        """Number of tokens that are not computed yet."""
        return len(self.ids) - self.computed

    def mark_finite(self, finite: bool) -> None:
        """Record whether the last logits were finite, and so all cached keys and values."""
        if self.slot is not None:
            self.slot.finite = finite

    def wanted_count(self, count: int) -> int:
        """Of how many of the next ``count`` tokens the logits are wanted."""
        return max(0, self.computed + count - max(self.computed, self.logits_from))


MIN_SHARED_PREFIX = 24  # tokens; a longer common prefix of several contexts runs once, before them
MAX_LOGIT_ROWS = 256  # rows of logits at a time: 50 MB of float32 at 49,152 columns

PrefixKey: TypeAlias = tuple[str, tuple[int, ...]]
"""A voice, and the first tokens of a context."""

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
        decider.cache_scores(self.scores)
        return self.plan.finish(self.scores)


@dataclass(slots=True, eq=False)
class EngineRequest:
    """An ask in the engine.

    ``seconds`` and ``reused`` are its share of engine time and of cached tokens so far. ``key``
    orders requests. ``cache_owner``: whose private text the ask has. ``prefix_sequences`` compute
    the common prefixes of its pairs.
    """

    ticket: Ticket
    ask: ModelAsk
    owner: str
    key: SchedulingKey
    cache_owner: str = ""
    generation: GenerationState | None = None
    decision: PendingDecision | None = None
    prefix_sequences: list[TokenSequence] = field(default_factory=list)
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
        return self.pair.target

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


def shared_prefixes(pairs: Iterable[TokenPair]) -> dict[PrefixKey, tuple[int, ...]]:
    """The common prefixes of contexts that begin alike, without the last token of each, by
    ``prefix_key``. Contexts of one pair only, and those that share too little, have none."""
    groups: dict[PrefixKey, list[tuple[int, ...]]] = {}
    for pair in pairs:
        groups.setdefault(prefix_key(pair), []).append(pair.context)
    prefixes = {}
    for key, contexts in groups.items():
        first, last = min(contexts), max(contexts)
        shortest = min(map(len, contexts))
        length = min(common_prefix_length(first, last), shortest - 1)  # of all: they are sorted
        if len(contexts) > 1 and length >= MIN_SHARED_PREFIX:
            prefixes[key] = first[:length]
    return prefixes


def prefix_key(pair: TokenPair) -> PrefixKey:
    """Pairs with equal keys may share a prefix."""
    return pair.voice, pair.context[:MIN_SHARED_PREFIX]
