"""Evidence: what a sentence about people may rest on, and what it may not say."""

from __future__ import annotations

import pytest
from denizens.planners.text import Evidence, SourceLine, content_terms, source_line, to_third_person
from hypothesis import given, settings
from hypothesis import strategies as st

INES, NORA = "Ines Calder", "Nora Vale"
TALK = [
    SourceLine("Good morning, Nora! How are you?", INES, NORA),
    SourceLine("I am fine. Do you have a dog?", NORA, INES),
    SourceLine(
        "Yes, his name is Rex. I quarrelled with Greta Holm about the price of honey. She raised "
        "the price.",
        INES,
        NORA,
    ),
    SourceLine("What do you do? I sell rye bread at the market.", NORA, INES),
    SourceLine(
        "A librarian. My sister bakes cakes in Leeds, and I don't like fish. I'd like a new boat. "
        "You owe me 3 loaves. I'm sorry you hate the winter. I love it.",
        INES,
        NORA,
    ),
]
EVIDENCE = Evidence(TALK, [INES, NORA], reader=NORA)


@pytest.mark.parametrize(
    "sentence",
    [
        "Ines Calder quarrelled with Greta Holm about the price of honey.",
        "Ines quarrelled with Greta.",
        "Greta Holm raised the price.",
        "Ines Calder said that Greta Holm raised the price.",
        "Ines Calder has a dog.",
        "Ines Calder has a dog named Rex.",
        "Ines Calder is a librarian.",
        "Ines Calder's sister bakes cakes in Leeds.",
        "Ines Calder has a sister.",
        "Ines Calder does not like fish.",
        "Ines Calder would like a new boat.",
        "Nora Vale owes Ines Calder three loaves.",
        "Nora Vale hates the winter.",
    ],
)
def test_what_was_told_is_supported(sentence: str) -> None:
    """Statements, answers to questions, and sentences that continue one, in other words of the
    same stems."""
    assert EVIDENCE.refusal(sentence) == ""


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("Nora Vale quarrelled with Greta Holm.", "who"),
        ("Greta Holm quarrelled with Ines Calder about the price.", "who"),
        ("Ines Calder raised the price of honey.", "who"),
        ("Ines Calder bakes cakes in Leeds.", "who"),
        ("Nora Vale has a dog.", "who"),
        ("Ines Calder owes Nora Vale three loaves.", "who"),
        ("Ines Calder hates the winter.", "who"),
        ("Ines Calder likes fish.", "negation"),
        ("Ines Calder has a new boat.", "mood"),
        ("Nora Vale owes Ines Calder 4 loaves.", "number"),
        ("Ines Calder quarrelled with Tobias Reed.", "name"),
        ("Greta Calder raised the price.", "name"),
        ("Ines Calder has a cat.", "word"),
        ("Ines Calder is a dog.", "who"),
        ("Ines Calder is a sister.", "who"),
        ("Nora Vale sells rye bread at the market.", "unsupported"),
        ("She has a dog.", "person"),
        ("I have a dog.", "person"),
        ("Ines Calder told you of a dog.", "person"),
        ("Does Ines Calder have a dog?", "form"),
        ("Ines Calder said something nice.", "empty"),
    ],
)
def test_what_was_not_told_is_refused(sentence: str, reason: str) -> None:
    """Roles swapped, no turned into yes, a wish into a fact, invented names, numbers and things,
    one's own lines, and what is no sentence in the third person."""
    assert EVIDENCE.refusal(sentence) == reason


def test_a_question_supports_nothing_unless_it_is_answered_with_yes() -> None:
    """ "Do you have a cat?" is no evidence of a cat, nor is an answer with no."""
    for answer, supported in (("Yes, I do.", True), ("No, I don't.", False), ("Why?", False)):
        lines = [SourceLine("Do you have a cat?", NORA, INES), SourceLine(answer, INES, NORA)]
        asked = Evidence(lines, [INES, NORA])
        assert (asked.refusal("Ines Calder has a cat.") == "") == supported, answer


def test_records_are_evidence_too() -> None:
    """The record of an utterance is read as a line, any other as a statement of nobody."""
    records = ['Ines Calder said to Nora Vale: "I lost the key."', "Felix Moor looks for the key."]
    evidence = Evidence([source_line(text) for text in records], [NORA])
    assert evidence.refusal("Ines Calder lost the key.") == ""
    assert evidence.refusal("Felix Moor looks for the key.") == ""
    assert evidence.refusal("Felix Moor lost the key.") == "who"


def test_allowed_words_need_no_evidence() -> None:
    """With a list of words that one may add, only the others are checked."""
    sentence = "Ines Calder is worried about the price of honey."
    assert EVIDENCE.refusal(sentence) == "word"
    lines = [SourceLine("I wonder about the price of honey.", INES, NORA)]
    allowed = content_terms("worried")
    assert Evidence(lines, [INES, NORA]).refusal(sentence, allowed=allowed) in ("", "mood")


def test_other_languages_are_checked_by_their_words() -> None:
    """Where clauses are not read, invented words are still refused."""
    evidence = Evidence([SourceLine("Mein Hund heißt Rex und mag den Fluss.", "Ines", "Nora")], [])
    assert evidence.refusal("Ines: Hund heißt Rex.") == ""
    assert evidence.refusal("Ines: Katze heißt Rex.") == "name"


NAMES = ("Ines Calder", "Nora Vale", "Greta Holm", "Felix Moor", "Tobias Reed")
VERBS = ("lost", "found", "painted", "repaired", "sold")
THINGS = ("the key", "a boat", "the bell", "two lanterns", "a letter")
STATEMENTS = st.tuples(st.sampled_from(NAMES), st.sampled_from(VERBS), st.sampled_from(THINGS))


@settings(max_examples=150, deadline=None)
@given(st.lists(STATEMENTS, min_size=1, max_size=6), STATEMENTS)
def test_a_claim_is_supported_if_and_only_if_it_was_told(
    told: list[tuple[str, str, str]], claim: tuple[str, str, str]
) -> None:
    """Whoever tells of themselves: the claim passes if the same person told the same deed."""
    lines = [SourceLine(f"I {verb} {thing}.", who, "Ada Ek") for who, verb, thing in told]
    evidence = Evidence(lines, [*NAMES, "Ada Ek"])
    refusal = evidence.refusal("{} {} {}.".format(*claim))
    assert (refusal == "") == (claim in told), refusal


@settings(max_examples=60, deadline=None)
@given(st.lists(STATEMENTS, min_size=1, max_size=4), st.text(max_size=80))
def test_no_text_breaks_the_checks(told: list[tuple[str, str, str]], text: str) -> None:
    """Any text is either supported or refused with one of the documented reasons."""
    evidence = Evidence([SourceLine(text, told[0][0], "Ada Ek")], [])
    reasons = ("", "form", "person", "name", "number", "word", "who", "negation", "mood")
    for claim in (text, " ".join(told[0]), f"{told[0][0]} {text}"):
        assert evidence.refusal(claim) in (*reasons, "unsupported", "empty")


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        ("I wasn't there.", "Bo Lind was not there."),
        ("I live here and work as a baker.", "Bo Lind lives here and works as a baker."),
        ("I like to bake and cook.", "Bo Lind likes to bake and cook."),
        ("I really love my garden.", "Bo Lind really loves their garden."),
        ("I sold it, so I'm rich.", "Bo Lind sold it, so Bo Lind is rich."),
        ("i am a baker.", "Bo Lind is a baker."),
    ],
)
def test_what_one_says_of_oneself_is_said_of_a_name(own: str, theirs: str) -> None:
    """Verbs, contractions and possessives follow the name."""
    assert to_third_person(own, "Bo Lind") == theirs
