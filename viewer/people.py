"""A person's identity and memories, as the page shows them."""

from __future__ import annotations

from ..core import Clock, Persona, Record
from .data import MemoryEntry


def persona_fields(persona: Persona) -> dict[str, str]:
    """The fields of a persona that a reader wants to see."""
    return {
        "age": str(persona.age),
        "traits": persona.traits,
        "background": persona.background,
        "currently": persona.currently,
        "lifestyle": persona.lifestyle,
        "home": persona.home,
    }


def memory_entry(record: Record, clock: Clock) -> MemoryEntry:
    """A record as the page shows it; its step is negative when it is older than the run."""
    seconds = (record.created - clock.start).total_seconds()
    return MemoryEntry(
        id=record.id,
        step=int(seconds // clock.step_seconds),
        kind=record.kind,
        text=record.text,
        importance=round(record.importance, 2),
        depth=record.depth,
        who=record.who,
        evidence=record.evidence,
    )
