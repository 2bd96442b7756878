"""What a thought is given, each part with its label, and the labels of what it writes.

See ``core.labels``: planners neither set nor see labels; whoever drives a thought does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from ..core import (
    EVERYBODY,
    Affordance,
    AgentId,
    AgentState,
    Decision,
    Event,
    Given,
    Input,
    Json,
    Label,
    Line,
    Observation,
    Record,
    RecordId,
    join,
    plain_sources,
    source_of,
)
from ..memory.origins import is_among
from ..planners import idle
from .guarding import SAID, Guard, Released

UNSEEN = frozenset({"wait", "continue", "listen", "leave"})
"""Verbs of which nothing shows that a mind has thought up."""
SPOKEN = frozenset({"say", "interrupt"})
REDACTED = "(something that is not for all who listen)"
"""What a thought is given of a line that not all who listen to it may hear."""

_COUNTED = frozenset({"records", "talk_seen", "perceived", "calls", "tokens", "read", "labels"})
"""Fields of a state that hold numbers and what was seen, whatever was thought."""
_STATE = tuple(one.name for one in fields(AgentState) if one.name not in _COUNTED)
_WORDS = frozenset({"currently", "plan", "schedule", "doing"})
"""Those of them that hold words, as all drafts do."""
_DAY = re.compile(r"(\d{4}-\d\d-\d\d)?", re.ASCII)
_EMPTY = AgentState()


def listeners_of(seen: Observation, can: Sequence[Affordance]) -> tuple[AgentId, ...]:
    """Who hears or sees what comes of a thought: in a talk its members and those in earshot;
    else everybody, where a world lets one do anything, for deeds show; else nobody."""
    talk = seen.talk
    if talk is not None and not talk.ended:
        near = (one.who for one in seen.people)
        around = {*talk.members, *(line.who for line in talk.lines), *near, *seen.hearers}
        return tuple(sorted(around - {seen.who}))
    return (EVERYBODY,) if any(one.verb not in UNSEEN for one in can) else ()


def people_in(seen: Observation) -> tuple[AgentId, ...]:
    """Those whom somebody sees and hears."""
    talk = (*seen.talk.members, *(line.who for line in seen.talk.lines)) if seen.talk else ()
    return (*talk, *(one.who for one in seen.people))


def may_hear(audience: Iterable[AgentId], listeners: Iterable[AgentId]) -> bool:
    """Whether what is for an audience (empty: everybody) may be told to all these listeners.

    >>> may_hear((), ("Eve",)), may_hear(("Ada",), ("Ada", "Eve")), may_hear(("Ada",), ())
    (True, False, True)
    """
    people = set(audience)
    return not people or people.issuperset(listeners)


# -- what a thought is given -------------------------------------------------------------------


def redacted(seen: Observation, listeners: tuple[AgentId, ...]) -> Observation:
    """The observation without the words of lines that not all listeners may hear."""
    talk = seen.talk
    if talk is None or all(may_hear(line.audience, listeners) for line in talk.lines):
        return seen
    lines = tuple(
        line if may_hear(line.audience, listeners) else Line(line.who, REDACTED, line.at)
        for line in talk.lines
    )
    return replace(seen, talk=replace(talk, lines=lines))


def given_of(
    seen: Observation, inputs: Sequence[Input], who: AgentId
) -> Iterator[tuple[Given, Label]]:
    """All that a thought of ``who`` is given at a moment, each part with its label."""
    for event in (*seen.events, *seen.notices):
        yield event, _of_event(event, who)
    for line in seen.talk.lines if seen.talk else ():
        yield line, of_line(line, who)
    for one in inputs:
        yield one, Label(_by(one.who, who))


def of_doings(seen: Observation, who: AgentId) -> Iterator[Label]:
    """The labels of what it does itself, and of what those in sight do; who does nothing tells
    nothing."""
    if seen.doing:
        yield Label(tuple(source for source in seen.sources if source != who))
    for one in seen.people:
        if one.doing in ("", "idle"):
            continue
        yield Label((*_by(one.who, who), *one.sources))


def of_line(line: Line, who: AgentId) -> Label:
    """The label of a line in the hearing of ``who``."""
    return Label((*_by(line.who, who), *(s for s in line.sources if s != who)), line.audience)


def _of_event(event: Event, who: AgentId) -> Label:
    told = tuple(source for source in event.sources if source != who)
    # Of a thing, and of the news of a place, the world speaks, or who is among its sources.
    place = event.kind == "news" and (event.subject == event.place or ":" in event.subject)
    if event.kind == "object" or event.idle or place:
        return Label(told)
    return Label((*_by(event.subject, who), *told))


def _by(name: AgentId, who: AgentId) -> tuple[str, ...]:
    return () if name in ("", who) else (source_of(name),)


# -- a state, in parts -------------------------------------------------------------------------


def parts_of(state: AgentState) -> dict[str, Any]:
    """The parts of a state that have labels of their own: its fields, of its drafts each."""
    parts = {name: getattr(state, name) for name in _STATE if name != "drafts"}
    drafts = state.drafts if isinstance(state.drafts, dict) else {}
    return parts | {f"drafts.{name}": value for name, value in drafts.items()}


def without(state: AgentState, names: Iterable[str]) -> AgentState:
    """The state without some of its parts."""
    names = set(names)
    if not names:
        return state
    drafts = {key: value for key, value in state.drafts.items() if f"drafts.{key}" not in names}
    empty = {name: getattr(_EMPTY, name) for name in _STATE if name in names}
    labels = {name: label for name, label in state.labels.items() if name not in names}
    return replace(state, **empty, drafts=drafts, labels=labels)


def with_labels(state: AgentState) -> AgentState:
    """The state of a run from before there were labels: whose words its goals rest on was
    kept, and is their label."""
    if state.labels or not state.read:
        return state
    if not (isinstance(state.drafts, dict) and state.drafts.get("goals")):
        return replace(state, read=())
    return replace(state, labels={"drafts.goals": Label(state.read)})


def withheld_from(state: AgentState, listeners: tuple[AgentId, ...]) -> tuple[str, ...]:
    """The parts of a state that not all listeners may hear of."""
    return tuple(n for n, label in state.labels.items() if not may_hear(label.audience, listeners))


def of_sources(state: AgentState, forms: frozenset[str]) -> tuple[str, ...]:
    """The parts of a state that rest on the words of one with one of these ``name_forms``."""
    return tuple(name for name, label in state.labels.items() if is_among(label.sources, forms))


def state_after(
    before: AgentState,
    shown: AgentState,
    after: AgentState,
    guard: Guard,
    people: Iterable[AgentId] = (),
) -> AgentState:
    """The state that a thought leaves behind which was ``shown`` one and made ``after`` of it:
    what it changed has its label, what was withheld from it is there again. ``people`` are those
    around, whose names in it are no words of others."""
    if after is shown and shown is before:
        return before
    old, new = parts_of(shown), parts_of(after)
    changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    label = guard.label if changed else Label()
    if label.audience and "reflect_left" in changed:
        # When it is time to reflect shows: what is for some people only does not bring it on.
        after = replace(after, reflect_left=before.reflect_left)
        changed.remove("reflect_left")
    kept = parts_of(before)
    hidden = {n: kept[n] for n in kept if n not in changed and kept[n] != old.get(n)}
    labels = {n: before.labels[n] for n in before.labels if n in hidden or n not in changed}
    if label != Label():
        worded = {n for n in changed if n in _WORDS or n.startswith("drafts.")}
        if "day" in changed and not _DAY.fullmatch(str(after.day)):
            worded.add("day")
        if not {*shown.cooldowns, *people}.issuperset(after.cooldowns):
            worded.add("cooldowns")
        marked = changed if label.audience else worded
        labels |= {name: label for name in marked if new.get(name)}
    labels = {name: one for name, one in labels.items() if name in new or name in hidden}
    plain = {name: value for name, value in hidden.items() if not name.startswith("drafts.")}
    drafts: dict[str, Json] = {
        **(after.drafts if isinstance(after.drafts, dict) else {}),
        **{n.partition(".")[2]: v for n, v in hidden.items() if n.startswith("drafts.")},
    }
    read = tuple(sorted({source for one in labels.values() for source in one.sources}))
    return replace(after, **plain, drafts=drafts, labels=labels, read=read)


# -- what a thought writes ---------------------------------------------------------------------


def labelled(done: Decision, guard: Guard, can: Sequence[Affordance]) -> Decision:
    """The decision with the labels of what its thought rested on: of its records, of its
    action, and of the memories whose last access others would see."""
    if not done.records and not done.used and done.action.verb in UNSEEN:
        return done
    whole = guard.label
    records = tuple(_records(done, guard))
    if whole.audience:
        # When something was last thought of is seen by all those for whom it is.
        known = {record.id: record.audience for record in guard.recalled}
        used = tuple(n for n in done.used if n in known and _within(known[n], whole.audience))
    else:
        used = done.used
    return replace(_shown(done, guard, can), records=records, used=used)


def _within(audience: Sequence[AgentId], people: Sequence[AgentId]) -> bool:
    """Whether something is for nobody but these people."""
    return bool(audience) and set(audience) <= set(people)


def _records(done: Decision, guard: Guard) -> Iterator[Record]:
    made: dict[RecordId, Label] = {}
    for place, record in enumerate(done.records):
        given = done.rests_on.get(record.id)
        basis = [guard.label if given is None else guard.of(given)]
        basis += [made[number] for number in record.evidence if number in made]
        label = join((*basis, Label((), record.audience)), guard.who)
        plain = plain_sources(record, guard.who)
        # What is seen of a thing stands under its name, which is nobody's.
        own = () if record.kind == "observation" and given is not None else plain
        whole = Label(tuple(sorted({*label.sources, *own})), label.audience)
        label, rules = guard.policy.released(whole, kind=record.kind, owner=guard.who)
        if rules:
            guard.released.append(Released(place, rules, whole, record.evidence))
            # Of what it rests on it would take the label again.
            record = replace(record, evidence=(), depth=0)
        made[record.id] = label
        sources = None if label.sources == plain else label.sources
        yield replace(record, audience=label.audience, sources=sources)


def _shown(done: Decision, guard: Guard, can: Sequence[Affordance]) -> Decision:
    """The decision with an action that shows no more than those around may know."""
    action, label = done.action, guard.label
    if action.verb in UNSEEN or not guard.listeners:
        return done
    if label.audience and not (action.verb in SPOKEN and may_hear(label.audience, guard.listeners)):
        whose = " and ".join(label.audience)
        why = f"Did not {action.verb}: it would show what is for {whose} only."
        return replace(done, action=idle(can), why=" ".join(filter(None, (done.why, why))))
    if action.verb in SPOKEN:
        wider, rules = guard.policy.released(label, kind="utterance", owner=guard.who)
        if rules:
            guard.released.append(Released(SAID, rules, label))
            label = wider
    # Whoever hears it keeps it as for the speaker too.
    people = tuple(sorted({*label.audience, guard.who})) if label.audience else ()
    return replace(done, action=replace(action, sources=label.sources, audience=people))
