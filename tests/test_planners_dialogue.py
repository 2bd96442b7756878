"""Dialogue: understands, recalls, decides, speaks, and says what it rests on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest
from denizens.agents import Agent
from denizens.core import (
    Action,
    Affordance,
    Answer,
    Choice,
    Choose,
    ConversationView,
    Generate,
    Hit,
    Json,
    ModelAsk,
    Persona,
    Rate,
    Recalled,
    Record,
    Utterance,
)
from denizens.memory import Memory
from denizens.planners import Dialogue, DialogueInput, DialogueReply, Intent, Routine, StepBuilder
from denizens.testing import ScriptedModel
from denizens.tests.support.planner_driver import AT, ScriptedAnswers, situation, spec
from denizens.tools import tool

BOOKING: Json = {
    "type": "object",
    "properties": {
        "guests": {"type": "integer", "description": "how many people come"},
        "time": {
            "type": "string",
            "pattern": "^[0-9]{1,2}:[0-9]{2}$",
            "description": "at what time they come",
        },
    },
    "required": ["guests", "time"],
    "additionalProperties": False,
}
BOOK = Intent(name="book", about="I would like to book a table.", slots=BOOKING, tool="book_table")
COMPLAIN = Intent(name="complain", about="I want to complain.")
INN = Dialogue(intents=(BOOK, COMPLAIN), hand_over=("complain",), handing="I fetch the landlord.")
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def hits(*texts: str) -> Recalled:
    """Memories recalled, numbered from 1."""
    records = [
        Record(id=n, kind="thought", text=text, created=datetime(2026, 1, 1))
        for n, text in enumerate(texts, 1)
    ]
    return Recalled(
        hits=tuple(Hit(record=r, score=1, recency=1, importance=1, relevance=1) for r in records),
        held=0.7,
    )


def said(
    dialogue: Dialogue, told: ScriptedAnswers, text: str, *before: Utterance, tools: object = ()
) -> DialogueReply:
    """What is said to a line of Ada's."""
    draft = StepBuilder(situation(tools=tools))
    heard = DialogueInput(line=Utterance("Ada", text, AT), before=before)
    found = told.think(dialogue.turn(draft, heard))
    assert isinstance(found, DialogueReply)
    return found


def values(*given: str) -> dict[str, Sequence[Json]]:
    """What a model writes for each value asked for, and a reply."""
    return {"value": list(given), "speech": ["Gladly."] * 4}


class Clerk:
    """Answers as a model that understands guests: the intent by ``meant``, each value of a
    field by ``known``, and lines by what the prompt steers to."""

    def __init__(self, meant: str, **known: str | int) -> None:
        self.meant, self.known = meant, known
        self.asks: list[ModelAsk] = []

    def __call__(self, ask: ModelAsk) -> Answer | str | float:
        self.asks.append(ask)
        if isinstance(ask, Choose):
            names = [option.name for option in ask.options]
            wanted = self.meant if ask.role == "intent" else self._value(ask)
            even = tuple(1 / len(names) for _ in names)
            place = names.index(wanted) if wanted in names else -1
            sure = tuple(float(place == at) for at in range(len(names)))
            return Choice(index=max(place, 0), probabilities=even if place < 0 else sure)
        if isinstance(ask, Rate):
            return 3
        assert isinstance(ask, Generate)
        if ask.role == "value":
            return self._value(ask)
        return json.dumps(self._whole(ask.schema)) if ask.schema else "As you say."

    def _whole(self, schema: Json) -> Json:
        """Arguments as one; what is not known is made up."""
        made_up: Json = {"guests": 9, "time": "08:15"}
        known: Json = {**made_up, **self.known}
        return {name: known[name] for name in schema["properties"]}

    def _value(self, ask: Choose | Generate) -> str:
        asked = ask.messages[-1].text if ask.messages else ""
        found = (v for k, v in self.known.items() if f'What is "{k}"' in asked)
        return str(next(found, ""))

    def reply(self) -> str:
        """The prompt of what was said."""
        ask = next(one for one in self.asks if isinstance(one, Generate) and one.role == "speech")
        return "\n".join(message.text for message in ask.messages)


BOOKED: list[tuple[int, str]] = []


@tool(effect="acts")
def book_table(guests: int, time: str) -> str:
    """Book a table at the inn."""
    BOOKED.append((guests, time))
    return f"booked for {guests} at {time}"


def clerk(model: Clerk, dialogue: Dialogue = INN) -> Agent:
    BOOKED.clear()
    return Agent(
        Persona(name="Bo Li"),
        model=ScriptedModel(model),
        memory=Memory(":memory:", "Bo Li"),
        planner=Routine(),
        tools=[book_table],
        dialogue=dialogue,
        trusted=["Ada"],
    )


def test_an_intent_with_all_details_is_done() -> None:
    """The intent's tool is called with the details said, and the reply names its receipt."""
    model = Clerk("book", guests=4, time="19:30")
    reply = clerk(model).chat("A table for 4 people at 19:30, please.", "Ada", at=AT)
    assert BOOKED == [(4, "19:30")]
    assert "The book_table says: booked for 4 at 19:30" in model.reply()
    assert reply.resolve == "answer"
    assert len(reply.receipts) == 1
    assert reply.receipts[0].startswith("book_table-")


def test_what_was_not_said_is_asked_for() -> None:
    """A detail that stands nowhere in what was said is not made up: it is asked for."""
    model = Clerk("book", guests=4)
    reply = clerk(model).chat("A table for 4 people, please.", "Ada", at=AT)
    assert BOOKED == []
    assert reply.resolve == "ask"
    assert "I want to know: at what time they come?" in model.reply()
    assert reply.text == "Could you tell me at what time they come?"


def test_details_may_have_been_said_before() -> None:
    """What stands in the lines before is taken too."""
    model = Clerk("book", guests=4, time="19:30")
    session = [
        Utterance("Ada", "A table for 4 people, please.", AT),
        Utterance("Bo Li", "When?", AT),
    ]
    clerk(model).chat("At 19:30.", "Ada", session=session, at=AT)
    assert BOOKED == [(4, "19:30")]


def test_some_things_are_handed_over() -> None:
    """An intent that is handed over is not answered by the model."""
    model = Clerk("complain")
    reply = clerk(model).chat("The soup was cold!", "Ada", at=AT)
    assert (reply.text, reply.resolve) == ("I fetch the landlord.", "hand_over")
    assert not [ask for ask in model.asks if isinstance(ask, Generate)]
    model = Clerk("complain")
    clerk(model, replace(INN, handing="")).chat("The soup was cold!", "Ada", at=AT)
    assert "I cannot help with this, but somebody else will." in model.reply()


def test_none_of_the_intents_is_just_a_talk() -> None:
    """A line that fits none is answered as any, without a tool."""
    model = Clerk("none of these")
    reply = clerk(model).chat("The moon is bright.", "Ada", at=AT)
    assert (reply.resolve, reply.receipts, BOOKED) == ("answer", (), [])


@pytest.mark.parametrize(
    ("unknown", "resolve"), [(0.0, "answer"), (0.5, "answer"), (0.9, "unknown")]
)
def test_not_knowing_is_said(unknown: float, resolve: str) -> None:
    """Below the bound on what memory holds, the reply is that one does not know, and no
    memory is shown that could be taken for the answer."""
    told = ScriptedAnswers(
        texts={"speech": ["It is old."] * 4}, recalled=hits("Go to school, they said: it is old.")
    )
    found = said(Dialogue(unknown=unknown), told, "Where did I go to school?")
    assert (found.resolve, found.held) == (resolve, 0.7)
    words = told.prompt("speech")
    assert ("[I want to say: I do not know.]" in words) == (resolve == "unknown")
    assert found.cited == ((1,) if resolve == "answer" else ())


def test_what_a_reply_rests_on_is_chosen() -> None:
    """With cite the memories likelier than none of them are named; without, all shown."""
    recalled = hits("Bo Li likes rye.", "The mill is old.")
    told = ScriptedAnswers(
        texts={"speech": ["I like rye."] * 4}, recalled=recalled, evidence=["Bo Li likes rye."]
    )
    assert said(Dialogue(cite=True), told, "What do you like?").cited == (1,)
    told = ScriptedAnswers(texts={"speech": ["Hm."] * 4}, recalled=recalled, evidence=["none"])
    assert said(Dialogue(cite=True), told, "What do you like?").cited == ()
    told = ScriptedAnswers(texts={"speech": ["I like rye."] * 4}, recalled=recalled)
    assert said(Dialogue(), told, "What do you like?").cited == (1, 2)


def test_a_tool_clearly_meant_is_used() -> None:
    """Without intents a tool is chosen against talking, and its call is told with the reply."""
    price = spec("price", "thing")
    told = ScriptedAnswers(
        moves=["price"],
        arguments=[{"thing": "rye"}] * 3,
        texts=values("rye"),
        tools={"price": lambda given: "2 francs"},
        value=["rye"] * 3,
    )
    found = said(Dialogue(), told, "What does rye cost?", tools=(price,))
    assert [(one.tool, one.arguments, one.text) for one in found.calls] == [
        ("price", {"thing": "rye"}, "2 francs")
    ]
    assert "The price says: 2 francs" in told.prompt("speech")
    assert told.offered()[:2] == ["chat", "none of these"]


CAN = (Affordance("say", "", TEXT), Affordance("leave"), Affordance("wait"), Affordance("continue"))


def test_in_a_world_it_answers_who_speaks_to_it() -> None:
    """With the floor it says an answer, which it remembers with what it heard."""
    talk = ConversationView(
        "t", ("Bo Li", "Ada"), "Bo Li", (Utterance("Ada", "Is there bread?", AT),)
    )
    given = situation(can=CAN, seen=replace(situation().seen, talk=talk), tools=())
    told = ScriptedAnswers(texts={"speech": ["Yes, as ever."] * 4})
    made = told.think(Dialogue().decide(given))
    assert made.action == Action("say", "", {"text": "Yes, as ever."})
    assert [record.text for record in made.records] == [
        'Ada said to Bo Li: "Is there bread?"',
        'Bo Li said to Ada: "Yes, as ever."',
    ]
    other = replace(talk, floor="Ada")
    hearing = (Affordance("listen"), Affordance("wait"), Affordance("continue"))
    quiet = ScriptedAnswers()
    listening = replace(given, can=hearing, seen=replace(given.seen, talk=other))
    assert quiet.think(Dialogue().decide(listening)).action == Action("listen")
    assert "speech" not in quiet.kinds()
