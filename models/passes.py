"""One pass of the model over tokens of many sequences: who attends to what, and how.

Three kinds of sequences meet in a pass. Those that take one token each, or a few, are served
class by class, over a view of all slots of a class. Those that begin with nothing cached of their
own are served side by side from the pass's own keys. The rest, pieces of long prompts, one
by one. Where several attend to one shared span, it is read once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .jobs import (
    AttentionKernel,
    ChunkAttention,
    DecodeAttention,
    LayerCall,
    PrefillAttention,
    PrefixAttention,
    TokenChunk,
)
from .slots import KVCache, SlotPool
from .trunk import Decoder, DecoderShape

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
