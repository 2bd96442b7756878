"""What a thought is given, each part with its label, and the labels of what it writes.

See ``core.labels``: planners neither set nor see labels; whoever drives a thought does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from ..core import (
    EVERYBODY,
    REDACTED_TEXT,
    Action,
    Affordance,
    AgentId,
    AgentState,
    Decision,
    Event,
    Input,
    Json,
    Label,
    Observation,
    Record,
    RecordId,
    Situation,
    ThoughtInput,
    Utterance,
    apply_label,
    from_json,
    implied_sources,
    join_labels,
    may_hear,
    source_name,
    to_json,
)
from ..memory.storage import has_source
from ..planners import idle_action
from ..planners.goals import accept_goals
from .thought_guard import SPOKEN_LINE, ReleasedRecord, ThoughtGuard

INVISIBLE_VERBS = frozenset({"wait", "continue", "listen", "leave"})
"""Verbs of which nothing shows that a mind has thought up."""
SPEECH_VERBS = frozenset({"say", "interrupt"})
_UNLABELLED_FIELDS = frozenset(
    {"records", "talk_seen", "perceived", "calls", "tokens", "read", "labels", "beneath"}
)
"""Fields of a state that hold numbers and what was seen, whatever was thought."""
_LABELLED_FIELDS = tuple(
    one.name for one in fields(AgentState) if one.name not in _UNLABELLED_FIELDS
)
_TEXT_FIELDS = frozenset({"currently", "plan", "schedule", "doing"})
"""Those of them that hold words, as all drafts do."""
_GOALS_PART = "drafts.goals"
_DAY_PATTERN = re.compile(r"(\d{4}-\d\d-\d\d)?", re.ASCII)
_EMPTY_STATE = AgentState()


def find_listeners(seen: Observation, can: Sequence[Affordance]) -> tuple[AgentId, ...]:
    """Who hears or sees what comes of a thought: in a talk its members and those in earshot;
    else everybody, where a world lets one do anything, for deeds show; else nobody."""
    talk = seen.talk
    if talk is not None and not talk.ended:
        near = (one.who for one in seen.people)
        around = {*talk.members, *(line.who for line in talk.lines), *near, *seen.hearers}
        if others := around - {seen.who}:
            return tuple(sorted(others))
        # Alone in it: whoever joins may hear of what was said.
    return (EVERYBODY,) if any(one.verb not in INVISIBLE_VERBS for one in can) else ()


def visible_people(seen: Observation) -> tuple[AgentId, ...]:
    """Those whom somebody sees and hears."""
    talk = (*seen.talk.members, *(line.who for line in seen.talk.lines)) if seen.talk else ()
    return (*talk, *(one.who for one in seen.people))


# -- what a thought is given -------------------------------------------------------------------


def redact_observation(seen: Observation, listeners: tuple[AgentId, ...]) -> Observation:
    """The observation without the words of lines that not all listeners may hear."""
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
    """The lines that somebody hears now and was not given, since others listen too for whom they
    are not: a talk ended with them, or somebody joined it."""
    if seen is given or seen.talk is None or given.talk is None:
        return ()
    upto = len(seen.talk.lines) if seen.talk.ended else after.talk_seen
    pairs = list(zip(seen.talk.lines, given.talk.lines))[before.talk_seen : upto]
    return tuple(line for line, kept in pairs if line != kept and line.who != seen.who)


def labelled_inputs(
    seen: Observation, inputs: Sequence[Input], who: AgentId
) -> Iterator[tuple[ThoughtInput, Label]]:
    """All that a thought of ``who`` is given at a moment, each part with its label."""
    for event in (*seen.events, *seen.notices):
        yield event, _event_label(event, who)
    for line in seen.talk.lines if seen.talk else ():
        yield line, utterance_label(line, who)
    for one in inputs:
        yield one, Label(_speaker_sources(one.who, who))


def activity_labels(seen: Observation, who: AgentId) -> Iterator[Label]:
    """The labels of what it does itself, and of what those in sight do; who does nothing tells
    nothing."""
    if seen.doing:
        yield Label(tuple(source for source in seen.sources if source != who))
    for one in seen.people:
        if one.doing in ("", "idle"):
            continue
        yield Label((*_speaker_sources(one.who, who), *one.sources))


def utterance_label(line: Utterance, who: AgentId) -> Label:
    """The label of a line in the hearing of ``who``."""
    return Label(
        (*_speaker_sources(line.who, who), *(s for s in line.sources if s != who)), line.audience
    )


def _event_label(event: Event, who: AgentId) -> Label:
    told = tuple(source for source in event.sources if source != who)
    # Of a thing, and of the news of a place, the world speaks, or who is among its sources.
    place = event.kind == "news" and (event.subject == event.place or ":" in event.subject)
    if event.kind == "object" or event.idle or place:
        return Label(told)
    return Label((*_speaker_sources(event.subject, who), *told))


def _speaker_sources(name: AgentId, who: AgentId) -> tuple[str, ...]:
    return () if name in ("", who) else (source_name(name),)


# -- a state, in parts -------------------------------------------------------------------------


def state_parts(state: AgentState) -> dict[str, Any]:
    """The parts of a state that have labels of their own: its fields, of its drafts each."""
    parts = {name: getattr(state, name) for name in _LABELLED_FIELDS if name != "drafts"}
    drafts = state.drafts if isinstance(state.drafts, dict) else {}
    return parts | {f"drafts.{name}": value for name, value in drafts.items()}


def visible_state(
    state: AgentState,
    listeners: tuple[AgentId, ...],
    suspect: Iterable[str] = (),
    forms: frozenset[str] = frozenset(),
) -> AgentState:
    """The state as all the listeners may know it: a part that is not for them is what it was
    when it last was, or empty. So is a ``suspect`` one, that rests on the words of somebody with
    one of these ``name_forms``."""
    hidden = {*withheld_parts(state, listeners), *suspect}
    if not hidden and not state.beneath:
        return state
    labels = {name: label for name, label in state.labels.items() if name not in hidden}
    parts: dict[str, Any] = {}
    for name in hidden:
        for value, sources, audience in state.beneath.get(name, ()):
            if may_hear(audience, listeners) and not has_source(sources, forms):
                if value is not None:
                    parts[name] = _decode_part(name, value)
                if sources or audience:
                    labels[name] = Label(tuple(sources), tuple(audience))
                break
    read = tuple(sorted({source for one in labels.values() for source in one.sources}))
    return replace(_replace_parts(state, hidden, parts), labels=labels, beneath={}, read=read)


def _replace_parts(state: AgentState, names: Iterable[str], parts: Mapping[str, Any]) -> AgentState:
    """The state with these parts instead of those of some names; what is not among them is
    empty."""
    names = set(names)
    drafts = state.drafts if isinstance(state.drafts, dict) else {}
    drafts = {key: value for key, value in drafts.items() if f"drafts.{key}" not in names}
    drafts |= {n.partition(".")[2]: v for n, v in parts.items() if n.startswith("drafts.")}
    plain = {n: parts.get(n, getattr(_EMPTY_STATE, n)) for n in _LABELLED_FIELDS if n in names}
    return replace(state, **plain, drafts=drafts)


def _decode_part(name: str, value: Json) -> Any:
    """The value of a part that was kept as JSON."""
    if name.startswith("drafts."):
        return value
    return getattr(from_json(AgentState, {**to_json(_EMPTY_STATE), name: value}), name)


def restore_labels(state: AgentState) -> AgentState:
    """The state of a run from before there were labels: whose words its goals rest on was
    kept, and is their label."""
    if state.labels or not state.read:
        return state
    if not (isinstance(state.drafts, dict) and state.drafts.get("goals")):
        return replace(state, read=())
    return replace(state, labels={"drafts.goals": Label(state.read)})


def withheld_parts(state: AgentState, listeners: tuple[AgentId, ...]) -> tuple[str, ...]:
    """The parts of a state that not all listeners may hear of."""
    return tuple(n for n, label in state.labels.items() if not may_hear(label.audience, listeners))


def parts_from_sources(state: AgentState, forms: frozenset[str]) -> tuple[str, ...]:
    """The parts of a state that rest on the words of one with one of these ``name_forms``."""
    return tuple(name for name, label in state.labels.items() if has_source(label.sources, forms))


def label_state(
    before: AgentState,
    shown: AgentState,
    after: AgentState,
    guard: ThoughtGuard,
    people: Iterable[AgentId] = (),
) -> AgentState:
    """The state that a thought leaves behind which was ``shown`` one and made ``after`` of it.

    What it changed has its label, and lies above what was there for others: those for whom the
    thought is not see what they saw, whether it changed something or not. ``people`` are those
    around, whose names in it are no words of others."""
    if after is shown and shown is before:
        return before
    if (after.perceived, after.talk_seen) != (before.perceived, before.talk_seen):
        after = _restrict_perceived(before, after, guard)
    if state_parts(shown) != state_parts(after):
        return _write_parts(before, shown, after, guard.label, people)
    if shown is before:
        # Most steps change nothing but what was seen and counted.
        if (after.labels, after.beneath, after.read) == (
            before.labels,
            before.beneath,
            before.read,
        ):
            return after
        return replace(after, labels=before.labels, beneath=before.beneath, read=before.read)
    return _write_parts(before, shown, after, Label(), people)


def _write_parts(
    before: AgentState,
    shown: AgentState,
    after: AgentState,
    label: Label,
    people: Iterable[AgentId] = (),
) -> AgentState:
    """The state with what differs of ``shown`` and ``after``, under a label."""
    held, old, new = state_parts(before), state_parts(shown), state_parts(after)
    changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    worded = {n for n in changed if n in _TEXT_FIELDS or n.startswith("drafts.")}
    if not _DAY_PATTERN.fullmatch(str(after.day)):
        worded.add("day")
    if not {*shown.cooldowns, *people}.issuperset(after.cooldowns):
        worded.add("cooldowns")
    labels = {name: one for name, one in before.labels.items() if name not in changed}
    beneath = {name: rows for name, rows in before.beneath.items() if name not in changed}
    for name in sorted(changed):
        if label.audience or (label.sources and new.get(name) and name in worded):
            labels[name] = label
        if label.audience and (rows := _rows_beneath(before, held.get(name), name, label)):
            beneath[name] = _unstarted_goals(rows, new.get(name)) if name == _GOALS_PART else rows
    kept = {name: value for name, value in held.items() if name not in changed}
    made = {name: value for name, value in new.items() if name in changed}
    whole = _replace_parts(after, {*held, *new}, kept | made)
    of_others = {source for rows in beneath.values() for row in rows for source in row[1]}
    read = tuple(sorted(of_others.union(*(one.sources for one in labels.values()))))
    return replace(whole, labels=labels, beneath=beneath, read=read)


def label_heard_goals(
    before: AgentState, situation: Situation, after: AgentState
) -> tuple[AgentState, AgentState]:
    """A state, and what a thought was shown of it, with the goals that were whispered to it and
    that it took up: they rest on whose whisper they are, and on the goals before them, whatever
    else the thought was given."""
    shown, inputs = situation.state, situation.inputs
    old = state_parts(shown).get(_GOALS_PART)
    if state_parts(after).get(_GOALS_PART) == old:
        return before, shown
    try:
        heard = accept_goals(situation).state
    except ValueError:  # Goals of another kind, which a planner of one's own has.
        return before, shown
    if state_parts(heard).get(_GOALS_PART) == old:
        return before, shown
    who = situation.persona.name
    labels = [Label(_speaker_sources(one.who, who)) for one in inputs if one.kind == "whisper"]
    label = join_labels((shown.labels.get(_GOALS_PART, Label()), *labels), who)
    return _write_parts(before, shown, heard, label), heard


def _rows_beneath(before: AgentState, value: Any, name: str, label: Label) -> list[Json]:
    """What others than those for whom a new value is see of a part: a row for each value that
    somebody may know who may not know the new one, the latest first."""
    people = set(label.audience)
    top = before.labels.get(name, Label())
    rows = list(before.beneath.get(name, ()))
    if top.audience or value != getattr(_EMPTY_STATE, name, None):
        rows.insert(0, [to_json(value), list(top.sources), list(top.audience)])
    return [row for row in rows if not row[2] or not people.issuperset(row[2])]


def _unstarted_goals(rows: Sequence[Json], goals: Json) -> list[Json]:
    """Of the goals in rows those that stand unchanged among these: what was done for one, or is
    under way, must not be done again by who may not know of it."""
    return [
        [[goal for goal in value or () if goal in (goals or ())] or None, *label]
        for value, *label in rows
    ]


def _restrict_perceived(before: AgentState, after: AgentState, guard: ThoughtGuard) -> AgentState:
    """The state with nothing among what it perceived that was not there to be perceived, by its
    key, and no more lines heard than were said: neither has a label."""
    keys = {
        one: event.key
        for event, _ in guard.given
        if isinstance(event, Event)
        for one in (event.text, event.key)
    }
    keys |= {key: key for key in before.perceived}
    perceived = tuple(keys[key] for key in after.perceived if key in keys)
    lines = sum(isinstance(given, Utterance) for given, _ in guard.given)
    heard = after.talk_seen if 0 <= after.talk_seen <= lines else before.talk_seen
    if perceived == after.perceived and heard == after.talk_seen:
        return after
    return replace(after, perceived=perceived, talk_seen=heard)


# -- what a thought writes ---------------------------------------------------------------------


def label_decision(done: Decision, guard: ThoughtGuard, can: Sequence[Affordance]) -> Decision:
    """The decision with the labels of what its thought rested on: of its records, of its
    action, and of the memories whose last access others would see."""
    plain = done.action.verb in INVISIBLE_VERBS and not (done.action.target or done.action.fields)
    if plain and not done.records and not done.used:
        return done
    whole = guard.label
    records = tuple(_labelled_records(done, guard))
    if whole.audience:
        # When something was last thought of is seen by all those for whom it is.
        known = {record.id: record.audience for record in guard.recalled}
        used = tuple(n for n in done.used if n in known and _is_subset(known[n], whole.audience))
    else:
        used = done.used
    return replace(_visible_action(done, guard, can), records=records, used=used)


def _is_subset(audience: Sequence[AgentId], people: Sequence[AgentId]) -> bool:
    """Whether something is for nobody but these people."""
    return bool(audience) and set(audience) <= set(people)


def _labelled_records(done: Decision, guard: ThoughtGuard) -> Iterator[Record]:
    made: dict[RecordId, Label] = {}
    for place, record in enumerate(done.records):
        given = done.rests_on.get(record.id)
        basis = [guard.label if given is None else guard.label_for(given)]
        basis += [made[number] for number in record.evidence if number in made]
        label = join_labels((*basis, Label((), record.audience)), guard.who)
        # What is seen of a thing stands under its name, which is nobody's.
        thing = record.kind == "observation" and given is not None
        own = () if thing else implied_sources(record, guard.who)
        whole = Label(tuple(sorted({*label.sources, *own})), label.audience)
        label, rules = guard.policy.apply_releases(whole, kind=record.kind, owner=guard.who)
        if rules:
            guard.released.append(ReleasedRecord(place, rules, whole, record.evidence))
            # Of what it rests on it would take the label again.
            record = replace(record, evidence=(), depth=0)
        made[record.id] = label
        yield apply_label(record, label, guard.who)


def _visible_action(done: Decision, guard: ThoughtGuard, can: Sequence[Affordance]) -> Decision:
    """The decision with an action that shows no more than those around may know."""
    action, label = done.action, guard.label
    if not guard.listeners:
        return done
    if action.verb in INVISIBLE_VERBS:
        # A world that refuses it would say so in all these words.
        return replace(done, action=Action(action.verb)) if label.audience else done
    if label.audience and not (
        action.verb in SPEECH_VERBS and may_hear(label.audience, guard.listeners)
    ):
        whose = " and ".join(label.audience)
        why = f"Did not {action.verb}: it would show what is for {whose} only."
        return replace(done, action=idle_action(can), why=" ".join(filter(None, (done.why, why))))
    if label.audience and all(action.target != one.target for one in can):
        action = replace(action, target="")
    if action.verb in SPEECH_VERBS:
        wider, rules = guard.policy.apply_releases(label, kind="utterance", owner=guard.who)
        if rules:
            guard.released.append(ReleasedRecord(SPOKEN_LINE, rules, label))
            label = wider
    # Whoever hears it keeps it as for the speaker too.
    people = tuple(sorted({*label.audience, guard.who})) if label.audience else ()
    return replace(done, action=replace(action, sources=label.sources, audience=people))
