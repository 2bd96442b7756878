"""The changing state of a world: its bodies, its objects, its conversations.

Each zone has a version, which every change that can be perceived in it increments. Perception takes
most of a town's time, so observations are cached until the version changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core import AgentId, Event, WorldError
from .body_state import BodyState
from .conversations import Conversations
from .geometry import Geometry, Spot

IDLE = "idle"  # the state of an object that nobody uses, and the activity of a body without one


class WorldState:
    """The position and activity of each body, and the state of each object.

    Lists of objects are indexed as ``Geometry.objects``: ``object_states`` are texts,
    ``object_sources`` label them, ``object_users`` are the bodies that use each object in the
    order in which they began, ``object_events`` describe the states.
    """

    def __init__(self, geometry: Geometry, conversations: Conversations) -> None:
        self.geometry = geometry
        self.conversations = conversations
        self.restore({}, {}, {})

    def restore(
        self,
        bodies: Mapping[AgentId, BodyState],
        states: Mapping[str, str],
        sources: Mapping[str, Sequence[str]],
    ) -> None:
        """Replace bodies and object states; ``states`` and ``sources`` map the addresses of
        objects, and objects that are not in them are idle."""
        objects = self.geometry.objects
        self.bodies = dict(bodies)
        self.object_sources = [tuple(sources.get(address, ())) for address in objects]
        self.object_states = [states.get(address, IDLE) for address in objects]
        self.object_users: list[list[AgentId]] = [[] for _ in objects]
        self.object_events = [self._object_event(index) for index in range(len(objects))]
        self._zones: dict[int, dict[AgentId, BodyState]] = {}
        for body in self.bodies.values():
            self._zones.setdefault(self.geometry.zone(body.spot), {})[body.who] = body
        self._versions: dict[int, int] = {}

    def body(self, who: AgentId) -> BodyState:
        """The body called ``who``. Raises WorldError when it is not in the world."""
        body = self.bodies.get(who)
        if body is None:
            known = ", ".join(sorted(self.bodies)) or "nobody"
            raise WorldError(f"'{who}' is not in this world (here: {known}); let it enter first")
        return body

    def bodies_near(self, body: BodyState) -> Mapping[AgentId, BodyState]:
        """The bodies in a body's zone, itself included."""
        return self._zones[self.geometry.zone(body.spot)]

    def version(self, body: BodyState) -> int:
        """The version of the zone a body is in."""
        return self._versions.get(self.geometry.zone(body.spot), 0)

    def mark_changed(self, body: BodyState) -> None:
        """Record that something about a body changed that it or others may perceive."""
        body.version += 1
        body.activity_event = None
        self._bump_version(body.spot)

    def _bump_version(self, spot: Spot) -> None:
        zone = self.geometry.zone(spot)
        self._versions[zone] = self._versions.get(zone, 0) + 1

    def add(self, body: BodyState) -> None:
        """Put a body into the world."""
        self.bodies[body.who] = body
        self._zones.setdefault(self.geometry.zone(body.spot), {})[body.who] = body
        self.mark_changed(body)

    def remove(self, body: BodyState) -> None:
        """Take a body out of the world."""
        del self.bodies[body.who]
        del self._zones[self.geometry.zone(body.spot)][body.who]
        self._bump_version(body.spot)

    def move(self, body: BodyState, spot: Spot) -> None:
        """Put a body on another spot."""
        before, after = self.geometry.zone(body.spot), self.geometry.zone(spot)
        if before != after:
            self._bump_version(body.spot)
            del self._zones[before][body.who]
            self._zones.setdefault(after, {})[body.who] = body
        body.spot = spot
        body.version += 1
        self._bump_version(spot)

    def set_object_state(
        self, index: int, state: str, sources: tuple[str, ...] = ()
    ) -> Event | None:
        """Set the state of an object with its sources; the event, None if the state is the same
        as before. The sources of an equal state are added to those it has."""
        changed = self.object_states[index] != state
        if not changed:
            known = set(self.object_sources[index])
            if known.issuperset(sources):
                return None
            sources = tuple(sorted(known.union(sources)))
        self.object_states[index], self.object_sources[index] = state, sources
        self.object_events[index] = event = self._object_event(index)
        for zone in self.geometry.zones_of_object(index):
            self._versions[zone] = self._versions.get(zone, 0) + 1
        return event if changed else None

    def use_object(self, body: BodyState, index: int) -> Event | None:
        """Let a body at an object use it; the event of its state, if that changed."""
        if body.object_in_use != index:
            body.object_in_use = index
            self.object_users[index].append(body.who)
        return self.set_object_state(index, body.activity.object_state, body.object_sources)

    def release_object(self, body: BodyState) -> Event | None:
        """End a body's use of an object, whose state becomes that of its last remaining user,
        else idle; the event of it, if it changed."""
        index, body.object_in_use = body.object_in_use, -1
        if index < 0:
            return None
        users = self.object_users[index]
        users.remove(body.who)
        if not users:
            return self.set_object_state(index, IDLE)
        last = self.bodies[users[-1]]
        return self.set_object_state(index, last.activity.object_state, last.object_sources)

    def _object_event(self, index: int) -> Event:
        address, state = self.geometry.objects[index], self.object_states[index]
        name = address.rpartition(":")[2]
        text = f"{name} is {state}"
        return Event("object", name, "is", state, text, address, self.object_sources[index])
