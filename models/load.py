"""`load_model`: from a model's name to a model that answers asks."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ..core import DEFAULT_VOICE, NO_VOICE, Model, SettingError, check_arguments, did_you_mean
from .decisions import METHOD_NAMES
from .files import IMPROVISED, ProgressCallback

if TYPE_CHECKING:
    from .local import LocalModel

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16", "float16", "int8")
METHODS = ("auto", *METHOD_NAMES)


@check_arguments
def load_model(
    name: str = "smollm2",
    *,
    device: str = "auto",
    dtype: str = "auto",
    exact: bool = False,
    embedder: str = "minilm",
    window: int | None = None,
    method: str = "auto",
    uncalibrated: bool = False,
    rows: int | None = None,
    pass_tokens: int | None = None,
    cache_mb: int | None = None,
    voice: str | None = None,
    progress: ProgressCallback | None = None,
    send_key: bool = True,
) -> Model:
    """Load a model.

    ``name``: a packaged model (pulled if it is not stored), a folder, a .gguf file or a Hugging
    Face id, run in this process; ``openai:URL#name`` or ``llamacpp:FILE.gguf`` for other engines
    (docs/engines.md); or ``improvised``, a model without weights for tests.

    ``device``: auto is CUDA, MPS or CPU, the first available; several, as in ``cuda:0,cuda:1``,
    load a copy on each. ``dtype``: auto is bfloat16 where the processor has it, else int8 where
    its integer products are fast (CPU only), else float32. ``exact``: float32, deterministic
    kernels, one ask at a time and nothing cached, so two runs are equal to the bit. ``window``:
    most tokens of prompt and answer. ``method``: how Choose scores options (docs/decisions.md);
    ``uncalibrated``: without stored calibrations. ``rows``, ``pass_tokens``: sequences and about
    how many tokens per pass; ``cache_mb``: memory for keys and values. ``voice``: the adapter it
    speaks with: a folder (docs/training.md), ``default``, which is the model's own if it has one,
    ``none``, or a server's name of one. ``progress(what, done, total)`` is called while the model
    loads. ``send_key``: False if the name is from a file: no server may get OPENAI_API_KEY.

    Raises SettingError, ModelNotFound, ModelCorrupt, NoSpace, ModelError.
    """
    devices = _split_devices(device)
    _require_allowed("dtype", dtype, DTYPES)
    _require_allowed("method", method, METHODS)
    common: dict[str, Any] = {"embedder": embedder, "method": method, "window": window}
    common.update(voice=voice, progress=progress)
    local: dict[str, Any] = {"dtype": dtype, "exact": exact, "rows": rows, "cache_mb": cache_mb}
    local |= {"pass_tokens": pass_tokens, "uncalibrated": uncalibrated}
    if name.startswith(("openai:", "llamacpp:")):
        return _load_remote(name, device, local, send_key=send_key, **common)
    if len(devices) > 1:
        from .replicas import ReplicaModel

        return ReplicaModel([load_model(name, device=one, **local, **common) for one in devices])
    if exact and dtype not in ("auto", "float32"):
        raise SettingError(f"exact needs float32, not dtype '{dtype}'; leave dtype at auto")
    if name == IMPROVISED:
        _require_unset(name, {**local, "window": window})
        return model_from_name(name)  # it ignores voices, as asks do
    use_passive_waiting()
    from .loader import load_local_model

    local["dtype"] = "float32" if exact else dtype
    return load_local_model(name, device=device, **local, **common)


def _load_remote(
    name: str, device: str, local: dict[str, Any], *, send_key: bool, **common: Any
) -> Model:
    """A model of another engine. Raises SettingError if a setting in ``local`` is set."""
    server = name.startswith("openai:")
    _require_unset(name, {**local, "window": common["window"] if server else None})
    if server:
        from .remote import connect

        settings = {key: common[key] for key in ("embedder", "method", "voice")}
        return connect(name, device=device, send_key=send_key, **settings)
    from .remote import load_llamacpp

    if common.pop("voice") not in (None, "", DEFAULT_VOICE, NO_VOICE):
        raise SettingError(
            f"voice is no setting of '{name}', which has no voices; leave it out, or merge the "
            "voice into the GGUF file"
        )
    return load_llamacpp(name, device=device, **common)


def load_local(name: str = "smollm2", **settings: Any) -> LocalModel:
    """``load_model`` for callers that need the engine of one model in this process.

    Raises SettingError for a name or device that loads another kind of model.
    """
    from .local import LocalModel

    model = load_model(name, **settings)
    if not isinstance(model, LocalModel):
        raise SettingError(
            f"model '{name}' on device '{settings.get('device', 'auto')}' is not one model in "
            "this process, which is needed here; name one, like smollm2"
        )
    return model


def model_from_name(name: str, **settings: Any) -> Model:
    """The model for a command's ``--model``: ``improvised`` (with ``seed``), or any that
    ``load_model`` loads."""
    if name == IMPROVISED:
        from .hash_model import ImprovisedModel

        return ImprovisedModel(seed=int(settings.get("seed", 0)))
    settings.pop("seed", None)
    return load_model(name, **settings)


def _require_unset(name: str, settings: dict[str, Any]) -> None:
    """Raises SettingError if a setting is set that the model does not have."""
    for setting, value in settings.items():
        if value not in (None, False, "auto"):
            raise SettingError(
                f"{setting} '{value}' is no setting of '{name}': it is for models in this "
                "process; leave it out"
            )


def _split_devices(device: str) -> list[str]:
    """The devices of a list with commas. Raises SettingError for unknown ones."""
    devices = device.split(",")
    for one in devices:
        # "auto" twice would be two copies on one device.
        _require_allowed("device", one.split(":")[0], DEVICES[len(devices) > 1 :])
    return devices


def _require_allowed(setting: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingError(
            f"{setting} '{value}' is unknown{did_you_mean(value, allowed)}; one of "
            f"{', '.join(allowed)}"
        )


def use_passive_waiting() -> None:
    """Let torch's threads sleep, not spin, while they wait for each other.

    On a machine with other work, spinning threads lose whole time slices: a decoding step took
    up to fifty times as long. OpenMP reads this setting once, when torch is loaded.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
