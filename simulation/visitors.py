"""People who visit a running world, and events sent into it."""

from __future__ import annotations

from collections.abc import Sequence

from ..core import (
    Action,
    Affordance,
    AgentId,
    Body,
    DenizensError,
    Event,
    Input,
    Json,
    SettingError,
    World,
    from_json,
    source_name,
    to_json,
)
from ..planners import to_offered_action


class Visitors:
    """Turns inputs into what happens in the world.

    An event is told to the world. A person's line makes the person enter beside the agent
    spoken to, or walk to it, open a talk or join it, and say the line when the floor is theirs.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._lines: dict[AgentId, list[Input]] = {}

    def check(self, given: Input, what: str = "input") -> None:
        """Raises SettingError for an input that cannot happen; changes nothing.

        Found out by trying: a step must never fail on an input that was taken in."""
        try:
            from_json(Input, to_json(given))
        except ValueError as error:
            raise SettingError(f"{what}: {_reason(error)}; mend it") from error
        world, lines = self._world.save(), self.save()
        try:
            self.apply((given,))
        except (DenizensError, ValueError) as error:
            raise SettingError(f"{what}: {_reason(error)}") from error
        finally:
            self._world.load(world)
            self.load(lines)

    def apply(self, inputs: Sequence[Input]) -> bool:
        """Take the inputs of a step; True when the world changed by it."""
        changed = False
        for given in inputs:
            if given.kind == "event":
                self._world.tell(_event(given), (given.to,) if given.to else ())
                changed = True
            elif given.kind == "line":
                changed = self._enter(given) or changed
                self._lines[given.who].append(given)
        return changed

    def _enter(self, given: Input) -> bool:
        if given.who in self._lines:
            return False
        near = self._world.observe(given.to)
        self._world.enter(Body(given.who, home=near.place, start=near.position, person=True))
        self._lines[given.who] = []
        return True

    def save(self) -> Json:
        """Lines not yet said, as JSON."""
        return {who: [to_json(one) for one in lines] for who, lines in self._lines.items()}

    def load(self, saved: Json) -> None:
        """Take over what ``save`` gave; the bodies are in the world's own state."""
        self._lines = {
            who: [from_json(Input, one) for one in lines] for who, lines in saved.items()
        }

    def actions(self) -> dict[AgentId, Action]:
        """What each person does in this step."""
        made = {}
        for who, lines in self._lines.items():
            offered = self._world.affordances(who)
            made[who] = to_offered_action(self._act(who, lines, offered), offered)
        return made

    def _act(self, who: AgentId, lines: list[Input], offered: Sequence[Affordance]) -> Action:
        can = {(one.verb, one.target) for one in offered}
        verbs = {verb for verb, _ in can}
        waiting = Action("listen" if "listen" in verbs else "wait")
        if not lines:
            return waiting
        given, seen = lines[0], self._world.observe(who)
        if seen.talk is not None and not seen.talk.ended:
            if given.to not in seen.talk.members:
                return Action("leave") if "leave" in verbs else waiting
            if "say" not in verbs:
                return waiting
            lines.pop(0)
            return Action("say", "", {"text": given.text})
        for verb in ("talk", "join"):
            if (verb, given.to) in can:
                return Action(verb, given.to)
        there = self._world.observe(given.to).place
        if ("act", there) in can and there != seen.place:
            return Action("act", there, {"doing": f"looking for {given.to}"})
        return Action("continue") if "continue" in verbs else waiting


def _event(given: Input) -> Event:
    fields = given.fields or {}
    return from_json(
        Event,
        {
            "kind": fields.get("kind", "news"),
            "subject": fields.get("subject", given.place),
            "predicate": fields.get("predicate", "is"),
            "object": fields.get("object", ""),
            "text": given.text,
            "place": given.place,
            # Whatever an event says of whom, it is its sender's word.
            "sources": [source_name(given.who)] if given.who else [],
        },
    )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())
