"""Speech: memories as their owner says them, lines cleaned of what is none, none twice."""

from __future__ import annotations

import re

import pytest
from denizens.planners.speech import as_speech, clean_line, repeats
from hypothesis import given, settings
from hypothesis import strategies as st

BO, ADA = "Bo Li", "Ada Ek"
NAMES = [BO, ADA, "Bo", "Ada"]
OTHERS = ["is", "has", "likes", "always", "that", "bread", "the", "with", "Cy", "goes.", "his,"]


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text)


@pytest.mark.parametrize(
    ("memory", "speech"),
    [
        ("Bo Li is giving a supper.", "I am giving a supper."),
        ("Bo Li has a secret. Bo's oven is cracked.", "I have a secret. My oven is cracked."),
        ("Bo Li goes out, Bo carries and pushes it", "I go out, I carry and pushes it"),
        ("Bo tries, Bo lies, Bo passes.", "I try, I lie, I pass."),
        ("Bo Li doesn't sleep because Bo was ill", "I don't sleep because I was ill"),
        ("Bo always wakes up when Bo hears it", "I always wake up when I hear it"),
        ("Bo Li baked and will bake.", "I baked and will bake."),
        ("Ada Ek is kind. Ada Ek has a cat.", "You are kind. You have a cat."),
        ("Ada Ek likes rye and Ada was ill.", "You like rye and you were ill."),
        ("Bo understands that Ada Ek is sad.", "I understand that you are sad."),
        ("Bo thinks Ada was sad.", "I think you were sad."),
        ("Cy knows Bo Li. Cy knows Ada.", "Cy knows me. Cy knows you."),
        ("Cy sees Bo with Ada's cat.", "Cy sees me with your cat."),
        ("The friend of Bo Li likes rye.", "The friend of me likes rye."),
        ("Bob and Adam like boats", "Bob and Adam like boats"),
        ("It rains.", "It rains."),
        ("", ""),
    ],
)
def test_a_memory_is_told_by_its_owner(memory: str, speech: str) -> None:
    """The owner is I, me and my, the hearer you and your; the verbs after them agree."""
    assert as_speech(memory, BO, ADA) == speech


def test_names_in_s_own_things_too() -> None:
    """An apostrophe after a name in s, straight or curved, shows an owner; a quotation does not."""
    said = as_speech("Ines' bread is on Tobias’ table, Ines’s cat.", "Tobias Reed", "Ines Calder")
    assert said == "Your bread is on my table, your cat."
    assert as_speech("'Good day, Tobias'", "Tobias Reed") == "'Good day, me'"


def test_two_of_one_first_name_are_told_apart() -> None:
    """Whole names go before first names."""
    assert as_speech("Bo Li likes Bo Ek.", "Bo Li", "Bo Ek") == "I like you."


def test_to_nobody_in_particular_the_hearer_keeps_a_name() -> None:
    """Without a hearer only the owner's name changes."""
    assert as_speech("Bo Li likes Ada Ek's bread.", BO) == "I like Ada Ek's bread."


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from("boadlieky's is has was you me. !?,\nBA"), max_size=60))
def test_without_the_names_nothing_changes_but_capitals(text: str) -> None:
    """A text that names neither stays as it is, but for capitals where a sentence begins."""
    text = re.sub(r"\b(?:Bo|Ada)\b", "Cy", text)
    said = as_speech(text, BO, ADA)
    assert said.lower() == text.lower()
    assert all(
        new == old or (old.islower() and new == old.upper() and (i == 0 or text[i - 1] == " "))
        for i, (old, new) in enumerate(zip(text, said, strict=True))
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(NAMES + OTHERS), max_size=14))
def test_only_names_and_the_verbs_after_them_change(words: list[str]) -> None:
    """Each name becomes one word of its person; no other word changes that follows no name."""
    said = as_speech(" ".join(words), BO, ADA).split()
    assert len(said) == len(words)
    for place, (old, new) in enumerate(zip(words, said, strict=True)):
        before = words[max(0, place - 2) : place]
        if old in NAMES:
            assert new.lower() in (("i", "me") if old.startswith("Bo") else ("you",))
        elif before[-1:] != ["always"] and not set(before[-1:]) & set(NAMES):
            assert new.lower() == old.lower()
    assert as_speech(" ".join(said), BO, ADA) == " ".join(said)


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
