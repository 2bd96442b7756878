"""Text blocks of HTML pages.

Not by ``html.parser``, which takes quadratic time on hostile pages (5 s for 50,000 ``<``) and
fails on ``<![``. This scanner is linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

from ..core import check_arguments
from .html_visibility import OpenTags

_BREAK_NAMES = (
    "p div li ul ol tr table section article br blockquote pre dd dt dl header footer main nav "
    "aside body figcaption form hr option"
)
_BREAKS = frozenset(_BREAK_NAMES.split())
# Tags with raw content: a "<" in it begins no tag.
_RAW = frozenset(["script", "style", "iframe", "noembed", "noframes"])
_HEADING_LEVELS = {"title": 0, **{f"h{n}": n for n in range(1, 7)}}
# Every alternative is possessive and also ends at the end of the page, so that no part is scanned
# twice.
_TOKEN = re.compile(
    r"<!--(?:.*?-->|.*)|<[!?][^>]*>?"
    r"|<(?P<end>/?)(?P<tag>[A-Za-z][A-Za-z0-9]*+)(?P<more>(?:[^'\">]|\"[^\"]*\"|'[^']*')*+)>?",
    re.DOTALL,
)
# Longer references name no character, and Python refuses to convert their numbers.
_LONG_REFERENCE = re.compile(r"&#[xX]?[0-9a-fA-F]{8,}+;?")


# Tag characters are invisible, except in flags of regions.
_TAG_CHARACTERS = re.compile(
    "(\U0001f3f4[\U000e0020-\U000e007e]{1,6}\U000e007f)|[\U000e0000-\U000e007f]+"
)


@dataclass(frozen=True, slots=True)
class HtmlBlock:
    """A paragraph, list item or table row of a page: its text, the headings above it (outermost
    first), and the first and last line of its source, counted from 1."""

    text: str
    headings: tuple[str, ...]
    first: int
    last: int


@check_arguments
def html_blocks(source: str) -> list[HtmlBlock]:
    """The visible blocks of an HTML page in order, without scripts, styles, comments, and text that
    tags or style sheets hide (``html_visibility.OpenTags``).

    >>> page = "<h1>Rye</h1><p>Sold <b>out</b>.</p>"
    >>> [(block.headings, block.text) for block in html_blocks(page)]
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
    """Tokens of a page: (name, is end tag, attributes, position) of tags, ("", False, text,
    position) of texts."""
    at = 0
    while match := _TOKEN.search(source, at):
        if match.start() > at:
            yield "", False, source[at : match.start()], at
        at = match.end()
        name = (match["tag"] or "").lower()
        if not name:
            continue
        yield name, bool(match["end"]), match["more"], match.start()
        if name in _RAW and not match["end"]:
            closing = re.compile(f"</{name}", re.IGNORECASE).search(source, at)
            after = closing.start() if closing else len(source)
            yield "", False, source[at:after], at
            at = after
    if at < len(source):
        yield "", False, source[at:], at


class _Page:
    """Assembles the blocks of a page from its tokens."""

    def __init__(self) -> None:
        self.blocks: list[HtmlBlock] = []
        self._texts: list[str] = []
        self._is_blank = True
        self._first = self._last = 1
        self._open_tags = OpenTags()
        self._headings: list[tuple[int, str]] = []
        self._line, self._counted = 1, 0

    def tag(self, tag: str, ends: bool, attributes: str) -> None:
        """Handle a tag: block tags end the open block, the end of a heading makes its text the
        heading of what follows."""
        if ends:
            self._open_tags.end(tag)
        else:
            self._open_tags.start(tag, attributes)
        if tag in _HEADING_LEVELS and ends:
            text = self._take_text()
            depth = _HEADING_LEVELS[tag]
            self._headings = [(level, name) for level, name in self._headings if level < depth]
            if text:
                self._headings.append((depth, text))
        elif tag in _BREAKS or tag in _HEADING_LEVELS:
            self.flush()
        elif tag in ("td", "th") and not ends:
            self._texts.append(" ")

    def text(self, data: str, source: str, at: int) -> None:
        """Handle a text, which is skipped if hidden."""
        self._line += source.count("\n", self._counted, at)
        self._counted = at
        if self._open_tags.hidden:
            self._open_tags.sheet(data)
            return
        if data.strip():
            before = data[: len(data) - len(data.lstrip())].count("\n")
            if self._is_blank:
                self._first = self._line + before
            self._last = self._line + data.rstrip().count("\n")
        text = unescape(_LONG_REFERENCE.sub("\ufffd", data)) if "&" in data else data
        text = text if text.isascii() else _TAG_CHARACTERS.sub(r"\1", text)
        self._texts.append(text)
        self._is_blank = self._is_blank and not text.strip()

    def flush(self) -> None:
        """End the open block."""
        text = self._take_text()
        if text:
            headings = tuple(name for _, name in self._headings)
            self.blocks.append(HtmlBlock(text, headings, self._first, self._last))

    def _take_text(self) -> str:
        """The collected text in one line; the collection is then empty."""
        text = " ".join("".join(self._texts).split())
        self._texts, self._is_blank = [], True
        return text
