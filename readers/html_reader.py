"""The text of HTML pages, for whoever reads them: documents to remember, pages fetched.

Not by ``html.parser``: on a hostile page it takes time by the square of the length (5 s for
50,000 ``<``) and fails on ``<![``. This scan takes each character once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

from ..core import check_arguments
from .html_visibility import OpenTags

_WORDS = (
    "p div li ul ol tr table section article br blockquote pre dd dt dl header footer main nav "
    "aside body figcaption form hr option"
)
_BREAKS = frozenset(_WORDS.split())
# Their content is raw: a "<" in it begins no tag.
_RAW = frozenset(["script", "style", "iframe", "noembed", "noframes"])
_TITLES = {"title": 0, **{f"h{n}": n for n in range(1, 7)}}
# Every alternative takes in what it has looked at (possessive, closed by the end as well), so
# that no part of a page is looked at again and again.
_TOKEN = re.compile(
    r"<!--(?:.*?-->|.*)|<[!?][^>]*>?"
    r"|<(?P<end>/?)(?P<tag>[A-Za-z][A-Za-z0-9]*+)(?P<more>(?:[^'\">]|\"[^\"]*\"|'[^']*')*+)>?",
    re.DOTALL,
)
# Longer ones name no character, and Python refuses to read their numbers.
_ENDLESS = re.compile(r"&#[xX]?[0-9a-fA-F]{8,}+;?")


# Tag characters show nothing but in the flags of countries' parts.
_UNSEEN = re.compile("(\U0001f3f4[\U000e0020-\U000e007e]{1,6}\U000e007f)|[\U000e0000-\U000e007f]+")


@dataclass(frozen=True, slots=True)
class HtmlBlock:
    """A paragraph, list item or table row of a page: its text, the headings above it
    (outermost first) and the first and last line of its source, counted from 1."""

    text: str
    headings: tuple[str, ...]
    first: int
    last: int


@check_arguments
def html_blocks(source: str) -> list[HtmlBlock]:
    """The blocks of an HTML page in their order. What a page does not show to people is left
    out: scripts, styles, comments, and what its own tags and the plain rules of its own style
    sheets hide (see ``OpenTags``).

    >>> [(one.headings, one.text) for one in html_blocks("<h1>Rye</h1><p>Sold <b>out</b>.</p>")]
    [(('Rye',), 'Sold out.')]
    """
    page = _Page()
    for tag, ends, text, at in _tokens(source):
        if tag:
            page.tag(tag, ends, text)
        else:
            page.text(text, source, at)
    page.flush()
    return page.blocks


def _tokens(source: str) -> Iterator[tuple[str, bool, str, int]]:
    """Tags (name, whether it ends, attributes) and texts (with where they begin), in order."""
    at = 0
    while found := _TOKEN.search(source, at):
        if found.start() > at:
            yield "", False, source[at : found.start()], at
        at = found.end()
        name = (found["tag"] or "").lower()
        if not name:
            continue
        yield name, bool(found["end"]), found["more"], found.start()
        if name in _RAW and not found["end"]:
            closing = re.compile(f"</{name}", re.IGNORECASE).search(source, at)
            after = closing.start() if closing else len(source)
            yield "", False, source[at:after], at
            at = after
    if at < len(source):
        yield "", False, source[at:], at


class _Page:
    """Puts the blocks of a page together."""

    def __init__(self) -> None:
        self.blocks: list[HtmlBlock] = []
        self._held: list[str] = []
        self._blank = True
        self._first = self._last = 1
        self._open = OpenTags()
        self._titles: list[tuple[int, str]] = []
        self._line, self._counted = 1, 0

    def tag(self, tag: str, ends: bool, attributes: str) -> None:
        """A block's start ends the one before; a heading's end makes it the title of what
        follows."""
        if ends:
            self._open.end(tag)
        else:
            self._open.start(tag, attributes)
        if tag in _TITLES and ends:
            text = self._taken()
            depth = _TITLES[tag]
            self._titles = [(level, name) for level, name in self._titles if level < depth]
            if text:
                self._titles.append((depth, text))
        elif tag in _BREAKS or tag in _TITLES:
            self.flush()
        elif tag in ("td", "th") and not ends:
            self._held.append(" ")

    def text(self, data: str, source: str, at: int) -> None:
        """Text, unless it is hidden."""
        self._line += source.count("\n", self._counted, at)
        self._counted = at
        if self._open.hidden:
            self._open.sheet(data)
            return
        if data.strip():
            before = data[: len(data) - len(data.lstrip())].count("\n")
            if self._blank:
                self._first = self._line + before
            self._last = self._line + data.rstrip().count("\n")
        text = unescape(_ENDLESS.sub("\ufffd", data)) if "&" in data else data
        text = text if text.isascii() else _UNSEEN.sub(r"\1", text)
        self._held.append(text)
        self._blank = self._blank and not text.strip()

    def flush(self) -> None:
        """End the open block."""
        text = self._taken()
        if text:
            headings = tuple(name for _, name in self._titles)
            self.blocks.append(HtmlBlock(text, headings, self._first, self._last))

    def _taken(self) -> str:
        """The text that was held, in one line; nothing is held after."""
        text = " ".join("".join(self._held).split())
        self._held, self._blank = [], True
        return text
