"""The memory commands: what they print, write and answer with."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from pathlib import Path

import pytest
from denizens.memory import Memory
from denizens.tests.support.cli_commands import run_command

NINE = datetime(2023, 2, 13, 9)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A memory of three things, one of them Ada's secret."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        memory.remember("the mill turns", at=NINE)
        memory.remember("I am ill", at=NINE, who="Ada", audience=("Ada",))
        memory.remember("rain at noon", at=NINE, who="Dan")
    return path


def test_verify_and_repair(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A whole file passes; a damaged one is named, mended, and whole again."""
    assert run_command("memory", "verify", file) == 0
    assert "whole" in capsys.readouterr().out
    raw = sqlite3.connect(file)
    raw.execute("UPDATE memory_records SET body = '{}' WHERE id = 2")
    raw.commit()
    raw.close()
    assert run_command("memory", "verify", file, "--json") == 2
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["whole"] is False
    assert any("record 2" in line for line in found["damage"])
    assert run_command("memory", "repair", file, "--json") == 0
    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert done["kept"] == 2
    assert Path(done["original"]).name == "bo.db.damaged"
    assert run_command("memory", "verify", file) == 0
    assert run_command("memory", "repair", file) == 0
    assert "nothing to repair" in capsys.readouterr().out


def test_export_and_import(file: Path, tmp_path: Path) -> None:
    """A memory travels whole; for a person without what is for others."""
    lines, theirs, copy = tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "copy.db"
    assert run_command("memory", "export", file, lines) == 0
    assert run_command("memory", "import", copy, lines, "--agent", "Bo") == 0
    with Memory(file, "Bo") as one, Memory(copy, "Bo") as other:
        assert one.digest == other.digest
    assert run_command("memory", "export", file, theirs, "--person", "Dan") == 0
    assert "I am ill" not in theirs.read_text()
    assert "I am ill" in lines.read_text()


def test_forget(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person is erased and the file searched for what they said."""
    assert run_command("memory", "forget", file, "--person", "Ada", "--json") == 0
    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert done == {"records": {"Bo": 1}, "searched": 1, "found": 0, "shared": 0}
    assert b"I am ill" not in file.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("verify", "none.db"), "no such file"),
        (("repair", "none.db"), "no such file"),
        (("export", "bo.db", "x.jsonl", "--agent", "Zoe"), "no memory of 'Zoe'; known: Bo"),
        (("forget", "bo.db", "--person", "Bo"), "memory of their own"),
    ],
)
def test_errors_say_what_to_do(
    file: Path,
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wrong file, agent or person is one line and exit code 2."""
    monkeypatch.chdir(file.parent)
    assert run_command("memory", *arguments) == 2
    assert message in capsys.readouterr().err
