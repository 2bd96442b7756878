"""Which beginnings of prompts are nobody's: what an agent's prompts say of the agent itself.

A server keeps what its model computed of a prompt for each API key and person apart
(``cache_owner``), so that response times tell nobody what others wrote. A persona's own text is
public: it is found by a rehearsal, a first chat of a copy of the agent that remembers nothing.
"""

from __future__ import annotations

from ...agents import Agent
from ...core import Choose, Client, Generate, Json, Model, ModelAsk, Rate
from ...memory import Memory
from ...models import ImprovisedModel
from ...store import Store
from .agent_hosts import AgentHosts
from .callers import LOCAL_PERSON

_GREETING = "Hello!"


class _AskRecorder:
    """A model that keeps the asks it was given."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.asks: list[ModelAsk] = []

    def client(self) -> Client:
        return _RecordingClient(self._model.client(), self.asks)

    def describe(self) -> dict[str, Json]:
        return self._model.describe()


class _RecordingClient:
    def __init__(self, client: Client, asks: list[ModelAsk]) -> None:
        self._client = client
        self._asks = asks
        self.cancel = client.cancel
        self.wait = client.wait

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> int:
        self._asks.append(ask)
        return self._client.submit(ask, owner, priority)


def public_asks(agent: Agent) -> tuple[ModelAsk, ...]:
    """What a copy of an agent without memory and tools asks its model when a stranger greets it:
    nothing that anybody has said."""
    recorder = _AskRecorder(ImprovisedModel())
    with Store(":memory:") as store:
        copy = Agent(
            agent.persona,
            model=recorder,
            memory=Memory(store, agent.id),
            planner=agent.planner,
            dialogue=agent.dialogue,
        )
        copy.chat(_GREETING, LOCAL_PERSON)
    return tuple(ask for ask in recorder.asks if isinstance(ask, Generate | Choose | Rate))


def publish_prompts(hosts: AgentHosts) -> None:
    """Let the model share what it computes of the agents' own texts among all callers."""
    publish = getattr(hosts.model, "publish", None)
    if publish is None:
        return
    for agent in hosts.agents:
        publish(public_asks(agent))
