"""Skills: tools that think, run inside the thought that calls them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from denizens.agents import Agent, run_tool
from denizens.core import (
    Action,
    Call,
    Client,
    Completion,
    Decision,
    Delta,
    Done,
    Generate,
    Json,
    Message,
    ModelAsk,
    Observation,
    Persona,
    Situation,
    Thought,
    Ticket,
    ToolError,
    ToolResult,
    all_of,
    call,
    generate,
)
from denizens.memory import Memory
from denizens.testing import ScriptedModel
from denizens.tools import Policy, Toolbox, ToolContext, skill, skill_of, tool

NINE = datetime(2023, 2, 13, 9)
BO = ToolContext("Bo", NINE)


def asked(word: str) -> Thought[str]:
    said = yield from generate(Generate(messages=(Message.of("user", word),), role="rhyme"))
    return said.text if isinstance(said, Completion) else said.detail


@skill
def rhyme(context: ToolContext, word: str, times: int = 1) -> Thought[Json]:
    """Find words that rhyme with another."""
    found = yield from all_of([asked(f"{word} {number}") for number in range(times)])
    return {"rhymes": list(found), "for": context.person, "key": context.key}


@skill
def couplet(one: str, other: str) -> Thought[Json]:
    """Find words that rhyme with two others, by the skill for one."""
    results = yield from all_of(
        [call(Call(tool="rhyme", arguments={"word": word})) for word in (one, other)]
    )
    return [one.value["rhymes"] for one in results if isinstance(one, ToolResult)]


@skill
def broken(how: str) -> Thought[Json]:
    """Fail in one of some ways."""
    yield from asked("before")
    if how == "raise":
        raise KeyError("no")
    if how == "large":
        return "x" * 50_000
    if how == "nan":
        return float("nan")
    result = yield from call(Call(tool="broken", arguments={"how": f"{how} again"}))
    return (result.error or result.value) if isinstance(result, ToolResult) else result.detail


@tool
def upper(word: str) -> str:
    """Write a word in capitals."""
    return word.upper()


class Once:
    """Decides by running one thought of calls; what they gave is its reason."""

    def __init__(self, *calls: Call) -> None:
        self.calls = calls
        self.results: list[Any] = []

    def decide(self, situation: Situation) -> Thought[Decision]:
        answers = yield tuple(self.calls)
        self.results = list(answers)
        return Decision(action=Action("wait"), state=situation.state)


def echo(ask: ModelAsk) -> str:
    assert isinstance(ask, Generate)
    return f"<{ask.messages[0].text}>"


def bo(planner: Any = None, policy: Policy | None = None, tools: Sequence[Any] = ()) -> Agent:
    return Agent(
        Persona(name="Bo", age=40),
        model=ScriptedModel(echo),
        memory=Memory(":memory:", "Bo"),
        planner=planner,
        tools=tools or [rhyme, couplet, broken, upper],
        policy=policy,
    )


def lived(planner: Any, **settings: Any) -> Any:
    from denizens.agents import AskRouter
    from denizens.core import drive

    agent = bo(planner, **settings)
    thought = agent.live(Observation("Bo", NINE, ""), ())
    return drive({"Bo": thought}, AskRouter({"Bo": agent}, at=NINE))["Bo"]


def test_a_skill_is_declared_like_a_tool() -> None:
    """Its schema is read from the generator's signature; a plain function is refused."""
    assert rhyme.spec.description == "Find words that rhyme with another."
    assert list(rhyme.spec.parameters["properties"]) == ["word", "times"]
    assert skill_of(rhyme) is rhyme
    assert skill_of(upper) is None
    assert [skill_of(one) for one in Toolbox({"verse": [rhyme]})] == [rhyme]
    with pytest.raises(ToolError, match="no generator"):

        @skill
        def plain(word: str) -> Any:
            """Ask nothing."""
            return word


def test_outside_a_mind_a_skill_only_begins() -> None:
    """A toolbox alone has no model: the call begins the skill and says so."""
    result = Toolbox([rhyme]).call("rhyme", {"word": "rye"}, context=BO, key="1")
    assert result.value == {"thinking": "rhyme"}
    assert not Toolbox([rhyme]).call("rhyme", {"wort": "rye"}, context=BO, key="1").ok


def test_a_skill_runs_in_place() -> None:
    """A planner's call is answered with what the skill thought; tools beside it are called as
    ever, and the step holds the call as well as the skill's own asks."""
    planner = Once(
        Call(tool="upper", arguments={"word": "rye"}),
        Call(tool="rhyme", arguments={"word": "rye", "times": 2}),
        Call(tool="rhyme", arguments={"word": "salt"}),
    )
    step = lived(planner)
    assert planner.results[0].value == "RYE"
    assert planner.results[1].value["rhymes"] == ["<rye 0>", "<rye 1>"]
    assert planner.results[2].value["rhymes"] == ["<salt 0>"]
    assert planner.results[1].receipt.startswith("rhyme-")
    kinds = [one.ask.kind for one in step.asks]
    assert kinds == ["call", "call", "call", "generate", "generate", "generate"]


def test_skills_of_a_round_are_asked_together() -> None:
    """The asks of skills that run side by side reach the model in one batch."""
    rounds: list[int] = []

    class Counting:
        """A mailbox that notes how many asks came before each wait."""

        def __init__(self, inner: Client) -> None:
            self.inner, self.waiting = inner, 0

        def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> Ticket:
            self.waiting += 1
            return self.inner.submit(ask, owner, priority)

        def cancel(self, ticket: Ticket) -> None:
            self.inner.cancel(ticket)

        def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
            rounds.append(self.waiting)
            self.waiting = 0
            return self.inner.wait(timeout)

    class Model:
        """Hands such mailboxes out."""

        def client(self) -> Counting:
            return Counting(ScriptedModel(echo).client())

        def describe(self) -> dict[str, Json]:
            return {"name": "counting"}

    agent = bo()
    agent.model = Model()
    result = run_tool(agent, "couplet", {"one": "rye", "other": "salt"}, at=NINE)
    assert result.value == [["<rye 0>"], ["<salt 0>"]]
    assert rounds[0] == 2


def test_a_skill_is_told_for_whom() -> None:
    """The skill's context names the person on whose behalf it is used, and its receipt."""
    result = run_tool(bo(), "rhyme", {"word": "rye"}, at=NINE, person="Ada")
    assert result.value["for"] == "Ada"
    assert result.value["key"] == result.receipt


def test_what_a_skill_does_wrong_is_a_result() -> None:
    """Raising, results too large or not JSON, wrong arguments, and calling itself for ever end
    as results in words."""
    agent = bo()
    for how, words in (("raise", "KeyError"), ("large", "50002"), ("nan", "JSON")):
        result = run_tool(agent, "broken", {"how": how}, at=NINE)
        assert not result.ok
        assert words in result.error
        assert result.receipt
    assert "deep" in str(run_tool(agent, "broken", {"how": "again"}, at=NINE).value)
    assert run_tool(agent, "broken", {}, at=NINE).reason == "arguments"
    assert run_tool(agent, "brokn", {}, at=NINE).reason == "unknown"


def test_a_policy_holds_for_skills() -> None:
    """What is denied is not thought; what needs leave is asked for, and then thought."""
    planner = Once(Call(tool="rhyme", arguments={"word": "rye"}))
    step = lived(planner, policy=Policy(deny=("rhyme",)))
    assert planner.results[0].reason == "denied"
    assert [one.ask.kind for one in step.asks] == ["call"]
    agent = bo(policy=Policy(ask=("rhyme",)))
    granted = run_tool(agent, "rhyme", {"word": "rye"}, at=NINE, approve=lambda request: True)
    assert granted.value["rhymes"] == ["<rye 0>"]
    refused = run_tool(agent, "rhyme", {"word": "rye"}, at=NINE, approve=lambda request: False)
    assert refused.reason == "denied"


def test_a_repeated_skill_gives_its_first_answer() -> None:
    """The same call in one thought is not thought again; the refusal tells what came out."""

    class Twice(Once):
        def decide(self, situation: Situation) -> Thought[Decision]:
            for one in self.calls:
                self.results.append((yield from call(one)))
            return Decision(action=Action("wait"), state=situation.state)

    one = Call(tool="rhyme", arguments={"word": "rye"})
    planner = Twice(one, one)
    step = lived(planner)
    assert planner.results[1].reason == "repeated"
    assert "<rye 0>" in planner.results[1].error
    assert [one.ask.kind for one in step.asks].count("generate") == 1
