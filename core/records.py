"""Memory records, and what asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, get_args

from .types import Address, AgentId, RecordId, Time

RecordKind: TypeAlias = Literal[
    "observation", "utterance", "thought", "plan", "document", "summary"
]


RECORD_KINDS: tuple[RecordKind, ...] = get_args(RecordKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One memory of one agent.

    ``who`` is the source: who said or did it (the agent itself for thoughts and plans).
    ``importance`` runs from 1 to 10; records taken over from elsewhere may have more.
    ``evidence`` are the records a thought rests on, and
    ``depth`` is 1 + the largest depth among them (0 for what was perceived).
    ``subject``, ``predicate``, ``object`` name an event's parts where it has them.

    ``sources`` are all those whose words it rests on besides its owner's (see ``Label``); None:
    those of ``who``, and of its document. ``audience`` are the people for whom it is besides its
    owner (empty: for everybody);
    ``episode`` names the conversation, session or document it is part of, ``source`` the
    place within that (a page, a line); from ``until`` on it is no longer recalled; ``pinned``
    ones are never folded away.
    """

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = (
        "audience",
        "episode",
        "source",
        "until",
        "pinned",
        "sources",
    )

    id: RecordId
    kind: RecordKind
    text: str
    created: Time
    who: AgentId = ""
    importance: float = 1.0
    evidence: tuple[RecordId, ...] = ()
    depth: int = 0
    place: Address = ""
    subject: str = ""
    predicate: str = ""
    object: str = ""
    audience: tuple[AgentId, ...] = ()
    episode: str = ""
    source: str = ""
    until: Time | None = None
    pinned: bool = False
    sources: tuple[str, ...] | None = None


def format_utterance(who: AgentId, whom: str, text: str) -> str:
    """A line as it is remembered: who said what, to whom (names, as a text).

    >>> format_utterance("Ada", "Bo and Cy", "Good morning!")
    'Ada said to Bo and Cy: "Good morning!"'
    """
    return f'{who} said to {whom}: "{text}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """A request to remember: about ``text``, as of ``at``, at most ``limit`` records of
    ``kinds`` (all kinds when empty). ``touch`` False leaves last-access times alone.
    ``rules`` names a rule set; empty means the memory's own.

    ``person`` is whom the answer is for: only what is for everybody or for them is recalled
    (empty: the owner, who sees everything; EVERYBODY: only what is for everybody).
    ``listeners`` are more people for whom it must be. ``since`` and ``before`` bound when records
    were made; ``tokens`` bounds the texts together (0: does not); ``variety`` from 0 to 1 trades
    likeness to the cue for difference among the hits (maximal marginal relevance);
    ``around`` adds so many neighbours of its episode to each hit."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = (
        "person",
        "since",
        "before",
        "tokens",
        "variety",
        "around",
        "listeners",
    )

    text: str
    at: Time
    limit: int = 10
    kinds: tuple[RecordKind, ...] = ()
    rules: str = ""
    touch: bool = True
    person: AgentId = ""
    since: Time | None = None
    before: Time | None = None
    tokens: int = 0
    variety: float = 0.0
    around: int = 0
    listeners: tuple[AgentId, ...] = ()

    @property
    def hearers(self) -> tuple[AgentId, ...]:
        """All those for whom an answer must be; none: the owner's alone."""
        return (self.person, *self.listeners) if self.person else self.listeners


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A record found: its score and the parts the score was made of.

    ``lexical`` is the part of its words (BM25), ``why`` says in words what made it fit, and
    ``around`` are the neighbours of its episode that the cue asked for."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("lexical", "why", "around")

    record: Record
    score: float
    recency: float
    importance: float
    relevance: float
    lexical: float = 0.0
    why: str = ""
    around: tuple[Record, ...] = ()
