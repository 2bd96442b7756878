"""Ways to overhear that go by what is not a record: what a mind carries on, verbs that show
nothing, talks with nobody else in them, calls that died, sessions, cells of an index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from denizens import Agent, Daily, Memory, Persona
from denizens.agents import AskRouter, run_tool, visible_state
from denizens.core import (
    EVERYBODY,
    REDACTED_TEXT,
    Action,
    Affordance,
    AgentState,
    ApprovalRequired,
    Body,
    Call,
    ConversationView,
    Cue,
    Decision,
    Event,
    Generate,
    Input,
    Observation,
    Recall,
    Recalled,
    Record,
    Situation,
    Step,
    Thought,
    Utterance,
    call,
    drive,
    from_json,
    recall,
    to_json,
)
from denizens.memory.index import quantized_index as codes_module
from denizens.memory.recall import single_recall as recall_module
from denizens.models import ImprovisedModel
from denizens.planners import DialogueInput, DialogueReply, React, RuleSwitch, StepBuilder, goals_of
from denizens.tests.support.leaking_agents import LeakingModel, LeakingPlanner
from denizens.tools import Policy, tool
from denizens.world import Places, load_places

NINE = datetime(2026, 5, 2, 9)
MINUTE = timedelta(minutes=1)
SECRETS = ("The ring lies under the mat.", "I move to Leeds, and nobody knows.")
DOING = {"type": "object", "properties": {"doing": {"type": "string"}}, "required": ["doing"]}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
ACTS = (Affordance("wait"), Affordance("continue"), Affordance("act", "house:hall", DOING))
SPEAKS = (Affordance("say", "", TEXT), Affordance("leave"), Affordance("wait"))
HOUSE = {"name": "house", "places": [{"name": "hall"}]}


class Bit(LeakingPlanner):
    """Answers nothing, and changes what it carries on only where it hears of Leeds."""

    def reply(
        self, situation: Situation, heard: DialogueInput
    ) -> Thought[tuple[DialogueReply, Decision]]:
        """One bit of what was said."""
        draft = StepBuilder(situation)
        if "Leeds" in heard.line.text:
            draft.update_state(plan=("pack",), currently="", asleep=True)
            draft.update_state(drafts={"diary": heard.line.text})
        yield from draft.finalize()
        return DialogueReply(text="Ah."), draft.build(Action("wait"))


class Carrier(LeakingPlanner):
    """Puts what it hears where no label is: among what it perceived, and into a count."""

    def reply(
        self, situation: Situation, heard: DialogueInput
    ) -> Thought[tuple[DialogueReply, Decision]]:
        """As text and as a number."""
        draft = StepBuilder(situation)
        draft.update_state(perceived=(heard.line.text,), talk_seen=len(heard.line.text))
        yield from draft.finalize()
        return DialogueReply(text="Ah."), draft.build(Action("wait"))


class Telling:
    """Does what it carries on."""

    def decide(self, situation: Situation) -> Thought[Decision]:
        """All of the state, as a doing."""
        draft = StepBuilder(situation)
        yield from draft.finalize()
        state = replace(situation.state, records=0)
        return draft.build(Action("act", "house:hall", {"doing": f"{state}"}))


class Odd:
    """Listens to its own secrets, where there is nothing to listen to."""

    def decide(self, situation: Situation) -> Thought[Decision]:
        """The secret as the target of a verb that shows nothing."""
        found = yield from recall(Recall(cue=Cue(text="ring", at=situation.now, limit=3)))
        texts = [hit.record.text for hit in found.hits] if isinstance(found, Recalled) else []
        return Decision(action=Action("listen", " ".join(texts)), state=situation.state)


def mind(**given: Any) -> Agent:
    """Bo, of the worst mind there is."""
    memory = Memory(":memory:", "Bo")
    return Agent(Persona(name="Bo"), memory=memory, **{"model": LeakingModel(), **given})


def lives(bo: Agent, seen: Observation, can: Sequence[Affordance], *inputs: Input) -> Step:
    """A step of a life, committed."""
    thought = bo.tick(seen, can, inputs, now=seen.at)
    step = drive({bo.id: thought}, AskRouter({bo.id: bo}, at=seen.at))[bo.id]
    bo.commit(step, at=seen.at)
    return step


def around(minutes: int, **given: Any) -> Observation:
    """What Bo sees so many minutes after nine."""
    return Observation("Bo", NINE + minutes * MINUTE, "house:hall", **given)


def with_ada(*lines: Utterance) -> ConversationView:
    """A talk of Ada and Bo, who has the floor."""
    return ConversationView(
        "talk", ("Ada", "Bo"), "Bo", lines or (Utterance("Ada", "Well?", NINE),)
    )


def found_for(bo: Agent, person: str) -> object:
    """Everything that somebody is given of a memory, with its scores."""
    at = NINE + timedelta(days=1)
    cue = Cue(text="ring Leeds", at=at, limit=50, person=person, rules="hybrid", touch=False)
    return [(hit.record.text, hit.score) for hit in bo.memory.recall(cue)]


# -- what is carried on --------------------------------------------------------------------------


def by_a_bit(secret: str) -> object:
    """Whether it changed the plan."""
    bo = mind(dialogue=Bit(), planner=Telling())
    bo.state = replace(bo.state, plan=("bake",), currently="Bo bakes.", drafts={"diary": ""})
    bo.chat(secret, "Ada", at=NINE)
    return lives(bo, around(5), ACTS).action


def by_what_has_no_label(secret: str) -> object:
    """What it perceived, and how many lines it heard."""
    bo = mind(dialogue=Carrier(), planner=Telling())
    bo.chat(secret, "Ada", at=NINE)
    return lives(bo, around(5), ACTS).action


def by_a_refusal(secret: str) -> object:
    """What a world refuses it says in the words of the action, to be seen by a later thought."""
    world = Places(load_places(HOUSE), start=NINE, step_seconds=60, sight=1)
    for name in ("Ada", "Bo"):
        world.enter(Body(name, home="house:hall"))
    bo = mind(planner=Odd())
    bo.chat(secret, "Ada", at=NINE)
    world.step({"Bo": Action("talk", "Ada"), "Ada": Action("wait")}, NINE, ("Ada", "Bo"))
    step = lives(bo, world.observe("Bo"), world.affordances("Bo"))
    world.step({"Bo": step.action, "Ada": Action("leave")}, NINE + MINUTE, ("Ada", "Bo"))
    return world.observe("Bo").notices


def by_talking_alone(secret: str) -> object:
    """In a talk that nobody else is in yet."""
    bo = mind(planner=LeakingPlanner())
    bo.chat(secret, "Ada", at=NINE)
    talk = ConversationView("talk", ("Bo",), "Bo", (Utterance("Bo", "Hello?", NINE),))
    return lives(bo, around(5, talk=talk), SPEAKS[:1]).action


def by_a_call_that_died(secret: str) -> object:
    """Which of Ada's calls had begun when the process ended."""
    alive: list[bool] = []

    @tool(effect="acts")
    def book(place: str) -> str:
        """Book a room."""
        if not alive:
            raise KeyboardInterrupt
        return "booked"

    class Booking(LeakingPlanner):
        def reply(
            self, situation: Situation, heard: DialogueInput
        ) -> Thought[tuple[DialogueReply, Decision]]:
            draft = StepBuilder(situation)
            place = "Leeds" if "Leeds" in heard.line.text else "Porto"
            told = yield from call(Call(tool="book", arguments={"place": place}))
            return DialogueReply(text=f"{told}"), draft.build(Action("wait"))

    bo = mind(dialogue=Booking(), tools=[book], policy=Policy(trusted=("*",)))
    with pytest.raises(KeyboardInterrupt):
        bo.chat(secret, "Ada", at=NINE)
    alive.append(True)
    reply = bo.chat("Leeds, please.", "Eve", at=NINE + MINUTE)
    place = {"place": "Leeds"}
    return reply.resolve, reply.waits, run_tool(bo, "book", place, at=NINE, person="Eve").ok


def by_an_old_session(secret: str) -> object:
    """A line of its own that it no longer knows to have said."""
    bo = mind(dialogue=Repeating(), private_talk=False)
    bo.learn([secret], who="Ada", audience="Ada", at=NINE)
    session = [Utterance("Ada", "Where is it?", NINE), Utterance("Bo", f"You said: {secret}", NINE)]
    bo.chat("Say that again.", "Ada", session=session, at=NINE + MINUTE)
    return found_for(bo, "Eve")


class Repeating:
    """Says again what was said, and recalls nothing."""

    def reply(
        self, situation: Situation, heard: DialogueInput
    ) -> Thought[tuple[DialogueReply, Decision]]:
        """The lines of the session."""
        draft = StepBuilder(situation)
        said = " ".join(line.text for line in heard.before)
        draft.add_record("utterance", f'Bo said to {heard.line.who}: "{said}"')
        yield from draft.finalize()
        return DialogueReply(text=said), draft.build(Action("wait"))


@pytest.mark.parametrize(
    "attempt",
    [
        by_a_bit,
        by_what_has_no_label,
        by_a_refusal,
        by_talking_alone,
        by_a_call_that_died,
        by_an_old_session,
    ],
)
def test_nothing_shows_of_what_ada_confided(attempt: Callable[[str], object]) -> None:
    """All that others than Ada may see is equal, whatever she said."""
    one, other = (attempt(secret) for secret in SECRETS)
    assert one == other


def test_a_call_that_died_is_told_of_to_whose_it_was() -> None:
    """Ada is asked before it is made again, and so is the owner."""

    @tool(effect="acts")
    def book(place: str) -> str:
        """Book a room."""
        raise KeyboardInterrupt

    bo = mind(tools=[book], policy=Policy(trusted=("*",)))
    place = {"place": "Leeds"}
    with pytest.raises(KeyboardInterrupt):
        run_tool(bo, "book", place, at=NINE, person="Ada")
    for person in ("Ada", None):
        with pytest.raises(ApprovalRequired):
            run_tool(bo, "book", place, at=NINE, person=person)


# -- what a state holds for whom -----------------------------------------------------------------


def test_everybody_sees_of_a_state_what_is_for_them() -> None:
    """What two people's chats change lies above what was there for all: each sees their own,
    others what was, through JSON too; a thought for everybody puts an end to all of that."""
    bo = mind(dialogue=Bit(), planner=Telling())
    bo.state = replace(bo.state, plan=("bake",))
    bo.chat("Leeds, says Ada.", "Ada", at=NINE)
    bo.chat("Leeds, says Cy.", "Cy", at=NINE + MINUTE)
    again = from_json(AgentState, to_json(bo.state))
    assert again == bo.state
    for people, plan, diary in (
        (("Ada",), ("pack",), "Leeds, says Ada."),
        (("Cy",), ("pack",), "Leeds, says Cy."),
        (("Ada", "Cy"), ("bake",), None),
        (("Eve",), ("bake",), None),
        ((EVERYBODY,), ("bake",), None),
    ):
        state = visible_state(again, people)
        assert (state.plan, state.drafts.get("diary"), state.beneath) == (plan, diary, {})
    bo.planner = LeakingPlanner()
    lives(bo, around(9), ACTS)
    assert (
        visible_state(bo.state, ("Ada",)).plan
        == visible_state(bo.state, (EVERYBODY,)).plan
        != ("bake",)
    )
    assert "plan" not in bo.state.beneath


def test_a_goal_whispered_amidst_a_confidence_is_not_lost() -> None:
    """It rests on the whisper, whatever else the thought was given, and is worked on later, in
    sight of all; before it was withheld from then on."""
    bo = mind(planner=RuleSwitch([("spoken_to", "dialogue")], "react"), model=ImprovisedModel())
    bo.chat(SECRETS[0], "Ada", at=NINE)
    lives(bo, around(1, talk=with_ada()), SPEAKS, Input(kind="whisper", text="goal: Bake bread."))
    assert [goal.text for goal in goals_of(visible_state(bo.state, (EVERYBODY,)))] == [
        "Bake bread."
    ]


def test_a_goal_worked_off_in_private_is_done_once() -> None:
    """Who does not know what came of it does not begin it again."""
    bo = mind(planner=React(check=False), dialogue=LeakingPlanner())
    bo.chat(SECRETS[0], "Ada", at=NINE)
    lives(bo, around(1), ACTS[:1], Input(kind="whisper", text="goal: Say where the ring is."))
    for minute in range(2, 9):
        lives(bo, around(minute), ())
    assert goals_of(visible_state(bo.state, (EVERYBODY,))) == () == goals_of(bo.state)


def test_a_mind_by_itself_reflects_once() -> None:
    """Though what it reflects on is for Ada; before it began again at every step."""
    bo = mind(planner=Daily(), model=ImprovisedModel())
    bo.chat(SECRETS[0], "Ada", at=NINE)
    bo.state = replace(bo.state, reflect_left=-1.0)

    def reflected(minute: int) -> bool:
        asks = lives(bo, around(minute), ()).asks
        return any(isinstance(one.ask, Generate) and one.ask.role == "reflect" for one in asks)

    assert [reflected(minute) for minute in (1, 2, 3)] == [True, False, False]


def test_what_is_perceived_is_kept_by_its_key() -> None:
    """A planner of one's own that keeps texts perceives nothing twice, and keeps no text."""

    class Perceiving:
        def decide(self, situation: Situation) -> Thought[Decision]:
            yield from ()
            texts = tuple(event.text for event in situation.fresh)
            state = replace(situation.state, perceived=(*texts, "what was never there"))
            return Decision(action=Action("wait"), state=state, why=f"{len(texts)}")

    event = Event("object", "oven", "is", "hot", "oven is hot", "house:hall:oven")
    bo = mind(planner=Perceiving())
    fresh = [lives(bo, around(minute, events=(event,)), ACTS).why for minute in (1, 2)]
    assert fresh == ["1", "0"]
    assert bo.state.perceived in ((), (event.key,))


# -- a line that is not for all ------------------------------------------------------------------


def test_of_a_line_that_is_not_for_all_nothing_is_made() -> None:
    """Words that stand for a line are not remembered, and no memo is made of them: the line
    itself is, for whom it was, once."""
    circle = ("Ada", "Bo")
    talk = with_ada(Utterance("Ada", SECRETS[0], NINE, (), circle))
    bo = mind(planner=Daily(), model=ImprovisedModel())
    step = lives(bo, around(1, talk=replace(talk, floor="", ended=True)), ACTS)
    said = [record for record in step.records if "plan for" not in record.text]
    assert [one.text for one in said] == [f'Ada said to Bo: "{SECRETS[0]}"']
    assert (said[0].who, said[0].audience, said[0].sources) == ("Ada", circle, None)
    assert said[0].id in step.embedded
    assert REDACTED_TEXT not in f"{step}"
    again = lives(bo, around(2), ACTS)
    assert [record for record in again.records if record.kind == "utterance"] == []


# -- an index of cells ---------------------------------------------------------------------------


def test_cells_made_of_what_is_for_others_leave_nothing_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Under approximate rules too what Eve is given hangs on what she may hear of alone."""
    for module in (codes_module, recall_module):
        monkeypatch.setattr(module, "MIN_ROWS_FOR_CELLS", 1 << 12)
    for name, number in (("FULL_SCORE_LIMIT", 100), ("CELL_PROBES", 1), ("STATIC_CANDIDATES", 4)):
        monkeypatch.setattr(recall_module, name, number)

    def given(seed: int) -> Iterator[object]:
        for person in ("Eve", "Cy"):
            memory = _of_vectors(seed)
            for place in range(8):
                row = np.random.default_rng(place).standard_normal(8).astype(np.float32)
                cue = Cue(text="", at=NINE, limit=9, person=person, rules="paper-approx")
                yield [(hit.record.id, hit.score) for hit in memory.recall(cue, row)]

    assert list(given(1)) == list(given(2))


def _of_vectors(seed: int) -> Memory:
    """Records with random vectors, of which every other is for Ada and of a seed of its own."""
    open_ones, hers = np.random.default_rng(0), np.random.default_rng(seed)
    memory, count = Memory(":memory:", "Bo"), 1 << 12
    records, rows = [], {}
    for number in range(1, count + 1):
        ada = number % 2 == 0
        rows[number] = (hers if ada else open_ones).standard_normal(8).astype(np.float32)
        at = NINE - timedelta(minutes=count - number)
        circle = ("Ada",) if ada else ()
        records.append(
            Record(id=number, kind="thought", text=f"{number}", created=at, audience=circle)
        )
    memory.add(records, rows)
    return memory
