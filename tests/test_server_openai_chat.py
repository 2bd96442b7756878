"""Chat completions, models and embeddings over HTTP by the official client, on fast models."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from denizens.core import Choice, Choose, Completion, Generate, ModelAsk
from denizens.models import ImprovisedModel
from denizens.server.hosting import HostingSettings
from denizens.testing import ScriptedModel
from denizens.testing.scripted_models import ScriptedAnswer
from denizens.tests.support.openai_server import (
    WEATHER,
    bo,
    joined,
    openai_client,
    openai_server,
    user,
)

HELLO = [user("Hello, who are you?")]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a server with an agent and a hash model."""
    model = ImprovisedModel()
    with openai_server(model, {"bo-lind": bo(model)}) as address:
        yield address


@pytest.fixture
def client(url: str) -> Any:
    """The official client."""
    return openai_client(url)


def refusal(url: str, **body: Any) -> tuple[int, dict[str, Any]]:
    """Status and error object of a chat request."""
    body = {"model": "plain", "messages": HELLO, **body}
    response = httpx.post(f"{url}/chat/completions", json=body)
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return response.status_code, error


def test_models_are_listed_and_retrieved(client: Any) -> None:
    """The plain model and each agent are models, the agent by its exact name too."""
    assert [one.id for one in client.models.list()] == ["plain", "bo-lind"]
    assert client.models.retrieve("bo-lind").owned_by == "denizens"
    assert client.models.retrieve("Bo Lind").id == "Bo Lind"
    with pytest.raises(openai.NotFoundError) as error:
        client.models.retrieve("nobody")
    assert error.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nobody", messages=HELLO)


def test_a_stream_is_the_whole_answer_in_pieces(client: Any) -> None:
    """Text, usage and finish of a stream are those of the whole answer; the usage comes last,
    and only if it was asked for."""
    whole = client.chat.completions.create(model="plain", messages=HELLO, seed=3)
    assert whole.choices[0].finish_reason == "stop"
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(
            model="plain", messages=HELLO, seed=3, stream=True, stream_options=options
        )
    )
    assert joined(chunks) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.usage for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert (chunks[-1].choices, chunks[-1].usage) == ([], whole.usage)
    bare = list(client.chat.completions.create(model="plain", messages=HELLO, stream=True))
    assert bare[-1].choices[0].finish_reason == "stop"


def test_several_choices_are_drawn_apart(client: Any) -> None:
    """n choices come from one prompt, each with a seed of its own; the same seed repeats them."""

    def texts() -> list[str]:
        answer = client.chat.completions.create(model="plain", messages=HELLO, n=3, seed=7)
        assert [choice.index for choice in answer.choices] == [0, 1, 2]
        return [choice.message.content for choice in answer.choices]

    assert texts() == texts()
    assert len(set(texts())) == 3
    stream = client.chat.completions.create(model="plain", messages=HELLO, n=3, seed=7, stream=True)
    chunks = list(stream)
    assert [joined(chunks, index) for index in range(3)] == texts()


def test_json_by_a_schema(client: Any) -> None:
    """Structured outputs, also by the client's own parser."""
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}
    answer = client.chat.completions.create(model="plain", messages=HELLO, response_format=wanted)
    assert set(json.loads(answer.choices[0].message.content)) == {"name", "age"}
    answer = client.chat.completions.create(
        model="plain", messages=HELLO, response_format={"type": "json_object"}
    )
    assert isinstance(json.loads(answer.choices[0].message.content), dict)


def test_embeddings_of_both_formats(client: Any, url: str) -> None:
    """Floats and base64 hold the same vectors of length 1."""
    body = {"model": "plain", "input": ["bread", "a harbour"]}
    floats, packed = (
        httpx.post(f"{url}/embeddings", json={**body, "encoding_format": form}).json()["data"]
        for form in ("float", "base64")
    )
    for one, other in zip(floats, packed, strict=True):
        vector = np.frombuffer(base64.b64decode(other["embedding"]), dtype="<f4")
        assert vector.tolist() == one["embedding"]
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    answer = client.embeddings.create(model="plain", input="bread")
    assert answer.data[0].embedding == pytest.approx(floats[0]["embedding"])
    for wrong in ({"dimensions": 8}, {"input": [[1, 2]]}, {"input": ""}, {"model": "bo-lind"}):
        response = httpx.post(f"{url}/embeddings", json={**body, **wrong})
        assert response.status_code == 400
        assert response.json()["error"]["param"].partition(".")[0] in wrong


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("messages", [], "messages"),
        ("messages", [{"role": "user"}], "messages.0.content"),
        ("messages", [{"role": "function", "name": "f", "content": ""}], "messages.0"),
        ("messages", [user([{"type": "image_url", "image_url": {}}])], None),
        ("messages", [{"role": "tool", "tool_call_id": "x", "content": ""}], None),
        ("temperature", 3, "temperature"),
        ("temperature", "hot", "temperature"),
        ("top_p", 0, "top_p"),
        ("n", 99, "n"),
        ("max_tokens", 0, "max_tokens"),
        ("max_tokens", 10**6, "max_tokens"),
        ("stop", [""], "stop"),
        ("stream_options", {"include_usage": True}, "stream_options"),
        ("top_logprobs", 2, "top_logprobs"),
        ("presence_penalty", 0.5, "presence_penalty"),
        ("frequency_penalty", 0.5, "frequency_penalty"),
        ("logit_bias", {"5": 1.0}, "logit_bias"),
        ("store", True, "store"),
        ("reasoning_effort", "high", "reasoning_effort"),
        ("modalities", ["audio"], "modalities.0"),
        ("functions", [{"name": "f"}], "functions"),
        ("tool_choice", "required", "tool_choice"),
        ("tools", [{"type": "retrieval"}], None),
        ("web_search_options", {}, "web_search_options"),
        ("temprature", 1, "temprature"),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "x y"}}, None),
    ],
)
def test_what_is_not_supported_is_refused(url: str, field: str, value: Any, param: str) -> None:
    """A field that is unknown or cannot be honoured is a 400 that names it, never ignored."""
    status, error = refusal(url, **{field: value})
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert error["param"].startswith(param or field)


def test_harmless_fields_change_nothing(client: Any) -> None:
    """Labels of OpenAI's bookkeeping, and neutral values, are accepted."""
    fields = {
        "metadata": {"a": "b"},
        "safety_identifier": "x",
        "prompt_cache_key": "y",
        "service_tier": "auto",
        "store": False,
        "presence_penalty": 0,
        "frequency_penalty": 0.0,
        "logit_bias": {},
        "modalities": ["text"],
        "logprobs": False,
        "parallel_tool_calls": True,
    }
    plain = client.chat.completions.create(model="plain", messages=HELLO, seed=1)
    same = client.chat.completions.create(model="plain", messages=HELLO, seed=1, **fields)
    assert same.choices == plain.choices


def test_logprobs_that_the_model_has_not_are_refused(url: str) -> None:
    """A model without log-probabilities does not leave them out in silence."""
    status, error = refusal(url, logprobs=True)
    assert (status, error["param"]) == (400, "logprobs")


def test_bodies_that_are_no_requests(url: str) -> None:
    """Broken JSON, another type, nothing at all: 400 in OpenAI's shape."""
    headers = {"Content-Type": "application/json"}
    for content in (b"{", b"[]", b"null", b"", b'"x"'):
        response = httpx.post(f"{url}/chat/completions", content=content, headers=headers)
        assert response.status_code == 400
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}


def answering(ask: ModelAsk) -> ScriptedAnswer:
    """Chooses the weather's tool where the request names it; says what it was asked."""
    if isinstance(ask, Choose):
        names = [option.name for option in ask.options]
        tool = next((i for i, name in enumerate(names) if name == "get_weather"), -1)
        best = tool if "weather" in ask.about else names.index("chat") if "chat" in names else 0
        shares = tuple(0.9 if i == best else 0.1 / (len(names) - 1 or 1) for i in range(len(names)))
        return Choice(index=best, probabilities=shares)
    assert isinstance(ask, Generate)
    if ask.schema is not None:
        return Completion(text='{"city": "Paris"}', data={"city": "Paris"})
    shown = " | ".join(f"{message.role}: {message.text}" for message in ask.messages)
    return Completion(text=shown, tokens_in=10, tokens_out=5)


@pytest.fixture(scope="module")
def scripted() -> Iterator[Any]:
    """The official client of a server whose model shows its prompt."""
    with openai_server(ScriptedModel(answering), settings=HostingSettings(max_messages=8)) as url:
        yield openai_client(url)


def test_a_tool_is_called_and_its_result_told(scripted: Any) -> None:
    """A call, streamed and whole; then its result, after which no tool is called again."""
    ask = [user("What is the weather in Paris?")]
    settings = {"model": "plain", "tools": [WEATHER]}
    answer = scripted.chat.completions.create(messages=ask, **settings).choices[0]
    assert answer.finish_reason == "tool_calls"
    assert answer.message.content is None
    (call,) = answer.message.tool_calls
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    chunks = list(scripted.chat.completions.create(messages=ask, stream=True, **settings))
    streamed = [c.choices[0].delta.tool_calls[0] for c in chunks if c.choices[0].delta.tool_calls]
    assert [one.function.arguments for one in streamed] == [call.function.arguments]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    result = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}
    after = [*ask, answer.message.model_dump(), result]
    told = scripted.chat.completions.create(messages=after, **settings).choices[0]
    assert told.finish_reason == "stop"
    assert "The get weather says: 18 degrees" in told.message.content


def test_tool_choice(scripted: Any) -> None:
    """auto calls no tool for small talk, none never does, required and a name always do."""
    talk = {"model": "plain", "messages": [user("Hello!")], "tools": [WEATHER]}
    named = {"type": "function", "function": {"name": "get_weather"}}
    reasons = [
        scripted.chat.completions.create(**talk, tool_choice=choice).choices[0].finish_reason
        for choice in ("auto", "none", "required", named)
    ]
    assert reasons == ["stop", "stop", "tool_calls", "tool_calls"]
    weather = {**talk, "messages": [user("What is the weather in Paris?")]}
    answer = scripted.chat.completions.create(**weather, tool_choice="none")
    assert answer.choices[0].finish_reason == "stop"
    unknown = {"type": "function", "function": {"name": "other"}}
    with pytest.raises(openai.BadRequestError) as error:
        scripted.chat.completions.create(**talk, tool_choice=unknown)
    assert error.value.param == "tool_choice"


def test_messages_of_all_roles_reach_the_prompt(scripted: Any) -> None:
    """Several system messages, the developer's role, parts of text and names are all shown."""
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "name": "Ada", "content": [{"type": "text", "text": t} for t in "ab"]},
        {"role": "assistant", "content": None, "refusal": "No."},
        user("And now?"),
    ]
    answer = scripted.chat.completions.create(model="plain", messages=messages)
    assert answer.choices[0].message.content == (
        "system: Be brief. | system: Be kind. | user: Ada: a\nb | assistant: No. | user: And now?"
    )
    with pytest.raises(openai.BadRequestError) as error:
        scripted.chat.completions.create(model="plain", messages=[user("a")] * 9)
    assert error.value.param == "messages"


def test_an_agent_answers_whole_and_streamed(client: Any) -> None:
    """An agent's reply is one choice; its usage is all that its thought has cost."""
    fields = {"model": "bo-lind", "messages": HELLO, "user": "Ada"}
    whole = client.chat.completions.create(**fields)
    assert whole.choices[0].message.content
    chunks = list(client.chat.completions.create(**fields, stream=True))
    assert joined(chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens


def test_a_user_and_a_header_that_differ(client: Any) -> None:
    """Two names for the person of one request are refused."""
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(
            model="bo-lind",
            messages=HELLO,
            user="Ada",
            extra_headers={"X-Denizens-Person": "Cy"},
        )
    assert error.value.param == "user"
