"""Planning a day: broad strokes, hours, and actions of some minutes."""

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
    Recall,
    Recalled,
    Record,
    ScheduleEntry,
    Situation,
    Thought,
    all_of,
    generate,
    recall,
    together,
)
from ..steps import StepBuilder, best_of, identity_text, pick_option, render_prompt
from ..text import has_two_words, is_english
from .place_choice import action_targets, choose_object, choose_place, choose_room
from .routine import timetable

ACTIVITY_STOPS = ("\n", ".", ",", ";", '"')

# What an emoji stands for, in words that activities share. Ours; chosen, never parsed.
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


def plan_day(draft: StepBuilder, candidates: int) -> Thought[None]:
    """Plan the day: what to do at each of the day's turning points, all side by side.

    The turning points are the persona's habits (its routine, or the times its prose names),
    as the paper's prompt gives the persona's own description of a day; what is done at them
    today is written by the model, the best of ``candidates`` drafts. The broad strokes are
    the plan, the time between two turning points a block of the schedule, and the whole a
    memory of kind plan. Park et al. 2023, section 4.3.
    """
    situation = draft.situation
    now, persona = situation.now, situation.persona
    remembered = yield from recall(
        Recall(cue=Cue(text=f"{persona.name}'s plans for today", at=now, limit=4))
    )
    memories = [hit.record for hit in remembered.hits] if isinstance(remembered, Recalled) else []
    draft.mark_used(memories)
    habits = turning_points(situation)
    usual = tuple(habit for _, habit in habits if habit != UNPLANNED)
    texts = yield from all_of(
        [_plan_item(draft, memories, minute, habit, candidates, usual) for minute, habit in habits]
    )
    midnight = persona.lived_day(now)
    bed = bed_time(persona, midnight)
    slots = []
    starts = [max(now, midnight + timedelta(minutes=minute)) for minute, _ in habits]
    for start, end, text in zip(starts, [*starts[1:], bed], texts, strict=True):
        if end > start:
            slots.append(
                ScheduleEntry(start=start, minutes=_minutes_between(start, end), doing=text)
            )
    broad = tuple(f"{_clock(minute)}: {text}" for (minute, _), text in zip(habits, texts))
    draft.update_state(day=midnight.date().isoformat(), plan=broad, schedule=_merge_equal(slots))
    when = f"{midnight:%A %B} {midnight.day}"
    draft.add_record("plan", f"This is {persona.name}'s plan for {when}: {'; '.join(broad)}.")
    draft.explain("A new day was planned.")


def turning_points(situation: Situation) -> list[tuple[int, str]]:
    """The minutes of the rest of the day at which something new begins, with the habit then.

    Between two habits more than three hours apart another one is set, so that a day without
    habits still has its turns. The first is now."""
    persona = situation.persona
    now = _minutes_between(persona.lived_day(situation.now), situation.now)
    wake, sleep = persona.waking_hours()
    end = sleep if sleep > wake else sleep + 24 * 60
    known = {}
    for entry in timetable(persona, action_targets(situation.can)):
        hours, _, minutes = entry.at.partition(":")
        minute = int(hours) * 60 + int(minutes)
        minute += 24 * 60 if minute < wake else 0
        if wake <= minute < end and not persona.sleeps_at(minute % (24 * 60)):
            known[minute] = entry.doing
    before = [minute for minute in sorted(known) if minute <= now]
    # What began long ago is over: whoever is up at midnight is not still at dinner.
    lately = [minute for minute in before if now - minute < 180]
    start = known[lately[-1]] if lately else UNPLANNED if before else GETTING_UP
    points = [(now, start)]
    points += [(minute, known[minute]) for minute in sorted(known) if now < minute < end]
    filled: list[tuple[int, str]] = []
    for (minute, habit), (after, _) in zip(points, [*points[1:], (end, "")]):
        filled.append((minute, habit))
        filled += [(turn, UNPLANNED) for turn in range(minute + 180, after - 59, 180)]
    return filled


UNPLANNED = "doing what comes up"
GETTING_UP = "getting up and having breakfast"

OFF_TOPIC = "doing something else entirely"
"""A draft that fits its matter worse than this is beside it."""


def bed_time(persona: Persona, midnight: datetime) -> datetime:
    """When the person goes to bed on the evening of a day (perhaps after midnight)."""
    wake, sleep = persona.waking_hours()
    return midnight + timedelta(minutes=sleep if sleep > wake else sleep + 24 * 60)


def _plan_item(
    draft: StepBuilder,
    memories: Sequence[Record],
    minute: int,
    habit: str,
    candidates: int,
    habits: tuple[str, ...],
) -> Thought[str]:
    """What the person will be doing at a turning point of today ("baking bread").

    A draft that fits the habit worse than another habit of the day does is no variation of
    it; where all are such, the habit itself is kept."""
    situation = draft.situation
    persona = situation.persona
    name = persona.first_name
    ask = Generate(
        messages=render_prompt(
            "plan",
            identity=identity_text(situation),
            name=name,
            memories=[f"- {record.text}" for record in memories],
            habit=habit,
            time=_clock(minute),
        ),
        max_tokens=16,
        temperature=0.45,
        stop=ACTIVITY_STOPS,
        role="plan",
    )
    text = yield from best_of(
        draft,
        ask,
        candidates,
        seed=situation.seed.child("plan", minute),
        clean=lambda raw: clean_activity(raw, name),
        about=habit
        if habit != UNPLANNED
        else (situation.state.currently or persona.currently or persona.background),
        role="plan",
        strays=()
        if habit == UNPLANNED
        else (OFF_TOPIC, *(other for other in habits if other != habit)),
        unlike=lambda text: bool(re.search(r"\b(?:bed|sleep\w*|nap\w*)\b", text)),
    )
    return text or habit


def next_schedule_entry(
    draft: StepBuilder, fine_minutes: int, candidates: int
) -> Thought[ScheduleEntry]:
    """The next thing to do: the scheduled block, or an action of some minutes in it.

    Blocks of an hour or more are decomposed, as in the published code; sleep is not."""
    situation = draft.situation
    now = situation.now
    block = current_block(draft) or ScheduleEntry(start=now, minutes=30, doing="resting")
    left = int((block.start + timedelta(minutes=block.minutes) - now).total_seconds() // 60)
    cut = block.minutes >= 60 and not block.fine and left > 5
    # The room hangs on the block alone, the emoji and the object on the step: two rounds.
    doing, room = yield from together(
        _fine_step(draft, block, candidates) if cut else _as_planned(block),
        _room_of_block(draft, block),
    )
    minutes = min(max(5, fine_minutes), left) if cut else max(1, left)
    emoji, place = yield from together(
        pick_option(
            draft,
            [Option(mark, words) for mark, words in ACTIVITY_EMOJI],
            about=doing,
            role="emoji",
        ),
        _place_in_room(draft, doing, room),
    )
    fine = block.fine or cut
    return ScheduleEntry(
        start=now, minutes=minutes, doing=doing, place=place, emoji=emoji, fine=fine
    )


def _as_planned(block: ScheduleEntry) -> Thought[str]:
    """The block's own words, without an ask."""
    yield from ()
    return block.doing


def _room_of_block(draft: StepBuilder, block: ScheduleEntry) -> Thought[Address]:
    """The room of a block, chosen once, so that nobody wanders through the town over one
    breakfast; empty when the world offers none."""
    if block.place:
        return block.place
    room = yield from choose_room(draft, block.doing)
    if room:
        placed = replace(block, place=room)
        schedule = tuple(placed if slot == block else slot for slot in draft.state.schedule)
        draft.update_state(schedule=schedule)
    return room


def _place_in_room(draft: StepBuilder, doing: str, room: Address) -> Thought[Address]:
    """Where in a block's room to do a step of it."""
    if not room:
        return ""
    thing = yield from choose_object(draft, doing, room)
    # A room that is no longer within reach is chosen anew.
    return thing or (yield from choose_place(draft, doing))


def current_block(draft: StepBuilder) -> ScheduleEntry | None:
    """The block of the schedule that is in force now."""
    now = draft.situation.now
    for slot in draft.state.schedule:
        if slot.start <= now < slot.start + timedelta(minutes=slot.minutes):
            return slot
    return None


def _fine_step(draft: StepBuilder, block: ScheduleEntry, candidates: int) -> Thought[str]:
    """One small step inside a block, after what was done last."""
    situation = draft.situation
    name = situation.persona.first_name
    last = draft.state.doing
    ask = Generate(
        messages=render_prompt(
            "step",
            identity=identity_text(situation),
            name=name,
            block=block.doing,
            last=last.doing if last else "waking up",
        ),
        max_tokens=16,
        temperature=0.7,
        stop=ACTIVITY_STOPS,
        role="plan",
    )
    text = yield from best_of(
        draft,
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


def revise_schedule(draft: StepBuilder, doing: str, minutes: int) -> None:
    """Put something new at the head of the day: what was planned for now gives way."""
    now = draft.situation.now
    until = now + timedelta(minutes=minutes)
    kept: list[ScheduleEntry] = []
    for slot in draft.state.schedule:
        end = slot.start + timedelta(minutes=slot.minutes)
        if end <= now or slot.start >= until:
            kept.append(slot)
            continue
        if slot.start < now:
            kept.append(replace(slot, minutes=_minutes_between(slot.start, now)))
        if end > until:
            kept.append(replace(slot, start=until, minutes=_minutes_between(until, end)))
    new = ScheduleEntry(start=now, minutes=minutes, doing=doing, fine=True)
    kept.append(new)
    schedule = tuple(sorted(kept, key=lambda slot: slot.start))
    draft.update_state(schedule=schedule, doing=None)
    draft.explain(f"The plan changed: {doing}.")


def revise_identity(draft: StepBuilder) -> Thought[None]:
    """On a new day, write anew what is on the person's mind (``currently``)."""
    situation = draft.situation
    name = situation.persona.name
    answer = yield from recall(
        Recall(cue=Cue(text=f"important things in {name}'s life", at=situation.now, limit=8))
    )
    records = [hit.record for hit in answer.hits] if isinstance(answer, Recalled) else []
    draft.mark_used(records)
    said = yield from generate(
        Generate(
            messages=render_prompt(
                "currently",
                identity=identity_text(situation),
                name=name,
                memories=[f"- {record.text}" for record in records],
            ),
            max_tokens=60,
            seed=situation.seed.child("currently").number,
            stop=("\n",),
            role="plan",
        )
    )
    if isinstance(said, Completion) and said.text.strip():
        draft.update_state(currently=f"{name} {said.text.strip()}")


def _minutes_between(start: datetime, end: datetime) -> int:
    return int((end - start).total_seconds() // 60)


def _merge_equal(slots: list[ScheduleEntry]) -> tuple[ScheduleEntry, ...]:
    """Neighbouring hours with the same text as one block."""
    merged: list[ScheduleEntry] = []
    for slot in slots:
        if merged and merged[-1].doing == slot.doing:
            last = merged[-1]
            merged[-1] = replace(last, minutes=last.minutes + slot.minutes)
        else:
            merged.append(slot)
    return tuple(merged)


def _clock(minute: int) -> str:
    hour, rest = divmod(minute % (24 * 60), 60)
    return f"{(hour + 11) % 12 + 1}:{rest:02d} {'am' if hour < 12 else 'pm'}"


def clean_activity(text: str, name: str) -> str:
    """A generated activity as a bare phrase: no name, no "is", no hour, no closing stop.

    >>> clean_activity(' Nora is baking "bread". And then', "Nora")
    'baking "bread"'
    """
    words = re.split(r"[\n.;:。；：।]", text.strip())[0].strip(" '*-,")
    words = re.sub(rf"^(?:{re.escape(name)}\b\s*)?(?:is |am |will be |doing is )*", "", words)
    words = re.sub(r"\s+(?:at|from|until|around|by)(?:\s+\d.*)?$", "", words)
    usable = re.search(r"[a-z]{3,}ing\b", words) and " " in words.strip()
    # English tells an activity by its ending; other languages do not.
    if re.search(r"[a-zA-Z]", words) is None:
        foreign = has_two_words(words)
    else:
        foreign = words.count(" ") > 1 and not is_english(words, (name,))
    return words[:80].strip() if usable or foreign else ""
