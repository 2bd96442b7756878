"""The tree keeps the design: who imports whom, how large things are, what is never done."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from denizens.tests.support.import_graph import (
    EXPORTS,
    IMPORTS,
    MODULES,
    PACKAGES,
    circles,
    folder_of,
)

ROOT = Path(__file__).resolve().parent.parent

BASE = ["core", "readers", "store", "models", "memory", "tools", "world", "planners", "agents"]
ABOVE = ["simulation", "testing", "training", "viewer", "interop", "server", "benchmarks", "cli"]
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "readers": {"core"},
    "store": {"core"},
    "models": {"core"},
    "memory": {"core", "store", "readers"},
    "tools": {"core", "readers"},
    "world": {"core"},
    "planners": {"core"},
    "agents": {"core", "memory", "planners", "tools"},
    **{folder: {*BASE, *ABOVE[:place]} for place, folder in enumerate(ABOVE)},
    "viewer": {*BASE, "simulation"},
    "interop": {*BASE, "simulation", "viewer"},
    "server": {*BASE, "simulation", "viewer", "interop"},
}
"""For each folder those that it may import: the table of the design."""

GERUNDS = {"sampling", "scoring"}
"""Modules that the field itself names by a gerund."""

ROOT_NAMES = 60
FOLDER_MODULES = 16
FILE_LINES = 800
FUNCTION_LINES = 60

FILES = [*MODULES.values(), *ROOT.glob("tests/**/*.py"), *ROOT.glob("examples/*.py")]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path)))


def top_folder(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_folder_has_its_row() -> None:
    """A new folder needs a row in the table before it may import anything."""
    assert {top_folder(package) for package in PACKAGES} - {""} == set(MAY_IMPORT)


def test_imports_follow_the_table() -> None:
    """No folder imports one that the design does not let it import, not even for types."""
    wrong = [
        f"{one.importer}:{one.line} imports {one.target}"
        for one in IMPORTS
        if top_folder(one.importer) not in ("", top_folder(one.target))
        and top_folder(one.target) not in MAY_IMPORT[top_folder(one.importer)]
    ]
    assert wrong == []
    assert len(IMPORTS) > 2000


def test_imports_are_relative() -> None:
    """Inside the package imports are relative, so that a checkout may have any name."""
    absolute = [
        f"{name(path)}:{node.lineno}"
        for path in MODULES.values()
        for node in nodes(path)
        if (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("denizens"))
        or (isinstance(node, ast.Import) and any("denizens" in a.name for a in node.names))
    ]
    assert absolute == []


def test_no_import_circle() -> None:
    """No circle between modules nor between folders, in-function imports included."""
    assert circles() == []
    assert circles(folders=True) == []


def test_other_folders_are_imported_by_their_front() -> None:
    """Who is outside of a folder imports from the folder, not from its modules; who lies in a
    folder of a folder may import the modules beside that."""
    inside = [
        f"{one.importer}:{one.line} imports {one.target}.{one.name}"
        for one in IMPORTS
        if one.target not in PACKAGES
        and not f"{folder_of(one.importer)}.".startswith(f"{folder_of(one.target)}.")
    ]
    assert inside == []


def test_fronts_export_what_is_there() -> None:
    """Each name of a front can be imported, and none is the name of a module beside it."""
    for (package, exported), _ in EXPORTS.items():
        assert not isinstance(getattr(import_module(package), exported), ModuleType)
        assert f"{package}.{exported}" not in MODULES


def test_the_root_is_small() -> None:
    """The root has the words of daily use, all others are in their folders."""
    assert len(import_module("denizens").__all__) <= ROOT_NAMES


def test_packages_are_two_deep() -> None:
    """No package in a package in a package, no folder called denizens, no conftest at the root."""
    assert [package for package in PACKAGES if package.count(".") > 2] == []
    assert not (ROOT / "denizens").exists()
    assert not (ROOT / "conftest.py").exists()
    assert {name(path) for path in ROOT.glob("*.py")} <= {"__init__.py", "__main__.py"}


def test_every_front_says_what_lives_there() -> None:
    """Each folder's ``__init__`` has a docstring."""
    fronts = {package: MODULES[package].read_text(encoding="utf-8") for package in PACKAGES}
    assert [p for p, text in fronts.items() if not ast.get_docstring(ast.parse(text))] == []


def test_folders_stay_small() -> None:
    """A folder shows about 15 modules."""
    counts = Counter(folder_of(module) for module in set(MODULES) - PACKAGES)
    assert {package: count for package, count in counts.items() if count > FOLDER_MODULES} == {}


def test_modules_are_named_by_nouns() -> None:
    """No module is named by a gerund, but by one that the field uses."""
    last = {module: module.rpartition(".")[2] for module in set(MODULES) - PACKAGES}
    assert [m for m, word in last.items() if word.endswith("ing") and word not in GERUNDS] == []


def test_a_type_name_means_one_thing() -> None:
    """No public class has the name of another."""
    places: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    assert {word: found for word, found in places.items() if len(found) > 1} == {}
    assert len(places) > 200


def test_files_stay_small() -> None:
    """No file over 800 lines."""
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert [f"{name(path)}: {size}" for path, size in lines.items() if size > FILE_LINES] == []


def test_functions_stay_small() -> None:
    """No function over 60 lines."""
    long = [
        f"{name(path)}:{node.lineno} {node.name}: {(node.end_lineno or 0) - node.lineno + 1}"
        for path in FILES
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES
    ]
    assert long == []


def test_every_test_says_what_it_proves() -> None:
    """Each test function has a docstring."""
    tests = [
        (path, node)
        for path in ROOT.glob("tests/test_*.py")
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    ]
    silent = [f"{name(path)} {node.name}" for path, node in tests if not ast.get_docstring(node)]
    assert silent == []
    assert len(tests) > 10


UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
SEEDED = {"Random", "Generator", "SeedSequence", "PCG64", "Philox", "default_rng", "BitGenerator"}


def sins(node: ast.AST) -> Iterator[str]:
    """What a node does that the design forbids everywhere."""
    match node:
        case ast.ExceptHandler(type=None):
            yield "bare except"
        case ast.Call(func=ast.Name(id="hash" | "eval" | "exec" as function)):
            yield f"calls {function}()"
        case ast.Attribute(value=ast.Name(id="torch" | "joblib"), attr="load"):
            yield "unpickles a file"
        case ast.Attribute(value=ast.Name(id="random"), attr=drawn) if drawn not in SEEDED:
            yield f"random.{drawn} draws from a state that all share"
        case ast.Attribute(
            value=ast.Attribute(value=ast.Name(id="np" | "numpy"), attr="random"), attr=drawn
        ) if drawn not in SEEDED:
            yield f"numpy.random.{drawn} draws from a state that all share"
        case ast.ImportFrom(module="random" | "numpy.random", names=names):
            yield from (f"random.{n.name} imported" for n in names if n.name not in SEEDED)
        case ast.Import(names=names):
            yield from (f"imports {n.name}" for n in names if n.name in UNSAFE_MODULES)
        case ast.ImportFrom(module=str(module)) if module in UNSAFE_MODULES:
            yield f"imports {module}"


def test_nothing_forbidden_is_done() -> None:
    """No salted hash, shared random state, unpickling, evaluated code or bare except."""
    found = [
        f"{name(path)}:{getattr(node, 'lineno', 0)} {sin}"
        for path in [*MODULES.values(), *ROOT.glob("examples/*.py")]
        for node in nodes(path)
        for sin in sins(node)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("try: f()\nexcept: g()", "bare except"),
        ("hash('a')", "calls hash"),
        ("random.random()", "random.random"),
        ("from random import choice", "random.choice"),
        ("np.random.rand(3)", "numpy.random.rand"),
        ("import pickle", "imports pickle"),
        ("torch.load('x')", "unpickles"),
    ],
)
def test_the_search_finds(code: str, words: str) -> None:
    """The search above is not blind: each forbidden thing is found where it stands."""
    assert any(words in sin for node in ast.walk(ast.parse(code)) for sin in sins(node))


def test_seeded_draws_are_fine() -> None:
    """What Seed hands out is not mistaken for shared state."""
    code = "random.Random(3).random()\nnp.random.default_rng(3).random()\nmodel.eval()"
    assert [sin for node in ast.walk(ast.parse(code)) for sin in sins(node)] == []
