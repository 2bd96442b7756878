"""Writes a run in Smallville's format of a finished run: movements, personas, memories and map.

Left out, since the format has no place for it: reasons of actions, routines, times of lines, and
visitors except for their lines.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

from ..core import Address, AgentId, AgentState, Json, MapError, Persona, Record, Time
from ..memory.storage import read_records
from ..simulation import ConversationCollector
from ..world import TownMap
from .csv_tables import RunSpan

_TIME = "%B %d, %Y, %H:%M:%S"
_MINUTES_PER_DAY = 24 * 60


def write_smallville_run(span: RunSpan, town: TownMap, folder: Path, maze: Path) -> None:
    """Write the run's folder, and the personas' initial facts into the map's folder ``maze``."""
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
    # The facts of a person share one cell, separated by semicolons.
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
    bodies: dict[AgentId, list[Json]] = {}
    for entry in span.entries():
        bodies.update(entry["bodies"])
    return bodies


# -- movement ---------------------------------------------------------------------------


def _movements(span: RunSpan) -> Iterator[dict[AgentId, Json]]:
    """For every step the changes by person; at the first step all persons."""
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
        # The text after the first " @ " is read as the place.
        "description": f"{doing.replace(' @ ', ' at ')} @ {target or place}",
        "chat": chat,
    }


def _chats(span: RunSpan) -> tuple[dict[str, Json], dict[tuple[int, AgentId], str]]:
    """The lines of every conversation, and the conversation of each person by step.

    ConversationCollector assigns lines to conversations. To find each person's conversation, a
    second collector gets a line of every person at every step.
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
    """The fields of scratch.json in order; fields that only Smallville's own loop uses have their
    start values."""
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
    step = timedelta(seconds=span.clock.step_seconds)
    return {who: max(0, -((span.end - until) // step)) for who, until in state.cooldowns.items()}


def _living_area(persona: Persona, town: TownMap, place: str) -> str:
    """The home, or the current place of a person without one, since the format requires it."""
    return _known_address(town, persona.home or place) or place


def _schedule(state: AgentState, persona: Persona) -> list[Json]:
    """[activity, minutes] from midnight to midnight; unplanned time is sleep or idling."""
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
    """Append a row for the time from ``at`` to ``until``; returns the minute at its end."""
    until = min(until, _MINUTES_PER_DAY)
    if until <= at:
        return at
    rows.append(["sleeping" if persona.sleeps_at(at) else "idle", until - at])
    return until


def _spatial_memory(persona: Persona, town: TownMap) -> Json:
    """World -> sector -> arena -> objects of all known places; of the whole map if the persona has
    no list of known places."""
    known = [found for address in persona.knows if (found := _known_address(town, address))]
    tree: dict[str, dict[str, list[str]]] = {}
    for address in town.addresses:
        if known and not any(f"{address}:".startswith(f"{one}:") for one in known):
            continue
        _, sector, arena, *thing = address.split(":")
        tree.setdefault(sector, {}).setdefault(arena, []).extend(thing)
    return {town.world: tree}


def _known_address(town: TownMap, address: str) -> Address | None:
    """An address as the map spells it; None if it is not on the map."""
    try:
        return town.find_address(address)
    except MapError:
        return None


BlockRow: TypeAlias = tuple[str, ...]
"""The cells of a row of ``special_blocks`` after its id: world, enclosing places, name."""

# The id of blocked tiles: Smallville's path finder accepts no other.
_COLLISION_ID = 32125
_FIRST_ID = 32134


def write_smallville_map(town: TownMap, folder: Path) -> None:
    """Write a map in Smallville's format (read by ``denizens.world.load_smallville_map``).

    The format stores blocked tiles, addresses and spawn points, but no kinds of ground and
    pictures.
    """
    maze, special = folder / "matrix" / "maze", folder / "matrix" / "special_blocks"
    maze.mkdir(parents=True)
    special.mkdir()
    info = {
        "world_name": town.world,
        "maze_width": town.width,
        "maze_height": town.height,
        "sq_tile_size": town.tile,
        "special_constraint": "",
    }
    _write(folder / "matrix" / "maze_meta_info.json", info)
    write_rows(special / "world_blocks.csv", [(_FIRST_ID, town.world)])
    _write_ids(maze / "collision_maze.csv", [_COLLISION_ID if shut else 0 for shut in town.blocked])
    first = _FIRST_ID + 1
    for name, blocks in _layers(town).items():
        ids: dict[BlockRow, int] = {}
        for block in blocks:
            if block is not None:
                ids.setdefault(block, first + len(ids))
        first += len(ids)
        write_rows(special / f"{name}_blocks.csv", [(i, *block) for block, i in ids.items()])
        cells = [0 if block is None else ids[block] for block in blocks]
        _write_ids(maze / f"{name}_maze.csv", cells)


def _layers(town: TownMap) -> dict[str, list[BlockRow | None]]:
    """For every layer the block of each tile, None without one."""
    world = town.world
    tiles = list(zip(town.sectors, town.arenas, town.objects))
    spawns = {town.index(*spawn.at): spawn.name for spawn in town.spawns}
    return {
        "sector": [(world, sector) if sector else None for sector, _, _ in tiles],
        "arena": [(world, sector, arena) if arena else None for sector, arena, _ in tiles],
        "game_object": [(world, "<all>", thing) if thing else None for _, _, thing in tiles],
        "spawning_location": [
            (world, sector, arena, spawns[i]) if i in spawns else None
            for i, (sector, arena, _) in enumerate(tiles)
        ],
    }


def _write_ids(path: Path, ids: list[int]) -> None:
    # The original reads a single row, independent of the map's width.
    path.write_text(", ".join(map(str, ids)), encoding="utf-8")


def write_rows(path: Path, rows: Iterable[tuple[object, ...]]) -> None:
    """Write rows to a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


_NODE_TYPES = {
    "observation": "event",
    "utterance": "chat",
    "thought": "thought",
    "plan": "thought",
    "document": "thought",
    "summary": "thought",
}
_THOUGHT_LIFETIME = timedelta(days=30)


def write_associative_memory(span: RunSpan, agent: AgentId, folder: Path) -> None:
    """Write an agent's records as nodes, embeddings and keyword strengths;
    ``denizens.memory.load_smallville_memories`` reads the first two. A record without an embedding
    has none in the file."""
    folder.mkdir()
    records = span.records(agent)
    counts: Counter[str] = Counter()
    nodes: dict[str, Json] = {}
    strength: dict[str, Counter[str]] = {"event": Counter(), "thought": Counter()}
    for record in records:
        kind = _NODE_TYPES[record.kind]
        counts[kind] += 1
        node = _node(record, agent, kind, counts[kind])
        nodes[_node_name(record.id)] = node
        if kind in strength and f"{node['predicate']} {node['object']}" != "is idle":
            strength[kind].update(word.lower() for word in node["keywords"])
    # Newest first, as in the files of the original.
    _write_compact(folder / "nodes.json", dict(reversed(nodes.items())))
    _write_compact(folder / "embeddings.json", _embeddings(span, agent))
    words = {f"kw_strength_{kind}": dict(counted) for kind, counted in strength.items()}
    _write_compact(folder / "kw_strength.json", words)


def _write_compact(path: Path, data: Json) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")


def _node_name(number: int) -> str:
    return f"node_{number}"


def _node(record: Record, agent: AgentId, kind: str, number: int) -> Json:
    subject = record.subject or record.who or agent
    predicate = "plan" if record.kind == "plan" else record.predicate
    ends = record.created + _THOUGHT_LIFETIME if kind == "thought" else None
    return {
        "node_count": record.id,
        "type_count": number,
        "type": kind,
        "depth": record.depth,
        "created": f"{record.created:%Y-%m-%d %H:%M:%S}",
        "expiration": f"{ends:%Y-%m-%d %H:%M:%S}" if ends else None,
        "subject": subject,
        "predicate": predicate,
        "object": record.object,
        "description": record.text,
        "embedding_key": record.text,
        "poignancy": record.importance,
        "keywords": _keywords(subject, record.object),
        # The filling of a chat are its lines, of other nodes their evidence.
        "filling": [[subject, record.text]]
        if kind == "chat"
        else [_node_name(one) for one in record.evidence],
    }


def _keywords(*parts: str) -> list[str]:
    return list(dict.fromkeys(part.rpartition(":")[2] for part in parts if part))


def _embeddings(span: RunSpan, agent: AgentId) -> dict[str, Sequence[float]]:
    import numpy as np

    embeddings: dict[str, Sequence[float]] = {}
    for row in read_records(span.run.store, agent):
        if row.step < span.steps and row.vector is not None:
            # Nine digits represent every float32 exactly.
            numbers = np.frombuffer(row.vector, "<f4").tolist()
            embeddings[row.record.text] = [float(f"{number:.9g}") for number in numbers]
    return embeddings
