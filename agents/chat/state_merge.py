"""Merging the state that a turn leaves with what other turns changed meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from ...core import AgentState

_COUNTERS = ("reflect_left", "talk_seen")


def merge_state(after: AgentState, before: AgentState, current: AgentState) -> AgentState:
    """The state ``after`` a turn that began at ``before``, with the changes that led to
    ``current`` meanwhile: what the turn left alone is current, counters are summed, mappings are
    merged by key, and what both changed is the turn's. ``calls`` and ``tokens`` are the turn's,
    which counts from the current ones; so are ``records``, which move with their numbers.

    >>> start = AgentState(reflect_left=150.0)
    >>> mine, theirs = AgentState(reflect_left=140.0), AgentState(reflect_left=145.0, day="Mon")
    >>> merged = merge_state(mine, start, theirs)
    >>> merged.reflect_left, merged.day
    (135.0, 'Mon')
    """
    if current is before or current == before:
        return after
    merged: dict[str, Any] = {}
    for field in fields(AgentState):
        mine, start, theirs = (getattr(one, field.name) for one in (after, before, current))
        if field.name in ("calls", "tokens"):
            continue
        if mine == start:
            merged[field.name] = theirs
        elif field.name in _COUNTERS:
            merged[field.name] = theirs + (mine - start)
        elif isinstance(mine, Mapping) and isinstance(start, Mapping):
            changed = {key: value for key, value in mine.items() if start.get(key) != value}
            kept = {key: value for key, value in theirs.items() if key in mine or key not in start}
            merged[field.name] = {**kept, **changed}
    return replace(after, **merged)
