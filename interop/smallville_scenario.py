"""Smallville's folders as scenarios."""

from __future__ import annotations

import logging
from pathlib import Path

from ..core import SettingError
from ..simulation import (
    MindsTable,
    ModelTable,
    PersonEntry,
    Scenario,
    ScenarioTable,
    WorldTable,
    check_persona,
)
from .smallville_folder import SmallvilleFolder, read_smallville_folder
from .smallville_memories import load_smallville_memories

log = logging.getLogger(__name__)


def load_smallville_scenario(folder: Path) -> Scenario:
    """A base simulation or a saved run of the generative agents' format as a scenario.

    Personas, start tiles, start time and step length are the folder's; the histories
    beside its map and the personas' own nodes become the first memories. A saved run goes on
    at its time and on its tiles, with its memories; what people had planned they plan anew,
    of which a warning tells. One tile a step, as there.
    Raises SettingError, MapError or MemoryFault naming the file that is missing or wrong."""
    base = read_smallville_folder(folder)
    if base.is_finished_run:
        raise SettingError(
            f"{folder}: is a finished run; look at it with view, or run a base simulation"
        )
    if base.is_saved_run:
        log.warning(
            "%s: goes on at %s after its %d steps; plans and talks under way are not taken over",
            folder,
            base.current_time,
            base.steps,
        )
    for one in base.personas:
        check_persona(one, f"{folder}: {one.name}")
    people = [
        PersonEntry(persona=one, start=base.starts[one.name], memories=_memories(base, one.name))
        for one in base.personas
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


def _memories(base: SmallvilleFolder, name: str) -> str:
    """The folder of a persona that has memories; empty where there are none."""
    folder = base.memory_folder(name)
    if (folder / "nodes.json").is_file():
        # Read here already: a wrong file is told of before anything is begun.
        return str(folder.parent.parent) if load_smallville_memories(folder)[0] else ""
    if base.is_saved_run:
        raise SettingError(
            f"{folder}: holds no nodes.json, so {name} would go on without its memories; "
            "restore it, or write {} into it"
        )
    return ""
