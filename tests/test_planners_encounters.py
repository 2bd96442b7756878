"""Meeting people: whether to talk, what is said, what stays of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from denizens.core import (
    Action,
    Affordance,
    AgentState,
    Answer,
    Ask,
    Choose,
    Event,
    Failed,
    Generate,
    Utterance,
)
from denizens.planners import Daily, StepBuilder
from denizens.planners.daily.encounters import choose_partner, converse
from denizens.planners.steps import remember_lines, transcript
from denizens.planners.text import repeats
from denizens.tests.support.encounter_situations import (
    HEAR,
    MEET,
    MEMORIES,
    NINE,
    SAY,
    SEES_ADA,
    Mind,
    situation,
    told,
)
from denizens.tests.support.planner_driver import run
from hypothesis import given, settings
from hypothesis import strategies as st

# -- whether to talk -------------------------------------------------------------------------


def test_somebody_noticed_may_be_talked_to() -> None:
    """A fresh face that the world lets one talk to: memories are recalled, talking is chosen."""
    draft = StepBuilder(situation(MEET, fresh=(SEES_ADA,)))
    mind = Mind({"react": "talk"})
    assert run(choose_partner(draft), mind) == "Ada Byron"
    (choice,) = [ask for ask in mind.asks if isinstance(ask, Choose)]
    assert "Ada Byron, who is reading" in choice.about
    assert "likes rye" in choice.about
    assert draft.build(Action("wait")).used == (1, 2, 3, 4)


def test_who_goes_on_does_not_ask_again_at_once() -> None:
    """Passing by leaves ten minutes of peace, and no memory is marked as used."""
    draft = StepBuilder(situation(MEET, fresh=(SEES_ADA,)))
    assert run(choose_partner(draft), Mind({"react": "continue"})) == ""
    assert draft.state.cooldowns == {"Ada Byron": NINE + timedelta(minutes=10)}
    assert draft.build(Action("wait")).used == ()


@pytest.mark.parametrize(
    ("can", "fresh", "until"),
    [
        (MEET, (SEES_ADA,), NINE + timedelta(minutes=1)),
        (MEET[:2], (SEES_ADA,), NINE),
        ((*MEET[:2], Affordance("join", "Ada Byron")), (SEES_ADA,), NINE),
        (MEET, (), NINE),
        (MEET, (replace(SEES_ADA, subject="Cy"),), NINE),
        (MEET, (replace(SEES_ADA, kind="object"),), NINE),
    ],
)
def test_some_are_not_talked_to(
    can: tuple[Affordance, ...], fresh: tuple[Event, ...], until: datetime
) -> None:
    """Cooling down, not offered, not noticed, a thing: then nothing is asked at all."""
    state = AgentState(cooldowns={"Ada Byron": until})
    mind = Mind()
    assert run(choose_partner(StepBuilder(situation(can, fresh=fresh, state=state))), mind) == ""
    assert mind.asks == []


@settings(max_examples=40, deadline=None)
@given(st.integers(-300, 300))
def test_a_cooldown_ends_at_its_minute(minutes: int) -> None:
    """One talks again from the very minute on, not before."""
    state = AgentState(cooldowns={"Ada Byron": NINE + timedelta(minutes=minutes)})
    draft = StepBuilder(situation(MEET, fresh=(SEES_ADA,), state=state))
    partner = run(choose_partner(draft), Mind({"react": "talk"}))
    assert partner == ("Ada Byron" if minutes <= 0 else "")


# -- in a talk -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("floor", "can", "verb"),
    [("Ada Byron", HEAR, "listen"), ("Bo Li", HEAR, "listen"), ("Ada Byron", SAY[:1], "wait")],
)
def test_without_the_floor_one_listens(floor: str, can: Sequence[Affordance], verb: str) -> None:
    """Not holding the floor one asks nothing and remembers what was said."""
    draft = StepBuilder(situation(can, talk=told("Good morning!", floor=floor)))
    mind = Mind()
    assert run(converse(draft, Daily()), mind) == Action(verb)
    assert mind.asks == []
    (heard,) = draft.build(Action("wait")).records
    assert (heard.who, heard.text) == ("Ada Byron", 'Ada Byron said to Bo Li: "Good morning!"')


def test_a_confidence_is_no_topic_with_others() -> None:
    """A thought that rests on a confidence of Cy's is not spoken of to Ada; one for her is."""
    for audience, topics in ((("Cy",), []), (("Ada Byron", "Cy"), ["topic"])):
        mind = Mind()
        mind.records = [replace(MEMORIES[1], text="Cy is ill.", audience=audience)]
        draft = StepBuilder(situation(SAY, talk=told("Good morning!")))
        assert run(converse(draft, Daily()), mind) is not None
        assert [role for role in mind.roles() if role == "topic"] == topics
        written = "".join(str(ask) for ask in mind.asks if isinstance(ask, Generate))
        assert ("ill" in written) == bool(topics)


def test_with_the_floor_one_says_the_best_line() -> None:
    """Several drafts are made side by side, the chosen one is said and remembered."""
    draft = StepBuilder(situation(SAY, talk=told("Good morning!")))
    mind = Mind({"line": "I have fresh rye.", "topic": 1}, "Hm, well, so.", "I have fresh rye.")
    action = run(converse(draft, Daily(candidates=2)), mind)
    assert action == Action("say", "", {"text": "I have fresh rye."})
    drafts = [ask for ask in mind.asks if isinstance(ask, Generate)]
    assert len(drafts) == 2
    assert drafts[0].seed != drafts[1].seed
    assert replace(drafts[0], seed=0) == replace(drafts[1], seed=0)
    heard, said = draft.build(Action("wait")).records
    assert heard.who == "Ada Byron"
    assert (said.who, said.text) == ("Bo Li", 'Bo Li said to Ada Byron: "I have fresh rye."')


@pytest.mark.parametrize(("lines", "asked"), [(3, False), (4, True)])
def test_taking_leave_is_thought_of_after_some_lines(lines: int, asked: bool) -> None:
    """Before min_lines nobody asks whether to go on; from then on each line does."""
    talk = told(*(f"This is line number {n}." for n in range(lines)))
    mind = Mind({"go_on": "take leave"})
    action = run(converse(StepBuilder(situation(SAY, talk=talk)), Daily()), mind)
    assert ("go_on" in mind.roles()) is asked
    assert isinstance(action, Action)
    assert action.verb == ("leave" if asked else "say")


def test_a_talk_ends_at_its_longest() -> None:
    """At max_lines one leaves, however nice it is."""
    talk = told(*(f"This is line number {n}." for n in range(6)))
    for most, least, verb in ((6, 4, "leave"), (6, 8, "leave"), (7, 4, "say")):
        mind = Mind({"go_on": "none of these"})
        rules = Daily(max_lines=most, min_lines=least)
        action = run(converse(StepBuilder(situation(SAY, talk=talk)), rules), mind)
        assert isinstance(action, Action)
        assert action.verb == verb
        assert bool(mind.asks) == (verb == "say"), "at the end there is nothing to ask"


def test_a_talk_may_end_before_it_began() -> None:
    """min_lines 0 is a setting like any: with no line said yet, one speaks."""
    action = run(converse(StepBuilder(situation(SAY, talk=told())), Daily(min_lines=0)), Mind())
    assert isinstance(action, Action)
    assert action.verb == "say"


@pytest.mark.parametrize(("lines", "verb"), [(0, "wait"), (1, "wait"), (3, "wait"), (4, "leave")])
@pytest.mark.parametrize("text", ["…", "This is line number 0."])
def test_who_has_nothing_new_to_say_is_silent_and_later_leaves(
    lines: int, verb: str, text: str
) -> None:
    """When no draft is a line, or each repeats one, none is made up: before min_lines one is
    silent, from then on one leaves."""
    talk = told(*(f"This is line number {n}." for n in range(lines)))
    if not lines:
        text = "…"
    draft = StepBuilder(situation(SAY, talk=talk))
    assert run(converse(draft, Daily()), Mind({"go_on": "none of these"}, text)) == Action(verb)
    assert not [one for one in draft.build(Action("wait")).records if one.who == "Bo Li"]


LINES = st.lists(
    st.sampled_from(
        [
            'Bo: "The rye is good! I like it. Yes',
            "Bo Li:  What a day.  Is it not?  ",
            "The river, the river.\nBo Li: again",
            '"Good morning!"',
            "*smiles*",
            "",
            "…",
            "well well",
            "Mr. Byron asked for 3.5 loaves today. Good.",
        ]
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(LINES, st.lists(st.sampled_from(["The rye is good!", "Hello there.", "So."]), max_size=6))
def test_every_line_said_was_made_by_the_model(drafts: list[str], before: list[str]) -> None:
    """A said line stands, but for blanks, in one completion; it repeats nothing; else none."""
    mind = Mind({}, *drafts)
    draft = StepBuilder(situation(SAY, talk=told(*before)))
    action = run(converse(draft, Daily(candidates=len(drafts))), mind)
    assert isinstance(action, Action)
    if action.verb != "say":
        assert action.verb == ("leave" if len(before) >= 4 else "wait")
        return
    said = action.fields["text"]
    assert any(said in " ".join(text.split()) for text in mind.said)
    assert not repeats(said, before)
    assert "\n" not in said
    assert not said.startswith("Bo")


def test_a_failed_engine_says_nothing() -> None:
    """Without answers no line is invented: one is silent, and leaves when one may."""

    class Broken(Mind):
        def answer(self, ask: Ask) -> Answer:
            return Failed(reason="engine", detail="no")

    for lines, verb in ((1, "wait"), (4, "leave")):
        draft = StepBuilder(situation(SAY, talk=told(*(f"Line {n}." for n in range(lines)))))
        assert run(converse(draft, Daily()), Broken()) == Action(verb)


# -- hearing and remembering -----------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 6), st.integers(0, 6))
def test_each_line_of_others_is_heard_once(lines: int, heard: int) -> None:
    """Only lines since one last listened, only those of others, and the place is kept."""
    heard = min(heard, lines)
    talk = told(*(f"This is line number {n}." for n in range(lines)))
    draft = StepBuilder(situation(HEAR, talk=talk, state=AgentState(talk_seen=heard)))
    remember_lines(draft, talk)
    made = draft.build(Action("wait"))
    wanted = [f'Ada Byron said to Bo Li: "This is line number {n}."' for n in range(heard, lines)]
    assert [one.text for one in made.records] == [
        text for n, text in enumerate(wanted, heard) if n % 2 == 0
    ]
    assert made.state.talk_seen == lines


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        ("Ada: The oven is warm today.", "The oven is warm today."),
        ("Ada Byron said: The oven is warm.", "The oven is warm."),
        ("Good morning to you. Ada: Good morning!", "Good morning to you."),
        ("炉子很热，黑麦面包闻起来真香。", "炉子很热，黑麦面包闻起来真香。"),
        ("¡Qué bien huele el centeno!", "¡Qué bien huele el centeno!"),
    ],
)
def test_a_line_is_said_by_who_has_the_floor(draft: str, said: str) -> None:
    """Whatever name a draft begins with, the line is the speaker's, in any language."""
    given = StepBuilder(situation(SAY, talk=told("Well?")))
    action = run(converse(given, Daily()), Mind({}, draft))
    assert action == Action("say", "", {"text": said})
    assert f'Bo Li said to Ada Byron: "{said}"' in [one.text for one in given.build(action).records]


def test_two_of_one_first_name_keep_their_whole_names() -> None:
    """In a talk of two people of one first name a prompt shows whole names, else the first ones;
    a very long line is cut."""
    lines = (Utterance("Bo Ek", "Hello.", NINE), Utterance("Ada Byron", "Rye. " * 500, NINE))
    assert transcript(lines, ("Bo Li", "Bo Ek", "Ada Byron"))[0] == "Bo Ek: Hello."
    shown = transcript(lines, ("Cy", "Bo Ek", "Ada Byron"))
    assert shown[0] == "Bo: Hello."
    assert shown[1].startswith("Ada: Rye.")
    assert len(shown[1]) < 700
