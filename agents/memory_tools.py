"""What an agent holds for true, bound as a tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import Cue, Label, join_labels
from ..memory import Facts, Memory
from ..tools import FactResult, Tool, ToolContext, fact_search

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..core import AgentId


def fact_search_tool(
    memory: Memory, claims: Facts | None = None
) -> Tool[..., Sequence[FactResult]]:
    """The tool ``fact_search`` over the claims of a memory (its ``claims``, where they have
    rules of their own). A person is told only what follows from statements that are for them,
    and in everybody's hearing only what follows from those that are for everybody.
    """
    held = claims or Facts(memory)

    def look(subject: str, relation: str, context: ToolContext) -> list[FactResult]:
        # As with a recall, what was searched counts: that nothing was learned of a record is told
        # too.
        cue = Cue(text=subject, at=context.now, person=context.person)
        all_searched = Label((), memory.searched_audience(cue))
        context.add_label(
            join_labels((*_fact_labels(held, context.person), all_searched), memory.agent)
        )
        return [
            FactResult(
                fact=str(claim),
                since=f"{claim.since:%Y-%m-%d}",
                until=f"{claim.until:%Y-%m-%d}" if claim.until else None,
                who=claim.who,
            )
            for claim in held.find(subject, relation, as_of=context.now, person=context.person)
        ]

    return fact_search(look)


def _fact_labels(held: Facts, person: AgentId) -> Iterator[Label]:
    """The labels of all statements that a search looks through: each of them may end a fact,
    or make a name mean somebody else."""
    for statement in held.statements(person, believed=True):
        yield Label(statement.words_of, statement.audience)
