"""The browser that tests of pages share: it opens, shows faults and takes pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from denizens.tests.support.browser import NewPage, axe_faults, screenshots
from denizens.tests.support.running_app import running_app


def test_axe_names_a_picture_without_words(new_page: NewPage) -> None:
    """A page with a fault has one, a page without has none."""
    page = new_page()
    page.set_content("<html lang=en><title>t</title><main><h1>Hi</h1><img src='data:,'></main>")
    assert any("image-alt" in fault for fault in axe_faults(page))
    page.set_content("<html lang=en><title>t</title><main><h1>Hi</h1></main>")
    assert axe_faults(page) == []


def test_pictures_are_taken_at_both_sizes(new_page: NewPage, tmp_path: Path) -> None:
    """Four pictures: two sizes, light and dark."""
    page = new_page()
    page.set_content("<p>Hi")
    names = [picture.name for picture in screenshots(page, "hi", tmp_path) if picture.is_file()]
    assert names == [f"hi-{w}-{how}.png" for w in (1280, 390) for how in ("light", "dark")]


def test_an_application_is_served_on_the_loopback(new_page: NewPage) -> None:
    """The address answers while the block runs."""
    fastapi = pytest.importorskip("fastapi")
    app = fastapi.FastAPI()
    with running_app(app) as address:
        assert "openapi" in new_page(f"{address}/openapi.json", allowed="favicon").content()
