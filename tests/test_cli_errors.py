"""What a user does wrong is one line and exit code 2, never a traceback."""

from __future__ import annotations

import io
import json
import random
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from denizens.cli import main
from denizens.simulation import begin, open_store, read_scenario

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run's folder."""
    folder = tmp_path_factory.mktemp("sound")
    scenario = read_scenario("crossroads").with_overrides(model="improvised")
    simulation = begin(scenario, folder)
    list(simulation.run(steps=15))
    simulation.store.close()
    return folder


def complaints(err: str) -> list[str]:
    """The lines on standard error that report no progress."""
    progress = ("Waking", "Loading", "loading")
    lines = [line for line in err.splitlines() if " · step " not in line]
    return [line for line in lines if not line.startswith(progress)]


@pytest.fixture
def refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Refused:
    """Runs a command that must be refused with exit code 2, nothing on standard output and
    lines that begin with ``denizens:``; the last of them."""
    monkeypatch.chdir(tmp_path)

    def command(*words: str | Path) -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO(""))
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert ended.value.code == 2, err
        assert out == ""
        lines = complaints(err)
        assert lines, "nothing was said"
        assert all(line.startswith("denizens: ") for line in lines), err
        return lines[-1]

    return command


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("run", "larkspurr"), "did you mean 'larkspur'"),
        (("run", "."), "meta.json"),
        (("run", "crossroads", "--planner", "dayly"), "planner 'dayly'"),
        (("run", "crossroads", "--model", "improvise"), "did you mean 'improvised'"),
        (("run", "crossroads", "--until", "noon"), "'noon' is no time"),
        (("run", "crossroads", "--steps", "-1"), "--steps"),
        (("run", "crossroads", "--steps", "many"), "--steps"),
        (("run", "crossroads", "--stepz", "1"), "No such option: --stepz"),
        (("run",), "Missing argument 'SCENARIO'"),
        (("runn", "crossroads"), "No such command 'runn'"),
        (("--log-level", "loud", "doctor"), "'loud' is none of"),
        (("resume", "nowhere"), "holds no run"),
        (("verify", "nowhere"), "holds no run"),
        (("replay", "nowhere"), "holds no run"),
        (("fork", "nowhere", "new"), "must be written DIR@STEP"),
        (("fork", "nowhere@1", "new"), "holds no run"),
        (("fork", "nowhere@x", "new"), "must be written DIR@STEP"),
        (("interview", "nowhere", "Otto Lind", "Hello?"), "holds no run"),
        (("view", "nowhere"), "check the path"),
        (("export", "nowhere", "out", "--to", "csv"), "nowhere"),
        (("chat", "crossroads", "Bob"), "nobody is called 'Bob'"),
        (("chat", "crossroads", "Hanna", "--model", "improvise"), "did you mean 'improvised'"),
        (("models", "pull", "smollm3"), "smollm3"),
    ],
)
def test_wrong_words(refused: Refused, words: tuple[str, ...], reason: str) -> None:
    """Wrong names, options and folders."""
    assert reason in refused(*words)


def test_wrong_usage_points_to_the_help(refused: Refused) -> None:
    """An error in the arguments says which help to read."""
    assert refused("run").endswith("see: denizens run --help")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[scenario", "not well-formed TOML"),
        ("[scenaro]", "did you mean 'scenario'"),
        ('[scenario]\nnmae = "x"', "unknown key 'nmae'"),
        ("", "at least one person"),
        ('[[people]]\nname = "Ada"\nagee = 3', "unknown key 'agee'"),
        ('[[people]]\nname = "Ada"\nage = "old"', "field 'age'"),
        ('[[people]]\npersona = "ada.toml"', "ada.toml: cannot be read"),
        ('[world]\nkind = "town"\nmap = "no.json"\n[[people]]\nname = "Ada"', "no.json"),
        ('[world]\nkind = "places"\n[[people]]\nname = "Ada"', "'places' must be"),
    ],
)
def test_wrong_scenarios(refused: Refused, text: str, reason: str) -> None:
    """Scenario, persona and map files; nothing is left where the run was to be."""
    Path("town.toml").write_text(text)
    said = refused("run", "town.toml", "--model", "improvised", "--steps", "1")
    assert reason in said
    assert ".toml" in said or ".json" in said
    assert not list(Path().glob("runs/*"))


def test_a_map_that_is_no_map(refused: Refused) -> None:
    """Broken JSON, JSON that is no map, and bytes that are no text."""
    Path("town.toml").write_text('[world]\nmap = "map.json"\n[[people]]\nname = "Ada"\n')
    for content in (b"{", b"[]", b"{}", b'{"layers": 3}', b"\xff\xfe\x00"):
        Path("map.json").write_bytes(content)
        said = refused("run", "town.toml", "--model", "improvised", "--steps", "1")
        assert "map.json" in said


@pytest.mark.parametrize("command", ["resume", "replay", "verify", "fork", "interview", "view"])
def test_damaged_runs(refused: Refused, sound: Path, command: str) -> None:
    """A run cut off, emptied, or overwritten is refused by every command and not changed."""
    words = {
        "resume": ("resume", "run", "--steps", "1"),
        "fork": ("fork", "run@3", "new"),
        "interview": ("interview", "run", "Otto Lind", "Hello?"),
    }.get(command, (command, "run"))
    content = (sound / "run.db").read_bytes()
    noise = random.Random(5).randbytes(len(content))
    Path("run").mkdir()
    for spoilt in (b"", b"town", content[: len(content) // 2], content[:8192], noise):
        Path("run/run.db").write_bytes(spoilt)
        assert "run" in refused(*words)
        assert Path("run/run.db").read_bytes() == spoilt


def test_flipped_bits_give_no_traceback(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever bit is flipped, each command ends with exit code 0 or with one of ours."""
    content = (sound / "run.db").read_bytes()
    chance = random.Random(6)
    shutil.copytree(sound, tmp_path / "run")
    codes = []
    for number in range(40):
        spoilt = bytearray(content)
        spoilt[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        (tmp_path / "run" / "run.db").write_bytes(spoilt)
        words = (("verify",), ("replay",), ("resume", "--steps", "1"))[number % 3]
        with pytest.raises(SystemExit) as ended:
            main([words[0], str(tmp_path / "run"), *words[1:]])
        codes.append(ended.value.code)
        lines = complaints(capsys.readouterr().err)
        assert all(line.startswith("denizens: ") for line in lines), lines
        assert bool(lines) == (ended.value.code == 2)
    assert {0, 2} == set(codes)


def test_verify_lists_the_damage(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With ``--json`` a broken run still ends with one object, and exit code 2."""
    shutil.copytree(sound, tmp_path / "run")
    raw = sqlite3.connect(tmp_path / "run" / "run.db")
    raw.execute("UPDATE ticks SET at = 'never' WHERE step = 4")
    raw.commit()
    raw.close()
    for place, named in ((tmp_path / "run", "step 4"), (tmp_path / "none", "holds no run")):
        with pytest.raises(SystemExit) as ended:
            main(["verify", str(place), "--json"])
        out = capsys.readouterr().out
        assert ended.value.code == 2
        found = json.loads(out)
        assert found["ok"] is False
        assert named in found["damage"][0]


def test_a_run_in_use_is_not_written_twice(sound: Path, tmp_path: Path, refused: Refused) -> None:
    """While one process writes a run, another is told who does."""
    shutil.copytree(sound, tmp_path / "run")
    with open_store(tmp_path / "run", write=True):
        assert "is writing it" in refused("resume", "run", "--steps", "1")


def test_what_the_system_refuses(refused: Refused) -> None:
    """A folder that cannot be made is one line too."""
    Path("file").touch()
    said = refused("run", "crossroads", "--model", "improvised", "--steps", "1", "--run", "file/x")
    assert "file/x" in said
