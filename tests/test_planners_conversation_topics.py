"""Topics of a talk: one's own thoughts, in one's own person, each once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from denizens.core import (
    Action,
    AgentState,
    Ask,
    Choose,
    Generate,
    Persona,
    Record,
    RecordKind,
)
from denizens.planners import Daily, StepBuilder
from denizens.planners.daily.conversation_memory import remember_conversation
from denizens.planners.daily.encounters import converse
from denizens.planners.daily.line_plan import MAX_TOPICS
from denizens.planners.text import to_first_person
from denizens.tests.support.encounter_situations import MEET, NINE, SAY, Mind, situation, told
from denizens.tests.support.planner_driver import run
from hypothesis import given, settings
from hypothesis import strategies as st

GREETED = ("Good morning!", "Good morning, Ada.", "It is warm.")


def test_a_topic_is_a_thought_and_is_said_in_own_words() -> None:
    """After what is on one's mind one speaks of a chosen thought, shown as one would say it."""
    state = AgentState(records=4, drafts={"topics": [0]})
    draft = StepBuilder(situation(SAY, talk=told(*GREETED), state=state))
    mind = Mind({"topic": 1})
    run(converse(draft, Daily()), mind)
    (topic,) = [ask for ask in mind.asks if isinstance(ask, Choose) and ask.role == "topic"]
    texts = [option.description for option in topic.options]
    assert texts == ["Bo Li misses the river.", "Bo Li owes Ada Byron a loaf."]
    assert draft.state.drafts["topics"] == [0, 4]
    assert draft.build(Action("wait")).used == (4,)
    prompts = [ask.messages for ask in mind.asks if isinstance(ask, Generate)]
    noted = "It is warm.\n[I want to say: I owe you a loaf.]"
    assert all([m.text for m in one if m.role == "user"][-1] == noted for one in prompts)


def wish(mind: Mind) -> str:
    """What the line asked for is about."""
    (ask, *_) = [ask for ask in mind.asks if isinstance(ask, Generate)]
    note = [message.text for message in ask.messages if message.role == "user"][-1]
    return note.partition("[I want to say: ")[2].partition("]")[0]


@pytest.mark.parametrize(
    ("currently", "said"),
    [("", "I want to sell rye."), ("Bo Li looks for Ada Byron.", "I look for you.")],
)
def test_first_one_says_what_is_on_the_mind(currently: str, said: str) -> None:
    """That is what the last morning wrote, or else what the persona begins with."""
    state = AgentState(records=4, currently=currently)
    mind = Mind()
    run(
        converse(StepBuilder(situation(SAY, talk=told(*GREETED), state=state)), Daily()),
        mind,
    )
    assert wish(mind) == said
    assert "topic" not in mind.roles()


def test_among_several_nobody_is_you() -> None:
    """In a talk of three a topic keeps the names of the others."""
    three = replace(told(*GREETED), members=("Ada Byron", "Bo Li", "Cy Dunn"))
    mind = Mind({"topic": 1})
    state = AgentState(records=4, drafts={"topics": [0]})
    run(converse(StepBuilder(situation(SAY, talk=three, state=state)), Daily()), mind)
    assert wish(mind) == "I owe Ada Byron a loaf."


KINDS: tuple[tuple[RecordKind, str], ...] = (
    ("thought", "Bo Li knows the secret of the oven"),
    ("observation", "Ada Byron is at her private desk"),
    ("thought", "Bo Li understands that Ada Byron likes rye"),
    ("plan", "This is the plan of Bo Li"),
    ("utterance", 'Ada Byron said to Bo Li: "Hm"'),
    ("thought", "Cy Dunn is ill"),
)
THOUGHTS = [
    Record(id=number, kind=kind, text=f"{text} {number}.", created=NINE)
    for number, (kind, text) in enumerate(KINDS, 1)
]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(THOUGHTS), unique=True),
    st.lists(st.integers(0, 5), min_size=1, max_size=8),
)
def test_in_a_talk_each_own_thought_is_a_topic_once(known: list[Record], draws: list[int]) -> None:
    """Over a whole talk: after what is on one's mind topics are thoughts one recalled, no other
    record and no other's thought, each once, with it two at most."""
    state, spoken, wishes = AgentState(records=6), [*GREETED], []
    for number, draw in enumerate(draws):
        word = "abcdefgh"[number]
        mind = Mind({"topic": draw}, f"This is quite {word}.")
        mind.records = known
        draft = StepBuilder(situation(SAY, talk=told(*spoken), state=state))
        action = run(converse(draft, Daily(min_lines=99, max_lines=99)), mind)
        assert isinstance(action, Action)
        wishes.append(wish(mind))
        state = draft.state
        spoken += [action.fields["text"], f"It hums {word}."]
    own = {
        to_first_person(one.text, "Bo Li", "Ada Byron")
        for one in known
        if one.kind == "thought" and "understands" not in one.text
    }
    assert wishes[0] == "I want to sell rye."
    topics = [one for one in wishes[1:] if one]
    assert set(topics) <= own
    assert len(topics) == len(set(topics)) == min(len(own), len(draws) - 1, MAX_TOPICS - 1)
    assert wishes[1 + len(topics) :] == [""] * (len(draws) - 1 - len(topics))


def test_two_minds_of_one_planner_share_no_thought() -> None:
    """What one thinks and has not said stands in no ask of the other."""
    planner = Daily(candidates=1)
    secrets = {
        "Bo Li": "It is a secret that the silver bell is hidden.",
        "Ada Byron": "It is a secret that the letter is burnt.",
    }
    states = dict.fromkeys(secrets, AgentState(records=1))
    heard: dict[str, list[Ask]] = {name: [] for name in secrets}
    lines: list[str] = []
    for turn in range(6):
        name = ("Ada Byron", "Bo Li")[turn % 2]
        mind = Mind({"confide": "keep"}, f"Well word{'abcdef'[turn]} then{'abcdef'[turn]}.")
        mind.records = [Record(id=1, kind="thought", text=secrets[name], created=NINE)]
        given = situation(SAY, talk=told(*lines, floor=name), state=states[name])
        given = replace(given, persona=Persona(name=name), seen=replace(given.seen, who=name))
        draft = StepBuilder(given)
        action = run(converse(draft, planner), mind)
        assert isinstance(action, Action)
        lines.append(action.fields["text"])
        states[name] = draft.state
        heard[name] += mind.asks
    for name, asks in heard.items():
        (theirs,) = [text for other, text in secrets.items() if other != name]
        assert secrets[name] in repr(asks)
        assert theirs not in repr(asks)


def test_a_new_talk_may_take_up_old_topics() -> None:
    """Topics are remembered for one talk only."""
    state = AgentState(records=4, drafts={"topics": [2, 4], "mine": 1})
    draft = StepBuilder(situation(SAY, talk=told(), state=state))
    run(converse(draft, Daily()), Mind({"topic": 0}))
    assert draft.state.drafts == {"mine": 1}
    over = told("Goodbye!", floor="", ended=True)
    ended = StepBuilder(situation(MEET, talk=over, state=draft.state))
    run(remember_conversation(ended, over, Daily()), Mind())
    assert ended.state.drafts == {"mine": 1}, "also one who is spoken to first may"
