"""A run in the generative agents' format of a finished run: movement, minds, memories.

What their format has no word for is left out: why somebody did something, routines, the
moment of a line, and visitors but for their lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from ..core import AgentId, AgentState, Json, MapError, Persona, Time
from ..world import TownMap
from .conversing import ConversationCollector
from .matrix import write_rows
from .remembering import write_associative_memory
from .tables import RunSpan

_TIME = "%B %d, %Y, %H:%M:%S"
_MINUTES_PER_DAY = 24 * 60


def write_smallville_run(span: RunSpan, town: TownMap, folder: Path, maze: Path) -> None:
    """Write the run's folder, and the persons' first facts into the map's folder ``maze``."""
    folder.mkdir()
    people = span.run.people
    steps = {str(step): moved for step, moved in enumerate(_movements(span))}
    _write(folder / "master_movement.json", steps)
    meta = {
        "fork_sim_code": folder.name,
        "start_date": f"{span.clock.start:%B %d, %Y}",
        "curr_time": f"{span.end:{_TIME}}",
        "sec_per_step": span.clock.step_seconds,
        "maze_name": maze.name,
        "persona_names": list(people),
        "step": span.steps,
    }
    _write(folder / "meta.json", meta)
    # The facts of a person stand in one cell, with a semicolon between two.
    whispers = [
        (name, "; ".join(fact.replace(";", ",") for fact in one.facts))
        for name, one in people.items()
    ]
    file = maze / f"agent_history_init_n{len(people)}.csv"
    write_rows(file, [("Name", "Whisper"), *whispers])
    bodies = _last_bodies(span)
    for name, persona in people.items():
        memory = folder / "personas" / name / "bootstrap_memory"
        memory.mkdir(parents=True)
        _write(memory / "scratch.json", _scratch(span, persona, town, bodies[name]))
        _write(memory / "spatial_memory.json", _spatial_memory(persona, town))
        write_associative_memory(span, name, memory / "associative_memory")


def _write(path: Path, data: Json) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")


def _last_bodies(span: RunSpan) -> dict[AgentId, list[Json]]:
    found: dict[AgentId, list[Json]] = {}
    for entry in span.entries():
        found.update(entry["bodies"])
    return found


# -- movement ---------------------------------------------------------------------------


def _movements(span: RunSpan) -> Iterator[dict[AgentId, Json]]:
    """For every step what changed for whom; at the first step everybody."""
    chats, inside = _chats(span)
    people = list(span.run.people)
    bodies: dict[AgentId, list[Json]] = {}
    shown: dict[AgentId, Json] = {}
    for entry in span.entries():
        bodies.update(entry["bodies"])
        moved = {}
        for who in people:
            talk = inside.get((entry["step"], who))
            now = _movement(bodies[who], chats.get(talk) if talk else None)
            if shown.get(who) != now:
                moved[who] = shown[who] = now
        yield moved


def _movement(body: list[Json], chat: Json) -> Json:
    x, y, place, doing, emoji, target = body
    return {
        "movement": [x, y],
        "pronunciatio": emoji,
        # What follows the first " @ " is read as the place.
        "description": f"{doing.replace(' @ ', ' at ')} @ {target or place}",
        "chat": chat,
    }


def _chats(span: RunSpan) -> tuple[dict[str, Json], dict[tuple[int, AgentId], str]]:
    """The lines of every conversation, and which one a person is in at a step.

    Talks knows to which conversation a line belongs; so to find out who is in which, a
    second one is told at every step that everybody said something.
    """
    talks, roll = ConversationCollector(), ConversationCollector()
    call = [{"kind": "said", "subject": who, "text": ""} for who in span.run.people]
    for entry in span.entries():
        talks.add_events(entry["step"], entry["events"])
        roll.add_events(entry["step"], [one for one in entry["events"] if one["kind"] == "talk"])
        roll.add_events(entry["step"], call)
    chats = {talk.id: [[who, text] for _, who, text in talk.lines] for talk in talks.all}
    return chats, {(step, who): talk.id for talk in roll.all for step, who, _ in talk.lines}


# -- a person ---------------------------------------------------------------------------


def _scratch(span: RunSpan, persona: Persona, town: TownMap, body: list[Json]) -> Json:
    """The file's fields in their order; what only their own loop needs has its start value."""
    states = [state for _, state in span.states(persona.name)]
    state = states[-1] if states else AgentState()
    x, y, place, doing, emoji, target = body
    first, _, last = persona.name.partition(" ")
    slot = state.doing
    schedule = _schedule(state, persona)
    return {
        "vision_r": persona.vision,
        "att_bandwidth": persona.attention,
        "retention": persona.retention,
        "curr_time": f"{span.end:{_TIME}}",
        "curr_tile": [x, y],
        "daily_plan_req": persona.daily,
        "name": persona.name,
        "first_name": first,
        "last_name": last,
        "age": persona.age,
        "innate": persona.traits,
        "learned": persona.background,
        "currently": state.currently or persona.currently,
        "lifestyle": persona.lifestyle,
        "living_area": _living_area(persona, town, place),
        "concept_forget": 100,
        "daily_reflection_time": 180,
        "daily_reflection_size": 5,
        "overlap_reflect_th": 4,
        "kw_strg_event_reflect_th": 10,
        "kw_strg_thought_reflect_th": 9,
        "recency_w": 1,
        "relevance_w": 1,
        "importance_w": 1,
        "recency_decay": persona.recency_decay,
        "importance_trigger_max": persona.reflect_after,
        "importance_trigger_curr": state.reflect_left,
        "importance_ele_n": 0,
        "thought_count": 5,
        "daily_req": list(state.plan),
        "f_daily_schedule": schedule,
        "f_daily_schedule_hourly_org": schedule,
        "act_address": target or place,
        "act_start_time": f"{slot.start if slot else span.end:{_TIME}}",
        "act_duration": slot.minutes if slot else 0,
        "act_description": doing,
        "act_pronunciatio": emoji,
        "act_event": [persona.name, "is", doing],
        "act_obj_description": None,
        "act_obj_pronunciatio": None,
        "act_obj_event": [persona.name, None, None],
        "chatting_with": None,
        "chat": None,
        "chatting_with_buffer": _cooldowns(span, state),
        "chatting_end_time": None,
        "act_path_set": False,
        "planned_path": [],
    }


def _cooldowns(span: RunSpan, state: AgentState) -> dict[AgentId, int]:
    """For how many more steps not to talk with whom."""
    step = timedelta(seconds=span.clock.step_seconds)
    return {who: max(0, -((span.end - until) // step)) for who, until in state.cooldowns.items()}


def _living_area(persona: Persona, town: TownMap, place: str) -> str:
    """The home; who has none lives where it is, for the format knows no homeless."""
    try:
        return town.find_address(persona.home or place)
    except MapError:
        return place


def _schedule(state: AgentState, persona: Persona) -> list[Json]:
    """[what, minutes] from midnight to midnight; what is not planned is sleep or idling."""
    slots = sorted(state.schedule, key=lambda slot: slot.start)
    if not slots:
        return []
    midnight = slots[0].start.replace(hour=0, minute=0, second=0, microsecond=0)
    rows: list[Json] = []
    at = 0
    for slot in slots:
        start, end = _minutes(midnight, slot.start), _minutes(midnight, slot.start) + slot.minutes
        at = _fill_gap(rows, persona, at, start)
        if end > at and at < _MINUTES_PER_DAY:
            rows.append([slot.doing, min(end, _MINUTES_PER_DAY) - at])
            at = min(end, _MINUTES_PER_DAY)
    _fill_gap(rows, persona, at, _MINUTES_PER_DAY)
    return rows


def _minutes(midnight: Time, at: Time) -> int:
    return int((at - midnight).total_seconds() // 60)


def _fill_gap(rows: list[Json], persona: Persona, at: int, until: int) -> int:
    """Fill the time up to ``until``; the minute it is then."""
    until = min(until, _MINUTES_PER_DAY)
    if until <= at:
        return at
    rows.append(["sleeping" if persona.sleeps_at(at) else "idle", until - at])
    return until


def _spatial_memory(persona: Persona, town: TownMap) -> Json:
    """World -> sector -> arena -> objects of all that a person knows; all where it knows
    no bounds."""
    known = tuple(
        town.find_address(address) for address in persona.knows if _is_known_address(town, address)
    )
    tree: dict[str, dict[str, list[str]]] = {}
    for address in town.addresses:
        if known and not any(f"{address}:".startswith(f"{one}:") for one in known):
            continue
        _, sector, arena, *thing = address.split(":")
        tree.setdefault(sector, {}).setdefault(arena, []).extend(thing)
    return {town.world: tree}


def _is_known_address(town: TownMap, address: str) -> bool:
    try:
        town.find_address(address)
    except MapError:
        return False
    return True
