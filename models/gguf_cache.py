"""Converted GGUF files: each is read once, then loads like a packaged model."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..core import ModelCorrupt, NoSpace
from .catalogue import (
    MANIFEST,
    ModelInfo,
    ProgressCallback,
    cache_home,
    check_sizes,
    delete_folder,
    file_sha256,
    is_stored,
    scratch_folder,
    write_manifest,
)
from .checkpoint import read_checkpoint, read_json_object, require_no_lfs_pointer
from .convert import gguf_to_folder

CONVERSION_FORMAT = "2"  # of what is stored; another one is converted anew


def read_gguf(
    path: Path, dtype: Any, progress: ProgressCallback | None = None
) -> tuple[Any, Any, str]:
    """The model (``dtype`` a torch dtype), the tokenizer and the SHA-256 of a GGUF file.

    The first time it is converted and stored in the cache by its content; where the cache
    cannot be written, every time. Raises ModelCorrupt, ModelError, NoSpace.
    """
    from .download import progress_bar

    require_no_lfs_pointer(path)
    digest = file_sha256(path)
    folder = conversion_folder(digest)
    if is_stored(folder):
        try:
            check_sizes(folder, path.name)
            return *read_checkpoint(folder, dtype), digest
        except ModelCorrupt:
            delete_folder(folder)  # what is made of the file can be made again
    with progress_bar(progress) as report:
        report(f"converting {path.name}", 0, 0)
        try:
            _store_conversion(path, folder)
        except OSError:
            return *_convert_temporarily(path, dtype), digest
    return *read_checkpoint(folder, dtype), digest


def is_gguf(path: Path) -> bool:
    """Whether a file is a GGUF file by its first bytes: some keep them under a hash."""
    with path.open("rb") as opened:
        return opened.read(4) == b"GGUF"


def conversion_folder(digest: str) -> Path:
    """Where the conversion of a file of that SHA-256 is, or would be."""
    return cache_home() / "models" / "gguf" / f"{digest}-{CONVERSION_FORMAT}"


def conversions() -> dict[str, list[Path]]:
    """The folders of converted files by the files' names."""
    folders: dict[str, list[Path]] = {}
    for manifest in sorted((cache_home() / "models" / "gguf").glob(f"*/{MANIFEST}")):
        source = str(read_json_object(manifest).get("source"))
        folders.setdefault(source, []).append(manifest.parent)
    return folders


def remove_conversions(name: str) -> bool:
    """Delete what was made of GGUF files of that name; whether there was something."""
    folders = conversions().get(Path(name).name, [])
    for folder in folders:
        delete_folder(folder)
    return bool(folders)


def _store_conversion(path: Path, folder: Path) -> None:
    from .download import move_into_place

    info = ModelInfo(name=path.stem, summary="", licence="", bytes=0, package=path.name)
    with scratch_folder(folder) as work:
        ready = work / "ready"
        ready.mkdir()
        gguf_to_folder(path, ready)
        write_manifest(ready, info)
        move_into_place(ready, folder)


def _convert_temporarily(path: Path, dtype: Any) -> tuple[Any, Any]:
    try:
        with TemporaryDirectory(prefix="denizens-gguf-") as work:
            gguf_to_folder(path, Path(work))
            return read_checkpoint(Path(work), dtype)
    except OSError as error:
        raise NoSpace(
            f"{path}: its conversion finds no room, neither in {cache_home()} nor in the temporary "
            f"folder ({error.strerror or error}); make room or set DENIZENS_HOME to another disk"
        ) from error
