"""Recall joined by claims: what a cue's entities lead to, beside what is like its words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..core import Cue, Hit, Record
from .claim import visible
from .hiding import hidden

if TYPE_CHECKING:
    from .claims import Claims
    from .memory import Vector

# What the graph's heaviest record gains, in units of the score's own parts (each 0 to 1).
WEIGHT = 0.5


def recall(claims: Claims, cue: Cue, vector: Vector | None = None) -> tuple[Hit, ...]:
    """The memory's hits and the records that the claims near to the cue's entities rest on.

    Each of these gains ``WEIGHT`` times its share of the heaviest one's weight
    (personalised PageRank, ``claims.related``) and says by which claim in ``why``; those the
    memory did not find come in with that alone. Filtered and bounded as the cue asks.
    """
    memory = claims.memory
    wide = replace(cue, limit=4 * cue.limit, tokens=0)
    found = memory.recall(wide, vector)
    hits = {hit.record.id: hit for hit in found if _asked(hit.record, cue)}
    related = claims.related(cue.text, person=cue.person, as_of=cue.at, limit=4 * cue.limit)
    if related:
        reasons = _reasons(claims, cue)
        gone = set(hidden(memory.store, memory.agent, step=memory.step))
        most = related[0][1]
        for number, weight in related:
            record = memory.record(number)
            if number not in hits and (number in gone or not _asked(record, cue)):
                continue
            old = hits.get(number) or _bare(record)
            why = "; ".join(part for part in (old.why, reasons.get(number, "")) if part)
            hits[number] = replace(old, score=old.score + WEIGHT * weight / most, why=why)
    ranked = sorted(hits.values(), key=lambda hit: (-hit.score, hit.record.id))
    return tuple(_within(ranked[: cue.limit], cue.tokens))


def _reasons(claims: Claims, cue: Cue) -> dict[int, str]:
    found: dict[int, str] = {}
    for claim in claims.all(as_of=cue.at, person=cue.person):
        for source in claim.sources:
            found.setdefault(source, f"claim: {claim}")
    return found


def _asked(record: Record, cue: Cue) -> bool:
    """Whether a record may be given for this cue, whoever found it."""
    return (
        visible(record.audience, cue.person)
        and (not cue.kinds or record.kind in cue.kinds)
        and (record.until is None or cue.at < record.until)
        and (cue.since is None or cue.since <= record.created)
        and (cue.before is None or record.created < cue.before)
    )


def _bare(record: Record) -> Hit:
    return Hit(record=record, score=0.0, recency=0.0, importance=0.0, relevance=0.0)


def _within(hits: Iterable[Hit], tokens: int) -> Iterable[Hit]:
    """The first hits whose texts fit so many tokens together, at four signs to a token."""
    left = tokens
    for hit in hits:
        size = (len(hit.record.text) + 3) // 4
        if tokens and size > left:
            return
        left -= size
        yield hit
