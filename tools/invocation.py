"""Running a tool's function: plain or async, inside a time limit, heard while it works."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from queue import Empty, SimpleQueue

from .declaration import ProgressCallback

TERMINATION_ERRORS = (SystemExit, asyncio.CancelledError)
"""What a tool may end by besides an Exception; it ends the call, not its caller."""

log = logging.getLogger(__name__)

# After its time an async function gets this long to take its cancellation in.
_GRACE = 0.25
_PAUSE = 0.05


def invoke(
    start: Callable[[ProgressCallback], object], tell: ProgressCallback, *, seconds: float = 0.0
) -> object:
    """The result of ``start``, which is given what to tell its progress to.

    Without ``seconds`` it runs right here. With them it runs in a thread of its own, and
    TimeoutError is raised when the time is over: an async function is cancelled, a plain one
    cannot be stopped and is left behind, its end unheard."""
    if not seconds:
        return _finished(start(tell))
    heard: SimpleQueue[tuple[str, object]] = SimpleQueue()

    def work() -> None:
        try:
            result = start(lambda text, share: heard.put(("told", (text, share))))
            if inspect.isawaitable(result):
                result = asyncio.run(_within(result, seconds))
            heard.put(("done", result))
        except BaseException as error:  # noqa: BLE001  raised again where it is waited for
            heard.put(("raised", error))

    # A daemon: the process may end while it still runs.
    threading.Thread(target=copy_context().run, args=(work,), daemon=True).start()
    end = time.monotonic() + seconds + _GRACE
    while True:
        try:
            what, content = heard.get(timeout=max(end - time.monotonic(), 0))
        except Empty:
            raise TimeoutError(f"took longer than {seconds:g} s") from None
        if what == "done":
            return content
        if isinstance(content, BaseException):
            raise content
        tell(*content)  # type: ignore[misc]


def with_retries(attempt: Callable[[], object], retries: int) -> object:
    """The result of an attempt, made anew up to ``retries`` times while it fails by bad luck:
    not when it complains of what it was given."""
    for tried in range(retries):
        try:
            return attempt()
        except (ValueError, TypeError, LookupError):
            raise
        except Exception as error:  # A tool may raise anything.
            log.info("trying again after %s", type(error).__name__, exc_info=True)
            time.sleep(_PAUSE * 2**tried)
    return attempt()


async def _within(result: Awaitable[object], seconds: float) -> object:
    try:
        async with asyncio.timeout(seconds) as limit:
            return await result
    except TimeoutError as error:
        if limit.expired():
            raise TimeoutError(f"took longer than {seconds:g} s") from error
        raise


def _finished(result: object) -> object:
    """The result itself; an awaitable one is run to its end."""
    if not inspect.isawaitable(result):
        return result
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_awaited(result))
    # Inside a notebook or a server this thread's loop is busy calling us.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        work = copy_context().run
        return pool.submit(work, lambda: asyncio.run(_awaited(result))).result()


async def _awaited(result: Awaitable[object]) -> object:
    return await result
