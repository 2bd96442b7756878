"""A short probe of the real engine: what asks of a rehearsal cost when it answers them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from ...core import Model, ModelAsk, answer_all
from ...models import Usage, UsageLedger
from .rehearsal_model import AskStats, KindAndRole, OwnedAsk, prompt_characters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    CostTable: TypeAlias = NDArray[np.float64]

OWNER = "forecast: "
"""Before the names of those who ask in a probe, so that a run's ledger never takes them."""

COST_COLUMNS = 6
"""Columns of a row: calls, size, tokens read, written and reused, seconds."""


@dataclass(slots=True)
class ProbeResult:
    """What each block of rounds cost, by kind and role: rows of ``COST_COLUMNS`` numbers."""

    blocks: list[dict[KindAndRole, list[float]]] = field(default_factory=list)
    seconds: float = 0.0

    def keys(self) -> list[KindAndRole]:
        """All kinds and roles that were asked."""
        return sorted({key for block in self.blocks for key in block})

    def sums(self, keys: Sequence[KindAndRole]) -> CostTable:
        """Shape (blocks, keys, COUNTED)."""
        import numpy as np

        found = np.zeros((len(self.blocks), len(keys), COST_COLUMNS))
        for place, block in enumerate(self.blocks):
            for column, key in enumerate(keys):
                found[place, column] = block.get(key, 0.0)
        return found


def probe_engine(
    model: Model, blocks: Sequence[Sequence[list[OwnedAsk]]], seconds: float
) -> ProbeResult:
    """Ask the engine rounds of a rehearsal, each round together as they were open together,
    until ``seconds`` are over; blocks from all over the rehearsal come first.

    Before, a small round is asked and not counted, for an engine's first pass is slow."""
    found = ProbeResult()
    ledger = getattr(model, "ledger", None)
    kept = ledger if isinstance(ledger, UsageLedger) else None
    client = model.client()
    if blocks and blocks[-1]:
        warm_up = [ask for _, ask in min(blocks[-1], key=len)]
        answer_all(client, warm_up, [OWNER] * len(warm_up))
    began = time.perf_counter()
    for place in _bit_reversed_order(len(blocks)):
        costs: dict[KindAndRole, list[float]] = {}
        for asked in blocks[place]:
            owned = [(OWNER + owner, ask) for owner, ask in asked]
            _discard_usage(kept, owned)
            start = time.perf_counter()
            answers = answer_all(client, [ask for _, ask in owned], [owner for owner, _ in owned])
            spent = time.perf_counter() - start
            told = [
                Usage.from_answer(owner, ask, answer)
                for (owner, ask), answer in zip(owned, answers)
            ]
            paid = kept.take({owner for owner, _ in owned}) if kept else ()
            _add_round(costs, [ask for _, ask in owned], paid or told, spent)
        found.blocks.append(costs)
        found.seconds = time.perf_counter() - began
        if found.seconds > seconds:
            break
    return found


def _discard_usage(ledger: UsageLedger | None, owned: Sequence[OwnedAsk]) -> None:
    if ledger is not None:
        ledger.take({owner for owner, _ in owned})


def _add_round(
    costs: dict[KindAndRole, list[float]],
    asks: Sequence[ModelAsk],
    paid: Sequence[Usage],
    seconds: float,
) -> None:
    """Enter a round: the time that passed is shared out by the engine's own account, or
    where it keeps none by tokens, of which a written one takes as long as some that are read."""
    shares = [cost.seconds for cost in paid]
    if not sum(shares):
        shares = [cost.tokens_in + 8.0 * cost.tokens_out + 1.0 for cost in paid]
    for cost, share in zip(paid, shares):
        row = costs.setdefault((cost.kind, cost.role), [0.0] * COST_COLUMNS)
        mine = (cost.tokens_in, cost.tokens_out, cost.tokens_reused)
        for at, value in enumerate((*mine, seconds * share / sum(shares)), start=2):
            row[at] += value
    for ask in asks:
        row = costs.setdefault((ask.kind, ask.role), [0.0] * COST_COLUMNS)
        row[0] += 1
        row[1] += prompt_characters(ask)


def _bit_reversed_order(count: int) -> Iterator[int]:
    """0 .. count - 1, each once, so that any beginning of the row lies evenly over it.

    >>> list(_bit_reversed_order(6))
    [0, 4, 2, 1, 5, 3]
    """
    bits = max(1, (count - 1).bit_length())
    for number in range(1 << bits):
        place = int(f"{number:0{bits}b}"[::-1], 2)
        if place < count:
            yield place


class CostModel:
    """Cost of an ask by kind and role, from a probe; what was not probed costs as its kind
    does, and what no ask of its kind tells costs nothing."""

    def __init__(self, keys: Sequence[KindAndRole], sums: CostTable) -> None:
        """``sums`` of shape (keys, COUNTED)."""
        self._rows = {key: row for key, row in zip(keys, sums.tolist()) if row[0] > 0}
        self._kinds: dict[str, list[float]] = {}
        for (kind, _), row in self._rows.items():
            old = self._kinds.get(kind, [0.0] * COST_COLUMNS)
            self._kinds[kind] = [a + b for a, b in zip(old, row)]

    def usage_of(self, key: KindAndRole, tally: AskStats) -> Usage:
        """What a tally costs: tokens read and reused by what there is to read, tokens written
        and seconds by call."""
        row = self._rows.get(key) or self._kinds.get(key[0]) or [0.0] * COST_COLUMNS
        calls = tally.calls / row[0] if row[0] else 0.0
        sizes = tally.size / row[1] if row[1] else calls
        return Usage(
            "",
            *key,
            round(tally.calls),
            round(sizes * row[2]),
            round(calls * row[3]),
            round(sizes * row[4]),
            calls * row[5],
        )
