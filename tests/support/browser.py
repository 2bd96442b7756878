"""The distribution's Chromium for tests of pages: fixtures, accessibility and screenshots.

``tests/conftest.py`` registers the fixtures ``chromium`` and ``new_page``.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP, PHONE = (1280, 800), (390, 844)
"""Sizes of the window in CSS pixels: width and height."""
PLACES = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
SCREENSHOTS = "DENIZENS_SCREENSHOTS"
"""Environment variable: the folder in which ``screenshots`` keeps its pictures."""
_SERIOUS = ("serious", "critical")


class NewPage(Protocol):
    """Opens a page in a browser profile of its own."""

    def __call__(
        self,
        url: str = "",
        *,
        size: tuple[int, int] = DESKTOP,
        dark: bool = False,
        allowed: str = "",
    ) -> Page:
        """A page of ``size``, at ``url`` if given. The test fails at its end if the page wrote an
        error to the console or raised one, but for those that the pattern ``allowed`` matches."""


def chromium_path() -> str:
    """The path of an installed Chromium; empty if there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    paths = (*filter(os.path.isfile, PLACES), *filter(None, map(shutil.which, names)))
    return next(iter(paths), "")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A headless Chromium, started once for the tests of a module: its event loop
    runs as long as it does, and no other test could start one. Skips without one."""
    path = chromium_path()
    if not path:
        pytest.skip("no Chromium on this machine; install one (for example: apt install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as api:
        browser = api.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def new_page(chromium: Browser) -> Iterator[NewPage]:
    """Opens pages, each in a profile of its own, and closes them at the end of the test."""
    faults: list[str] = []
    contexts = []

    def open_page(
        url: str = "", *, size: tuple[int, int] = DESKTOP, dark: bool = False, allowed: str = ""
    ) -> Page:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)

        def note(text: str) -> None:
            if not (allowed and re.search(allowed, text)):
                faults.append(text)

        def on_console(message: ConsoleMessage) -> None:
            if message.type == "error":
                note(f"{message.text} ({message.location.get('url', '')})")

        page.on("console", on_console)
        page.on("pageerror", lambda error: note(str(error)))
        if url:
            page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == [], f"errors in the console of the browser: {faults}"


def axe_faults(page: Page, *, exclude: str = "") -> list[str]:
    """The serious and critical faults of accessibility that axe finds on a page, one line each;
    ``exclude`` is a CSS selector of what is not checked."""
    from axe_playwright_python.sync_playwright import Axe

    context = {"exclude": [[exclude]]} if exclude else None
    results = Axe().run(page, context=context)
    return [
        f"{one['impact']}: {one['help']} ({one['id']}): "
        + "; ".join(node["html"][:160] for node in one["nodes"][:3])
        for one in results.response["violations"]
        if one["impact"] in _SERIOUS
    ]


def screenshots(page: Page, name: str, folder: Path | str = "") -> list[Path]:
    """Take pictures of a page at both sizes, in light and in dark: ``NAME-1280-light.png`` and so
    on, in ``folder`` or the one that DENIZENS_SCREENSHOTS names (none: no pictures)."""
    target = folder or os.environ.get(SCREENSHOTS, "")
    if not target:
        return []
    before = page.viewport_size
    pictures: list[Path] = []
    for width, height in (DESKTOP, PHONE):
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.wait_for_timeout(250)
            picture = Path(target) / f"{name}-{width}-{scheme}.png"
            page.screenshot(path=picture)
            pictures.append(picture)
    page.emulate_media(color_scheme="light")
    if before:
        page.set_viewport_size(before)
    return pictures
