"""The protocol of a world: bodies, observations, affordances, actions and events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import ClassVar, Literal, Protocol, TypeAlias

from ..text import replace_surrogates
from ..types import Address, AgentId, Json, Time

EventKind: TypeAlias = Literal["doing", "object", "moved", "said", "talk", "refused", "news"]


@dataclass(frozen=True, slots=True)
class Body:
    """The body of an agent or a person in a world.

    ``vision`` is a radius (in tiles, or in steps on a graph) and ``attention`` the number of
    events seen at a time. ``knows`` are prefixes of the addresses that it may go to (empty: all).
    It enters at the tile ``start``, or at ``home``. ``patience`` is the number of silent steps
    after which it loses the floor of a conversation (0: the number of the world).
    """

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("patience",)

    who: AgentId
    home: Address = ""
    start: tuple[int, int] | None = None
    vision: int = 8
    attention: int = 8
    knows: tuple[Address, ...] = ()
    person: bool = False
    patience: int = 0


@lru_cache(maxsize=1 << 16)
def _text_digest(text: str) -> str:
    return blake2b(replace_surrogates(text).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Event:
    """An event or a lasting state: subject, predicate and object, and ``text``, a sentence.

    Kinds "doing" and "object" are lasting states, which are seen each time; the others happen
    once. ``sources`` are the sources of its text besides the subject."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("sources",)

    kind: EventKind
    subject: str
    predicate: str
    object: str
    text: str
    place: Address = ""
    sources: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The identity of an event among those seen lately: a blake2b digest of its text, 16
        hexadecimal digits."""
        return _text_digest(self.text)

    @property
    def idle(self) -> bool:
        """Whether it is an idle object, which has importance 1 without a rating."""
        return self.predicate == "is" and self.object == "idle"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance in a conversation; ``sources`` are those besides the speaker, ``audience``
    the people that it is for (empty: all who hear it)."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("sources", "audience")

    who: AgentId
    text: str
    at: Time
    sources: tuple[str, ...] = ()
    audience: tuple[AgentId, ...] = ()


@dataclass(frozen=True, slots=True)
class ConversationView:
    """A conversation as its members see it. ``floor`` may speak now (empty: it has ended)."""

    id: str
    members: tuple[AgentId, ...]
    floor: AgentId
    lines: tuple[Utterance, ...] = ()
    ended: bool = False


@dataclass(frozen=True, slots=True)
class VisibleAgent:
    """Another body in sight. ``distance`` is in tiles or graph steps; ``sources`` are those that
    its activity rests on besides itself."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("sources",)

    who: AgentId
    distance: int
    doing: str
    awake: bool = True
    talking: bool = False
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """What one body observes at a time.

    ``events`` are the lasting states around it, nearest first, at most its ``attention``;
    ``notices`` what happened to it since its last step (a refusal, a conversation that began or
    ended, news). ``doing`` and ``target`` are its own activity, ``sources`` those that it rests
    on, and ``arrived`` says whether it has reached the target. ``talk`` is the conversation that
    it is in or that has just ended; ``hearers`` are those outside of it within hearing.
    """

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("hearers", "sources")

    who: AgentId
    at: Time
    place: Address
    position: tuple[int, int] | None = None
    events: tuple[Event, ...] = ()
    people: tuple[VisibleAgent, ...] = ()
    notices: tuple[Event, ...] = ()
    doing: str = ""
    target: Address = ""
    arrived: bool = True
    talk: ConversationView | None = None
    hearers: tuple[AgentId, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Affordance:
    """An action that the world allows a body now. ``fields`` is the JSON Schema of the fields of
    the action."""

    verb: str
    target: str = ""
    fields: Json = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Action:
    """An action of an agent: one of the verbs of its affordances, on its target.

    ``sources`` are those that it rests on, and ``audience`` the people that an utterance is for
    (empty: all who hear it). Both are set by the agent, not by the planner, and a world passes
    them on with what is seen and heard of the action."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("sources", "audience")

    verb: str
    target: str = ""
    fields: Json = field(default_factory=dict, hash=False)
    sources: tuple[str, ...] = ()
    audience: tuple[AgentId, ...] = ()


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of a world step: what each acting body sees now, and what happened."""

    seen: Mapping[AgentId, Observation]
    events: tuple[Event, ...]


PLANNER_VERBS: Mapping[str, Mapping[str, Json]] = {
    "wait": {},
    "continue": {},
    "act": {"doing": "reading", "emoji": "\N{BOOKS}", "asleep": False},
    "talk": {},
    "join": {},
    "say": {"text": "Good morning!"},
    "interrupt": {"text": "Good morning!"},
    "listen": {},
    "leave": {},
}
"""The verbs that the built-in planners use, each with an example of its fields. A planner gives
those of the fields that the affordance's schema names."""


class World(Protocol):
    """A world. It is deterministic: equal calls give equal states and results.

    A world may offer any verbs. For one of PLANNER_VERBS it may require only the fields listed
    there; the target of ``talk`` and ``join`` is a body."""

    def enter(self, body: Body) -> None:
        """Add a body. Raises WorldError if the name is taken or the place unknown."""

    def leave(self, who: AgentId) -> None:
        """Remove a body."""

    def observe(self, who: AgentId) -> Observation:
        """What a body sees now; changes nothing."""

    def affordances(self, who: AgentId) -> tuple[Affordance, ...]:
        """What a body may do now; ``wait`` is always among it."""

    def step(
        self, actions: Mapping[AgentId, Action], at: Time, order: tuple[AgentId, ...]
    ) -> StepResult:
        """Apply the actions of these bodies; conflicts are resolved in ``order``. An action that
        is not among the affordances becomes a "refused" event."""

    def tell(self, event: Event, to: tuple[AgentId, ...] = ()) -> None:
        """Apply an event from outside: the bodies in ``to`` (empty: those in sight of its place)
        notice it; an "object" event also changes the state of that object."""

    def save(self) -> Json:
        """The whole mutable state as JSON."""

    def load(self, state: Json) -> None:
        """Restore a saved state."""
