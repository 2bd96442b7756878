"""Documents as blocks: what readers give, and pieces of a size that embeds whole."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..core import digest_text, sentence_ends

# MiniLM reads 256 word pieces; English has about 1.3 to a word.
PASSAGE_WORDS = 160
WORD_PIECES_PER_WORD = 1.4  # word pieces to a word that a piece of so many words has room for
MAX_HEADING_CHARS = 120  # characters of one heading that travel with the text
_PARTS = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")


def embedder_length(text: str) -> int:
    """How long a text is for an embedder, in English words: its words, or more where these
    come to many word pieces (figures, signs, long words, characters of other scripts).

    >>> embedder_length("We met at noon."), embedder_length("我们中午见面了。")
    (4, 6)
    """
    words = len(text.split())
    pieces = 0
    for part in _PARTS.findall(text):
        if part.isdigit():
            pieces += -(-len(part) // 2)
        elif part.isascii() or part[0] < "\u0250":
            pieces += 1 + max(0, len(part) - 5) // 3 + (0 if part.isascii() else 1)
        else:  # A syllable of Hangul is two or three letters to MiniLM.
            pieces += len(part) * (2 if "\uac00" <= part[0] <= "\ud7a3" else 1)
    return max(words, round(pieces / WORD_PIECES_PER_WORD + 0.4))


def heading_path(headings: Sequence[str]) -> str:
    """The headings above a text as its title, each cut to a length that leaves room for it.

    >>> heading_path(["Guide", "Bread"])
    'Guide > Bread'
    """
    return " > ".join(
        text if len(text) <= MAX_HEADING_CHARS else f"{text[: MAX_HEADING_CHARS - 1]}…"
        for text in headings
    )


@dataclass(frozen=True, slots=True)
class TextBlock:
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
class Passage:
    """A part of a document that becomes one record."""

    text: str
    title: str
    place: str


def format_place(unit: str, first: int, last: int) -> str:
    """A place as it is cited.

    >>> format_place("p.", 3, 3), format_place("lines", 10, 24), format_place("lines", 7, 7),
    format_place("row", 2, 5)
    ('p. 3', 'lines 10-24', 'line 7', 'rows 2-5')
    """
    if unit == "p.":
        return f"p. {first}" if first == last else f"pp. {first}-{last}"
    one = unit.removesuffix("s")
    return f"{one} {first}" if first == last else f"{one}s {first}-{last}"


def split_passages(blocks: Iterable[TextBlock], words: int = PASSAGE_WORDS) -> Iterator[Passage]:
    """Neighbouring blocks under one heading together, up to so many words; a longer block cut
    between its sentences (at words, where a sentence is longer). Rows and pages stay apart."""
    waiting: list[TextBlock] = []
    size = 0
    for block in blocks:
        # The title is embedded with the text.
        room = max(words // 2, words - embedder_length(block.title)) if block.title else words
        for part, count in _cut(block, room):
            apart = bool(waiting) and (
                part.title != waiting[0].title
                or (part.unit != "lines" and part.first != waiting[0].first)
            )
            if waiting and (apart or size + count > room):
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


def _joined(blocks: list[TextBlock]) -> Passage:
    first, last = blocks[0], blocks[-1]
    text = "\n".join(block.text for block in blocks)
    return Passage(text, first.title, format_place(first.unit, first.first, last.last))


def _cut(block: TextBlock, words: int) -> Iterator[tuple[TextBlock, int]]:
    """A block in parts of at most so many words, each with its size."""
    if (whole := embedder_length(block.text)) <= words:
        yield block, whole
        return
    lines = block.text.split("\n")
    if len(lines) == block.last - block.first + 1 and len(lines) > 1:
        # A block with a line for each line of its file keeps exact places.
        held: list[tuple[int, str]] = []
        size = 0
        for number, line in enumerate(lines, block.first):
            count = embedder_length(line)
            if held and size + count > words:
                yield from _cut(_of_lines(block, held), words)
                held, size = [], 0
            held.append((number, line))
            size += count
        if len(held) < len(lines):
            yield from _cut(_of_lines(block, held), words)
            return
        # One by one they fit and together not: the rounding of each.
    for text in _sentences(block.text, words):
        yield (
            TextBlock(text, block.unit, block.first, block.last, block.title),
            embedder_length(text),
        )


def _of_lines(block: TextBlock, held: list[tuple[int, str]]) -> TextBlock:
    text = "\n".join(line for _, line in held)
    return TextBlock(text, block.unit, held[0][0], held[-1][0], block.title)


def _sentences(text: str, words: int) -> Iterator[str]:
    """Neighbouring sentences together, up to so many words; longer ones cut between words, a
    longer run without blanks between characters."""
    start = end = size = 0
    for stop in _ends(text, words):
        count = embedder_length(text[end:stop])
        if size and size + count > words:
            yield " ".join(text[start:end].split())
            start, size = end, 0
        size += count
        end = stop
    if last := " ".join(text[start:].split()):
        yield last


def _ends(text: str, words: int) -> Iterator[int]:
    """Where a text may be cut, the ends of what fits by itself."""
    start = 0
    for stop in sentence_ends(text):
        if embedder_length(text[start:stop]) <= words:
            yield stop
        else:
            for word in re.finditer(r"\S+\s*", text[start:stop]):
                yield from _word_ends(word[0], start + word.start(), words)
        start = stop


def _word_ends(word: str, start: int, words: int) -> Iterator[int]:
    if embedder_length(word) > words:
        step, at = max(1, words // 8), 0
        while (at := at + step) < len(word):
            if unicodedata.category(word[at])[0] != "M":
                yield start + at
    yield start + len(word)
