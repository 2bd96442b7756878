"""What answers the asks of living agents: their models, memories and tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..core import (
    AgentId,
    Answer,
    Ask,
    AskId,
    Call,
    Client,
    Delta,
    Embed,
    Failed,
    Recall,
    Recalled,
    Time,
    Vectors,
)
from ..memory import recall_many
from ..tools import ToolContext

if TYPE_CHECKING:
    from .agent import Agent


class Minds:
    """Answers asks for any number of agents at once.

    One client per distinct model, so that all agents' asks meet in one batch. A Recall is
    embedded by the agent's own model first; all recalls of a round are scored together.
    ``priority``: of all asks, the lowest goes first; somebody waits for a chat.
    """

    def __init__(
        self,
        agents: Mapping[AgentId, Agent],
        *,
        at: Time,
        on_text: Callable[[str], None] | None = None,
        priority: int = 0,
    ) -> None:
        self._agents = agents
        self._at = at
        self._on_text = on_text
        self._priority = priority
        self._clients: dict[int, Client] = {}
        self._waiting: dict[tuple[int, int], tuple[AskId, Ask]] = {}
        self._calls: list[tuple[AskId, Call]] = []

    def submit(self, where: AskId, ask: Ask) -> None:
        """Send an ask to whatever answers it."""
        if isinstance(ask, Call):
            self._calls.append((where, ask))
            return
        model = self._agents[where.agent].model
        key = id(model)
        if key not in self._clients:
            self._clients[key] = model.client()
        sent = Embed(texts=(ask.cue.text,)) if isinstance(ask, Recall) else ask
        ticket = self._clients[key].submit(sent, owner=where.agent, priority=self._priority)
        self._waiting[key, ticket] = (where, ask)

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        """All answers that are there; blocks for at least one."""
        done: list[tuple[AskId, Answer]] = [
            (where, self._use_tool(where, call)) for where, call in self._calls
        ]
        self._calls.clear()
        recalls: list[tuple[AskId, Recall, Vectors]] = []
        while not done and not recalls and self._waiting:
            for key in sorted({key for key, _ in self._waiting}):
                for item in self._clients[key].wait():
                    if isinstance(item, Delta):
                        if self._on_text:
                            self._on_text(item.text)
                        continue
                    where, ask = self._waiting.pop((key, item.ticket))
                    if isinstance(ask, Recall) and isinstance(item.answer, Vectors):
                        recalls.append((where, ask, item.answer))
                    else:
                        done.append((where, item.answer))
        return done + self._recall(recalls)

    def _recall(
        self, recalls: Sequence[tuple[AskId, Recall, Vectors]]
    ) -> list[tuple[AskId, Answer]]:
        if not recalls:
            return []
        import numpy as np

        # Models may embed in different lengths; what is alike is scored together.
        groups: dict[int, list[tuple[AskId, Recall, Vectors]]] = {}
        for one in recalls:
            groups.setdefault(one[2].columns, []).append(one)
        answers: list[tuple[AskId, Answer]] = []
        for group in groups.values():
            vectors = np.concatenate([vector.array() for _, _, vector in group])
            asked = [(self._agents[where.agent].memory, ask.cue) for where, ask, _ in group]
            found = recall_many(asked, vectors)
            for (where, _, _), (memory, cue), row, hits in zip(group, asked, vectors, found):
                held = memory.held(cue, row) if memory.rules_for(cue).estimates else None
                answers.append((where, Recalled(hits=hits, held=held)))
        return answers

    def _use_tool(self, where: AskId, call: Call) -> Answer:
        box = self._agents[where.agent].tools
        if call.tool not in box.names():
            return Failed(reason="no_tool", detail=f"{where.agent} has no tool '{call.tool}'")
        key = f"{where.agent}/{where.step}/{where.path}"
        context = ToolContext(who=where.agent, now=self._at)
        return box.call(call.tool, call.arguments, context=context, why=call.why, key=key)
