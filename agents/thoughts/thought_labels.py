"""Labels of a thought: of what it is given, and of the records and the action that it returns.

Planners neither set nor see labels (``denizens.core.Label``); whoever drives a thought does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ...core import (
    EVERYBODY,
    REDACTED_TEXT,
    UNKNOWN_SOURCE,
    Action,
    Affordance,
    AgentId,
    AgentState,
    Decision,
    Event,
    Input,
    Label,
    Observation,
    Record,
    RecordId,
    ThoughtInput,
    Utterance,
    apply_label,
    format_utterance,
    implied_sources,
    join_labels,
    may_hear,
    record_label,
    source_name,
)
from ...memory import Memory
from ...planners import idle_action
from .thought_guard import SPOKEN_LINE, ReleasedRecord, ThoughtGuard

INVISIBLE_VERBS = frozenset({"wait", "continue", "listen", "leave"})
"""Verbs that show nothing of what an agent has thought."""
SPEECH_VERBS = frozenset({"say", "interrupt"})
_RECENT_UTTERANCES = 400
"""Number of the latest utterances among which an agent's own line in a session is looked up."""


def find_listeners(seen: Observation, can: Sequence[Affordance]) -> tuple[AgentId, ...]:
    """Who hears or sees the effects of a thought: in a conversation its members and those within
    hearing; else everybody if the world allows the agent any action (actions are visible); else
    nobody."""
    talk = seen.talk
    if talk is not None and not talk.ended:
        in_sight = (person.who for person in seen.people)
        around = {*talk.members, *(line.who for line in talk.lines), *in_sight, *seen.hearers}
        if others := around - {seen.who}:
            return tuple(sorted(others))
        # Alone in a conversation: whoever joins may hear what was said.
    return (EVERYBODY,) if any(one.verb not in INVISIBLE_VERBS for one in can) else ()


def visible_people(seen: Observation) -> tuple[AgentId, ...]:
    """The people whom an agent sees or hears."""
    talk = (*seen.talk.members, *(line.who for line in seen.talk.lines)) if seen.talk else ()
    return (*talk, *(person.who for person in seen.people))


# -- what a thought is given -------------------------------------------------------------------


def redact_observation(seen: Observation, listeners: tuple[AgentId, ...]) -> Observation:
    """The observation without the text of utterances that not all listeners may hear."""
    talk = seen.talk
    if talk is None or all(may_hear(line.audience, listeners) for line in talk.lines):
        return seen
    lines = tuple(
        line if may_hear(line.audience, listeners) else Utterance(line.who, REDACTED_TEXT, line.at)
        for line in talk.lines
    )
    return replace(seen, talk=replace(talk, lines=lines))


def withheld_utterances(
    seen: Observation, given: Observation, before: AgentState, after: AgentState
) -> tuple[Utterance, ...]:
    """The new utterances in ``seen`` that the thought was not given, because people outside of
    their audience listened too: somebody joined the conversation, or it ended with them."""
    if seen is given or seen.talk is None or given.talk is None:
        return ()
    end = len(seen.talk.lines) if seen.talk.ended else after.talk_seen
    pairs = list(zip(seen.talk.lines, given.talk.lines))[before.talk_seen : end]
    return tuple(line for line, shown in pairs if line != shown and line.who != seen.who)


def labelled_inputs(
    seen: Observation, inputs: Sequence[Input], who: AgentId
) -> Iterator[tuple[ThoughtInput, Label]]:
    """All inputs of a thought of ``who``, each with its label."""
    for event in (*seen.events, *seen.notices):
        yield event, _event_label(event, who)
    for line in seen.talk.lines if seen.talk else ():
        yield line, utterance_label(line, who)
    for given in inputs:
        yield given, Label(_speaker_sources(given.who, who))


def activity_labels(seen: Observation, who: AgentId) -> Iterator[Label]:
    """The labels of what the agent does, and of what the people in sight do; an idle person has
    none."""
    if seen.doing:
        yield Label(tuple(source for source in seen.sources if source != who))
    for person in seen.people:
        if person.doing in ("", "idle"):
            continue
        yield Label((*_speaker_sources(person.who, who), *person.sources))


def utterance_label(line: Utterance, who: AgentId) -> Label:
    """The label of an utterance that ``who`` hears."""
    others = (source for source in line.sources if source != who)
    return Label((*_speaker_sources(line.who, who), *others), line.audience)


def labelled_session(
    message: Utterance, session: Sequence[Utterance], memory: Memory, private: bool
) -> Iterator[tuple[ThoughtInput, Label]]:
    """The utterances of a chat, each with its label; with ``private`` they are for the person of
    the message alone.

    An utterance of the agent has the label of the record of it. If there is none, the person is
    its source, and an unknown source too where the record may have been forgotten or is older
    than the latest ``_RECENT_UTTERANCES``."""
    owner = memory.agent
    audience = (message.who,) if private else ()
    has_own = any(line.who == owner for line in session)
    recent = memory.records(kinds=("utterance",), last=_RECENT_UTTERANCES) if has_own else ()
    recorded = {
        record.text: record_label(record, owner) for record in recent if record.who == owner
    }
    for line in (*session, message):
        label = utterance_label(line, owner)
        if line.who == owner and line.text.strip():
            text = format_utterance(owner, message.who, line.text)
            label = recorded.get(text) or _unrecorded_label(message.who, memory, len(recent))
        elif not line.who:
            label = join_labels((label, Label((UNKNOWN_SOURCE,))), owner)
        yield line, join_labels((label, Label((), audience)), owner)


def _unrecorded_label(person: AgentId, memory: Memory, searched: int) -> Label:
    lost = searched >= _RECENT_UTTERANCES or any(
        entry.what == "forgotten" for entry in memory.audit_log
    )
    return Label((source_name(person), *((UNKNOWN_SOURCE,) if lost else ())), (person,))


def _event_label(event: Event, who: AgentId) -> Label:
    sources = tuple(source for source in event.sources if source != who)
    # The world itself reports the state of an object and the news of a place.
    of_place = event.kind == "news" and (event.subject == event.place or ":" in event.subject)
    if event.kind == "object" or event.idle or of_place:
        return Label(sources)
    return Label((*_speaker_sources(event.subject, who), *sources))


def _speaker_sources(name: AgentId, who: AgentId) -> tuple[str, ...]:
    return () if name in ("", who) else (source_name(name),)


# -- what a thought returns --------------------------------------------------------------------


def label_decision(decision: Decision, guard: ThoughtGuard, can: Sequence[Affordance]) -> Decision:
    """The decision with labels on its records and its action, and without last accesses that
    would show people what the thought recalled."""
    action = decision.action
    plain = action.verb in INVISIBLE_VERBS and not (action.target or action.fields)
    if plain and not decision.records and not decision.used:
        return decision
    label = guard.label
    records = tuple(_labelled_records(decision, guard))
    used = decision.used
    if label.audience:
        # The last access of a record is visible to everybody in the audience of the record.
        audiences = {record.id: record.audience for record in guard.recalled}
        used = tuple(n for n in used if n in audiences and _within(audiences[n], label.audience))
    return replace(_visible_action(decision, guard, can), records=records, used=used)


def _within(audience: Sequence[AgentId], people: Sequence[AgentId]) -> bool:
    """Whether an audience is not everybody and includes nobody but these people."""
    return bool(audience) and set(audience) <= set(people)


def _labelled_records(decision: Decision, guard: ThoughtGuard) -> Iterator[Record]:
    labels: dict[RecordId, Label] = {}
    for place, record in enumerate(decision.records):
        basis = decision.rests_on.get(record.id)
        parts = [guard.label if basis is None else guard.label_for(basis)]
        parts += [labels[number] for number in record.evidence if number in labels]
        label = join_labels((*parts, Label((), record.audience)), guard.who)
        # The ``who`` of an observed object is its address, which is no source.
        of_object = record.kind == "observation" and basis is not None
        implied = () if of_object else implied_sources(record, guard.who)
        full_label = Label(tuple(sorted({*label.sources, *implied})), label.audience)
        label, rules = guard.policy.apply_releases(full_label, kind=record.kind, owner=guard.who)
        if rules:
            guard.released.append(ReleasedRecord(place, rules, full_label, record.evidence))
            # With its evidence it would take the label again.
            record = replace(record, evidence=(), depth=0)
        labels[record.id] = label
        yield apply_label(record, label, guard.who)


def _visible_action(decision: Decision, guard: ThoughtGuard, can: Sequence[Affordance]) -> Decision:
    """The decision with its action labelled, or replaced by an idle one if it would show the
    listeners what is not for them."""
    action, label = decision.action, guard.label
    if not guard.listeners:
        return decision
    if action.verb in INVISIBLE_VERBS:
        # A world that refuses the action would report its target and fields.
        return replace(decision, action=Action(action.verb)) if label.audience else decision
    speaks = action.verb in SPEECH_VERBS
    if label.audience and not (speaks and may_hear(label.audience, guard.listeners)):
        names = " and ".join(label.audience)
        why = f"Did not {action.verb}: it would show what is for {names} only."
        reasons = " ".join(filter(None, (decision.why, why)))
        return replace(decision, action=idle_action(can), why=reasons)
    if label.audience and all(action.target != affordance.target for affordance in can):
        action = replace(action, target="")
    if speaks:
        released, rules = guard.policy.apply_releases(label, kind="utterance", owner=guard.who)
        if rules:
            guard.released.append(ReleasedRecord(SPOKEN_LINE, rules, label))
            label = released
    # Those who hear the line record it as for the speaker too.
    audience = tuple(sorted({*label.audience, guard.who})) if label.audience else ()
    return replace(decision, action=replace(action, sources=label.sources, audience=audience))
