"""The commands that correct and forget records, and restore snapshots."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from denizens.memory import Memory
from denizens.tests.support.cli_commands import run_command

NINE = datetime(2023, 2, 13, 9)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A memory of two things."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        memory.remember("Ada's dog is Rexanus", at=NINE, who="Ada")
        memory.remember("rain at noon", at=NINE, who="Dan")
    return path


def texts(file: Path) -> list[str]:
    """The texts that the memory recalls."""
    with Memory(file, "Bo") as memory:
        return sorted(memory.retriever(limit=9)("dog"))


def test_a_record_is_corrected_and_its_history_listed(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The new text is recalled; the old one is listed with the reason, or nowhere."""
    assert run_command("memory", "correct", file, 1, "Ada's dog is Max", "--why", "typo") == 0
    assert "record 1 is now record 3" in capsys.readouterr().out
    assert texts(file) == ["Ada's dog is Max", "rain at noon"]
    assert run_command("memory", "history", file, 3) == 0
    shown = capsys.readouterr().out
    assert "record 1: Ada's dog is Rexanus" in shown
    assert ": typo" in shown
    assert run_command("memory", "correct", file, 3, "Ada's dog is Hasso", "--erase-history") == 0
    assert run_command("memory", "history", file, 4, "--json") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [version["number"] for version in found["versions"]] == [4]
    assert b"Rexanus" not in file.read_bytes()


def test_records_are_forgotten(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With their history kept, then erased."""
    assert run_command("memory", "forget", file, "--record", 1, "--keep-history") == 0
    assert "kept as history" in capsys.readouterr().out
    assert texts(file) == ["rain at noon"]
    assert b"Rexanus" in file.read_bytes()
    assert run_command("memory", "forget", file, "--record", 1, "--record", 2, "--json") == 0
    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (done["records"], done["found"]) == ([1, 2], 0)
    assert b"Rexanus" not in file.read_bytes()


def test_snapshots_are_taken_and_restored(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A snapshot is listed, restored and deleted by its number."""
    assert run_command("memory", "snapshots", file, "take", "before") == 0
    with Memory(file, "Bo") as memory:
        memory.remember("a new dog", at=NINE)
    assert run_command("memory", "snapshots", file) == 0
    assert "snapshot 1 'before'" in capsys.readouterr().out
    assert run_command("memory", "snapshots", file, "restore", 1) == 0
    assert "a new dog" not in texts(file)
    assert run_command("memory", "snapshots", file, "delete", 1) == 0
    capsys.readouterr()
    assert run_command("memory", "snapshots", file, "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"snapshots": []}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("forget", "bo.db"), "--person NAME or --record NUMBER"),
        (("forget", "bo.db", "--person", "Ada", "--record", "1"), "one of them"),
        (("forget", "bo.db", "--record", "1", "--mentions"), "--mentions is of --person"),
        (("forget", "bo.db", "--person", "Ada", "--keep-history"), "a person is erased"),
        (("forget", "bo.db", "--record", "7"), "record 7"),
        (("correct", "bo.db", "7", "x"), "record 7"),
        (("correct", "bo.db", "1", " "), "give the new text"),
        (("snapshots", "bo.db", "restore", "4"), "snapshot 4 of Bo: there is none"),
        (("snapshots", "bo.db", "restore"), "say take LABEL"),
        (("snapshots", "bo.db", "restore", "x"), "no number"),
        (("history", "bo.db", "9"), "record 9"),
    ],
)
def test_errors_say_what_to_do(
    file: Path,
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wrong number or option is one line and exit code 2."""
    monkeypatch.chdir(file.parent)
    assert run_command("memory", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
