"""The data format of the page, version 1.

A ``PageData`` becomes one JSON object (``as_json``), which the page unpacks. Positions
are tiles from the top left; steps are counted from 0 and begin ``step_seconds`` apart. States
are stored when they change, sorted by step, so that the page finds the state at any step by
binary search; prompts are stored once, in ``texts``, and referred to by index::

    {version, title, subtitle, start, step_seconds, steps, figures: {name: number or text},
     map: {width, height, kinds: [name], ground: base64 of a byte a tile (index into kinds),
           blocked: base64 of a bit a tile (most significant first),
           sectors: [{name, x, y, w, h}], arenas: the same with sector,
           sector_of, arena_of: base64 of a byte a tile (1 + index, 0 for none),
           objects: [{name, address, rects: [[x, y, w, h]]}], links: [[x, y, x, y]]},
     people: [{id, color, persona: {field: text},
               track: [[step, x, y]], acts: [[step, doing, emoji, place, why, asleep]],
               plans: [[step, [broad stroke], [[minute of day, minutes, doing, place]]]],
               memories: [[id, step, kind, text, importance, depth, who, [evidence]]],
               asks: [[step, kind, role, body]], presence: [[first step, last step or -1]],
               look: {color, skin, hair, style, skirt}}],
     talks: [{id, start, end, members, place, lines: [[step, who, text]]}],
     headlines: [[step, text]], texts: [text],
     costs: {minutes: of a column of the chart, sums: [[person, kind, role, calls, tokens read,
             written, reused, seconds]], times: [[step, the same but the role]]}}

``costs`` is left out of a run that asked no model; ``presence`` and ``look`` are those of people
from outside.

An ask's body by kind: ``choose`` {about, options: [[name, probability]], chosen, prompt:
[text index]}, ``generate`` {text, prompt}, ``rate`` {about, value, low, high, prompt},
``recall`` {cue, hits: [[record id, score, recency, importance, relevance]]}, ``call``
{tool, arguments, ok, value}, and ``failed`` {reason, detail, prompt}.

The last functions turn a persona and its records into rows of the page.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ..core import AgentId, Clock, Json, Persona, Record, Time
from ..models import Usage
from ..simulation import RecordedConversation

VERSION = 1

AskKind: TypeAlias = Literal["choose", "generate", "rate", "recall", "call", "failed"]


@dataclass(frozen=True, slots=True)
class MapArea:
    """A named rectangle of tiles; ``sector`` is the enclosing place of an arena."""

    name: str
    x: int
    y: int
    w: int
    h: int
    sector: str = ""

    def as_json(self) -> Json:
        """As a mapping."""
        row = {"name": self.name, "x": self.x, "y": self.y, "w": self.w, "h": self.h}
        return {**row, "sector": self.sector} if self.sector else row


@dataclass(frozen=True, slots=True)
class MapObject:
    """An object of the map, drawn by its name; ``rects`` are (x, y, w, h)."""

    name: str
    address: str
    rects: tuple[tuple[int, int, int, int], ...]

    def as_json(self) -> Json:
        """As a mapping."""
        rects = [list(rect) for rect in self.rects]
        return {"name": self.name, "address": self.address, "rects": rects}


@dataclass(frozen=True, slots=True, kw_only=True)
class MapData:
    """The map: ``ground`` is a kind for each tile, row by row; ``sector_of`` and ``arena_of`` hold
    for each tile 1 + the index of its place, 0 for none; ``links`` are the bridges (x, y, x, y) of
    a world without tiles."""

    width: int
    height: int
    ground: Sequence[str]
    blocked: Sequence[bool] = ()
    sectors: tuple[MapArea, ...] = ()
    arenas: tuple[MapArea, ...] = ()
    objects: tuple[MapObject, ...] = ()
    sector_of: Sequence[int] = ()
    arena_of: Sequence[int] = ()
    links: tuple[tuple[int, int, int, int], ...] = ()

    def as_json(self) -> Json:
        """Ground and blocked tiles packed, the rest as lists."""
        kinds = sorted(set(self.ground))
        index = {kind: number for number, kind in enumerate(kinds)}
        packed = bytes(index[kind] for kind in self.ground)
        return {
            "width": self.width,
            "height": self.height,
            "kinds": kinds,
            "ground": base64.b64encode(packed).decode(),
            "blocked": base64.b64encode(_bits(self.blocked)).decode(),
            "sectors": [area.as_json() for area in self.sectors],
            "arenas": [area.as_json() for area in self.arenas],
            "objects": [thing.as_json() for thing in self.objects],
            "sector_of": _bytes(self.sector_of),
            "arena_of": _bytes(self.arena_of),
            "links": [list(link) for link in self.links],
        }


@dataclass(frozen=True, slots=True)
class ActivityEntry:
    """An agent's activity from ``step`` on; ``why`` is the reason that the agent gave."""

    step: int
    doing: str
    emoji: str = ""
    place: str = ""
    why: str = ""
    asleep: bool = False


@dataclass(frozen=True, slots=True)
class PlanEntrySlot:
    """A period of the day; it starts ``minute`` minutes after midnight."""

    minute: int
    minutes: int
    doing: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """The plan of the day from ``step`` on."""

    step: int
    broad: tuple[str, ...]
    slots: tuple[PlanEntrySlot, ...]


@dataclass(frozen=True, slots=True)
class MemoryEntry:
    """A record; ``id`` is unique for its agent, ``evidence`` holds the ids of older records."""

    id: int
    step: int
    kind: str
    text: str
    importance: float = 1.0
    depth: int = 0
    who: str = ""
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AskData:
    """An ask of a step with its answer; see the module's docstring for ``body``."""

    step: int
    kind: AskKind
    role: str
    body: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonData:
    """One agent with all its data. ``track`` holds (step, x, y) for each change of position;
    fractions of a step are allowed, for paths of many tiles in one step. A person from outside has
    ``presence``, (first step, last step or -1) of each visit, and perhaps the ``look`` that it
    chose."""

    id: AgentId
    persona: Mapping[str, str]
    track: Sequence[tuple[float, float, float]]
    acts: Sequence[ActivityEntry] = ()
    plans: Sequence[PlanEntry] = ()
    memories: Sequence[MemoryEntry] = ()
    asks: Sequence[AskData] = ()
    color: str = ""
    presence: Sequence[tuple[int, int]] = ()
    look: Mapping[str, Json] = field(default_factory=dict)

    def as_json(self) -> Json:
        """Rows as lists, in the order of the module's docstring."""
        return {
            "id": self.id,
            "color": self.color,
            "persona": dict(self.persona),
            "track": [list(row) for row in self.track],
            "acts": [[a.step, a.doing, a.emoji, a.place, a.why, int(a.asleep)] for a in self.acts],
            "plans": [
                [p.step, list(p.broad), [[s.minute, s.minutes, s.doing, s.place] for s in p.slots]]
                for p in self.plans
            ],
            "memories": [
                [m.id, m.step, m.kind, m.text, m.importance, m.depth, m.who, list(m.evidence)]
                for m in self.memories
            ],
            "asks": [[a.step, a.kind, a.role, a.body] for a in self.asks],
            **({"presence": [list(visit) for visit in self.presence]} if self.presence else {}),
            **({"look": dict(self.look)} if self.look else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkData:
    """A conversation from step ``start`` to step ``end``."""

    id: str
    start: int
    end: int
    members: tuple[AgentId, ...]
    place: str = ""
    lines: tuple[tuple[int, AgentId, str], ...] = ()

    @classmethod
    def of(cls, talk: RecordedConversation) -> TalkData:
        """A conversation of a run."""
        return cls(
            id=talk.id,
            start=talk.start,
            end=talk.end,
            members=talk.members,
            place=talk.place,
            lines=talk.lines,
        )

    def as_json(self) -> Json:
        """As a mapping."""
        return {
            "id": self.id,
            "start": self.start,
            "end": self.end,
            "members": list(self.members),
            "place": self.place,
            "lines": [list(line) for line in self.lines],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CostData:
    """Usage: ``sums`` over the whole run, and ``times`` by the step at which a column of
    ``minutes`` simulated minutes begins, without roles."""

    minutes: int
    sums: tuple[Usage, ...]
    times: tuple[tuple[int, Usage], ...]

    def as_json(self) -> Json:
        """Rows as lists."""
        return {
            "minutes": self.minutes,
            "sums": [[*cost.key, *_counts(cost)] for cost in self.sums],
            "times": [[step, cost.agent, cost.kind, *_counts(cost)] for step, cost in self.times],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PageData:
    """A whole run, ready to be shown."""

    title: str
    start: Time
    step_seconds: int
    steps: int
    map: MapData
    people: tuple[PersonData, ...]
    subtitle: str = ""
    talks: tuple[TalkData, ...] = ()
    headlines: tuple[tuple[int, str], ...] = ()
    figures: Mapping[str, Json] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    costs: CostData | None = None

    def as_json(self) -> Json:
        """The object of the module's docstring."""
        costs = {"costs": self.costs.as_json()} if self.costs else {}
        return {
            "version": VERSION,
            "title": self.title,
            "subtitle": self.subtitle,
            "start": self.start.isoformat(),
            "step_seconds": self.step_seconds,
            "steps": self.steps,
            "figures": dict(self.figures),
            "map": self.map.as_json(),
            "people": [person.as_json() for person in self.people],
            "talks": [talk.as_json() for talk in self.talks],
            "headlines": [list(line) for line in self.headlines],
            "texts": list(self.texts),
            **costs,
        }


class TextTable:
    """Stores each text once and returns its index.

    >>> texts = TextTable()
    >>> texts.add("You are Bo."), texts.add("What now?"), texts.add("You are Bo.")
    (0, 1, 0)
    >>> texts.all
    ('You are Bo.', 'What now?')
    """

    def __init__(self) -> None:
        self._index: dict[str, int] = {}

    def add(self, text: str) -> int:
        """The index of ``text``, which is added if it is new."""
        return self._index.setdefault(text, len(self._index))

    def __len__(self) -> int:
        return len(self._index)

    @property
    def all(self) -> tuple[str, ...]:
        """All texts in order of index."""
        return tuple(self._index)


def _counts(cost: Usage) -> list[Json]:
    counts = (cost.calls, cost.tokens_in, cost.tokens_out, cost.tokens_reused)
    return [*counts, round(cost.seconds, 3)]


def _bytes(numbers: Sequence[int]) -> str:
    # A byte is enough for a town; places beyond the 255th go without.
    return base64.b64encode(bytes(n if n < 256 else 0 for n in numbers)).decode()


def _bits(flags: Sequence[bool]) -> bytes:
    packed = bytearray((len(flags) + 7) // 8)
    for place, flag in enumerate(flags):
        if flag:
            packed[place >> 3] |= 0x80 >> (place & 7)
    return bytes(packed)


def persona_fields(persona: Persona) -> dict[str, str]:
    """The fields of a persona that the page shows."""
    return {
        "age": str(persona.age),
        "traits": persona.traits,
        "background": persona.background,
        "currently": persona.currently,
        "lifestyle": persona.lifestyle,
        "home": persona.home,
    }


def memory_entry(record: Record, clock: Clock) -> MemoryEntry:
    """A record as the page shows it; the step is negative for a record older than the run."""
    seconds = (record.created - clock.start).total_seconds()
    return MemoryEntry(
        id=record.id,
        step=int(seconds // clock.step_seconds),
        kind=record.kind,
        text=record.text,
        importance=round(record.importance, 2),
        depth=record.depth,
        who=record.who,
        evidence=record.evidence,
    )
