"""Back in time: replays, forks and interviews, and that they leave a run as it was."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from denizens.core import Client, Input, Json, Message, ReplayDiverged, RunError, SettingError
from denizens.memory import Memory
from denizens.models import ImprovisedModel
from denizens.planners.steps import prompt_templates as prompts
from denizens.planners.steps import step_builder
from denizens.simulation import (
    Run,
    begin,
    check_run,
    fork,
    interview,
    open_store,
    read_scenario,
    replay,
    resume,
)

STEPS = 140
LATER = 110


class Forbidden:
    """A model that must not be asked."""

    def client(self) -> Client:
        """Nobody may have one."""
        raise AssertionError("a model was asked")

    def describe(self) -> dict[str, Json]:
        """Its name."""
        return {"name": "forbidden"}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of the crossroads: both planned inputs lie in it, a whisper is
    added after step 40."""
    folder = tmp_path_factory.mktemp("lived")
    simulation = begin(read_scenario("crossroads"), folder, model=ImprovisedModel())
    for tick in simulation.run(steps=STEPS):
        if tick.step == 40:
            simulation.add(Input(kind="whisper", to="Otto Lind", text="Otto Lind is hungry."))
    simulation.store.close()
    return folder


@pytest.fixture
def folder(lived: Path) -> Iterator[Path]:
    """The run; afterwards its bytes are the same, and no file lies beside it that was not
    there before."""
    before = contents(lived)
    yield lived
    assert contents(lived) == before


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def copy_of(folder: Path, new: Path) -> Path:
    """A copy of a run to be spoilt."""
    shutil.copytree(folder, new)
    return new


def test_replay_agrees_and_asks_nobody(folder: Path) -> None:
    """A replay takes every step to the recorded hash from the record alone."""
    steps = []
    done = replay(folder, on_tick=lambda tick: steps.append(tick.asks))
    with Run(folder) as run:
        assert (done.steps, done.hash) == (STEPS, run.hash)
        assert done.asks == sum(run.stats()["asks"].values()) > 100
    assert steps == [0] * STEPS


def test_changed_prompt_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a prompt's text was changed, a replay names step, person and ask of the first
    ask that differs."""
    original = prompts.render_prompt

    def changed(name: str, /, **values: str) -> tuple[Message, ...]:
        messages = original(name, **values)
        return (*messages, Message.of("user", "And hurry.")) if name == "importance" else messages

    monkeypatch.setattr(step_builder, "render_prompt", changed)
    with pytest.raises(ReplayDiverged, match=r"step 0, \w+ \w+, ask 1\.\d+ \(rate\) differs"):
        replay(folder)


def test_an_ask_that_is_no_longer_asked_is_named(folder: Path, tmp_path: Path) -> None:
    """Code that asks less than the recorded run diverges too."""
    spoilt = copy_of(folder, tmp_path / "copy")
    extra = sqlite3.connect(spoilt / "run.db")
    step, agent = extra.execute("SELECT step, agent FROM asks WHERE step > 3 LIMIT 1").fetchone()
    with open_store(spoilt, write=True) as store:
        from denizens.simulation.record import ASK_COLUMNS, row_checksum

        row = list(store.rows(f"SELECT {ASK_COLUMNS} FROM asks WHERE step = ? LIMIT 1", (step,))[0])
        row[2] = "9.9"
        marks = ", ".join("?" * len(row))
        store.execute(
            f"INSERT INTO asks({ASK_COLUMNS}) VALUES ({marks})",
            [*row[:-1], row_checksum(tuple(row[:-1]))],
        )
    with pytest.raises(ReplayDiverged, match=rf"step {step}, {agent}, ask 9\.9 is on record"):
        replay(spoilt)


@pytest.mark.parametrize("step", [0, 1, 30, 99, 100, 101, LATER])
def test_fork_goes_on_as_the_first_did(folder: Path, tmp_path: Path, step: int) -> None:
    """A fork with the same inputs has the source's hash at each later step; the planned
    inputs are in it, the one added by hand later is not."""
    fork(folder, step, tmp_path / "new")
    with Run(folder) as run:
        hashes = [run.journal.hash_after(number + 1) for number in range(STEPS)]
    simulation = resume(tmp_path / "new", model=ImprovisedModel())
    assert simulation.step == step
    with simulation.store:
        for tick in simulation.run(steps=STEPS - step):
            assert tick.hash == hashes[tick.step]
            if tick.step == 40:
                simulation.add(Input(kind="whisper", to="Otto Lind", text="Otto Lind is hungry."))
        assert simulation.hash == hashes[-1]
        assert check_run(simulation.store) == ()
    assert sorted(contents(tmp_path / "new")) == ["run.db", "run.db.lock"]


def test_fork_without_the_added_input_goes_another_way(folder: Path, tmp_path: Path) -> None:
    """Up to the step where an input was added by hand all is equal, from there it differs;
    so it does where one is added to the fork."""
    with Run(folder) as run:
        hashes = [run.journal.hash_after(number + 1) for number in range(STEPS)]
    fork(folder, 35, tmp_path / "silent")
    silent = resume(tmp_path / "silent", model=ImprovisedModel())
    equal = [tick.hash == hashes[tick.step] for tick in silent.run(steps=20)]
    silent.store.close()
    assert equal == [number <= 40 for number in range(35, 55)]
    fork(folder, 60, tmp_path / "loud")
    loud = resume(tmp_path / "loud", model=ImprovisedModel())
    loud.add(Input(kind="whisper", to="Hanna Brook", text="It is a holiday."))
    assert [tick.hash == hashes[tick.step] for tick in loud.run(steps=5)] == [False] * 5
    loud.store.close()


def test_forks_are_refused_where_they_cannot_be(folder: Path, tmp_path: Path) -> None:
    """A step the run has not reached, and a folder that holds a run already."""
    with pytest.raises(SettingError, match=f"@{STEPS + 1}: the run has {STEPS} steps"):
        fork(folder, STEPS + 1, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    fork(folder, 3, tmp_path / "new")
    with pytest.raises(RunError, match="already holds a run"):
        fork(folder, 3, tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be made a folder"):
        fork(folder, 3, tmp_path / "file" / "new")


def test_fork_of_a_damaged_run_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    """A run that cannot be copied whole is not copied in part."""
    spoilt = copy_of(folder, tmp_path / "copy")
    content = bytearray((spoilt / "run.db").read_bytes())
    content[4096 : 4096 * 12] = bytes(4096 * 11)
    (spoilt / "run.db").write_bytes(content)
    with pytest.raises(RunError):
        fork(spoilt, 3, tmp_path / "new")
    assert not list((tmp_path / "new").glob("*")) if (tmp_path / "new").exists() else True


def test_fork_of_a_run_that_was_killed(folder: Path, tmp_path: Path) -> None:
    """A run whose last steps are still in SQLite's log is copied with them, and neither
    file nor log is changed."""
    fork(folder, 50, tmp_path / "run")
    simulation = resume(tmp_path / "run", model=ImprovisedModel())
    list(simulation.run(steps=4))
    # What a kill leaves: the file with its log, without SQLite's farewell.
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("run.db", "run.db-wal"):
        shutil.copy(tmp_path / "run" / name, killed / name)
    expected = simulation.hash
    simulation.store.close()
    before = contents(killed)
    fork(killed, 54, tmp_path / "new")
    with Run(tmp_path / "new") as run, Run(killed) as source:
        assert run.hash == source.hash == expected
    replay(killed)
    with open_store(killed) as store:
        assert check_run(store) == ()
    interview(killed, "Otto Lind", "What are you doing?", model=ImprovisedModel())
    after = contents(killed)
    assert {name: after[name] for name in before} == before


def test_interview_sees_the_step_and_nothing_later(folder: Path) -> None:
    """Asked as of a step, a person uses only memories made by then; the run has no trace."""
    with Run(folder) as run:
        made = {
            step: sum(row.step < step for row in rows_of(run.memory("Hanna Brook")))
            for step in (0, 5, 60, STEPS)
        }
    assert 0 == made[0] < made[5] <= made[60] < made[STEPS]
    for step, count in made.items():
        reply = interview(
            folder, "Hanna Brook", "What did you see?", at=step, model=ImprovisedModel()
        )
        assert reply.text
        assert all(record <= count for record in reply.step.used)
        assert [record.id for record in reply.step.records] == [count + 1, count + 2]


def rows_of(memory: Memory) -> list[StepOf]:
    """The step at which each record was made."""
    return [StepOf(int(step)) for step in memory.index.step.array]


class StepOf:
    """When a record was made."""

    def __init__(self, step: int) -> None:
        self.step = step


def test_interview_of_nobody_loads_no_model(folder: Path) -> None:
    """Names and steps that are not there are refused before any model is loaded."""
    with pytest.raises(SettingError, match="nobody is called 'Bob'"):
        interview(folder, "Bob", "Hello?", model=Forbidden())
    with pytest.raises(SettingError, match=f"has {STEPS} steps, not {STEPS + 1}"):
        interview(folder, "Otto Lind", "Hello?", at=STEPS + 1, model=Forbidden())


def test_looking_changes_no_byte(folder: Path) -> None:
    """Verify, replay, an interview and the figures only read (the fixture compares)."""
    with open_store(folder) as store:
        assert check_run(store) == ()
    with Run(folder) as run:
        assert run.stats()["steps"] == STEPS
        assert len(list(run.states("Otto Lind"))) > 5
    replay(folder)
    interview(folder, "Otto Lind", "How are you?", model=ImprovisedModel())
