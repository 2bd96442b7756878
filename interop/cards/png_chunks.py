"""Chunks of PNG files: reading with all checks of the format, and the text in them.

Source: PNG (Third Edition), W3C 2025, sections 5 and 11.3.3. Pillow is not used: it drops chunks
that it does not know, and it is an optional dependency.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...core import SettingError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
MAX_TEXT_BYTES = 16 * 2**20
"""Largest text of a chunk after decompression, in bytes."""
_HEADER_BYTES = 8  # length and type
_CRC_BYTES = 4
_MAX_KEYWORD_BYTES = 79


@dataclass(frozen=True, slots=True)
class PngChunk:
    """A chunk: its type (4 letters) and its data."""

    kind: bytes
    data: bytes

    @property
    def keyword(self) -> str:
        """The keyword of a text chunk, in lower case; empty for other chunks."""
        if self.kind not in TEXT_CHUNKS:
            return ""
        return self.data[: _MAX_KEYWORD_BYTES + 1].partition(b"\0")[0].decode("latin-1").lower()


def read_png_chunks(data: bytes, source: Path | str) -> tuple[PngChunk, ...]:
    """The chunks of a PNG file, from IHDR to IEND; bytes after IEND are left out.

    Raises SettingError, naming the file and the chunk, for a file that is no PNG, is cut off, or
    has a chunk whose checksum (CRC-32) is wrong.
    """
    if not data.startswith(SIGNATURE):
        raise _fault(source, "is no PNG file (its signature is missing)")
    chunks: list[PngChunk] = []
    at = len(SIGNATURE)
    while not chunks or chunks[-1].kind != b"IEND":
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + _HEADER_BYTES]
        start = at + _HEADER_BYTES
        end = start + length
        if len(data) < end + _CRC_BYTES or len(kind) < 4:
            raise _fault(source, f"is cut off after byte {at:,}, in chunk {len(chunks) + 1}")
        if not kind.isalpha() or not kind.isascii():
            raise _fault(source, f"has no chunk where one should begin (byte {at:,})")
        name = kind.decode()
        if not chunks and name != "IHDR":
            raise _fault(source, f"does not begin with IHDR but with {name}")
        body = data[start:end]
        if zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(data[end : end + _CRC_BYTES]):
            raise _fault(source, f"is damaged: the checksum of its chunk {name} is wrong")
        chunks.append(PngChunk(kind, body))
        at = end + _CRC_BYTES
    return tuple(chunks)


def write_png_chunks(chunks: Iterable[PngChunk]) -> bytes:
    """A PNG file of chunks, with their checksums."""
    parts = [SIGNATURE]
    for chunk in chunks:
        crc = zlib.crc32(chunk.data, zlib.crc32(chunk.kind))
        parts += [len(chunk.data).to_bytes(4), chunk.kind, chunk.data, crc.to_bytes(4)]
    return b"".join(parts)


def chunk_text(chunk: PngChunk, source: Path | str) -> bytes:
    """The text of a tEXt, zTXt or iTXt chunk as bytes, decompressed if it is compressed.

    Raises SettingError for a chunk that does not follow the format, and for more than
    ``MAX_TEXT_BYTES`` of text; no more than that is decompressed.
    """
    name = chunk.kind.decode()
    keyword, found, rest = chunk.data.partition(b"\0")
    if not found:
        raise _fault(source, f"has a text chunk ({name}) without a keyword")
    if chunk.kind == b"tEXt":
        return _bounded(rest, source, name)
    where = f"{name} '{keyword[:_MAX_KEYWORD_BYTES].decode('latin-1')}'"
    if chunk.kind == b"zTXt":
        return _decompressed(rest[1:], rest[:1], source, where)
    flag, method, fields = rest[:1], rest[1:2], rest[2:].split(b"\0", 2)
    if len(fields) < 3 or flag not in (b"\0", b"\1"):
        raise _fault(source, f"has a chunk {where} that is not well formed")
    if flag == b"\1":
        return _decompressed(fields[2], method, source, where)
    return _bounded(fields[2], source, where)


def text_chunk(keyword: str, text: bytes) -> PngChunk:
    """A tEXt chunk; ``text`` is Latin-1, as base64 is."""
    return PngChunk(b"tEXt", keyword.encode("latin-1") + b"\0" + text)


def plain_png(width: int, height: int, color: tuple[int, int, int]) -> bytes:
    """A PNG file of one color (red, green and blue from 0 to 255), ``width`` x ``height``."""
    header = width.to_bytes(4) + height.to_bytes(4) + bytes((8, 2, 0, 0, 0))
    rows = (b"\0" + bytes(color) * width) * height
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return write_png_chunks(PngChunk(kind, data) for kind, data in chunks)


def _decompressed(data: bytes, method: bytes, source: Path | str, where: str) -> bytes:
    if method != b"\0":
        raise _fault(source, f"has a chunk {where} compressed by an unknown method")
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(data, MAX_TEXT_BYTES + 1)
    except zlib.error as error:
        raise _fault(source, f"has a chunk {where} that cannot be decompressed") from error
    if not inflater.eof and len(text) <= MAX_TEXT_BYTES:
        raise _fault(source, f"has a chunk {where} whose compressed text is cut off")
    return _bounded(text, source, where)


def _bounded(text: bytes, source: Path | str, where: str) -> bytes:
    if len(text) > MAX_TEXT_BYTES:
        limit = MAX_TEXT_BYTES // 2**20
        raise SettingError(
            f"{source}: its chunk {where} holds more than {limit} MB of text, which no card has; "
            "export the card again from where it was made"
        )
    return text


def _fault(source: Path | str, what: str) -> SettingError:
    return SettingError(f"{source}: {what}; export or download the card again")
