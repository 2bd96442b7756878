"""Headlines of a run: the events worth a line."""

from __future__ import annotations

from collections.abc import Sequence

from .page_data import PersonData, TalkData

Headline = tuple[int, str]


def select_headlines(
    people: Sequence[PersonData], talks: Sequence[TalkData], limit: int = 60
) -> tuple[Headline, ...]:
    """(step, sentence) pairs in order of step, at most ``limit``: each agent getting up, each
    conversation, and the most important thoughts that rest on evidence."""
    lines: list[Headline] = [_conversation_line(talk) for talk in talks]
    lines += [waking for person in people if (waking := _waking_line(person))]
    if len(lines) > limit:
        lines = lines[:limit]
    thoughts = [
        (memory.importance, -memory.step, f"{_first_name(person.id)} comes to think: {memory.text}")
        for person in people
        for memory in person.memories
        if memory.evidence and memory.kind == "thought" and memory.step > 0
    ]
    room = max(0, min(limit - len(lines), 3 * len(people)))
    best = sorted(thoughts, key=lambda found: (-found[0], -found[1], found[2]))[:room]
    lines += [(-step, text) for _, step, text in best]
    return tuple(sorted(set(lines)))


def _conversation_line(talk: TalkData) -> Headline:
    names = [_first_name(name) for name in talk.members]
    who = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    place = talk.place.split(":")
    where = f" at {place[1].strip()}" if len(place) > 1 else ""
    return talk.start, f"{who} talk{where} ({len(talk.lines)} lines)"


def _waking_line(person: PersonData) -> Headline | None:
    slept = False
    for act in person.acts:
        if slept and not act.asleep:
            return act.step, f"{_first_name(person.id)} gets up"
        slept = act.asleep
    return None


def _first_name(name: str) -> str:
    return name.split()[0] if name.split() else name
