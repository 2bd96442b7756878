"""The OpenAI API with SmolLM2 behind it: the official clients try everything, others a tool."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openai
import pytest
from denizens.core import Message
from denizens.tests.support.openai_server import (
    WEATHER,
    bo,
    joined,
    openai_client,
    openai_server,
    user,
)
from pydantic import BaseModel

if TYPE_CHECKING:
    from denizens.models import LocalModel

pytestmark = pytest.mark.real
SCRIPT = Path(__file__).parent / "support" / "openai_client.mjs"
ASK = "What is the weather in Paris right now?"
HELLO = [user("Say hello to my friend Bo.")]


class Baker(BaseModel):
    """A person."""

    name: str
    age: int


@pytest.fixture(scope="module")
def url(smollm2: LocalModel) -> Iterator[str]:
    """A server of SmolLM2 and an agent."""
    with openai_server(smollm2, {"bo-lind": bo(smollm2)}) as address:
        yield address


@pytest.fixture
def client(url: str) -> Any:
    """The official Python client."""
    return openai_client(url)


def test_python_chat(client: Any, smollm2: LocalModel) -> None:
    """Streams, exact usage, seeds, several choices, stop texts, several system messages."""
    messages = [
        {"role": "system", "content": "You are a baker."},
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
        *HELLO,
    ]
    fields = {"model": "plain", "messages": messages, "max_completion_tokens": 12, "seed": 4}
    whole = client.chat.completions.create(**fields, n=2, temperature=0.9, top_p=0.9)
    prompt = [Message.of("system", "You are a baker."), Message.of("system", "Be brief.")]
    prompt.append(Message.of("user", HELLO[0]["content"]))
    assert whole.usage.prompt_tokens == len(smollm2.prompt_builder.ids(prompt))
    stream = client.chat.completions.create(
        **fields,
        n=2,
        temperature=0.9,
        top_p=0.9,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert len({choice.message.content for choice in whole.choices}) == 2
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens
    assert all(joined(chunks, index) for index in range(2))
    long = client.chat.completions.create(**fields, temperature=0)
    assert long.choices[0].finish_reason in ("stop", "length")
    text = long.choices[0].message.content
    cut = client.chat.completions.create(**fields, temperature=0, stop=[text[3:6]])
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == (text[:3], "stop")
    limited = client.chat.completions.create(model="plain", messages=HELLO, max_tokens=1)
    assert (limited.choices[0].finish_reason, limited.usage.completion_tokens) == ("length", 1)


def test_python_logprobs_and_json(client: Any) -> None:
    """Log-probabilities, whole and streamed; structured outputs by the client's parser."""
    fields = {"model": "plain", "messages": HELLO, "temperature": 0, "max_tokens": 5}
    fields |= {"logprobs": True, "top_logprobs": 3}
    answer = client.chat.completions.create(**fields)
    tokens = answer.choices[0].logprobs.content
    assert "".join(one.token for one in tokens) == answer.choices[0].message.content
    assert answer.usage.completion_tokens == len(tokens)
    assert all(one.logprob <= 0 and len(one.top_logprobs) == 3 for one in tokens)
    chunks = client.chat.completions.create(**fields, stream=True)
    streamed = [one for c in chunks if (p := c.choices[0].logprobs) for one in p.content]
    assert [one.token for one in streamed] == [one.token for one in tokens]
    parsed = client.chat.completions.parse(
        model="plain",
        messages=[user("Ada Moss is 41 years old.")],
        response_format=Baker,
        max_tokens=48,
        temperature=0,
    )
    assert parsed.choices[0].message.parsed == Baker(name="Ada Moss", age=41)
    anything = client.chat.completions.create(
        model="plain",
        messages=HELLO,
        response_format={"type": "json_object"},
        max_tokens=40,
    )
    assert isinstance(json.loads(anything.choices[0].message.content), dict)


def test_python_tools(client: Any) -> None:
    """A tool is called where it is meant, its result is told, small talk calls none."""
    fields = {"model": "plain", "tools": [WEATHER], "max_tokens": 24, "temperature": 0}
    first = client.chat.completions.create(messages=[user(ASK)], **fields).choices[0]
    (call,) = first.message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    result = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees and sunny"}
    messages = [user(ASK), first.message.model_dump(), result]
    told = client.chat.completions.create(messages=messages, **fields).choices[0]
    assert "18" in told.message.content
    talk = client.chat.completions.create(messages=[user("Hello! How are you?")], **fields)
    assert talk.choices[0].message.tool_calls is None
    never = client.chat.completions.create(messages=[user(ASK)], tool_choice="none", **fields)
    assert never.choices[0].message.tool_calls is None


def test_python_embeddings_and_models(client: Any, smollm2: LocalModel) -> None:
    """Unit vectors in both formats, with exact usage; what the embedder would cut is refused."""
    texts = ["bread", "a harbour"]
    floats = client.embeddings.create(model="plain", input=texts, encoding_format="float")
    packed = client.embeddings.create(model="plain", input=texts, encoding_format="base64")
    for one, other in zip(floats.data, packed.data, strict=True):
        vector = np.frombuffer(base64.b64decode(other.embedding), dtype="<f4")
        assert vector.tolist() == pytest.approx(one.embedding)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-4)
    assert floats.usage.prompt_tokens == sum(smollm2.embedder.token_counts(texts))
    with pytest.raises(openai.BadRequestError) as error:
        client.embeddings.create(model="plain", input="bread " * 2000)
    assert error.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model="plain", messages=[user("bread " * 9000)])
    assert error.value.code == "context_length_exceeded"
    assert [one.id for one in client.models.list()] == ["plain", "bo-lind"]


def test_python_responses(client: Any) -> None:
    """Text, continuation, tools and events of the Responses API."""
    first = client.responses.create(model="plain", input="Hello!", max_output_tokens=8)
    second = client.responses.create(
        model="plain",
        input="And now?",
        instructions="Be brief.",
        previous_response_id=first.id,
        max_output_tokens=8,
    )
    assert second.usage.input_tokens > first.usage.input_tokens
    tool = {"type": "function", **WEATHER["function"]}
    called = client.responses.create(model="plain", input=ASK, tools=[tool])
    assert json.loads(called.output[0].arguments) == {"city": "Paris"}
    with client.responses.stream(model="plain", input="Hello!", max_output_tokens=8) as stream:
        events = list(stream)
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert events[-1].type in ("response.completed", "response.incomplete")
    assert events[-1].response.output_text == text


def test_python_agent(client: Any) -> None:
    """An agent remembers what its person said in another conversation."""
    told = [user("My name is Ada and I keep seven hens.")]
    client.chat.completions.create(model="Bo Lind", messages=told, user="Ada")
    chunks = client.chat.completions.create(
        model="bo-lind",
        messages=[user("How many hens do I keep?")],
        user="Ada",
        stream=True,
    )
    assert "seven" in joined(list(chunks)).lower()


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the official JavaScript client; skips without Node.js or its registry."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("needs node and npm")
    folder = tmp_path_factory.mktemp("node")
    install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "openai@6"]
    try:
        done = subprocess.run(
            install, cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm could not install the client within 60 s")
    if done.returncode:
        pytest.skip(f"npm could not install the client: {done.stderr[-300:]}")
    return folder


def test_javascript(url: str, node_folder: Path) -> None:
    """The same with the JavaScript client; see the script."""
    run = subprocess.run(
        ["node", str(SCRIPT), url],
        cwd=node_folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr[-3000:]
    assert run.stdout.count("ok ") == 12


def test_pydantic_ai(url: str) -> None:
    """An agent of pydantic-ai calls its tool and gets its typed output from SmolLM2."""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel("plain", provider=OpenAIProvider(base_url=url, api_key="none"))
    asked: list[str] = []
    agent = Agent(model, system_prompt="Be brief.", model_settings={"max_tokens": 24})

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """Get the current weather of a city."""
        asked.append(city)
        return "18 degrees and sunny"

    assert agent.run_sync(ASK).output
    assert asked == ["Paris"]
    typed = Agent(model, output_type=Baker, model_settings={"max_tokens": 48})
    assert typed.run_sync("Ada Moss is 41 years old.").output == Baker(name="Ada Moss", age=41)


def test_langchain(url: str) -> None:
    """ChatOpenAI of LangChain: a tool and its result, a stream, structured output."""
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    @tool
    def get_weather(city: str) -> str:
        """Get the current weather of a city."""
        return "18 degrees"

    settings: dict[str, Any] = {"base_url": url, "api_key": "none", "model": "plain"}
    chat_settings: dict[str, Any] = {**settings, "max_tokens": 24, "temperature": 0}
    model = ChatOpenAI(**chat_settings)
    bound = model.bind_tools([get_weather])
    called = bound.invoke(ASK)
    assert [one["args"] for one in called.tool_calls] == [{"city": "Paris"}]
    result = ToolMessage("18 degrees", tool_call_id=called.tool_calls[0]["id"])
    assert "18" in str(bound.invoke([HumanMessage(ASK), called, result]).content)
    assert "".join(str(piece.content) for piece in model.stream("Hello!"))
    person = model.with_structured_output(Baker).invoke("Ada Moss is 41 years old.")
    assert person == Baker(name="Ada Moss", age=41)
    embeddings = OpenAIEmbeddings(**settings, check_embedding_ctx_length=False)
    assert len(embeddings.embed_query("bread")) == 384
