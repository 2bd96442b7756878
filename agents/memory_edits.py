"""Correcting and forgetting records of an agent, embedded by its own model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ..core import Embed, MemoryFault, Persona, Thought, Vectors, drive, embed
from ..memory import Corrections
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
