"""The numbered events of a run that goes on, and its state for a first paint."""

from __future__ import annotations

import asyncio
import gzip
import json
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass

from ...core import Json
from ...viewer import RunCollector

KEPT_EVENTS = 4096
KEPT_BYTES = 8 << 20
"""Events are kept for readers that reconnect, at most so many and so many bytes."""
SUMMARY_SECONDS = 5.0
"""The interval at which costs, figures and headlines are computed anew."""


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """An event as it is sent: its number, and its bytes in the format of server-sent events."""

    number: int
    data: bytes


def event_bytes(kind: str, value: Json, id: str = "") -> bytes:
    """One server-sent event; without an ``id`` a reader does not continue after it.

    >>> event_bytes("status", {"step": 3}, "a.7")
    b'id: a.7\\nevent: status\\ndata: {"step":3}\\n\\n'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    head = f"id: {id}\n" if id else ""
    return f"{head}event: {kind}\ndata: {text}\n\n".encode("utf-8", "replace")


class LiveFeed:
    """The events of one run in this process. Thread-safe.

    ``advance`` is called by the thread that makes the steps; readers ask for ``events_after``
    their last number whenever the ``asyncio.Event`` that they registered with ``wake_up`` is set.
    A number belongs to this process (``epoch``): with another one, or one that is no longer kept,
    a reader must paint anew from ``snapshot``.
    """

    def __init__(self, collector: RunCollector) -> None:
        self.epoch = secrets.token_hex(4)
        self._collector = collector
        self._lock = threading.RLock()
        self._events: deque[FeedEvent] = deque()
        self._bytes = 0
        self._number = 0
        self._sleepers: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._summary_due = 0.0
        self._summary_open = False
        self._snapshot: tuple[int, bytes] | None = None
        self.closed = False

    # -- the thread that makes the steps -----------------------------------------------------

    def advance(self, extra: Json = None) -> None:
        """Publish what the steps since the last call add to the page, with the keys of
        ``extra``."""
        with self._lock:
            delta = self._collector.advance()
            if not delta:
                return
            self._summary_open = True
            if time.monotonic() >= self._summary_due:
                delta |= self._summary()
            self.publish("steps", {**delta, **(extra or {})})

    def settle(self) -> None:
        """Publish costs, figures and headlines if steps were made since they last were: at a
        pause and at the end."""
        with self._lock:
            if self._summary_open:
                self.publish("steps", {"steps": self._collector.steps, **self._summary()})

    def _summary(self) -> Json:
        self._summary_due = time.monotonic() + SUMMARY_SECONDS
        self._summary_open = False
        return self._collector.summary()

    def publish(self, kind: str, value: Json) -> int:
        """Number an event and wake the readers; returns the number."""
        with self._lock:
            self._number += 1
            event = FeedEvent(self._number, event_bytes(kind, value, self._id(self._number)))
            self._events.append(event)
            self._bytes += len(event.data)
            while len(self._events) > KEPT_EVENTS or (
                self._bytes > KEPT_BYTES and len(self._events) > 1
            ):
                self._bytes -= len(self._events.popleft().data)
            self.rouse()
            return self._number

    def rouse(self) -> None:
        """Wake all readers."""
        with self._lock:
            for sleeper, loop in list(self._sleepers.items()):
                if not loop.is_closed():
                    loop.call_soon_threadsafe(sleeper.set)

    def close(self) -> None:
        """Let all readers end."""
        self.closed = True
        self.rouse()

    # -- readers -----------------------------------------------------------------------------

    def wake_up(self, sleeper: asyncio.Event) -> None:
        """Set ``sleeper``, an event of the running loop, at each new event until ``forget``."""
        with self._lock:
            self._sleepers[sleeper] = asyncio.get_running_loop()

    def forget(self, sleeper: asyncio.Event) -> None:
        """Undo ``wake_up``."""
        with self._lock:
            self._sleepers.pop(sleeper, None)

    @property
    def steps(self) -> int:
        """How many steps were read."""
        return self._collector.steps

    @property
    def readers(self) -> int:
        """How many readers there are."""
        return len(self._sleepers)

    def number_of(self, id: str) -> int | None:
        """The number of an event's id; None if the events after it are not known here."""
        epoch, _, number = id.partition(".")
        if epoch != self.epoch or not number.isdecimal() or len(number) > 12:
            return None
        with self._lock:
            oldest = self._events[0].number if self._events else self._number + 1
            return int(number) if oldest - 1 <= int(number) <= self._number else None

    def events_after(self, number: int) -> list[FeedEvent] | None:
        """The events after a number; None if some of them are no longer kept."""
        with self._lock:
            missing = self._number - number
            if missing <= 0:
                return []
            if missing > len(self._events):
                return None
            return list(self._events)[-missing:]

    @property
    def number(self) -> int:
        """The number of the last event."""
        return self._number

    @property
    def last_id(self) -> str:
        """The id of the last event."""
        return self._id(self._number)

    def _id(self, number: int) -> str:
        return f"{self.epoch}.{number}"

    def snapshot(self, extra: Json = None) -> bytes:
        """The run so far as gzipped JSON: ``id`` of the last event, ``run`` (the page data), and
        the keys of ``extra``."""
        with self._lock:
            if self._snapshot is None or self._snapshot[0] != self._number:
                data = self._collector.data().as_json()
                value = {"id": self._id(self._number), "run": data, **(extra or {})}
                text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
                packed = gzip.compress(text.encode("utf-8", "replace"), 5)
                self._snapshot = (self._number, packed)
            return self._snapshot[1]
