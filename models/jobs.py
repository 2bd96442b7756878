"""The attention calls that a pass is made of; see ``passes``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from .attention import (
    PartialAttention,
    causal_mask,
    full_attention,
    merge_partial,
    partial_attention,
)
from .slots import CacheSlot, KVCache
from .trunk import DecoderShape

MAX_DECODE_TOKENS = 16  # tokens up to which a piece is taken as a step, side by side with others
COPY_RATIO = 3  # slots of a class to each that steps, from which on those that step are copied


@dataclass(slots=True, eq=False)
class TokenChunk:
    """The tokens that one sequence adds in a pass.

    ``prefix_kvs`` are shared keys and values before its own; ``cached`` tokens of its own lie in
    ``slot`` already. ``slot`` None: nothing of it is kept. Hidden states are wanted of the
    last ``wanted`` tokens. ``offset`` is where the pass put it among all tokens.
    """

    ids: Sequence[int]
    prefix_kvs: tuple[Tensor, ...]
    cached: int
    slot: CacheSlot | None
    wanted: int
    offset: int = field(default=0, init=False)

    @property
    def start(self) -> int:
        """Position of the first new token."""
        return sum(kv.shape[2] for kv in self.prefix_kvs) + self.cached

    @property
    def decodes(self) -> bool:
        """Whether it takes one token in a slot, or a few."""
        return len(self.ids) <= MAX_DECODE_TOKENS and self.slot is not None


@dataclass(slots=True)
class LayerCall:
    """What the calls of one layer read and write. ``q`` (tokens, heads, size), ``kv``
    (tokens, 2 * kv_heads, size); results go to ``out``, as ``q``, and ``sums`` (tokens,
    heads), which is there when spans are visited."""

    number: int
    q: Tensor
    kv: Tensor
    out: Tensor
    sums: Tensor | None


class AttentionKernel(Protocol):
    """Attention of some pieces in one call."""

    def run(self, at: LayerCall) -> None:
        """Fill the pieces' tokens."""
        ...


class DecodeAttention:
    """Sequences of one class that take a token each, or a few: one call over a view of its
    slots, or over a copy of theirs where most others rest."""

    def __init__(self, pieces: Sequence[TokenChunk], slots: KVCache, shape: DecoderShape) -> None:
        self._shape = shape
        slot_of = [piece.slot for piece in pieces if piece.slot is not None]
        self._home = slots.pool_of(slot_of[0])
        width = max(len(piece.ids) for piece in pieces)
        self._longest = max(piece.cached + len(piece.ids) for piece in pieces)
        places = torch.tensor([slot.index for slot in slot_of])
        taken = len(self._home.slots)
        self._copies = COPY_RATIO * len(pieces) <= taken
        rows = torch.arange(len(pieces)) if self._copies else places
        count = len(pieces) if self._copies else taken
        index, real = padded_index(pieces)
        ends = torch.zeros((count, width), dtype=torch.long)
        before = torch.tensor([piece.cached + 1 - piece.offset for piece in pieces])
        ends[rows] = index + before.unsqueeze(1)
        group = shape.heads // shape.kv_heads
        beyond = torch.arange(self._longest) >= ends.unsqueeze(2)
        mask = torch.zeros(beyond.shape, dtype=shape.dtype)
        mask.masked_fill_(beyond, torch.finfo(shape.dtype).min)
        mask = mask if width == 1 else mask.repeat_interleave(group, dim=1)
        self._mask = mask.unsqueeze(1).to(shape.device)
        self._rows = rows.to(shape.device)
        self._places = places.to(shape.device)
        self._taken = count
        self._tokens = index.to(shape.device)
        self._real = None if bool(real.all()) else real.to(shape.device)
        self._index = index[real].to(shape.device)
        self._plain = self._copies or (
            count == len(pieces) and places.tolist() == list(range(count))
        )

    def run(self, at: LayerCall) -> None:
        """See AttentionKernel."""
        shape = self._shape
        q = group_heads(at.q[self._tokens], shape)
        if not self._plain:
            # Slots whose sequences rest in this pass are asked too and not listened to.
            own = q.new_zeros((self._taken, *q.shape[1:]))
            own[self._rows] = q
            q = own
        kv = self._home.kv[at.number, :, :, : self._longest]
        kv = kv[self._places] if self._copies else kv[: self._taken]
        found = partial_attention(q, *split_keys_values(kv, shape), self._mask, shape.scale)
        if not self._plain:
            found = found[0][self._rows], found[1][self._rows]
        values, totals = ungroup_partial(found, shape)
        if self._real is not None:
            values, totals = values[self._real], totals[self._real]
        at.out[self._index] = values.reshape(-1, shape.heads, shape.head_size)
        if at.sums is not None:
            at.sums[self._index] = totals.reshape(-1, shape.heads)


class PrefillAttention:
    """Sequences of about equal length with nothing of their own cached, padded at the end:
    the causal mask alone keeps the padding out."""

    def __init__(self, pieces: Sequence[TokenChunk], shape: DecoderShape) -> None:
        self._shape = shape
        self._longest = max(len(piece.ids) for piece in pieces)
        gather, real = padded_index(pieces)
        self._gather = gather.to(shape.device)
        self._real = real.to(shape.device)
        self._index = self._gather[self._real]
        group = shape.heads // shape.kv_heads
        self._mask = causal_mask(self._longest, self._longest, group, shape.dtype, shape.device)
        self._spans = any(piece.prefix_kvs for piece in pieces)

    def run(self, at: LayerCall) -> None:
        """See AttentionKernel."""
        shape = self._shape
        q = group_heads(at.q[self._gather], shape)
        keys, values = split_keys_values(at.kv[self._gather].transpose(1, 2), shape)
        if self._spans:
            found, total = partial_attention(q, keys, values, self._mask[None, None], shape.scale)
            rows, totals = ungroup_partial((found, total), shape)
            at.out[self._index] = rows[self._real]
            assert at.sums is not None
            at.sums[self._index] = totals[self._real]
        else:
            rows = ungroup_heads(full_attention(q, keys, values, self._mask, shape.scale), shape)
            at.out[self._index] = rows[self._real]


class ChunkAttention:
    """A piece of a longer sequence, after whatever of it is cached."""

    def __init__(self, piece: TokenChunk, slots: KVCache, shape: DecoderShape) -> None:
        self._piece, self._shape = piece, shape
        self._home = None if piece.slot is None else slots.pool_of(piece.slot)
        group = shape.heads // shape.kv_heads
        size = len(piece.ids)
        self._mask = causal_mask(size, piece.start + size, group, shape.dtype, shape.device)

    def run(self, at: LayerCall) -> None:
        """See AttentionKernel."""
        piece, shape = self._piece, self._shape
        end = piece.offset + len(piece.ids)
        if self._home is not None and piece.slot is not None:
            total = piece.cached + len(piece.ids)
            own = self._home.kv[at.number, piece.slot.index, :, :total]
        else:
            own = at.kv[piece.offset : end].transpose(0, 1)
        if piece.prefix_kvs:
            own = torch.cat([*(span[at.number] for span in piece.prefix_kvs), own], dim=1)
        q = group_heads(at.q[piece.offset : end].unsqueeze(0), shape)
        keys, values = split_keys_values(own.unsqueeze(0), shape)
        found = full_attention(q, keys, values, self._mask, shape.scale)
        at.out[piece.offset : end] = ungroup_heads(found, shape)[0]


class PrefixAttention:
    """All that attend to one shared span, at once; runs after the calls for their own keys
    and joins what it finds with what they found."""

    def __init__(self, span: Tensor, pieces: Sequence[TokenChunk], shape: DecoderShape) -> None:
        self._span, self._shape = span, shape
        self._index = torch.cat(
            [torch.arange(piece.offset, piece.offset + len(piece.ids)) for piece in pieces]
        ).to(shape.device)

    def run(self, at: LayerCall) -> None:
        """See AttentionKernel."""
        shape, index = self._shape, self._index
        assert at.sums is not None
        keys, values = split_keys_values(self._span[at.number].unsqueeze(0), shape)
        found = partial_attention(
            group_heads(at.q[index].unsqueeze(0), shape), keys, values, None, shape.scale
        )
        rows, totals = ungroup_partial(found, shape)
        joined, total = merge_partial((at.out[index], at.sums[index]), (rows[0], totals[0]))
        at.out[index], at.sums[index] = joined, total


def padded_index(pieces: Sequence[TokenChunk]) -> tuple[Tensor, Tensor]:
    """Where the pieces' tokens are among all of the pass, (pieces, longest), each filled up
    with its last one, and which of these are no filling."""
    sizes = torch.tensor([len(piece.ids) for piece in pieces]).unsqueeze(1)
    firsts = torch.tensor([piece.offset for piece in pieces]).unsqueeze(1)
    steps = torch.arange(int(sizes.max())).unsqueeze(0)
    return firsts + torch.minimum(steps, sizes - 1), steps < sizes


def group_heads(q: Tensor, shape: DecoderShape) -> Tensor:
    """(rows, tokens, heads, size) to (rows, kv_heads, tokens * group, size)."""
    rows, tokens = q.shape[:2]
    group = shape.heads // shape.kv_heads
    split = q.reshape(rows, tokens, shape.kv_heads, group, shape.head_size)
    return split.transpose(1, 2).reshape(rows, shape.kv_heads, tokens * group, shape.head_size)


def ungroup_heads(found: Tensor, shape: DecoderShape) -> Tensor:
    """The way back: (rows, tokens, heads, size)."""
    rows = found.shape[0]
    group = shape.heads // shape.kv_heads
    split = found.reshape(rows, shape.kv_heads, -1, group, shape.head_size)
    return split.transpose(1, 2).reshape(rows, -1, shape.heads, shape.head_size)


def ungroup_partial(found: PartialAttention, shape: DecoderShape) -> PartialAttention:
    """Values (rows, tokens, heads, size) and sums (rows, tokens, heads) of a result."""
    rows, _, queries = found[1].shape
    group = shape.heads // shape.kv_heads
    sums = found[1].reshape(rows, shape.kv_heads, queries // group, group)
    return ungroup_heads(found[0], shape), sums.transpose(1, 2).reshape(rows, -1, shape.heads)


def split_keys_values(kv: Tensor, shape: DecoderShape) -> tuple[Tensor, Tensor]:
    """Keys and values of (rows, 2 * kv_heads, tokens, size)."""
    return kv[:, : shape.kv_heads], kv[:, shape.kv_heads :]
