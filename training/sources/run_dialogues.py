"""Dialogues from a run: what its people said to each other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ...core import AgentId, Persona, sentences
from ...planners.text import to_first_person
from ...simulation import RecordedConversation, Run
from ..dialogues import DialogueLine, PersonaDialogue

MAX_FACTS = 6
"""Most sentences about a speaker, of its persona's facts and background."""

_SPEECH_VERBS = ("say", "interrupt")


def read_run(
    folder: Path, left_out: Counter[str] | None = None
) -> tuple[list[PersonaDialogue], str]:
    """The conversations of two in a run, and the head of its hash chain.

    A run of a large model so teaches a small one (sequence-level distillation, Kim and Rush
    2016). The facts are those of the personas. Lines of the run's agents are learned; a visitor's
    are only answered. Left out, and counted in ``left_out``, are conversations of three or more,
    those in which a line was meant for some people only, and those in which only one speaks.
    Raises RunError, RunCorrupt.
    """
    counts = Counter[str]() if left_out is None else left_out
    with Run(folder) as run:
        confidential = _confidential_lines(run)
        facts = {name: persona_facts(persona) for name, persona in run.people.items()}
        dialogues = [
            dialogue
            for talk in run.conversations()
            if (dialogue := _dialogue(talk, facts, confidential, counts))
        ]
        return dialogues, run.hash


def persona_facts(persona: Persona) -> tuple[str, ...]:
    """Sentences about a persona in the first person: its facts, then its background, at most
    ``MAX_FACTS``."""
    texts = [*persona.facts, *sentences(persona.background)]
    facts = (to_first_person(text.strip(), persona.name) for text in texts if text.strip())
    return tuple(dict.fromkeys(facts))[:MAX_FACTS]


def _confidential_lines(run: Run) -> set[tuple[int, AgentId]]:
    """The steps and speakers of the lines that were for some people only."""
    return {
        (entry["step"], who)
        for entry in run.entries()
        for who, action in entry["actions"].items()
        if action[0] in _SPEECH_VERBS and len(action) > 4 and action[4]
    }


def _dialogue(
    talk: RecordedConversation,
    facts: dict[AgentId, tuple[str, ...]],
    confidential: set[tuple[int, AgentId]],
    left_out: Counter[str],
) -> PersonaDialogue | None:
    """A conversation as a dialogue; None if it is left out."""
    if len(talk.members) != 2:
        left_out["more than two talk"] += 1
        return None
    if any((step, who) in confidential for step, who, _ in talk.lines):
        left_out["a line is confidential"] += 1
        return None
    first, second = talk.members
    if len({who for _, who, _ in talk.lines}) < 2:
        left_out["only one side speaks"] += 1
        return None
    lines = [
        DialogueLine(int(who == second), " ".join(text.split())) for _, who, text in talk.lines
    ]
    return PersonaDialogue(
        lines=tuple(line for line in lines if line.text),
        facts=(facts.get(first, ()), facts.get(second, ())),
        names=(first, second),
        source=f"talk {talk.id}, step {talk.start}",
        learned=(first in facts, second in facts),
    )
