"""Budgets: whatever a thought does, it ends; what a life has used is exact in every retelling."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from denizens.agents import Agent
from denizens.agents.thoughts import MAX_REFUSALS
from denizens.core import (
    Call,
    Choice,
    Choose,
    Clock,
    Completion,
    Cue,
    Failed,
    Generate,
    ModelAsk,
    Option,
    Persona,
    Rate,
    Recall,
    Situation,
    Thought,
    all_of,
    call,
    choose,
    generate,
    recall,
)
from denizens.memory import Memory
from denizens.simulation import Journal, Simulation, check_run
from denizens.store import Store
from denizens.testing import ScriptedModel
from denizens.tests.support.guarded_agent import (
    ASK,
    NINE,
    Body,
    FunctionPlanner,
    call_result,
    calls,
    double,
    ends,
    make_agent,
    run_step,
    send,
)
from denizens.tests.support.letter_writers import MAP, START
from denizens.tools import Policy, Toolbox, UsageLimits, tool
from denizens.world import Town
from hypothesis import given, settings
from hypothesis import strategies as st

SMALL = Policy(thought=UsageLimits(calls=3, asks=40, tokens=60))


def forever_calling(situation: Situation) -> Thought[None]:
    """Make the same call again and again, whatever comes of it."""
    while True:
        yield from call_result("double", n=1)


def forever_counting(situation: Situation) -> Thought[None]:
    """Make another call each time."""
    number = 0
    while True:
        number += 1
        yield from call_result("double", n=number)


def forever_sending(situation: Situation) -> Thought[None]:
    """Act again and again."""
    while True:
        yield from call_result("send", text="hello")


def forever_asking(situation: Situation) -> Thought[None]:
    """Ask the model the same again and again, until it says something else."""
    while True:
        yield from generate(ASK)


def forever_choosing(situation: Situation) -> Thought[None]:
    """Let a model that repeats itself choose the next call, as a planner would."""
    while True:
        options = (Option("double"), Option("stop"))
        picked = yield from choose(Choose(messages=(), options=options, about="again?"))
        if isinstance(picked, Choice) and picked.index == 1:
            return
        yield from call_result("double", n=2)


def forever_recalling(situation: Situation) -> Thought[None]:
    """Ask the memory again and again."""
    while True:
        yield from recall(Recall(cue=Cue(text="bread", at=NINE)))


def forever_wide(situation: Situation) -> Thought[None]:
    """Ask many things side by side, again and again."""
    while True:
        yield from all_of([call_result("double", n=n) for n in range(7)])


def forever_idle(situation: Situation) -> Thought[None]:
    """Ask for nothing, again and again."""
    while True:
        yield ()


def forever_unknown(situation: Situation) -> Thought[None]:
    """Call what is not there, and what is not allowed to be called so."""
    while True:
        yield from call(Call(tool="fly", arguments={}))
        yield from call(Call(tool="double", arguments={"m": 1}))


FOREVER = [
    forever_calling,
    forever_counting,
    forever_sending,
    forever_asking,
    forever_choosing,
    forever_recalling,
    forever_wide,
    forever_idle,
    forever_unknown,
]


def repeating(ask: ModelAsk) -> Any:
    """A model that always says the same."""
    if isinstance(ask, Choose):
        return Choice(index=0, probabilities=(1.0, 0.0), tokens_in=9)
    if isinstance(ask, Rate):
        return 3
    return Completion(text="again", tokens_in=8, tokens_out=2)


@pytest.mark.parametrize("body", FOREVER)
@pytest.mark.parametrize("policy", [None, SMALL])
def test_a_thought_that_loops_for_ever_is_ended(body: Body, policy: Policy | None) -> None:
    """Every way of never ending ends within the budget, with a typed outcome: the step waits,
    says why, and leaves the state as it was."""
    bo = make_agent(body, policy=policy, model=ScriptedModel(repeating))
    before = bo.state
    step = run_step(bo)
    assert (step.stopped, step.action.verb) == ("budget", "wait")
    assert "The thought was ended: " in step.why
    assert step.state == before
    assert step.records == ()
    budget = (policy or Policy()).thought
    assert budget.calls is not None
    assert budget.asks is not None
    assert len(calls(step)) - sum(not done.receipt for _, done in calls(step)) <= budget.calls
    assert len(step.asks) <= budget.asks + 7 * MAX_REFUSALS
    assert ends(bo) == []


def test_a_chat_that_loops_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person gets an answer that says so, and it can be told from one that was thought."""
    bo = make_agent(forever_asking, policy=Policy(thought=UsageLimits(tokens=1)))
    monkeypatch.setattr(
        "denizens.agents.agent.reply_thought", lambda *given: forever_asking(given[0])
    )
    reply = bo.chat("Hello!", "Ada", at=NINE)
    assert reply.step.stopped == "budget"
    assert (reply.text, reply.resolve) == ("", "failed")
    told = "this thought has cost 10 tokens, and may cost 1"
    assert reply.failure == Failed(reason="budget", detail=told)
    assert len(bo.memory) == 0


@pytest.mark.parametrize(
    ("budget", "wanted"),
    [
        (UsageLimits(calls=2), ["2", "4", "budget", "budget"]),
        (UsageLimits(asks=3), ["2", "4", "6", "budget"]),
        (UsageLimits(tokens=1), ["2", "4", "6", "8"]),
        (UsageLimits(), ["2", "4", "6", "8"]),
    ],
)
def test_calls_over_the_budget_are_answered_so(budget: UsageLimits, wanted: list[str]) -> None:
    """What is over is not made and told as such; the thought can go on with that and ends by
    itself."""

    def body(situation: Situation) -> Thought[list[str]]:
        found = []
        for number in (1, 2, 3, 4):
            found.append((yield from call_result("double", n=number)))
        return found

    bo = make_agent(body, policy=Policy(thought=budget))
    step = run_step(bo)
    assert ends(bo) == [wanted]
    assert (step.stopped, step.action.verb) == ("", "dance")


def test_tokens_over_the_budget_are_not_asked_for() -> None:
    """A model is asked until the tokens are used; then it is a Failed, and recall still works."""

    def body(situation: Situation) -> Thought[list[object]]:
        found: list[object] = []
        for _ in range(4):
            found.append((yield from generate(ASK)))
        found.append((yield from recall(Recall(cue=Cue(text="bread", at=NINE)))))
        return found

    asked: list[ModelAsk] = []

    def answer(ask: ModelAsk) -> Any:
        asked.append(ask)
        return repeating(ask)

    bo = make_agent(
        body, policy=Policy(thought=UsageLimits(tokens=15)), model=ScriptedModel(answer)
    )
    run_step(bo)
    kinds = [one.reason if isinstance(one, Failed) else one.kind for one in ends(bo)[0]]
    assert kinds == ["completion", "completion", "budget", "budget", "recalled"]
    assert sum(isinstance(ask, Generate) for ask in asked) == 2


def test_seconds_are_measured_and_end_a_thought() -> None:
    """When its time is over, a thought that still asks is answered with that, and ended; what
    it wants to remember it may."""

    @tool(name="nap")
    def nap(n: int) -> int:
        """Sleep a little."""
        time.sleep(0.06)
        return n

    def body(situation: Situation) -> Thought[None]:
        number = 0
        while True:
            number += 1
            yield from call_result("nap", n=number)

    bo = make_agent(body)
    bo.tools = Toolbox([nap], policy=Policy(thought=UsageLimits(seconds=0.1)))
    step = run_step(bo)
    assert step.stopped == "budget"
    made = [done for _, done in calls(step) if done.ok]
    assert 1 <= len(made) <= 3
    assert {done.reason for _, done in calls(step) if not done.ok} == {"budget"}
    assert "0.1 s" in step.why


def town(store: Store, body: Body, policy: Policy) -> Simulation:
    """A town of Ann alone, who thinks as it is written."""
    ann = Agent(
        Persona(name="Ann", home="town:house:hall"),
        model=ScriptedModel(repeating),
        memory=Memory(store, "Ann"),
        planner=FunctionPlanner(body),
        tools=[double, send],
        policy=policy,
    )
    world = Town(MAP, start=START, step_seconds=60)
    return Simulation(world, [ann], seed=3, clock=Clock(START), store=store)


def daily(situation: Situation) -> Thought[None]:
    """A model's line and two calls a step."""
    yield from generate(ASK)
    for number in (1, 2):
        yield from call_result("double", n=number)


LIFE = Policy(life=UsageLimits(calls=5, tokens=35))


def test_a_life_has_a_budget_of_its_own(tmp_path: Path) -> None:
    """Calls and tokens are counted over the steps, kept in the state, and refused when they
    are used up, though every single thought is small."""
    with Store(tmp_path / "run.db") as store:
        made = town(store, daily, LIFE)
        ticks = list(made.run(steps=6))
        assert [tick.steps["Ann"].state.calls for tick in ticks] == [2, 4, 5, 5, 5, 5]
        assert [tick.steps["Ann"].state.tokens for tick in ticks] == [10, 20, 30, 40, 40, 40]
        reasons = [[done.reason for _, done in calls(tick.steps["Ann"])] for tick in ticks]
        assert reasons[1:4] == [["", ""], ["", "budget"], ["budget", "budget"]]


def test_a_lifes_budget_is_exact_in_every_retelling(tmp_path: Path) -> None:
    """A run in pieces and a replay from its record refuse the same calls and end on the same
    hash as one in one go."""
    with Store(tmp_path / "whole.db") as store:
        made = town(store, daily, LIFE)
        list(made.run(steps=6))
        whole = made.hash
        with Store(":memory:") as again:
            replayed = town(again, daily, LIFE)
            replayed.replay_from(Journal(store))
            list(replayed.run(steps=6))
            assert replayed.hash == whole
    for _ in range(6):
        with Store(tmp_path / "pieces.db") as store:
            made = town(store, daily, LIFE)
            list(made.run(steps=1))
            assert check_run(store) == ()
            last = made.hash
    assert last == whole


def test_without_a_lifes_budget_nothing_is_counted(tmp_path: Path) -> None:
    """A state holds no counts that nobody wants, so runs recorded before have their hashes."""
    with Store(tmp_path / "run.db") as store:
        made = town(store, daily, Policy())
        list(made.run(steps=2))
        ((text,),) = store.rows("SELECT state FROM states WHERE step = 0")
        assert '"calls"' not in text
        assert made.agents["Ann"].state.calls == 0


moves: dict[str, Callable[[int], Thought[object]]] = {
    "think": lambda number: generate(ASK),
    "same": lambda number: call_result("double", n=0),
    "other": lambda number: call_result("double", n=number),
    "act": lambda number: call_result("send", text="x"),
    "wrong": lambda number: call_result("fly"),
}


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(sorted(moves)), min_size=1, max_size=6),
    st.integers(0, 5),
    st.integers(1, 30),
    st.integers(0, 50),
)
def test_any_loop_ends_within_any_budget(
    names: list[str], most_calls: int, most_asks: int, tokens: int
) -> None:
    """Whatever a thought repeats and whatever bounds it: it is ended, its calls that ran and
    its asks are within the budget, and its tokens pass it by one answer at most."""

    def body(situation: Situation) -> Thought[None]:
        number = 0
        while True:
            for name in names:
                number += 1
                yield from moves[name](number)

    budget = UsageLimits(calls=most_calls, asks=most_asks, tokens=tokens)
    step = run_step(make_agent(body, policy=Policy(thought=budget)))
    assert step.stopped == "budget"
    ran = sum(bool(done.receipt) for _, done in calls(step))
    assert ran <= (most_calls or most_asks)
    spent = [one.answer for one in step.asks if isinstance(one.answer, Completion)]
    used = sum(one.tokens_in + one.tokens_out for one in spent)
    assert not tokens or used < tokens + 10
    assert len(step.asks) <= most_asks + MAX_REFUSALS + 1
