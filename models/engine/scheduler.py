"""Which rows run in the next pass: admission, order, back-pressure.

Every pass takes one token in each row that writes and fills up with pieces of prompts, so
that long prompts do not stall those who are being answered (Sarathi, Agrawal et al. 2024).
Rows that begin alike wait for the first of them and then share what it computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .backends import Backend
from .sequence import (
    SchedulingKey,
    TokenSequence,
)

MIN_LEAD_TOKENS = 24  # tokens that a row ahead must be computing for a row to wait for it
STEP_COST = 2  # a row's next token costs as much as so many tokens of a prompt
MAX_WAIT_PASSES = 64  # passes for which more urgent asks may hold up a row


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """How much is done at a time: ``rows`` sequences, about ``pass_tokens`` tokens a pass.
    ``exclusive``: one ask after the other, nothing kept between them."""

    rows: int = 64
    pass_tokens: int = 256
    exclusive: bool = False


class Scheduler:
    """The rows that wait and those that are seated. A full cache sends the least urgent
    seated row back to wait; nothing fails for want of room."""

    def __init__(self, keeper: Backend, limits: BatchLimits) -> None:
        self.backend = keeper
        self.limits = limits
        self.waiting: list[TokenSequence] = []
        self.running: list[TokenSequence] = []
        self.preempted = 0
        self._passes = 0

    def add(self, row: TokenSequence) -> None:
        """Let a row wait for its turn."""
        row.last_pass = self._passes
        self.waiting.append(row)

    def raise_priority(self, owner: object, key: SchedulingKey) -> None:
        """The rows of an owner are wanted by somebody with this key too."""
        for row in [*self.waiting, *self.running]:
            if row.owner is owner:
                row.key = min(row.key, key)

    def admit(self) -> None:
        """Seat rows in their order while there is room, but for those that had better wait
        for what a row ahead of them computes. Less urgent rows take no room from others."""
        if not self.waiting:
            return
        self.waiting.sort(key=lambda row: row.key)
        taken = Counter(row.key[0] for row in self.running)
        free = self._free_places(taken, self.waiting[0])
        if free <= 0:
            return
        window = self.waiting[: 2 * free]
        ahead = [row for row in self.running if row.cacheable and not row.cached]
        crowds = Counter(id(span) for row in window for span in self.backend.cached_path(row))
        seated: set[int] = set()
        for row in window:
            if self._free_places(taken, row) <= 0:
                break
            known = self.backend.cached_length(row.ids[: row.logits_from])
            if any(_computes_prefix_of(one, row, known + MIN_LEAD_TOKENS) for one in ahead):
                continue
            if not self._allocate(row, crowds):
                break
            seated.add(id(row))
            taken[row.key[0]] += 1
            crowds.subtract(id(span) for span in row.prefix_nodes)
            self.running.append(row)
            if row.cacheable and not row.cached:
                ahead.append(row)
        if seated:
            self.waiting = [row for row in self.waiting if id(row) not in seated]

    def schedule(self) -> list[tuple[TokenSequence, int]]:
        """The next pass: rows and how many of their tokens. Rows that write wait where a more
        urgent prompt is read; a row of which all is known comes with none."""
        reading = [row for row in self.running if row.pending > 1 or row.single_pass]
        first = min((row.key[0] for row in reading), default=None)
        chosen: dict[int, tuple[TokenSequence, int]] = {}
        writing = [row for row in self.running if row.pending == 1 and not row.single_pass]
        for row in sorted(writing, key=lambda row: row.key):
            heard = first is None or row.key[0] <= first
            if not heard or len(chosen) == self.limits.rows:
                break
            if row in self.running and self._ensure_room(row, 1, chosen):
                chosen[id(row)] = (row, 1)
        most = self.limits.pass_tokens
        left = max(most - STEP_COST * len(chosen), most // 4)
        read = 0
        for row in sorted(reading, key=lambda row: row.key):
            uncut = self.backend.whole_prompts or row.slot is None
            count = row.pending if uncut else min(row.pending, left)
            if count <= 0 or (count > left and read):
                continue
            if row in self.running and self._ensure_room(row, count, chosen):
                chosen[id(row)] = (row, count)
                left -= count
                read += 1
        self._passes += 1
        for row, _ in chosen.values():
            row.last_pass = self._passes
        if self._passes % MAX_WAIT_PASSES == 0:
            self._prevent_starvation()
        done = [(row, 0) for row in self.running if row.pending == 0]
        return [*done, *chosen.values()]

    def remove_where(self, unwanted: Callable[[TokenSequence], bool]) -> None:
        """Forget the rows that are not wanted any more."""
        self.waiting = [row for row in self.waiting if not unwanted(row)]
        for row in [row for row in self.running if unwanted(row)]:
            self.remove(row)

    def remove(self, row: TokenSequence) -> None:
        """Take a row out."""
        if row in self.running:
            self.running.remove(row)
            self.backend.release(row)
        else:
            self.waiting = [one for one in self.waiting if one is not row]

    def _free_places(self, taken: Mapping[int, int], row: TokenSequence) -> int:
        """How many seats are not taken by rows as urgent as this one."""
        urgent = sum(count for priority, count in taken.items() if priority <= row.key[0])
        return self.limits.rows - urgent

    def _allocate(self, row: TokenSequence, crowds: Mapping[int, int]) -> bool:
        """Seat a row, in the place of less urgent ones if need be."""
        while not self.backend.allocate(row, crowds):
            victim = max(self._preemptible(row), key=lambda one: one.key, default=row)
            if victim.key[0] <= row.key[0]:
                return False
            self._preempt(victim)
        return True

    def _ensure_room(
        self, row: TokenSequence, count: int, chosen: dict[int, tuple[TokenSequence, int]]
    ) -> bool:
        """Make room for a row's next tokens, by sending others back to the queue if need be;
        the last resort is the row itself."""
        while not self.backend.ensure_room(row, count):
            victim = max(self._preemptible(row), key=lambda one: one.key, default=row)
            if victim.key <= row.key:
                victim = row
            chosen.pop(id(victim), None)
            self._preempt(victim)
            if victim is row:
                return False
        return True

    def _preemptible(self, row: TokenSequence) -> list[TokenSequence]:
        """Other rows that hold memory of their own."""
        held = [one for one in self.running if one.slot is not None or one.state is not None]
        return [one for one in held if one is not row]

    def _preempt(self, row: TokenSequence) -> None:
        self.remove(row)
        self.waiting.append(row)
        self.preempted += 1

    def _prevent_starvation(self) -> None:
        """The ask that has stood still longest behind more urgent ones, if for too long, goes
        on right after the most urgent that are there now."""
        rows = [*self.waiting, *self.running]
        top = min((row.key[0] for row in rows), default=0)
        late = [r for r in rows if r.key[0] > top and self._passes - r.last_pass >= MAX_WAIT_PASSES]
        if late:
            ticket = min(late, key=lambda row: (row.last_pass, row.key[1:])).key[-1]
            behind = max(row.key for row in rows if row.key[0] == top)
            for row in rows:
                if row.key[-1] == ticket:
                    row.key = (behind[0], behind[1], behind[2] + 1, ticket)


def _computes_prefix_of(one: TokenSequence, row: TokenSequence, tokens: int) -> bool:
    """Whether ``one`` is computing at least the first ``tokens`` tokens of ``row``, and is
    as urgent."""
    if one.key[0] > row.key[0] or min(one.cacheable, row.logits_from) < tokens:
        return False
    same = one.ids[tokens - 1] == row.ids[tokens - 1]
    return same and one.ids[:tokens] == row.ids[:tokens]
