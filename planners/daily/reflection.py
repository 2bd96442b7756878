"""Reflection: questions about recent memories, insights with their evidence."""

from __future__ import annotations

from ...core import (
    Choice,
    Choose,
    Completion,
    Cue,
    Generate,
    Hit,
    Option,
    Recall,
    Recalled,
    Record,
    Thought,
    all_of,
    choose,
    count_words,
    generate,
    recall,
)
from ..steps import StepBuilder, best_of, identity_text, render_prompt
from .daily_settings import DailySettings

# How many memories one insight rests on; the paper's examples cite one to five.
EVIDENCE_PER_INSIGHT = 3


def reflect(draft: StepBuilder, settings: DailySettings) -> Thought[None]:
    """Ask questions about what happened lately, retrieve for each, draw insights.

    Park et al. 2023, section 4.2: triggered when the importance of new memories has used up
    the threshold; the counter starts anew. What an insight rests on is chosen by
    likelihood among the memories retrieved, not cited by number.
    """
    situation = draft.situation
    name = situation.persona.name
    recent = yield from recall(
        Recall(cue=Cue(text=name, at=situation.now, limit=12, rules="recent", touch=False))
    )
    lately = [hit.record for hit in recent.hits] if isinstance(recent, Recalled) else []
    draft.update_state(reflect_left=situation.persona.reflect_after)
    if not lately:
        return
    asked = yield from all_of(
        [_question(draft, lately, number) for number in range(settings.questions)]
    )
    questions = list(dict.fromkeys(question for question in asked if question))
    found = yield from all_of(
        [
            recall(Recall(cue=Cue(text=text, at=situation.now, limit=settings.retrieved)))
            for text in questions
        ]
    )
    pairs = [
        (question, answer.hits)
        for question, answer in zip(questions, found, strict=True)
        if isinstance(answer, Recalled) and answer.hits
    ][: settings.insights]
    insights = yield from all_of([_insight(draft, question, hits) for question, hits in pairs])
    told: set[str] = set()
    for text, evidence in insights:
        if text and text not in told:
            told.add(text)
            draft.mark_used(evidence)
            draft.add_record("thought", text, evidence=evidence)
    draft.explain(f"So much had happened that {situation.persona.first_name} reflected.")


def _question(draft: StepBuilder, lately: list[Record], number: int) -> Thought[str]:
    situation = draft.situation
    answer = yield from generate(
        Generate(
            messages=render_prompt(
                "question",
                identity=identity_text(situation),
                name=situation.persona.first_name,
                memories=[f"- {record.text}" for record in lately],
                start=("What", "Why", "How")[number % 3],
            ),
            max_tokens=28,
            temperature=0.7,
            seed=situation.seed.child("question", number).number,
            stop=("\n", "?"),
            role="reflect",
        )
    )
    if not isinstance(answer, Completion) or not answer.text.strip():
        return ""
    start = ("What", "Why", "How")[number % 3]
    text = answer.text.strip().rstrip("?")
    return f"{text if text.startswith(start) else f'{start} {text}'}?"


def _insight(
    draft: StepBuilder, question: str, hits: tuple[Hit, ...]
) -> Thought[tuple[str, tuple[Record, ...]]]:
    situation = draft.situation
    name = situation.persona.first_name
    ask = Generate(
        messages=render_prompt(
            "insight",
            identity=identity_text(situation),
            name=name,
            question=question,
            memories=[f"- {hit.record.text}" for hit in hits[:10]],
        ),
        max_tokens=32,
        temperature=0.5,
        stop=("\n", ". "),
        role="reflect",
    )
    words = yield from best_of(
        draft,
        ask,
        2,
        seed=situation.seed.child("insight", question),
        clean=lambda raw: raw.strip(" \"'.:") if count_words(raw) >= 4 else "",
        about=" ".join(hit.record.text for hit in hits[:EVIDENCE_PER_INSIGHT]),
        role="insight",
    )
    if not words:
        return "", ()
    text = f"{name} understands that {words}."
    options = {hit.record.text: hit.record for hit in hits}
    picked = yield from choose(
        Choose(
            messages=(),
            options=tuple(Option(text) for text in options),
            about=text,
            role="evidence",
        )
    )
    records = list(options.values())
    if not isinstance(picked, Choice):
        return text, tuple(records[:EVIDENCE_PER_INSIGHT])
    ranked = sorted(range(len(records)), key=lambda place: -picked.probabilities[place])
    return text, tuple(records[place] for place in ranked[:EVIDENCE_PER_INSIGHT])
