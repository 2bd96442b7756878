"""A simulated month with and without compaction: does the time of a recall stay bounded?"""

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
    quick: bool, embed: EmbedFunction, progress: Callable[[str], None]
) -> dict[str, Json]:
    """On the third and on the last day, with and without a budget: the median recall in ms, the
    recallable records, all records, the records in RAM, and the RAM of the process in MB."""
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
        progress(f"month {name} compaction: day 3 {early}, last day {late}")
    return result


def simulate_month(
    lines: list[FactStatement], days: int, embed: EmbedFunction, budget: CompactionBudget | None
) -> tuple[dict[str, Json], dict[str, Json]]:
    """Figures of the third and of the last of ``days`` days."""
    with (
        tempfile.TemporaryDirectory() as folder,
        # In a file, so that the store does not count as RAM.
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
    compaction = Compaction(memory, embed)
    figures: list[dict[str, Json]] = []
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
                compaction.compact(budget, at=night)
            compacting = time.perf_counter() - started
        milliseconds = []
        for n in range(RECALLS_PER_DAY):
            cue = Cue(text=lines[n].text, at=night, touch=False)
            started = time.perf_counter()
            memory.recall(cue)
            milliseconds.append(1000 * (time.perf_counter() - started))
        figures.append(
            {
                "recall_ms": round(statistics.median(milliseconds), 3),
                "fold_ms_a_day": round(1000 * compacting, 1),
                "open": compaction.recallable_count(night),
                "records": len(memory),
                "held": len(memory.index.records),
                "process_mb": _megabytes(),
            }
        )
    return figures[2], figures[-1]


def _megabytes() -> float | None:
    """RAM of this process in MB, where the system reports it."""
    gc.collect()
    size = resident_bytes()
    return round(size / 2**20, 1) if size else None
