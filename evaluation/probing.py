"""A short probe of the real engine: what asks of a rehearsal cost when it answers them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from ..core import Model, ModelAsk
from ..models.ledger import Ledger, Spent
from .rehearsal import Asked, Key, Tally, answers_of, size_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Table: TypeAlias = NDArray[np.float64]

OWNER = "forecast: "
"""Before the names of those who ask in a probe, so that a run's ledger never takes them."""

COUNTED = 6
"""Columns of a row: calls, size, tokens read, written and reused, seconds."""


@dataclass(slots=True)
class Probe:
    """What each block of rounds cost, by kind and role: rows of ``COUNTED`` numbers."""

    blocks: list[dict[Key, list[float]]] = field(default_factory=list)
    seconds: float = 0.0

    def keys(self) -> list[Key]:
        """All kinds and roles that were asked."""
        return sorted({key for block in self.blocks for key in block})

    def sums(self, keys: Sequence[Key]) -> Table:
        """Shape (blocks, keys, COUNTED)."""
        import numpy as np

        found = np.zeros((len(self.blocks), len(keys), COUNTED))
        for place, block in enumerate(self.blocks):
            for column, key in enumerate(keys):
                found[place, column] = block.get(key, 0.0)
        return found


def probe(model: Model, blocks: Sequence[Sequence[list[Asked]]], seconds: float) -> Probe:
    """Ask the engine rounds of a rehearsal, each round together as they were open together,
    until ``seconds`` are over; blocks from all over the rehearsal come first.

    Before, a small round is asked and not counted, for an engine's first pass is slow."""
    found = Probe()
    ledger = getattr(model, "ledger", None)
    kept = ledger if isinstance(ledger, Ledger) else None
    client = model.client()
    if blocks and blocks[-1]:
        answers_of(client, [(OWNER, ask) for _, ask in min(blocks[-1], key=len)])
    began = time.perf_counter()
    for place in _spread(len(blocks)):
        costs: dict[Key, list[float]] = {}
        for asked in blocks[place]:
            owned = [(OWNER + owner, ask) for owner, ask in asked]
            _drop(kept, owned)
            start = time.perf_counter()
            answers = answers_of(client, owned)
            spent = time.perf_counter() - start
            told = [Spent.told(owner, ask, answer) for (owner, ask), answer in zip(owned, answers)]
            paid = kept.take({owner for owner, _ in owned}) if kept else ()
            _enter(costs, [ask for _, ask in owned], paid or told, spent)
        found.blocks.append(costs)
        found.seconds = time.perf_counter() - began
        if found.seconds > seconds:
            break
    return found


def _drop(ledger: Ledger | None, owned: Sequence[Asked]) -> None:
    if ledger is not None:
        ledger.take({owner for owner, _ in owned})


def _enter(
    costs: dict[Key, list[float]], asks: Sequence[ModelAsk], paid: Sequence[Spent], seconds: float
) -> None:
    """Enter a round: the time that passed is shared out by the engine's own account, or
    where it keeps none by tokens, of which a written one takes as long as some that are read."""
    shares = [cost.seconds for cost in paid]
    if not sum(shares):
        shares = [cost.tokens_in + 8.0 * cost.tokens_out + 1.0 for cost in paid]
    for cost, share in zip(paid, shares):
        row = costs.setdefault((cost.kind, cost.role), [0.0] * COUNTED)
        mine = (cost.tokens_in, cost.tokens_out, cost.tokens_reused)
        for at, value in enumerate((*mine, seconds * share / sum(shares)), start=2):
            row[at] += value
    for ask in asks:
        row = costs.setdefault((ask.kind, ask.role), [0.0] * COUNTED)
        row[0] += 1
        row[1] += size_of(ask)


def _spread(count: int) -> Iterator[int]:
    """0 .. count - 1, each once, so that any beginning of the row lies evenly over it.

    >>> list(_spread(6))
    [0, 4, 2, 1, 5, 3]
    """
    bits = max(1, (count - 1).bit_length())
    for number in range(1 << bits):
        place = int(f"{number:0{bits}b}"[::-1], 2)
        if place < count:
            yield place


class Prices:
    """Cost of an ask by kind and role, from a probe; what was not probed costs as its kind
    does, and what no ask of its kind tells costs nothing."""

    def __init__(self, keys: Sequence[Key], sums: Table) -> None:
        """``sums`` of shape (keys, COUNTED)."""
        self._rows = {key: row for key, row in zip(keys, sums.tolist()) if row[0] > 0}
        self._kinds: dict[str, list[float]] = {}
        for (kind, _), row in self._rows.items():
            old = self._kinds.get(kind, [0.0] * COUNTED)
            self._kinds[kind] = [a + b for a, b in zip(old, row)]

    def of(self, key: Key, tally: Tally) -> Spent:
        """What a tally costs: tokens read and reused by what there is to read, tokens written
        and seconds by call."""
        row = self._rows.get(key) or self._kinds.get(key[0]) or [0.0] * COUNTED
        calls = tally.calls / row[0] if row[0] else 0.0
        sizes = tally.size / row[1] if row[1] else calls
        return Spent(
            "",
            *key,
            round(tally.calls),
            round(sizes * row[2]),
            round(calls * row[3]),
            round(sizes * row[4]),
            calls * row[5],
        )
