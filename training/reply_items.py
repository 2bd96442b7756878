"""Items to judge next lines on: a place in a conversation, its true next line, and others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core import Message, Seed
from ..planners.speech import Speaker, SpokenLine, speech_messages
from .dialogues import PersonaDialogue

MIN_LINES_BEFORE = 2
MIN_WORDS = 4  # of a true line: "Bye." fits everywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class NextLineItem:
    """A place in a conversation. ``messages`` is the speaker's prompt there, ``last`` the line
    just heard, ``true`` the line that follows; ``others`` are lines of other conversations.
    ``before`` are the lines so far, with whether they are the speaker's own, and ``facts`` what
    the prompt says about the speaker."""

    messages: tuple[Message, ...]
    last: str
    true: str
    others: tuple[str, ...]
    before: tuple[SpokenLine, ...] = ()
    facts: tuple[str, ...] = ()


def spoken_lines(
    dialogue: PersonaDialogue, speaker: int, count: int | None = None
) -> list[SpokenLine]:
    """The first ``count`` lines of a dialogue, as ``speaker`` (0 or 1) has them."""
    return [SpokenLine(line.text, line.speaker == speaker) for line in dialogue.lines[:count]]


def next_line_items(
    dialogues: Sequence[PersonaDialogue], count: int, *, others: int = 19, seed: int = 1
) -> list[NextLineItem]:
    """One item of each of the first ``count`` dialogues that have a place for it: a place drawn by
    ``seed`` before a line of at least four words that answers the other's line, with ``others``
    lines drawn from other dialogues."""
    rng = np.random.default_rng(Seed.of(seed).child("next lines").number)
    pool = [
        (number, line.text)
        for number, dialogue in enumerate(dialogues)
        for line in dialogue.lines[MIN_LINES_BEFORE:]
        if len(line.text.split()) >= MIN_WORDS
    ]
    items: list[NextLineItem] = []
    for number, dialogue in enumerate(dialogues):
        places = [
            place
            for place in range(MIN_LINES_BEFORE, len(dialogue.lines))
            if dialogue.lines[place].speaker != dialogue.lines[place - 1].speaker
            and len(dialogue.lines[place].text.split()) >= MIN_WORDS
        ]
        if len(items) >= count or not places:
            continue
        place = places[int(rng.integers(len(places)))]
        line = dialogue.lines[place]
        taken = {other.text for other in dialogue.lines}
        drawn: dict[str, None] = {}
        for index in rng.permutation(len(pool)):
            owner, text = pool[index]
            if owner != number and text not in taken:
                drawn[text] = None
            if len(drawn) == others:
                break
        before = tuple(spoken_lines(dialogue, line.speaker, place))
        facts = dialogue.facts[line.speaker]
        items.append(
            NextLineItem(
                messages=speech_messages(Speaker(facts=facts), before),
                last=before[-1].text,
                true=line.text,
                others=tuple(drawn),
                before=before,
                facts=facts,
            )
        )
    return items
