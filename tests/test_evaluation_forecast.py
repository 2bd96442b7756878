"""The forecast: rehearsed lives, an engine of known prices, and what is made of both."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from denizens.cli.app import main
from denizens.cli.forecasting import told
from denizens.core import (
    Anchor,
    Answer,
    Choice,
    Choose,
    Client,
    Delta,
    Done,
    Embed,
    Failed,
    Generate,
    Json,
    Message,
    Model,
    ModelAsk,
    Option,
    Rate,
    Rating,
    Vectors,
)
from denizens.evaluation.forecast import forecast
from denizens.evaluation.lives import (
    HOUR,
    Life,
    averaged,
    few_of,
    rehearse,
    scaled,
    stretched,
    whole,
)
from denizens.evaluation.probing import OWNER, Prices, _spread, probe
from denizens.evaluation.rehearsal import (
    BLOCK,
    BLOCKS,
    Blocks,
    Meanings,
    Rehearsing,
    Tally,
    answers_of,
)
from denizens.models import ImprovisedModel
from denizens.models.ledger import Ledger
from denizens.models.mailbox import InstantClient
from denizens.simulation import build, load_scenario, moment
from denizens.simulation.costs import summary
from denizens.store import Store

END = moment("2026-05-02 09:30", "")
KEY = ("rate", "importance")


class Engine:
    """An engine of known prices that decides as a rehearsal does: a token for every word of
    a prompt, half of them reused, nine written by every Generate."""

    def __init__(self) -> None:
        self.inner = Rehearsing(Meanings(ImprovisedModel(), 60.0))
        self.ledger = Ledger()

    def client(self) -> Client:
        """A mailbox that enters what is answered."""
        return EngineClient(self)

    def describe(self) -> dict[str, Json]:
        """Its name."""
        return {"name": "engine"}


class EngineClient:
    """The client of such an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.inner = engine.inner.client()
        self.asked: dict[int, tuple[str, ModelAsk]] = {}

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> int:
        """Queue an ask."""
        ticket = self.inner.submit(ask, owner, priority)
        self.asked[ticket] = (owner, ask)
        return ticket

    def cancel(self, ticket: int) -> None:
        """Forget an ask."""
        self.inner.cancel(ticket)

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        """Answers, entered in the ledger."""
        events = self.inner.wait(timeout)
        for event in events:
            owner, ask = self.asked.pop(event.ticket)
            messages = [] if isinstance(ask, Embed) else ask.messages
            read = sum(len(message.text.split()) for message in messages)
            written = 9 if isinstance(ask, Generate) else 0
            self.engine.ledger.add(
                owner,
                ask.kind,
                ask.role,
                tokens_in=read,
                tokens_out=written,
                tokens_reused=read // 2,
                seconds=0.001,
            )
        return events


def test_a_forecast_meets_the_run_it_foretells() -> None:
    """On an engine of known prices that decides as a rehearsal does, calls, tokens read,
    written and reused of a real run lie within the range, and within a fifth of the estimate
    (which is the mean of three lives)."""
    scenario = load_scenario("crossroads")
    found = forecast(scenario, END, model=Engine(), seconds=600.0)
    engine = Engine()
    with Store(":memory:") as store:
        simulation = build(scenario, store=store, model=engine)
        list(simulation.run(until=END))
        actual = summary(simulation.journal.costs.rows())["total"]
    assert found.took["lives"] == 3
    for name in ("calls", "tokens_in", "tokens_out", "tokens_reused"):
        assert found.low[name] <= actual[name] <= found.high[name], name
        assert found.total[name] == pytest.approx(actual[name], rel=0.2), name
    assert actual["calls"] > 100


def test_hours_add_up_and_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of a forecast add up to its total, begin at full hours and cover the whole
    length; no file is left, and the engine's ledger holds nothing under a person's name."""
    monkeypatch.chdir(tmp_path)
    engine = Engine()
    scenario = load_scenario("crossroads")
    found = forecast(scenario, END, model=engine, seconds=600.0)
    spans = found.spans()
    assert [at.hour for at, _, _ in spans] == [7, 8, 9]
    assert all(lived for _, lived, _ in spans)
    for name, value in found.total.items():
        assert sum(row[name] for _, _, row in spans) == pytest.approx(value)
    assert list(tmp_path.iterdir()) == []
    names = {member.persona.name for member in scenario.people}
    assert engine.ledger.take(names) == ()
    data = json.loads(json.dumps(found.as_json()))
    assert set(data) >= {"total", "low", "high", "by_kind", "by_role", "spans", "took", "assumed"}
    lines = list(told(found))
    assert "150 steps of 2 people" in lines[0]
    assert any(line.startswith("in all") for line in lines)
    assert any(line.startswith("likely ") for line in lines)


def test_rehearsals_repeat() -> None:
    """The same seed rehearses the same life; another seed another one."""
    scenario = load_scenario("crossroads")
    lives = []
    for seed in (1, 1, 2):
        player = Rehearsing(Meanings(ImprovisedModel(), 60.0))
        far = time.perf_counter() + 600
        life = rehearse(scenario.settle(seed=seed), END, player, far)
        asked = {at: {k: (t.calls, t.size) for k, t in h.items()} for at, h in life.hours.items()}
        lives.append((life.steps, life.rounds, asked))
    assert lives[0] == lives[1] != lives[2]
    assert lives[0][0] == 150
    assert lives[0][1] > 20


def test_a_rehearsal_ends_when_time_is_over() -> None:
    """With no time at all one step is lived and its hour kept, though it is not whole."""
    player = Rehearsing(Meanings(ImprovisedModel(), 60.0))
    life = rehearse(load_scenario("crossroads"), END, player, 0.0)
    assert life.steps == 1
    assert list(life.hours) == [datetime(2026, 5, 2, 7)]


def tallied(calls: float) -> dict[tuple[str, str], Tally]:
    """An hour in which ratings were asked."""
    return {KEY: Tally(calls, calls * 100, calls)}


def calls_of(hours: Sequence[Any]) -> list[float]:
    """Calls hour by hour."""
    return [sum(tally.calls for tally in hour.asked.values()) for hour in hours]


def test_hours_not_lived_are_those_of_an_earlier_day() -> None:
    """The second day of a life of one day: hour by hour the first; an hour of which only a
    part is asked for costs that part."""
    start = datetime(2026, 5, 2)
    life = Life({start + HOUR * n: tallied(n) for n in range(24)}, steps=1440)
    hours = whole(life, start, start + HOUR * 48 + HOUR / 2)
    assert calls_of(hours) == [*range(24), *range(24), 0]
    assert [hour.lived for hour in hours] == [True] * 24 + [False] * 25
    late = whole(life, start, start + HOUR * 33.5)
    assert calls_of(late)[-1] == pytest.approx(9 / 2)


def test_hours_that_nothing_tells() -> None:
    """After a cut in the morning, days go on as the last three hours, nights are quiet."""
    start = datetime(2026, 5, 2, 6)
    life = Life({start + HOUR * n: tallied(n) for n in range(4)}, steps=240)
    hours = whole(life, start, start + HOUR * 24)
    asked = {hour.at.hour: calls for hour, calls in zip(hours, calls_of(hours))}
    assert [asked[6], asked[9], asked[10], asked[21]] == [0, 3, 2, 2]
    assert {asked[hour] for hour in (22, 23, 0, 1, 5)} == {0}


def test_a_few_people_tell_of_the_hours_after() -> None:
    """Hours that only a few lived are scaled by what all asked where both lived."""
    start = datetime(2026, 5, 2, 6)
    life = Life({start: tallied(30), start + HOUR: tallied(50)}, steps=120)
    few = Life({start + HOUR * n: tallied(calls) for n, calls in enumerate((4, 6, 5, 1))})
    assert calls_of(whole(life, start, start + HOUR * 4, few)) == [30, 50, 40, 8]
    assert stretched(life, Life()) == life.hours
    assert len(few_of(load_scenario("larkspur")).people) == 3


def test_lives_are_averaged() -> None:
    """The mean of lives, role by role; one that lacks a role counts as none of it."""
    start = datetime(2026, 5, 2, 6)
    lives = [whole(Life({start: hours}), start, start + HOUR) for hours in (tallied(4), {})]
    assert calls_of(averaged(lives)) == [2]
    assert scaled([tallied(4), {}], 0.5)[KEY].size == 100


def test_blocks_stay_few_and_even() -> None:
    """However many rounds: a bounded number of blocks of rounds in a row, evenly spread."""
    blocks = Blocks()
    rounds = 40 * BLOCK * BLOCKS + 3
    for number in range(rounds):
        blocks.add([(str(number), Embed(texts=()))])
    kept = [[int(one[0][0]) for one in block] for block in blocks.kept]
    assert BLOCKS // 2 <= len(kept) <= BLOCKS
    assert all(block == list(range(block[0], block[0] + len(block))) for block in kept)
    gaps = {b[0] - a[0] for a, b in pairwise(kept)}
    assert len(gaps) == 1
    assert kept[0][0] == 0
    assert kept[-1][-1] > rounds - max(gaps) - BLOCK


def test_any_beginning_of_the_probe_is_spread() -> None:
    """Blocks are probed each once; half of the time reaches all quarters of the rehearsal."""
    for count in (1, 2, 7, 100):
        assert sorted(_spread(count)) == list(range(count))
    first = list(_spread(100))[:8]
    assert {place // 25 for place in first} == {0, 1, 2, 3}


def test_a_probe_pays_from_the_ledger() -> None:
    """Each kind and role has the calls and tokens that the engine entered, and time has
    passed; without time only the first block is asked."""
    message = Message.of("user", "one two three four")
    asks: list[tuple[str, ModelAsk]] = [
        ("Bo", Generate(messages=(message,), role="plan")),
        ("Ann", Rate(messages=(message,), about="x", role="importance")),
    ]
    engine = Engine()
    engine.ledger.add(OWNER + "Bo", "generate", "plan", tokens_in=999)
    found = probe(engine, [[asks, asks], [asks]], 60.0)
    assert found.keys() == [("generate", "plan"), KEY]
    sums = found.sums(found.keys()).sum(axis=0)
    assert sums[:, [0, 2, 3, 4]].tolist() == [[3, 12, 27, 6], [3, 12, 0, 6]]
    assert (sums[:, 5] > 0).all()
    assert len(probe(Engine(), [[asks], [asks], [asks]], 0.0).blocks) == 1
    assert probe(Engine(), [], 60.0).blocks == []


def test_a_probe_without_a_ledger_shares_the_time_by_tokens() -> None:
    """A model that keeps none: tokens as the answers tell, seconds for every role."""
    asks: list[tuple[str, ModelAsk]] = [
        ("Bo", Generate(messages=(), role="plan")),
        ("Bo", Choose(messages=(), options=(Option("a"),), about="a", role="place")),
    ]
    found = probe(ImprovisedModel(), [[asks]], 60.0)
    plan, place = found.blocks[0]["generate", "plan"], found.blocks[0]["choose", "place"]
    assert plan[3] > 0 == place[3]
    assert plan[5] > place[5] > 0


def test_prices_by_role_then_by_kind() -> None:
    """A probed role costs as probed, by what there is to read and by call; another role as
    its kind; what no ask of its kind tells costs nothing."""
    import numpy as np

    prices = Prices([KEY], np.array([[2.0, 200.0, 50.0, 6.0, 20.0, 1.0]]))
    cost = prices.of(KEY, Tally(calls=4, size=800))
    assert (cost.calls, cost.tokens_in, cost.tokens_out, cost.tokens_reused) == (4, 200, 12, 80)
    assert cost.seconds == 2.0
    other = prices.of(("rate", "other"), Tally(calls=4, size=800))
    assert (other.role, other.tokens_in) == ("other", 200)
    assert prices.of(("choose", "place"), Tally(calls=4, size=800)).tokens_in == 0


def test_decisions_follow_meanings() -> None:
    """The option that shares most words with the matter is chosen, the example near to it
    sets the rating; a temperature draws, by seed."""
    player = Rehearsing(Meanings(ImprovisedModel(), 60.0))
    options = (Option("1", "the bakery with its ovens"), Option("2", "the boat shed by the river"))
    ask = Choose(messages=(), options=options, about="mending a boat in the shed", seed=3)
    rate = Rate(
        messages=(),
        about="an ordinary breakfast",
        anchors=(Anchor(2, "having an ordinary breakfast"), Anchor(9, "the death of a friend")),
    )
    choice, rating = answers_of(player.client(), [("Bo", ask), ("Bo", rate)])
    assert isinstance(choice, Choice)
    assert choice.index == 1
    assert sum(choice.probabilities) == pytest.approx(1)
    assert isinstance(rating, Rating)
    assert 2 <= rating.value < 3.5
    drawn = set()
    for seed in range(30):
        hot = Choose(messages=(), options=options, about="boat", temperature=20.0, seed=seed)
        (answer,) = answers_of(player.client(), [("Bo", hot)])
        drawn.add(answer.index if isinstance(answer, Choice) else -1)
    assert drawn == {0, 1}


class Deaf(ImprovisedModel):
    """A model without an embedder."""

    def client(self) -> InstantClient:
        """Refuses to embed."""
        return InstantClient(self._refuse)

    def _refuse(self, ask: ModelAsk) -> Answer:
        if isinstance(ask, Embed):
            return Failed(reason="refused", detail="no embedder")
        return self._answer(ask)


def test_meanings_without_time_are_means_of_words() -> None:
    """When the time for embedding is over, a text is the mean of its words, one of no known
    word something of its own; all have length 1 and the embedder's width."""
    for model in (ImprovisedModel(), Deaf()):
        rich = Meanings(model, 60.0)
        assert rich.learn(["a boat", "a boat", "a shed"]) == 2
        assert rich.learn(["a boat"]) == 0
        poor = Meanings(model, 60.0)
        poor.learn(["something else"])
        poor._left = 0.0
        poor.seconds = 60.0
        assert poor.learn(["mending the boat", "the boat", "?!"]) == 3
        near = float(poor.of("mending the boat") @ poor.of("the boat"))
        assert 0.5 < near < 1
        rows = poor.rows(["mending the boat", "?!"])
        assert isinstance(rows, Vectors)
        assert rows.columns == len(rich.of("a boat"))
        assert [float(row @ row) for row in rows.array()] == pytest.approx([1, 1])


def test_a_forecast_that_is_cut_short_says_so() -> None:
    """With next to no time the rest of the day is estimated, marked, and the range wider."""
    scenario = load_scenario("crossroads")
    short = forecast(scenario, END + timedelta(hours=3), model=Engine(), seconds=0.05)
    assert short.took["rehearsed_steps"] < short.steps == 330
    assert not all(lived for _, lived, _ in short.spans())
    assert len(short.assumed) == 4
    assert any(line.startswith("~Sat 12:00") for line in told(short))
    assert short.high["calls"] > 1.4 * short.total["calls"]


def test_the_command_runs_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``run --forecast`` prints an estimate, or JSON, and begins no run; it needs an end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", StringIO(""))

    def command(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["run", "crossroads", "--model", "improvised", "--forecast", *words])
        said = capsys.readouterr()
        return int(str(ended.value.code or 0)), said.out, said.err

    code, out, _ = command("--steps", "30")
    assert code == 0
    assert out.startswith("Forecast: 30 steps of 2 people, 2026-05-02 07:00 to 2026-05-02 07:30")
    code, out, _ = command("--until", "2026-05-02 08:00", "--json")
    found = json.loads(out.splitlines()[-1])["forecast"]
    assert (code, found["steps"]) == (0, 60)
    assert found["low"]["calls"] < found["total"]["calls"] < found["high"]["calls"]
    assert command("--until", "2026-05-01")[0] == 2
    assert command("--planner", "dayly")[0] == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.real
def test_a_forecast_for_the_real_engine(smollm2: Model) -> None:
    """The packaged model, half an hour at the crossroads: calls and tokens of the run lie
    within half and double the estimate, and its ledger knows of time and of reuse."""
    scenario = load_scenario("crossroads")
    end = scenario.start + timedelta(minutes=30)
    found = forecast(scenario, end, model=smollm2, seconds=20.0)
    with Store(":memory:") as store:
        simulation = build(scenario, store=store, model=smollm2)
        list(simulation.run(until=end))
        actual = summary(simulation.journal.costs.rows())["total"]
    for name in ("calls", "tokens_in", "tokens_out"):
        assert 0.5 < actual[name] / found.total[name] < 2, name
    assert actual["seconds"] > 0
    assert 0 < actual["tokens_reused"] < actual["tokens_in"]
    assert found.total["seconds"] > 0 < found.total["tokens_reused"]
