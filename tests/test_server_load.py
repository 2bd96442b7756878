"""The web server under load, in short: nothing fails, nothing stays, and it stops in order.

The long versions with their figures are ``denizens bench serve``. No test judges a time that a
busy machine could miss."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from denizens.benchmarks.server import PacedModel, running_server
from denizens.benchmarks.server.http_clients import chat_request
from denizens.benchmarks.server.server_load import (
    measure_burst,
    measure_disconnects,
    measure_load,
    measure_slow_readers,
)
from denizens.server.hosting import Admission, HostingSettings, RequestRefused
from denizens.tests.support.hosted_app import hosted_app
from denizens.tests.support.running_app import running_app

ASK = {"model": "plain", "messages": [{"role": "user", "content": "Hello!"}]}


def test_streaming_clients() -> None:
    """Clients that ask again and again get whole replies and no error."""
    figures = measure_load(8, 1.5)
    assert list(figures["statuses"]) == ["200"]
    assert figures["incomplete"] == 0
    assert figures["replies"] >= 8


def test_a_burst() -> None:
    """Of requests at once as many as there are places finish; the rest get 429 and are told
    when to try again."""
    figures = measure_burst(200, concurrent=8, queue=8)
    assert figures["statuses"] == {"200": 16, "429": 184}
    assert figures["accepted_finished"] == 16
    assert figures["with_retry_after"] == 184


def test_disconnects() -> None:
    """Clients that go away leave no row of the batch, no place and no waiting request."""
    figures = measure_disconnects(60, at_once=20)
    assert figures["most_rows"] > 0
    assert set(figures["left"].values()) == {0}
    assert figures["next_status"] == 200


def test_slow_readers() -> None:
    """Clients that do not read keep nobody else from whole replies."""
    figures = measure_slow_readers(slow=10, clients=2, seconds=0.5)
    assert figures["beside"]["complete"] == figures["beside"]["replies"] >= 2


def test_slow_readers_and_silent_clients_are_cut() -> None:
    """Who does not take up a reply, and who never sends a request, is disconnected."""
    limits = {"write_timeout": 0.5, "header_timeout": 0.5}
    with running_server(limits, {"pieces": 2000, "seconds": 0.001, "long": True}) as server:
        silent = socket.create_connection(("127.0.0.1", server.port))
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", server.port))
        reader.sendall(chat_request(server.port))
        silent.settimeout(20)
        assert silent.recv(1) == b""
        end = time.monotonic() + 20
        time.sleep(0.5)
        while server.state()["running"] and time.monotonic() < end:
            time.sleep(0.05)
        assert server.state()["running"] == 0
        silent.close()
        reader.close()


def test_deadlines() -> None:
    """An answer that takes too long ends: by 504 before it began, by an error in the stream."""
    model = PacedModel(pieces=200, seconds=0.05)
    with hosted_app(model=model, deadline=0.4) as app:
        whole = app.client.post("/v1/chat/completions", json=ASK)
        assert whole.status_code == 504
        assert whole.json()["error"]["code"] == "deadline_exceeded"
        stream = app.client.post("/v1/chat/completions", json={**ASK, "stream": True})
        assert stream.status_code == 200
        last = json.loads(stream.text.strip().rpartition("data: ")[2])
        assert last["error"]["code"] == "deadline_exceeded"
        end = time.monotonic() + 10
        while model.open and time.monotonic() < end:
            time.sleep(0.01)
        assert model.open == 0


def test_a_slow_body() -> None:
    """A body that does not arrive in time is refused."""

    async def ask(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(chat_request(port)[:-10])
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        return answer

    with running_server({"body_timeout": 0.2}) as server:
        assert asyncio.run(ask(server.port)).startswith(b"HTTP/1.1 408")


def test_admission_in_order() -> None:
    """Requests run in the order of their arrival; one that leaves the queue takes no turn; a key
    has no more than its share and its rate."""

    async def run() -> list[int]:
        limits = HostingSettings(concurrent=1, queue=3, key_concurrent=4, requests_per_minute=0)
        admission = Admission(limits)
        places = [admission.reserve("a") for _ in range(4)]
        with pytest.raises(RequestRefused) as busy:
            admission.reserve("b")
        assert (busy.value.status, busy.value.retry_after) == (429, 5)
        order: list[int] = []

        async def work(number: int) -> None:
            await places[number].enter()
            order.append(number)
            await asyncio.sleep(0)
            places[number].release()

        await places[0].enter()
        tasks = [asyncio.create_task(work(number)) for number in (1, 2, 3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
        places[2].release()
        places[0].release()
        places[0].release()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (admission.running, admission.waiting) == (0, 0)
        return order

    assert asyncio.run(run()) == [1, 3]


def test_rates_of_keys() -> None:
    """A key that has used its burst waits; another does not; who has no key has no rate."""
    admission = Admission(HostingSettings(requests_per_minute=1, burst=2, key_concurrent=3))
    places = [admission.reserve("a"), admission.reserve("a")]
    with pytest.raises(RequestRefused, match="per minute") as refused:
        admission.reserve("a")
    assert 1 <= (refused.value.retry_after or 0) <= 60
    places += [admission.reserve("b"), admission.reserve(), admission.reserve()]
    for place in places:
        place.release()
    assert admission.waiting == 0


def test_a_stop_finishes_replies() -> None:
    """A server that is told to stop ends the reply in progress in full, and takes nothing new."""
    with running_server({}, {"pieces": 20, "seconds": 0.05}) as server:
        body = {**ASK, "model": "paced", "stream": True}
        url = f"http://127.0.0.1:{server.port}/v1/chat/completions"
        with httpx.stream("POST", url, json=body, timeout=30) as reply:
            lines = reply.iter_lines()
            assert next(lines).startswith("data:")
            server.pipe.send("stop")
            rest = "\n".join(lines)
        assert rest.strip().endswith("data: [DONE]")


def test_a_stop_has_a_bound() -> None:
    """A reply that outlasts the grace is ended, and says why."""
    with running_server({"grace": 0.3}, {"pieces": 400, "seconds": 0.05}) as server:
        body = {**ASK, "model": "paced", "stream": True}
        url = f"http://127.0.0.1:{server.port}/v1/chat/completions"
        with httpx.stream("POST", url, json=body, timeout=30) as reply:
            lines = reply.iter_lines()
            next(lines)
            server.pipe.send("stop")
            rest = [line for line in lines if line.startswith("data:")]
        assert "the server stops" in rest[-1]


def test_the_command_serves_and_stops(tmp_path: Path) -> None:
    """``denizens serve`` of a persona: ready, answers, keeps the memory over SIGTERM."""
    (tmp_path / "bo.toml").write_text('name = "Bo Lind"\nage = 40\nbackground = "I bake."\n')
    command = [sys.executable, "-m", "denizens.cli", "serve", "bo.toml", "--model", "improvised"]
    for expected in (0, 1):
        process = subprocess.Popen(
            [*command, "--port", "0"],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stderr is not None
        try:
            line = ""
            while "serving at " not in line:
                line = process.stderr.readline()
                assert line or process.poll() is None
            url = line.split("serving at ")[1].split(" ")[0]
            assert httpx.get(f"{url}readyz").json() == {"status": "ready"}
            agents = httpx.get(f"{url}v1/models").json()["data"]
            assert [one["id"] for one in agents] == ["improvised", "bo-lind"]
            headers = {"X-Denizens-Person": "Ada"}
            listed = httpx.get(f"{url}api/agents/bo-lind/memory", headers=headers).json()
            assert bool("I like rye" in json.dumps(listed)) == bool(expected)
            body = {**ASK, "model": "bo-lind", "user": "Ada"}
            body["messages"] = [{"role": "user", "content": "I like rye bread."}]
            assert httpx.post(f"{url}v1/chat/completions", json=body, timeout=60).status_code == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.stderr.close()


def proxy(targets: list[str]) -> Any:
    """An application that sends a request on to the server of its person, as the proxy of
    docs/serve.md does: by a hash of key and person."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    client = httpx.AsyncClient(timeout=60)

    async def forward(request: Request) -> StreamingResponse:
        route = "\n".join(
            request.headers.get(name, "") for name in ("authorization", "x-denizens-person")
        )
        number = int.from_bytes(hashlib.sha256(route.encode()).digest()[:4])
        target = targets[number % len(targets)]
        passed = ("authorization", "content-type", "x-denizens-person")
        headers = {name: request.headers[name] for name in passed if name in request.headers}
        url = f"{target}{request.url.path}"
        sent = client.build_request(
            request.method, url, headers=headers, content=await request.body()
        )
        answer = await client.send(sent, stream=True)

        async def body() -> AsyncIterator[bytes]:
            async for piece in answer.aiter_raw():
                yield piece
            await answer.aclose()

        kind = answer.headers.get("content-type")
        return StreamingResponse(body(), answer.status_code, media_type=kind)

    return Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST"])])


@contextmanager
def two_servers() -> Any:
    """Two servers with memories of their own, and the address of a proxy before them."""
    with (
        hosted_app() as one,
        hosted_app() as two,
        running_app(one.app) as first,
        running_app(two.app) as second,
        running_app(proxy([first, second])) as address,
    ):
        yield address, (one, two)


def test_two_servers_behind_a_proxy() -> None:
    """Each person's messages, streamed or not, reach one server, which remembers the person; both
    servers have some."""
    people = [f"Person {letter}" for letter in "ABCDEFGH"]
    with two_servers() as (address, servers):
        for round_ in range(2):
            for person in people:
                body = {**ASK, "model": "bo-lind", "stream": bool(round_)}
                body["messages"] = [{"role": "user", "content": f"Hello for the {round_}. time!"}]
                headers = {"X-Denizens-Person": person}
                url = f"{address}/v1/chat/completions"
                answer = httpx.post(url, json=body, headers=headers, timeout=60)
                assert answer.status_code == 200
        homes = []
        for person in people:
            met = [
                sum(record.who == person for record in agent.memory.records())
                for app in servers
                for agent in [app.app.state.hosting.hosts.agent("bo-lind")]
            ]
            assert sorted(met)[0] == 0
            assert sorted(met)[1] >= 2
            homes.append(met.index(0))
    assert set(homes) == {0, 1}
