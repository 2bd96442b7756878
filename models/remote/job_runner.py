"""A thread with an event loop that runs jobs by priority."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import wait
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from itertools import count
from threading import Thread, current_thread
from time import monotonic
from typing import Any, TypeAlias, TypeVar

from ..clients import require_same_process

T = TypeVar("T")

AnyTask: TypeAlias = "asyncio.Task[Any]"


@dataclass(eq=False, slots=True)
class RemoteJob:
    """A job. ``work`` runs on the event loop. There ``on_done`` receives the finished task (None:
    it never started) and the job's share of the seconds; it must not raise."""

    priority: int
    work: Callable[[], Coroutine[Any, Any, Any]]
    on_done: Callable[[AnyTask | None, float], None]
    task: AnyTask | None = None
    started_at: float = 0.0
    cancelled: bool = False


class JobRunner:
    """Runs at most ``width`` jobs at a time: lower priority numbers first, then in order.

    A second in which n jobs run counts 1/n for each, so that their sum is the time in which any
    job ran. ``on_close`` is awaited on the loop at the end. Methods may be called from any thread.
    """

    def __init__(self, width: int, on_close: Callable[[], Awaitable[object]]) -> None:
        self._pid = os.getpid()
        self._width = width
        self._on_close = on_close
        self._loop = asyncio.new_event_loop()
        self._queue: list[tuple[int, int, RemoteJob]] = []
        self._numbers = count()
        self._running: set[RemoteJob] = set()
        self._shared_seconds = 0.0
        self._clock_read_at = monotonic()
        self.closed = False
        self._thread = Thread(target=self._loop.run_forever, name="denizens-server", daemon=True)
        self._thread.start()

    def submit(self, job: RemoteJob) -> None:
        """Queue a job. Raises ModelError in a forked process."""
        require_same_process(self._pid, "the server's model")
        self._loop.call_soon_threadsafe(self._enqueue, job)

    def cancel(self, job: RemoteJob) -> None:
        """Cancel a job that waits or runs."""
        if not self.closed:
            self._loop.call_soon_threadsafe(self._cancel, job)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop at once and return its result. Raises its errors, and
        ModelError in a forked process."""
        require_same_process(self._pid, "the server's model")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """Cancel all jobs and end the thread. A second call does nothing."""
        if self.closed:
            return
        self.closed = True
        # A forked process has no such thread.
        if os.getpid() != self._pid:
            return
        shutdown = asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop)
        # The garbage collector may call this in the loop's own thread.
        if current_thread() is not self._thread:
            wait([shutdown], timeout=30)
            self._thread.join(timeout=30)
            if not self._thread.is_alive():
                self._loop.close()

    def _enqueue(self, job: RemoteJob) -> None:
        if self.closed:
            job.on_done(None, 0.0)
            return
        heappush(self._queue, (job.priority, next(self._numbers), job))
        self._start_next()

    def _cancel(self, job: RemoteJob) -> None:
        job.cancelled = True
        if job.task is not None:
            job.task.cancel()

    def _start_next(self) -> None:
        while self._queue and len(self._running) < self._width:
            job = heappop(self._queue)[2]
            if job.cancelled:
                continue
            self._advance_clock()
            job.started_at = self._shared_seconds
            job.task = self._loop.create_task(job.work())
            self._running.add(job)
            job.task.add_done_callback(partial(self._finished, job))

    def _finished(self, job: RemoteJob, task: AnyTask) -> None:
        self._advance_clock()
        self._running.discard(job)
        job.on_done(task, self._shared_seconds - job.started_at)
        self._start_next()

    def _advance_clock(self) -> None:
        now = monotonic()
        if self._running:
            self._shared_seconds += (now - self._clock_read_at) / len(self._running)
        self._clock_read_at = now

    async def _shut_down(self) -> None:
        for _, _, job in self._queue:
            job.on_done(None, 0.0)
        self._queue.clear()
        tasks = [job.task for job in self._running if job.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_default_executor()  # waits for work in threads
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)
        await self._on_close()
        # Runs after the caller's future is set.
        self._loop.call_soon(self._loop.stop)
