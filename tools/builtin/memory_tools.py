"""Searching what a mind remembers: its memory, the documents it read, what it holds for true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias, TypedDict

from ...core import Cue, Failed, Hit, Json, Recall, Recalled, RecordKind, Thought, recall
from ..declaration import Tool, ToolContext, skill, tool
from .date_time import parse_moment

_MOST = 10


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
    found = yield from _recalled(
        context, query, _limited(limit) if not who else _MOST * 3, (), since=since, before=before
    )
    hits = [hit for hit in found.hits if not who or hit.record.who.casefold() == who.casefold()]
    return {"found": [_told(hit) for hit in hits[: _limited(limit)]], "held": found.held}


@skill(effect="reads")
def knowledge_search(context: ToolContext, query: str, limit: int = 5) -> Thought[Json]:
    """Search the documents that were read, for passages and where they stand.

    Args:
        query: what to look for
        limit: the most passages to give, up to 10
    """
    found = yield from _recalled(context, query, _limited(limit), ("document",))
    passages = [
        {"text": hit.record.text, "document": hit.record.episode, "place": hit.record.source}
        for hit in found.hits
    ]
    return {"found": passages, "held": found.held}


def _recalled(
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
        since=parse_moment(since, context.now) if since else None,
        before=parse_moment(before, context.now) if before else None,
    )
    found = yield from recall(Recall(cue=cue))
    if isinstance(found, Failed):
        raise ValueError(f"the memory cannot be searched: {found.detail}")
    return found


def search_cue(context: ToolContext, text: str, limit: int, kinds: tuple[RecordKind, ...]) -> Cue:
    """What to recall for a tool: only what its caller's person may know, and leaving no trace."""
    return Cue(
        text=text,
        at=context.now,
        limit=limit,
        kinds=kinds,
        rules="hybrid",
        touch=False,
        person=context.person,
    )


def _limited(limit: int) -> int:
    return max(1, min(limit, _MOST))


def _told(hit: Hit) -> Json:
    record = hit.record
    return {
        "text": record.text,
        "who": record.who,
        "when": f"{record.created:%Y-%m-%d %H:%M}",
        "kind": record.kind,
    }


class FactResult(TypedDict):
    """Something held for true: since when (and until when, where it ended), from whom."""

    fact: str
    since: str
    until: str | None
    who: str


FactLookup: TypeAlias = Callable[[str, str, ToolContext], Sequence[FactResult]]
"""What is held for true of a subject in a relation (any where empty), as the person of the
context may know it, at its moment; on whose words that rests it tells the context."""


def fact_search(look: FactLookup) -> Tool[..., Sequence[FactResult]]:
    """The tool ``fact_search`` over what a mind holds for true: see
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
