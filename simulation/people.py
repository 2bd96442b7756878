"""People who visit a running world, and events sent into it."""

from __future__ import annotations

from collections.abc import Sequence

from ..core import Action, AgentId, Body, Event, Input, Json, World, from_json, to_json


class Guests:
    """Turns inputs into what happens in the world.

    An event is told to the world. A person's line makes the person enter beside the agent
    spoken to, open a talk or join it, and say the line when the floor is theirs.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._lines: dict[AgentId, list[Input]] = {}

    def apply(self, inputs: Sequence[Input]) -> bool:
        """Take the inputs of a step; True when the world changed by it."""
        changed = False
        for given in inputs:
            if given.kind == "event":
                fields = given.fields or {}
                event = Event(
                    kind=fields.get("kind", "news"),
                    subject=fields.get("subject", given.place),
                    predicate=fields.get("predicate", "is"),
                    object=fields.get("object", ""),
                    text=given.text,
                    place=given.place,
                )
                self._world.tell(event, (given.to,) if given.to else ())
                changed = True
            elif given.kind == "line":
                if given.who not in self._lines:
                    near = self._world.observe(given.to)
                    self._world.enter(
                        Body(given.who, home=near.place, start=near.position, person=True)
                    )
                    self._lines[given.who] = []
                    changed = True
                self._lines[given.who].append(given)
        return changed

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
        return {who: self._act(who, lines) for who, lines in self._lines.items()}

    def _act(self, who: AgentId, lines: list[Input]) -> Action:
        can = {(one.verb, one.target) for one in self._world.affordances(who)}
        verbs = {verb for verb, _ in can}
        if lines:
            given = lines[0]
            if "say" in verbs:
                lines.pop(0)
                return Action("say", "", {"text": given.text})
            for verb in ("talk", "join"):
                if (verb, given.to) in can:
                    return Action(verb, given.to)
        return Action("listen" if "listen" in verbs else "wait")
