"""A short probe of the real engine: what a sample of the asks of a rehearsal costs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from ...core import Model, ModelAsk, answer_all
from ...models import Usage
from ..record import ledger_of
from .rehearsal_model import AskStats, KindAndRole, OwnedAsk, prompt_characters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    CostTable: TypeAlias = NDArray[np.float64]

OWNER = "forecast: "
"""Prefix of the owners of a probe's asks, so that no run's ledger counts their usage."""

COST_COLUMNS = 6
"""The columns of a row: calls, characters, tokens read, written and reused, seconds."""


@dataclass(slots=True)
class ProbeResult:
    """The cost of each block of rounds, by kind and role, as rows of COST_COLUMNS numbers."""

    blocks: list[dict[KindAndRole, list[float]]] = field(default_factory=list)
    seconds: float = 0.0

    def keys(self) -> list[KindAndRole]:
        """All kinds and roles that were asked."""
        return sorted({key for block in self.blocks for key in block})

    def sums(self, keys: Sequence[KindAndRole]) -> CostTable:
        """The costs as an array of shape (blocks, keys, COST_COLUMNS)."""
        import numpy as np

        table = np.zeros((len(self.blocks), len(keys), COST_COLUMNS))
        for block_index, block in enumerate(self.blocks):
            for key_index, key in enumerate(keys):
                table[block_index, key_index] = block.get(key, 0.0)
        return table


def probe_engine(
    model: Model, blocks: Sequence[Sequence[list[OwnedAsk]]], seconds: float
) -> ProbeResult:
    """Submit rounds of a rehearsal to the engine until ``seconds`` have passed: the asks of a round
    together, the blocks in an order that covers the rehearsal evenly.

    A small warm-up round is not counted, since the first pass of an engine is slow."""
    result = ProbeResult()
    ledger = ledger_of(model)
    client = model.client()
    if blocks and blocks[-1]:
        warm_up = [ask for _, ask in min(blocks[-1], key=len)]
        answer_all(client, warm_up, [OWNER] * len(warm_up))
    began = time.perf_counter()
    for index in _bit_reversed_order(len(blocks)):
        costs: dict[KindAndRole, list[float]] = {}
        for owned_asks in blocks[index]:
            owners = [OWNER + owner for owner, _ in owned_asks]
            asks = [ask for _, ask in owned_asks]
            if ledger:
                ledger.take(set(owners))  # discards late answers to the round before
            start = time.perf_counter()
            answers = answer_all(client, asks, owners)
            round_seconds = time.perf_counter() - start
            usage = ledger.take(set(owners)) if ledger else ()
            estimated = [*map(Usage.from_answer, owners, asks, answers)]
            _add_round(costs, asks, usage or estimated, round_seconds)
        result.blocks.append(costs)
        result.seconds = time.perf_counter() - began
        if result.seconds > seconds:
            break
    return result


def _add_round(
    costs: dict[KindAndRole, list[float]],
    asks: Sequence[ModelAsk],
    usage: Sequence[Usage],
    seconds: float,
) -> None:
    """Add the costs of a round. Its seconds are divided in proportion to the seconds in ``usage``;
    if there are none, by tokens, one written counting as eight read."""
    shares = [cost.seconds for cost in usage]
    if not sum(shares):
        shares = [cost.tokens_in + 8.0 * cost.tokens_out + 1.0 for cost in usage]
    for cost, share in zip(usage, shares):
        row = costs.setdefault((cost.kind, cost.role), [0.0] * COST_COLUMNS)
        tokens = (cost.tokens_in, cost.tokens_out, cost.tokens_reused)
        for column, value in enumerate((*tokens, seconds * share / sum(shares)), start=2):
            row[column] += value
    for ask in asks:
        row = costs.setdefault((ask.kind, ask.role), [0.0] * COST_COLUMNS)
        row[0] += 1
        row[1] += prompt_characters(ask)


def _bit_reversed_order(count: int) -> Iterator[int]:
    """The numbers below ``count`` in bit-reversed order: any prefix covers the range evenly.

    >>> list(_bit_reversed_order(6))
    [0, 4, 2, 1, 5, 3]
    """
    bits = max(1, (count - 1).bit_length())
    for number in range(1 << bits):
        index = int(f"{number:0{bits}b}"[::-1], 2)
        if index < count:
            yield index


class CostModel:
    """The cost of an ask by kind and role, from a probe. A role that was not probed costs as much
    as its kind; a kind that was not probed costs nothing."""

    def __init__(self, keys: Sequence[KindAndRole], sums: CostTable) -> None:
        """``sums`` has the shape (keys, COST_COLUMNS)."""
        self._rows = {key: row for key, row in zip(keys, sums.tolist()) if row[0] > 0}
        self._kinds: dict[str, list[float]] = {}
        for (kind, _), row in self._rows.items():
            sum_row = self._kinds.get(kind, [0.0] * COST_COLUMNS)
            self._kinds[kind] = [a + b for a, b in zip(sum_row, row)]

    def usage_of(self, key: KindAndRole, stats: AskStats) -> Usage:
        """The cost of asks: tokens read and reused in proportion to characters, tokens written
        and seconds in proportion to calls."""
        row = self._rows.get(key) or self._kinds.get(key[0]) or [0.0] * COST_COLUMNS
        calls = stats.calls / row[0] if row[0] else 0.0
        sizes = stats.size / row[1] if row[1] else calls
        return Usage(
            "",
            *key,
            round(stats.calls),
            round(sizes * row[2]),
            round(calls * row[3]),
            round(sizes * row[4]),
            calls * row[5],
        )
