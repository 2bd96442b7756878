"""The state of one body in a world, and the activity that an ``act`` gives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from ..core import (
    Action,
    Address,
    AgentId,
    Body,
    ConversationView,
    Event,
    Json,
    Time,
    from_json,
    to_json,
)
from .conversations import utterances_from_json, utterances_to_json
from .geometry import Spot

DEFAULT_OBJECT_STATE = "being used"  # the state of an object in use when its user names no other


class Activity(NamedTuple):
    """What a body does at its target. ``object_state`` is the state of the object there while
    the body uses it; ``is_sleep`` says whether the body sleeps."""

    doing: str = ""
    emoji: str = ""
    object_state: str = ""
    is_sleep: bool = False


NO_ACTIVITY = Activity()


def parse_activity(action: Action) -> Activity:
    """The activity in the fields of an ``act`` that ``activity_error`` accepts."""
    fields = action.fields
    return Activity(
        fields["doing"].strip(),
        fields.get("emoji", ""),
        fields.get("state") or DEFAULT_OBJECT_STATE,
        bool(fields.get("asleep")),
    )


def activity_error(fields: dict[str, Json]) -> str:
    """What is wrong with the fields of an ``act``; empty when they are valid."""
    doing = fields.get("doing")
    if not isinstance(doing, str) or not doing.strip():
        return "the field 'doing' is empty"
    for name, kind in (("emoji", str), ("state", str), ("asleep", bool)):
        if name in fields and not isinstance(fields[name], kind):
            return f"the field '{name}' must be a {'truth value' if kind is bool else 'text'}"
    return ""


@dataclass(slots=True)
class BodyState:
    """The changing state of one body.

    ``profile`` is the Body that entered. ``sources`` label the current activity (``Action``).
    ``route`` lists the spots still to walk, the goal first. ``object_in_use`` is an object's
    index, -1 for none. ``ended_conversation`` is one that ended in the last step. The fields
    after it are caches and counters: they are not saved.
    """

    profile: Body
    at: Time
    spot: Spot
    activity: Activity = NO_ACTIVITY
    sources: tuple[str, ...] = ()
    target: Address = ""
    route: list[Spot] = field(default_factory=list)
    object_in_use: int = -1
    notices: list[Event] = field(default_factory=list)
    ended_conversation: ConversationView | None = None
    version: int = 0  # counts changes that this body perceives
    activity_event: Event | None = None
    profile_json: Json = None

    @property
    def who(self) -> AgentId:
        """The body's name."""
        return self.profile.who

    @property
    def asleep(self) -> bool:
        """Whether it sleeps and has arrived where it does so."""
        return self.activity.is_sleep and not self.route

    @property
    def reserved_spot(self) -> Spot:
        """The goal of its route, else the spot it stands on."""
        return self.route[0] if self.route else self.spot

    @property
    def object_sources(self) -> tuple[str, ...]:
        """The sources of the state that it gives to the object in use."""
        if self.activity.object_state == DEFAULT_OBJECT_STATE:
            return ()
        return tuple(sorted({self.who, *self.sources}))

    def save(self) -> Json:
        """The state as JSON."""
        if self.profile_json is None:
            self.profile_json = to_json(self.profile)
        conversation = self.ended_conversation
        return {
            "body": {**self.profile_json, "knows": list(self.profile_json["knows"])},
            "at": self.at.isoformat(),
            "spot": self.spot,
            "doing": self.activity.doing,
            "emoji": self.activity.emoji,
            "state": self.activity.object_state,
            "sleepy": self.activity.is_sleep,
            "sources": list(self.sources),
            "target": self.target,
            "route": list(self.route),
            "using": self.object_in_use,
            "notices": [_event_to_json(event) for event in self.notices],
            "ended": None if conversation is None else _conversation_to_json(conversation),
        }

    @classmethod
    def load(cls, data: Json) -> BodyState:
        """The state that ``save`` returned as ``data``."""
        ended = data["ended"]
        return cls(
            profile=from_json(Body, data["body"]),
            at=Time.fromisoformat(data["at"]),
            spot=data["spot"],
            activity=Activity(data["doing"], data["emoji"], data["state"], data["sleepy"]),
            sources=tuple(data.get("sources", ())),
            target=data["target"],
            route=list(data["route"]),
            object_in_use=data["using"],
            notices=[_event_from_json(event) for event in data["notices"]],
            ended_conversation=None if ended is None else _conversation_from_json(ended),
        )


def place_phrase(address: Address) -> str:
    """An address in words.

    >>> place_phrase("town:Hobbs Cafe:cafe:piano"), place_phrase("town:the mill")
    ('the piano in Hobbs Cafe', 'the mill')
    """
    parts = address.split(":")
    last = parts[-1]
    is_common_noun = last[:1].islower() and not last.startswith(("the ", "behind "))
    name = f"the {last}" if is_common_noun else last
    return f"{name} in {parts[1]}" if len(parts) > 2 else name


def join_names(names: Sequence[str]) -> str:
    """Names as a list in words.

    >>> join_names(["Ana", "Bo", "Cy"])
    'Ana, Bo and Cy'
    """
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


_EVENT_FIELDS = [part.name for part in fields(Event)]


def _event_to_json(event: Event) -> Json:
    return [getattr(event, name) for name in _EVENT_FIELDS[:-1]] + [list(event.sources)]


def _event_from_json(data: Json) -> Event:
    kind, subject, predicate, thing, text, place, *label = data
    return Event(kind, subject, predicate, thing, text, place, *map(tuple, label))


def _conversation_to_json(view: ConversationView) -> Json:
    return [view.id, list(view.members), view.floor, utterances_to_json(view.lines), view.ended]


def _conversation_from_json(data: Json) -> ConversationView:
    name, members, floor, lines, ended = data
    return ConversationView(name, tuple(members), floor, utterances_from_json(lines), ended)
