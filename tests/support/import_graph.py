"""The imports of the package as a graph: modules, and the folders that they lie in.

A name that is imported from a folder's front counts as an import of the module that defines
it. Imports inside functions and for types only count as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import networkx as nx

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {"tests", "examples", "docs", "build", "runs", "dist", "site"}
"""Folders of the checkout that are not in the package."""


@dataclass(frozen=True)
class Import:
    """One imported name: where it stands, the module named there, and the one that defines it."""

    importer: str
    line: int
    target: str
    name: str
    definer: str


def is_source(path: Path) -> bool:
    """Whether a file belongs to the package."""
    top = path.relative_to(ROOT).parts[0]
    return top not in OUTSIDE and not top.startswith(".") and not top.endswith(".egg-info")


def sources() -> list[Path]:
    """The package's Python files."""
    return sorted(path for path in ROOT.rglob("*.py") if is_source(path))


def module_name(path: Path) -> str:
    """The dotted name of a file; that of the folder for its ``__init__``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("denizens", *(part for part in parts if part != "__init__")))


MODULES = {module_name(path): path for path in sources()}
PACKAGES = {name for name, path in MODULES.items() if path.name == "__init__.py"}


def folder_of(module: str) -> str:
    """The package that a module lies in; a package lies in itself."""
    return module if module in PACKAGES else module.rpartition(".")[0]


def exports() -> dict[tuple[str, str], tuple[str, str]]:
    """For each name that a front exports: the module it comes from, and its name there."""
    found = {}
    for package in PACKAGES:
        stub = MODULES[package].with_suffix(".pyi")
        if stub.exists():
            for node in ast.parse(stub.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ImportFrom) and node.level == 1:
                    for alias in node.names:
                        source = f"{package}.{node.module}" if node.module else package
                        found[package, alias.asname or alias.name] = (source, alias.name)
    return found


EXPORTS = exports()


def definer(module: str, name: str) -> str:
    """The module that defines a name which is imported from ``module``."""
    while (module, name) in EXPORTS:
        module, name = EXPORTS[module, name]
    return f"{module}.{name}" if f"{module}.{name}" in MODULES else module


def imports_of(module: str) -> Iterator[Import]:
    """Every import of ours in a module, relative or absolute, wherever it stands."""
    path = MODULES[module]
    package = folder_of(module).split(".")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = package[: len(package) - node.level + 1] if node.level else []
        target = ".".join([*base, *([node.module] if node.module else [])])
        if target.split(".")[0] == "denizens":
            for alias in node.names:
                found = definer(target, alias.name)
                yield Import(module, node.lineno, target, alias.name, found)


IMPORTS = [found for module in MODULES for found in imports_of(module)]


def circles(folders: bool = False) -> list[list[str]]:
    """Groups of modules, or of folders, that import each other in a circle."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for found in IMPORTS:
        ends = (found.importer, found.definer)
        source, target = (folder_of(end) for end in ends) if folders else ends
        if source != target and target in MODULES:
            graph.add_edge(source, target)
    parts = nx.strongly_connected_components(graph)
    return sorted(sorted(part) for part in parts if len(part) > 1)
