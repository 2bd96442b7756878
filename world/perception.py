"""What each body perceives of a world's state, and what it may do.

Observations and affordances are cached by the versions of the zone and of the body.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from ..core import Affordance, AgentId, Event, Observation, VisibleAgent
from .body_state import BodyState, join_names, place_phrase
from .conversations import OpenConversation
from .geometry import WALK_SCHEMA
from .world_state import IDLE, WorldState

WAIT = Affordance("wait")
CONTINUE = Affordance("continue")
LEAVE = Affordance("leave")
WALK = Affordance("walk", "", WALK_SCHEMA)
_TEXT_SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 1}},
    "required": ["text"],
}
FLOOR_HOLDER_AFFORDANCES = (Affordance("say", "", _TEXT_SCHEMA), LEAVE, WAIT, CONTINUE)
LISTENER_AFFORDANCES = (
    *(Affordance("listen"), Affordance("interrupt", "", _TEXT_SCHEMA), LEAVE),
    *(WAIT, CONTINUE),
)


@dataclass(slots=True)
class _View:
    """What one body perceives, with the versions at which each part was computed."""

    surroundings_key: tuple[int, int] | None = None
    events: tuple[Event, ...] = ()
    people: tuple[VisibleAgent, ...] = ()
    observation_key: tuple[int, int] | None = None
    observation: Observation | None = None
    affordances_key: tuple[int, int] | None = None
    affordances: tuple[Affordance, ...] = ()


class Perception:
    """Observations and affordances of the bodies in a WorldState."""

    def __init__(self, state: WorldState) -> None:
        self._state = state
        self._views: defaultdict[AgentId, _View] = defaultdict(_View)

    def forget(self, who: AgentId) -> None:
        """Drop the cache of a body that leaves the world."""
        self._views.pop(who, None)

    def activity_event(self, body: BodyState) -> Event:
        """A body's activity as others see it."""
        place = self._state.geometry.place(body.spot)
        if body.activity_event is None or body.activity_event.place != place:
            conversation = self._state.conversations.conversation_of(body.who)
            if conversation is not None:
                others = [who for who in conversation.members if who != body.who]
                doing = f"talking with {join_names(others)}"
            elif body.route:
                doing = f"walking to {place_phrase(body.target)}"
            else:
                doing = body.activity.doing or IDLE
            text = f"{body.who} is {doing}"
            event = Event("doing", body.who, "is", doing, text, place, body.sources)
            body.activity_event = event
        return body.activity_event

    def _visible_bodies(self, observer: BodyState) -> list[tuple[int, int, BodyState]]:
        """The bodies in sight as (rank, distance, body), nearest first, then by name."""
        distance_of, spot = self._state.geometry.distance, observer.spot
        visible = []
        for body in self._state.bodies_near(observer).values():
            if body is not observer:
                rank, distance = distance_of(spot, body.spot)
                if distance <= observer.profile.vision:
                    visible.append((rank, distance, body))
        visible.sort(key=lambda entry: (entry[0], entry[2].who))
        return visible

    def _surroundings(self, observer: BodyState) -> _View:
        """The observer's view with its events and people up to date."""
        view = self._views[observer.who]
        key = (observer.spot, self._state.version(observer))
        if view.surroundings_key == key:
            return view
        bodies = self._visible_bodies(observer)
        objects = self._state.geometry.visible_objects(observer.spot, observer.profile.vision)
        limit, events = observer.profile.attention, self._state.object_events
        if bodies:
            # At equal distance bodies come before objects, then names and indices decide.
            ranked = [(rank, 0, body.who, self.activity_event(body)) for rank, _, body in bodies]
            ranked += [(rank, 1, f"{index:09}", events[index]) for rank, index in objects[:limit]]
            ranked.sort(key=lambda entry: entry[:3])
            view.events = tuple(entry[3] for entry in ranked[:limit])
        else:
            view.events = tuple(events[index] for _, index in objects[:limit])
        view.people = tuple(
            VisibleAgent(
                body.who,
                distance,
                self.activity_event(body).object,
                not body.asleep,
                self._state.conversations.conversation_of(body.who) is not None,
                body.sources,
            )
            for _, distance, body in bodies
        )
        view.surroundings_key = key
        return view

    def observe(self, body: BodyState) -> Observation:
        """What a body perceives now."""
        view = self._views[body.who]
        key = (self._state.version(body), body.version)
        if view.observation_key == key and view.observation is not None:
            return view.observation
        self._surroundings(body)
        conversation = self._state.conversations.conversation_of(body.who)
        hearers = [] if conversation is None else self.overhearers(body, conversation)
        view.observation = Observation(
            body.who,
            body.at,
            self._state.geometry.place(body.spot),
            self._state.geometry.position(body.spot),
            view.events,
            view.people,
            tuple(body.notices),
            body.activity.doing,
            body.target,
            not body.route,
            body.ended_conversation if conversation is None else conversation.view(body.who),
            tuple(hearer.who for hearer in hearers),
            body.sources,
        )
        view.observation_key = key
        return view.observation

    def affordances(self, body: BodyState) -> tuple[Affordance, ...]:
        """What a body may do now."""
        view = self._views[body.who]
        key = (self._state.version(body), body.version)
        if view.affordances_key != key:
            view.affordances = self._find_affordances(body)
            view.affordances_key = key
        return view.affordances

    def _find_affordances(self, body: BodyState) -> tuple[Affordance, ...]:
        conversation = self._state.conversations.conversation_of(body.who)
        if conversation is not None:
            holds_floor = conversation.floor == body.who
            return FLOOR_HOLDER_AFFORDANCES if holds_floor else LISTENER_AFFORDANCES
        knows = body.profile.knows
        destinations = self._state.geometry.destinations(body.spot, knows).affordances
        if body.profile.person and self._state.geometry.position(body.spot) is not None:
            destinations = (WALK, *destinations)
        if body.asleep:
            return (WAIT, CONTINUE, *destinations)
        partners = [
            Affordance("join" if person.talking else "talk", person.who)
            for person in self._surroundings(body).people
            if person.awake
        ]
        return (WAIT, CONTINUE, *partners, *destinations)

    def overhearers(self, speaker: BodyState, conversation: OpenConversation) -> list[BodyState]:
        """Those awake who see the speaker and are not in its conversation, by name."""
        distance_of = self._state.geometry.distance
        return [
            body
            for _, body in sorted(self._state.bodies_near(speaker).items())
            if body.who not in conversation.members
            and not body.asleep
            and distance_of(body.spot, speaker.spot)[1] <= body.profile.vision
        ]
