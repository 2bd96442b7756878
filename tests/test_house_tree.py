"""The tree keeps the design: who imports whom, how large things are, what is never done."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# In the order of the design: each folder may import those named.
LOWER = ["core", "store", "models", "memory", "tools", "world", "planners", "agents"]
HIGHER = ["simulation", "viewer", "server", "evaluation", "cli"]
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "store": {"core"},
    "models": {"core"},
    "memory": {"core", "store"},
    "tools": {"core"},
    "world": {"core"},
    "planners": {"core"},
    "agents": {"core", "memory", "planners", "tools"},
    **{folder: {*LOWER, *HIGHER[:place]} for place, folder in enumerate(HIGHER)},
}
PACKAGES = sorted(found.parent.name for found in ROOT.glob("[a-z]*/__init__.py"))
MODULES = sorted([*ROOT.glob("*.py"), *(f for p in PACKAGES for f in (ROOT / p).glob("*.py"))])
SOURCES = sorted([*MODULES, *ROOT.glob("tests/*.py"), *ROOT.glob("examples/*.py")])


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path)))


def ours(path: Path) -> Iterator[tuple[int, str]]:
    """Line and folder of each import of ours; "?" where it is written in another way than
    relatively, or reaches out of the package."""
    levels = len(path.relative_to(ROOT).parts)
    for node in nodes(path):
        if isinstance(node, ast.Import):
            if any(alias.name.split(".")[0] == "denizens" for alias in node.names):
                yield node.lineno, "?"
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            if (node.module or "").split(".")[0] == "denizens":
                yield node.lineno, "?"
        elif isinstance(node, ast.ImportFrom) and node.level > levels:
            yield node.lineno, "?"
        elif isinstance(node, ast.ImportFrom) and node.level == levels:
            if node.module:
                yield node.lineno, node.module.split(".")[0]
            else:
                yield from ((node.lineno, alias.name) for alias in node.names)


def test_every_folder_has_its_row() -> None:
    """A new folder needs a row in the design's table before it may import anything."""
    assert set(PACKAGES) <= set(MAY_IMPORT)
    assert {*LOWER, "simulation", "viewer", "cli"} <= set(PACKAGES)


def test_imports_follow_the_table() -> None:
    """No folder imports one that the design does not let it import, not even for types."""
    wrong = []
    seen = 0
    for path in MODULES:
        folder = path.parent.name
        if path.parent == ROOT:
            continue
        for line, target in ours(path):
            seen += 1
            if target not in MAY_IMPORT[folder]:
                wrong.append(f"{name(path)}:{line} imports {target}")
    assert wrong == []
    assert seen > 20


def test_one_level_of_packages() -> None:
    """No package in a package, no folder called denizens, no conftest at the root."""
    deeper = [name(p) for f in PACKAGES for p in (ROOT / f).rglob("*.py") if p.parent != ROOT / f]
    assert deeper == []
    assert not (ROOT / "denizens").exists()
    assert not (ROOT / "conftest.py").exists()
    assert {name(path) for path in ROOT.glob("*.py")} <= {"__init__.py", "__main__.py"}


def test_files_stay_small() -> None:
    """No file over 800 lines."""
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert [f"{name(path)}: {size}" for path, size in lines.items() if size > 800] == []


def test_functions_stay_small() -> None:
    """No function over 60 lines."""
    long = [
        f"{name(path)}:{node.lineno} {node.name}: {(node.end_lineno or 0) - node.lineno + 1}"
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > 60
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
        for path in [*MODULES, *ROOT.glob("examples/*.py")]
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
