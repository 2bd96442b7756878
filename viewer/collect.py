"""One of our own runs as page data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..core import AgentId, AgentState, Clock, Json, RunError, ScheduleEntry
from ..simulation import Run
from ..simulation.failures import EMBEDDER_KINDS
from .asking import ask_data
from .conversing import ConversationCollector
from .data import (
    ActivityEntry,
    AskData,
    MapData,
    PageData,
    PersonData,
    PlanEntry,
    PlanEntrySlot,
    TextTable,
)
from .islands import GraphMap
from .landscape import draw_map, map_layers
from .people import memory_entry, persona_fields
from .spending import cost_data
from .story import select_headlines

BodyRow = list[Json]


def collect_page_data(run: Run | Path | str) -> PageData:
    """A run, finished or paused, as page data; ``run`` is an open Run or its folder.

    Raises RunError when there is no run, or none of its steps is committed.
    """
    if not isinstance(run, Run):
        with Run(run) as opened:
            return collect_page_data(opened)
    if not run.steps:
        raise RunError("the run has no committed step yet, so there is nothing to show; resume it")
    heading = run.scenario.scenario
    clock = Clock(run.scenario.start, heading.step_seconds)
    islands = None if run.town else GraphMap.of(run.scenario.world.places, run.scenario.world.paths)
    bodies: dict[AgentId, list[tuple[int, BodyRow]]] = {name: [] for name in run.people}
    whys: dict[AgentId, list[tuple[int, str]]] = {name: [] for name in run.people}
    talks = ConversationCollector()
    for entry in run.entries():
        for who, body in entry["bodies"].items():
            bodies.setdefault(who, []).append((entry["step"], body))
        for who, why in entry["whys"].items():
            whys.setdefault(who, []).append((entry["step"], why))
        talks.add_events(entry["step"], entry["events"])
    texts = TextTable()
    people = tuple(
        _person(run, clock, texts, name, shown, whys.get(name, []), islands)
        for name, shown in bodies.items()
        if shown
    )
    told = talks.all
    return PageData(
        title=heading.title or heading.name,
        subtitle=heading.about,
        start=clock.start,
        step_seconds=clock.step_seconds,
        steps=run.steps,
        map=_map_data(run, islands),
        people=people,
        talks=told,
        headlines=select_headlines(people, told),
        figures=_figures(run),
        texts=texts.all,
        costs=cost_data(run.usage(), clock, run.steps),
    )


def _map_data(run: Run, islands: GraphMap | None) -> MapData:
    town = run.town
    if town is not None:
        return draw_map(map_layers(town))
    return islands.map if islands is not None else GraphMap.of([], []).map


def _figures(run: Run) -> dict[str, Json]:
    counted = run.stats()
    shown = ("model_calls", "prompt_tokens", "generated_tokens")
    figures = {name: counted[name] for name in shown if counted.get(name)}
    failures = counted["failures"]
    if failures["failed"]:
        figures["failed"] = f"{failures['failed']} of {failures['asks']}"
    searches = [one for one in failures["kinds"] if one["kind"] in EMBEDDER_KINDS]
    if searches:
        figures["failed_recalls"] = sum(one["count"] for one in searches)
    if failures["refused"]:
        figures["refused"] = sum(failures["refused"].values())
    models = run.store.get("models") or {}
    names = sorted({str(one["name"]) for one in models.values() if one.get("name")})
    if names:
        figures["model"] = ", ".join(names)
    return figures


def _person(
    run: Run,
    clock: Clock,
    texts: TextTable,
    name: AgentId,
    shown: list[tuple[int, BodyRow]],
    whys: list[tuple[int, str]],
    islands: GraphMap | None,
) -> PersonData:
    persona = run.people.get(name)
    states = list(run.states(name)) if persona else []
    return PersonData(
        id=name,
        persona=persona_fields(persona) if persona else {"traits": "a person"},
        track=tuple(_track(name, shown, islands)),
        acts=tuple(_activities(shown, whys, states)),
        plans=tuple(_plans(states)),
        memories=tuple(memory_entry(record, clock) for record in run.memory(name).records())
        if persona
        else (),
        asks=tuple(_asks(run, name, texts)) if persona else (),
    )


def _track(
    name: AgentId, shown: list[tuple[int, BodyRow]], islands: GraphMap | None
) -> Iterator[tuple[float, float, float]]:
    last = None
    for step, (x, y, place, *_) in shown:
        spot = (x, y) if x is not None else islands.position(place, name) if islands else (0, 0)
        if spot != last:
            last = spot
            yield step, spot[0], spot[1]


def _activities(
    shown: list[tuple[int, BodyRow]],
    whys: list[tuple[int, str]],
    states: list[tuple[int, AgentState]],
) -> Iterator[ActivityEntry]:
    """An act for every change of what somebody does, where to, and why."""
    bodies, said, minds = dict(shown), dict(whys), dict(states)
    doing, place, emoji, why, asleep, last = "", "", "", "", False, None
    for step in sorted(bodies.keys() | said.keys() | minds.keys()):
        why = said.get(step, why)
        asleep = minds[step].asleep if step in minds else asleep
        if step in bodies:
            _, _, here, doing, emoji, target = bodies[step]
            place = target or here
        now = (doing, emoji, place, why, asleep)
        if doing and now != last:
            last = now
            yield ActivityEntry(step, *now)


def _plans(states: list[tuple[int, AgentState]]) -> Iterator[PlanEntry]:
    """A plan whenever it changes; a block that was split shows its finer actions."""
    last = None
    for step, state in states:
        if state.plan or state.schedule:
            now = (state.plan, tuple(_slot(slot) for slot in state.schedule))
            if now != last:
                last = now
                yield PlanEntry(step, *now)


def _slot(slot: ScheduleEntry) -> PlanEntrySlot:
    return PlanEntrySlot(
        slot.start.hour * 60 + slot.start.minute, slot.minutes, slot.doing, slot.place
    )


def _asks(run: Run, name: AgentId, texts: TextTable) -> Iterator[AskData]:
    """In the order in which they were asked: by step, round and place in the round."""
    rows = [row for row in run.asks(agent=name) if row.kind != "embed"]
    rows.sort(key=lambda row: (row.where.step, *map(int, row.where.path.split("."))))
    for row in rows:
        found = ask_data(row.where.step, row.ask, row.answer, texts)
        if found is not None:
            yield found
