"""Synthetic timelines of facts that change: statements with times, and questions with answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal

from ...core import Seed, Time
from ..data_files import packaged_data

START = datetime(2023, 1, 1, 8)
Phrasing = Literal["known", "loose", "unseen"]


@dataclass(frozen=True, slots=True)
class FactStatement:
    """A statement and the fact that it gives; without a relation it is small talk."""

    text: str
    at: Time
    person: str
    relation: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class FactQuestion:
    """A question about a fact that changed ``changes`` times; ``as_of`` None asks for the current
    value."""

    text: str
    person: str
    relation: str
    as_of: Time | None
    answer: str
    changes: int


@dataclass(frozen=True, slots=True)
class FactTimeline:
    """Statements in order of time, and questions about them."""

    lines: tuple[FactStatement, ...]
    questions: tuple[FactQuestion, ...]


def known_phrasings() -> dict[str, Any]:
    """People, values, small talk, and phrasings that rules may be written for."""
    return dict(packaged_data("changed_facts"))


def unseen_phrasings() -> dict[str, Any]:
    """Paraphrases and questions on which nothing was tuned."""
    return dict(packaged_data("changed_facts_unseen"))


def make_timeline(
    seed: Seed, phrasing: Phrasing, *, people: int = 10, questions: int = 100
) -> FactTimeline:
    """A history for each of ten relations of ``people`` persons, and questions about facts drawn
    from it, half of them as of an earlier day."""
    data, rng = known_phrasings(), Random(seed.number)
    names = rng.sample(data["people"], people)
    lines: list[FactStatement] = []
    facts: list[tuple[str, str, list[tuple[Time, str]]]] = []
    for person in names:
        for relation in data["relations"]:
            history = _history(rng, data["relations"][relation]["values"])
            facts.append((person, relation, history))
            lines.extend(_statements(rng, person, relation, history, phrasing))
        for _ in range(6):
            at = START + timedelta(days=rng.randrange(150), minutes=rng.randrange(600))
            lines.append(
                FactStatement(rng.choice(data["small_talk"]).format(who=person), at, person)
            )
    asked = rng.sample(facts, min(questions, len(facts)))
    found = [_question(rng, fact, phrasing, then=n % 2 == 1) for n, fact in enumerate(asked)]
    ordered = sorted(lines, key=lambda line: (line.at, line.text))
    return FactTimeline(tuple(ordered), tuple(found))


def _history(rng: Random, values: list[str]) -> list[tuple[Time, str]]:
    at = START + timedelta(days=rng.randrange(20), minutes=rng.randrange(600))
    chosen: list[str] = []
    for _ in range(rng.randint(1, 6) + 1):
        chosen.append(rng.choice([value for value in values if value not in chosen[-1:]]))
    found = []
    for value in chosen:
        found.append((at, value))
        at += timedelta(days=rng.randint(6, 30), minutes=rng.randrange(600))
    return found


def _statements(
    rng: Random, person: str, relation: str, history: list[tuple[Time, str]], phrasing: Phrasing
) -> list[FactStatement]:
    shapes = _templates(relation, phrasing)
    found = []
    for at, value in history:
        # A value is restated before it changes, sometimes, and in other words.
        said = rng.sample(shapes, 1 + (rng.random() < 0.4))
        for place, shape in enumerate(said):
            text = shape.format(who=person, value=value)
            moment = at + timedelta(days=place * rng.randint(1, 5))
            found.append(FactStatement(text, moment, person, relation, value))
    return found


def _templates(relation: str, phrasing: Phrasing) -> list[str]:
    if phrasing == "unseen":
        return list(unseen_phrasings()["relations"][relation]["said"])
    key = "said" if phrasing == "known" else "loose"
    return list(known_phrasings()["relations"][relation][key])


def _question(
    rng: Random, fact: tuple[str, str, list[tuple[Time, str]]], phrasing: Phrasing, *, then: bool
) -> FactQuestion:
    person, relation, history = fact
    source = unseen_phrasings() if phrasing == "unseen" else known_phrasings()
    forms = source["relations"][relation]
    loosely = "_loose" if phrasing == "loose" else ""
    if not then:
        text = rng.choice(forms[f"now{loosely}"]).format(who=person)
        return FactQuestion(text, person, relation, None, history[-1][1], len(history) - 1)
    # Not the last value: a question about the past must have another answer than one about now.
    place = rng.randrange(len(history) - 1)
    at, end = history[place][0], history[place + 1][0]
    day = at + (end - at) * rng.uniform(0.2, 0.9)
    as_of = day.replace(hour=23, minute=59, second=59, microsecond=0)
    value = [said for moment, said in history if moment <= as_of][-1]
    text = rng.choice(forms[f"then{loosely}"]).format(who=person, day=f"{day.day} {day:%B %Y}")
    return FactQuestion(text, person, relation, as_of, value, len(history) - 1)
