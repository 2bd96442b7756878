"""Whose words rest in what is seen of somebody, where a world does not say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..core import Action, AgentId, Json, Observation, StepResult

_LABELLED_EVENTS = ("doing", "said", "refused")


class ActionSources:
    """Keeps the sources of deeds for a world that loses them, and puts them on what is seen.

    Our worlds say whose words a deed rests on (``Event.sources``), as ``check_world`` asks of
    any; in one that was made before there were labels a stranger's words would otherwise pass for
    the idea of who acts on them."""

    def __init__(self) -> None:
        self._lost: dict[AgentId, tuple[str, ...]] = {}

    def record_step(self, actions: Mapping[AgentId, Action], turn: StepResult) -> None:
        """Note of a step which deeds lost their sources."""
        for event in turn.events:
            action = actions.get(event.subject)
            if action is None or event.kind not in _LABELLED_EVENTS:
                continue
            if set(action.sources) <= {*event.sources}:
                self._lost.pop(event.subject, None)
            else:
                self._lost[event.subject] = action.sources

    def add_sources(self, seen: Observation) -> Observation:
        """What somebody sees, with the sources that were lost."""
        lost = self._lost
        shown = {seen.who, *(one.subject for one in (*seen.events, *seen.notices))}
        if shown.isdisjoint(lost):
            return seen
        events, notices = (
            tuple(
                replace(one, sources=_merge_sources(one.sources, lost[one.subject]))
                if one.kind in _LABELLED_EVENTS and one.subject in lost
                else one
                for one in given
            )
            for given in (seen.events, seen.notices)
        )
        people = tuple(
            replace(one, sources=_merge_sources(one.sources, lost.get(one.who, ())))
            for one in seen.people
        )
        own = _merge_sources(seen.sources, lost.get(seen.who, ()))
        return replace(seen, events=events, notices=notices, people=people, sources=own)

    def save(self) -> Json:
        """As JSON."""
        return {who: list(sources) for who, sources in self._lost.items()}

    def load(self, saved: Json) -> None:
        """Take over what ``save`` gave."""
        self._lost = {who: tuple(sources) for who, sources in saved.items()}


def _merge_sources(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*one, *other}))
