"""Sampling of the next token: reproducible for each row, whatever the rest of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...core import uniform

# A full sort of 49,152 columns takes fifty times as long as 64 candidates, which hold the
# nucleus of nearly every row; 1,024 are for the rest.
FIRST_CANDIDATES, MAX_CANDIDATES = 64, 1024
GREEDY_TEMPERATURE = 1e-6  # up to this temperature the most likely token is taken

_FloatArray = NDArray[np.float64]
_IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How token number ``position`` of a reply is sampled.

    ``temperature`` 0 takes the most likely token. Candidates are the ``top_k`` most likely
    tokens (0: all), the smallest set with ``top_p`` of the probability mass, and those with at
    least ``min_p`` times the largest probability.
    """

    temperature: float
    top_p: float
    seed: int
    position: int
    top_k: int = 0
    min_p: float = 0.0


@dataclass(frozen=True, slots=True)
class RepetitionLimits:
    """Keeps small models from looping.

    ``penalty`` divides positive (multiplies negative) logits of tokens that are in the reply, as
    in CTRL (Keskar et al. 2019); 1 is off. ``ngram`` forbids that many tokens in a row to occur
    twice in the reply, ``prompt_ngram`` to be copied from the prompt; 0 is off.
    """

    penalty: float = 1.0
    ngram: int = 0
    prompt_ngram: int = 0


class NGramIndex:
    """The n-grams of a growing token sequence, to find tokens that would repeat one.

    >>> ngrams = NGramIndex(3, (1, 2, 3, 1, 2))
    >>> ngrams.repeats(), ngrams.repeats_after((0, 3, 1))
    ({3}, {2})
    """

    def __init__(self, size: int, tokens: Sequence[int] = ()) -> None:
        self._size = size
        self._tail: tuple[int, ...] = ()
        self._next_tokens: dict[tuple[int, ...], set[int]] = {}
        for token in tokens:
            self.add(token)

    def add(self, token: int) -> None:
        """Append a token to the sequence."""
        if len(self._tail) == self._size - 1:
            self._next_tokens.setdefault(self._tail, set()).add(token)
        self._tail = (*self._tail, token)[-(self._size - 1) :] if self._size > 1 else ()

    def repeats(self) -> set[int]:
        """Tokens that would repeat an n-gram of the sequence."""
        return self._next_tokens.get(self._tail, set())

    def repeats_after(self, tokens: Sequence[int]) -> set[int]:
        """Tokens that would repeat an n-gram of the sequence at the end of another one."""
        tail = tuple(tokens[-(self._size - 1) :]) if self._size > 1 else ()
        return self._next_tokens.get(tail, set())


@dataclass(frozen=True, slots=True)
class SampledLogprobs:
    """The log-probability of a sampled token, and of the likeliest tokens at its place, best
    first, each with its id."""

    logprob: float
    top: tuple[tuple[int, float], ...]


@dataclass(slots=True)
class TokenPenalties:
    """Limits on the next token of one row: ``banned`` tokens get no probability, the logits of
    ``penalized`` ones are reduced by ``penalty``."""

    banned: set[int] = field(default_factory=set)
    penalized: set[int] = field(default_factory=set)
    penalty: float = 1.0


def apply_penalties(logits: Tensor, rows: Sequence[tuple[int, TokenPenalties]]) -> None:
    """Apply the penalties of some rows of ``logits`` (rows, vocabulary) in place."""
    penalized = [(row, one) for row, one in rows if one.penalty != 1.0 and one.penalized]
    if penalized:
        where = _token_index([(row, one.penalized) for row, one in penalized], logits.device)
        counts = [len(one.penalized) for _, one in penalized]
        factors = np.repeat([one.penalty for _, one in penalized], counts)
        factor = torch.from_numpy(factors).to(logits)
        old = logits[where]
        logits[where] = torch.where(old > 0, old / factor, old * factor)
    banned = [(row, one.banned) for row, one in rows if one.banned]
    if banned:
        logits[_token_index(banned, logits.device)] = -torch.inf


def _token_index(
    rows: Sequence[tuple[int, set[int]]], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Row and column indices of the tokens of each row."""
    index = np.repeat([row for row, _ in rows], [len(tokens) for _, tokens in rows])
    columns = [np.fromiter(tokens, np.int64, len(tokens)) for _, tokens in rows]
    return torch.from_numpy(index).to(device), torch.from_numpy(np.concatenate(columns)).to(device)


def sample_tokens(logits: Tensor, params: Sequence[SamplingParams]) -> list[int | None]:
    """One token for each row of ``logits`` (rows, vocabulary), float32; None for a row with NaN
    or without a finite logit.

    Inverse transform sampling with the uniform number of each row's seed and position, over at
    most 1,024 candidates in order of probability, equals in order of their ids.
    """
    temperatures = [
        1.0 if one.temperature <= GREEDY_TEMPERATURE else one.temperature for one in params
    ]
    scale = torch.tensor(temperatures, device=logits.device).unsqueeze(1)
    probabilities = torch.softmax(logits / scale, dim=1)
    sampled: list[int | None] = [None] * len(params)
    rows = np.arange(len(params))
    most = min(MAX_CANDIDATES, logits.shape[1])
    for count in sorted({min(FIRST_CANDIDATES, most), most}):
        last = count == most
        index = torch.from_numpy(rows).to(logits.device)
        some = len(rows) < len(params)
        values, likely = (logits[index], probabilities[index]) if some else (logits, probabilities)
        ids = stable_top_k_indices(values, count) if last else top_k_indices(values, count)
        tokens, undecided = _sample_candidates(
            values.gather(1, ids).cpu().numpy(),
            likely.gather(1, ids).cpu().numpy(),
            ids.cpu().numpy(),
            [params[int(row)] for row in rows],
            last=last,
        )
        for row, token in zip(rows[~undecided], tokens[~undecided]):
            sampled[row] = int(token) if token >= 0 else None
        rows = rows[undecided]
        if not len(rows):
            break
    return sampled


def sampled_logprobs(
    logprobs: Tensor, tokens: Sequence[int], counts: Sequence[int]
) -> list[SampledLogprobs]:
    """For each row of ``logprobs`` (rows, vocabulary) that of its token, and those of the
    ``counts`` likeliest tokens, equals in order of their ids; impossible tokens are left out."""
    most = min(max(counts, default=0), logprobs.shape[1])
    own = logprobs.gather(1, torch.tensor(tokens, device=logprobs.device).unsqueeze(1))
    ids = stable_top_k_indices(logprobs, most) if most else logprobs.new_zeros((len(tokens), 0))
    values = logprobs.gather(1, ids.long()).tolist()
    rows = zip(own.squeeze(1).tolist(), ids.long().tolist(), values, counts)
    return [
        SampledLogprobs(
            logprob,
            tuple(
                pair
                for pair in sorted(zip(row_ids, row), key=lambda pair: (-pair[1], pair[0]))[:count]
                if np.isfinite(pair[1])
            ),
        )
        for logprob, row_ids, row, count in rows
    ]


def top_k_indices(values: Tensor, count: int, block: int = 64) -> Tensor:
    """Indices of the ``count`` largest in each row (rows, columns), in any order; which of
    several equal values at the end are taken is undefined.

    They are in the ``count`` blocks of columns with the largest maxima: searching these is
    faster than ``topk`` over all columns.
    """
    rows, columns = values.shape
    if columns % block or columns < 4 * block * count:
        return torch.topk(values, count, dim=1).indices
    split = values.view(rows, columns // block, block)
    blocks = torch.topk(split.amax(dim=2), count, dim=1).indices
    inside = split.gather(1, blocks.unsqueeze(2).expand(-1, -1, block)).view(rows, -1)
    index = torch.topk(inside, count, dim=1).indices
    return blocks.gather(1, index // block) * block + index % block


def stable_top_k_indices(values: Tensor, count: int) -> Tensor:
    """Indices of the ``count`` largest in each row (rows, columns); of several equal values at
    the end those with the lowest indices."""
    ids = top_k_indices(values, count)
    largest = values.gather(1, ids)
    smallest = largest.amin(dim=1, keepdim=True)
    tied = largest == smallest
    more = (values == smallest).sum(dim=1) > tied.sum(dim=1)
    for row in (more & smallest.isfinite().squeeze(1)).nonzero().flatten().tolist():
        equal = (values[row] == smallest[row]).nonzero().flatten()
        ids[row, tied[row]] = equal[: int(tied[row].sum())]
    return ids


def _sample_candidates(
    values: _FloatArray,
    probabilities: _FloatArray,
    ids: _IntArray,
    params: Sequence[SamplingParams],
    *,
    last: bool,
) -> tuple[_IntArray, NDArray[np.bool_]]:
    """Sample one token per row from its ``count`` best candidates.

    ``values`` (logits), ``probabilities`` and ``ids`` have the shape (rows, count). Returns the
    token ids, -1 for a row whose probabilities are not finite, and a mask of the undecided rows:
    there a token outside the candidates could have passed top-k, top-p and min-p as well, so that
    the caller must repeat the row with more candidates. With ``last`` no row is undecided.
    """
    # Equal logits are frequent in half precision, and topk leaves their order undefined.
    order = np.lexsort((ids, -values), axis=-1)
    values, ids = np.take_along_axis(values, order, axis=1), np.take_along_axis(ids, order, axis=1)
    probabilities = np.take_along_axis(probabilities, order, axis=1).astype(np.float64)
    top_p = np.array([one.top_p for one in params])
    least = np.array([one.min_p for one in params]) * probabilities[:, 0]
    top_k = np.array([one.top_k or probabilities.shape[1] + 1 for one in params])
    mass = np.cumsum(probabilities, axis=1)
    nucleus = (mass < top_p[:, None]).sum(axis=1) + 1
    positive = (probabilities > 0).sum(axis=1)
    likely = (probabilities >= least[:, None]).sum(axis=1)
    kept = np.minimum.reduce([positive, nucleus, top_k, likely])
    greedy = np.array([one.temperature <= GREEDY_TEMPERATURE for one in params])
    kept = np.where(greedy, 1, kept)
    broken = ~np.isfinite(probabilities).all(axis=1)
    kept = np.clip(kept, 1, probabilities.shape[1])
    # Tokens beyond these candidates may equal the least likely one that is kept.
    tied = np.take_along_axis(values, kept[:, None] - 1, axis=1)[:, 0] == values[:, -1]
    undecided = tied & ~broken & (not last)
    total = np.take_along_axis(mass, kept[:, None] - 1, axis=1)
    noise = np.array([uniform(one.seed, one.position) for one in params])
    place = (mass <= noise[:, None] * total).sum(axis=1)
    place = np.minimum(place, kept - 1)
    tokens = np.take_along_axis(ids, place[:, None], axis=1)[:, 0]
    return np.where(broken, -1, tokens), undecided
