"""Seed, clock, settings files and errors: the small words everything else is made of."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import denizens.core
import pytest
from denizens.core import (
    Clock,
    ContextTooLong,
    DenizensError,
    IllegalAction,
    ModelError,
    RunError,
    RunLocked,
    Seed,
    SettingError,
    WorldError,
    did_you_mean,
    errors,
    read_settings,
)
from hypothesis import given
from hypothesis import strategies as st

START = datetime(2023, 2, 13)
NAMES = st.text(max_size=6) | st.integers(-(10**9), 10**9)
PATHS = st.lists(NAMES, max_size=4).map(tuple)
MOMENTS = st.datetimes(datetime(2022, 1, 1), datetime(2025, 1, 1))


def test_a_seed_is_the_same_on_every_machine() -> None:
    """Literal values: a change here would make every recorded run another one."""
    seed = Seed.of(1).child("day", 3, "Isabella")
    assert Seed.of(1).key == "c70a4ffc5901087b8a0ad4bbc43e6127"
    assert seed.key == "4d11a7d92a01201cb6f1fc5a3d700edd"
    assert seed.number == int(seed.key[:16], 16) // 2
    assert [seed.rng().randrange(10**6) for _ in range(2)] == [475_136] * 2


def test_a_seed_does_not_depend_on_the_hash_of_the_process() -> None:
    """Two processes with different hash salts name the same child."""
    code = "from denizens.core import Seed; print(Seed.of(7).child('Bö', 1).key)"
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for salt in ("1", "2")
    }
    assert said == {Seed.of(7).child("Bö", 1).key}


@given(st.lists(PATHS, min_size=2, max_size=12, unique_by=repr))
def test_different_paths_are_different_seeds(paths: list[tuple[str | int, ...]]) -> None:
    """No two paths collide, 1 and "1" among them."""
    assert len({Seed.of(1).child(*path).key for path in paths}) == len(paths)


@given(PATHS, PATHS)
def test_a_path_is_not_its_pieces(
    first: tuple[str | int, ...], rest: tuple[str | int, ...]
) -> None:
    """A grandchild is another seed than the child of the joined path, and both are stable."""
    root = Seed.of(0)
    assert root.child(*first).child(*rest) == root.child(*first).child(*rest)
    assert root.child(*first).child(*rest) != root.child(*first, *rest)


@given(st.integers(), PATHS)
def test_a_seed_is_a_number_that_sqlite_can_hold(number: int, path: tuple[str | int, ...]) -> None:
    """The number lies in [0, 2**63), and equal seeds draw equally."""
    seed = Seed.of(number).child(*path)
    assert 0 <= seed.number < 2**63
    assert seed.rng().random() == Seed(seed.key).rng().random()


@given(st.integers(0, 10**6), st.integers(1, 3600))
def test_the_clock_counts_back_what_it_counted(step: int, seconds: int) -> None:
    """steps_until is the inverse of at."""
    clock = Clock(START, seconds)
    assert clock.steps_until(clock.at(step)) == step
    assert clock.at(step + 1) - clock.at(step) == timedelta(seconds=seconds)


@given(MOMENTS, st.integers(1, 3600))
def test_all_steps_before_a_moment_begin_before_it(moment: datetime, seconds: int) -> None:
    """The last step counted begins before the moment, the next one does not."""
    clock = Clock(START, seconds)
    steps = clock.steps_until(moment)
    assert steps == 0 or clock.at(steps - 1) < moment
    assert clock.at(steps) >= moment


def test_the_past_is_no_step_away() -> None:
    """Before the start there is nothing to count."""
    assert Clock(START).steps_until(START - timedelta(days=3)) == 0
    assert Clock(START).at(0) == START


def test_settings_are_read_from_toml_and_json(tmp_path: Path) -> None:
    """Both kinds of file give the same table, with letters of every alphabet."""
    (tmp_path / "a.toml").write_text('name = "Bö"\n[world]\nsteps = 3\n', encoding="utf-8")
    (tmp_path / "a.json").write_text('{"name": "Bö", "world": {"steps": 3}}', encoding="utf-8")
    wanted = {"name": "Bö", "world": {"steps": 3}}
    assert read_settings(tmp_path / "a.toml") == read_settings(str(tmp_path / "a.json")) == wanted


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.toml", b"name = \n", "is not well-formed TOML"),
        ("a.toml", b'name = "x"\nname = "y"\n', "is not well-formed TOML"),
        ("a.json", b'{"name": 3,}', "is not well-formed JSON"),
        ("a.json", b"", "is not well-formed JSON"),
        ("a.json", b"[1, 2]", "must hold a table of settings, not a list"),
        ("a.json", b"null", "must hold a table of settings, not a NoneType"),
        ("a.toml", b'name = "\xff\xfe"', "is not UTF-8"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(
    tmp_path: Path, name: str, text: bytes, words: str
) -> None:
    """Whatever is wrong with a file, a SettingError says which file and what."""
    (tmp_path / name).write_bytes(text)
    with pytest.raises(SettingError) as caught:
        read_settings(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: {words}")


def test_a_fault_in_toml_is_told_with_its_line(tmp_path: Path) -> None:
    """The third line is wrong, and the message says 3."""
    (tmp_path / "a.toml").write_text("a = 1\nb = 2\nc = = 3\n", encoding="utf-8")
    with pytest.raises(SettingError, match="line 3"):
        read_settings(tmp_path / "a.toml")


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    """A missing file and a folder are no tracebacks but SettingErrors with the path."""
    with pytest.raises(SettingError, match=r"none\.toml: cannot be read \(No such file"):
        read_settings(tmp_path / "none.toml")
    with pytest.raises(SettingError, match="cannot be read"):
        read_settings(tmp_path)


@given(st.text(max_size=12), st.lists(st.text(min_size=1, max_size=8), max_size=5))
def test_a_hint_names_a_known_word_or_nothing(word: str, known: list[str]) -> None:
    """nearest never invents a name; a known word is its own nearest."""
    hint = did_you_mean(word, known)
    assert hint == "" or hint in {f" (did you mean '{one}'?)" for one in known}
    if known:
        assert did_you_mean(known[0], known) == f" (did you mean '{known[0]}'?)"


def test_the_errors_are_one_tree() -> None:
    """Every error has a docstring and is exported, and one except clause catches them all."""
    classes = [
        one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, DenizensError)
    ]
    assert len(classes) >= 14
    for one in classes:
        assert one.__doc__
        assert one.__name__ in denizens.core.__all__
    assert issubclass(ContextTooLong, ModelError)
    assert issubclass(RunLocked, RunError)
    assert issubclass(IllegalAction, WorldError)


def test_the_core_gives_out_what_it_names() -> None:
    """Every name in __all__ is there, once, in order."""
    names = denizens.core.__all__
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(denizens.core, name)] == []


@pytest.mark.parametrize("package", ["core", "planners", "agents"])
def test_importing_loads_nothing_heavy(package: str) -> None:
    """Core, planners and agents import without torch, numpy-heavy or model libraries."""
    code = f"import sys, json, denizens.{package}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    heavy = {"torch", "transformers", "sentence_transformers", "faiss", "networkx"}
    assert not loaded & heavy
    if package == "core":
        assert not loaded & {"numpy", "pydantic"}
        ours = {name for name in json.loads(done.stdout) if name.startswith("denizens.")}
        assert {name.split(".")[1] for name in ours} == {"core"}
