"""Understanding: choices with probabilities, details under a schema, nothing made up."""

from __future__ import annotations

import pytest
from denizens.benchmarks.models import UNDERSTANDING_PARTS
from denizens.benchmarks.models.text_classification import (
    OTHER,
    classification_accuracy,
    classify,
    guest_intents,
    labelled_texts,
)
from denizens.core import Failed, Json, Seed
from denizens.models import ImprovisedModel
from denizens.planners import Intent, understand
from denizens.planners.dialogue import LANGUAGES
from denizens.planners.dialogue.intents import fill_slots, is_stated
from denizens.testing import (
    Answerer,
    RandomAnswerer,
    RefusingAnswerer,
    RepeatingAnswerer,
    ScriptedModel,
)
from denizens.tests.support.planner_driver import ScriptedAnswers, ThoughtDriver
from hypothesis import given
from hypothesis import strategies as st

TRAIN = Intent(
    name="train",
    about="When does a train leave?",
    slots={
        "type": "object",
        "properties": {"station": {"type": "string"}, "day": {"enum": ["today", "tomorrow"]}},
        "required": ["station", "day"],
        "additionalProperties": False,
    },
)
BYE = Intent(name="bye", about="Goodbye, see you soon.")


def test_what_is_asked_for_is_asked_at_once() -> None:
    """Intent, mood and language are three choices of one round, with all probabilities."""
    told = ScriptedAnswers(intent=["bye"], sentiment=["neutral"], language=["German"])
    found = told.think(
        understand(
            "Tschüss!",
            seed=Seed.of(1),
            intents=(TRAIN, BYE),
            sentiment=True,
            languages=("English", "German"),
        )
    )
    assert (found.intent.name, found.sentiment.name, found.language.name) == (
        "bye",
        "neutral",
        "German",
    )
    assert found.intent.probabilities == {"train": 0.0, "bye": 1.0, "none of these": 0.0}
    assert found.language.confidence == 1.0
    assert told.kinds() == ["intent", "sentiment", "language"]


def test_what_is_not_asked_for_costs_nothing() -> None:
    """Nothing wanted, nothing asked."""
    told = ScriptedAnswers()
    found = told.think(understand("Hello!", seed=Seed.of(1)))
    assert told.kinds() == []
    assert (found.intent.name, found.intent.confidence, found.slots) == ("", 0.0, {})


def test_none_of_the_intents_is_an_answer() -> None:
    """A text that comes with none has no intent, and a probability of that."""
    told = ScriptedAnswers(intent=["none"])
    found = told.think(understand("Blue.", seed=Seed.of(1), intents=(TRAIN, BYE)))
    assert (found.intent.name, found.intent.confidence, found.missing) == ("", 1.0, ())


def test_details_not_said_are_missing() -> None:
    """A value that stands nowhere in the text is left out, and named where it is required."""
    told = ScriptedAnswers(
        texts={"value": ["Basel"]},
        value=["Basel", "today"],
        arguments=[{"station": "Basel", "day": "today"}] * 3,
    )
    values, missing = told.think(fill_slots(TRAIN, "A train to Basel?", seed=Seed.of(1)))
    assert values["station"] == "Basel"
    assert missing == () if "day" in values else missing == ("day",)
    made_up = ScriptedAnswers(
        texts={"value": ["Rome"]}, value=["Rome"] * 3, arguments=[{"station": "Rome"}] * 3
    )
    values, missing = made_up.think(
        fill_slots(Intent(name="x", about="x", slots=ROOM), "To the moon?", seed=Seed.of(1))
    )
    assert values.get("station", "the moon") != "Rome"


ROOM: Json = {
    "type": "object",
    "properties": {"station": {"type": "string"}},
    "required": ["station"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "text", "stands"),
    [
        ("Basel", "a train to basel", True),
        ("Basel SBB", "a train to Basel", False),
        ("the old mill", "I mean that old mill", True),
        (4, "for four", True),
        (4, "for 4 of us", True),
        (4, "for five", False),
        (2.5, "costs 2.5 francs", True),
        (True, "anything", True),
        (None, "anything", False),
        (["rye", "oats"], "rye and oats", True),
        (["rye", "wheat"], "rye and oats", False),
        ({"who": "Ada"}, "ask Ada", True),
        ("", "anything", False),
    ],
)
def test_what_stands_in_a_text(value: Json, text: str, stands: bool) -> None:
    """Words and numbers, in figures or spelt, count as said; others as made up."""
    assert is_stated(value, text, {}) == stands


def test_one_of_given_values_need_not_be_said_word_for_word() -> None:
    """What was chosen among a schema's values was not made up."""
    assert is_stated("tomorrow", "the day after today", {"enum": ["today", "tomorrow"]})


@given(st.text(min_size=1, max_size=40), st.integers(0, 2**32))
def test_any_answers_are_understood(text: str, seed: int) -> None:
    """Whatever a model says, there is an understanding, and no detail that was not said."""
    models: list[Answerer] = [
        RepeatingAnswerer(seed % 5),
        RandomAnswerer(seed),
        RefusingAnswerer("engine"),
    ]
    for answer in models:
        thought = understand(
            text, seed=Seed.of(1), intents=(TRAIN, BYE), sentiment=True, languages=tuple(LANGUAGES)
        )
        found = ThoughtDriver(answer).think(thought, 40)
        assert found.intent.name in ("", "train", "bye")
        station = found.slots.get("station")
        assert station is None or is_stated(station, text, {})


def test_a_failed_choice_is_no_guess() -> None:
    """Where the model cannot say, nothing is understood, and nothing raised."""

    def fail(ask: object) -> Failed:
        return Failed(reason="engine", detail="out of memory")

    found = ThoughtDriver(fail).think(understand("Hi!", seed=Seed.of(1), sentiment=True), 5)
    assert (found.sentiment.name, found.sentiment.probabilities) == ("", {})


@pytest.mark.parametrize("part", UNDERSTANDING_PARTS)
def test_the_labelled_set_is_sound(part: str) -> None:
    """At least 60 texts a part, each once, every label in both halves."""
    rows = labelled_texts(part)
    assert len(rows) >= 60
    assert len({text for text, _ in rows}) == len(rows)
    labels = {label for _, label in rows}
    assert {label for _, label in rows[::2]} == {label for _, label in rows[1::2]} == labels
    if part == "intent":
        assert labels == {"none", *(one.name for one in guest_intents())}
    if part == "language":
        assert labels == set(LANGUAGES)


def test_the_benchmark_counts_right() -> None:
    """A model that always says neutral is right on a third; one by chance on about that."""
    model = ScriptedModel(lambda ask: "neutral")
    found = classification_accuracy(model, "sentiment")
    assert (found["all"], found["by_label"]["neutral"]) == (0.333, 1.0)
    assert found["by_label"]["positive"] == 0.0
    assert 0.1 < classification_accuracy(ImprovisedModel(), "sentiment")["all"] < 0.6


@pytest.mark.real
def test_a_tiny_model_understands(smollm2: object) -> None:
    """SmolLM2 and MiniLM are far above chance on every second text of each part's held-out
    half."""
    least = {"intent": 0.6, "sentiment": 0.55, "language": 0.8}
    for part, bound in least.items():
        rows = labelled_texts(part)[1::4]
        guesses = classify(smollm2, part, [text for text, _ in rows])  # type: ignore[arg-type]
        right = [(one.name or OTHER) == label for one, (_, label) in zip(guesses, rows)]
        assert sum(right) >= bound * len(rows), (part, right)
