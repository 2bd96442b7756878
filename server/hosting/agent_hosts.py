"""The agents of a server, by the model ids under which clients know them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...agents import Agent
from ...core import Model


class AgentHosts:
    """Agents by model id, and the plain model that they share under an id of its own."""

    def __init__(self, agents: Mapping[str, Agent], model: Model, model_id: str) -> None:
        self._agents = dict(agents)
        self.model = model
        self.model_id = model_id

    def __iter__(self) -> Iterator[str]:
        return iter(self._agents)

    def agent(self, model_id: str) -> Agent | None:
        """The agent of a model id; None if there is none."""
        return self._agents.get(model_id)
