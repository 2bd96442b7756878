"""Builds a simulation from a scenario: world, agents, model."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import invalidate_caches
from pathlib import Path
from typing import Any, TypeVar

from ..agents import Agent, Maintenance
from ..core import (
    WORLD_METHODS,
    Approver,
    CodeNotAllowed,
    MapError,
    MemoryFault,
    Model,
    ModelError,
    Planner,
    Record,
    SettingError,
    ToolError,
    World,
    WorldError,
    allow_foreign_code,
    build_settings,
    did_you_mean,
    foreign_code_allowed,
    from_json,
    load_object,
    missing_methods,
    require_class,
    require_unshadowed,
)
from ..memory import Memory, load_smallville_memories
from ..models import load_voice
from ..planners import Daily, planner_by_name
from ..store import Store
from ..tools import Policy, tool_by_name
from ..world import Places, Town, TownMap, load_places, load_smallville_map, load_tiled
from .lazy_model import LazyModel
from .record import CAP_KEY
from .run_header import (
    record_map,
    record_models,
    record_versions,
    stored_map,
    warn_of_other_models,
)
from .scenario import PersonEntry, Scenario, parse_scenario_time
from .simulation import Simulation

T = TypeVar("T")

WORLD_KINDS = ("town", "smallville", "places")


def build_simulation(
    scenario: Scenario,
    *,
    store: Store,
    model: Model | None = None,
    progress: Callable[[str], None] | None = None,
    approver: Approver | None = None,
    read: bool = True,
    keep_going: bool = False,
) -> Simulation:
    """The simulation of a scenario, writing to ``store``.

    If the store already holds the run, it is resumed; else the start of the run is written in
    one transaction. ``model`` replaces the scenario's. Without ``read`` documents are not read
    from files, since a replay takes them from its record. Raises SettingError, MapError or
    ModelError for what cannot be built.
    """
    if not isinstance(scenario, Scenario):
        raise SettingError(f"needs a Scenario, not {scenario!r}: load_scenario({str(scenario)!r})")
    if isinstance(model, str):
        raise SettingError(
            "model: a loaded model is needed, not its name: "
            f"scenario.with_overrides(model={model!r})"
        )
    with store.transaction(), _name_source(scenario):
        is_new = store.get("start") is None
        world = make_world(scenario, store)
        lazy = LazyModel(scenario.model.name, lambda: load_scenario_model(scenario, progress))
        simulation = assemble_simulation(
            scenario,
            world,
            store,
            model or lazy,
            read=read and is_new,
            approver=approver,
            keep_going=keep_going,
        )
        if store.get(CAP_KEY, 0) != scenario.model.max_tokens_per_day:
            store.put(CAP_KEY, scenario.model.max_tokens_per_day)
        if is_new:
            record_versions(store, scenario)
            _plan_inputs(simulation, scenario)
        # Last, since it may take minutes: misspelt names are reported before.
        if model is None and any(
            getattr(a.planner, "asks_model", True) for a in simulation.agents.values()
        ):
            for agent in simulation.agents.values():
                agent.model = lazy.model
            load_voices(scenario, simulation.agents.values())
            if is_new:
                record_models(store, simulation.agents)
            else:
                warn_of_other_models(store, simulation.agents)
        elif model is not None:
            load_voices(scenario, simulation.agents.values())
            if is_new:
                record_models(store, simulation.agents)
    return simulation


def assemble_simulation(
    scenario: Scenario,
    world: World,
    store: Store,
    model: Model,
    *,
    read: bool = False,
    approver: Approver | None = None,
    keep_going: bool = False,
) -> Simulation:
    """The simulation of a scenario in a world; writes nothing if the store holds the run."""
    simulation = Simulation(
        world,
        make_agents(scenario, store, model, read=read),
        seed=scenario.scenario.seed,
        clock=scenario.clock,
        store=store,
        starts={m.name: m.start for m in scenario.people if m.start is not None},
        about={**scenario.without_local_paths().as_json(), "map": store.get("map")},
        max_tokens_per_day=scenario.model.max_tokens_per_day,
        approver=approver,
        keep_going=keep_going,
    )
    simulation.until = scenario.end
    return simulation


@contextmanager
def allow_run_code(folder: Path | str, allow_code: bool) -> Iterator[None]:
    """A context in which worlds, planners and tools that a run names are loaded only if they are
    the package's own, or with the user's ``allow_code``, since the file may come from anybody.
    Raises CodeNotAllowed naming the run."""
    try:
        with allow_foreign_code(allow_code):
            yield
    except CodeNotAllowed as error:
        raise CodeNotAllowed(f"{folder}: {error}") from error


@contextmanager
def _name_source(scenario: Scenario) -> Iterator[None]:
    """A context that adds the name of the scenario's file to errors."""
    try:
        yield
    except (MemoryFault, SettingError, ToolError, WorldError) as error:
        if scenario.source in str(error) or isinstance(error, CodeNotAllowed):
            raise
        kind = MapError if isinstance(error, MapError) else SettingError
        raise kind(f"{scenario.source}: {error}") from error


def load_voices(scenario: Scenario, agents: Iterable[Agent]) -> None:
    """Load the voices of people whose model has voices. Raises SettingError, naming the person,
    for a folder without a voice that fits the model."""
    folders = {person.name: person.voice_folder for person in scenario.people}
    for agent in agents:
        folder = folders.get(agent.id, "")
        try:
            load_voice(agent.model, agent.persona.voice, Path(folder) if folder else None)
        except ModelError as error:
            raise SettingError(f"{scenario.source}: {agent.id}: voice: {error}") from error


def load_scenario_model(scenario: Scenario, progress: Callable[[str], None] | None = None) -> Model:
    """Load the model of a scenario; ``progress`` receives a line before. A server gets the user's
    API key only if the user named the model (``Scenario.with_overrides``), since the file of a
    scenario or a run may come from anybody."""
    from ..models import model_from_name
    from ..models.remote import UserModelName

    table = scenario.model
    if progress:
        progress(f"Loading the model {table.name}")
    return model_from_name(
        table.name,
        device=table.device,
        dtype=table.dtype,
        embedder=table.embedder,
        exact=table.exact,
        rows=table.rows or None,
        pass_tokens=table.pass_tokens or None,
        cache_mb=table.cache_mb or None,
        voice=table.voice or None,
        progress=_as_model_progress(progress) if progress else None,
        send_key=isinstance(table.name, UserModelName),
    )


def _as_model_progress(progress: Callable[[str], None]) -> Callable[[str, int, int], None]:
    """A progress callback for ``load_model``: passes on a line at every tenth of a download."""
    last = ""

    def report(what: str, done: int, total: int) -> None:
        nonlocal last
        line = f"{what} {done * 10 // total * 10}%" if total else what
        if line != last:
            last = line
            progress(line)

    return report


def make_agents(scenario: Scenario, store: Store, model: Model, read: bool = False) -> list[Agent]:
    """An agent for each person of a scenario, all with ``model``. With ``read`` they get the
    scenario's documents and memories to read."""
    allow_sibling_modules(scenario)
    agents = []
    for person in scenario.people:
        persona, minds = person.persona, scenario.minds
        agent = Agent(
            persona,
            model=model,
            memory=Memory(store, persona.name, rules=minds.rules, decay=persona.recency_decay),
            planner=_planner(scenario, person),
            tools=[*map(tool_by_name, minds.tools if person.tools is None else person.tools)],
            policy=policy_of(scenario, person),
            step_seconds=scenario.scenario.step_seconds,
            documents=person.documents if read else (),
            memories=_first_memories(person) if read else (),
            maintenance=maintenance_of(scenario, person),
        )
        agents.append(agent)
    return agents


def _first_memories(person: PersonEntry) -> tuple[Record, ...]:
    if person.records:
        return tuple(from_json(Record, record) for record in person.records)
    return load_smallville_memories(person.memories)[0] if person.memories else ()


def _planner(scenario: Scenario, person: PersonEntry) -> Planner:
    minds = scenario.minds
    name = person.planner or minds.planner
    if name != "daily":
        return planner_by_name(name, minds.settings)
    build_settings(Daily, minds.daily, f"{scenario.source}: [minds.daily]")
    return planner_by_name(name, minds.daily)


def maintenance_of(scenario: Scenario, person: PersonEntry) -> Maintenance:
    """The settings of a person's nightly memory maintenance. Raises SettingError."""
    maintenance = _merge_settings(Maintenance, scenario, person, "memory")
    _ = maintenance.compaction_budget  # raises for values out of range
    return maintenance


def policy_of(scenario: Scenario, person: PersonEntry) -> Policy:
    """The policy for a person's tool calls. Raises SettingError."""
    return _merge_settings(Policy, scenario, person, "policy")


def _merge_settings(cls: type[T], scenario: Scenario, person: PersonEntry, key: str) -> T:
    common, own = getattr(scenario.minds, key) or {}, getattr(person, key) or {}
    return build_settings(cls, {**common, **own}, f"{scenario.source}: {person.name}: {key}")


def _code_names(scenario: Scenario) -> list[str]:
    """The names in a scenario that may refer to a module beside its file."""
    minds = scenario.minds
    names = [scenario.world.kind, minds.planner, *minds.tools]
    for person in scenario.people:
        names += [person.planner, *(person.tools or ())]
    # Settings of planners may name other planners; any text with a colon may be such a name.
    texts = json.dumps([*names, minds.settings], ensure_ascii=False, default=str)
    return re.findall(r'"([\w.]+:\w+)"', texts)


def allow_sibling_modules(scenario: Scenario) -> None:
    """Append the folder of the scenario file to the import path if the scenario names code that
    may lie there, and such code is allowed. Raises SettingError when another module of that name
    would be imported instead."""
    names = _code_names(scenario) if foreign_code_allowed() else []
    if not names or not Path(scenario.source).is_file():
        return
    folder = Path(scenario.source).resolve().parent
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        invalidate_caches()
    for name in names:
        require_unshadowed(name, folder, f"{scenario.source}:")


def make_world(scenario: Scenario, store: Store) -> World:
    """The scenario's world; a town's map is written to the store. Raises MapError, SettingError."""
    allow_sibling_modules(scenario)
    table = scenario.world
    limits: dict[str, Any] = {
        "step_seconds": scenario.scenario.step_seconds,
        "speed": table.speed,
        "most_lines": table.max_lines,
    }
    if table.kind in ("town", "smallville"):
        town = stored_map(store) or _store_map(scenario, store)
        return Town(town, start=scenario.start, **limits)
    if table.kind == "places":
        places = {"places": [*table.places], "paths": [*table.paths]}
        graph = load_places({"name": scenario.world_name, **places})
        return Places(graph, start=scenario.start, **limits)
    return _world_by_name(scenario)


def _world_by_name(scenario: Scenario) -> World:
    table, where = scenario.world, f"{scenario.source}: [world]"
    if ":" not in table.kind:
        raise SettingError(
            f"{where} kind '{table.kind}' is unknown{did_you_mean(table.kind, WORLD_KINDS)}; "
            f"use {', '.join(WORLD_KINDS)} or 'package.module:function'"
        )
    make = load_object(
        table.kind,
        f"{where} kind",
        kind="function",
        remedy="correct the name, or put the module beside the scenario file",
    )
    require_class(make, WORLD_METHODS, f"{where} kind '{table.kind}'", function=True)
    try:
        world: World = make(**table.settings)
    except TypeError as error:
        raise SettingError(f"{where} settings {table.settings!r}: {error}") from error
    except (OSError, ValueError, LookupError, ArithmeticError) as error:
        kind = type(error).__name__
        raise SettingError(
            f"{where} kind '{table.kind}' cannot be made ({kind}: {error})"
        ) from error
    absent = missing_methods(world, WORLD_METHODS)
    if absent:
        raise SettingError(
            f"{where} kind '{table.kind}' made a {type(world).__name__}, which is no world: it "
            f"has no {', '.join(absent)}; see check_world"
        )
    return world


def _store_map(scenario: Scenario, store: Store) -> TownMap:
    path = Path(scenario.world.map)
    if not scenario.world.map:
        raise MapError(f"{scenario.source}: [world] kind '{scenario.world.kind}' needs a map = ...")
    town = load_smallville_map(path) if path.is_dir() else load_tiled(path)
    record_map(store, town)
    return town


def _plan_inputs(simulation: Simulation, scenario: Scenario) -> None:
    for planned in scenario.inputs:
        where = f"{scenario.source}: [[inputs]] at {planned.at}"
        step = simulation.clock.steps_until(parse_scenario_time(planned.at, where))
        try:
            simulation.plan(step, planned.input, planned=True)
        except SettingError as error:
            raise SettingError(f"{where}: {error}") from error
