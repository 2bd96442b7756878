"""The rules of a world of bodies, over any ground: what ``Town`` and ``Places`` share.

A step has phases, so that within a step nobody reacts to what another does in it:
conversations open, activities begin, bodies walk, one line is said, members leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from ..core import (
    EVERYBODY,
    Action,
    Affordance,
    AgentId,
    Body,
    Event,
    Json,
    Line,
    Observation,
    Talk,
    Time,
    Turn,
    WorldError,
    nearest,
)
from .activity import activity, wrong_doing
from .dweller import Dweller, listed
from .ground import Ground
from .scenery import IDLE, Scenery
from .talks import Conversation, Talks, heard_by

FORMAT = 1


class Stage:
    """A World over a Ground. ``speed`` is in spots a step; see ``Talks`` for the rest."""

    def __init__(
        self,
        ground: Ground,
        *,
        start: Time,
        step_seconds: int,
        speed: int = 1,
        most_lines: int = 16,
        patience: int = 3,
    ) -> None:
        for name, value in (
            ("step_seconds", step_seconds),
            ("speed", speed),
            ("most_lines", most_lines),
            ("patience", patience),
        ):
            if value < 1:
                raise WorldError(f"{name} is {value}; it must be at least 1")
        self.ground = ground
        self._start = start
        self._tick = timedelta(seconds=step_seconds)
        self._speed = speed
        self._scene = Scenery(ground, Talks(most_lines, patience))

    # -- coming, going, seeing -------------------------------------------------------------

    def enter(self, body: Body) -> None:
        """Let somebody in, at its start, its home, or some spawn point."""
        if not body.who.strip() or ":" in body.who or body.who == EVERYBODY:
            raise WorldError(f"'{body.who}' is no name for a body; give a word without colons")
        if body.who in self._scene.dwellers:
            raise WorldError(f"'{body.who}' is already here; choose another name")
        taken = {one.claim for one in self._scene.dwellers.values()}
        now = max((one.at for one in self._scene.dwellers.values()), default=self._start)
        self._scene.add(Dweller(body, now, self.ground.entry(body, taken)))

    def leave(self, who: AgentId) -> None:
        """Take somebody out; its conversation loses a member, its object rests."""
        one = self._scene.get(who)
        self._scene.release(one)
        talk = self._scene.talks.of(who)
        if talk is not None:
            everyone = tuple(talk.members)
            self._part(one, talk, [])
            self._settle(talk, everyone, [])
        self._scene.remove(one)

    def observe(self, who: AgentId) -> Observation:
        """What ``who`` sees now."""
        return self._scene.observe(self._scene.get(who))

    def affordances(self, who: AgentId) -> tuple[Affordance, ...]:
        """What ``who`` may do now."""
        return self._scene.affordances(self._scene.get(who))

    # -- a step ----------------------------------------------------------------------------

    def step(self, actions: Mapping[AgentId, Action], at: Time, order: tuple[AgentId, ...]) -> Turn:
        """Let bodies act. Raises WorldError for one who is not here or not in ``order``."""
        missing = sorted(set(actions) - set(order))
        if missing:
            raise WorldError(f"order names no '{missing[0]}', who acts; list all who act")
        acting = [self._scene.get(who) for who in order if who in actions]
        if len(acting) != len(actions):
            raise WorldError("order names somebody twice; list each body once")
        events: list[Event] = []
        # What is afforded is what was afforded before anybody acted.
        problems = [self._problem(one, actions[one.who]) for one in acting]
        for one in acting:
            one.notices.clear()
            one.ended = None
            one.at = at + self._tick
            one.version += 1
        allowed: list[tuple[Dweller, Action]] = []
        for one, problem in zip(acting, problems):
            action = actions[one.who]
            if problem:
                self._refuse(one, action, problem, events)
            else:
                allowed.append((one, action))
        talks = self._conversations(acting)
        self._approach(allowed, events)
        self._act(allowed, events)
        self._walk(allowed, events)
        self._converse(talks, allowed, order, at, events)
        seen = {one.who: self._scene.observe(one) for one in acting}
        return Turn(seen, tuple(events))

    def _problem(self, one: Dweller, action: Action) -> str:
        """Why an action is not afforded; empty when it is."""
        verb, fields = action.verb, action.fields
        if verb in ("wait", "continue"):
            return ""
        if not isinstance(fields, dict):
            return "its fields are no table"
        can = self._scene.affordances(one)
        if verb == "act":
            if self._scene.talks.of(one.who) is not None:
                return "it is in a conversation"
            goals = self.ground.goals(one.spot, one.body.knows).places
            if action.target not in goals:
                return f"no such place is known and within reach{nearest(action.target, goals)}"
            return wrong_doing(fields)
        if verb in ("talk", "join"):
            known = (verb, action.target) in one.partners
            return "" if known else "that person is not there to be talked to that way"
        if all(verb != offered.verb for offered in can):
            return "that is not possible now"
        if verb in ("say", "interrupt"):
            text = fields.get("text")
            return "" if isinstance(text, str) and text.strip() else "the field 'text' is empty"
        return ""

    def _refuse(self, one: Dweller, action: Action, why: str, events: list[Event]) -> None:
        what = f"{action.verb} {action.target}".strip()
        text = f"{one.who} cannot {what}: {why}"
        place = self._place(one)
        event = Event("refused", one.who, "cannot", what, text, place, action.sources)
        self._note(one, event, events)

    def _note(self, one: Dweller, event: Event, events: list[Event] | None = None) -> None:
        one.notices.append(event)
        one.version += 1
        if events is not None:
            events.append(event)

    def _place(self, one: Dweller) -> str:
        return self.ground.place(one.spot)

    def _conversations(self, acting: list[Dweller]) -> list[Conversation]:
        found: dict[str, Conversation] = {}
        for one in acting:
            talk = self._scene.talks.of(one.who)
            if talk is not None:
                found[talk.id] = talk
        return list(found.values())

    def _approach(self, allowed: list[tuple[Dweller, Action]], events: list[Event]) -> None:
        talks = self._scene.talks
        for one, action in allowed:
            if action.verb not in ("talk", "join"):
                continue
            other = self._scene.get(action.target)
            mine, theirs = talks.of(one.who), talks.of(other.who)
            if mine is not None:
                if mine is not theirs:
                    self._refuse(one, action, "somebody else began to talk with it", events)
                continue
            if theirs is None:
                talk, verb, how = talks.open(one.who, other.who), "talks to", "begins to talk to"
            else:
                talks.join(one.who, theirs)
                talk, verb, how = theirs, "joins", "joins the conversation of"
            others = listed([who for who in talk.members if who != one.who])
            text = f"{one.who} {how} {others}"
            event = Event("talk", one.who, verb, others, text, self._place(one))
            events.append(event)
            for who in talk.members:
                member = self._scene.get(who)
                self._scene.touch(member)
                self._note(member, event)

    def _act(self, allowed: list[tuple[Dweller, Action]], events: list[Event]) -> None:
        for one, action in allowed:
            if action.verb != "act":
                continue
            if one.target != action.target:
                taken = {other.claim for other in self._scene.dwellers.values() if other is not one}
                route = self.ground.route(one.spot, action.target, taken)
                if route is None:
                    self._refuse(one, action, "there is no way to it", events)
                    continue
                _keep(events, self._scene.release(one))
                one.target = action.target
                one.route = list(reversed(route))
            elif not self._news(one, action):
                continue
            one.doing, one.emoji, one.state, one.sleepy = activity(action)
            one.sources = action.sources
            self._scene.touch(one)
            if not one.route:
                self._arrive(one, events)

    @staticmethod
    def _news(one: Dweller, action: Action) -> bool:
        now = (one.doing, one.emoji, one.state, one.sleepy)
        return activity(action) != now or action.sources != one.sources

    def _walk(self, allowed: list[tuple[Dweller, Action]], events: list[Event]) -> None:
        for one, action in allowed:
            if action.verb not in ("act", "continue") or not one.route:
                continue
            if self._scene.talks.of(one.who) is not None:
                continue
            before = self._place(one)
            for _ in range(min(self._speed, len(one.route))):
                self._scene.move(one, one.route.pop())
            place = self._place(one)
            if place != before:
                text = f"{one.who} comes to {place.rpartition(':')[2]}"
                events.append(Event("moved", one.who, "comes to", place, text, place))
            if not one.route:
                self._scene.touch(one)
                self._arrive(one, events)

    def _arrive(self, one: Dweller, events: list[Event]) -> None:
        events.append(self._scene.doing(one))
        number = self.ground.number(one.target)
        if number >= 0:
            _keep(events, self._scene.use(one, number))

    def _converse(
        self,
        talks: list[Conversation],
        allowed: list[tuple[Dweller, Action]],
        order: tuple[AgentId, ...],
        at: Time,
        events: list[Event],
    ) -> None:
        verbs = {one.who: action for one, action in allowed}
        for talk in talks:
            said = {
                who: _line(who, verbs[who], at)
                for who in talk.members
                if who in verbs and verbs[who].verb in ("say", "interrupt")
            }
            everyone = tuple(talk.members)
            line = self._scene.talks.speak(talk, said, order)
            if line is not None:
                speaker = self._scene.get(line.who)
                others = listed([who for who in everyone if who != line.who])
                text = f'{line.who} says to {others}: "{line.text}"'
                place = self._place(speaker)
                event = Event("said", line.who, "says", others, text, place, line.sources)
                events.append(event)
                for hearer in self._scene.hearers(speaker, talk):
                    # An event has no audience: a mind that overheard it would tell it on.
                    person = hearer.body.person and hearer.who in line.audience
                    if person or not line.audience:
                        self._note(hearer, event)
            for who in everyone:
                self._scene.get(who).version += 1
            for one, action in allowed:
                if action.verb == "leave" and one.who in everyone:
                    self._part(one, talk, events)
                    one.ended = Talk(talk.id, everyone, "", heard_by(one.who, talk.lines), True)
            self._settle(talk, everyone, events)

    def _part(self, one: Dweller, talk: Conversation, events: list[Event]) -> None:
        """A member goes; all members see that."""
        others = listed([who for who in talk.members if who != one.who])
        text = f"{one.who} leaves the conversation with {others}"
        event = Event("talk", one.who, "leaves", others, text, self._place(one))
        events.append(event)
        for who in talk.members:
            self._note(self._scene.get(who), event)
            self._scene.touch(self._scene.get(who))
        self._scene.talks.leave(one.who)

    def _settle(
        self, talk: Conversation, everyone: tuple[AgentId, ...], events: list[Event]
    ) -> None:
        """End a conversation that is over; its members see all of it once more."""
        if not self._scene.talks.over(talk):
            return
        self._scene.talks.close(talk)
        names = listed(everyone)
        for who in talk.members:
            one = self._scene.get(who)
            text = f"the conversation of {names} has ended"
            event = Event("talk", who, "ends talking with", names, text, self._place(one))
            one.ended = Talk(talk.id, everyone, "", heard_by(who, talk.lines), True)
            self._note(one, event, events)
            self._scene.touch(one)

    # -- from outside ----------------------------------------------------------------------

    def tell(self, event: Event, to: tuple[AgentId, ...] = ()) -> None:
        """Let something happen from outside; without ``to`` and place, everybody notices."""
        bodies = [self._scene.get(who) for who in to]
        if event.kind == "object":
            number = self.ground.number(event.place)
            if number < 0:
                hint = nearest(event.place, self.ground.objects)
                raise WorldError(f"no object at '{event.place}'{hint}; give an object's address")
            self._scene.set_state(number, event.object or IDLE, event.sources)
        if not to:
            bodies = [
                one
                for one in self._scene.dwellers.values()
                if not event.place or self.ground.near(event.place, one.spot, one.body.vision)
            ]
        for one in bodies:
            self._note(one, event)

    def save(self) -> Json:
        """The whole changing state as JSON."""
        scene = self._scene
        objects = self.ground.objects
        return {
            "format": FORMAT,
            "ground": self.ground.name,
            "bodies": [one.save() for one in scene.dwellers.values()],
            "states": {objects[n]: s for n, s in enumerate(scene.states) if s != IDLE},
            "tellers": {objects[n]: list(t) for n, t in enumerate(scene.tellers) if t},
            "users": {objects[n]: list(users) for n, users in enumerate(scene.users) if users},
            "talks": scene.talks.save(),
        }

    def load(self, state: Json) -> None:
        """Take over a saved state. Raises WorldError, and changes nothing, when it is of
        another ground or broken."""
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise WorldError("the state is not one this world saved; load what save() gave")
        if state.get("ground") != self.ground.name:
            raise WorldError(
                f"the state is of '{state.get('ground')}', this world is '{self.ground.name}'; "
                "load it into a world on the same map"
            )
        try:
            self._scene = self._loaded(state)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise WorldError(
                f"the saved state is broken ({error!r}); load an earlier one"
            ) from error

    def _loaded(self, state: Json) -> Scenery:
        talks = Talks(self._scene.talks.most_lines, self._scene.talks.patience)
        talks.load(state["talks"])
        scene = Scenery(self.ground, talks)
        tellers = state.get("tellers", {})
        for address in (*state["states"], *state["users"], *tellers):
            if self.ground.number(address) < 0:
                raise KeyError(address)
        bodies = [Dweller.load(data) for data in state["bodies"]]
        scene.restore({one.who: one for one in bodies}, state["states"], tellers)
        for address, users in state["users"].items():
            scene.users[self.ground.number(address)] = list(users)
        return scene


def _line(who: AgentId, action: Action, at: Time) -> Line:
    return Line(who, action.fields["text"].strip(), at, action.sources, action.audience)


def _keep(events: list[Event], event: Event | None) -> None:
    if event is not None:
        events.append(event)
