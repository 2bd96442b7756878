"""Drawing the next token: reproducible row by row, whatever the neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...core import uniform

# A full sort of 49,152 columns costs fifty times as much as the first of these, which holds
# the nucleus of nearly every row; the second is for the rest.
FIRST_CANDIDATES, MAX_CANDIDATES = 64, 1024
GREEDY_TEMPERATURE = 1e-6  # of temperature; below, only the likeliest token has any probability

_FloatArray = NDArray[np.float64]
_IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SamplingParams:
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
class RepetitionLimits:
    """What keeps a small model from looping.

    ``penalty`` divides the positive (multiplies the negative) logits of tokens already in
    the reply, as in CTRL (Keskar et al. 2019); 1 is off. ``ngram`` forbids a second
    occurrence of that many tokens in a row within the reply, ``prompt_ngram`` of that many copied
    from the prompt; 0 is off.
    """

    penalty: float = 1.0
    ngram: int = 0
    prompt_ngram: int = 0


class NGramIndex:
    """Runs of ``size`` tokens in a sequence, which may grow: what may not follow a second time.

    >>> runs = NGramIndex(3, (1, 2, 3, 1, 2))
    >>> runs.repeats(), runs.repeats_after((0, 3, 1))
    ({3}, {2})
    """

    def __init__(self, size: int, tokens: Sequence[int] = ()) -> None:
        self._size = size
        self._tail: tuple[int, ...] = ()
        self._seen: dict[tuple[int, ...], set[int]] = {}
        for token in tokens:
            self.add(token)

    def add(self, token: int) -> None:
        """Go on by a token."""
        if len(self._tail) == self._size - 1:
            self._seen.setdefault(self._tail, set()).add(token)
        self._tail = (*self._tail, token)[-(self._size - 1) :] if self._size > 1 else ()

    def repeats(self) -> set[int]:
        """Tokens that would complete a run that was there before."""
        return self._seen.get(self._tail, set())

    def repeats_after(self, written: Sequence[int]) -> set[int]:
        """Tokens that would complete one of these runs at the end of another sequence."""
        tail = tuple(written[-(self._size - 1) :]) if self._size > 1 else ()
        return self._seen.get(tail, set())


@dataclass(slots=True)
class TokenPenalties:
    """What one row may not or should not write next: ``banned`` gets no probability, ``penalized``
    tokens are penalised."""

    banned: set[int] = field(default_factory=set)
    penalized: set[int] = field(default_factory=set)
    penalty: float = 1.0


def apply_penalties(logits: Tensor, rows: Sequence[tuple[int, TokenPenalties]]) -> None:
    """Apply the restraints of some rows of ``logits`` (rows, vocabulary) in place."""
    worn = [(row, held.penalized) for row, held in rows if held.penalty != 1.0 and held.penalized]
    if worn:
        where = _token_index(worn, logits.device)
        by_row = {row: held.penalty for row, held in rows}
        penalties = np.repeat([by_row[row] for row, _ in worn], [len(some) for _, some in worn])
        penalty = torch.from_numpy(penalties).to(logits)
        old = logits[where]
        logits[where] = torch.where(old > 0, old / penalty, old * penalty)
    never = [(row, held.banned) for row, held in rows if held.banned]
    if never:
        logits[_token_index(never, logits.device)] = -torch.inf


def _token_index(
    rows: Sequence[tuple[int, set[int]]], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Rows and columns of some tokens, without a Python step for each of them."""
    index = np.repeat([row for row, _ in rows], [len(tokens) for _, tokens in rows])
    columns = [np.fromiter(tokens, np.int64, len(tokens)) for _, tokens in rows]
    return torch.from_numpy(index).to(device), torch.from_numpy(np.concatenate(columns)).to(device)


def sample_tokens(logits: Tensor, draws: Sequence[SamplingParams]) -> list[int | None]:
    """One token a row from ``logits`` (rows, vocabulary), float32; None for a row that has
    no finite logit or one that is no number.

    Inverse of the cumulative distribution at the row's own uniform number, over the
    candidates from the likeliest down, the lower id of equals first. At most 1,024
    candidates are looked at.
    """
    heat = [1.0 if draw.temperature <= GREEDY_TEMPERATURE else draw.temperature for draw in draws]
    shares = torch.softmax(logits / torch.tensor(heat, device=logits.device).unsqueeze(1), dim=1)
    out: list[int | None] = [None] * len(draws)
    rows = np.arange(len(draws))
    most = min(MAX_CANDIDATES, logits.shape[1])
    for count in sorted({min(FIRST_CANDIDATES, most), most}):
        last = count == most
        some = len(rows) < len(draws)
        index = torch.from_numpy(rows).to(logits.device)
        values, likely = (logits[index], shares[index]) if some else (logits, shares)
        ids = stable_top_k_indices(values, count) if last else top_k_indices(values, count)
        tokens, wider = _sample_candidates(
            values.gather(1, ids).cpu().numpy(),
            likely.gather(1, ids).cpu().numpy(),
            ids.cpu().numpy(),
            [draws[int(row)] for row in rows],
            last=last,
        )
        for row, token in zip(rows[~wider], tokens[~wider]):
            out[row] = int(token) if token >= 0 else None
        rows = rows[wider]
        if not len(rows):
            break
    return out


def top_k_indices(values: Tensor, count: int, block: int = 64) -> Tensor:
    """Places of the ``count`` largest in each row (rows, columns), in no order; which of
    equals at the edge is left open.

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


def stable_top_k_indices(values: Tensor, count: int) -> Tensor:
    """Places of the ``count`` largest in each row (rows, columns); of equals at the edge those
    with the lowest ids."""
    ids = top_k_indices(values, count)
    found = values.gather(1, ids)
    edge = found.amin(dim=1, keepdim=True)
    last = found == edge
    more = (values == edge).sum(dim=1) > last.sum(dim=1)
    for row in (more & edge.isfinite().squeeze(1)).nonzero().flatten().tolist():
        equal = (values[row] == edge[row]).nonzero().flatten()
        ids[row, last[row]] = equal[: int(last[row].sum())]
    return ids


def _sample_candidates(
    values: _FloatArray,
    shares: _FloatArray,
    ids: _IntArray,
    draws: Sequence[SamplingParams],
    *,
    last: bool,
) -> tuple[_IntArray, NDArray[np.bool_]]:
    """A token for each row of candidates by their logits and ``shares`` (rows, count), -1 where
    there is none; and which rows need more candidates than these."""
    # Ties are common in half precision and topk leaves their order open.
    order = np.lexsort((ids, -values), axis=-1)
    values, ids = np.take_along_axis(values, order, axis=1), np.take_along_axis(ids, order, axis=1)
    shares = np.take_along_axis(shares, order, axis=1).astype(np.float64)
    top_p = np.array([draw.top_p for draw in draws])
    least = np.array([draw.min_p for draw in draws]) * shares[:, 0]
    kept = (shares > 0).sum(axis=1)
    top_k = np.array([draw.top_k or shares.shape[1] + 1 for draw in draws])
    mass = np.cumsum(shares, axis=1)
    nucleus = (mass < top_p[:, None]).sum(axis=1) + 1
    kept = np.minimum.reduce([kept, nucleus, top_k, (shares >= least[:, None]).sum(axis=1)])
    greedy = np.array([draw.temperature <= GREEDY_TEMPERATURE for draw in draws])
    kept = np.where(greedy, 1, kept)
    broken = ~np.isfinite(shares).all(axis=1)
    kept = np.clip(kept, 1, shares.shape[1])
    # What equals the least of the candidates may have equals that are none.
    edge = np.take_along_axis(values, kept[:, None] - 1, axis=1)[:, 0] == values[:, -1]
    wider = edge & ~broken & (not last)
    whole = np.take_along_axis(mass, kept[:, None] - 1, axis=1)
    noise = np.array([uniform(draw.seed, draw.position) for draw in draws])
    place = (mass <= noise[:, None] * whole).sum(axis=1)
    place = np.minimum(place, kept - 1)
    tokens = np.take_along_axis(ids, place[:, None], axis=1)[:, 0]
    return np.where(broken, -1, tokens), wider
