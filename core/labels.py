"""Labels: whose words something rests on, and who may hear it.

Information flow control by labels in a lattice (Denning 1976), as CaMeL (arXiv 2503.18813) and
FIDES (arXiv 2505.23643) apply it to agents with tools: what is made of several things carries
the join of their labels, the union of their sources and the intersection of their audiences.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from .errors import MemoryFault
from .records import Record
from .types import AgentId

EVERYBODY = "*"
"""In the place of a person: what anybody may hear, and no more. Nobody can be called so."""

REDACTED_TEXT = "(something that is not for all who listen)"
"""What a thought is given of a line that not all who listen to it may hear."""
UNKNOWN_SOURCE = "unknown:"
"""The source of words of which nobody wrote down whose they rest on: an agent's own from before
there were labels, and lines in its mouth that it does not remember."""

Audience: TypeAlias = tuple[AgentId, ...]
"""For whom something is besides its owner; empty: for everybody."""


@dataclass(frozen=True, slots=True)
class Label:
    """``sources``: whose words it rests on, besides its owner's, in order: people and agents
    by name, ``document:NAME``, ``tool:NAME``; ``audience``: who may hear it besides its owner
    (empty: everybody)."""

    sources: tuple[str, ...] = ()
    audience: Audience = ()


def join_labels(labels: Iterable[Label], owner: AgentId) -> Label:
    """The label of what is made of things with these labels; what is for no one alike is for
    its ``owner`` alone, who is no source: own words that come back are one's own.

    >>> join_labels([Label(("Eve",)), Label(("Ada",), ("Ada", "Cy")), Label((), ("Cy",))], "Bo")
    Label(sources=('Ada', 'Eve'), audience=('Cy',))
    """
    sources: set[str] = set()
    audiences: list[Audience] = []
    for label in labels:
        sources.update(label.sources)
        audiences.append(label.audience)
    sources.discard(owner)
    return Label(tuple(sorted(sources)), intersect_audiences(audiences, owner))


def intersect_audiences(audiences: Iterable[Audience], owner: AgentId) -> Audience:
    """For whom something made of several things is: those for whom every one of them is;
    the owner alone when nobody is left.

    >>> intersect_audiences([(), ("Ada", "Bo"), ("Bo", "Cy")], "Dee")
    ('Bo',)
    >>> intersect_audiences([("Ada",), ("Bo",)], "Dee")
    ('Dee',)
    """
    narrow = [set(people) for people in audiences if people]
    if not narrow:
        return ()
    return tuple(sorted(set.intersection(*narrow))) or (owner,)


def may_hear(audience: Iterable[AgentId], listeners: Iterable[AgentId]) -> bool:
    """Whether what is for an audience (empty: everybody) may be told to all these listeners.

    >>> may_hear((), ("Eve",)), may_hear(("Ada",), ("Ada", "Eve")), may_hear(("Ada",), ())
    (True, False, True)
    """
    people = set(audience)
    return not people or people.issuperset(listeners)


def is_visible(audience: Iterable[AgentId], person: AgentId) -> bool:
    """Whether ``person`` may see what has this audience (empty ``person``: the owner, who sees
    everything). Raises MemoryFault if ``person`` is no text: None must not count as the owner.

    >>> is_visible((), "Ada"), is_visible(("Bo",), "Ada"), is_visible(("Bo",), "")
    (True, False, True)
    """
    if not isinstance(person, str):
        raise MemoryFault(f"person {person!r:.60} is no text; give a name")
    return may_hear(audience, (person,) if person else ())


def source_name(name: AgentId) -> str:
    """The source that somebody's name stands for; nobody passes for a document or a tool.

    >>> source_name("Ada"), source_name("tool:bank")
    ('Ada', 'person:tool:bank')
    """
    return f"person:{name}" if ":" in name else name


def record_sources(record: Record, owner: AgentId) -> tuple[str, ...]:
    """Whose words a record holds besides its owner's: those written with it, else of who said
    it, and of the document that it is a piece of."""
    if record.sources is not None:
        return record.sources
    return implied_sources(record, owner)


def implied_sources(record: Record, owner: AgentId) -> tuple[str, ...]:
    """Whose words a record holds by what it is: its document's, and of who said or gave it."""
    found = [] if record.who in ("", owner) else [source_name(record.who)]
    if record.kind == "document":
        found.append(f"document:{record.episode or record.source or record.id}")
    elif record.kind == "observation" and ":" in record.who:
        return ()  # the address of a thing that is seen
    return tuple(sorted(found))


def record_label(record: Record, owner: AgentId) -> Label:
    """The label of a record in the memory of ``owner``."""
    return Label(record_sources(record, owner), record.audience)


def apply_label(record: Record, label: Label, owner: AgentId) -> Record:
    """A record of ``owner`` under a label: its sources are written with it only where they are
    others than it has by what it is."""
    plain = label.sources == implied_sources(record, owner)
    return replace(record, audience=label.audience, sources=None if plain else label.sources)
