"""Golden runs: what a change of names and shelves must leave as it was.

    python -m denizens.tests.golden            compares with golden.json, exits 1 on a difference
    python -m denizens.tests.golden --record   writes golden.json

The cases named ``smollm2-...`` run the real model in float32 and agree on one kind of
processor only.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from denizens.agents import Agent
from denizens.core import (
    Answer,
    Choice,
    Choose,
    Generate,
    Model,
    ModelAsk,
    Persona,
    digest,
    to_json,
)
from denizens.memory import Memory
from denizens.models import ImprovisedModel, load_model
from denizens.simulation import begin, read_scenario, replay
from denizens.store import Store
from denizens.testing import ScriptedModel
from denizens.tests.support import letter_writers as senders
from denizens.tests.support import maintained_scenario as maintenance
from denizens.tests.support import reading_agents
from denizens.tools import tool

FILE = Path(__file__).with_name("golden.json")


@tool
def bread_price(loaves: int) -> float:
    """The price of some loaves of bread, in euros."""
    return 3.5 * loaves


def _scenario(name: str | Path, steps: int, *, exact: bool = False, planner: str = "") -> str:
    """The hash of a run with the improvised model, or with SmolLM2 where it is exact; it is
    replayed from its record too."""
    scenario = read_scenario(name).with_overrides(
        seed=1, exact=exact or None, planner=planner or None
    )
    with tempfile.TemporaryDirectory() as folder:
        model = None if exact else ImprovisedModel()
        simulation = begin(scenario, Path(folder) / "run", model=model, progress=lambda text: None)
        for _ in simulation.run(steps=steps):
            pass
        last = simulation.hash
        simulation.store.close()
        again = replay(Path(folder) / "run")
        assert (again.steps, again.hash) == (steps, last)
    return last


def _kept() -> str:
    """Documents, folds and facts."""
    with tempfile.TemporaryDirectory() as folder:
        documents = 'documents = ["handbook.md"]'
        path = maintenance.scenario(Path(folder), maintenance.KEPT, documents)
        return _scenario(path, 60)


def _called() -> str:
    """Tools that wait for nobody and write letters."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "run.db") as store:
        made = senders.make_run(store, Path(folder) / "letters", ask=False)
        list(made.run(steps=6))
        return made.hash


def _read() -> str:
    """Skills, notes and searches."""
    with Store(":memory:") as store:
        made = reading_agents.house(store)
        list(made.run(steps=4))
        return made.hash


def _answer(ask: ModelAsk) -> Answer | str | float:
    if isinstance(ask, Choose):
        count = len(ask.options)
        return Choice(index=0, probabilities=(0.5, *[0.5 / (count - 1)] * (count - 1)))
    return "Good morning!" if isinstance(ask, Generate) else 3.0


def _chat(model: str) -> str:
    """Three lines of a chat with a tool, a document and claims: the chain of the memory."""
    makers: dict[str, Callable[[], Model]] = {
        "scripted": lambda: ScriptedModel(_answer),
        "improvised": lambda: ImprovisedModel(),
        "smollm2": lambda: load_model("smollm2", exact=True),
    }
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "bo.db") as store:
        handbook = Path(folder) / "handbook.md"
        handbook.write_text(maintenance.HANDBOOK, encoding="utf-8")
        bo = Agent(
            Persona(name="Bo", facts=("Bo bakes on Mondays.",)),
            model=makers[model](),
            memory=Memory(store, "Bo"),
            tools=[bread_price],
            documents=[handbook],
        )
        lines = [
            "I am Ada and I live in Leeds.",
            "What do five loaves of bread cost?",
            "When is the bakery closed?",
        ]
        said = [bo.chat(line, "Ada", at=reading_agents.START).text for line in lines]
        digests = [digest(to_json(record)) for record in bo.memory.records()]
    return json.dumps([said, digests])


CASES: dict[str, Callable[[], str]] = {
    "improvised-morning": lambda: _scenario("larkspur-morning", 130),
    "improvised-larkspur": lambda: _scenario("larkspur", 200),
    "improvised-crossroads": lambda: _scenario("crossroads", 90),
    "routine-larkspur": lambda: _scenario("larkspur", 300, planner="denizens.planners:Routine"),
    "improvised-documents-folds-facts": _kept,
    "scripted-tools": _called,
    "improvised-skills": _read,
    "scripted-chat": lambda: _chat("scripted"),
    "improvised-chat": lambda: _chat("improvised"),
    "smollm2-chat": lambda: _chat("smollm2"),
    "smollm2-morning": lambda: _scenario("larkspur-morning", 60, exact=True),
}


def main() -> int:
    """Run every case; 0 where all are as recorded."""
    known = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    wrong = 0
    for name, case in CASES.items():
        if sys.argv[1:] and "--record" not in sys.argv and name not in sys.argv:
            continue
        got = case()
        same = known.get(name) == got
        print(f"{name}: {'as recorded' if same else 'DIFFERS'}", flush=True)
        if not same and "--record" not in sys.argv:
            print(f"  recorded {known.get(name)}\n  now      {got}")
            wrong += 1
        known[name] = got
    if "--record" in sys.argv:
        FILE.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
