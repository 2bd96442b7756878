"""Responses over HTTP by the official client: text, tools, continuation, events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from denizens.core import Choice, Choose, Completion, Generate, ModelAsk
from denizens.server.openai_api.response_store import (
    MAX_RESPONSES,
    ResponseStore,
    StoredResponse,
)
from denizens.testing import ScriptedModel
from denizens.testing.scripted_models import ScriptedAnswer
from denizens.tests.support.openai_server import (
    WEATHER,
    bo,
    openai_client,
    openai_server,
)

TOOL = {"type": "function", **WEATHER["function"]}


def answering(ask: ModelAsk) -> ScriptedAnswer:
    """Shows its prompt; calls the weather's tool where the request names it."""
    if isinstance(ask, Choose):
        names = [option.name for option in ask.options]
        wanted = "get_weather" if "weather" in ask.about else "chat"
        best = names.index(wanted) if wanted in names else 0
        shares = tuple(0.9 if i == best else 0.1 / (len(names) - 1 or 1) for i in range(len(names)))
        return Choice(index=best, probabilities=shares)
    if not isinstance(ask, Generate):
        return 3
    if ask.schema is not None:
        return Completion(text='{"city": "Paris"}', data={"city": "Paris"})
    shown = " | ".join(f"{message.role}: {message.text}" for message in ask.messages)
    return Completion(text=shown, tokens_in=10, tokens_out=5)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    model = ScriptedModel(answering)
    with openai_server(model, {"bo-lind": bo(model)}) as address:
        yield address


@pytest.fixture
def client(url: str) -> Any:
    """The official client."""
    return openai_client(url)


def test_a_conversation_is_continued(client: Any) -> None:
    """A response continues an earlier one without its instructions, can be read and deleted."""
    first = client.responses.create(model="plain", input="Hello!", instructions="Be brief.")
    assert first.output_text == "system: Be brief. | user: Hello!"
    assert (first.status, first.usage.input_tokens, first.usage.output_tokens) == (
        "completed",
        10,
        5,
    )
    second = client.responses.create(
        model="plain",
        input=[{"role": "user", "content": [{"type": "input_text", "text": "And now?"}]}],
        previous_response_id=first.id,
        metadata={"topic": "greeting"},
    )
    assert second.output_text == (f"user: Hello! | assistant: {first.output_text} | user: And now?")
    assert second.previous_response_id == first.id
    stored = client.responses.retrieve(second.id)
    assert (stored.output_text, stored.metadata) == (second.output_text, {"topic": "greeting"})
    client.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(second.id)
    hidden = client.responses.create(model="plain", input="Hello!", store=False)
    with pytest.raises(openai.NotFoundError) as error:
        client.responses.create(model="plain", input="x", previous_response_id=hidden.id)
    assert error.value.param == "previous_response_id"


def test_the_events_of_a_stream(client: Any) -> None:
    """The client assembles the events into the response that the last of them holds."""
    with client.responses.stream(model="plain", input="Hello!") as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == final.output_text == "user: Hello!"
    assert client.responses.retrieve(final.id).output_text == text


def test_tools_are_called(client: Any) -> None:
    """A call is an item; its output is an item of the next request, with or without the id of
    the response before."""
    first = client.responses.create(
        model="plain", input="What is the weather in Paris?", tools=[TOOL]
    )
    (call,) = first.output
    assert (call.type, call.name, json.loads(call.arguments)) == (
        "function_call",
        "get_weather",
        {"city": "Paris"},
    )
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}
    told = client.responses.create(
        model="plain", input=[output], tools=[TOOL], previous_response_id=first.id
    )
    assert "The get weather says: 18 degrees" in told.output_text
    whole: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    whole += [item.model_dump() for item in first.output]
    again = client.responses.create(model="plain", input=[*whole, output], tools=[TOOL])
    assert again.output_text == told.output_text
    stream = client.responses.create(
        model="plain",
        input="Hello!",
        tools=[TOOL],
        tool_choice={"type": "function", "name": "get_weather"},
        stream=True,
    )
    events = {event.type: event for event in stream}
    done = events["response.function_call_arguments.done"]
    assert json.loads(done.arguments) == {"city": "Paris"}


def test_an_answer_by_a_schema(client: Any) -> None:
    """text.format takes a JSON Schema."""
    schema = TOOL["parameters"]
    wanted = {"format": {"type": "json_schema", "name": "place", "schema": schema}}
    answer = client.responses.create(model="plain", input="Where?", text=wanted)
    assert json.loads(answer.output_text) == {"city": "Paris"}


def test_an_agent_answers(client: Any) -> None:
    """An agent's response belongs to its person: another person cannot continue it."""
    first = client.responses.create(model="bo-lind", input="Hello!", user="Ada")
    assert first.output_text
    fields = {"model": "bo-lind", "input": "And now?", "previous_response_id": first.id}
    assert client.responses.create(**fields, user="Ada").output_text
    with pytest.raises(openai.NotFoundError):
        client.responses.create(**fields, user="Cy")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("background", True),
        ("truncation", "auto"),
        ("conversation", "conv_1"),
        ("include", ["file_search_call.results"]),
        ("reasoning", {"effort": "high"}),
        ("max_tool_calls", 3),
        ("tools", [{"type": "web_search"}]),
        ("input", [{"type": "item_reference", "id": "x"}]),
        ("input", [{"type": "function_call_output", "call_id": "x", "output": ""}]),
        ("previous_response", "resp_1"),
        ("max_output_tokens", 10**6),
    ],
)
def test_what_is_not_supported_is_refused(url: str, field: str, value: Any) -> None:
    """A field that is unknown or cannot be honoured is a 400 that names it."""
    body = {"model": "plain", "input": "Hello!", field: value}
    response = httpx.post(f"{url}/responses", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"].startswith(field)


def test_responses_are_kept_by_caller_and_bounded() -> None:
    """A caller has its last responses, and nobody else's."""
    store, stored = ResponseStore(), StoredResponse({}, ())
    for number in range(MAX_RESPONSES + 1):
        store.add("shop", f"r{number}", stored)
    assert store.get("shop", "r0") is None
    assert store.get("shop", f"r{MAX_RESPONSES}") is stored
    assert store.get("game", f"r{MAX_RESPONSES}") is None
    assert not store.remove("game", "r1")
    assert store.remove("shop", "r1")
