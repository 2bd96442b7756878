"""What a start, a fork and a scenario's name do to the files around a run."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from denizens.cli import main
from denizens.core import (
    Client,
    CodeNotAllowed,
    Json,
    MemoryFault,
    ModelError,
    RunCorrupt,
    RunError,
    RunExists,
    SettingError,
    digest_text,
)
from denizens.memory import export_lines
from denizens.models import ImprovisedModel
from denizens.server import open_hosted_agent
from denizens.simulation import (
    Run,
    agent_from_scenario,
    begin,
    builder,
    check_run,
    fork,
    interview,
    open_store,
    read_scenario,
    replay,
    resume,
)
from denizens.store import Store
from denizens.viewer import collect_page_data, write_page

SMALL = """
[scenario]
name = {name}
start = "2026-05-02 06:00"
until = "2026-05-02 06:05"
[world]
kind = "places"
places = [{{ name = "kitchen", objects = ["stove"] }}, {{ name = "garden" }}]
paths = [["kitchen", "garden"]]
[minds]
planner = "routine"
[[people]]
name = "Ada Lund"
home = "small:kitchen"
{more}
"""


class Unloadable:
    """A model that cannot be had."""

    def client(self) -> Client:
        raise ModelError("no room for the weights")

    def describe(self) -> dict[str, Json]:
        raise ModelError("no room for the weights")


def small(folder: Path, more: str = "", name: str = "small") -> Path:
    """A small scenario file."""
    path = folder / "small.toml"
    path.write_text(SMALL.format(name=json.dumps(name), more=more), encoding="utf-8")
    return path


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading a model is an error."""

    def load(scenario: object, progress: object = None) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(builder, "load_scenario_model", load)


def test_a_failed_start_leaves_what_others_wrote(tmp_path: Path) -> None:
    """Only what the start itself made goes: a backup and notes beside it stay."""
    (tmp_path / "run.db.bak").write_bytes(b"an earlier run")
    (tmp_path / "run.db.notes.txt").write_text("mine")
    with pytest.raises(ModelError):
        begin(read_scenario("crossroads"), tmp_path, model=Unloadable())
    assert {path.name for path in tmp_path.iterdir()} == {"run.db.bak", "run.db.notes.txt"}
    with pytest.raises(ModelError):
        begin(read_scenario("crossroads"), tmp_path / "new", model=Unloadable())
    assert not (tmp_path / "new").exists()


def test_a_failed_start_keeps_an_empty_file_of_before(tmp_path: Path) -> None:
    """A file that was there before the start is not the start's to delete."""
    Store(tmp_path / "run.db").close()
    with pytest.raises(ModelError):
        begin(read_scenario("crossroads"), tmp_path, model=Unloadable())
    assert (tmp_path / "run.db").is_file()


def test_a_fork_leaves_what_others_wrote(tmp_path: Path) -> None:
    """An unfinished copy is cleared away, files of like names are not."""
    with begin(read_scenario("crossroads"), tmp_path / "a", model=ImprovisedModel()).store:
        pass
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "run.db.partners.txt").write_text("mine")
    fork(tmp_path / "a", 0, tmp_path / "b")
    assert (tmp_path / "b" / "run.db.partners.txt").read_text() == "mine"


def test_a_second_start_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that holds a run is refused by name, with the call that goes on; the command
    names the command."""
    with begin(read_scenario("crossroads"), tmp_path, model=ImprovisedModel()).store:
        pass
    with pytest.raises(RunExists, match=r"resume\('.*'\), or begin the new one in another") as no:
        begin(read_scenario("crossroads"), tmp_path, model=ImprovisedModel())
    assert "--" not in str(no.value)
    with pytest.raises(SystemExit):
        main(["run", "crossroads", "--model", "improvised", "--run", str(tmp_path)])
    assert "denizens resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["../../out", "/tmp/out", "a\\b", "..", ".", "c:drive", "two\nlines", " ", "x" * 300]
)
def test_a_name_that_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    """A scenario's name leads nowhere but into the folder of runs."""
    with pytest.raises(SettingError, match=r"small\.toml: \[scenario\]: name"):
        read_scenario(small(tmp_path, name=name))


def test_names_of_all_scripts_are_names(tmp_path: Path) -> None:
    """Blanks, dots and letters of any script may stand in a name."""
    for name in ("my town", "v1.2", "小镇", "l'été"):
        assert read_scenario(small(tmp_path, name=name)).scenario.name == name


# -- snapshots ---------------------------------------------------------------------------


def forged(folder: Path, old: str, new: str, step: int) -> None:
    """Rewrite a snapshot and the checksum that lies beside it."""
    raw = sqlite3.connect(folder / "run.db", isolation_level=None)
    (text,) = raw.execute("SELECT world FROM snapshots WHERE step = ?", (step,)).fetchone()
    changed = text.replace(old, new)
    assert changed != text
    raw.execute(
        "UPDATE snapshots SET world = ?, digest = ? WHERE step = ?",
        (changed, digest_text(changed), step),
    )
    raw.close()


@pytest.mark.parametrize(("steps", "step"), [(3, -1), (102, 99)])
def test_a_forged_snapshot_is_found(tmp_path: Path, steps: int, step: int) -> None:
    """A snapshot with its checksum made to fit does not fit the hash chain: ``verify`` names it,
    and the run is not taken up."""
    made = begin(read_scenario("crossroads"), tmp_path, model=ImprovisedModel())
    with made.store:
        list(made.run(steps=steps))
    with open_store(tmp_path) as store:
        assert check_run(store) == ()
    forged(tmp_path, "tea house", "bicycle workshop", step) if step == 99 else forged(
        tmp_path, "Otto's room", "Hanna's room", step
    )
    with open_store(tmp_path) as store:
        (damage,) = check_run(store)
    assert f"snapshot after step {step}" in str(damage)
    assert "hash chain" in str(damage)
    with pytest.raises(RunCorrupt, match=f"snapshot after step {step}"):
        resume(tmp_path, model=ImprovisedModel())


def test_verify_takes_the_run_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose parts all fit, but out of which no world can be made, is not called whole;
    checking changes nothing in it."""
    made = begin(read_scenario("crossroads"), tmp_path, model=ImprovisedModel())
    with made.store:
        list(made.run(steps=3))
    before = (tmp_path / "run.db").read_bytes()
    from denizens.core import WorldError
    from denizens.world import Places

    def load(self: Places, state: Json) -> None:
        raise WorldError("the saved state is broken")

    with open_store(tmp_path) as store:
        assert check_run(store) == ()
        monkeypatch.setattr(Places, "load", load)
        (damage,) = check_run(store)
    assert "cannot be resumed: the saved state is broken" in str(damage)
    assert (tmp_path / "run.db").read_bytes() == before


# -- what is loaded, and when ------------------------------------------------------------


def test_a_routine_run_loads_no_model(tmp_path: Path, unloaded: None) -> None:
    """People who follow a routine ask nothing, so no model is loaded; the run ends where its
    scenario does."""
    made = begin(read_scenario(small(tmp_path)).with_overrides(model="no such"), tmp_path / "run")
    with made.store:
        assert len(list(made.run())) == 5
    with Run(tmp_path / "run") as run:
        assert run.stats()["model_calls"] == 0
        assert run.store.get("models") == {"Ada Lund": {"name": "no such"}}


@pytest.mark.parametrize(
    "more",
    [
        'documents = ["gone.md"]\nplanner = "daily"',
        '[[people]]\nname = "Bo Lund"\nplanner = "daily"\nhome = "small:cellar"',
        'planner = "daily"\n[[inputs]]\nat = "2026-05-02 06:02"\nkind = "event"\n'
        'place = "small:moon"\ntext = "It shines."\nfields = { kind = "object" }',
    ],
)
def test_addresses_and_files_come_before_the_model(
    tmp_path: Path, unloaded: None, more: str
) -> None:
    """What is wrong in a scenario is said before minutes are spent on a model."""
    with pytest.raises(SettingError, match=r"small\.toml|gone\.md"):
        begin(read_scenario(small(tmp_path, more)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_chat_reads_its_files_before_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that is missing is said before the model of a chat is loaded."""
    from denizens.core import MemoryFault
    from denizens.simulation import agent_loader

    monkeypatch.setattr(agent_loader, "load_scenario_model", Unloadable().client)
    scenario = read_scenario(small(tmp_path, 'documents = ["gone.md"]'))
    with Store(":memory:") as store, pytest.raises(MemoryFault, match=r"gone\.md"):
        agent_from_scenario(scenario, "Ada", store)


# -- scenario files ----------------------------------------------------------------------


def test_an_heir_keeps_the_addresses(tmp_path: Path) -> None:
    """A scenario that extends a world of places under a new name keeps its addresses."""
    small(tmp_path)
    heir = tmp_path / "heir.toml"
    heir.write_text('[scenario]\nextends = "small.toml"\nname = "another day"\n')
    scenario = read_scenario(heir)
    assert (scenario.scenario.name, scenario.world_name) == ("another day", "small")
    made = begin(scenario, tmp_path / "run", model=ImprovisedModel())
    with made.store:
        assert [tick.seen["Ada Lund"].place for tick in made.run(steps=1)] == ["small:kitchen"]
    with Run(tmp_path / "run") as run:
        assert check_run(run.store) == ()
    again = resume(tmp_path / "run", model=ImprovisedModel())
    with again.store:
        list(again.run(steps=1))


CELL = """
from denizens.world import Places, load_places
from datetime import datetime

def cell():
    return Places(load_places({"name": "jail", "places": [{"name": "cell"}]}),
                  start=datetime(2026, 5, 2, 6), step_seconds=60)
"""


@pytest.fixture
def paths() -> Iterator[None]:
    """Modules and folders that a test lets Python find are forgotten again."""
    before = list(sys.path)
    yield
    sys.path[:] = before
    for name in ("jailhouse", "trapdoor"):
        sys.modules.pop(name, None)


def test_a_world_beside_the_scenario(
    tmp_path: Path, paths: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module beside the scenario file is found by name, from any folder and on resuming."""
    (tmp_path / "jailhouse.py").write_text(CELL)
    path = tmp_path / "jail.toml"
    path.write_text(
        '[scenario]\nname = "jail"\n[world]\nkind = "jailhouse:cell"\n[minds]\n'
        'planner = "routine"\n[[people]]\nname = "Ada Lund"\nhome = "jail:cell"\n'
    )
    made = begin(read_scenario(path), tmp_path / "run")
    with made.store:
        list(made.run(steps=2))
    sys.path.remove(str(tmp_path))
    del sys.modules["jailhouse"]
    again = resume(tmp_path / "run", allow_code=True)
    with again.store:
        assert [tick.step for tick in again.run(steps=1)] == [2]
        # Nothing that a run's file names is run by looking at it.
        sys.modules.pop("jailhouse")
        assert check_run(again.store) == ()
        assert "jailhouse" not in sys.modules


TRAP = """
from pathlib import Path
from denizens.planners import Routine
Path(__file__).with_suffix(".ran").touch()

class Trap(Routine):
    pass
"""


@pytest.mark.parametrize(
    "minds",
    [
        'planner = "trapdoor:Trap"',
        'planner = "switch"\nsettings = { rules = [["at_night", "trapdoor:Trap"]] }',
        'planner = "errands"\nsettings = { planner = "trapdoor:Trap" }',
    ],
)
def test_code_that_a_run_names_is_run_only_with_leave(
    tmp_path: Path, paths: None, minds: str
) -> None:
    """Resuming, replaying, asking, serving or checking a run imports none of the code that its
    file names, wherever the name stands; the error names it and says what to pass."""
    (tmp_path / "trapdoor.py").write_text(TRAP)
    scenario = small(tmp_path)
    scenario.write_text(scenario.read_text().replace('planner = "routine"', minds))
    run, ran = tmp_path / "run", tmp_path / "trapdoor.ran"
    with begin(read_scenario(scenario), run, model=ImprovisedModel()).store:
        ran.unlink()
    sys.modules.pop("trapdoor")
    who = next(iter(read_scenario(scenario).people)).persona.name
    for use in (
        lambda: resume(run, model=ImprovisedModel()),
        lambda: replay(run),
        lambda: interview(run, who, "Who are you?", model=ImprovisedModel()),
        lambda: open_hosted_agent(run, who, loaded=ImprovisedModel()).__enter__(),
    ):
        with pytest.raises(CodeNotAllowed, match=r"run: planner 'trapdoor:Trap'.*--allow-code"):
            use()
    with open_store(run) as store:
        assert check_run(store) == ()
        assert not ran.exists()
        assert check_run(store, allow_code=True) == ()
        assert ran.exists()
    replay(run, allow_code=True)
    with resume(run, model=ImprovisedModel(), allow_code=True).store:
        pass


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("subprocess:Popen", 'args = ["touch", "{0}"]', "Popen has no enter, leave"),
        ("subprocess:run", 'args = ["touch", "{0}"]', "is not a class, or a function of your own"),
        ("os:mkdir", 'path = "{0}"', "is not a class, or a function of your own"),
        ("denizens.simulation:fork", 'new = "{0}"', "is not a class, or a function of your own"),
    ],
)
def test_a_world_is_no_callable_of_any_kind(
    tmp_path: Path, kind: str, settings: str, words: str
) -> None:
    """What makes no world is not called with the settings of the file."""
    made = tmp_path / "made"
    path = tmp_path / "castle.toml"
    path.write_text(
        f'[scenario]\nname = "castle"\n[world]\nkind = "{kind}"\n[world.settings]\n'
        f'{settings.format(made)}\n[[people]]\nname = "Ada Lund"\n'
    )
    with pytest.raises(SettingError, match=words):
        begin(read_scenario(path), tmp_path / "run", model=ImprovisedModel())
    assert not made.exists()


def test_a_module_of_the_same_name_is_not_taken(
    tmp_path: Path, paths: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two scenarios in two folders, each with a module of one name: the second does not get the
    first one's world in silence; nor does Python's own module stand for the user's."""
    for folder, module in (("one", "jailhouse"), ("two", "jailhouse"), ("three", "calendar")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{module}.py").write_text(CELL)
        (tmp_path / folder / "jail.toml").write_text(
            f'[scenario]\nname = "jail"\n[world]\nkind = "{module}:cell"\n[minds]\n'
            'planner = "routine"\n[[people]]\nname = "Ada Lund"\nhome = "jail:cell"\n'
        )
    begin(read_scenario(tmp_path / "one" / "jail.toml"), tmp_path / "run").store.close()
    for folder, module in (("two", "jailhouse"), ("three", "calendar")):
        with pytest.raises(SettingError, match=rf"another module '{module}' before .*rename"):
            begin(read_scenario(tmp_path / folder / "jail.toml"), tmp_path / f"run-{folder}")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def cell(:", "its module fails .SyntaxError"),
        ("raise RuntimeError('set HOME_CASTLE')", "RuntimeError: set HOME_CASTLE"),
        ("def cell():\n    return open('/no/such/file')", "cannot be made .FileNotFoundError"),
        ("def cell():\n    return 3", "made a int, which is no world"),
    ],
)
def test_a_world_whose_code_fails(tmp_path: Path, paths: None, code: str, words: str) -> None:
    """The error names scenario, world and what its code raised."""
    (tmp_path / "jailhouse.py").write_text(code)
    path = tmp_path / "jail.toml"
    path.write_text(
        '[scenario]\nname = "jail"\n[world]\nkind = "jailhouse:cell"\n[[people]]\nname = "Ada"\n'
    )
    with pytest.raises(SettingError, match=f"jail.toml: .*jailhouse:cell.*{words}"):
        begin(read_scenario(path), tmp_path / "run", model=ImprovisedModel())


def test_names_where_objects_are_needed(tmp_path: Path) -> None:
    """A scenario's or a model's name given to ``begin`` is refused with what to write."""
    with pytest.raises(SettingError, match=r"load_scenario\('crossroads'\)"):
        begin("crossroads", tmp_path / "run")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=r"load_model\('improvised'\)"):
        begin(read_scenario("crossroads"), tmp_path / "run", model="improvised")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_no_page_or_lines_over_a_run(tmp_path: Path) -> None:
    """A page or an export given the name of a run's own file is refused; the run stays."""
    file = tmp_path / "run" / "run.db"
    made = begin(read_scenario(small(tmp_path)), tmp_path / "run", model=ImprovisedModel())
    with made.store:
        list(made.run(steps=1))
    with Run(tmp_path / "run") as run:
        with pytest.raises(RunError, match="which a page would overwrite"):
            write_page(collect_page_data(run), file)
        with pytest.raises(MemoryFault, match="the export would replace"):
            export_lines(run.memory("Ada Lund"), file)
        assert check_run(run.store) == ()


def test_a_fork_beside_a_log_of_another_run(tmp_path: Path) -> None:
    """What is left of a deleted run would be read as part of the copy: refused, nothing made."""
    made = begin(read_scenario(small(tmp_path)), tmp_path / "run", model=ImprovisedModel())
    with made.store:
        list(made.run(steps=1))
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "run.db-wal").write_bytes(b"left")
    with pytest.raises(RunError, match=r"run\.db-wal: is left of a run that lay here"):
        fork(tmp_path / "run", 1, tmp_path / "new")
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["run.db-wal"]


@pytest.mark.parametrize("sign", ["\u202e", "\u200b", "\x7f"])
def test_a_name_with_signs_that_are_not_seen(tmp_path: Path, sign: str) -> None:
    """Signs that turn or hide text name no folder."""
    with pytest.raises(SettingError, match="cannot name a folder"):
        read_scenario(small(tmp_path, name=f"town{sign}x"))


# -- the command -------------------------------------------------------------------------


def command(*words: str | Path) -> int:
    """Run a command; its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(str(ended.value.code))


def test_a_file_s_name_without_its_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``run small`` suggests ``small.toml``, where that is there, ``run smal`` too."""
    small(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert command("run", "small") == 2
    assert "did you mean 'small.toml'" in capsys.readouterr().err
    assert command("run", "smal.toml") == 2
    assert "did you mean 'small.toml'" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """``--version`` prints it and ends well."""
    assert command("--version") == 0
    assert capsys.readouterr().out.startswith("denizens ")


def test_a_whisper_reaches_the_mind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``denizens whisper`` plans a thought for the next step; it is remembered then. Hints quote
    paths with blanks."""
    monkeypatch.chdir(tmp_path)
    made = begin(read_scenario("crossroads"), "my run", model=ImprovisedModel())
    with made.store:
        list(made.run(steps=2))
    assert command("whisper", "my run", "otto", "It is going to rain.") == 0
    assert "denizens resume 'my run'" in capsys.readouterr().out
    again = resume("my run", model=ImprovisedModel())
    with again.store:
        (tick,) = again.run(steps=1)
    thoughts = [record.text for record in tick.steps["Otto Lind"].records]
    assert "It is going to rain." in thoughts
    assert command("whisper", "my run", "nobody", "Hm.") == 2
    assert command("whisper", "my run", "Otto", " ") == 2


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long run in Python says how far it has come, to whom it is told to say it."""
    from denizens.simulation import progress

    monkeypatch.setattr(progress.ProgressReporter.__init__, "__kwdefaults__", {"every": 0.0})
    lines: list[str] = []
    made = begin(read_scenario("crossroads"), tmp_path, model=ImprovisedModel())
    with made.store:
        list(made.run(steps=3, progress=lines.append))
        assert [line.split(" · ")[1] for line in lines] == [f"step {n} of 3" for n in (1, 2, 3)]
        list(made.run(steps=1, progress=False))
        list(made.run(steps=1))  # standard error is no terminal here
    assert len(lines) == 3
    assert interview(tmp_path, "Otto", "How are you?", model=ImprovisedModel()).text
