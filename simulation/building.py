"""From a scenario to a simulation that can run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from ..agents import Agent
from ..core import (
    AgentId,
    Clock,
    Input,
    Json,
    Model,
    RunError,
    SettingError,
    Time,
    World,
    canonical,
    from_json,
    nearest,
    to_json,
)
from ..memory import Memory
from ..planners import planner_by_name
from ..store import Store
from ..world import Town, TownMap, load_places, load_smallville_map, load_tiled
from .scenario import Scenario, moment
from .simulation import Simulation

WORLDS = ("town", "smallville", "places")


def build(
    scenario: Scenario,
    *,
    store: Store,
    model: Model | None = None,
    progress: Callable[[str], None] | None = None,
) -> Simulation:
    """The simulation of a scenario, writing to ``store``.

    A store that already holds the run is taken up where it ended. ``model`` overrides the
    scenario's. Raises SettingError, MapError or ModelError for what cannot be built.
    """
    made = model if model is not None else load_minds(scenario)
    world = make_world(scenario, store)
    agents = make_agents(scenario, store, made)
    starts = {m.persona.name: m.start for m in scenario.people if m.start is not None}
    fresh = store.get("start") is None
    simulation = Simulation(
        world,
        agents,
        seed=scenario.scenario.seed,
        clock=clock_of(scenario),
        store=store,
        starts=starts,
        about=scenario.as_json(),
    )
    if fresh:
        _plan_inputs(simulation, scenario)
    return simulation


def load_minds(scenario: Scenario) -> Model:
    """The model of a scenario, loaded."""
    from ..models import model_from_name

    table = scenario.model
    return model_from_name(
        table.name,
        device=table.device,
        dtype=table.dtype,
        embedder=table.embedder,
        exact=table.exact,
    )


def clock_of(scenario: Scenario) -> Clock:
    """The scenario's clock."""
    seconds = scenario.scenario.step_seconds
    if seconds < 1:
        raise SettingError(f"{scenario.source}: [scenario] step_seconds must be at least 1")
    return Clock(scenario.start, seconds)


def make_agents(scenario: Scenario, store: Store, model: Model) -> list[Agent]:
    """An agent for every person of a scenario, all with ``model``."""
    minds = scenario.minds
    agents = []
    for member in scenario.people:
        name = member.planner or minds.planner
        settings = minds.daily if name == "daily" else minds.settings
        persona = member.persona
        agents.append(
            Agent(
                persona,
                model=model,
                memory=Memory(store, persona.name, rules=minds.rules, decay=persona.recency_decay),
                planner=planner_by_name(name, settings),
                tools=_tools(member.tools if member.tools is not None else minds.tools),
                step_seconds=scenario.scenario.step_seconds,
            )
        )
    return agents


def _tools(names: tuple[str, ...]) -> list[Callable[..., object]]:
    from ..tools import tool_by_name

    return [tool_by_name(name) for name in names]


def make_world(scenario: Scenario, store: Store) -> World:
    """The scenario's world. A town's map is kept in the store, so that a run can be
    resumed and looked at without the map's file."""
    table, heading = scenario.world, scenario.scenario
    if table.kind in ("town", "smallville"):
        return Town(
            stored_map(store) or _keep_map(scenario, store),
            start=scenario.start,
            step_seconds=heading.step_seconds,
            speed=table.speed,
            most_lines=table.max_lines,
        )
    if table.kind == "places":
        return load_places(
            {
                "name": heading.name,
                "places": [dict(place) for place in table.places],
                "paths": [list(path) for path in table.paths],
            },
            start=scenario.start,
            step_seconds=heading.step_seconds,
            most_lines=table.max_lines,
        )
    module, _, attribute = table.kind.partition(":")
    if not attribute:
        raise SettingError(
            f"{scenario.source}: [world] kind '{table.kind}' is unknown"
            f"{nearest(table.kind, WORLDS)}; use {', '.join(WORLDS)} or 'package.module:function'"
        )
    try:
        make = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SettingError(f"{scenario.source}: [world] kind '{table.kind}': {error}") from error
    world: World = make(**table.settings)
    return world


def _keep_map(scenario: Scenario, store: Store) -> TownMap:
    path = Path(scenario.world.map)
    if not scenario.world.map:
        raise SettingError(f"{scenario.source}: [world] needs map = 'file'")
    town = load_smallville_map(path) if path.is_dir() else load_tiled(path)
    with store.transaction():
        store.put("map", store.intern(canonical(to_json(town))))
    return town


def stored_map(store: Store) -> TownMap | None:
    """The town map kept in a run, or None when its world has none."""
    key = store.get("map")
    return from_json(TownMap, json.loads(store.text(key))) if key else None


def _plan_inputs(simulation: Simulation, scenario: Scenario) -> None:
    """Enter the scenario's own inputs at the steps of their times."""
    clock = simulation.clock
    for planned in scenario.inputs:
        at: Time = moment(planned.at, f"{scenario.source}: [[inputs]] at")
        if planned.kind not in ("whisper", "line", "event"):
            raise SettingError(
                f"{scenario.source}: [[inputs]] kind '{planned.kind}' is unknown; "
                "use whisper, line or event"
            )
        if planned.kind != "event" and planned.to not in simulation.agents:
            raise SettingError(f"{scenario.source}: [[inputs]] to '{planned.to}' is nobody here")
        simulation.journal.add_input(
            clock.steps_until(at),
            Input(
                kind=planned.kind,  # type: ignore[arg-type]
                to=planned.to,
                text=planned.text,
                who=planned.who,
                place=planned.place,
                fields=planned.fields,
            ),
        )


def stored_scenario(store: Store) -> Scenario:
    """The scenario a run was started with. Raises RunError when it was not built from one."""
    start: Mapping[AgentId, Json] | None = store.get("start")
    if not start or not start.get("about"):
        raise RunError(
            f"{store.name}: the run was not started from a scenario; take it up in Python "
            "with Simulation(world, agents, store=Store(path))"
        )
    return from_json(Scenario, start["about"])
