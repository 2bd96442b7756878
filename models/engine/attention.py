"""Attention over keys and values that lie in several places.

Queries of the heads that share a key head stand side by side as if they were more tokens,
so keys are never repeated. Partial results are joined by the logarithms of their sums, as
in cascade attention (Hydragen, Juravsky et al. 2024).

The attention calls that a pass is made of; see ``passes``.

One pass of the model over tokens of many sequences: who attends to what, and how.

Three kinds of sequences meet in a pass. Those that take one token each, or a few, are served
class by class, over a view of all slots of a class. Those that begin with nothing cached of their
own are served side by side from the pass's own keys. The rest, pieces of long prompts, one
by one. Where several attend to one shared span, it is read once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from .decoder import Decoder, DecoderShape
from .kv_cache import CacheSlot, KVCache, SlotPool

PartialAttention = tuple[Tensor, Tensor]
"""Weighted values (rows, kv_heads, queries, size) and log-sum-exp (rows, kv_heads, queries)."""


def partial_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float
) -> PartialAttention:
    """Attention with the logarithm of its sum. q (rows, kv_heads, queries, size); k and v
    (rows, kv_heads, keys, size); ``mask`` is added, of the queries' dtype."""
    if q.device.type == "cpu":
        found: PartialAttention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            q, k, v, 0.0, False, attn_mask=mask, scale=scale
        )
        return found
    scores = torch.matmul(q, k.transpose(2, 3)).float() * scale
    if mask is not None:
        scores = scores + mask
    total = torch.logsumexp(scores, dim=3)
    weights = torch.exp(scores - total.unsqueeze(3)).to(v.dtype)
    return torch.matmul(weights, v), total


def full_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float) -> Tensor:
    """Attention of many queries; shapes as in ``partial_attention``, ``mask`` (queries, keys)."""
    if q.device.type != "cpu":
        sdpa: Any = torch.nn.functional.scaled_dot_product_attention
        found: Tensor = sdpa(q, k, v, attn_mask=mask, scale=scale)
        return found
    if q.dtype is not torch.bfloat16:
        return partial_attention(q, k, v, mask[None, None], scale)[0]
    # oneDNN's products of bfloat16 outrun the fused kernel by two thirds here.
    rows, heads, queries, size = q.shape
    keys = k.reshape(rows * heads, -1, size)
    scores = torch.baddbmm(
        mask.expand(rows * heads, -1, -1),
        q.reshape(rows * heads, queries, size),
        keys.transpose(1, 2),
        alpha=scale,
    )
    values = v.reshape(rows * heads, -1, size)
    return torch.bmm(torch.softmax(scores, dim=-1), values).view(rows, heads, queries, size)


def merge_partial(one: PartialAttention, other: PartialAttention) -> PartialAttention:
    """Two partial results over different keys as one over all of them."""
    share = torch.sigmoid(other[1] - one[1]).unsqueeze(-1).to(one[0].dtype)
    return torch.lerp(one[0], other[0], share), torch.logaddexp(one[1], other[1])


def causal_mask(
    queries: int, keys: int, group: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """The mask (queries * group, keys) that lets the last query see all keys, the one before
    it all but the last, and so on; ``group`` heads stand side by side at each query."""
    later = torch.ones((queries, keys), dtype=torch.bool, device=device)
    later = later.triu_(keys - queries + 1)
    mask = torch.zeros((queries, keys), dtype=dtype, device=device)
    mask.masked_fill_(later, torch.finfo(dtype).min)
    return mask.repeat_interleave(group, dim=0)


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


MIN_PREFIX_SHARERS = 3  # sequences that make it worth to read a shared span in a call of its own


class ForwardPass:
    """A plan of attention for some pieces, the same in every layer."""

    def __init__(self, pieces: Sequence[TokenChunk], slots: KVCache, shape: DecoderShape) -> None:
        self._shape = shape
        at = 0
        for piece in pieces:
            piece.offset = at
            at += len(piece.ids)
        self.tokens = at
        device = shape.device
        self._ids = torch.tensor([i for piece in pieces for i in piece.ids], device=device)
        ranges = [torch.arange(p.start, p.start + len(p.ids)) for p in pieces]
        self._positions = torch.cat(ranges).to(device)
        ends = [(p.offset + len(p.ids), p.wanted) for p in pieces]
        wanted = [torch.arange(end - want, end) for end, want in ends]
        self._wanted = torch.cat(wanted).to(device)
        self._writes = _cache_writes(pieces, slots, device)
        self._kernels, self._prefix_kernels = _plan_kernels(pieces, slots, shape)

    def run(self, trunk: Decoder) -> Tensor:
        """Hidden states of the wanted tokens in the pieces' order; the slots are written."""
        return trunk.hidden_states(self._ids, self._positions, self._attend, self._wanted)

    def _attend(self, layer: int, q: Tensor, kv: Tensor) -> Tensor:
        for home, token, index, place in self._writes:
            home.kv[layer][index, :, place] = kv[token]
        shape = self._shape
        out = torch.empty(
            (self.tokens, shape.heads, shape.head_size), dtype=q.dtype, device=q.device
        )
        sums = None
        if self._prefix_kernels:
            sums = torch.empty((self.tokens, shape.heads), device=q.device)
        at = LayerCall(layer, q, kv, out, sums)
        for job in self._kernels:
            job.run(at)
        for visit in self._prefix_kernels:
            visit.run(at)
        return out.view(self.tokens, shape.heads * shape.head_size)


def _cache_writes(
    pieces: Sequence[TokenChunk], slots: KVCache, device: torch.device
) -> list[tuple[SlotPool, Tensor, Tensor, Tensor]]:
    """For each class: it, the tokens to keep in it, their slots and their places there."""
    rows: dict[int, tuple[SlotPool, list[tuple[int, int, int]]]] = {}
    for piece in pieces:
        if piece.slot is not None:
            home = slots.pool_of(piece.slot)
            rows.setdefault(home.size, (home, []))[1].extend(
                (piece.offset + i, piece.slot.index, piece.cached + i)
                for i in range(len(piece.ids))
            )
    plans = []
    for home, found in rows.values():
        token, index, place = torch.tensor(found, device=device).unbind(1)
        plans.append((home, token, index, place))
    return plans


def _plan_kernels(
    pieces: Sequence[TokenChunk], slots: KVCache, shape: DecoderShape
) -> tuple[list[AttentionKernel], list[PrefixAttention]]:
    """The calls for the pieces' own keys, and those for shared spans."""
    crowds: dict[int, list[TokenChunk]] = {}
    for piece in pieces:
        if piece.decodes or not piece.cached:
            for kv in piece.prefix_kvs:
                crowds.setdefault(id(kv), []).append(piece)
    steps: dict[tuple[int, int], list[TokenChunk]] = {}
    fresh: list[TokenChunk] = []
    jobs: list[AttentionKernel] = []
    visiting: set[int] = set()
    for piece in pieces:
        crowded = all(len(crowds.get(id(kv), ())) >= MIN_PREFIX_SHARERS for kv in piece.prefix_kvs)
        if piece.decodes and piece.slot is not None:
            # By powers of four, so that little is padded.
            wide = (len(piece.ids) - 1).bit_length() + 1 >> 1
            steps.setdefault((piece.slot.size, wide), []).append(piece)
        elif not piece.cached and crowded:
            fresh.append(piece)
        else:
            jobs.append(ChunkAttention(piece, slots, shape))
            continue
        visiting.add(id(piece))
    jobs += [DecodeAttention(group, slots, shape) for group in steps.values()]
    jobs += [PrefillAttention(group, shape) for group in _group_by_length(fresh)]
    spans = {id(kv): kv for piece in pieces for kv in piece.prefix_kvs}
    visits = []
    for key, kv in spans.items():
        members = [piece for piece in crowds.get(key, ()) if id(piece) in visiting]
        if members:
            visits.append(PrefixAttention(kv, members, shape))
    return jobs, visits


def _group_by_length(pieces: Sequence[TokenChunk]) -> list[list[TokenChunk]]:
    """Groups of about equal length, so that little is padded; with and without spans apart."""
    groups: list[list[TokenChunk]] = []
    for piece in sorted(pieces, key=lambda piece: (bool(piece.prefix_kvs), len(piece.ids))):
        if groups:
            first = groups[-1][0]
            near = len(piece.ids) <= max(len(first.ids) + 2, len(first.ids) * 5 // 4)
            if near and bool(first.prefix_kvs) == bool(piece.prefix_kvs):
                groups[-1].append(piece)
                continue
        groups.append([piece])
    return groups
