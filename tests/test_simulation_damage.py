"""Damaged runs are told apart from sound ones, by our errors only, and never made worse."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from denizens.core import DenizensError, ReplayDiverged, RunCorrupt, RunError
from denizens.memory import Memory, agents_in
from denizens.models import ImprovisedModel
from denizens.simulation import (
    begin,
    check_run,
    open_store,
    read_scenario,
    replay,
    resume,
    run_stats,
)
from denizens.simulation.record import ASK_COLUMNS, row_checksum

STEPS = 110


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a sound run, paused in the middle of a step."""
    folder = tmp_path_factory.mktemp("sound")
    simulation = begin(read_scenario("crossroads"), folder, model=ImprovisedModel())
    list(simulation.run(steps=STEPS))
    with simulation.store as store:
        # An answer that had come in when the step was broken off.
        row = store.rows(f"SELECT {ASK_COLUMNS} FROM asks WHERE kind = 'generate' LIMIT 1")[0]
        row = (STEPS, *row[1:-1])
        store.execute(
            f"INSERT INTO pending({ASK_COLUMNS}) VALUES ({', '.join('?' * 11)})",
            (*row, row_checksum(row)),
        )
        # A line in the log of somebody's memory.
        Memory(store, agents_in(store)[0]).quarantine("a stranger")
        assert check_run(store) == ()
    return (folder / "run.db").read_bytes()


@pytest.fixture
def run(tmp_path: Path, content: bytes) -> Path:
    """The folder of a copy of the sound run."""
    (tmp_path / "run.db").write_bytes(content)
    return tmp_path


def finding(folder: Path) -> tuple[str, ...]:
    """What a check finds wrong; any error but ours fails the test."""
    try:
        with open_store(folder) as store:
            return tuple(map(str, check_run(store)))
    except DenizensError as error:
        return (str(error),)


def truth(folder: Path) -> object:
    """The run's figures, hash included."""
    with open_store(folder) as store:
        return run_stats(store)


def spoil(folder: Path, *statements: str) -> None:
    """Change a run's file behind the program's back."""
    with sqlite3.connect(folder / "run.db", isolation_level=None) as raw:
        for one in statements:
            raw.execute(one)
    raw.close()


def test_flipped_bits(run: Path, content: bytes) -> None:
    """Each of 200 random flipped bits is reported or without effect on hash and figures;
    looking does not change a byte."""
    good = truth(run)
    chance = random.Random(11)
    reported = 0
    for _ in range(200):
        spoilt = bytearray(content)
        place = chance.randrange(len(content))
        spoilt[place] ^= 1 << chance.randrange(8)
        (run / "run.db").write_bytes(spoilt)
        found = finding(run)
        assert found or truth(run) == good, f"byte {place}"
        assert (run / "run.db").read_bytes() == bytes(spoilt)
        reported += bool(found)
    assert reported > 100


def test_flipped_bits_and_the_other_commands(run: Path, content: bytes) -> None:
    """Taking up or replaying a damaged run gives our error or the right life; a refused
    file is left as it is."""
    with open_store(run) as store:
        head = run_stats(store)["hash"]
    chance = random.Random(12)
    refused = 0
    for number in range(60):
        spoilt = bytearray(content)
        spoilt[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        (run / "run.db").write_bytes(spoilt)
        try:
            if number % 3:
                with resume(run, model=ImprovisedModel()).store:
                    pass
            else:
                assert replay(run).hash == head
        except DenizensError:
            refused += 1
            assert (run / "run.db").read_bytes() == bytes(spoilt)
    assert refused >= 5  # else the file is mostly slack and this test proves little


def test_truncation(run: Path, content: bytes) -> None:
    """A file cut off anywhere is reported and refused, and left as it is."""
    chance = random.Random(13)
    sizes = [0, 1, 100, 4096, len(content) - 1, len(content) - 4096]
    for size in [*sizes, *(chance.randrange(len(content)) for _ in range(20))]:
        (run / "run.db").write_bytes(content[:size])
        assert finding(run), size
        with pytest.raises(RunError, match=r"run\.db"):
            resume(run, model=ImprovisedModel())
        assert (run / "run.db").read_bytes() == content[:size]


def tables(content: bytes, folder: Path) -> dict[str, int]:
    """How many rows each table of a run has."""
    raw = sqlite3.connect(folder / "run.db")
    names = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    counts = {name: raw.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in names}
    raw.close()
    return counts


def delete(folder: Path, table: str, number: int) -> None:
    """Remove the ``number``-th row of a table."""
    raw = sqlite3.connect(folder / "run.db", isolation_level=None)
    columns = [row[1] for row in raw.execute(f"PRAGMA table_info({table})")]
    row = raw.execute(f"SELECT * FROM {table} LIMIT 1 OFFSET ?", (number,)).fetchone()
    same = " AND ".join(f"{column} IS ?" for column in columns)
    assert raw.execute(f"DELETE FROM {table} WHERE {same}", row).rowcount == 1
    raw.close()


def test_deleted_rows(run: Path, content: bytes) -> None:
    """A row deleted from any table is reported; only an unfinished step's answer and the
    like may go, and then hash and figures are the same."""
    good = truth(run)
    counts = tables(content, run)
    assert all(counts.values()), counts
    chance = random.Random(14)
    unnoticed = set()
    for table, count in counts.items():
        for number in {0, count - 1, *(chance.randrange(count) for _ in range(4))}:
            (run / "run.db").write_bytes(content)
            delete(run, table, number)
            if not finding(run):
                unnoticed.add(table)
                assert truth(run) == good, (table, number)
    assert unnoticed <= {"pending", "header"}


def test_last_ticks_cannot_be_cut_off(run: Path) -> None:
    """A run whose end was removed with all that belongs to it is not taken for a shorter one."""
    spoil(
        run,
        *(f"DELETE FROM {t} WHERE step >= 100" for t in ("ticks", "asks", "pending", "states")),
        *("DELETE FROM memory_records WHERE step >= 100", "DELETE FROM snapshots WHERE step > 99"),
    )
    assert finding(run)
    with pytest.raises(DenizensError):
        resume(run, model=ImprovisedModel())


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE ticks SET at = '2026-05-02T23:00:00' WHERE step = 7", "step 7"),
        ("UPDATE ticks SET entry = entry || ' ' WHERE step = 30", "step 30"),
        ("UPDATE states SET state = '{}' WHERE step = 0 AND agent = 'Otto Lind'", "Otto Lind"),
        ("UPDATE states SET state = NULL WHERE step = 0", "state of"),
        ("UPDATE snapshots SET world = '{}' WHERE step = 99", "snapshot after step 99"),
        ("UPDATE inputs SET step = 9 WHERE number = 2", "inputs"),
        ("UPDATE inputs SET input = x'00ff' WHERE number = 2", "inputs"),
        ("UPDATE asks SET tokens_out = 900 WHERE kind = 'generate'", "ask 1.0 of"),
        ("UPDATE asks SET kind = 'rate' WHERE kind = 'generate'", "ask 1.0 of"),
        ("UPDATE asks SET answer = x'00' WHERE kind = 'recall'", "ask "),
        ("UPDATE pending SET answer = answer || ' '", f"at step {STEPS}"),
        ("UPDATE memory_records SET body = '{}' WHERE id = 3", "memory of"),
        ("UPDATE header SET value = '\"x\"' WHERE key = 'map'", ""),
    ],
)
def test_changes_are_named(run: Path, statement: str, named: str) -> None:
    """Whatever is changed behind the program's back, the check names the place."""
    spoil(run, statement)
    found = finding(run)
    if named:
        assert any(named in one for one in found), found


def test_a_forged_answer_is_named(run: Path) -> None:
    """An answer rewritten with its row's own checksum made to fit is still found, by the
    digest in the hash chain; one rewritten without is named."""
    raw = sqlite3.connect(run / "run.db", isolation_level=None)
    query = f"SELECT {ASK_COLUMNS} FROM asks WHERE kind = 'generate' ORDER BY step DESC LIMIT 1"
    row = list(raw.execute(query).fetchone())
    where = "WHERE step = ? AND agent = ? AND path = ?"
    answer = json.loads(row[7])
    row[7] = json.dumps({**answer, "text": "I confess everything."})
    raw.execute(f"UPDATE asks SET answer = ? {where}", [row[7], *row[:3]])
    assert finding(run) == (
        f"ask {row[2]} of {row[1]} at step {row[0]}: does not fit its checksum",
    )
    with pytest.raises(RunCorrupt, match=f"ask {row[2]} of {row[1]} at step {row[0]}"):
        replay(run)
    raw.execute(f"UPDATE asks SET mark = ? {where}", [row_checksum(tuple(row[:-1])), *row[:3]])
    raw.close()
    assert finding(run) == (f"asks of step {row[0]}: were changed or removed",)
    with pytest.raises(ReplayDiverged, match=f"step {row[0]}"):
        replay(run)


def go_on(folder: Path) -> None:
    """Take a run up and live a step."""
    simulation = resume(folder, model=ImprovisedModel())
    with simulation.store:
        simulation.tick()


def test_resume_refuses_what_it_would_build_on(run: Path, content: bytes) -> None:
    """A run whose ticks, states, inputs, snapshot or open answers were changed is not
    continued, and its file is not touched."""
    changes: tuple[Callable[[], None], ...] = (
        lambda: spoil(run, "UPDATE ticks SET entry = entry || ' ' WHERE step = 30"),
        lambda: spoil(run, "UPDATE inputs SET input = input || ' '"),
        lambda: spoil(run, "UPDATE states SET state = state || ' '"),
        lambda: spoil(run, "UPDATE snapshots SET world = world || ' '"),
        lambda: spoil(run, "DELETE FROM snapshots"),
        lambda: spoil(run, "UPDATE pending SET answer = answer || ' '"),
    )
    for change in changes:
        (run / "run.db").write_bytes(content)
        change()
        before = (run / "run.db").read_bytes()
        with pytest.raises(RunCorrupt, match=r"run\.db"):
            go_on(run)
        assert (run / "run.db").read_bytes() == before


def test_a_file_of_newer_tables_is_refused(run: Path) -> None:
    """A run written by a newer version says so."""
    spoil(run, "UPDATE parts SET version = 9 WHERE part = 'journal'")
    assert "upgrade denizens" in finding(run)[0]


def test_a_file_without_snapshots_in_its_chain_is_refused(run: Path) -> None:
    """A run written before the hash chain covered snapshots is not called damaged."""
    spoil(run, "UPDATE parts SET version = 1 WHERE part = 'journal'")
    assert "recorded by an earlier version" in finding(run)[0]
    with pytest.raises(RunError, match="run its scenario anew"):
        resume(run, model=ImprovisedModel())
