"""Figures of the web server under load."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median

from ...core import Json
from .http_clients import SpokenReply, chat_request, open_connections, speak
from .measured_server import MeasuredServer, running_server

SERVER_PARTS = ("load", "burst", "disconnects", "slow_readers")

_LIMITS = {"requests_per_minute": 0, "key_concurrent": 10_000}


def measure_server(
    *,
    parts: Sequence[str] = SERVER_PARTS,
    seconds: float = 60.0,
    clients: int = 64,
    progress: Callable[[str], None] | None = None,
) -> Json:
    """The figures of the parts; ``seconds`` is how long ``load`` lasts."""
    measures: dict[str, Callable[[], Json]] = {
        "load": lambda: measure_load(clients, seconds),
        "burst": measure_burst,
        "disconnects": measure_disconnects,
        "slow_readers": measure_slow_readers,
    }
    figures: dict[str, Json] = {}
    for part in parts:
        if progress:
            progress(f"Server: {part}")
        figures[part] = measures[part]()
    return figures


def measure_load(clients: int, seconds: float) -> Json:
    """Streaming clients that ask again and again: statuses, the milliseconds that the server adds
    to the model's first piece, and the growth of its memory after the first third."""
    pace = 0.025
    limits = {"concurrent": clients, **_LIMITS}
    with running_server(limits, {"pieces": 20, "seconds": pace}) as server:
        replies, memory = asyncio.run(_keep_speaking(server, clients, seconds))
        busy = server.state()["seconds"]
    late = sorted(1000 * (reply.first - pace) for reply in replies if reply.status == 200)
    settled = memory[len(memory) // 3 :] or memory
    return {
        "clients": clients,
        "replies": len(replies),
        "statuses": _statuses(replies),
        "incomplete": sum(not reply.complete for reply in replies),
        "overhead_ms": {"median": median(late), "p99": quantile(late, 0.99), "max": late[-1]},
        "memory_mb": {"settled": settled[0] / 1e6, "end": settled[-1] / 1e6},
        "server_processor_share": busy / seconds,
    }


async def _keep_speaking(
    server: MeasuredServer, clients: int, seconds: float
) -> tuple[list[SpokenReply], list[int]]:
    end = time.monotonic() + seconds
    replies: list[SpokenReply] = []
    memory: list[int] = []

    async def client(number: int) -> None:
        await asyncio.sleep(number * 0.5 / clients)
        while time.monotonic() < end:
            replies.append(await speak(server.port))

    async def watch() -> None:
        while time.monotonic() < end:
            memory.append(server.state()["memory"])
            await asyncio.sleep(max(0.2, seconds / 30))

    await asyncio.gather(watch(), *map(client, range(clients)))
    return replies, memory


def measure_burst(requests: int = 1000, concurrent: int = 32, queue: int = 32) -> Json:
    """Requests that arrive at once on open connections: how many are accepted and finish, and how
    soon the others get their 429, measured at the client."""
    limits = {**_LIMITS, "concurrent": concurrent, "queue": queue}
    with running_server(limits, {"pieces": 20, "seconds": 0.05}) as server:
        replies, seconds = asyncio.run(_speak_at_once(server, requests))
    accepted = [reply for reply in replies if reply.status == 200]
    refused = sorted(1000 * reply.head for reply in replies if reply.status == 429)
    return {
        "requests": requests,
        "statuses": _statuses(replies),
        "accepted_finished": sum(reply.complete for reply in accepted),
        "with_retry_after": sum(bool(r.retry_after) for r in replies if r.status == 429),
        "refused_ms": {
            "median": median(refused),
            "p99": quantile(refused, 0.99),
            "max": refused[-1],
            "within_100": sum(one <= 100 for one in refused) / len(refused),
        },
        "sending_ms": 1000 * seconds,
    }


async def _speak_at_once(server: MeasuredServer, requests: int) -> tuple[list[SpokenReply], float]:
    clients = await open_connections(server.port, requests)
    request = chat_request(server.port)
    began = time.perf_counter()
    for client in clients:
        client.send(request)
    seconds = time.perf_counter() - began
    await asyncio.gather(*(client.ended for client in clients))
    return [client.reply for client in clients], seconds


def measure_disconnects(number: int = 500, at_once: int = 50) -> Json:
    """Clients that go away at random moments: how long until every row of the batch is free."""
    limits = {**_LIMITS, "concurrent": at_once}
    with running_server(limits, {"pieces": 40, "seconds": 0.025}) as server:
        most = asyncio.run(_leave(server, number, at_once))
        began = time.perf_counter()
        while (state := server.state())["rows"] or state["running"] or state["waiting"]:
            if time.perf_counter() - began > 10:
                break
            time.sleep(0.005)
        seconds = time.perf_counter() - began
        after = asyncio.run(speak(server.port))
    left = {name: state[name] for name in ("rows", "running", "waiting")}
    return {
        "disconnects": number,
        "most_rows": most,
        "free_after_ms": 1000 * seconds,
        "left": left,
        "next_status": after.status,
    }


async def _leave(server: MeasuredServer, number: int, at_once: int) -> int:
    chance, most = random.Random(7), 0

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(chat_request(server.port))
        await asyncio.sleep(chance.random() * 0.8)
        writer.transport.abort()
        del reader

    for _ in range(0, number, at_once):
        clients = [asyncio.create_task(client()) for _ in range(at_once)]
        await asyncio.sleep(0.4)
        most = max(most, server.state()["rows"])
        await asyncio.gather(*clients)
    return most


def measure_slow_readers(slow: int = 100, clients: int = 16, seconds: float = 10.0) -> Json:
    """Clients that read a byte a second of long replies: what the others notice of it."""
    limits = {**_LIMITS, "concurrent": slow + clients, "write_timeout": 5.0}
    model = {"pieces": 100, "seconds": 0.02, "long": True}
    with running_server(limits, model) as server:
        before = asyncio.run(_speak_beside(server, 0, clients, seconds))
        during = asyncio.run(_speak_beside(server, slow, clients, seconds))
        state = server.state()

    def figures(replies: list[SpokenReply]) -> Json:
        late = sorted(1000 * (reply.first - 0.02) for reply in replies if reply.status == 200)
        return {
            "replies": len(replies),
            "complete": sum(reply.complete for reply in replies),
            "overhead_ms": {"median": median(late), "p99": quantile(late, 0.99)},
            "reply_seconds": median(reply.total for reply in replies),
        }

    return {
        "slow": slow,
        "alone": figures(before),
        "beside": figures(during),
        "rows_left": state["rows"],
        "memory_mb": state["memory"] / 1e6,
    }


async def _speak_beside(
    server: MeasuredServer, slow: int, clients: int, seconds: float
) -> list[SpokenReply]:
    async def read_slowly() -> None:
        import socket

        loop = asyncio.get_running_loop()
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.setblocking(False)
            await loop.sock_connect(connection, ("127.0.0.1", server.port))
            await loop.sock_sendall(connection, chat_request(server.port))
            try:
                while await loop.sock_recv(connection, 1):
                    await asyncio.sleep(1)
            except OSError:
                return  # cut off

    readers = [asyncio.create_task(read_slowly()) for _ in range(slow)]
    await asyncio.sleep(0.5 if slow else 0)
    end = time.monotonic() + seconds
    replies: list[SpokenReply] = []

    async def client() -> None:
        while time.monotonic() < end:
            replies.append(await speak(server.port))

    await asyncio.gather(*(client() for _ in range(clients)))
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    return replies


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of an ordered sequence lies.

    >>> quantile([1.0, 2.0, 3.0, 4.0], 0.5)
    3.0
    """
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _statuses(replies: Sequence[SpokenReply]) -> Json:
    return dict(sorted(Counter(str(reply.status) for reply in replies).items()))
