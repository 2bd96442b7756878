"""Records of what an agent observes: events, lines of its conversation, overheard lines.

Also the recall of records, for planners that need only the records and not their scores.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...core import (
    REDACTED_TEXT,
    AgentId,
    ConversationView,
    Cue,
    Event,
    Recall,
    Recalled,
    Record,
    Situation,
    Thought,
    Utterance,
    format_utterance,
    recall,
    short_name,
)
from ..text import excerpt
from .step_builder import StepBuilder

# Longest excerpt of a record and of an utterance in a prompt: a text of several pages pasted
# into a chat must not fill every later prompt.
MAX_MEMORY_CHARS = 400
MAX_LINE_CHARS = 600


def recall_records(cue: Cue) -> Thought[list[Record]]:
    """The records recalled for a cue, best first; none if the recall failed."""
    answer = yield from recall(Recall(cue=cue))
    return [hit.record for hit in answer.hits] if isinstance(answer, Recalled) else []


def remember_events(builder: StepBuilder, *, importance: float | None = 1.0) -> None:
    """Add a record of each new event and mark all new events as perceived.

    Events of idle objects are marked only: the published code stores them at importance 1 and
    excludes them from every recall."""
    situation = builder.situation
    if situation.fresh:
        keys = tuple(event.key for event in situation.fresh)
        perceived = situation.state.perceived + keys
        retention = situation.persona.retention
        builder.update_state(perceived=perceived[max(0, len(perceived) - retention) :])
    for event in situation.fresh:
        if not (event.idle or _is_own_event(event, situation)):
            builder.add_record(
                "observation",
                event.text,
                who=event.subject,
                event=event,
                importance=importance,
                rests_on=(event,),
            )


def remember_whispers(builder: StepBuilder) -> None:
    """Add a record of kind "thought" for each whisper among the inputs."""
    for whisper in builder.situation.inputs:
        if whisper.kind == "whisper":
            builder.add_record("thought", whisper.text, rests_on=(whisper,))


def _is_own_event(event: Event, situation: Situation) -> bool:
    """Whether an event belongs to the agent's own activity: it concerns the object that the
    agent uses, or a partner in its conversation."""
    seen = situation.seen
    if event.kind == "object":
        return seen.arrived and bool(seen.target) and event.place == seen.target
    members = seen.talk.members if seen.talk and not seen.talk.ended else ()
    return event.kind == "doing" and event.subject in members


def remember_lines(builder: StepBuilder, talk: ConversationView) -> None:
    """Add a record of each line that others said since the last call; redacted lines, which
    are not for every listener, are left out."""
    me = builder.situation.persona.name
    for line in talk.lines[builder.state.talk_seen :]:
        if line.who != me and line.text != REDACTED_TEXT:
            text = format_utterance(line.who, me, line.text)
            builder.add_record("utterance", text, who=line.who, rests_on=(line,))
    builder.update_state(talk_seen=0 if talk.ended else len(talk.lines))


def remember_overheard(builder: StepBuilder) -> None:
    """Add a record of each line said within hearing by agents outside the conversation."""
    seen = builder.situation.seen
    members = seen.talk.members if seen.talk else ()
    for event in seen.notices:
        if event.kind == "said" and event.subject not in members:
            builder.add_record(
                "utterance", event.text, who=event.subject, event=event, rests_on=(event,)
            )


def transcript(lines: Sequence[Utterance], members: Sequence[AgentId]) -> list[str]:
    """Utterances with the first names of their speakers, or full names where two members
    share a first name. Each text is cut to an excerpt of ``MAX_LINE_CHARS``."""
    shorts = [short_name(who) for who in members]
    names = {who: who if shorts.count(short) > 1 else short for who, short in zip(members, shorts)}
    return [
        f"{names.get(line.who, line.who)}: {excerpt(line.text, '', MAX_LINE_CHARS)}"
        for line in lines
    ]
