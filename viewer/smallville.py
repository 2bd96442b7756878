"""A finished Smallville run as page data: movement, minds and map of its folder.

A run's folder holds ``meta.json``, ``master_movement.json`` and ``personas/NAME/
bootstrap_memory``; the map lies in a folder named by the run's ``maze_name``, beside it.
Such a run keeps no prompts and no options, so the page shows what was done, said, planned
and thought, not what was asked.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..core import Json, Persona, RunError, read_settings
from .data import Act, Memory, PageData, PersonData, Plan, PlanSlot, TalkData
from .landscape import Land, Tile, landscape
from .scenery import scenery
from .story import headlines

_DAY = "%B %d, %Y"
_KINDS = {"event": "observation", "chat": "utterance", "thought": "thought"}


@dataclass(frozen=True, slots=True)
class _Clock:
    start: datetime
    seconds: int

    def step(self, moment: datetime) -> int:
        return int((moment - self.start).total_seconds()) // self.seconds

    def minute(self, step: int) -> int:
        """Minutes after midnight."""
        passed = self.start.hour * 60 + self.start.minute + step * self.seconds // 60
        return passed % (24 * 60)


def from_smallville(folder: Path | str, maps: Path | str | None = None) -> PageData:
    """The finished run in ``folder`` as page data.

    ``maps`` is the map's folder; without it the folder beside the run that bears the map's
    name. Raises RunError naming the file that is missing or cannot be read.
    """
    run = Path(folder)
    meta = _read(run / "meta.json")
    try:
        start = datetime.strptime(meta["start_date"], _DAY)
        clock = _Clock(start, int(meta["sec_per_step"]))
        names = tuple(str(name) for name in meta["persona_names"])
        home = Path(maps) if maps is not None else run.resolve().parent / meta["maze_name"]
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{run / 'meta.json'}: not a Smallville run ({error!r}); it needs start_date, "
            "sec_per_step, persona_names and maze_name"
        ) from error
    movement = _movement(run / "master_movement.json")
    people = tuple(_person(run, name, movement, clock) for name in names)
    talks = _talks(movement)
    moves = sum(len(person.track) - 1 for person in people)
    return PageData(
        title=f"A day in {_title(meta['maze_name'])}",
        subtitle=run.name,
        start=start,
        step_seconds=clock.seconds,
        steps=max(int(meta.get("step", 0)), len(movement)),
        map=landscape(load_land(home)),
        people=people,
        talks=talks,
        headlines=headlines(people, talks),
        figures={"moves": moves, "memories": sum(len(person.memories) for person in people)},
    )


def load_land(folder: Path) -> Land:
    """A Smallville map folder (``matrix`` and, where it has one, the Tiled file)."""
    matrix = folder / "matrix"
    info = _read(matrix / "maze_meta_info.json")
    width, height = int(info["maze_width"]), int(info["maze_height"])
    sectors = _layer(matrix, "sector", width)
    arenas = _layer(matrix, "arena", width)
    things = _layer(matrix, "game_object", width)
    sector_of = {tile: name for name, tiles in sectors.items() for tile in tiles}
    arena_of = {tile: name for name, tiles in arenas.items() for tile in tiles}
    objects: dict[str, set[Tile]] = {}
    for name, tiles in things.items():
        for tile in tiles:
            place = arena_of.get(tile) or sector_of.get(tile) or ""
            objects.setdefault(f"{place}:{name.rsplit(':', 1)[-1]}", set()).add(tile)
    blocked = frozenset(
        (at % width, at // width)
        for at, cell in enumerate(_cells(matrix / "maze" / "collision_maze.csv"))
        if cell != "0"
    )
    tiled = sorted(folder.glob("*.json"))
    return Land(
        width=width,
        height=height,
        blocked=blocked,
        sectors=sectors,
        arenas=arenas,
        objects={address: frozenset(tiles) for address, tiles in objects.items()},
        hints=scenery(_read(tiled[0]), blocked, frozenset(arena_of)) if tiled else {},
    )


def _layer(matrix: Path, kind: str, width: int) -> dict[str, frozenset[Tile]]:
    with (matrix / "special_blocks" / f"{kind}_blocks.csv").open(encoding="utf-8") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    names = {row[0]: ":".join(cell for cell in row[1:] if cell != "<all>") for row in rows}
    found: dict[str, set[Tile]] = {}
    for at, cell in enumerate(_cells(matrix / "maze" / f"{kind}_maze.csv")):
        if cell in names:
            found.setdefault(names[cell], set()).add((at % width, at // width))
    return {name: frozenset(tiles) for name, tiles in found.items()}


def _cells(path: Path) -> list[str]:
    try:
        return [cell.strip() for cell in path.read_text(encoding="utf-8").split(",")]
    except OSError as error:
        raise RunError(f"{path}: cannot be read; the map's folder must be whole") from error


def _read(path: Path) -> Json:
    return read_settings(path)


def _movement(path: Path) -> dict[int, Mapping[str, Json]]:
    return {int(step): moves for step, moves in _read(path).items()}


def _person(
    run: Path, name: str, movement: Mapping[int, Mapping[str, Json]], clock: _Clock
) -> PersonData:
    folder = run / "personas" / name / "bootstrap_memory"
    persona = Persona.load(folder / "scratch.json")
    memories = tuple(_memories(folder / "associative_memory" / "nodes.json", clock))
    acts = tuple(_acts(name, movement))
    track: list[tuple[int, int, int]] = []
    for step, moves in movement.items():
        if name in moves:
            x, y = moves[name]["movement"]
            if not track or track[-1][1:] != (x, y):
                track.append((step, x, y))
    if not track:
        raise RunError(f"{run}: {name} has no movement; the run's folder is not whole")
    return PersonData(
        id=name,
        persona={
            "age": str(persona.age),
            "traits": persona.traits,
            "background": persona.background,
            "currently": persona.currently,
            "lifestyle": persona.lifestyle,
            "home": persona.home,
        },
        track=track,
        acts=acts,
        plans=tuple(_plans(acts, memories, clock)),
        memories=memories,
    )


def _acts(name: str, movement: Mapping[int, Mapping[str, Json]]) -> Iterator[Act]:
    last = None
    for step, moves in movement.items():
        if name not in moves:
            continue
        doing, _, place = moves[name]["description"].partition(" @ ")
        now = (doing, moves[name]["pronunciatio"], "" if place.startswith("<") else place)
        if now != last:
            last = now
            yield Act(step, *now, asleep=doing.startswith("sleeping"))


def _memories(path: Path, clock: _Clock) -> Iterator[Memory]:
    nodes = _read(path)
    for name, node in sorted(nodes.items(), key=lambda item: int(item[1]["node_count"])):
        kind = _KINDS[node["type"]]
        text = str(node["description"])
        if kind == "thought" and text.startswith("This is ") and " plan for " in text:
            kind = "plan"
        filling = node["filling"] or []
        rests_on = [filling] if isinstance(filling, str) else filling
        yield Memory(
            id=_node(name),
            step=clock.step(datetime.fromisoformat(node["created"])),
            kind=kind,
            text=text,
            importance=float(node["poignancy"]),
            depth=int(node["depth"]),
            who=str(node["subject"]),
            evidence=tuple(_node(other) for other in rests_on if _is_node(other)),
        )


def _is_node(name: object) -> bool:
    return isinstance(name, str) and name.startswith("node_")


def _node(name: str) -> int:
    return int(name.removeprefix("node_"))


def _plans(acts: tuple[Act, ...], memories: tuple[Memory, ...], clock: _Clock) -> Iterator[Plan]:
    """One plan a day. The run keeps the hours of its last day only, so the hours shown are
    those that the actions name ("having lunch (eating his food)" belongs to "having lunch")."""
    broad = {memory.step: memory.text for memory in memories if memory.kind == "plan"}
    day = 24 * 3600 // clock.seconds
    for first in range(0, (acts[-1].step if acts else 0) + 1, day):
        slots: list[PlanSlot] = []
        for act in (act for act in acts if first <= act.step < first + day):
            doing = act.doing.partition(" (")[0]
            if doing.startswith("conversing") or (slots and slots[-1].doing == doing):
                continue
            slots.append(PlanSlot(clock.minute(act.step), 0, doing, act.place))
        ends = [slot.minute for slot in slots[1:]] + [24 * 60]
        timed = tuple(
            PlanSlot(slot.minute, end - slot.minute, slot.doing, slot.place)
            for slot, end in zip(slots, ends)
        )
        said = [text for step, text in broad.items() if first <= step < first + day]
        yield Plan(first, tuple(stroke for text in said for stroke in _strokes(text)), timed)


def _strokes(text: str) -> list[str]:
    told = text.partition(":")[2].strip().rstrip(".")
    return [stroke.strip() for stroke in told.split(", ") if stroke.strip()]


def _talks(movement: Mapping[int, Mapping[str, Json]]) -> tuple[TalkData, ...]:
    """Conversations; the run keeps no time for a line, so lines are spread evenly."""
    spans: dict[str, tuple[int, int, set[str], str]] = {}
    running: dict[str, str] = {}
    placed: dict[str, str] = {}
    for step, moves in movement.items():
        for name, seen in moves.items():
            where = seen["description"].partition(" @ ")[2]
            placed[name] = placed.get(name, "") if where.startswith("<") else where
            key = json.dumps(seen["chat"]) if seen["chat"] else ""
            ended = running.pop(name, "")
            if ended and ended != key:
                start, _, members, place = spans[ended]
                spans[ended] = (start, step, members, place)
            if key:
                running[name] = key
                start, _, members, place = spans.get(key, (step, step, set(), ""))
                place = place or placed.get(name, "")
                spans[key] = (start, step, members | {name}, place)
    talks = []
    for number, (key, (start, end, members, place)) in enumerate(spans.items(), 1):
        said = json.loads(key)
        every = max(1, end - start) / max(1, len(said))
        lines = tuple((start + int(at * every), who, text) for at, (who, text) in enumerate(said))
        talks.append(
            TalkData(
                id=str(number),
                start=start,
                end=end,
                members=tuple(sorted(members)),
                place=place,
                lines=lines,
            )
        )
    return tuple(talks)


def _title(name: str) -> str:
    return " ".join(word.capitalize() for word in name.split("_"))
