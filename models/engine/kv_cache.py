"""Where the keys and values of running sequences lie: slots in classes of doubling length.

All sequences of a class lie side by side in one tensor, without holes, so that one
attention call over a view of it serves them all and nothing is copied to gather them.

Keys and values of beginnings that prompts share, in a radix tree over token ids.

As in SGLang's RadixAttention (Zheng et al. 2024): a node holds the stretch of tokens
between two branchings, so what many prompts have in common is held once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .decoder import DecoderShape

MIN_SLOT_TOKENS = 64  # tokens of the shortest class


@dataclass(slots=True, eq=False)
class CacheSlot:
    """A sequence's place: it holds up to ``head_size`` tokens at ``index`` of its class.
    ``finite``:
    what is written in it is known to be numbers."""

    size: int
    index: int
    finite: bool = False


@dataclass(slots=True)
class SlotPool:
    """Slots of one size. ``kv`` has the shape (layers, slots, 2 * kv_heads, size, head size);
    the first ``len(slots)`` are taken."""

    size: int
    kv: Tensor
    slots: list[CacheSlot] = field(default_factory=list)


class KVCache:
    """All classes. ``allocated_tokens`` counts what is allocated, taken or not."""

    def __init__(self, shape: DecoderShape) -> None:
        self._shape = shape
        self._pools: dict[int, SlotPool] = {}

    @property
    def allocated_tokens(self) -> int:
        """Tokens that the allocated slots could hold."""
        return sum(one.size * one.kv.shape[1] for one in self._pools.values())

    @property
    def used_slots(self) -> int:
        """Slots that are in use."""
        return sum(len(one.slots) for one in self._pools.values())

    def pool_of(self, slot: CacheSlot) -> SlotPool:
        """The class that a slot is in."""
        return self._pools[slot.size]

    def cost(self, length: int) -> int:
        """Tokens that ``allocate(length)`` would allocate."""
        size = slot_size(length)
        found = self._pools.get(size)
        return 0 if found is not None and len(found.slots) < found.kv.shape[1] else size

    def allocate(self, length: int, room: int) -> CacheSlot:
        """A slot for ``length`` tokens, zeroed where new. ``room``: tokens that may be
        allocated, at least ``cost(length)``."""
        size = slot_size(length)
        found = self._pools.get(size)
        if found is None:
            found = self._pools[size] = SlotPool(size, self._blank(1, size))
        elif len(found.slots) == found.kv.shape[1]:
            # Doubled, since growing copies the class.
            more = max(1, min(found.kv.shape[1], room // size))
            grown = self._blank(found.kv.shape[1] + more, size)
            grown[:, : len(found.slots)] = found.kv
            found.kv = grown
        slot = CacheSlot(size, len(found.slots))
        found.slots.append(slot)
        return slot

    def free(self, slot: CacheSlot) -> None:
        """Give a slot back; the last of its class moves into the hole. Where that is not sound
        its old place is wiped: no mask could keep numbers that are none from the next owner."""
        home = self._pools[slot.size]
        last = home.slots.pop()
        if last is not slot:
            home.kv[:, slot.index].copy_(home.kv[:, last.index])
            home.slots[slot.index] = last
            last.index = slot.index
        if not last.finite:
            home.kv[:, len(home.slots)].zero_()
        if not home.slots:
            del self._pools[slot.size]

    def shrink(self) -> None:
        """Give back what is allocated and not taken."""
        for home in self._pools.values():
            if len(home.slots) < home.kv.shape[1]:
                home.kv = home.kv[:, : len(home.slots)].clone()

    def grow(self, slot: CacheSlot, held: int, length: int, room: int) -> CacheSlot:
        """Move the first ``held`` tokens of a slot into a larger one, and free it."""
        larger = self.allocate(length, room)
        source, target = self.pool_of(slot).kv, self.pool_of(larger).kv
        target[:, larger.index, :, :held] = source[:, slot.index, :, :held]
        larger.finite = slot.finite
        self.free(slot)
        return larger

    def read(self, slot: CacheSlot, start: int, end: int) -> Tensor:
        """A copy of tokens ``start`` to ``end``: (layers, 2 * kv_heads, tokens, head size)."""
        return self.pool_of(slot).kv[:, slot.index, :, start:end].clone()

    def write(self, slot: CacheSlot, start: int, kv: Tensor) -> None:
        """Put tokens that ``read`` gave at ``start``."""
        self.pool_of(slot).kv[:, slot.index, :, start : start + kv.shape[2]] = kv

    def _blank(self, count: int, size: int) -> Tensor:
        shape = self._shape
        full = (shape.layers, count, 2 * shape.kv_heads, size, shape.head_size)
        if shape.device.type != "cpu":
            return torch.zeros(full, dtype=shape.dtype, device=shape.device)
        # Of numpy, whose zeros the system hands out page by page as they are written to:
        # hundreds of megabytes at once would hold up whoever is being answered.
        raw = np.zeros(math.prod(full) * shape.dtype.itemsize, np.uint8)
        return torch.from_numpy(raw).view(shape.dtype).view(full)


def slot_size(length: int) -> int:
    """The class of a length: powers of two and the halves between them.

    >>> slot_size(10), slot_size(65), slot_size(100), slot_size(700)
    (64, 96, 128, 768)
    """
    size = MIN_SLOT_TOKENS
    while size < length:
        size = size * 3 // 2 if size & (size - 1) == 0 else size * 4 // 3
    return size


MIN_NODE_TOKENS = 8  # tokens; a shorter common stretch saves less than it costs to keep apart


@dataclass(slots=True, eq=False)
class PrefixNode:
    """A stretch of cached tokens. ``kv``: (layers, 2 * kv_heads, tokens, head size), never
    changed, only replaced. ``users`` counts the running sequences that attend to it."""

    ids: tuple[int, ...]
    kv: Tensor
    parent: PrefixNode | None = None
    children: dict[int, PrefixNode] = field(default_factory=dict)
    users: int = 0
    last_used: int = 0

    def __len__(self) -> int:
        return len(self.ids)


class PrefixCache:
    """The tree. ``tokens`` counts what it holds; callers evict to keep it bounded."""

    def __init__(self) -> None:
        self._roots: dict[int, PrefixNode] = {}
        self._clock = 0
        self.tokens = 0

    def match(self, ids: Sequence[int], least: int = MIN_NODE_TOKENS) -> list[PrefixNode]:
        """The spans that ``ids`` begins with, from the root; a span that ``ids`` leaves half
        way is split there, so that all who share its first half share one span. One left
        after less than ``least`` tokens does not count."""
        self._clock += 1
        path: list[PrefixNode] = []
        at = 0
        while at < len(ids):
            span = self._children(path).get(ids[at])
            if span is None:
                break
            shared = common_prefix_length(span.ids, ids[at : at + len(span)])
            if shared < len(span):
                if shared < least:
                    break
                span = self._split(span, shared)
            span.last_used = self._clock
            path.append(span)
            at += len(span)
        return path

    def match_length(self, ids: Sequence[int]) -> int:
        """How many leading tokens of ``ids`` are held; changes nothing."""
        at, below = 0, self._roots
        while at < len(ids) and (span := below.get(ids[at])) is not None:
            shared = common_prefix_length(span.ids, ids[at : at + len(span)])
            at += shared
            if shared < len(span):
                break
            below = span.children
        return at

    def insert(self, ids: Sequence[int], read: Callable[[int, int], Tensor]) -> int:
        """Hold ``ids``; ``read(start, end)`` gives copies of the keys and values of what is
        missing. Returns the number of tokens added."""
        if len(ids) - self.match_length(ids) < MIN_NODE_TOKENS:
            return 0
        # Down to a single token, or two prompts that share the template's first words could
        # not both be held.
        path = self.match(ids, least=1)
        at = sum(len(span) for span in path)
        parent = path[-1] if path else None
        span = PrefixNode(tuple(ids[at:]), read(at, len(ids)), parent, last_used=self._clock)
        self._children(path)[ids[at]] = span
        self.tokens += len(span)
        return len(span)

    def evict(self, tokens: int) -> int:
        """Let go of the least recently used leaves that nobody uses, until ``tokens`` are
        free or none is left; the number freed."""
        freed = 0
        while freed < tokens:
            leaves = [span for span in self if not span.children and not span.users]
            if not leaves:
                break
            leaves.sort(key=lambda span: span.last_used)
            for span in leaves:
                freed += self._drop(span)
                if freed >= tokens:
                    break
        return freed

    def clear(self) -> None:
        """Let go of everything that nobody uses."""
        self.evict(self.tokens + 1)

    def __iter__(self) -> Iterator[PrefixNode]:
        stack = [*self._roots.values()]
        while stack:
            span = stack.pop()
            stack.extend(span.children.values())
            yield span

    def _children(self, path: Sequence[PrefixNode]) -> dict[int, PrefixNode]:
        return path[-1].children if path else self._roots

    def _drop(self, span: PrefixNode) -> int:
        below = span.parent.children if span.parent else self._roots
        del below[span.ids[0]]
        self.tokens -= len(span)
        return len(span)

    def _split(self, span: PrefixNode, at: int) -> PrefixNode:
        """Cut a span in two; the first half. Who attends to the whole keeps its tensor. The
        second half stays the same object, so its users protect both: only leaves go."""
        first = PrefixNode(
            span.ids[:at], span.kv[:, :, :at].clone(), span.parent, last_used=span.last_used
        )
        below = span.parent.children if span.parent else self._roots
        below[first.ids[0]] = first
        first.children[span.ids[at]] = span
        span.ids, span.parent = span.ids[at:], first
        span.kv = span.kv[:, :, at:].clone()
        return first


def common_prefix_length(a: Sequence[int], b: Sequence[int]) -> int:
    """How many leading ids two sequences share.

    >>> common([1, 2, 3], [1, 2, 4, 5])
    2
    """
    shortest = min(len(a), len(b))
    if tuple(a[:shortest]) == tuple(b[:shortest]):
        return shortest
    low, high = 0, shortest
    while low < high:
        middle = (low + high + 1) // 2
        if tuple(a[:middle]) == tuple(b[:middle]):
            low = middle
        else:
            high = middle - 1
    return low
