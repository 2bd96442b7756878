"""How well recall finds the evidence of LoCoMo's questions, through the product's own path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core import Cue, Json, Seed
from ...memory import Memory
from .locomo import CATEGORIES, LocomoConversation, LocomoQuestion

BOOTSTRAP_DRAWS = 2000  # of the bootstrap
LIMIT = 10
TUNED_CONVERSATIONS = 2  # conversations the weights were fitted on: the first of the file

Embedder = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """One question: what it asked for, what was found, and what that counts.

    ``hit_at_1``: whether the first session holds evidence; the recalls are shares of the
    sessions (or turns) with evidence among the first 5 or 10 found."""

    conversation: str
    question: str
    category: int
    evidence: list[str]
    sessions: list[str]
    turns: list[str]
    hit_at_1: float
    recall_at_5: float
    recall_at_10: float
    turn_recall_at_10: float


FIGURES = ("hit_at_1", "recall_at_5", "recall_at_10", "turn_recall_at_10")


def memory_of(one: LocomoConversation, embed: Embedder, rules: str = "hybrid") -> Memory:
    """A memory of the conversation, a record a turn."""
    memory = Memory(":memory:", one.name, rules=rules, embed=embed)
    rows = embed([record.text for record in one.records])
    memory.add(one.records, {r.id: row for r, row in zip(one.records, rows, strict=True)})
    return memory


def ask_question(
    memory: Memory, one: LocomoConversation, question: LocomoQuestion
) -> QuestionResult:
    """Ask one question of a memory that was ``memory_of``."""
    cue = Cue(text=question.text, at=one.asked, limit=LIMIT, touch=False)
    sessions = [found.episode for found in memory.episodes(cue)]
    turns = [hit.record.source for hit in memory.recall(cue)]
    wanted, places = question.sessions, question.turns
    return QuestionResult(
        conversation=one.name,
        question=question.text,
        category=question.category,
        evidence=sorted(places),
        sessions=sessions,
        turns=turns,
        hit_at_1=float(bool(wanted.intersection(sessions[:1]))),
        recall_at_5=recall_share(wanted, sessions[:5]),
        recall_at_10=recall_share(wanted, sessions[:10]),
        turn_recall_at_10=recall_share(places, turns[:10]),
    )


def recall_share(wanted: frozenset[str], found: Sequence[str]) -> float:
    """How much of what is wanted was found, in [0, 1].

    >>> recall_share(frozenset({"D1", "D2"}), ["D2", "D7"])
    0.5
    """
    return len(wanted.intersection(found)) / len(wanted) if wanted else 0.0


def question_results(
    one: LocomoConversation, embed: Embedder, rules: str = "hybrid"
) -> Iterator[QuestionResult]:
    """All questions of a conversation that have evidence."""
    with memory_of(one, embed, rules) as memory:
        asked = [question for question in one.questions if question.turns]
        embed([question.text for question in asked])  # in one batch; the embedder keeps them
        for question in asked:
            yield ask_question(memory, one, question)


def measure_recall_quality(
    conversations: Sequence[LocomoConversation],
    embed: Embedder,
    told: Callable[[str], None],
    *,
    to: Path | None = None,
) -> dict[str, Json]:
    """The figures over all conversations, over those tuned on and the others, by category;
    ``to`` gets a JSON line for each question."""
    from ...core import canonical

    found: list[QuestionResult] = []
    for one in conversations:
        found.extend(question_results(one, embed))
        told(f"conversation {one.name}: {len(found)} questions so far")
    if to is not None:
        to.write_text("".join(f"{canonical(asdict(one))}\n" for one in found), encoding="utf-8")
    tuned = {one.name for one in conversations[:TUNED_CONVERSATIONS]}
    return {
        **mean_figures(found),
        "questions": len(found),
        "intervals_95": intervals(found),
        "by_category": {
            name: mean_figures(those) | {"questions": len(those)}
            for number, name in CATEGORIES.items()
            if (those := [one for one in found if one.category == number])
        },
        "tuned_on": mean_figures([one for one in found if one.conversation in tuned]),
        "checked_on": mean_figures([one for one in found if one.conversation not in tuned]),
    }


def mean_figures(found: Sequence[QuestionResult]) -> dict[str, Json]:
    """The mean of each figure; empty where there is no question."""
    if not found:
        return {}
    return {name: round(float(np.mean(column(found, name))), 4) for name in FIGURES}


def intervals(found: Sequence[QuestionResult]) -> dict[str, Json]:
    """Of each figure the middle 95 % of its means over questions drawn with replacement."""
    if not found:
        return {}
    rng = np.random.default_rng(Seed.of(1).child("memory quality", "bootstrap").number)
    drawn = rng.integers(0, len(found), (BOOTSTRAP_DRAWS, len(found)))
    return {
        name: [
            round(float(q), 4)
            for q in np.quantile(column(found, name)[drawn].mean(1), [0.025, 0.975])
        ]
        for name in FIGURES
    }


def column(found: Sequence[QuestionResult], name: str) -> NDArray[np.float64]:
    """One figure of all receipts."""
    return np.array([getattr(one, name) for one in found], np.float64)
