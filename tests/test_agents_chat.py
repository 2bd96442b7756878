"""Chats: the same mind answers people, remembers both lines, uses a tool where one fits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from denizens.agents import Agent, AskRouter
from denizens.agents.chat.responder import situation_outside_world
from denizens.core import (
    Action,
    AgentState,
    Answer,
    AskId,
    Choice,
    Choose,
    Completion,
    Cue,
    Delta,
    Done,
    Embed,
    Failed,
    Generate,
    ModelAsk,
    Persona,
    Rate,
    Rating,
    Recall,
    Recalled,
    Record,
    Seed,
    SettingError,
    ToolResult,
    Utterance,
    drive,
)
from denizens.memory import Memory
from denizens.models import ImprovisedModel, hashed_vectors
from denizens.planners import Dialogue, Routine, StepBuilder
from denizens.testing import ScriptedModel
from denizens.tools import AnyTool, tool
from hypothesis import given, settings
from hypothesis import strategies as st

NINE = datetime(2023, 2, 13, 9)
CALLED: list[tuple[int, int]] = []


@tool
def add(first: int, second: int) -> int:
    """Add two whole numbers."""
    CALLED.append((first, second))
    return first + second


@tool
def fail() -> str:
    """Fail, always."""
    raise KeyError("no")


def mind(
    model: ScriptedModel | ImprovisedModel | Pieces, *, tools: Sequence[AnyTool] = ()
) -> Agent:
    persona = Persona(name="Bo Li", background="Bo Li bakes.")
    memory = Memory(":memory:", "Bo Li")
    return Agent(persona, model=model, memory=memory, planner=Routine(), tools=tools)


def answering(
    *, tool_choice: tuple[float, ...] = (), arguments: str = "{}", say: str = "Good morning!"
) -> tuple[ScriptedModel, list[ModelAsk]]:
    """A model that chooses a tool with these probabilities, and the asks it got."""
    asks: list[ModelAsk] = []

    def answer(ask: ModelAsk) -> Answer | str | float:
        asks.append(ask)
        if isinstance(ask, Choose) and ask.role == "value":
            return Choice(index=0, probabilities=(1 / len(ask.options),) * len(ask.options))
        if isinstance(ask, Choose):
            likely = tool_choice.index(max(tool_choice))
            return Choice(index=likely, probabilities=tool_choice)
        if isinstance(ask, Rate):
            return 3
        return arguments if ask.role == "arguments" else say

    return ScriptedModel(answer), asks


class Pieces:
    """A model that streams each text in pieces of three letters."""

    def __init__(self, text: str) -> None:
        self.text = text

    def client(self) -> Pieces:
        self.queue: list[ModelAsk] = []
        return self

    def describe(self) -> dict[str, str]:
        return {"name": "pieces"}

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> int:
        self.queue.append(ask)
        return len(self.queue)

    def cancel(self, ticket: int) -> None:
        self.cancelled = True

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        found: list[Delta | Done] = []
        for ticket, ask in enumerate(self.queue, 1):
            if isinstance(ask, Generate):
                pieces = [self.text[at : at + 3] for at in range(0, len(self.text), 3)]
                found += [Delta(ticket, piece) for piece in pieces if ask.stream]
                found.append(Done(ticket, Completion(text=self.text)))
            elif isinstance(ask, Rate):
                found.append(Done(ticket, Rating(value=2.0, probabilities=())))
            else:
                assert ask.kind == "embed"
                found.append(Done(ticket, hashed_vectors(ask)))
        self.queue.clear()
        return found


def words(asks: list[ModelAsk]) -> str:
    """The prompt of the reply, the same for each of its drafts."""
    drafts = [one for one in asks if isinstance(one, Generate) and one.role == "speech"]
    assert len({one.messages for one in drafts}) == 1
    return "\n".join(f"{message.role}: {message.text}" for message in drafts[0].messages)


def test_the_reply_is_what_the_model_said() -> None:
    """The text comes from the model, trimmed, and asked for as a stream."""
    model, asks = answering(say="  Good morning, Ada. \n")
    reply = mind(model).chat("Hello!", "Ada", at=NINE)
    assert reply.text == "Good morning, Ada."
    assert "user: Hello!" in words(asks)
    assert "I am Bo Li. I bake. I am talking with Ada." in words(asks)
    assert reply.step.action.verb == "wait"


def test_both_lines_are_remembered_with_their_speakers() -> None:
    """The person's line and one's own are two memories, rated, embedded and committed. What is
    for one person only does not bring reflection on, which others would see."""
    model, _ = answering(say="Bread, as ever.")
    bo = mind(model)
    bo.chat("What bread is there?", "Ada", at=NINE)
    told, said = bo.memory.records()
    assert (told.who, told.text) == ("Ada", 'Ada said to Bo Li: "What bread is there?"')
    assert (said.who, said.text) == ("Bo Li", 'Bo Li said to Ada: "Bread, as ever."')
    assert {one.kind for one in (told, said)} == {"utterance"}
    assert {one.created for one in (told, said)} == {NINE}
    assert (told.importance, said.importance) == (3.0, 3.0)
    assert bo.state.records == 2
    assert bo.state.reflect_left == 150.0
    open_talk = mind(model)
    open_talk.private_talk = False
    open_talk.chat("What bread is there?", "Ada", at=NINE)
    assert open_talk.state.reflect_left == 150.0 - 6.0
    assert bo.memory.index.vectors.columns == 64


def test_what_was_said_is_recalled_in_the_next_answer() -> None:
    """The second answer is asked with the memory of the first in the prompt."""
    model, asks = answering()
    bo = mind(model)
    bo.chat("My cat is called Mimi.", "Ada", at=NINE)
    asks.clear()
    reply = bo.chat("How is my cat called?", "Ada", at=NINE + timedelta(minutes=1))
    assert 'Ada said to me: "My cat is called Mimi."' in words(asks)
    assert set(reply.step.used) == {1, 2}


def test_a_session_is_an_episode() -> None:
    """The lines of one session share an episode, those of the next have another."""
    model, _ = answering()
    bo = mind(model)
    bo.chat("Hello!", "Ada", at=NINE)
    later = NINE + timedelta(minutes=1)
    bo.chat("And bread?", "Ada", at=later, session=[Utterance("Ada", "Hello!", NINE)])
    bo.chat("Hello again!", "Ada", at=NINE + timedelta(days=1))
    first, second, third, fourth, fifth, sixth = bo.memory.records()
    assert first.episode == second.episode == third.episode == fourth.episode != ""
    assert fifth.episode == sixth.episode != first.episode
    assert {"Ada", "Bo"} <= set(first.episode.replace(",", "").split())


def test_recall_says_how_likely_the_answer_is_held() -> None:
    """A recall by hybrid rules tells it, higher for what was said; one by others does not."""
    bo = mind(ImprovisedModel(seed=1))
    bo.chat("My cat is called Mimi and sleeps in the oven.", "Ada", at=NINE)
    asks = (
        ("hybrid", "How is the cat of Ada called?"),
        ("hybrid", "Which mountain has Ada climbed?"),
        ("paper", "How is the cat of Ada called?"),
    )
    told = []
    for rules, text in asks:
        minds = AskRouter({"Bo Li": bo}, at=NINE)
        where = AskId(0, "Bo Li", "0")
        minds.submit(where, Recall(cue=Cue(text=text, at=NINE, rules=rules)))
        ((_, answer),) = minds.wait()
        assert isinstance(answer, Recalled)
        told.append(answer.held)
    there, other, unasked = told
    assert there is not None
    assert other is not None
    assert 0 < other < there < 1
    assert unasked is None


def test_who_remembers_nothing_learns_its_facts_first() -> None:
    """Facts are thoughts before the first answer, told in the first person, and learned once."""
    model, asks = answering()
    facts = ("Bo Li owes Ada a letter.", "Bo Li likes rye.")
    persona = Persona(name="Bo Li", facts=facts)
    bo = Agent(persona, model=model, memory=Memory(":memory:", "Bo Li"), planner=Routine())
    bo.chat("Do you like rye?", "Ada", at=NINE)
    assert [(one.kind, one.text) for one in bo.memory.records()[:2]] == [
        ("thought", text) for text in facts
    ]
    assert "[I remember: I like rye.]" in words(asks).split("\n")
    bo.chat("And now?", "Ada", at=NINE)
    assert [one.text for one in bo.memory.records() if one.kind == "thought"] == list(facts)
    assert bo.state.records == len(bo.memory) == 6


def test_the_session_stands_in_the_prompt() -> None:
    """The lines before are shown, the oldest of a long talk left out."""
    model, asks = answering()
    session = [Utterance("Ada" if n % 2 else "Bo Li", f"line {n}.", NINE) for n in range(20)]
    mind(model).chat("And now?", "Ada", session=session, at=NINE)
    assert "user: line 19." in words(asks)
    assert "assistant: line 8." in words(asks)
    assert "line 7." not in words(asks)


def test_replying_writes_nothing() -> None:
    """reply() thinks; only a commit writes."""
    model, _ = answering()
    bo = mind(model)
    before = bo.state
    thought = bo.reply(Utterance("Ada", "Hello!", NINE))
    reply = drive({"Bo Li": thought}, AskRouter({"Bo Li": bo}, at=NINE))["Bo Li"]
    assert (bo.state, len(bo.memory)) == (before, 0)
    assert len(reply.step.records) == 2
    assert [one.ask.kind for one in reply.step.asks] == [
        "recall",
        "embed",
        "generate",
        "generate",
        "generate",
        "generate",
        "rate",
        "rate",
        "embed",
    ]


@settings(max_examples=30, deadline=None)
@given(st.text(alphabet="abc ,.\n", max_size=30))
def test_the_streamed_pieces_are_the_reply(text: str) -> None:
    """With a single draft the streamed pieces, joined, are the reply without surrounding blanks;
    an empty text is no answer."""
    pieces: list[str] = []
    bo = mind(Pieces(text))
    bo.dialogue = Dialogue(drafts=1)
    reply = bo.chat("Hello!", at=NINE, on_text=pieces.append)
    assert "".join(pieces).strip() == reply.text
    assert all(len(piece) <= 3 for piece in pieces)
    assert (reply.resolve == "failed") == (reply.text == "")


def test_the_draft_that_was_chosen_is_told_in_words() -> None:
    """With several drafts nothing is told before one is chosen; then it comes word by word."""
    pieces: list[str] = []
    reply = mind(Pieces("Bread is good. As ever.")).chat(
        "What a day!", at=NINE, on_text=pieces.append
    )
    assert reply.text == "Bread is good. As ever."
    assert [piece for piece in pieces if piece] == ["Bread", " is", " good.", " As", " ever."]


def test_who_listens_no_longer_breaks_a_reply_off() -> None:
    """An exception in on_text while drafts are generated ends the reply; nothing is stored."""
    bo = mind(Pieces("Rye is good."))

    def gone(piece: str) -> None:
        assert piece == ""
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        bo.chat("Hello!", at=NINE, on_text=gone)
    assert len(bo.memory) == 0


def test_a_clear_choice_uses_the_tool() -> None:
    """The tool is called with the line's numbers and its answer stands in the prompt."""
    CALLED.clear()
    model, asks = answering(tool_choice=(0.04, 0.06, 0.9))
    reply = mind(model, tools=[add]).chat("What is 2 and 3?", "Ada", at=NINE)
    assert CALLED == [(2, 3)]
    assert "The add says: 5" in words(asks)
    (chosen,) = [ask for ask in asks if isinstance(ask, Choose) and ask.role == "tool"]
    assert [option.name for option in chosen.options] == ["chat", "none of these", "add"]
    results = [one.answer for one in reply.step.asks if isinstance(one.answer, ToolResult)]
    assert [(one.ok, one.value) for one in results] == [(True, 5)]


@pytest.mark.parametrize(
    "spread", [(0.9, 0.0, 0.1), (0.1, 0.8, 0.1), (0.0, 0.45, 0.55), (0.41, 0.0, 0.59)]
)
def test_an_unsure_choice_uses_no_tool(spread: tuple[float, float]) -> None:
    """Where talking is likelier, or the tool not clearly meant, nothing is called."""
    CALLED.clear()
    model, asks = answering(tool_choice=spread)
    mind(model, tools=[add]).chat("How are you?", "Ada", at=NINE)
    assert CALLED == []
    assert not [ask for ask in asks if ask.role == "arguments"]
    assert "says:" not in words(asks)


def test_without_tools_nothing_is_chosen() -> None:
    """An agent without tools is asked no question about them."""
    model, asks = answering()
    mind(model).chat("Hello!", at=NINE)
    assert not [ask for ask in asks if isinstance(ask, Choose)]


@pytest.mark.parametrize("arguments", ["{}", '{"first": "two", "second": 3}', "[]"])
def test_a_tool_that_cannot_be_called_spoils_no_answer(arguments: str) -> None:
    """Wrong arguments are data: the person still gets an answer."""
    CALLED.clear()
    model, asks = answering(tool_choice=(0.0, 0.0, 1.0), arguments=arguments)
    reply = mind(model, tools=[add]).chat("Add up!", "Ada", at=NINE)
    assert reply.text == "Good morning!"
    assert CALLED == []
    assert "says:" not in words(asks)


def test_a_tool_that_raises_spoils_no_answer() -> None:
    """What a tool raises is kept in the step, and the person is told that it failed."""
    model, _ = answering(tool_choice=(0.0, 0.0, 1.0))
    reply = mind(model, tools=[fail]).chat("Do it!", "Ada", at=NINE)
    assert reply.text == "That did not work."
    (result,) = [one.answer for one in reply.step.asks if isinstance(one.answer, ToolResult)]
    assert (result.ok, "KeyError" in result.error) == (False, True)


def test_a_failed_answer_is_said_to_be_one() -> None:
    """An engine fault gives a reply that says so in a field: its text is empty, what the person
    said is remembered, and no words never said."""

    def answer(ask: ModelAsk) -> Answer:
        return Failed(reason="engine", detail="out of memory")

    bo = mind(ScriptedModel(answer))
    reply = bo.chat("Hello!", "Ada", at=NINE)
    assert (reply.text, reply.resolve) == ("", "failed")
    assert reply.failure == Failed(reason="engine", detail="out of memory")
    assert [one.text for one in bo.memory.records()] == ['Ada said to Bo Li: "Hello!"']


def test_one_can_chat_after_a_life() -> None:
    """An agent that lived to step 500 answers and remembers; time in memory goes forward."""
    model, _ = answering()
    bo = mind(model)
    first = bo.chat("Hello!", "Ada", at=NINE)
    assert first.step.state == bo.state
    bo.memory.mark_accessed([1], step=500, at=NINE)
    bo.chat("Hello again!", "Ada", at=NINE + timedelta(hours=1))
    assert len(bo.memory) == 4
    assert bo.memory.index.last_step == 500


def test_a_chat_takes_its_time_from_the_wall_once() -> None:
    """Without a time the clock on the wall is read, to the second, for all of a message."""
    model, _ = answering()
    bo = mind(model)
    before = datetime.now().replace(microsecond=0)
    bo.chat("Hello!", "Ada")
    times = {record.created for record in bo.memory.records()}
    assert len(times) == 1
    assert before <= times.pop() <= datetime.now()


def test_the_same_question_is_answered_the_same() -> None:
    """Two agents alike, asked alike at the same time, say the same; other words, other seeds."""
    replies = [mind(ImprovisedModel()).chat(text, at=NINE) for text in ("Hi!", "Hi!", "Ho!")]
    seeds = [
        next(
            one.ask.seed
            for one in reply.step.asks
            if isinstance(one.ask, Generate) and one.ask.role == "speech"
        )
        for reply in replies
    ]
    assert replies[0] == replies[1]
    assert seeds[0] == seeds[1] != seeds[2]


@pytest.mark.parametrize("private", [True, False])
def test_a_confidence_is_kept(private: bool) -> None:
    """What Ada told is recalled with Ada again, and with Dan only when talk is not private;
    a thought that rests on it is as private."""
    model, asks = answering(say="I see.")
    bo = mind(model)
    bo.private_talk = private
    bo.chat("My password is swordfish.", "Ada", at=NINE)
    asks.clear()
    bo.chat("What is the password?", "Dan", at=NINE)
    assert ("swordfish" in words(asks)) == (not private)
    asks.clear()
    bo.chat("What is my password?", "Ada", at=NINE)
    assert "swordfish" in words(asks)
    audiences = {record.audience for record in bo.memory.records()}
    assert audiences == ({("Ada",), ("Dan",)} if private else {()})


def test_what_follows_from_a_confidence_is_one() -> None:
    """A thought is for those for whom all its evidence is; for its owner alone when that is
    nobody."""
    situation = situation_outside_world(Persona(name="Bo Li"), AgentState(), (), NINE, Seed.of(0))
    draft = StepBuilder(situation)

    def basis(*circles: tuple[str, ...]) -> tuple[Record, ...]:
        return tuple(
            Record(id=n, kind="utterance", text="x", created=NINE, audience=circle)
            for n, circle in enumerate(circles, 1)
        )

    draft.add_record("thought", "one", importance=1, evidence=basis(("Ada",), ()))
    draft.add_record("thought", "two", importance=1, evidence=basis(("Ada", "Cy"), ("Ada", "Dan")))
    draft.add_record("thought", "three", importance=1, evidence=basis(("Ada",), ("Dan",)))
    draft.add_record("thought", "four", importance=1, evidence=basis((), ()))
    audiences = [record.audience for record in draft.build(Action("wait")).records]
    assert audiences == [("Ada",), ("Ada",), ("Bo Li",), ()]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"text": None}, "'text' must be str, not None"),
        ({"text": 42}, "'text' must be str, not int"),
        ({"person": 42}, "'person' must be str, not int"),
        ({"at": NINE.date()}, "'at' must be datetime or None, not date"),
        (
            {"session": [{"role": "user", "content": "x"}]},
            "'session' must be Sequence of Utterance",
        ),
        ({"session": "Hello!"}, "'session' must be Sequence of Utterance, not str"),
        ({"session": None}, "'session' must be Sequence of Utterance, not None"),
        ({"session": [Utterance("Ada", None, NINE)]}, r"session\[0\]: text must be a string"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_message_is_refused(given: dict[str, Any], told: str) -> None:
    """Our own error names the argument and what to give; nothing is asked or remembered."""
    model, asks = answering()
    bo = mind(model)
    with pytest.raises(SettingError, match=told):
        bo.chat(**{"text": "Hello!", "person": "Ada", "at": NINE, **given})
    assert (asks, len(bo.memory)) == ([], 0)


def test_half_an_emoji_is_replaced() -> None:
    """What UTF-8 cannot hold is replaced in the line, in the session and in what a model writes."""
    model, asks = answering(say="Hello \ud83d there!")
    bo = mind(model)
    before = [Utterance("Ada", "so \ud83d", NINE)]
    assert bo.chat("hi \ud83d", "Ada", session=before, at=NINE).text == "Hello \ufffd there!"
    assert 'Ada said to Bo Li: "hi \ufffd"' in [one.text for one in bo.memory.records()]
    assert "so \ufffd" in words(asks)


def test_a_message_that_fits_no_window_is_no_answer() -> None:
    """The reply says so by a field, with no text; the line is remembered, whole."""

    def answer(ask: ModelAsk) -> Answer | str | float:
        if sum(len(message.text) for message in getattr(ask, "messages", ())) > 5_000:
            return Failed(reason="context_too_long", detail="the prompt takes 9000 tokens")
        return 3 if isinstance(ask, Rate) else "I see."

    bo = mind(ScriptedModel(answer))
    text = "My cat is called Tama. " + "bla " * 9_000
    reply = bo.chat(text, "Ada", at=NINE)
    assert (reply.text, reply.resolve) == ("", "failed")
    assert reply.failure is not None
    assert reply.failure.reason == "context_too_long"
    assert [one.text for one in bo.memory.records()] == [f'Ada said to Bo Li: "{text}"']
    assert [one.importance for one in bo.memory.records()] == [3]
    told = 'You told me: "My cat is called Tama."'
    assert bo.chat("How is my cat called?", "Ada", at=NINE).text == told


def test_a_pasted_text_is_shown_in_part() -> None:
    """Of a memory of pages, and of a line of pages in the session, a prompt shows an excerpt with
    what is asked about; so later turns cost little more."""
    model, asks = answering()
    bo = mind(model)
    essay = "Rye is a grass. " * 400 + "Tama is my cat. " + "Rye is a grass. " * 400
    pasted = bo.chat(essay, "Ada", at=NINE)
    asks.clear()
    bo.chat("Who is Tama, my cat?", "Ada", at=NINE + timedelta(days=1))
    assert "Tama is my cat." in words(asks)
    assert len(words(asks)) < 1_500
    asks.clear()
    bo.chat("Who is Tama, my cat?", "Ada", at=NINE, session=[Utterance("Ada", essay, NINE)] * 3)
    assert "Tama is my cat." in words(asks)
    assert len(words(asks)) < 4_000
    embedded = [one.ask for one in pasted.step.asks if isinstance(one.ask, Embed)]
    assert max(len(text) for ask in embedded for text in ask.texts) == 4_000


@pytest.mark.real
def test_what_was_said_a_moment_ago_is_known(smollm2: Any) -> None:
    """A question about what its asker said earlier in the same session is answered from it, like
    one in a later session."""
    bo = Agent(Persona(name="Bo Lind"), model=smollm2, memory=Memory(":memory:", "Bo Lind"))
    session = bo.session("Ada")
    session.say("My boat is called the Swallow.", at=NINE)
    for later, where in ((1, session), (1440, bo.session("Ada", "later"))):
        reply = where.say("What is my boat called?", at=NINE + timedelta(minutes=later))
        assert "Swallow" in reply.text
        assert reply.resolve == "answer"
