"""Who an agent is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from .errors import SettingError
from .settings import read_settings
from .words import Address, AgentId, Json, Time


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A name is not called by one of these alone.
_TITLES = _listed(
    "the a an mr mrs ms miss mx dr prof professor doctor sir lady lord saint st old little big "
    "young uncle aunt captain king queen prince princess father mother sister brother grandma "
    "grandpa granny el la le les los las der die das doña señor señora herr frau monsieur madame "
    "signor signora"
)


def short_name(name: str) -> str:
    """The first name of a person, or the whole name where that is an article, a title or an
    initial.

    >>> short_name("Bo Lind"), short_name("The Doctor"), short_name("J. R. Ek"), short_name("小明")
    ('Bo', 'The Doctor', 'J. R. Ek', '小明')
    """
    first, _, rest = name.strip().partition(" ")
    bare = first.rstrip(".").lower()
    return name.strip() if rest and (bare in _TITLES or first.endswith(".")) else first


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """One entry of a fixed daily routine: from ``at`` ("HH:MM") do ``doing`` at ``place``
    (an address, or words that name one; empty: where one is)."""

    at: str
    doing: str
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """An agent's identity: who it is, what it knows, how it lives.

    ``traits``, ``background``, ``currently`` and ``lifestyle`` are the identity that prompts
    show (in Smallville's files: innate, learned, currently, lifestyle). ``facts`` become its
    first memories. ``routine`` is followed by the Routine planner; ``daily`` says the same
    in prose. ``vision``, ``attention``, ``retention``: see ``REFERENCE`` values 8/8/8.
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
    routine: tuple[Appointment, ...] = ()
    vision: int = 8
    attention: int = 8
    retention: int = 8
    recency_decay: float = 0.995
    reflect_after: float = 150.0

    @property
    def first_name(self) -> str:
        """The name in short, as prompts use it: see ``short_name``."""
        return short_name(self.name)

    @classmethod
    def load(cls, path: Path | str) -> Persona:
        """Read a persona from ``.toml``, from ``.json``, or from a Smallville ``scratch.json``.

        Raises SettingError naming the file and the field.
        """
        source = Path(path)
        data = read_settings(source)
        if "innate" in data and "living_area" in data:
            return cls.from_scratch(data, source)
        return cls.parse(data, source)

    @classmethod
    def parse(cls, data: Json, source: Path | str = "persona") -> Persona:
        """Check a mapping of fields. Unknown keys are refused with a suggestion."""
        from .codec import checked

        return checked(cls, data, source)

    @classmethod
    def from_scratch(cls, data: Json, source: Path | str = "scratch.json") -> Persona:
        """Take over the fields of Smallville's ``scratch.json`` that make an identity."""
        try:
            return cls(
                name=data["name"],
                age=int(data["age"]),
                traits=data["innate"],
                background=data["learned"],
                currently=data["currently"],
                lifestyle=data["lifestyle"],
                daily=data.get("daily_plan_req") or "",
                home=data["living_area"],
                vision=int(data.get("vision_r", 8)),
                attention=int(data.get("att_bandwidth", 8)),
                retention=int(data.get("retention", 8)),
                recency_decay=float(data.get("recency_decay", 0.995)),
                reflect_after=float(data.get("importance_trigger_max", 150)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SettingError(
                f"{source}: not a usable Smallville scratch file ({error!r}); "
                "it needs name, age, innate, learned, currently, lifestyle and living_area"
            ) from error

    def waking_hours(self) -> tuple[int, int]:
        """Minutes after midnight of waking and of going to bed, read from ``lifestyle``
        ("goes to bed around 11pm, awakes up around 6am"); 7:00 and 23:00 when it is silent.
        Bed time may lie after midnight, and so before waking."""
        return _hours(self.lifestyle)

    def sleeps_at(self, minute: int) -> bool:
        """Whether this person is in bed at a minute of the day."""
        wake, sleep = self.waking_hours()
        if sleep > wake:
            return minute < wake or minute >= sleep
        return sleep <= minute < wake

    def lived_day(self, now: Time) -> Time:
        """Midnight of the day somebody is still living at ``now``: who goes to bed after
        midnight lives yesterday's day until then."""
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        wake, sleep = self.waking_hours()
        late = sleep <= wake and now.hour * 60 + now.minute < wake
        return midnight - timedelta(days=1) if late else midnight

    def as_json(self) -> str:
        """Readable JSON that ``load`` accepts."""
        from .codec import to_json

        return json.dumps(to_json(self), ensure_ascii=False, indent=2)


@lru_cache(maxsize=4096)
def _hours(lifestyle: str) -> tuple[int, int]:
    """Asked at every step of every agent, so read only once."""
    wake, sleep = 7 * 60, 23 * 60
    for clause in re.split(r"[,;.]| and ", lifestyle.lower()):
        minutes = clock_minutes(clause)
        if minutes is None:
            continue
        if "wak" in clause or "gets up" in clause or "rises" in clause:
            wake = minutes
        elif "bed" in clause or "sleep" in clause:
            sleep = minutes
    return wake, sleep


def clock_minutes(text: str) -> int | None:
    """Minutes after midnight of the first time of day named in a text, or None.

    >>> clock_minutes("opens at 8:30 am"), clock_minutes("around midnight"), clock_minutes("later")
    (510, 0, None)
    """
    found = re.search(r"\b(\d{1,2})(?::(\d\d))?\s*(am|pm)\b|\b(midnight|noon)\b", text.lower())
    if not found:
        return None
    if found.group(4):
        return 0 if found.group(4) == "midnight" else 12 * 60
    hour = int(found.group(1)) % 12 + (12 if found.group(3) == "pm" else 0)
    return hour * 60 + int(found.group(2) or 0)
