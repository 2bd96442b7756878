"""The commands, each through the whole command line but in this process."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from denizens.agents import Session
from denizens.cli import main
from denizens.core import Action, AgentState, DenizensError, Failed, Reply, Step
from denizens.memory import Memory
from denizens.models import ImprovisedModel
from denizens.simulation import Run, check_run, resume

COMMANDS = (
    *("run", "resume", "verify", "replay", "fork", "new", "interview", "chat"),
    *("view", "export", "doctor", "models", "mcp", "whisper"),
)
FIGURES = {
    *("steps", "hash", "agent_steps_per_s", "model_calls", "prompt_tokens", "generated_tokens")
}


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def figures(self) -> dict[str, Any]:
        """The JSON object on the last line."""
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found


Command = Callable[..., Said]


@pytest.fixture
def denizens(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Command:
    """Runs a command in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)

    def command(*words: str | Path, typed: str = "") -> Said:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "\x1b" not in out + err, "colours in a pipe"
        assert "Traceback" not in err
        return Said(int(str(ended.value.code or 0)), out, err)

    return command


def crossroads(denizens: Command, steps: int = 12) -> Path:
    """A short run of the crossroads."""
    said = denizens(
        *("run", "crossroads", "--model", "improvised", "--steps", steps, "--run", "town")
    )
    assert said.code == 0
    return Path("town")


@pytest.mark.parametrize("command", COMMANDS)
def test_help(denizens: Command, command: str) -> None:
    """Every command explains itself."""
    said = denizens(command, "--help")
    assert said.code == 0
    assert "Usage: denizens" in said.out
    assert f"denizens {command}" in said.out


def test_help_lists_every_command(denizens: Command) -> None:
    """The frame's help names all commands; no arguments at all show it too."""
    said = denizens("--help")
    assert said.code == 0
    for command in COMMANDS:
        assert f" {command} " in said.out
    assert denizens().out.strip() == said.out.strip()


def test_run_ends_with_figures(denizens: Command) -> None:
    """``run --json`` prints one object last; the same command again gives the same hash in
    another folder; another seed gives another."""
    heads = []
    for seed in (1, 1, 2):
        said = denizens(
            *("run", "crossroads", "--model", "improvised", "--steps", "20"),
            *("--seed", seed, "--json"),
        )
        assert said.code == 0
        assert set(said.figures) >= FIGURES
        assert (said.figures["steps"], said.figures["prompt_tokens"]) == (20, 0)
        assert said.figures["model_calls"] > 10 < said.figures["generated_tokens"]
        heads.append(said.figures["hash"])
    assert heads[0] == heads[1] != heads[2]
    folders = ["runs/crossroads-1", "runs/crossroads-1-2", "runs/crossroads-2"]
    assert all(Path(folder, "run.db").is_file() for folder in folders)


def test_pieces_are_the_same_run(denizens: Command) -> None:
    """``run`` and ``resume`` end on the hash of one ``run``; ``verify`` and ``replay`` agree."""
    folder = crossroads(denizens)
    resumed = denizens("resume", folder, "--until", "2026-05-02 07:30", "--json")
    whole = denizens(
        *("run", "crossroads", "--model", "improvised", "--until", "2026-05-02 07:30"), "--json"
    )
    verified = denizens("verify", folder, "--json")
    replayed = denizens("replay", folder, "--json")
    for said in (resumed, whole, verified, replayed):
        assert said.code == 0
        assert (said.figures["steps"], said.figures["hash"]) == (30, whole.figures["hash"])
    assert set(verified.figures) >= FIGURES
    assert verified.figures["ok"] is True
    assert (replayed.figures["model_calls"], replayed.figures["agrees"]) == (0, True)
    assert "all well" in denizens("verify", folder).out
    assert "no model was called" in denizens("replay", folder).out


def test_fork_and_interview_leave_the_run_alone(denizens: Command) -> None:
    """A fork goes its own way and an interview is forgotten: the run's bytes are the same."""
    folder = crossroads(denizens)
    before = (folder / "run.db").read_bytes()
    assert denizens("fork", f"{folder}@5", "other").code == 0
    assert denizens("resume", "other", "--steps", "2", "--json").figures["steps"] == 7
    said = denizens("interview", folder, "Otto Lind", "Who are you?", "--at", "3", "--json")
    assert said.figures["answer"]
    plain = denizens("interview", folder, "Otto Lind", "Who are you?", "--at", "3")
    assert plain.out == f"Otto Lind: {said.figures['answer']}\n"
    ada = denizens("interview", folder, "Otto Lind", "Who are you?", "--person", "Ada")
    assert ada.out.startswith("Otto Lind: ")
    mine = denizens("interview", folder, "Otto Lind", "Who are you?", "--person", "otto lind")
    assert "its own name" in mine.err
    assert (folder / "run.db").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["run.db", "run.db.lock"]


def test_new_scenario_runs(denizens: Command) -> None:
    """``new NAME`` writes a scenario that runs as it is, whatever its name, and does not
    overwrite one."""
    assert "denizens run my-town.toml" in denizens("new", "my-town").out
    said = denizens("run", "my-town.toml", "--model", "improvised", "--steps", "3", "--json")
    assert said.figures["steps"] == 3
    assert Path("runs/my-town-1/run.db").is_file()
    text = Path("my-town.toml").read_text()
    assert "exists already" in denizens("new", "my-town").err
    assert Path("my-town.toml").read_text() == text
    assert denizens("new", 'my"town').code == 2
    assert denizens("new", "nowhere/town").code == 2


def test_chat_over_a_pipe(denizens: Command) -> None:
    """Lines come in, replies go out, nothing else; with ``--memory`` the talk is remembered."""
    words = ("chat", "crossroads", "hanna", "--model", "improvised", "--memory", "hanna.db")
    first = denizens(*words, typed="Good morning!\nWhat is new?\n")
    assert first.code == 0
    assert len(first.out.splitlines()) == 2
    assert all(first.out.splitlines())
    assert "Hanna Brook listens" in first.err
    with Memory("hanna.db", "Hanna Brook") as memory:
        before = len(memory)
        texts = {record.text for record in memory.records(kinds=("utterance",))}
    assert 'a visitor said to Hanna Brook: "Good morning!"' in texts
    assert denizens(*words, typed="Again?\n\nnot heard\n").code == 0
    with Memory("hanna.db", "Hanna Brook") as memory:
        assert len(memory) == before + 2


def test_chat_commands(denizens: Command) -> None:
    """Commands with a slash show the basis of a reply, memory, plan and tools, regenerate and
    forget; the history is kept with ``--memory``."""
    words = ("chat", "crossroads", "hanna", "--model", "improvised", "--memory", "hanna.db")
    first = denizens(*words, typed="I like rye.\n/why\n/memory rye\n/regenerate\n/plan\n/tools\n")
    assert first.code == 0
    assert "a visitor spoke to Hanna Brook." in first.out
    (listed,) = [line for line in first.out.splitlines() if "I like rye" in line]
    number = listed.split()[0]
    again = denizens(
        *words, typed=f"/forget {number}\n/forget x\n/memory rye\n/nope\n/help\n/quit\nno"
    )
    assert "earlier lines; the last:" in again.err
    assert "forgotten: " in again.out
    assert "I like rye" not in again.out
    assert "no command /nope" in again.err
    assert "which record?" in again.err
    assert "/regenerate" in again.out
    with Memory("hanna.db", "Hanna Brook") as memory:
        assert all("rye" not in record.text for record in memory.records())


def test_no_answer_is_not_said(denizens: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no answer could be made, standard error says why and standard output stays empty; an
    interview then ends with exit code 1, and a chat in which nothing was answered with 3."""
    failure = Failed(reason="engine", detail="out of memory, free some")
    idle = Step(action=Action("wait"), state=AgentState())
    none = Reply(text="", step=idle, resolve="failed", failure=failure)
    monkeypatch.setattr(Session, "_take_turn", lambda *given: none)
    monkeypatch.setattr("denizens.simulation.interview", lambda *given, **more: none)
    talk = denizens("chat", "crossroads", "hanna", "--model", "improvised", typed="Hi!\nHo!\n")
    assert (talk.code, talk.out) == (3, "")
    assert talk.err.count("no answer: out of memory, free some") == 2
    asked = denizens("interview", "town", "hanna", "Who are you?", "--json")
    assert asked.code == 1
    assert asked.figures["failure"] == "out of memory, free some"


def test_models_and_doctor(denizens: Command) -> None:
    """Both print what is here, as words and as JSON."""
    found = denizens("models", "--json").figures
    assert set(found["models"]) >= {"smollm2", "minilm"}
    assert "minilm" in denizens("models").out
    found = denizens("doctor", "--json").figures
    assert {"python", "torch", "device", "disk_free_gb", "ready"} <= set(found)


def test_routine_by_option(denizens: Command) -> None:
    """``--planner routine`` asks no model."""
    said = denizens(
        *("run", "larkspur", "--planner", "routine", "--model", "improvised"),
        *("--steps", "15", "--json"),
    )
    assert (said.figures["model_calls"], said.figures["agents"]) == (0, 5)


def test_interrupt_ends_at_a_step(tmp_path: Path) -> None:
    """Ctrl-C ends a run at the end of its step, with exit code 0 and its figures; the run
    passes its checks and can be taken up."""
    words = [sys.executable, "-m", "denizens.cli", "run", "larkspur", "--model", "improvised"]
    folder = tmp_path / "town"
    with subprocess.Popen(
        [*words, "--run", str(folder), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as running:
        limit = time.monotonic() + 60
        while time.monotonic() < limit and not steps_of(folder):
            time.sleep(0.05)
        os.kill(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert "Stopping at the end of this step" in err
    figures = json.loads(out.splitlines()[-1])
    assert figures["stopped"] is True
    assert 0 < figures["steps"] < 970
    simulation = resume(folder, model=ImprovisedModel())
    with simulation.store as store:
        assert simulation.hash == figures["hash"]
        simulation.tick()
        assert check_run(store) == ()


def steps_of(folder: Path) -> int:
    """How many steps a run that is being written has committed."""
    try:
        with Run(folder) as run:
            return run.steps
    except DenizensError:
        return 0


def test_a_run_needs_an_end(denizens: Command) -> None:
    """Without an end in the scenario the command must give one, and not before the start."""
    Path("endless.toml").write_text(
        '[scenario]\nname = "crossroads"\nextends = "crossroads"\nuntil = ""\n'
    )
    said = denizens("run", "endless.toml", "--model", "improvised")
    assert (said.code, "say how long" in said.err) == (2, True)
    said = denizens("run", "crossroads", "--until", "2026-05-01")
    assert (said.code, "not after the scenario's start" in said.err) == (2, True)
    assert not Path("runs").exists()
