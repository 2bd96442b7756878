"""Language skills on SmolLM2-135M and MiniLM, measured as they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from denizens.agents import Agent, run_tool
from denizens.core import Model, Persona
from denizens.memory import Memory
from denizens.tests.support.sentiment_sentences import SENTENCES

pytestmark = pytest.mark.real

NINE = datetime(2023, 2, 13, 9)

# Texts of ours with what stands in them: (field, kind, value as it stands there, or None).
LETTERS: tuple[tuple[str, tuple[tuple[str, str, Any], ...]], ...] = (
    (
        "Dear team, our trip to Porto starts on 14 May at 7:30 in front of the office. The bus "
        "costs 18 euros each. Hotel Ribeira has booked 12 rooms for us. Call Maria if late.",
        (
            ("destination", "text", "Porto"),
            ("price in euros", "number", 18),
            ("number of rooms", "number", 12),
            ("hotel", "text", "Hotel Ribeira"),
            ("whom to call", "text", "Maria"),
            ("name of the dog", "text", None),
        ),
    ),
    (
        "The bakery on Mill Lane will close for two weeks from 3 March. The owner, Ada Brook, "
        "said that a new oven has been ordered from Leeds.",
        (
            ("street", "text", "Mill Lane"),
            ("owner", "text", "Ada Brook"),
            ("closing date", "text", "3 March"),
            ("phone number", "text", None),
        ),
    ),
    (
        "Order 4471: three blue shirts, size M, and one belt for Cem Aydin, 9 Hill Road, York. "
        "Total 86.50 pounds, paid by card.",
        (
            ("order number", "number", 4471),
            ("colour of the shirts", "text", "blue"),
            ("customer", "text", "Cem Aydin"),
            ("city", "text", "York"),
            ("total", "number", 86.5),
        ),
    ),
    (
        "Patient Lena Ortiz, 34 years old, was seen by Doctor Hale on Monday. Her temperature "
        "was 38.2 degrees. She is to take ibuprofen and come back in 7 days.",
        (
            ("patient", "text", "Lena Ortiz"),
            ("age", "number", 34),
            ("doctor", "text", "Hale"),
            ("temperature", "number", 38.2),
            ("medicine", "text", "ibuprofen"),
            ("days until the next visit", "number", 7),
        ),
    ),
    (
        "For sale: a red bicycle, five years old, in good condition. 120 euros. Pick it up in "
        "Lyon. Ask for Paul.",
        (
            ("colour", "text", "red"),
            ("price", "number", 120),
            ("city", "text", "Lyon"),
            ("seller", "text", "Paul"),
            ("brand", "text", None),
        ),
    ),
)

TEXTS = (
    *(text for text, _ in LETTERS),
    "Volcanoes form where melted rock rises to the surface of the Earth. When pressure builds up "
    "below, it may break through and throw out ash, gas and lava. Some volcanoes erupt every few "
    "years, others sleep for thousands of years. The ash can harm crops and stop planes from "
    "flying, but over time it makes the soil rich. Many people therefore live close to volcanoes "
    "in spite of the danger.",
    "The town council met on Tuesday to discuss the old bridge. Engineers had found cracks in two "
    "of its piers. A repair would cost four million and take a year; a new bridge would cost nine "
    "million. Shop owners fear that a closed bridge will keep customers away. The council will "
    "decide in April, after a public hearing in the town hall.",
)

PHRASES = (
    ("The shop is closed today.", "French", ("fermé", "magasin", "boutique", "aujourd")),
    ("Good morning, my friend.", "Spanish", ("buenos", "días", "amigo")),
    ("Where is the station?", "German", ("wo", "bahnhof", "ist")),
    ("I would like a cup of coffee.", "French", ("café", "tasse", "voudrais")),
    ("Thank you very much.", "Spanish", ("muchas", "gracias")),
    ("Guten Morgen, mein Freund.", "English", ("good", "morning", "friend")),
)


@pytest.fixture(scope="module")
def bo(smollm2: Model) -> Agent:
    tools = ["summarise", "translate", "sentiment", "extract_fields"]
    memory = Memory(":memory:", "Bo")
    return Agent(Persona(name="Bo", age=40), model=smollm2, memory=memory, tools=tools)


def test_sentiment(bo: Agent) -> None:
    """Of sentences never looked at while it was made (the even ones) at least .85 are told
    right; the odd ones were developed on."""
    names = {1: "positive", 0: "neutral", -1: "negative"}
    right = [
        run_tool(bo, "sentiment", {"text": text}, at=NINE).value["sentiment"] == names[tone]
        for tone, text in SENTENCES
    ]
    odd, even = right[::2], right[1::2]
    print(f"sentiment: odd {sum(odd)} of {len(odd)}, even {sum(even)} of {len(even)}")
    assert len(SENTENCES) >= 80
    assert sum(even) / len(even) >= 0.85


def test_fields(bo: Agent) -> None:
    """Every field is of its kind or null, and stands in the text; how many are right is
    reported."""
    right = total = 0
    for text, wanted in LETTERS:
        fields = {name: kind for name, kind, _ in wanted}
        found = run_tool(bo, "extract_fields", {"text": text, "fields": fields}, at=NINE).value
        assert list(found) == list(fields)
        for name, kind, value in wanted:
            given = found[name]
            assert given is None or isinstance(given, str if kind == "text" else int | float)
            assert given is None or kind == "number" or str(given).casefold() in text.casefold()
            same = given == value or (value is not None and str(value) in str(given))
            right, total = right + bool(same), total + 1
    print(f"fields: {right} of {total} right, all valid")
    assert right / total >= 0.3


@pytest.mark.parametrize("most", [12, 25, 40])
def test_summaries_are_never_longer_than_asked(bo: Agent, most: int) -> None:
    """No summary has more words than asked; which way it was made is reported."""
    made = []
    for text in TEXTS:
        found = run_tool(bo, "summarise", {"text": text, "max_words": most}, at=NINE).value
        assert 0 < len(found["summary"].split()) <= most
        made.append(found["made"])
    print(f"summaries of {most} words: {made.count('written')} written of {len(made)}")


def test_translation_as_it_is(bo: Agent) -> None:
    """What comes is text; how many translations hold a word of the right ones is reported."""
    hits = 0
    for text, to, words in PHRASES:
        found = run_tool(bo, "translate", {"text": text, "to": to}, at=NINE)
        assert found.ok
        assert found.value["text"]
        hits += any(word in found.value["text"].casefold() for word in words)
    print(f"translation: {hits} of {len(PHRASES)} hold a right word")
