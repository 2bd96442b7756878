"""Device, dtype, backend and batch limits for a loaded model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...core import SettingError
from ..files import Adapter
from .attention import ForwardPass, TokenChunk
from .backends import Backend, EagerBackend, PrefixCacheBackend, min_cache_tokens
from .decoder import (
    FUSED_ARCHITECTURES,
    Decoder,
    DecoderShape,
    FusedDecoder,
    TransformersDecoder,
)
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
    adapter: Adapter | None = None,
) -> Backend:
    """The fastest backend that reproduces the model's own logits.

    Tried in order, each compared with the transformers module on a probe: `FusedDecoder` for
    the architectures it knows, the module with the engine's attention, and each sequence alone
    with the model's own cache. The last is also for models whose state cannot be cut: recurrent
    layers, or a sliding window shorter than ``window``. ``adapter``: one that it has from the
    beginning, and runs fastest. Raises SettingError if ``cache_mb`` is too small.
    """
    backend = _plain_backend(name, model, device, window, cache_mb, int8, adapter)
    if adapter is not None:
        backend.add_adapter(adapter)
    return backend


def _plain_backend(
    name: str,
    model: Any,
    device: torch.device,
    window: int,
    cache_mb: int | None,
    int8: bool,
    adapter: Adapter | None,
) -> Backend:
    config = model.config.get_text_config()
    decoder = None
    wanted = _module_logits(model)
    tolerance = 0.25 if int8 or next(model.parameters()).dtype is not torch.float32 else 1e-3
    if supports_prefix_cache(model, config, window):
        if config.model_type in FUSED_ARCHITECTURES:
            fused = FusedDecoder(model, int8=int8, adapter=adapter)
            decoder = _if_equivalent(fused, wanted, tolerance)
        if decoder is None:
            decoder = _transformers_decoder(model, config, window, wanted, tolerance, int8=int8)
    if decoder is not None:
        token_bytes = decoder.shape.token_bytes
        least = min_cache_tokens(window) * token_bytes
        limit = _cache_bytes(name, least, device, window, cache_mb)
        return PrefixCacheBackend(decoder, limit // token_bytes)
    if int8:
        quantize_int8(model)
    backend = EagerBackend(model, device)
    backend.probe(PROBE, wanted, tolerance)
    backend.limit = _cache_bytes(name, backend.state_bytes(window), device, window, cache_mb)
    return backend


def make_limits(
    device: torch.device,
    dtype: torch.dtype,
    rows: int | None,
    pass_tokens: int | None,
    *,
    int8: bool,
    exact: bool,
) -> BatchLimits:
    """The limits given, else those that keep a pass below a quarter of a second on two cores, or
    a GPU busy. Raises SettingError."""
    for setting, value, least in (("rows", rows, 1), ("pass_tokens", pass_tokens, 16)):
        if value is not None and value < least:
            raise SettingError(f"{setting} = {value} is too small; it must be at least {least}")
    cpu = device.type == "cpu"
    fast = int8 or dtype is torch.bfloat16
    default_tokens = (160 if fast else 96) if cpu else 4096
    return BatchLimits(
        rows=rows or (64 if cpu else 256),
        pass_tokens=pass_tokens or default_tokens,
        exclusive=exact,
    )


def supports_prefix_cache(model: Any, config: Any, window: int) -> bool:
    """Whether the cache of a prefix can be cut and shared: every layer is attention to all
    tokens in the window, and a token's rotation depends on its position only."""
    kinds = set(getattr(config, "layer_types", None) or ())
    if getattr(model, "_is_stateful", False) or not kinds <= CACHEABLE_LAYERS:
        return False
    sliding_window = getattr(config, "sliding_window", None)
    if kinds and not kinds & {"sliding_attention", "chunked_attention"}:
        sliding_window = None
    chunk = getattr(config, "attention_chunk_size", None)
    sizes = (sliding_window, chunk, _fixed_rotation_length(config))
    return all(size is None or size >= window for size in sizes)


def _fixed_rotation_length(config: Any) -> int | None:
    """The context length up to which a token's rotation depends on its position only; None is
    unlimited. Beyond it, dynamic and longrope scaling rotate all tokens of a pass differently."""
    parameters = getattr(config, "rope_parameters", None) or {}
    ropes = [parameters] if "rope_type" in parameters else [r for r in parameters.values() if r]
    lengths = [
        rope.get("original_max_position_embeddings") or config.max_position_embeddings
        for rope in ropes
        if rope.get("rope_type") in ("dynamic", "longrope")
    ]
    return min(lengths, default=None)


def _transformers_decoder(
    model: Any, config: Any, window: int, wanted: Tensor, tolerance: float, *, int8: bool
) -> Decoder | None:
    """The transformers module with the engine's attention; None if it does not reproduce the
    module's logits."""
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
    attention = model.config._attn_implementation
    equivalent: Decoder | None = None
    try:
        decoder = TransformersDecoder(model, shape, window)
        if getattr(config, "final_logit_softcapping", None) is None:
            logits = _probe_logits(decoder)
            factor = float((logits @ wanted) / (logits @ logits))
            decoder.logits_scale = factor if abs(factor - 1) > 0.01 else 1.0
        if int8:
            quantize_int8(model)
        equivalent = _if_equivalent(decoder, wanted, tolerance)
    except (RuntimeError, NotImplementedError, ValueError, TypeError, AttributeError):
        pass
    if equivalent is None:
        model.set_attn_implementation(attention)
    return equivalent


@torch.inference_mode()
def _module_logits(model: Any) -> Tensor:
    """Logits (vocabulary,) behind the probe, by the transformers module."""
    ids = torch.tensor([PROBE], device=next(model.parameters()).device)
    logits: Tensor = model(input_ids=ids, use_cache=False).logits[0, -1].float()
    return logits


def _if_equivalent(decoder: Decoder, wanted: Tensor, tolerance: float) -> Decoder | None:
    """The decoder, if its distribution behind the probe is within ``tolerance`` of the module's
    (total variation distance)."""
    distance = float((_probe_logits(decoder).softmax(0) - wanted.softmax(0)).abs().sum() / 2)
    return decoder if distance <= tolerance else None


def _probe_logits(decoder: Decoder) -> Tensor:
    """Logits (vocabulary,) behind the probe, computed in three chunks."""
    cache = KVCache(decoder.shape)
    slot = cache.allocate(len(PROBE), len(PROBE))
    hidden = None
    for start, end in ((0, 5), (5, 11), (11, 12)):
        chunk = TokenChunk(PROBE[start:end], (), start, slot, 1)
        hidden = ForwardPass([chunk], cache, decoder.shape).run(decoder)
    assert hidden is not None
    return decoder.logits(hidden)[0]


def _cache_bytes(
    name: str, least: int, device: torch.device, window: int, cache_mb: int | None
) -> int:
    """Bytes for keys, values and states; one request needs ``least``. Raises SettingError."""
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
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        total = 8 << 30
    return min(2 << 30, total // 4)


def pick_device(name: str) -> torch.device:
    """The device of this name; the fastest available one for ``auto``. Raises SettingError."""
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if available[kind]))
    if not available[name.split(":")[0]]:
        raise SettingError(f"device '{name}' is not on this machine; use --device auto")
    return torch.device(name)


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype of this name; for ``auto`` bfloat16 where the processor has it natively
    (emulated, it is five times slower than float32), else float32. Raises SettingError."""
    if name == "int8":
        if device.type != "cpu":
            raise SettingError(f"dtype 'int8' is for the CPU, not {device.type}; leave it at auto")
        return torch.float32
    if name != "auto":
        dtype: torch.dtype = getattr(torch, name)
        return dtype
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    native = device.type == "cpu" and _cpu_flags() & {"avx512_bf16", "amx_bf16", "bf16"}
    return torch.bfloat16 if native else torch.float32


def prefers_int8(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether int8 layers are the better default: a processor without bfloat16 that multiplies
    integers fast. Measured on SmolLM2: perplexity + 2 %, 1.4 times the speed."""
    possible = dtype is torch.float32 and device.type == "cpu" and hasattr(torch, "_int_mm")
    return possible and bool(_cpu_flags() & {"avx512_vnni", "avx_vnni"})


def _cpu_flags() -> set[str]:
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return set()
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.lower().startswith(("flags", "features")):
            return set(line.partition(":")[2].split())
    return set()
