"""Reading text files, and writing a file whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import DenizensError, SettingError

_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def decode_text(
    data: bytes, source: Path | str, *, error: type[DenizensError] = SettingError
) -> str:
    """The text of a file's bytes: UTF-8, or the encoding of its byte order mark, which is removed.

    The encoding is never guessed. Raises ``error``, which names the source and the first byte
    that does not fit."""
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise error(
            f"{source}: is not {encoding.upper().removesuffix('-SIG')} (line {line}, byte "
            f"{data[fault.start]:#04x}); save the file as UTF-8 and try again"
        ) from fault


def read_text_file(path: Path | str, *, error: type[DenizensError] = SettingError) -> str:
    """The text of a file by ``decode_text``, with ``\\n`` as line ends. Raises ``error``, also if
    the file cannot be read."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as fault:
        # A path with a NUL raises ValueError.
        reason = getattr(fault, "strerror", None) or fault
        raise error(f"{path}: cannot be read ({reason}); check the path") from fault
    return decode_text(data, path, error=error).replace("\r\n", "\n").replace("\r", "\n")


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A path beside ``target`` to write to: the file is moved to ``target`` when the block ends,
    and removed when it raises. Raises OSError."""
    part = target.with_name(f"{target.name}.part{os.getpid()}")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
