"""What a mind carries from step to step, and the contract of a planner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, TypeAlias

from ..errors import SettingError
from ..labels import Label
from ..persona import Persona
from ..records import Record
from ..seed import Seed
from ..types import Address, AgentId, Json, RecordId, Time
from .asks import Failed
from .thought import AnsweredAsk, Thought
from .world_protocol import Action, Affordance, Event, Observation, Utterance


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

    LATER: ClassVar[tuple[str, ...]] = ("calls", "tokens", "read", "labels", "beneath")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """A call that waits for a person: who wants to call what, why, and after reading whose
    words. ``because`` says why a person is asked; with ``doubt`` the call had begun when its
    process ended, and nobody knows whether it was done. ``person`` is for whom it is made
    (empty: the owner); ``read`` are all on whose words it rests, also those who are trusted."""

    LATER: ClassVar[tuple[str, ...]] = ("person", "read")

    key: str
    who: AgentId
    tool: str
    arguments: Json
    why: str = ""
    sources: tuple[str, ...] = ()
    because: str = ""
    doubt: bool = False
    person: AgentId = ""
    read: tuple[str, ...] = ()

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in dict(self.arguments).items())
        return f"{self.who}: {self.tool}({given}); {self.because}"


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's answer to a request. The ``note`` is told to the agent, ``by`` is kept."""

    yes: bool
    note: str = ""
    by: str = ""

    def __post_init__(self) -> None:
        # Any text is true, "no" as well.
        if not isinstance(self.yes, bool):
            raise SettingError(
                f"an approval is True or False, not {self.yes!r}; compare a text that somebody "
                "typed with what means yes"
            )


Approver: TypeAlias = Callable[[ApprovalRequest], Approval | bool | None]
"""Answers a request at once; None leaves it waiting."""


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
