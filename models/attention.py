"""Attention over keys and values that lie in several places.

Queries of the heads that share a key head stand side by side as if they were more tokens,
so keys are never repeated. Partial results are joined by the logarithms of their sums, as
in cascade attention (Hydragen, Juravsky et al. 2024).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

PartialAttention = tuple[Tensor, Tensor]
"""Weighted values (rows, kv_heads, queries, size) and log-sum-exp (rows, kv_heads, queries)."""


def partial_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float
) -> PartialAttention:
    """Attention with the logarithm of its sum. q (rows, kv_heads, queries, size); k and v
    (rows, kv_heads, keys, size); ``mask`` is added, of the queries' dtype."""
    if q.device.type == "cpu":
        found: PartialAttention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            q, k, v, 0.0, False, attn_mask=mask, scale=scale
        )
        return found
    scores = torch.matmul(q, k.transpose(2, 3)).float() * scale
    if mask is not None:
        scores = scores + mask
    total = torch.logsumexp(scores, dim=3)
    weights = torch.exp(scores - total.unsqueeze(3)).to(v.dtype)
    return torch.matmul(weights, v), total


def full_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float) -> Tensor:
    """Attention of many queries; shapes as in ``partial_attention``, ``mask`` (queries, keys)."""
    if q.device.type != "cpu":
        sdpa: Any = torch.nn.functional.scaled_dot_product_attention
        found: Tensor = sdpa(q, k, v, attn_mask=mask, scale=scale)
        return found
    if q.dtype is not torch.bfloat16:
        return partial_attention(q, k, v, mask[None, None], scale)[0]
    # oneDNN's products of bfloat16 outrun the fused kernel by two thirds here.
    rows, heads, queries, size = q.shape
    keys = k.reshape(rows * heads, -1, size)
    scores = torch.baddbmm(
        mask.expand(rows * heads, -1, -1),
        q.reshape(rows * heads, queries, size),
        keys.transpose(1, 2),
        alpha=scale,
    )
    values = v.reshape(rows * heads, -1, size)
    return torch.bmm(torch.softmax(scores, dim=-1), values).view(rows, heads, queries, size)


def merge_partial(one: PartialAttention, other: PartialAttention) -> PartialAttention:
    """Two partial results over different keys as one over all of them."""
    share = torch.sigmoid(other[1] - one[1]).unsqueeze(-1).to(one[0].dtype)
    return torch.lerp(one[0], other[0], share), torch.logaddexp(one[1], other[1])


def causal_mask(
    queries: int, keys: int, group: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """The mask (queries * group, keys) that lets the last query see all keys, the one before
    it all but the last, and so on; ``group`` heads stand side by side at each query."""
    later = torch.ones((queries, keys), dtype=torch.bool, device=device)
    later = later.triu_(keys - queries + 1)
    mask = torch.zeros((queries, keys), dtype=dtype, device=device)
    mask.masked_fill_(later, torch.finfo(dtype).min)
    return mask.repeat_interleave(group, dim=0)
