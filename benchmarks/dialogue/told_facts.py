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
    Message,
    Seed,
    answer_all,
)
from ...core.text import terms, ungrounded_terms
from ...models import LocalModel
from ...planners.speech import Speaker, SpokenLine, speech_messages
from ...planners.text import clean_line
from ...training import PersonaDialogue, spoken_lines
from .ranked_replies import critic_chances

TOLD = 0.5
"""Cosine of the embeddings of a line and a fact from which on the line may tell the fact."""
NEAR = 0.6  # the same for a true line, where items are chosen
DRAFTS = 4


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
    number of the fact is missing, and they share a term. ``say_this``: the share of single drafts
    with the default voice; ``say_this_picked``: of the drafts that the critic picks from four;
    ``say_this_unasked``: of single drafts without the note; ``say_this_base``: of the base
    weights; ``say_this_true``: of the true lines."""
    items = telling_items(model, dialogues, count)
    drafts = _draft(model, items, DEFAULT_VOICE, DRAFTS, asked=True)
    told = [[tells(model, line, item.fact) for line in lines] for item, lines in zip(items, drafts)]
    picked = _picked(model, items, drafts)
    single = {
        "say_this_unasked": _draft(model, items, DEFAULT_VOICE, 1, asked=False),
        "say_this_base": _draft(model, items, "", 1, asked=True),
        "say_this_true": [[item.true] for item in items],
    }
    figures: dict[str, Json] = {
        "say_this": _mean([value for row in told for value in row]),
        "say_this_picked": _mean([row[index] for row, index in zip(told, picked)]),
    }
    for name, lines in single.items():
        figures[name] = _mean([tells(model, row[0], item.fact) for row, item in zip(lines, items)])
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


def _draft(
    model: LocalModel, items: Sequence[TellingItem], voice: str, count: int, *, asked: bool
) -> list[list[str]]:
    """``count`` drafts of each item's line; a draft that is no speech is empty."""
    seed = Seed.of(1).child("told")
    asks = [
        Generate(
            messages=_prompt(item, asked),
            max_tokens=48,
            temperature=0.7,
            top_p=0.9,
            repetition_penalty=1.0,
            seed=seed.child(index, draft).number,
            stop=("\n",),
            voice=voice,
        )
        for index, item in enumerate(items)
        for draft in range(count)
    ]
    answers = answer_all(model.client(), asks)
    texts = [clean_line(a.text, "") if isinstance(a, Completion) else "" for a in answers]
    return [texts[start : start + count] for start in range(0, len(texts), count)]


def _prompt(item: TellingItem, asked: bool) -> tuple[Message, ...]:
    return speech_messages(
        Speaker(facts=item.facts), item.before, intent=item.fact if asked else ""
    )


def _picked(
    model: LocalModel, items: Sequence[TellingItem], drafts: Sequence[Sequence[str]]
) -> list[int]:
    """The index of the draft that the critic picks, by item."""
    asked = []
    for item, lines in zip(items, drafts):
        options = list(dict.fromkeys(line for line in lines if line)) or ["Hello."]
        asked.append((_prompt(item, True), item.before[-1].text, options))
    picked = []
    for (_, _, options), chances, lines in zip(asked, critic_chances(model, asked), drafts):
        best = options[int(np.argmax(chances))]
        picked.append(lines.index(best) if best in lines else 0)
    return picked


def _mean(values: Sequence[bool]) -> float:
    return round(float(np.mean(values)), 3) if values else 0.0
