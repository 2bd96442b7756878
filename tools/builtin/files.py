"""The tools ``read_file`` and ``list_files`` for one folder, safe against path traversal, links and
races."""

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
"""Maximum bytes of a file per call."""
_MAX_NAMES = 200
_MAX_SCANNED_NAMES = 20_000
_MAX_PATH_CHARS = 1_000
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# O_NONBLOCK: a pipe that replaces the file just before opening must not block.
_FILE_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_FILE_FLAGS |= getattr(os, "O_NOCTTY", 0)

Encoding = Literal["utf-8", "utf-16", "latin-1"]


class FilePage(TypedDict):
    """Part of a file: its text from byte ``offset``; ``next`` is the offset of the rest (None:
    nothing is left), ``size`` the file's size in bytes."""

    path: str
    text: str
    offset: int
    next: int | None
    size: int


class FolderListing(TypedDict):
    """Contents of a folder: ``folders``, and ``files`` with their sizes in bytes, sorted by name;
    ``more`` is the number of names left out."""

    path: str
    folders: list[str]
    files: dict[str, int]
    more: int


def file_tools(folder: Path | str) -> tuple[Tool[..., FilePage], Tool[..., FolderListing]]:
    """The tools ``read_file`` and ``list_files``, bound to ``folder``.

    Each part of a path is opened relative to the descriptor of the part before, without following
    links, so ``..``, absolute paths and links, also those made between check and opening, cannot
    leave the folder. Only regular files are opened. Raises SettingError if there is no such folder
    or the system cannot open files relative to a descriptor.
    """
    if os.open not in os.supports_dir_fd or os.scandir not in os.supports_fd:
        raise SettingError(
            "file_tools: this system cannot open files relative to a folder's handle"
        )
    if not isinstance(folder, str | Path) or not str(folder).strip():
        # Path("") would be the current folder of the process.
        raise SettingError(f"file_tools: {folder!r} names no folder; give its path, or '.'")
    root = Path(folder).expanduser().resolve()
    if not root.is_dir():
        raise SettingError(f"file_tools: there is no folder {root}; make it, or check the path")

    @tool(effect="reads", outside=True)
    def read_file(path: str, offset: int = 0, encoding: Encoding = "utf-8") -> FilePage:
        """Read a text file of the folder, up to 8,000 bytes of it at a time.

        Args:
            path: the file's path inside the folder, for example "notes/today.txt"
            offset: the byte to begin at: 0, or "next" of the page before
            encoding: how its text is written; utf-8 unless it is known to be another
        """
        return _read_page(root, path, offset, encoding)

    @tool(effect="reads", outside=True)
    def list_files(path: str = "") -> FolderListing:
        """List the files and folders inside the folder.

        Args:
            path: a folder inside it, for example "notes"; empty for the whole folder
        """
        return _list_folder(root, path)

    return read_file, list_files


def _read_page(root: Path, path: str, offset: int, encoding: Encoding) -> FilePage:
    if offset < 0:
        raise ValueError(f"offset {offset} is before the file's beginning; use 0 or more")
    parts = _path_parts(path)
    if not parts:
        raise ValueError("no file is named; list_files shows which there are")
    with _open_folder(root, parts[:-1]) as parent:
        name = parts[-1]
        try:
            # Checked before opening, since opening a device may have an effect.
            _require_regular_file(path, os.stat(name, dir_fd=parent, follow_symlinks=False))
            handle = os.open(name, _FILE_FLAGS, dir_fd=parent)
        except OSError as error:
            raise _os_error(path, error) from error
    with open(handle, "rb", buffering=0) as file:
        size = _require_regular_file(path, os.fstat(file.fileno())).st_size
        if offset > size:
            raise ValueError(f"'{path}' has {size} bytes; offset {offset} is beyond its end")
        mark = file.read(3) if size else b""
        file.seek(offset)
        data = file.read(MAX_PAGE_BYTES)
    text, start, end = _decode_page(path, data, offset, encoding, mark, offset + len(data) >= size)
    return FilePage(path=path, text=text, offset=start, next=end if end < size else None, size=size)


def _list_folder(root: Path, path: str) -> FolderListing:
    with _open_folder(root, _path_parts(path)) as handle, os.scandir(handle) as entries:
        folders: list[str] = []
        files: dict[str, int] = {}
        unprintable = 0
        for count, entry in enumerate(entries):
            if count == _MAX_SCANNED_NAMES:
                raise ValueError(
                    f"'{path}' holds over {_MAX_SCANNED_NAMES} names; name a subfolder"
                )
            # A model could not name a file whose name is not UTF-8 or has line breaks.
            if not entry.name.isprintable():
                unprintable += 1
            elif entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif entry.is_file(follow_symlinks=False):
                files[entry.name] = entry.stat(follow_symlinks=False).st_size
    shown = sorted(folders)[:_MAX_NAMES]
    left = _MAX_NAMES - len(shown)
    kept = {name: files[name] for name in sorted(files)[:left]}
    more = unprintable + len(folders) + len(files) - len(shown) - len(kept)
    return FolderListing(path=path, folders=shown, files=kept, more=more)


def _path_parts(path: str) -> list[str]:
    """The parts of a relative path. Raises ValueError for an absolute or invalid one or ``..``."""
    if "\0" in path:
        raise ValueError("a path has no NUL character in it")
    if any("\ud800" <= sign <= "\udfff" for sign in path):
        raise ValueError("the path has characters that no file's name can have")
    if len(path) > _MAX_PATH_CHARS:
        raise ValueError(f"the path has {len(path)} characters, more than {_MAX_PATH_CHARS}")
    if path.startswith("/") or "\\" in path or path.startswith("~") or path[1:2] == ":":
        raise ValueError(f"'{path}' is not a path inside the folder; write it as 'part/name.txt'")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError(f"'{path}' leads out of the folder; '..' is not allowed")
    return parts


@contextmanager
def _open_folder(root: Path, parts: list[str]) -> Iterator[int]:
    """The descriptor of the folder at ``parts`` below ``root``, reached without following links."""
    handle = -1
    try:
        # The root is resolved, so a link in its place was made later and is refused.
        handle = os.open(root, _FOLDER_FLAGS)
        for part in parts:
            inner = os.open(part, _FOLDER_FLAGS, dir_fd=handle)
            os.close(handle)
            handle = inner
    except OSError as error:
        if handle >= 0:
            os.close(handle)
        raise _os_error("/".join(parts), error) from error
    try:
        yield handle
    finally:
        os.close(handle)


def _require_regular_file(path: str, info: os.stat_result) -> os.stat_result:
    if stat.S_ISLNK(info.st_mode):
        raise ValueError(f"'{path}' is a link; links are not followed")
    if stat.S_ISDIR(info.st_mode):
        raise ValueError(f"'{path}' is a folder; list_files shows what it holds")
    if not stat.S_ISREG(info.st_mode):
        raise ValueError(f"'{path}' is no ordinary file (a device, pipe or socket)")
    return info


def _os_error(path: str, error: OSError) -> ValueError:
    if isinstance(error, FileNotFoundError):
        return ValueError(f"there is no '{path}'; list_files shows what there is")
    if isinstance(error, NotADirectoryError):
        return ValueError(f"'{path}' passes through a file or a link, which is not followed")
    if isinstance(error, PermissionError):
        return ValueError(f"'{path}' may not be read")
    return ValueError(f"'{path}' cannot be opened: {error.strerror}")


def _decode_page(
    path: str, data: bytes, offset: int, encoding: Encoding, mark: bytes, last: bool
) -> tuple[str, int, int]:
    """The text of a page and its first and last byte offset, which lie between characters."""
    codec: Any = encoding
    if mark.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and encoding != "latin-1":
        codec = "utf-16-le" if mark.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    elif encoding == "utf-16":
        codec = "utf-16-le"
    skip = 0
    if codec == "utf-8":
        while skip < min(3, len(data)) and offset and data[skip] & 0xC0 == 0x80:
            skip += 1
    elif codec.startswith("utf-16"):
        skip = offset % 2
    decoder = codecs.getincrementaldecoder(codec)()
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
    pending = len(decoder.getstate()[0]) if not last else 0
    text = text.removeprefix("\ufeff") if not offset else text
    return text, offset + skip, offset + len(data) - pending
