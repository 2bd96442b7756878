"""The protocol of a planner: the situation that it is given, and the decision that it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from ..persona import Persona
from ..records import Record
from ..seed import Seed
from ..types import Address, AgentId, Json, RecordId, Time
from .agent_state import AgentState
from .thought import Thought
from .world_protocol import Action, Affordance, Event, Observation, Utterance

# fmt: off
InputKind: TypeAlias = Literal[
    "whisper", "line", "event", "document", "memories",
    "enter", "move", "talk", "say", "end_talk", "leave",
]
# fmt: on
PERSON_INPUT_KINDS = ("enter", "move", "talk", "say", "end_talk", "leave")
"""The kinds of inputs by which a person walks into a world, acts in it and leaves it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An input from outside of a run, by ``kind``: a "whisper" to one agent, a person's "line" in a
    conversation, an "event" in the world (at ``place``, described by ``fields``), a "document"
    named ``text`` with its pieces in ``fields``, or "memories", records in ``fields``.

    A person ``who`` walks in with "enter" (at ``place``, or at the tile x, y of ``fields``, which
    may also have its ``look`` and ``patience``), walks with "move" (to ``place``, or to x, y),
    opens or joins a conversation with "talk" (``to`` somebody), says ``text`` with "say" (to its
    conversation, else ``to`` somebody, else to who is nearest), takes leave of a conversation with
    "end_talk", and leaves the world with "leave"."""

    kind: InputKind
    to: AgentId = ""
    text: str = ""
    who: AgentId = ""
    place: Address = ""
    fields: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as planners see it. ``parameters`` is a JSON Schema. ``effect`` is "pure" (depends on
    the arguments alone), "reads" or "acts". With ``outside`` its results come from an untrusted
    source: a web page, a file, another server."""

    name: str
    description: str
    parameters: Json = field(hash=False)
    effect: Literal["pure", "reads", "acts"] = "pure"
    outside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that a planner is given. ``fresh`` are the events of ``seen`` that were not
    perceived lately. ``listeners`` hear or see what comes of the thought (empty: nobody;
    EVERYBODY: it is visible in a world); the thought recalls only what all of them may know."""

    persona: Persona
    state: AgentState
    seen: Observation
    fresh: tuple[Event, ...]
    can: tuple[Affordance, ...]
    tools: tuple[ToolSpec, ...]
    inputs: tuple[Input, ...]
    now: Time
    seed: Seed
    step_seconds: int = 60
    listeners: tuple[AgentId, ...] = ()


ThoughtInput: TypeAlias = Record | Event | Utterance | Input
"""A part of the inputs of a thought, on which a record that it returns may rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The decision of a planner: an action, the next state, and new records.

    ``records`` are numbered from ``state.records + 1`` of the situation; ``embedded`` maps their
    ids to embeddings, if there are any; ``used`` are the records whose last access is updated.
    ``why`` is a sentence. ``rests_on`` maps the id of a record that rests on some inputs only
    to these inputs; every other record rests on all inputs of the thought.
    """

    action: Action
    state: AgentState
    records: tuple[Record, ...] = ()
    embedded: Mapping[RecordId, tuple[float, ...]] = field(default_factory=dict)
    used: tuple[RecordId, ...] = ()
    why: str = ""
    rests_on: Mapping[RecordId, tuple[ThoughtInput, ...]] = field(default_factory=dict)


class Planner(Protocol):
    """Decides for any number of agents: it holds no state of its own."""

    def decide(self, situation: Situation) -> Thought[Decision]:
        """The thought that decides."""
