"""Masks of one bit a token, laid on logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from .grammar import GrammarMatcher

MAX_CHECKED_TOKENS = 32  # of the likeliest tokens, those looked at one by one where it matters


def set_bits(bits: NDArray[np.int32]) -> NDArray[np.int64]:
    """The numbers of the bits set in ``compute_masks`` (words,), rising.

    >>> set_bits(np.array([5, 1], dtype=np.int32)).tolist()
    [0, 2, 32]
    """
    return np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little"))


def keep_only(row: Tensor, ids: NDArray[np.int64]) -> None:
    """Set all of ``row`` (vocabulary,) to minus infinity, but the tokens ``ids``."""
    there = torch.from_numpy(ids).to(row.device)
    values = row[there]
    row.fill_(float("-inf"))
    row[there] = values


def apply_bitmask(logits: Tensor, bits: NDArray[np.int32], rows: Sequence[tuple[int, int]]) -> None:
    """Lay masks on ``logits`` (n, vocabulary): ``rows`` are (row of the logits, row of
    ``compute_masks``). Boolean masks of whole rows cost ten times more on a processor than touching
    the few tokens allowed, or forbidden."""
    if not rows:
        return
    if logits.device.type != "cpu":
        _apply_on_device(logits, bits, rows)
        return
    size = logits.shape[1]
    for row, place in rows:
        allowed = np.unpackbits(bits[place].view(np.uint8), bitorder="little")[:size].view(bool)
        if np.count_nonzero(allowed) * 2 < size:
            keep_only(logits[row], np.flatnonzero(allowed))
        else:
            out = torch.from_numpy(np.flatnonzero(~allowed))
            logits[row].index_fill_(0, out, float("-inf"))


def _apply_on_device(
    logits: Tensor, bits: NDArray[np.int32], rows: Sequence[tuple[int, int]]
) -> None:
    where = torch.tensor([row for row, _ in rows], device=logits.device)
    words = torch.from_numpy(bits[[place for _, place in rows]]).to(logits.device)
    shifts = torch.arange(32, dtype=torch.int32, device=logits.device)
    allowed = ((words.unsqueeze(-1) >> shifts) & 1).bool().flatten(1)[:, : logits.shape[1]]
    logits[where] = logits[where].masked_fill_(~allowed, float("-inf"))


def apply_grammar_masks(logits: Tensor, rows: Sequence[tuple[int, GrammarMatcher]]) -> None:
    """Set to minus infinity, in ``logits`` (rows, vocabulary) float32, what does not fit the
    grammar of a row; ``rows`` are (row, its matcher), all of one Grammars."""
    free: list[tuple[int, GrammarMatcher]] = []
    for row, matcher in rows:
        forced = matcher.forced_tokens()
        if forced:
            keep_only(logits[row], np.array(forced[:1], dtype=np.int64))
        else:
            free.append((row, matcher))
    if not free:
        return
    bits = free[0][1].compiler.compute_masks([matcher.ll_matcher for _, matcher in free])
    plain_rows = []
    for place, (row, matcher) in enumerate(free):
        if matcher.needs_token_check():
            keep_only(logits[row], _checked_tokens(logits[row], matcher, set_bits(bits[place])))
        else:
            plain_rows.append((row, place))
    apply_bitmask(logits, bits, plain_rows)


def _checked_tokens(
    row: Tensor, matcher: GrammarMatcher, allowed: NDArray[np.int64]
) -> NDArray[np.int64]:
    scores = torch.log_softmax(row[torch.from_numpy(allowed).to(row.device)].float(), dim=0)
    values, places = torch.topk(scores, min(MAX_CHECKED_TOKENS, len(allowed)))
    shares = values.double().exp().cpu().numpy()
    return matcher.valid_tokens(allowed[places.cpu().numpy()], shares)
