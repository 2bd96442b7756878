"""Admission: how many requests are answered at once, wait, or are refused."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from functools import lru_cache

from .hosting_settings import HostingSettings
from .refusals import OPENAI_PREFIX, RequestRefused, error_body

_MAX_RETRY_AFTER = 60


@dataclass(slots=True)
class AdmissionStats:
    """Totals of an admission; ``refused`` by reason: queue, key, rate, stopping."""

    admitted: int = 0
    waited_seconds: float = 0.0
    refused: Counter[str] = field(default_factory=Counter)


class Admission:
    """Places for requests: ``concurrent`` run, ``queue`` wait in the order of their arrival, the
    rest is refused (429). Used in one event loop only."""

    def __init__(self, settings: HostingSettings) -> None:
        self._settings = settings
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = 0
        self._by_key: Counter[str] = Counter()
        self._buckets: dict[str, tuple[float, float]] = {}
        self._mean_seconds = 1.0
        self.running = 0
        self.stopping = False
        self.arriving = 0
        """Requests that were let in and have taken no place yet."""
        self.stats = AdmissionStats()

    @property
    def waiting(self) -> int:
        """The number of requests that wait."""
        return self._taken - self.running

    @property
    def full(self) -> bool:
        """Whether the next request would be refused."""
        places = self._settings.concurrent + self._settings.queue
        return self._taken + self.arriving >= places

    def reserve(self, key: str = "") -> Place:
        """A place for a request of an API key. Raises RequestRefused: 429 if there is none, or
        the key has too many; 503 if the server stops."""
        settings = self._settings
        if self.stopping:
            raise self._refused("stopping", "the server stops", status=503, seconds=5)
        if self.full:
            raise self._queue_refusal()
        if key and self._by_key[key] >= settings.key_concurrent:
            message = f"this API key has {settings.key_concurrent} requests in progress"
            raise self._refused("key", message, seconds=self._mean_seconds)
        if key and settings.requests_per_minute:
            self._take_token(key)
        self._taken += 1
        self._by_key[key] += 1
        return Place(self, key)

    def _queue_refusal(self) -> RequestRefused:
        seconds = self._mean_seconds * (1 + self.waiting / self._settings.concurrent)
        return self._refused("queue", "the server is busy; try again later", seconds=seconds)

    def shed(self, path: str) -> bytes:
        """The whole HTTP response to a request for ``path`` while the queue is full."""
        refusal = self._queue_refusal()
        return _response_429(path.startswith(OPENAI_PREFIX), refusal.message, refusal.retry_after)

    def _take_token(self, key: str) -> None:
        """Take a token from the key's bucket. Raises RequestRefused if it is empty."""
        rate, now = self._settings.requests_per_minute / 60, time.monotonic()
        tokens, since = self._buckets.get(key, (float(self._settings.burst), now))
        tokens = min(float(self._settings.burst), tokens + (now - since) * rate)
        if tokens < 1:
            self._buckets[key] = (tokens, now)
            message = f"this API key has used its {self._settings.requests_per_minute} per minute"
            raise self._refused("rate", message, seconds=(1 - tokens) / rate)
        self._buckets[key] = (tokens - 1, now)

    def _refused(
        self, reason: str, message: str, *, status: int = 429, seconds: float
    ) -> RequestRefused:
        self.stats.refused[reason] += 1
        after = min(_MAX_RETRY_AFTER, max(1, math.ceil(seconds)))
        return RequestRefused(status, message, retry_after=after)

    async def start(self) -> None:
        """Wait until one more request may run, and count it as running."""
        if self.running < self._settings.concurrent and not self._waiting:
            self.running += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.finish()
            else:
                self._waiting.remove(turn)
            raise

    def finish(self) -> None:
        """One running request has ended: the next one runs."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.running -= 1

    def leave(self, key: str, seconds: float | None) -> None:
        """Give a place back; ``seconds``: how long its request ran."""
        self._taken -= 1
        self._by_key[key] -= 1
        if not self._by_key[key]:
            del self._by_key[key]
        if seconds is not None:
            self._mean_seconds += 0.1 * (seconds - self._mean_seconds)


@lru_cache(maxsize=256)
def _response_429(openai: bool, message: str, seconds: int | None) -> bytes:
    refusal = RequestRefused(429, message, retry_after=seconds)
    body = json.dumps(error_body(OPENAI_PREFIX if openai else "/", refusal)).encode()
    head = (
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nretry-after: {seconds}\r\n"
        "cache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


class Place:
    """The place of one request, from its arrival to its end."""

    def __init__(self, admission: Admission, key: str) -> None:
        self._admission = admission
        self._key = key
        self._started: float | None = None
        self._released = False

    async def enter(self) -> None:
        """Wait until the request may run; at once if it does already."""
        if self._started is not None or self._released:
            return
        arrived = time.monotonic()
        await self._admission.start()
        self._started = time.monotonic()
        stats = self._admission.stats
        stats.admitted += 1
        stats.waited_seconds += self._started - arrived

    def release(self) -> None:
        """Give the place back; without effect the second time."""
        if self._released:
            return
        self._released = True
        seconds = None
        if self._started is not None:
            self._admission.finish()
            seconds = time.monotonic() - self._started
        self._admission.leave(self._key, seconds)
