"""Simulated time: steps of equal length."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from .types import Time


@dataclass(frozen=True, slots=True)
class Clock:
    """Converts step numbers to simulated time.

    >>> from datetime import datetime
    >>> Clock(datetime(2023, 2, 13), step_seconds=10).at(360)
    datetime.datetime(2023, 2, 13, 1, 0)
    """

    start: Time
    step_seconds: int = 60

    def at(self, step: int) -> Time:
        """The time at which ``step`` begins."""
        return self.start + timedelta(seconds=self.step_seconds * step)

    def steps_until(self, moment: Time) -> int:
        """The number of steps that begin before ``moment``; 0 if it lies before the start."""
        return max(0, -((self.start - moment) // timedelta(seconds=self.step_seconds)))


_EPOCH = datetime(1970, 1, 1)


def to_seconds(at: Time) -> float:
    """Seconds of the world's clock since 1970, for arithmetic only."""
    # Time zones are refused where times come in; a check here would run a million times.
    return (at - _EPOCH).total_seconds()


def time_error(at: object, name: str = "time") -> str:
    """The error message if a value is not a datetime without a time zone, else an empty text.

    A time zone is refused, since conversion would have to guess the zone of the world. The
    message calls the value ``name``.

    >>> time_error(datetime(2023, 2, 13, 9))
    ''
    >>> time_error("today")
    "time 'today' is no datetime; give a datetime.datetime without a time zone"
    """
    if not isinstance(at, datetime):
        return f"{name} {at!r} is no datetime; give a datetime.datetime without a time zone"
    if at.tzinfo is not None:
        return (
            f"{name} {at.isoformat()} has a time zone; the world's clock has none: give it in "
            "the world's time, with .replace(tzinfo=None)"
        )
    return ""
