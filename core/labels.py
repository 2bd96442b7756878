"""Information-flow labels: the sources that a text rests on, and the audience that may know it.

Labels form a lattice (Denning 1976), as in CaMeL (arXiv 2503.18813) and FIDES (arXiv 2505.23643):
what is derived from several things has the join of their labels, which is the union of the
sources and the intersection of the audiences.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from .errors import MemoryFault
from .records import Record
from .types import AgentId

EVERYBODY = "*"
"""Stands for all people in the place of a name; a reserved name."""

REDACTED_TEXT = "(something that is not for all who listen)"
"""Replaces the text of an utterance that not all listeners of a thought may hear."""
UNKNOWN_SOURCE = "unknown:"
"""The source of words whose sources were not recorded."""

Audience: TypeAlias = tuple[AgentId, ...]
"""People who may know something besides its owner; empty: everybody."""


@dataclass(frozen=True, slots=True)
class Label:
    """The sources and the audience of a text.

    ``sources``, sorted, are whose words it rests on besides its owner's: people and agents by
    name, ``document:NAME``, ``tool:NAME``. ``audience`` is who may know it besides its owner
    (empty: everybody)."""

    sources: tuple[str, ...] = ()
    audience: Audience = ()


def join_labels(labels: Iterable[Label], owner: AgentId) -> Label:
    """The join of labels. If the audiences have nobody in common, the audience is the ``owner``
    alone; the owner is never a source.

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
    """The people in all of the audiences; the owner alone if there is nobody.

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
    """Whether all listeners belong to an audience (empty: everybody).

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
    """The source for a name; a name with a colon cannot stand for a document or a tool.

    >>> source_name("Ada"), source_name("tool:bank")
    ('Ada', 'person:tool:bank')
    """
    return f"person:{name}" if ":" in name else name


def record_sources(record: Record, owner: AgentId) -> tuple[str, ...]:
    """The sources of a record besides its owner: those written with it, else the implied ones."""
    if record.sources is not None:
        return record.sources
    return implied_sources(record, owner)


def implied_sources(record: Record, owner: AgentId) -> tuple[str, ...]:
    """The sources that follow from the kind of a record: its document, and who said or gave it."""
    sources = [] if record.who in ("", owner) else [source_name(record.who)]
    if record.kind == "document":
        sources.append(f"document:{record.episode or record.source or record.id}")
    elif record.kind == "observation" and ":" in record.who:
        return ()  # the address of an object
    return tuple(sorted(sources))


def record_label(record: Record, owner: AgentId) -> Label:
    """The label of a record in the memory of ``owner``."""
    return Label(record_sources(record, owner), record.audience)


def apply_label(record: Record, label: Label, owner: AgentId) -> Record:
    """The record of ``owner`` with a label; sources that are the implied ones are not written."""
    implied = label.sources == implied_sources(record, owner)
    return replace(record, audience=label.audience, sources=None if implied else label.sources)
