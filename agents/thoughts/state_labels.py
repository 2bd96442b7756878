"""Labels of the parts of an agent's state: what a thought may see of it, and what it leaves.

Each field of the state, and each of the planner's drafts, has a label of its own in
``AgentState.labels``. Where a thought for some people only changes a part, the older values stay
for the others in ``AgentState.beneath``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from ...core import (
    AgentId,
    AgentState,
    Event,
    Json,
    Label,
    Situation,
    Utterance,
    from_json,
    join_labels,
    may_hear,
    source_name,
    to_json,
)
from ...memory import Memory
from ...memory.storage import has_source, name_forms
from ...planners.goals import accept_goals
from .thought_guard import ThoughtGuard

_UNLABELLED_FIELDS = frozenset(
    {"records", "talk_seen", "perceived", "calls", "tokens", "read", "labels", "beneath"}
)
"""Fields of a state that hold counts and what was seen; they carry no words of others."""
_LABELLED_FIELDS = tuple(
    field.name for field in fields(AgentState) if field.name not in _UNLABELLED_FIELDS
)
_TEXT_FIELDS = frozenset({"currently", "plan", "schedule", "doing"})
"""Labelled fields that hold text; all drafts do too."""
_GOALS_PART = "drafts.goals"
_DAY_PATTERN = re.compile(r"(\d{4}-\d\d-\d\d)?", re.ASCII)
_EMPTY_STATE = AgentState()


def state_parts(state: AgentState) -> dict[str, Any]:
    """The labelled parts of a state: its fields, and its drafts as ``drafts.NAME``."""
    parts = {name: getattr(state, name) for name in _LABELLED_FIELDS if name != "drafts"}
    drafts = state.drafts if isinstance(state.drafts, dict) else {}
    return parts | {f"drafts.{name}": value for name, value in drafts.items()}


def trusted_state(
    state: AgentState, listeners: tuple[AgentId, ...], memory: Memory, own_words_only: bool = False
) -> AgentState:
    """``visible_state`` without parts that rest on the words of somebody who is quarantined in
    the memory; with ``own_words_only``, without any part that has a label."""
    forms = name_forms(memory.quarantined)
    hidden = tuple(
        name
        for name, label in state.labels.items()
        if own_words_only or has_source(label.sources, forms)
    )
    if not own_words_only and "schedule" in hidden:
        # The day is planned again, from what is left.
        state = replace(state, day="")
    return visible_state(state, listeners, hidden, forms)


def visible_state(
    state: AgentState,
    listeners: tuple[AgentId, ...],
    hidden: Iterable[str] = (),
    forms: frozenset[str] = frozenset(),
) -> AgentState:
    """The state as all the listeners may know it.

    A part whose audience excludes one of them, and each part in ``hidden``, takes the latest
    older value that all may know and that does not rest on a source with one of the
    ``name_forms`` in ``forms``, or is empty."""
    labelled = state.labels.items()
    hidden = {*hidden, *(n for n, one in labelled if not may_hear(one.audience, listeners))}
    if not hidden and not state.beneath:
        return state
    labels = {name: label for name, label in labelled if name not in hidden}
    parts: dict[str, Any] = {}
    for name in hidden:
        for value, sources, audience in state.beneath.get(name, ()):
            if may_hear(audience, listeners) and not has_source(sources, forms):
                if value is not None:
                    parts[name] = _decode_part(name, value)
                if sources or audience:
                    labels[name] = Label(tuple(sources), tuple(audience))
                break
    read = tuple(sorted({source for label in labels.values() for source in label.sources}))
    return replace(_replace_parts(state, hidden, parts), labels=labels, beneath={}, read=read)


def _replace_parts(state: AgentState, names: Iterable[str], parts: Mapping[str, Any]) -> AgentState:
    """The state with the named parts taken from ``parts``, or emptied where they are not in it."""
    names = set(names)
    drafts = state.drafts if isinstance(state.drafts, dict) else {}
    drafts = {key: value for key, value in drafts.items() if f"drafts.{key}" not in names}
    drafts |= {n.partition(".")[2]: v for n, v in parts.items() if n.startswith("drafts.")}
    plain = {n: parts.get(n, getattr(_EMPTY_STATE, n)) for n in _LABELLED_FIELDS if n in names}
    return replace(state, **plain, drafts=drafts)


def _decode_part(name: str, value: Json) -> Any:
    """The value of a part from its JSON."""
    if name.startswith("drafts."):
        return value
    return getattr(from_json(AgentState, {**to_json(_EMPTY_STATE), name: value}), name)


def label_state(
    before: AgentState,
    shown: AgentState,
    after: AgentState,
    guard: ThoughtGuard,
    people: Iterable[AgentId] = (),
) -> AgentState:
    """The next state of an agent in state ``before``, whose thought was given ``shown`` and
    returned ``after``.

    A part that the thought changed gets the label of the thought; for everybody outside of its
    audience the part keeps its older values, whether it was changed or not. Names of ``people``,
    who are in sight, are not words of others."""
    if after is shown and shown is before:
        return before
    if (after.perceived, after.talk_seen) != (before.perceived, before.talk_seen):
        after = _restrict_perceived(before, after, guard)
    if state_parts(shown) != state_parts(after):
        return _write_parts(before, shown, after, guard.label, people)
    if shown is before:
        # The common case: only counts and what was seen have changed.
        labelling = (before.labels, before.beneath, before.read)
        if (after.labels, after.beneath, after.read) == labelling:
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
    """The state ``before`` with every part that differs between ``shown`` and ``after``, under a
    label."""
    current, old, new = state_parts(before), state_parts(shown), state_parts(after)
    changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    with_text = {n for n in changed if n in _TEXT_FIELDS or n.startswith("drafts.")}
    if not _DAY_PATTERN.fullmatch(str(after.day)):
        with_text.add("day")
    if not {*shown.cooldowns, *people}.issuperset(after.cooldowns):
        with_text.add("cooldowns")
    labels = {name: part for name, part in before.labels.items() if name not in changed}
    beneath = {name: rows for name, rows in before.beneath.items() if name not in changed}
    for name in sorted(changed):
        if label.audience or (label.sources and new.get(name) and name in with_text):
            labels[name] = label
        if label.audience and (rows := _rows_beneath(before, current.get(name), name, label)):
            beneath[name] = _unstarted_goals(rows, new.get(name)) if name == _GOALS_PART else rows
    unchanged = {name: value for name, value in current.items() if name not in changed}
    written = {name: value for name, value in new.items() if name in changed}
    state = _replace_parts(after, {*current, *new}, unchanged | written)
    sources = {source for rows in beneath.values() for row in rows for source in row[1]}
    read = tuple(sorted(sources.union(*(part.sources for part in labels.values()))))
    return replace(state, labels=labels, beneath=beneath, read=read)


def label_heard_goals(
    before: AgentState, situation: Situation, after: AgentState
) -> tuple[AgentState, AgentState]:
    """The states ``before`` and shown, with the whispered goals that the thought accepted.

    These goals rest on whoever whispered and on the goals before them, not on everything else
    that the thought was given."""
    shown, inputs = situation.state, situation.inputs
    old = state_parts(shown).get(_GOALS_PART)
    if state_parts(after).get(_GOALS_PART) == old:
        return before, shown
    try:
        heard = accept_goals(situation).state
    except ValueError:  # goals in the format of another planner
        return before, shown
    if state_parts(heard).get(_GOALS_PART) == old:
        return before, shown
    owner = situation.persona.name
    whispers = (given.who for given in inputs if given.kind == "whisper")
    labels = [Label((source_name(who),)) for who in whispers if who not in ("", owner)]
    label = join_labels((shown.labels.get(_GOALS_PART, Label()), *labels), owner)
    return _write_parts(before, shown, heard, label), heard


def _rows_beneath(before: AgentState, value: Any, name: str, label: Label) -> list[Json]:
    """The older values of a part for those outside of the audience of ``label``: rows of value,
    sources and audience, the latest first."""
    people = set(label.audience)
    current = before.labels.get(name, Label())
    rows = list(before.beneath.get(name, ()))
    if current.audience or value != getattr(_EMPTY_STATE, name, None):
        rows.insert(0, [to_json(value), list(current.sources), list(current.audience)])
    return [row for row in rows if not row[2] or not people.issuperset(row[2])]


def _unstarted_goals(rows: Sequence[Json], goals: Json) -> list[Json]:
    """The rows, each with only those goals that are unchanged in ``goals``: a goal that was worked
    on in private must not be begun again in public."""
    return [
        [[goal for goal in value or () if goal in (goals or ())] or None, *label]
        for value, *label in rows
    ]


def _restrict_perceived(before: AgentState, after: AgentState, guard: ThoughtGuard) -> AgentState:
    """The state ``after`` with only events that were given to the thought in ``perceived``, as
    their keys, and ``talk_seen`` no larger than the conversation: these two have no label."""
    keys = {
        name: event.key
        for event, _ in guard.given
        if isinstance(event, Event)
        for name in (event.text, event.key)
    }
    keys |= {key: key for key in before.perceived}
    perceived = tuple(keys[key] for key in after.perceived if key in keys)
    lines = sum(isinstance(given, Utterance) for given, _ in guard.given)
    talk_seen = after.talk_seen if 0 <= after.talk_seen <= lines else before.talk_seen
    if perceived == after.perceived and talk_seen == after.talk_seen:
        return after
    return replace(after, perceived=perceived, talk_seen=talk_seen)
