"""Which way a loaded model is run, and with how much memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...core import SettingError
from .attention import ForwardPass, TokenChunk
from .backends import Backend, EagerBackend, PrefixCacheBackend, min_cache_tokens
from .decoder import FUSED_ARCHITECTURES, Decoder, DecoderShape, FusedDecoder, TransformersDecoder
from .kv_cache import KVCache
from .linear import quantize_int8
from .scheduler import BatchLimits

CACHEABLE_LAYERS = {"full_attention", "attention", "sliding_attention", "chunked_attention"}
PROBE = (5, 9, 6, 7, 8, 5, 5, 9, 10, 11, 12, 7)


def make_backend(
    name: str,
    model: Any,
    device: torch.device,
    window: int,
    *,
    cache_mb: int | None = None,
    int8: bool = False,
) -> Backend:
    """The fastest way to run a model that gives its own numbers.

    Lean layers for the architectures that have them, else the module with our attention,
    each held against the module on a probe; where neither agrees, or the model's state
    cannot be cut (recurrent layers, a sliding window shorter than ``window``), each row
    alone with the model's own cache. Raises SettingError when ``cache_mb`` is too small.
    """
    config = model.config.get_text_config()
    trunk = None
    wanted = _last_logits(model)
    tolerance = 0.25 if int8 or next(model.parameters()).dtype is not torch.float32 else 1e-3
    if supports_prefix_cache(model, config, window):
        if config.model_type in FUSED_ARCHITECTURES:
            trunk = _if_equivalent(FusedDecoder(model, int8=int8), wanted, tolerance)
        if trunk is None:
            trunk = _transformers_decoder(model, config, window, wanted, tolerance, int8=int8)
    if trunk is not None:
        each = trunk.shape.token_bytes
        least = min_cache_tokens(window) * each
        return PrefixCacheBackend(
            trunk, _cache_bytes(name, least, device, window, cache_mb) // each
        )
    if int8:
        quantize_int8(model)
    keeper = EagerBackend(model, device)
    keeper.probe(PROBE, wanted, tolerance)
    keeper.limit = _cache_bytes(name, keeper.state_bytes(window), device, window, cache_mb)
    return keeper


def make_limits(
    device: torch.device,
    dtype: torch.dtype,
    rows: int | None,
    pass_tokens: int | None,
    *,
    int8: bool,
    exact: bool,
) -> BatchLimits:
    """What is asked for, else what keeps a pass under a quarter of a second on two cores, or
    a GPU busy. Raises SettingError."""
    for key, value, least in (("rows", rows, 1), ("pass_tokens", pass_tokens, 16)):
        if value is not None and value < least:
            raise SettingError(f"{key} = {value} is too small; it must be at least {least}")
    here = device.type == "cpu"
    quick = int8 or dtype is torch.bfloat16
    usual = (160 if quick else 96) if here else 4096
    return BatchLimits(
        rows=rows or (64 if here else 256), pass_tokens=pass_tokens or usual, exclusive=exact
    )


def supports_prefix_cache(model: Any, config: Any, window: int) -> bool:
    """Whether the model's state after some tokens can be cut back and shared: attention in
    every layer, and to everything in the window, by rotations that do not change with it."""
    kinds = set(getattr(config, "layer_types", None) or ())
    if getattr(model, "_is_stateful", False) or not kinds <= CACHEABLE_LAYERS:
        return False
    slides = getattr(config, "sliding_window", None)
    if kinds and not kinds & {"sliding_attention", "chunked_attention"}:
        slides = None
    chunk = getattr(config, "attention_chunk_size", None)
    sizes = (slides, chunk, _fixed_rotation_length(config))
    return all(size is None or size >= window for size in sizes)


def _fixed_rotation_length(config: Any) -> int | None:
    """The length up to which a token's rotation depends on its own place alone; None: any.
    Beyond it some scalings turn all tokens of a pass otherwise, its neighbours' too."""
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [rope] if "rope_type" in rope else [one for one in rope.values() if one]
    steady = [
        one.get("original_max_position_embeddings") or config.max_position_embeddings
        for one in kinds
        if one.get("rope_type") in ("dynamic", "longrope")
    ]
    return min(steady, default=None)


def _transformers_decoder(
    model: Any, config: Any, window: int, wanted: Tensor, tolerance: float, *, int8: bool
) -> Decoder | None:
    """The model's own module with our attention; None where that does not fit."""
    heads = getattr(config, "num_attention_heads", None)
    if not isinstance(heads, int):
        return None
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    scale = getattr(config, "query_pre_attn_scalar", None) or size
    weight = next(model.parameters())
    shape = DecoderShape(
        layers=int(config.num_hidden_layers),
        heads=heads,
        kv_heads=int(getattr(config, "num_key_value_heads", None) or heads),
        head_size=int(size),
        scale=float(scale) ** -0.5,
        dtype=weight.dtype,
        device=weight.device,
    )
    before = model.config._attn_implementation
    try:
        trunk = TransformersDecoder(model, shape, window)
        if getattr(config, "final_logit_softcapping", None) is None:
            own = _probe_logits(trunk)
            factor = float((own @ wanted) / (own @ own))
            trunk.logits_scale = factor if abs(factor - 1) > 0.01 else 1.0
        if int8:
            quantize_int8(model)
        found = _if_equivalent(trunk, wanted, tolerance)
    except (RuntimeError, NotImplementedError, ValueError, TypeError, AttributeError):
        found = None
    if found is None:
        model.set_attn_implementation(before)
    return found


@torch.inference_mode()
def _last_logits(model: Any) -> Tensor:
    ids = torch.tensor([PROBE], device=next(model.parameters()).device)
    logits: Tensor = model(input_ids=ids, use_cache=False).logits[0, -1].float()
    return logits


def _if_equivalent(trunk: Decoder, wanted: Tensor, tolerance: float) -> Decoder | None:
    """The trunk, if what it says of the probe is within ``tolerance`` of the module's
    distribution (total variation)."""
    apart = float((_probe_logits(trunk).softmax(0) - wanted.softmax(0)).abs().sum() / 2)
    return trunk if apart <= tolerance else None


def _probe_logits(trunk: Decoder) -> Tensor:
    """Logits (vocabulary,) behind the probe, read in three pieces."""
    slots = KVCache(trunk.shape)
    slot = slots.allocate(len(PROBE), len(PROBE))
    hidden = None
    for start, end in ((0, 5), (5, 11), (11, 12)):
        piece = TokenChunk(PROBE[start:end], (), start, slot, 1)
        hidden = ForwardPass([piece], slots, trunk.shape).run(trunk)
    assert hidden is not None
    return trunk.logits(hidden)[0]


def _cache_bytes(
    name: str, least: int, device: torch.device, window: int, cache_mb: int | None
) -> int:
    """How many bytes of keys, values and states may be kept; one answer needs ``least``."""
    if cache_mb is None:
        return max(least, _default_cache_bytes(device))
    if cache_mb << 20 < least:
        needed = -(-least >> 20)
        raise SettingError(
            f"cache_mb = {cache_mb} is too small for '{name}': one answer in a window of {window} "
            f"tokens takes {needed} MB; raise it, or set a smaller window"
        )
    return cache_mb << 20


def _default_cache_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free * 0.6)
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        whole = 8 << 30
    return min(2 << 30, whole // 4)


def pick_device(name: str) -> torch.device:
    """The device asked for, or the best there is. Raises SettingError when it is absent."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": _mps()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    if not there[name.split(":")[0]]:
        raise SettingError(f"device '{name}' is not on this machine; use --device auto")
    return torch.device(name)


def _mps() -> bool:
    return torch.backends.mps.is_available()


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """bfloat16 where the processor multiplies it natively (elsewhere it is emulated, five
    times slower than float32), else float32."""
    if name == "int8":
        if device.type != "cpu":
            raise SettingError(f"dtype 'int8' is for the CPU, not {device.type}; leave it at auto")
        return torch.float32
    if name != "auto":
        found: torch.dtype = getattr(torch, name)
        return found
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    native = device.type == "cpu" and _cpu_flags() & {"avx512_bf16", "amx_bf16", "bf16"}
    return torch.bfloat16 if native else torch.float32


def prefers_int8(kind: torch.dtype, device: torch.device) -> bool:
    """Whether int8 layers are the better default: a processor without bfloat16 whose
    integer products are fast. Measured on SmolLM2: perplexity + 2 %, 1.4 times the speed."""
    plain = kind is torch.float32 and device.type == "cpu" and hasattr(torch, "_int_mm")
    return plain and bool(_cpu_flags() & {"avx512_vnni", "avx_vnni"})


def _cpu_flags() -> set[str]:
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return set()
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.lower().startswith(("flags", "features")):
            return set(line.partition(":")[2].split())
    return set()
