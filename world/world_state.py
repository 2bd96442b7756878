"""The changing state of a world, and what each body perceives of it.

Perception is what costs time in a town, so everything that can change what is seen raises
the version of its zone, and as long as a zone's version stands, its observations stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core import Affordance, AgentId, Event, Observation, VisibleAgent, WorldError
from .body_state import DEFAULT_OBJECT_STATE, BodyState, join_names, place_phrase
from .conversations import Conversation, Conversations
from .geometry import Geometry, Spot

WAIT = Affordance("wait")
CONTINUE = Affordance("continue")
_TEXT_SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 1}},
    "required": ["text"],
}
LEAVE = Affordance("leave")
FLOOR_HOLDER_AFFORDANCES = (Affordance("say", "", _TEXT_SCHEMA), LEAVE, WAIT, CONTINUE)
LISTENER_AFFORDANCES = (
    Affordance("listen"),
    Affordance("interrupt", "", _TEXT_SCHEMA),
    LEAVE,
    WAIT,
    CONTINUE,
)
IDLE = "idle"


class WorldState:
    """Who is where and does what, and the state of each object."""

    def __init__(self, ground: Geometry, talks: Conversations) -> None:
        self.geometry = ground
        self.conversations = talks
        self.bodies: dict[AgentId, BodyState] = {}
        self.object_states: list[str] = []
        self.object_sources: list[tuple[str, ...]] = []
        """On whose words the state of each object rests."""
        self.object_users: list[list[AgentId]] = []
        self._object_events: list[Event] = []
        self._zones: dict[int, dict[AgentId, BodyState]] = {}
        self._versions: dict[int, int] = {}
        self._partner_affordances: dict[tuple[str, AgentId], Affordance] = {}
        self.restore({}, {})

    def restore(
        self,
        dwellers: Mapping[AgentId, BodyState],
        states: Mapping[str, str],
        tellers: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Begin anew with these bodies and these states of objects (all others idle), which
        rest on the words of those ``object_sources``."""
        self.bodies = dict(dwellers)
        told = tellers or {}
        self.object_sources = [tuple(told.get(address, ())) for address in self.geometry.objects]
        self.object_states = [states.get(address, IDLE) for address in self.geometry.objects]
        self.object_users = [[] for _ in self.object_states]
        self._object_events = [
            self._object_event(number) for number in range(len(self.object_states))
        ]
        self._zones = {}
        for one in self.bodies.values():
            self._zones.setdefault(self.geometry.zone(one.spot), {})[one.who] = one
        self._versions = {}

    def body(self, who: AgentId) -> BodyState:
        """The body called ``who``. Raises WorldError when it is not in the world."""
        found = self.bodies.get(who)
        if found is None:
            known = ", ".join(sorted(self.bodies)) or "nobody"
            raise WorldError(f"'{who}' is not in this world (here: {known}); let it enter first")
        return found

    # -- changes ---------------------------------------------------------------------------

    def mark_changed(self, one: BodyState) -> None:
        """Something about a body changed that it or others may see."""
        one.version += 1
        one.event = None
        self._bump_version(one.spot)

    def _bump_version(self, spot: Spot) -> None:
        zone = self.geometry.zone(spot)
        self._versions[zone] = self._versions.get(zone, 0) + 1

    def add(self, one: BodyState) -> None:
        """Put a body into the world."""
        self.bodies[one.who] = one
        self._zones.setdefault(self.geometry.zone(one.spot), {})[one.who] = one
        self.mark_changed(one)

    def remove(self, one: BodyState) -> None:
        """Take a body out of the world."""
        del self.bodies[one.who]
        del self._zones[self.geometry.zone(one.spot)][one.who]
        self._bump_version(one.spot)

    def move(self, one: BodyState, spot: Spot) -> None:
        """Put a body on another spot."""
        before, after = self.geometry.zone(one.spot), self.geometry.zone(spot)
        if before != after:
            self._bump_version(one.spot)
            del self._zones[before][one.who]
            self._zones.setdefault(after, {})[one.who] = one
        one.spot = spot
        one.version += 1
        self._bump_version(spot)

    def set_object_state(
        self, number: int, state: str, sources: tuple[str, ...] = ()
    ) -> Event | None:
        """Give an object a state, on the words of ``sources``; the event when that is new."""
        if self.object_states[number] == state:
            # Both may have said it: neither is cleared.
            known = set(self.object_sources[number])
            if not known.issuperset(sources):
                self.object_sources[number] = tuple(sorted(known.union(sources)))
                self._object_events[number] = self._object_event(number)
                self._bump_versions_around(number)
            return None
        self.object_states[number], self.object_sources[number] = state, sources
        self._object_events[number] = event = self._object_event(number)
        self._bump_versions_around(number)
        return event

    def _bump_versions_around(self, number: int) -> None:
        for zone in self.geometry.zones_of_object(number):
            self._versions[zone] = self._versions.get(zone, 0) + 1

    def use_object(self, one: BodyState, number: int) -> Event | None:
        """A body that has arrived begins to use an object, or uses it in another way."""
        if one.object_in_use != number:
            one.object_in_use = number
            self.object_users[number].append(one.who)
        return self.set_object_state(number, one.state, _state_sources(one))

    def release_object(self, one: BodyState) -> Event | None:
        """A body lets go of what it uses: the state is the last remaining user's, else idle."""
        number, one.object_in_use = one.object_in_use, -1
        if number < 0:
            return None
        users = self.object_users[number]
        users.remove(one.who)
        if not users:
            return self.set_object_state(number, IDLE)
        last = self.bodies[users[-1]]
        return self.set_object_state(number, last.state, _state_sources(last))

    # -- what is seen ----------------------------------------------------------------------

    def _object_event(self, number: int) -> Event:
        address, state = self.geometry.objects[number], self.object_states[number]
        name = address.rpartition(":")[2]
        told = self.object_sources[number]
        return Event("object", name, "is", state, f"{name} is {state}", address, told)

    def activity_event(self, one: BodyState) -> Event:
        """What a body is doing, as others see it."""
        if one.event is None or one.event.place != self.geometry.place(one.spot):
            talk = self.conversations.conversation_of(one.who)
            if talk is not None:
                others = [who for who in talk.members if who != one.who]
                what = f"talking with {join_names(others)}"
            elif one.route:
                what = f"walking to {place_phrase(one.target)}"
            else:
                what = one.doing or IDLE
            place = self.geometry.place(one.spot)
            text = f"{one.who} is {what}"
            one.event = Event("doing", one.who, "is", what, text, place, one.sources)
        return one.event

    def version(self, one: BodyState) -> int:
        """The version of the zone a body is in."""
        return self._versions.get(self.geometry.zone(one.spot), 0)

    def visible_bodies(self, one: BodyState) -> list[tuple[int, int, AgentId, BodyState]]:
        """Bodies that ``one`` sees, as (rank, distance, name, body), nearest first."""
        gap, spot, vision = self.geometry.distance, one.spot, one.body.vision
        found = []
        for other in self._zones[self.geometry.zone(spot)].values():
            if other is not one:
                rank, distance = gap(spot, other.spot)
                if distance <= vision:
                    found.append((rank, distance, other.who, other))
        found.sort(key=lambda entry: (entry[0], entry[2]))
        return found

    def _update_perception(self, one: BodyState) -> None:
        key = (one.spot, self.version(one))
        if one.surroundings_key == key:
            return
        seen = self.visible_bodies(one)
        things = self.geometry.visible_objects(one.spot, one.body.vision)
        limit = one.body.attention
        if seen:
            # At equal distance people come before things, then names and numbers decide.
            ranked = [(rank, 0, who, self.activity_event(other)) for rank, _, who, other in seen]
            ranked += [(rank, 1, f"{n:09}", self._object_events[n]) for rank, n in things[:limit]]
            ranked.sort(key=lambda entry: entry[:3])
            one.events = tuple(entry[3] for entry in ranked[:limit])
        else:
            one.events = tuple(self._object_events[number] for _, number in things[:limit])
        one.visible_agents = tuple(
            VisibleAgent(
                who,
                distance,
                self.activity_event(other).object,
                not other.asleep,
                self.conversations.conversation_of(who) is not None,
                other.sources,
            )
            for _, distance, who, other in seen
        )
        one.surroundings_key = key

    def observe(self, one: BodyState) -> Observation:
        """What a body takes in now."""
        key = (self.version(one), one.version)
        if one.observation_key == key and one.observation is not None:
            return one.observation
        self._update_perception(one)
        talk = self.conversations.conversation_of(one.who)
        one.observation = Observation(
            one.who,
            one.at,
            self.geometry.place(one.spot),
            self.geometry.position(one.spot),
            one.events,
            one.visible_agents,
            tuple(one.notices),
            one.doing,
            one.target,
            not one.route,
            one.ended_talk if talk is None else talk.view(one.who),
            () if talk is None else tuple(other.who for other in self.overhearers(one, talk)),
            one.sources,
        )
        one.observation_key = key
        return one.observation

    def affordances(self, one: BodyState) -> tuple[Affordance, ...]:
        """What a body may do now."""
        key = (self.version(one), one.version)
        if one.affordances_key != key:
            one.affordances, one.partners = self._afford(one)
            one.affordances_key = key
        return one.affordances

    def _afford(
        self, one: BodyState
    ) -> tuple[tuple[Affordance, ...], frozenset[tuple[str, AgentId]]]:
        talk = self.conversations.conversation_of(one.who)
        if talk is not None:
            return (
                FLOOR_HOLDER_AFFORDANCES if talk.floor == one.who else LISTENER_AFFORDANCES
            ), frozenset()
        goals = self.geometry.destinations(one.spot, one.body.knows).affordances
        if one.asleep:
            return (WAIT, CONTINUE, *goals), frozenset()
        self._update_perception(one)
        partners = tuple(
            ("join" if other.talking else "talk", other.who)
            for other in one.visible_agents
            if other.awake
        )
        social = tuple(self._partner(verb, who) for verb, who in partners)
        return (WAIT, CONTINUE, *social, *goals), frozenset(partners)

    def _partner(self, verb: str, who: AgentId) -> Affordance:
        found = self._partner_affordances.get((verb, who))
        if found is None:
            found = self._partner_affordances[verb, who] = Affordance(verb, who)
        return found

    def overhearers(self, speaker: BodyState, talk: Conversation) -> list[BodyState]:
        """Those awake who see the speaker and are not in its conversation, by name."""
        gap = self.geometry.distance
        return [
            other
            for _, other in sorted(self._zones[self.geometry.zone(speaker.spot)].items())
            if other.who not in talk.members
            and not other.asleep
            and gap(other.spot, speaker.spot)[1] <= other.body.vision
        ]


def _state_sources(one: BodyState) -> tuple[str, ...]:
    """On whose words the state rests that a body gives to what it uses."""
    if one.state == DEFAULT_OBJECT_STATE:
        return ()
    return tuple(sorted({one.who, *one.sources}))
