"""Skills in a run: recorded like any thought, and lived again from the record alone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from denizens.agents import Agent
from denizens.core import (
    Action,
    Call,
    Clock,
    Decision,
    Json,
    ModelAsk,
    Persona,
    Situation,
    Thought,
    ToolResult,
    all_of,
    call,
)
from denizens.memory import Memory, Notes
from denizens.models import ImprovisedModel
from denizens.planners import StepBuilder
from denizens.simulation import Journal, Simulation, check_run
from denizens.store import Store
from denizens.testing import ScriptedModel
from denizens.tools import note_tools
from denizens.world import Town, ascii_map

START = datetime(2026, 5, 2, 8, 0)
MAP = ascii_map("####\n#aa#\n####", {"a": "house:hall:bed"})
TEXT = "The bakery closes for two weeks. The old oven is replaced. Bread is sold there. " * 2


class Reading:
    """Summarises, searches its memory and notes what it found, every step."""

    def decide(self, situation: Situation) -> Thought[Decision]:
        found = yield from all_of(
            [
                call(Call(tool="summarise", arguments={"text": TEXT, "max_words": 12})),
                call(Call(tool="memory_search", arguments={"query": "bakery"})),
            ]
        )
        told: list[Json] = [one.value if isinstance(one, ToolResult) else None for one in found]
        draft = StepBuilder(situation)
        draft.add_record("thought", f"I read that {told[0]['summary']}", importance=3)
        yield from draft.finalize()
        written = yield from call(
            Call(tool="write_note", arguments={"name": "news", "text": str(told)})
        )
        assert isinstance(written, ToolResult)
        assert written.ok, written.error
        return draft.build(Action("wait"), str(told))


def house(store: Store, model: object = None) -> Simulation:
    """Ann and Ben, who read."""
    agents = []
    for name in ("Ann", "Ben"):
        memory = Memory(store, name)
        agents.append(
            Agent(
                Persona(name=name, home="town:house:hall"),
                model=model or ImprovisedModel(),  # type: ignore[arg-type]
                memory=memory,
                planner=Reading(),
                tools=["summarise", "memory_search", *note_tools(Notes(memory))],
            )
        )
    town = Town(MAP, start=START, step_seconds=60)
    return Simulation(town, agents, seed=3, clock=Clock(START), store=store)


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
