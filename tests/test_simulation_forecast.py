"""The forecast: rehearsed lives, an engine of known prices, and what is made of both."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from denizens.cli import forecast_lines, main
from denizens.core import Answer, Client, Embed, Generate, Json, Model, ModelAsk
from denizens.models import ImprovisedModel, UsageLedger
from denizens.simulation import build_simulation, parse_scenario_time, read_scenario
from denizens.simulation.forecast import forecast_cost
from denizens.simulation.forecast.rehearsal import (
    HOUR,
    Rehearsal,
    complete_hours,
    extrapolate_hours,
    mean_hours,
    reduce_people,
    scaled_mean,
)
from denizens.simulation.forecast.rehearsal_model import AskStats, EmbeddingCache, RehearsalModel
from denizens.simulation.record import usage_summary
from denizens.store import Store
from denizens.tests.support.metered_client import MeteredClient

END = parse_scenario_time("2026-05-02 09:30", "")
KEY = ("rate", "importance")


class Engine:
    """An engine of known prices that decides as a rehearsal does: a token for every word of
    a prompt, half of them reused, nine written by every Generate."""

    def __init__(self) -> None:
        self.inner = RehearsalModel(EmbeddingCache(ImprovisedModel(), 60.0))
        self.ledger = UsageLedger()

    def client(self) -> Client:
        """A mailbox that enters what is answered."""
        return MeteredClient(self.inner.client(), self.enter)

    def describe(self) -> dict[str, Json]:
        """Its name."""
        return {"name": "engine"}

    def enter(self, owner: str, ask: ModelAsk, answer: Answer) -> None:
        """Enter an answered ask in the ledger."""
        messages = [] if isinstance(ask, Embed) else ask.messages
        read = sum(len(message.text.split()) for message in messages)
        self.ledger.add(
            owner,
            ask.kind,
            ask.role,
            tokens_in=read,
            tokens_out=9 if isinstance(ask, Generate) else 0,
            tokens_reused=read // 2,
            seconds=0.001,
        )


def test_a_forecast_meets_the_run_it_foretells() -> None:
    """On an engine of known prices that decides as a rehearsal does, calls, tokens read,
    written and reused of a real run lie within the range, and within a fifth of the estimate
    (which is the mean of three lives)."""
    scenario = read_scenario("crossroads")
    found = forecast_cost(scenario, END, model=Engine(), seconds=600.0)
    engine = Engine()
    with Store(":memory:") as store:
        simulation = build_simulation(scenario, store=store, model=engine)
        list(simulation.run(until=END))
        actual = usage_summary(simulation.journal.usage.rows())["total"]
    assert found.timings["lives"] == 3
    for name in ("calls", "tokens_in", "tokens_out", "tokens_reused"):
        assert found.low[name] <= actual[name] <= found.high[name], name
        assert found.total[name] == pytest.approx(actual[name], rel=0.2), name
    assert actual["calls"] > 100


def test_hours_add_up_and_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of a forecast add up to its total, begin at full hours and cover the whole
    length; no file is left, and the engine's ledger holds nothing under a person's name."""
    monkeypatch.chdir(tmp_path)
    engine = Engine()
    scenario = read_scenario("crossroads")
    found = forecast_cost(scenario, END, model=engine, seconds=600.0)
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
    lines = list(forecast_lines(found))
    assert "150 steps of 2 people" in lines[0]
    assert any(line.startswith("in all") for line in lines)
    assert any(line.startswith("likely ") for line in lines)


def tallied(calls: float) -> dict[tuple[str, str], AskStats]:
    """An hour in which ratings were asked."""
    return {KEY: AskStats(calls, calls * 100, calls)}


def calls_of(hours: Sequence[Any]) -> list[float]:
    """Calls hour by hour."""
    return [sum(tally.calls for tally in hour.stats.values()) for hour in hours]


def test_hours_not_lived_are_those_of_an_earlier_day() -> None:
    """The second day of a life of one day: hour by hour the first; an hour of which only a
    part is asked for costs that part."""
    start = datetime(2026, 5, 2)
    life = Rehearsal({start + HOUR * n: tallied(n) for n in range(24)}, steps=1440)
    hours = complete_hours(life, start, start + HOUR * 48 + HOUR / 2)
    assert calls_of(hours) == [*range(24), *range(24), 0]
    assert [hour.rehearsed for hour in hours] == [True] * 24 + [False] * 25
    late = complete_hours(life, start, start + HOUR * 33.5)
    assert calls_of(late)[-1] == pytest.approx(9 / 2)


def test_hours_that_nothing_tells() -> None:
    """After a cut in the morning, days go on as the last three hours, nights are quiet."""
    start = datetime(2026, 5, 2, 6)
    life = Rehearsal({start + HOUR * n: tallied(n) for n in range(4)}, steps=240)
    hours = complete_hours(life, start, start + HOUR * 24)
    asked = {hour.at.hour: calls for hour, calls in zip(hours, calls_of(hours))}
    assert [asked[6], asked[9], asked[10], asked[21]] == [0, 3, 2, 2]
    assert {asked[hour] for hour in (22, 23, 0, 1, 5)} == {0}


def test_a_few_people_tell_of_the_hours_after() -> None:
    """Hours that only a few lived are scaled by what all asked where both lived."""
    start = datetime(2026, 5, 2, 6)
    life = Rehearsal({start: tallied(30), start + HOUR: tallied(50)}, steps=120)
    few = Rehearsal({start + HOUR * n: tallied(calls) for n, calls in enumerate((4, 6, 5, 1))})
    assert calls_of(complete_hours(life, start, start + HOUR * 4, few)) == [30, 50, 40, 8]
    assert extrapolate_hours(life, Rehearsal()) == life.hours
    assert len(reduce_people(read_scenario("larkspur")).people) == 3


def test_lives_are_averaged() -> None:
    """The mean of lives, role by role; one that lacks a role counts as none of it."""
    start = datetime(2026, 5, 2, 6)
    lives = [
        complete_hours(Rehearsal({start: hours}), start, start + HOUR) for hours in (tallied(4), {})
    ]
    assert calls_of(mean_hours(lives)) == [2]
    assert scaled_mean([tallied(4), {}], 0.5)[KEY].size == 100


def test_a_forecast_that_is_cut_short_says_so() -> None:
    """With next to no time the rest of the day is estimated, marked, and the range wider."""
    scenario = read_scenario("crossroads")
    short = forecast_cost(scenario, END + timedelta(hours=3), model=Engine(), seconds=0.05)
    assert short.timings["rehearsed_steps"] < short.steps == 330
    assert not all(lived for _, lived, _ in short.spans())
    assert len(short.assumptions) == 4
    assert any(line.startswith("~Sat 12:00") for line in forecast_lines(short))
    assert short.high["calls"] > 1.4 * short.total["calls"]


def test_the_command_runs_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``run --forecast_cost`` prints an estimate, or JSON, and begins no run; it needs an end."""
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
    scenario = read_scenario("crossroads")
    end = scenario.start + timedelta(minutes=30)
    found = forecast_cost(scenario, end, model=smollm2, seconds=20.0)
    with Store(":memory:") as store:
        simulation = build_simulation(scenario, store=store, model=smollm2)
        list(simulation.run(until=end))
        actual = usage_summary(simulation.journal.usage.rows())["total"]
    for name in ("calls", "tokens_in", "tokens_out"):
        assert 0.5 < actual[name] / found.total[name] < 2, name
    assert actual["seconds"] > 0
    assert 0 < actual["tokens_reused"] < actual["tokens_in"]
    assert found.total["seconds"] > 0 < found.total["tokens_reused"]
