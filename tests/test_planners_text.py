"""Speech: memories as their owner says them, lines cleaned of what is none, none twice."""

from __future__ import annotations

import re
import time

import pytest
from denizens.planners.text import (
    clean_line,
    excerpt,
    finished_sentences,
    first_spoken_line,
    repeats,
    to_first_person,
)
from hypothesis import assume, given, settings
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
    assert to_first_person(memory, BO, ADA) == speech


def test_names_in_s_own_things_too() -> None:
    """An apostrophe after a name in s, straight or curved, shows an owner; a quotation does not."""
    said = to_first_person(
        "Ines' bread is on Tobias’ table, Ines’s cat.", "Tobias Reed", "Ines Calder"
    )
    assert said == "Your bread is on my table, your cat."
    assert to_first_person("'Good day, Tobias'", "Tobias Reed") == "'Good day, Tobias'"


def test_two_of_one_first_name_are_told_apart() -> None:
    """Whole names go before first names."""
    assert to_first_person("Bo Li likes Bo Ek.", "Bo Li", "Bo Ek") == "I like you."


def test_to_nobody_in_particular_the_hearer_keeps_a_name() -> None:
    """Without a hearer only the owner's name changes."""
    assert to_first_person("Bo Li likes Ada Ek's bread.", BO) == "I like Ada Ek's bread."


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from("boadlieky's is has was you me. !?,\nBA"), max_size=60))
def test_without_the_names_nothing_changes_but_capitals(text: str) -> None:
    """A text that names neither stays as it is, but for capitals where a sentence begins."""
    text = re.sub(r"\b(?:Bo|Ada)\b", "Cy", text)
    said = to_first_person(text, BO, ADA)
    assert said.lower() == text.lower()
    assert all(
        new == old or (old.islower() and new == old.upper() and (i == 0 or text[i - 1] == " "))
        for i, (old, new) in enumerate(zip(text, said, strict=True))
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(NAMES + OTHERS), max_size=14))
def test_only_names_and_the_verbs_after_them_change(words: list[str]) -> None:
    """Each name becomes one word of its person; no other word changes that follows no name."""
    text = " ".join(words)
    # A first name beside another name is part of a longer one.
    assume(not re.search(r"\b(?:Bo|Ada) (?!(?:Li|Ek)\b)[A-Z]|[A-Z]\w* (?:Bo|Ada)\b", text))
    said = to_first_person(text, BO, ADA).split()
    assert len(said) == len(words)
    for place, (old, new) in enumerate(zip(words, said, strict=True)):
        before = words[max(0, place - 2) : place]
        if old in NAMES:
            assert new.lower() in (("i", "me") if old.startswith("Bo") else ("you",))
        elif before[-1:] != ["always"] and not set(before[-1:]) & set(NAMES):
            assert new.lower() == old.lower()
    assert to_first_person(" ".join(said), BO, ADA) == " ".join(said)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet='Bo :"“*.!?…\nab', max_size=40))
def test_a_clean_line_is_speech(text: str) -> None:
    """One line, trimmed, without quotes around it, of two words or more; cleaning again is idle."""
    line = clean_line(text, "Bo Li")
    assert line == line.strip(" *")
    assert line.count('"') % 2 == 0
    assert line.count("“") == line.count("”")
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
        ('Bo: "Bo: Good day to you."', "Good day to you."),
        ('"The loaf called "Ada" is gone."', 'The loaf called "Ada" is gone.'),
        ('"The loaf called "Ada" is gone.', 'The loaf called "Ada" is gone.'),
        ('Try the "rye"', 'Try the "rye"'),
        ("good morning, ada! how are you?", "good morning, ada! how are you?"),
        ("with the bread of the bakery.", ""),
        ("baker who lives in Larkspur.", ""),
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


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("今天下雨了。我在家。你呢？", "今天下雨了。我在家。"),
        ("「おはよう、エダ！」", "おはよう、エダ！"),
        ("¡Qué bien huele! ¿Es centeno? Sí.", "¡Qué bien huele! ¿Es centeno?"),
        ("كيف حالك؟ أنا بخير", "كيف حالك؟"),
        ("आज रोटी गरम है। और", "आज रोटी गरम है।"),
        ("วันนี้ขนมปังอร่อยมาก", "วันนี้ขนมปังอร่อยมาก"),
        ("오늘 빵은 어때요? 좋아요.", "오늘 빵은 어때요? 좋아요."),
        ("Пойдём на мельницу", "Пойдём на мельницу"),
        ("Τι κάνεις σήμερα;", "Τι κάνεις σήμερα;"),
        ("李波：面包好了。", "面包好了。"),
        ("面包，", ""),
        ("嗯。", ""),
    ],
)
def test_a_line_may_be_in_any_language(text: str, line: str) -> None:
    """Sentences end by the marks of their script, capitals are no condition, and two characters
    are words enough where a script has no blanks."""
    assert clean_line(text, "李波") == line
    assert clean_line(line, "李波") == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Ada Ek: Good morning, Bo!", "Good morning, Bo!"),
        ("**Ada:** The oven is warm.", "The oven is warm."),
        ("ADA said: The oven is warm.", "The oven is warm."),
        ("Come in now. Ada: Thank you.", "Come in now."),
        ("User: Is it open?", "Is it open?"),
        ("Adam: Good morning, Bo!", "Adam: Good morning, Bo!"),
        ("I told Ada to come.", "I told Ada to come."),
    ],
)
def test_who_says_a_line_is_settled_before(text: str, line: str) -> None:
    """The name of another member before a line goes, and so does what another would say next; a
    name that is mentioned, or of nobody there, is a word as any."""
    assert clean_line(text, BO, [ADA]) == line


@pytest.mark.parametrize(
    ("memory", "me", "speech"),
    [
        ("In May the mill is closed.", "May Ek", "In May the mill is closed."),
        ("May Ek was born in May. May likes rye.", "May Ek", "I was born in May. I like rye."),
        ("Will it rain? Ada asked Will.", "Will Ek", "Will it rain? Ada asked me."),
        ("Rose petals fell. Rose's cat is old.", "Rose Ek", "Rose petals fell. My cat is old."),
        ("Bo Ek and Cy bake. Bo is ill.", BO, "Bo Ek and Cy bake. Bo is ill."),
        ("Old Mary Bo sings for Bo Li.", BO, "Old Mary Bo sings for me."),
        ("Ada read Modern Art to Art Ek.", "Art Ek", "Ada read Modern Art to me."),
        ("The mill belongs to The Miller.", "The Miller", "The mill belongs to me."),
        ('Ada knows "Bo is ill" of Bo.', BO, 'Ada knows "Bo is ill" of me.'),
        ("Bo Li hornea el pan para la fiesta.", BO, "Bo Li hornea el pan para la fiesta."),
        ("李波在烤面包。", "李波", "李波在烤面包。"),
        ("Bo knows Bo Li.", "Bo", "Bo knows Bo Li."),
        ("Ada thinks Bo was ill.", BO, "Ada thinks I was ill."),
    ],
)
def test_only_the_owner_s_own_name_is_turned(memory: str, me: str, speech: str) -> None:
    """Months, words, other people of that first name, quotations and texts in other languages
    stay as they are."""
    assert to_first_person(memory, me) == speech


def test_in_a_record_of_speech_names_are_whole() -> None:
    """Bo is not Bo Li, whatever he said; what was said stays word for word."""
    assert (
        to_first_person('Bo said to Bo Li: "Bo Li is late."', BO)
        == 'Bo said to me: "Bo Li is late."'
    )
    told = to_first_person('Bo Li said to Ada Ek and Cy: "Ask Ada Ek."', BO, ADA)
    assert told == 'I said to you and Cy: "Ask Ada Ek."'


def test_hostile_texts_take_no_time() -> None:
    """Marks that never close, and names by the thousand, are read in one go."""
    began = time.perf_counter()
    for text in (
        "'a " * 8_000,
        "«" * 20_000,
        "Bo " * 8_000,
        "Bo Li said to " * 2_000,
        "a" * 50_000,
    ):
        to_first_person(text, BO, ADA)
        clean_line(text, BO, [ADA])
        excerpt(text, "bread", 400)
    assert time.perf_counter() - began < 5


def test_repeats_are_found_in_scripts_without_blanks() -> None:
    """A line in Chinese that says the same again is found; another one is not."""
    assert repeats("今天的面包怎么样？", ["早上好！今天的面包怎么样？"])
    assert not repeats("炉子很热。", ["早上好！今天的面包怎么样？"])


def test_an_excerpt_holds_what_is_asked_about() -> None:
    """A long text keeps its beginning and what shares words with the question, in its order, with
    marks of what is left out; a short one stays whole."""
    essay = (
        "My essay on grass. " + "Rye is a grass. " * 200 + "My cat is Tama. " + "Oats too. " * 50
    )
    assert excerpt(essay, "How is my cat called?", 200).startswith("My essay on grass.")
    assert "My cat is Tama." in excerpt(essay, "How is my cat called?", 200)
    assert len(excerpt(essay, "How is my cat called?", 200)) <= 230
    assert excerpt("Rye.", "cat", 200) == "Rye."
    assert len(excerpt("草" * 9_000, "草", 200)) <= 230


def test_a_sentence_after_a_quotation_begins_anew() -> None:
    """A name after a closed quotation is the subject of its sentence."""
    said = to_first_person('Mark Ek wrote: "Mark my words." Mark Ek left.', "Mark Ek")
    assert said == 'I wrote: "Mark my words." I left.'


def test_sentences_of_a_text_that_never_ends_are_linear() -> None:
    """A megabyte without a full stop, or of nothing else, is read in well under a second."""
    begun = time.perf_counter()
    assert finished_sentences("rye bread " * 100_000) == []
    assert finished_sentences("Hm" + "." * 1_000_000) == ["Hm" + "." * 1_000_000]
    assert time.perf_counter() - begun < 2
    assert finished_sentences("Yes!) ... Well.") == ["Yes!) ...", "Well."]


@pytest.mark.parametrize(
    ("memory", "me", "speech"),
    [
        ("Paris Ek lives in Paris.", "Paris Ek", "I live in Paris."),
        ("Jordan Ek flew to Jordan.", "Jordan Ek", "I flew to Jordan."),
        ("Sunday Ek rests on Sunday.", "Sunday Ek", "I rest on Sunday."),
        ("Cy trusts in Paris and went to Paris.", "Paris Ek", "Cy trusts in me and went to me."),
    ],
)
def test_places_and_days_are_no_people(memory: str, me: str, speech: str) -> None:
    """A first name that is a place or a day stays where only such a thing can stand."""
    assert to_first_person(memory, me) == speech


def test_a_name_addressed_is_no_speaker() -> None:
    """A name and a colon within a sentence end no line; after a sentence they do."""
    assert (
        first_spoken_line("I asked Will: will you?", "Bo Li", ["Will Ek"])
        == "I asked Will: will you?"
    )
    assert first_spoken_line("Remember, Ada: we go.", "Bo Li", [ADA]) == "Remember, Ada: we go."
    assert first_spoken_line("We go. Ada: Fine.", "Bo Li", [ADA]) == "We go."


def test_an_excerpt_of_nothing_but_marks() -> None:
    """A long text without a word is cut, not an error."""
    assert excerpt("." * 9_000, "bread", 20) == "." * 20 + " …"
