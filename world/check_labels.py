"""The clauses of a world's contract about labels: whose words a deed rests on, for whom a line is.

See ``core.Action``: whoever drives a mind sets them, and a world passes them on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta

from ..core import Action, AgentId, Json, Label, Observation, Time, World, WorldError

log = logging.getLogger(__name__)

_SOURCES = ("Somebody else",)
_SECRET = "quillonberry"


def check_world_labels(
    fresh: Callable[[], World], names: tuple[AgentId, ...], start: Time, tick: timedelta
) -> None:
    """Raises WorldError, naming the clause, for a world that loses ``sources`` or ``audience``
    of a line. What a world does not let bodies do is not looked at. One in which others see a
    deed without its ``sources`` is warned of: outside of a Simulation, which puts them on again,
    what an agent does on a stranger's word passes there for its own idea."""
    for first in names:
        for second in names:
            if first != second:
                others = tuple(who for who in names if who not in (first, second))
                _UtteranceCheck(fresh(), names, start, tick).check(first, second, others)
    _check_activity_sources(fresh, names, start)


class _UtteranceCheck:
    """Two talk, and a third listens or comes up."""

    def __init__(
        self, world: World, names: tuple[AgentId, ...], start: Time, tick: timedelta
    ) -> None:
        self._world = world
        self._names = names
        self._at = start
        self._tick = tick

    def _step(self, **actions: Action) -> bool:
        """Who is named acts so where that is afforded; whether it was."""
        for who, action in actions.items():
            if not _afforded(self._world, who, action):
                return False
        waiting = dict.fromkeys(self._names, Action("wait"))
        self._events = self._world.step({**waiting, **actions}, self._at, self._names).events
        self._at += self._tick
        return True

    def check(self, first: AgentId, second: AgentId, others: tuple[AgentId, ...]) -> None:
        """A line for one alone, and one for all."""
        self._step(**{first: Action("talk", second)})
        private = Action("say", "", {"text": f"It is the {_SECRET}."}, _SOURCES, (first, second))
        if not self._step(**{first: private}):
            return
        clause = "step: a line carries the sources and the audience of its action"
        talk = self._world.observe(second).talk
        line = talk.lines[-1] if talk and talk.lines else None
        if line is not None and _SECRET in line.text:
            kept = (set(line.sources), set(line.audience))
            _require_label(kept == (set(_SOURCES), {first, second}), clause, f"it has {kept}")
        said = [one for one in self._events if _SECRET in one.text]
        told = all(set(_SOURCES) <= set(one.sources) for one in said)
        _require_label(told, "step: what happens names the sources of its action", f"{said}")
        self._check_unheard(others, "at once")
        for other in others:
            if self._step(**{other: Action("join", second)}):
                self._check_unheard((other,), "when it has joined the conversation")
                self._world.load(json.loads(json.dumps(self._world.save())))
                self._check_unheard((other,), "when it has joined, and the world was loaded")
        if line is not None:
            self._check_save_load(second, Label(line.sources, line.audience))

    def _check_unheard(self, others: tuple[AgentId, ...], when: str) -> None:
        for other in others:
            seen = self._world.observe(other)
            clause = "observe: a line that is for others is not heard"
            _require_label(_SECRET not in f"{seen}", clause, f"{other} hears it {when}")

    def _check_save_load(self, second: AgentId, label: Label) -> None:
        """The label is there after the world was saved and loaded."""
        self._world.load(json.loads(json.dumps(self._world.save())))
        talk = self._world.observe(second).talk
        for line in talk.lines if talk else ():
            if _SECRET in line.text:
                clause = "save and load: lines keep their labels"
                _require_label(Label(line.sources, line.audience) == label, clause, f"{line}")


def _check_activity_sources(
    fresh: Callable[[], World], names: tuple[AgentId, ...], start: Time
) -> None:
    """What is seen of a deed, by others and by who does it, names on whose words it rests."""
    clause = "observe: what is seen of a deed names the sources of its action"
    for who in names:
        world = fresh()
        fields: Json = {"doing": f"singing of the {_SECRET}"}
        for one in world.affordances(who):
            if one.verb == "act":
                deed = Action("act", one.target, fields, _SOURCES)
                others = {other: Action("wait") for other in names if other != who}
                world.step({who: deed, **others}, start, names)
                own = world.observe(who)
                told = [told for other in others for told in _sources_seen(world.observe(other))]
                told += [set(own.sources)] if _SECRET in own.doing else []
                if any(not set(_SOURCES) <= one for one in told):
                    log.warning(
                        "check_world: %s: %s's are lost; see core/scene.py, Action", clause, who
                    )
                    return
                break


def _sources_seen(seen: Observation) -> Iterator[set[str]]:
    """The sources of all that somebody sees of the deed."""
    for event in (*seen.events, *seen.notices):
        if _SECRET in f"{event}":
            yield set(event.sources)
    for one in seen.people:
        if _SECRET in one.doing:
            yield set(one.sources)


def _afforded(world: World, who: AgentId, action: Action) -> bool:
    offered = world.affordances(who)
    return any((one.verb, one.target) == (action.verb, action.target) for one in offered)


def _require_label(kept: bool, clause: str, detail: str) -> None:
    if not kept:
        raise WorldError(f"check_world: {clause}: {detail:.300}; see core/scene.py, Action")
