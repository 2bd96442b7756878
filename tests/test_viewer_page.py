"""The page as a file: one piece, no network, and whatever a mind says stays text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from denizens.core import RunError
from denizens.viewer import render_page, sample_page, unpack_page, write_page
from denizens.viewer.html_page import SCRIPTS

HOSTILE = "</script><img src=x onerror=\"document.title='hacked'\"> \u2028 %%DATA%% <!-- \U0001f9c1"
PAGE = Path(__file__).resolve().parent.parent / "viewer" / "page"


def test_python_reads_back_what_it_embedded() -> None:
    """The data in a page decodes to the data that went in."""
    data = sample_page(HOSTILE)
    assert unpack_page(render_page(data)) == data.as_json()


def test_the_page_loads_nothing() -> None:
    """No address of the network stands in the page but the name space of SVG, and its
    policy forbids to load anything."""
    page = render_page(sample_page())
    addresses = set(re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s'\"]*", page))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in page
    assert not re.search(r"<(?:link|iframe|img|object)\b|@import|\burl\(", page)
    assert not re.search(r"\b(?:fetch|XMLHttpRequest|WebSocket|EventSource|import)\s*\(", page)


def test_hostile_text_ends_no_script_and_makes_no_tag() -> None:
    """A closing script tag, an image with a handler, a line separator: none stands in the
    page's markup."""
    page = render_page(sample_page(HOSTILE))
    assert page.count("</script>") == render_page(sample_page()).count("</script>")
    assert "<img" not in page
    title = page.partition("<title>")[2].partition("</title>")[0]
    assert "<" not in title


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_write_text_as_text(name: str) -> None:
    """No script makes markup out of strings, or code."""
    code = (PAGE / name).read_text("utf-8")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc", code
    )


def test_every_file_of_the_page_is_used_and_short() -> None:
    """Each script stands in the list, none is longer than 400 lines."""
    assert sorted(SCRIPTS) == sorted(path.name for path in PAGE.glob("*.js"))
    for path in PAGE.iterdir():
        assert len(path.read_text("utf-8").splitlines()) <= 400, path.name


def test_the_same_data_give_the_same_page() -> None:
    """No time stamp and no chance in the file."""
    assert render_page(sample_page()) == render_page(sample_page())


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """The file lands at its place, new folders included, and nothing is left beside it."""
    path = write_page(sample_page(), tmp_path / "new" / "town.html")
    assert path.read_text("utf-8").startswith("<!doctype html>")
    assert [found.name for found in path.parent.iterdir()] == ["town.html"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Our error names the file and what to do."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match=r"town\.html.*choose another file"):
        write_page(sample_page(), tmp_path / "file" / "town.html")


def test_a_page_that_is_not_ours_is_refused() -> None:
    """Unpacking any other page is our error."""
    with pytest.raises(RunError, match="holds no run"):
        unpack_page("<html></html>")
