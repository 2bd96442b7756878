"""Smallville's simulation folders: bases to start from, and finished runs to look at."""

from __future__ import annotations

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
    read_settings,
)
from .smallville import load_smallville_map, read_rows
from .townmap import Tile, TownMap


@dataclass(frozen=True, slots=True)
class Movement:
    """What changed for one person at a step of a finished run.

    ``description`` is "what @ where"; ``chat`` the conversation it is in, whole, as (who,
    text) in order, empty when there is none.
    """

    step: int
    who: AgentId
    at: Tile
    emoji: str
    description: str
    chat: tuple[tuple[AgentId, str], ...] = ()

    @property
    def doing(self) -> str:
        """The activity alone."""
        return self.description.partition(" @ ")[0]


@dataclass(frozen=True, kw_only=True)
class SmallvilleBase:
    """A Smallville folder: when it starts, who lives in it and where they begin.

    ``steps`` is 0 for a base and the number of steps of a finished run. ``starts`` are the
    tiles at step 0. ``map_folder`` is the map's folder beside this one.
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
    def finished(self) -> bool:
        """Whether the folder holds a finished run."""
        return self._movements.exists()

    @property
    def _movements(self) -> Path:
        return self.folder / "master_movement.json"

    def bodies(self) -> tuple[Body, ...]:
        """Everybody's body, at its start tile."""
        return tuple(
            Body(
                one.name,
                home=one.home,
                start=self.starts[one.name],
                vision=one.vision,
                attention=one.attention,
                knows=one.knows,
            )
            for one in self.personas
        )

    @cached_property
    def _deltas(self) -> dict[str, Json]:
        return read_settings(self._movements)

    def movements(self) -> Iterator[Movement]:
        """The changes of a finished run in order of steps; nothing for a base.

        Raises SettingError when the file is not what a finished run has.
        """
        if not self.finished:
            return
        for step, changes in self._deltas.items():
            try:
                for who, what in changes.items():
                    x, y = what["movement"]
                    yield Movement(
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

    def conversations(self) -> tuple[tuple[Movement, ...], ...]:
        """The distinct conversations of a finished run in order: for each the movements of
        its members at the step where it is first seen."""
        found: dict[tuple[tuple[str, str], ...], list[Movement]] = {}
        for one in self.movements():
            if one.chat:
                same = found.setdefault(one.chat, [])
                if not same or same[0].step == one.step:
                    same.append(one)
        return tuple(tuple(same) for same in found.values())


def read_smallville(folder: Path | str) -> SmallvilleBase:
    """Read a base simulation or a finished run; the map lies in the folder beside it.

    Personas get what they know of the town from their spatial memory, and their first
    memories from the ``agent_history_init_*.csv`` of the map that names them all.
    Raises SettingError or MapError naming the file and the remedy.
    """
    home = Path(folder)
    file = home / "reverie" / "meta.json"
    if not file.exists():
        file = home / "meta.json"
    meta = read_settings(file)
    now, seconds, steps, names, maze = _meta(meta, file)
    map_folder = home.resolve().parent / maze
    if not map_folder.is_dir():
        raise MapError(
            f"{file}: the map '{maze}' is not at {map_folder}; put the map's folder beside {home}"
        )
    town = load_smallville_map(map_folder)
    whispers = _whispers(map_folder, names)
    return SmallvilleBase(
        folder=home,
        start=now - timedelta(seconds=seconds * steps),
        step_seconds=seconds,
        steps=steps,
        personas=tuple(_persona(home, name, town, whispers.get(name, ())) for name in names),
        starts=_starts(home, names),
        map_folder=map_folder,
        map=town,
    )


def _meta(meta: dict[str, Json], file: Path) -> tuple[Time, int, int, list[str], str]:
    try:
        now = datetime.strptime(meta["curr_time"], "%B %d, %Y, %H:%M:%S")
        seconds, steps = int(meta["sec_per_step"]), int(meta["step"])
        names = [str(name).strip() for name in meta["persona_names"]]
        maze = str(meta["maze_name"])
    except (KeyError, TypeError, ValueError) as error:
        raise SettingError(
            f"{file}: not a Smallville meta file ({error!r}); it needs curr_time, sec_per_step, "
            "step, persona_names and maze_name"
        ) from error
    if seconds < 1 or steps < 0 or not names or Path(maze).name != maze:
        raise SettingError(
            f"{file}: sec_per_step must be 1 or more, step 0 or more, persona_names not empty "
            "and maze_name a folder's name; mend the file"
        )
    return now, seconds, steps, names, maze


def _persona(home: Path, name: str, town: TownMap, whispers: tuple[str, ...]) -> Persona:
    memory = home / "personas" / name / "bootstrap_memory"
    persona = Persona.load(memory / "scratch.json")
    file = memory / "spatial_memory.json"
    try:
        living = town.find(persona.home)
        knows = _known(read_settings(file), town)
    except MapError as error:
        raise MapError(f"{memory}: {error}") from error
    except (AttributeError, TypeError) as error:
        raise SettingError(
            f"{file}: is no tree of world, sector, arena and objects ({error}); copy it once more"
        ) from error
    return replace(persona, home=living, knows=knows, facts=persona.facts + whispers)


def _known(memory: dict[str, Json], town: TownMap) -> tuple[Address, ...]:
    """The addresses of a spatial memory: an arena whose objects are all known as one."""
    found: list[Address] = []
    for world, sectors in memory.items():
        for sector, arenas in sectors.items():
            for arena, objects in arenas.items():
                place = town.find(f"{world}:{sector}:{arena}")
                known = {town.find(f"{place}:{thing}") for thing in objects}
                whole = {a for a in town.object_addresses if a.startswith(place + ":")}
                found.extend([place] if known == whole else sorted(known))
    return tuple(found)


def _whispers(map_folder: Path, names: list[str]) -> dict[str, tuple[str, ...]]:
    """First memories by name, out of the smallest history that names everybody."""
    best: dict[str, tuple[str, ...]] = {}
    for file in sorted(map_folder.glob("agent_history_init_*.csv")):
        rows = read_rows(file)[1:]
        short = next((row for row in rows if len(row) < 2), None)
        if short is not None:
            raise SettingError(f"{file}: row {short} is not 'name,whispers'; mend that row")
        # Whispers with a comma are not always quoted.
        said = {name: tuple(_parts(", ".join(texts))) for name, *texts in rows}
        if all(name in said for name in names) and (not best or len(said) < len(best)):
            best = said
    return best


def _parts(text: str) -> Iterator[str]:
    for part in text.split(";"):
        if part.strip():
            yield part.strip()


def _starts(home: Path, names: list[str]) -> dict[AgentId, Tile]:
    file = home / "environment" / "0.json"
    moved = home / "master_movement.json"
    try:
        if not file.exists() and moved.exists():
            file = moved
            first = read_settings(file)["0"]
            return {name: (int(x), int(y)) for name in names for x, y in [first[name]["movement"]]}
        tiles = read_settings(file)
        return {name: (int(tiles[name]["x"]), int(tiles[name]["y"])) for name in names}
    except (KeyError, TypeError, ValueError) as error:
        raise SettingError(
            f"{file}: gives no start tile for everybody ({error!r}); add the missing ones"
        ) from error
