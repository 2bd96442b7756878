"""Tools that search an agent's memory, its documents and its facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias, TypedDict

from ...core import (
    Cue,
    Failed,
    Hit,
    Json,
    Recall,
    Recalled,
    RecordKind,
    Thought,
    Time,
    machine_time,
    recall,
    time_zone,
)
from ..declaration import Tool, ToolContext, skill, tool
from .date_time import parse_moment

_MAX_RESULTS = 10


@skill(effect="reads")
def memory_search(
    context: ToolContext,
    query: str,
    limit: int = 5,
    who: str = "",
    since: str = "",
    before: str = "",
) -> Thought[Json]:
    """Search one's own memory for what was seen, said, read or thought.

    Args:
        query: what to look for
        limit: the most memories to give, up to 10
        who: only what this person said or did; empty for everybody
        since: only from this day on, for example "2023-02-13" or "yesterday"
        before: only before this day
    """
    recalled = yield from _recall(
        context,
        query,
        _clamp_limit(limit) if not who else _MAX_RESULTS * 3,
        (),
        since=since,
        before=before,
    )
    hits = [hit for hit in recalled.hits if not who or hit.record.who.casefold() == who.casefold()]
    return {"found": [_hit_json(hit) for hit in hits[: _clamp_limit(limit)]], "held": recalled.held}


@skill(effect="reads")
def knowledge_search(context: ToolContext, query: str, limit: int = 5) -> Thought[Json]:
    """Search the documents that were read, for passages and where they stand.

    Args:
        query: what to look for
        limit: the most passages to give, up to 10
    """
    recalled = yield from _recall(context, query, _clamp_limit(limit), ("document",))
    passages = [
        {"text": hit.record.text, "document": hit.record.episode, "place": hit.record.source}
        for hit in recalled.hits
    ]
    return {"found": passages, "held": recalled.held}


def _recall(
    context: ToolContext,
    query: str,
    limit: int,
    kinds: tuple[RecordKind, ...],
    *,
    since: str = "",
    before: str = "",
) -> Thought[Recalled]:
    if not query.strip():
        raise ValueError("the query is empty; say what to look for")
    cue = replace(
        search_cue(context, query, limit, kinds),
        since=_machine_moment(context, since),
        before=_machine_moment(context, before),
    )
    recalled = yield from recall(Recall(cue=cue))
    if isinstance(recalled, Failed):
        raise ValueError(f"the memory cannot be searched: {recalled.detail}")
    return recalled


def _machine_moment(context: ToolContext, text: str) -> Time | None:
    """The moment that a text names by the person's clock, by that of the memory."""
    if not text:
        return None
    return machine_time(parse_moment(text, context.local_now), time_zone(context.zone))


def search_cue(context: ToolContext, text: str, limit: int, kinds: tuple[RecordKind, ...]) -> Cue:
    """A recall query for a tool: records visible to the call's person; not counted as access."""
    return Cue(
        text=text,
        at=context.now,
        limit=limit,
        kinds=kinds,
        rules="hybrid",
        touch=False,
        person=context.person,
        zone=context.zone,
    )


def _clamp_limit(limit: int) -> int:
    return max(1, min(limit, _MAX_RESULTS))


def _hit_json(hit: Hit) -> Json:
    record = hit.record
    return {
        "text": record.text,
        "who": record.who,
        "when": f"{record.created:%Y-%m-%d %H:%M}",
        "kind": record.kind,
    }


class FactResult(TypedDict):
    """A fact as text, when it began and ended (None: still valid), and who stated it."""

    fact: str
    since: str
    until: str | None
    who: str


FactLookup: TypeAlias = Callable[[str, str, ToolContext], Sequence[FactResult]]
"""Finds the facts of a subject and relation (empty: any) that are visible to the context's person
at its time, and adds their labels to the context."""


def fact_search(look: FactLookup) -> Tool[..., Sequence[FactResult]]:
    """The tool ``fact_search`` over a function that finds facts, such as the one of
    ``denizens.agents.fact_search_tool``."""

    @tool(name="fact_search", effect="reads", outside=True)
    def search(context: ToolContext, subject: str, relation: str = "") -> Sequence[FactResult]:
        """Look up what is known of somebody or something: where they live, what they like.

        Args:
            subject: who or what, for example "Ada"
            relation: what about it, for example "lives in"; empty for everything
        """
        return look(subject, relation, context)[:30]

    return search
