"""Meeting people: whether to talk, what is said, what stays of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from denizens.core import (
    DEFAULT_VOICE,
    NEXT_LINE_ROLE,
    NONE_OF_THESE,
    Action,
    Affordance,
    AgentState,
    Answer,
    Ask,
    Choose,
    Event,
    Failed,
    Generate,
    Message,
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


SILENT = {"wait": Action("wait"), "leave": Action("say", "", {"text": "Goodbye, Ada!"})}
GREETED = ("Good morning!", "Good morning, Ada.", "It is warm.")


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
        state = AgentState(records=4, drafts={"topics": [0]})
        draft = StepBuilder(situation(SAY, talk=told(*GREETED), state=state))
        assert run(converse(draft, Daily()), mind) is not None
        assert [role for role in mind.roles() if role == "topic"] == topics
        written = "".join(str(ask) for ask in mind.asks if isinstance(ask, Generate))
        assert ("ill" in written) == bool(topics)


def test_with_the_floor_one_says_the_best_line() -> None:
    """Several drafts of one prompt are written side by side with the persona's voice; the critic's
    choice among them is said, remembered and explained."""
    draft = StepBuilder(situation(SAY, talk=told(*GREETED)))
    mind = Mind(
        {NEXT_LINE_ROLE: "You know, I want to sell rye. I have fresh rye."},
        "Hm, well, so.",
        "I have fresh rye.",
    )
    action = run(converse(draft, Daily(drafts=2)), mind)
    assert action == Action("say", "", {"text": "You know, I want to sell rye. I have fresh rye."})
    first, second = [ask for ask in mind.asks if isinstance(ask, Generate)]
    assert first.seed != second.seed
    opened = (*first.messages, Message.of("assistant", "You know, I want to sell rye."))
    assert replace(first, messages=opened, seed=second.seed) == second
    (critic,) = [a for a in mind.asks if isinstance(a, Choose) and a.role == NEXT_LINE_ROLE]
    assert {first.voice, critic.voice} == {DEFAULT_VOICE}
    assert critic.messages == first.messages
    assert critic.options[-1] == NONE_OF_THESE
    made = draft.build(Action("wait"))
    assert "(2 drafts; chosen at 1.00)" in made.why
    *_, said = made.records
    text = 'Bo Li said to Ada Byron: "You know, I want to sell rye. I have fresh rye."'
    assert (said.who, said.text) == ("Bo Li", text)


ASKED = ("Good morning!", "Good morning, Ada.", "What do you sell?")


def test_a_line_that_a_rule_refuses_is_not_judged() -> None:
    """Refused drafts stand with their rules in the explanation; the critic sees the others."""
    draft = StepBuilder(situation(SAY, talk=told(*ASKED)))
    mind = Mind({}, "Bo sells rye.", "I met Quentin.", "I have fresh rye.", "I like Ada.")
    action = run(converse(draft, Daily()), mind)
    assert action == Action("say", "", {"text": "I have fresh rye."})
    (critic,) = [a for a in mind.asks if isinstance(a, Choose) and a.role == NEXT_LINE_ROLE]
    assert [option.name for option in critic.options[:-1]] == ["I have fresh rye."]
    why = draft.build(Action("wait")).why
    assert "refused: 1 invented, 1 partner_absent, 1 third_person_self" in why


@pytest.mark.parametrize(("lines", "verb"), [(3, "wait"), (5, "leave")])
def test_no_line_is_better_than_a_bad_one(lines: int, verb: str) -> None:
    """If the critic thinks none of the drafts a line, as many more are written, once; then one is
    silent, or says goodbye if that is decent."""
    talk = told(*(*GREETED, "I am here.", "Well, well.")[:lines])
    draft = StepBuilder(situation(SAY, talk=talk))
    mind = Mind(
        {NEXT_LINE_ROLE: NONE_OF_THESE.name}, *(f"The rye {n} is fine." for n in "abcdefgh")
    )
    assert run(converse(draft, Daily(drafts=4)), mind) == SILENT[verb]
    assert len(mind.said) == 8
    assert " critic; none chosen" in draft.build(Action("wait")).why


@pytest.mark.parametrize("lines", [2, 4])
def test_a_farewell_is_answered_once(lines: int) -> None:
    """Who hears a farewell says one; who has said one leaves."""
    before = [f"This is line number {n}." for n in "abcd"[:lines]]
    heard = told(*before, "I have to go. See you, Bo!")
    draft = StepBuilder(situation(SAY, talk=heard))
    mind = Mind({}, "The rye is fine.", "Goodbye, Ada!")
    action = run(converse(draft, Daily()), mind)
    assert action == Action("say", "", {"text": "Goodbye, Ada!"})
    assert "no_farewell" in draft.build(Action("wait")).why
    said = told(*before, "I have to go. See you, Bo!", "Goodbye, Ada!", "Have a nice day!")
    leaving = Mind()
    assert run(converse(StepBuilder(situation(SAY, talk=said)), Daily()), leaving) == Action(
        "leave"
    )
    assert leaving.asks == []


def test_nobody_takes_leave_too_early() -> None:
    """Before min_lines a draft that says goodbye is refused."""
    mind = Mind({}, "I have to go now.", "It is warm indeed.")
    draft = StepBuilder(situation(SAY, talk=told(*ASKED)))
    action = run(converse(draft, Daily()), mind)
    assert action == Action("say", "", {"text": "It is warm indeed."})
    assert "early_farewell" in draft.build(Action("wait")).why


def test_who_has_told_its_topics_takes_leave() -> None:
    """With nothing left to tell one says goodbye, after min_lines; before, one chats."""
    for lines, leaves in ((3, False), (5, True)):
        said = ("Well, ay.", "I want to sell rye.", "Well, see.", "Well, dee.", "Well, ee.")
        talk = told(*said[:lines])
        state = AgentState(records=4, drafts={"topics": [2, 4]})
        mind = Mind({}, "Goodbye, Ada!", "It is warm.")
        draft = StepBuilder(situation(SAY, talk=talk, state=state))
        action = run(converse(draft, Daily()), mind)
        assert isinstance(action, Action)
        assert (action.fields["text"] == "Goodbye, Ada!") is leaves
        (ask, *_) = [ask for ask in mind.asks if isinstance(ask, Generate)]
        assert ("[I want to say: Goodbye" in ask.messages[-1].text) is leaves


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


@pytest.mark.parametrize(("lines", "verb"), [(1, "wait"), (3, "wait"), (5, "leave")])
@pytest.mark.parametrize("text", ["…", "This is line number 0."])
def test_who_has_nothing_new_to_say_is_silent_and_later_leaves(
    lines: int, verb: str, text: str
) -> None:
    """When no draft is a line, or each repeats one, none is made up: before min_lines one is
    silent, from then on one says goodbye."""
    before = [f"This is line number {n}." for n in range(lines - 1)]
    talk = told(*before, "What is line number 0?")
    draft = StepBuilder(situation(SAY, talk=talk))
    assert run(converse(draft, Daily()), Mind({}, text)) == SILENT[verb]


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
        assert len(before) < 4
        return
    said = action.fields["text"]
    if said == "Goodbye, Ada!":
        return
    asks = [ask for ask in mind.asks if isinstance(ask, Generate)]
    openings = [a.messages[-1].text if a.messages[-1].role == "assistant" else "" for a in asks]
    whole = [f"{opening} {' '.join(text.split())}" for opening, text in zip(openings, mind.said)]
    assert any(said in text for text in whole)
    assert not repeats(said, before)
    assert "\n" not in said
    assert not said.startswith("Bo")


def test_a_failed_engine_says_nothing() -> None:
    """Without answers no line is invented: one is silent, and takes leave when one may."""

    class Broken(Mind):
        def answer(self, ask: Ask) -> Answer:
            return Failed(reason="engine", detail="no")

    for lines, verb in ((1, "wait"), (4, "leave")):
        draft = StepBuilder(situation(SAY, talk=told(*(f"Line {n}." for n in range(lines)))))
        assert run(converse(draft, Daily()), Broken()) == SILENT[verb]


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
