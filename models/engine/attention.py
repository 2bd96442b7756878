"""Attention of one forward pass over tokens of many sequences.

Queries of the heads that share a key head are stacked as if they were more tokens, so keys are
never repeated. Partial results over different keys are merged by their log-sum-exp, as in
cascade attention (Hydragen, Juravsky et al. 2024).

A pass has three kinds of sequences, each with its own kernel. Those that add a few tokens to
their slot run pool by pool, over a view of all slots (`DecodeAttention`). Those with no keys of
their own in the cache run side by side from the pass's own keys (`PrefillAttention`). Chunks of
long prompts run one by one (`ChunkAttention`). A prefix node that several sequences share is
read once for all of them (`PrefixAttention`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from .decoder import Decoder, DecoderShape
from .kv_cache import CacheSlot, KVCache, SlotPool
from .lora import AdapterRows, row_groups

MAX_DECODE_TOKENS = 16  # tokens up to which a chunk runs in DecodeAttention
COPY_RATIO = 3  # slots per running sequence of a pool from which on the running ones are copied
MIN_PREFIX_SHARERS = 3  # sequences from which on a shared prefix is read in a call of its own

PartialAttention = tuple[Tensor, Tensor]
"""Weighted values (rows, kv_heads, queries, size) and log-sum-exp (rows, kv_heads, queries)."""


def partial_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float
) -> PartialAttention:
    """Attention with its log-sum-exp.

    q (rows, kv_heads, queries, size); k and v (rows, kv_heads, keys, size); ``mask`` is added
    to the scores and has the dtype of the queries.
    """
    if q.device.type == "cpu":
        result: PartialAttention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            q, k, v, 0.0, False, attn_mask=mask, scale=scale
        )
        return result
    scores = torch.matmul(q, k.transpose(2, 3)).float() * scale
    if mask is not None:
        scores = scores + mask
    logsumexp = torch.logsumexp(scores, dim=3)
    weights = torch.exp(scores - logsumexp.unsqueeze(3)).to(v.dtype)
    return torch.matmul(weights, v), logsumexp


def full_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float) -> Tensor:
    """Attention of many queries; shapes as in ``partial_attention``, ``mask`` (queries, keys)."""
    if q.device.type != "cpu":
        sdpa: Any = torch.nn.functional.scaled_dot_product_attention
        values: Tensor = sdpa(q, k, v, attn_mask=mask, scale=scale)
        return values
    if q.dtype is not torch.bfloat16:
        return partial_attention(q, k, v, mask[None, None], scale)[0]
    # Two thirds faster than the fused kernel here, by oneDNN's bfloat16 products.
    rows, heads, queries, size = q.shape
    scores = torch.baddbmm(
        mask.expand(rows * heads, -1, -1),
        q.reshape(rows * heads, queries, size),
        k.reshape(rows * heads, -1, size).transpose(1, 2),
        alpha=scale,
    )
    values = v.reshape(rows * heads, -1, size)
    return torch.bmm(torch.softmax(scores, dim=-1), values).view(rows, heads, queries, size)


def merge_partial(one: PartialAttention, other: PartialAttention) -> PartialAttention:
    """Two partial results over different keys as one over all keys."""
    share = torch.sigmoid(other[1] - one[1]).unsqueeze(-1).to(one[0].dtype)
    return torch.lerp(one[0], other[0], share), torch.logaddexp(one[1], other[1])


def causal_mask(
    queries: int, keys: int, group: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """The mask (queries * group, keys) by which the last query sees all keys, the one before it
    all but the last, and so on; ``group`` query heads are stacked at each query."""
    later = torch.ones((queries, keys), dtype=torch.bool, device=device)
    later = later.triu_(keys - queries + 1)
    mask = torch.zeros((queries, keys), dtype=dtype, device=device)
    mask.masked_fill_(later, torch.finfo(dtype).min)
    return mask.repeat_interleave(group, dim=0)


@dataclass(slots=True, eq=False)
class TokenChunk:
    """The tokens that one sequence adds in a pass.

    ``prefix_kvs`` are the shared keys and values before its own; ``cached`` tokens of its own
    are in ``slot`` already. ``slot`` None: its keys are not kept. Hidden states are wanted of
    the last ``wanted`` tokens. ``adapter`` is the digest of the adapter that it runs with, or "".
    ``offset`` is the index of its first token in the pass.
    """

    ids: Sequence[int]
    prefix_kvs: tuple[Tensor, ...]
    cached: int
    slot: CacheSlot | None
    wanted: int
    adapter: str = ""
    offset: int = field(default=0, init=False)

    @property
    def start(self) -> int:
        """Position of the first new token in its sequence."""
        return sum(kv.shape[2] for kv in self.prefix_kvs) + self.cached

    @property
    def end(self) -> int:
        """Index behind its last token in the pass."""
        return self.offset + len(self.ids)

    @property
    def decodes(self) -> bool:
        """Whether it adds only a few tokens to its slot."""
        return len(self.ids) <= MAX_DECODE_TOKENS and self.slot is not None


@dataclass(slots=True)
class LayerCall:
    """Inputs and outputs of one layer: ``q`` (tokens, heads, size), ``kv`` (tokens,
    2 * kv_heads, size); values go to ``out``, shaped as ``q``, and log-sum-exps to ``sums``
    (tokens, heads), which is None if no prefix is read."""

    number: int
    q: Tensor
    kv: Tensor
    out: Tensor
    sums: Tensor | None


class AttentionKernel(Protocol):
    """Attention of some chunks in one call."""

    def run(self, call: LayerCall) -> None:
        """Write the outputs of the chunks' tokens."""


class DecodeAttention:
    """Sequences of one pool that add a few tokens each: one call over a view of the pool's
    slots, or, if few slots of the pool are in this pass, over a copy of these."""

    def __init__(self, chunks: Sequence[TokenChunk], cache: KVCache, shape: DecoderShape) -> None:
        self._shape = shape
        slots = [chunk.slot for chunk in chunks if chunk.slot is not None]
        self._pool = cache.pool_of(slots[0])
        width = max(len(chunk.ids) for chunk in chunks)
        self._longest = max(chunk.cached + len(chunk.ids) for chunk in chunks)
        slot_index = torch.tensor([slot.index for slot in slots])
        used = len(self._pool.slots)
        self._copies = COPY_RATIO * len(chunks) <= used
        rows = torch.arange(len(chunks)) if self._copies else slot_index
        self._count = len(chunks) if self._copies else used
        index, real = padded_index(chunks)
        ends = torch.zeros((self._count, width), dtype=torch.long)
        before = torch.tensor([chunk.cached + 1 - chunk.offset for chunk in chunks])
        ends[rows] = index + before.unsqueeze(1)
        group = shape.heads // shape.kv_heads
        beyond = torch.arange(self._longest) >= ends.unsqueeze(2)
        mask = torch.zeros(beyond.shape, dtype=shape.dtype)
        mask.masked_fill_(beyond, torch.finfo(shape.dtype).min)
        mask = mask if width == 1 else mask.repeat_interleave(group, dim=1)
        self._mask = mask.unsqueeze(1).to(shape.device)
        self._rows = rows.to(shape.device)
        self._slots = slot_index.to(shape.device)
        self._tokens = index.to(shape.device)
        self._real = None if bool(real.all()) else real.to(shape.device)
        self._index = index[real].to(shape.device)
        in_order = used == len(chunks) and slot_index.tolist() == list(range(used))
        self._compact = self._copies or in_order

    def run(self, call: LayerCall) -> None:
        shape = self._shape
        q = group_heads(call.q[self._tokens], shape)
        if not self._compact:
            # Slots that are not in this pass get zero queries; their results are dropped.
            all_q = q.new_zeros((self._count, *q.shape[1:]))
            all_q[self._rows] = q
            q = all_q
        kv = self._pool.kv[call.number, :, :, : self._longest]
        kv = kv[self._slots] if self._copies else kv[: self._count]
        result = partial_attention(q, *split_keys_values(kv, shape), self._mask, shape.scale)
        if not self._compact:
            result = result[0][self._rows], result[1][self._rows]
        values, sums = ungroup_partial(result, shape)
        if self._real is not None:
            values, sums = values[self._real], sums[self._real]
        call.out[self._index] = values.reshape(-1, shape.heads, shape.head_size)
        if call.sums is not None:
            call.sums[self._index] = sums.reshape(-1, shape.heads)


class PrefillAttention:
    """Sequences of about equal length with no keys of their own in the cache, padded at the
    end: the causal mask alone excludes the padding."""

    def __init__(self, chunks: Sequence[TokenChunk], shape: DecoderShape) -> None:
        self._shape = shape
        longest = max(len(chunk.ids) for chunk in chunks)
        tokens, real = padded_index(chunks)
        self._tokens = tokens.to(shape.device)
        self._real = real.to(shape.device)
        self._index = self._tokens[self._real]
        group = shape.heads // shape.kv_heads
        self._mask = causal_mask(longest, longest, group, shape.dtype, shape.device)
        self._has_prefix = any(chunk.prefix_kvs for chunk in chunks)

    def run(self, call: LayerCall) -> None:
        shape = self._shape
        q = group_heads(call.q[self._tokens], shape)
        keys, values = split_keys_values(call.kv[self._tokens].transpose(1, 2), shape)
        if self._has_prefix:
            result = partial_attention(q, keys, values, self._mask[None, None], shape.scale)
            out, sums = ungroup_partial(result, shape)
            call.out[self._index] = out[self._real]
            assert call.sums is not None
            call.sums[self._index] = sums[self._real]
        else:
            out = ungroup_heads(full_attention(q, keys, values, self._mask, shape.scale), shape)
            call.out[self._index] = out[self._real]


class ChunkAttention:
    """A chunk of a longer sequence, after all that is cached of the sequence."""

    def __init__(self, chunk: TokenChunk, cache: KVCache, shape: DecoderShape) -> None:
        self._chunk, self._shape = chunk, shape
        self._pool = None if chunk.slot is None else cache.pool_of(chunk.slot)
        group = shape.heads // shape.kv_heads
        size = len(chunk.ids)
        self._mask = causal_mask(size, chunk.start + size, group, shape.dtype, shape.device)

    def run(self, call: LayerCall) -> None:
        chunk, shape = self._chunk, self._shape
        if self._pool is not None and chunk.slot is not None:
            length = chunk.cached + len(chunk.ids)
            kv = self._pool.kv[call.number, chunk.slot.index, :, :length]
        else:
            kv = call.kv[chunk.offset : chunk.end].transpose(0, 1)
        if chunk.prefix_kvs:
            kv = torch.cat([*(prefix[call.number] for prefix in chunk.prefix_kvs), kv], dim=1)
        q = group_heads(call.q[chunk.offset : chunk.end].unsqueeze(0), shape)
        keys, values = split_keys_values(kv.unsqueeze(0), shape)
        out = full_attention(q, keys, values, self._mask, shape.scale)
        call.out[chunk.offset : chunk.end] = ungroup_heads(out, shape)[0]


class PrefixAttention:
    """All chunks that share a prefix, over its keys; runs after the kernels for their own keys
    and merges its results with theirs."""

    def __init__(
        self, prefix_kv: Tensor, chunks: Sequence[TokenChunk], shape: DecoderShape
    ) -> None:
        self._kv, self._shape = prefix_kv, shape
        index = [torch.arange(chunk.offset, chunk.end) for chunk in chunks]
        self._index = torch.cat(index).to(shape.device)

    def run(self, call: LayerCall) -> None:
        """Merge the prefix into the outputs of the chunks' tokens."""
        shape, index = self._shape, self._index
        assert call.sums is not None
        keys, values = split_keys_values(self._kv[call.number].unsqueeze(0), shape)
        q = group_heads(call.q[index].unsqueeze(0), shape)
        result = partial_attention(q, keys, values, None, shape.scale)
        out, sums = ungroup_partial(result, shape)
        merged = merge_partial((call.out[index], call.sums[index]), (out[0], sums[0]))
        call.out[index], call.sums[index] = merged


def padded_index(chunks: Sequence[TokenChunk]) -> tuple[Tensor, Tensor]:
    """Indices in the pass of the chunks' tokens, (chunks, longest), padded with the last token
    of each; and a mask that is False at the padding."""
    sizes = torch.tensor([len(chunk.ids) for chunk in chunks]).unsqueeze(1)
    offsets = torch.tensor([chunk.offset for chunk in chunks]).unsqueeze(1)
    steps = torch.arange(int(sizes.max())).unsqueeze(0)
    return offsets + torch.minimum(steps, sizes - 1), steps < sizes


def group_heads(q: Tensor, shape: DecoderShape) -> Tensor:
    """(rows, tokens, heads, size) to (rows, kv_heads, tokens * group, size)."""
    rows, tokens = q.shape[:2]
    group = shape.heads // shape.kv_heads
    split = q.reshape(rows, tokens, shape.kv_heads, group, shape.head_size)
    return split.transpose(1, 2).reshape(rows, shape.kv_heads, tokens * group, shape.head_size)


def ungroup_heads(values: Tensor, shape: DecoderShape) -> Tensor:
    """(rows, kv_heads, tokens * group, size) to (rows, tokens, heads, size)."""
    rows = values.shape[0]
    group = shape.heads // shape.kv_heads
    split = values.reshape(rows, shape.kv_heads, -1, group, shape.head_size)
    return split.transpose(1, 2).reshape(rows, -1, shape.heads, shape.head_size)


def ungroup_partial(result: PartialAttention, shape: DecoderShape) -> PartialAttention:
    """Values (rows, tokens, heads, size) and sums (rows, tokens, heads) of a result."""
    rows, _, queries = result[1].shape
    group = shape.heads // shape.kv_heads
    sums = result[1].reshape(rows, shape.kv_heads, queries // group, group)
    return ungroup_heads(result[0], shape), sums.transpose(1, 2).reshape(rows, -1, shape.heads)


def split_keys_values(kv: Tensor, shape: DecoderShape) -> tuple[Tensor, Tensor]:
    """Keys and values of (rows, 2 * kv_heads, tokens, size)."""
    return kv[:, : shape.kv_heads], kv[:, shape.kv_heads :]


class ForwardPass:
    """One pass of the decoder over some chunks; the plan of attention is equal in all layers."""

    def __init__(self, chunks: Sequence[TokenChunk], cache: KVCache, shape: DecoderShape) -> None:
        self._shape = shape
        self.tokens = 0
        for chunk in chunks:
            chunk.offset = self.tokens
            self.tokens += len(chunk.ids)
        device = shape.device
        self._ids = torch.tensor([i for chunk in chunks for i in chunk.ids], device=device)
        positions = [torch.arange(c.start, c.start + len(c.ids)) for c in chunks]
        self._positions = torch.cat(positions).to(device)
        wanted = [torch.arange(chunk.end - chunk.wanted, chunk.end) for chunk in chunks]
        self._wanted = torch.cat(wanted).to(device)
        self._adapters = AdapterRows(
            row_groups((chunk.adapter, len(chunk.ids)) for chunk in chunks),
            row_groups((chunk.adapter, chunk.wanted) for chunk in chunks),
        )
        self._writes = _cache_writes(chunks, cache, device)
        self._kernels, self._prefix_kernels = _plan_kernels(chunks, cache, shape)

    def run(self, decoder: Decoder) -> Tensor:
        """Hidden states of the wanted tokens in the chunks' order; the slots are written."""
        return decoder.hidden_states(
            self._ids, self._positions, self._attend, self._wanted, self._adapters
        )

    def _attend(self, layer: int, q: Tensor, kv: Tensor) -> Tensor:
        """Attention of one layer: (tokens, heads * size)."""
        for pool, token, slot, position in self._writes:
            pool.kv[layer][slot, :, position] = kv[token]
        heads, size = self._shape.heads, self._shape.head_size
        out = torch.empty((self.tokens, heads, size), dtype=q.dtype, device=q.device)
        sums = None
        if self._prefix_kernels:
            sums = torch.empty((self.tokens, heads), device=q.device)
        call = LayerCall(layer, q, kv, out, sums)
        for kernel in self._kernels:
            kernel.run(call)
        for prefix_kernel in self._prefix_kernels:
            prefix_kernel.run(call)
        return out.view(self.tokens, heads * size)


def _cache_writes(
    chunks: Sequence[TokenChunk], cache: KVCache, device: torch.device
) -> list[tuple[SlotPool, Tensor, Tensor, Tensor]]:
    """For each pool: the pool, the tokens to write to it, their slots and their positions there."""
    by_pool: dict[int, tuple[SlotPool, list[tuple[int, int, int]]]] = {}
    for chunk in chunks:
        if chunk.slot is not None:
            pool = cache.pool_of(chunk.slot)
            by_pool.setdefault(pool.size, (pool, []))[1].extend(
                (chunk.offset + i, chunk.slot.index, chunk.cached + i)
                for i in range(len(chunk.ids))
            )
    writes = []
    for pool, places in by_pool.values():
        token, slot, position = torch.tensor(places, device=device).unbind(1)
        writes.append((pool, token, slot, position))
    return writes


def _plan_kernels(
    chunks: Sequence[TokenChunk], cache: KVCache, shape: DecoderShape
) -> tuple[list[AttentionKernel], list[PrefixAttention]]:
    """The kernels for the chunks' own keys, and those for shared prefixes."""
    sharers: dict[int, list[TokenChunk]] = {}
    for chunk in chunks:
        if chunk.decodes or not chunk.cached:
            for kv in chunk.prefix_kvs:
                sharers.setdefault(id(kv), []).append(chunk)
    decoding: dict[tuple[int, int], list[TokenChunk]] = {}
    prefilling: list[TokenChunk] = []
    kernels: list[AttentionKernel] = []
    separate: set[int] = set()  # chunks whose prefix is read by PrefixAttention
    for chunk in chunks:
        counts = [len(sharers.get(id(kv), ())) for kv in chunk.prefix_kvs]
        if chunk.decodes and chunk.slot is not None:
            # By powers of four, so that little is padded.
            width = (len(chunk.ids) - 1).bit_length() + 1 >> 1
            decoding.setdefault((chunk.slot.size, width), []).append(chunk)
        elif not chunk.cached and all(count >= MIN_PREFIX_SHARERS for count in counts):
            prefilling.append(chunk)
        else:
            kernels.append(ChunkAttention(chunk, cache, shape))
            continue
        separate.add(id(chunk))
    kernels += [DecodeAttention(group, cache, shape) for group in decoding.values()]
    kernels += [PrefillAttention(group, shape) for group in _group_by_length(prefilling)]
    prefixes = {id(kv): kv for chunk in chunks for kv in chunk.prefix_kvs}
    prefix_kernels = []
    for key, kv in prefixes.items():
        members = [chunk for chunk in sharers.get(key, ()) if id(chunk) in separate]
        if members:
            prefix_kernels.append(PrefixAttention(kv, members, shape))
    return kernels, prefix_kernels


def _group_by_length(chunks: Sequence[TokenChunk]) -> list[list[TokenChunk]]:
    """Groups of about equal length, so that little is padded; with and without prefixes apart."""
    groups: list[list[TokenChunk]] = []
    for chunk in sorted(chunks, key=lambda chunk: (bool(chunk.prefix_kvs), len(chunk.ids))):
        if groups:
            first = groups[-1][0]
            near = len(chunk.ids) <= max(len(first.ids) + 2, len(first.ids) * 5 // 4)
            if near and bool(first.prefix_kvs) == bool(chunk.prefix_kvs):
                groups[-1].append(chunk)
                continue
        groups.append([chunk])
    return groups
