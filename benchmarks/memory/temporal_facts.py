"""Changed facts: which value held when, from structured claims and from plain text.

What a small model reads out of lines that no rule was written for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from ...core import Json, Model, Record, Seed, run_thoughts
from ...memory import Facts, Memory, TemporalQA
from ...memory.facts import ExtractedFact, extract_facts_with_model, question_subject
from ..default_embedder import packaged_embedder
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
WORLDS, ASKED = 5, 100


def measure_temporal_facts(quick: bool, told: Callable[[str], None]) -> dict[str, Json]:
    """Right answers, as shares of all questions: on claims, on text in known and in unseen
    words (plain recall, rules alone, likeness and time), and what keeps memory bounded."""
    from .compaction_growth import measure_compaction_growth

    count = 1 if quick else WORLDS
    embed = packaged_embedder()
    result: dict[str, Json] = {"structured": measure_structured_facts(count, told)}
    text: dict[str, Json] = {}
    for phrasing in ("known", "loose", "unseen"):
        text[phrasing] = measure_text_facts(phrasing, count, embed, told)
    result["text"] = text
    if not quick:
        result["model"] = measure_model_extraction(told)
    result["bounded"] = measure_compaction_growth(quick, embed, told)
    return result


def measure_structured_facts(count: int, told: Callable[[str], None]) -> dict[str, Json]:
    """Facts told as claims, out of order and in several spellings of the name; asked now
    and as of a day."""
    tally = AccuracyTally()
    for number in range(count):
        made = make_timeline(SEED.child("structured", number), "known", questions=ASKED)
        rng = Random(SEED.child("order", number).number)
        claims = Facts(Memory(":memory:", "listener"))
        facts = [line for line in made.lines if line.relation]
        rng.shuffle(facts)
        with claims.memory.store.transaction():
            for line in facts:
                name = rng.choice([line.person, line.person.upper(), line.person.split()[0]])
                claims.assert_fact(
                    name, line.relation, line.value, at=made.lines[-1].at, since=line.at
                )
        for question in made.questions:
            claim = claims.lookup(question.person, question.relation, as_of=question.as_of)
            tally.add(question, "right", claim is not None and claim.object == question.answer)
    told(f"claims: {tally.share('right'):.3f} of {tally.asked} right")
    return tally.report()


def measure_text_facts(
    phrasing: Phrasing, count: int, embed: EmbedFunction, told: Callable[[str], None]
) -> dict[str, Json]:
    """The same questions on plain lines, four ways; see ``answers_by_method``."""
    tally = AccuracyTally()
    for number in range(count):
        made = make_timeline(SEED.child(phrasing, number), phrasing, questions=ASKED)
        for question, lines in answers_by_method(made, embed):
            for way, line in lines.items():
                tally.add(question, way, line is not None and states_answer(line, question))
    told(
        f"{phrasing} words, {tally.asked} questions: "
        + ", ".join(f"{way} {tally.share(way):.3f}" for way in tally.ways)
    )
    return tally.report()


def answers_by_method(
    made: FactTimeline, embed: EmbedFunction
) -> list[tuple[FactQuestion, dict[str, FactStatement | None]]]:
    """For each question the line each way answers with: ``plain`` recall (the most alike
    line), ``plain_before`` (of those before the asked time), ``rules`` (claims that rules read
    out of the lines), ``text`` (``TemporalQA``)."""
    import numpy as np

    memory = memory_of_statements(made.lines, embed)
    vectors = np.asarray(embed([line.text for line in made.lines]))
    claims = Facts(memory)
    claims.learn(memory.records())
    changing = TemporalQA(memory, embed)
    found = []
    for question in made.questions:
        likeness = vectors @ np.asarray(embed([question.text]))[0]
        before = [question.as_of is None or line.at <= question.as_of for line in made.lines]
        claim = claims.lookup(
            question_subject(question.text), question.relation, as_of=question.as_of
        )
        told = changing.ask(question.text, as_of=question.as_of)
        lines: dict[str, FactStatement | None] = {
            "plain": made.lines[int(likeness.argmax())],
            "plain_before": made.lines[int(np.where(before, likeness, -2).argmax())],
            "rules": made.lines[claim.sources[0] - 1] if claim else None,
            "text": made.lines[told.record.id - 1] if told else None,
        }
        found.append((question, lines))
    return found


def memory_of_statements(
    lines: Sequence[FactStatement], embed: EmbedFunction | None = None
) -> Memory:
    """A memory of lines, in order; record i + 1 is line i."""
    memory = Memory(":memory:", "listener", embed=embed)
    records = [
        Record(id=n, kind="observation", text=line.text, created=line.at)
        for n, line in enumerate(lines, 1)
    ]
    memory.add(records)
    return memory


def states_answer(line: FactStatement, question: FactQuestion) -> bool:
    """Whether a line states the asked fact with the right value."""
    asked = (question.person, question.relation, question.answer)
    return (line.person, line.relation, line.value) == asked


class AccuracyTally:
    """Right answers by way, and by what was asked."""

    def __init__(self) -> None:
        self.ways: list[str] = []
        self._found: dict[str, list[tuple[FactQuestion, bool]]] = {}

    def add(self, question: FactQuestion, way: str, right: bool) -> None:
        """Count one answer."""
        if way not in self.ways:
            self.ways.append(way)
        self._found.setdefault(way, []).append((question, right))

    @property
    def asked(self) -> int:
        """How many questions there were."""
        return len(self._found[self.ways[0]]) if self.ways else 0

    def share(self, way: str, kind: Callable[[FactQuestion], bool] = lambda _: True) -> float:
        """The share of right answers of one way, of the questions of a kind."""
        chosen = [right for question, right in self._found[way] if kind(question)]
        return sum(chosen) / len(chosen) if chosen else 0.0

    def report(self) -> dict[str, Json]:
        """Shares by way: of all, now, as of a day, by changes and by relation."""
        result: dict[str, Json] = {"questions": self.asked}
        for way in self.ways:
            questions = [question for question, _ in self._found[way]]
            parts: dict[str, Any] = {
                "all": self.share(way),
                "now": self.share(way, lambda q: q.as_of is None),
                "as_of": self.share(way, lambda q: q.as_of is not None),
                "by_changes": {
                    str(n): self.share(way, lambda q, n=n: q.changes == n)  # type: ignore[misc]
                    for n in sorted({q.changes for q in questions})
                },
                "by_relation": {
                    name: self.share(way, lambda q, name=name: q.relation == name)  # type: ignore[misc]
                    for name in sorted({q.relation for q in questions})
                },
            }
            result[way] = {
                key: round(value, 4) if isinstance(value, float) else _rounded(value)
                for key, value in parts.items()
            }
        return result


def _rounded(parts: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 4) for key, value in parts.items()}


SAMPLE = 60
MODEL_SEED = Seed.of(2023).child("read by a model")


def measure_model_extraction(
    told: Callable[[str], None], model: Model | None = None
) -> dict[str, Json]:
    """Facts read by SmolLM2 (with MiniLM, as its decisions are): shares of lines of which the
    relation, the object, and all of subject, relation and object are right."""
    from ...models import load_model

    mind = model or load_model("smollm2")
    result: dict[str, Json] = {}
    phrasings: tuple[Phrasing, ...] = ("loose", "unseen")
    for phrasing in phrasings:
        made = make_timeline(MODEL_SEED, phrasing, questions=1)
        lines = [line for line in made.lines if line.relation]
        chosen = Random(MODEL_SEED.number).sample(lines, SAMPLE)
        started = time.perf_counter()
        records = [
            Record(id=n, kind="observation", text=line.text, created=line.at)
            for n, line in enumerate(chosen, 1)
        ]
        (drafts,) = run_thoughts(
            mind, [extract_facts_with_model(records, list(known_phrasings()["relations"]))]
        )
        shares = extraction_shares(chosen, drafts)
        took = time.perf_counter() - started
        result[phrasing] = {**shares, "lines": SAMPLE, "lines_per_s": round(SAMPLE / took, 1)}
        told(f"read by the model, {phrasing} words: {result[phrasing]}")
    return result


def extraction_shares(
    lines: Sequence[FactStatement], drafts: Sequence[ExtractedFact]
) -> dict[str, float]:
    """Shares of the lines; draft number n is of line n - 1."""
    found = {draft.source: draft for draft in drafts}
    counts = {"read": 0, "relation": 0, "object": 0, "whole": 0}
    for number, line in enumerate(lines, 1):
        draft = found.get(number)
        if draft is None:
            continue
        relation = draft.relation == line.relation
        thing = _without_article(draft.object) == _without_article(line.value)
        counts["read"] += 1
        counts["relation"] += relation
        counts["object"] += thing
        counts["whole"] += relation and thing and draft.subject == line.person
    return {name: round(count / len(lines), 4) for name, count in counts.items()}


def _without_article(value: str) -> str:
    for article in ("the ", "a ", "an "):
        value = value.removeprefix(article)
    return value
