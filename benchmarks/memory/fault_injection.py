"""What memory files survive: writers killed at any moment, flipped bits, removed rows."""

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


def measure_faults(quick: bool, told: Callable[[str], None]) -> dict[str, Json]:
    """``kills``, ``flips`` and ``removals``, each with what went wrong (0 where all is well);
    ``quick`` does a tenth of each."""
    part = 10 if quick else 1
    told(f"{KILLS // part} writers killed")
    kills = measure_kills(KILLS // part)
    told(f"{FLIPS // part} bits flipped")
    flips = measure_flips(FLIPS // part)
    told(f"{REMOVALS // part} rows removed")
    return {"kills": kills, "flips": flips, "removals": measure_removals(REMOVALS // part)}


def text_of(number: int) -> str:
    """What the record of that number says in these files."""
    return f"at {number} o'clock \u2028 somebody said '{number * 7919}' and went on"


def batch_of(step: int) -> int:
    """How many records a writer adds at a step."""
    return 1 + step * 7 % 20


def measure_kills(count: int, seed: int = 1) -> dict[str, Json]:
    """So many writers, one after the other on one file, each ended by kill -9 at a random
    moment: how many acknowledged records are ``lost``, how many batches are there in
    ``half``, and how many files were not ``whole`` afterwards."""
    chance = random.Random(seed)
    lost = half = broken = acknowledged = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bo.db"
        for _ in range(count):
            said = _kill_writer(path, chance.uniform(0.0, 0.03))
            with Store(path) as store:
                memory = Memory(store, _AGENT)
                broken += bool(store.verify())
                step = memory.index.last_step if len(memory) else -1
                due = sum(batch_of(one) for one in range(step + 1))
                half += len(memory) != due
                right = all(record.text == text_of(record.id) for record in memory.records())
                lost += max(0, said - len(memory)) + (not right)
                acknowledged = max(acknowledged, said)
    return {
        "count": count,
        "acknowledged": acknowledged,
        "lost": lost,
        "half": half,
        "broken": broken,
    }


def _kill_writer(path: Path, after: float) -> int:
    """Let a writer go on with a file, kill it after so many seconds of writing; returns how
    many records it had acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            _write_until_killed(path, writing)
        finally:
            os._exit(1)
    os.close(writing)
    # Its first word says that it has opened the file.
    said = os.read(reading, 8)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while piece := os.read(reading, 1 << 16):
        said += piece
    os.close(reading)
    whole = len(said) // 8 * 8
    return int.from_bytes(said[whole - 8 : whole], "little") if whole else 0


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
    """Whether the file says it is whole, and every text it gives out."""
    try:
        with Store(path, write=False) as store:
            prepare_store(store)
            if store.verify():
                return False, []
            return True, [record.text for record in Memory(store, _AGENT).records()]
    except DenizensError:
        return False, []


def measure_flips(count: int, seed: int = 2) -> dict[str, Json]:
    """So many files with one bit flipped each: how many were ``detected``, how many were
    ``harmless`` (every text as before), how many gave a ``wrong`` text or another error than
    ours; and of the detected ones how many a repair gave back with right texts only
    (``mended``), how many with a ``wrong`` one."""
    chance = random.Random(seed)
    detected = harmless = wrong = mended = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bo.db"
        content = _sample_file(path)
        truth = _readable_texts(path)[1]
        for turn in range(count):
            spoiled = bytearray(content)
            spoiled[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            target = Path(folder) / f"{turn}.db"
            target.write_bytes(spoiled)
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
            left = set(_readable_texts(target)[1])
            mended += bool(left)
            wrong += not left <= set(truth)
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
    """So many files from which a row was removed behind our back: how many were
    ``detected``."""
    chance = random.Random(seed)
    detected = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bo.db"
        content = _sample_file(path)
        raw = sqlite3.connect(path)
        rows = [(t, r[0]) for t in _TABLES for r in raw.execute(f"SELECT rowid FROM {t}")]
        raw.close()
        for turn in range(count):
            table, row = chance.choice(rows)
            target = Path(folder) / f"{turn}.db"
            target.write_bytes(content)
            raw = sqlite3.connect(target)
            raw.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))
            raw.commit()
            raw.close()
            detected += not _readable_texts(target)[0]
    return {"count": count, "detected": detected}
