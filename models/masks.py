"""Masks of one bit a token, laid on logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


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
