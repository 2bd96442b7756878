"""Markdown as text blocks with line numbers: headings, code, lists, tables, front matter.

A single pass over the lines: parsers that build a tree take minutes for hostile files of the
allowed size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .passages import PASSAGE_WORDS, TextBlock, embedder_length, heading_path

MAX_LABEL_CHARS = 40  # characters of a list item repeated above its nested items
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]|$)")
_FENCE = re.compile(r"[ \t]*(?:[-*+>][ \t]+)?(`{3,}(?![^`]*`)|~{3,})")
_THEMATIC_BREAK = re.compile(r" {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$")
_ITEM = re.compile(r"([ \t]*)(?:[-*+]|\d{1,9}[.)])[ \t]+(?=\S)")
_SETEXT = re.compile(r" {0,3}(?:(=+)|-+)[ \t]*$")
_FRONT_MATTER_KEY = re.compile(r"[\w-]+[ \t]*:")


def markdown_blocks(lines: Sequence[str]) -> Iterator[TextBlock]:
    """The blocks of a file's lines, numbered from 1; no text is left out.

    Table rows repeat the column names, items of a list longer than a passage repeat the items above
    them, and a heading without content is a block itself.

    >>> lines = ["Bread", "=====", "", "Rye at nine."]
    >>> [(block.title, block.text) for block in markdown_blocks(lines)]
    [('Bread', 'Rye at nine.')]
    """
    reader = _MarkdownReader(lines)
    yield from reader.blocks()


class _MarkdownReader:
    """State of one pass over the lines: the headings above the current line."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._headings: list[tuple[int, str]] = []
        self._empty_heading_line = 0  # the line of a heading that nothing stands under yet, 0: none

    def blocks(self) -> Iterator[TextBlock]:
        """Every block in order."""
        at = 0
        if self._lines and self._lines[0].rstrip() == "---" and (end := self._front_matter_end()):
            yield self._block(1, end)
            at = end + 1
        start = at
        while at < len(self._lines):
            line = self._lines[at]
            if fence := _FENCE.match(line):
                yield from self._held_blocks(start, at)
                end = self._code_end(at, fence[1])
                yield self._block(at, end)
                at = start = end
            elif match := _HEADING.match(line):
                yield from self._held_blocks(start, at)
                yield from self._heading_blocks(
                    len(match[1]), _heading_text(line[match.end() :]), at
                )
                at = start = at + 1
            elif start < at and (under := _SETEXT.match(line)) and self._is_paragraph(start):
                text = " ".join(" ".join(self._lines[start:at]).split())
                yield from self._heading_blocks(1 if under[1] else 2, text, at)
                at = start = at + 1
            elif start < at and _is_delimiter_row(line, self._lines[at - 1]):
                yield from self._held_blocks(start, at - 1)
                end = self._table_end(at)
                yield from self._row_blocks(at - 1, end)
                at = start = end
            elif _THEMATIC_BREAK.match(line) or (
                not line.strip() and not self._list_continues(start, at)
            ):
                yield from self._held_blocks(start, at)
                at = start = at + 1
            else:
                at += 1
        yield from self._held_blocks(start, at)
        yield from self._empty_heading_block(0)

    def _front_matter_end(self) -> int:
        """Index of the line that closes the front matter, 0 without front matter."""
        if len(self._lines) < 2 or not _FRONT_MATTER_KEY.match(self._lines[1]):
            return 0
        ends = (n for n, line in enumerate(self._lines[1:], 1) if line.rstrip() in ("---", "..."))
        return next(ends, 0)

    def _code_end(self, at: int, mark: str) -> int:
        for number in range(at + 1, len(self._lines)):
            line = self._lines[number].strip("> \t")
            if line.startswith(mark) and not line.strip(mark[0]):
                return number + 1
        return len(self._lines)

    def _table_end(self, at: int) -> int:
        while at < len(self._lines) and "|" in self._lines[at]:
            at += 1
        return at

    def _is_paragraph(self, start: int) -> bool:
        return not _ITEM.match(self._lines[start]) and self._lines[start].lstrip()[:1] != ">"

    def _list_continues(self, start: int, at: int) -> bool:
        """Whether a list continues after a blank line, with an item or an indented line."""
        if start == at or not _ITEM.match(self._lines[start]) or at + 1 >= len(self._lines):
            return False
        following = self._lines[at + 1]
        return bool(following.strip()) and (
            following[:1] in " \t"
            or (bool(_ITEM.match(following)) and not _THEMATIC_BREAK.match(following))
        )

    def _heading_blocks(self, depth: int, text: str, at: int) -> Iterator[TextBlock]:
        yield from self._empty_heading_block(depth)
        self._headings = [(level, name) for level, name in self._headings if level < depth]
        if not text:
            return
        self._headings.append((depth, text))
        self._empty_heading_line = at + 1
        if heading_path([text]) != text:  # Too long for a title: it stands there whole as well.
            yield from self._empty_heading_block(depth)

    def _empty_heading_block(self, depth: int) -> Iterator[TextBlock]:
        """A block for a heading without content, unless a lower heading follows it."""
        if self._empty_heading_line and self._headings and depth <= self._headings[-1][0]:
            above = heading_path([text for _, text in self._headings[:-1]])
            yield TextBlock(
                self._headings[-1][1],
                "lines",
                self._empty_heading_line,
                self._empty_heading_line,
                above,
            )
        self._empty_heading_line = 0

    def _block(self, start: int, end: int) -> TextBlock:
        self._empty_heading_line = 0
        text = "\n".join(line.rstrip() for line in self._lines[start:end])
        return TextBlock(text, "lines", start + 1, end, self._title())

    def _title(self) -> str:
        return heading_path([text for _, text in self._headings])

    def _held_blocks(self, start: int, end: int) -> Iterator[TextBlock]:
        """The block of a paragraph or list, or the items of a list longer than a passage."""
        if start == end:
            return
        block = self._block(start, end)
        if _ITEM.match(self._lines[start]) and embedder_length(block.text) > PASSAGE_WORDS:
            yield from self._item_blocks(start, end)
        else:
            yield block

    def _item_blocks(self, start: int, end: int) -> Iterator[TextBlock]:
        above: list[tuple[int, str]] = []
        places = [n for n in range(start, end) if _ITEM.match(self._lines[n])]
        for first, after in zip(places, [*places[1:], end]):
            match = _ITEM.match(self._lines[first])
            depth = len(match[1].expandtabs(4)) if match else 0
            above = [(level, name) for level, name in above if level < depth][-3:]
            path = " > ".join(name for _, name in above)
            block = self._block(first, after)
            text = block.text.strip()
            yield TextBlock(
                f"{path} > {text}" if path else text, "lines", first + 1, after, block.title
            )
            name = " ".join(self._lines[first][match.end() if match else 0 :].split())
            above.append(
                (depth, name if len(name) <= MAX_LABEL_CHARS else f"{name[: MAX_LABEL_CHARS - 1]}…")
            )

    def _row_blocks(self, start: int, end: int) -> Iterator[TextBlock]:
        """The rows of a table with column names, unless the names are longer than the row."""
        names = _cells(self._lines[start])
        self._empty_heading_line = 0
        if end == start + 2:
            yield self._block(start, start + 1)
        for number in range(start + 2, end):
            line = self._lines[number].strip()
            cells = _cells(line)
            room = 4 * len(line) + 200
            labelled = ""
            if len(cells) <= len(names) and sum(map(len, names[: len(cells)])) < room:
                pairs = [f"{name}: {cell}" if name else cell for name, cell in zip(names, cells)]
                labelled = "; ".join(pair for pair, cell in zip(pairs, cells) if cell)
            yield TextBlock(labelled or line, "lines", number + 1, number + 1, self._title())


def _is_delimiter_row(line: str, above: str) -> bool:
    """Whether a line is the delimiter row of a table whose header is the line above."""
    if "|" not in line or "-" not in line or set(line) - set("|:- \t"):
        return False
    cells = _cells(line)
    dashes = all(cell.removeprefix(":").removesuffix(":").strip("-") == "" for cell in cells)
    return dashes and all(cells) and len(cells) == len(_cells(above))


def _heading_text(heading: str) -> str:
    text = heading.strip()
    bare = text.rstrip("#")
    return bare.rstrip() if not bare or bare[-1] in " \t" else text


def _cells(row: str) -> list[str]:
    """The cells of a table row; an escaped bar is a character."""
    row = row.strip().removeprefix("|")
    cells: list[str] = []
    parts: list[str] = []
    for part in row.split("|"):
        parts.append(part.removesuffix("\\"))
        if not part.endswith("\\"):
            cells.append("|".join(parts).strip())
            parts = []
    if parts:
        cells.append("|".join(parts).strip())
    return cells[:-1] if len(cells) > 1 and not cells[-1] else cells
