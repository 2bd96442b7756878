"""Recalling: candidates, their scores, the best of them; for one mind or for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..core import Cue, Hit, RecordId, Time
from .hiding import hidden_places
from .scoring import best, by_rank, fading, listed, scaled
from .shelf import KINDS, seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .memory import Embedder, Memory, Vector
    from .rules import RuleSet
    from .shelf import Shelf


def recall(
    memory: Memory, cue: Cue, vector: Vector | None, accessed: Mapping[RecordId, Time]
) -> tuple[Hit, ...]:
    """Score every candidate by the cue's rules; see ``Memory.recall``."""
    shelf, rules = memory.shelf, memory.rules_for(cue)
    count = len(memory)
    query = None
    if vector is not None:
        query = np.asarray(vector, dtype=np.float32)
        memory.fits(query, shelf.index.columns)
    candidates = _candidates(shelf, count, cue, rules)
    # Folded away, or of a document's older version.
    if len(gone := hidden_places(memory.store, memory.agent, memory.step)):
        candidates = candidates[~np.isin(candidates, gone)]
    if rules.since == "creation":
        last = shelf.created.array[:count]
    else:
        last = shelf.accessed_at(memory.step)[:count]
        if accessed:
            last = last.copy()
            for number, at in accessed.items():
                last[number - 1] = seconds(at)
    happened = shelf.kind.array[candidates] == KINDS.index("observation")
    candidates = listed(candidates, happened, last[candidates], rules)
    if rules.recency == "rank":
        weight = by_rank(len(candidates), rules.decay, rules.newest_first)
    else:
        weight = fading((seconds(cue.at) - last[candidates]) / 3600.0, rules.decay)
    recency = scaled(weight, rules.equal)
    importance = scaled(shelf.importance.array[candidates], rules.equal)
    relevance = scaled(shelf.relevance(candidates, query), rules.equal)
    score = (
        rules.recency_weight * recency
        + rules.relevance_weight * relevance
        + rules.importance_weight * importance
    )
    return tuple(
        Hit(
            record=shelf.records[candidates[place]],
            score=float(score[place]),
            recency=float(recency[place]),
            importance=float(importance[place]),
            relevance=float(relevance[place]),
        )
        for place in best(score, cue.limit)
    )


def _candidates(shelf: Shelf, count: int, cue: Cue, rules: RuleSet) -> NDArray[np.int64]:
    wanted = [
        (not cue.kinds or kind in cue.kinds) and (not rules.kinds or kind in rules.kinds)
        for kind in KINDS
    ]
    keep = np.array(wanted)[shelf.kind.array[:count]]
    for word in rules.without:
        keep &= ~shelf.holds(word)[:count]
    return np.flatnonzero(keep).astype(np.int64)


def recall_many(
    requests: Sequence[tuple[Memory, Cue]], vectors: NDArray[np.float32] | None = None
) -> list[tuple[Hit, ...]]:
    """Recall for many minds at once; writes nothing. Answers in the order of ``requests``.

    ``vectors`` holds a row for each cue, shape (n, d); without it each memory's ``embed`` is
    used, once for all cues that share one. Under rules that are ``successive`` (reverie),
    cues of one memory with ``touch`` set see what the earlier of them chose as accessed just
    now, as its successive focal points do.
    """
    rows: Sequence[Vector | None] = list(vectors) if vectors is not None else _embedded(requests)
    if len(rows) != len(requests):
        raise ValueError(f"{len(requests)} cues, but {len(rows)} rows of vectors")
    chosen: dict[tuple[int, str, int | None], dict[RecordId, Time]] = {}
    answers = []
    for (memory, cue), row in zip(requests, rows, strict=True):
        mine = chosen.setdefault((id(memory.store), memory.agent, memory.step), {})
        successive = memory.rules_for(cue).successive
        hits = memory.recall(cue, row, accessed=mine if successive else None)
        if successive and cue.touch:
            mine.update({hit.record.id: cue.at for hit in hits})
        answers.append(hits)
    return answers


def _embedded(requests: Sequence[tuple[Memory, Cue]]) -> list[Vector | None]:
    rows: list[Vector | None] = [None] * len(requests)
    groups: dict[Embedder, list[int]] = {}
    for place, (memory, _) in enumerate(requests):
        if memory.embed:
            groups.setdefault(memory.embed, []).append(place)
    for embed, places in groups.items():
        found = embed([requests[place][1].text for place in places])
        for place, row in zip(places, found, strict=True):
            rows[place] = row
    return rows
