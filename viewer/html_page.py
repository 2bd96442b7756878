"""Writes a run as one self-contained HTML file."""

from __future__ import annotations

import base64
import gzip
import html
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ..core import Json, RunError, atomic_path
from ..store import is_database
from .page_data import PageData

# Concatenated in this order into one script, so they share a scope.
SCRIPTS = (
    "data.js",
    "paths.js",
    "noise.js",
    "trees.js",
    "ground.js",
    "building.js",
    "furniture.js",
    "land.js",
    "people.js",
    "light.js",
    "stage.js",
    "marks.js",
    "dom.js",
    "why.js",
    "costs.js",
    "panel.js",
    "overview.js",
    "timeline.js",
    "input.js",
    "main.js",
    "start.js",
)
_OPEN = '<script id="data" type="text/plain">'
_CLOSE = "</script>"


def write_page(data: PageData, path: Path | str) -> Path:
    """Write ``data`` as a page at ``path``, whole or not at all, and return the path. Raises
    RunError when it cannot be written, or the file is a run or a memory."""
    target = Path(path)
    if is_database(target):
        raise RunError(
            f"{target}: is a run or a memory, which a page would overwrite; choose another file"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(target) as part:
            part.write_text(render_page(data), encoding="utf-8", newline="\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(
            f"{target}: the page cannot be written ({reason}); choose another file"
        ) from error
    return target


@dataclass(frozen=True, slots=True)
class PageParts:
    """The style and the script of the page, for a page that adds to them; the script defines
    everything and starts nothing."""

    style: str
    script: str


def page_parts() -> PageParts:
    """The parts that the file and the live page share."""
    folder = files(__package__) / "page"
    scripts = [(folder / name).read_text("utf-8") for name in SCRIPTS if name != "start.js"]
    return PageParts((folder / "style.css").read_text("utf-8"), "\n".join(scripts))


def render_page(data: PageData) -> str:
    """The HTML text of a page. The data is embedded as base64 of gzipped JSON, so no text in it can
    end its script element; the page inserts texts as text, never as markup."""
    folder = files(__package__) / "page"
    scripts = "\n".join((folder / name).read_text("utf-8") for name in SCRIPTS)
    parts = {
        "TITLE": html.escape(data.title),
        "STYLE": (folder / "style.css").read_text("utf-8"),
        "DATA": pack_data(data.as_json()),
        "SCRIPT": f"(() => {{\n'use strict';\n{scripts}\n}})();",
    }
    page = (folder / "page.html").read_text("utf-8")
    pieces = page.split("%%")
    return "".join(parts[piece] if at % 2 else piece for at, piece in enumerate(pieces))


def pack_data(value: Json) -> str:
    """JSON, gzipped without a time stamp (equal data give equal pages), in base64."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    packed = gzip.compress(text.encode("utf-8", "surrogatepass"), 9, mtime=0)
    return base64.b64encode(packed).decode()


def unpack_page(page: str) -> Json:
    """The data of a page: the inverse of ``render_page``. Raises RunError for other HTML."""
    begin = page.find(_OPEN)
    end = page.find(_CLOSE, begin)
    if begin < 0 or end < 0:
        raise RunError("this page holds no run; write it again with `denizens view`")
    packed = base64.b64decode(page[begin + len(_OPEN) : end])
    return json.loads(gzip.decompress(packed).decode("utf-8", "surrogatepass"))
