"""What an agent holds for true, bound as a tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..memory import Claims, Memory
from ..tools import Fact, Tool, fact_search

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core import AgentId, Time


def facts_of(memory: Memory, claims: Claims | None = None) -> Tool[..., Sequence[Fact]]:
    """The tool ``fact_search`` over the claims of a memory (its ``claims``, where they have
    rules of their own). A person is told only what follows from statements that are for them.
    """
    held = claims or Claims(memory)

    def look(subject: str, relation: str, person: AgentId, now: Time) -> list[Fact]:
        return [
            Fact(
                fact=str(claim),
                since=f"{claim.since:%Y-%m-%d}",
                until=f"{claim.until:%Y-%m-%d}" if claim.until else None,
                who=claim.who,
            )
            for claim in held.all(subject, relation, as_of=now, person=person)
        ]

    return fact_search(look)
