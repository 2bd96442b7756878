"""The plan of a day: activities by hour, and steps of some minutes (Park et al. 2023, 4.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ...core import (
    Address,
    Completion,
    Cue,
    Generate,
    Option,
    Persona,
    Record,
    ScheduleEntry,
    Situation,
    Thought,
    all_of,
    generate,
    together,
)
from ..steps import StepBuilder, best_of, pick_option, recall_records
from ..text import has_two_words, is_english
from .place_choice import action_targets, choose_object, choose_place, choose_room
from .routine import timetable

ACTIVITY_STOPS = ("\n", ".", ",", ";", '"')

# Emoji with the activities that they stand for; chosen by likelihood.
ACTIVITY_EMOJI = (
    ("💤", "sleeping, going to bed, napping"),
    ("🛁", "washing, taking a shower, brushing teeth, getting dressed, morning routine"),
    ("🍳", "cooking, preparing breakfast, making a meal"),
    ("🍽️", "eating breakfast, lunch or dinner"),
    ("☕", "drinking coffee or tea, having a break"),
    ("🥖", "baking bread, kneading dough, working at the oven"),
    ("📚", "reading, studying, sorting books in the library"),
    ("✍️", "writing, taking notes, doing paperwork, planning"),
    ("💼", "working at the counter, serving customers, running the shop"),
    ("🧹", "cleaning, tidying, sweeping, washing up"),
    ("🚶", "walking, going somewhere, travelling"),
    ("🌱", "gardening, watering plants, picking fruit"),
    ("🔧", "repairing, building, working with tools and wood"),
    ("🛶", "boats, the river, ferry, fishing"),
    ("🎨", "painting, drawing, making art"),
    ("🎵", "playing or listening to music, singing"),
    ("💬", "talking with friends, meeting people, visiting"),
    ("🛒", "shopping, buying groceries, the market"),
    ("🎓", "teaching, taking classes, doing homework"),
    ("🏃", "exercising, running, stretching"),
    ("🎉", "preparing a party or a celebration, inviting guests"),
    ("💌", "sorting letters, delivering mail, the post office"),
    ("🧠", "thinking, resting, relaxing, watching"),
)


def plan_day(builder: StepBuilder, candidates: int) -> Thought[None]:
    """Plan the day: the activity at each of its turning points, all in parallel.

    The turning points are the persona's habits (its routine, or the times that its prose
    names); the model writes what happens at each of them today, the best of ``candidates``
    drafts. The result is stored as the plan, as schedule entries between the turning points,
    and as a record of kind "plan".
    """
    situation = builder.situation
    now, persona = situation.now, situation.persona
    memories = yield from recall_records(
        Cue(text=f"{persona.name}'s plans for today", at=now, limit=4)
    )
    builder.mark_used(memories)
    points = turning_points(situation)
    habits = tuple(habit for _, habit in points if habit != UNPLANNED)
    texts = yield from all_of(
        [
            _plan_item(builder, memories, minute, habit, candidates, habits)
            for minute, habit in points
        ]
    )
    midnight = persona.lived_day(now)
    starts = [max(now, midnight + timedelta(minutes=minute)) for minute, _ in points]
    ends = [*starts[1:], bed_time(persona, midnight)]
    entries = [
        ScheduleEntry(start=start, minutes=_minutes_between(start, end), doing=text)
        for start, end, text in zip(starts, ends, texts, strict=True)
        if end > start
    ]
    plan = tuple(f"{_clock(minute)}: {text}" for (minute, _), text in zip(points, texts))
    builder.update_state(day=midnight.date().isoformat(), plan=plan, schedule=_merge_equal(entries))
    when = f"{midnight:%A %B} {midnight.day}"
    builder.add_record("plan", f"This is {persona.name}'s plan for {when}: {'; '.join(plan)}.")
    builder.explain("A new day was planned.")


def turning_points(situation: Situation) -> list[tuple[int, str]]:
    """The minutes of the rest of the day at which an activity begins, with the habit at each.

    The first is now. Gaps of more than three hours are filled with ``UNPLANNED``, so that a day
    without habits has turning points too."""
    persona = situation.persona
    now = _minutes_between(persona.lived_day(situation.now), situation.now)
    wake, sleep = persona.waking_hours()
    end = sleep if sleep > wake else sleep + 24 * 60
    habits = {}
    for entry in timetable(persona, action_targets(situation.can)):
        hours, _, minutes = entry.at.partition(":")
        minute = int(hours) * 60 + int(minutes)
        minute += 24 * 60 if minute < wake else 0
        if wake <= minute < end and not persona.sleeps_at(minute % (24 * 60)):
            habits[minute] = entry.doing
    past = [minute for minute in sorted(habits) if minute <= now]
    # A habit that began three hours ago or more is over.
    recent = [minute for minute in past if now - minute < 180]
    current = habits[recent[-1]] if recent else UNPLANNED if past else GETTING_UP
    points = [(now, current)]
    points += [(minute, habits[minute]) for minute in sorted(habits) if now < minute < end]
    filled: list[tuple[int, str]] = []
    for (minute, habit), (after, _) in zip(points, [*points[1:], (end, "")]):
        filled.append((minute, habit))
        filled += [(turn, UNPLANNED) for turn in range(minute + 180, after - 59, 180)]
    return filled


UNPLANNED = "doing what comes up"
GETTING_UP = "getting up and having breakfast"

OFF_TOPIC = "doing something else entirely"
"""Competes with the drafts of an activity: if it fits better, the drafts are off topic."""


def bed_time(persona: Persona, midnight: datetime) -> datetime:
    """The bed time at the end of the day that begins at ``midnight``, possibly after midnight."""
    wake, sleep = persona.waking_hours()
    return midnight + timedelta(minutes=sleep if sleep > wake else sleep + 24 * 60)


def _plan_item(
    builder: StepBuilder,
    memories: Sequence[Record],
    minute: int,
    habit: str,
    candidates: int,
    habits: tuple[str, ...],
) -> Thought[str]:
    """The activity at one turning point ("baking bread").

    The drafts compete with the other habits of the day: if one of those fits this habit better
    than every draft, the habit itself is returned."""
    situation = builder.situation
    persona = situation.persona
    name = persona.first_name
    ask = Generate(
        messages=builder.prompt(
            "plan",
            memories=[f"- {record.text}" for record in memories],
            habit=habit,
            time=_clock(minute),
        ),
        max_tokens=16,
        temperature=0.45,
        stop=ACTIVITY_STOPS,
        role="plan",
    )
    if habit == UNPLANNED:
        about = situation.state.currently or persona.currently or persona.background
        strays: tuple[str, ...] = ()
    else:
        about, strays = habit, (OFF_TOPIC, *(other for other in habits if other != habit))
    text = yield from best_of(
        builder,
        ask,
        candidates,
        seed=situation.seed.child("plan", minute),
        clean=lambda raw: clean_activity(raw, name),
        about=about,
        role="plan",
        strays=strays,
        unlike=lambda text: bool(re.search(r"\b(?:bed|sleep\w*|nap\w*)\b", text)),
    )
    return text or habit


def next_schedule_entry(
    builder: StepBuilder, fine_minutes: int, candidates: int
) -> Thought[ScheduleEntry]:
    """The next activity: the scheduled block, or a step of ``fine_minutes`` of it.

    Blocks of an hour or more are divided into steps, as in the published code; sleep is not."""
    situation = builder.situation
    now = situation.now
    block = current_block(builder) or ScheduleEntry(start=now, minutes=30, doing="resting")
    left = _minutes_between(now, block.start + timedelta(minutes=block.minutes))
    divided = block.minutes >= 60 and not block.fine and left > 5
    # The room depends on the block only, the emoji and the object on the step: two rounds.
    doing, room = yield from together(
        _fine_step(builder, block, max(1, candidates) if divided else 0),
        _room_of_block(builder, block),
    )
    minutes = min(max(5, fine_minutes), left) if divided else max(1, left)
    emoji, place = yield from together(
        pick_option(
            builder,
            [Option(mark, words) for mark, words in ACTIVITY_EMOJI],
            about=doing,
            role="emoji",
        ),
        _place_in_room(builder, doing, room),
    )
    fine = block.fine or divided
    return ScheduleEntry(
        start=now, minutes=minutes, doing=doing, place=place, emoji=emoji, fine=fine
    )


def _room_of_block(builder: StepBuilder, block: ScheduleEntry) -> Thought[Address]:
    """The room of a block, chosen once and kept in the schedule; empty if the world offers
    none."""
    if block.place:
        return block.place
    room = yield from choose_room(builder, block.doing)
    if room:
        placed = replace(block, place=room)
        schedule = tuple(placed if entry == block else entry for entry in builder.state.schedule)
        builder.update_state(schedule=schedule)
    return room


def _place_in_room(builder: StepBuilder, doing: str, room: Address) -> Thought[Address]:
    """The object in the room for a step of a block; a new place if the room is out of reach."""
    if not room:
        return ""
    address = yield from choose_object(builder, doing, room)
    return address or (yield from choose_place(builder, doing))


def current_block(builder: StepBuilder) -> ScheduleEntry | None:
    """The entry of the schedule at the present time, if any."""
    now = builder.situation.now
    for entry in builder.state.schedule:
        if entry.start <= now < entry.start + timedelta(minutes=entry.minutes):
            return entry
    return None


def _fine_step(builder: StepBuilder, block: ScheduleEntry, candidates: int) -> Thought[str]:
    """One step inside a block; without candidates the activity of the block itself."""
    if not candidates:
        return block.doing
    situation = builder.situation
    name = situation.persona.first_name
    last = builder.state.doing
    ask = Generate(
        messages=builder.prompt(
            "step", block=block.doing, last=last.doing if last else "waking up"
        ),
        max_tokens=16,
        temperature=0.7,
        stop=ACTIVITY_STOPS,
        role="plan",
    )
    text = yield from best_of(
        builder,
        ask,
        max(1, candidates - 1),
        seed=situation.seed.child("step"),
        clean=lambda raw: clean_activity(raw, name),
        about=block.doing,
        role="step",
        strays=(OFF_TOPIC,),
        unlike=lambda text: last is not None and text == last.doing,
    )
    return text or block.doing


def revise_schedule(
    builder: StepBuilder, doing: str, minutes: int, start: datetime | None = None
) -> None:
    """Insert an activity at ``start`` (default: now); entries that overlap it are shortened or
    split."""
    now = start or builder.situation.now
    until = now + timedelta(minutes=minutes)
    entries: list[ScheduleEntry] = []
    for entry in builder.state.schedule:
        end = entry.start + timedelta(minutes=entry.minutes)
        if end <= now or entry.start >= until:
            entries.append(entry)
            continue
        if entry.start < now:
            entries.append(replace(entry, minutes=_minutes_between(entry.start, now)))
        if end > until:
            entries.append(replace(entry, start=until, minutes=_minutes_between(until, end)))
    entries.append(ScheduleEntry(start=now, minutes=minutes, doing=doing, fine=True))
    schedule = tuple(sorted(entries, key=lambda entry: entry.start))
    builder.update_state(schedule=schedule, doing=builder.state.doing if start else None)
    builder.explain(f"The plan changed: {doing}.")


def revise_identity(builder: StepBuilder) -> Thought[None]:
    """On a new day, generate the persona's present concerns (``currently``) anew."""
    situation = builder.situation
    name = situation.persona.name
    records = yield from recall_records(
        Cue(text=f"important things in {name}'s life", at=situation.now, limit=8)
    )
    builder.mark_used(records)
    answer = yield from generate(
        Generate(
            messages=builder.prompt(
                "currently", name=name, memories=[f"- {record.text}" for record in records]
            ),
            max_tokens=60,
            seed=situation.seed.child("currently").number,
            stop=("\n",),
            role="plan",
        )
    )
    if isinstance(answer, Completion) and answer.text.strip():
        builder.update_state(currently=f"{name} {answer.text.strip()}")


def _minutes_between(start: datetime, end: datetime) -> int:
    return int((end - start).total_seconds() // 60)


def _merge_equal(entries: list[ScheduleEntry]) -> tuple[ScheduleEntry, ...]:
    merged: list[ScheduleEntry] = []
    for entry in entries:
        if merged and merged[-1].doing == entry.doing:
            last = merged[-1]
            merged[-1] = replace(last, minutes=last.minutes + entry.minutes)
        else:
            merged.append(entry)
    return tuple(merged)


def _clock(minute: int) -> str:
    hour, rest = divmod(minute % (24 * 60), 60)
    return f"{(hour + 11) % 12 + 1}:{rest:02d} {'am' if hour < 12 else 'pm'}"


def clean_activity(text: str, name: str) -> str:
    """A completion as an activity phrase, without name, "is", time and full stop; empty if it
    is no activity.

    >>> clean_activity(' Nora is baking "bread". And then', "Nora")
    'baking "bread"'
    """
    phrase = re.split(r"[\n.;:。；：।]", text.strip())[0].strip(" '*-,")
    phrase = re.sub(rf"^(?:{re.escape(name)}\b\s*)?(?:is |am |will be |doing is )*", "", phrase)
    phrase = re.sub(r"\s+(?:at|from|until|around|by)(?:\s+\d.*)?$", "", phrase)
    english = re.search(r"[a-z]{3,}ing\b", phrase) and " " in phrase.strip()
    # Only in English does an activity have a typical ending.
    if re.search(r"[a-zA-Z]", phrase) is None:
        foreign = has_two_words(phrase)
    else:
        foreign = phrase.count(" ") > 1 and not is_english(phrase, (name,))
    return phrase[:80].strip() if english or foreign else ""
