"""The lines of one person, from which a voice of its own is trained."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from ...core import DataError, Json, Persona, canonical, read_text_file, to_json
from ..dialogues import DialogueLine, PersonaDialogue
from ..samples import Sample, plain_sample, voice_samples
from ..sources import persona_facts, read_chat_lines
from ..told_facts import FactMatcher
from .encoded_samples import EncodedSample
from .trainable_model import TrainableModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_OWN_LINES = 20
CHECK_SHARE = 0.1
"""The share of the lines that is set aside for checks."""
MOST_TURNS = 3
"""Most lines that are joined to one conversation, where the file has single lines."""
MOST_POOL = 4000
"""Most replies of general dialogues among which the nearest to a line is searched."""

PROMPTS = (
    "Hello!",
    "How are you today?",
    "What is on your mind?",
    "What do you think?",
    "Tell me something.",
    "What did you do today?",
    "And then?",
    "What do you say?",
    "Is there any news?",
    "I have been thinking about you.",
)
"""What the other says before a line whose own context is not known, where no dialogues are given
in which a similar line answers something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLines:
    """A person's lines as dialogues in which the person has side 0. ``dialogues`` are learned,
    ``check`` set aside; ``joined`` says that several dialogues of two lines may be joined to a
    longer one. ``digest`` is of persona and lines."""

    persona: Persona
    dialogues: tuple[PersonaDialogue, ...]
    check: tuple[PersonaDialogue, ...]
    joined: bool
    digest: str

    @property
    def count(self) -> int:
        """The number of lines that are learned."""
        return sum(dialogue.learned_lines for dialogue in self.dialogues)

    def describe(self) -> dict[str, Json]:
        """For the facts about a voice: no text."""
        return {"lines": self.count, "digest": self.digest}

    def samples(self, draws: random.Random) -> list[Sample]:
        """The samples of one epoch."""
        dialogues = list(self.dialogues)
        if self.joined:
            draws.shuffle(dialogues)
            dialogues = _join(dialogues, draws)
        matcher = FactMatcher.of_dialogues(self.dialogues)
        return voice_samples(dialogues, matcher, draws)

    def check_samples(self, model: TrainableModel) -> list[EncodedSample]:
        """The lines that were set aside, without names and notes."""
        return model.encode([plain_sample(dialogue, 0) for dialogue in self.check])


def read_own_lines(
    persona: Persona,
    file: Path,
    *,
    general: Sequence[PersonaDialogue] = (),
    embed: Callable[[Sequence[str]], NDArray[np.float32]] | None = None,
    seed: int = 1,
) -> OwnLines:
    """The lines of a person from a file: JSON Lines of chat messages in which the assistant is the
    person, or a text file with a line each.

    In a text file a line that begins with ``>`` is what somebody else said before the next line.
    For a line without it, what the other said is taken from the ``general`` dialogue whose reply
    is nearest to the line by ``embed``, or else from ``PROMPTS``. Raises DataError for a file with
    too few lines.
    """
    facts = persona_facts(persona)
    if file.suffix.lower() in (".jsonl", ".ndjson"):
        dialogues = [
            replace(one, facts=(facts, ()), names=(persona.name, ""))
            for one in read_chat_lines(file)
        ]
    else:
        pairs = _read_pairs(file)
        heard = _find_contexts(pairs, general, embed, random.Random(f"{seed} contexts"))
        dialogues = [
            PersonaDialogue(
                lines=(DialogueLine(1, other), DialogueLine(0, text)),
                facts=(facts, ()),
                names=(persona.name, ""),
                source=file.name,
                learned=(True, False),
            )
            for other, (_, text) in zip(heard, pairs, strict=True)
        ]
    count = sum(dialogue.learned_lines for dialogue in dialogues)
    if count < LEAST_OWN_LINES:
        raise DataError(
            f"{file}: has {count} lines of {persona.name}; at least {LEAST_OWN_LINES} are needed, "
            "better some hundred"
        )
    order = list(range(len(dialogues)))
    random.Random(f"{seed} own check").shuffle(order)
    held = set(order[: max(1, round(len(order) * CHECK_SHARE))])
    content = sha256(canonical(to_json(persona)).encode() + file.read_bytes())
    return OwnLines(
        persona=persona,
        dialogues=tuple(one for place, one in enumerate(dialogues) if place not in held),
        check=tuple(dialogues[place] for place in sorted(held)),
        joined=all(len(one.lines) == 2 for one in dialogues),
        digest=content.hexdigest(),
    )


def _read_pairs(file: Path) -> list[tuple[str, str]]:
    """What was heard before (empty: unknown), and the line, for each line of a text file."""
    pairs: list[tuple[str, str]] = []
    heard = ""
    for raw in read_text_file(file, error=DataError).splitlines():
        text = " ".join(raw.split())
        if text.startswith(">"):
            heard = text.lstrip("> ")
        elif text:
            pairs.append((heard, text))
            heard = ""
    return pairs


def _find_contexts(
    pairs: Sequence[tuple[str, str]],
    general: Sequence[PersonaDialogue],
    embed: Callable[[Sequence[str]], NDArray[np.float32]] | None,
    draws: random.Random,
) -> list[str]:
    """What the other says before each line."""
    replies = [
        (dialogue.lines[place - 1].text, dialogue.lines[place].text)
        for dialogue in general
        for place in range(1, len(dialogue.lines))
        if dialogue.lines[place].speaker != dialogue.lines[place - 1].speaker
    ]
    if not replies or embed is None or all(heard for heard, _ in pairs):
        return [heard or draws.choice(PROMPTS) for heard, _ in pairs]
    pool = draws.sample(replies, min(MOST_POOL, len(replies)))
    likeness = embed([text for _, text in pairs]) @ embed([reply for _, reply in pool]).T
    return [
        heard or pool[int(row.argmax())][0] for (heard, _), row in zip(pairs, likeness, strict=True)
    ]


def _join(dialogues: Sequence[PersonaDialogue], draws: random.Random) -> list[PersonaDialogue]:
    """Dialogues in a row joined to conversations of up to ``MOST_TURNS`` own lines."""
    joined: list[PersonaDialogue] = []
    place = 0
    while place < len(dialogues):
        group = dialogues[place : place + draws.randint(1, MOST_TURNS)]
        place += len(group)
        lines = tuple(line for dialogue in group for line in dialogue.lines)
        joined.append(replace(group[0], lines=lines))
    return joined
