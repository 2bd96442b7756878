"""The order of the turns of a chat: one at a time for each person."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ...core import LOCK_TIMEOUT, AgentId, RunLocked, normalize


class TurnQueue:
    """Turns of persons with one agent: those of different persons run at once, those of one
    person in the order of their calls.

    >>> turns = TurnQueue("Bo Lind")
    >>> with turns.hold("Ada"), turns.hold("Cy"):
    ...     turns.active
    2
    """

    def __init__(self, agent: AgentId) -> None:
        self._agent = agent
        self._condition = threading.Condition()
        self._waiting: dict[str, deque[object]] = {}

    @property
    def active(self) -> int:
        """The number of persons whose turn runs."""
        return len(self._waiting)

    @contextmanager
    def hold(
        self,
        person: AgentId,
        *,
        timeout: float | None = None,
        check: Callable[[], None] | None = None,
    ) -> Iterator[None]:
        """Wait for the earlier turns of a person, then hold the turn.

        ``check`` is called every ``_CHECK_SECONDS`` meanwhile; what it raises ends the wait.
        Raises RunLocked if they take more than ``timeout`` seconds (None: no limit).
        """
        place, key = object(), normalize(person)
        with self._condition:
            queue = self._waiting.setdefault(key, deque())
            queue.append(place)
            try:
                self._wait_for(queue, place, timeout, check)
            except BaseException:
                self._leave(key, place)
                raise
        try:
            yield
        finally:
            with self._condition:
                self._leave(key, place)

    def _wait_for(
        self,
        queue: deque[object],
        place: object,
        timeout: float | None,
        check: Callable[[], None] | None,
    ) -> None:
        waited = 0.0
        while queue[0] is not place:
            if timeout is not None and waited >= timeout:
                raise RunLocked(
                    f"{self._agent}: an earlier message of this person is not answered after "
                    f"{timeout:g} s, and may wait for this one; do not chat while holding the store"
                )
            self._condition.wait(_CHECK_SECONDS)
            waited += _CHECK_SECONDS
            if check:
                check()

    def _leave(self, key: str, place: object) -> None:
        queue = self._waiting[key]
        queue.remove(place)
        if not queue:
            del self._waiting[key]
        self._condition.notify_all()


_CHECK_SECONDS = 0.1
"""Seconds between two looks at whether a waiting turn was cancelled."""

NESTED_TIMEOUT = LOCK_TIMEOUT
"""Seconds that a turn waits if its context holds the store, which the earlier turn may need."""
