"""Reading text files: UTF-8, or the encoding that a byte order mark names."""

from __future__ import annotations

from pathlib import Path

from .errors import DenizensError, SettingError

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def decode_text(
    data: bytes, source: Path | str, *, error: type[DenizensError] = SettingError
) -> str:
    """The text of a file's bytes: UTF-8, or what its byte order mark says; the mark is left out.

    Raises ``error``, naming the source, the first byte that does not fit and the remedy: a
    guessed encoding would put wrong letters into names without a word.
    """
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise error(
            f"{source}: is not {encoding.upper().removesuffix('-SIG')} (line {line}, byte "
            f"{data[fault.start]:#04x}); save the file as UTF-8 and try again"
        ) from fault


def read_text_file(path: Path | str, *, error: type[DenizensError] = SettingError) -> str:
    """The text of a file, by ``decode_text``; line ends are ``\\n``. Raises ``error``, also for a
    file that cannot be read."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as fault:
        # A path with a NUL is a ValueError.
        reason = getattr(fault, "strerror", None) or fault
        raise error(f"{path}: cannot be read ({reason}); check the path") from fault
    return decode_text(data, path, error=error).replace("\r\n", "\n").replace("\r", "\n")
