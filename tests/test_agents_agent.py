"""Agents: they think without writing, commit writes, and AskRouter answers for many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from denizens.agents import Agent, AskRouter
from denizens.core import (
    Action,
    Affordance,
    AgentState,
    Answer,
    Call,
    Completion,
    Cue,
    Decision,
    Delta,
    Done,
    Embed,
    Event,
    Failed,
    Generate,
    Input,
    MemoryFault,
    Message,
    ModelAsk,
    Observation,
    Persona,
    Planner,
    Recall,
    Recalled,
    Seed,
    Situation,
    Thought,
    ToolResult,
    Vectors,
    call,
    drive,
    generate,
    recall,
    to_json,
    together,
)
from denizens.memory import Memory
from denizens.models import ImprovisedModel
from denizens.planners import Daily, Routine, Scripted, StepBuilder
from denizens.planners.steps import remember_events
from denizens.store import Store
from denizens.testing import ScriptedModel
from denizens.tools import ToolContext, tool

NINE = datetime(2023, 2, 13, 9)
OVEN = "v:Bakery:room:oven"
CAN = (Affordance("wait"), Affordance("act", OVEN), Affordance("act", "v:Mill:bedroom:bed"))
ADA_SINGS = Event("doing", "Ada", "is", "singing", "Ada is singing")


class Counting:
    """A model that counts its clients and keeps every batch it answers.

    ``columns`` is the length of its embeddings.
    """

    def __init__(self, columns: int = 4) -> None:
        self.columns = columns
        self.clients = 0
        self.batches: list[list[tuple[str, ModelAsk]]] = []

    def client(self) -> Counting:
        self.clients += 1
        self._queue: list[tuple[int, str, ModelAsk]] = []
        self._next = 0
        return self

    def describe(self) -> dict[str, str]:
        return {"name": "counting"}

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> int:
        self._next += 1
        self._queue.append((self._next, owner, ask))
        return self._next

    def cancel(self, ticket: int) -> None:
        self._queue = [one for one in self._queue if one[0] != ticket]

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        queue, self._queue = self._queue, []
        self.batches.append([(owner, ask) for _, owner, ask in queue])
        return [Done(ticket, self.answer(ask)) for ticket, _, ask in queue]

    def answer(self, ask: ModelAsk) -> Answer:
        if isinstance(ask, Embed):
            rows = np.eye(self.columns, dtype=np.float32)[
                [len(t) % self.columns for t in ask.texts]
            ]
            return Vectors.of(rows)
        assert isinstance(ask, Generate)
        return Completion(text=ask.messages[0].text)


class Remembering:
    """Notices, recalls, speaks and uses memories: a small planner that asks of every kind."""

    def decide(self, situation: Situation) -> Thought[Decision]:
        draft = StepBuilder(situation)
        remember_events(draft)
        ask = Generate(messages=(Message.of("user", "go on"),))
        found, _ = yield from together(
            recall(Recall(cue=Cue(text="bread", at=situation.now, limit=2))), generate(ask)
        )
        assert isinstance(found, Recalled)
        draft.mark_used(hit.record for hit in found.hits)
        yield from draft.finalize()
        return draft.build(Action("wait"), "It was told to.")


@tool
def add(first: int, second: int) -> int:
    """Add two whole numbers."""
    return first + second


@tool(effect="reads")
def whoami(context: ToolContext) -> list[str]:
    """Tell who calls, and when."""
    return [context.who, context.now.isoformat(), context.key]


def agent(
    name: str = "Bo Li",
    *,
    planner: Planner | None = None,
    model: Counting | ImprovisedModel | ScriptedModel | None = None,
    store: Store | None = None,
) -> Agent:
    persona = Persona(name=name, home="v:Mill:bedroom", currently=f"{name} is busy.")
    return Agent(
        persona,
        model=model or Counting(),
        memory=Memory(store or ":memory:", name),
        planner=planner or Remembering(),
        tools=[add, whoami],
    )


def seen(name: str = "Bo Li", *events: Event, at: datetime = NINE) -> Observation:
    return Observation(name, at, "v:Bakery:room", events=events)


def test_a_new_agent_begins_with_its_persona_and_memory() -> None:
    """The first state has the persona's mind and threshold and counts the memories there are."""
    memory = Memory(":memory:", "Bo Li")
    memory.remember("Ada owes Bo a letter.", at=NINE)
    persona = Persona(name="Bo Li", currently="Bo worries.", reflect_after=40)
    mind = Agent(persona, model=Counting(), memory=memory, planner=Routine())
    assert mind.state == AgentState(currently="Bo worries.", reflect_left=40, records=1)
    assert mind.id == "Bo Li"
    assert mind.tools.names() == ()


def test_living_writes_nothing() -> None:
    """A step leaves memory and state as they were; the same step again is the same."""
    mind = agent()
    mind.memory.remember("Bread is baked at five.", at=NINE)
    mind.state = replace(mind.state, records=1)
    before, digest = mind.state, mind.memory.digest
    steps = []
    for _ in range(2):
        thought = mind.live(seen("Bo Li", ADA_SINGS), CAN, seed=Seed.of(1))
        steps.append(drive({"Bo Li": thought}, AskRouter({"Bo Li": mind}, at=NINE))["Bo Li"])
        assert (mind.state, mind.memory.digest, len(mind.memory)) == (before, digest, 1)
    assert steps[0] == steps[1]
    assert [record.text for record in steps[0].records] == ["Ada is singing"]
    assert steps[0].used == (1,)
    assert steps[0].why == "It was told to."


def test_commit_writes_what_the_step_says() -> None:
    """Records with their embeddings, last accesses and the next state are written, once."""
    mind = agent()
    mind.memory.remember("Bread is baked at five.", at=NINE)
    mind.state = replace(mind.state, records=1)
    later = NINE + timedelta(hours=2)
    thought = mind.live(seen("Bo Li", ADA_SINGS, at=later), CAN, seed=Seed.of(1))
    step = drive({"Bo Li": thought}, AskRouter({"Bo Li": mind}, at=later))["Bo Li"]
    mind.commit(step, number=3, at=later)
    assert mind.state == step.state
    assert mind.memory.records()[1:] == step.records
    assert set(step.embedded) == {2}
    assert len(mind.memory) == mind.state.records == 2
    assert len(mind.memory.as_of(2)) == 1
    hits = mind.memory.recall(Cue(text="x", at=later, limit=2), np.eye(4, dtype=np.float32)[0])
    assert {hit.record.id for hit in hits} == {1, 2}
    assert len({hit.recency for hit in hits}) == 1, "the old memory was used just now"


def test_what_was_perceived_lately_is_not_fresh() -> None:
    """A lasting state is noticed once while it is kept in mind."""
    mind = agent()
    for number, wanted in enumerate(([ADA_SINGS.text], [])):
        thought = mind.live(seen("Bo Li", ADA_SINGS), CAN, seed=Seed.of(number))
        step = drive({"Bo Li": thought}, AskRouter({"Bo Li": mind}, at=NINE))["Bo Li"]
        assert [record.text for record in step.records] == wanted
        mind.commit(step, number=number, at=NINE)


def test_news_from_outside_is_perceived() -> None:
    """What the world tells a body (an intervention) reaches its memory; a refusal does not."""
    news = Event("news", "the mayor", "says", "a party", "the mayor invites all to a party")
    refused = Event("refused", "Bo Li", "cannot", "act", "Bo Li cannot act: no")
    mind = agent()
    told = replace(seen(), notices=(refused, news))
    thought = mind.live(told, CAN, seed=Seed.of(1))
    step = drive({"Bo Li": thought}, AskRouter({"Bo Li": mind}, at=NINE))["Bo Li"]
    assert [record.text for record in step.records] == [news.text]
    assert step.state.perceived == (news.key,)


def test_an_agent_hands_its_planner_the_whole_situation() -> None:
    """Persona, state, tools, inputs, time and seed arrive as they were given."""
    got: list[Situation] = []

    class Looking:
        def decide(self, situation: Situation) -> Thought[Decision]:
            got.append(situation)
            return Decision(action=Action("wait"), state=situation.state)
            yield

    mind = agent(planner=Looking())
    whisper = Input(kind="whisper", to="Bo Li", text="The oven is cold.")
    with pytest.raises(StopIteration):
        next(mind.live(seen(), CAN, [whisper], Seed.of(4)))
    with pytest.raises(StopIteration):
        next(mind.live(seen(), CAN, now=NINE + timedelta(minutes=1)))
    first, second = got
    assert (first.persona, first.state, first.can) == (mind.persona, mind.state, CAN)
    assert [spec.name for spec in first.tools] == ["add", "whoami"]
    assert (first.inputs, first.now, first.seed) == ((whisper,), NINE, Seed.of(4))
    assert second.now == NINE + timedelta(minutes=1)
    assert second.seed != first.seed


def test_a_step_keeps_its_asks_and_answers() -> None:
    """The step tells all that was asked and answered, in order."""
    mind = agent()
    step = drive(
        {"Bo Li": mind.live(seen("Bo Li", ADA_SINGS), CAN)}, AskRouter({"Bo Li": mind}, at=NINE)
    )["Bo Li"]
    assert [one.ask.kind for one in step.asks] == ["recall", "generate", "embed"]
    assert [one.answer.kind for one in step.asks] == ["recalled", "completion", "vectors"]
    assert to_json(step)["asks"][1]["answer"]["text"] == "go on"


def test_agents_that_share_a_model_share_one_batch() -> None:
    """Four asks of two agents, two of them recalls, meet in one client and one batch."""
    model = Counting()
    minds = {name: agent(name, model=model) for name in ("Ada", "Bo Li")}
    faculties = AskRouter(minds, at=NINE)
    drive({name: one.live(seen(name), CAN) for name, one in minds.items()}, faculties)
    assert model.clients == 1
    assert [[(owner, ask.kind) for owner, ask in batch] for batch in model.batches] == [
        [("Ada", "embed"), ("Ada", "generate"), ("Bo Li", "embed"), ("Bo Li", "generate")]
    ]


def test_each_agent_is_answered_by_its_own_model() -> None:
    """Two models, two clients; embeddings of different lengths do not meet."""
    models = {"Ada": Counting(4), "Bo Li": Counting(6)}
    minds = {name: agent(name, model=model) for name, model in models.items()}
    faculties = AskRouter(minds, at=NINE)
    for name, one in minds.items():
        one.state = replace(one.state, records=1)
        vector = np.eye(models[name].columns, dtype=np.float32)[0]
        record = one.memory.remember(f"{name} bakes.", at=NINE)
        assert record.id == 1
        assert len(vector) == models[name].columns
    steps = drive({name: one.live(seen(name), CAN) for name, one in minds.items()}, faculties)
    assert {name: step.used for name, step in steps.items()} == {"Ada": (1,), "Bo Li": (1,)}
    for name, model in models.items():
        assert model.clients == 1
        assert {owner for batch in model.batches for owner, _ in batch} == {name}


def test_recall_is_embedded_and_asks_the_own_memory() -> None:
    """The cue's text is embedded, and each agent finds its own records in the shared store."""
    store = Store(":memory:")
    model = Counting(8)
    minds = {name: agent(name, model=model, store=store) for name in ("Ada", "Bo Li")}
    for name, one in minds.items():
        rows = {1: np.eye(8, dtype=np.float32)[5], 2: np.eye(8, dtype=np.float32)[0]}
        first = one.memory.remember(f"{name} bakes bread.", at=NINE)
        second = replace(first, id=2, text=f"{name} is at sea.")
        one.memory.add([second], {2: rows[2]})
    thoughts = {name: recall(Recall(cue=Cue(text="12345678", at=NINE, limit=1))) for name in minds}
    found = drive(thoughts, AskRouter(minds, at=NINE))
    texts = {
        name: [hit.record.text for hit in answer.hits]
        for name, answer in found.items()
        if isinstance(answer, Recalled)
    }
    assert texts == {"Ada": ["Ada is at sea."], "Bo Li": ["Bo Li is at sea."]}
    assert [[ask.kind for _, ask in batch] for batch in model.batches] == [["embed", "embed"]]


def test_a_recall_whose_embedding_failed_has_failed() -> None:
    """An engine fault at the cue's embedding comes back as Failed, not as an empty memory."""
    broken = Failed(reason="engine", detail="no")

    class Broken(Counting):
        def answer(self, ask: ModelAsk) -> Answer:
            return broken

    mind = agent(model=Broken())
    thought = recall(Recall(cue=Cue(text="x", at=NINE)))
    assert drive({"Bo Li": thought}, AskRouter({"Bo Li": mind}, at=NINE)) == {"Bo Li": broken}


def test_a_tool_answers_and_knows_its_caller() -> None:
    """A result comes back with its receipt; the caller, the time and the key are handed in."""
    mind = agent()
    thought = together(
        call(Call(tool="add", arguments={"first": 2, "second": 3})),
        call(Call(tool="whoami", arguments={})),
    )
    total, who = drive({"Bo Li": thought}, AskRouter({"Bo Li": mind}, at=NINE), step=7)["Bo Li"]
    assert isinstance(total, ToolResult)
    assert isinstance(who, ToolResult)
    assert (total.ok, total.value) == (True, 5)
    assert who.value == ["Bo Li", NINE.isoformat(), "Bo Li/7/1.1"]
    assert total.receipt.startswith("add-")


def test_an_unknown_tool_fails() -> None:
    """A tool the agent does not have is an answer with that reason, and names those it has."""
    thought = call(Call(tool="fly", arguments={}))
    (answer,) = drive({"Bo Li": thought}, AskRouter({"Bo Li": agent()}, at=NINE)).values()
    assert isinstance(answer, ToolResult)
    assert (answer.ok, answer.reason, answer.receipt) == (False, "unknown", "")
    assert "no tool 'fly'; tools: add, whoami" in answer.error


def test_steps_can_only_go_forward() -> None:
    """A step before one already written is refused by the memory, and nothing changes."""
    mind = agent()
    thought = mind.live(seen("Bo Li", ADA_SINGS), CAN)
    step = drive({"Bo Li": thought}, AskRouter({"Bo Li": mind}, at=NINE))["Bo Li"]
    mind.commit(step, number=5, at=NINE)
    before = mind.state
    again = replace(step, records=(replace(step.records[0], id=2),), embedded={})
    with pytest.raises(MemoryFault, match="step 4"):
        mind.commit(again, number=4, at=NINE)
    assert mind.state == before


@pytest.mark.parametrize("planner", [Routine(), Daily(), Scripted([Action("act", OVEN)])])
def test_every_planner_lives_in_an_agent(planner: Planner) -> None:
    """Routine, Daily and Scripted live a step with a model double and commit it."""
    mind = agent(planner=planner, model=ImprovisedModel())
    thought = mind.live(seen("Bo Li", ADA_SINGS), CAN, seed=Seed.of(1))
    step = drive({"Bo Li": thought}, AskRouter({"Bo Li": mind}, at=NINE))["Bo Li"]
    mind.commit(step, number=1, at=NINE)
    assert step.action.verb == "act"
    assert step.action.target in {can.target for can in CAN}
    assert len(mind.memory) == len(step.records) == mind.state.records
