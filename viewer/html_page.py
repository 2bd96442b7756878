"""Writing a run as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import gzip
import html
import json
from importlib.resources import files
from pathlib import Path

from ..core import Json, RunError, atomic_path
from ..store import is_database
from .page_data import PageData

# The scripts share one scope, in this order; the browser sees a single one.
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
)
_OPEN = '<script id="data" type="text/plain">'
_CLOSE = "</script>"


def write_page(data: PageData, path: Path | str) -> Path:
    """Write ``data`` as a page at ``path`` and return the path.

    The file appears whole or not at all: it is written beside its place and moved there.
    Raises RunError when the folder cannot be written.
    """
    target = Path(path)
    if is_database(target):
        raise RunError(f"{target}: a page would destroy it, for it is a run or a memory")
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


def render_page(data: PageData) -> str:
    """The page's HTML text. The data stands in it as base64 of gzipped JSON, so nothing in
    it can end the script it lies in; the page writes texts as text, never as markup."""
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
    """JSON, gzipped without a time stamp (the same data give the same page), in base64."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    packed = gzip.compress(text.encode("utf-8", "surrogatepass"), 9, mtime=0)
    return base64.b64encode(packed).decode()


def unpack_page(page: str) -> Json:
    """The data that a page carries: the inverse of ``render_page``.

    Raises RunError when ``page`` is not one of our pages.
    """
    begin = page.find(_OPEN)
    end = page.find(_CLOSE, begin)
    if begin < 0 or end < 0:
        raise RunError("this page carries no run; write it anew with `denizens view`")
    packed = base64.b64decode(page[begin + len(_OPEN) : end])
    return json.loads(gzip.decompress(packed).decode("utf-8", "surrogatepass"))
