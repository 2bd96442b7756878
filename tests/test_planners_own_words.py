"""Texts about an agent in its own words: names and the pronouns that mean it."""

from __future__ import annotations

import pytest
from denizens.planners.text import own_words
from hypothesis import given
from hypothesis import strategies as st

NORA = "Nora Vale"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Nora Vale has a secret. The bread oven is cracked and she cannot pay for a new one.",
            "I have a secret. The bread oven is cracked and I cannot pay for a new one.",
        ),
        (
            "Nora Vale owns the bakery. She learned from her father.",
            "I own the bakery. I learned from my father.",
        ),
        (
            "Ines Calder is the best friend of Nora Vale. They have breakfast.",
            "Ines Calder is my best friend. We have breakfast.",
        ),
        (
            "Nora Vale has noticed that Tobias Reed locks the shed. She wonders what he hides.",
            "I have noticed that Tobias Reed locks the shed. I wonder what he hides.",
        ),
        (
            "Nora Vale has a letter. The letter offers her a new job.",
            "I have a letter. The letter offers me a new job.",
        ),
        (
            "Nora Vale wakes up at 6am, goes to bed at 10pm, and eats lunch.",
            "I wake up at 6am, go to bed at 10pm, and eat lunch.",
        ),
        ("Nora Vale and the children have painted.", "The children and I have painted."),
        ("Nora Vale works. She also wants to sleep.", "I work. I also want to sleep."),
    ],
)
def test_pronouns_that_mean_the_speaker_follow(text: str, said: str) -> None:
    """A text of several sentences is told in the first person throughout."""
    assert own_words(text, NORA) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Nora Vale worries about Ida Lo because she works.",
            "I worry about Ida Lo because she works.",
        ),
        ("Nora Vale's father was a baker. He died.", "My father was a baker. He died."),
        ("Nora Vale had a good father. He was kind.", "I had a good father. He was kind."),
        ("The king was old. He slept.", "The king was old. He slept."),
        ("Greta Holm was here. She saw Nora Vale.", "Greta Holm was here. She saw me."),
        (
            "Nora Vale wants Felix Moor to say that he loves her.",
            "I want Felix Moor to say that he loves her.",
        ),
        ('Ada Ek said to Nora Vale: "She is kind."', 'Ada Ek said to me: "She is kind."'),
        ("Nora Vale ist müde und sie schläft.", "Nora Vale ist müde und sie schläft."),
    ],
)
def test_pronouns_of_others_stay(text: str, said: str) -> None:
    """Who else may be meant is not made the speaker; quotations and other languages stay."""
    assert own_words(text, NORA) == said


@given(st.text(alphabet="NoraVle hsi.,'\"?!\n", max_size=60))
def test_any_text_is_taken(text: str) -> None:
    """No text fails, and a text without the name and pronouns stays."""
    said = own_words(text, NORA)
    if "Nora" not in text and "Vale" not in text:
        assert own_words(said, NORA) == said
