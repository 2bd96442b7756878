"""CSV and TSV tables as blocks, with detection of the delimiter."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from ..core import MemoryFault
from .passages import TextBlock

_DELIMITERS = (",", ";", "\t", "|")
# A control character that no text contains, for tables of one column.
_NO_DELIMITER = "\x1f"
_MIN_TABLE_ROWS = 3
"""Rows of equal width below which a line of one cell counts as a title."""


@dataclass(frozen=True, slots=True)
class _Survey:
    """Result of reading a whole text with one delimiter: index of the header row, number of title
    lines before it, number of columns, first row with more cells (-1: none) and its cells."""

    delimiter: str
    escape: str | None
    heading: int
    titles: int
    columns: int
    too_long: int
    cells: int

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """Sort key: all rows fit, then no title lines, then the most columns."""
        return self.too_long < 0, not self.titles, self.columns


def csv_blocks(text: str, path: Path) -> Iterator[TextBlock]:
    """One block per row, as "column: value; ...", with column names from the header row. Title
    lines above the header are blocks of their own; rows are numbered from 1 as in the file.

    The delimiter is the one with which every row fits the header. Raises MemoryFault if the text is
    no table with any delimiter.
    """
    declared = _declared_delimiter(text)
    if declared:
        text = "\n" + text.partition("\n")[2]
    surveys: list[_Survey] = []
    faults: list[str] = []
    for delimiter in (declared,) if declared else _candidate_delimiters(text, path):
        try:
            survey = _survey_text(text, delimiter)
        except csv.Error as error:
            faults.append(str(error))
            continue
        # One column is a table only without a possible delimiter.
        if survey.columns > 1 or delimiter in (_NO_DELIMITER, declared):
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
    yield from _row_blocks(text, best)


def _declared_delimiter(text: str) -> str:
    """The delimiter declared by a first line such as "sep=;", as Excel writes it; else empty."""
    line = text[:8].partition("\n")[0].strip(" \r\"'")
    return line[4:] if len(line) == 5 and line.lower().startswith("sep=") else ""


def _candidate_delimiters(text: str, path: Path) -> tuple[str, ...]:
    if path.suffix.lower() == ".tsv":
        return ("\t", _NO_DELIMITER)
    return (*(one for one in _DELIMITERS if one in text), _NO_DELIMITER)


def _rows(text: str, delimiter: str, escape: str | None) -> Iterator[list[str]]:
    """All rows with stripped cells. Raises csv.Error naming the line."""
    # The limit of the csv module is global to the process, so it is only raised, never lowered.
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


def _used_cells(row: list[str]) -> int:
    return next((place for place in range(len(row), 0, -1) if row[place - 1]), 0)


def _survey_text(text: str, delimiter: str) -> _Survey:
    """A survey of the whole text, with doubled quotation marks in cells, or escaped by a backslash
    if doubling gives no table. Raises csv.Error."""
    try:
        return _survey(text, delimiter, None)
    except csv.Error:
        if '\\"' not in text:
            raise
        return _survey(text, delimiter, "\\")


def _survey(text: str, delimiter: str, escape: str | None) -> _Survey:
    # Per row: its number of cells, and up to the last non-empty one.
    sizes = [(len(row), _used_cells(row)) for row in _rows(text, delimiter, escape)]
    filled = [i for i, (_, full) in enumerate(sizes) if full]
    if not filled:
        return _Survey(delimiter, escape, 0, 0, 0, -1, 0)
    heading = _header_row(text, delimiter, sizes, filled)
    columns = sizes[heading][0]
    long = next((i for i in filled if i > heading and sizes[i][1] > columns), -1)
    titles = sum(i < heading for i in filled)
    return _Survey(delimiter, escape, heading, titles, columns, long, sizes[long][1])


def _header_row(text: str, delimiter: str, sizes: list[tuple[int, int]], filled: list[int]) -> int:
    """Index of the header row: the first row, unless title lines of one cell precede a table,
    either separated by an empty line, or commented by "#", or above enough rows of equal width."""
    first = filled[0]
    wide = next((i for i in filled if sizes[i][1] > 1), None)
    if wide is None or wide == first:
        return first
    below = [i for i in filled if i >= wide]
    if any(sizes[i][1] > sizes[wide][0] or sizes[i][1] < 2 for i in below):
        return first
    parted = filled.index(wide) < wide - first
    noted = all(line.startswith("#") for line in text.splitlines()[first:wide])
    alike = len(below) >= _MIN_TABLE_ROWS and len({sizes[i][0] for i in below}) == 1
    return wide if parted or noted or (alike and f"{delimiter} " not in text) else first


def _row_blocks(text: str, survey: _Survey) -> Iterator[TextBlock]:
    names: list[str] = []
    for number, row in enumerate(_rows(text, survey.delimiter, survey.escape), 1):
        if number <= survey.heading:
            yield TextBlock(" ".join(row).strip(), "row", number, number)
        elif number == survey.heading + 1:
            names = [name or f"column {place}" for place, name in enumerate(row, 1)]
        else:
            cells = [f"{name}: {cell}" for name, cell in zip(names, row) if cell]
            yield TextBlock("; ".join(cells), "row", number, number)
