"""Smallville's folders as scenarios."""

from __future__ import annotations

from pathlib import Path

from ..core import SettingError
from ..world import read_smallville
from .scenario import Heading, Member, MindsTable, ModelTable, Scenario, WorldTable


def smallville_scenario(folder: Path) -> Scenario:
    """A base simulation of the generative agents' format as a scenario.

    Personas, start tiles, start time and step length are the folder's; the histories
    beside its map become the first memories. One tile a step, as there.
    Raises SettingError or MapError naming the file that is missing or wrong."""
    base = read_smallville(folder)
    if base.finished:
        raise SettingError(
            f"{folder}: is a finished run; look at it with view, or run a base simulation"
        )
    people = [Member(persona=one, start=base.starts[one.name]) for one in base.personas]
    return Scenario(
        scenario=Heading(
            name=folder.name,
            title=folder.name.replace("_", " "),
            start=f"{base.start:%Y-%m-%d %H:%M:%S}",
            step_seconds=base.step_seconds,
            until="",
        ),
        world=WorldTable(kind="smallville", map=str(base.map_folder), speed=1),
        model=ModelTable(),
        minds=MindsTable(),
        people=tuple(people),
        source=str(folder),
    )
