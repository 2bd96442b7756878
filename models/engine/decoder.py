"""A causal language model's layers over a flat row of tokens of any sequences.

The attention is passed in as a function, which knows which token may read which keys; so are the
rows that an adapter changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from ..files import Adapter
from .linear import ActivationQuantizer, make_linear
from .lora import NO_ADAPTERS, AdaptedLinear, AdapterRows, LoraHooks

AttentionFn: TypeAlias = Callable[[int, Tensor, Tensor], Tensor]
"""(layer, queries (tokens, heads, size), keys and values (tokens, 2 * kv_heads, size)) to
(tokens, heads * size)."""

FUSED_ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """Dimensions that the KV cache needs."""

    layers: int
    heads: int
    kv_heads: int
    head_size: int
    scale: float
    dtype: torch.dtype
    device: torch.device

    @property
    def token_bytes(self) -> int:
        """Bytes of the keys and values of one token."""
        width = 2 if self.dtype in (torch.bfloat16, torch.float16) else 4
        return self.layers * 2 * self.kv_heads * self.head_size * width


class Decoder(Protocol):
    """The model as the engine runs it."""

    shape: DecoderShape

    def hidden_states(
        self,
        ids: Tensor,
        positions: Tensor,
        attend: AttentionFn,
        wanted: Tensor,
        adapters: AdapterRows = NO_ADAPTERS,
    ) -> Tensor:
        """Hidden states of the ``wanted`` among all tokens (n,), shape (wanted, width).

        ``wanted`` is in ascending order; ``adapters`` are the rows that an adapter changes.
        """

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits, float32 of shape (rows, vocabulary)."""

    def add_adapter(self, adapter: Adapter) -> None:
        """Use an adapter for the rows of its groups from now on."""


@dataclass(frozen=True, slots=True)
class DecoderLayer:
    """Weights of one decoder layer: norms and products."""

    input_norm: Tensor
    qkv: AdaptedLinear
    qk_norms: tuple[Tensor, Tensor] | None
    out: AdaptedLinear
    post_attention_norm: Tensor
    gate_up: AdaptedLinear
    down: AdaptedLinear


class FusedDecoder:
    """Llama, Mistral and Qwen without the transformers modules.

    One matrix product computes query, key and value, another gate and up; weights are packed; the
    last layer runs on the wanted tokens only. One row decodes in half the time of the transformers
    module. The results are equal up to rounding. ``adapter``: the one that most rows will have.
    """

    def __init__(self, model: Any, *, int8: bool = False, adapter: Adapter | None = None) -> None:
        config = model.config
        quantizer = ActivationQuantizer() if int8 else None
        attention = model.model.layers[0].self_attn
        weight = attention.q_proj.weight
        self.shape = DecoderShape(
            layers=len(model.model.layers),
            heads=int(config.num_attention_heads),
            kv_heads=int(config.num_key_value_heads),
            head_size=int(attention.head_dim),
            scale=float(attention.scaling),
            dtype=weight.dtype,
            device=weight.device,
        )
        self._eps = float(config.rms_norm_eps)
        self._embedding = model.model.embed_tokens.weight.detach()
        self._rotary = model.model.rotary_emb
        self._norm = model.model.norm.weight.detach()
        self._layers = [
            _fused_layer(f"model.layers.{number}", layer, quantizer, adapter)
            for number, layer in enumerate(model.model.layers)
        ]
        head = model.get_output_embeddings()
        self._head = make_linear([head.weight], [getattr(head, "bias", None)], quantizer)

    @torch.inference_mode()
    def hidden_states(
        self,
        ids: Tensor,
        positions: Tensor,
        attend: AttentionFn,
        wanted: Tensor,
        adapters: AdapterRows = NO_ADAPTERS,
    ) -> Tensor:
        shape = self.shape
        x = nn.functional.embedding(ids, self._embedding)
        cos, sin = self._rotary_tables(x, positions)
        last = len(self._layers) - 1
        groups = adapters.all
        for number, layer in enumerate(self._layers):
            qkv = layer.qkv(self._rms_norm(x, layer.input_norm), groups)
            qkv = qkv.view(len(ids), shape.heads + 2 * shape.kv_heads, shape.head_size)
            q, kv = self._rotate(qkv, layer.qk_norms, cos, sin)
            attended = attend(number, q, kv)
            if number == last:
                attended, x, groups = attended[wanted], x[wanted], adapters.wanted
            x = layer.out(attended, groups) + x
            gate_up = layer.gate_up(self._rms_norm(x, layer.post_attention_norm), groups)
            gate, up = gate_up.chunk(2, dim=1)
            x = layer.down(nn.functional.silu(gate).mul_(up), groups) + x
        return x

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        return self._head(self._rms_norm(hidden, self._norm)).float()

    def add_adapter(self, adapter: Adapter) -> None:
        for layer in self._layers:
            for linear in (layer.qkv, layer.out, layer.gate_up, layer.down):
                linear.add_adapter(adapter)

    def _rotary_tables(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines of the positions, each (tokens, 1, size)."""
        cos, sin = self._rotary(x.unsqueeze(0), positions.unsqueeze(0))
        cos, sin = cos[0].unsqueeze(1), sin[0].unsqueeze(1).clone()
        sin[..., : sin.shape[-1] // 2].neg_()
        return cos, sin

    def _rotate(
        self, qkv: Tensor, norms: tuple[Tensor, Tensor] | None, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Queries, and keys followed by values; queries and keys are rotated by position
        (RoPE, Su et al. 2021)."""
        heads, half = self.shape.heads, self.shape.head_size // 2
        split = heads + self.shape.kv_heads
        qk = qkv[:, :split]
        if norms is not None:
            q, k = self._rms_norm(qk[:, :heads], norms[0]), self._rms_norm(qk[:, heads:], norms[1])
            qk = torch.cat([q, k], dim=1)
        qk = torch.addcmul(qk * cos, qk.roll(half, -1), sin)
        qkv[:, heads:split] = qk[:, heads:]
        return qk[:, :heads], qkv[:, heads:]

    def _rms_norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return nn.functional.rms_norm(x, (x.shape[-1],), weight, self._eps)


def _fused_layer(
    path: str, layer: Any, quantizer: ActivationQuantizer | None, adapter: Adapter | None
) -> DecoderLayer:
    attention = layer.self_attn

    def fused(part: str, *names: str) -> AdaptedLinear:
        linears = [getattr(getattr(layer, part), name) for name in names]
        paths = [f"{path}.{part}.{name}" for name in names]
        return AdaptedLinear(linears, paths, adapter, quantizer)

    norms = None
    if hasattr(attention, "q_norm"):
        norms = (attention.q_norm.weight.detach(), attention.k_norm.weight.detach())
    return DecoderLayer(
        input_norm=layer.input_layernorm.weight.detach(),
        qkv=fused("self_attn", "q_proj", "k_proj", "v_proj"),
        qk_norms=norms,
        out=fused("self_attn", "o_proj"),
        post_attention_norm=layer.post_attention_layernorm.weight.detach(),
        gate_up=fused("mlp", "gate_proj", "up_proj"),
        down=fused("mlp", "down_proj"),
    )


@dataclass(frozen=True, slots=True)
class AttentionContext:
    """What the attention function that transformers calls must know of the current pass."""

    attend: AttentionFn
    scale: float
    window: int


class TransformersDecoder:
    """Any transformers model whose attention uses the library's AttentionInterface.

    ``window``: the longest context that it will run. ``logits_scale`` multiplies the logits of
    the head; each architecture has another configuration key for it, so it is measured. Raises
    NotImplementedError for attention that needs more than keys, values and a scale.
    """

    NAME = "denizens"

    def __init__(self, model: Any, shape: DecoderShape, window: int) -> None:
        from transformers import AttentionInterface

        register: Any = AttentionInterface.register
        register(self.NAME, _attention_interface)
        self.shape = shape
        self.logits_scale = 1.0
        self._window = window
        self._model = model
        self._head = model.get_output_embeddings()
        self._lora = LoraHooks(model, shape.dtype, shape.device)
        model.set_attn_implementation(self.NAME)

    @torch.inference_mode()
    def hidden_states(
        self,
        ids: Tensor,
        positions: Tensor,
        attend: AttentionFn,
        wanted: Tensor,
        adapters: AdapterRows = NO_ADAPTERS,
    ) -> Tensor:
        self._lora.set_rows(len(ids), adapters.all)
        output = self._model.base_model(
            input_ids=ids.unsqueeze(0),
            position_ids=positions.unsqueeze(0),
            use_cache=False,
            denizens_context=AttentionContext(attend, self.shape.scale, self._window),
        )
        hidden: Tensor = output.last_hidden_state[0][wanted]
        return hidden

    def add_adapter(self, adapter: Adapter) -> None:
        self._lora.add_adapter(adapter)

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self._head(hidden).float() * self.logits_scale
        cap = getattr(self._model.config.get_text_config(), "final_logit_softcapping", None)
        return logits if cap is None else torch.tanh(logits / cap) * cap


def _attention_interface(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **options: Any
) -> tuple[Tensor, None]:
    """The attention function that transformers calls; tensors (1, heads, tokens, size)."""
    context: AttentionContext | None = options.pop("denizens_context", None)
    unsupported = [name for name in ("softcap", "s_aux") if options.get(name) is not None]
    sliding_window = options.get("sliding_window")
    name = type(module).__name__
    if context is None or unsupported or query.shape[-1] != value.shape[-1]:
        raise NotImplementedError(f"attention of {name} ({', '.join(unsupported)})")
    if sliding_window is not None and sliding_window < context.window:
        raise NotImplementedError(f"attention of {name} to the last {sliding_window} tokens only")
    scale = options.get("scaling")
    if scale is not None and scale != context.scale:
        query = query * (scale / context.scale)
    kv = torch.cat([key[0], value[0]]).transpose(0, 1)
    out = context.attend(module.layer_idx, query[0].transpose(0, 1), kv)
    return out.view(1, query.shape[2], query.shape[1], query.shape[3]), None
