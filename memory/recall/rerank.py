"""Selection among the best hits: varied, within a budget of tokens, with neighbours."""

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

CANDIDATE_FACTOR = 5
"""For variety or a token budget this many times the limit are considered."""
NEIGHBOUR_REACH = 200
"""Neighbours of an episode are searched for among this many records on each side."""


def candidate_limit(cue: Cue) -> int:
    """How many of the best hits to select from: the cue's limit, or more if some may be
    skipped."""
    skips = cue.variety > 0 or cue.tokens > 0
    return cue.limit * (CANDIDATE_FACTOR if skips else 1)


def select_hits(hits: Sequence[Hit], query: RecallQuery, cue: Cue) -> tuple[Hit, ...]:
    """What the cue asks for of the best hits: at most its limit, varied, within its token budget,
    each with its neighbours among the candidates."""
    if cue.variety > 0 and len(hits) > 1:
        limit = cue.limit if not cue.tokens else len(hits)
        hits = maximal_marginal_relevance(hits, min(cue.variety, 1.0), limit)
    if cue.tokens > 0:
        hits = fit_token_budget(hits, cue.tokens)
    hits = hits[: max(0, cue.limit)]
    if cue.around > 0 and hits:
        candidates = query.candidates()
        records = query.index.records
        positions = query.index.positions_of([hit.record.id for hit in hits]).tolist()
        hits = [
            replace(
                hit,
                around=neighbours(records, hit.record, position, cue.around, candidates),
            )
            for hit, position in zip(hits, positions)
        ]
    return tuple(hits)


def maximal_marginal_relevance(hits: Sequence[Hit], variety: float, limit: int) -> list[Hit]:
    """Up to ``limit`` hits, one by one the best of (1 - variety) * score - variety * similarity
    to those selected before (Carbonell and Goldstein 1998).

    Scores are min-max scaled; similarity is the cosine of the texts' sets of terms.
    """
    scores = min_max_scale(np.array([hit.score for hit in hits]), 1.0)
    term_sets = [frozenset(terms(hit.record.text)) for hit in hits]
    similarity = np.zeros(len(hits))
    left = list(range(len(hits)))
    selected: list[int] = []
    while left and len(selected) < limit:
        # The first of equals: hits come best first.
        best = max(left, key=lambda i: ((1 - variety) * scores[i] - variety * similarity[i], -i))
        left.remove(best)
        selected.append(best)
        for i in left:
            similarity[i] = max(similarity[i], _set_cosine(term_sets[i], term_sets[best]))
    return [hits[i] for i in selected]


def _set_cosine(first: frozenset[str], second: frozenset[str]) -> float:
    if not first or not second:
        return float(first == second)
    return float(len(first & second) / np.sqrt(len(first) * len(second)))


def fit_token_budget(hits: Sequence[Hit], tokens: int) -> list[Hit]:
    """The hits in order, without those whose text no longer fits into ``tokens`` in total."""
    selected, left = [], tokens
    for hit in hits:
        if (size := estimate_tokens(hit.record.text)) <= left:
            selected.append(hit)
            left -= size
    return selected


def estimate_tokens(text: str) -> int:
    """About how many tokens a text takes, rather too many: memory has no tokenizer.

    >>> estimate_tokens("Ada asked for a loaf of rye")
    9
    """
    return max(-(-len(text) // 3), len(text.split()))


def neighbours(
    records: Sequence[Record],
    middle: Record,
    position: int,
    count: int,
    candidates: NDArray[np.int64],
) -> tuple[Record, ...]:
    """The ``count`` records before and after ``middle`` (at ``position``) in its episode, in order,
    without it, only ``candidates`` (ascending positions; others are not counted). Empty for a
    record of no episode."""
    if not middle.episode:
        return ()
    sides = []
    start = int(np.searchsorted(candidates, position))
    after = start + (start < len(candidates) and candidates[start] == position)
    for side in (candidates[:start][::-1], candidates[after:]):
        near: list[Record] = []
        for candidate in side[:NEIGHBOUR_REACH].tolist():
            if len(near) == count:
                break
            if records[candidate].episode == middle.episode:
                near.append(records[candidate])
        sides.append(near)
    return (*reversed(sides[0]), *sides[1])
