"""Who may be served to whom: tokens, hosts, files, runs, and what is refused."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from denizens.cli import main
from denizens.core import RunLocked, SettingError
from denizens.memory import Memory
from denizens.server import open_hosted_agent, read_tokens, serve_http
from denizens.simulation import begin, read_scenario
from denizens.store import Store
from denizens.tests.support.mcp_clients import PATHS, over_http, said, status, texts, with_client
from denizens.tools import McpClient, Toolbox, ToolContext
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

ADA, EVE = "a" * 20, "e" * 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one server, for tests that leave it as it is."""
    with over_http(tmp_path_factory.mktemp("bo") / "bo.db") as (url, _):
        yield url


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
        with pytest.raises(RunLocked), open_hosted_agent("crossroads", "Hanna", memory=file):
            pass


def test_a_run_is_visited_without_a_trace(tmp_path: Path) -> None:
    """Somebody of a run is served as of its end: it answers in the run's time, nothing can be
    told it, and the run's file stays as it was."""
    run = tmp_path / "town"
    scenario = read_scenario("crossroads").with_overrides(model="improvised")
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

    found = with_client(work, "-m", "denizens.cli", "mcp", run, "Hanna")
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

    assert with_client(tell, *line)["reply"]
    assert any("Rex" in text for text in with_client(ask, *line))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere"),
        (["crossroads"], "name the agent to serve; there are Hanna Brook, Otto Lind"),
        (["crossroads", "Anna"], "Hanna Brook"),
        (["crossroads", "Hanna", "--tool", "clock"], "omit --tool\n"),
        (["crossroads", "Hanna", "--name", "x"], "are for --http"),
        (["crossroads", "Hanna", "--port", "8421"], "are for --http"),
        (["crossroads", "Hanna", "--http", "--host", "0.0.0.0"], "is open to other machines"),
        (["crossroads", "Hanna", "--http", "--host", "999.1.1.1"], "is open to other machines"),
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
    with pytest.raises(SettingError, match="is open to other machines"):
        serve_http(lambda: open_hosted_agent("crossroads", "Hanna"), host="::")


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

    with_client(work, *line)
