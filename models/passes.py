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

from .jobs import Chunk, Fresh, Job, Layer, Piece, Steps, Visit
from .slots import SlotClass, Slots
from .trunk import Shape, Trunk

CROWD = 3  # sequences that make it worth to read a shared span in a call of its own


class Pass:
    """A plan of attention for some pieces, the same in every layer."""

    def __init__(self, pieces: Sequence[Piece], slots: Slots, shape: Shape) -> None:
        self._shape = shape
        at = 0
        for piece in pieces:
            piece.first = at
            at += len(piece.ids)
        self.tokens = at
        device = shape.device
        self._ids = torch.tensor([i for piece in pieces for i in piece.ids], device=device)
        ranges = [torch.arange(p.start, p.start + len(p.ids)) for p in pieces]
        self._positions = torch.cat(ranges).to(device)
        ends = [(p.first + len(p.ids), p.want) for p in pieces]
        wanted = [torch.arange(end - want, end) for end, want in ends]
        self._wanted = torch.cat(wanted).to(device)
        self._writes = _writes(pieces, slots, device)
        self._jobs, self._visits = _plan(pieces, slots, shape)

    def run(self, trunk: Trunk) -> Tensor:
        """Hidden states of the wanted tokens in the pieces' order; the slots are written."""
        return trunk.hidden(self._ids, self._positions, self._attend, self._wanted)

    def _attend(self, layer: int, q: Tensor, kv: Tensor) -> Tensor:
        for home, token, index, place in self._writes:
            home.kv[layer][index, :, place] = kv[token]
        shape = self._shape
        out = torch.empty((self.tokens, shape.heads, shape.size), dtype=q.dtype, device=q.device)
        sums = None
        if self._visits:
            sums = torch.empty((self.tokens, shape.heads), device=q.device)
        at = Layer(layer, q, kv, out, sums)
        for job in self._jobs:
            job.run(at)
        for visit in self._visits:
            visit.run(at)
        return out.view(self.tokens, shape.heads * shape.size)


def _writes(
    pieces: Sequence[Piece], slots: Slots, device: torch.device
) -> list[tuple[SlotClass, Tensor, Tensor, Tensor]]:
    """For each class: it, the tokens to keep in it, their slots and their places there."""
    rows: dict[int, tuple[SlotClass, list[tuple[int, int, int]]]] = {}
    for piece in pieces:
        if piece.slot is not None:
            home = slots.of(piece.slot)
            rows.setdefault(home.size, (home, []))[1].extend(
                (piece.first + i, piece.slot.index, piece.held + i) for i in range(len(piece.ids))
            )
    plans = []
    for home, found in rows.values():
        token, index, place = torch.tensor(found, device=device).unbind(1)
        plans.append((home, token, index, place))
    return plans


def _plan(pieces: Sequence[Piece], slots: Slots, shape: Shape) -> tuple[list[Job], list[Visit]]:
    """The calls for the pieces' own keys, and those for shared spans."""
    crowds: dict[int, list[Piece]] = {}
    for piece in pieces:
        if piece.steps or not piece.held:
            for kv in piece.spans:
                crowds.setdefault(id(kv), []).append(piece)
    steps: dict[tuple[int, int], list[Piece]] = {}
    fresh: list[Piece] = []
    jobs: list[Job] = []
    visiting: set[int] = set()
    for piece in pieces:
        crowded = all(len(crowds.get(id(kv), ())) >= CROWD for kv in piece.spans)
        if piece.steps and piece.slot is not None:
            # By powers of four, so that little is padded.
            wide = (len(piece.ids) - 1).bit_length() + 1 >> 1
            steps.setdefault((piece.slot.size, wide), []).append(piece)
        elif not piece.held and crowded:
            fresh.append(piece)
        else:
            jobs.append(Chunk(piece, slots, shape))
            continue
        visiting.add(id(piece))
    jobs += [Steps(group, slots, shape) for group in steps.values()]
    jobs += [Fresh(group, shape) for group in _alike(fresh)]
    spans = {id(kv): kv for piece in pieces for kv in piece.spans}
    visits = []
    for key, kv in spans.items():
        members = [piece for piece in crowds.get(key, ()) if id(piece) in visiting]
        if members:
            visits.append(Visit(kv, members, shape))
    return jobs, visits


def _alike(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Groups of about equal length, so that little is padded; with and without spans apart."""
    groups: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: (bool(piece.spans), len(piece.ids))):
        if groups:
            first = groups[-1][0]
            near = len(piece.ids) <= max(len(first.ids) + 2, len(first.ids) * 5 // 4)
            if near and bool(first.spans) == bool(piece.spans):
                groups[-1].append(piece)
                continue
        groups.append([piece])
    return groups
