"""Speed of memory: recall, adding, opening, RAM and disk, compared with a matrix scan by numpy.

The vectors are turns of LoCoMo embedded by MiniLM, extended by interpolating between pairs of turns
with a fixed seed; the cues are LoCoMo's questions. Times exclude the embedder."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from ...core import Cue, Hit, Json, Record, SettingError, decode_text
from ...memory import Memory, recall_many
from ...models import load_embedder
from ...store import Store
from .locomo import default_locomo_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

SIZES = (1_000, 10_000, 100_000, 1_000_000)
BATCH = 5_000
MANY_AGENTS = (1_000, 1_000)
"""Number of agents, and of memories of each."""
ROUNDS = 7
"""How often each of the two ways of recalling is timed."""
_START = datetime(2023, 2, 13)
_LARGE = 262_144


@dataclass(frozen=True, slots=True)
class EmbeddedTurns:
    """Turns and questions of LoCoMo with their embeddings."""

    texts: tuple[str, ...]
    turns: Rows
    questions: Rows

    @classmethod
    def read(cls, file: Path | None = None) -> EmbeddedTurns:
        """Read a file in LoCoMo's format (default: that of the data folder) and embed it by MiniLM.
        Raises SettingError when it cannot be read."""
        source = file or default_locomo_file()
        try:
            turns = json.loads(decode_text(source.read_bytes(), source))
            texts = [
                f"{turn['speaker']}: {turn['text']}"
                for conversation in turns
                for name, session in conversation["conversation"].items()
                if name.startswith("session_") and isinstance(session, list)
                for turn in session
            ]
            questions = [item["question"] for conversation in turns for item in conversation["qa"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingError(
                f"{source}: is no file in LoCoMo's format ({error!r}); name one with --data"
            ) from error
        embed = load_embedder().vectors
        return cls(tuple(texts), embed(texts), embed(questions))

    def extended(self, count: int, seed: int = 7) -> Iterator[tuple[int, list[str], Rows]]:
        """``count`` texts with vectors interpolated between two turns, in batches, each with the
        number of its first text."""
        rng = np.random.default_rng(seed)
        for start in range(0, count, BATCH):
            size = min(BATCH, count - start)
            one, other = rng.integers(0, len(self.texts), (2, size))
            share = rng.random((size, 1), dtype=np.float32)
            rows = share * self.turns[one] + (1 - share) * self.turns[other]
            # Recall drops duplicates, so each text gets a number of its own.
            texts = [f"{self.texts[place]} ({start + n})" for n, place in enumerate(one)]
            yield start, texts, rows


def measure_recall_speed(
    quick: bool, progress: Callable[[str], None], file: Path | None = None
) -> dict[str, Json]:
    """``speed``: figures by number of memories; ``crowd``: many agents at once. ``quick`` leaves
    out the million and uses fewer agents."""
    progress("embedding the turns and questions")
    turns = EmbeddedTurns.read(file)
    speed = {}
    for size in SIZES[:-1] if quick else SIZES:
        progress(f"one agent with {size:,} memories")
        speed[str(size)] = measure_one_agent(turns, size)
    agents, each = (200, 500) if quick else MANY_AGENTS
    progress(f"{agents:,} agents with {each:,} memories each")
    return {"speed": speed, "crowd": measure_many_agents(turns, agents, each)}


def measure_one_agent(turns: EmbeddedTurns, size: int) -> dict[str, Json]:
    """One agent with ``size`` memories. Medians in ms of a recall of 10 records, of an exact scan
    of the matrix by numpy, and of the paper's exact rules; time to open the file and recall once;
    records added per second, in batches, including the first recall; the share of the exact top 10
    that recall finds; RAM and file size in MB."""
    rules = "paper-approx" if size >= _LARGE else "paper"
    cues = turns.questions[:: max(1, len(turns.questions) // 200)]
    at = _START + timedelta(minutes=size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "memory.db"
        ram_before = resident_bytes()
        memory = Memory(path, "Bo", rules=rules)
        seconds = _fill(memory, turns, size)
        cue = Cue(text="", at=at)
        start = time.perf_counter()
        memory.recall(cue, cues[0])
        seconds += time.perf_counter() - start
        recalls = [_recall_seconds(memory, cue, row) for row in cues]
        ram = resident_bytes() - ram_before
        matrix = memory.index.vectors.blocks.slice(0, size)
        scans = _scan_seconds(matrix, cues[:50])
        exact = [_recall_seconds(memory, _with_paper_rules(cue), row) for row in cues[:20]]
        agreement = _agreement(memory, cue, matrix, cues[:50])
        memory.close()
        del matrix
        file = sum(item.stat().st_size for item in Path(folder).iterdir())
        start = time.perf_counter()
        with Memory(path, "Bo", rules=rules) as again:
            again.recall(cue, cues[1])
            opened = time.perf_counter() - start
    return {
        "recall_ms": _ms(recalls),
        "exact_scan_ms": _ms(scans),
        "exact_paper_ms": _ms(exact),
        "adds_per_s": round(size / seconds),
        "recall_at_10": round(agreement, 4),
        "ram_mb": round(ram / 1e6, 1),
        "file_mb": round(file / 1e6, 1),
        "open_ms": round(opened * 1000, 1),
        "rules": rules,
    }


def measure_many_agents(turns: EmbeddedTurns, agents: int, each: int) -> dict[str, Json]:
    """Recalls per second of many agents in one call, and the ratio to a loop over the agents.
    Raises AssertionError when the answers differ."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "crowd.db") as store:
        memories = [Memory(store, f"agent {number}") for number in range(agents)]
        for number, memory in enumerate(memories):
            _fill(memory, turns, each, seed=number)
        at = _START + timedelta(minutes=each)
        requests = [(memory, Cue(text="", at=at)) for memory in memories]
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for turn in range(2 * ROUNDS):
            # Both ways recall with new questions, so that neither finds cached records.
            order = (np.arange(agents) * 7 + turn * 31) % len(turns.questions)
            rows = turns.questions[order]
            batched_first = turn % 4 in (0, 3)
            answers = []
            for batched in (batched_first, not batched_first):
                start = time.perf_counter()
                answers.append(
                    recall_many(requests, rows) if batched else _one_by_one(requests, rows)
                )
                if batched == batched_first:
                    seconds[batched].append(time.perf_counter() - start)
            if answers[0] != answers[1]:
                raise AssertionError("many recalls at once differ from the single ones")
        # The first call builds the pool.
        first = seconds[True].pop(0)
        batch, loop = median(seconds[True]), median(seconds[False])
    return {
        "recalls_per_s": round(agents / batch),
        "loop_per_s": round(agents / loop),
        "vs_loop": round(loop / batch, 2),
        "first_s": round(first, 3),
    }


def _one_by_one(requests: Sequence[tuple[Memory, Cue]], rows: Rows) -> list[tuple[Hit, ...]]:
    return [memory.recall(cue, row) for (memory, cue), row in zip(requests, rows)]


def _fill(memory: Memory, turns: EmbeddedTurns, size: int, seed: int = 7) -> float:
    """Add ``size`` memories in batches; the seconds spent on adding."""
    rng = np.random.default_rng(seed)
    seconds = 0.0
    for start, texts, rows in turns.extended(size, seed):
        importances = rng.integers(1, 11, len(texts)).tolist()
        records = [
            Record(
                id=number,
                kind="utterance",
                text=text,
                created=_START + timedelta(minutes=number),
                who=text.split(":", 1)[0],
                importance=float(importance),
            )
            for number, text, importance in zip(
                range(start + 1, start + 1 + size), texts, importances
            )
        ]
        vectors = {record.id: row for record, row in zip(records, rows, strict=True)}
        begin = time.perf_counter()
        memory.add(records, vectors, step=start)
        seconds += time.perf_counter() - begin
    return seconds


def _agreement(memory: Memory, cue: Cue, matrix: Rows, cues: Rows) -> float:
    """The share of the top 10 by the paper's formula, computed here independently, that recall
    finds."""

    def min_max(values: NDArray[np.float64]) -> NDArray[np.float64]:
        normalized: NDArray[np.float64] = (values - values.min()) / (values.max() - values.min())
        return normalized

    index = memory.index
    ages = (cue.at - datetime(1970, 1, 1)).total_seconds() - index.created.array
    static_scores = min_max(0.995 ** (ages / 3600)) + min_max(index.importance.array)
    shares = []
    for row in cues:
        score = static_scores + min_max((matrix @ (row / np.linalg.norm(row))).astype(np.float64))
        best = np.argsort(-score, kind="stable")[:10] + 1
        agreement = [hit.record.id for hit in memory.recall(cue, row)]
        shares.append(len(set(agreement) & set(best.tolist())) / len(best))
    return float(np.mean(shares))


def _scan_seconds(matrix: Rows, cues: Rows) -> list[float]:
    seconds = []
    for row in cues:
        start = time.perf_counter()
        matrix @ row
        seconds.append(time.perf_counter() - start)
    return seconds


def _with_paper_rules(cue: Cue) -> Cue:
    return Cue(text=cue.text, at=cue.at, rules="paper")


def _recall_seconds(memory: Memory, cue: Cue, row: NDArray[np.float32]) -> float:
    start = time.perf_counter()
    memory.recall(cue, row)
    return time.perf_counter() - start


def _ms(seconds: Sequence[float]) -> float:
    return round(median(seconds) * 1000, 3)


def resident_bytes() -> int:
    """RAM of this process in bytes; 0 where the system does not report it."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
