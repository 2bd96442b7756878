"""Chat completions over HTTP by the official client, with scripted models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from denizens.models import ImprovisedModel
from denizens.tests.support.openai_server import bo, openai_client, openai_server

HELLO = [{"role": "user", "content": "Hello, who are you?"}]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """The official client of a server with an agent and a hash model."""
    model = ImprovisedModel()
    with openai_server(model, {"bo-lind": bo(model)}) as url:
        yield openai_client(url)


def test_models_are_listed_and_retrieved(client: Any) -> None:
    """The plain model and each agent are models."""
    assert [one.id for one in client.models.list()] == ["plain", "bo-lind"]
    assert client.models.retrieve("bo-lind").owned_by == "denizens"


def test_the_plain_model_answers_whole_and_streamed(client: Any) -> None:
    """A stream's pieces are the text of the whole answer; the usage comes with the last chunk."""
    whole = client.chat.completions.create(model="plain", messages=HELLO, seed=3)
    assert whole.choices[0].message.content
    assert whole.choices[0].finish_reason == "stop"
    chunks = list(
        client.chat.completions.create(
            model="plain",
            messages=HELLO,
            seed=3,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage


def test_an_agent_answers_and_remembers(client: Any) -> None:
    """An agent's reply is streamed."""
    whole = client.chat.completions.create(model="bo-lind", messages=HELLO, user="Ada")
    assert whole.choices[0].message.content
