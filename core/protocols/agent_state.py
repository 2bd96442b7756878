"""The state of an agent, and the steps and replies that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from ..labels import Label
from ..records import Record
from ..types import Address, AgentId, Json, RecordId, Time
from .approvals import ApprovalRequest
from .asks import Failed
from .thought import AnsweredAsk
from .world_protocol import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleEntry:
    """One entry of a day's schedule: the activity ``doing`` from ``start`` on, for ``minutes``, at
    ``place`` (empty: not yet chosen). ``fine`` marks an action of 5 to 15 minutes that a longer
    entry was decomposed into."""

    start: Time
    minutes: int
    doing: str
    place: Address = ""
    emoji: str = ""
    fine: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState:
    """What an agent carries from step to step; immutable, saved with the step.

    ``perceived`` are the keys of the last events seen (at most the persona's retention),
    ``cooldowns`` the times, by person, before which no new conversation begins, ``reflect_left``
    the sum of importance until the next reflection, ``records`` the number of records, and
    ``drafts`` data of the planner. ``calls`` and ``tokens`` are the lifetime usage, counted if the
    policy bounds it.

    ``labels`` maps names of fields to the labels of their values, and ``read`` holds all sources
    in them. ``beneath`` maps names of fields to older values for people outside of the audience
    of the current one: rows of value, sources and audience, the latest first.
    """

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("calls", "tokens", "read", "labels", "beneath")

    currently: str = ""
    day: str = ""
    plan: tuple[str, ...] = ()
    schedule: tuple[ScheduleEntry, ...] = ()
    doing: ScheduleEntry | None = None
    asleep: bool = False
    perceived: tuple[str, ...] = ()
    cooldowns: Mapping[AgentId, Time] = field(default_factory=dict)
    reflect_left: float = 150.0
    records: int = 0
    talk_seen: int = 0
    drafts: Json = field(default_factory=dict)
    calls: int = 0
    tokens: int = 0
    read: tuple[str, ...] = ()
    labels: Mapping[str, Label] = field(default_factory=dict)
    beneath: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of one agent: what ``Agent.commit`` will write. ``stopped`` is the reason why the
    thought was stopped before its end (empty: it was not)."""

    action: Action
    state: AgentState
    records: tuple[Record, ...] = ()
    embedded: Mapping[RecordId, tuple[float, ...]] = field(default_factory=dict)
    used: tuple[RecordId, ...] = ()
    why: str = ""
    asks: tuple[AnsweredAsk, ...] = ()
    stopped: Literal["", "budget"] = ""
    beside: tuple[tuple[str, Json], ...] = ()
    """Lines for the auxiliary logs of the memory, as pairs of log and line."""


Resolution: TypeAlias = Literal[
    "answer", "ask", "unknown", "hand_over", "failed", "waiting", "cancelled"
]
"""How a message was resolved: answered, answered by a question, answered with "I do not know",
handed over to a person; or no reply could be made, it waits for an approval, or it was cancelled
and is what was shown by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply to a person, and the step that records it.

    It rests on the records ``cited`` and the tool calls of ``receipts``; ``sources`` are the
    places in documents that it took words from, such as "handbook.pdf, p. 2". ``held`` is the
    probability that the memory holds the answer (None: not estimated).

    If ``resolve`` is "failed", ``failure`` has the reason and the remedy. If it is "waiting",
    the requests in ``waits`` need an answer and nothing is written yet. The text is empty in
    both cases, or what a stream had shown before it failed. If it is "cancelled", the text is what
    was shown before."""

    text: str
    step: Step
    waits: tuple[ApprovalRequest, ...] = ()
    cited: tuple[RecordId, ...] = ()
    receipts: tuple[str, ...] = ()
    held: float | None = None
    resolve: Resolution = "answer"
    sources: tuple[str, ...] = ()
    failure: Failed | None = None
