"""``denizens bench labels``: which share of the records of a day is confidential or rests on the
words of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from ...core import Json, Record, format_utterance, record_sources
from ...models import ImprovisedModel
from ...simulation import Scenario, Simulation, build_simulation
from ...store import Store

CONFIDANT = "Odile Brandt"
SECRET = "In confidence: I am moving to the coast in June, and nobody knows it yet."


def measure_labels(
    scenario: Scenario, *, progress: Callable[[str], None] = lambda line: None
) -> dict[str, Json]:
    """Run a scenario twice with the hash-based model: as it is, and after a visitor has confided a
    secret to every agent. For the records of each day: ``records``, the number; ``open``, the share
    that is for everybody; of the records that agents made themselves (``own``), the share that
    rests on words of others, by kind."""
    return {
        name: _figures(_simulate_day(scenario, confided, progress))
        for name, confided in (("plain", False), ("confided", True))
    }


def _simulate_day(
    scenario: Scenario, confided: bool, progress: Callable[[str], None]
) -> list[tuple[str, Record]]:
    """The records of a day, each with its owner."""
    with Store(":memory:") as store:
        uncapped = scenario.with_overrides(max_tokens_per_day=0)
        simulation = build_simulation(uncapped, store=store, model=ImprovisedModel())
        first_ids = dict.fromkeys(simulation.agents, 0)
        if confided:
            _confide(simulation)
            first_ids = {name: len(agent.memory) for name, agent in simulation.agents.items()}
        end = simulation.end() or 0
        progress(f"running {end} steps{' after a confidence' if confided else ''}")
        for _ in simulation.run(progress=False):
            pass
        return [
            (name, record)
            for name, agent in simulation.agents.items()
            for record in agent.memory.records()
            if record.id > first_ids[name]
        ]


def _confide(simulation: Simulation) -> None:
    at = simulation.now - timedelta(hours=1)
    for agent in simulation.agents.values():
        agent.learn(
            [format_utterance(CONFIDANT, agent.id, SECRET)],
            at=at,
            who=CONFIDANT,
            audience=CONFIDANT,
        )


def _figures(records: list[tuple[str, Record]]) -> dict[str, Json]:
    own = [(owner, record) for owner, record in records if record.who in ("", owner)]
    by_kind = Counter(record.kind for _, record in own)
    by_kind_of_others = Counter(
        record.kind for owner, record in own if record_sources(record, owner)
    )
    return {
        "records": len(records),
        "open": _share(sum(not record.audience for _, record in records), len(records)),
        "own": len(own),
        "of_others": {
            "all": _share(by_kind_of_others.total(), len(own)),
            **{
                kind: _share(by_kind_of_others[kind], count)
                for kind, count in sorted(by_kind.items())
            },
        },
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None
