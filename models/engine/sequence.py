"""Token sequences that the engine runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from torch import Tensor

from .kv_cache import CacheSlot, PrefixNode

TokenPair: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]


"""Token ids of a context, and of a target whose likelihood after it is wanted."""


SchedulingKey: TypeAlias = tuple[int, int, int, int]


"""What orders asks: priority, age, beginning, number; the lowest goes first."""


@dataclass(slots=True, eq=False)
class TokenSequence:
    """One sequence. ``ids`` are all its tokens; of the first ``computed`` the keys are there.

    The logits behind every token from ``logits_from`` on are wanted. The first ``cacheable`` tokens
    are worth keeping for others; the first ``initial_computed`` were known when it was seated.
    ``owner``
    is what is told of the logits. ``single_pass``: it runs in one pass, so that its own keys need
    no place. ``last_pass`` is the pass it last took part in, or was added before.
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
        """Tokens that are still to be run."""
        return len(self.ids) - self.computed

    def mark_finite(self, sound: bool) -> None:
        """Say whether the last logits seen of it were numbers, and so all behind them."""
        if self.slot is not None:
            self.slot.finite = sound

    def wanted_count(self, count: int) -> int:
        """Of how many of the next ``count`` tokens the logits are wanted."""
        return max(0, self.computed + count - max(self.computed, self.logits_from))
