"""Matrix products with weights packed once for the processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from .int8 import MIN_WIDTH, ActivationQuantizer, Int8Linear

LinearOp: TypeAlias = Callable[[Tensor], Tensor]
"""From (tokens, in) to (tokens, out)."""


class PackedLinear:
    """A linear layer whose weight (out, in) lies in oneDNN's own blocked order.

    ``torch.nn.functional.linear`` brings the weight into that order at every call: 1.4 times
    slower at one row, and still a tenth slower at a thousand.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())
        self._bias = None if bias is None else bias.detach()

    def __call__(self, x: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self._weight, self._bias, "none", [], ""
        )
        return product


class PlainLinear:
    """A linear layer as it is."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = weight.detach(), None if bias is None else bias.detach()

    def __call__(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self._weight, self._bias)


def make_linear(
    weights: list[Tensor], biases: list[Tensor | None], rounder: ActivationQuantizer | None
) -> LinearOp:
    """One product in place of several that read the same input: their weights stacked.

    With ``rounder`` in 8-bit integers, else packed where oneDNN can, else as they are.
    """
    weight = weights[0] if len(weights) == 1 else torch.cat(weights)
    some = [bias for bias in biases if bias is not None]
    bias = None
    if some:
        parts = [
            torch.zeros(len(weight), dtype=weight.dtype, device=weight.device) if b is None else b
            for weight, b in zip(weights, biases)
        ]
        bias = torch.cat(parts)
    if rounder is not None and min(weight.shape) >= MIN_WIDTH:
        return Int8Linear(weight, bias, rounder)
    return PackedLinear(weight, bias) if can_pack(weight) else PlainLinear(weight, bias)


def can_pack(weight: Tensor) -> bool:
    """Whether oneDNN has a packed product for this weight on this machine."""
    # Untyped as released; Any says so once.
    backend: Any = torch.backends.mkldnn
    mkldnn: Any = torch.ops.mkldnn
    if weight.device.type != "cpu" or not backend.is_available():
        return False
    if weight.dtype is torch.bfloat16 and not mkldnn._is_mkldnn_bf16_supported():
        return False
    return weight.dtype in (torch.float32, torch.bfloat16)
