"""Whose words rest in what is seen of somebody, where a world does not say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..core import Action, AgentId, Json, Observation, Turn

_SHOWN = ("doing", "said")


class Deeds:
    """Keeps the sources of deeds for a world that loses them, and puts them on what is seen.

    Our worlds say whose words a deed rests on (``Event.sources``), as ``check_world`` asks of
    any; in one that was made before there were labels a stranger's words would otherwise pass for
    the idea of who acts on them."""

    def __init__(self) -> None:
        self._lost: dict[AgentId, tuple[str, ...]] = {}

    def take(self, actions: Mapping[AgentId, Action], turn: Turn) -> None:
        """Note of a step which deeds lost their sources."""
        for event in turn.events:
            action = actions.get(event.subject)
            if action is None or event.kind not in _SHOWN:
                continue
            if set(action.sources) <= {*event.sources}:
                self._lost.pop(event.subject, None)
            else:
                self._lost[event.subject] = action.sources

    def labelled(self, seen: Observation) -> Observation:
        """What somebody sees, with the sources that were lost."""
        lost = self._lost
        if not lost or not any(one.subject in lost for one in (*seen.events, *seen.notices)):
            return seen
        events, notices = (
            tuple(
                replace(one, sources=_joined(one.sources, lost[one.subject]))
                if one.kind in _SHOWN and one.subject in lost
                else one
                for one in given
            )
            for given in (seen.events, seen.notices)
        )
        people = tuple(
            replace(one, sources=_joined(one.sources, lost.get(one.who, ()))) for one in seen.people
        )
        return replace(seen, events=events, notices=notices, people=people)

    def save(self) -> Json:
        """As JSON."""
        return {who: list(sources) for who, sources in self._lost.items()}

    def load(self, saved: Json) -> None:
        """Take over what ``save`` gave."""
        self._lost = {who: tuple(sources) for who, sources in saved.items()}


def _joined(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*one, *other}))
