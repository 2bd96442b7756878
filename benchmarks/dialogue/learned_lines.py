"""What was learned of the other after a conversation, against the facts that were told."""

from __future__ import annotations

from collections.abc import Sequence

from ...core import DEFAULT_VOICE, Completion, Generate, Json, answer_all
from ...models import LocalModel
from ...planners.speech import Speaker, learned_messages
from ...planners.text import finished_sentences
from ...training import (
    FactMatcher,
    PersonaDialogue,
    learned_f1,
    learned_facts,
    nothing_learned,
    spoken_lines,
)
from .told_facts import PARTNER, SPEAKER


def measure_learned(model: LocalModel, dialogues: Sequence[PersonaDialogue]) -> dict[str, Json]:
    """The F1 of the sentences that say after each dialogue what its first person has learned of
    the second, against the second's facts that the lines tell; both in the third person.

    ``learned_f1``: by the default voice, greedily decoded; ``learned_f1_base``: by the base
    weights. Two sentences agree as ``matched_facts`` says."""
    matcher = FactMatcher.of_dialogues(dialogues)
    told = [
        learned_facts(dialogue.lines, 0, dialogue.facts[1], PARTNER, matcher)
        for dialogue in dialogues
    ]
    figures: dict[str, Json] = {}
    for name, voice in (("learned_f1", DEFAULT_VOICE), ("learned_f1_base", "")):
        said = _learned(model, dialogues, voice)
        figures[name] = round(learned_f1(zip(said, told), [SPEAKER, PARTNER]), 3)
    return {**figures, "learned_facts": sum(map(len, told)), "learned_dialogues": len(told)}


def _learned(
    model: LocalModel, dialogues: Sequence[PersonaDialogue], voice: str
) -> list[list[str]]:
    """The sentences by dialogue; none where nothing was learned."""
    asks = [
        Generate(
            messages=learned_messages(
                Speaker(name=SPEAKER, facts=dialogue.facts[0], partner=PARTNER),
                spoken_lines(dialogue, 0),
            ),
            max_tokens=96,
            temperature=0.0,
            repetition_penalty=1.0,
            stop=("\n",),
            voice=voice,
        )
        for dialogue in dialogues
    ]
    nothing = nothing_learned(PARTNER)
    texts = [
        answer.text.strip() if isinstance(answer, Completion) else ""
        for answer in answer_all(model.client(), asks)
    ]
    return [[one for one in finished_sentences(text) if one != nothing] for text in texts]
