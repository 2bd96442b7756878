"""The benchmark of chats, and what all commands of benchmarks hand to their measurements."""

from __future__ import annotations

import ast
import inspect
import json
from importlib import import_module
from pathlib import Path

import pytest
from denizens import benchmarks
from denizens.benchmarks.agents import chat_throughput
from denizens.cli import main
from denizens.models import ImprovisedModel

COMMANDS = Path(benchmarks.__file__).parents[1] / "cli" / "bench_commands.py"


def test_the_command_measures_both_ways(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every reply is counted, of the people at once and one after the other."""
    monkeypatch.setattr(chat_throughput, "load_model", lambda *given, **named: ImprovisedModel())
    with pytest.raises(SystemExit) as end:
        main(["bench", "chat", "--people", "3", "--messages", "2", "--json"])
    assert end.value.code == 0
    figures = json.loads(capsys.readouterr().out)["chats"]
    assert figures["people"] == 3
    assert figures["alone"]["replies"] == figures["together"]["replies"] == 6
    assert figures["times_the_tokens_per_second"] > 0


def measurements() -> dict[str, str]:
    """The functions that commands measure by, with the package each is imported from."""
    tree = ast.parse(COMMANDS.read_text(encoding="utf-8"))
    packages = {
        name.name: f"denizens.{node.module}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for name in node.names
    }
    called = (
        node.args[0].id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "run_benchmark"
        and isinstance(node.args[0], ast.Name)
    )
    return {name: packages[name] for name in called}


def test_every_measurement_tells_its_progress() -> None:
    """``run_benchmark`` gives each one ``progress``, so each one takes it."""
    found = measurements()
    assert "measure_chats" in found
    assert len(found) > 8
    for name, package in found.items():
        function = getattr(import_module(package), name)
        assert "progress" in inspect.signature(function).parameters, name
