"""How fast memory is: recall, adding, opening, RAM and disk, beside one scan by numpy.

Vectors are real: turns of LoCoMo embedded by MiniLM, extended by interpolating between pairs
of turns with a fixed seed; cues are LoCoMo's questions. The embedder's time is left out.
"""

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
from ...store import Store
from ..default_embedder import packaged_embedder
from .locomo import default_locomo_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

SIZES = (1_000, 10_000, 100_000, 1_000_000)
BATCH = 5_000
MANY_AGENTS = (1_000, 1_000)
"""Agents, and memories of each."""
ROUNDS = 7
"""How often the crowd is asked, and how often the loop."""
_START = datetime(2023, 2, 13)
_LARGE = 262_144


@dataclass(frozen=True, slots=True)
class EmbeddedTurns:
    """What memories are made of: turns and questions with their embeddings."""

    texts: tuple[str, ...]
    turns: Rows
    questions: Rows

    @classmethod
    def read(cls, file: Path | None = None) -> EmbeddedTurns:
        """From a file in LoCoMo's format (the data folder's by default), embedded by MiniLM.
        Raises SettingError when it cannot be read."""
        source = file or default_locomo_file()
        try:
            talks = json.loads(decode_text(source.read_bytes(), source))
            texts = [
                f"{turn['speaker']}: {turn['text']}"
                for talk in talks
                for name, session in talk["conversation"].items()
                if name.startswith("session_") and isinstance(session, list)
                for turn in session
            ]
            questions = [item["question"] for talk in talks for item in talk["qa"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingError(
                f"{source}: is no file in LoCoMo's format ({error!r}); name one with --data"
            ) from error
        embed = packaged_embedder()
        return cls(tuple(texts), embed(texts), embed(questions))

    def extended(self, count: int, seed: int = 7) -> Iterator[tuple[int, list[str], Rows]]:
        """``count`` texts with embeddings between those of two turns, in batches with the
        number of the first."""
        chance = np.random.default_rng(seed)
        for start in range(0, count, BATCH):
            size = min(BATCH, count - start)
            one, other = chance.integers(0, len(self.texts), (2, size))
            share = chance.random((size, 1), dtype=np.float32)
            rows = share * self.turns[one] + (1 - share) * self.turns[other]
            # Copies give way to others in a recall; these are a hundred thousand memories.
            texts = [f"{self.texts[place]} ({start + n})" for n, place in enumerate(one)]
            yield start, texts, rows


def measure_recall_speed(
    quick: bool, told: Callable[[str], None], file: Path | None = None
) -> dict[str, Json]:
    """``speed``: figures by number of memories; ``crowd``: many agents at once. ``quick``
    leaves out the million and makes the crowd smaller."""
    told("embedding the turns and questions")
    talks = EmbeddedTurns.read(file)
    speed = {}
    for size in SIZES[:-1] if quick else SIZES:
        told(f"one agent with {size:,} memories")
        speed[str(size)] = measure_one_agent(talks, size)
    agents, each = (200, 500) if quick else MANY_AGENTS
    told(f"{agents:,} agents with {each:,} memories each")
    return {"speed": speed, "crowd": measure_many_agents(talks, agents, each)}


def measure_one_agent(talks: EmbeddedTurns, size: int) -> dict[str, Json]:
    """One agent: milliseconds of a scored recall of 10 with texts (median), of an exact scan
    of a matrix by numpy, and of opening the file up to the first recall; records added per
    second in batches (until the first recall has found one); the share of the exact scored
    list among the 10; megabytes of RAM that the memory takes and of the file."""
    rules = "paper-approx" if size >= _LARGE else "paper"
    cues = talks.questions[:: max(1, len(talks.questions) // 200)]
    at = _START + timedelta(minutes=size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "memory.db"
        resting = resident_bytes()
        memory = Memory(path, "Bo", rules=rules)
        took = _fill(memory, talks, size)
        cue = Cue(text="", at=at)
        start = time.perf_counter()
        memory.recall(cue, cues[0])
        took += time.perf_counter() - start
        recalls = [_recall_seconds(memory, cue, row) for row in cues]
        ram = resident_bytes() - resting
        matrix = memory.index.vectors.blocks.slice(0, size)
        scans = _scan_seconds(matrix, cues[:50])
        exact = [_recall_seconds(memory, _with_paper_rules(cue), row) for row in cues[:20]]
        found = _agreement(memory, cue, matrix, cues[:50])
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
        "adds_per_s": round(size / took),
        "recall_at_10": round(found, 4),
        "ram_mb": round(ram / 1e6, 1),
        "file_mb": round(file / 1e6, 1),
        "open_ms": round(opened * 1000, 1),
        "rules": rules,
    }


def measure_many_agents(talks: EmbeddedTurns, agents: int, each: int) -> dict[str, Json]:
    """Recalls per second of many agents in one call, and how many times as many as one by
    one; every answer is the same both ways."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "crowd.db") as store:
        memories = [Memory(store, f"agent {number}") for number in range(agents)]
        for number, memory in enumerate(memories):
            _fill(memory, talks, each, seed=number)
        at = _START + timedelta(minutes=each)
        requests = [(memory, Cue(text="", at=at)) for memory in memories]
        took: dict[bool, list[float]] = {True: [], False: []}
        for turn in range(2 * ROUNDS):
            # Each side asks what neither has asked, so that neither finds records read.
            order = (np.arange(agents) * 7 + turn * 31) % len(talks.questions)
            rows = talks.questions[order]
            jointly = turn % 4 in (0, 3)
            answers = []
            for way in (jointly, not jointly):
                start = time.perf_counter()
                answers.append(recall_many(requests, rows) if way else _one_by_one(requests, rows))
                if way == jointly:
                    took[way].append(time.perf_counter() - start)
            if answers[0] != answers[1]:
                raise AssertionError("many recalls at once differ from the single ones")
        # The first call makes the pool.
        first = took[True].pop(0)
        quickest, loop = median(took[True]), median(took[False])
    return {
        "recalls_per_s": round(agents / quickest),
        "loop_per_s": round(agents / loop),
        "vs_loop": round(loop / quickest, 2),
        "first_s": round(first, 3),
    }


def _one_by_one(requests: Sequence[tuple[Memory, Cue]], rows: Rows) -> list[tuple[Hit, ...]]:
    return [memory.recall(cue, row) for (memory, cue), row in zip(requests, rows)]


def _fill(memory: Memory, talks: EmbeddedTurns, size: int, seed: int = 7) -> float:
    """Add so many memories in batches; the seconds that adding took."""
    chance = np.random.default_rng(seed)
    took = 0.0
    for start, texts, rows in talks.extended(size, seed):
        worth = chance.integers(1, 11, len(texts)).tolist()
        records = [
            Record(
                id=number,
                kind="utterance",
                text=text,
                created=_START + timedelta(minutes=number),
                who=text.split(":", 1)[0],
                importance=float(importance),
            )
            for number, text, importance in zip(range(start + 1, start + 1 + size), texts, worth)
        ]
        vectors = {record.id: row for record, row in zip(records, rows, strict=True)}
        begin = time.perf_counter()
        memory.add(records, vectors, step=start)
        took += time.perf_counter() - begin
    return took


def _agreement(memory: Memory, cue: Cue, matrix: Rows, cues: Rows) -> float:
    """Share of the ten best by the paper's formula, worked out here by itself, that recall
    finds too."""

    def scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
        within: NDArray[np.float64] = (values - values.min()) / (values.max() - values.min())
        return within

    shelf = memory.index
    ages = (cue.at - datetime(1970, 1, 1)).total_seconds() - shelf.created.array
    own = scaled(0.995 ** (ages / 3600)) + scaled(shelf.importance.array)
    shares = []
    for row in cues:
        score = own + scaled((matrix @ (row / np.linalg.norm(row))).astype(np.float64))
        right = np.argsort(-score, kind="stable")[:10] + 1
        found = [hit.record.id for hit in memory.recall(cue, row)]
        shares.append(len(set(found) & set(right.tolist())) / len(right))
    return float(np.mean(shares))


def _scan_seconds(matrix: Rows, cues: Rows) -> list[float]:
    took = []
    for row in cues:
        start = time.perf_counter()
        matrix @ row
        took.append(time.perf_counter() - start)
    return took


def _with_paper_rules(cue: Cue) -> Cue:
    return Cue(text=cue.text, at=cue.at, rules="paper")


def _recall_seconds(memory: Memory, cue: Cue, row: NDArray[np.float32]) -> float:
    start = time.perf_counter()
    memory.recall(cue, row)
    return time.perf_counter() - start


def _ms(seconds: Sequence[float]) -> float:
    return round(median(seconds) * 1000, 3)


def resident_bytes() -> int:
    """Bytes of RAM this process takes now; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
