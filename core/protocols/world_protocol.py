"""What passes between a world and a mind."""

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
    """Somebody who enters a world.

    ``vision`` and ``attention`` are the radius (tiles, or steps on a graph) and the number
    of events it takes in at a time. ``knows`` limits the addresses it may go to (a prefix
    each; empty: all). ``home`` is where it enters unless ``start`` names a tile.
    """

    who: AgentId
    home: Address = ""
    start: tuple[int, int] | None = None
    vision: int = 8
    attention: int = 8
    knows: tuple[Address, ...] = ()
    person: bool = False


@lru_cache(maxsize=1 << 16)
def _text_digest(text: str) -> str:
    return blake2b(replace_surrogates(text).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that is or happens: subject, predicate, object, and the same as a sentence.

    ``doing`` and ``object`` are lasting states seen each time; the others happen once.
    ``sources`` are those whose words it holds besides its subject's."""

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
        """What tells an event from others that were seen lately, and tells nothing of it: a
        blake2b digest of its text, 16 hexadecimal digits."""
        return _text_digest(self.text)

    @property
    def idle(self) -> bool:
        """Nothing to remember: a thing at rest. Importance 1 without asking a model."""
        return self.predicate == "is" and self.object == "idle"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One line of a conversation: by whom, on whose words it rests besides (``sources``), and
    for whom alone it was said (``audience``; empty: for all who hear it)."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("sources", "audience")

    who: AgentId
    text: str
    at: Time
    sources: tuple[str, ...] = ()
    audience: tuple[AgentId, ...] = ()


@dataclass(frozen=True, slots=True)
class ConversationView:
    """A conversation as its members see it. ``floor`` may speak now; empty when it ended."""

    id: str
    members: tuple[AgentId, ...]
    floor: AgentId
    lines: tuple[Utterance, ...] = ()
    ended: bool = False


@dataclass(frozen=True, slots=True)
class VisibleAgent:
    """Another body in sight. ``distance`` in tiles (or graph steps); ``sources`` are those on
    whose words its doing rests besides its own."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("sources",)

    who: AgentId
    distance: int
    doing: str
    awake: bool = True
    talking: bool = False
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """What one body takes in at a moment.

    ``events``: lasting states around it, nearest first, at most its attention; ``notices``:
    what happened to it since its last step (a refusal, a conversation opened or ended,
    news). ``doing`` and ``target`` are its own activity; ``arrived`` says that it stands at
    the target. ``talk`` is the conversation it is in, or that just ended. ``hearers`` are those
    outside of it who would hear a line; ``sources`` those on whose words ``doing`` rests.
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
    """Something the world allows a body now. ``fields`` is the JSON Schema of what the
    action must carry beside verb and target."""

    verb: str
    target: str = ""
    fields: Json = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Action:
    """What a mind decided to do: one of the verbs afforded, on its target. ``sources`` are
    those whose words it rests on, ``audience`` for whom alone a line is said (empty: for all who
    hear it); whoever drives the mind sets them, and a world passes them on with what is seen
    and heard of the action."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("sources", "audience")

    verb: str
    target: str = ""
    fields: Json = field(default_factory=dict, hash=False)
    sources: tuple[str, ...] = ()
    audience: tuple[AgentId, ...] = ()


@dataclass(frozen=True, slots=True)
class StepResult:
    """A world's answer to a step: what each acting body sees now, and what happened."""

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
"""The verbs that the built-in planners look for among the affordances, each with an example of
the fields they can give; of these they give those that the affordance's schema names."""


class World(Protocol):
    """Where bodies live. Deterministic: the same calls give the same state and answers.

    A world offers what it likes, but where it offers one of PLANNER_VERBS the fields that it
    requires must be among those listed there; ``talk`` and ``join`` are aimed at a body."""

    def enter(self, body: Body) -> None:
        """Let somebody in. Raises WorldError when the name is taken or the place unknown."""
        ...

    def leave(self, who: AgentId) -> None:
        """Take somebody out."""
        ...

    def observe(self, who: AgentId) -> Observation:
        """What ``who`` sees now. Changes nothing."""
        ...

    def affordances(self, who: AgentId) -> tuple[Affordance, ...]:
        """What ``who`` may do now; never empty: ``wait`` is always there."""
        ...

    def step(
        self, actions: Mapping[AgentId, Action], at: Time, order: tuple[AgentId, ...]
    ) -> StepResult:
        """Let these bodies act at once; conflicts are settled in ``order``. An action that
        is not afforded becomes a ``refused`` event."""
        ...

    def tell(self, event: Event, to: tuple[AgentId, ...] = ()) -> None:
        """Let something happen from outside: bodies in ``to`` (or in sight of its place)
        notice it; an ``object`` event also changes that object's state."""
        ...

    def save(self) -> Json:
        """The whole changing state as JSON."""
        ...

    def load(self, state: Json) -> None:
        """Take over a saved state."""
        ...
