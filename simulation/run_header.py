"""The header of a run: what it was started with, kept in its store beside the journal.

Keys: ``start`` (seed, clock, personas, scenario; covered by the hash chain), ``models`` (by
agent), ``versions``, ``map``, ``folder`` (of the scenario file), ``max_tokens_per_day``,
``voices`` (the folders of the model, under an empty name, and of people), ``steps`` and
``seconds`` so far.
"""

from __future__ import annotations

import platform
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..agents import Agent
from ..core import (
    RECORDED_LIBRARIES,
    AgentId,
    Clock,
    Json,
    RunError,
    Seed,
    canonical,
    from_json,
    library_versions,
    to_json,
)
from ..store import Store
from ..world import TownMap
from .record import CAP_KEY, decode_json
from .scenario import Scenario


def start_of_run(seed: Seed, clock: Clock, agents: Mapping[AgentId, Agent], about: Json) -> Json:
    """What a run is started with; the hash before its first step is computed from it."""
    return {
        "seed": seed.key,
        "start": clock.start.isoformat(),
        "step_seconds": clock.step_seconds,
        "people": {name: to_json(agent.persona) for name, agent in agents.items()},
        "about": about,
    }


def is_started(store: Store, start: Json, steps: int) -> bool:
    """Whether the store holds a run that was started with ``start``; its journal has ``steps``.
    Raises RunError when it holds another run."""
    stored = store.get("start")
    if stored is None and steps == 0:
        return False
    if stored != start:
        differing = [key for key in start if (stored or {}).get(key) != start[key]]
        raise RunError(
            f"{store.name}: holds a run that was started otherwise (its "
            f"{', '.join(differing)} differ); resume it as it was started, or use a new folder"
        )
    return True


def warn_of_other_models(store: Store, agents: Mapping[AgentId, Agent]) -> None:
    """Warn where an agent's model or voice is another than the run was recorded with."""
    recorded = store.get("models") or {}
    for name, agent in agents.items():
        before, now = recorded.get(name) or {}, agent.model.describe()
        for key in ("name", "digest", "voice", "voices"):
            if key in before and before[key] != now.get(key):
                warnings.warn(
                    f"{store.name}: {name}'s model has another {key} than the run was recorded "
                    f"with ({before[key]}, now {now.get(key)}): from here on its answers differ; "
                    "load the recorded one to go on as before",
                    stacklevel=3,
                )
                return


def record_models(store: Store, agents: Mapping[AgentId, Agent]) -> None:
    """Write the description of each agent's model, inside the caller's transaction."""
    store.put("models", {name: agent.model.describe() for name, agent in agents.items()})


def record_versions(store: Store, scenario: Scenario) -> None:
    """Write versions of libraries and the scenario's folder, which no hash covers."""
    versions: dict[str, Json] = {"python": platform.python_version()}
    store.put("versions", versions | library_versions(*RECORDED_LIBRARIES))
    store.put("folder", str(Path(scenario.source).resolve().parent))
    voices = {person.name: person.voice_folder for person in scenario.people}
    voices[""] = scenario.model.voice
    store.put("voices", {name: voice for name, voice in voices.items() if voice})


def record_map(store: Store, town: TownMap) -> None:
    """Write a town's map, so that the run needs no map file."""
    with store.transaction():
        store.put("map", store.intern_text(canonical(to_json(town))))


def stored_map(store: Store) -> TownMap | None:
    """The map of a run's town; None when its world has none. Raises RunCorrupt."""
    key = store.get("map")
    if not key:
        return None
    return decode_json(
        store, "the map", lambda data: from_json(TownMap, data), store.interned_text(key)
    )


def stored_scenario(store: Store) -> Scenario:
    """The scenario that a run was started with, with its latest cap on tokens. Raises RunError
    when it was not built from one."""
    start = store.get("start")
    if not start:
        raise RunError(f"{store.name}: the run was never begun; delete its folder and run anew")
    about = start.get("about")
    if not about:
        raise RunError(
            f"{store.name}: the run was not started from a scenario; resume it in Python "
            "with Simulation(world, agents, store=Store(path))"
        )
    text = canonical({key: value for key, value in about.items() if key != "map"})
    scenario = decode_json(store, "its scenario", lambda data: from_json(Scenario, data), text)
    source = Path(store.get("folder") or "") / scenario.source
    voices = store.get("voices") or {}
    cap, voice = store.get(CAP_KEY, 0), voices.get("", scenario.model.voice)
    return replace(
        scenario,
        model=replace(scenario.model, max_tokens_per_day=cap, voice=voice),
        people=tuple(
            replace(person, voice_folder=voices.get(person.name, "")) for person in scenario.people
        ),
        source=str(source) if source.is_absolute() and source.is_file() else scenario.source,
    )
