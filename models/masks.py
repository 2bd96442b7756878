"""Masks of one bit a token, laid on logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from .grammar import Matcher

CANDIDATES = 32  # of the likeliest tokens, those looked at one by one where it matters


def ids_of(bits: NDArray[np.int32]) -> NDArray[np.int64]:
    """The numbers of the bits set in ``bits`` (words,), rising.

    >>> ids_of(np.array([5, 1], dtype=np.int32)).tolist()
    [0, 2, 32]
    """
    return np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little"))


def keep(row: Tensor, ids: NDArray[np.int64]) -> None:
    """Set all of ``row`` (vocabulary,) to minus infinity, but the tokens ``ids``."""
    there = torch.from_numpy(ids).to(row.device)
    values = row[there]
    row.fill_(float("-inf"))
    row[there] = values


def apply(logits: Tensor, bits: NDArray[np.int32], rows: Sequence[tuple[int, int]]) -> None:
    """Lay masks on ``logits`` (n, vocabulary): ``rows`` are (row of the logits, row of
    ``bits``). Boolean masks of whole rows cost ten times more on a processor than touching
    the few tokens allowed, or forbidden."""
    if not rows:
        return
    if logits.device.type != "cpu":
        _apply_there(logits, bits, rows)
        return
    size = logits.shape[1]
    for row, place in rows:
        allowed = np.unpackbits(bits[place].view(np.uint8), bitorder="little")[:size].view(bool)
        if np.count_nonzero(allowed) * 2 < size:
            keep(logits[row], np.flatnonzero(allowed))
        else:
            out = torch.from_numpy(np.flatnonzero(~allowed))
            logits[row].index_fill_(0, out, float("-inf"))


def _apply_there(logits: Tensor, bits: NDArray[np.int32], rows: Sequence[tuple[int, int]]) -> None:
    where = torch.tensor([row for row, _ in rows], device=logits.device)
    words = torch.from_numpy(bits[[place for _, place in rows]]).to(logits.device)
    shifts = torch.arange(32, dtype=torch.int32, device=logits.device)
    allowed = ((words.unsqueeze(-1) >> shifts) & 1).bool().flatten(1)[:, : logits.shape[1]]
    logits[where] = logits[where].masked_fill_(~allowed, float("-inf"))


def mask_rows(logits: Tensor, rows: Sequence[tuple[int, Matcher]]) -> None:
    """Set to minus infinity, in ``logits`` (rows, vocabulary) float32, what does not fit the
    grammar of a row; ``rows`` are (row, its matcher), all of one Grammars."""
    free: list[tuple[int, Matcher]] = []
    for row, matcher in rows:
        forced = matcher.forced()
        if forced:
            keep(logits[row], np.array(forced[:1], dtype=np.int64))
        else:
            free.append((row, matcher))
    if not free:
        return
    bits = free[0][1].home.bits([matcher.inner for _, matcher in free])
    plain_rows = []
    for place, (row, matcher) in enumerate(free):
        if matcher.watched():
            keep(logits[row], _chosen(logits[row], matcher, ids_of(bits[place])))
        else:
            plain_rows.append((row, place))
    apply(logits, bits, plain_rows)


def _chosen(row: Tensor, matcher: Matcher, allowed: NDArray[np.int64]) -> NDArray[np.int64]:
    scores = torch.log_softmax(row[torch.from_numpy(allowed).to(row.device)].float(), dim=0)
    values, places = torch.topk(scores, min(CANDIDATES, len(allowed)))
    shares = values.double().exp().cpu().numpy()
    return matcher.choose(allowed[places.cpu().numpy()], shares)
