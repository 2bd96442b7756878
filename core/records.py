"""Memory records, and what asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .words import Address, AgentId, RecordId, Time

Kind: TypeAlias = Literal["observation", "utterance", "thought", "plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One memory of one agent.

    ``who`` is the source: who said or did it (the agent itself for thoughts and plans).
    ``importance`` runs from 1 to 10. ``evidence`` are the records a thought rests on, and
    ``depth`` is 1 + the largest depth among them (0 for what was perceived).
    ``subject``, ``predicate``, ``object`` name an event's parts where it has them.
    """

    id: RecordId
    kind: Kind
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """A request to remember: about ``text``, as of ``at``, at most ``limit`` records of
    ``kinds`` (all kinds when empty). ``touch`` False leaves last-access times alone.
    ``rules`` names a rule set; empty means the memory's own."""

    text: str
    at: Time
    limit: int = 10
    kinds: tuple[Kind, ...] = ()
    rules: str = ""
    touch: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A record found: its score and the parts the score was made of."""

    record: Record
    score: float
    recency: float
    importance: float
    relevance: float
