"""Runs as tables and in Smallville's format: whole, readable again, and safe to open."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from denizens.cli import main
from denizens.core import (
    AgentId,
    Input,
    Json,
    Persona,
    Record,
    RunCorrupt,
    RunError,
    SettingError,
    Thought,
)
from denizens.interop import export_csv, export_smallville
from denizens.interop.csv_tables import TABLES, csv_cell
from denizens.models import model_from_name
from denizens.simulation import Run, begin, read_scenario
from denizens.viewer import collect_page_data

STEPS = 320
DOCS = Path(__file__).resolve().parent.parent / "docs" / "exports.md"


def live(name: str | Path, home: Path, steps: int, *inputs: tuple[int, Input]) -> None:
    """A run with the improvising double; ``inputs`` come in at their steps."""
    simulation = begin(read_scenario(name), home, model=model_from_name("improvised"))
    with simulation.store:
        for tick in simulation.run(steps=steps):
            for step, given in inputs:
                if tick.step == step:
                    simulation.add(given)


def insight(
    builder: Any, question: str, recalled: list[Record], recent: list[Record]
) -> Thought[tuple[str, tuple[Record, ...]]]:
    """An insight of the builder's persona that rests on the first two records."""
    yield from ()
    name = builder.situation.persona.first_name
    return f"{name} understands this: {question}", tuple(recalled[:2])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A morning in Larkspur, with a visitor and an awkward whisper."""
    home = tmp_path_factory.mktemp("run") / "lark"
    whisper = Input(kind="whisper", to="Felix Moor", text='=HYPERLINK("x"), \'tis;\nlate 💤')
    hello = Input(kind="line", who="A visitor", to="Tobias Reed", text="-1+2, they say.")
    with pytest.MonkeyPatch.context() as patch:
        # What the double understands rests on nothing; here records with evidence are wanted.
        patch.setattr("denizens.planners.daily.reflection._insight", insight)
        live("larkspur", home, STEPS, (60, whisper), (70, hello))
    with Run(home) as opened:
        yield opened


@pytest.fixture(scope="module")
def tables(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    """That run's tables, read as anybody would, without the guarding apostrophes."""
    out = tmp_path_factory.mktemp("csv") / "tables"
    return {path.name: table(path) for path in export_csv(run, out)}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    return [{key: value.removeprefix("'") for key, value in row.items()} for row in rows]


def bodies(run: Run) -> Iterator[tuple[int, dict[AgentId, list[Json]]]]:
    """Everybody's body as of every step."""
    now: dict[AgentId, list[Json]] = {}
    for entry in run.entries():
        now.update(entry["bodies"])
        yield entry["step"], dict(now)


# -- tables -----------------------------------------------------------------------------


def test_columns_are_the_documented_ones(tables: dict[str, list[dict[str, str]]]) -> None:
    """Files and columns stand in docs/exports.md, in this order."""
    rows = re.findall(r"(?m)^\| `(\w+\.csv)` \|[^|]*\| (.*) \|$", DOCS.read_text("utf-8"))
    told = {name: re.findall(r"`(\w+)`", columns) for name, columns in rows}
    assert told == {name: list(one.columns) for name, one in TABLES.items()}
    assert {name: list(rows[0]) for name, rows in tables.items()} == told
    assert list(tables) == list(told)


def test_positions_give_every_step(run: Run, tables: dict[str, list[dict[str, str]]]) -> None:
    """From the rows, one a change, follows where everybody is at every step."""
    rows = tables["positions.csv"]
    found: dict[str, dict[str, str]] = {}
    place = 0
    for step, now in bodies(run):
        while place < len(rows) and int(rows[place]["step"]) == step:
            row = rows[place]
            assert found.get(row["agent"], {}) != {**row, "step": "", "time": ""}
            found[row["agent"]] = {**row, "step": "", "time": ""}
            place += 1
        for who, (x, y, where, doing, emoji, target) in now.items():
            row = found[who]
            assert (int(row["x"]), int(row["y"])) == (x, y)
            shown = (row["place"], row["doing"], row["emoji"], row["target"])
            assert shown == (where, doing, emoji, target)
    assert place == len(rows)
    assert {row["time"] for row in rows if row["step"] == "90"} <= {"2026-05-02T07:50:00"}


def test_events_and_lines_are_whole(run: Run, tables: dict[str, list[dict[str, str]]]) -> None:
    """Each event of the journal is a row, and each line of a conversation too."""
    events = [event for entry in run.entries() for event in entry["events"]]
    keys = ("kind", "subject", "predicate", "object", "text", "place")
    assert [[row[k] for k in keys] for row in tables["events.csv"]] == [
        [event[k] for k in keys] for event in events
    ]
    talks = collect_page_data(run).talks
    lines = [(t.id, str(step), *said) for t in talks for step, *said in t.lines]
    rows = tables["conversations.csv"]
    assert [(r["talk"], r["step"], r["speaker"], r["text"]) for r in rows] == lines
    assert len(lines) > 8
    assert "-1+2, they say." in {row["text"] for row in rows}
    for row in rows:
        assert row["speaker"] in json.loads(row["members"])


def test_people_are_agents_and_visitors(run: Run, tables: dict[str, list[dict[str, str]]]) -> None:
    """Whoever stands in another table stands in people.csv."""
    rows = {row["agent"]: row for row in tables["people.csv"]}
    assert Counter(row["kind"] for row in rows.values()) == {"agent": 5, "visitor": 1}
    assert {row["agent"] for row in tables["positions.csv"]} <= rows.keys()
    nora = run.people["Nora Vale"]
    assert rows["Nora Vale"]["background"] == nora.background
    assert tuple(json.loads(rows["Nora Vale"]["facts"])) == nora.facts


def test_asks_add_up(run: Run, tables: dict[str, list[dict[str, str]]]) -> None:
    """All asks, in the order of asking, with the run's tokens and each choice's option."""
    rows = tables["asks.csv"]
    figures = run.stats()
    assert Counter(row["kind"] for row in rows) == figures["asks"]
    assert sum(int(row["tokens_out"]) for row in rows) == figures["generated_tokens"] > 0
    assert sum(int(row["tokens_in"]) for row in rows) == figures["prompt_tokens"]
    order = [(int(r["step"]), r["agent"], *map(int, r["path"].split("."))) for r in rows]
    assert order == sorted(order)
    assert any(re.search(r"\d\d", row["path"]) for row in rows)
    for row in rows:
        assert bool(row["option"]) == bool(row["probability"]) == (row["kind"] == "choose")
        if row["option"]:
            assert 0 < float(row["probability"]) <= 1
            assert f"{row['option']} {float(row['probability']):.3f}" in row["answer"]
        assert row["about"]


def test_memories_and_plans(run: Run, tables: dict[str, list[dict[str, str]]]) -> None:
    """Every memory with its evidence, and the plan that stands at the end."""
    rows = iter(tables["memories.csv"])
    rests = 0
    for who in run.people:
        for record in run.memory(who).records():
            row = next(rows)
            assert (row["agent"], int(row["id"]), row["text"]) == (who, record.id, record.text)
            assert float(row["importance"]) == record.importance
            assert tuple(json.loads(row["evidence"])) == record.evidence
            rests += bool(record.evidence)
    assert next(rows, None) is None
    assert rests
    for who in run.people:
        plan = [state for _, state in run.states(who) if state.plan or state.schedule][-1]
        mine = [row for row in tables["plans.csv"] if row["agent"] == who]
        last = [row for row in mine if row["step"] == mine[-1]["step"]]
        assert [r["doing"] for r in last if r["part"] == "stroke"] == list(plan.plan)
        slots = [(r["start"], int(r["minutes"]), r["doing"]) for r in last if r["part"] == "slot"]
        assert slots == [(s.start.isoformat(), s.minutes, s.doing) for s in plan.schedule]


def test_nothing_reads_as_a_formula(run: Run, tmp_path: Path) -> None:
    """No cell of the files themselves begins like a formula, though some texts do, and the
    texts come back; numbers may be negative."""
    export_csv(run, tmp_path / "out")
    guarded = 0
    for path in (tmp_path / "out").iterdir():
        raw = path.read_bytes()
        assert raw.count(b"\r\n") >= 2
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file, strict=True):
                for text in row:
                    guarded += text.startswith("'")
                    assert not re.match(r"[=+@\t\r\n]|-(?!\d+(\.\d+)?$)", text), text
    assert guarded >= 2
    assert '=HYPERLINK("x"), \'tis;\nlate 💤' in "".join(
        row["text"] for row in table(tmp_path / "out" / "memories.csv")
    )


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=", "\n=", "'", "''=", "a='"])
def test_guarded_texts_come_back(text: str) -> None:
    """Taking one leading apostrophe away undoes the guard."""
    written = csv_cell(text)
    assert written.removeprefix("'") == text
    assert (written == text) == (text == "a='")


# -- what cannot be done ----------------------------------------------------------------


@pytest.mark.parametrize("write", [export_csv, export_smallville])
def test_nothing_is_overwritten(run: Run, tmp_path: Path, write: Json) -> None:
    """A folder that holds something, and a file, are refused and left alone; an empty folder
    is taken."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("full", "file", "file/below"):
        with pytest.raises(SettingError, match=f"{name}: .*(name|choose)"):
            write(run, tmp_path / name)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "full", "mine.txt"]
    (tmp_path / "empty").mkdir()
    made = write(run, tmp_path / "empty")
    assert all(path.exists() and path.parent == tmp_path / "empty" for path in made)
    assert len(made) == len(list((tmp_path / "empty").iterdir()))


@pytest.mark.parametrize("write", [export_csv, export_smallville])
def test_nothing_is_half_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Json
) -> None:
    """When the run turns out damaged midway there is no folder, and no trace of one."""
    before = Run.memory

    def damaged(self: Run, agent: AgentId) -> Json:
        if agent == list(self.people)[-1]:
            raise RunCorrupt("run.db: row 7 is damaged; restore it from a backup")
        return before(self, agent)

    monkeypatch.setattr(Run, "memory", damaged)
    with pytest.raises(RunCorrupt):
        write(run, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_world_of_places(tmp_path: Path) -> None:
    """Without tiles there are tables, with empty coordinates, but no Smallville."""
    live("crossroads", tmp_path / "run", 20)
    with Run(tmp_path / "run") as run:
        with pytest.raises(SettingError, match=r"no map of tiles.*--to csv"):
            export_smallville(run, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        export_csv(run, tmp_path / "out")
    rows = table(tmp_path / "out" / "positions.csv")
    assert rows
    assert {row["x"] for row in rows} == {""}
    assert all(row["place"] for row in rows)


def test_a_run_without_a_step(tmp_path: Path) -> None:
    """There is nothing to export, and the message says what to do."""
    live("crossroads", tmp_path / "run", 0)
    with Run(tmp_path / "run") as run, pytest.raises(RunError, match=r"no committed step.*resume"):
        export_csv(run, tmp_path / "out")


@pytest.mark.parametrize("name", ["../Nora", "Nora?", ".."])
def test_names_that_no_folder_can_have(run: Run, tmp_path: Path, name: str) -> None:
    """Nothing is written outside of the folder, whatever people are called."""
    with Run(run.store.name) as odd:
        odd.people[name] = Persona(name=name)
        with pytest.raises(SettingError, match=r"can be no folder's name.*--to csv"):
            export_smallville(odd, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["OUT", "--to", "csv"], ["--to", "csv", "OUT"], ["OUT"]])
def test_the_command(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """The format stands before or after the folder, csv when not said; files are named."""
    out = tmp_path / "out"
    folder = Path(run.store.name).parent
    with pytest.raises(SystemExit) as ended:
        main(["export", str(folder), *(str(out) if word == "OUT" else word for word in words)])
    assert ended.value.code == 0
    assert capsys.readouterr().out.splitlines() == [str(out / name) for name in TABLES]


def test_the_command_refuses(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown format gets the nearest one told."""
    with pytest.raises(SystemExit) as ended:
        main(["export", str(Path(run.store.name).parent), str(tmp_path / "o"), "--to", "cvs"])
    assert ended.value.code == 2
    assert "did you mean 'csv'" in capsys.readouterr().err
