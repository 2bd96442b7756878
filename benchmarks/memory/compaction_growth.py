"""A simulated month with and without folding: does a step stay as quick as at first?"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ...core import Cue, Json, Record, Seed
from ...memory import Compaction, CompactionBudget, Memory
from .recall_speed import resident_bytes
from .synthetic_facts import START, FactStatement, make_timeline

if TYPE_CHECKING:
    from ...memory import EmbedFunction

DAYS, RECORDS_PER_DAY, RECALLS_PER_DAY = 30, 400, 40
BUDGET = CompactionBudget(records=1200, fresh_hours=24)


def measure_compaction_growth(
    quick: bool, embed: EmbedFunction, told: Callable[[str], None]
) -> dict[str, Json]:
    """The median recall in ms, the records open to recall, all records, those held in RAM,
    and the process's MB, on the third and on the last day; with a budget and without one."""
    lines = [*make_timeline(Seed.of(30), "known", questions=1).lines]
    days = 10 if quick else DAYS
    embed([line.text for line in lines])
    result: dict[str, Json] = {
        "days": days,
        "records_a_day": RECORDS_PER_DAY,
        "budget": BUDGET.records,
    }
    for name, budget in (("without", None), ("with", BUDGET)):
        early, late = simulate_month(lines, days, embed, budget)
        result[name] = {"day_3": early, "last_day": late}
        told(f"month {name} folding: day 3 {early}, last day {late}")
    return result


def simulate_month(
    lines: list[FactStatement], days: int, embed: EmbedFunction, budget: CompactionBudget | None
) -> tuple[dict[str, Json], dict[str, Json]]:
    """Live so many days; what was measured on the third and on the last."""
    with (
        tempfile.TemporaryDirectory() as folder,
        # A file: what is kept in the store is not to count as RAM.
        Memory(Path(folder) / "month.db", "Bo", embed=embed) as memory,
    ):
        return _simulate_days(memory, lines, days, embed, budget)


def _simulate_days(
    memory: Memory,
    lines: list[FactStatement],
    days: int,
    embed: EmbedFunction,
    budget: CompactionBudget | None,
) -> tuple[dict[str, Json], dict[str, Json]]:
    folding = Compaction(memory, embed)
    found: list[dict[str, Json]] = []
    for day in range(days):
        morning = START + timedelta(days=day)
        records = []
        for n in range(RECORDS_PER_DAY):
            line = lines[(day * RECORDS_PER_DAY + n) % len(lines)]
            records.append(
                Record(
                    id=memory.next_id + n,
                    kind="observation",
                    text=line.text,
                    created=morning + timedelta(minutes=2 * n),
                    importance=1 + n % 7,
                )
            )
        rows = embed([record.text for record in records])
        night = morning + timedelta(hours=15)
        with memory.store.transaction():
            memory.add(records, {r.id: row for r, row in zip(records, rows)}, step=day + 1)
            started = time.perf_counter()
            if budget:
                folding.compact(budget, at=night)
            folded = time.perf_counter() - started
        took = []
        for n in range(RECALLS_PER_DAY):
            cue = Cue(text=lines[n].text, at=night, touch=False)
            started = time.perf_counter()
            memory.recall(cue)
            took.append(1000 * (time.perf_counter() - started))
        found.append(
            {
                "recall_ms": round(statistics.median(took), 3),
                "fold_ms_a_day": round(1000 * folded, 1),
                "open": folding.recallable_count(night),
                "records": len(memory),
                "held": len(memory.index.records),
                "process_mb": _megabytes(),
            }
        )
    return found[2], found[-1]


def _megabytes() -> float | None:
    """Memory of this process, where the system tells."""
    gc.collect()
    taken = resident_bytes()
    return round(taken / 2**20, 1) if taken else None
