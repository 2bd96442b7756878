"""Correcting and forgetting records of an agent, embedded by its own model; its state after a
restore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ..core import (
    AgentState,
    Embed,
    MemoryFault,
    Persona,
    Thought,
    Vectors,
    drive,
    embed,
    from_json,
)
from ..memory import Corrections, Snapshot
from .thoughts import AgentResources, AskRouter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def agent_corrections(agent: AgentResources, persona: Persona) -> Corrections:
    """The corrections of an agent's memory. New texts are embedded by its memory's function, else
    by its model; what the persona tells is known anyway.

    Raises MemoryFault while it corrects if the model cannot embed."""
    known = (persona.background, persona.currently, persona.lifestyle, persona.daily)
    texts = (*known, persona.traits, *persona.facts)

    def embedded(lines: Sequence[str]) -> NDArray[np.float32]:
        now = datetime.now().replace(microsecond=0)
        router = AskRouter({persona.name: agent}, at=now)
        try:
            answer = drive({persona.name: _embedded(tuple(lines))}, router)[persona.name]
        finally:
            router.close()
        if not isinstance(answer, Vectors):
            raise MemoryFault(f"{persona.name}: the new text could not be embedded ({answer})")
        return answer.array()

    return Corrections(agent.memory, agent.memory.embed or embedded, known=texts)


def _embedded(lines: tuple[str, ...]) -> Thought[object]:
    return (yield from embed(Embed(texts=lines)))


def state_at_restore(restored: Snapshot, persona: Persona, now: AgentState) -> AgentState:
    """The state that was saved with a snapshot, or that of a beginning where it was erased or never
    saved; its usage is that of ``now``."""
    if restored.state is None:
        state = AgentState(currently=persona.currently, reflect_left=persona.reflect_after)
    else:
        state = from_json(AgentState, restored.state)
    return replace(state, records=restored.records, calls=now.calls, tokens=now.tokens)
