"""What a chat knows of what is asked: questions, the sentences that answer them, the rules of
replies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from denizens.core import Persona, Record, Utterance, Vectors
from denizens.planners.dialogue.known_sentences import (
    KnownSentence,
    bears_on,
    content_stems,
    fit_sentences,
    known_answer,
)
from denizens.planners.dialogue.questions import asked_question, detail_of, fits_kind
from denizens.planners.dialogue.reply_rules import (
    ReplyBasis,
    claims_unknown,
    says_unknown,
    with_rules,
)
from denizens.planners.dialogue.reply_selection import ReplyContext
from denizens.planners.speech import DraftContext
from denizens.tests.support.planner_driver import AT
from hypothesis import given
from hypothesis import strategies as st

NORA = Persona(
    name="Nora Vale",
    age=38,
    background="Nora Vale is the baker of Larkspur. She learned to bake from her father.",
    lifestyle="Nora Vale wakes up around 6am, goes to bed around 10pm, and eats lunch around 1pm.",
    daily="Nora Vale bakes bread at 7am. She serves lunch at noon.",
    home="Larkspur:cottage",
    knows=("Larkspur:bakery",),
)
FACTS = (
    "Nora Vale has a secret. The bread oven is cracked and she cannot pay for a new one.",
    "Nora Vale is giving a lantern supper at the landing today at 7pm.",
    "Ines Calder is the best friend of Nora Vale. They have breakfast together.",
    "Tobias Reed was a friend of Nora Vale's father. Nora Vale trusts Tobias Reed.",
)


OVEN = "The bread oven is cracked"


def records(*texts: str) -> list[Record]:
    kinds = ["utterance" if " said to " in text else "thought" for text in texts]
    return [
        Record(id=n, kind=kind, text=text, created=AT)  # type: ignore[arg-type]
        for n, (kind, text) in enumerate(zip(kinds, texts, strict=True), 1)
    ]


def fitted(line: str, *before: Utterance, facts: Sequence[str] = FACTS) -> Sequence[KnownSentence]:
    """The sentences by fit, embedded by the stems that they share."""
    said = Utterance("Tobias Reed", line, AT)
    thought = fit_sentences(NORA, records(*facts), said, before)
    (ask,) = next(thought)
    stems = [content_stems(text) for text in ask.texts]  # type: ignore[union-attr]
    names = {stem: n for n, stem in enumerate(sorted(set().union(*stems)))}
    rows = np.zeros((len(stems), len(names) + 1), dtype=np.float32)
    for row, own in zip(rows, stems, strict=True):
        row[[names[stem] for stem in own] or [-1]] = 1
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    try:
        thought.send((Vectors.of(rows),))
    except StopIteration as end:
        return tuple(end.value)
    raise AssertionError("more was asked")


def answer(line: str, *before: Utterance, facts: Sequence[str] = FACTS) -> str:
    own = [said.text for said in before if said.who == NORA.name]
    known = fitted(line, *before, facts=facts)
    told = known_answer(NORA, known, asked_question(line), own, "Tobias Reed")
    return " ".join(sentence.text for sentence in told)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("Where is the mill?", "where"),
        ("When does it start?", "when"),
        ("Who wrote it?", "who"),
        ("Whose mill is it?", "whose"),
        ("How many lanterns are there?", "count"),
        ("How is my cat called?", "name"),
        ("What is in the letter?", "other"),
        ("Tell me about the mill.", "other"),
        ("Do you bake?", "yes_no"),
        ("How are you?", "talk"),
        ("What do you think about it?", "talk"),
        ("And you?", "talk"),
        ("Wie geht es?", "yes_no"),
    ],
)
def test_the_kind_of_answer_is_read_from_the_question(line: str, kind: str) -> None:
    """What a question asks for; only questions for facts can be answered by not knowing."""
    question = asked_question(f"Good day. {line}")
    assert question is not None
    assert (question.text, question.kind) == (line, kind)
    assert question.wants_fact == (kind not in ("talk", "yes_no"))
    assert asked_question("The mill is old.") is None


@given(st.text(max_size=60))
def test_any_line_is_read(line: str) -> None:
    """No line fails, and what is asked stands in it."""
    question = asked_question(line)
    assert question is None or question.text in line
    assert fits_kind(line, "when") in (True, False)
    assert isinstance(detail_of(line, "count"), str)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("What is your oven, cracked?", f"{OVEN}."),
        ("What is your secret?", f"I have a secret. {OVEN} and I cannot pay for a new one."),
        ("Who is your best friend?", "Ines Calder is my best friend."),
        ("Do you trust me?", "I trust you."),
        ("Who are you?", "I am Nora Vale."),
        ("What do you do for a living?", "I am the baker of Larkspur."),
        ("What do you do all day?", "I bake bread at 7am. I serve lunch at noon."),
        ("How old are you?", "I am 38 years old."),
        ("When do you get up?", "I wake up around 6am."),
        ("Where is the bakery?", "The bakery is in Larkspur."),
        ("How are you?", ""),
        ("Where is the harbour?", ""),
        ("Who is the mayor?", ""),
        ("I like your bread.", ""),
    ],
)  # fmt: skip
def test_persona_and_memory_answer(line: str, said: str) -> None:
    """The sentence that answers is told in the first person, and to its partner as "you"; what
    nobody wrote down is not answered."""
    assert answer(line) == said


def test_what_was_told_is_not_told_again() -> None:
    """A question that points back is answered by the rest of what was told; a why by its reason; a
    detail by the same sentence."""
    secret = Utterance("Nora Vale", "The bread oven is cracked and I cannot pay for a new one.", AT)
    assert answer("Why don't you buy a new oven?", secret) == "I cannot pay for a new one."
    supper = Utterance("Nora Vale", "I am giving a lantern supper at the landing today.", AT)
    assert "7pm" in answer("When does it start?", supper)


def test_what_others_said_is_known() -> None:
    """An utterance is known as a quotation, of a long one its sentences; a question that was heard
    is no knowledge, and a short greeting bears on nothing."""
    heard = 'Tobias Reed said to Nora Vale: "My cat is called Mimi."'
    assert answer("How is my cat called?", facts=(heard,)) == (
        'Tobias Reed said to me: "My cat is called Mimi."'
    )
    long = f'Tobias Reed said to Nora Vale: "{"Rye is a grass. " * 20}My cat is called Mimi."'
    assert "My cat is called Mimi." in answer("How is my cat called?", facts=(long,))
    asked = 'Cy Dunn said to Nora Vale: "How is the cat called?"'
    assert answer("How is my cat called?", facts=(asked,)) == ""
    both = 'Cy Dunn said to Nora Vale: "My cat is called Mimi. Do you like cats?"'
    assert answer("How is my cat called?", facts=(both,)) == (
        'Cy Dunn said to me: "My cat is called Mimi."'
    )
    greeting = fitted("Good morning!", facts=('Tobias Reed said to Nora Vale: "Good morning!"',))
    assert not any(bears_on(sentence) for sentence in greeting if sentence.is_quotation)


def ruled(line: str, basis: ReplyBasis, known: str = "I am the baker.") -> ReplyContext:
    context = ReplyContext(name="Nora Vale", person="Ada Ek", line=line)
    truths = DraftContext(
        me="Nora Vale", others=("Ada Ek",), facts=(known,), lines=(line,), known=f"{known} {line}"
    )
    return with_rules(context, basis, truths)


CRACKED = ReplyBasis(answer=f"{OVEN}.")
UNKNOWN = ReplyBasis(resolve="unknown")


@pytest.mark.parametrize(
    ("line", "basis", "draft", "rule"),
    [
        ("And the oven?", CRACKED, "It is cracked.", ""),
        ("And the oven?", CRACKED, "The oven is fine.", "untold"),
        ("And the oven?", CRACKED, "It is not cracked.", "denied"),
        ("And the oven?", CRACKED, "It cracked in the flood of last winter.", "ungrounded"),
        ("Why?", UNKNOWN, "I don't know.", ""),
        ("Why?", UNKNOWN, "I don't know, but it was a flood.", "unknown"),
        ("Why?", ReplyBasis(resolve="ask"), "As you say.", "ask"),
        ("Bye!", ReplyBasis(), "That is nice.", "farewell"),
        ("Bye!", ReplyBasis(), "See you soon!", ""),
        ("Good morning!", ReplyBasis(), "I am in.", "greeting"),
        ("I work.", ReplyBasis(), "I am a nurse in a hospital.", "claim"),
        ("I am tired of my journey.", ReplyBasis(), "You are tired of your journey.", "echo"),
    ],
)  # fmt: skip
def test_a_draft_must_tell_what_it_rests_on(
    line: str, basis: ReplyBasis, draft: str, rule: str
) -> None:
    """Drafts that leave out, deny or embroider the answer are refused, and others that claim what
    nobody knows, or do not do what a reply to such a line does."""
    assert ruled(line, basis, f"I am the baker. {OVEN}.").refusal(draft) == rule


def test_things_of_the_asker_stay_the_askers() -> None:
    """Asked about "my sister", nobody answers about a sister of their own; what the asker told of
    her is told again."""
    question = asked_question("What is my sister's name?")
    heard = 'Ada Ek said to me: "My sister Lena lives in Bremen."'
    context = ruled("What is my sister's name?", ReplyBasis(question=question, memories=(heard,)))
    assert context.refusal("My sister lives here.") == "swapped"
    assert context.candidates == ('You told me: "My sister Lena lives in Bremen."',)
    other = ReplyBasis(question=question, memories=('Bo Li said to me: "My sister is well."',))
    assert ruled("What is my sister's name?", other).candidates == ()


def test_offers_and_yes_or_no() -> None:
    """An offer is not offered back; yes or no is one sentence, or the fact after it."""
    offer = "Can I help you with the lanterns?"
    need = "I need somebody to hang the lanterns."
    basis = ReplyBasis(question=asked_question(offer), memories=(need,))
    context = ruled(offer, basis, need)
    assert context.refusal("I can help you with the lanterns.") == "swapped"
    assert context.candidates == (f"Yes, please. {need}",)
    assert context.most == 1
    like = ReplyBasis(question=asked_question("Do you like rye?"), answer="I like rye.")
    assert ruled("Do you like rye?", like).candidates == ("Yes, I like rye.",)
    hard = ReplyBasis(
        question=asked_question("Can you keep a secret?"), answer="I find it hard to keep a secret."
    )
    assert ruled("Can you keep a secret?", hard).candidates == (hard.answer,)


def test_other_languages_keep_their_drafts() -> None:
    """The rules read English; a reply in another language is refused by none of them."""
    basis = ReplyBasis(answer="Der Ofen ist kaputt.")
    assert ruled("Was ist mit dem Ofen und wie geht es dir?", basis).refusal("Das ist gut.") == ""
    assert says_unknown("I'm not sure about that.")
    assert not claims_unknown("I love it.", "I am a baker.")
