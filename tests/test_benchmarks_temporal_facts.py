"""The benchmark of changed facts: made fairly, and the figures it must show."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from denizens.benchmarks.memory.compaction_growth import measure_compaction_growth
from denizens.benchmarks.memory.synthetic_facts import FactQuestion, FactStatement, make_timeline
from denizens.benchmarks.memory.temporal_facts import (
    SEED,
    AccuracyTally,
    extraction_shares,
    measure_structured_facts,
    measure_text_facts,
    states_answer,
)
from denizens.memory.facts import ExtractedFact
from denizens.models import load_embedder
from denizens.tests.support.hashed_embedding import embed_letters

if TYPE_CHECKING:
    pass


def silent(_: str) -> None:
    """Tells nobody."""


def test_a_world_is_made_of_its_seed() -> None:
    """Equal seeds make equal worlds; the questions are half of now, half of an earlier day,
    about facts changed one to six times."""
    one = make_timeline(SEED.child(1), "unseen")
    assert one == make_timeline(SEED.child(1), "unseen")
    assert one != make_timeline(SEED.child(2), "unseen")
    assert len(one.questions) == 100
    assert sum(question.as_of is None for question in one.questions) == 50
    assert {question.changes for question in one.questions} == {1, 2, 3, 4, 5, 6}


def test_the_answer_is_in_the_lines() -> None:
    """For each question the latest line on the asked fact until the asked time says the
    answer; a question of the past has another answer than one of now would have had."""
    made = make_timeline(SEED.child(3), "loose")
    for question in made.questions:
        lines = [
            line
            for line in made.lines
            if (line.person, line.relation) == (question.person, question.relation)
        ]
        past = [line for line in lines if question.as_of is None or line.at <= question.as_of]
        assert states_answer(past[-1], question)
        assert len(past) < len(lines) or question.as_of is None


def test_right_is_the_asked_fact_and_value() -> None:
    """The right value said of another person or relation is no right answer."""
    now = datetime(2023, 1, 1)
    question = FactQuestion("?", "Ada", "lives in", None, "Porto", 1)
    assert states_answer(FactStatement("x", now, "Ada", "lives in", "Porto"), question)
    assert not states_answer(FactStatement("x", now, "Bo", "lives in", "Porto"), question)
    assert not states_answer(FactStatement("x", now, "Ada", "studies", "Porto"), question)


def test_shares_are_counted_by_kind() -> None:
    """The report's shares are of all questions, of those of now and of then, by changes."""
    tally = AccuracyTally()
    for n in range(4):
        at = datetime(2023, 1, 1) if n % 2 else None
        tally.add(FactQuestion("?", "Ada", "age", at, "3", 1 + n // 2), "text", n != 1)
    report: Any = tally.report()
    assert report["questions"] == 4
    assert (report["text"]["all"], report["text"]["now"], report["text"]["as_of"]) == (0.75, 1, 0.5)
    assert report["text"]["by_changes"] == {"1": 0.5, "2": 1.0}


def test_structured_claims_are_right() -> None:
    """At least 95 of 100 questions on claims told out of order, in several spellings, get the
    value that was valid: here on all 500."""
    report: Any = measure_structured_facts(5, silent)
    assert report["questions"] == 500
    assert report["right"]["all"] >= 0.95


def test_text_without_a_model_in_known_words() -> None:
    """What the rules can read is answered though the embedding knows only words."""
    report: Any = measure_text_facts("known", 1, embed_letters, silent)
    assert report["rules"]["all"] >= 0.95
    assert report["text"]["all"] >= report["plain"]["all"] + 0.15


def test_a_month_is_measured() -> None:
    """With a budget no more than that is open on the last day; without one all of it is."""
    report: Any = measure_compaction_growth(True, embed_letters, silent)
    assert report["with"]["last_day"]["open"] <= report["budget"]
    assert report["without"]["last_day"]["open"] == 4000
    assert report["with"]["last_day"]["records"] >= 4000


@pytest.mark.real
def test_unseen_paraphrases_are_answered() -> None:
    """In words that no rule was written for, with MiniLM, at least 15 points more than plain
    recall get the value valid at the asked time."""
    report: Any = measure_text_facts("unseen", 1, load_embedder().vectors, silent)
    assert report["rules"]["all"] < 0.1
    assert report["text"]["all"] >= report["plain"]["all"] + 0.15
    assert report["text"]["all"] >= report["plain_before"]["all"] + 0.15


def test_what_is_read_right() -> None:
    """A fact is whole when its subject, relation and object are the line's; articles aside."""
    now = datetime(2023, 1, 1)
    lines = [
        FactStatement("x", now, "Ada", "drives", "a red Fiat"),
        FactStatement("x", now, "Bo", "age", "3"),
    ] * 2
    drafts = [
        ExtractedFact(subject="Ada", relation="drives", object="red Fiat", source=1),
        ExtractedFact(subject="Bo", relation="age", object="4", source=2),
        ExtractedFact(subject="Bo", relation="drives", object="a red Fiat", source=3),
    ]
    shares = extraction_shares(lines, drafts)
    assert shares == {"read": 0.75, "relation": 0.75, "object": 0.5, "whole": 0.25}
