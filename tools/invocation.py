"""Running a tool's function, plain or async, with a time limit, retries and progress."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from queue import Empty, SimpleQueue

from .declaration import ProgressCallback

TERMINATION_ERRORS = (SystemExit, asyncio.CancelledError)
"""Exceptions, besides Exception, by which a tool may end its call but not its caller."""

log = logging.getLogger(__name__)

_CANCEL_SECONDS = 0.25
"""Time for an async function to handle its cancellation after the time limit."""
_FIRST_RETRY_SECONDS = 0.05


def invoke(
    start: Callable[[ProgressCallback], object], report: ProgressCallback, *, seconds: float = 0.0
) -> object:
    """The result of ``start(report)``; ``report`` is called in the calling thread.

    Without ``seconds`` it runs in this thread. With ``seconds`` it runs in a thread of its own and
    TimeoutError is raised at the limit: an async function is cancelled; a plain one keeps running
    and its result is dropped.
    """
    if not seconds:
        return _run_to_end(start(report))
    events: SimpleQueue[tuple[str, object]] = SimpleQueue()

    def work() -> None:
        try:
            result = start(lambda text, share: events.put(("progress", (text, share))))
            if inspect.isawaitable(result):
                result = asyncio.run(_await_within(result, seconds))
            events.put(("done", result))
        except BaseException as error:  # noqa: BLE001  raised again in the calling thread
            events.put(("raised", error))

    # A daemon, so that the process can end while it still runs.
    threading.Thread(target=copy_context().run, args=(work,), daemon=True).start()
    end = time.monotonic() + seconds + _CANCEL_SECONDS
    while True:
        try:
            kind, content = events.get(timeout=max(end - time.monotonic(), 0))
        except Empty:
            raise TimeoutError(f"took longer than {seconds:g} s") from None
        if kind == "done":
            return content
        if isinstance(content, BaseException):
            raise content
        report(*content)  # type: ignore[misc]


def with_retries(attempt: Callable[[], object], retries: int) -> object:
    """The result of ``attempt``, called again up to ``retries`` times with exponential backoff.
    ValueError, TypeError and LookupError are raised at once."""
    for number in range(retries):
        try:
            return attempt()
        except (ValueError, TypeError, LookupError):
            raise
        except Exception as error:  # A tool may raise anything.
            log.info("retry after %s", type(error).__name__, exc_info=True)
            time.sleep(_FIRST_RETRY_SECONDS * 2**number)
    return attempt()


async def _await_within(result: Awaitable[object], seconds: float) -> object:
    try:
        async with asyncio.timeout(seconds) as limit:
            return await result
    except TimeoutError as error:
        if limit.expired():
            raise TimeoutError(f"took longer than {seconds:g} s") from error
        raise


def _run_to_end(result: object) -> object:
    if not inspect.isawaitable(result):
        return result
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_awaited(result))
    # In a notebook or a server this thread's event loop is busy with our caller.
    with ThreadPoolExecutor(1) as pool:
        run = copy_context().run
        return pool.submit(run, lambda: asyncio.run(_awaited(result))).result()


async def _awaited(result: Awaitable[object]) -> object:
    return await result
