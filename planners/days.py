"""Planning a day: broad strokes, hours, and actions of some minutes."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

from ..core import (
    Completion,
    Cue,
    Generate,
    Option,
    Recall,
    Recalled,
    Slot,
    Thought,
    all_of,
    generate,
    recall,
)
from .draft import Draft, identity
from .places import pick
from .prompts import prompt

# What an emoji stands for, in words that activities share. Ours; chosen, never parsed.
EMOJI = (
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


def plan_day(draft: Draft) -> Thought[None]:
    """Plan the day in broad strokes, then hour by hour (the hours side by side).

    The plan becomes a memory of kind plan, as in Park et al. 2023, section 4.3."""
    situation = draft.situation
    now = situation.now
    wake, sleep = situation.persona.waking_hours()
    remembered = yield from recall(
        Recall(cue=Cue(text=f"{situation.persona.name}'s plans for today", at=now, limit=4))
    )
    memories = [hit.record for hit in remembered.hits] if isinstance(remembered, Recalled) else []
    draft.use(memories)
    answer = yield from generate(
        Generate(
            messages=prompt(
                "day",
                identity=identity(situation),
                daily=situation.persona.daily,
                name=situation.persona.name,
                first=situation.persona.first_name,
                date=f"{now:%A %B} {now.day}",
                wake=_clock(wake),
                sleep=_clock(sleep),
                memories=[f"- {record.text}" for record in memories],
            ),
            max_tokens=120,
            temperature=0.6,
            seed=situation.seed.child("day").number,
            role="plan",
        )
    )
    broad = _items(answer.text) if isinstance(answer, Completion) else ()
    first_hour = max(wake, now.hour * 60) // 60
    last_hour = (sleep if sleep > wake else sleep + 24 * 60) // 60
    hours = range(first_hour, max(last_hour, first_hour + 1))
    texts = yield from all_of([_hour(draft, broad, hour % 24) for hour in hours])
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    slots = []
    for hour, text in zip(hours, texts, strict=True):
        start = midnight + timedelta(minutes=max(hour * 60, wake))
        end = midnight + timedelta(hours=hour + 1)
        slots.append(Slot(start=start, minutes=int((end - start).seconds // 60), doing=text))
    draft.change(day=now.date().isoformat(), plan=broad, schedule=_merged(slots))
    listed = ", ".join(broad) or ", ".join(slot.doing for slot in slots[:6])
    draft.note(
        "plan", f"This is {situation.persona.name}'s plan for {now:%A %B} {now.day}: {listed}."
    )
    draft.because("A new day was planned.")


def _hour(draft: Draft, broad: tuple[str, ...], hour: int) -> Thought[str]:
    """What the person does in one hour of the day, as a short phrase ("baking bread")."""
    situation = draft.situation
    name = situation.persona.first_name
    answer = yield from generate(
        Generate(
            messages=prompt(
                "hour",
                identity=identity(situation),
                daily=situation.persona.daily,
                name=name,
                plan="\n".join(f"- {item}" for item in broad),
                time=_clock(hour * 60),
            ),
            max_tokens=18,
            temperature=0.4,
            seed=situation.seed.child("hour", hour).number,
            stop=("\n", ".", ",", ";", '"'),
            role="plan",
        )
    )
    text = _phrase(answer.text, name) if isinstance(answer, Completion) else ""
    return text or "resting"


def next_slot(draft: Draft, fine_minutes: int) -> Thought[Slot]:
    """The next thing to do: the scheduled block, or an action of some minutes in it.

    Blocks of an hour or more are decomposed, as in the published code; sleep is not."""
    situation = draft.situation
    now = situation.now
    block = next(
        (
            slot
            for slot in draft.state.schedule
            if slot.start <= now < slot.start + timedelta(minutes=slot.minutes)
        ),
        None,
    )
    if block is None:
        block = Slot(start=now, minutes=30, doing="resting")
    left = int((block.start + timedelta(minutes=block.minutes) - now).total_seconds() // 60)
    doing, minutes, fine = block.doing, max(1, left), block.fine
    if block.minutes >= 60 and not block.fine and left > 5:
        doing = yield from _fine(draft, block)
        minutes, fine = min(max(5, fine_minutes), left), True
    emoji = yield from pick(
        draft, [Option(mark, words) for mark, words in EMOJI], about=doing, role="emoji"
    )
    return Slot(start=now, minutes=minutes, doing=doing, emoji=emoji, fine=fine)


def _fine(draft: Draft, block: Slot) -> Thought[str]:
    """One small step inside a block, after what was done last."""
    situation = draft.situation
    last = draft.state.doing
    answer = yield from generate(
        Generate(
            messages=prompt(
                "step",
                identity=identity(situation),
                name=situation.persona.first_name,
                block=block.doing,
                last=last.doing if last else "waking up",
                time=f"{situation.now:%H:%M}",
            ),
            max_tokens=18,
            temperature=0.7,
            seed=situation.seed.child("step").number,
            stop=("\n", ".", ",", ";", '"'),
            role="plan",
        )
    )
    text = answer.text if isinstance(answer, Completion) else ""
    return _phrase(text, situation.persona.first_name) or block.doing


def revise(draft: Draft, doing: str, minutes: int) -> None:
    """Put something new at the head of the day: what was planned for now gives way."""
    now = draft.situation.now
    until = now + timedelta(minutes=minutes)
    kept: list[Slot] = []
    for slot in draft.state.schedule:
        end = slot.start + timedelta(minutes=slot.minutes)
        if end <= now or slot.start >= until:
            kept.append(slot)
            continue
        if slot.start < now:
            kept.append(replace(slot, minutes=_between(slot.start, now)))
        if end > until:
            kept.append(replace(slot, start=until, minutes=_between(until, end)))
    new = Slot(start=now, minutes=minutes, doing=doing, fine=True)
    kept.append(new)
    schedule = tuple(sorted(kept, key=lambda slot: slot.start))
    draft.change(schedule=schedule, doing=None)
    draft.because(f"The plan changed: {doing}.")


def revise_identity(draft: Draft) -> Thought[None]:
    """On a new day, write anew what is on the person's mind (``currently``)."""
    situation = draft.situation
    name = situation.persona.name
    answer = yield from recall(
        Recall(cue=Cue(text=f"important things in {name}'s life", at=situation.now, limit=8))
    )
    records = [hit.record for hit in answer.hits] if isinstance(answer, Recalled) else []
    draft.use(records)
    said = yield from generate(
        Generate(
            messages=prompt(
                "currently",
                identity=identity(situation),
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
        draft.change(currently=f"{name} {said.text.strip()}")


def _between(start: datetime, end: datetime) -> int:
    return int((end - start).total_seconds() // 60)


def _merged(slots: list[Slot]) -> tuple[Slot, ...]:
    """Neighbouring hours with the same text as one block."""
    merged: list[Slot] = []
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


def _items(text: str) -> tuple[str, ...]:
    """The items of a generated list, without numbers and bullets; at most eight."""
    items = []
    for line in text.split("\n"):
        item = re.sub(r"^\s*(?:[-*•]|\d+[.):])\s*", "", line).strip(" .,;")
        if 3 < len(item) < 160 and item not in items:
            items.append(item)
    return tuple(items[:8])


def _phrase(text: str, name: str) -> str:
    """A generated activity as a bare phrase: no name, no "is", no closing stop."""
    words = re.split(r"[\n.;]", text.strip())[0].strip(" \"'*-:,")
    words = re.sub(rf"^(?:{re.escape(name)}\b\s*)?(?:is |am |will be )?", "", words)
    return words[:80].strip()
