"""What a run cost, in the page: the ledger's sums, whole and over simulated time."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from denizens.core import Clock
from denizens.interop import load_smallville_page
from denizens.models import ImprovisedModel, Usage
from denizens.simulation import Run, begin, read_scenario
from denizens.viewer import collect_page_data, render_page, sample_page, unpack_page
from denizens.viewer.run_collector import MAX_COLUMNS, cost_data
from hypothesis import given
from hypothesis import strategies as st

JULY = "July1_the_ville_isabella_maria_klaus-step-3-20"
COUNTS = slice(3, 8)


def lived(folder: Path, **settings: str) -> Path:
    """A short run of the crossroads."""
    scenario = read_scenario("crossroads").with_overrides(**settings)
    simulation = begin(scenario, folder, model=ImprovisedModel())
    list(simulation.run(steps=60))
    simulation.store.close()
    return folder


def test_the_page_has_the_ledgers_sums(tmp_path: Path) -> None:
    """Sums and columns of the page add up to the figures of the run."""
    folder = lived(tmp_path / "run")
    with Run(folder) as run:
        total = run.stats()["ledger"]["total"]
    costs = unpack_page(render_page(collect_page_data(folder)))["costs"]
    for rows in (costs["sums"], costs["times"]):
        sums = [sum(column) for column in zip(*(row[COUNTS] for row in rows))]
        assert sums[:3] == [total["calls"], total["tokens_in"], total["tokens_out"]]
        assert sums[0] > 50
    assert {row[0] for row in costs["sums"]} == {"Hanna Brook", "Otto Lind"}
    assert {row[2] for row in costs["times"]} == {"generate", "choose", "rate", "embed"}


def test_without_a_ledger_the_page_shows_none(tmp_path: Path) -> None:
    """A run that asked no model has no costs in its page, an empty row neither."""
    assert cost_data([], Clock(datetime(2026, 5, 2)), 10) is None
    page = collect_page_data(lived(tmp_path / "run", planner="scripted"))
    assert page.costs is None
    assert "costs" not in page.as_json()


@pytest.mark.data
def test_a_finished_smallville_run_shows_none(data: Path) -> None:
    """Its folder says nothing of what it cost."""
    assert "costs" not in load_smallville_page(data / "smallville" / JULY).as_json()


def test_the_sample_carries_costs() -> None:
    """The sample that other tests draw has costs with a text of a mind's own as role."""
    costs = unpack_page(render_page(sample_page("<b>")))["costs"]
    assert [row[2] for row in costs["sums"]] == ["<b>", "place"]


@given(
    st.integers(1, 3600),
    st.integers(1, 200_000),
    st.integers(0, 24 * 60 - 1),
    st.lists(st.floats(0, 0.999), min_size=1, max_size=20),
)
def test_columns_are_few_and_hold_everything(
    step_seconds: int, steps: int, minute: int, places: list[float]
) -> None:
    """However long a run and its steps: a bounded number of columns for up to weeks, each cost
    in the column of its time, none lost; columns begin at multiples of their length."""
    start = datetime(2026, 5, 2, minute // 60, minute % 60)
    clock = Clock(start, step_seconds)
    rows = [(int(place * steps), Usage("Bo", "rate", "rate", 1, 3)) for place in places]
    found = cost_data(rows, clock, steps)
    assert found is not None
    assert sum(cost.calls for _, cost in found.times) == len(rows)
    if steps * step_seconds <= MAX_COLUMNS * 86400:
        assert steps * step_seconds / 60 / found.minutes <= MAX_COLUMNS
    wide = found.minutes * 60 / step_seconds
    firsts = [first for first, _ in found.times]
    assert firsts == sorted(firsts)
    for step, _ in rows:
        mine = max(first for first in firsts if first <= step)
        assert step - mine <= wide + 1


def test_costs_of_an_unfinished_step_are_not_shown() -> None:
    """What a broken step has cost already belongs to no step that the page shows."""
    clock = Clock(datetime(2026, 5, 2))
    rows = [(3, Usage("Bo", "rate", "rate", 1)), (10, Usage("Bo", "rate", "rate", 5))]
    found = cost_data(rows, clock, 10)
    assert found is not None
    assert [cost.calls for cost in found.sums] == [1]
