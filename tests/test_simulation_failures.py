"""A run whose model does not work does not look like a good one."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from denizens import Clock, Memory, Persona, Places, Simulation
from denizens.agents import Agent
from denizens.agents.thoughts import validate_answer
from denizens.cli import main
from denizens.core import (
    Action,
    Answer,
    Ask,
    AsksFailed,
    Choice,
    Choose,
    Client,
    Completion,
    Delta,
    Done,
    Embed,
    Failed,
    Generate,
    Json,
    Model,
    ModelAsk,
    Option,
    Rate,
    Rating,
    Vectors,
)
from denizens.models import ImprovisedModel
from denizens.planners import Scripted
from denizens.simulation import (
    Run,
    agent_loader,
    begin,
    build_simulation,
    builder,
    check_run,
    failure_lines,
    failure_of,
    open_store,
    read_scenario,
    replay,
    resume,
    run_stats,
)
from denizens.simulation.record import MAX_REFUSALS_IN_A_ROW, MIN_ASKS
from denizens.store import Store
from denizens.testing import ScriptedModel
from denizens.viewer import collect_page_data
from denizens.world import load_places

BROKE = Failed(reason="engine", detail="answered 402: no credit left")


def sick(ill: Callable[[ModelAsk], object]) -> ScriptedModel:
    """The improvising double, but for the asks that ``ill`` answers."""
    client = ImprovisedModel().client()

    def answer(ask: ModelAsk):  # type: ignore[no-untyped-def]
        found = ill(ask)
        if found is not None:
            return found
        client.submit(ask)
        (done,) = client.wait()
        assert isinstance(done, Done)
        return done.answer

    return ScriptedModel(answer)


def dead() -> ScriptedModel:
    """A model of which no ask is answered."""
    return sick(lambda ask: BROKE)


def test_a_dead_model_ends_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """When every ask fails the run raises after the step, which is kept; each kind of failure
    is told once, all are counted, and figures, verify and page know of them."""
    simulation = begin(read_scenario("crossroads"), tmp_path / "run", model=dead())
    with caplog.at_level(logging.WARNING), simulation.store:
        with pytest.raises(AsksFailed, match=r"role 'plan' failed \(engine: answered 402"):
            list(simulation.run(steps=50))
        assert isinstance(simulation.halted, AsksFailed)
        assert simulation.step == 1
    told = [one.getMessage() for one in caplog.records if "failed" in one.getMessage()]
    assert len(told) == len(set(told)) >= 2
    assert any(line.startswith("plan (generate) failed: engine: answered 402") for line in told)
    with Run(tmp_path / "run") as run:
        found = run.stats()["failures"]
        plans = next(one for one in found["kinds"] if one["role"] == "plan")
        assert plans["reason"] == "engine"
        assert plans["count"] >= MIN_ASKS
        assert found["failed"] == found["asks"] > 0
        first = next(iter(failure_lines(found)))
        assert first == f"{found['failed']} of {found['asks']} asks failed"
        assert check_run(run.store) == ()
        shown = collect_page_data(run).figures
        assert shown["failed"] == f"{found['failed']} of {found['asks']}"
        assert shown["model"] == "scripted"


def test_keeping_going_changes_no_life(tmp_path: Path) -> None:
    """With ``keep_going`` the run goes to its end; what was lived is the same, in one go or
    taken up after every step, and can be replayed."""
    scenario = read_scenario("crossroads")
    whole = begin(scenario, tmp_path / "whole", model=dead(), keep_going=True)
    with whole.store:
        hashes = [tick.hash for tick in whole.run(steps=20)]
    assert len(hashes) == 20
    stopped = begin(scenario, tmp_path / "pieces", model=dead())
    with stopped.store, pytest.raises(AsksFailed):
        list(stopped.run(steps=20))
    steps, taken_up = stopped.step, 0
    while steps < 20:
        again, taken_up = resume(tmp_path / "pieces", model=dead()), taken_up + 1
        with again.store:
            with suppress(AsksFailed):
                list(again.run(steps=20 - again.step))
            assert again.step > steps
            assert again.hash == hashes[again.step - 1]
            steps = again.step
    assert taken_up > 1
    assert replay(tmp_path / "whole").hash == hashes[-1]


def test_a_mended_model_goes_on(tmp_path: Path) -> None:
    """A run that was ended goes on when it is taken up with a model that works."""
    simulation = begin(read_scenario("crossroads"), tmp_path / "run", model=dead())
    with simulation.store, pytest.raises(AsksFailed):
        list(simulation.run(steps=50))
    again = resume(tmp_path / "run", model=ImprovisedModel())
    with again.store:
        assert len(list(again.run(steps=30))) == 30


@pytest.mark.parametrize(
    ("ill", "reason"),
    [
        (lambda ask: Failed(reason="context_too_long", detail="9000 tokens"), "longer context"),
        (lambda ask: Completion(text=" \n") if isinstance(ask, Generate) else None, "thinking"),
    ],
)
def test_other_reasons(ill: Callable[[ModelAsk], object], reason: str) -> None:
    """Prompts that are all too long and answers without a word end a run too, each with its
    own remedy."""
    from denizens.simulation import build_simulation

    made = build_simulation(read_scenario("crossroads"), store=Store(":memory:"), model=sick(ill))
    with pytest.raises(AsksFailed, match=reason):
        list(made.run(steps=50))


def test_some_failures_end_nothing() -> None:
    """Where less than half of a role's asks fail the run goes on, and counts them."""
    number = [0]

    def ill(ask: ModelAsk) -> object:
        number[0] += 1
        return BROKE if number[0] % 4 == 0 else None

    from denizens.simulation import build_simulation

    made = build_simulation(read_scenario("crossroads"), store=Store(":memory:"), model=sick(ill))
    ticks = list(made.run(steps=40))
    assert len(ticks) == 40
    counted = sum(len(tick.failed) for tick in ticks)
    assert run_stats(made.store)["failures"]["failed"] == counted > 0


def test_a_choice_is_no_failure() -> None:
    """Answers that can be used count for nothing."""
    ask = Choose(messages=(), options=(Option("a"),), about="")
    assert failure_of(ask, Failed(reason="refused", detail="no")) is not None
    assert failure_of(Generate(messages=()), Completion(text="", data={"a": 1})) is None


def test_refusals_in_a_row_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """Somebody whom the world refuses everything is warned of once, and counted by verb."""
    ground = load_places({"name": "v", "places": [{"name": "hall"}]})
    clock = Clock(datetime(2026, 5, 2, 8), 60)
    world = Places(ground, start=clock.start, step_seconds=60)
    store = Store(":memory:")
    agent = Agent(
        Persona(name="Ada Lund", home="v:hall"),
        model=ImprovisedModel(),
        memory=Memory(store, "Ada Lund"),
        planner=Scripted([Action("fly", "v:moon")] * (2 * MAX_REFUSALS_IN_A_ROW)),
    )
    made = Simulation(world, [agent], seed=1, clock=clock)
    with caplog.at_level(logging.WARNING):
        list(made.run(steps=2 * MAX_REFUSALS_IN_A_ROW + 2, progress=False))
    assert sum("refused 10 actions in a row" in one.getMessage() for one in caplog.records) == 1
    assert run_stats(store)["failures"]["refused"] == {"fly": 2 * MAX_REFUSALS_IN_A_ROW}


@pytest.fixture
def broken_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder in which every model that a command loads is dead."""
    from denizens.simulation import builder

    def load(scenario: object, progress: object = None) -> Model:
        return dead()

    monkeypatch.setattr(builder, "load_scenario_model", load)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_ends_with_three(
    broken_engine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``run`` ends with exit code 3 and the remedy, ``--json`` and ``verify`` say how much
    failed, and ``--keep-going`` overrides."""
    with pytest.raises(SystemExit) as ended:
        main(["run", "crossroads", "--steps", "20", "--run", "my run"])
    out, err = capsys.readouterr()
    assert ended.value.code == 3
    assert "asks failed" in out
    assert "go on with: denizens resume 'my run'" in out
    assert "--keep-going" in err.splitlines()[-1]
    with pytest.raises(SystemExit) as ended:
        main(["verify", "my run"])
    assert ended.value.code == 0
    assert "plan (generate), engine: answered 402" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["resume", "my run", "--steps", "3", "--keep-going", "--json"])
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["steps"], found["stopped"]) == (4, False)
    assert found["failures"]["failed"] > MIN_ASKS
    with open_store("my run") as store:
        assert check_run(store) == ()


class Blind:
    """The improvising model, but for its embeddings."""

    def __init__(self, answer: Callable[[Embed], Answer]) -> None:
        self._model, self._answer = ImprovisedModel(), answer

    def client(self) -> Client:
        return BlindClient(self._model.client(), self._answer)

    def describe(self) -> dict[str, Json]:
        return {"name": "blind"}


class BlindClient:
    """A mailbox of Blind."""

    def __init__(self, inner: Client, answer: Callable[[Embed], Answer]) -> None:
        self._inner, self._answer = inner, answer
        self._done: list[Done] = []

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> int:
        if not isinstance(ask, Embed):
            return self._inner.submit(ask, owner, priority)
        self._done.append(Done(-1 - len(self._done), self._answer(ask)))
        return self._done[-1].ticket

    def cancel(self, ticket: int) -> None:
        self._inner.cancel(ticket)

    def wait(self, timeout: float | None = None) -> Sequence[Done | Delta]:
        done, self._done = self._done, []
        return done or self._inner.wait(timeout)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda ask: BROKE, "engine"),
        (lambda ask: Vectors.of(np.zeros((0, 8), np.float32)), "contract: .*0 x 8 numbers"),
        (
            lambda ask: Vectors.of(np.full((len(ask.texts), 8), np.nan, np.float32)),
            "contract: .*not finite",
        ),
    ],
)
def test_a_run_without_embeddings_is_no_good_one(
    answer: Callable[[Embed], Answer], reason: str, tmp_path: Path
) -> None:
    """Where every embedding failed, be it for a short time, the end says so, and the page too;
    with enough failed recalls the run ends itself."""
    simulation = begin(read_scenario("crossroads"), tmp_path / "run", model=Blind(answer))
    with simulation.store:
        list(simulation.run(steps=18))  # Fewer than MIN_ASKS recalls: nothing stops it yet.
        failed = simulation.failures.all_failed()
        with pytest.raises(AsksFailed, match=rf"role 'recall' failed \({reason}"):
            list(simulation.run(steps=20))
    assert failed is not None
    assert re.search(rf"role 'embed' failed \({reason}", str(failed))
    assert collect_page_data(tmp_path / "run").figures["failed_recalls"] > 0
    assert replay(tmp_path / "run").failures["kinds"][0]["kind"] in ("embed", "recall")


OPTIONS = Choose(messages=(), options=(Option("a"), Option("b")), about="x")
RATE = Rate(messages=(), about="x")


@pytest.mark.parametrize(
    ("ask", "answer", "words"),
    [
        (OPTIONS, Completion(text="a"), "a Completion instead of a Choice"),
        (OPTIONS, Choice(index=2, probabilities=(0.5, 0.5)), "option 2 of 2"),
        (OPTIONS, Choice(index=0, probabilities=(float("nan"), 1.0)), "2 finite numbers"),
        (RATE, Rating(value=float("nan"), probabilities=()), "nan is not between 1 and 10"),
        (RATE, Rating(value=11, probabilities=()), "11 is not between 1 and 10"),
        (Generate(messages=()), Choice(index=0, probabilities=(1.0,)), "instead of a Completion"),
    ],
)
def test_an_answer_to_something_else(ask: Ask, answer: Answer, words: str) -> None:
    """What a model of one's own answers is looked at before a planner gets it."""
    found = validate_answer(ask, answer)
    assert isinstance(found, Failed)
    assert found.reason == "contract"
    assert words in found.detail


@pytest.mark.parametrize("text", ["!!!!!!!!", "...", " \u3000", "\u2026"])
def test_signs_are_no_text(text: str) -> None:
    """A text without a word in any script is no answer, and it is counted; a pictograph is one."""
    made = build_simulation(
        read_scenario("crossroads"),
        store=Store(":memory:"),
        model=sick(lambda ask: Completion(text=text) if isinstance(ask, Generate) else None),
    )
    with made.store:
        with pytest.raises(AsksFailed, match="the text has no word"):
            list(made.run(steps=30))
        assert run_stats(made.store)["failures"]["kinds"][0]["reason"] == "empty"
    for said in ("\U0001f44d", "好", "42"):
        assert failure_of(Generate(messages=()), Completion(text=said)) is None


def test_a_chat_without_an_answer_ends_with_three(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that talks with a dead model hears of it by the exit code."""
    monkeypatch.setattr(builder, "load_scenario_model", lambda *_: dead())
    monkeypatch.setattr(agent_loader, "load_scenario_model", lambda *_: dead())
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello?\nAnybody?\n\n"))
    with pytest.raises(SystemExit) as ended:
        main(["chat", "crossroads", "Otto"])
    assert ended.value.code == 3
    shown = capsys.readouterr()
    assert shown.out.strip() == ""
    assert "no answer: answered 402" in shown.err


def test_a_reply_without_memory_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A chat whose embedder fails still answers, and warns that it remembers nothing."""
    with Store(":memory:") as store:
        model = Blind(lambda ask: BROKE)
        ada = Agent(Persona(name="Ada Lund"), model=model, memory=Memory(store, "Ada Lund"))
        ada.chat("What is my cat called?", "Bo Lund")
    assert "Ada Lund: could not search the memory for this reply (engine: answered" in caplog.text


def test_a_short_run_that_got_nothing(
    broken_engine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too few asks for the rule, but none of them answered: the command still ends with 3."""
    from denizens.simulation.record import failures

    monkeypatch.setattr(failures, "MIN_ASKS", 1000)
    with pytest.raises(SystemExit) as ended:
        main(["run", "crossroads", "--steps", "1", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["failures"]["failed"] == found["failures"]["asks"] > 0
    assert ended.value.code == 3
