"""A finished Smallville run as page data of the viewer: movements, memories, plans and map.

Such a run stores no prompts and options, so the page shows no asks.
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
    """The finished run in ``folder`` as page data, with the map from the folder beside it.

    Raises SettingError, MapError or MemoryFault naming the missing or unreadable file, and RunError
    for a base that was never run.
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
    own_moves = [move for move in moves if move.who == name]
    if not own_moves:
        raise RunError(f"{run.folder}: {name} has no movement; copy the folder once more")
    track: list[tuple[int, int, int]] = []
    for move in own_moves:
        if not track or track[-1][1:] != move.at:
            track.append((move.step, *move.at))
    clock = Clock(run.start, run.step_seconds)
    records, _ = load_smallville_memories(run.folder / "personas" / name)
    memories = tuple(memory_entry(record, clock) for record in records)
    acts = tuple(_acts(own_moves))
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
    previous = None
    for move in moves:
        activity = (move.doing, move.emoji, _place(move))
        if activity != previous:
            previous = activity
            yield ActivityEntry(move.step, *activity, asleep=move.doing.startswith("sleeping"))


def _place(move: SmallvilleMovement) -> str:
    """The address of a movement; empty for a target person ("<persona> Bo") or tile."""
    place = move.description.partition(" @ ")[2]
    return "" if place.startswith("<") else place


def _plans(
    acts: tuple[ActivityEntry, ...], memories: tuple[MemoryEntry, ...], clock: Clock
) -> Iterator[PlanEntry]:
    """One plan per day. The run stores the schedule of its last day only, so schedules are derived
    from the activities ("having lunch (eating his food)" belongs to "having lunch")."""
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
        schedule = tuple(
            PlanEntrySlot(slot.minute, end - slot.minute, slot.doing, slot.place)
            for slot, end in zip(slots, ends)
        )
        texts = [m.text for m in memories if m.kind == "plan" and first <= m.step < first + day]
        broad = (text for text in texts if text.startswith("This is ") and " plan for " in text)
        yield PlanEntry(
            first, tuple(stroke for text in broad for stroke in _strokes(text)), schedule
        )


def _strokes(text: str) -> list[str]:
    strokes = text.partition(":")[2].strip().rstrip(".")
    return [stroke.strip() for stroke in strokes.split(", ") if stroke.strip()]


def _talks(moves: tuple[SmallvilleMovement, ...]) -> tuple[TalkData, ...]:
    """The conversations. The run stores no times of lines, so lines are spaced evenly."""
    spans: dict[tuple[tuple[AgentId, str], ...], tuple[int, set[AgentId], str]] = {}
    ends: dict[tuple[tuple[AgentId, str], ...], int] = {}
    running: dict[AgentId, tuple[tuple[AgentId, str], ...]] = {}
    places: dict[AgentId, str] = {}
    for move in moves:
        chat_before = running.pop(move.who, ())
        if chat_before:
            ends[chat_before] = move.step
        places[move.who] = _place(move) or places.get(move.who, "")
        if move.chat:
            running[move.who] = move.chat
            start, members, place = spans.get(move.chat, (move.step, set(), places[move.who]))
            spans[move.chat] = (start, members | {move.who}, place or places[move.who])
    talks = []
    for number, (chat, (start, members, place)) in enumerate(spans.items(), 1):
        end = max(start, ends.get(chat, start))
        interval = (end - start) / len(chat)
        talks.append(
            TalkData(
                id=str(number),
                start=start,
                end=end,
                members=tuple(sorted(members)),
                place=place,
                lines=tuple((start + int(at * interval), *said) for at, said in enumerate(chat)),
            )
        )
    return tuple(talks)
