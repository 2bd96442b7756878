"""Skills in a run: recorded like any thought, and lived again from the record alone."""

from __future__ import annotations

from pathlib import Path

from denizens.core import (
    ModelAsk,
)
from denizens.memory import Memory, Notes
from denizens.simulation import Journal, check_run
from denizens.store import Store
from denizens.testing import ScriptedModel
from denizens.tests.support.reading_agents import house


def absent(ask: ModelAsk) -> str:
    """No model: whatever is asked of it is a failure of the test."""
    raise AssertionError(f"a replay asked a model: {ask}")


def test_skills_are_recorded_and_lived_again(tmp_path: Path) -> None:
    """A run with skills that was closed in between ends on the hash of one that was not, and
    is lived again from its record with no model, step by step to the same hash."""
    hashes = []
    for name, parts in (("whole", (4,)), ("parts", (1, 2, 1))):
        for steps in parts:
            with Store(tmp_path / f"{name}.db") as store:
                made = house(store)
                list(made.run(steps=steps))
                assert check_run(store) == ()
                last = made.hash
        hashes.append(last)
    assert hashes[0] == hashes[1]
    with Store(tmp_path / "whole.db") as store, Store(":memory:") as again:
        journal = Journal(store)
        replayed = house(again, ScriptedModel(absent))
        replayed.replay_from(journal)
        for step in range(4):
            assert replayed.tick().hash == journal.hash_after(step + 1)
        found = Notes(Memory(store, "Ann")).read("news")
        assert found is not None
        assert "I read that" in found[0]
