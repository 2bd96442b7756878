"""The changing state of a world, and what each body perceives of it.

Perception is what costs time in a town, so everything that can change what is seen raises
the version of its zone, and as long as a zone's version stands, its observations stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core import (
    Affordance,
    AgentId,
    Event,
    Neighbour,
    Observation,
    WorldError,
)
from .activity import BEING_USED
from .dweller import Dweller, listed, named
from .ground import Ground, Spot
from .talks import Conversation, Talks

WAIT = Affordance("wait")
CONTINUE = Affordance("continue")
_TEXT = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 1}},
    "required": ["text"],
}
LEAVE = Affordance("leave")
HOLDER = (Affordance("say", "", _TEXT), LEAVE, WAIT, CONTINUE)
HEARER = (Affordance("listen"), Affordance("interrupt", "", _TEXT), LEAVE, WAIT, CONTINUE)
IDLE = "idle"


class Scenery:
    """Who is where and does what, and the state of each object."""

    def __init__(self, ground: Ground, talks: Talks) -> None:
        self.ground = ground
        self.talks = talks
        self.dwellers: dict[AgentId, Dweller] = {}
        self.states: list[str] = []
        self.tellers: list[tuple[str, ...]] = []
        """On whose words the state of each object rests."""
        self.users: list[list[AgentId]] = []
        self._things: list[Event] = []
        self._zones: dict[int, dict[AgentId, Dweller]] = {}
        self._versions: dict[int, int] = {}
        self._social: dict[tuple[str, AgentId], Affordance] = {}
        self.restore({}, {})

    def restore(
        self,
        dwellers: Mapping[AgentId, Dweller],
        states: Mapping[str, str],
        tellers: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Begin anew with these bodies and these states of objects (all others idle), which
        rest on the words of those ``tellers``."""
        self.dwellers = dict(dwellers)
        told = tellers or {}
        self.tellers = [tuple(told.get(address, ())) for address in self.ground.objects]
        self.states = [states.get(address, IDLE) for address in self.ground.objects]
        self.users = [[] for _ in self.states]
        self._things = [self._thing(number) for number in range(len(self.states))]
        self._zones = {}
        for one in self.dwellers.values():
            self._zones.setdefault(self.ground.zone(one.spot), {})[one.who] = one
        self._versions = {}

    def get(self, who: AgentId) -> Dweller:
        """The body called ``who``. Raises WorldError when it is not in the world."""
        found = self.dwellers.get(who)
        if found is None:
            known = ", ".join(sorted(self.dwellers)) or "nobody"
            raise WorldError(f"'{who}' is not in this world (here: {known}); let it enter first")
        return found

    # -- changes ---------------------------------------------------------------------------

    def touch(self, one: Dweller) -> None:
        """Something about a body changed that it or others may see."""
        one.version += 1
        one.event = None
        self._stir(one.spot)

    def _stir(self, spot: Spot) -> None:
        zone = self.ground.zone(spot)
        self._versions[zone] = self._versions.get(zone, 0) + 1

    def add(self, one: Dweller) -> None:
        """Put a body into the world."""
        self.dwellers[one.who] = one
        self._zones.setdefault(self.ground.zone(one.spot), {})[one.who] = one
        self.touch(one)

    def remove(self, one: Dweller) -> None:
        """Take a body out of the world."""
        del self.dwellers[one.who]
        del self._zones[self.ground.zone(one.spot)][one.who]
        self._stir(one.spot)

    def move(self, one: Dweller, spot: Spot) -> None:
        """Put a body on another spot."""
        before, after = self.ground.zone(one.spot), self.ground.zone(spot)
        if before != after:
            self._stir(one.spot)
            del self._zones[before][one.who]
            self._zones.setdefault(after, {})[one.who] = one
        one.spot = spot
        one.version += 1
        self._stir(spot)

    def set_state(self, number: int, state: str, sources: tuple[str, ...] = ()) -> Event | None:
        """Give an object a state, on the words of ``sources``; the event when that is new."""
        if self.states[number] == state:
            # Both may have said it: neither is cleared.
            known = set(self.tellers[number])
            if not known.issuperset(sources):
                self.tellers[number] = tuple(sorted(known.union(sources)))
                self._things[number] = self._thing(number)
                self._stir_around(number)
            return None
        self.states[number], self.tellers[number] = state, sources
        self._things[number] = event = self._thing(number)
        self._stir_around(number)
        return event

    def _stir_around(self, number: int) -> None:
        for zone in self.ground.zones_of(number):
            self._versions[zone] = self._versions.get(zone, 0) + 1

    def use(self, one: Dweller, number: int) -> Event | None:
        """A body that has arrived begins to use an object, or uses it in another way."""
        if one.using != number:
            one.using = number
            self.users[number].append(one.who)
        return self.set_state(number, one.state, _tellers(one))

    def release(self, one: Dweller) -> Event | None:
        """A body lets go of what it uses: the state is the last remaining user's, else idle."""
        number, one.using = one.using, -1
        if number < 0:
            return None
        users = self.users[number]
        users.remove(one.who)
        if not users:
            return self.set_state(number, IDLE)
        last = self.dwellers[users[-1]]
        return self.set_state(number, last.state, _tellers(last))

    # -- what is seen ----------------------------------------------------------------------

    def _thing(self, number: int) -> Event:
        address, state = self.ground.objects[number], self.states[number]
        name = address.rpartition(":")[2]
        told = self.tellers[number]
        return Event("object", name, "is", state, f"{name} is {state}", address, told)

    def doing(self, one: Dweller) -> Event:
        """What a body is doing, as others see it."""
        if one.event is None or one.event.place != self.ground.place(one.spot):
            talk = self.talks.of(one.who)
            if talk is not None:
                others = [who for who in talk.members if who != one.who]
                what = f"talking with {listed(others)}"
            elif one.route:
                what = f"walking to {named(one.target)}"
            else:
                what = one.doing or IDLE
            place = self.ground.place(one.spot)
            text = f"{one.who} is {what}"
            one.event = Event("doing", one.who, "is", what, text, place, one.sources)
        return one.event

    def version(self, one: Dweller) -> int:
        """The version of the zone a body is in."""
        return self._versions.get(self.ground.zone(one.spot), 0)

    def in_sight(self, one: Dweller) -> list[tuple[int, int, AgentId, Dweller]]:
        """Bodies that ``one`` sees, as (rank, distance, name, body), nearest first."""
        gap, spot, vision = self.ground.gap, one.spot, one.body.vision
        found = []
        for other in self._zones[self.ground.zone(spot)].values():
            if other is not one:
                rank, distance = gap(spot, other.spot)
                if distance <= vision:
                    found.append((rank, distance, other.who, other))
        found.sort(key=lambda entry: (entry[0], entry[2]))
        return found

    def _look(self, one: Dweller) -> None:
        key = (one.spot, self.version(one))
        if one.around_key == key:
            return
        seen = self.in_sight(one)
        things = self.ground.things(one.spot, one.body.vision)
        limit = one.body.attention
        if seen:
            # At equal distance people come before things, then names and numbers decide.
            ranked = [(rank, 0, who, self.doing(other)) for rank, _, who, other in seen]
            ranked += [(rank, 1, f"{n:09}", self._things[n]) for rank, n in things[:limit]]
            ranked.sort(key=lambda entry: entry[:3])
            one.events = tuple(entry[3] for entry in ranked[:limit])
        else:
            one.events = tuple(self._things[number] for _, number in things[:limit])
        one.people = tuple(
            Neighbour(
                who,
                distance,
                self.doing(other).object,
                not other.asleep,
                self.talks.of(who) is not None,
                other.sources,
            )
            for _, distance, who, other in seen
        )
        one.around_key = key

    def observe(self, one: Dweller) -> Observation:
        """What a body takes in now."""
        key = (self.version(one), one.version)
        if one.seen_key == key and one.seen is not None:
            return one.seen
        self._look(one)
        talk = self.talks.of(one.who)
        one.seen = Observation(
            one.who,
            one.at,
            self.ground.place(one.spot),
            self.ground.position(one.spot),
            one.events,
            one.people,
            tuple(one.notices),
            one.doing,
            one.target,
            not one.route,
            one.ended if talk is None else talk.view(one.who),
            () if talk is None else tuple(other.who for other in self.hearers(one, talk)),
            one.sources,
        )
        one.seen_key = key
        return one.seen

    def affordances(self, one: Dweller) -> tuple[Affordance, ...]:
        """What a body may do now."""
        key = (self.version(one), one.version)
        if one.can_key != key:
            one.can, one.partners = self._afford(one)
            one.can_key = key
        return one.can

    def _afford(
        self, one: Dweller
    ) -> tuple[tuple[Affordance, ...], frozenset[tuple[str, AgentId]]]:
        talk = self.talks.of(one.who)
        if talk is not None:
            return (HOLDER if talk.floor == one.who else HEARER), frozenset()
        goals = self.ground.goals(one.spot, one.body.knows).can
        if one.asleep:
            return (WAIT, CONTINUE, *goals), frozenset()
        self._look(one)
        partners = tuple(
            ("join" if other.talking else "talk", other.who) for other in one.people if other.awake
        )
        social = tuple(self._partner(verb, who) for verb, who in partners)
        return (WAIT, CONTINUE, *social, *goals), frozenset(partners)

    def _partner(self, verb: str, who: AgentId) -> Affordance:
        found = self._social.get((verb, who))
        if found is None:
            found = self._social[verb, who] = Affordance(verb, who)
        return found

    def hearers(self, speaker: Dweller, talk: Conversation) -> list[Dweller]:
        """Those awake who see the speaker and are not in its conversation, by name."""
        gap = self.ground.gap
        return [
            other
            for _, other in sorted(self._zones[self.ground.zone(speaker.spot)].items())
            if other.who not in talk.members
            and not other.asleep
            and gap(other.spot, speaker.spot)[1] <= other.body.vision
        ]


def _tellers(one: Dweller) -> tuple[str, ...]:
    """On whose words the state rests that a body gives to what it uses."""
    if one.state == BEING_USED:
        return ()
    return tuple(sorted({one.who, *one.sources}))
