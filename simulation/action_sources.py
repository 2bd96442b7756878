"""The sources of actions, for worlds that do not pass them on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from ..core import Action, AgentId, Event, Json, Observation, StepResult, VisibleAgent

T = TypeVar("T", Event, VisibleAgent, Observation)

_LABELLED_EVENTS = ("doing", "said", "refused")


class ActionSources:
    """Remembers the sources of actions whose events lost them, and adds them to observations.

    The package's worlds label events with the sources of the action (``Event.sources``), and
    ``check_world`` warns of a world that does not: in it a stranger's words would count as an idea
    of the agent that acts on them."""

    def __init__(self) -> None:
        self._lost: dict[AgentId, tuple[str, ...]] = {}

    def record_step(self, actions: Mapping[AgentId, Action], turn: StepResult) -> None:
        """Remember which events of a step lost the sources of their actions."""
        for event in turn.events:
            action = actions.get(event.subject)
            if action is None or event.kind not in _LABELLED_EVENTS:
                continue
            if set(action.sources) <= {*event.sources}:
                self._lost.pop(event.subject, None)
            else:
                self._lost[event.subject] = action.sources

    def add_sources(self, seen: Observation) -> Observation:
        """An observation with the sources that were lost."""
        lost = self._lost
        subjects = {seen.who, *(event.subject for event in (*seen.events, *seen.notices))}
        if subjects.isdisjoint(lost):
            return seen

        def label(item: T, who: AgentId) -> T:
            return replace(item, sources=tuple(sorted({*item.sources, *lost.get(who, ())})))

        events, notices = (
            tuple(
                label(event, event.subject)
                if event.kind in _LABELLED_EVENTS and event.subject in lost
                else event
                for event in events
            )
            for events in (seen.events, seen.notices)
        )
        people = tuple(label(person, person.who) for person in seen.people)
        return replace(label(seen, seen.who), events=events, notices=notices, people=people)

    def save(self) -> Json:
        """The state as JSON."""
        return {who: list(sources) for who, sources in self._lost.items()}

    def load(self, saved: Json) -> None:
        """Restore what ``save`` returned."""
        self._lost = {who: tuple(sources) for who, sources in saved.items()}
