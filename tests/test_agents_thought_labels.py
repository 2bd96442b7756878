"""Labels where they are put: on calls, deeds and last accesses, for whom each is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from denizens import Agent, Memory, Persona
from denizens.agents import AskRouter, ThoughtGuard, find_listeners
from denizens.agents.thoughts import activity_labels, label_decision
from denizens.core import (
    EVERYBODY,
    Action,
    Affordance,
    AgentState,
    Call,
    ConversationView,
    Cue,
    Decision,
    Generate,
    Hit,
    Label,
    Observation,
    Recall,
    Recalled,
    Record,
    Utterance,
    VisibleAgent,
    drive,
)
from denizens.models import ImprovisedModel
from denizens.planners import Dialogue
from denizens.tools import Toolbox

NINE = datetime(2026, 5, 2, 9)
CAN = (Affordance("wait"), Affordance("write"), Affordance("say"))


def guard(*listeners: str, label: Label | None = None) -> ThoughtGuard:
    """What watches a thought of Bo's that was given something with a label."""
    return ThoughtGuard("Bo", Toolbox([]), listeners=listeners, labels=(label or Label(),))


def test_a_call_says_for_whom_the_thought_is() -> None:
    """A tool is told the label of the thought that calls it: its sources and its audience."""
    watch = guard("Ada", label=Label(("Ada", "Eve"), ("Ada",)))
    stamped, _ = watch.before_ask(Call(tool="note", arguments={}))
    assert isinstance(stamped, Call)
    assert (stamped.read, stamped.audience, stamped.person) == (("Ada", "Eve"), ("Ada",), "Ada")


def test_among_several_a_call_is_for_everybody() -> None:
    """A call in the hearing of several shows no more than everybody may know; a recall asks for
    what all of them may hear, whatever a planner asks for."""
    watch = guard("Ada", "Eve")
    for person in ("", "Ada", "Cy"):
        stamped, _ = watch.before_ask(Call(tool="note", arguments={}, person=person))
        assert isinstance(stamped, Call)
        assert stamped.person == EVERYBODY
    asked, _ = watch.before_ask(Recall(cue=Cue(text="x", at=NINE, person="Ada")))
    assert isinstance(asked, Recall)
    assert set(asked.cue.hearers) == {"Ada", "Eve"}


@pytest.mark.parametrize(
    ("label", "verb", "done"),
    [
        (Label(("Eve",)), "write", "write"),
        (Label(("Ada",), ("Ada",)), "write", "wait"),
        (Label(("Ada",), ("Ada",)), "say", "say"),
        (Label(("Ada",), ("Bo",)), "say", "wait"),
    ],
)
def test_a_deed_that_would_show_a_confidence_is_not_done(
    label: Label, verb: str, done: str
) -> None:
    """What rests on what is for Ada alone is said to her, and shows in no deed; the action that
    is done carries the label."""
    decision = Decision(action=Action(verb, "", {"text": "x"}), state=AgentState())
    made = label_decision(decision, guard("Ada", label=label), CAN).action
    assert made.verb == done
    if done != "wait":
        assert made.sources == label.sources
        assert made.audience == (("Ada", "Bo") if label.audience else ())


def test_what_a_confidence_calls_to_mind_is_touched_for_nobody_else() -> None:
    """A thought that rests on what is for Ada makes nobody's memories fresh but hers: when
    something was last thought of shows in the scores of everybody for whom it is."""
    records = [
        Record(id=n, kind="utterance", text=f"{n}", created=NINE, who="Ada", audience=people)
        for n, people in enumerate(((), ("Ada",), ("Dov",), ("Ada", "Dov")), 1)
    ]
    hits = tuple(Hit(record=one, score=1, recency=1, importance=1, relevance=1) for one in records)
    watch = guard()
    ask = Recall(cue=Cue(text="x", at=NINE))
    watch.after_answer(ask, Recalled(hits=hits[:2], audience=("Ada",)))
    decision = Decision(action=Action("wait"), state=AgentState(), used=(1, 2, 3, 4))
    assert label_decision(decision, watch, ()).used == (2,)
    other = guard()
    other.after_answer(ask, Recalled(hits=(hits[1], hits[3]), audience=("Ada",)))
    assert label_decision(decision, other, ()).used == (2,)


def test_who_listens_to_a_step() -> None:
    """Members of a talk, those in sight and those in earshot; everybody where deeds show; nobody
    where nothing can be done."""
    seen = Observation("Bo", NINE, "hall")
    assert find_listeners(seen, (Affordance("wait"),)) == ()
    assert find_listeners(seen, CAN) == (EVERYBODY,)
    talk = ConversationView("1", ("Ada", "Bo"), "Bo", (Utterance("Ada", "Hm.", NINE),))
    near = (VisibleAgent("Cy", 2, "reading"),)
    heard = replace(seen, talk=talk, people=near, hearers=("Eve",))
    assert find_listeners(heard, CAN) == ("Ada", "Cy", "Eve")


def test_a_record_keeps_all_the_words_that_it_rests_on() -> None:
    """The record of a thought carries the sources of what the thought was given, its own words
    included, and stays so in the memory."""
    memory = Memory(":memory:", "Bo")
    bo = Agent(Persona(name="Bo"), model=ImprovisedModel(), memory=memory, private_talk=False)
    bo.chat("The rent goes to Eve now.", "Eve", at=NINE)
    told, said = memory.records()
    assert (told.sources, said.sources) == (None, ("Eve",))
    assert memory.sources(said.id) == ("Eve",)


def test_a_line_that_is_not_for_all_is_in_no_prompt_with_others_by() -> None:
    """What was said to Ada alone stands in no ask of a thought to which Eve listens too."""
    secret = Utterance("Ada", "The ring is in the clock.", NINE, (), ("Ada", "Bo"))
    last = Utterance("Eve", "What is new?", NINE)
    memory = Memory(":memory:", "Bo")
    bo = Agent(Persona(name="Bo"), model=ImprovisedModel(), memory=memory, planner=Dialogue())
    for members, shown in ((("Ada", "Bo", "Eve"), False), (("Ada", "Bo"), True)):
        lines = (secret, last) if "Eve" in members else (secret,)
        talk = ConversationView("1", members, "Bo", lines)
        thought = bo.live(Observation("Bo", NINE, "hall", talk=talk), CAN)
        step = drive({"Bo": thought}, AskRouter({"Bo": bo}, at=NINE))["Bo"]
        asked = [str(one.ask) for one in step.asks if isinstance(one.ask, Generate)]
        assert asked
        assert any("clock" in ask for ask in asked) == shown


def test_what_somebody_in_sight_does_is_of_their_words() -> None:
    """Who is seen doing something is a source, and so are those on whose words they do it; who
    does nothing is none."""
    near = (
        VisibleAgent("Cy", 2, "paying EVE-666", sources=("Eve",)),
        VisibleAgent("Dov", 3, "idle"),
    )
    seen = Observation("Bo", NINE, "hall", people=near)
    label = Label(
        tuple(sorted({one for each in activity_labels(seen, "Bo") for one in each.sources}))
    )
    assert label.sources == ("Cy", "Eve")
