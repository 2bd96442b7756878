"""From a model's name to a model that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core import Model, ModelError, ModelNotFound, SettingError, nearest
from .catalogue import Progress, known_models
from .threads import sleep_while_waiting

if TYPE_CHECKING:
    from .local import LocalModel

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16", "float16", "int8")
METHODS = ("auto", "channel", "cosine", "direct")


def load_model(
    name: str = "smollm2",
    *,
    device: str = "auto",
    dtype: str = "auto",
    exact: bool = False,
    embedder: str = "minilm",
    window: int | None = None,
    method: str = "auto",
    rows: int | None = None,
    pass_tokens: int | None = None,
    cache_mb: int | None = None,
    progress: Progress | None = None,
) -> LocalModel:
    """A local model: a catalogue name, a folder, a .gguf file or a Hugging Face id.

    A catalogue model that is absent is pulled first. ``device`` auto: CUDA, MPS, CPU, the
    first there is; ``dtype`` auto: bfloat16 where the processor multiplies it, else int8 on
    one with fast integer products, else float32; ``int8`` rounds weights and activations
    (CPU only). ``exact``: float32, deterministic kernels, each ask alone and nothing reused,
    so two fresh runs agree bit by bit. ``window``: tokens of prompt and answer at most.
    ``method``: how Choose scores options. ``rows``: how many asks run at a time;
    ``pass_tokens``: about how many tokens a pass takes; ``cache_mb``: memory for keys and
    values, beyond which the least urgent asks wait.

    Raises SettingError, ModelNotFound, ModelCorrupt, NoSpace, ModelError.
    """
    _among("device", device.split(":")[0], DEVICES)
    _among("dtype", dtype, DTYPES)
    _among("method", method, METHODS)
    if exact and dtype not in ("auto", "float32"):
        raise SettingError(f"exact needs float32, not dtype '{dtype}'; leave dtype at auto")
    sleep_while_waiting()
    from .assembly import assemble

    return assemble(
        name,
        device=device,
        dtype="float32" if exact else dtype,
        exact=exact,
        embedder=embedder,
        window=window,
        method=method,
        rows=rows,
        pass_tokens=pass_tokens,
        cache_mb=cache_mb,
        progress=progress,
    )


def model_from_name(name: str, **settings: Any) -> Model:
    """The model for a command's ``--model``: ``improvised`` (with ``seed``), or what
    ``load_model`` takes."""
    if name == "improvised":
        from .doubles import ImprovisedModel

        return ImprovisedModel(seed=int(settings.get("seed", 0)))
    settings.pop("seed", None)
    return load_model(name, **settings)


def not_found(name: str) -> ModelNotFound:
    """The error for a name that is nothing we know, with the nearest known one."""
    names = [info.name for info in known_models()] + ["improvised"]
    return ModelNotFound(
        f"no model '{name}'{nearest(name, names)}: neither packaged ({', '.join(names)}) nor a "
        "folder, a .gguf file or a Hugging Face id that can be reached; see: denizens models"
    )


def _among(setting: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingError(
            f"{setting} '{value}' is unknown{nearest(value, allowed)}; one of {', '.join(allowed)}"
        )


def require_kind(name: str, wanted: str) -> None:
    """Raises ModelError when an embedder is asked to speak, or the reverse."""
    embedders = {"minilm"}
    if (name in embedders) != (wanted == "embedder") and name in {i.name for i in known_models()}:
        raise ModelError(f"'{name}' is not a{'n' if wanted[0] in 'ae' else ''} {wanted}")
