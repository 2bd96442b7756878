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
    ConversationView,
    Event,
    Json,
    Observation,
    StepResult,
    Time,
    Utterance,
    WorldError,
    did_you_mean,
)
from .body_state import BodyState, activity_error, join_names, parse_activity
from .conversations import Conversation, Conversations, heard_by
from .geometry import Geometry
from .world_state import IDLE, WorldState

SAVE_FORMAT = 1


class EmbodiedWorld:
    """A World over a Geometry. ``speed`` is in spots a step; see ``Conversations`` for the rest."""

    def __init__(
        self,
        ground: Geometry,
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
        self.geometry = ground
        self._start = start
        self._tick = timedelta(seconds=step_seconds)
        self._speed = speed
        self._state = WorldState(ground, Conversations(most_lines, patience))

    # -- coming, going, seeing -------------------------------------------------------------

    def enter(self, body: Body) -> None:
        """Let somebody in, at its start, its home, or some spawn point."""
        if not body.who.strip() or ":" in body.who or body.who == EVERYBODY:
            raise WorldError(f"'{body.who}' is no name for a body; give a word without colons")
        if body.who in self._state.bodies:
            raise WorldError(f"'{body.who}' is already here; choose another name")
        taken = {one.reserved_spot for one in self._state.bodies.values()}
        now = max((one.at for one in self._state.bodies.values()), default=self._start)
        self._state.add(BodyState(body, now, self.geometry.entry_spot(body, taken)))

    def leave(self, who: AgentId) -> None:
        """Take somebody out; its conversation loses a member, its object rests."""
        one = self._state.body(who)
        self._state.release_object(one)
        talk = self._state.conversations.conversation_of(who)
        if talk is not None:
            everyone = tuple(talk.members)
            self._leave_conversation(one, talk, [])
            self._close_if_over(talk, everyone, [])
        self._state.remove(one)

    def observe(self, who: AgentId) -> Observation:
        """What ``who`` sees now."""
        return self._state.observe(self._state.body(who))

    def affordances(self, who: AgentId) -> tuple[Affordance, ...]:
        """What ``who`` may do now."""
        return self._state.affordances(self._state.body(who))

    # -- a step ----------------------------------------------------------------------------

    def step(
        self, actions: Mapping[AgentId, Action], at: Time, order: tuple[AgentId, ...]
    ) -> StepResult:
        """Let bodies act. Raises WorldError for one who is not here or not in ``order``."""
        missing = sorted(set(actions) - set(order))
        if missing:
            raise WorldError(f"order names no '{missing[0]}', who acts; list all who act")
        acting = [self._state.body(who) for who in order if who in actions]
        if len(acting) != len(actions):
            raise WorldError("order names somebody twice; list each body once")
        events: list[Event] = []
        # What is afforded is what was afforded before anybody acted.
        problems = [self._why_not_afforded(one, actions[one.who]) for one in acting]
        for one in acting:
            one.notices.clear()
            one.ended_talk = None
            one.at = at + self._tick
            one.version += 1
        allowed: list[tuple[BodyState, Action]] = []
        for one, problem in zip(acting, problems):
            action = actions[one.who]
            if problem:
                self._refuse(one, action, problem, events)
            else:
                allowed.append((one, action))
        talks = self._conversations(acting)
        self._open_conversations(allowed, events)
        self._act(allowed, events)
        self._walk(allowed, events)
        self._speak(talks, allowed, order, at, events)
        seen = {one.who: self._state.observe(one) for one in acting}
        return StepResult(seen, tuple(events))

    def _why_not_afforded(self, one: BodyState, action: Action) -> str:
        """Why an action is not afforded; empty when it is."""
        verb, fields = action.verb, action.fields
        if verb in ("wait", "continue"):
            return ""
        if not isinstance(fields, dict):
            return "its fields are no table"
        can = self._state.affordances(one)
        if verb == "act":
            if self._state.conversations.conversation_of(one.who) is not None:
                return "it is in a conversation"
            goals = self.geometry.destinations(one.spot, one.body.knows).addresses
            if action.target not in goals:
                return (
                    f"no such place is known and within reach{did_you_mean(action.target, goals)}"
                )
            return activity_error(fields)
        if verb in ("talk", "join"):
            known = (verb, action.target) in one.partners
            return "" if known else "that person is not there to be talked to that way"
        if all(verb != offered.verb for offered in can):
            return "that is not possible now"
        if verb in ("say", "interrupt"):
            text = fields.get("text")
            return "" if isinstance(text, str) and text.strip() else "the field 'text' is empty"
        return ""

    def _refuse(self, one: BodyState, action: Action, why: str, events: list[Event]) -> None:
        what = f"{action.verb} {action.target}".strip()
        text = f"{one.who} cannot {what}: {why}"
        place = self._place_of(one)
        event = Event("refused", one.who, "cannot", what, text, place, action.sources)
        self._notify(one, event, events)

    def _notify(self, one: BodyState, event: Event, events: list[Event] | None = None) -> None:
        one.notices.append(event)
        one.version += 1
        if events is not None:
            events.append(event)

    def _place_of(self, one: BodyState) -> str:
        return self.geometry.place(one.spot)

    def _conversations(self, acting: list[BodyState]) -> list[Conversation]:
        found: dict[str, Conversation] = {}
        for one in acting:
            talk = self._state.conversations.conversation_of(one.who)
            if talk is not None:
                found[talk.id] = talk
        return list(found.values())

    def _open_conversations(
        self, allowed: list[tuple[BodyState, Action]], events: list[Event]
    ) -> None:
        talks = self._state.conversations
        for one, action in allowed:
            if action.verb not in ("talk", "join"):
                continue
            other = self._state.body(action.target)
            mine, theirs = talks.conversation_of(one.who), talks.conversation_of(other.who)
            if mine is not None:
                if mine is not theirs:
                    self._refuse(one, action, "somebody else began to talk with it", events)
                continue
            if theirs is None:
                talk, verb, how = talks.open(one.who, other.who), "talks to", "begins to talk to"
            else:
                talks.join(one.who, theirs)
                talk, verb, how = theirs, "joins", "joins the conversation of"
            others = join_names([who for who in talk.members if who != one.who])
            text = f"{one.who} {how} {others}"
            event = Event("talk", one.who, verb, others, text, self._place_of(one))
            events.append(event)
            for who in talk.members:
                member = self._state.body(who)
                self._state.mark_changed(member)
                self._notify(member, event)

    def _act(self, allowed: list[tuple[BodyState, Action]], events: list[Event]) -> None:
        for one, action in allowed:
            if action.verb != "act":
                continue
            if one.target != action.target:
                taken = {
                    other.reserved_spot for other in self._state.bodies.values() if other is not one
                }
                route = self.geometry.route(one.spot, action.target, taken)
                if route is None:
                    self._refuse(one, action, "there is no way to it", events)
                    continue
                _append_event(events, self._state.release_object(one))
                one.target = action.target
                one.route = list(reversed(route))
            elif not self._is_new_activity(one, action):
                continue
            one.doing, one.emoji, one.state, one.sleepy = parse_activity(action)
            one.sources = action.sources
            self._state.mark_changed(one)
            if not one.route:
                self._arrive(one, events)

    @staticmethod
    def _is_new_activity(one: BodyState, action: Action) -> bool:
        now = (one.doing, one.emoji, one.state, one.sleepy)
        return parse_activity(action) != now or action.sources != one.sources

    def _walk(self, allowed: list[tuple[BodyState, Action]], events: list[Event]) -> None:
        for one, action in allowed:
            if action.verb not in ("act", "continue") or not one.route:
                continue
            if self._state.conversations.conversation_of(one.who) is not None:
                continue
            before = self._place_of(one)
            for _ in range(min(self._speed, len(one.route))):
                self._state.move(one, one.route.pop())
            place = self._place_of(one)
            if place != before:
                text = f"{one.who} comes to {place.rpartition(':')[2]}"
                events.append(Event("moved", one.who, "comes to", place, text, place))
            if not one.route:
                self._state.mark_changed(one)
                self._arrive(one, events)

    def _arrive(self, one: BodyState, events: list[Event]) -> None:
        events.append(self._state.activity_event(one))
        number = self.geometry.object_index(one.target)
        if number >= 0:
            _append_event(events, self._state.use_object(one, number))

    def _speak(
        self,
        talks: list[Conversation],
        allowed: list[tuple[BodyState, Action]],
        order: tuple[AgentId, ...],
        at: Time,
        events: list[Event],
    ) -> None:
        verbs = {one.who: action for one, action in allowed}
        for talk in talks:
            said = {
                who: _utterance(who, verbs[who], at)
                for who in talk.members
                if who in verbs and verbs[who].verb in ("say", "interrupt")
            }
            everyone = tuple(talk.members)
            line = self._state.conversations.speak(talk, said, order)
            if line is not None:
                speaker = self._state.body(line.who)
                others = join_names([who for who in everyone if who != line.who])
                text = f'{line.who} says to {others}: "{line.text}"'
                place = self._place_of(speaker)
                event = Event("said", line.who, "says", others, text, place, line.sources)
                events.append(event)
                for hearer in self._state.overhearers(speaker, talk):
                    # An event has no audience: a mind that overheard it would tell it on.
                    person = hearer.body.person and hearer.who in line.audience
                    if person or not line.audience:
                        self._notify(hearer, event)
            for who in everyone:
                self._state.body(who).version += 1
            for one, action in allowed:
                if action.verb == "leave" and one.who in everyone:
                    self._leave_conversation(one, talk, events)
                    one.ended_talk = ConversationView(
                        talk.id, everyone, "", heard_by(one.who, talk.lines), True
                    )
            self._close_if_over(talk, everyone, events)

    def _leave_conversation(self, one: BodyState, talk: Conversation, events: list[Event]) -> None:
        """A member goes; all members see that."""
        others = join_names([who for who in talk.members if who != one.who])
        text = f"{one.who} leaves the conversation with {others}"
        event = Event("talk", one.who, "leaves", others, text, self._place_of(one))
        events.append(event)
        for who in talk.members:
            self._notify(self._state.body(who), event)
            self._state.mark_changed(self._state.body(who))
        self._state.conversations.leave(one.who)

    def _close_if_over(
        self, talk: Conversation, everyone: tuple[AgentId, ...], events: list[Event]
    ) -> None:
        """End a conversation that is over; its members see all of it once more."""
        if not self._state.conversations.is_over(talk):
            return
        self._state.conversations.close(talk)
        names = join_names(everyone)
        for who in talk.members:
            one = self._state.body(who)
            text = f"the conversation of {names} has ended"
            event = Event("talk", who, "ends talking with", names, text, self._place_of(one))
            one.ended_talk = ConversationView(
                talk.id, everyone, "", heard_by(who, talk.lines), True
            )
            self._notify(one, event, events)
            self._state.mark_changed(one)

    # -- from outside ----------------------------------------------------------------------

    def tell(self, event: Event, to: tuple[AgentId, ...] = ()) -> None:
        """Let something happen from outside; without ``to`` and place, everybody notices."""
        bodies = [self._state.body(who) for who in to]
        if event.kind == "object":
            number = self.geometry.object_index(event.place)
            if number < 0:
                hint = did_you_mean(event.place, self.geometry.objects)
                raise WorldError(f"no object at '{event.place}'{hint}; give an object's address")
            self._state.set_object_state(number, event.object or IDLE, event.sources)
        if not to:
            bodies = [
                one
                for one in self._state.bodies.values()
                if not event.place
                or self.geometry.is_in_view(event.place, one.spot, one.body.vision)
            ]
        for one in bodies:
            self._notify(one, event)

    def save(self) -> Json:
        """The whole changing state as JSON."""
        scene = self._state
        objects = self.geometry.objects
        return {
            "format": SAVE_FORMAT,
            "ground": self.geometry.name,
            "bodies": [one.save() for one in scene.bodies.values()],
            "states": {objects[n]: s for n, s in enumerate(scene.object_states) if s != IDLE},
            "tellers": {objects[n]: list(t) for n, t in enumerate(scene.object_sources) if t},
            "users": {
                objects[n]: list(users) for n, users in enumerate(scene.object_users) if users
            },
            "talks": scene.conversations.save(),
        }

    def load(self, state: Json) -> None:
        """Take over a saved state. Raises WorldError, and changes nothing, when it is of
        another ground or broken."""
        if not isinstance(state, dict) or state.get("format") != SAVE_FORMAT:
            raise WorldError("the state is not one this world saved; load what save() gave")
        if state.get("ground") != self.geometry.name:
            raise WorldError(
                f"the state is of '{state.get('ground')}', this world is '{self.geometry.name}'; "
                "load it into a world on the same map"
            )
        try:
            self._state = self._loaded(state)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise WorldError(
                f"the saved state is broken ({error!r}); load an earlier one"
            ) from error

    def _loaded(self, state: Json) -> WorldState:
        talks = Conversations(
            self._state.conversations.most_lines, self._state.conversations.patience
        )
        talks.load(state["talks"])
        scene = WorldState(self.geometry, talks)
        tellers = state.get("tellers", {})
        for address in (*state["states"], *state["users"], *tellers):
            if self.geometry.object_index(address) < 0:
                raise KeyError(address)
        bodies = [BodyState.load(data) for data in state["bodies"]]
        scene.restore({one.who: one for one in bodies}, state["states"], tellers)
        for address, users in state["users"].items():
            scene.object_users[self.geometry.object_index(address)] = list(users)
        return scene


def _utterance(who: AgentId, action: Action, at: Time) -> Utterance:
    return Utterance(who, action.fields["text"].strip(), at, action.sources, action.audience)


def _append_event(events: list[Event], event: Event | None) -> None:
    if event is not None:
        events.append(event)
