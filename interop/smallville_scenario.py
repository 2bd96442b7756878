"""Scenarios from files, built-in names and Smallville folders."""

from __future__ import annotations

import logging
from pathlib import Path

from ..core import SettingError, check_arguments
from ..memory import load_smallville_memories
from ..simulation import (
    MindsTable,
    ModelTable,
    PersonEntry,
    Scenario,
    ScenarioTable,
    WorldTable,
    built_in_scenarios,
    check_persona,
    read_scenario,
)
from .cards import is_card_file, load_character_card, scenario_of_card
from .smallville_folder import SmallvilleFolder, read_smallville_folder

log = logging.getLogger(__name__)


@check_arguments
def load_scenario(name: str | Path) -> Scenario:
    """A scenario from a TOML file, a built-in name, a Smallville folder, or a character card, whose
    character is then alone in a room.

    Raises SettingError naming file and key for whatever is missing, unknown or wrong; for a
    Smallville folder also MapError and MemoryFault.
    """
    folder = Path(name)
    is_folder = folder.is_dir() and str(name) not in built_in_scenarios()
    if is_card_file(folder):
        return scenario_of_card(load_character_card(folder))
    if is_folder and not (folder / "run.db").is_file():
        return load_smallville_scenario(folder)
    return read_scenario(name)


def load_smallville_scenario(folder: Path) -> Scenario:
    """A base simulation or a saved run in Smallville's format as a scenario.

    Personas, start tiles, start time and step length are the folder's. The history file beside
    the map and the personas' memory nodes become the first memories. A saved run continues at its
    time and tiles with its memories; plans and conversations are not taken over, which is logged
    as a warning. Agents move one tile a step, as in Smallville. Raises SettingError, MapError or
    MemoryFault naming the missing or wrong file.
    """
    base = read_smallville_folder(folder)
    if base.is_finished_run:
        raise SettingError(
            f"{folder}: is a finished run; look at it with view, or run a base simulation"
        )
    if base.is_saved_run:
        log.warning(
            "%s: continues at %s after its %d steps; current plans and conversations are not "
            "taken over",
            folder,
            base.current_time,
            base.steps,
        )
    for persona in base.personas:
        check_persona(persona, f"{folder}: {persona.name}")
    people = [
        PersonEntry(
            persona=persona,
            start=base.starts[persona.name],
            memories=_memory_folder(base, persona.name),
        )
        for persona in base.personas
    ]
    return Scenario(
        scenario=ScenarioTable(
            name=folder.name,
            title=folder.name.replace("_", " "),
            start=f"{base.current_time if base.is_saved_run else base.start:%Y-%m-%d %H:%M:%S}",
            step_seconds=base.step_seconds,
            until="",
        ),
        world=WorldTable(kind="smallville", map=str(base.map_folder), speed=1),
        model=ModelTable(),
        minds=MindsTable(),
        people=tuple(people),
        source=str(folder),
    )


def _memory_folder(base: SmallvilleFolder, name: str) -> str:
    """The persona's folder if it has memories, else an empty text."""
    folder = base.memory_folder(name)
    if (folder / "nodes.json").is_file():
        # Read now, so that a wrong file is reported before a run begins.
        return str(folder.parent.parent) if load_smallville_memories(folder)[0] else ""
    if base.is_saved_run:
        raise SettingError(
            f"{folder}: holds no nodes.json, so {name} would continue without memories; "
            "restore it, or write {} into it"
        )
    return ""
