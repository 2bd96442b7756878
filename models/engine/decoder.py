"""A causal model's layers over a flat row of tokens, whatever sequences they belong to.

The attention is handed in: it alone knows which token may look at which keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from .linear import ActivationQuantizer, LinearOp, make_linear

AttentionFn: TypeAlias = Callable[[int, Tensor, Tensor], Tensor]
"""(layer, queries (tokens, heads, size), keys and values (tokens, 2 * kv_heads, size)) to
(tokens, heads * size)."""

FUSED_ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """Dimensions that a cache of keys and values needs."""

    layers: int
    heads: int
    kv_heads: int
    head_size: int
    scale: float
    dtype: torch.dtype
    device: torch.device

    @property
    def token_bytes(self) -> int:
        """Memory of one cached token."""
        width = 2 if self.dtype in (torch.bfloat16, torch.float16) else 4
        return self.layers * 2 * self.kv_heads * self.head_size * width


class Decoder(Protocol):
    """What the engine runs."""

    shape: DecoderShape

    def hidden_states(
        self, ids: Tensor, positions: Tensor, attend: AttentionFn, wanted: Tensor
    ) -> Tensor:
        """Hidden states of the ``wanted`` of all tokens (n,), shape (wanted, width)."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits, float32 of shape (rows, vocabulary)."""
        ...


@dataclass(frozen=True, slots=True)
class DecoderLayer:
    """One decoder layer: its two norms and its four products."""

    input_norm: Tensor
    qkv: LinearOp
    qk_norms: tuple[Tensor, Tensor] | None
    out: LinearOp
    post_attention_norm: Tensor
    gate_up: LinearOp
    down: LinearOp


class FusedDecoder:
    """Llama, Mistral and Qwen without the framework around them.

    Query, key and value are one product, gate and up another, weights are packed, and the
    last layer works on the wanted tokens only: one row decodes in half of the time that the
    transformers module takes. The numbers are the module's own up to rounding.
    """

    def __init__(self, model: Any, *, int8: bool = False) -> None:
        config = model.config
        rounder = ActivationQuantizer() if int8 else None
        first = model.model.layers[0].self_attn
        weight = first.q_proj.weight
        size = int(first.head_dim)
        self.shape = DecoderShape(
            layers=len(model.model.layers),
            heads=int(config.num_attention_heads),
            kv_heads=int(config.num_key_value_heads),
            head_size=size,
            scale=float(first.scaling),
            dtype=weight.dtype,
            device=weight.device,
        )
        self._eps = float(config.rms_norm_eps)
        self._embedding = model.model.embed_tokens.weight.detach()
        self._rotary = model.model.rotary_emb
        self._norm = model.model.norm.weight.detach()
        self._layers = [_fused_layer(layer, rounder) for layer in model.model.layers]
        head = model.get_output_embeddings()
        self._head = make_linear([head.weight], [getattr(head, "bias", None)], rounder)

    @torch.inference_mode()
    def hidden_states(
        self, ids: Tensor, positions: Tensor, attend: AttentionFn, wanted: Tensor
    ) -> Tensor:
        """See Decoder."""
        shape = self.shape
        x = nn.functional.embedding(ids, self._embedding)
        cos, sin = self._rotary_tables(x, positions)
        last = len(self._layers) - 1
        for number, layer in enumerate(self._layers):
            qkv = layer.qkv(self._rms_norm(x, layer.input_norm))
            qkv = qkv.view(len(ids), shape.heads + 2 * shape.kv_heads, shape.head_size)
            q, kv = self._rotate(qkv, layer.qk_norms, cos, sin)
            seen = attend(number, q, kv)
            if number == last:
                seen, x = seen[wanted], x[wanted]
            x = layer.out(seen).add_(x)
            gate, up = layer.gate_up(self._rms_norm(x, layer.post_attention_norm)).chunk(2, dim=1)
            x = layer.down(nn.functional.silu(gate).mul_(up)).add_(x)
        return x

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """See Decoder."""
        return self._head(self._rms_norm(hidden, self._norm)).float()

    def _rotary_tables(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines of the positions, each (tokens, 1, size)."""
        cos, sin = self._rotary(x.unsqueeze(0), positions.unsqueeze(0))
        cos, sin = cos[0].unsqueeze(1), sin[0].unsqueeze(1).clone()
        sin[..., : sin.shape[-1] // 2].neg_()
        return cos, sin

    def _rotate(
        self, qkv: Tensor, norms: tuple[Tensor, Tensor] | None, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Queries, and keys with values behind them; rotated by position (Su et al. 2021)."""
        heads, half = self.shape.heads, self.shape.head_size // 2
        split = heads + self.shape.kv_heads
        both = qkv[:, :split]
        if norms is not None:
            both = torch.cat(
                [
                    self._rms_norm(both[:, :heads], norms[0]),
                    self._rms_norm(both[:, heads:], norms[1]),
                ],
                dim=1,
            )
        both = torch.addcmul(both * cos, both.roll(half, -1), sin)
        qkv[:, heads:split] = both[:, heads:]
        return both[:, :heads], qkv[:, heads:]

    def _rms_norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return nn.functional.rms_norm(x, (x.shape[-1],), weight, self._eps)


def _fused_layer(layer: Any, rounder: ActivationQuantizer | None) -> DecoderLayer:
    attention, mlp = layer.self_attn, layer.mlp

    def product(*linears: Any) -> LinearOp:
        return make_linear([one.weight for one in linears], [one.bias for one in linears], rounder)

    norms = None
    if hasattr(attention, "q_norm"):
        norms = (attention.q_norm.weight.detach(), attention.k_norm.weight.detach())
    return DecoderLayer(
        input_norm=layer.input_layernorm.weight.detach(),
        qkv=product(attention.q_proj, attention.k_proj, attention.v_proj),
        qk_norms=norms,
        out=product(attention.o_proj),
        post_attention_norm=layer.post_attention_layernorm.weight.detach(),
        gate_up=product(mlp.gate_proj, mlp.up_proj),
        down=product(mlp.down_proj),
    )


@dataclass(frozen=True, slots=True)
class AttentionContext:
    """What the attention function needs to know of the pass it is in."""

    attend: AttentionFn
    scale: float
    window: int


class TransformersDecoder:
    """Any transformers model whose attention goes through the library's interface.

    ``window``: the longest context it will be given. ``logits_scale`` multiplies its head's logits:
    each architecture that does so has another name for it, so it is measured. Raises
    NotImplementedError for attention with more to it than keys, values and a scale.
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
        model.set_attn_implementation(self.NAME)

    @torch.inference_mode()
    def hidden_states(
        self, ids: Tensor, positions: Tensor, attend: AttentionFn, wanted: Tensor
    ) -> Tensor:
        """See Decoder."""
        out = self._model.base_model(
            input_ids=ids.unsqueeze(0),
            position_ids=positions.unsqueeze(0),
            use_cache=False,
            denizens_call=AttentionContext(attend, self.shape.scale, self._window),
        )
        found: Tensor = out.last_hidden_state[0][wanted]
        return found

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """See Decoder."""
        logits = self._head(hidden).float() * self.logits_scale
        cap = getattr(self._model.config.get_text_config(), "final_logit_softcapping", None)
        found: Tensor = logits if cap is None else torch.tanh(logits / cap) * cap
        return found


def _attention_interface(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **more: Any
) -> tuple[Tensor, None]:
    """The attention function that transformers calls; each of shape (1, heads, tokens, size)."""
    call: AttentionContext | None = more.pop("denizens_call", None)
    odd = [name for name in ("softcap", "s_aux") if more.get(name) is not None]
    slides = more.get("sliding_window")
    if call is None or odd or query.shape[-1] != value.shape[-1]:
        raise NotImplementedError(f"attention of {type(module).__name__} ({', '.join(odd)})")
    if slides is not None and slides < call.window:
        raise NotImplementedError(f"attention of {type(module).__name__} to the last {slides} only")
    own = more.get("scaling")
    if own is not None and own != call.scale:
        query = query * (own / call.scale)
    both = torch.cat([key[0], value[0]]).transpose(0, 1)
    seen = call.attend(module.layer_idx, query[0].transpose(0, 1), both)
    return seen.view(1, query.shape[2], query.shape[1], query.shape[3]), None
