"""An agent served over MCP: real clients of the official SDK, real server processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from denizens.memory import Memory
from denizens.store import Store
from denizens.tests.support.mcp_clients import HOSTS, PATHS, over_http, said, texts, with_client
from denizens.tools import McpClient, Toolbox, ToolContext
from mcp import Client
from mcp.shared.exceptions import MCPError


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_uses_all_of_it(tmp_path: Path, mode: str) -> None:
    """A client lists the tools, chats, is remembered, looks that up, tells something, uses the
    agent's own tools and reads who it is; with the protocol of today and of before."""

    async def work(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        own = ["clock", "memory_search", "chatter", "ring", "number", "whom"]
        assert list(tools) == ["chat", "recall", "remember", *own]
        assert tools["chat"].input_schema["required"] == ["person", "text"]
        assert "Bo Lind" in (tools["chat"].description or "")
        hints = [one.annotations and one.annotations.read_only_hint for one in tools.values()]
        assert hints == [False, True, False, True, True, True, False, True, True]
        heard: list[str] = []

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            heard.append(message or "")

        result = await client.call_tool(
            "chat", {"text": "How is your oven?", "person": "Ada"}, progress_callback=hear
        )
        assert result.structured_content == {"reply": "I know of oven.", "session": "main"}
        assert json.loads(result.content[0].text) == result.structured_content  # type: ignore[union-attr]
        assert "".join(heard) == "I know of oven."
        assert await said(client, "remember", text="My birthday is in May.", person="Ada")
        again = await said(client, "chat", text="When is my birthday?", person="Ada")
        assert "May" in again["reply"]
        found = (await said(client, "recall", about="birthday", person="Ada"))["result"]
        # Which one is first depends on the seconds between them; the reply quotes what was told.
        by_text = {one["text"]: one for one in found}
        hers = by_text['Ada said to Bo Lind: "My birthday is in May."']
        assert (hers["who"], hers["kind"]) == ("Ada", "utterance")
        assert datetime.fromisoformat(hers["when"]) <= datetime.now()
        assert (await said(client, "clock"))["weekday"]
        card = await client.read_resource("denizens://persona")
        assert json.loads(card.contents[0].text)["name"] == "Bo Lind"  # type: ignore[union-attr]
        assert "oven" not in card.contents[0].text  # type: ignore[union-attr]
        memory = await client.read_resource("denizens://memory")
        told = json.loads(memory.contents[0].text)  # type: ignore[union-attr]
        assert told["memories"] == 1
        assert told["for everybody"] == {"thought": 1}
        with pytest.raises(MCPError, match="no resource"):
            await client.read_resource("denizens://secrets")

    with_client(work, HOSTS, tmp_path / "bo.db", mode=mode)


def test_people_are_kept_apart(tmp_path: Path) -> None:
    """What one person said is not told to another: not by recall, not in a chat, not by the
    lines of a session of the same name, not by the agent's own search of its memory."""

    async def work(client: Client) -> None:
        await said(client, "remember", text="My birthday is in May.", person="Ada")
        # A greeting is greeted back, so the mind speaks of this line only when it is asked later.
        await said(client, "chat", text="Hello, first line!", person="Ada", session="s")
        assert any("May" in one for one in await texts(client, "birthday", person="Ada"))
        for name in ("Eve", "ada", "Ada Lund", "nobody"):
            assert await texts(client, "birthday", person=name, limit=50) == [
                "Bo Lind's oven broke last winter."
            ]
        searched = await said(client, "memory_search", query="birthday")
        assert [one["text"] for one in searched["found"]] == ["Bo Lind's oven broke last winter."]
        asked = {"text": "When is my birthday?", "session": "s"}
        assert (await said(client, "chat", person="Eve", **asked))["reply"] == "I don't know."
        asked["text"] = "How is your oven?"
        assert (await said(client, "chat", person="Eve", **asked))["reply"] == "I know of oven."
        assert "first line" in (await said(client, "chat", person="Ada", **asked))["reply"]
        asked["text"] = "When is my birthday?"
        assert "May" in (await said(client, "chat", person="Ada", **asked))["reply"]

    with_client(work, HOSTS, tmp_path / "bo.db")


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("chat", {"text": "Hello"}, "argument 'person' is missing"),
        ("chat", {"text": "Hello", "person": " "}, "argument 'person' is missing"),
        ("recall", {"about": "x", "person": ""}, "argument 'person' is missing"),
        ("recall", {"about": "x", "person": None}, "argument 'person' is missing"),
        ("recall", {"about": "x", "person": "a visitor"}, "argument 'person' is missing"),
        ("recall", {"about": "x", "person": "bo lind"}, "is its own name"),
        ("remember", {"text": "x", "person": "Ada\nEve"}, "printable"),
        ("remember", {"text": "x", "person": "A" * 200}, "at most 80"),
        ("chat", {"text": " ", "person": "Ada"}, "the text is empty"),
        ("chat", {"text": "x" * 5000, "person": "Ada"}, "at most 4000"),
        ("chat", {"txt": "x", "person": "Ada"}, "did you mean 'text'"),
        ("chta", {}, "there is no tool 'chta' (did you mean 'chat'?)"),
        ("clock", {"zone": 3}, "there is no argument 'zone'"),
        ("ring", {"times": 3}, "the words of a visitor were read"),
    ],
)
def test_what_is_wrong_is_told(
    server: Toolbox, tool: str, arguments: dict[str, Any], told: str
) -> None:
    """A missing name, the agent's own name, empty and endless texts, unknown tools and
    arguments, and what the policy denies: each is an error in words."""
    result = asyncio.run(_ask(server, tool, arguments))
    assert result.is_error
    assert told in result.structured_content["error"]


async def _ask(url: Any, tool: str, arguments: dict[str, Any]) -> Any:
    async with Client(url) as client:
        return await client.call_tool(tool, arguments)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one server, for tests that leave it as it is."""
    with over_http(tmp_path_factory.mktemp("bo") / "bo.db") as (url, _):
        yield url


def test_standard_output_is_for_the_protocol(tmp_path: Path) -> None:
    """A tool that prints disturbs nothing: every line on standard output is JSON-RPC."""
    first = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "raw", "version": "1"},
    }
    lines: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": first},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "chatter", "arguments": {}}},
    ]
    process = subprocess.Popen(
        [sys.executable, HOSTS, str(tmp_path / "bo.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **PATHS},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for line in lines:
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **line}) + "\n")
    process.stdin.flush()
    got = [json.loads(process.stdout.readline()) for _ in range(2)]
    assert [one["id"] for one in got] == [1, 2]
    assert got[1]["result"]["structuredContent"] == {"result": "said"}
    rest, errors = process.communicate(timeout=20)
    assert rest == ""
    assert "chatter on standard output" in errors
    assert process.returncode == 0


def test_acting_needs_trust(tmp_path: Path) -> None:
    """A tool that acts is denied on a stranger's word and done on a trusted person's; which of
    them it is the server settles, not the client."""

    async def work(client: Client) -> Any:
        whom = await said(client, "whom")
        return whom["result"], await said(client, "ring", times=2)

    bell = tmp_path / "bo.db.bell"
    whom, denied = with_client(work, HOSTS, tmp_path / "bo.db", "person=Eve", "trust=Ada")
    assert (whom, denied["reason"]) == ("Eve", "denied")
    assert not bell.exists()
    rung = with_client(work, HOSTS, tmp_path / "bo.db", "person=Ada", "trust=Ada")
    assert rung == ("Ada", {"result": 2})
    assert bell.read_text() == "ring ring "


def test_killed_in_a_chat_and_restarted(tmp_path: Path) -> None:
    """A server that is killed while it speaks: the client gets a typed error at once, the memory
    is whole and without the broken chat, its lock is free, and a new server goes on."""
    file = tmp_path / "bo.db"

    async def work(client: Client) -> float:
        heard = asyncio.Event()
        number = (await said(client, "number"))["result"]

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            heard.set()

        chat = asyncio.create_task(
            client.call_tool("chat", {"text": "Hi", "person": "Ada"}, progress_callback=hear)
        )
        await heard.wait()
        os.kill(number, signal.SIGKILL)
        start = time.perf_counter()
        with pytest.raises(MCPError, match="Connection closed"):
            await chat
        return time.perf_counter() - start

    assert with_client(work, HOSTS, file, "slow") < 5
    with Store(file) as store:
        assert list(store.verify()) == []
        assert len(Memory(store, "Bo Lind")) == 1

    async def again(client: Client) -> Any:
        return await said(client, "chat", text="How is your oven?", person="Ada")

    assert with_client(again, HOSTS, file)["reply"] == "I know of oven."


def test_our_own_client_survives_the_death_of_our_own_server(tmp_path: Path) -> None:
    """Both ends are ours: an agent's tool is another agent, whose server is killed in a chat
    over HTTP and comes back elsewhere; typed errors, no hang."""
    context = ToolContext("Ada", datetime(2023, 2, 13))

    def use(box: Toolbox, text: str) -> Any:
        given = {"text": text, "person": "Ada"}
        return box.call("bo.chat", given, context=context, key="1")

    with (
        over_http(tmp_path / "bo.db", "slow") as (url, process),
        McpClient(url, namespace="bo", timeout=20) as client,
    ):
        box = Toolbox(client.tools())
        Timer(1.0, process.kill).start()
        start = time.perf_counter()
        gone = use(box, "How is your oven?")
        assert (gone.ok, gone.reason) == (False, "gone")
        assert time.perf_counter() - start < 10
        assert use(box, "Still there?").reason == "gone"
    words = [sys.executable, HOSTS, str(tmp_path / "bo.db")]
    with McpClient(words, env=PATHS, namespace="bo") as back:
        assert use(Toolbox(back.tools()), "How is your oven?").value["reply"] == "I know of oven."


def test_a_cancelled_chat_leaves_nothing(tmp_path: Path) -> None:
    """A client that does not wait any longer: the reply is broken off, nothing of it is
    remembered, and the next call is answered soon."""

    given = {"text": "Hi", "person": "Ada"}

    async def work(client: Client) -> None:
        with pytest.raises(MCPError, match="timed out"):
            await client.call_tool("chat", given, read_timeout_seconds=0.5)
        start = time.perf_counter()
        assert await texts(client, "Hi", person="Ada") == ["Bo Lind's oven broke last winter."]
        assert time.perf_counter() - start < 3

    with_client(work, HOSTS, tmp_path / "bo.db", "slow")


def test_one_at_a_time(tmp_path: Path) -> None:
    """Many clients at once: each is answered, one after the other, and the memory is whole."""
    file = tmp_path / "bo.db"

    async def one(url: str, name: str) -> Any:
        async with Client(url) as client:
            told = await said(client, "remember", text=f"I am {name}.", person=name)
            found = await texts(client, f"I am {name}.", person=name, limit=50)
            return told, [text for text in found if " said to " in text]

    async def all_of_them(url: str) -> Any:
        return await asyncio.gather(*(one(url, f"Person{n}") for n in range(8)))

    with over_http(file) as (url, _):
        for number, (_, found) in enumerate(asyncio.run(all_of_them(url))):
            assert found == [f'Person{number} said to Bo Lind: "I am Person{number}."']
    with Store(file) as store:
        assert list(store.verify()) == []
        assert len(Memory(store, "Bo Lind")) == 9
