"""Smallville's folders as scenarios."""

from __future__ import annotations

from dataclasses import replace
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
    people = []
    for persona in base.personas:
        facts = tuple(base.histories.get(persona.name, ()))
        people.append(
            Member(persona=replace(persona, facts=facts), start=base.starts.get(persona.name))
        )
    if not people:
        raise SettingError(f"{folder}: has no personas; give a base simulation's folder")
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
