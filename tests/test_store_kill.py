"""A writer killed at any moment loses nothing it acknowledged."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from denizens.memory import Memory
from denizens.store import Store

WRITER = """
import sys
from datetime import datetime
from denizens.core import Record
from denizens.memory import Memory
from denizens.store import Store

at = datetime(2023, 2, 13)
Memory(":memory:", "warm up").remember("imports are loaded", at=at)
store = Store(sys.argv[1])
memory = Memory(store, "Bo")
print("ready", flush=True)
for step in range(len(memory) // 3, 100000):
    with store.transaction():
        for _ in range(3):
            number = memory.next_id
            record = Record(id=number, kind="thought", text=f"thought {number}", created=at)
            memory.add([record], {number: [float(number), 1.0]}, step=step)
        memory.mark_accessed([number], step=step, at=at)
        store.put("step", step)
    print(step, flush=True)
"""


def test_kill_at_any_moment_loses_no_step(tmp_path: Path) -> None:
    """Five times over the same file: every acknowledged step is there after kill -9, no
    step is there by half, the checks pass, and the next writer goes on from there."""
    path = tmp_path / "run.db"
    chance = random.Random(4)
    done = -1
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout
            assert writer.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.02, 0.2))
            writer.kill()
            said = writer.stdout.read().split("\n")
        acknowledged = [int(line) for line in said[:-1]]
        with Store(path) as store:
            memory = Memory(store, "Bo")
            step = store.get("step", -1)
            assert store.verify() == ()
            assert step >= max(acknowledged, default=done)
            assert len(memory) == 3 * (step + 1)
            assert len(memory.index.access_position) == step + 1
            assert [record.text for record in memory.records(last=1)] == (
                [f"thought {len(memory)}"] if len(memory) else []
            )
            done = step
    assert done > 5
