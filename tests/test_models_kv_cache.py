"""Slots: what is written in one stays there, whatever comes and goes around it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from denizens.models.engine.decoder import DecoderShape
from denizens.models.engine.kv_cache import MIN_SLOT_TOKENS, CacheSlot, KVCache, slot_size
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

SHAPE = DecoderShape(
    layers=2,
    heads=4,
    kv_heads=2,
    head_size=3,
    scale=1.0,
    dtype=torch.float32,
    device=torch.device("cpu"),
)
PLENTY = 1 << 20


def content(mark: int, count: int) -> Tensor:
    """Made-up keys of ``count`` tokens, different for every mark and place."""
    places = torch.arange(2 * 4 * count * 3, dtype=torch.float32)
    return (places + 10_000.0 * (mark + 1)).view(2, 4, count, 3)


class Against:
    """Slots, and what each must hold."""

    def __init__(self) -> None:
        self.slots = KVCache(SHAPE)
        self.there: list[tuple[CacheSlot, Tensor]] = []
        self.marks = 0

    def take(self, length: int) -> None:
        cost, before = self.slots.cost(length), self.slots.allocated_tokens
        slot = self.slots.allocate(length, cost)
        assert slot.size == slot_size(length) >= length
        assert self.slots.allocated_tokens - before == cost
        self.marks += 1
        written = content(self.marks, length)
        self.slots.write(slot, 0, written)
        self.there.append((slot, written))

    def free(self, place: int) -> None:
        if self.there:
            slot, _ = self.there.pop(place % len(self.there))
            slot.finite = bool(place % 2)
            self.slots.free(slot)

    def grow(self, place: int) -> None:
        if self.there:
            slot, written = self.there.pop(place % len(self.there))
            held = written.shape[2]
            length = slot.size + 1
            larger = self.slots.grow(slot, held, length, self.slots.cost(length))
            assert larger.size == slot_size(length) > slot.size
            self.there.append((larger, written))

    def shrink(self, _: int) -> None:
        self.slots.shrink()
        assert self.slots.allocated_tokens == sum(slot.size for slot, _ in self.there)

    def check(self) -> None:
        assert self.slots.used_slots == len(self.there)
        assert self.slots.allocated_tokens >= sum(slot.size for slot, _ in self.there)
        for slot, written in self.there:
            assert self.slots.pool_of(slot).slots[slot.index] is slot
            count = written.shape[2]
            assert torch.equal(self.slots.read(slot, 0, count), written)
            middle = self.slots.read(slot, count // 3, count)
            assert torch.equal(middle, written[:, :, count // 3 :])
        assert len({(slot.size, slot.index) for slot, _ in self.there}) == len(self.there)


OPERATION = st.tuples(st.sampled_from(["free", "grow", "shrink"]), st.integers(0, 20)) | st.tuples(
    st.just("take"), st.integers(1, 300)
)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.lists(OPERATION, max_size=40))
def test_contents_survive_any_operations(operations: list[Any]) -> None:
    """After any takes, frees, growths and shrinks each slot holds what was written in it, at
    a place of its own, and the count of tokens is what was allocated."""
    both = Against()
    for name, argument in operations:
        getattr(both, name)(argument)
        both.check()
    while both.there:
        both.free(0)
    assert (both.slots.used_slots, both.slots.allocated_tokens) == (0, 0)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 96, 97, 128, 500, 8192, 8193])
def test_classes_waste_at_most_half(length: int) -> None:
    """The class of a length is the smallest of 64, 96, 128, 192, ... that holds it."""
    size = slot_size(length)
    smaller = [MIN_SLOT_TOKENS * 2**i for i in range(9)] + [
        MIN_SLOT_TOKENS * 3 * 2**i // 2 for i in range(9)
    ]
    assert size == min(one for one in smaller if one >= length)
    assert size < 1.5 * max(length, 43)


def test_a_class_grows_by_doubling_within_its_room() -> None:
    """Growing copies the class, so it doubles, but never beyond the room that is given."""
    slots = KVCache(SHAPE)
    for count, tokens in ((1, 64), (2, 128), (3, 256), (4, 256), (5, 512)):
        assert slots.cost(10) == (0 if count == 4 else 64)
        slots.allocate(10, PLENTY)
        assert (slots.used_slots, slots.allocated_tokens) == (count, tokens)
    for _ in range(3):
        slots.allocate(10, 0)
    slots.allocate(10, 64)
    assert slots.allocated_tokens == 9 * 64


def poisoned(random: Random) -> tuple[KVCache, int]:
    """Slots after frees and moves among which some held numbers that are none and were not
    called sound; and how many moves there were."""
    slots = KVCache(SHAPE)
    nan = torch.full((2, 4, 40, 3), torch.nan)
    there: list[tuple[CacheSlot, bool]] = []
    moves = 0
    for _ in range(60):
        if there and random.random() < 0.45:
            place = random.randrange(len(there))
            slot, bad = there.pop(place)
            moves += slot.index < len(slots.pool_of(slot).slots) - 1
            slots.free(slot)
        else:
            slot = slots.allocate(40, PLENTY)
            home = slots.pool_of(slot)
            # A new owner finds numbers in every place, also where it has written nothing.
            assert torch.isfinite(home.kv[:, slot.index]).all()
            bad = random.random() < 0.4
            slot.finite = not bad
            slots.write(slot, 0, nan if bad else content(1, 40))
            there.append((slot, bad))
    return slots, moves


@pytest.mark.parametrize("seed", range(20))
def test_a_new_owner_never_finds_what_is_no_number(seed: int) -> None:
    """A slot whose numbers are none leaves nothing behind: not where it is freed, and not at
    the place from which it was moved into another's hole."""
    _, moves = poisoned(Random(seed))
    assert moves > 3
