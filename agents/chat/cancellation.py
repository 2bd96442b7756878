"""Cancelling a reply from another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ReplyCancelled(BaseException):
    """The reply was cancelled: ends the work on it. Not an Exception, so that no tool swallows
    it."""


class CancelToken:
    """Cancels the work that it was given to.

    >>> token = CancelToken()
    >>> with token.calling(lambda: print("called")):
    ...     token.cancel()
    called
    >>> token.cancelled
    True
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self._callbacks: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        """Whether ``cancel`` was called."""
        return self._cancelled

    def cancel(self) -> None:
        """Cancel, from any thread; without effect on work that is done."""
        with self._lock:
            self._cancelled = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def check(self) -> None:
        """Raises ReplyCancelled once the token is cancelled."""
        if self._cancelled:
            raise ReplyCancelled

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call a function, in the thread that cancels, if that happens inside the block."""
        with self._lock:
            self._callbacks.append(callback)
        try:
            yield
        finally:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)
