"""The protocol of a planner: the situation that it is given and the decision that it returns."""

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

InputKind: TypeAlias = Literal["whisper", "line", "event", "document", "memories"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Something from outside a run: a ``whisper`` into one mind, a person's ``line`` in a
    conversation, an ``event`` in the world (``place`` and ``fields`` say where and what), a
    ``document`` of the name ``text`` to read, its pieces in ``fields``, or ``memories`` to take
    over, records in ``fields``."""

    kind: InputKind
    to: AgentId = ""
    text: str = ""
    who: AgentId = ""
    place: Address = ""
    fields: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a mind sees it; ``effect`` is pure, reads or acts. With ``outside`` its
    results are words from outside, which nobody vouches for: a web page, a file, a foreign
    server."""

    name: str
    description: str
    parameters: Json = field(hash=False)
    effect: Literal["pure", "reads", "acts"] = "pure"
    outside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that a planner gets. ``fresh`` are the events of ``seen`` not perceived lately;
    ``listeners`` are who hears or sees what comes of the thought (none: nobody; EVERYBODY: it
    shows in a world): what not all of them may hear is not recalled in it."""

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
"""A part of what a thought was given, on which something that it writes may rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A planner's answer: what to do, the state to carry on, the memories made.

    ``records`` are numbered on from ``state.records`` of the situation; ``embedded`` maps a
    record's id to its embedding where one was asked for. ``why`` explains in a sentence.
    ``rests_on`` maps a record's id to what alone it rests on, a part of what the thought was
    given; a record that it leaves out rests on all of that.
    """

    action: Action
    state: AgentState
    records: tuple[Record, ...] = ()
    embedded: Mapping[RecordId, tuple[float, ...]] = field(default_factory=dict)
    used: tuple[RecordId, ...] = ()
    why: str = ""
    rests_on: Mapping[RecordId, tuple[ThoughtInput, ...]] = field(default_factory=dict)


class Planner(Protocol):
    """Decides; holds no state of its own, so one planner may serve any number of agents."""

    def decide(self, situation: Situation) -> Thought[Decision]:
        """Think and decide, by yielding asks."""
        ...
