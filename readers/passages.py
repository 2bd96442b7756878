"""Text blocks, and passages of a length that an embedder takes whole."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..core import digest_text, sentence_ends

# MiniLM reads 256 word pieces; English has about 1.3 per word.
PASSAGE_WORDS = 160
WORD_PIECES_PER_WORD = 1.4
MAX_HEADING_CHARS = 120
_JOINED_UNITS = ("lines", "paragraphs")
_TOKEN = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")


def embedder_length(text: str) -> int:
    """Length of a text for an embedder in English words: the number of words, or more if they have
    many word pieces (digits, punctuation, long words, other scripts).

    >>> embedder_length("We met at noon."), embedder_length("我们中午见面了。")
    (4, 6)
    """
    words = len(text.split())
    pieces = 0
    for part in _TOKEN.findall(text):
        if part.isdigit():
            pieces += -(-len(part) // 2)
        elif part.isascii() or part[0] < "\u0250":
            pieces += 1 + max(0, len(part) - 5) // 3 + (0 if part.isascii() else 1)
        else:  # MiniLM splits a Hangul syllable into two or three letters.
            pieces += len(part) * (2 if "\uac00" <= part[0] <= "\ud7a3" else 1)
    return max(words, round(pieces / WORD_PIECES_PER_WORD + 0.4))


def heading_path(headings: Sequence[str]) -> str:
    """The headings above a text as one title, each cut to MAX_HEADING_CHARS.

    >>> heading_path(["Guide", "Bread"])
    'Guide > Bread'
    """
    return " > ".join(
        text if len(text) <= MAX_HEADING_CHARS else f"{text[: MAX_HEADING_CHARS - 1]}…"
        for text in headings
    )


@dataclass(frozen=True, slots=True)
class TextBlock:
    """A paragraph, list, row or part of a page: its text, the headings above it, and its place.

    ``unit`` is the unit of the place ("lines", "paragraphs", "p.", "row"), maybe after a heading or
    a table, ``first`` and ``last`` its range, counted from 1.
    """

    text: str
    unit: str
    first: int
    last: int
    title: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document that becomes one record."""

    text: str
    title: str
    place: str


def format_place(unit: str, first: int, last: int) -> str:
    """A place as text for a citation.

    >>> format_place("p.", 3, 3), format_place("lines", 10, 24), format_place("row", 2, 2)
    ('p. 3', 'lines 10-24', 'row 2')
    """
    if unit == "p.":
        return f"p. {first}" if first == last else f"pp. {first}-{last}"
    singular = unit.removesuffix("s")
    return f"{singular} {first}" if first == last else f"{singular}s {first}-{last}"


def split_passages(blocks: Iterable[TextBlock], words: int = PASSAGE_WORDS) -> Iterator[Passage]:
    """Passages of at most ``words`` words (``embedder_length``): adjacent blocks under one heading
    are joined, longer blocks split between sentences, longer sentences between words. Rows, pages
    and notes are not joined."""
    pending: list[TextBlock] = []
    size = 0
    for block in blocks:
        # The title is embedded with the text.
        limit = max(words // 2, words - embedder_length(block.title)) if block.title else words
        for part, count in _split_block(block, limit):
            is_separate = bool(pending) and (
                part.title != pending[0].title
                or part.unit != pending[0].unit
                or (not part.unit.endswith(_JOINED_UNITS) and part.first != pending[0].first)
            )
            if pending and (is_separate or size + count > limit):
                yield _passage(pending)
                pending, size = [], 0
            pending.append(part)
            size += count
            # Split points that depend on the text alone: an insertion changes few passages.
            if size >= words // 3 and digest_text(part.text)[0] in "0123":
                yield _passage(pending)
                pending, size = [], 0
    if pending:
        yield _passage(pending)


def _passage(blocks: list[TextBlock]) -> Passage:
    first, last = blocks[0], blocks[-1]
    text = "\n".join(block.text for block in blocks)
    return Passage(text, first.title, format_place(first.unit, first.first, last.last))


def _split_block(block: TextBlock, words: int) -> Iterator[tuple[TextBlock, int]]:
    """Parts of a block of at most ``words`` words, each with its length."""
    if (length := embedder_length(block.text)) <= words:
        yield block, length
        return
    lines = block.text.split("\n")
    if len(lines) == block.last - block.first + 1 and len(lines) > 1:
        # A block with one line per line of the file keeps exact places.
        pending: list[tuple[int, str]] = []
        size = 0
        for number, line in enumerate(lines, block.first):
            line_length = embedder_length(line)
            if pending and size + line_length > words:
                yield from _split_block(_block_of_lines(block, pending), words)
                pending, size = [], 0
            pending.append((number, line))
            size += line_length
        if len(pending) < len(lines):
            yield from _split_block(_block_of_lines(block, pending), words)
            return
        # The lines fit one by one but not together, because each length is rounded.
    for text in _split_text(block.text, words):
        yield (
            TextBlock(text, block.unit, block.first, block.last, block.title),
            embedder_length(text),
        )


def _block_of_lines(block: TextBlock, pending: list[tuple[int, str]]) -> TextBlock:
    text = "\n".join(line for _, line in pending)
    return TextBlock(text, block.unit, pending[0][0], pending[-1][0], block.title)


def _split_text(text: str, words: int) -> Iterator[str]:
    """Parts of a text of at most ``words`` words, split between sentences if possible, else between
    words or characters."""
    start = end = size = 0
    for stop in _split_points(text, words):
        count = embedder_length(text[end:stop])
        if size and size + count > words:
            yield " ".join(text[start:end].split())
            start, size = end, 0
        size += count
        end = stop
    if last := " ".join(text[start:].split()):
        yield last


def _split_points(text: str, words: int) -> Iterator[int]:
    start = 0
    for stop in sentence_ends(text):
        if embedder_length(text[start:stop]) <= words:
            yield stop
        else:
            for word in re.finditer(r"\S+\s*", text[start:stop]):
                yield from _word_split_points(word[0], start + word.start(), words)
        start = stop


def _word_split_points(word: str, start: int, words: int) -> Iterator[int]:
    if embedder_length(word) > words:
        step, at = max(1, words // 8), 0
        while (at := at + step) < len(word):
            if unicodedata.category(word[at])[0] != "M":
                yield start + at
    yield start + len(word)
