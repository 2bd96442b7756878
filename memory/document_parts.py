"""Documents as blocks: what readers give, and pieces of a size that embeds whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..core import digest_text

# MiniLM reads 256 word pieces; English has about 1.3 to a word.
WORDS = 160


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list, row or page's part: its text, the headings above it, and its place.

    ``unit`` is what the place counts ("lines", "p.", "row"), ``first`` and ``last`` from
    where to where, counted from 1.
    """

    text: str
    unit: str
    first: int
    last: int
    title: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a document that becomes one record."""

    text: str
    title: str
    place: str


def place(unit: str, first: int, last: int) -> str:
    """A place as it is cited.

    >>> place("p.", 3, 3), place("lines", 10, 24), place("lines", 7, 7), place("row", 2, 5)
    ('p. 3', 'lines 10-24', 'line 7', 'rows 2-5')
    """
    if unit == "p.":
        return f"p. {first}" if first == last else f"pp. {first}-{last}"
    one = unit.removesuffix("s")
    return f"{one} {first}" if first == last else f"{one}s {first}-{last}"


def pieces(blocks: Iterable[Block], words: int = WORDS) -> Iterator[Piece]:
    """Neighbouring blocks under one heading together, up to so many words; a longer block cut
    between its sentences (at words, where a sentence is longer). Rows and pages stay apart."""
    waiting: list[Block] = []
    size = 0
    for block in blocks:
        for part in _cut(block, words):
            count = len(part.text.split())
            apart = bool(waiting) and (
                part.title != waiting[0].title
                or (part.unit != "lines" and part.first != waiting[0].first)
            )
            if waiting and (apart or size + count > words):
                yield _joined(waiting)
                waiting, size = [], 0
            waiting.append(part)
            size += count
            # Ends that depend on the words alone: a line more at the top of a file moves few.
            if size >= words // 3 and digest_text(part.text)[0] in "0123":
                yield _joined(waiting)
                waiting, size = [], 0
    if waiting:
        yield _joined(waiting)


def _joined(blocks: list[Block]) -> Piece:
    first, last = blocks[0], blocks[-1]
    text = "\n".join(block.text for block in blocks)
    return Piece(text, first.title, place(first.unit, first.first, last.last))


def _cut(block: Block, words: int) -> Iterator[Block]:
    if len(block.text.split()) <= words:
        yield block
        return
    lines = block.text.split("\n")
    if len(lines) == block.last - block.first + 1 and len(lines) > 1:
        # A block with a line for each line of its file keeps exact places.
        held: list[tuple[int, str]] = []
        for number, line in enumerate(lines, block.first):
            if held and sum(len(t.split()) for _, t in held) + len(line.split()) > words:
                yield from _cut(_of_lines(block, held), words)
                held = []
            held.append((number, line))
        yield from _cut(_of_lines(block, held), words) if len(held) < len(lines) else [block]
        return
    for text in _sentences(block.text, words):
        yield Block(text, block.unit, block.first, block.last, block.title)


def _of_lines(block: Block, held: list[tuple[int, str]]) -> Block:
    text = "\n".join(line for _, line in held)
    return Block(text, block.unit, held[0][0], held[-1][0], block.title)


def _sentences(text: str, words: int) -> Iterator[str]:
    held: list[str] = []
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        parts = sentence.split()
        if held and len(held) + len(parts) > words:
            yield " ".join(held)
            held = []
        while len(parts) > words:
            yield " ".join(parts[:words])
            parts = parts[words:]
        held.extend(parts)
    if held:
        yield " ".join(held)
