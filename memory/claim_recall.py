"""Recall joined by claims: what a cue's entities lead to, beside what is like its words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..core import EVERYBODY, AgentId, Cue, Hit, Record
from .picking import candidate_limit, select_hits
from .scene import RecallQuery

if TYPE_CHECKING:
    from .claims import Facts
    from .memory import Vector

# What the graph's heaviest record gains, in units of the score's own parts (each 0 to 1).
GRAPH_WEIGHT = 0.5


def recall_with_facts(claims: Facts, cue: Cue, vector: Vector | None = None) -> tuple[Hit, ...]:
    """The memory's hits and the records that the claims near to the cue's entities rest on.

    Each of these gains ``GRAPH_WEIGHT`` times its share of the heaviest one's weight
    (personalised PageRank, ``claims.related_records``) and says by which claim in ``why``; those
    the
    memory did not find come in with that alone. Filtered and bounded as the cue asks.
    """
    memory = claims.memory
    wide = replace(cue, limit=4 * cue.limit, tokens=0, variety=0.0, around=0)
    query = None if vector is None else np.asarray(vector, dtype=np.float32)
    scene = RecallQuery.for_cue(memory, cue, query, {})
    hits = {hit.record.id: hit for hit in memory.recall(wide, vector)}
    related = claims.related_records(
        cue.text, person=_person(cue), as_of=cue.at, limit=4 * cue.limit
    )
    if related:
        reasons = _reasons(claims, cue)
        # The mask of recall itself: what is private, folded, gone, expired or quarantined.
        open_to = set(scene.shelf.record_id.array[scene.candidates()].tolist())
        most = related[0][1]
        for number, weight in related:
            if number not in open_to:
                continue
            old = hits.get(number) or _bare(memory.record(number))
            why = "; ".join(part for part in (old.why, reasons.get(number, "")) if part)
            hits[number] = replace(old, score=old.score + GRAPH_WEIGHT * weight / most, why=why)
    ranked = sorted(hits.values(), key=lambda hit: (-hit.score, hit.record.id))
    return select_hits(ranked[: candidate_limit(cue)], scene, cue)


def _person(cue: Cue) -> AgentId:
    """Whose view of the claims serves a cue: with several hearers only what is for everybody."""
    hearers = set(cue.hearers)
    return EVERYBODY if len(hearers) > 1 else next(iter(hearers), "")


def _reasons(claims: Facts, cue: Cue) -> dict[int, str]:
    found: dict[int, str] = {}
    for claim in claims.find(as_of=cue.at, person=_person(cue)):
        for source in claim.sources:
            found.setdefault(source, f"claim: {claim}")
    return found


def _bare(record: Record) -> Hit:
    return Hit(record=record, score=0.0, recency=0.0, importance=0.0, relevance=0.0)
