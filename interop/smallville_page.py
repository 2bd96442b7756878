"""A finished Smallville run as page data: movement, minds and map of its folder.

Such a run keeps no prompts and no options, so the page shows what was done, said, planned
and thought, not what was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..core import AgentId, Clock, RunError
from ..memory import load_smallville_memories
from ..viewer import (
    ActivityEntry,
    MemoryEntry,
    PageData,
    PersonData,
    PlanEntry,
    PlanEntrySlot,
    TalkData,
    draw_map,
    map_layers,
    memory_entry,
    persona_fields,
    select_headlines,
)
from .smallville_folder import SmallvilleFolder, SmallvilleMovement, read_smallville_folder

_DAY_MINUTES = 24 * 60


def load_smallville_page(folder: Path | str) -> PageData:
    """The finished run in ``folder`` as page data; its map lies in the folder beside it.

    Raises SettingError, MapError or MemoryFault naming the file that is missing or cannot
    be read, and RunError for a base that was never run.
    """
    run = read_smallville_folder(folder)
    moves = tuple(run.movements())
    if not moves:
        raise RunError(
            f"{run.folder}: holds no finished run (master_movement.json); "
            "run it with `denizens run` and view the run's folder"
        )
    people = tuple(_person(run, one.name, moves) for one in run.personas)
    talks = _talks(moves)
    return PageData(
        title=f"A day in {' '.join(word.capitalize() for word in run.map.name.split('_'))}",
        subtitle=run.name,
        start=run.start,
        step_seconds=run.step_seconds,
        steps=run.steps,
        map=draw_map(map_layers(run.map)),
        people=people,
        talks=talks,
        headlines=select_headlines(people, talks),
        figures={
            "moves": sum(len(person.track) - 1 for person in people),
            "memories": sum(len(person.memories) for person in people),
        },
    )


def _person(
    run: SmallvilleFolder, name: AgentId, moves: tuple[SmallvilleMovement, ...]
) -> PersonData:
    mine = [one for one in moves if one.who == name]
    if not mine:
        raise RunError(f"{run.folder}: {name} has no movement; copy the folder once more")
    track: list[tuple[int, int, int]] = []
    for one in mine:
        if not track or track[-1][1:] != one.at:
            track.append((one.step, *one.at))
    clock = Clock(run.start, run.step_seconds)
    records, _ = load_smallville_memories(run.folder / "personas" / name)
    memories = tuple(memory_entry(record, clock) for record in records)
    acts = tuple(_acts(mine))
    persona = next(persona for persona in run.personas if persona.name == name)
    return PersonData(
        id=name,
        persona=persona_fields(persona),
        track=track,
        acts=acts,
        plans=tuple(_plans(acts, memories, clock)),
        memories=memories,
    )


def _acts(moves: list[SmallvilleMovement]) -> Iterator[ActivityEntry]:
    last = None
    for one in moves:
        now = (one.doing, one.emoji, _place(one))
        if now != last:
            last = now
            yield ActivityEntry(one.step, *now, asleep=one.doing.startswith("sleeping"))


def _place(move: SmallvilleMovement) -> str:
    """The address; a person met ("<persona> Bo") or a tile waited at is none."""
    place = move.description.partition(" @ ")[2]
    return "" if place.startswith("<") else place


def _plans(
    acts: tuple[ActivityEntry, ...], memories: tuple[MemoryEntry, ...], clock: Clock
) -> Iterator[PlanEntry]:
    """One plan a day. The run keeps the hours of its last day only, so the hours shown are
    those that the actions name ("having lunch (eating his food)" belongs to "having lunch")."""
    day = _DAY_MINUTES * 60 // clock.step_seconds
    for first in range(0, (acts[-1].step if acts else 0) + 1, day):
        slots: list[PlanEntrySlot] = []
        for act in (act for act in acts if first <= act.step < first + day):
            doing = act.doing.partition(" (")[0]
            if doing.startswith("conversing") or (slots and slots[-1].doing == doing):
                continue
            at = clock.at(act.step)
            slots.append(PlanEntrySlot(at.hour * 60 + at.minute, 0, doing, act.place))
        ends = [slot.minute for slot in slots[1:]] + [_DAY_MINUTES]
        timed = tuple(
            PlanEntrySlot(slot.minute, end - slot.minute, slot.doing, slot.place)
            for slot, end in zip(slots, ends)
        )
        said = [m.text for m in memories if m.kind == "plan" and first <= m.step < first + day]
        broad = (text for text in said if text.startswith("This is ") and " plan for " in text)
        yield PlanEntry(first, tuple(stroke for text in broad for stroke in _strokes(text)), timed)


def _strokes(text: str) -> list[str]:
    told = text.partition(":")[2].strip().rstrip(".")
    return [stroke.strip() for stroke in told.split(", ") if stroke.strip()]


def _talks(moves: tuple[SmallvilleMovement, ...]) -> tuple[TalkData, ...]:
    """Conversations; the run keeps no time for a line, so lines are spread evenly."""
    spans: dict[tuple[tuple[AgentId, str], ...], tuple[int, set[AgentId], str]] = {}
    ends: dict[tuple[tuple[AgentId, str], ...], int] = {}
    running: dict[AgentId, tuple[tuple[AgentId, str], ...]] = {}
    places: dict[AgentId, str] = {}
    for one in moves:
        before = running.pop(one.who, ())
        if before:
            ends[before] = one.step
        places[one.who] = _place(one) or places.get(one.who, "")
        if one.chat:
            running[one.who] = one.chat
            start, members, place = spans.get(one.chat, (one.step, set(), places[one.who]))
            spans[one.chat] = (start, members | {one.who}, place or places[one.who])
    talks = []
    for number, (chat, (start, members, place)) in enumerate(spans.items(), 1):
        end = max(start, ends.get(chat, start))
        every = (end - start) / len(chat)
        talks.append(
            TalkData(
                id=str(number),
                start=start,
                end=end,
                members=tuple(sorted(members)),
                place=place,
                lines=tuple((start + int(at * every), *said) for at, said in enumerate(chat)),
            )
        )
    return tuple(talks)
