"""Keys and values: one sequence's, a batch's, and a store of those worth reusing.

Written for caches of full attention, one (keys, values) pair a layer, each of shape
(rows, heads, tokens, dimension).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

Pair: TypeAlias = tuple[Tensor, Tensor]

ROOM = 64  # tokens of growth allocated at a time


class GrowingLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """A layer's cache that grows in place: concatenating at every token copies it all."""

    def __init__(self, pair: Pair | None = None, room: int = ROOM) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.keys: Any
        self.values: Any
        self._room = room
        self._buffer: Pair | None = None
        if pair is not None:
            self.keys, self.values = pair
            self.dtype, self.device = pair[0].dtype, pair[0].device
            self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> Pair:
        """Append along the tokens and return all."""
        keys, values = key_states, value_states
        used = self.get_seq_length()
        if used == 0:
            self.keys, self.values = keys, values
            self.dtype, self.device = keys.dtype, keys.device
            self.is_initialized = True
            return keys, values
        total = used + keys.shape[-2]
        if self._buffer is None or self._buffer[0].shape[-2] < total:
            self._buffer = (self._grown(self.keys, total), self._grown(self.values, total))
        for buffer, new in zip(self._buffer, (keys, values)):
            buffer[:, :, used:total] = new
        self.keys, self.values = (buffer[:, :, :total] for buffer in self._buffer)
        return self.keys, self.values

    def _grown(self, old: Tensor, total: int) -> Tensor:
        rows, heads, used, dimension = old.shape
        new = old.new_empty((rows, heads, total + self._room, dimension))
        new[:, :, :used] = old
        return new


@dataclass(frozen=True, slots=True)
class Strip:
    """What is cached of one sequence: its ids and its pairs, each with one row."""

    ids: tuple[int, ...]
    pairs: tuple[Pair, ...]

    def crop(self, length: int) -> Strip:
        """A view of the first ``length`` tokens."""
        pairs = tuple((k[:, :, :length], v[:, :, :length]) for k, v in self.pairs)
        return Strip(self.ids[:length], pairs)

    @property
    def bytes(self) -> int:
        """Memory held."""
        return sum(t.numel() * t.element_size() for pair in self.pairs for t in pair)


@dataclass(slots=True)
class Batch:
    """Several sequences side by side. ``mask`` (rows, tokens) is 1 where a token is real;
    ``length`` (rows,) counts the real ones, so it is the next position."""

    cache: Any
    mask: Tensor
    length: Tensor

    @property
    def pairs(self) -> list[Pair]:
        """One pair a layer."""
        return [(layer.keys, layer.values) for layer in self.cache.layers]

    def strip(self, row: int, ids: tuple[int, ...]) -> Strip:
        """A copy of one row without its padding."""
        real = self.mask[row].bool()
        pairs = tuple(
            (k[row : row + 1, :, real].clone(), v[row : row + 1, :, real].clone())
            for k, v in self.pairs
        )
        return Strip(ids, pairs)

    def keep(self, rows: Sequence[int]) -> Batch:
        """Only these rows, and only the columns that one of them uses."""
        index = torch.tensor(list(rows), device=self.mask.device)
        mask = self.mask[index]
        first = int(mask.argmax(dim=1).min())
        pairs = [(k[index, :, first:], v[index, :, first:]) for k, v in self.pairs]
        return Batch(growing(pairs), mask[:, first:], self.length[index])


def growing(pairs: Sequence[Pair], room: int = ROOM) -> Cache:
    """A cache that starts with these pairs."""
    return Cache(layers=[GrowingLayer(pair, room) for pair in pairs])


def empty(layers: int, room: int = ROOM) -> Cache:
    """A cache of no tokens."""
    return Cache(layers=[GrowingLayer(None, room) for _ in range(layers)])


def padded(tensor: Tensor, length: int) -> Tensor:
    """Left padding of (rows, heads, tokens, dimension) with zeros."""
    return torch.nn.functional.pad(tensor, (0, 0, length - tensor.shape[-2], 0))


def join(batches: Sequence[Batch]) -> Batch:
    """Batches as one, padded on the left."""
    if len(batches) == 1:
        return batches[0]
    longest = max(batch.mask.shape[1] for batch in batches)
    pairs = [
        (
            torch.cat([padded(pair[0], longest) for pair in layer]),
            torch.cat([padded(pair[1], longest) for pair in layer]),
        )
        for layer in zip(*(batch.pairs for batch in batches))
    ]
    mask = torch.cat(
        [
            torch.nn.functional.pad(batch.mask, (longest - batch.mask.shape[1], 0))
            for batch in batches
        ]
    )
    return Batch(growing(pairs), mask, torch.cat([batch.length for batch in batches]))


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many leading ids two sequences share.

    >>> common([1, 2, 3], [1, 2, 4, 5])
    2
    """
    shortest = min(len(a), len(b))
    if a[:shortest] == b[:shortest]:
        return shortest
    low, high = 0, shortest
    while low < high:
        middle = (low + high + 1) // 2
        if a[:middle] == b[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class PrefixStore:
    """Strips of lately used prompts, so that a prompt that begins alike starts there.

    The least recently used go first when the memory of all exceeds ``budget`` bytes.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._strips: list[Strip] = []

    def longest(self, ids: tuple[int, ...], least: int = 8) -> Strip | None:
        """The longest stored beginning of ``ids``, leaving at least its last token out."""
        if not self._strips:
            return None
        shared, place = max((common(s.ids, ids), i) for i, s in enumerate(self._strips))
        shared = min(shared, len(ids) - 1)
        if shared < least:
            return None
        strip = self._strips.pop(place)
        self._strips.append(strip)
        return strip.crop(shared)

    def add(self, strip: Strip) -> None:
        """Keep a strip; those that it continues are redundant and go."""
        if strip.bytes > self._budget:
            return
        size = len(strip.ids)
        self._strips = [
            old
            for old in self._strips
            if len(old.ids) > size or old.ids != strip.ids[: len(old.ids)]
        ]
        self._strips.append(strip)
        while sum(old.bytes for old in self._strips) > self._budget:
            self._strips.pop(0)
