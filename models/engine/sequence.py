"""Token sequences that the engine runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from torch import Tensor

from .kv_cache import CacheSlot, PrefixNode

TokenPair: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]
"""Token ids of a context, and of a target whose likelihood after the context is wanted."""

SchedulingKey: TypeAlias = tuple[int, int, int, int]
"""Order of requests: priority, age group, prefix group, ticket; the lowest goes first."""


@dataclass(slots=True, eq=False)
class TokenSequence:
    """One token sequence and its place in the caches.

    ``ids`` are all its tokens; keys and values of the first ``computed`` are cached. Logits are
    wanted behind every token from ``logits_from`` on. The first ``cacheable`` tokens go to the
    prefix cache (``cached`` once they did); the first ``initial_computed`` were in it when the
    sequence was allocated. ``owner`` receives the logits: an EngineRequest or a ScoringJob.
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
