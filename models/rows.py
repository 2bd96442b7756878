"""Sequences on their way through the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from torch import Tensor

from .slots import Slot
from .trie import Span

Pair: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]
"""Token ids of a context, and of a target whose likelihood after it is wanted."""

Key: TypeAlias = tuple[int, int, int, int]
"""What orders asks: priority, age, beginning, number; the lowest goes first."""


@dataclass(slots=True, eq=False)
class Row:
    """One sequence. ``ids`` are all its tokens; of the first ``done`` the keys are there.

    The logits behind every token from ``want_from`` on are wanted. The first ``keep`` tokens
    are worth keeping for others; the first ``base`` were known when it was seated. ``owner``
    is what is told of the logits. ``brief``: it runs in one pass, so that its own keys need
    no place. ``ran`` is the pass it last took part in, or was added before.
    """

    ids: list[int]
    want_from: int
    keep: int
    key: Key
    owner: Any
    brief: bool = False
    done: int = 0
    base: int = 0
    reused: int = 0
    kept: bool = False
    ran: int = 0
    spans: list[Span] = field(default_factory=list)
    kvs: tuple[Tensor, ...] = ()
    shared: int = 0
    slot: Slot | None = None
    state: Any = None

    @property
    def pending(self) -> int:
        """Tokens that are still to be run."""
        return len(self.ids) - self.done

    def prove(self, sound: bool) -> None:
        """Say whether the last logits seen of it were numbers, and so all behind them."""
        if self.slot is not None:
            self.slot.sound = sound

    def wants(self, count: int) -> int:
        """Of how many of the next ``count`` tokens the logits are wanted."""
        return max(0, self.done + count - max(self.done, self.want_from))


class Keeper(Protocol):
    """Runs rows and keeps what was computed of them. ``whole``: prompts cannot be cut."""

    whole: bool

    def seat(self, row: Row, crowds: Mapping[int, int]) -> bool:
        """Make a place for a row, with whatever of it is known; False without room.
        ``crowds`` counts, by identity of the span, the rows that wait for it too."""
        ...

    def fits(self, row: Row, count: int) -> bool:
        """Make sure of room for the next ``count`` tokens of a seated row."""
        ...

    def release(self, row: Row) -> None:
        """Forget a seated row."""
        ...

    def share(self, row: Row) -> None:
        """Keep the row's beginning for others."""
        ...

    def run(self, pieces: Sequence[tuple[Row, int]]) -> Tensor:
        """Run the next tokens of some rows, without counting them as done; hidden states of
        those whose logits are wanted, (wanted, width), in the rows' order."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits, float32 of shape (rows, vocabulary)."""
        ...

    def known(self, ids: Sequence[int]) -> int:
        """How many leading tokens are kept."""
        ...

    def path(self, row: Row) -> list[Span]:
        """The kept spans that a row could begin with."""
        ...

    def forget(self) -> None:
        """Let go of everything kept for others."""
        ...

    def leaks(self, rows: Sequence[Row]) -> list[str]:
        """What is held though none of ``rows``, the seated ones, uses it; empty when all is
        well."""
        ...
