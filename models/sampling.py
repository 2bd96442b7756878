"""Drawing the next token: reproducible row by row, whatever the neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

CANDIDATES = 256  # a full sort of the vocabulary costs fifty times more


@dataclass(frozen=True, slots=True)
class Draw:
    """How one row draws its token number ``position``."""

    temperature: float
    top_p: float
    seed: int
    position: int


@dataclass(frozen=True, slots=True)
class Guard:
    """What keeps a small model from looping.

    ``penalty`` divides the positive (multiplies the negative) logits of tokens already in
    the reply, as in CTRL (Keskar et al. 2019); 1 is off. ``repeat`` forbids a second
    occurrence of that many tokens in a row within the reply, ``echo`` of that many copied
    from the prompt; 0 is off.
    """

    penalty: float = 1.0
    repeat: int = 0
    echo: int = 0


def uniform(seed: int, position: int) -> float:
    """A number in [0, 1) that belongs to a seed and a position.

    >>> uniform(1, 0) == uniform(1, 0) and uniform(1, 0) != uniform(1, 1)
    True
    """
    noise = blake2b(f"{seed}:{position}".encode(), digest_size=8).digest()
    return (int.from_bytes(noise) >> 11) / 2**53


def banned(history: Sequence[int], size: int, source: Sequence[int]) -> set[int]:
    """Tokens that would complete a run of ``size`` tokens already standing in ``source``."""
    tail = tuple(history[-(size - 1) :]) if size > 1 else ()
    if size < 1 or len(tail) < size - 1:
        return set()
    return {
        source[i + size - 1]
        for i in range(len(source) - size + 1)
        if tuple(source[i : i + size - 1]) == tail
    }


def pick(logits: Tensor, draws: Sequence[Draw]) -> list[int]:
    """One token a row from ``logits`` (rows, vocabulary), float32.

    Inverse of the cumulative distribution at the row's own uniform number, over the
    smallest set of candidates that holds ``top_p`` of the mass. Temperature 0: the most
    likely, the lower id of equals.
    """
    count = min(CANDIDATES, logits.shape[1])
    values, ids = torch.topk(logits, count, dim=1)
    heat = torch.tensor([draw.temperature or 1.0 for draw in draws], device=logits.device)
    total = torch.logsumexp(logits / heat.unsqueeze(1), dim=1)
    tops = values.double().cpu().numpy()
    names = ids.cpu().numpy()
    totals = total.double().cpu().numpy()
    return [
        _pick_row(tops[row], names[row], float(totals[row]), draw) for row, draw in enumerate(draws)
    ]


def _pick_row(values: np.ndarray, ids: np.ndarray, total: float, draw: Draw) -> int:
    # Ties are common in half precision and topk leaves their order open.
    order = np.lexsort((ids, -values))
    values, ids = values[order], ids[order]
    if draw.temperature <= 0:
        return int(ids[0])
    mass = np.cumsum(np.exp(values / draw.temperature - total))
    kept = min(int(np.searchsorted(mass, draw.top_p)) + 1, int(np.isfinite(values).sum()))
    target = uniform(draw.seed, draw.position) * mass[kept - 1]
    return int(ids[min(int(np.searchsorted(mass, target, side="right")), kept - 1)])
