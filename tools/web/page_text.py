"""The response of a web server as plain text."""

from __future__ import annotations

import codecs
import re
from functools import cache
from itertools import takewhile

from ...readers import html_blocks

_TEXTS = re.compile(
    r"text/[a-z0-9.+-]+|application/(json|xml|xhtml\+xml|javascript|yaml|toml|x-ndjson"
    r"|[a-z0-9.-]+\+(json|xml))"
)
_CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
# Encodings of web pages; Python has further codecs that are no text encodings.
_ENCODINGS = (
    *("utf-8", "ascii", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "gbk", "big5"),
    *("shift_jis", "euc-jp", "iso-2022-jp", "euc-kr", "koi8-r", "koi8-u", "macroman"),
    *(f"iso8859-{n}" for n in (*range(1, 12), *range(13, 17))),
    *(f"cp{n}" for n in (874, *range(1250, 1259))),
)


def response_text(declared: str, body: bytes, where: str) -> tuple[str, str]:
    """Content type and text of a response; an HTML page as paragraphs under their headings.

    ``declared`` is the Content-Type header. Raises ValueError if the body is no text.

    >>> response_text("text/html", b"<h1>Rye</h1><p>Sold out.</p>", "")[1]
    '# Rye\\n\\nSold out.'
    """
    kind = declared.partition(";")[0].strip().lower()
    if not _TEXTS.fullmatch(kind):
        raise ValueError(f"{where} is of kind '{kind[:60]}', which is no text")
    is_page = kind in ("text/html", "application/xhtml+xml")
    text = body.decode(_encoding(declared, body, is_page), errors="replace").removeprefix("\ufeff")
    if "\0" in text:
        raise ValueError(f"{where} says that it is {kind}, but holds binary data")
    return kind, _page_text(text) if is_page else text


def _encoding(declared: str, body: bytes, is_page: bool) -> str:
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if body.startswith(codecs.BOM_UTF8):
        return "utf-8"
    match = _CHARSET.search(declared)
    if not match and is_page:
        match = _CHARSET.search(body[:2048].decode("latin-1"))
    try:
        name = codecs.lookup(match.group(1)).name if match else "utf-8"
    except LookupError:
        return "utf-8"
    return name if name in _encoding_names() else "utf-8"


@cache
def _encoding_names() -> frozenset[str]:
    """Python's names of the encodings; looking them up loads their codecs, so not at import."""
    return frozenset(codecs.lookup(name).name for name in _ENCODINGS)


def _page_text(source: str) -> str:
    lines: list[str] = []
    above: tuple[str, ...] = ()
    for block in html_blocks(source):
        if block.headings != above:
            pairs = zip(above, block.headings)
            same = len([*takewhile(lambda pair: pair[0] == pair[1], pairs)])
            new = enumerate(block.headings[same:], same + 1)
            lines += [f"{'#' * depth} {heading}" for depth, heading in new]
            above = block.headings
        lines.append(block.text)
    return "\n\n".join(lines)
