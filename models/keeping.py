"""The memory of the engine: slots of running rows, and the trie of shared beginnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .jobs import Piece
from .passes import Pass
from .rows import Row
from .slots import Slot, Slots, size_for
from .trie import Span, Trie
from .trunk import Trunk

CROWD = 8  # sequences from which on a span is attended to where it lies; fewer take copies
GROWTH = 32  # tokens of room for what a row is about to write
LONE = 128  # tokens; a longer row has a slot, so that it can be read in parts
SHORT = 32  # tokens; a shorter span is copied, not attended to where it lies


class PagedKeeper:
    """Keeps at most ``limit`` tokens: the least recently used beginnings go first."""

    whole = False

    def __init__(self, trunk: Trunk, limit: int) -> None:
        self.trunk = trunk
        self.limit = limit
        self.slots = Slots(trunk.shape)
        self.trie = Trie()

    @property
    def free(self) -> int:
        """Tokens for which there is room now."""
        return self.limit - self.slots.tokens - self.trie.tokens

    def seat(self, row: Row, crowds: Mapping[int, int]) -> bool:
        """See Keeper. Of what is known, spans that a crowd shares are attended to where they
        lie; the rest is copied into the row's slot, which is cheaper for a lone row. (Which
        of them comes first is of no account: the keys know their positions.)"""
        path = self.path(row)
        worth = [row.brief or _worth(span, crowds) for span in path]
        visited = [span for span, here in zip(path, worth) if here]
        copied = [span for span, here in zip(path, worth) if not here]
        shared, held = (sum(map(len, spans)) for spans in (visited, copied))
        row.slot = None
        if copied or not row.brief or len(row.ids) - shared > LONE:
            writes = row.want_from == len(row.ids) - 1 and not row.brief
            length = len(row.ids) - shared + (GROWTH if writes else 0)
            if not self._room(self.slots.cost(length), beside=path):
                return False
            row.slot = self.slots.take(length, self.free)
            at = 0
            for span in copied:
                self.slots.write(row.slot, at, span.kv)
                at += len(span)
        for span in visited:
            span.users += 1
        row.spans, row.kvs, row.shared = visited, tuple(span.kv for span in visited), shared
        row.done = row.base = shared + held
        # Once, however often it is sent back; of a prompt, not of what was written behind it.
        row.reused = max(row.reused, min(row.done, row.keep or row.done))
        return True

    def fits(self, row: Row, count: int) -> bool:
        """See Keeper."""
        if row.slot is None:
            return True
        held = row.done - row.shared
        if held + count <= row.slot.size:
            return True
        length = held + count + GROWTH
        if not self._room(self.slots.cost(length)):
            length = held + count
            if not self._room(self.slots.cost(length)):
                return False
        row.slot = self.slots.grow(row.slot, held, length, self.free)
        return True

    def release(self, row: Row) -> None:
        """See Keeper."""
        if row.slot is not None:
            self.slots.free(row.slot)
        for span in row.spans:
            span.users -= 1
        row.slot, row.spans, row.kvs, row.shared, row.done = None, [], (), 0, 0

    def share(self, row: Row) -> None:
        """See Keeper. What does not fit is not kept."""
        slot = row.slot
        if slot is None or row.keep <= row.shared:
            return
        ids = row.ids[: row.keep]
        self._room(row.keep - self.trie.common(ids), beside=self.trie.find(ids))
        # Below its base a slot is in no order; what was evicted there in between stays away.
        known = self.trie.common(ids)
        if known < row.base or self.free < row.keep - known:
            return
        if not self._finite(slot, known - row.shared, row.keep - row.shared):
            return
        shared = row.shared

        def read(start: int, end: int) -> Tensor:
            return self.slots.read(slot, start - shared, end - shared)

        self.trie.add(ids, read)

    def run(self, pieces: Sequence[tuple[Row, int]]) -> Tensor:
        """See Keeper."""
        made = [
            Piece(
                row.ids[row.done : row.done + count],
                row.kvs,
                row.done - row.shared,
                row.slot,
                row.wants(count),
            )
            for row, count in pieces
        ]
        return Pass(made, self.slots, self.trunk.shape).run(self.trunk)

    def logits(self, hidden: Tensor) -> Tensor:
        """See Keeper."""
        return self.trunk.logits(hidden)

    def known(self, ids: Sequence[int]) -> int:
        """See Keeper."""
        return self.trie.common(ids)

    def path(self, row: Row) -> list[Span]:
        """See Keeper."""
        return self.trie.find(row.ids[: row.want_from])

    def forget(self) -> None:
        """See Keeper."""
        self.trie.clear()
        self.slots.shrink()

    def leaks(self, rows: Sequence[Row]) -> list[str]:
        """See Keeper."""
        found = []
        slots = [row.slot for row in rows if row.slot is not None]
        if self.slots.taken != len(slots):
            found.append(f"{self.slots.taken} slots are taken, {len(slots)} are used")
        if any(self.slots.of(slot).slots[slot.index] is not slot for slot in slots):
            found.append("a slot is not where it says")
        users: dict[int, int] = {}
        for row in rows:
            for span in row.spans:
                users[id(span)] = users.get(id(span), 0) + 1
        for span in self.trie:
            if span.users != users.pop(id(span), 0):
                found.append(f"a span counts {span.users} users")
        if users:
            found.append(f"{len(users)} used spans are not in the trie")
        if self.trie.tokens != sum(map(len, self.trie)):
            found.append("the trie miscounts its tokens")
        if self.free < 0:
            found.append(f"{-self.free} tokens over the limit")
        return found

    def _finite(self, slot: Slot, start: int, end: int) -> bool:
        """Whether tokens of a slot hold numbers; one that is none spreads to the last layer."""
        last = self.slots.of(slot).kv[-1, slot.index, :, start:end]
        return bool(torch.isfinite(last).all())

    def _room(self, tokens: int, beside: Sequence[Span] = ()) -> bool:
        """Make room for so many tokens by evicting what nobody uses, nor is ``beside`` it."""
        for span in beside:
            span.users += 1
        if self.free < tokens:
            self.trie.evict(tokens - self.free)
        if self.free < tokens:
            self.slots.shrink()
        for span in beside:
            span.users -= 1
        return self.free >= tokens


def _worth(span: Span, crowds: Mapping[int, int]) -> bool:
    return len(span) >= SHORT and span.users + crowds.get(id(span), 0) >= CROWD


def least_limit(window: int) -> int:
    """The smallest limit with which one row of a whole window always fits: while it moves
    to a larger slot it has two."""
    return 2 * size_for(window + GROWTH)
