"""Facts that change: which value was valid when, from asserted facts, from plain text, and from
facts that a small model extracts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core import Json, Model, Record, Seed, run_thoughts
from ...memory import Facts, Memory, TemporalQA
from ...memory.facts import ExtractedFact, extract_facts_with_model, question_subject
from ...models import load_embedder, load_model
from .compaction_growth import measure_compaction_growth
from .synthetic_facts import (
    FactQuestion,
    FactStatement,
    FactTimeline,
    Phrasing,
    known_phrasings,
    make_timeline,
)

if TYPE_CHECKING:
    from ...memory import EmbedFunction


SEED = Seed.of(2023).child("changed facts")
TIMELINES, QUESTIONS = 5, 100


def measure_temporal_facts(quick: bool, progress: Callable[[str], None]) -> dict[str, Json]:
    """Shares of right answers: on asserted facts and on text in known and unseen phrasings (by
    recall, by rules, by temporal question answering); and the growth of a compacted memory."""
    count = 1 if quick else TIMELINES
    embed = load_embedder().vectors
    result: dict[str, Json] = {"structured": measure_structured_facts(count, progress)}
    text: dict[str, Json] = {}
    for phrasing in ("known", "loose", "unseen"):
        text[phrasing] = measure_text_facts(phrasing, count, embed, progress)
    result["text"] = text
    if not quick:
        result["model"] = measure_model_extraction(progress)
    result["bounded"] = measure_compaction_growth(quick, embed, progress)
    return result


def measure_structured_facts(count: int, progress: Callable[[str], None]) -> dict[str, Json]:
    """Facts asserted out of order under several spellings of a name; queried now and as of a
    day."""
    tally = AccuracyTally()
    for number in range(count):
        timeline = make_timeline(SEED.child("structured", number), "known", questions=QUESTIONS)
        rng = Random(SEED.child("order", number).number)
        facts = Facts(Memory(":memory:", "listener"))
        statements = [line for line in timeline.lines if line.relation]
        rng.shuffle(statements)
        with facts.memory.store.transaction():
            for line in statements:
                name = rng.choice([line.person, line.person.upper(), line.person.split()[0]])
                facts.assert_fact(
                    name, line.relation, line.value, at=timeline.lines[-1].at, since=line.at
                )
        for question in timeline.questions:
            fact = facts.lookup(question.person, question.relation, as_of=question.as_of)
            tally.add(question, "right", fact is not None and fact.object == question.answer)
    progress(f"facts: {tally.share('right'):.3f} of {tally.asked} right")
    return tally.report()


def measure_text_facts(
    phrasing: Phrasing, count: int, embed: EmbedFunction, progress: Callable[[str], None]
) -> dict[str, Json]:
    """The same questions on plain text, by the methods of ``answers_by_method``."""
    tally = AccuracyTally()
    for number in range(count):
        timeline = make_timeline(SEED.child(phrasing, number), phrasing, questions=QUESTIONS)
        for question, lines in answers_by_method(timeline, embed):
            for method, line in lines.items():
                tally.add(question, method, line is not None and states_answer(line, question))
    progress(
        f"{phrasing} words, {tally.asked} questions: "
        + ", ".join(f"{method} {tally.share(method):.3f}" for method in tally.methods)
    )
    return tally.report()


def answers_by_method(
    timeline: FactTimeline, embed: EmbedFunction
) -> list[tuple[FactQuestion, dict[str, FactStatement | None]]]:
    """For each question the statement that each method answers with: ``plain`` (the most similar
    one), ``plain_before`` (the most similar before the time of the question), ``rules`` (facts
    extracted by rules), ``text`` (``TemporalQA``)."""
    memory = memory_of_statements(timeline.lines, embed)
    vectors = np.asarray(embed([line.text for line in timeline.lines]))
    facts = Facts(memory)
    facts.learn(memory.records())
    temporal_qa = TemporalQA(memory, embed)
    answers = []
    for question in timeline.questions:
        similarity = vectors @ np.asarray(embed([question.text]))[0]
        before = [question.as_of is None or line.at <= question.as_of for line in timeline.lines]
        fact = facts.lookup(
            question_subject(question.text), question.relation, as_of=question.as_of
        )
        answer = temporal_qa.ask(question.text, as_of=question.as_of)
        lines: dict[str, FactStatement | None] = {
            "plain": timeline.lines[int(similarity.argmax())],
            "plain_before": timeline.lines[int(np.where(before, similarity, -2).argmax())],
            "rules": timeline.lines[fact.sources[0] - 1] if fact else None,
            "text": timeline.lines[answer.record.id - 1] if answer else None,
        }
        answers.append((question, lines))
    return answers


def memory_of_statements(
    lines: Sequence[FactStatement], embed: EmbedFunction | None = None
) -> Memory:
    """A memory of statements in order; record i + 1 is line i."""
    memory = Memory(":memory:", "listener", embed=embed)
    records = [
        Record(id=n, kind="observation", text=line.text, created=line.at)
        for n, line in enumerate(lines, 1)
    ]
    memory.add(records)
    return memory


def states_answer(line: FactStatement, question: FactQuestion) -> bool:
    """Whether a statement gives the fact and the value of a question."""
    expected = (question.person, question.relation, question.answer)
    return (line.person, line.relation, line.value) == expected


class AccuracyTally:
    """Counts right answers by method and kind of question."""

    def __init__(self) -> None:
        self.methods: list[str] = []
        self._answers: dict[str, list[tuple[FactQuestion, bool]]] = {}

    def add(self, question: FactQuestion, method: str, right: bool) -> None:
        """Count one answer."""
        if method not in self.methods:
            self.methods.append(method)
        self._answers.setdefault(method, []).append((question, right))

    @property
    def asked(self) -> int:
        """The number of questions."""
        return len(self._answers[self.methods[0]]) if self.methods else 0

    def share(self, method: str, kind: Callable[[FactQuestion], bool] = lambda _: True) -> float:
        """The share of right answers of a method among the questions of a kind."""
        chosen = [right for question, right in self._answers[method] if kind(question)]
        return sum(chosen) / len(chosen) if chosen else 0.0

    def report(self) -> dict[str, Json]:
        """Shares of right answers by method: all, now, as of a day, by changes, by relation."""
        result: dict[str, Json] = {"questions": self.asked}
        for method in self.methods:
            questions = [question for question, _ in self._answers[method]]
            parts: dict[str, Any] = {
                "all": self.share(method),
                "now": self.share(method, lambda q: q.as_of is None),
                "as_of": self.share(method, lambda q: q.as_of is not None),
                "by_changes": {
                    str(n): self.share(method, lambda q, n=n: q.changes == n)  # type: ignore[misc]
                    for n in sorted({q.changes for q in questions})
                },
                "by_relation": {
                    name: self.share(method, lambda q, name=name: q.relation == name)  # type: ignore[misc]
                    for name in sorted({q.relation for q in questions})
                },
            }
            result[method] = {
                key: round(value, 4) if isinstance(value, float) else _rounded(value)
                for key, value in parts.items()
            }
        return result


def _rounded(parts: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 4) for key, value in parts.items()}


MODEL_SAMPLE = 60
MODEL_SEED = Seed.of(2023).child("read by a model")


def measure_model_extraction(
    progress: Callable[[str], None], model: Model | None = None
) -> dict[str, Json]:
    """Facts extracted by SmolLM2 and MiniLM: the shares of statements of which the relation, the
    object, and all of subject, relation and object are right."""
    model = model or load_model("smollm2")
    result: dict[str, Json] = {}
    phrasings: tuple[Phrasing, ...] = ("loose", "unseen")
    for phrasing in phrasings:
        timeline = make_timeline(MODEL_SEED, phrasing, questions=1)
        lines = [line for line in timeline.lines if line.relation]
        chosen = Random(MODEL_SEED.number).sample(lines, MODEL_SAMPLE)
        start = time.perf_counter()
        records = [
            Record(id=n, kind="observation", text=line.text, created=line.at)
            for n, line in enumerate(chosen, 1)
        ]
        (drafts,) = run_thoughts(
            model, [extract_facts_with_model(records, list(known_phrasings()["relations"]))]
        )
        shares = extraction_shares(chosen, drafts)
        seconds = time.perf_counter() - start
        result[phrasing] = {
            **shares,
            "lines": MODEL_SAMPLE,
            "lines_per_s": round(MODEL_SAMPLE / seconds, 1),
        }
        progress(f"extracted by the model, {phrasing} words: {result[phrasing]}")
    return result


def extraction_shares(
    lines: Sequence[FactStatement], drafts: Sequence[ExtractedFact]
) -> dict[str, float]:
    """Shares of the statements; the source of a draft is the number of its line, from 1."""
    by_line = {draft.source: draft for draft in drafts}
    counts = {"read": 0, "relation": 0, "object": 0, "whole": 0}
    for number, line in enumerate(lines, 1):
        draft = by_line.get(number)
        if draft is None:
            continue
        right_relation = draft.relation == line.relation
        right_object = _without_article(draft.object) == _without_article(line.value)
        counts["read"] += 1
        counts["relation"] += right_relation
        counts["object"] += right_object
        counts["whole"] += right_relation and right_object and draft.subject == line.person
    return {name: round(count / len(lines), 4) for name, count in counts.items()}


def _without_article(value: str) -> str:
    for article in ("the ", "a ", "an "):
        value = value.removeprefix(article)
    return value
