"""Simulated time: steps of equal length from a start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from .words import Time


@dataclass(frozen=True, slots=True)
class Clock:
    """Turns a step's number into the world's time.

    >>> from datetime import datetime
    >>> Clock(datetime(2023, 2, 13), step_seconds=10).at(360)
    datetime.datetime(2023, 2, 13, 1, 0)
    """

    start: Time
    step_seconds: int = 60

    def at(self, step: int) -> Time:
        """The moment at which ``step`` begins."""
        return self.start + timedelta(seconds=self.step_seconds * step)

    def steps_until(self, moment: Time) -> int:
        """How many steps begin before ``moment``; 0 when it lies in the past."""
        return max(0, -((self.start - moment) // timedelta(seconds=self.step_seconds)))
