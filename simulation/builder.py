"""From a scenario to a simulation that can run."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import invalidate_caches
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

from ..agents import Agent, Maintenance
from ..core import (
    WORLD_METHODS,
    Approver,
    Clock,
    CodeNotAllowed,
    Json,
    MapError,
    MemoryFault,
    Model,
    Planner,
    RunError,
    SettingError,
    Time,
    ToolError,
    World,
    WorldError,
    allow_foreign_code,
    build_settings,
    canonical,
    did_you_mean,
    foreign_code_allowed,
    from_json,
    import_named_module,
    missing_methods,
    require_class,
    require_unshadowed,
    to_json,
)
from ..memory import Memory, load_smallville_memories
from ..planners import Daily, planner_by_name
from ..store import Store
from ..tools import AnyTool, Policy, tool_by_name
from ..world import Places, Town, TownMap, load_places, load_smallville_map, load_tiled
from .lazy_model import LazyModel
from .row_codec import decode_json
from .run_usage import CAP_KEY
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

    A store that already holds the run is taken up where it ended; a new one holds either
    the whole beginning of the run or nothing of it. ``model`` overrides the scenario's.
    Without ``read`` no documents are read from files: a replay has them on record.
    Raises SettingError, MapError or ModelError for what cannot be built.
    """
    if not isinstance(scenario, Scenario):
        raise SettingError(
            f"a Scenario is needed, not {scenario!r}: load_scenario({str(scenario)!r})"
        )
    if isinstance(model, str):
        raise SettingError(
            f"model: a loaded model is needed, not its name: scenario.settle(model={model!r})"
        )
    with store.transaction(), _name_source(scenario):
        fresh = store.get("start") is None
        world = make_world(scenario, store)
        lazy = LazyModel(scenario.model.name, lambda: load_scenario_model(scenario, progress))
        simulation = assemble_simulation(
            scenario,
            world,
            store,
            model or lazy,
            read=read and fresh,
            approver=approver,
            keep_going=keep_going,
        )
        if store.get(CAP_KEY, 0) != scenario.model.max_tokens_per_day:
            store.put(CAP_KEY, scenario.model.max_tokens_per_day)
        if fresh:
            store.put("versions", _versions())
            # Where the modules lie that stand beside the scenario; in no hash.
            store.put("folder", str(Path(scenario.source).resolve().parent))
            _plan_inputs(simulation, scenario)
        # Last, for it may take minutes: whoever misspelt a name should hear of it before.
        if model is None and any(
            _asks_model(agent.planner) for agent in simulation.agents.values()
        ):
            for agent in simulation.agents.values():
                agent.model = lazy.model
            if fresh:
                simulation.record_models()
    return simulation


def _asks_model(planner: Planner) -> bool:
    """Whether a planner asks a model; one that does not say so does."""
    return bool(getattr(planner, "asks_model", True))


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
    """The simulation of a scenario in a world; writes nothing where the store holds the run."""
    simulation = Simulation(
        world,
        make_agents(scenario, store, model, read=read),
        seed=scenario.scenario.seed,
        clock=clock_of(scenario),
        store=store,
        starts={m.persona.name: m.start for m in scenario.people if m.start is not None},
        about={**scenario.without_local_paths().as_json(), "map": store.get("map")},
        max_tokens_per_day=scenario.model.max_tokens_per_day,
        approver=approver,
        keep_going=keep_going,
    )
    simulation.until = until_of(scenario)
    return simulation


@contextmanager
def allow_run_code(folder: Path | str, allow_code: bool) -> Iterator[None]:
    """Within it, worlds, planners and tools that a run's file names are loaded only where they
    are the package's own, or with the user's ``allow_code``: a run's file may come from anybody.
    Raises CodeNotAllowed naming the run."""
    try:
        with allow_foreign_code(allow_code):
            yield
    except CodeNotAllowed as error:
        raise CodeNotAllowed(f"{folder}: {error}") from error


@contextmanager
def _name_source(scenario: Scenario) -> Iterator[None]:
    """Name the scenario's file in errors of parts that do not know it."""
    try:
        yield
    except (MemoryFault, SettingError, ToolError, WorldError) as error:
        if scenario.source in str(error) or isinstance(error, CodeNotAllowed):
            raise
        kind = MapError if isinstance(error, MapError) else SettingError
        raise kind(f"{scenario.source}: {error}") from error


def _versions() -> Json:
    found: dict[str, Json] = {"python": platform.python_version()}
    for name in ("denizens", "torch", "transformers", "sentence-transformers", "faiss-cpu"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def load_scenario_model(scenario: Scenario, progress: Callable[[str], None] | None = None) -> Model:
    """The model of a scenario, loaded. ``progress`` is told in words that this begins. A server
    gets the user's key only where the user gave its name (``Scenario.settle``): a scenario's or
    a run's file may come from anybody."""
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
        send_key=isinstance(table.name, UserModelName),
    )


def clock_of(scenario: Scenario) -> Clock:
    """The scenario's clock."""
    seconds = scenario.scenario.step_seconds
    if seconds < 1:
        raise SettingError(f"{scenario.source}: [scenario] step_seconds must be at least 1")
    return Clock(scenario.start, seconds)


def until_of(scenario: Scenario) -> Time | None:
    """The scenario's own end; None where it names none."""
    ends = scenario.scenario.until
    return parse_scenario_time(ends, f"{scenario.source}: [scenario] until") if ends else None


def make_agents(
    scenario: Scenario, store: Store, model: Model, *, read: bool = False
) -> list[Agent]:
    """An agent for every person of a scenario, all with ``model``; with ``read`` they have
    yet to read their documents and to take over memories."""
    allow_sibling_modules(scenario)
    rules = scenario.minds.rules
    return [
        Agent(
            member.persona,
            model=model,
            memory=Memory(
                store, member.persona.name, rules=rules, decay=member.persona.recency_decay
            ),
            planner=_planner(scenario, member),
            tools=_tools(scenario, member),
            policy=policy_of(scenario, member),
            step_seconds=scenario.scenario.step_seconds,
            documents=member.documents if read else (),
            memories=load_smallville_memories(member.memories)[0]
            if read and member.memories
            else (),
            upkeep=maintenance_of(scenario, member),
        )
        for member in scenario.people
    ]


def _planner(scenario: Scenario, member: PersonEntry) -> Planner:
    minds = scenario.minds
    name = member.planner or minds.planner
    if name != "daily":
        return planner_by_name(name, minds.settings)
    build_settings(Daily, minds.daily, f"{scenario.source}: [minds.daily]")
    return planner_by_name(name, minds.daily)


def maintenance_of(scenario: Scenario, member: PersonEntry) -> Maintenance:
    """What a person's memory does each night."""
    found = _merge_settings(Maintenance, scenario, member, "memory")
    _ = found.compaction_budget  # what is out of range is said before anything is begun
    return found


def policy_of(scenario: Scenario, member: PersonEntry) -> Policy:
    """What a person may do with its tools."""
    return _merge_settings(Policy, scenario, member, "policy")


def _merge_settings(cls: type[T], scenario: Scenario, member: PersonEntry, key: str) -> T:
    """What [minds] says under a key, a person's own settings laid over it."""
    common, own = getattr(scenario.minds, key) or {}, getattr(member, key) or {}
    return build_settings(
        cls, {**common, **own}, f"{scenario.source}: {member.persona.name}: {key}"
    )


def _tools(scenario: Scenario, member: PersonEntry) -> list[AnyTool]:
    names = scenario.minds.tools if member.tools is None else member.tools
    return [tool_by_name(name) for name in names]


def _code_names(scenario: Scenario) -> list[str]:
    """The names by which a module beside the scenario file may be meant."""
    minds = scenario.minds
    names = [scenario.world.kind, minds.planner, *minds.tools]
    for member in scenario.people:
        names += [member.planner, *(member.tools or ())]
    # Planners name others in their settings; any text with a colon there may be such a name.
    return [name for name in [*names, *_texts(minds.settings)] if re.fullmatch(r"[\w.]+:\w+", name)]


def _texts(data: Json) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list | tuple):
        for part in data.values() if isinstance(data, dict) else data:
            yield from _texts(part)


def allow_sibling_modules(scenario: Scenario) -> None:
    """Let modules beside the scenario file be imported by their names, after all others: its
    world, planners and tools may stand there. Not where such code is not allowed."""
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
    """The scenario's world. A town's map is kept in the store, so that a run can be
    resumed and looked at without the map's file."""
    allow_sibling_modules(scenario)
    table, heading = scenario.world, scenario.scenario
    if table.kind in ("town", "smallville"):
        return Town(
            stored_map(store) or _store_map(scenario, store),
            start=scenario.start,
            step_seconds=heading.step_seconds,
            speed=table.speed,
            most_lines=table.max_lines,
        )
    if table.kind == "places":
        return Places(
            load_places({"name": scenario.world_name, "places": _places_with_ways(scenario)}),
            start=scenario.start,
            step_seconds=heading.step_seconds,
            speed=table.speed,
            most_lines=table.max_lines,
        )
    return _world_by_name(scenario)


def _world_by_name(scenario: Scenario) -> World:
    """A world of the user's own: ``package.module:function``."""
    table, where = scenario.world, f"{scenario.source}: [world]"
    module, _, attribute = table.kind.partition(":")
    if not attribute or not module or module.startswith("."):
        raise SettingError(
            f"{where} kind '{table.kind}' is unknown{did_you_mean(table.kind, WORLD_KINDS)}; "
            f"use {', '.join(WORLD_KINDS)} or 'package.module:function'"
        )
    try:
        make = getattr(import_named_module(table.kind, f"{where} kind"), attribute)
    except (ImportError, AttributeError) as error:
        raise SettingError(
            f"{where} kind '{table.kind}': {error}; mend the name, or put {module}.py beside the "
            "scenario file"
        ) from error
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


def _places_with_ways(scenario: Scenario) -> list[Json]:
    """[world] places, each with the ways that [world] paths give it."""
    table = scenario.world
    rows = []
    for place in table.places:
        if not isinstance(place, dict):
            raise MapError(
                f"{scenario.source}: [world] places: {place!r} is no table; "
                "write it as { name = 'kitchen', objects = ['stove'] }"
            )
        rows.append({**place, "ways": [*place.get("ways", ())]})
    ways = {str(row.get("name")): row["ways"] for row in rows}
    for path in table.paths:
        where = f"{scenario.source}: [world] paths: {path!r}"
        if not isinstance(path, list | tuple) or len(path) != 2:
            raise MapError(f"{where} must be a pair of places")
        for end in map(str, path):
            if end not in ways:
                raise MapError(f"{where}: no place '{end}'{did_you_mean(end, ways)}; mend the name")
        ways[str(path[0])].append(path[1])
    return rows


def _store_map(scenario: Scenario, store: Store) -> TownMap:
    path = Path(scenario.world.map)
    if not scenario.world.map:
        raise MapError(f"{scenario.source}: [world] kind '{scenario.world.kind}' needs a map = ...")
    town = load_smallville_map(path) if path.is_dir() else load_tiled(path)
    with store.transaction():
        store.put("map", store.intern_text(canonical(to_json(town))))
    return town


def stored_map(store: Store) -> TownMap | None:
    """The town map kept in a run, or None when its world has none."""
    key = store.get("map")
    if not key:
        return None
    return decode_json(
        store, "the map", lambda data: from_json(TownMap, data), store.interned_text(key)
    )


def _plan_inputs(simulation: Simulation, scenario: Scenario) -> None:
    """Enter the scenario's own inputs at the steps of their times."""
    for planned in scenario.inputs:
        where = f"{scenario.source}: [[inputs]] at {planned.at}"
        step = simulation.clock.steps_until(parse_scenario_time(planned.at, where))
        try:
            simulation.plan(step, planned.input, planned=True)
        except SettingError as error:
            raise SettingError(f"{where}: {error}") from error


def stored_scenario(store: Store) -> Scenario:
    """The scenario a run was started with, with its latest cap on tokens. Raises RunError
    when it was not built from one."""
    start = store.get("start")
    if not start:
        raise RunError(f"{store.name}: the run was never begun; delete its folder and run anew")
    about = start.get("about")
    if not about:
        raise RunError(
            f"{store.name}: the run was not started from a scenario; take it up in Python "
            "with Simulation(world, agents, store=Store(path))"
        )
    text = canonical({key: value for key, value in about.items() if key != "map"})
    found = decode_json(store, "its scenario", lambda data: from_json(Scenario, data), text)
    source = Path(store.get("folder") or "") / found.source
    return replace(
        found,
        model=replace(found.model, max_tokens_per_day=store.get(CAP_KEY, 0)),
        source=str(source) if source.is_absolute() and source.is_file() else found.source,
    )
