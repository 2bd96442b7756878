"""The thread that holds the model's client for all requests of the OpenAI API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

import httpx
import openai
import pytest
from denizens.core import Completion, Delta, Done, Embed, Failed, Generate, Json, Message, ModelAsk
from denizens.server.openai_api.model_service import ModelService
from denizens.testing import ScriptedModel
from denizens.tests.support.openai_server import openai_client, openai_server, user
from denizens.tests.support.tiny_models import answers, load_engine, write


class EndlessModel:
    """A model that writes a word now and then, without end; ``open`` are its asks."""

    def __init__(self) -> None:
        self.open: set[int] = set()
        self._next = 0

    def client(self) -> EndlessModel:
        return self

    def describe(self) -> dict[str, Json]:
        return {"name": "endless"}

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> int:
        self._next += 1
        self.open.add(self._next)
        return self._next

    def cancel(self, ticket: int) -> None:
        self.open.discard(ticket)

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        time.sleep(timeout or 0.0)
        return [Delta(ticket, "word ") for ticket in sorted(self.open)]


def until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_a_stream_that_is_closed_frees_its_row() -> None:
    """Closing the events, and cancelling their task, cancel the ask in the model."""
    model = EndlessModel()

    async def run() -> None:
        service = ModelService(model)
        ask = Generate(messages=(), stream=True)
        async with aclosing(service.events(ask)) as events:
            assert isinstance(await anext(events), Delta)
            assert len(model.open) == 1
        waiting = asyncio.create_task(service.answer(ask))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(run())
    assert until(lambda: not model.open)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_frees_its_rows(stream: bool) -> None:
    """A client that disconnects, in the middle of a stream or while it waits, frees all choices
    of its request within a second."""
    model = EndlessModel()
    body = {"model": "plain", "messages": [user("Hello!")], "n": 3, "stream": stream}
    with openai_server(model) as url, httpx.Client(timeout=0.5) as client:
        path = f"{url}/chat/completions"
        if stream:
            with client.stream("POST", path, json=body) as response:
                next(response.iter_lines())
                assert len(model.open) == 3
        else:
            with pytest.raises(httpx.ReadTimeout):
                client.post(path, json=body)
        assert until(lambda: not model.open, seconds=1.0)


def test_an_error_of_the_model_reaches_its_requests() -> None:
    """A model that fails fails the requests that are open, and answers the next."""
    script: list[Any] = []
    with openai_server(ScriptedModel(lambda ask: script.pop())) as url:
        client = openai_client(url)
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="plain", messages=[user("Hello!")])
        script.append("Good morning.")
        answer = client.chat.completions.create(model="plain", messages=[user("Hello!")])
    assert answer.choices[0].message.content == "Good morning."


def test_a_model_without_a_client_fails_at_once() -> None:
    """An error of the model's ``client`` is raised where the answer is awaited."""

    class Broken(EndlessModel):
        def client(self) -> EndlessModel:
            raise RuntimeError("no client")

    async def run() -> None:
        service = ModelService(Broken())
        for _ in range(2):
            async with asyncio.timeout(5):
                with pytest.raises(RuntimeError, match="no client"):
                    await service.answer(Generate(messages=()))

    asyncio.run(run())


def test_limits_that_the_model_itself_knows(tmp_path: Any) -> None:
    """``clip`` lets an answer fill the window; ``whole`` counts tokens and refuses a text that
    would be cut."""
    model = load_engine(write(tmp_path, "llama", window=64))
    ask = Generate(messages=(Message.of("user", "bread"),), max_tokens=500, temperature=1.0)
    refused, clipped = answers(
        model, [ask, Generate(messages=ask.messages, max_tokens=500, temperature=1.0, clip=True)]
    )
    assert isinstance(refused, Failed)
    assert isinstance(clipped, Completion)
    assert clipped.tokens_in + clipped.tokens_out <= model.prompt_builder.window
    limit = model.embedder.max_tokens
    assert limit is not None
    long = "bread " * (limit + 1)
    plain, counted, cut = answers(
        model,
        [
            Embed(texts=("bread", long)),
            Embed(texts=("bread", "a town"), whole=True),
            Embed(texts=("bread", long), whole=True),
        ],
    )
    assert plain.tokens_in == 0
    assert counted.tokens_in == sum(model.embedder.token_counts(["bread", "a town"]))
    assert (cut.kind, cut.reason) == ("failed", "context_too_long")
