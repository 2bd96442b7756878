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
    shares = torch.softmax(logits / heat.unsqueeze(1), dim=1)
    out: list[int | None] = [None] * len(draws)
    rows = np.arange(len(draws))
    most = min(MANY, logits.shape[1])
    for count in sorted({min(FEW, most), most}):
        some = len(rows) < len(draws)
        index = torch.from_numpy(rows).to(logits.device)
        ids = largest(logits[index] if some else logits, count)
        found = (shares[index] if some else shares).gather(1, ids)
        tokens, wider = _draw(
            found.double().cpu().numpy(),
            ids.cpu().numpy(),
            [draws[int(row)] for row in rows],
            last=count == most,
        )
        for row, token in zip(rows[~wider], tokens[~wider]):
            out[row] = int(token) if token >= 0 else None
        rows = rows[wider]
        if not len(rows):
            break
    return out


def largest(values: Tensor, count: int, block: int = 64) -> Tensor:
    """Places of the ``count`` largest in each row (rows, columns), in no order.

    They lie in the blocks of columns with the ``count`` largest maxima: to look there alone
    is faster than ``topk`` over all.
    """
    rows, columns = values.shape
    if columns % block or columns < 4 * block * count:
        return torch.topk(values, count, dim=1).indices
    split = values.view(rows, columns // block, block)
    blocks = torch.topk(split.amax(dim=2), count, dim=1).indices
    inside = split.gather(1, blocks.unsqueeze(2).expand(-1, -1, block)).view(rows, -1)
    found = torch.topk(inside, count, dim=1).indices
    return blocks.gather(1, found // block) * block + found % block


def _draw(
    shares: Floats, ids: Ints, draws: Sequence[Draw], *, last: bool
) -> tuple[Ints, NDArray[np.bool_]]:
    """A token for each row of candidates' ``shares`` (rows, count), -1 where there is none;
    and which rows need more candidates than these."""
    # Ties are common in half precision and topk leaves their order open.
    order = np.lexsort((ids, -shares), axis=-1)
    shares = np.take_along_axis(shares, order, axis=1)
    ids = np.take_along_axis(ids, order, axis=1)
    top_p = np.array([draw.top_p for draw in draws])
    least = np.array([draw.min_p for draw in draws]) * shares[:, 0]
    kept = (shares > 0).sum(axis=1)
    top_k = np.array([draw.top_k or shares.shape[1] + 1 for draw in draws])
    mass = np.cumsum(shares, axis=1)
    nucleus = (mass < top_p[:, None]).sum(axis=1) + 1
    kept = np.minimum.reduce([kept, nucleus, top_k, (shares >= least[:, None]).sum(axis=1)])
    greedy = np.array([draw.temperature <= 0 for draw in draws])
    kept = np.where(greedy, 1, kept)
    broken = ~np.isfinite(shares).all(axis=1)
    wider = (kept >= shares.shape[1]) & ~broken & (not last)
    kept = np.clip(kept, 1, shares.shape[1])
    whole = np.take_along_axis(mass, kept[:, None] - 1, axis=1)
    noise = np.array([uniform(draw.seed, draw.position) for draw in draws])
    place = (mass <= noise[:, None] * whole).sum(axis=1)
    place = np.minimum(place, kept - 1)
    tokens = np.take_along_axis(ids, place[:, None], axis=1)[:, 0]
    return np.where(broken, -1, tokens), wider
