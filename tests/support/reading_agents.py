"""Two agents that summarise, search their memory and take notes at every step."""

from __future__ import annotations

from datetime import datetime

from denizens.agents import Agent
from denizens.core import (
    Action,
    Call,
    Clock,
    Decision,
    Json,
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
from denizens.simulation import Simulation
from denizens.store import Store
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
