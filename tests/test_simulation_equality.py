"""One seed, one run: in one process or another, in one go or in pieces."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from denizens.core import RunError, SettingError
from denizens.models import ImprovisedModel
from denizens.simulation import (
    Run,
    Simulation,
    begin,
    build_simulation,
    check_run,
    read_scenario,
    resume,
)
from denizens.store import Store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

STEPS = 130
"""More than a hundred, so that snapshots of the world are taken and taken up."""


def lived(name: str, steps: int, *, seed: int = 1, store: Store | None = None) -> Simulation:
    """A run of a built-in scenario in memory, after ``steps`` steps."""
    scenario = read_scenario(name).with_overrides(seed=seed)
    simulation = build_simulation(
        scenario, store=store or Store(":memory:"), model=ImprovisedModel()
    )
    for _ in simulation.run(steps=steps):
        pass
    return simulation


@pytest.fixture(scope="module")
def hashes() -> list[str]:
    """The hash of an uninterrupted morning in Larkspur before and after each step."""
    scenario = read_scenario("larkspur-morning")
    simulation = build_simulation(scenario, store=Store(":memory:"), model=ImprovisedModel())
    return [simulation.hash, *(tick.hash for tick in simulation.run(steps=STEPS))]


def test_one_seed_one_hash(hashes: list[str]) -> None:
    """Two runs with one seed and the improvised model end on the same hash."""
    assert lived("larkspur-morning", STEPS).hash == hashes[-1]


def test_another_seed_another_life() -> None:
    """Another seed gives other events, not only another name of the run."""
    lives = []
    for seed in (1, 2):
        entries = lived("crossroads", 90, seed=seed).journal.entries()
        lives.append([(entry["actions"], entry["events"]) for entry in entries])
    assert lives[0] != lives[1]


def test_other_processes_end_on_the_same_hash(hashes: list[str]) -> None:
    """Processes whose built-in hash() is salted otherwise live the same life."""
    code = (
        "from denizens.models import ImprovisedModel\n"
        "from denizens.simulation import build_simulation as build, read_scenario\n"
        "from denizens.store import Store\n"
        "made = build(read_scenario('larkspur-morning'), store=Store(':memory:'),"
        " model=ImprovisedModel())\n"
        f"print(*[tick.hash for tick in made.run(steps={STEPS})][-1:])\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": salt},
            stdout=subprocess.PIPE,
            text=True,
        )
        for salt in ("1", "4711")
    ]
    assert [one.communicate()[0].strip() for one in running] == [hashes[-1]] * 2


def test_hash_does_not_depend_on_where_files_lie(tmp_path: Path) -> None:
    """The same scenario in two folders is the same run."""
    source = Path(read_scenario("crossroads").source)
    heads = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        copy = shutil.copy(source, tmp_path / place)
        heads.append(
            build_simulation(read_scenario(copy), store=Store(":memory:"), model=ImprovisedModel())
        )
    assert heads[0].hash == heads[1].hash


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.integers(0, 60), max_size=6))
def test_pieces_equal_one_go(
    hashes: list[str], tmp_path_factory: pytest.TempPathFactory, pieces: list[int]
) -> None:
    """However a run is cut into pieces, taken up from its file each time, every step's
    hash is that of the uninterrupted run, and the file passes its checks."""
    place = tmp_path_factory.mktemp("run")
    with begin(read_scenario("larkspur-morning"), place, model=ImprovisedModel()).store:
        pass
    for size in [*pieces, STEPS]:
        simulation = resume(place, model=ImprovisedModel())
        with simulation.store:
            wanted = min(size, STEPS - simulation.step)
            for tick in simulation.run(steps=wanted):
                assert tick.hash == hashes[tick.step + 1]
    with Run(place) as run:
        assert (run.steps, run.hash) == (STEPS, hashes[-1])
        assert check_run(run.store) == ()


def test_order_of_agents_favours_nobody() -> None:
    """Agents given in reverse order, the same things happen to the same people."""
    scenario = read_scenario("larkspur-morning")
    lives = []
    for people in (scenario.people, scenario.people[::-1]):
        made = build_simulation(
            replace(scenario, people=people), store=Store(":memory:"), model=ImprovisedModel()
        )
        for _ in made.run(steps=100):
            pass
        # Facts and the bodies of a snapshot are listed in the order of the people; whose they
        # are is what matters.
        other: dict[str, object] = {"inputs": (), "snapshots": {}}
        lives.append([{**entry, **other} for entry in made.journal.entries()])
    assert lives[0] == lives[1]


def test_conflicts_are_settled_in_an_order_drawn_anew() -> None:
    """The order in which a step settles conflicts changes from step to step, and each name
    comes first in about its share of steps."""
    simulation = lived("larkspur-morning", 0)
    names = sorted(simulation.agents)
    first: list[str] = []
    for step in range(300):
        order = list(names)
        simulation.seed.child("order", step).rng().shuffle(order)
        first.append(order[0])
    assert all(60 < first.count(name) < 140 for name in names)


def test_a_store_of_another_run_is_refused(tmp_path: Path) -> None:
    """A file that holds a run is not taken up with another seed, nor begun over."""
    scenario = read_scenario("crossroads")
    with begin(scenario, tmp_path, model=ImprovisedModel()).store as store:
        pass
    before = (tmp_path / "run.db").read_bytes()
    with pytest.raises(RunError, match="already holds a run"):
        begin(scenario, tmp_path, model=ImprovisedModel())
    with (
        Store(tmp_path / "run.db") as store,
        pytest.raises(RunError, match="its seed, about differ"),
    ):
        build_simulation(scenario.with_overrides(seed=5), store=store, model=ImprovisedModel())
    assert (tmp_path / "run.db").read_bytes() == before


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder for runs that fail to begin."""
    return tmp_path / "runs" / "new"


def test_a_failed_start_leaves_nothing(broken: Path) -> None:
    """When a start fails half-way, no file and no folder are left, and it can be made."""
    scenario = read_scenario("crossroads")
    wrong = replace(scenario, inputs=(replace(scenario.inputs[0], to="Nobody"),))
    with pytest.raises(SettingError, match=r"crossroads\.toml.*Nobody"):
        begin(wrong, broken, model=ImprovisedModel())
    assert not broken.exists()
    begin(scenario, broken, model=ImprovisedModel()).store.close()
    assert (broken / "run.db").is_file()


def test_a_start_that_was_killed_can_be_made_again(broken: Path) -> None:
    """A file in which only the empty tables were made is begun in, not called a run."""
    broken.mkdir(parents=True)
    Store(broken / "run.db").close()
    with pytest.raises(RunError, match="never begun"):
        resume(broken, model=ImprovisedModel())
    with begin(read_scenario("crossroads"), broken, model=ImprovisedModel()).store as store:
        assert check_run(store) == ()


def test_a_run_says_when_to_stop(tmp_path: Path) -> None:
    """``until`` and ``steps`` bound a run together; with neither it goes on to the scenario's
    own end, and without one that is an error."""
    simulation = lived("crossroads", 0)
    end = simulation.clock.at(5)
    assert [tick.step for tick in simulation.run(until=end, steps=9)] == [0, 1, 2, 3, 4]
    assert list(simulation.run(until=end)) == []
    simulation.until = simulation.clock.at(7)
    assert [tick.step for tick in simulation.run()] == [5, 6]
    simulation.until = None
    with pytest.raises(SettingError, match="give until or steps"):
        list(simulation.run())
    assert lived("crossroads", 0).until == datetime(2026, 5, 2, 12)
