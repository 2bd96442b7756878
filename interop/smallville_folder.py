"""Reads Smallville's simulation folders: base simulations, saved runs and finished runs."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from ..core import (
    Address,
    AgentId,
    Body,
    Json,
    MapError,
    Persona,
    SettingError,
    Time,
    normalize,
    read_settings,
    same_name,
)
from ..core.text import MONTH_NAMES
from ..world import Tile, TownMap, load_smallville_map, read_csv_rows

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SmallvilleMovement:
    """The change of one person at a step of a finished run.

    ``description`` is "activity @ address"; ``chat`` the whole conversation the person is in, as
    (speaker, text) in order, empty without one.
    """

    step: int
    who: AgentId
    at: Tile
    emoji: str
    description: str
    chat: tuple[tuple[AgentId, str], ...] = ()

    @property
    def doing(self) -> str:
        """The activity without the address."""
        return self.description.partition(" @ ")[0]


@dataclass(frozen=True, kw_only=True)
class SmallvilleFolder:
    """A Smallville folder: start time, personas and start tiles.

    ``steps`` is the number of steps of a saved or finished run, 0 for a base. ``start`` is the time
    of step 0. ``starts`` are the tiles at step 0, in a saved run those after its steps.
    ``map_folder`` is the folder of the map.
    """

    folder: Path
    start: Time
    step_seconds: int
    steps: int
    personas: tuple[Persona, ...]
    starts: dict[AgentId, Tile]
    map_folder: Path
    map: TownMap

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def is_finished_run(self) -> bool:
        """Whether the folder holds a finished run."""
        return self._movements.exists()

    @property
    def is_saved_run(self) -> bool:
        """Whether the folder holds an unfinished run, which can be continued."""
        return self.steps > 0 and not self.is_finished_run

    @property
    def current_time(self) -> Time:
        """The time after ``steps`` steps."""
        return self.start + timedelta(seconds=self.step_seconds * self.steps)

    def memory_folder(self, name: AgentId) -> Path:
        """The folder of a persona's memories; it may not exist."""
        return _folder_of(self.folder, name) / "bootstrap_memory" / "associative_memory"

    @property
    def _movements(self) -> Path:
        return self.folder / "master_movement.json"

    def bodies(self) -> tuple[Body, ...]:
        """The body of each persona, at its start tile."""
        return tuple(
            Body(
                persona.name,
                home=persona.home,
                start=self.starts[persona.name],
                vision=persona.vision,
                attention=persona.attention,
                knows=persona.knows,
            )
            for persona in self.personas
        )

    @cached_property
    def _deltas(self) -> dict[str, Json]:
        return read_settings(self._movements)

    def movements(self) -> Iterator[SmallvilleMovement]:
        """The changes of a finished run in order of steps; nothing for a base. Raises SettingError
        for a malformed file."""
        if not self.is_finished_run:
            return
        for step, changes in self._deltas.items():
            try:
                for who, what in changes.items():
                    x, y = what["movement"]
                    yield SmallvilleMovement(
                        int(step),
                        who,
                        (int(x), int(y)),
                        str(what["pronunciatio"] or ""),
                        str(what["description"] or ""),
                        tuple((str(name), str(text)) for name, text in what["chat"] or ()),
                    )
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise SettingError(
                    f"{self._movements}: step {step} is not well formed ({error!r}); "
                    "copy the file from the original once more"
                ) from error

    def conversations(self) -> tuple[tuple[SmallvilleMovement, ...], ...]:
        """The distinct conversations of a finished run in order, each as the movements of its
        members at its first step."""
        by_chat: dict[tuple[tuple[str, str], ...], list[SmallvilleMovement]] = {}
        for movement in self.movements():
            if movement.chat:
                members = by_chat.setdefault(movement.chat, [])
                if not members or members[0].step == movement.step:
                    members.append(movement)
        return tuple(tuple(members) for members in by_chat.values())


def read_smallville_folder(folder: Path | str) -> SmallvilleFolder:
    """Read a base simulation, a saved or a finished run, with its map from the folder beside it or
    from ``static_dirs/assets`` as in a checkout of the original.

    Personas get their known places from the spatial memory, and initial memories from the map's
    ``agent_history_init_*.csv`` that names most of them, except in a saved run, whose memories
    contain them. A persona in no such file has none, with a warning. Raises SettingError or
    MapError naming the file and the remedy.
    """
    home = Path(folder)
    file = home / "reverie" / "meta.json"
    if not file.exists():
        file = home / "meta.json"
    meta = read_settings(file)
    now, seconds, steps, names, maze = _read_meta(meta, file)
    try:
        start = now - timedelta(seconds=seconds * steps)
    except OverflowError as error:
        raise SettingError(
            f"{file}: {steps} steps of {seconds} s before {now} are beyond all calendars; change it"
        ) from error
    map_folder = _map_folder(home, maze, file)
    town = load_smallville_map(map_folder)
    _warn_of_others(home, names)
    saved = steps > 0 and not (home / "master_movement.json").exists()
    whispers = {} if saved else _initial_memories(map_folder, names)
    return SmallvilleFolder(
        folder=home,
        start=start,
        step_seconds=seconds,
        steps=steps,
        personas=tuple(_read_persona(home, name, town, whispers.get(name, ())) for name in names),
        starts=_saved_tiles(home, names, steps) if saved else _starts(home, names),
        map_folder=map_folder,
        map=town,
    )


def _warn_of_others(home: Path, names: list[str]) -> None:
    for memory in sorted((home / "personas").glob("*/bootstrap_memory")):
        if not any(same_name(memory.parent.name, name) for name in names):
            log.warning(
                "%s: is not among the persona_names of meta.json and does not live here; add it",
                memory.parent,
            )


def _map_folder(home: Path, maze: str, file: Path) -> Path:
    beside = home.resolve().parent
    places = (beside / maze, beside.parent / "static_dirs" / "assets" / maze)
    for folder in places:
        if folder.is_dir():
            return folder
    raise MapError(
        f"{file}: the map '{maze}' is neither at {places[0]} nor at {places[1]}; "
        f"put the map's folder beside {home}"
    )


def _read_meta(meta: dict[str, Json], file: Path) -> tuple[Time, int, int, list[str], str]:
    try:
        now = _parse_time(meta["curr_time"])
        seconds, steps = _integer_field(meta, "sec_per_step"), _integer_field(meta, "step")
        names = [name.strip() for name in meta["persona_names"]]
        maze = meta["maze_name"]
        if not isinstance(maze, str):
            raise TypeError(f"maze_name is {maze!r}")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise SettingError(
            f"{file}: not a Smallville meta file ({_reason(error)}); it needs curr_time, "
            "sec_per_step, step, persona_names and maze_name"
        ) from error
    proper = all(Path(name).name == name not in ("", "..") for name in (*names, maze))
    if seconds < 1 or steps < 0 or not names or not proper:
        raise SettingError(
            f"{file}: sec_per_step must be 1 or more, step 0 or more, persona_names not empty "
            "and maze_name and all names those of folders; correct the file"
        )
    if len(set(names)) < len(names):
        raise SettingError(f"{file}: persona_names names somebody twice; correct it")
    return now, seconds, steps, names, maze


def _read_persona(home: Path, name: str, town: TownMap, whispers: tuple[str, ...]) -> Persona:
    memory = _folder_of(home, name) / "bootstrap_memory"
    persona = Persona.load(memory / "scratch.json")
    if not same_name(persona.name, name):
        raise SettingError(
            f"{memory / 'scratch.json'}: its name is '{persona.name}', but the folder and "
            f"reverie/meta.json say '{name}'; give all three one name"
        )
    file = memory / "spatial_memory.json"
    try:
        living = town.find_address(persona.home)
        knows = _known_addresses(read_settings(file), town)
    except MapError as error:
        raise MapError(f"{memory}: {error}") from error
    except (AttributeError, TypeError) as error:
        raise SettingError(
            f"{file}: is no tree of world, sector, arena and objects ({error}); copy it once more"
        ) from error
    return replace(persona, name=name, home=living, knows=knows, facts=persona.facts + whispers)


def _folder_of(home: Path, name: str) -> Path:
    """A persona's folder, whose name may have another Unicode form after unpacking an archive."""
    folder = home / "personas" / name
    if folder.is_dir() or not folder.parent.is_dir():
        return folder
    same = (other for other in sorted(folder.parent.iterdir()) if same_name(other.name, name))
    return next(same, folder)


def _known_addresses(memory: dict[str, Json], town: TownMap) -> tuple[Address, ...]:
    """The addresses of a spatial memory; an arena stands for all its objects if all are known."""
    addresses: list[Address] = []
    for world, sectors in memory.items():
        for sector, arenas in sectors.items():
            for arena, objects in arenas.items():
                if not isinstance(objects, list):
                    raise TypeError(f"'{arena}' holds {objects!r}, no list of objects")
                place = town.find_address(f"{world}:{sector}:{arena}")
                known = {town.find_address(f"{place}:{thing}") for thing in objects}
                existing = {a for a in town.object_addresses if a.startswith(place + ":")}
                addresses.extend([place] if known == existing else sorted(known))
    return tuple(addresses)


def _initial_memories(map_folder: Path, names: list[str]) -> dict[str, tuple[str, ...]]:
    """Initial memories by name, from the history file that names most personas; of several, the one
    with the fewest rows of others."""
    best: dict[str, tuple[str, ...]] = {}
    chosen: tuple[int, int] = (0, 0)
    source: Path | None = None
    files = sorted(map_folder.glob("agent_history_init_*.csv"))
    for file in files:
        memories, size = _read_history(file, names)
        if memories and (len(memories), -size) > chosen:
            best, chosen, source = memories, (len(memories), -size), file
    missing = [name for name in names if name not in best]
    if source is None and files:
        log.warning("%s: names nobody of the people; they have no first memories", files[0])
    if source is not None and missing:
        log.warning("%s: names no %s; they have no first memories", source, ", ".join(missing))
    return best


def _read_history(file: Path, names: list[str]) -> tuple[dict[str, tuple[str, ...]], int]:
    """Initial memories by name from a history file, and the number of people it names."""
    spelled = {normalize(name): name for name in names}
    rows = read_csv_rows(file)
    if rows and normalize(rows[0][0]) not in spelled:
        rows = rows[1:]  # the header
    short = next((row for row in rows if len(row) < 2), None)
    if short is not None:
        raise SettingError(f"{file}: row {short} is not 'name,whispers'; correct that row")
    memories: dict[str, tuple[str, ...]] = {}
    for name, *texts in rows:
        persona = spelled.get(normalize(name))
        if persona is not None:
            # Memories with a comma are not always quoted.
            whispers = _split_whispers(", ".join(texts))
            memories[persona] = (*memories.get(persona, ()), *whispers)
    return memories, len({normalize(row[0]) for row in rows})


def _split_whispers(text: str) -> Iterator[str]:
    for part in text.split(";"):
        if part.strip():
            yield part.strip()


def _starts(home: Path, names: list[str]) -> dict[AgentId, Tile]:
    file = home / "environment" / "0.json"
    moved = home / "master_movement.json"
    if not file.exists() and moved.exists():
        return _tiles(moved, read_settings(moved).get("0"), names)
    return _tiles(file, read_settings(file), names)


def _saved_tiles(home: Path, names: list[str], steps: int) -> dict[AgentId, Tile]:
    file = home / "environment" / f"{steps}.json"
    if file.exists():
        return _tiles(file, read_settings(file), names)
    # The original's web page writes the last of these files only while it is open.
    file = home / "movement" / f"{steps - 1}.json"
    if file.exists():
        return _tiles(file, read_settings(file).get("persona"), names)
    raise SettingError(
        f"{home}: was saved after {steps} steps, but neither environment/{steps}.json nor "
        f"movement/{steps - 1}.json says where people stood; restore one of them, or set "
        "'step' to 0 in reverie/meta.json to begin anew"
    )


def _tiles(file: Path, places: Json, names: list[str]) -> dict[AgentId, Tile]:
    tiles: dict[AgentId, Tile] = {}
    spelled = {normalize(name): place for name, place in dict(places or {}).items()}
    for name in names:
        try:
            place = spelled[normalize(name)]
            x, y = place["movement"] if "movement" in place else (place["x"], place["y"])
            if isinstance(x, bool) or isinstance(y, bool) or x != int(x) or y != int(y):
                raise ValueError(f"x, y are {x!r}, {y!r}")
            tiles[name] = (int(x), int(y))
        except (KeyError, TypeError, ValueError) as error:
            raise SettingError(
                f"{file}: gives no start tile for {name} ({_reason(error)}); add it"
            ) from error
    return tiles


def _integer_field(data: Json, key: str) -> int:
    value = data[key]
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"{key} is {value!r}")
    return int(value)


def _parse_time(text: Json) -> Time:
    """Parses "February 13, 2023, 06:00:00" independent of the locale. Raises ValueError."""
    shape = r"(\w{3,9}) (\d\d?), (\d{4}), (\d\d?):(\d\d):(\d\d)"
    match = re.fullmatch(shape, text.strip()) if isinstance(text, str) else None
    if match is None or match[1] not in MONTH_NAMES:
        raise ValueError(f"curr_time is {text!r}, not like 'February 13, 2023, 06:00:00'")
    day, year, hour, minute, second = (int(match[place]) for place in range(2, 7))
    return datetime(year, MONTH_NAMES.index(match[1]) + 1, day, hour, minute, second)


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
