"""Fault injection for memory files: writers killed at random moments, flipped bits, removed
rows."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from ...core import DenizensError, Json, Record
from ...memory import Memory, prepare_store
from ...memory.storage import repair_file
from ...store import Store

KILLS, FLIPS, REMOVALS = 300, 2_000, 200
_AGENT = "Bo"
_START = datetime(2023, 2, 13)
_TABLES = ("memory_records", "memory_touches", "memory_heads", "memory_log")


def measure_faults(quick: bool, progress: Callable[[str], None]) -> dict[str, Json]:
    """``kills``, ``flips`` and ``removals``, each with the number of failures (0 where all is
    well); ``quick`` does a tenth of each."""
    part = 10 if quick else 1
    progress(f"{KILLS // part} writers killed")
    kills = measure_kills(KILLS // part)
    progress(f"{FLIPS // part} bits flipped")
    flips = measure_flips(FLIPS // part)
    progress(f"{REMOVALS // part} rows removed")
    return {"kills": kills, "flips": flips, "removals": measure_removals(REMOVALS // part)}


def text_of(number: int) -> str:
    """The text of record ``number`` in these files."""
    return f"at {number} o'clock \u2028 somebody said '{number * 7919}' and went on"


def batch_of(step: int) -> int:
    """The number of records that a writer adds at a step."""
    return 1 + step * 7 % 20


def measure_kills(count: int, seed: int = 1) -> dict[str, Json]:
    """Kill ``count`` writers (kill -9), one after the other on one file, each at a random moment:
    acknowledged records that are ``lost``, batches that are there in ``half``, and files that are
    ``broken`` afterwards."""
    rng = random.Random(seed)
    lost = half = broken = acknowledged = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bo.db"
        for _ in range(count):
            acknowledged_bytes = _kill_writer(path, rng.uniform(0.0, 0.03))
            with Store(path) as store:
                memory = Memory(store, _AGENT)
                broken += bool(store.verify())
                step = memory.index.last_step if len(memory) else -1
                expected = sum(batch_of(one) for one in range(step + 1))
                half += len(memory) != expected
                right = all(record.text == text_of(record.id) for record in memory.records())
                lost += max(0, acknowledged_bytes - len(memory)) + (not right)
                acknowledged = max(acknowledged, acknowledged_bytes)
    return {
        "count": count,
        "acknowledged": acknowledged,
        "lost": lost,
        "half": half,
        "broken": broken,
    }


def _kill_writer(path: Path, after: float) -> int:
    """Start a writer on a file and kill it ``after`` seconds of writing; the number of records that
    it had acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            _write_until_killed(path, writing)
        finally:
            os._exit(1)
    os.close(writing)
    # The first eight bytes arrive once the writer has opened the file.
    acknowledged_bytes = os.read(reading, 8)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while chunk := os.read(reading, 1 << 16):
        acknowledged_bytes += chunk
    os.close(reading)
    whole = len(acknowledged_bytes) // 8 * 8
    return int.from_bytes(acknowledged_bytes[whole - 8 : whole], "little") if whole else 0


def _write_until_killed(path: Path, out: int) -> None:
    with Store(path) as store:
        memory = Memory(store, _AGENT)
        step = memory.index.last_step + 1 if len(memory) else 0
        os.write(out, len(memory).to_bytes(8, "little"))
        while True:
            records = [_record(memory.next_id + place) for place in range(batch_of(step))]
            vectors = {record.id: [1.0, float(record.id)] * 32 for record in records}
            memory.add(records, vectors, step=step)
            os.write(out, len(memory).to_bytes(8, "little"))
            step += 1


def _record(number: int) -> Record:
    created = _START + timedelta(minutes=number)
    return Record(id=number, kind="thought", text=text_of(number), created=created, who="Ada")


def _sample_file(path: Path, count: int = 150) -> bytes:
    with Store(path) as store:
        memory = Memory(store, _AGENT)
        for number in range(1, count + 1):
            memory.add([_record(number)], {number: [1.0, float(number)] * 8}, step=number)
            if number % 4 == 0:
                memory.mark_accessed([number], step=number, at=_START)
        memory.quarantine("Eve")
        memory.release("Eve")
    return path.read_bytes()


def _readable_texts(path: Path) -> tuple[bool, list[str]]:
    """Whether the file passes verification, and all texts that it returns."""
    try:
        with Store(path, write=False) as store:
            prepare_store(store)
            if store.verify():
                return False, []
            return True, [record.text for record in Memory(store, _AGENT).records()]
    except DenizensError:
        return False, []


def measure_flips(count: int, seed: int = 2) -> dict[str, Json]:
    """Flip one bit in each of ``count`` files: how many faults were ``detected``, how many
    ``harmless`` (all texts as before), how many returned a ``wrong`` text; and of the detected ones
    how many a repair ``mended`` (right texts only)."""
    rng = random.Random(seed)
    detected = harmless = wrong = mended = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bo.db"
        content = _sample_file(path)
        truth = _readable_texts(path)[1]
        for turn in range(count):
            damaged = bytearray(content)
            damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            target = Path(folder) / f"{turn}.db"
            target.write_bytes(damaged)
            whole, texts = _readable_texts(target)
            if whole:
                harmless += texts == truth
                wrong += texts != truth
                continue
            detected += 1
            try:
                repair_file(target)
            except DenizensError:
                continue
            readable = set(_readable_texts(target)[1])
            mended += bool(readable)
            wrong += not readable <= set(truth)
            for item in Path(folder).glob(f"{turn}.db*"):
                item.unlink()
    return {
        "count": count,
        "detected": detected,
        "harmless": harmless,
        "wrong": wrong,
        "mended": mended,
    }


def measure_removals(count: int, seed: int = 3) -> dict[str, Json]:
    """Remove one row from each of ``count`` files: how many removals were ``detected``."""
    rng = random.Random(seed)
    detected = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bo.db"
        content = _sample_file(path)
        connection = sqlite3.connect(path)
        rows = [(t, r[0]) for t in _TABLES for r in connection.execute(f"SELECT rowid FROM {t}")]
        connection.close()
        for turn in range(count):
            table, row = rng.choice(rows)
            target = Path(folder) / f"{turn}.db"
            target.write_bytes(content)
            connection = sqlite3.connect(target)
            connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))
            connection.commit()
            connection.close()
            detected += not _readable_texts(target)[0]
    return {"count": count, "detected": detected}
