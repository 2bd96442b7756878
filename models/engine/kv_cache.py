"""The KV cache of running sequences and the prefix cache.

`KVCache`: slots in pools of doubling size. All sequences of a pool lie side by side in one
tensor, without holes, so one attention call over a view of it serves them all and nothing is
gathered. `PrefixCache`: keys and values of common prompt prefixes in radix trees over token
ids, as in SGLang's RadixAttention (Zheng et al. 2024): one tree for each adapter, and for the
private part of prompts one for each owner, so that nobody's prompt is sooner computed because
somebody else has sent the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from .decoder import DecoderShape

MIN_SLOT_TOKENS = 64  # tokens of the smallest slot
MIN_NODE_TOKENS = 8  # tokens; a shorter common prefix saves less than a node of its own costs


@dataclass(slots=True, eq=False)
class CacheSlot:
    """Memory of one sequence: up to ``size`` tokens at ``index`` of its pool.

    ``finite``: all keys and values in it are known to be finite.
    """

    size: int
    index: int
    finite: bool = False


@dataclass(slots=True)
class SlotPool:
    """Slots of one size. ``kv`` has the shape (layers, slots, 2 * kv_heads, size, head size);
    the first ``len(slots)`` are in use."""

    size: int
    kv: Tensor
    slots: list[CacheSlot] = field(default_factory=list)

    @property
    def capacity(self) -> int:
        """Number of allocated slots, in use or not."""
        return self.kv.shape[1]


class KVCache:
    """The slot pools by size."""

    def __init__(self, shape: DecoderShape) -> None:
        self._shape = shape
        self._pools: dict[int, SlotPool] = {}

    @property
    def allocated_tokens(self) -> int:
        """Tokens that the allocated slots can hold, in use or not."""
        return sum(pool.size * pool.capacity for pool in self._pools.values())

    @property
    def used_slots(self) -> int:
        """Number of slots in use."""
        return sum(len(pool.slots) for pool in self._pools.values())

    def pool_of(self, slot: CacheSlot) -> SlotPool:
        """The pool that a slot is in."""
        return self._pools[slot.size]

    def cost(self, length: int) -> int:
        """Tokens that ``allocate(length)`` would add to the allocated ones."""
        size = slot_size(length)
        pool = self._pools.get(size)
        return 0 if pool is not None and len(pool.slots) < pool.capacity else size

    def allocate(self, length: int, room: int) -> CacheSlot:
        """A slot for ``length`` tokens, zeroed where new.

        ``room``: tokens that may be allocated, at least ``cost(length)``.
        """
        size = slot_size(length)
        pool = self._pools.get(size)
        if pool is None:
            pool = self._pools[size] = SlotPool(size, self._zeros(1, size))
        elif len(pool.slots) == pool.capacity:
            # Doubled, because growing copies the pool.
            added = max(1, min(pool.capacity, room // size))
            grown = self._zeros(pool.capacity + added, size)
            grown[:, : len(pool.slots)] = pool.kv
            pool.kv = grown
        slot = CacheSlot(size, len(pool.slots))
        pool.slots.append(slot)
        return slot

    def free(self, slot: CacheSlot) -> None:
        """Free a slot; the last slot of its pool moves into the hole.

        The place of a slot that may hold NaN is zeroed: a mask does not keep NaN from the next
        sequence there, since 0 * NaN is NaN.
        """
        pool = self._pools[slot.size]
        last = pool.slots.pop()
        if last is not slot:
            pool.kv[:, slot.index].copy_(pool.kv[:, last.index])
            pool.slots[slot.index] = last
            last.index = slot.index
        if not last.finite:
            pool.kv[:, len(pool.slots)].zero_()
        if not pool.slots:
            del self._pools[slot.size]

    def shrink(self) -> None:
        """Release the memory of slots that are not in use."""
        for pool in self._pools.values():
            if len(pool.slots) < pool.capacity:
                pool.kv = pool.kv[:, : len(pool.slots)].clone()

    def grow(self, slot: CacheSlot, used: int, length: int, room: int) -> CacheSlot:
        """Move the first ``used`` tokens of a slot into a larger one, and free the slot."""
        larger = self.allocate(length, room)
        source, target = self.pool_of(slot).kv, self.pool_of(larger).kv
        target[:, larger.index, :, :used] = source[:, slot.index, :, :used]
        larger.finite = slot.finite
        self.free(slot)
        return larger

    def read(self, slot: CacheSlot, start: int, end: int) -> Tensor:
        """A copy of tokens ``start`` to ``end``: (layers, 2 * kv_heads, tokens, head size)."""
        return self.pool_of(slot).kv[:, slot.index, :, start:end].clone()

    def write(self, slot: CacheSlot, start: int, kv: Tensor) -> None:
        """Write tokens in the shape of ``read`` from ``start`` on."""
        self.pool_of(slot).kv[:, slot.index, :, start : start + kv.shape[2]] = kv

    def _zeros(self, count: int, size: int) -> Tensor:
        shape = self._shape
        full = (shape.layers, count, 2 * shape.kv_heads, size, shape.head_size)
        if shape.device.type != "cpu":
            return torch.zeros(full, dtype=shape.dtype, device=shape.device)
        # By numpy, whose zeros the system maps page by page when they are written: zeroing
        # hundreds of megabytes at once would delay all running requests.
        raw = np.zeros(math.prod(full) * shape.dtype.itemsize, np.uint8)
        return torch.from_numpy(raw).view(shape.dtype).view(full)


def slot_size(length: int) -> int:
    """The size of a slot for ``length`` tokens: 64 * 2**n or 96 * 2**n.

    >>> slot_size(10), slot_size(65), slot_size(100), slot_size(700)
    (64, 96, 128, 768)
    """
    size = MIN_SLOT_TOKENS
    while size < length:
        size = size * 3 // 2 if size & (size - 1) == 0 else size * 4 // 3
    return size


@dataclass(slots=True, eq=False)
class PrefixNode:
    """A node of the radix tree: the token ids from its parent's end to the next branch.

    ``kv``: (layers, 2 * kv_heads, tokens, head size), replaced but never changed in place.
    ``siblings`` are the nodes with the same parent, with itself, by their first token. ``users``
    counts the running sequences that read it; ``last_used`` is a logical time.
    """

    ids: tuple[int, ...]
    kv: Tensor
    siblings: dict[int, PrefixNode]
    children: dict[int, PrefixNode] = field(default_factory=dict)
    users: int = 0
    last_used: int = 0

    def __len__(self) -> int:
        return len(self.ids)


class CacheScope(NamedTuple):
    """Where the prefix cache keeps a sequence. ``adapter``: the digest of its adapter, which
    changes all keys and values. ``owner``: whose private text it has, as in ``cache_owner``; its
    first ``public`` tokens are nobody's and shared by all. Without an owner all is shared."""

    adapter: str = ""
    owner: str = ""
    public: int = 0

    def shared(self, length: int) -> int:
        """How many of the first ``length`` tokens others may find."""
        return min(length, self.public) if self.owner else length


SHARED = CacheScope()
"""The scope of sequences without adapter and owner."""

_TreeKey: TypeAlias = tuple[str, str, tuple[int, ...]]
"""Adapter, owner, and the public tokens before the private ones."""


class PrefixCache:
    """Radix trees of cached prefixes.

    The nodes of a private part hang in a tree of their own, which is found by its owner and the
    public tokens before it. ``tokens`` counts the cached tokens of all trees; callers evict to
    keep it bounded.
    """

    def __init__(self) -> None:
        self._trees: dict[_TreeKey, dict[int, PrefixNode]] = {}
        self._clock = 0
        self.tokens = 0

    def match(
        self, ids: Sequence[int], scope: CacheScope = SHARED, minimum: int = MIN_NODE_TOKENS
    ) -> list[PrefixNode]:
        """The nodes that ``ids`` begins with, from the root down.

        A node that ``ids`` matches in part is split, so that all sequences with the first half
        share one node; less than ``minimum`` matching tokens are ignored.
        """
        self._clock += 1
        path: list[PrefixNode] = []
        for part, key in _parts(ids, scope):
            # The private part begins where a node of the public one ends.
            found = self._match_part(part, key, 1 if scope.owner else minimum)
            path += found
            if sum(map(len, found)) < len(part):
                break
        return path

    def _match_part(self, ids: Sequence[int], key: _TreeKey, minimum: int) -> list[PrefixNode]:
        path: list[PrefixNode] = []
        start = 0
        children = self._trees.get(key, {})
        while start < len(ids):
            node = children.get(ids[start])
            if node is None:
                break
            shared = common_prefix_length(node.ids, ids[start : start + len(node)])
            if shared < len(node):
                if shared < minimum:
                    break
                node = self._split(node, shared)
            node.last_used = self._clock
            path.append(node)
            start += len(node)
            children = node.children
        return path

    def match_length(self, ids: Sequence[int], scope: CacheScope = SHARED) -> int:
        """How many leading tokens of ``ids`` are cached; changes nothing."""
        total = 0
        for part, key in _parts(ids, scope):
            length = self._part_length(part, key)
            total += length
            if length < len(part):
                break
        return total

    def _part_length(self, ids: Sequence[int], key: _TreeKey) -> int:
        length, children = 0, self._trees.get(key, {})
        while length < len(ids) and (node := children.get(ids[length])) is not None:
            shared = common_prefix_length(node.ids, ids[length : length + len(node)])
            length += shared
            if shared < len(node):
                break
            children = node.children
        return length

    def insert(
        self, ids: Sequence[int], read: Callable[[int, int], Tensor], scope: CacheScope = SHARED
    ) -> int:
        """Cache ``ids``; the number of tokens added.

        ``read(start, end)`` returns a copy of the keys and values of the missing tokens.
        """
        if len(ids) - self.match_length(ids, scope) < MIN_NODE_TOKENS:
            return 0
        self._clock += 1
        added, before = 0, 0
        for part, key in _parts(ids, scope):
            added += self._insert_part(part, key, before, read)
            before += len(part)
        return added

    def _insert_part(
        self,
        ids: Sequence[int],
        key: _TreeKey,
        before: int,
        read: Callable[[int, int], Tensor],
    ) -> int:
        """Cache the part ``ids`` of a sequence, which ``before`` tokens precede."""
        # Down to a single token, or two prompts with the same first words of the chat template
        # could not both be cached.
        path = self._match_part(ids, key, minimum=1)
        start = sum(len(node) for node in path)
        if start == len(ids):
            return 0
        siblings = path[-1].children if path else self._trees.setdefault(key, {})
        kv = read(before + start, before + len(ids))
        node = PrefixNode(tuple(ids[start:]), kv, siblings, last_used=self._clock)
        siblings[ids[start]] = node
        self.tokens += len(node)
        return len(node)

    def evict(self, tokens: int) -> int:
        """Remove the least recently used leaves without users until ``tokens`` are freed or
        none is left; the number of tokens freed."""
        freed = 0
        while freed < tokens:
            leaves = [node for node in self if not node.children and not node.users]
            if not leaves:
                break
            leaves.sort(key=lambda node: node.last_used)
            for node in leaves:
                freed += self._remove(node)
                if freed >= tokens:
                    break
        self._trees = {key: tree for key, tree in self._trees.items() if tree}
        return freed

    def clear(self) -> None:
        self.evict(self.tokens + 1)

    def __iter__(self) -> Iterator[PrefixNode]:
        stack = [node for tree in self._trees.values() for node in tree.values()]
        while stack:
            node = stack.pop()
            stack.extend(node.children.values())
            yield node

    def _remove(self, node: PrefixNode) -> int:
        del node.siblings[node.ids[0]]
        self.tokens -= len(node)
        return len(node)

    def _split(self, node: PrefixNode, length: int) -> PrefixNode:
        """Split a node after ``length`` tokens; the new node of the first half.

        Sequences that read the whole node keep its tensor. The second half stays the same
        object, so its users protect both: only leaves are evicted.
        """
        head = PrefixNode(node.ids[:length], node.kv[:, :, :length].clone(), node.siblings)
        head.last_used = node.last_used
        head.siblings[head.ids[0]] = head
        head.children[node.ids[length]] = node
        node.ids, node.siblings = node.ids[length:], head.children
        node.kv = node.kv[:, :, length:].clone()
        return head


def _parts(ids: Sequence[int], scope: CacheScope) -> list[tuple[Sequence[int], _TreeKey]]:
    """The public and the private part of a sequence, each with the key of its tree."""
    public = scope.shared(len(ids))
    shared: _TreeKey = (scope.adapter, "", ())
    if public == len(ids):
        return [(ids, shared)]
    private = (ids[public:], (scope.adapter, scope.owner, tuple(ids[:public])))
    return [(ids[:public], shared), private] if public else [private]


def common_prefix_length(a: Sequence[int], b: Sequence[int]) -> int:
    """How many leading ids two sequences share.

    >>> common_prefix_length([1, 2, 3], [1, 2, 4, 5])
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
