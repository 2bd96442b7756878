"""The files of the chat page. They hold no data: the page asks the API for everything."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from fastapi import APIRouter, HTTPException
from starlette.responses import Response

router = APIRouter(include_in_schema=False)

_ROOT = __name__.partition(".")[0]
"""The name of the whole package."""

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
MEDIA_TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
PORTRAIT_SCRIPTS = ("noise.js", "people.js", "dom.js")
"""Scripts of the town page that draw people and make elements; together they are ``town.js``."""
PORTRAIT_NAMES = ("h", "add", "fill", "icon", "button", "ICONS", "lookOf", "portrait", "hashText")
"""What ``town.js`` exports."""


@router.get("/")
def read_page() -> Response:
    """The page."""
    return page_file("index.html")


@router.get("/page/{name}")
def read_file(name: str) -> Response:
    """A file of the page."""
    return page_file(name)


def page_file(name: str) -> Response:
    """A file of the page with its headers. Raises HTTPException (404)."""
    suffix = name.rpartition(".")[2]
    text = page_texts().get(name)
    if text is None:
        raise HTTPException(404, "no such file")
    media_type = f"{MEDIA_TYPES[suffix]}; charset=utf-8"
    return Response(text, media_type=media_type, headers=HEADERS)


@lru_cache(maxsize=1)
def page_texts() -> dict[str, str]:
    """The files of the page by name: its own, and what it shares with the town page."""
    own = files(f"{_ROOT}.server") / "page"
    town = files(f"{_ROOT}.viewer") / "page"
    texts = {
        part.name: part.read_text("utf-8")
        for part in own.iterdir()
        if part.name.rpartition(".")[2] in MEDIA_TYPES
    }
    scripts = "\n".join((town / name).read_text("utf-8") for name in PORTRAIT_SCRIPTS)
    texts["town.js"] = f"{scripts}\nexport {{ {', '.join(PORTRAIT_NAMES)} }};\n"
    texts["town.css"] = (town / "style.css").read_text("utf-8")
    return texts
