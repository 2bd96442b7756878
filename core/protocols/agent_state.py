"""What a mind carries from step to step, and the contract of a planner."""

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
    """A stretch of a day's schedule: from ``start``, ``minutes`` long, do ``doing`` at
    ``place`` (empty: not yet chosen). ``fine`` marks a 5-to-15-minute action made out of a
    longer block."""

    start: Time
    minutes: int
    doing: str
    place: Address = ""
    emoji: str = ""
    fine: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState:
    """What an agent carries from step to step; frozen, saved with the step.

    ``perceived`` are keys of the last events seen (at most the persona's retention), ``cooldowns``
    until when not to talk with whom again, ``reflect_left`` the importance that may still
    come in before it reflects, ``records`` how many memories it has made, ``drafts`` is a
    planner's own notebook. ``calls`` of tools and ``tokens`` are counted where its policy
    bounds them for a life; ``labels`` says, by the names of fields, on whose words what they
    hold rests and for whom it is, ``read`` all of those sources; ``beneath`` what fields held for
    others before they came to hold what is for some people only: rows of value, sources and
    audience, the latest first.
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
    """One step of one agent, not yet written: what ``commit`` will write. ``stopped`` says
    what ended the thought before its end: ``budget``, or nothing."""

    action: Action
    state: AgentState
    records: tuple[Record, ...] = ()
    embedded: Mapping[RecordId, tuple[float, ...]] = field(default_factory=dict)
    used: tuple[RecordId, ...] = ()
    why: str = ""
    asks: tuple[AnsweredAsk, ...] = ()
    stopped: Literal["", "budget"] = ""
    beside: tuple[tuple[str, Json], ...] = ()
    """Lines for the logs beside the memory's records: (log, line)."""


Resolution: TypeAlias = Literal["answer", "ask", "unknown", "hand_over", "failed", "waiting"]
"""What was decided on a line: to answer, ask back, say that one does not know, or hand over;
or that no answer could be made, or that it waits for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer to a person, with the step that made it. It ``waits`` for somebody to allow
    these calls: then nothing was written yet, and answering them goes on with it.

    It rests on the memories ``cited`` and the calls of ``receipts``; ``sources`` are the places
    in documents whose words it took: "handbook.pdf, p. 2". ``held`` is the probability that the
    memory holds what was asked (None: not estimated), ``resolve`` what was decided: to answer,
    to ask back, to say that one does not know, or to hand over.

    What is no answer says so: ``resolve`` is ``failed`` with the ``failure`` (its reason and
    what to do) where none could be made, and ``waiting`` while it ``waits``. Its text is empty
    then: nothing is said that nobody wrote."""

    text: str
    step: Step
    waits: tuple[ApprovalRequest, ...] = ()
    cited: tuple[RecordId, ...] = ()
    receipts: tuple[str, ...] = ()
    held: float | None = None
    resolve: Resolution = "answer"
    sources: tuple[str, ...] = ()
    failure: Failed | None = None
