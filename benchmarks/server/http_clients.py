"""Clients that cost little: HTTP/1.1 by hand over asyncio's streams."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

from .measured_server import MODEL_ID


@dataclass(slots=True)
class SpokenReply:
    """What a client saw of a reply: its status (0: the connection broke), the seconds to the head
    of the response, to the first piece and to the end, and whether it was complete."""

    status: int = 0
    head: float = 0.0
    first: float = 0.0
    total: float = 0.0
    complete: bool = False
    retry_after: str = ""


async def open_connections(port: int, number: int) -> list[BurstClient]:
    """Clients that are connected to a server, opened a few at a time."""
    loop = asyncio.get_running_loop()
    clients: list[BurstClient] = []
    while len(clients) < number:
        batch = min(100, number - len(clients))
        made = [loop.create_connection(BurstClient, "127.0.0.1", port) for _ in range(batch)]
        clients += [client for _, client in await asyncio.gather(*made)]
    return clients


class BurstClient(asyncio.Protocol):
    """A connection that sends one request and times the first byte of the response where it
    arrives, so that a thousand of them do not wait for each other in this process."""

    def __init__(self) -> None:
        self.reply = SpokenReply()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._began = 0.0
        self._seen = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, request: bytes) -> None:
        """Send the request now."""
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not self._seen:
            self.reply.head = time.perf_counter() - self._began
        self._seen += data

    def connection_lost(self, exc: Exception | None) -> None:
        reply, seen = self.reply, bytes(self._seen)
        reply.total = time.perf_counter() - self._began
        if seen:
            reply.status = int(seen[9:12])
            if b"\r\nretry-after:" in seen.lower():
                reply.retry_after = "yes"
            reply.complete = reply.status != 200 or b"[DONE]" in seen
        if not self.ended.done():
            self.ended.set_result(None)


def chat_request(port: int, *, stream: bool = True) -> bytes:
    """A request for a chat completion of the paced model."""
    messages = [{"role": "user", "content": "Hello, how is the weather in Larkspur today?"}]
    body = json.dumps({"model": MODEL_ID, "messages": messages, "stream": stream}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


async def speak(port: int) -> SpokenReply:
    """Send one streaming request and read its reply to the end."""
    reply = SpokenReply()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.perf_counter()
    try:
        writer.write(chat_request(port))
        await _read_head(reader, reply, began)
        if reply.status == 200:
            await _read_pieces(reader, reply, began)
        else:
            await reader.read()
            reply.complete = True
    except (OSError, asyncio.IncompleteReadError):
        reply.complete = False
    finally:
        reply.total = time.perf_counter() - began
        writer.close()
    return reply


async def _read_head(reader: asyncio.StreamReader, reply: SpokenReply, began: float) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    reply.head = time.perf_counter() - began
    reply.status = int(head[9:12])
    for line in head.decode("latin-1").split("\r\n"):
        if line.lower().startswith("retry-after:"):
            reply.retry_after = line.partition(":")[2].strip()


async def _read_pieces(reader: asyncio.StreamReader, reply: SpokenReply, began: float) -> None:
    seen = b""
    while data := await reader.read(65_536):
        seen = (seen + data)[-200_000:]
        if not reply.first and b'"content":"w' in seen.replace(b": ", b":"):
            reply.first = time.perf_counter() - began
    reply.complete = b"[DONE]" in seen
