"""What a web server answered, as plain text."""

from __future__ import annotations

import codecs
import re
from functools import cache

from ...readers import html_blocks

_TEXTS = re.compile(
    r"text/[a-z0-9.+-]+|application/(json|xml|xhtml\+xml|javascript|yaml|toml|x-ndjson"
    r"|[a-z0-9.-]+\+(json|xml))"
)
_CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
# Names that web pages use; Python knows codecs besides that are no encodings of pages.
_ENCODINGS = (
    *("utf-8", "ascii", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "gbk", "big5"),
    *("shift_jis", "euc-jp", "iso-2022-jp", "euc-kr", "koi8-r", "koi8-u", "macroman"),
    *(f"iso8859-{n}" for n in (*range(1, 12), *range(13, 17))),
    *(f"cp{n}" for n in (874, *range(1250, 1259))),
)


def response_text(declared: str, body: bytes, where: str) -> tuple[str, str]:
    """The kind of an answer and its text; of a page the paragraphs under their headings.

    ``declared`` is the header that names the kind. Raises ValueError for what is no text.

    >>> response_text("text/html", b"<h1>Rye</h1><p>Sold out.</p>", "")[1]
    '# Rye\\n\\nSold out.'
    """
    kind = declared.partition(";")[0].strip().lower()
    if not _TEXTS.fullmatch(kind):
        raise ValueError(f"{where} is of kind '{kind[:60]}', which is no text")
    page = kind in ("text/html", "application/xhtml+xml")
    text = body.decode(_encoding(declared, body, page), errors="replace").removeprefix("\ufeff")
    if "\0" in text:
        raise ValueError(f"{where} says that it is {kind}, but holds binary data")
    return kind, _plain(text) if page else text


def _encoding(declared: str, body: bytes, page: bool) -> str:
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if body.startswith(codecs.BOM_UTF8):
        return "utf-8"
    named = _CHARSET.search(declared)
    if not named and page:
        named = _CHARSET.search(body[:2048].decode("latin-1"))
    try:
        found = codecs.lookup(named.group(1)).name if named else "utf-8"
    except LookupError:
        return "utf-8"
    return found if found in _known() else "utf-8"


@cache
def _known() -> frozenset[str]:
    """Python's own names of the encodings. To look them up loads them all, so not at once."""
    return frozenset(codecs.lookup(name).name for name in _ENCODINGS)


def _plain(source: str) -> str:
    lines: list[str] = []
    above: tuple[str, ...] = ()
    for block in html_blocks(source):
        if block.headings != above:
            same = 0
            while same < min(len(above), len(block.headings)) and (
                above[same] == block.headings[same]
            ):
                same += 1
            lines += [
                f"{'#' * (n + 1)} {block.headings[n]}" for n in range(same, len(block.headings))
            ]
            above = block.headings
        lines.append(block.text)
    return "\n\n".join(lines)
