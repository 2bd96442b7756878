"""What a run cost, at the command line: the table, the JSON, the live line, the cap."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from denizens.cli import main, usage_lines
from denizens.models import ImprovisedModel, Usage
from denizens.simulation import ProgressMeter, Tick, build_simulation, read_scenario
from denizens.simulation.record import usage_summary
from denizens.store import Store


def denizens(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Exit code and standard output of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(str(ended.value.code or 0)), capsys.readouterr().out


def figures(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """The JSON object that a command, which must succeed, prints last."""
    code, out = denizens(capsys, *words, "--json")
    assert code == 0
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", StringIO(""))


KINDS = ("generate", "choose", "rate", "embed")
RUN = ("run", "crossroads", "--model", "improvised", "--run", "town")


def test_run_prints_what_it_cost(capsys: pytest.CaptureFixture[str]) -> None:
    """At the end stands a table: a line for each kind of ask, one for each person, the sum."""
    code, out = denizens(capsys, *RUN, "--steps", "30")
    assert code == 0
    table = out.split("30 steps of")[0].splitlines()
    assert table[0].split() == ["calls", "read", "reused", "written", "seconds"]
    assert any(line.startswith("Otto Lind ") for line in table)
    calls = [int(line.split()[1]) for line in table if line.startswith(KINDS)]
    assert len(calls) == 4
    assert table[-1].split()[:3] == ["in", "all", str(sum(calls))]


def test_json_has_the_ledger(capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` gives the sums by kind, role and person; they agree with the other figures,
    and ``verify`` gives the same."""
    found = figures(capsys, *RUN, "--steps", "30")
    ledger = found["ledger"]
    assert set(ledger) == {"by_kind", "by_role", "by_agent", "total"}
    assert ledger["total"]["calls"] == found["model_calls"]
    assert ledger["total"]["tokens_out"] == found["generated_tokens"] > 0
    assert {kind: one["calls"] for kind, one in ledger["by_kind"].items()} == {
        kind: count for kind, count in found["asks"].items() if kind in KINDS
    }
    assert figures(capsys, "verify", "town")["ledger"] == ledger


def test_a_crowd_is_cut_short() -> None:
    """Of many people the dearest are listed, the others in one line; shares are per cent."""
    rows = [(0, Usage(f"P{n}", "rate", "rate", 1, 100, 0, 25, float(n))) for n in range(12)]
    lines = list(usage_lines(usage_summary(rows)))
    shown = [line.split()[0] for line in lines if line.startswith("P")]
    assert shown == ["P11", "P10", "P9", "P8", "P7"]
    assert any(line.split()[:4] == ["7", "more", "7", "700"] for line in lines)
    assert lines[-1].split() == ["in", "all", "12", "1,200", "25%", "0", "66.0"]
    assert list(usage_lines(usage_summary([]))) == []


def test_the_live_line_tells_tokens_and_reuse() -> None:
    """Tokens a second and the share reused come from what the ticks cost."""
    with Store(":memory:") as store:
        simulation = build_simulation(
            read_scenario("crossroads"), store=store, model=ImprovisedModel()
        )
        meter = ProgressMeter(simulation, 10)
        assert "reused" not in meter.summary_line()
        tick = next(simulation.run(steps=1))
        spent = (Usage("Otto Lind", "rate", "rate", 2, 1000, 10, 250, 0.5),)
        told = Tick(tick.step, tick.at, {}, {}, (), {}, tick.hash, 2, spent)
        meter.add(told)
        assert (meter.calls, meter.prompt, meter.generated) == (2, 1000, 10)
        assert "25% reused" in meter.summary_line()
        assert "2 model calls" in meter.summary_line()
        assert "tokens/s" in meter.summary_line()


def test_a_cap_ends_the_command_well(capsys: pytest.CaptureFixture[str]) -> None:
    """A capped run ends with exit code 0 and says why; ``--json`` names the cap and what was
    spent; a higher cap resumes it."""
    code, out = denizens(capsys, *RUN, "--steps", "60", "--max-tokens-per-day", "500")
    assert code == 0
    assert "stopped by the cap: 2026-05-02 has cost" in out
    assert "denizens resume town --max-tokens-per-day N" in out
    found = figures(capsys, "resume", "town", "--steps", "40")
    assert found["stopped"] == "max_tokens_per_day"
    assert found["cap"]["max_tokens_per_day"] == 500 >= found["cap"]["spent"] > 0
    assert found["cap"]["day"] == "2026-05-02"
    assert found["cap"]["spent"] + found["cap"]["largest_step"] > 500
    steps = found["steps"]
    more = figures(capsys, "resume", "town", "--steps", "40", "--max-tokens-per-day", "0")
    assert (more["stopped"], more["steps"]) == (False, steps + 40)
    assert "cap" not in more


def test_a_scenario_brings_its_cap(capsys: pytest.CaptureFixture[str]) -> None:
    """The key stands in [model]; the command's option overrides it."""
    Path("s.toml").write_text(
        '[scenario]\nname = "crossroads"\nextends = "crossroads"\n'
        "[model]\nmax_tokens_per_day = 500\n"
    )
    words = ("run", "s.toml", "--model", "improvised", "--steps", "60")
    assert figures(capsys, *words)["stopped"] == "max_tokens_per_day"
    assert figures(capsys, *words, "--max-tokens-per-day", "90000")["steps"] == 60
