"""People who visit a running world, and events from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..core import (
    PERSON_INPUT_KINDS,
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
from .walk_ins import WalkIns


class Visitors:
    """Applies inputs to a world.

    An event happens at once. For a line, the person enters the world beside the agent addressed,
    walks to it, opens or joins a conversation, and says the line when it has the floor. A person
    who walked in (``walk_ins``) stays until it leaves.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._lines: dict[AgentId, list[Input]] = {}
        self.walk_ins = WalkIns(world)

    def check(self, given: Input, what: str = "input", before: Sequence[Input] = ()) -> None:
        """Raises SettingError for an input that cannot happen after the accepted inputs
        ``before``. All are applied and undone, since a step must never fail on an input that was
        accepted."""
        try:
            from_json(Input, to_json(given))
        except ValueError as error:
            raise SettingError(f"{what}: {' '.join(str(error).split())}; correct it") from error
        world, lines, people = self._world.save(), self.save(), self.walk_ins.save()
        try:
            self.apply(before)
            if given.kind in PERSON_INPUT_KINDS:
                self.walk_ins.apply(given)
            else:
                self.apply((given,))
        except (DenizensError, ValueError) as error:
            raise SettingError(f"{what}: {' '.join(str(error).split())}") from error
        finally:
            self._world.load(world)
            self.load(lines)
            self.walk_ins.load(people)

    def apply(self, inputs: Sequence[Input]) -> bool:
        """Apply the inputs of a step; whether the world changed."""
        changed = False
        self.walk_ins.unsaid.clear()
        for given in inputs:
            if given.kind == "line" and given.who in self.walk_ins:
                given = replace(given, kind="say")
            if given.kind in PERSON_INPUT_KINDS:
                self.walk_ins.apply_accepted(given)
                changed = True
            elif given.kind == "event":
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
        """The lines that are not said yet, as JSON."""
        return {who: [to_json(line) for line in lines] for who, lines in self._lines.items()}

    def load(self, saved: Json) -> None:
        """Restore what ``save`` returned; the bodies are part of the world's state."""
        self._lines = {
            who: [from_json(Input, line) for line in lines] for who, lines in saved.items()
        }

    def actions(self) -> dict[AgentId, Action]:
        """The action of each person in this step."""
        actions = {}
        for who, lines in self._lines.items():
            offered = self._world.affordances(who)
            actions[who] = to_offered_action(self._next_action(who, lines, offered), offered)
        return {**actions, **self.walk_ins.actions()}

    def _next_action(
        self, who: AgentId, lines: list[Input], offered: Sequence[Affordance]
    ) -> Action:
        """A person's next action towards saying its first line; removes a line that was said."""
        pairs = {(affordance.verb, affordance.target) for affordance in offered}
        verbs = {verb for verb, _ in pairs}
        waiting = Action("listen" if "listen" in verbs else "wait")
        if not lines:
            return waiting
        line, observation = lines[0], self._world.observe(who)
        conversation = observation.talk
        if conversation is not None and not conversation.ended:
            if line.to not in conversation.members:
                return Action("leave") if "leave" in verbs else waiting
            if "say" not in verbs:
                return waiting
            lines.pop(0)
            return Action("say", "", {"text": line.text})
        for verb in ("talk", "join"):
            if (verb, line.to) in pairs:
                return Action(verb, line.to)
        place = self._world.observe(line.to).place
        if ("act", place) in pairs and place != observation.place:
            return Action("act", place, {"doing": f"looking for {line.to}"})
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
            # An event rests on the word of its sender, whatever it is about.
            "sources": [source_name(given.who)] if given.who else [],
        },
    )
