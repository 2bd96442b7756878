"""The durability benchmark's own checks, at a size for every day."""

from __future__ import annotations

from pathlib import Path

import pytest
from denizens.benchmarks.memory import fault_injection as memory_harm
from denizens.benchmarks.memory.fault_injection import (
    measure_flips,
    measure_kills,
    measure_removals,
)
from denizens.store import Store


def test_thirty_kills_lose_nothing() -> None:
    """Thirty writers killed at random moments: every acknowledged record is there with its
    text, no batch by half, and the file is whole each time."""
    found = measure_kills(30)
    assert (found["lost"], found["half"], found["broken"]) == (0, 0, 0)
    assert found["acknowledged"] > 100


def test_lost_records_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """With commits that are thrown away the same count is not zero."""
    killed = memory_harm._kill_writer

    def forgetful(path: Path, after: float) -> int:
        said = killed(path, after)
        with Store(path) as store:
            for table in ("memory_records", "memory_touches", "memory_heads"):
                store.execute(f"DELETE FROM {table}")
            store.put("memory.agents", [])
        return said

    monkeypatch.setattr(memory_harm, "_kill_writer", forgetful)
    assert measure_kills(3)["lost"] > 0


def test_flips_are_detected_or_harmless() -> None:
    """Bits flipped anywhere: found or without effect, and what is mended tells no lie."""
    found = measure_flips(50)
    assert found["wrong"] == 0
    assert found["detected"] + found["harmless"] == 50
    assert found["detected"] > 10
    assert found["mended"] > found["detected"] // 2


def test_removed_rows_are_detected() -> None:
    """Rows deleted behind the program's back are all missed."""
    found = measure_removals(20)
    assert found["detected"] == found["count"]
