"""Reflection: questions about recent records, and insights with their evidence."""

from __future__ import annotations

from ...core import (
    Choice,
    Completion,
    Cue,
    Generate,
    Option,
    Record,
    Thought,
    all_of,
    count_words,
    generate,
)
from ..steps import StepBuilder, best_of, choose_among, recall_records
from .daily_settings import DailySettings

# Records cited as evidence of one insight; the examples of the paper cite one to five.
EVIDENCE_PER_INSIGHT = 3


def reflect(builder: StepBuilder, settings: DailySettings) -> Thought[None]:
    """Generate questions about recent records, recall records for each, and store insights.

    Park et al. 2023, section 4.2: due when the summed importance of new records has reached the
    persona's threshold; the counter is reset here. The evidence of an insight is chosen by
    likelihood among the recalled records, not cited by number.
    """
    situation = builder.situation
    name = situation.persona.name
    recent = yield from recall_records(
        Cue(text=name, at=situation.now, limit=12, rules="recent", touch=False)
    )
    builder.update_state(reflect_left=situation.persona.reflect_after)
    if not recent:
        return
    generated = yield from all_of(
        [_question(builder, recent, number) for number in range(settings.questions)]
    )
    questions = list(dict.fromkeys(question for question in generated if question))
    recalled = yield from all_of(
        [
            recall_records(Cue(text=question, at=situation.now, limit=settings.retrieved))
            for question in questions
        ]
    )
    pairs = [
        (question, records)
        for question, records in zip(questions, recalled, strict=True)
        if records
    ][: settings.insights]
    insights = yield from all_of(
        [_insight(builder, question, records) for question, records in pairs]
    )
    stored: set[str] = set()
    for text, evidence in insights:
        if text and text not in stored:
            stored.add(text)
            builder.mark_used(evidence)
            builder.add_record("thought", text, evidence=evidence)
    builder.explain(f"So much had happened that {situation.persona.first_name} reflected.")


def _question(builder: StepBuilder, recent: list[Record], number: int) -> Thought[str]:
    """A question that begins with What, Why or How, by its number; empty if none was written."""
    situation = builder.situation
    start = ("What", "Why", "How")[number % 3]
    answer = yield from generate(
        Generate(
            messages=builder.prompt(
                "question", memories=[f"- {record.text}" for record in recent], start=start
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
    text = answer.text.strip().rstrip("?")
    return f"{text if text.startswith(start) else f'{start} {text}'}?"


def _insight(
    builder: StepBuilder, question: str, recalled: list[Record]
) -> Thought[tuple[str, tuple[Record, ...]]]:
    """An insight on a question, with the records it rests on; empty if none was written."""
    situation = builder.situation
    name = situation.persona.first_name
    ask = Generate(
        messages=builder.prompt(
            "insight", question=question, memories=[f"- {record.text}" for record in recalled[:10]]
        ),
        max_tokens=32,
        temperature=0.5,
        stop=("\n", ". "),
        role="reflect",
    )
    insight = yield from best_of(
        builder,
        ask,
        2,
        seed=situation.seed.child("insight", question),
        clean=lambda raw: raw.strip(" \"'.:") if count_words(raw) >= 4 else "",
        about=" ".join(record.text for record in recalled[:EVIDENCE_PER_INSIGHT]),
        role="insight",
    )
    if not insight:
        return "", ()
    text = f"{name} understands that {insight}."
    options = {record.text: record for record in recalled}
    choice = yield from choose_among(map(Option, options), about=text, role="evidence")
    records = list(options.values())
    if not isinstance(choice, Choice):
        return text, tuple(records[:EVIDENCE_PER_INSIGHT])
    ranked = sorted(range(len(records)), key=lambda index: -choice.probabilities[index])
    return text, tuple(records[index] for index in ranked[:EVIDENCE_PER_INSIGHT])
