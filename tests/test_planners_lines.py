"""Lines of speech: cleaned of what is no speech, and never said twice."""

from __future__ import annotations

import re

import pytest
from denizens.planners.meeting import clean_line, repeats
from hypothesis import given, settings
from hypothesis import strategies as st


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet='Bo :"“*.!?…\nab', max_size=40))
def test_a_clean_line_is_speech(text: str) -> None:
    """One line, trimmed, without quotes around it, of two words or more; cleaning again is idle."""
    line = clean_line(text, "Bo Li")
    assert line == line.strip(' "“”*')
    assert "\n" not in line
    assert line == "" or len(words_of(line)) >= 2
    assert set(words_of(line)) <= set(words_of(text))
    assert len(line) <= len(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Bo Li: Good morning!", "Good morning!"),
        ("Bo : Good morning!", "Good morning!"),
        ("Bob: Good morning!", "Bob: Good morning!"),
        ("One here. Two here. Three here.", "One here. Two here."),
        ("It costs 3.50 today, and I", "It costs 3.50 today, and I"),
        ("Hello there\nAda: Hello!", "Hello there"),
        ("Hm.", ""),
    ],
)
def test_a_line_is_cleaned(text: str, line: str) -> None:
    """Names in front go, at most two sentences stay, an unfinished one only alone."""
    assert clean_line(text, "Bo Li") == line


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="abc d", max_size=20), st.lists(st.text(alphabet="abc d", max_size=12)))
def test_a_line_repeats_itself(text: str, lines: list[str]) -> None:
    """Any line of words repeats itself, in capitals too, and nothing repeats silence."""
    if words_of(text):
        assert repeats(text.upper() + "!", [*lines, text])
    assert not repeats(text, [])
    assert not repeats("", lines)
    assert repeats(text, lines) == any(repeats(text, [line]) for line in lines)
