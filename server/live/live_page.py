"""The HTML, script and style of the live page: those of the viewer's page, and what is live."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from ...viewer import page_parts

LIVE_SCRIPTS = (
    "link.js",
    "growth.js",
    "live_bar.js",
    "walker.js",
    "dock.js",
    "speak.js",
    "live.js",
)
"""Concatenated in this order after the viewer's scripts, into one scope."""

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@cache
def live_page() -> str:
    """The HTML of the page. Nothing of the run is part of it; the script fetches that."""
    return (files(__package__) / "page" / "live.html").read_text("utf-8")


@cache
def page_script() -> str:
    """The script of the page."""
    folder = files(__package__) / "page"
    scripts = "\n".join((folder / name).read_text("utf-8") for name in LIVE_SCRIPTS)
    return f"(() => {{\n'use strict';\n{page_parts().script}\n{scripts}\n}})();"


@cache
def page_style() -> str:
    """The style of the page."""
    own = (files(__package__) / "page" / "live.css").read_text("utf-8")
    return f"{page_parts().style}\n{own}"
