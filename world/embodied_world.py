"""The rules of a world of bodies, over any geometry: the base class of ``Town`` and ``Places``.

A step has phases, so that within a step no body reacts to what another does in it:
conversations open, activities begin, bodies walk, one line is said, members leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, TypeAlias

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
from .body_state import Activity, BodyState, activity_error, join_names, parse_activity
from .conversations import Conversations, OpenConversation, heard_by
from .geometry import Geometry
from .perception import Perception
from .world_state import IDLE, WorldState

SAVE_FORMAT = 1
LOOK_AROUND = "looking around"  # what a person does who walks to a spot and names nothing else

_Kind: TypeAlias = Literal["moved", "refused", "said", "talk"]


class EmbodiedWorld:
    """A World over a Geometry. Bodies walk ``speed`` spots a step. A conversation ends after
    ``most_lines`` lines; a member that is silent for ``patience`` steps loses the floor."""

    def __init__(
        self,
        geometry: Geometry,
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
        self.geometry = geometry
        self._start = start
        self._step_length = timedelta(seconds=step_seconds)
        self._speed = speed
        self._use_state(WorldState(geometry, Conversations(most_lines, patience)))

    def _use_state(self, state: WorldState) -> None:
        self._state = state
        self._conversations = state.conversations
        self._perception = Perception(state)

    # -- entering, leaving, perceiving -----------------------------------------------------

    def enter(self, body: Body) -> None:
        """Add a body at its start tile, at its home, or where the geometry lets bodies appear.
        Raises WorldError for a taken name, and for a home or start that is no place."""
        if not body.who.strip() or ":" in body.who or body.who == EVERYBODY:
            raise WorldError(f"'{body.who}' cannot name a body; give a word without colons")
        if body.who in self._state.bodies:
            raise WorldError(f"'{body.who}' is already here; choose another name")
        present = self._state.bodies.values()
        taken = {other.reserved_spot for other in present}
        now = max((other.at for other in present), default=self._start)
        self._state.add(BodyState(body, now, self.geometry.entry_spot(body, taken)))
        if body.patience:
            self._conversations.own_patience[body.who] = body.patience

    def leave(self, who: AgentId) -> None:
        """Remove a body: it leaves its conversation and releases the object that it uses."""
        body = self._state.body(who)
        self._state.release_object(body)
        conversation = self._conversations.conversation_of(who)
        if conversation is not None:
            members = tuple(conversation.members)
            self._leave_conversation(body, conversation, [])
            self._close_if_over(conversation, members, [])
        self._state.remove(body)
        self._conversations.own_patience.pop(who, None)
        self._perception.forget(who)

    def observe(self, who: AgentId) -> Observation:
        """What ``who`` perceives now."""
        return self._perception.observe(self._state.body(who))

    def affordances(self, who: AgentId) -> tuple[Affordance, ...]:
        """What ``who`` may do now: wait, continue, act at places it knows, talk to or join those
        in sight; in a conversation say or listen and interrupt, and leave. A person may also walk
        to a tile."""
        return self._perception.affordances(self._state.body(who))

    # -- a step ----------------------------------------------------------------------------

    def step(
        self, actions: Mapping[AgentId, Action], at: Time, order: tuple[AgentId, ...]
    ) -> StepResult:
        """Let bodies act at once; conflicts are settled in ``order``, which must name them."""
        missing = sorted(set(actions) - set(order))
        if missing:
            raise WorldError(f"order names no '{missing[0]}', who acts; list all who act")
        acting = [self._state.body(who) for who in order if who in actions]
        if len(acting) != len(actions):
            raise WorldError("order names somebody twice; list each body once")
        events: list[Event] = []
        # Affordances are those from before anybody acted.
        problems = [self._why_not_afforded(body, actions[body.who]) for body in acting]
        for body in acting:
            body.notices.clear()
            body.ended_conversation = None
            body.at = at + self._step_length
            body.version += 1
        allowed: list[tuple[BodyState, Action]] = []
        for body, problem in zip(acting, problems):
            action = actions[body.who]
            if problem:
                self._refuse(body, action, problem, events)
            else:
                allowed.append((body, action))
        conversations = self._conversations_of(acting)
        self._open_conversations(allowed, events)
        self._act(allowed, events)
        self._set_out(allowed, events)
        self._walk(allowed, events)
        self._advance_conversations(conversations, allowed, order, at, events)
        observations = {body.who: self._perception.observe(body) for body in acting}
        return StepResult(observations, tuple(events))

    def _why_not_afforded(self, body: BodyState, action: Action) -> str:
        verb, fields = action.verb, action.fields
        if verb in ("wait", "continue"):
            return ""
        if not isinstance(fields, dict):
            return "its fields are no table"
        if verb == "act":
            if self._conversations.conversation_of(body.who) is not None:
                return "it is in a conversation"
            places = self.geometry.destinations(body.spot, body.profile.knows).addresses
            if action.target not in places:
                hint = did_you_mean(action.target, places)
                return f"no such place is known and within reach{hint}"
            return activity_error(fields)
        offered = self._perception.affordances(body)
        if verb in ("talk", "join"):
            is_offered = any((verb, action.target) == (a.verb, a.target) for a in offered)
            return "" if is_offered else "that person is not there to be talked to that way"
        if all(verb != affordance.verb for affordance in offered):
            return "that is not possible now"
        if verb == "walk":
            spot = self.geometry.spot_at(fields.get("x"), fields.get("y"))
            return "" if spot is not None else "nobody can stand there"
        text = fields.get("text")
        has_text = isinstance(text, str) and bool(text.strip())
        return "" if has_text or verb not in ("say", "interrupt") else "the field 'text' is empty"

    def _refuse(self, body: BodyState, action: Action, why: str, events: list[Event]) -> None:
        what = f"{action.verb} {action.target}".strip()
        text = f"cannot {what}: {why}"
        event = self._event("refused", body, "cannot", what, text, sources=action.sources)
        events.append(event)
        self._notify(body, event)

    def _event(
        self, kind: _Kind, body: BodyState, *parts: str, sources: tuple[str, ...] = ()
    ) -> Event:
        """An event about a body; the parts are predicate, object and the text after its name."""
        predicate, thing, text = parts
        place = self.geometry.place(body.spot)
        return Event(kind, body.who, predicate, thing, f"{body.who} {text}", place, sources)

    def _notify(self, body: BodyState, event: Event) -> None:
        body.notices.append(event)
        body.version += 1

    def _conversations_of(self, bodies: list[BodyState]) -> list[OpenConversation]:
        """The distinct conversations of some bodies, in the order of the bodies."""
        conversations: dict[str, OpenConversation] = {}
        for body in bodies:
            conversation = self._conversations.conversation_of(body.who)
            if conversation is not None:
                conversations[conversation.id] = conversation
        return list(conversations.values())

    def _open_conversations(
        self, allowed: list[tuple[BodyState, Action]], events: list[Event]
    ) -> None:
        for body, action in allowed:
            if action.verb not in ("talk", "join"):
                continue
            current = self._conversations.conversation_of(body.who)
            conversation = self._conversations.conversation_of(action.target)
            if current is not None:
                if current is not conversation:
                    self._refuse(body, action, "somebody else began to talk with it", events)
                continue
            if conversation is None:
                conversation = self._conversations.open(body.who, action.target)
                verb, phrase = "talks to", "begins to talk to"
            else:
                self._conversations.join(body.who, conversation)
                verb, phrase = "joins", "joins the conversation of"
            others = join_names([who for who in conversation.members if who != body.who])
            event = self._event("talk", body, verb, others, f"{phrase} {others}")
            events.append(event)
            for who in conversation.members:
                member = self._state.body(who)
                self._state.mark_changed(member)
                self._notify(member, event)

    def _act(self, allowed: list[tuple[BodyState, Action]], events: list[Event]) -> None:
        for body, action in allowed:
            if action.verb != "act":
                continue
            activity = parse_activity(action)
            if body.target != action.target:
                others = (other for other in self._state.bodies.values() if other is not body)
                taken = {other.reserved_spot for other in others}
                route = self.geometry.route(body.spot, action.target, taken)
                if route is None:
                    self._refuse(body, action, "there is no way to it", events)
                    continue
                _append_event(events, self._state.release_object(body))
                body.target = action.target
                body.route = list(reversed(route))
            elif (activity, action.sources) == (body.activity, body.sources):
                continue
            body.activity, body.sources = activity, action.sources
            self._state.mark_changed(body)
            if not body.route:
                self._arrive(body, events)

    def _set_out(self, allowed: list[tuple[BodyState, Action]], events: list[Event]) -> None:
        """Begin the walks of people to a spot of their choice."""
        for body, action in allowed:
            if action.verb != "walk" or self._conversations.conversation_of(body.who) is not None:
                continue
            goal = self.geometry.spot_at(action.fields["x"], action.fields["y"])
            others = (other for other in self._state.bodies.values() if other is not body)
            taken = {other.reserved_spot for other in others}
            route = None if goal is None else self.geometry.route_to_spot(body.spot, goal, taken)
            if goal is None or route is None:
                self._refuse(body, action, "there is no way to it", events)
                continue
            _append_event(events, self._state.release_object(body))
            body.target = self.geometry.place(goal)
            body.route = list(reversed(route))
            body.activity, body.sources = Activity(action.fields.get("doing") or LOOK_AROUND), ()
            self._state.mark_changed(body)

    def _walk(self, allowed: list[tuple[BodyState, Action]], events: list[Event]) -> None:
        for body, action in allowed:
            if action.verb not in ("act", "continue", "walk") or not body.route:
                continue
            if self._conversations.conversation_of(body.who) is not None:
                continue
            before = self.geometry.place(body.spot)
            for _ in range(min(self._speed, len(body.route))):
                self._state.move(body, body.route.pop())
            place = self.geometry.place(body.spot)
            if place != before:
                text = f"comes to {place.rpartition(':')[2]}"
                events.append(self._event("moved", body, "comes to", place, text))
            if not body.route:
                self._state.mark_changed(body)
                self._arrive(body, events)

    def _arrive(self, body: BodyState, events: list[Event]) -> None:
        events.append(self._perception.activity_event(body))
        index = self.geometry.object_index(body.target)
        if index >= 0:
            _append_event(events, self._state.use_object(body, index))

    def _advance_conversations(
        self,
        conversations: list[OpenConversation],
        allowed: list[tuple[BodyState, Action]],
        order: tuple[AgentId, ...],
        at: Time,
        events: list[Event],
    ) -> None:
        """Let one line be said in each conversation, members leave, and close what is over."""
        actions = {body.who: action for body, action in allowed}
        for conversation in conversations:
            members = tuple(conversation.members)
            lines = {
                who: _utterance(who, actions[who], at)
                for who in members
                if who in actions and actions[who].verb in ("say", "interrupt")
            }
            line = self._conversations.speak(conversation, lines, order)
            if line is not None:
                self._announce(line, conversation, events)
            for who in members:
                self._state.body(who).version += 1
            for body, action in allowed:
                if action.verb == "leave" and body.who in members:
                    self._leave_conversation(body, conversation, events)
                    body.ended_conversation = _final_view(body.who, conversation, members)
            self._close_if_over(conversation, members, events)

    def _announce(
        self, line: Utterance, conversation: OpenConversation, events: list[Event]
    ) -> None:
        """Add the event of a line, and let those nearby overhear it."""
        speaker = self._state.body(line.who)
        others = join_names([who for who in conversation.members if who != line.who])
        text = f'says to {others}: "{line.text}"'
        event = self._event("said", speaker, "says", others, text, sources=line.sources)
        events.append(event)
        for hearer in self._perception.overhearers(speaker, conversation):
            # An event has no audience: an agent that overheard it would pass it on.
            is_addressed_person = hearer.profile.person and hearer.who in line.audience
            if is_addressed_person or not line.audience:
                self._notify(hearer, event)

    def _leave_conversation(
        self, body: BodyState, conversation: OpenConversation, events: list[Event]
    ) -> None:
        """Take a member out of a conversation; all members notice."""
        others = join_names([who for who in conversation.members if who != body.who])
        event = self._event(
            "talk", body, "leaves", others, f"leaves the conversation with {others}"
        )
        events.append(event)
        for who in conversation.members:
            self._notify(self._state.body(who), event)
            self._state.mark_changed(self._state.body(who))
        self._conversations.leave(body.who)

    def _close_if_over(
        self, conversation: OpenConversation, members: tuple[AgentId, ...], events: list[Event]
    ) -> None:
        """Close a conversation that is over; its members observe all of it once more."""
        if not self._conversations.is_over(conversation):
            return
        self._conversations.close(conversation)
        names = join_names(members)
        text = f"the conversation of {names} has ended"
        for who in conversation.members:
            body = self._state.body(who)
            place = self.geometry.place(body.spot)
            event = Event("talk", who, "ends talking with", names, text, place)
            body.ended_conversation = _final_view(who, conversation, members)
            events.append(event)
            self._notify(body, event)
            self._state.mark_changed(body)

    # -- from outside ----------------------------------------------------------------------

    def tell(self, event: Event, to: tuple[AgentId, ...] = ()) -> None:
        """Let an event happen that no body caused. ``to`` notices it; without ``to`` those who
        have its place in sight, and without a place everybody. An event of kind "object" sets
        the state of the object at its place. Raises WorldError for an unknown name or place."""
        bodies = [self._state.body(who) for who in to]
        if event.kind == "object":
            index = self.geometry.object_index(event.place)
            if index < 0:
                hint = did_you_mean(event.place, self.geometry.objects)
                raise WorldError(f"no object at '{event.place}'{hint}; give an object's address")
            self._state.set_object_state(index, event.object or IDLE, event.sources)
        if not to:
            bodies = [
                body
                for body in self._state.bodies.values()
                if not event.place
                or self.geometry.is_in_view(event.place, body.spot, body.profile.vision)
            ]
        for body in bodies:
            self._notify(body, event)

    def save(self) -> Json:
        """The changing state as JSON; the geometry is not part of it."""
        state, objects = self._state, self.geometry.objects
        return {
            "format": SAVE_FORMAT,
            "ground": self.geometry.name,
            "bodies": [body.save() for body in state.bodies.values()],
            "states": {objects[n]: s for n, s in enumerate(state.object_states) if s != IDLE},
            "tellers": {objects[n]: list(s) for n, s in enumerate(state.object_sources) if s},
            "users": {objects[n]: list(u) for n, u in enumerate(state.object_users) if u},
            "talks": state.conversations.save(),
        }

    def load(self, state: Json) -> None:
        """Restore a saved state. Raises WorldError, and changes nothing, when it does not fit."""
        if not isinstance(state, dict) or state.get("format") != SAVE_FORMAT:
            raise WorldError("the state was not saved by such a world; load what save() returned")
        if state.get("ground") != self.geometry.name:
            raise WorldError(
                f"the state is of '{state.get('ground')}', this world is '{self.geometry.name}'; "
                "load it into a world on the same map"
            )
        try:
            self._use_state(self._loaded(state))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise WorldError(f"the saved state is broken ({error!r}); load another") from error

    def _loaded(self, saved: Json) -> WorldState:
        limits = self._conversations.most_lines, self._conversations.patience
        state = WorldState(self.geometry, Conversations(*limits))
        state.conversations.load(saved["talks"])
        sources = saved.get("tellers", {})
        for address in (*saved["states"], *saved["users"], *sources):
            if self.geometry.object_index(address) < 0:
                raise KeyError(address)
        bodies = [BodyState.load(data) for data in saved["bodies"]]
        state.restore({body.who: body for body in bodies}, saved["states"], sources)
        state.conversations.own_patience = {
            body.who: body.profile.patience for body in bodies if body.profile.patience
        }
        for address, users in saved["users"].items():
            state.object_users[self.geometry.object_index(address)] = list(users)
        return state


def _utterance(who: AgentId, action: Action, at: Time) -> Utterance:
    return Utterance(who, action.fields["text"].strip(), at, action.sources, action.audience)


def _final_view(
    who: AgentId, conversation: OpenConversation, members: tuple[AgentId, ...]
) -> ConversationView:
    """An ended conversation as ``who`` sees it, with all who were members in its last step."""
    return ConversationView(conversation.id, members, "", heard_by(who, conversation.lines), True)


def _append_event(events: list[Event], event: Event | None) -> None:
    if event is not None:
        events.append(event)
