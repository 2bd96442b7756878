"""Export of a run: CSV tables, or Smallville's folder format (docs/exports.md).

A folder is written atomically: under another name beside its place, then renamed.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core import RunError, SettingError
from ..simulation import Run
from .csv_tables import TABLES, RunSpan, csv_cell
from .smallville_writer import write_smallville_map, write_smallville_run


def export_csv(run: Run, out: Path) -> list[Path]:
    """Write a run's tables into the folder ``out``: UTF-8, RFC 4180, each with a header; returns
    the files. Texts that spreadsheets would run as formulas are escaped (``csv_tables.csv_cell``).

    Raises SettingError if ``out`` is not empty or cannot be written, RunError for a run without a
    step.
    """
    span = _span(run)
    with _new_folder(out) as folder:
        for name, table in TABLES.items():
            with (folder / name).open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(table.columns)
                writer.writerows([csv_cell(value) for value in row] for row in table.rows(span))
    return [Path(out) / name for name in TABLES]


def export_smallville(run: Run, out: Path) -> list[Path]:
    """Write a run into the folder ``out`` as a finished run in Smallville's format (which
    ``read_smallville_folder`` reads), with its map beside it; returns both folders.

    Raises SettingError for a world without tiles, for a name that no folder can have, and if
    ``out`` is not empty or cannot be written; RunError for a run without a step.
    """
    span = _span(run)
    town = run.town
    if town is None:
        raise SettingError(
            f"{run.store.name}: its world has no map of tiles, which Smallville's format needs; "
            "use --to csv"
        )
    for name in run.people:
        if name != name.strip() or name in (".", "..") or re.search(r'[/\\\0<>"|?*]', name):
            raise SettingError(
                f"{run.store.name}: '{name}' can be no folder's name, which Smallville's format "
                "needs; run the scenario with another name, or use --to csv"
            )
    heading = run.scenario.scenario
    maze = _folder_name(town.name)
    home = _folder_name(f"{heading.name or 'run'}-{heading.seed}")
    if home.casefold() == maze.casefold():
        home += "-run"
    with _new_folder(out) as folder:
        write_smallville_map(town, folder / maze)
        write_smallville_run(span, town, folder / home, folder / maze)
    return [Path(out) / home, Path(out) / maze]


def _span(run: Run) -> RunSpan:
    """The steps committed so far; another process may add more during the export."""
    if not run.steps:
        raise RunError(
            f"{run.store.name}: has no committed step yet, so there is nothing to export; resume it"
        )
    return RunSpan.of(run)


def _folder_name(name: str) -> str:
    """A name that is valid on every file system.

    >>> _folder_name("the_ville"), _folder_name("A/B: the town")
    ('the_ville', 'A_B_the_town')
    """
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "town"


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A temporary folder, renamed to ``out`` if no exception is raised."""
    # Resolved, so that a link to an empty folder is kept.
    target = Path(out).resolve()
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            what = "holds files already" if target.is_dir() else "is a file"
            raise SettingError(f"{out}: {what}; name a new folder, or empty this one")
        if target == Path.cwd():
            raise SettingError(f"{out}: is the current folder; name a new one")
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part{os.getpid()}")
        # A killed process may have had the same process id.
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            yield part
            if target.exists():
                target.rmdir()
            part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingError(
            f"{out}: cannot be written ({reason}); check permissions and free space, or name "
            "another folder"
        ) from error
