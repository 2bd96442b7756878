"""memory claims, documents, fold, unfold: what they print, write and refuse."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from denizens.memory import Memory
from denizens.models import ImprovisedModel
from denizens.simulation import begin, read_scenario
from denizens.tests.support.cli_commands import run_command

NINE = datetime(2023, 2, 13, 9)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A memory of thirty days without embeddings."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        memory.remember("I live in Leeds.", at=NINE, who="Ada")
        for day in range(30):
            at = NINE + timedelta(days=day)
            memory.remember(f"The mill turned on day {day}.", at=at)
            memory.remember(f"Rye was ground on day {day}.", at=at)
    return path


def figures(capsys: pytest.CaptureFixture[str]) -> Any:
    """The JSON printed last."""
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_claims_are_learned_and_listed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Facts are learned by rule once, listed, and looked up as of a day."""
    assert run_command("memory", "claims", file, "--learn", "--json") == 0
    found = figures(capsys)
    assert found["learned"] == 1
    assert [(c["subject"], c["object"]) for c in found["claims"]] == [("Ada", "Leeds")]
    assert run_command("memory", "claims", file, "--learn", "--about", "Ada") == 0
    out = capsys.readouterr().out
    assert "0 facts learned" in out
    assert "Ada lives in Leeds (since 2023-02-13)" in out
    assert run_command("memory", "claims", file, "--as-of", "2022-01-01", "--json") == 0
    assert figures(capsys)["claims"] == []
    assert run_command("memory", "claims", file, "--as-of", "noon") == 2
    assert run_command("memory", "claims", file, "--as-of", "2023-03-01T00:00+02:00") == 2


def test_documents_come_and_go(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file is added, listed, added anew after a change, and removed."""
    page = file.with_name("handbook.md")
    page.write_text("# Ovens\n\nThe left oven runs hot.\n", encoding="utf-8")
    assert run_command("memory", "documents", file, "add", page) == 0
    assert "handbook.md: 1 pieces added, 0 kept, 0 replaced" in capsys.readouterr().out
    page.write_text("# Ovens\n\nThe right oven runs hot.\n", encoding="utf-8")
    assert run_command("memory", "documents", file, "add", page) == 0
    assert "1 pieces added, 0 kept, 1 replaced" in capsys.readouterr().out
    assert run_command("memory", "documents", file, "--json") == 0
    assert figures(capsys) == {"documents": {"handbook.md": 1}}
    assert run_command("memory", "documents", file, "remove", "handbook.md") == 0
    assert run_command("memory", "documents", file, "--json") == 0
    assert figures(capsys) == {"documents": {}}
    assert run_command("memory", "documents", file, "add", file.with_name("no.md")) == 2
    assert run_command("memory", "documents", file, "burn", page) == 2
    assert "say add PATH" in capsys.readouterr().err


def test_folded_and_unfolded(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A memory is folded to a budget; unfolding every summary brings all of it back."""
    assert run_command("memory", "fold", file, "--budget", "45", "--json") == 0
    found = figures(capsys)
    assert found["before"] == 61
    assert found["records"] <= 45
    for summary in found["summaries"]:
        assert run_command("memory", "unfold", file, summary) == 0
    assert run_command("memory", "unfold", file, found["summaries"][0]) == 2
    capsys.readouterr()
    assert run_command("memory", "fold", file, "--budget", "1000", "--json") == 0
    assert figures(capsys) == {"summaries": [], "before": 61, "records": 61}


def test_a_run_is_not_written_into(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a run remembers is what was lived: it may be read by these commands only."""
    begin(read_scenario("crossroads"), tmp_path, model=ImprovisedModel()).store.close()
    run = tmp_path / "run.db"
    with Memory(run, "Otto Lind") as memory:
        memory.remember("I live in Leeds.", at=NINE)
    before = run.read_bytes()
    assert run_command("memory", "fold", run, "--budget", "20") == 2
    assert "is a run" in capsys.readouterr().err
    assert run_command("memory", "claims", run, "--learn") == 2
    assert run_command("memory", "claims", run, "--json") == 0
    assert run.read_bytes() == before
