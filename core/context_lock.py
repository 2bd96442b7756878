"""Who may use a store at a moment: one thread of the process that opened it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

from .errors import RunError, RunLocked

S = TypeVar("S")
P = ParamSpec("P")
T = TypeVar("T")

LOCK_TIMEOUT = 10.0
"""Seconds that whoever holds one store waits for another: two that wait for each other would
never end."""

_held_tokens: ContextVar[tuple[object, ...]] = ContextVar("denizens_stores_held", default=())


class ContextLock:
    """A lock that is held by a context (``contextvars``), not by a thread: a tool that runs in
    a thread of its own acts for the chat that called it, and may use the same store. Held
    again by who holds it; everybody else waits.

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
        """Whether the running context holds it."""
        return self._token is not None and self._token in _held_tokens.get()

    @property
    def is_forked(self) -> bool:
        """Whether this is a process forked from the one that opened the store."""
        return os.getpid() != self._pid

    def __enter__(self) -> ContextLock:
        """Wait for it. Raises RunError in a forked process, RunLocked where waiting might
        never end."""
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
        """Let the next in."""
        self._depth -= 1
        if self._depth:
            return
        _held_tokens.set(tuple(mark for mark in _held_tokens.get() if mark is not self._token))
        self._token = None
        self._lock.release()


def exclusive(
    owner: Callable[[S], ContextLock],
) -> Callable[[Callable[Concatenate[S, P], T]], Callable[Concatenate[S, P], T]]:
    """A method during which the ``owner`` that its object names is held."""

    def held(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
        @wraps(method)
        def work(self: S, *args: P.args, **named: P.kwargs) -> T:
            with owner(self):
                return method(self, *args, **named)

        return cast("Callable[Concatenate[S, P], T]", work)

    return held
