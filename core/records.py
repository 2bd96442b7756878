"""Records of a memory, and the cues and hits of a recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, get_args

from .types import Address, AgentId, RecordId, Time

RecordKind: TypeAlias = Literal[
    "observation", "utterance", "thought", "plan", "document", "summary"
]


RECORD_KINDS: tuple[RecordKind, ...] = get_args(RecordKind)
RECALLED_BY = "recalled by"
"""The ``predicate`` of a record that has keys: its ``object`` lists words and phrases, with commas
between them, that it is recalled by beside its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record in the memory of one agent.

    ``who`` said or did it (the agent itself for thoughts and plans). ``importance`` is 1 to 10;
    imported records may have more. ``evidence`` are the records that a thought was derived from,
    and ``depth`` is 1 + the largest depth among them (0 for what was perceived). ``subject``,
    ``predicate``, ``object`` are the parts of an event.

    ``sources`` and ``audience`` are its ``Label``; None: the sources that follow from ``who`` and
    the document. ``episode`` names the conversation, session or document that it is part of, and
    ``source`` the place in it (a page, a line). It is not recalled from ``until`` on. A
    ``pinned`` record is never replaced by a summary. ``zone`` is the time zone of who said it, by
    which its "tomorrow" is meant (empty: that of the memory's clock, as ``created`` always is).
    """

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = (
        "audience",
        "episode",
        "source",
        "until",
        "pinned",
        "sources",
        "zone",
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
    zone: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The words and phrases that it is recalled by beside its text (see ``RECALLED_BY``)."""
        return tuple(self.object.split(", ")) if self.predicate == RECALLED_BY else ()


def format_utterance(who: AgentId, whom: str, text: str) -> str:
    """The text of the record of an utterance; ``whom`` are the names of the listeners.

    >>> format_utterance("Ada", "Bo and Cy", "Good morning!")
    'Ada said to Bo and Cy: "Good morning!"'
    """
    return f'{who} said to {whom}: "{text}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """A recall query: at most ``limit`` records of ``kinds`` (empty: all) for ``text`` at ``at``.

    With ``touch`` False no last-access time is updated. ``rules`` names a rule set (empty: the
    memory's own). Only records whose audience includes ``person`` are recalled (empty: the owner,
    who sees everything; EVERYBODY: only records for everybody), and all ``listeners``. ``since``
    and ``before`` bound the creation time. ``tokens`` bounds the total length of the texts
    (0: unbounded). ``variety``, 0 to 1, is the weight of diversity in maximal marginal relevance
    (Carbonell and Goldstein 1998). ``around`` adds so many neighbours in its episode to each
    hit. ``zone`` is the time zone of who asks, by which "yesterday" in the text is meant (empty:
    that of the memory's clock, as ``at`` always is)."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = (
        "person",
        "since",
        "before",
        "tokens",
        "variety",
        "around",
        "listeners",
        "zone",
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
    zone: str = ""

    @property
    def hearers(self) -> tuple[AgentId, ...]:
        """Everybody who must be allowed to see the hits; empty: the owner alone."""
        return (self.person, *self.listeners) if self.person else self.listeners


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A recalled record, its score and the components of the score.

    ``lexical`` is the BM25 component, ``why`` explains the score, and ``around`` are the
    neighbours in its episode."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("lexical", "why", "around")

    record: Record
    score: float
    recency: float
    importance: float
    relevance: float
    lexical: float = 0.0
    why: str = ""
    around: tuple[Record, ...] = ()
