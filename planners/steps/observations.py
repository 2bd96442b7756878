"""Memories of what an agent observes: events, lines of its conversation, lines overheard."""

from __future__ import annotations

from collections.abc import Sequence

from ...core import (
    REDACTED_TEXT,
    AgentId,
    ConversationView,
    Event,
    Situation,
    Utterance,
    format_utterance,
    short_name,
)
from ..text import excerpt
from .step_builder import StepBuilder

# Characters of a memory, and of a line of a talk, that a prompt shows: a text of pages that
# somebody pasted into a chat must not stand in every prompt that follows.
MAX_MEMORY_CHARS = 400
MAX_LINE_CHARS = 600


def remember_lines(draft: StepBuilder, talk: ConversationView) -> None:
    """Remember the lines of others said since one last listened; of one that is not for all who
    listen there is nothing to remember here."""
    me = draft.situation.persona.name
    seen = draft.state.talk_seen
    for line in talk.lines[seen:]:
        if line.who != me and line.text != REDACTED_TEXT:
            text = format_utterance(line.who, me, line.text)
            draft.add_record("utterance", text, who=line.who, rests_on=(line,))
    draft.update_state(talk_seen=0 if talk.ended else len(talk.lines))


def remember_overheard(draft: StepBuilder) -> None:
    """Remember lines said by others in one's hearing: so news spread beyond those told."""
    seen = draft.situation.seen
    members = seen.talk.members if seen.talk else ()
    for event in seen.notices:
        if event.kind == "said" and event.subject not in members:
            who = event.subject
            draft.add_record("utterance", event.text, who=who, event=event, rests_on=(event,))


def transcript(lines: Sequence[Utterance], members: Sequence[AgentId]) -> list[str]:
    """Lines under their speakers' first names; two of one first name keep the whole one. A very
    long line is cut."""
    shorts = [short_name(who) for who in members]
    names = {who: who if shorts.count(short) > 1 else short for who, short in zip(members, shorts)}
    return [
        f"{names.get(line.who, line.who)}: {excerpt(line.text, '', MAX_LINE_CHARS)}"
        for line in lines
    ]


def remember_events(draft: StepBuilder, *, importance: float | None = 1.0) -> None:
    """Turn fresh events into memories and keep them in mind as perceived.

    Things at rest are perceived but not remembered: reverie stores them at importance 1
    and then leaves them out of every recall, so they would only be ballast."""
    situation = draft.situation
    if situation.fresh:
        keys = tuple(event.key for event in situation.fresh)
        seen = situation.state.perceived + keys
        draft.update_state(perceived=seen[max(0, len(seen) - situation.persona.retention) :])
    for event in situation.fresh:
        if not (event.idle or _is_own_event(event, situation)):
            draft.add_record(
                "observation",
                event.text,
                who=event.subject,
                event=event,
                importance=importance,
                rests_on=(event,),
            )


def _is_own_event(event: Event, situation: Situation) -> bool:
    """Whether an event is one's own doing: the thing one uses, the talk one is in."""
    seen = situation.seen
    if event.kind == "object":
        return seen.arrived and bool(seen.target) and event.place == seen.target
    members = seen.talk.members if seen.talk and not seen.talk.ended else ()
    return event.kind == "doing" and event.subject in members
