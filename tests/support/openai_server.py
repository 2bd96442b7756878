"""A server of the OpenAI API for tests: one agent and the plain model, on the loopback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from denizens import Agent, Memory, Persona
from denizens.core import Model
from denizens.server.hosting import AgentHosts, HostingSettings
from denizens.server.web import create_app
from denizens.tests.support.running_app import running_app

BO = Persona(name="Bo Lind", age=40, traits="calm", background="Bo Lind is a baker in Larkspur.")


def bo(model: Model, **settings: Any) -> Agent:
    """An agent with a memory in RAM."""
    return Agent(BO, model=model, memory=Memory(":memory:", BO.name), **settings)


@contextmanager
def openai_server(
    model: Model,
    agents: Mapping[str, Agent] | None = None,
    settings: HostingSettings | None = None,
) -> Iterator[str]:
    """Serve agents by model id, and the plain model as "plain"; yields the base URL of clients."""
    hosts = AgentHosts(agents or {}, model, "plain")
    with running_app(create_app(hosts, settings)) as address:
        yield f"{address}/v1"


def openai_client(base_url: str, **settings: Any) -> Any:
    """The official client, which does not try again."""
    import openai

    return openai.OpenAI(base_url=base_url, api_key="none", max_retries=0, **settings)


WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "The city."}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def user(content: Any) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": content}


def joined(chunks: Sequence[Any], index: int = 0) -> str:
    """The text of one choice of a stream."""
    choices = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
    return "".join(choice.delta.content or "" for choice in choices)
