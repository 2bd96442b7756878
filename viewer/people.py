"""A person's identity and memories, as the page shows them."""

from __future__ import annotations

from ..core import Clock, Persona, Record
from .data import Memory


def identity(persona: Persona) -> dict[str, str]:
    """The fields of a persona that a reader wants to see."""
    return {
        "age": str(persona.age),
        "traits": persona.traits,
        "background": persona.background,
        "currently": persona.currently,
        "lifestyle": persona.lifestyle,
        "home": persona.home,
    }


def memory_of(record: Record, clock: Clock) -> Memory:
    """A record as the page shows it; its step is negative when it is older than the run."""
    seconds = (record.created - clock.start).total_seconds()
    return Memory(
        id=record.id,
        step=int(seconds // clock.step_seconds),
        kind=record.kind,
        text=record.text,
        importance=round(record.importance, 2),
        depth=record.depth,
        who=record.who,
        evidence=record.evidence,
    )
