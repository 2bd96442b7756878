"""LoRA adapters in peft's format: a folder with ``adapter_config.json`` and safetensors.

A voice is such a folder. ``voice.json`` beside them may name the voice, the base model it was
trained on, and the SHA-256 of each file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import sqrt
from pathlib import Path
from typing import Any

from ...core import Json, ModelCorrupt, ModelError, ModelNotFound
from .checkpoint import list_names, read_json_object, require_no_lfs_pointer
from .model_store import file_sha256

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
VOICE_FACTS = "voice.json"
# Settings of peft that change the product in ways other than adding B A x * scale.
UNSUPPORTED_SETTINGS = (
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "lora_bias",
    "modules_to_save",
    "layer_replication",
    "trainable_token_indices",
    "target_parameters",
    "alora_invocation_tokens",
    "arrow_config",
    "monteclora_config",
    "velora_config",
    "kasa_config",
)
# Initializations that leave the base weights as they are; the others change them too.
PURE_INITIALIZATIONS = (True, False, None, "gaussian", "eva", "orthogonal")


@dataclass(frozen=True, slots=True, eq=False)
class LowRankUpdate:
    """What an adapter adds to a linear layer: ``up @ down @ x``.

    ``down`` has the shape (rank, in), ``up``, already scaled, (out, rank); both float32.
    """

    down: Any
    up: Any


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """An adapter that was read from a folder.

    ``updates`` by the path of the linear layer in the model, like
    ``model.layers.0.self_attn.q_proj``. ``digest`` is a hash of its configuration and weights;
    ``base`` names the model it was trained on, if that is known.
    """

    name: str
    digest: str
    folder: Path
    base: str
    updates: Mapping[str, LowRankUpdate]

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return sum(one.down.numel() + one.up.numel() for one in self.updates.values())


def read_adapter(folder: Path) -> Adapter:
    """The adapter in a folder. Raises ModelNotFound without one, ModelCorrupt for damaged files,
    ModelError for kinds of adapters that are not supported."""
    config_file, weights_file = folder / ADAPTER_CONFIG, folder / ADAPTER_WEIGHTS
    _require_files(folder)
    facts = read_json_object(folder / VOICE_FACTS)
    _check_hashes(folder, facts)
    config = read_json_object(config_file)
    _require_supported(config_file, config)
    updates = _read_updates(weights_file, config)
    base = facts.get("base")
    base_name = base.get("name") if isinstance(base, dict) else base
    return Adapter(
        name=str(facts.get("name") or folder.name),
        digest=sha256((file_sha256(config_file) + file_sha256(weights_file)).encode()).hexdigest(),
        folder=folder,
        base=str(base_name or config.get("base_model_name_or_path") or ""),
        updates=updates,
    )


def require_fit(adapter: Adapter, shapes: Mapping[str, tuple[int, int]], model: str) -> None:
    """Raises ModelError unless every layer of an adapter is one of ``shapes``, the (out, in) sizes
    of the model's linear layers by path."""
    trained = f"was trained on '{adapter.base}'" if adapter.base else "names no base model"
    remedy = f"the voice {trained}; load that model, or train a voice on '{model}'"
    file = adapter.folder / ADAPTER_WEIGHTS
    missing = sorted(path for path in adapter.updates if path not in shapes)
    if missing:
        raise ModelError(
            f"{file}: adapts {list_names(missing)}, which '{model}' does not have; {remedy}"
        )
    for path, update in adapter.updates.items():
        size = (update.up.shape[0], update.down.shape[1])
        if size != shapes[path]:
            raise ModelError(
                f"{file}: its update of {path} is for a layer of {size[1]} to {size[0]} numbers, "
                f"in '{model}' it takes {shapes[path][1]} to {shapes[path][0]}; {remedy}"
            )


def _require_files(folder: Path) -> None:
    remedy = "name the folder of a voice (docs/training.md: denizens train voice)"
    if not folder.is_dir():
        what = "is a file" if folder.is_file() else "no such folder"
        raise ModelNotFound(f"{folder}: {what}; {remedy}")
    config, weights = folder / ADAPTER_CONFIG, folder / ADAPTER_WEIGHTS
    if not config.is_file():
        raise ModelNotFound(f"{folder}: holds no {ADAPTER_CONFIG}, so it is no voice; {remedy}")
    if not weights.is_file():
        others = sorted(file.name for file in folder.glob("adapter_model*"))
        held = f"holds {others[0]} only, which is not read" if others else f"lacks {weights.name}"
        raise ModelCorrupt(
            f"{folder}: {held}; save the adapter as safetensors (peft: save_pretrained)"
        )
    for file in (config, weights):
        require_no_lfs_pointer(file)


def _check_hashes(folder: Path, facts: Mapping[str, Json]) -> None:
    """Compare the files with the hashes in voice.json. Raises ModelCorrupt."""
    hashes = facts.get("sha256") or {}
    if not isinstance(hashes, dict):
        raise ModelCorrupt(f"{folder / VOICE_FACTS}: sha256 is no table of files; fetch it again")
    for name, wanted in hashes.items():
        file = folder / Path(name).name
        if not file.is_file():
            raise ModelCorrupt(f"{file}: is missing, {VOICE_FACTS} names it; fetch the voice again")
        if file_sha256(file) != wanted:
            raise ModelCorrupt(
                f"{file}: differs from what {VOICE_FACTS} says; fetch the voice again, or train it "
                "anew"
            )


def _require_supported(file: Path, config: Mapping[str, Json]) -> None:
    kind = config.get("peft_type")
    if kind != "LORA":
        raise ModelError(f"{file}: peft_type is {kind!r}; only LORA is supported")
    for setting in UNSUPPORTED_SETTINGS:
        if config.get(setting):
            raise ModelError(
                f"{file}: {setting} = {config[setting]!r} is not supported; train a plain LoRA "
                "adapter without it, or merge it into the model"
            )
    if config.get("bias", "none") != "none":
        raise ModelError(f"{file}: bias = {config['bias']!r} is not supported; train with 'none'")
    if config.get("init_lora_weights", True) not in PURE_INITIALIZATIONS:
        raise ModelError(
            f"{file}: init_lora_weights = {config['init_lora_weights']!r} changes the base model "
            "too; convert it to plain LoRA (peft: path_initial_model_for_weight_conversion)"
        )


def _read_updates(file: Path, config: Mapping[str, Json]) -> dict[str, LowRankUpdate]:
    """The updates by path, scaled by alpha / rank, or by alpha / sqrt(rank) with rank-stabilized
    scaling (Kalajdzievski 2023)."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelCorrupt(f"{file}: cannot be read ({error}); fetch the voice again") from error
    parts: dict[str, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        match = re.fullmatch(r"(?:base_model\.model\.)?(.+)\.lora_(A|B)\.weight", key)
        if match is None or tensor.dim() != 2 or not tensor.is_floating_point():
            raise ModelError(
                f"{file}: holds '{key}' of shape {tuple(tensor.shape)}; only the two matrices of "
                "LoRA on linear layers are supported"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise ModelCorrupt(f"{file}: '{key}' holds numbers that are not finite; train it anew")
        parts.setdefault(match[1], {})[match[2]] = tensor.float()
    if not parts:
        raise ModelCorrupt(f"{file}: holds no weights; train the voice anew")
    updates = {}
    for path, pair in parts.items():
        down, up = pair.get("A"), pair.get("B")
        if down is None or up is None or down.shape[0] != up.shape[1] or not len(down):
            sizes = {name: tuple(tensor.shape) for name, tensor in sorted(pair.items())}
            raise ModelCorrupt(
                f"{file}: the matrices of {path} do not fit together ({sizes}); fetch the voice "
                "again"
            )
        updates[path] = LowRankUpdate(down, up * _scale(file, config, path, len(down)))
    return updates


def _scale(file: Path, config: Mapping[str, Json], path: str, rank: int) -> float:
    alpha: Any = config.get("lora_alpha", 8)
    patterns = config.get("alpha_pattern") or {}
    for pattern, value in patterns.items() if isinstance(patterns, dict) else ():
        if re.fullmatch(rf"(?:.*\.)?(?:{pattern})", path):
            alpha = value
            break
    if isinstance(alpha, bool) or not isinstance(alpha, int | float):
        config_file = file.parent / ADAPTER_CONFIG
        raise ModelCorrupt(f"{config_file}: lora_alpha is {alpha!r}, no number; fetch it again")
    return float(alpha) / (sqrt(rank) if config.get("use_rslora") else rank)
