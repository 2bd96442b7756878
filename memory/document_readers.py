"""Readers: text, Markdown, HTML, PDF and CSV as blocks with their places."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from ..core import MemoryFault, SettingError, decode_text, page_blocks
from .csv_documents import read_rows
from .document_parts import Block

LARGEST = 64 * 1024 * 1024
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")


def blocks(path: Path) -> list[Block]:
    """The blocks of a file, by its ending. Raises MemoryFault where it cannot be read (empty,
    damaged, encrypted, too large, no text), SettingError for an unknown ending or a missing
    library."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(sorted(READERS))
        raise SettingError(
            f"{path}: files ending in '{path.suffix}' cannot be read as documents; known: {known}"
        )
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise MemoryFault(
                f"{path}: {size // 2**20} MB; at most {LARGEST // 2**20} MB are read, split it"
            )
        data = path.read_bytes()
    except OSError as error:
        raise MemoryFault(f"{path}: cannot be read ({error.strerror}); check the path") from error
    found = [block for block in reader(data, path) if block.text.strip()]
    if not found:
        raise MemoryFault(f"{path}: holds no text; nothing to remember")
    return found


def _text(data: bytes, path: Path) -> str:
    """Bytes as text; other encodings and binary files are no text for us."""
    text = decode_text(data, path, error=MemoryFault)
    if "\x00" in text:
        raise MemoryFault(f"{path}: is a binary file, not text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(data: bytes, path: Path) -> Iterator[Block]:
    """Paragraphs of plain text, with their lines."""
    yield from _paragraphs(_text(data, path).split("\n"), headings=False)


def read_markdown(data: bytes, path: Path) -> Iterator[Block]:
    """Paragraphs of Markdown, with their lines and the headings above them."""
    yield from _paragraphs(_text(data, path).split("\n"), headings=True)


def _paragraphs(lines: list[str], *, headings: bool) -> Iterator[Block]:
    held: list[str] = []
    titles: list[tuple[int, str]] = []
    fenced = False

    def block(end: int) -> Block:
        title = " > ".join(text for _, text in titles)
        return Block("\n".join(held), "lines", end - len(held) + 1, end, title)

    for number, line in enumerate(lines, 1):
        if headings and line.lstrip().startswith("```"):
            fenced = not fenced
        match = _HEADING.match(line) if headings and not fenced else None
        if held and (match or not line.strip()):
            yield block(number - 1)
            held = []
        if match:
            depth = len(match[1])
            titles = [(level, text) for level, text in titles if level < depth]
            titles.append((depth, match[2]))
        elif line.strip():
            held.append(line.rstrip())
    if held:
        yield block(len(lines))


def read_html(data: bytes, path: Path) -> Iterator[Block]:
    """Paragraphs of a page, with the headings above them; scripts and styles are left out."""
    for found in page_blocks(_text(data, path)):
        title = " > ".join(found.headings)
        yield Block(found.text, "lines", found.first, found.last, title)


def read_csv(data: bytes, path: Path) -> Iterator[Block]:
    """A row each, as "column: value; ..."; the first row names the columns and is row 1."""
    yield from read_rows(_text(data, path), path)


def read_pdf(data: bytes, path: Path) -> Iterator[Block]:
    """A page's text each, in paragraphs. Needs the extra ``documents`` (pypdf)."""
    try:
        from pypdf import PdfReader
        from pypdf.errors import DependencyError, PyPdfError
    except ImportError as error:
        raise SettingError(
            f"{path}: PDF files need pypdf; pip install 'denizens[documents]'"
        ) from error
    try:
        reader = PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise MemoryFault(f"{path}: is encrypted; save it without a password")
        for number, page in enumerate(reader.pages, 1):
            text = page.extract_text() or ""
            for paragraph in re.split(r"\n\s*\n", text):
                lines = " ".join(paragraph.split())
                if lines:
                    yield Block(lines, "p.", number, number)
    except MemoryFault:
        raise
    except DependencyError as error:
        raise MemoryFault(f"{path}: is encrypted; save it without a password") from error
    # What a damaged file makes pypdf raise is not bounded to its own errors.
    except (PyPdfError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise MemoryFault(f"{path}: is damaged or no PDF ({error})") from error
    except (RecursionError, OverflowError, AssertionError, OSError, NotImplementedError) as error:
        raise MemoryFault(f"{path}: cannot be read as a PDF ({type(error).__name__})") from error


READERS: dict[str, Callable[[bytes, Path], Iterator[Block]]] = {
    ".txt": read_text,
    ".text": read_text,
    ".log": read_text,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".html": read_html,
    ".htm": read_html,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".pdf": read_pdf,
}
