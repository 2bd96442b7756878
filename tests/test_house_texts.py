"""What is written: docstrings and the README hold, and nothing of one machine slips in."""

from __future__ import annotations

import ast
import doctest
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer
from denizens.cli import app, main
from denizens.tests.support.import_graph import MODULES

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SKIPPED = {"runs", "site", "build", "dist", "__pycache__", "node_modules"}


def files() -> list[Path]:
    """The files of the project, without what git ignores."""
    # In a worktree of git, .git is a file with the path of the repository.
    apart = ("town.html", ".git")
    found = [path for path in ROOT.iterdir() if path.is_file() and path.name not in apart]
    for folder in ROOT.iterdir():
        hidden = folder.name.startswith(".") and folder.name != ".ci"
        made = folder.name in SKIPPED or folder.name.endswith(".egg-info")
        if folder.is_dir() and not hidden and not made:
            found += [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in found if "__pycache__" not in path.parts)


# Put together here, so that this file itself does not hold them.
HOSTS = [".".join(parts) for parts in [("pypi", "org"), ("pythonhosted", "org")]]
HOSTS += [".".join(["download", "pytorch", "org"]), ".".join(["npmjs", "com"])]
PLACES = re.compile(r"(?<![\w.:~/-])/(?:work|root|opt|home)/\w+")


def test_nothing_of_one_machine() -> None:
    """No file names a package registry's host or a path of somebody's machine."""
    wrong = []
    for path in files():
        text = path.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if any(host in line for host in HOSTS) or PLACES.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert wrong == []
    assert len(files()) > 50


def documented() -> list[str]:
    """The modules with examples in their docstrings, as they are imported."""
    return [m for m, path in MODULES.items() if ">>>" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("module", documented())
def test_doctests(module: str) -> None:
    """The examples in the docstrings give what they say."""
    result = doctest.testmod(import_module(module), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
    assert result.attempted > 0


def test_doctests_are_found() -> None:
    """The search for examples is not blind."""
    assert {
        "denizens.core.seed",
        "denizens.core.settings",
        "denizens.tools.declaration.declare",
    } <= set(documented())


def blocks(language: str) -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", text)


def test_readme_tells_the_two_commands() -> None:
    """A newcomer finds in the README how to see a town and how to test."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make town" in text
    assert "make test" in text


def test_readme_python_is_right() -> None:
    """The README's Python parses, and every name it imports from us exists."""
    found = blocks("python")
    assert found
    for block in found:
        for node in ast.walk(ast.parse(block)):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if isinstance(node, ast.ImportFrom) and module.split(".")[0] == "denizens":
                for alias in node.names:
                    assert hasattr(import_module(module), alias.name), f"{module}.{alias.name}"


def test_readme_memory_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The README's memory in five lines, run as it stands, finds what it was told."""
    monkeypatch.chdir(tmp_path)
    (block,) = [one for one in blocks("python") if "Memory(" in one and "load_model" not in one]
    exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out == "Bo asked for a loaf of rye\n"


def test_links_lead_somewhere() -> None:
    """Every link from the README or a page of docs to a file of ours finds it."""
    lost = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                lost.append(f"{page.name}: {target}")
    assert lost == []


def test_documentation_builds(tmp_path: Path) -> None:
    """All pages and the API reference are built without a warning."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "api" / "denizens.memory" / "index.html").read_text(encoding="utf-8")
    assert "recall_many" in page


def test_makefile_has_the_verbs() -> None:
    """The verbs that the README, CI and the log use are all there, and explained."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    verbs = set(re.findall(r"(?m)^([a-z]+):.*##", text))
    assert {"town", "test", "check", "bench", "docs", "help"} <= verbs


def test_ci_script_runs_the_tests() -> None:
    """CI does what a developer does: the script is executable and calls ``make test``."""
    script = ROOT / ".ci" / "run"
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
    assert "\nmake test" in text
    assert os.access(script, os.X_OK)


def test_licence_is_whole() -> None:
    """The licence is Apache-2.0 from its title to its appendix."""
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.lstrip().startswith("Apache License")
    assert "END OF TERMS AND CONDITIONS" in text
    assert len(text) == 11357


SHOWN = re.compile(r"(?m)(?:^ *|`)denizens ([a-z]+)(?: ([a-z]+))?")


def test_every_command_in_the_docs_exists() -> None:
    """Each ``denizens WORD`` that a text shows is a command, and so is the word after it where
    commands have commands of their own."""
    with pytest.raises(SystemExit):
        main(["--version"])  # all commands are there once the command was run
    known = typer.main.get_command(app)
    below = {name: getattr(one, "commands", {}) for name, one in vars(known)["commands"].items()}
    seen, wrong = 0, []
    for path in PAGES:
        for first, second in SHOWN.findall(path.read_text(encoding="utf-8")):
            seen += 1
            if first not in below or (below[first] and second and second not in below[first]):
                wrong.append(f"{path.name}: denizens {first} {second}".strip())
    assert wrong == []
    assert seen > 50
