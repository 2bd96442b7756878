"""Which of the best are given back: varied, within a budget of tokens, with neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...core.text import terms
from .scoring import min_max_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...core import Cue, Hit, Record
    from .recall_query import RecallQuery

CANDIDATE_FACTOR = (
    5  # so many times the limit are looked through for variety or for what fits a budget
)
NEIGHBOUR_REACH = 200  # records each way in which neighbours of an episode are looked for


def candidate_limit(cue: Cue) -> int:
    """How many of the best are picked from: the cue's limit, or more where some may be passed
    over."""
    wide = cue.variety > 0 or cue.tokens > 0
    return cue.limit * (CANDIDATE_FACTOR if wide else 1)


def select_hits(hits: Sequence[Hit], scene: RecallQuery, cue: Cue) -> tuple[Hit, ...]:
    """What the cue asks for of the best hits: at most its limit, varied, within its budget of
    tokens, each with its neighbours among the candidates."""
    if cue.variety > 0 and len(hits) > 1:
        hits = maximal_marginal_relevance(
            hits, min(cue.variety, 1.0), cue.limit if not cue.tokens else len(hits)
        )
    if cue.tokens > 0:
        hits = fit_token_budget(hits, cue.tokens)
    hits = hits[: max(0, cue.limit)]
    if cue.around > 0 and hits:
        allowed = scene.candidates()
        records = scene.shelf.records
        places = scene.shelf.positions_of([hit.record.id for hit in hits]).tolist()
        hits = [
            replace(
                hit,
                around=neighbours(records, hit.record, place, cue.around, allowed),
            )
            for hit, place in zip(hits, places)
        ]
    return tuple(hits)


def maximal_marginal_relevance(hits: Sequence[Hit], variety: float, limit: int) -> list[Hit]:
    """Up to ``limit`` hits, one by one the best of (1 - variety) * score - variety * likeness
    to those already there (maximal marginal relevance, Carbonell and Goldstein 1998).

    Scores are min-max scaled; likeness is the cosine of the texts' sets of words.
    """
    scores = min_max_scale(np.array([hit.score for hit in hits]), 1.0)
    words = [frozenset(terms(hit.record.text)) for hit in hits]
    nearest = np.zeros(len(hits))
    left = list(range(len(hits)))
    chosen: list[int] = []
    while left and len(chosen) < limit:
        # The first of equals: hits come best first.
        pick = max(left, key=lambda i: ((1 - variety) * scores[i] - variety * nearest[i], -i))
        left.remove(pick)
        chosen.append(pick)
        for i in left:
            nearest[i] = max(nearest[i], _word_set_cosine(words[i], words[pick]))
    return [hits[i] for i in chosen]


def _word_set_cosine(one: frozenset[str], other: frozenset[str]) -> float:
    if not one or not other:
        return float(one == other)
    return float(len(one & other) / np.sqrt(len(one) * len(other)))


def fit_token_budget(hits: Sequence[Hit], tokens: int) -> list[Hit]:
    """The hits in order, less those whose text no longer fits into ``tokens`` together."""
    kept, left = [], tokens
    for hit in hits:
        if (size := estimate_tokens(hit.record.text)) <= left:
            kept.append(hit)
            left -= size
    return kept


def estimate_tokens(text: str) -> int:
    """About how many tokens a text takes, rather too many: memory knows no tokenizer.

    >>> estimate_tokens("Ada asked for a loaf of rye")
    9
    """
    return max(-(-len(text) // 3), len(text.split()))


def neighbours(
    records: Sequence[Record], middle: Record, at: int, count: int, allowed: NDArray[np.int64]
) -> tuple[Record, ...]:
    """The ``count`` records before and after ``middle``, whose place is ``at``, in its episode,
    in order, without it; only those at ``allowed`` places, rising. None for a record of no
    episode. What stands between and is not allowed is not counted either."""
    if not middle.episode:
        return ()
    sides = []
    start = int(np.searchsorted(allowed, at))
    after = start + (start < len(allowed) and allowed[start] == at)
    for places in (allowed[:start][::-1], allowed[after:]):
        found: list[Record] = []
        for place in places[:NEIGHBOUR_REACH].tolist():
            if len(found) == count:
                break
            if records[place].episode == middle.episode:
                found.append(records[place])
        sides.append(found)
    return (*reversed(sides[0]), *sides[1])
