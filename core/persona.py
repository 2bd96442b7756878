"""Personas: the identity of an agent, its routine and its hours of sleep."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from .codec import to_json
from .errors import SettingError
from .settings import build_settings, read_settings
from .text import reserved_sign, short_name, sleep_hours
from .types import Address, AgentId, Json, Time

log = logging.getLogger(__name__)


# Needed at every step of every agent.
_cached_sleep_hours = lru_cache(maxsize=4096)(sleep_hours)


DEFAULT_WAKE_MINUTE, DEFAULT_BED_MINUTE = 7 * 60, 23 * 60
"""Default times of waking and of going to bed, in minutes after midnight."""


_REQUIRED_FIELDS = "it needs name, age, innate, learned, currently, lifestyle and living_area"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutineEntry:
    """One entry of a fixed daily routine: the activity ``doing`` from ``at`` ("HH:MM") on, at
    ``place`` (an address, or words that name one; empty: the current place)."""

    at: str
    doing: str
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """The identity of an agent.

    ``traits``, ``background``, ``currently`` and ``lifestyle`` stand in prompts (in Smallville's
    files: innate, learned, currently, lifestyle). ``facts`` become its first records. The Routine
    planner follows ``routine``; ``daily`` is a routine in prose. ``vision`` is a radius in tiles,
    ``attention`` the number of events seen at a time, ``retention`` the number of recent events
    that are not perceived again. ``recency_decay`` is the base of the recency score;
    ``reflect_after`` is the sum of importance that starts a reflection. ``voice`` is the voice it
    speaks with: the model's default if empty, "none", or a folder of a trained voice.

    Raises SettingError for a name with a reserved character.
    """

    name: AgentId
    age: int = 30
    traits: str = ""
    background: str = ""
    currently: str = ""
    lifestyle: str = ""
    daily: str = ""
    home: Address = ""
    knows: tuple[Address, ...] = ()
    facts: tuple[str, ...] = ()
    routine: tuple[RoutineEntry, ...] = ()
    vision: int = 8
    attention: int = 8
    retention: int = 8
    recency_decay: float = 0.995
    reflect_after: float = 150.0
    voice: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.name, str) and (sign := reserved_sign(self.name)):
            raise SettingError(
                f"persona: name = {self.name!r} holds '{sign}', which means something else where "
                "rights are decided (document:NAME, * for everybody); give words without colons "
                "and without '*'"
            )

    @property
    def first_name(self) -> str:
        """The short form of the name that prompts use."""
        return short_name(self.name)

    @classmethod
    def load(cls, path: Path | str) -> Persona:
        """Read a persona from ``.toml``, ``.json``, or a Smallville ``scratch.json``.

        Raises SettingError, which names the file and the field.
        """
        source = Path(path)
        data = read_settings(source)
        if "innate" in data and "living_area" in data:
            return cls.from_scratch(data, source)
        return cls.parse(data, source)

    @classmethod
    def parse(cls, data: Json, source: Path | str = "persona") -> Persona:
        """A persona from a mapping of fields. Raises SettingError, also for unknown keys."""
        return build_settings(cls, data, source)._warn_missing_hours(source)

    @classmethod
    def from_scratch(cls, data: Json, source: Path | str = "scratch.json") -> Persona:
        """A persona from the identity fields of Smallville's ``scratch.json``."""
        try:
            if data["age"] is None:
                raise TypeError("'age' must be a number, not null")
            persona = cls(
                name=_text_field(data, "name"),
                age=_integer_field(data, "age", 0),
                traits=_text_field(data, "innate"),
                background=_text_field(data, "learned"),
                currently=_text_field(data, "currently"),
                lifestyle=_text_field(data, "lifestyle"),
                daily=_text_field(data, "daily_plan_req", default=""),
                home=_text_field(data, "living_area"),
                vision=_integer_field(data, "vision_r", 8),
                attention=_integer_field(data, "att_bandwidth", 8),
                retention=_integer_field(data, "retention", 8),
                recency_decay=_number_field(data, "recency_decay", 0.995),
                reflect_after=_number_field(data, "importance_trigger_max", 150),
            )
        except KeyError as error:
            raise SettingError(
                f"{source}: not a usable Smallville scratch file (it has no {error}); "
                f"{_REQUIRED_FIELDS}"
            ) from error
        except (TypeError, ValueError, AttributeError) as error:
            raise SettingError(
                f"{source}: not a usable Smallville scratch file ({error}); {_REQUIRED_FIELDS}"
            ) from error
        return persona._warn_missing_hours(source)

    def _warn_missing_hours(self, source: Path | str) -> Persona:
        if unsaid := _missing_hours_warning(self):
            log.warning("%s: %s: lifestyle: %s", source, self.name, unsaid)
        return self

    def waking_hours(self) -> tuple[int, int]:
        """Minutes after midnight of waking and of going to bed, parsed from ``lifestyle`` by
        ``sleep_hours``; 7:00 and 23:00 if it does not say. Bed time may lie after midnight, and so
        before waking."""
        wake, bed = _cached_sleep_hours(self.lifestyle)
        return (
            DEFAULT_WAKE_MINUTE if wake is None else wake,
            DEFAULT_BED_MINUTE if bed is None else bed,
        )

    def sleeps_at(self, minute: int) -> bool:
        """Whether the persona is in bed at a minute of the day."""
        wake, sleep = self.waking_hours()
        if sleep > wake:
            return minute < wake or minute >= sleep
        return sleep <= minute < wake

    def lived_day(self, now: Time) -> Time:
        """Midnight at the start of the persona's day: until a bed time after midnight, that is
        yesterday's."""
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        wake, sleep = self.waking_hours()
        late = sleep <= wake and now.hour * 60 + now.minute < wake
        return midnight - timedelta(days=1) if late else midnight

    def as_json(self) -> str:
        """Indented JSON that ``load`` accepts."""
        return json.dumps(to_json(self), ensure_ascii=False, indent=2)


def _missing_hours_warning(persona: Persona) -> str:
    """A warning about the hour of sleep that the lifestyle does not say; empty if it says both, or
    is empty."""
    wake, bed = _cached_sleep_hours(persona.lifestyle)
    missing = [name for name, minute in (("waking", wake), ("bed", bed)) if minute is None]
    if not persona.lifestyle.strip() or not missing:
        return ""
    took = {
        "waking": f"waking at {DEFAULT_WAKE_MINUTE // 60}:00",
        "bed": f"going to bed at {DEFAULT_BED_MINUTE // 60}:00",
    }
    return (
        f"no {' or '.join(missing)} time could be read out of it; "
        f"{' and '.join(took[name] for name in missing)} is assumed "
        "(write it as: goes to bed at 11pm, wakes up at 7am)"
    )


def _text_field(data: Json, key: str, default: str | None = None) -> str:
    """A text in a scratch file; with a ``default`` it may be missing or null."""
    if default is not None and data.get(key) is None:
        return default
    value = data[key]
    if not isinstance(value, str):
        raise TypeError(f"'{key}' must be text, not {'null' if value is None else repr(value)}")
    return value


def _number_field(data: Json, key: str, default: float) -> float:
    """A number in a scratch file; the default if it is missing or null."""
    value = data.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"'{key}' must be a number, not {value!r}")
    try:
        return float(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"'{key}' must be a number, not {value!r}") from error


def _integer_field(data: Json, key: str, default: int) -> int:
    value = float(_number_field(data, key, default))
    if not value.is_integer():
        raise ValueError(f"'{key}' must be a whole number, not {value!r}")
    return int(value)
