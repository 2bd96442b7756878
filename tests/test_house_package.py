"""What is installed: a light import, every public name, and a wheel with all that belongs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import denizens
import pytest
from denizens import core
from denizens.tests.support.import_graph import PACKAGES

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TREE = sorted(PACKAGES - {"denizens"})
FOLDERS = sorted({package.split(".")[1] for package in TREE})
HEAVY = ["torch", "transformers", "sentence_transformers", "faiss", "pandas", "sklearn", "scipy"]


def in_fresh_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_is_light() -> None:
    """Neither the package nor any of its folders loads a model library when imported."""
    code = f"""
import json, sys, time
start = time.perf_counter()
import denizens
seconds = time.perf_counter() - start
from importlib import import_module
loaded = {{}}
for package in ["denizens", *{TREE!r}]:
    import_module(package)
    loaded[package] = [heavy for heavy in {HEAVY!r} if heavy in sys.modules]
print(json.dumps([seconds, loaded]))
"""
    seconds, loaded = json.loads(in_fresh_python(code))
    print(f"import denizens: {seconds:.3f} s")
    assert len(loaded) == len(TREE) + 1
    assert {folder: heavy for folder, heavy in loaded.items() if heavy} == {}


def test_every_public_name_is_there() -> None:
    """Each name of ``__all__`` can be imported from the root, still without a model library."""
    code = f"""
import json, sys
import denizens
missing = []
for name in denizens.__all__:
    try:
        getattr(denizens, name)
    except (AttributeError, ImportError) as error:
        missing.append(f"{{name}}: {{error}}")
print(json.dumps([missing, [heavy for heavy in {HEAVY!r} if heavy in sys.modules]]))
"""
    missing, heavy = json.loads(in_fresh_python(code))
    assert missing == []
    assert heavy == []


def test_unknown_names_are_refused() -> None:
    """A name that the root does not have is an AttributeError that says so."""
    assert denizens.Seed is core.Seed
    assert "Seed" in dir(denizens)
    with pytest.raises(AttributeError, match="Seeed"):
        getattr(denizens, "Seeed")  # noqa: B009 - a checker would see the plain form


def test_version_is_told_once() -> None:
    """The package and its metadata agree on the version."""
    assert denizens.__version__ == SETTINGS["project"]["version"]


def test_package_list_is_the_tree() -> None:
    """The hand-written list of packages names every folder with an ``__init__.py``."""
    assert sorted(SETTINGS["tool"]["setuptools"]["packages"]) == ["denizens", *TREE]


def test_pins_lie_in_the_ranges() -> None:
    """Every direct dependency is pinned in constraints.txt, so an install is repeatable."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {plain(line) for line in text.splitlines() if "==" in line}
    project = SETTINGS["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    # pip comes with the environment; pinning it would reinstall it while it runs.
    assert {plain(line) for line in wanted} - pinned == {"pip"}


def plain(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found.group()).lower()


BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, "build_" + sys.argv[1])(sys.argv[2]))
"""


def build(kind: str, source: Path, target: Path) -> Path:
    target.mkdir(exist_ok=True)
    command = [sys.executable, "-c", BUILD, kind, str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A wheel and an sdist, made of a copy so that nothing stale of the checkout gets in."""
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    leave = shutil.ignore_patterns(".?*", "runs", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=leave)
    return build("wheel", source, folder / "wheel"), build("sdist", source, folder / "sdist")


def contents(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_wheel_has_all_and_nothing_else(built: tuple[Path, Path]) -> None:
    """Every module, prompt, scenario and page file is installed; tests, docs, examples are not."""
    root = {"denizens/__init__.py", "denizens/__init__.pyi", "denizens/py.typed"}
    expected = root | {
        f"denizens/{path.relative_to(ROOT).as_posix()}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert contents(built[0]) == expected
    assert len(expected) > 30
    for suffix in ("txt", "toml", "json"):
        assert any(name.endswith(suffix) for name in expected), suffix
    metadata = [name for name in zipfile.ZipFile(built[0]).namelist() if ".dist-info/" in name]
    assert any(name.endswith("/LICENSE") for name in metadata)
    assert any(name.endswith("/NOTICE") for name in metadata)
    assert any(name.endswith("/entry_points.txt") for name in metadata)


def test_sdist_builds_the_same_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    """The source archive is complete: the wheel made of it has the same files."""
    wheel, sdist = built
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    assert {"LICENSE", "README.md", "pyproject.toml"} <= {path.name for path in unpacked.iterdir()}
    assert contents(build("wheel", unpacked, tmp_path / "wheel")) == contents(wheel)
