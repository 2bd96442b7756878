"""Reading files inside one folder: nothing outside it can be named, linked to or raced to."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypedDict

from ...core import SettingError
from ..declaration import Tool, tool

MAX_PAGE_BYTES = 8_000
"""The most bytes of a file that one call gives."""
_MOST_NAMES = 200
_MOST_SCANNED = 20_000
_LONGEST_PATH = 1_000
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# Without O_NONBLOCK a pipe put there in the last moment would block for ever.
_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_FILE |= getattr(os, "O_NOCTTY", 0)

Encoding = Literal["utf-8", "utf-16", "latin-1"]


class FilePage(TypedDict):
    """Part of a file: its text from byte ``offset`` on; ``next`` is where the rest begins
    (None: nothing is left), ``size`` the whole file's bytes."""

    path: str
    text: str
    offset: int
    next: int | None
    size: int


class FolderListing(TypedDict):
    """What one folder holds: ``folders`` and ``files`` (with their bytes), in order of name;
    ``more`` counts the names left out."""

    path: str
    folders: list[str]
    files: dict[str, int]
    more: int


def file_tools(folder: Path | str) -> tuple[Tool[..., FilePage], Tool[..., FolderListing]]:
    """The tools ``read_file`` and ``list_files``, bound to ``folder``.

    Paths are walked part by part from the folder's own descriptor and no link is followed on
    the way, so neither ``..``, nor an absolute path, nor a link, nor one put there between
    look and opening leads out. Only ordinary files are opened: no device, pipe or socket.
    Raises SettingError where there is no such folder, or the system has no such walk.
    """
    if os.open not in os.supports_dir_fd or os.scandir not in os.supports_fd:
        raise SettingError("files_in: this system cannot open files relative to a folder's handle")
    if not isinstance(folder, str | Path) or not str(folder).strip():
        # Not the folder of the process, which Path("") would be.
        raise SettingError(f"files_in: {folder!r} names no folder; give its path, or '.'")
    root = Path(folder).expanduser().resolve()
    if not root.is_dir():
        raise SettingError(f"files_in: there is no folder {root}; make it, or check the path")

    @tool(effect="reads", outside=True)
    def read_file(path: str, offset: int = 0, encoding: Encoding = "utf-8") -> FilePage:
        """Read a text file of the folder, up to 8,000 bytes of it at a time.

        Args:
            path: the file's path inside the folder, for example "notes/today.txt"
            offset: the byte to begin at: 0, or "next" of the page before
            encoding: how its text is written; utf-8 unless it is known to be another
        """
        return _read(root, path, offset, encoding)

    @tool(effect="reads", outside=True)
    def list_files(path: str = "") -> FolderListing:
        """List the files and folders inside the folder.

        Args:
            path: a folder inside it, for example "notes"; empty for the whole folder
        """
        return _list(root, path)

    return read_file, list_files


def _read(root: Path, path: str, offset: int, encoding: Encoding) -> FilePage:
    if offset < 0:
        raise ValueError(f"offset {offset} is before the file's beginning; use 0 or more")
    parts = _parts(path)
    if not parts:
        raise ValueError("no file is named; list_files shows which there are")
    with _opened(root, parts[:-1]) as parent:
        name = parts[-1]
        try:
            # Looked at before it is opened: opening a device may already do something.
            _ordinary(path, os.stat(name, dir_fd=parent, follow_symlinks=False))
            handle = os.open(name, _FILE, dir_fd=parent)
        except OSError as error:
            raise _told(path, error) from error
    with open(handle, "rb", buffering=0) as file:
        size = _ordinary(path, os.fstat(file.fileno())).st_size
        if offset > size:
            raise ValueError(f"'{path}' has {size} bytes; offset {offset} is beyond its end")
        mark = file.read(3) if size else b""
        file.seek(offset)
        data = file.read(MAX_PAGE_BYTES)
    text, start, end = _decoded(path, data, offset, encoding, mark, offset + len(data) >= size)
    return FilePage(path=path, text=text, offset=start, next=end if end < size else None, size=size)


def _list(root: Path, path: str) -> FolderListing:
    with _opened(root, _parts(path)) as handle, os.scandir(handle) as found:
        folders: list[str] = []
        files: dict[str, int] = {}
        odd = 0
        for count, entry in enumerate(found):
            if count == _MOST_SCANNED:
                raise ValueError(f"'{path}' holds over {_MOST_SCANNED} names; name a subfolder")
            # A name that is not UTF-8, or breaks lines, could not be asked for.
            if not entry.name.isprintable():
                odd += 1
            elif entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif entry.is_file(follow_symlinks=False):
                files[entry.name] = entry.stat(follow_symlinks=False).st_size
    shown = sorted(folders)[:_MOST_NAMES]
    left = _MOST_NAMES - len(shown)
    kept = {name: files[name] for name in sorted(files)[:left]}
    more = odd + len(folders) + len(files) - len(shown) - len(kept)
    return FolderListing(path=path, folders=shown, files=kept, more=more)


def _parts(path: str) -> list[str]:
    """A path's parts; refused when it is absolute, climbs, or cannot be a path at all."""
    if "\0" in path:
        raise ValueError("a path has no NUL character in it")
    if any("\ud800" <= letter <= "\udfff" for letter in path):
        raise ValueError("the path has characters that no file's name can have")
    if len(path) > _LONGEST_PATH:
        raise ValueError(f"the path has {len(path)} characters, more than {_LONGEST_PATH}")
    if path.startswith("/") or "\\" in path or path.startswith("~") or path[1:2] == ":":
        raise ValueError(f"'{path}' is not a path inside the folder; write it as 'part/name.txt'")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError(f"'{path}' leads out of the folder; '..' is not allowed")
    return parts


@contextmanager
def _opened(root: Path, parts: list[str]) -> Iterator[int]:
    """The descriptor of the folder that ``parts`` lead to from ``root``, no link followed."""
    handle = -1
    try:
        # The root has no link in it: it was resolved; a link put there since is refused.
        handle = os.open(root, _FOLDER)
        for part in parts:
            inner = os.open(part, _FOLDER, dir_fd=handle)
            os.close(handle)
            handle = inner
    except OSError as error:
        if handle >= 0:
            os.close(handle)
        raise _told("/".join(parts), error) from error
    try:
        yield handle
    finally:
        os.close(handle)


def _ordinary(path: str, seen: os.stat_result) -> os.stat_result:
    if stat.S_ISLNK(seen.st_mode):
        raise ValueError(f"'{path}' is a link; links are not followed")
    if stat.S_ISDIR(seen.st_mode):
        raise ValueError(f"'{path}' is a folder; list_files shows what it holds")
    if not stat.S_ISREG(seen.st_mode):
        raise ValueError(f"'{path}' is no ordinary file (a device, pipe or socket)")
    return seen


def _told(path: str, error: OSError) -> ValueError:
    """An error of the system in words that name the path inside the folder alone."""
    if isinstance(error, FileNotFoundError):
        return ValueError(f"there is no '{path}'; list_files shows what there is")
    if isinstance(error, NotADirectoryError):
        return ValueError(f"'{path}' passes through a file or a link, which is not followed")
    if isinstance(error, PermissionError):
        return ValueError(f"'{path}' may not be read")
    return ValueError(f"'{path}' cannot be opened: {error.strerror}")


def _decoded(
    path: str, data: bytes, offset: int, encoding: Encoding, mark: bytes, last: bool
) -> tuple[str, int, int]:
    """The text of a page, and the bytes where it begins and ends: never within a character."""
    kind: Any = encoding
    if mark.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and encoding != "latin-1":
        kind = "utf-16-le" if mark.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    elif encoding == "utf-16":
        kind = "utf-16-le"
    skip = 0
    if kind == "utf-8":
        while skip < min(3, len(data)) and offset and data[skip] & 0xC0 == 0x80:
            skip += 1
    elif kind.startswith("utf-16"):
        skip = offset % 2
    decoder = codecs.getincrementaldecoder(kind)()
    try:
        text = decoder.decode(data[skip:], final=last)
    except UnicodeDecodeError as error:
        where = offset + skip + error.start
        raise ValueError(
            f"'{path}' is not {encoding} text (byte {where}); it may be binary, or written "
            'in another encoding: "utf-16" or "latin-1"'
        ) from error
    if "\0" in text:
        raise ValueError(f"'{path}' is a binary file, not text")
    held = len(decoder.getstate()[0]) if not last else 0
    text = text.removeprefix("\ufeff") if not offset else text
    return text, offset + skip, offset + len(data) - held
