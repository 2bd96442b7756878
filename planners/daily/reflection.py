"""Reflection: questions about recent records, and insights with their evidence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ...core import (
    Choice,
    Completion,
    Cue,
    Generate,
    Option,
    Record,
    Thought,
    all_of,
    generate,
)
from ...core.text import stem, ungrounded_terms
from ..steps import MAX_MEMORY_CHARS, StepBuilder, choose_among, pick_option, recall_records
from ..text import Evidence, content_terms, excerpt, source_line, word_set
from .daily_settings import DailySettings
from .fact_sentences import is_secret
from .memory_links import linked_facts

# Records cited as evidence of one insight; the examples of the paper cite one to five.
EVIDENCE_PER_INSIGHT = 3


INSIGHT_DRAFTS = 4
# Words that an insight may add to those of its evidence: they judge and connect, and tell no fact
# of their own.
INSIGHT_TERMS = frozenset(
    stem(word)
    for word in word_set(
        "matter important care need together share common close remember wonder relationship "
        "part concern value depend connect reason people person others must should"
    )
)
# The evidence must explain an insight this many times better than an average of the other sets.
SPECIFICITY = 1.5
OTHER_SETS = 3


def reflect(builder: StepBuilder, settings: DailySettings) -> Thought[None]:
    """Generate questions about recent records, recall records for each, and store insights.

    Park et al. 2023, section 4.2: due when the summed importance of new records has reached the
    persona's threshold; the counter is reset here. The evidence of an insight is chosen by
    likelihood among the recalled records, not cited by number. An insight that says what its
    evidence lacks, or nothing in particular, is not stored.
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
    if not questions:
        important = max(recent, key=lambda record: (record.importance, record.id))
        text = excerpt(important.text, "", MAX_MEMORY_CHARS).rstrip(".!? ")
        questions = [f"What does {situation.persona.first_name} know of this: {text}?"]
    recalled = yield from all_of(
        [
            recall_records(Cue(text=question, at=situation.now, limit=settings.retrieved))
            for question in questions
        ]
    )
    # What calls itself a secret would lose that mark in an insight.
    recent = _without_secrets(recent)
    pairs = [
        (question, records)
        for question, hits in zip(questions, recalled, strict=True)
        if (records := _without_secrets(hits))
    ][: settings.insights]
    insights = yield from all_of(
        [_insight(builder, question, records, recent) for question, records in pairs]
    )
    if not any(text for text, _ in insights):
        found = [record for _, records in pairs for record in records]
        insights = (_connection(builder, recent, found),)
    stored: set[frozenset[str]] = set()
    for text, evidence in insights:
        if text and content_terms(text) not in stored:
            stored.add(content_terms(text))
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
    question = f"{text if text.startswith(start) else f'{start} {text}'}?"
    # A question about somebody invented recalls nothing that bears on it.
    known = " ".join((situation.persona.name, *(record.text for record in recent)))
    return "" if ungrounded_terms(question, known) else question


def _insight(
    builder: StepBuilder, question: str, recalled: list[Record], recent: list[Record]
) -> Thought[tuple[str, tuple[Record, ...]]]:
    """An insight on a question, with the records it rests on; empty if none of the drafts rests
    on them and says something in particular."""
    situation = builder.situation
    name = situation.persona.first_name
    basis = recalled[:10]
    ask = Generate(
        messages=builder.prompt(
            "insight", question=question, memories=[f"- {record.text}" for record in basis]
        ),
        max_tokens=32,
        temperature=0.6,
        stop=("\n", ". "),
        role="reflect",
    )
    seed = situation.seed.child("insight", question)
    answers = yield from all_of(
        [generate(replace(ask, seed=seed.child(number).number)) for number in range(INSIGHT_DRAFTS)]
    )
    texts = [clean_insight(answer.text) for answer in answers if isinstance(answer, Completion)]
    drafts = [text for text in dict.fromkeys(texts) if text]
    kept = [text for text in drafts if not insight_refusal(text, basis, situation.persona.name)]
    if not kept:
        if drafts:
            reasons = {insight_refusal(text, basis, situation.persona.name) for text in drafts}
            builder.explain(f"(insights were refused: {', '.join(sorted(reasons))})")
        return "", ()
    about = " ".join(record.text for record in basis[:EVIDENCE_PER_INSIGHT])
    options = [Option(text) for text in kept]
    best = kept[0]
    if len(kept) > 1:
        best = yield from pick_option(builder, options, about=about, role="insight")
    text = f"{name} understands that {best}."
    evidence = yield from _evidence_of(text, recalled)
    if not (yield from _is_specific(text, evidence, [*recalled, *recent])):
        builder.explain("(an insight that fits other memories as well was dropped)")
        return "", ()
    return text, evidence


def _without_secrets(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if not is_secret(record.text)]


def _connection(
    builder: StepBuilder, recent: Sequence[Record], known: Sequence[Record]
) -> tuple[str, tuple[Record, ...]]:
    """What somebody told lately and what is known about the same, as an insight without
    generation; empty if no two memories belong together.

    SmolLM2 does not judge this: the likelihood of a memory given another follows shared names."""
    persona = builder.situation.persona
    pair = linked_facts(recent, known, persona.name)
    if pair is None:
        return "", ()
    text = f"{persona.first_name} understands that {pair[0].fact}, and that {pair[1].fact}."
    return text, (pair[0].record, pair[1].record)


def clean_insight(raw: str) -> str:
    """A completion as a clause after "understands that"; empty if it has under four words."""
    text = raw.strip(" \"'.:")
    text = re.sub(r"^(?:that|it follows that|understands that) ", "", text)
    return text if len(text.split()) >= 4 else ""


def insight_refusal(text: str, basis: Sequence[Record], me: str) -> str:
    """Why an insight of ``me`` does not follow from the records, in a word; empty if it may.

    Besides the reasons of ``Evidence.refusal``: "vague" if it names nobody but ``me`` and fewer
    than two things of the evidence, "known" if one record says it all."""
    evidence = Evidence(
        [source_line(excerpt(record.text, text, MAX_MEMORY_CHARS)) for record in basis], [me]
    )
    sentence = f"{text[:1].upper()}{text[1:]}."
    if reason := evidence.refusal(sentence, allowed=INSIGHT_TERMS):
        return reason
    own = set(evidence.people_in(me))
    others = set(evidence.people_in(text)) - own
    terms = content_terms(text) - content_terms(me)
    if not others and len(terms - INSIGHT_TERMS) < 2:
        return "vague"
    known = any(terms <= content_terms(record.text) for record in basis)
    return "known" if known else ""


def _evidence_of(text: str, recalled: Sequence[Record]) -> Thought[tuple[Record, ...]]:
    """The records that explain an insight best, by likelihood."""
    options = {record.text: record for record in recalled}
    choice = yield from choose_among(map(Option, options), about=text, role="evidence")
    records = list(options.values())
    if not isinstance(choice, Choice):
        return tuple(records[:EVIDENCE_PER_INSIGHT])
    ranked = sorted(range(len(records)), key=lambda index: -choice.probabilities[index])
    return tuple(records[index] for index in ranked[:EVIDENCE_PER_INSIGHT])


def _is_specific(text: str, evidence: Sequence[Record], others: Sequence[Record]) -> Thought[bool]:
    """Whether the evidence explains an insight better than other sets of memories do.

    The sets are options, and the insight is what they are to explain: a sentence that would be as
    likely after any other memories says nothing. Without other memories it counts as specific."""
    used = {record.text for record in evidence}
    rest = list(dict.fromkeys(record.text for record in others if record.text not in used))
    size = max(1, len(used))
    sets = [rest[at : at + size] for at in range(0, len(rest), size)][:OTHER_SETS]
    if not sets:
        return True
    own = list(dict.fromkeys(record.text for record in evidence))
    options = [Option(" ".join(texts)) for texts in (own, *sets)]
    choice = yield from choose_among(options, about=text, role="specificity")
    if not isinstance(choice, Choice):
        return True
    average = (1 - choice.probabilities[0]) / len(sets)
    return choice.index == 0 and choice.probabilities[0] >= SPECIFICITY * average
