"""A re-entrant lock that belongs to a context (``contextvars``) instead of a thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

from .errors import RunError, RunLocked

S = TypeVar("S")
P = ParamSpec("P")
T = TypeVar("T")

LOCK_TIMEOUT = 10.0
"""Seconds that the holder of one lock waits for another; the bound ends deadlocks."""

_held_tokens: ContextVar[tuple[object, ...]] = ContextVar("denizens_stores_held", default=())


class ContextLock:
    """A re-entrant lock of a store.

    It is held by a context, so that a tool that runs in a thread of its own, with a copy of the
    context of the chat that called it, may use the same store. Other contexts wait.

    >>> owner = ContextLock("bo.db")
    >>> with owner, owner:
    ...     owner.held
    True
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._token: object = None
        self._depth = 0

    @property
    def held(self) -> bool:
        """Whether the current context holds the lock."""
        return self._token is not None and self._token in _held_tokens.get()

    @property
    def is_forked(self) -> bool:
        """Whether this process is a fork of the one that made the lock."""
        return os.getpid() != self._pid

    def __enter__(self) -> ContextLock:
        """Acquire the lock. Raises RunError in a forked process, and RunLocked if the context
        holds another lock and this one is not free within ``LOCK_TIMEOUT``."""
        if self.is_forked:
            raise RunError(
                f"{self._name}: was opened by process {self._pid} and cannot be used in its fork "
                f"{os.getpid()}; open it there after the fork, or start processes by 'spawn'"
            )
        if self.held:
            self._depth += 1
            return self
        if not self._lock.acquire(timeout=LOCK_TIMEOUT if _held_tokens.get() else -1):
            raise RunLocked(
                f"{self._name}: another thread has used it for {LOCK_TIMEOUT:g} s, and may wait "
                f"for "
                "this one; let agents of two files not call each other in turn"
            )
        self._token, self._depth = object(), 1
        _held_tokens.set((*_held_tokens.get(), self._token))
        return self

    def __exit__(self, *failure: object) -> None:
        """Release the lock when the outermost block ends."""
        if not self.held:
            # ``released`` could not acquire it again: it is another context's now.
            return
        self._depth -= 1
        if self._depth:
            return
        _held_tokens.set(tuple(mark for mark in _held_tokens.get() if mark is not self._token))
        self._token = None
        self._lock.release()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Release the lock inside the block, so that others use the store while this context waits
        for something else.

        Only if the context holds it once: who holds it more than once, for a transaction or by a
        ``with`` of its own, has a reason to keep the others out, and goes on holding it."""
        if not self.held or self._depth != 1:
            yield
            return
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()


def exclusive(
    owner: Callable[[S], ContextLock],
) -> Callable[[Callable[Concatenate[S, P], T]], Callable[Concatenate[S, P], T]]:
    """A decorator of methods that holds the lock ``owner(self)`` while the method runs."""

    def held(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
        @wraps(method)
        def work(self: S, *args: P.args, **named: P.kwargs) -> T:
            with owner(self):
                return method(self, *args, **named)

        return cast("Callable[Concatenate[S, P], T]", work)

    return held
