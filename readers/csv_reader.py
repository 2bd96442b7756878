"""Tables of text (CSV, TSV) as blocks: which character parts the cells, and every cell whole."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from ..core import MemoryFault
from .passages import TextBlock

_DELIMITERS = (",", ";", "\t", "|")
# No text that people write holds it: a table of one column.
_NONE = "\x1f"
_TITLED_ROWS = 3
"""From how many rows of one width on a line of one cell above them is taken for a title."""


@dataclass(frozen=True, slots=True)
class _Survey:
    """How a whole text reads with a delimiter: at which row the heading stands, behind how many
    lines of titles, how many columns it names, and the first row with more cells (-1: none)."""

    delimiter: str
    escape: str | None
    heading: int
    titles: int
    columns: int
    too_long: int
    cells: int

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """Sorts surveys: every row fits, no titles need be assumed, the most columns."""
        return self.too_long < 0, not self.titles, self.columns


def csv_blocks(text: str, path: Path) -> Iterator[TextBlock]:
    """A row each, as "column: value; ..."; the first row names the columns. Titles above the
    heading are blocks of their own; rows are numbered from 1 as they stand in the file.

    The delimiter is the one with which every row of the whole text fits the heading. Raises
    MemoryFault for a text that is no table with any.
    """
    told = _told(text)
    if told:
        text = "\n" + text.partition("\n")[2]
    surveys: list[_Survey] = []
    faults: list[str] = []
    for delimiter in (told,) if told else _candidates(text, path):
        try:
            survey = _surveyed(text, delimiter)
        except csv.Error as error:
            faults.append(str(error))
            continue
        # A heading of one column is a table's only where nothing could part it.
        if survey.columns > 1 or delimiter in (_NONE, told):
            surveys.append(survey)
    parted = [one for one in surveys if one.columns > 1 and not (one.titles and one.too_long >= 0)]
    if not surveys:
        raise MemoryFault(f"{path}: is no CSV file ({(*faults, 'it has no rows')[0]})")
    best = max(parted or surveys, key=lambda one: one.rank)
    if best.too_long >= 0:
        raise MemoryFault(
            f"{path}: row {best.too_long + 1} has {best.cells} cells, row {best.heading + 1} names "
            f"{best.columns}; put cells that hold '{best.delimiter}' into quotation marks"
        )
    yield from _blocks(text, best)


def _told(text: str) -> str:
    """The delimiter that a first line "sep=;" tells, as Excel writes it; else empty."""
    line = text[:8].partition("\n")[0].strip(" \r\"'")
    return line[4:] if len(line) == 5 and line.lower().startswith("sep=") else ""


def _candidates(text: str, path: Path) -> tuple[str, ...]:
    if path.suffix.lower() == ".tsv":
        return ("\t", _NONE)
    return (*(one for one in _DELIMITERS if one in text), _NONE)


def _rows(text: str, delimiter: str, escape: str | None) -> Iterator[list[str]]:
    """All rows, their cells stripped. Raises csv.Error naming the line."""
    # The module's limit is one for the whole process, so it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    read = csv.reader(
        StringIO(text, newline=""),
        delimiter=delimiter,
        doublequote=escape is None,
        escapechar=escape,
        skipinitialspace=delimiter != "\t",
        strict=True,
    )
    try:
        for row in read:
            yield [cell.strip() for cell in row]
    except csv.Error as error:
        raise csv.Error(f"line {read.line_num}: {error}") from error


def _full(row: list[str]) -> int:
    """How many cells a row has up to the last that is not empty."""
    return next((place for place in range(len(row), 0, -1) if row[place - 1]), 0)


def _surveyed(text: str, delimiter: str) -> _Survey:
    """A survey of the whole text; quotation marks in cells may be doubled, or stand behind a
    backslash where doubling gives no table. Raises csv.Error."""
    try:
        return _survey(text, delimiter, None)
    except csv.Error:
        if '\\"' not in text:
            raise
        return _survey(text, delimiter, "\\")


def _survey(text: str, delimiter: str, escape: str | None) -> _Survey:
    # Per row: the cells of its heading, were it one, and those that are not empty.
    sizes = [(len(row), _full(row)) for row in _rows(text, delimiter, escape)]
    filled = [i for i, (_, full) in enumerate(sizes) if full]
    if not filled:
        return _Survey(delimiter, escape, 0, 0, 0, -1, 0)
    heading = _heading(text, delimiter, sizes, filled)
    columns = sizes[heading][0]
    long = next((i for i in filled if i > heading and sizes[i][1] > columns), -1)
    titles = sum(i < heading for i in filled)
    return _Survey(delimiter, escape, heading, titles, columns, long, sizes[long][1])


def _heading(text: str, delimiter: str, sizes: list[tuple[int, int]], filled: list[int]) -> int:
    """At which row the columns are named: the first, unless titles of one cell stand above a
    table of rows alike, parted from it by an empty line or too many to be chance, or each
    behind a "#"."""
    first = filled[0]
    wide = next((i for i in filled if sizes[i][1] > 1), None)
    if wide is None or wide == first:
        return first
    below = [i for i in filled if i >= wide]
    if any(sizes[i][1] > sizes[wide][0] or sizes[i][1] < 2 for i in below):
        return first
    parted = filled.index(wide) < wide - first
    noted = all(line.startswith("#") for line in text.splitlines()[first:wide])
    alike = len(below) >= _TITLED_ROWS and len({sizes[i][0] for i in below}) == 1
    return wide if parted or noted or (alike and f"{delimiter} " not in text) else first


def _blocks(text: str, survey: _Survey) -> Iterator[TextBlock]:
    names: list[str] = []
    for number, row in enumerate(_rows(text, survey.delimiter, survey.escape), 1):
        if number <= survey.heading:
            yield TextBlock(" ".join(row).strip(), "row", number, number)
        elif number == survey.heading + 1:
            names = [name or f"column {place}" for place, name in enumerate(row, 1)]
        else:
            cells = [f"{name}: {cell}" for name, cell in zip(names, row) if cell]
            yield TextBlock("; ".join(cells), "row", number, number)
