"""Word documents (.docx) as blocks: paragraphs, lists and table rows under their headings."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core import MemoryFault, SettingError
from .passages import TextBlock, heading_path

MAX_UNPACKED_BYTES = 256 * 1024 * 1024
"""Of all parts of a file together: more is a zip bomb, or a file of pictures."""
MAX_XML_BYTES = 48 * 1024 * 1024
"""Of one XML part; a book of 1,000 pages has about 10 MB."""
MAX_PARTS = 10_000
_MAX_TITLE = 80
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""First bytes of Microsoft's older container, which also holds encrypted .docx files."""
_MACROS = re.compile(r"(^|/)(vbaProject\.bin|vbaData\.xml)$", re.IGNORECASE)
_DECLARATIONS = tuple(
    word.encode(encoding)
    for word in ("<!DOCTYPE", "<!ENTITY")
    for encoding in ("ascii", "utf-16-le", "utf-16-be")
)
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_NOTES = ("footnotes", "endnotes")
_DELETED = frozenset(f"{_W}{name}" for name in ("del", "moveFrom", "instrText", "delText", "pPr"))
_BREAKS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)


def read_docx(data: bytes, path: Path) -> Iterator[TextBlock]:
    """Paragraphs with their headings, list items, table rows as "column: value; ...", text boxes,
    footnotes and endnotes. Deleted and hidden text, comments, page headers and page footers are
    left out. Needs the extra ``documents`` (python-docx).

    Raises MemoryFault for a file that is damaged, encrypted, too large when unpacked, or has
    macros or XML entities."""
    try:
        from docx import Document
        from docx.opc.exceptions import OpcError
    except ImportError as error:
        raise SettingError(
            f"{path}: Word files need python-docx; pip install 'denizens[documents]'"
        ) from error
    _inspect_archive(data, path)
    try:
        document = Document(io.BytesIO(data))
        yield from _DocxBlocks(document).blocks()
    except MemoryFault:
        raise
    # lxml raises its own kind of SyntaxError.
    except (OpcError, SyntaxError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise MemoryFault(f"{path}: is damaged or no .docx file ({_line(error)})") from error
    # A damaged file makes python-docx raise other exceptions than its own.
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise MemoryFault(f"{path}: is damaged or no .docx file ({_line(error)})") from error
    except (RecursionError, OverflowError, AssertionError, OSError, NotImplementedError) as error:
        raise MemoryFault(
            f"{path}: cannot be read as a .docx file ({type(error).__name__})"
        ) from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _inspect_archive(data: bytes, path: Path) -> None:
    """Raises MemoryFault for an archive that must not be read, before anything of it is parsed."""
    if data.startswith(_OLE):
        raise MemoryFault(
            f"{path}: is encrypted, or of Word before 2007; save it as .docx without a password"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            size = sum(part.file_size for part in parts)
            if len(parts) > MAX_PARTS or size > MAX_UNPACKED_BYTES:
                raise MemoryFault(
                    f"{path}: unpacks to {len(parts)} parts of {size // 2**20} MB; at most "
                    f"{MAX_PARTS} of {MAX_UNPACKED_BYTES // 2**20} MB are read"
                )
            if any(_MACROS.search(part.filename) for part in parts):
                raise MemoryFault(f"{path}: has macros; save it as .docx without them")
            for part in parts:
                if part.flag_bits & 1:
                    raise MemoryFault(f"{path}: is encrypted; save it without a password")
                if part.filename.lower().endswith((".xml", ".rels")):
                    _inspect_xml(archive, part, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
        raise MemoryFault(f"{path}: is damaged or no .docx file ({_line(error)})") from error
    except (NotImplementedError, RuntimeError, OverflowError) as error:
        raise MemoryFault(f"{path}: cannot be unpacked ({_line(error)})") from error


def _inspect_xml(archive: zipfile.ZipFile, part: zipfile.ZipInfo, path: Path) -> None:
    if part.file_size > MAX_XML_BYTES:
        raise MemoryFault(
            f"{path}: its part {part.filename!r:.60} unpacks to {part.file_size // 2**20} MB; at "
            f"most {MAX_XML_BYTES // 2**20} MB are read, split it"
        )
    text = archive.read(part)
    if any(word in text for word in _DECLARATIONS):
        raise MemoryFault(
            f"{path}: its part {part.filename!r:.60} declares XML entities, which no word "
            "processor writes; it is not read"
        )
    if part.filename == "[Content_Types].xml" and b"macroEnabled" in text:
        raise MemoryFault(f"{path}: has macros; save it as .docx without them")


@dataclass
class _DocxBlocks:
    """The blocks of one document, in reading order. Paragraphs are counted from 1 under each
    heading, tables from 1 in the document."""

    document: Any
    headings: list[tuple[int, str]] = field(default_factory=list)
    empty_heading: bool = False
    paragraphs: int = 0
    tables: int = 0

    def blocks(self) -> Iterator[TextBlock]:
        """All blocks of the body, then the notes."""
        yield from self._container(self.document.element.body)
        yield from self._end_of_heading(0)
        self.headings = []
        for kind in _NOTES:
            for number, text in enumerate(self._notes(kind), 1):
                yield TextBlock(text, kind, number, number)

    def _container(self, element: Any) -> Iterator[TextBlock]:
        for child in element:
            if child.tag == f"{_W}p":
                yield from self._paragraph(child)
            elif child.tag == f"{_W}tbl":
                yield from self._table(child)
            elif child.tag not in _DELETED and child.tag != _FALLBACK:
                # Content controls, inserted text and the like hold paragraphs too.
                yield from self._container(child)

    def _paragraph(self, element: Any) -> Iterator[TextBlock]:
        text = _text_of(element)
        if text:
            level = self._heading_level(element)
            if level:
                yield from self._heading(level, " ".join(text.split()))
            else:
                self.empty_heading = False
                self.paragraphs += 1
                item = "- " if self._is_item(element) else ""
                yield self._block(item + text, "paragraphs", self.paragraphs)
        for box in element.iter(f"{_W}txbxContent"):
            if not any(parent.tag == _FALLBACK for parent in box.iterancestors()):
                yield from self._container(box)

    def _heading(self, level: int, text: str) -> Iterator[TextBlock]:
        yield from self._end_of_heading(level)
        self.headings = [(depth, above) for depth, above in self.headings if depth < level]
        self.headings.append((level, text))
        self.paragraphs, self.empty_heading = 0, True
        if heading_path([text]) != text:  # Too long for a title: it stands there whole as well.
            yield self._block(text, "paragraphs", 1)
            self.paragraphs, self.empty_heading = 1, False

    def _end_of_heading(self, level: int) -> Iterator[TextBlock]:
        """A block for a heading without content, unless a lower heading follows it."""
        if self.empty_heading and self.headings and level <= self.headings[-1][0]:
            depth, text = self.headings.pop()
            yield self._block(text, "headings", 1)
            self.headings.append((depth, text))
        self.empty_heading = False

    def _block(self, text: str, unit: str, number: int) -> TextBlock:
        title = heading_path([text for _, text in self.headings])
        near = title if len(title) <= _MAX_TITLE else heading_path([self.headings[-1][1]])
        return TextBlock(text, f"{near}, {unit}" if near else unit, number, number, title)

    def _table(self, element: Any) -> Iterator[TextBlock]:
        """The rows with the names of the first row, unless these are longer than the rows."""
        self.tables += 1
        self.empty_heading = False
        unit = f"table {self.tables}, rows"
        names: list[str] = []
        rows = list(element.iter(f"{_W}tr"))
        rows = [row for row in rows if _table_of(row) is element]
        for number, row in enumerate(rows, 1):
            cells = [_cell_text(cell) for cell in _cells(row)]
            if number == 1 and len(rows) > 1 and len(cells) > 1:
                names = cells
                continue
            pairs = [f"{name}: {cell}" if name else cell for name, cell in zip(names, cells)]
            fits = (
                len(cells) <= len(names) and sum(map(len, names)) < 4 * sum(map(len, cells)) + 200
            )
            texts = pairs if fits else cells
            text = "; ".join(text for text, cell in zip(texts, cells) if cell)
            if text:
                yield self._block(text, unit, number)
        if names and len(rows) == 1:
            yield self._block("; ".join(filter(None, names)), unit, 1)

    def _style_chain(self, element: Any) -> Iterator[Any]:
        """The styles of a paragraph, each after the one that is based on it."""
        found = element.find(f"{_W}pPr/{_W}pStyle")
        seen = set()
        while found is not None and (name := found.get(f"{_W}val")) not in seen:
            seen.add(name)
            style = self.document.styles.element.get_by_id(name)
            if style is None:
                return
            yield style
            found = style.find(f"{_W}basedOn")

    def _heading_level(self, element: Any) -> int:
        """1 for a title, 2 to 10 for a heading, 0 for other paragraphs."""
        outline = element.find(f"{_W}pPr/{_W}outlineLvl")
        for style in self._style_chain(element):
            if outline is not None:
                break
            shown = style.find(f"{_W}name")
            label = "" if shown is None else str(shown.get(f"{_W}val"))
            if match := _HEADING.fullmatch(label):
                return int(match[1]) + 1
            if label.lower() == "title":
                return 1
            outline = style.find(f"{_W}pPr/{_W}outlineLvl")
        level = "" if outline is None else str(outline.get(f"{_W}val"))
        # Level 9 is body text.
        return int(level) + 2 if level.isdecimal() and int(level) < 9 else 0

    def _is_item(self, element: Any) -> bool:
        parts = (element, *self._style_chain(element))
        number = next(
            (one for part in parts if (one := part.find(f"{_W}pPr/{_W}numPr")) is not None), None
        )
        # Numbering 0 takes a list of the style away.
        which = None if number is None else number.find(f"{_W}numId")
        return which is not None and which.get(f"{_W}val") != "0"

    def _notes(self, kind: str) -> Iterator[str]:
        from docx.oxml import parse_xml

        for relation in self.document.part.rels.values():
            if relation.is_external or not relation.reltype.endswith(f"/{kind}"):
                continue
            for note in parse_xml(relation.target_part.blob):
                # Separators have a type; notes have none.
                if note.get(f"{_W}type") is None and (text := _cell_text(note)):
                    yield text


def _table_of(row: Any) -> Any:
    return next((parent for parent in row.iterancestors() if parent.tag == f"{_W}tbl"), None)


def _cells(row: Any) -> Iterator[Any]:
    for cell in row.iter(f"{_W}tc"):
        if next(one for one in cell.iterancestors() if one.tag == f"{_W}tr") is row:
            yield cell


def _cell_text(cell: Any) -> str:
    """The paragraphs of a cell or a note, also those of tables in it, as one line."""
    texts = (_text_of(paragraph) for paragraph in cell.iter(f"{_W}p"))
    return " ".join(" ".join(texts).split())


def _text_of(paragraph: Any) -> str:
    """The visible text of a paragraph, without its text boxes."""
    return "".join(_pieces(paragraph)).strip()


def _pieces(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag == f"{_W}t":
            yield child.text or ""
        elif child.tag in _BREAKS:
            yield _BREAKS[child.tag]
        elif child.tag in _DELETED or child.tag in (_FALLBACK, f"{_W}txbxContent"):
            continue
        elif child.tag != f"{_W}r" or not _is_hidden(child):
            yield from _pieces(child)


def _is_hidden(run: Any) -> bool:
    vanish = run.find(f"{_W}rPr/{_W}vanish")
    return vanish is not None and vanish.get(f"{_W}val") not in ("0", "false", "off")
