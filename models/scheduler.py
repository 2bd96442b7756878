"""Which rows run in the next pass: admission, order, back-pressure.

Every pass takes one token in each row that writes and fills up with pieces of prompts, so
that long prompts do not stall those who are being answered (Sarathi, Agrawal et al. 2024).
Rows that begin alike wait for the first of them and then share what it computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .rows import Keeper, Key, Row

LEAD = 24  # tokens that a row ahead must be computing for a row to wait for it
STEP_COST = 2  # a row's next token costs as much as so many tokens of a prompt
PATIENCE = 64  # passes for which more urgent asks may hold up a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is done at a time: ``rows`` sequences, about ``pass_tokens`` tokens a pass.
    ``alone``: one ask after the other, nothing kept between them."""

    rows: int = 64
    pass_tokens: int = 256
    alone: bool = False


class Scheduler:
    """The rows that wait and those that are seated. A full cache sends the least urgent
    seated row back to wait; nothing fails for want of room."""

    def __init__(self, keeper: Keeper, limits: Limits) -> None:
        self.keeper = keeper
        self.limits = limits
        self.queue: list[Row] = []
        self.seated: list[Row] = []
        self.preempted = 0
        self._passes = 0

    def add(self, row: Row) -> None:
        """Let a row wait for its turn."""
        row.ran = self._passes
        self.queue.append(row)

    def hurry(self, owner: object, key: Key) -> None:
        """The rows of an owner are wanted by somebody with this key too."""
        for row in [*self.queue, *self.seated]:
            if row.owner is owner:
                row.key = min(row.key, key)

    def admit(self) -> None:
        """Seat rows in their order while there is room, but for those that had better wait
        for what a row ahead of them computes. Less urgent rows take no room from others."""
        if not self.queue:
            return
        self.queue.sort(key=lambda row: row.key)
        taken = Counter(row.key[0] for row in self.seated)
        free = self._free(taken, self.queue[0])
        if free <= 0:
            return
        window = self.queue[: 2 * free]
        ahead = [row for row in self.seated if row.keep and not row.kept]
        crowds = Counter(id(span) for row in window for span in self.keeper.path(row))
        seated: set[int] = set()
        for row in window:
            if self._free(taken, row) <= 0:
                break
            known = self.keeper.known(row.ids[: row.want_from])
            if any(_leads(one, row, known + LEAD) for one in ahead):
                continue
            if not self._seat(row, crowds):
                break
            seated.add(id(row))
            taken[row.key[0]] += 1
            crowds.subtract(id(span) for span in row.spans)
            self.seated.append(row)
            if row.keep and not row.kept:
                ahead.append(row)
        if seated:
            self.queue = [row for row in self.queue if id(row) not in seated]

    def choose(self) -> list[tuple[Row, int]]:
        """The next pass: rows and how many of their tokens. Rows that write wait where a more
        urgent prompt is read; a row of which all is known comes with none."""
        reading = [row for row in self.seated if row.pending > 1 or row.brief]
        first = min((row.key[0] for row in reading), default=None)
        chosen: dict[int, tuple[Row, int]] = {}
        writing = [row for row in self.seated if row.pending == 1 and not row.brief]
        for row in sorted(writing, key=lambda row: row.key):
            heard = first is None or row.key[0] <= first
            if not heard or len(chosen) == self.limits.rows:
                break
            if row in self.seated and self._fits(row, 1, chosen):
                chosen[id(row)] = (row, 1)
        most = self.limits.pass_tokens
        left = max(most - STEP_COST * len(chosen), most // 4)
        read = 0
        for row in sorted(reading, key=lambda row: row.key):
            uncut = self.keeper.whole or row.slot is None
            count = row.pending if uncut else min(row.pending, left)
            if count <= 0 or (count > left and read):
                continue
            if row in self.seated and self._fits(row, count, chosen):
                chosen[id(row)] = (row, count)
                left -= count
                read += 1
        self._passes += 1
        for row, _ in chosen.values():
            row.ran = self._passes
        if self._passes % PATIENCE == 0:
            self._relieve()
        done = [(row, 0) for row in self.seated if row.pending == 0]
        return [*done, *chosen.values()]

    def drop(self, unwanted: Callable[[Row], bool]) -> None:
        """Forget the rows that are not wanted any more."""
        self.queue = [row for row in self.queue if not unwanted(row)]
        for row in [row for row in self.seated if unwanted(row)]:
            self.leave(row)

    def leave(self, row: Row) -> None:
        """Take a row out."""
        if row in self.seated:
            self.seated.remove(row)
            self.keeper.release(row)
        else:
            self.queue = [one for one in self.queue if one is not row]

    def _free(self, taken: Mapping[int, int], row: Row) -> int:
        """How many seats are not taken by rows as urgent as this one."""
        urgent = sum(count for priority, count in taken.items() if priority <= row.key[0])
        return self.limits.rows - urgent

    def _seat(self, row: Row, crowds: Mapping[int, int]) -> bool:
        """Seat a row, in the place of less urgent ones if need be."""
        while not self.keeper.seat(row, crowds):
            victim = max(self._movable(row), key=lambda one: one.key, default=row)
            if victim.key[0] <= row.key[0]:
                return False
            self._send_back(victim)
        return True

    def _fits(self, row: Row, count: int, chosen: dict[int, tuple[Row, int]]) -> bool:
        """Make room for a row's next tokens, by sending others back to the queue if need be;
        the last resort is the row itself."""
        while not self.keeper.fits(row, count):
            victim = max(self._movable(row), key=lambda one: one.key, default=row)
            if victim.key <= row.key:
                victim = row
            chosen.pop(id(victim), None)
            self._send_back(victim)
            if victim is row:
                return False
        return True

    def _movable(self, row: Row) -> list[Row]:
        """Other rows that hold memory of their own."""
        held = [one for one in self.seated if one.slot is not None or one.state is not None]
        return [one for one in held if one is not row]

    def _send_back(self, row: Row) -> None:
        self.leave(row)
        self.queue.append(row)
        self.preempted += 1

    def _relieve(self) -> None:
        """The ask that has stood still longest behind more urgent ones, if for too long, goes
        on right after the most urgent that are there now."""
        rows = [*self.queue, *self.seated]
        top = min((row.key[0] for row in rows), default=0)
        late = [r for r in rows if r.key[0] > top and self._passes - r.ran >= PATIENCE]
        if late:
            ticket = min(late, key=lambda row: (row.ran, row.key[1:])).key[-1]
            behind = max(row.key for row in rows if row.key[0] == top)
            for row in rows:
                if row.key[-1] == ticket:
                    row.key = (behind[0], behind[1], behind[2] + 1, ticket)


def _leads(one: Row, row: Row, tokens: int) -> bool:
    """Whether ``one`` is computing at least the first ``tokens`` tokens of ``row``, and is
    as urgent."""
    if one.key[0] > row.key[0] or min(one.keep, row.want_from) < tokens:
        return False
    same = one.ids[tokens - 1] == row.ids[tokens - 1]
    return same and one.ids[:tokens] == row.ids[:tokens]
