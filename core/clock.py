"""Times: steps of equal length in a world, and the time zones of people in chats."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from .errors import SettingError
from .settings import did_you_mean
from .types import Time

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE)
_LARGEST_OFFSET = timedelta(hours=15)


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


# -- time zones ---------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def time_zone(name: str) -> tzinfo | None:
    """The time zone of a name: of the IANA database ("Europe/Berlin"), or a fixed offset
    ("+09:00", "UTC+9"); None for an empty name. Raises SettingError for an unknown one.

    >>> time_zone("Asia/Tokyo"), time_zone("+05:30")
    (zoneinfo.ZoneInfo(key='Asia/Tokyo'), datetime.timezone(datetime.timedelta(seconds=19800)))
    """
    if not name:
        return None
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    if match := _OFFSET.fullmatch(name):
        size = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
        if size <= _LARGEST_OFFSET:
            return timezone(-size if match[1] == "-" else size)
    try:
        return ZoneInfo(name)
    # The database is files: a name may be a folder, too long, or no path at all.
    except (KeyError, ValueError, OSError, TypeError) as error:
        hint = did_you_mean(name, available_timezones())
        raise SettingError(
            f"time zone {name!r:.60} is not known{hint}; give a name such as 'Europe/Berlin' or an "
            "offset such as '+02:00'"
        ) from error


def zone_name(zone: tzinfo | None, at: datetime) -> str:
    """A name that ``time_zone`` reads for the zone of a moment: the key of the database, else the
    offset at ``at``; empty without a zone.

    >>> zone_name(time_zone("+5:30"), datetime(2026, 5, 1))
    '+05:30'
    """
    if zone is None:
        return ""
    if key := getattr(zone, "key", None):
        return str(key)
    offset = zone.utcoffset(at.replace(tzinfo=None)) or timedelta(0)
    minutes = round(offset / timedelta(minutes=1))
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def local_time(at: Time, zone: tzinfo | None) -> Time:
    """What a clock in ``zone`` shows at ``at``, a time of this machine's clock (without a zone:
    ``at`` itself). Times at the ends of the calendar stay as they are."""
    try:
        return at if zone is None else at.astimezone(zone).replace(tzinfo=None)
    except (OverflowError, ValueError):
        return at


def machine_time(local: Time, zone: tzinfo | None) -> Time:
    """The inverse of ``local_time``. Of times that a clock shows twice it is the first; one that it
    skips is as long after midnight as it would be without the change."""
    try:
        return (
            local if zone is None else local.replace(tzinfo=zone).astimezone().replace(tzinfo=None)
        )
    except (OverflowError, ValueError):
        return local
