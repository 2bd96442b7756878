"""The attention calls that a pass is made of; see ``passes``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from .attention import Partial, causal, join, partial, whole
from .slots import Slot, Slots
from .trunk import Shape

WIDE = 16  # tokens up to which a piece is taken as a step, side by side with others
FEW = 3  # slots of a class to each that steps, from which on those that step are copied


@dataclass(slots=True, eq=False)
class Piece:
    """The tokens that one sequence adds in a pass.

    ``spans`` are shared keys and values before its own; ``held`` tokens of its own lie in
    ``slot`` already. ``slot`` None: nothing of it is kept. Hidden states are wanted of the
    last ``want`` tokens. ``first`` is where the pass put it among all tokens.
    """

    ids: Sequence[int]
    spans: tuple[Tensor, ...]
    held: int
    slot: Slot | None
    want: int
    first: int = field(default=0, init=False)

    @property
    def start(self) -> int:
        """Position of the first new token."""
        return sum(kv.shape[2] for kv in self.spans) + self.held

    @property
    def steps(self) -> bool:
        """Whether it takes one token in a slot, or a few."""
        return len(self.ids) <= WIDE and self.slot is not None


@dataclass(slots=True)
class Layer:
    """What the calls of one layer read and write. ``q`` (tokens, heads, size), ``kv``
    (tokens, 2 * kv_heads, size); results go to ``out``, as ``q``, and ``sums`` (tokens,
    heads), which is there when spans are visited."""

    number: int
    q: Tensor
    kv: Tensor
    out: Tensor
    sums: Tensor | None


class Job(Protocol):
    """Attention of some pieces in one call."""

    def run(self, at: Layer) -> None:
        """Fill the pieces' tokens."""
        ...


class Steps:
    """Sequences of one class that take a token each, or a few: one call over a view of its
    slots, or over a copy of theirs where most others rest."""

    def __init__(self, pieces: Sequence[Piece], slots: Slots, shape: Shape) -> None:
        self._shape = shape
        slot_of = [piece.slot for piece in pieces if piece.slot is not None]
        self._home = slots.of(slot_of[0])
        width = max(len(piece.ids) for piece in pieces)
        self._longest = max(piece.held + len(piece.ids) for piece in pieces)
        places = torch.tensor([slot.index for slot in slot_of])
        taken = len(self._home.slots)
        self._copies = FEW * len(pieces) <= taken
        rows = torch.arange(len(pieces)) if self._copies else places
        count = len(pieces) if self._copies else taken
        index, real = padded(pieces)
        ends = torch.zeros((count, width), dtype=torch.long)
        before = torch.tensor([piece.held + 1 - piece.first for piece in pieces])
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

    def run(self, at: Layer) -> None:
        """See Job."""
        shape = self._shape
        q = grouped(at.q[self._tokens], shape)
        if not self._plain:
            # Slots whose sequences rest in this pass are asked too and not listened to.
            own = q.new_zeros((self._taken, *q.shape[1:]))
            own[self._rows] = q
            q = own
        kv = self._home.kv[at.number, :, :, : self._longest]
        kv = kv[self._places] if self._copies else kv[: self._taken]
        found = partial(q, *parts(kv, shape), self._mask, shape.scale)
        if not self._plain:
            found = found[0][self._rows], found[1][self._rows]
        values, totals = unpadded(found, shape)
        if self._real is not None:
            values, totals = values[self._real], totals[self._real]
        at.out[self._index] = values.reshape(-1, shape.heads, shape.size)
        if at.sums is not None:
            at.sums[self._index] = totals.reshape(-1, shape.heads)


class Fresh:
    """Sequences of about equal length with nothing of their own cached, padded at the end:
    the causal mask alone keeps the padding out."""

    def __init__(self, pieces: Sequence[Piece], shape: Shape) -> None:
        self._shape = shape
        self._longest = max(len(piece.ids) for piece in pieces)
        gather, real = padded(pieces)
        self._gather = gather.to(shape.device)
        self._real = real.to(shape.device)
        self._index = self._gather[self._real]
        group = shape.heads // shape.kv_heads
        self._mask = causal(self._longest, self._longest, group, shape.dtype, shape.device)
        self._spans = any(piece.spans for piece in pieces)

    def run(self, at: Layer) -> None:
        """See Job."""
        shape = self._shape
        q = grouped(at.q[self._gather], shape)
        keys, values = parts(at.kv[self._gather].transpose(1, 2), shape)
        if self._spans:
            found, total = partial(q, keys, values, self._mask[None, None], shape.scale)
            rows, totals = unpadded((found, total), shape)
            at.out[self._index] = rows[self._real]
            assert at.sums is not None
            at.sums[self._index] = totals[self._real]
        else:
            rows = ungrouped(whole(q, keys, values, self._mask, shape.scale), shape)
            at.out[self._index] = rows[self._real]


class Chunk:
    """A piece of a longer sequence, after whatever of it is cached."""

    def __init__(self, piece: Piece, slots: Slots, shape: Shape) -> None:
        self._piece, self._shape = piece, shape
        self._home = None if piece.slot is None else slots.of(piece.slot)
        group = shape.heads // shape.kv_heads
        size = len(piece.ids)
        self._mask = causal(size, piece.start + size, group, shape.dtype, shape.device)

    def run(self, at: Layer) -> None:
        """See Job."""
        piece, shape = self._piece, self._shape
        end = piece.first + len(piece.ids)
        if self._home is not None and piece.slot is not None:
            total = piece.held + len(piece.ids)
            own = self._home.kv[at.number, piece.slot.index, :, :total]
        else:
            own = at.kv[piece.first : end].transpose(0, 1)
        if piece.spans:
            own = torch.cat([*(span[at.number] for span in piece.spans), own], dim=1)
        q = grouped(at.q[piece.first : end].unsqueeze(0), shape)
        keys, values = parts(own.unsqueeze(0), shape)
        found = whole(q, keys, values, self._mask, shape.scale)
        at.out[piece.first : end] = ungrouped(found, shape)[0]


class Visit:
    """All that attend to one shared span, at once; runs after the calls for their own keys
    and joins what it finds with what they found."""

    def __init__(self, span: Tensor, pieces: Sequence[Piece], shape: Shape) -> None:
        self._span, self._shape = span, shape
        self._index = torch.cat(
            [torch.arange(piece.first, piece.first + len(piece.ids)) for piece in pieces]
        ).to(shape.device)

    def run(self, at: Layer) -> None:
        """See Job."""
        shape, index = self._shape, self._index
        assert at.sums is not None
        keys, values = parts(self._span[at.number].unsqueeze(0), shape)
        found = partial(grouped(at.q[index].unsqueeze(0), shape), keys, values, None, shape.scale)
        rows, totals = unpadded(found, shape)
        joined, total = join((at.out[index], at.sums[index]), (rows[0], totals[0]))
        at.out[index], at.sums[index] = joined, total


def padded(pieces: Sequence[Piece]) -> tuple[Tensor, Tensor]:
    """Where the pieces' tokens are among all of the pass, (pieces, longest), each filled up
    with its last one, and which of these are no filling."""
    sizes = torch.tensor([len(piece.ids) for piece in pieces]).unsqueeze(1)
    firsts = torch.tensor([piece.first for piece in pieces]).unsqueeze(1)
    steps = torch.arange(int(sizes.max())).unsqueeze(0)
    return firsts + torch.minimum(steps, sizes - 1), steps < sizes


def grouped(q: Tensor, shape: Shape) -> Tensor:
    """(rows, tokens, heads, size) to (rows, kv_heads, tokens * group, size)."""
    rows, tokens = q.shape[:2]
    group = shape.heads // shape.kv_heads
    split = q.reshape(rows, tokens, shape.kv_heads, group, shape.size)
    return split.transpose(1, 2).reshape(rows, shape.kv_heads, tokens * group, shape.size)


def ungrouped(found: Tensor, shape: Shape) -> Tensor:
    """The way back: (rows, tokens, heads, size)."""
    rows = found.shape[0]
    group = shape.heads // shape.kv_heads
    split = found.reshape(rows, shape.kv_heads, -1, group, shape.size)
    return split.transpose(1, 2).reshape(rows, -1, shape.heads, shape.size)


def unpadded(found: Partial, shape: Shape) -> Partial:
    """Values (rows, tokens, heads, size) and sums (rows, tokens, heads) of a result."""
    rows, _, queries = found[1].shape
    group = shape.heads // shape.kv_heads
    sums = found[1].reshape(rows, shape.kv_heads, queries // group, group)
    return ungrouped(found[0], shape), sums.transpose(1, 2).reshape(rows, -1, shape.heads)


def parts(kv: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
    """Keys and values of (rows, 2 * kv_heads, tokens, size)."""
    return kv[:, : shape.kv_heads], kv[:, shape.kv_heads :]
