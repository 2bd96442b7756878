"""From a model's name to a model that answers."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ..core import Model, SettingError, check_arguments, did_you_mean
from .decisions import FEATURES, FUSED_FEATURES
from .files import IMPROVISED, ProgressCallback

if TYPE_CHECKING:
    from .local import LocalModel

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16", "float16", "int8")
METHODS = ("auto", *FEATURES, *FUSED_FEATURES)


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
    progress: ProgressCallback | None = None,
    send_key: bool = True,
) -> Model:
    """A local model: a catalogue name, a folder, a .gguf file or a Hugging Face id; or one of
    another engine: ``openai:URL#name``, ``llamacpp:FILE.gguf`` (see docs/engines.md); or
    ``improvised``, the double that needs no weights.

    A catalogue model that is absent is pulled first. ``device`` auto: CUDA, MPS, CPU, the
    first there is; several, as in ``cuda:0,cuda:1``: a copy on each. ``dtype`` auto: bfloat16
    where the processor multiplies it, else int8 on one with fast integer products, else
    float32; ``int8`` rounds weights and activations (CPU only). ``exact``: float32,
    deterministic kernels, each ask alone and nothing reused, so two fresh runs agree bit by
    bit. ``window``: tokens of prompt and answer at most. ``method``: how Choose scores
    options (docs/decisions.md); ``uncalibrated``: without what ``denizens models calibrate``
    has stored for the model. ``rows``: how many asks run at a time; ``pass_tokens``: about how
    many tokens a pass takes; ``cache_mb``: memory for keys and values, beyond which the least
    urgent asks wait. ``send_key``: whether a server that the name says may get the key of
    OPENAI_API_KEY; False where a file chose the name.

    Raises SettingError, ModelNotFound, ModelCorrupt, NoSpace, ModelError.
    """
    devices = device.split(",")
    for one in devices:
        # Two copies on whatever there is would be two on the same.
        _require_allowed("device", one.split(":")[0], DEVICES if len(devices) == 1 else DEVICES[1:])
    _require_allowed("dtype", dtype, DTYPES)
    _require_allowed("method", method, METHODS)
    common: dict[str, Any] = {"embedder": embedder, "method": method, "window": window}
    common["progress"] = progress
    local: dict[str, Any] = {"dtype": dtype, "exact": exact, "rows": rows}
    local |= {"pass_tokens": pass_tokens, "cache_mb": cache_mb, "uncalibrated": uncalibrated}
    if name.startswith(("openai:", "llamacpp:")):
        return _load_remote(name, device, local, send_key=send_key, **common)
    if len(devices) > 1:
        from .replicas import ReplicaModel

        return ReplicaModel([load_model(name, device=one, **local, **common) for one in devices])
    if exact and dtype not in ("auto", "float32"):
        raise SettingError(f"exact needs float32, not dtype '{dtype}'; leave dtype at auto")
    if name == IMPROVISED:
        return _load_improvised({**local, "window": window})
    use_passive_waiting()
    from .loader import load_local_model

    local["dtype"] = "float32" if exact else dtype
    return load_local_model(name, device=device, **local, **common)


def _load_remote(
    name: str, device: str, local: dict[str, Any], *, send_key: bool, **common: Any
) -> Model:
    """A model of another engine, for which the settings in ``local`` have no meaning."""
    server = name.startswith("openai:")
    _require_unset(name, {**local, "window": common["window"] if server else None})
    if server:
        from .remote import connect

        kept = {key: common[key] for key in ("embedder", "method")}
        return connect(name, device=device, send_key=send_key, **kept)
    from .remote import load_llamacpp

    return load_llamacpp(name, device=device, **common)


def load_local(name: str = "smollm2", **settings: Any) -> LocalModel:
    """``load_model`` for those who need one model in this process: its weights, its engine.

    Raises SettingError for a name or device that makes another kind of model.
    """
    from .local import LocalModel

    made = load_model(name, **settings)
    if not isinstance(made, LocalModel):
        raise SettingError(
            f"model '{name}' on device '{settings.get('device', 'auto')}' is not one model in "
            "this process, which is needed here; name one, like smollm2"
        )
    return made


def model_from_name(name: str, **settings: Any) -> Model:
    """The model for a command's ``--model``: ``improvised`` (with ``seed``), or what
    ``load_model`` takes."""
    if name == IMPROVISED:
        from .hash_model import ImprovisedModel

        return ImprovisedModel(seed=int(settings.get("seed", 0)))
    settings.pop("seed", None)
    return load_model(name, **settings)


def _load_improvised(settings: dict[str, Any]) -> Model:
    _require_unset(IMPROVISED, settings)
    return model_from_name(IMPROVISED)


def _require_unset(name: str, settings: dict[str, Any]) -> None:
    """Raises SettingError for a setting that means nothing to a model."""
    for setting, value in settings.items():
        if value not in (None, False, "auto"):
            raise SettingError(
                f"{setting} '{value}' is no setting of '{name}': it is for models in this "
                "process; leave it out"
            )


def _require_allowed(setting: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingError(
            f"{setting} '{value}' is unknown{did_you_mean(value, allowed)}; one of "
            f"{', '.join(allowed)}"
        )


def use_passive_waiting() -> None:
    """Let torch's threads sleep, not spin, where one waits for the other.

    On a machine with other work a spinning pair stalls for whole time slices: a decode step
    took up to fifty times longer. OpenMP reads this once, when torch is loaded.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
