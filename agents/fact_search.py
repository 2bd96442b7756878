"""Tools over an agent's memory that need its facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core import AgentId, Cue, Label, join_labels
from ..memory import Facts, Memory
from ..tools import FactResult, Tool, ToolContext, fact_search


def fact_search_tool(
    memory: Memory, claims: Facts | None = None
) -> Tool[..., Sequence[FactResult]]:
    """The tool ``fact_search`` over the facts of a memory, or over ``claims`` (Facts with other
    rules). The result holds only what follows from statements whose audience includes the
    person of the call."""
    facts = claims or Facts(memory)

    def search(subject: str, relation: str, context: ToolContext) -> list[FactResult]:
        # As with a recall, the label covers all that was searched: an empty result tells
        # something about it too.
        cue = Cue(text=subject, at=context.now, person=context.person)
        searched = Label((), memory.searched_audience(cue))
        labels = (*_fact_labels(facts, context.person), searched)
        context.add_label(join_labels(labels, memory.agent))
        return [
            FactResult(
                fact=str(fact),
                since=f"{fact.since:%Y-%m-%d}",
                until=f"{fact.until:%Y-%m-%d}" if fact.until else None,
                who=fact.who,
            )
            for fact in facts.find(subject, relation, as_of=context.now, person=context.person)
        ]

    return fact_search(search)


def _fact_labels(facts: Facts, person: AgentId) -> Iterator[Label]:
    """The labels of all statements that a search considers: each may end a fact, or make a name
    mean another entity."""
    for statement in facts.statements(person, believed=True):
        yield Label(statement.words_of, statement.audience)
