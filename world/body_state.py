"""What an ``act`` carries, read and checked.

What a world remembers of each body that lives in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from ..core import (
    Action,
    Address,
    Affordance,
    AgentId,
    Body,
    ConversationView,
    Event,
    Json,
    Observation,
    Time,
    VisibleAgent,
    from_json,
    to_json,
)
from .conversations import utterances_from_json, utterances_to_json
from .geometry import Spot

DEFAULT_OBJECT_STATE = "being used"
"""The state of an object that is used, where nobody says another."""


def parse_activity(action: Action) -> tuple[str, str, str, bool]:
    """Doing, emoji, state of the object, whether it is sleep."""
    fields = action.fields
    return (
        fields["doing"].strip(),
        fields.get("emoji", ""),
        fields.get("state") or DEFAULT_OBJECT_STATE,
        bool(fields.get("asleep")),
    )


def activity_error(fields: dict[str, Json]) -> str:
    """What is wrong with the fields of an ``act``; empty when nothing is."""
    doing = fields.get("doing")
    if not isinstance(doing, str) or not doing.strip():
        return "the field 'doing' is empty"
    for name, kind in (("emoji", str), ("state", str), ("asleep", bool)):
        if name in fields and not isinstance(fields[name], kind):
            return f"the field '{name}' must be a {'truth value' if kind is bool else 'text'}"
    return ""


@dataclass(slots=True)
class BodyState:
    """One body's changing state.

    ``sources`` are those on whose words what it does rests besides its own,
    ``route`` is the way still to go, goal first; ``object_in_use`` the number of the object in use
    (-1: none); ``state`` what that object is while used. The fields after ``ended_talk`` are
    caches, told apart from state so that a saved world and a living one go on alike.
    """

    body: Body
    at: Time
    spot: Spot
    doing: str = ""
    emoji: str = ""
    state: str = ""
    sleepy: bool = False
    sources: tuple[str, ...] = ()
    target: Address = ""
    route: list[Spot] = field(default_factory=list)
    object_in_use: int = -1
    notices: list[Event] = field(default_factory=list)
    ended_talk: ConversationView | None = None
    version: int = 0
    event: Event | None = None
    surroundings_key: tuple[int, int] | None = None
    events: tuple[Event, ...] = ()
    visible_agents: tuple[VisibleAgent, ...] = ()
    observation_key: tuple[int, int] | None = None
    observation: Observation | None = None
    affordances_key: tuple[int, int] | None = None
    affordances: tuple[Affordance, ...] = ()
    partners: frozenset[tuple[str, AgentId]] = frozenset()
    body_json: Json = None

    @property
    def who(self) -> AgentId:
        """The body's name."""
        return self.body.who

    @property
    def asleep(self) -> bool:
        """Lying where it went to sleep."""
        return self.sleepy and not self.route

    @property
    def reserved_spot(self) -> Spot:
        """The spot it stands on, or the one it walks to."""
        return self.route[0] if self.route else self.spot

    def save(self) -> Json:
        """The state as JSON."""
        if self.body_json is None:
            self.body_json = to_json(self.body)
        return {
            "body": {**self.body_json, "knows": list(self.body_json["knows"])},
            "at": self.at.isoformat(),
            "spot": self.spot,
            "doing": self.doing,
            "emoji": self.emoji,
            "state": self.state,
            "sleepy": self.sleepy,
            "sources": list(self.sources),
            "target": self.target,
            "route": list(self.route),
            "using": self.object_in_use,
            "notices": [_event_to_json(event) for event in self.notices],
            "ended": None if self.ended_talk is None else _talk_to_json(self.ended_talk),
        }

    @classmethod
    def load(cls, data: Json) -> BodyState:
        """The dweller that ``save`` made ``data`` of."""
        return cls(
            body=from_json(Body, data["body"]),
            at=Time.fromisoformat(data["at"]),
            spot=data["spot"],
            doing=data["doing"],
            emoji=data["emoji"],
            state=data["state"],
            sleepy=data["sleepy"],
            sources=tuple(data.get("sources", ())),
            target=data["target"],
            route=list(data["route"]),
            object_in_use=data["using"],
            notices=[_event_from_json(event) for event in data["notices"]],
            ended_talk=None if data["ended"] is None else _talk_from_json(data["ended"]),
        )


def place_phrase(address: Address) -> str:
    """How a place is spoken of.

    >>> place_phrase("town:Hobbs Cafe:cafe:piano"), place_phrase("town:the mill")
    ('the piano in Hobbs Cafe', 'the mill')
    """
    parts = address.split(":")
    last = parts[-1]
    plain = last[:1].islower() and not last.startswith(("the ", "behind "))
    name = f"the {last}" if plain else last
    return f"{name} in {parts[1]}" if len(parts) > 2 else name


def join_names(names: Sequence[str]) -> str:
    """Names as a list in words.

    >>> join_names(["Ana", "Bo", "Cy"])
    'Ana, Bo and Cy'
    """
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


_EVENT = [part.name for part in fields(Event)]


def _event_to_json(event: Event) -> Json:
    return [getattr(event, name) for name in _EVENT[:-1]] + [list(event.sources)]


def _event_from_json(data: Json) -> Event:
    kind, subject, predicate, thing, text, place, *label = data
    return Event(kind, subject, predicate, thing, text, place, *map(tuple, label))


def _talk_to_json(talk: ConversationView) -> Json:
    return [talk.id, list(talk.members), talk.floor, utterances_to_json(talk.lines), talk.ended]


def _talk_from_json(data: Json) -> ConversationView:
    name, members, floor, lines, ended = data
    return ConversationView(name, tuple(members), floor, utterances_from_json(lines), ended)
