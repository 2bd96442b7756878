"""How well recall finds the evidence of LoCoMo's questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...core import Cue, Json, Seed, canonical
from ...memory import Memory
from ..statistics import bootstrap_interval
from .locomo import CATEGORIES, LocomoConversation, LocomoQuestion

if TYPE_CHECKING:
    from ...memory import EmbedFunction


BOOTSTRAP_ROUNDS = 2000
BOOTSTRAP_SEED = Seed.of(1).child("memory quality", "bootstrap")
LIMIT = 10
TUNED_CONVERSATIONS = 2
"""The weights were fitted on this many conversations, from the first in the file."""


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """One question with its evidence, the sessions and turns that recall found, and the figures.

    ``hit_at_1``: whether the first session holds evidence. The recalls are the shares of the
    sessions (or turns) with evidence that are among the first 5 or 10 found."""

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


def memory_of(
    conversation: LocomoConversation, embed: EmbedFunction, rules: str = "hybrid"
) -> Memory:
    """A memory of a conversation: one record for each turn."""
    memory = Memory(":memory:", conversation.name, rules=rules, embed=embed)
    vectors = embed([record.text for record in conversation.records])
    records = conversation.records
    memory.add(records, {r.id: vector for r, vector in zip(records, vectors, strict=True)})
    return memory


def ask_question(
    memory: Memory, conversation: LocomoConversation, question: LocomoQuestion
) -> QuestionResult:
    """Recall for one question in a memory made by ``memory_of``."""
    cue = Cue(text=question.text, at=conversation.asked, limit=LIMIT, touch=False)
    sessions = [episode.episode for episode in memory.episodes(cue)]
    turns = [hit.record.source for hit in memory.recall(cue)]
    return QuestionResult(
        conversation=conversation.name,
        question=question.text,
        category=question.category,
        evidence=sorted(question.turns),
        sessions=sessions,
        turns=turns,
        hit_at_1=float(bool(question.sessions.intersection(sessions[:1]))),
        recall_at_5=recall_share(question.sessions, sessions[:5]),
        recall_at_10=recall_share(question.sessions, sessions[:10]),
        turn_recall_at_10=recall_share(question.turns, turns[:10]),
    )


def recall_share(relevant: frozenset[str], found: Sequence[str]) -> float:
    """The share of the relevant items that was found, in [0, 1].

    >>> recall_share(frozenset({"D1", "D2"}), ["D2", "D7"])
    0.5
    """
    return len(relevant.intersection(found)) / len(relevant) if relevant else 0.0


def question_results(
    conversation: LocomoConversation, embed: EmbedFunction, rules: str = "hybrid"
) -> Iterator[QuestionResult]:
    """The results of all questions of a conversation that have evidence."""
    with memory_of(conversation, embed, rules) as memory:
        questions = [question for question in conversation.questions if question.turns]
        embed([question.text for question in questions])  # one batch, cached by the embedder
        for question in questions:
            yield ask_question(memory, conversation, question)


def measure_recall_quality(
    conversations: Sequence[LocomoConversation],
    embed: EmbedFunction,
    progress: Callable[[str], None],
    *,
    to: Path | None = None,
) -> dict[str, Json]:
    """The figures over all conversations, over those that the weights were fitted on and the
    others, and by category; ``to`` receives one line of JSON for each question."""
    results: list[QuestionResult] = []
    for conversation in conversations:
        results.extend(question_results(conversation, embed))
        progress(f"conversation {conversation.name}: {len(results)} questions so far")
    if to is not None:
        lines = "".join(f"{canonical(asdict(result))}\n" for result in results)
        to.write_text(lines, encoding="utf-8")
    tuned = {conversation.name for conversation in conversations[:TUNED_CONVERSATIONS]}
    return {
        **mean_figures(results),
        "questions": len(results),
        "intervals_95": intervals(results),
        "by_category": {
            name: mean_figures(chosen) | {"questions": len(chosen)}
            for number, name in CATEGORIES.items()
            if (chosen := [result for result in results if result.category == number])
        },
        "tuned_on": mean_figures([r for r in results if r.conversation in tuned]),
        "checked_on": mean_figures([r for r in results if r.conversation not in tuned]),
    }


def mean_figures(results: Sequence[QuestionResult]) -> dict[str, Json]:
    """The mean of each figure; empty without questions."""
    if not results:
        return {}
    return {name: round(float(np.mean(column(results, name))), 4) for name in FIGURES}


def intervals(results: Sequence[QuestionResult]) -> dict[str, Json]:
    """The 95 % bootstrap interval of each figure's mean."""
    if not results:
        return {}
    return {
        name: [
            round(bound, 4)
            for bound in bootstrap_interval(column(results, name), BOOTSTRAP_ROUNDS, BOOTSTRAP_SEED)
        ]
        for name in FIGURES
    }


def column(results: Sequence[QuestionResult], name: str) -> NDArray[np.float64]:
    """One figure of all results, shape (results,)."""
    return np.array([getattr(result, name) for result in results], np.float64)
