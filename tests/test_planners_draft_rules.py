"""The rules that refuse drafts of a line: what each refuses, what it lets pass."""

from __future__ import annotations

import pytest
from denizens.core import Message
from denizens.planners.speech import (
    DRAFT_RULES,
    DraftContext,
    SecretTerms,
    Speaker,
    SpokenLine,
    invented_names,
    invented_numbers,
    is_farewell,
    is_question,
    is_secret,
    is_small_talk,
    refusal_rule,
    repeats_line,
    speech_messages,
    swapped_roles,
)
from hypothesis import given, settings
from hypothesis import strategies as st

NORA = Speaker(
    name="Nora Vale",
    facts=(
        "I am the baker of Larkspur.",
        "I learned to bake from my father.",
        "I am giving a lantern supper at the river landing today at 7pm.",
    ),
    scene="I am in the cafe, serving breakfast.",
    partner="Ines Calder",
    known=("Ines Calder is my best friend.",),
)
LINES = [
    SpokenLine("Good morning, Nora! The rye bread smells good today.", False),
    SpokenLine("Thank you, Ines. I was up early for it.", True),
    SpokenLine("You work too hard. Tobias Reed says so too.", False),
]
PROMPT = speech_messages(
    NORA,
    LINES,
    memories=("I quarrelled with Greta Holm about the price of honey.",),
    intent="My bread oven is cracked.",
)
CONTEXT = DraftContext.of_prompt(PROMPT, me="Nora Vale", others=("Ines Calder",))


def test_the_context_is_read_from_the_prompt() -> None:
    """Facts come from the system message and the notes; the lines are those that were said."""
    assert "I quarrelled with Greta Holm about the price of honey." in CONTEXT.facts
    assert "My bread oven is cracked." in CONTEXT.facts
    assert "Ines Calder is my best friend." in CONTEXT.facts
    assert CONTEXT.lines == tuple(line.text for line in LINES)
    assert CONTEXT.own_lines == ("Thank you, Ines. I was up early for it.",)
    opening = DraftContext.of_prompt(speech_messages(NORA, []), me="Nora Vale")
    assert (opening.lines, opening.own_lines) == ((), ())


@pytest.mark.parametrize(
    ("draft", "rule"),
    [
        ("I am not tired, Ines.", ""),
        ("Tobias worries too much. Did you sleep well?", ""),
        ("I quarrelled with Greta about the price of honey.", ""),
        ("My bread oven is cracked, and I do not know what to do.", ""),
        ("Will you come to the supper at 7?", ""),
        ("Oh no! That's a shame.", ""),
        ("Bread needs time.", ""),
        ("It's lovely here in Larkspur.", ""),
        ("I am Nora Vale, the baker.", ""),
        ("Yes, Ines, I know.", ""),
        ("The rye is", "breaks_off"),
        ("I was talking to the.", "breaks_off"),
        ("and then I baked it.", "breaks_off"),
        ("I want to say: my oven is cracked.", "echo"),
        ("[I remember: honey.]", "breaks_off"),
        ("You work too hard, Tobias Reed says so.", "repeat"),
        ("I love it, I love it.", "repeat"),
        ("I like the honey. I like the honey.", "repeat"),
        ("Nora is a baker.", "third_person_self"),
        ("That is for Nora Vale to say.", "third_person_self"),
        ("I want to invite Ines to the supper.", "partner_absent"),
        ("Ines Calder is my best friend.", "partner_absent"),
        ("Good morning, Tobias!", "wrong_address"),
        ("Tobias, how is the boat?", "wrong_address"),
        ("Thank you, Greta Holm.", "wrong_address"),
        ("Laser found the old bell.", "invented"),
        ("I met Martin at the mill.", "invented"),
        ("I have baked for 20 years.", "invented"),
        ("My husband likes rye.", "invented"),
        ("I have a dog who likes rye.", "invented"),
        ("You quarrelled with Greta about the price of honey.", "swapped"),
        ("Your oven is cracked.", "swapped"),
    ],
)
def test_a_draft_is_refused_by_its_rule(draft: str, rule: str) -> None:
    """Sensible lines pass; each kind of nonsense has the rule that names it."""
    assert refusal_rule(draft, CONTEXT) == rule


def test_a_speaker_is_no_listener() -> None:
    """Whoever addresses itself is refused: "Good morning, Nora!" is not said by Nora."""
    assert refusal_rule("Good evening, Nora!", CONTEXT) in ("third_person_self", "wrong_address")


def test_in_a_group_others_are_named() -> None:
    """Where "you" would be ambiguous a member may be spoken of by name."""
    three = DraftContext.of_prompt(PROMPT, me="Nora Vale", others=("Ines Calder", "Tobias Reed"))
    assert refusal_rule("I want to invite Ines to the supper.", three) == ""
    assert refusal_rule("Good morning, Tobias!", three) == ""


def test_who_shares_a_first_name_is_not_oneself() -> None:
    """Nora Vale may speak of Nora Lind's boat, and to her."""
    context = DraftContext(
        me="Nora Vale", others=("Nora Lind",), known="Nora Vale Nora Lind has a boat."
    )
    assert refusal_rule("Good morning, Nora!", context) == ""
    assert refusal_rule("Nora Vale bakes.", context) == "third_person_self"


def test_lines_of_earlier_talks_are_not_said_word_for_word() -> None:
    """A line of an earlier conversation is refused, one on the same subject is not."""
    context = DraftContext(me="Bo", earlier_lines=("I found an old bell in the river.",))
    assert refusal_rule("I found an old bell in the river!", context) == "repeat"
    assert refusal_rule("The bell was under the bridge.", context) == ""


def test_other_languages_have_names_of_their_own() -> None:
    """Capitals are read in English only: German nouns are no names."""
    assert refusal_rule("¡Qué bien huele el centeno!", CONTEXT) == ""
    assert refusal_rule("炉子很热，黑麦面包闻起来真香。", CONTEXT) == ""


WORDS = sorted({word for message in PROMPT for word in message.text.split() if word.isalpha()})


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12))
def test_nothing_of_the_prompt_is_invented(words: list[str]) -> None:
    """Whatever one says with words of the prompt, no name and no number of it is invented."""
    text = " ".join(words) + "."
    assert invented_names(text, CONTEXT.known) == []
    assert invented_numbers(text, CONTEXT.known) == []


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["Zorblax", "Quentin", "Wuppertal", "Xenia"]), st.sampled_from(WORDS))
def test_a_strange_name_is_found_anywhere(name: str, word: str) -> None:
    """A name that stands nowhere is found at the beginning, in the middle and at the end."""
    for text in (f"{name} is {word}.", f"The {word} of {name} is old.", f"I am with {name}."):
        assert name in invented_names(text, CONTEXT.known)


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=80))
def test_rules_read_any_text(text: str) -> None:
    """No text makes a rule fail, and the answer is a rule's name or empty."""
    assert refusal_rule(text, CONTEXT) in ("", *DRAFT_RULES)
    assert isinstance(is_farewell(text), bool)
    assert isinstance(is_question(text), bool)
    assert isinstance(is_secret(text), bool)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([*LINES, SpokenLine("See you at the cafe tonight, Ines.", True)]))
def test_a_line_repeats_itself(line: SpokenLine) -> None:
    """Every line repeats itself, whatever its marks."""
    assert repeats_line(line.text, [line.text])
    assert repeats_line(line.text.rstrip(".!") + "!", [line.text])


FACTS = ["I quarrelled with Greta Holm about the honey.", "Greta Holm saw the bell in the shed."]


@pytest.mark.parametrize(
    ("line", "swapped"),
    [
        ("I quarrelled with Greta about the honey.", []),
        ("You quarrelled with Greta about the honey!", ["quarrel"]),
        ("Did you quarrel with Greta about the honey?", []),
        ("Greta saw the bell in the shed.", []),
        ("I think you saw the bell in the shed.", ["saw"]),
        ("I saw a bell once.", []),
        ("We quarrelled with Greta about the honey.", []),
    ],
)
def test_who_did_what(line: str, swapped: list[str]) -> None:
    """Claims about another than the facts tell are found; questions and other claims are not."""
    assert swapped_roles(line, FACTS, [("Greta Holm", "greta"), ("Greta", "greta")]) == swapped


@pytest.mark.parametrize(
    ("line", "farewell", "question", "small"),
    [
        ("Goodbye, Nora!", True, False, False),
        ("I have to go now. See you tonight!", True, False, False),
        ("Did you see you left the oven on?", False, True, False),
        ("I'm fine, thanks. How about you?", False, True, True),
        ("How are you today, Nora?", False, True, True),
        ("How is your oven?", False, True, False),
        ("You should see the bell.", False, False, False),
    ],
)
def test_kinds_of_lines(line: str, farewell: bool, question: bool, small: bool) -> None:
    """Farewells, questions, and those questions that need no memory."""
    assert (is_farewell(line), is_question(line), is_small_talk(line)) == (
        farewell,
        question,
        small,
    )


def test_what_bears_on_a_secret_is_one() -> None:
    """Marked texts are secrets, so are others about the same; public things are none."""
    secrets = SecretTerms(
        ["Bo hides the silver bell in a locker. It is a secret.", "Bo bakes rye bread."],
        "Bo has a boat shed.",
    )
    assert secrets.concern("Bo found the silver bell in the river.")
    assert not secrets.concern("Bo bakes rye bread.")
    assert not secrets.concern("The silver bell hung here. Everybody knows the story.")
    assert not SecretTerms(["Bo bakes."]).concern("Bo found the silver bell.")


def test_a_message_of_notes_alone_has_no_line() -> None:
    """Square brackets at the beginning of a turn are not said by anybody."""
    notes = (Message.of("user", "[I meet Ada Ek.]", "[I want to say: I bake.]"),)
    context = DraftContext.of_prompt(notes, me="Bo")
    assert (context.lines, context.facts) == ((), ("I bake.",))


def test_asked_for_a_taste_one_may_have_any() -> None:
    """A habit that nobody wrote down is invented, unless somebody asked for it; a name always."""
    asked = DraftContext(me="Bo", others=("Ada",), lines=("What do you like to do for fun?",))
    told = DraftContext(me="Bo", others=("Ada",), lines=("The bread is fresh.",))
    assert refusal_rule("I play the flute in the evening.", asked) == ""
    assert refusal_rule("I play the flute in the evening.", told) == "invented"
    assert refusal_rule("I play the flute with Quentin.", asked) == "invented"
