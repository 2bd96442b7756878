"""The speed benchmark measures what it says, on made-up talks and small sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from denizens.benchmarks.memory import recall_speed as memory_speed
from denizens.benchmarks.memory.recall_speed import (
    EmbeddedTurns,
    measure_many_agents,
    measure_one_agent,
)
from denizens.core import SettingError
from denizens.memory.recall import recall_rules as rules


@pytest.fixture(scope="module")
def talks() -> EmbeddedTurns:
    """Forty turns and nine questions with rows of their own."""
    chance = np.random.default_rng(1)
    rows = chance.normal(size=(49, 32)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    return EmbeddedTurns(tuple(f"Ada: line {n}" for n in range(40)), rows[:40], rows[40:])


def test_one_agent(talks: EmbeddedTurns) -> None:
    """Every figure is there; while memory is exact it finds the whole exact list."""
    found = measure_one_agent(talks, 400)
    assert found["recall_at_10"] == 1.0
    for name in ("recall_ms", "exact_scan_ms", "adds_per_s", "file_mb", "open_ms"):
        assert found[name] > 0
    assert found["rules"] == "paper"


def test_wrong_answers_are_seen(talks: EmbeddedTurns, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recall by other rules than the paper's does not pass for exact."""
    monkeypatch.setattr(memory_speed, "_LARGE", 0)
    monkeypatch.setitem(rules._RULE_SETS, "paper-approx", rules.RECENT)
    assert measure_one_agent(talks, 400)["recall_at_10"] < 0.9


def test_crowd(talks: EmbeddedTurns) -> None:
    """Many at once and one by one are both measured, and their answers compared."""
    found = measure_many_agents(talks, 12, 150)
    assert found["recalls_per_s"] > 0
    assert found["vs_loop"] == pytest.approx(found["recalls_per_s"] / found["loop_per_s"], abs=0.01)


def test_talks_extend_by_a_fixed_seed(talks: EmbeddedTurns) -> None:
    """The same seed gives the same texts and rows, between those of two turns."""
    one = list(talks.extended(7000))
    other = list(talks.extended(7000))
    assert [start for start, _, _ in one] == [0, 5000]
    assert all((a[2] == b[2]).all() and a[1] == b[1] for a, b in zip(one, other, strict=True))


def test_other_files_are_refused(tmp_path: Path) -> None:
    """A file that is not in LoCoMo's format is named, with what to do."""
    path = tmp_path / "talks.json"
    path.write_text("[1, 2]")
    with pytest.raises(SettingError, match=r"talks\.json.*LoCoMo"):
        EmbeddedTurns.read(path)
