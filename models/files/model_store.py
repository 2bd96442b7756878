"""Stored models: folders in the cache with a manifest of their files' sizes and SHA-256 hashes.

A folder appears by one rename, so an interrupted download leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeAlias

from ...core import ModelCorrupt

ProgressCallback: TypeAlias = Callable[[str, int, int], None]
"""Called with the current activity, the amount done and the total amount (0: unknown)."""

MANIFEST = "denizens.json"


def cache_home() -> Path:
    """The cache folder: $DENIZENS_HOME, else $XDG_CACHE_HOME/denizens, else ~/.cache/denizens."""
    home = os.environ.get("DENIZENS_HOME")
    if home:
        return Path(home).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache).expanduser() if cache else Path.home() / ".cache") / "denizens"


def is_stored(path: Path) -> bool:
    """Whether a folder holds a completely stored model."""
    return (path / MANIFEST).is_file()


def delete_folder(path: Path) -> None:
    """Delete a folder; it is moved away first, so that it never exists in part."""
    doomed = Path(mkdtemp(prefix=".removing-", dir=path.parent))
    os.replace(path, doomed / path.name)
    shutil.rmtree(doomed)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(path: Path, name: str, source: str) -> None:
    """Write the size and the hash of every file in the folder to its manifest."""
    files = {
        file.name: {"bytes": file.stat().st_size, "sha256": file_sha256(file)}
        for file in sorted(path.iterdir())
    }
    manifest = {"name": name, "source": source, "files": files}
    (path / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def check_sizes(path: Path, name: str) -> None:
    """Compare the files' sizes with the manifest, at each load. Raises ModelCorrupt."""
    _check_files(path, name, lambda file, facts: file.stat().st_size == facts["bytes"])


def check_hashes(path: Path, name: str) -> None:
    """Compare the files' hashes with the manifest, half a second for the default model. Raises
    ModelCorrupt."""
    _check_files(path, name, lambda file, facts: file_sha256(file) == facts["sha256"])


def stored_digest(path: Path) -> str:
    """A hash of the file hashes in the manifest: the identity of a stored model."""
    files = _read_manifest(path, path.name)
    lines = sorted(f"{name} {facts['sha256']}" for name, facts in files.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _read_manifest(path: Path, name: str) -> dict[str, dict[str, str | int]]:
    try:
        files = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise corrupt_error(path / MANIFEST, name, f"unreadable manifest: {error}") from error
    if not isinstance(files, dict):
        raise corrupt_error(path / MANIFEST, name, "the manifest lists no files")
    return files


def _check_files(
    path: Path, name: str, unchanged: Callable[[Path, dict[str, str | int]], bool]
) -> None:
    for file, facts in _read_manifest(path, name).items():
        if not (path / file).is_file():
            raise corrupt_error(path / file, name, "the file is missing")
        if not unchanged(path / file, facts):
            raise corrupt_error(path / file, name, "the file differs from what was stored")


def corrupt_error(file: Path, name: str, reason: str) -> ModelCorrupt:
    """The error for a damaged stored model, with its remedy."""
    return ModelCorrupt(
        f"{file}: {reason}; remove and fetch it again: denizens models remove {name} && "
        f"denizens models pull {name}"
    )


@contextmanager
def scratch_folder(near: Path) -> Iterator[Path]:
    """A temporary folder beside ``near``, deleted afterwards, as are those of killed processes that
    are older than a day."""
    near.parent.mkdir(parents=True, exist_ok=True)
    _delete_abandoned(near.parent.glob(".pull-*"))
    path = Path(mkdtemp(prefix=".pull-", dir=near.parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _delete_abandoned(folders: Iterable[Path]) -> None:
    for folder in folders:
        # Another process may be pulling now: only a folder older than a day is abandoned.
        if time.time() - folder.stat().st_mtime > 86_400:
            shutil.rmtree(folder, ignore_errors=True)


def move_into_place(ready: Path, target: Path) -> None:
    """Rename a finished folder to ``target``."""
    try:
        os.replace(ready, target)
    except OSError:
        # Another process may have stored the same model first; a folder without a manifest
        # is incomplete and is replaced.
        if is_stored(target):
            return
        shutil.rmtree(target)
        os.replace(ready, target)


@contextmanager
def progress_bar(progress: ProgressCallback | None) -> Iterator[ProgressCallback]:
    """Yields ``progress`` itself, or a callback that draws a bar on standard error."""
    if progress is not None:
        yield progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def report(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total or None)

        yield report
