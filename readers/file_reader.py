"""Files as text blocks with their places: text, Markdown, HTML, PDF, CSV and Word."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from ..core import MemoryFault, SettingError, decode_text
from .csv_reader import csv_blocks
from .docx_reader import read_docx
from .html_reader import html_blocks
from .markdown_reader import markdown_blocks
from .passages import TextBlock, heading_path

MAX_FILE_BYTES = 64 * 1024 * 1024


def read_blocks(path: Path) -> list[TextBlock]:
    """The blocks of a file, read according to its ending. Raises MemoryFault if it cannot be read
    (empty, damaged, encrypted, too large, no text), SettingError for an unknown ending or a missing
    library."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(sorted(READERS))
        raise SettingError(
            f"{path}: files ending in '{path.suffix}' cannot be read as documents; known: {known}"
        )
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise MemoryFault(
                f"{path}: {size // 2**20} MB; at most {MAX_FILE_BYTES // 2**20} MB are read, "
                f"split it"
            )
        data = path.read_bytes()
    except OSError as error:
        raise MemoryFault(f"{path}: cannot be read ({error.strerror}); check the path") from error
    blocks = [block for block in reader(data, path) if block.text.strip()]
    if not blocks:
        raise MemoryFault(f"{path}: holds no text; nothing to remember")
    return blocks


def _text(data: bytes, path: Path) -> str:
    """The text of a file: UTF-8, or by its byte order mark. Raises MemoryFault for other bytes."""
    text = decode_text(data, path, error=MemoryFault)
    if "\x00" in text:
        raise MemoryFault(f"{path}: is a binary file, not text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(data: bytes, path: Path) -> Iterator[TextBlock]:
    """Paragraphs of plain text with their line numbers."""
    yield from _paragraphs(_text(data, path).split("\n"))


def read_markdown(data: bytes, path: Path) -> Iterator[TextBlock]:
    """Paragraphs, lists, code and table rows of Markdown with line numbers and headings."""
    yield from markdown_blocks(_text(data, path).split("\n"))


def _paragraphs(lines: list[str]) -> Iterator[TextBlock]:
    start = 0
    for number, line in enumerate([*lines, ""]):
        if line.strip():
            continue
        if start < number:
            text = "\n".join(text_line.rstrip() for text_line in lines[start:number])
            yield TextBlock(text, "lines", start + 1, number)
        start = number + 1


def read_html(data: bytes, path: Path) -> Iterator[TextBlock]:
    """Visible paragraphs of a page with the headings above them."""
    above: tuple[str, ...] = ()
    for block in html_blocks(_text(data, path)):
        title = heading_path(block.headings)
        if block.headings != above:
            # A heading longer than a title is also a block of its own.
            for text in block.headings:
                if heading_path([text]) != text and text not in above:
                    yield TextBlock(text, "lines", block.first, block.first)
            above = block.headings
        yield TextBlock(block.text, "lines", block.first, block.last, title)


def read_csv(data: bytes, path: Path) -> Iterator[TextBlock]:
    """One block per row, as "column: value; ..."; the header is row 1."""
    yield from csv_blocks(_text(data, path), path)


def read_pdf(data: bytes, path: Path) -> Iterator[TextBlock]:
    """Paragraphs of each page. Needs the extra ``documents`` (pypdf)."""
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
                    yield TextBlock(lines, "p.", number, number)
    except MemoryFault:
        raise
    except DependencyError as error:
        raise MemoryFault(f"{path}: is encrypted; save it without a password") from error
    # A damaged file makes pypdf raise other exceptions than its own.
    except (PyPdfError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise MemoryFault(f"{path}: is damaged or no PDF ({error})") from error
    except (RecursionError, OverflowError, AssertionError, OSError, NotImplementedError) as error:
        raise MemoryFault(f"{path}: cannot be read as a PDF ({type(error).__name__})") from error


READERS: dict[str, Callable[[bytes, Path], Iterator[TextBlock]]] = {
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
    ".docx": read_docx,
}
