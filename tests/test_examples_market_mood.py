"""The market watch of examples/: how often headlines are rated right, the alert on a planted spike
and drift, and how seldom there is one on calm days."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from datetime import date
from random import Random
from typing import Any

import pytest
from denizens.core import Model
from denizens.tests.support.example_programs import load_example

app: Any = load_example("market_mood")
CALM_STREAMS = 100


def alerts(watched: Any, days: Iterator[float]) -> list[str]:
    return [alert for alert, _ in map(watched.add_day, days) if alert]


def normal_days(seed: int, count: int, mean: float = 0.0) -> Iterator[float]:
    rng = Random(seed)
    return (rng.gauss(mean, 1.2) for _ in range(count))


def test_calm_days_raise_few_alerts() -> None:
    """Of 200 companies that nothing happens to for 30 days at most two have an alert: by design
    about one in 400."""
    calm = [alerts(app.CompanyWatch(), normal_days(seed, app.WARM_UP + 30)) for seed in range(200)]
    assert sum(map(bool, calm)) <= 2


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("sign", [1, -1])
def test_a_spike_is_noticed_on_its_day(seed: int, sign: int) -> None:
    """A day of eight standard deviations gives the alert of its direction, and the next calm day
    none."""
    watched = app.CompanyWatch()
    assert alerts(watched, normal_days(seed, 30)) == []
    alert, size = watched.add_day(sign * 9.6)
    assert alert == ("spike up" if sign > 0 else "spike down")
    assert abs(size) >= app.SPIKE
    assert watched.add_day(0.3)[0] == ""


@pytest.mark.parametrize("seed", range(10))
def test_a_drift_is_noticed(seed: int) -> None:
    """A lasting change by two standard deviations is noticed within 15 days; the new state is no
    alert any more."""
    watched = app.CompanyWatch()
    assert alerts(watched, normal_days(seed, 30)) == []
    rng = Random(seed + 100)
    changed = [watched.add_day(rng.gauss(-2.4, 1.2))[0] for _ in range(15)]
    assert any(changed)
    assert all(alert.endswith("down") for alert in changed if alert)


def test_streams_repeat_and_differ_by_seed() -> None:
    """The same seed gives the same days; the scandal is on day 30 of the eventful ones."""
    days = list(app.eventful_days(3))
    assert days == list(app.eventful_days(3)) != list(app.eventful_days(4))
    halden = [[r for r in rows if r["company"] == "Halden Foods"] for _, rows in days]
    assert [len(rows) for rows in halden].index(12) == 30
    assert {row["mood"] for row in halden[30]} == {"negative"}


def test_the_set_is_what_it_says() -> None:
    """210 headlines of six companies, 66 to 72 of each mood; no example is one of them."""
    rows, examples = app.read_rows("headlines.csv"), app.read_rows("examples.csv")
    texts = {row["headline"] for row in rows}
    assert len(texts) == len(rows) == 210
    assert {mood: sum(row["mood"] == mood for row in rows) for mood in app.MOODS} == {
        "negative": 72,
        "neutral": 66,
        "positive": 72,
    }
    plain = {row["headline"].replace(row["company"], "The company") for row in rows}
    assert not plain & {row["headline"].rstrip(".") for row in examples}
    assert all(row["company"] in row["headline"] for row in rows)


def test_the_chart_is_whole_and_alone() -> None:
    """Well-formed, whatever a company is called, with each alert, and nothing from elsewhere."""
    days = [
        app.Day(date(2026, 5, 4), "Fish & <Chips>", ("Bad",), (-0.9,), "spike down", -5.0),
        app.Day(date(2026, 5, 5), "Fish & <Chips>", ("Good",), (0.9,)),
    ]
    text = app.chart(days)
    root = ElementTree.fromstring(text)
    words = "".join(root.itertext())
    assert "spike down" in words
    assert "Fish & <Chips>" in words
    assert text.count("http") == 1  # the name space of SVG


@pytest.mark.real
def test_headlines_and_streams(smollm2: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """At least .8 of the labelled headlines are rated right; the planted spike gives its alert on
    its day and the drift after it began, in at least nine of ten markets; of 100 streams of 30 calm
    days of six companies at most 5 have an alert."""
    watcher = app.make_watcher(smollm2)
    rows = app.read_rows("headlines.csv")
    rated = app.rate_headlines(watcher, rows, app.datetime(2026, 5, 4))
    right = [app.MOODS[one.index(max(one))] == row["mood"] for one, row in zip(rated, rows)]
    known = {row["headline"]: one for row, one in zip(rows, rated)}
    # Each headline is rated once: what is tested over many streams is the statistic.
    monkeypatch.setattr(
        app, "rate_headlines", lambda _, rows, at: [known[row["headline"]] for row in rows]
    )
    spikes = drifts = 0
    for seed in range(10):
        told = [day for day in app.watch(app.eventful_days(seed), watcher) if day.alert]
        scandal = [day for day in told if day.company == "Halden Foods"]
        spikes += [(day.at, day.alert) for day in scandal] == [(date(2026, 6, 3), "spike down")]
        drifts += any(d.company == "Castor Rail" and d.at >= date(2026, 6, 13) for d in told)
    alarms = sum(
        any(day.alert for day in app.watch(app.calm_days(seed, app.WARM_UP + 30), watcher))
        for seed in range(CALM_STREAMS)
    )
    print(f"right {sum(right)} of {len(rows)}; spikes {spikes}, drifts {drifts} of 10")
    print(f"streams of calm days with an alert: {alarms} of {CALM_STREAMS}")
    assert sum(right) / len(rows) >= 0.8
    assert spikes >= 9
    assert drifts >= 9
    assert alarms <= 5
