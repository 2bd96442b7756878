"""Real MCP clients (of the official SDK) for agents served in tests."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client, StdioServerParameters

HOSTS = str(Path(__file__).with_name("mcp_host.py"))
# The child imports what this process imports.
PATHS = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def server_command(*words: str | Path) -> StdioServerParameters:
    """A command to be started and spoken to over standard input and output."""
    return StdioServerParameters(
        command=sys.executable, args=[str(word) for word in words], env=PATHS
    )


def with_client(
    work: Callable[[Client], Coroutine[Any, Any, Any]], *words: str | Path, mode: Any = "auto"
) -> Any:
    """Do something with a client of a server; whatever happens, it ends soon."""

    async def run() -> Any:
        async with asyncio.timeout(60), Client(server_command(*words), mode=mode) as client:
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


def status(url: str, headers: dict[str, str]) -> int:
    """The HTTP status that a request with such headers gets."""
    given = {"Accept": "application/json, text/event-stream", **headers}
    coded = {name.encode(): value.encode() for name, value in given.items()}
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    return int(httpx2.post(url, json=body, headers=coded).status_code)
