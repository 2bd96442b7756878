"""Tasks besides speaking: telling a given fact, and saying what was learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...core import (
    DEFAULT_VOICE,
    Completion,
    Generate,
    Json,
    Seed,
    answer_all,
    run_thoughts,
)
from ...core.text import terms, ungrounded_terms
from ...models import LocalModel
from ...planners.speech import DraftContext, Speaker, SpokenLine, draft_line, speech_messages
from ...planners.text import clean_line
from ...training import PersonaDialogue, spoken_lines

TOLD = 0.5
"""Cosine of the embeddings of a line and a fact from which on the line may tell the fact."""
NEAR = 0.6  # the same for a true line, where items are chosen
DRAFTS = 4
SPEAKER, PARTNER = "Ada Berg", "Bo Lind"
"""The names of the two, which the data has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TellingItem:
    """A place in a conversation where the speaker's true line tells ``fact``."""

    facts: tuple[str, ...]
    fact: str
    before: tuple[SpokenLine, ...]
    true: str


def measure_told(
    model: LocalModel, dialogues: Sequence[PersonaDialogue], count: int
) -> dict[str, Json]:
    """How often a line tells the fact that its prompt gives as what the speaker wants to say.

    The ``count`` items are places where the true line is near a fact of its speaker (cosine .6)
    that no line before is near to. A line tells a fact if their cosine is at least .5, no name or
    number of the fact is missing, and they share a term.

    ``say_this``: the share of lines that ``draft_line`` chooses, as planners do, with the fact
    itself among the drafts. Without it: ``say_this_drafted``, chosen from four drafts of the
    voice; ``say_this_single``, the first of these; ``say_this_unasked``, one draft without the
    note; ``say_this_base``, one draft of the base weights. ``say_this_true``: of the true lines."""
    items = telling_items(model, dialogues, count)
    lines = {
        "say_this": _chosen(model, items, given=True),
        "say_this_drafted": _chosen(model, items, given=False),
        "say_this_single": _single(model, items, DEFAULT_VOICE),
        "say_this_unasked": _single(model, items, DEFAULT_VOICE, asked=False),
        "say_this_base": _single(model, items, ""),
        "say_this_true": [item.true for item in items],
    }
    figures: dict[str, Json] = {
        name: _mean([tells(model, line, item.fact) for line, item in zip(said, items)])
        for name, said in lines.items()
    }
    return {**figures, "say_this_items": len(items)}


def telling_items(
    model: LocalModel, dialogues: Sequence[PersonaDialogue], count: int
) -> list[TellingItem]:
    """At most one item of each dialogue: the place whose true line is nearest to a new fact."""
    items: list[TellingItem] = []
    for dialogue in dialogues:
        if len(items) == count:
            break
        best: tuple[float, TellingItem] | None = None
        for speaker in (0, 1):
            facts = dialogue.facts[speaker]
            lines = [line.text for line in dialogue.lines]
            if not facts or not lines:
                continue
            near = cosines(model, lines, facts)
            for place in range(2, len(lines)):
                if dialogue.lines[place].speaker != speaker:
                    continue
                fact = int(near[place].argmax())
                score = float(near[place, fact])
                if score < NEAR or near[:place, fact].max() >= TOLD:
                    continue
                if best is None or score > best[0]:
                    item = TellingItem(
                        facts=facts,
                        fact=facts[fact],
                        before=tuple(spoken_lines(dialogue, speaker, place)),
                        true=lines[place],
                    )
                    best = score, item
        if best is not None:
            items.append(best[1])
    return items


def cosines(model: LocalModel, lines: Sequence[str], facts: Sequence[str]) -> np.ndarray:
    """The cosine of each line with each fact, shape (lines, facts)."""
    vectors = model.embedder.vectors([*lines, *facts])
    return np.asarray(vectors[: len(lines)] @ vectors[len(lines) :].T)


def tells(model: LocalModel, line: str, fact: str) -> bool:
    """Whether a line tells a fact: near enough, with its names and numbers, and a shared term."""
    if not line or ungrounded_terms(fact, line) or not set(terms(line)) & set(terms(fact)):
        return False
    return float(cosines(model, [line], [fact])[0, 0]) >= TOLD


def _ask(item: TellingItem, seed: int, voice: str, *, asked: bool) -> Generate:
    return Generate(
        messages=speech_messages(
            Speaker(name=SPEAKER, facts=item.facts, partner=PARTNER),
            item.before,
            intent=item.fact if asked else "",
        ),
        max_tokens=48,
        temperature=0.7,
        top_p=0.9,
        repetition_penalty=1.0,
        seed=seed,
        stop=("\n",),
        voice=voice,
    )


def _single(
    model: LocalModel, items: Sequence[TellingItem], voice: str, *, asked: bool = True
) -> list[str]:
    """One draft of each item's line; empty if it is no speech."""
    seed = Seed.of(1).child("told")
    asks = [
        _ask(item, seed.child(index).number, voice, asked=asked) for index, item in enumerate(items)
    ]
    answers = answer_all(model.client(), asks)
    return [clean_line(a.text, "") if isinstance(a, Completion) else "" for a in answers]


def _chosen(model: LocalModel, items: Sequence[TellingItem], *, given: bool) -> list[str]:
    """The line that ``draft_line`` chooses for each item; empty if none is fit to be said."""
    thoughts = []
    for index, item in enumerate(items):
        ask = _ask(item, 0, DEFAULT_VOICE, asked=True)
        context = DraftContext.of_prompt(ask.messages, me=SPEAKER, others=(PARTNER,))
        thoughts.append(
            draft_line(
                ask,
                context,
                count=DRAFTS,
                seed=Seed.of(1).child("told", index),
                about=item.before[-1].text,
                clean=lambda raw: clean_line(raw, SPEAKER, [PARTNER]),
                given=(item.fact,) if given else (),
                tells=item.fact,
            )
        )
    return [line.text for line in run_thoughts(model, thoughts)]


def _mean(values: Sequence[bool]) -> float:
    return round(float(np.mean(values)), 3) if values else 0.0
