"""Markdown as blocks with their lines: headings of both kinds, code, lists, tables, front matter.

Read line by line, each line once: a parser's tree would take minutes for a hostile file of the
size that is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .passages import PASSAGE_WORDS, TextBlock, embedder_length, heading_path

MAX_LABEL_CHARS = 40  # characters of a list item that stand for it above its nested items
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]|$)")
_FENCE = re.compile(r"[ \t]*(?:[-*+>][ \t]+)?(`{3,}(?![^`]*`)|~{3,})")
_RULE = re.compile(r" {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$")
_ITEM = re.compile(r"([ \t]*)(?:[-*+]|\d{1,9}[.)])[ \t]+(?=\S)")
_SETEXT = re.compile(r" {0,3}(?:(=+)|-+)[ \t]*$")
_KEY = re.compile(r"[\w-]+[ \t]*:")


def markdown_blocks(lines: Sequence[str]) -> Iterator[TextBlock]:
    """The blocks of a file's lines, numbered from 1; nothing that is text is left out.

    A row of a table names its columns, an item of a list too long for a piece the items above
    it, a heading that nothing stands under is a block itself.

    >>> [(b.title, b.text) for b in markdown_blocks(["Bread", "=====", "", "Rye at nine."])]
    [('Bread', 'Rye at nine.')]
    """
    reader = _Reader(lines)
    yield from reader.blocks()


class _Reader:
    """One pass over the lines: what is held, and the headings above it."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._titles: list[tuple[int, str]] = []
        self._bare = 0  # the line of a heading that nothing stands under yet, 0: none

    def blocks(self) -> Iterator[TextBlock]:
        """Every block in order."""
        at = 0
        if self._lines and self._lines[0].rstrip() == "---" and (end := self._front()):
            yield self._block(1, end)
            at = end + 1
        start = at
        while at < len(self._lines):
            line = self._lines[at]
            if fence := _FENCE.match(line):
                yield from self._closed(start, at)
                end = self._after_code(at, fence[1])
                yield self._block(at, end)
                at = start = end
            elif match := _HEADING.match(line):
                yield from self._closed(start, at)
                yield from self._headed(len(match[1]), _plain(line[match.end() :]), at)
                at = start = at + 1
            elif start < at and (under := _SETEXT.match(line)) and self._paragraph(start):
                text = " ".join(" ".join(self._lines[start:at]).split())
                yield from self._headed(1 if under[1] else 2, text, at)
                at = start = at + 1
            elif start < at and _delimits(line, self._lines[at - 1]):
                yield from self._closed(start, at - 1)
                end = self._after_rows(at)
                yield from self._rows(at - 1, end)
                at = start = end
            elif _RULE.match(line) or (not line.strip() and not self._goes_on(start, at)):
                yield from self._closed(start, at)
                at = start = at + 1
            else:
                at += 1
        yield from self._closed(start, at)
        yield from self._bared(0)

    def _front(self) -> int:
        """The line that closes front matter, counted from 0; 0 where nothing does."""
        if len(self._lines) < 2 or not _KEY.match(self._lines[1]):
            return 0
        ends = (n for n, line in enumerate(self._lines[1:], 1) if line.rstrip() in ("---", "..."))
        return next(ends, 0)

    def _after_code(self, at: int, mark: str) -> int:
        for number in range(at + 1, len(self._lines)):
            line = self._lines[number].strip("> \t")
            if line.startswith(mark) and not line.strip(mark[0]):
                return number + 1
        return len(self._lines)

    def _after_rows(self, at: int) -> int:
        while at < len(self._lines) and "|" in self._lines[at]:
            at += 1
        return at

    def _paragraph(self, start: int) -> bool:
        return not _ITEM.match(self._lines[start]) and self._lines[start].lstrip()[:1] != ">"

    def _goes_on(self, start: int, at: int) -> bool:
        """Whether a list goes on after a blank line: with an item or an indented line."""
        if start == at or not _ITEM.match(self._lines[start]) or at + 1 >= len(self._lines):
            return False
        following = self._lines[at + 1]
        return bool(following.strip()) and (
            following[:1] in " \t" or (bool(_ITEM.match(following)) and not _RULE.match(following))
        )

    def _headed(self, depth: int, text: str, at: int) -> Iterator[TextBlock]:
        yield from self._bared(depth)
        self._titles = [(level, name) for level, name in self._titles if level < depth]
        if not text:
            return
        self._titles.append((depth, text))
        self._bare = at + 1
        if heading_path([text]) != text:  # Too long for a title: it stands there whole as well.
            yield from self._bared(depth)

    def _bared(self, depth: int) -> Iterator[TextBlock]:
        """The heading that nothing stands under, unless one beneath it carries it along."""
        if self._bare and self._titles and depth <= self._titles[-1][0]:
            above = heading_path([text for _, text in self._titles[:-1]])
            yield TextBlock(self._titles[-1][1], "lines", self._bare, self._bare, above)
        self._bare = 0

    def _block(self, start: int, end: int) -> TextBlock:
        self._bare = 0
        text = "\n".join(line.rstrip() for line in self._lines[start:end])
        return TextBlock(text, "lines", start + 1, end, self._title())

    def _title(self) -> str:
        return heading_path([text for _, text in self._titles])

    def _closed(self, start: int, end: int) -> Iterator[TextBlock]:
        """What was held: a paragraph, or a list, whose items stand alone where it is long."""
        if start == end:
            return
        block = self._block(start, end)
        if _ITEM.match(self._lines[start]) and embedder_length(block.text) > PASSAGE_WORDS:
            yield from self._items(start, end)
        else:
            yield block

    def _items(self, start: int, end: int) -> Iterator[TextBlock]:
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

    def _rows(self, start: int, end: int) -> Iterator[TextBlock]:
        """A table: each row says its columns, unless that would say more than the row does."""
        names = _cells(self._lines[start])
        self._bare = 0
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


def _delimits(line: str, above: str) -> bool:
    """Whether a line divides the head of a table, the line above it, from its rows."""
    if "|" not in line or "-" not in line or set(line) - set("|:- \t"):
        return False
    cells = _cells(line)
    dashes = all(cell.removeprefix(":").removesuffix(":").strip("-") == "" for cell in cells)
    return dashes and all(cells) and len(cells) == len(_cells(above))


def _plain(heading: str) -> str:
    """A heading without the marks that may close it."""
    text = heading.strip()
    bare = text.rstrip("#")
    return bare.rstrip() if not bare or bare[-1] in " \t" else text


def _cells(row: str) -> list[str]:
    """The cells of a table's row; a bar after a backslash is a character."""
    row = row.strip().removeprefix("|")
    cells: list[str] = []
    held: list[str] = []
    for part in row.split("|"):
        held.append(part.removesuffix("\\"))
        if not part.endswith("\\"):
            cells.append("|".join(held).strip())
            held = []
    if held:
        cells.append("|".join(held).strip())
    return cells[:-1] if len(cells) > 1 and not cells[-1] else cells
