"""Drawing the next token: reproducible row by row, whatever the neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# A full sort of 49,152 columns costs fifty times as much as the first of these, which holds
# the nucleus of nearly every row; the second is for the rest.
FEW, MANY = 64, 1024

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Draw:
    """How one row draws its token number ``position``: ``temperature`` 0 is the likeliest;
    candidates are the ``top_k`` likeliest (0: all), the smallest set with ``top_p`` of the
    mass, and those with at least ``min_p`` of the likeliest one's probability."""

    temperature: float
    top_p: float
    seed: int
    position: int
    top_k: int = 0
    min_p: float = 0.0


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


class Runs:
    """Runs of ``size`` tokens seen in a growing sequence: what may not follow a second time.

    >>> runs = Runs(3)
    >>> for token in (1, 2, 3, 1, 2):
    ...     runs.add(token)
    >>> runs.closing()
    {3}
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._tail: tuple[int, ...] = ()
        self._seen: dict[tuple[int, ...], set[int]] = {}

    def add(self, token: int) -> None:
        """Go on by a token."""
        if len(self._tail) == self._size - 1:
            self._seen.setdefault(self._tail, set()).add(token)
        self._tail = (*self._tail, token)[-(self._size - 1) :] if self._size > 1 else ()

    def closing(self) -> set[int]:
        """Tokens that would complete a run that was there before."""
        return self._seen.get(self._tail, set())


@dataclass(slots=True)
class Restraint:
    """What one row may not or should not write next: ``never`` gets no probability, ``worn``
    tokens are penalised."""

    never: set[int] = field(default_factory=set)
    worn: set[int] = field(default_factory=set)
    penalty: float = 1.0


def restrain(logits: Tensor, rows: Sequence[tuple[int, Restraint]]) -> None:
    """Apply the restraints of some rows of ``logits`` (rows, vocabulary) in place."""
    worn = [
        (row, token, held.penalty)
        for row, held in rows
        if held.penalty != 1.0
        for token in held.worn
    ]
    if worn:
        index, tokens, penalties = zip(*worn)
        where = (_on(logits, index), _on(logits, tokens))
        penalty = torch.tensor(penalties, device=logits.device, dtype=logits.dtype)
        old = logits[where]
        logits[where] = torch.where(old > 0, old / penalty, old * penalty)
    never = [(row, token) for row, held in rows for token in held.never]
    if never:
        index, tokens = zip(*never)
        logits[_on(logits, index), _on(logits, tokens)] = -torch.inf


def _on(like: Tensor, values: Sequence[int]) -> Tensor:
    return torch.tensor(values, device=like.device)


def uniform(seed: int, position: int) -> float:
    """A number in [0, 1) that belongs to a seed and a position.

    >>> uniform(1, 0) == uniform(1, 0) and uniform(1, 0) != uniform(1, 1)
    True
    """
    noise = blake2b(f"{seed}:{position}".encode(), digest_size=8).digest()
    return (int.from_bytes(noise) >> 11) / 2**53


def banned(history: Sequence[int], size: int, source: Sequence[int]) -> set[int]:
    """Tokens that would complete a run of ``size`` tokens already standing in ``source``."""
    if size < 1 or len(history) < size - 1:
        return set()
    tail = tuple(history[-(size - 1) :]) if size > 1 else ()
    return {
        source[i + size - 1]
        for i in range(len(source) - size + 1)
        if tuple(source[i : i + size - 1]) == tail
    }


def pick(logits: Tensor, draws: Sequence[Draw]) -> list[int | None]:
    """One token a row from ``logits`` (rows, vocabulary), float32; None for a row that has
    no finite logit or one that is no number.

    Inverse of the cumulative distribution at the row's own uniform number, over the
    candidates from the likeliest down, the lower id of equals first. At most 1,024
    candidates are looked at.
    """
    heat = torch.tensor([draw.temperature or 1.0 for draw in draws], device=logits.device)
    totals = torch.logsumexp(logits / heat.unsqueeze(1), dim=1).double().cpu().numpy()
    out: list[int | None] = [None] * len(draws)
    open_rows = list(range(len(draws)))
    most = min(MANY, logits.shape[1])
    for count in sorted({min(FEW, most), most}):
        chosen = logits if len(open_rows) == len(draws) else logits[open_rows]
        found, names = torch.topk(chosen, count, dim=1)
        tops, ids = found.double().cpu().numpy(), names.cpu().numpy()
        left = []
        for place, row in enumerate(open_rows):
            last = count == most
            token = _pick_row(tops[place], ids[place], float(totals[row]), draws[row], last)
            if token == _WIDER:
                left.append(row)
            else:
                out[row] = token
        open_rows = left
        if not open_rows:
            break
    return out


_WIDER = -1


def _pick_row(values: Floats, ids: Ints, total: float, draw: Draw, last: bool) -> int | None:
    """The token; None where there is none, _WIDER where more candidates are needed."""
    if not np.isfinite(total) or np.isnan(values[0]):
        return None
    # Ties are common in half precision and topk leaves their order open.
    order = np.lexsort((ids, -values))
    values, ids = values[order], ids[order]
    if draw.temperature <= 0:
        return int(ids[0])
    shares = np.exp(values / draw.temperature - total)
    kept = int(np.isfinite(values).sum())
    if draw.top_k > 0:
        kept = min(kept, draw.top_k)
    if draw.min_p > 0:
        kept = min(kept, int((shares >= draw.min_p * shares[0]).sum()))
    mass = np.cumsum(shares)
    nucleus = int(np.searchsorted(mass, draw.top_p)) + 1
    if not last and min(kept, nucleus) >= len(values):
        return _WIDER
    kept = min(kept, nucleus, len(values))
    target = uniform(draw.seed, draw.position) * mass[kept - 1]
    return int(ids[min(int(np.searchsorted(mass, target, side="right")), kept - 1)])
