"""Pages that mkdocs makes itself: the README as the first one, and one per folder for the API.

A page of the API shows what the folder's front exports, from the docstrings.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Literal

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "build" / "api"
FRONT = "# {name}\n\n::: {name}\n    options:\n      members: {members}\n"


def on_startup(command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:
    """Copy the sources to where the API reference is read from: a folder called denizens with
    nothing else in it, whatever the checkout is called and holds."""
    target = COPY / "denizens"
    shutil.rmtree(COPY, ignore_errors=True)
    tops = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"]
    sources = [path for top in tops for path in top.rglob("*.py*")]
    for source in [*sources, *ROOT.glob("__init__.py*")]:
        if source.suffix in (".py", ".pyi"):
            place = target / source.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)


def on_shutdown() -> None:
    """Remove the copy."""
    shutil.rmtree(COPY, ignore_errors=True)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(_page(config, "index.md", readme.replace("](docs/", "](")))
    fronts = sorted([*ROOT.glob("*/__init__.pyi"), *ROOT.glob("*/*/__init__.pyi")])
    names = []
    for stub in [ROOT / "__init__.pyi", *fronts]:
        members = re.findall(r"\bas (\w+)", stub.read_text(encoding="utf-8"))
        parts = stub.parent.relative_to(ROOT).parts
        name = ".".join(("denizens", *parts))
        files.append(_page(config, f"api/{name}.md", FRONT.format(name=name, members=members)))
        names.append(name)
    rows = [f"- [{name}]({name}.md)" for name in names]
    files.append(_page(config, "api/index.md", "\n".join(["# API reference", "", *rows, ""])))
    return files


def _page(config: MkDocsConfig, path: str, text: str) -> File:
    return File.generated(config, path, content=text)
