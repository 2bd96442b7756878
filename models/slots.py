"""Where the keys and values of running sequences lie: slots in classes of doubling length.

All sequences of a class lie side by side in one tensor, without holes, so that one
attention call over a view of it serves them all and nothing is copied to gather them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .trunk import DecoderShape

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
