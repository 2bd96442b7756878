"""Which rows run in the next pass: admission, order, back-pressure.

Every pass takes one token in each row that writes and fills up with pieces of prompts, so
that long prompts do not stall those who are being answered (Sarathi, Agrawal et al. 2024).
Rows that begin alike wait for the first of them and then share what it computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from .rows import Keeper, Row

LEAD = 24  # tokens that a row ahead must be computing for a row to wait for it
STEP_COST = 2  # a row's next token costs as much as so many tokens of a prompt


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

    def admit(self) -> None:
        """Seat rows in their order while there is room, but for those that had better wait
        for what a row ahead of them computes."""
        free = self.limits.rows - len(self.seated)
        if free <= 0 or not self.queue:
            return
        self.queue.sort(key=lambda row: row.key)
        window = self.queue[: 2 * free]
        ahead = [row for row in self.seated if row.keep and not row.kept]
        crowds = Counter(id(span) for row in window for span in self.keeper.path(row))
        seated: set[int] = set()
        for row in window:
            if len(seated) == free:
                break
            known = self.keeper.known(row.ids[: row.want_from])
            if any(_leads(one, row, known + LEAD) for one in ahead):
                continue
            if not self.keeper.seat(row, crowds):
                break
            seated.add(id(row))
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
            if heard and row in self.seated and self._fits(row, 1, chosen):
                chosen[id(row)] = (row, 1)
        most = self.limits.pass_tokens
        left = max(most - STEP_COST * len(chosen), most // 4)
        for row in sorted(reading, key=lambda row: row.key):
            uncut = self.keeper.whole or row.slot is None
            count = row.pending if uncut else min(row.pending, left)
            if count <= 0 or (count > left and chosen):
                continue
            if row in self.seated and self._fits(row, count, chosen):
                chosen[id(row)] = (row, count)
                left -= count
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

    def _fits(self, row: Row, count: int, chosen: dict[int, tuple[Row, int]]) -> bool:
        """Make room for a row's next tokens, by sending others back to the queue if need be;
        the last resort is the row itself."""
        while not self.keeper.fits(row, count):
            others = [one for one in self.seated if one is not row and one.slot is not None]
            victim = max(others, key=lambda one: one.key, default=row)
            if victim.key <= row.key:
                victim = row
            chosen.pop(id(victim), None)
            self.leave(victim)
            self.queue.append(victim)
            self.preempted += 1
            if victim is row:
                return False
        return True


def _leads(one: Row, row: Row, tokens: int) -> bool:
    """Whether ``one`` is computing at least the first ``tokens`` tokens of ``row``, and is
    as urgent."""
    if one.key[0] > row.key[0] or min(one.keep, row.want_from) < tokens:
        return False
    same = one.ids[tokens - 1] == row.ids[tokens - 1]
    return same and one.ids[:tokens] == row.ids[:tokens]
