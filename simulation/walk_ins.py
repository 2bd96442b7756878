"""People who walk into a running world, and what each of them still wants to do."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..core import (
    Action,
    Affordance,
    AgentId,
    Body,
    Input,
    Json,
    Observation,
    World,
    WorldError,
    from_json,
    to_json,
)
from ..planners import to_offered_action

DEFAULT_PATIENCE = 20
"""Silent steps after which a person who holds the floor loses it."""
MAX_PATIENCE = 1000
MAX_UNSAID = 16
"""Lines of a person that may wait to be said."""
GIVE_UP_AFTER = 60
"""Steps after which a person stops looking for somebody to talk to."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class WaitingLine:
    """A line that a person has yet to say, ``to`` somebody or in the conversation ``talk``."""

    text: str
    to: AgentId = ""
    talk: str = ""


@dataclass(slots=True)
class PersonIntent:
    """What a person wants: to walk to ``goal`` (x and y, or a place), to talk to ``partner``, to
    say ``lines``, to end its conversation (``parting``). ``tries`` counts the steps for which it
    has looked for ``partner``; ``patience`` is that of its body."""

    patience: int
    goal: Json = None
    partner: AgentId = ""
    tries: int = 0
    parting: bool = False
    lines: list[WaitingLine] = field(default_factory=list)


class WalkIns:
    """The people who walked into a world by "enter".

    ``apply`` changes what a person wants, and ``actions`` takes from that one action a step; both
    depend on the world and the inputs alone, so a replay repeats them. ``unsaid`` are the lines of
    the last step that will never be said, by person, with the reason."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._intents: dict[AgentId, PersonIntent] = {}
        self.unsaid: dict[AgentId, list[tuple[str, str]]] = {}

    def __contains__(self, who: object) -> bool:
        return who in self._intents

    @property
    def intents(self) -> Mapping[AgentId, PersonIntent]:
        """What each person wants now."""
        return self._intents

    # -- inputs ----------------------------------------------------------------------------

    def apply(self, given: Input) -> None:
        """Apply an input of one of PERSON_INPUT_KINDS. Raises WorldError, and changes nothing but
        perhaps the world, if it cannot happen."""
        if given.kind == "enter":
            self._enter(given)
            return
        intent = self._intents.get(given.who)
        if intent is None:
            raise WorldError(f"'{given.who}' has not walked in; let that person enter first")
        if given.kind == "leave":
            self._drop_lines(given.who, intent, "you left")
            self._world.leave(given.who)
            del self._intents[given.who]
        elif given.kind == "move":
            goal = self._goal(given)
            self._drop_lines(given.who, intent, "you walked away")
            self._intents[given.who] = PersonIntent(intent.patience, goal)
        elif given.kind == "end_talk":
            self._drop_lines(given.who, intent, "you took leave")
            self._intents[given.who] = PersonIntent(intent.patience, parting=True)
        else:
            self._address(given, intent)

    def apply_accepted(self, given: Input) -> None:
        """Apply an input that was accepted earlier; one that has become impossible is logged."""
        try:
            self.apply(given)
        except WorldError as error:
            log.warning("an input of %s could not happen: %s", given.who, error)

    def _enter(self, given: Input) -> None:
        fields = given.fields or {}
        start = _tile(fields, "enter")
        patience = fields.get("patience", DEFAULT_PATIENCE)
        if type(patience) is not int or not 1 <= patience <= MAX_PATIENCE:
            raise WorldError(f"enter: patience is {patience!r}; give 1 to {MAX_PATIENCE} steps")
        body = Body(given.who, home=given.place, start=start, person=True, patience=patience)
        self._world.enter(body)
        position = self._world.observe(given.who).position
        goal = None if position is None else {"x": position[0], "y": position[1]}
        self._intents[given.who] = PersonIntent(patience, goal)

    def _goal(self, given: Input) -> Json:
        tile = _tile(given.fields or {}, "move")
        if (tile is None) == (not given.place):
            raise WorldError("move: give a place, or a tile as x and y in 'fields'")
        if tile is None:
            return {"place": given.place}
        if self._world.observe(given.who).position is None:
            raise WorldError("move: this world has no tiles; give a place")
        return {"x": tile[0], "y": tile[1]}

    def _address(self, given: Input, intent: PersonIntent) -> None:
        """Take up a "talk" or a "say"."""
        seen = self._world.observe(given.who)
        talk = seen.talk if seen.talk and not seen.talk.ended else None
        to = given.to
        if given.kind == "say":
            if not given.text.strip():
                raise WorldError("say: the text is empty")
            if len(intent.lines) >= MAX_UNSAID:
                raise WorldError(f"say: {MAX_UNSAID} lines wait already to be said")
        if not to and talk is None:
            to = intent.partner or nearest_partner(seen)
            if not to:
                raise WorldError("nobody is near who could hear it; walk up to somebody")
        if to:
            self._check_partner(given.who, to, seen)
        if talk is not None and (not to or to in talk.members):
            line = WaitingLine(given.text.strip(), talk=talk.id)
            intent = PersonIntent(intent.patience, lines=intent.lines)
        else:
            line = WaitingLine(given.text.strip(), to)
            lines = [waiting for waiting in intent.lines if waiting.to == to]
            intent = PersonIntent(
                intent.patience, partner=to, parting=talk is not None, lines=lines
            )
        if given.kind == "say":
            intent.lines.append(line)
        self._intents[given.who] = intent

    def _check_partner(self, who: AgentId, to: AgentId, seen: Observation) -> None:
        if to == who:
            raise WorldError("nobody talks to themselves; name somebody else")
        self._world.observe(to)  # raises for a name that is not in the world
        if any(person.who == to and not person.awake for person in seen.people):
            raise WorldError(f"{to} is asleep; wait, or wake nobody")

    def _drop_lines(self, who: AgentId, intent: PersonIntent, why: str) -> None:
        if intent.lines:
            self.unsaid.setdefault(who, []).extend((line.text, why) for line in intent.lines)
            intent.lines.clear()

    # -- steps -----------------------------------------------------------------------------

    def actions(self) -> dict[AgentId, Action]:
        """The action of each person in this step."""
        actions = {}
        for who, intent in self._intents.items():
            offered = self._world.affordances(who)
            action = self._next_action(who, intent, offered)
            actions[who] = to_offered_action(action, offered)
        return actions

    def _next_action(
        self, who: AgentId, intent: PersonIntent, offered: Sequence[Affordance]
    ) -> Action:
        seen = self._world.observe(who)
        verbs = {affordance.verb for affordance in offered}
        if seen.talk is not None and not seen.talk.ended:
            return self._in_conversation(intent, seen, verbs)
        intent.parting = False
        self._drop_late_lines(who, intent)
        if intent.partner:
            return self._approach(who, intent, seen, offered)
        goal, intent.goal = intent.goal, None
        if goal is None:
            return Action("continue" if "continue" in verbs else "wait")
        if "place" in goal:
            return Action("act", goal["place"], {"doing": "looking around"})
        return Action("walk", "", goal)

    def _in_conversation(self, intent: PersonIntent, seen: Observation, verbs: set[str]) -> Action:
        talk = seen.talk
        assert talk is not None
        waiting = Action("listen" if "listen" in verbs else "wait")
        elsewhere = bool(intent.partner) and intent.partner not in talk.members
        if intent.parting or intent.goal is not None or elsewhere:
            intent.parting = False
            return Action("leave") if "leave" in verbs else waiting
        intent.partner, intent.tries = "", 0
        for line in intent.lines:
            line.talk = line.talk or talk.id
        if not intent.lines or "say" not in verbs:
            return waiting
        return Action("say", "", {"text": intent.lines.pop(0).text})

    def _drop_late_lines(self, who: AgentId, intent: PersonIntent) -> None:
        """Give up the lines for a conversation that has ended."""
        late = PersonIntent(intent.patience, lines=[line for line in intent.lines if line.talk])
        intent.lines = [line for line in intent.lines if not line.talk]
        self._drop_lines(who, late, "the conversation has ended")

    def _approach(
        self, who: AgentId, intent: PersonIntent, seen: Observation, offered: Sequence[Affordance]
    ) -> Action:
        """Talk to the partner if that is possible, else walk to where it is."""
        pairs = {(affordance.verb, affordance.target) for affordance in offered}
        for verb in ("talk", "join"):
            if (verb, intent.partner) in pairs:
                return Action(verb, intent.partner)
        intent.tries += 1
        there = self._seen_by(intent.partner)
        if there is None or intent.tries > GIVE_UP_AFTER:
            reason = f"{intent.partner} could not be reached"
            self._drop_lines(who, intent, reason)
            self._intents[who] = PersonIntent(intent.patience)
            return Action("continue")
        fields: Json = {"doing": f"looking for {intent.partner}"}
        if ("walk", "") in pairs and there.position is not None:
            x, y = there.position
            return Action("walk", "", {"x": x, "y": y, **fields})
        if ("act", there.place) in pairs and there.place != seen.place:
            return Action("act", there.place, fields)
        return Action("continue")

    def _seen_by(self, who: AgentId) -> Observation | None:
        try:
            return self._world.observe(who)
        except WorldError:
            return None

    # -- state -----------------------------------------------------------------------------

    def save(self) -> Json:
        """The intents as JSON; empty without people."""
        return {who: to_json(intent) for who, intent in self._intents.items()}

    def load(self, saved: Mapping[str, Json]) -> None:
        """Restore what ``save`` returned."""
        self._intents = {who: from_json(PersonIntent, intent) for who, intent in saved.items()}
        self.unsaid.clear()


def nearest_partner(seen: Observation) -> AgentId:
    """Whom a line is for that names nobody: the nearest who is awake; empty if there is none."""
    return next((person.who for person in seen.people if person.awake), "")


def _tile(fields: Json, what: str) -> tuple[int, int] | None:
    """The tile in the fields of an input; None if they name none. Raises WorldError."""
    x, y = fields.get("x"), fields.get("y")
    if x is None and y is None:
        return None
    if type(x) is not int or type(y) is not int:
        raise WorldError(f"{what}: x and y must be whole numbers, not {x!r} and {y!r}")
    return x, y
