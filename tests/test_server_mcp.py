"""An agent served over MCP: real clients of the official SDK, real server processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Timer
from typing import Any

import httpx2
import pytest
from denizens.cli.app import main
from denizens.core import RunLocked, SettingError
from denizens.memory import Memory
from denizens.server import hosted
from denizens.server.mcp_serving import read_tokens, serve_http
from denizens.simulation import begin, load_scenario
from denizens.store import Store
from denizens.tools import McpClient, Toolbox, ToolContext
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

HOSTS = str(Path(__file__).with_name("hosts.py"))
ADA, EVE = "a" * 20, "e" * 20
# The child imports what this process imports.
PATHS = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def child(*words: str | Path) -> StdioServerParameters:
    """A command to be started and spoken to over standard input and output."""
    return StdioServerParameters(
        command=sys.executable, args=[str(word) for word in words], env=PATHS
    )


def talk(
    work: Callable[[Client], Coroutine[Any, Any, Any]], *words: str | Path, mode: Any = "auto"
) -> Any:
    """Do something with a client of a server; whatever happens, it ends soon."""

    async def run() -> Any:
        async with asyncio.timeout(60), Client(child(*words), mode=mode) as client:
            return await work(client)

    return asyncio.run(run())


async def said(client: Client, tool: str, **arguments: Any) -> Any:
    """What a tool gave, as a client reads it: its structured value or its error."""
    result = await client.call_tool(tool, arguments)
    return result.structured_content


async def texts(client: Client, about: str, **more: Any) -> list[str]:
    """What is remembered about something."""
    found = await said(client, "recall", about=about, **more)
    return [one["text"] for one in found["result"]]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_uses_all_of_it(tmp_path: Path, mode: str) -> None:
    """A client lists the tools, chats, is remembered, looks that up, tells something, uses the
    agent's own tools and reads who it is; with the protocol of today and of before."""

    async def work(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == ["chat", "recall", "remember", "clock", "chatter", "ring", "number"]
        assert tools["chat"].input_schema["required"] == ["person", "text"]
        assert "Bo Lind" in (tools["chat"].description or "")
        hints = [one.annotations and one.annotations.read_only_hint for one in tools.values()]
        assert hints == [False, True, False, True, True, False, True]
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
        again = await said(client, "chat", text="What did I tell you of a birthday?", person="Ada")
        assert "May" in again["reply"]
        [first, *_] = (await said(client, "recall", about="birthday", person="Ada"))["result"]
        assert first["text"] == 'Ada said to Bo Lind: "My birthday is in May."'
        assert (first["who"], first["kind"]) == ("Ada", "utterance")
        assert datetime.fromisoformat(first["when"]) <= datetime.now()
        assert (await said(client, "clock"))["weekday"]
        card = await client.read_resource("denizens://persona")
        assert json.loads(card.contents[0].text)["name"] == "Bo Lind"  # type: ignore[union-attr]
        assert "oven" not in card.contents[0].text  # type: ignore[union-attr]
        memory = await client.read_resource("denizens://memory")
        told = json.loads(memory.contents[0].text)  # type: ignore[union-attr]
        assert told["memories"] == 6
        assert told["for everybody"] == {"thought": 1}
        with pytest.raises(MCPError, match="no resource"):
            await client.read_resource("denizens://secrets")

    talk(work, HOSTS, tmp_path / "bo.db", mode=mode)


def test_people_are_kept_apart(tmp_path: Path) -> None:
    """What one person said is not told to another: not by recall, not in a chat, not by the
    lines of a session of the same name."""

    async def work(client: Client) -> None:
        await said(client, "remember", text="My birthday is in May.", person="Ada")
        await said(client, "chat", text="This is the first line.", person="Ada", session="s")
        assert any("May" in one for one in await texts(client, "birthday", person="Ada"))
        for name in ("Eve", "ada", "Ada Lund", "a visitor", "nobody"):
            assert await texts(client, "birthday", person=name, limit=50) == [
                "Bo Lind's oven broke last winter."
            ]
        reply = await said(client, "chat", text="What of birthdays?", person="Eve", session="s")
        assert reply["reply"] == "I know of oven."
        reply = await said(client, "chat", text="And again?", person="Ada", session="s")
        assert "first line" in reply["reply"]

    talk(work, HOSTS, tmp_path / "bo.db")


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("chat", {"text": "Hello"}, "argument 'person' is missing"),
        ("chat", {"text": "Hello", "person": " "}, "argument 'person' is missing"),
        ("recall", {"about": "x", "person": ""}, "argument 'person' is missing"),
        ("recall", {"about": "x", "person": None}, "argument 'person' is missing"),
        ("recall", {"about": "x", "person": "bo lind"}, "whom you talk to"),
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


@contextmanager
def over_http(file: Path, *words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server over HTTP: its URL and its process."""
    process = subprocess.Popen(
        [sys.executable, HOSTS, str(file), "http", *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **PATHS},
    )
    assert process.stderr is not None
    try:
        url = process.stderr.readline().strip()
        assert url.startswith("http://127.0.0.1:"), url + process.stderr.read()
        yield url, process
    finally:
        process.kill()
        process.wait()


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
        result = await client.call_tool("ring", {"times": 2})
        return result.structured_content

    bell = tmp_path / "bo.db.bell"
    denied = talk(work, HOSTS, tmp_path / "bo.db", "person=Eve", "trust=Ada")
    assert denied["reason"] == "denied"
    assert not bell.exists()
    assert talk(work, HOSTS, tmp_path / "bo.db", "person=Ada", "trust=Ada") == {"result": 2}
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

    assert talk(work, HOSTS, file, "slow") < 5
    with Store(file) as store:
        assert list(store.verify()) == []
        assert len(Memory(store, "Bo Lind")) == 1

    async def again(client: Client) -> Any:
        return await said(client, "chat", text="Hello again", person="Ada")

    assert talk(again, HOSTS, file)["reply"] == "I know of oven."


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
        gone = use(box, "Good morning")
        assert (gone.ok, gone.reason) == (False, "gone")
        assert time.perf_counter() - start < 10
        assert use(box, "Still there?").reason == "gone"
    words = [sys.executable, HOSTS, str(tmp_path / "bo.db")]
    with McpClient(words, env=PATHS, namespace="bo") as back:
        assert use(Toolbox(back.tools()), "Good morning").value["reply"] == "I know of oven."


def test_a_cancelled_chat_leaves_nothing(tmp_path: Path) -> None:
    """A client that does not wait any longer: the reply is broken off, nothing of it is
    remembered, and the next call is answered soon."""

    async def work(client: Client) -> None:
        for _ in range(2):
            with pytest.raises(MCPError, match="timed out"):
                await client.call_tool(
                    "chat", {"text": "Hi", "person": "Ada"}, read_timeout_seconds=0.8
                )
        start = time.perf_counter()
        assert await texts(client, "Hi", person="Ada") == ["Bo Lind's oven broke last winter."]
        assert time.perf_counter() - start < 3

    talk(work, HOSTS, tmp_path / "bo.db", "slow")


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


def test_tokens_say_who_comes(tmp_path: Path) -> None:
    """With tokens the server knows who comes: no argument can say otherwise, no token is no
    entry, and a wrong one neither."""
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(f'"Ada Lund" = "{ADA}"\nEve = "{EVE}"\n', encoding="utf-8")
    context = ToolContext("x", datetime(2023, 2, 13))
    with over_http(tmp_path / "bo.db", f"tokens={tokens}") as (url, _):

        def visitor(token: str) -> McpClient:
            headers = {"Authorization": f"Bearer {token}"}
            return McpClient(url, namespace="bo", headers=headers, timeout=10)

        with visitor(ADA) as ada, visitor(EVE) as eve:
            hers, other = Toolbox(ada.tools()), Toolbox(eve.tools())
            assert "person" not in hers.spec("bo.recall").parameters["properties"]
            given = {"text": "My birthday is in May."}
            told = hers.call("bo.remember", given, context=context, key="1")
            assert 'Ada Lund said to Bo Lind: "My' in told.value["remembered"]
            found = hers.call("bo.recall", {"about": "birthday"}, context=context, key="2")
            assert any("May" in one["text"] for one in found.value)
            found = other.call("bo.recall", {"about": "birthday"}, context=context, key="3")
            assert not any("May" in one["text"] for one in found.value)
            claimed = asyncio.run(_claim(url, EVE))
            assert claimed.is_error
            assert "there is no argument 'person'" in claimed.structured_content["error"]
        assert status(url, {"Authorization": "Basic YTpi"}) == 401
        for token in ("wrong" * 5, ADA[:-1], f"{ADA} {ADA}", "ä" * 20):
            assert status(url, {"Authorization": f"Bearer {token}"}) == 401
        assert status(url, {}) == 401


async def _claim(url: str, token: str) -> Any:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        return await client.call_tool("recall", {"about": "birthday", "person": "Ada Lund"})


def status(url: str, headers: dict[str, str]) -> int:
    """The HTTP status that a request with such headers gets."""
    given = {"Accept": "application/json, text/event-stream", **headers}
    coded = {name.encode(): value.encode() for name, value in given.items()}
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    return int(httpx2.post(url, json=body, headers=coded).status_code)


def test_no_web_page_gets_in(server: str) -> None:
    """A request for another host, or from another origin, is turned away (DNS rebinding)."""
    assert status(server, {"Host": "evil.example"}) == 421
    assert status(server, {"Host": "127.0.0.1.evil.example:80"}) == 421
    assert status(server, {"Origin": "http://evil.example"}) == 403
    assert status(server, {"Origin": "null"}) == 403
    assert status(server, {"Origin": "http://localhost:3000"}) not in (401, 403, 421)


def test_a_locked_memory_is_told(tmp_path: Path) -> None:
    """A second server for the same memory ends at once, saying who has it."""
    file = tmp_path / "bo.db"
    options = ["--model", "improvised", "--memory", str(file)]
    with over_http(file):
        done = subprocess.run(
            [sys.executable, "-m", "denizens.cli", "mcp", "crossroads", "Hanna", *options],
            capture_output=True,
            text=True,
            env={**os.environ, **PATHS},
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert "bo.db" in done.stderr
        assert "is writing it; wait for it or end it" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
        with pytest.raises(RunLocked), hosted("crossroads", "Hanna", memory=file):
            pass


def test_a_run_is_visited_without_a_trace(tmp_path: Path) -> None:
    """Somebody of a run is served as of its end: it answers in the run's time, nothing can be
    told it, and the run's file stays as it was."""
    run = tmp_path / "town"
    scenario = load_scenario("crossroads").settle(model="improvised")
    simulation = begin(scenario, run)
    for _ in simulation.run(steps=30):
        pass
    simulation.store.close()
    with Store(run / "run.db", write=False) as store:
        before = Memory(store, "Hanna Brook").digest

    async def work(client: Client) -> Any:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert names == ["chat", "recall", "calculator", "clock"]
        assert (await said(client, "chat", text="How are you?", person="Ada"))["reply"]
        assert (await said(client, "clock"))["moment"] == "2026-05-02 07:29"
        return await texts(client, "summer party", person="Ada", limit=3)

    found = talk(work, "-m", "denizens.cli", "mcp", run, "Hanna")
    assert any("party" in text for text in found)
    with Store(run / "run.db", write=False) as store:
        assert Memory(store, "Hanna Brook").digest == before


PERSONA = """
name = "Bo Lind"
background = "Bo Lind is the baker of a small town."
facts = ["Bo Lind's oven broke last winter."]
"""


def test_a_persona_file_is_served(tmp_path: Path) -> None:
    """A persona's file needs no scenario: with a model, tools and a memory from the command
    line it is served, and remembers the next time."""
    (tmp_path / "bo.toml").write_text(PERSONA, encoding="utf-8")
    line: list[str | Path] = [
        "-m",
        "denizens.cli",
        "mcp",
        tmp_path / "bo.toml",
        "--model",
        "improvised",
    ]
    line += ["--memory", tmp_path / "bo.db", "--tool", "calculator", "--person", "Ada"]

    async def tell(client: Client) -> Any:
        assert (await said(client, "calculator", expression="6*7")) == {"result": 42}
        return await said(client, "chat", text="My cat is called Rex.")

    async def ask(client: Client) -> Any:
        return await texts(client, "cat")

    assert talk(tell, *line)["reply"]
    assert any("Rex" in text for text in talk(ask, *line))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere"),
        (["crossroads"], "say who is served; there are Hanna Brook, Otto Lind"),
        (["crossroads", "Anna"], "Hanna Brook"),
        (["crossroads", "Hanna", "--tool", "clock"], "leave out --tools"),
        (["crossroads", "Hanna", "--name", "x"], "are for --http"),
        (["crossroads", "Hanna", "--http", "--host", "0.0.0.0"], "lets other machines in"),
        (["crossroads", "Hanna", "--http", "--host", "999.1.1.1"], "lets other machines in"),
        (["bo.toml", "Eve"], "Bo Lind"),
        (["bo.toml", "--tool", "clck"], "did you mean 'clock'"),
    ],
)
def test_what_cannot_be_served_is_told(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Wrong names and unsafe wishes end with one line that says what to do, and code 2."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bo.toml").write_text(PERSONA, encoding="utf-8")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        main(["mcp", *words, "--model", "improvised"])
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert told in err
    assert out == ""


def test_wrong_tokens_are_refused(tmp_path: Path) -> None:
    """A token that is short, shared or no text is refused by its file's and person's name."""
    file = tmp_path / "tokens.toml"
    for text, told in (
        ('Ada = "short"', "at least 16"),
        ("Ada = 3", "'Ada' must be a text"),
        (f'Ada = "{ADA}"\nEve = "{ADA}"', "each person a token of its own"),
        ("", "each person a token of its own"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(SettingError, match=told):
            read_tokens(file)
    with pytest.raises(SettingError, match="lets other machines in"):
        serve_http(lambda: hosted("crossroads", "Hanna"), host="::")


@pytest.mark.real
def test_a_real_mind_chats(tmp_path: Path) -> None:
    """SmolLM2 and MiniLM behind the command: a client chats, streams, and is remembered."""
    (tmp_path / "bo.toml").write_text(PERSONA, encoding="utf-8")
    line: list[str | Path] = [
        "-m",
        "denizens.cli",
        "mcp",
        tmp_path / "bo.toml",
        "--memory",
        tmp_path / "bo.db",
    ]

    async def work(client: Client) -> None:
        heard: list[str] = []

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            heard.append(message or "")

        result = await client.call_tool(
            "chat", {"text": "What broke last winter?", "person": "Ada"}, progress_callback=hear
        )
        assert not result.is_error
        reply = result.structured_content["reply"]
        print(f"reply: {reply}")
        assert len(reply) > 5
        assert "".join(heard).strip().startswith(reply[:20])
        found = await texts(client, "Which part of the bakery does not work?", person="Eve")
        assert found == ["Bo Lind's oven broke last winter."]
        assert len(await texts(client, "winter", person="Ada")) == 3

    talk(work, *line)
