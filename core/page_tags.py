"""The open tags of an HTML page, and whether they hide what stands in them from people.

Each tag costs the same, however deep the page nests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from html import unescape

_VOID_NAMES = "area base br col embed hr img input link meta param source track wbr frame keygen"
_SILENT_NAMES = (
    "script style template noscript svg iframe noembed noframes datalist canvas audio video object"
)
_BLOCKS_NAMES = (
    "address article aside blockquote center details dialog dir div dl fieldset figcaption "
    "figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr main menu nav ol p pre section "
    "table ul"
)
_VOID = frozenset(_VOID_NAMES.split())
_SILENT = frozenset(_SILENT_NAMES.split())
_BLOCKS = frozenset(_BLOCKS_NAMES.split())
# A start tag ends an open one of these, unless one of the second kind was opened since.
_ROWS = frozenset(["table", "tbody", "thead", "tfoot"])
_IMPLIED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "li": (("li",), ("ul", "ol", "menu")),
    "dt": (("dt", "dd"), ("dl",)),
    "dd": (("dt", "dd"), ("dl",)),
    "td": (("td", "th"), ("table", "tr")),
    "th": (("td", "th"), ("table", "tr")),
    "tr": (("tr",), tuple(_ROWS)),
    "option": (("option",), ("select", "datalist")),
}
_WORDS = ("hidden", "style", "color", "size", "dialog")
_ATTRIBUTE = re.compile(r"([^\s=/>\"']++)(?:\s*+=\s*+(\"[^\"]*+\"|'[^']*+'|[^\s\"'>]*+))?+")
_COMMENT = re.compile(r"/\*(?:.*?\*/|.*)", re.DOTALL)
_NUMBER = re.compile(r"([+-]?\d*+\.?\d*+)(px|pt|em|rem|ex|ch|%|vw|vh|in|cm|mm)?")
_CHANNELS = re.compile(r"rgba?\(([^()]*+)\)")
_COLORS = {"white": "ffffff", "black": "000000", "snow": "fffafa", "whitesmoke": "f5f5f5"}


@dataclass(frozen=True, slots=True)
class _Look:
    """What a tag makes of its content: ``gone`` holds for all in it, the rest may be set
    anew by what is inside."""

    gone: bool = False
    unseen: bool = False
    tiny: bool = False
    color: str = ""
    ground: str = ""
    styled: bool = False

    @property
    def hidden(self) -> bool:
        same = bool(self.color) and self.color == (self.ground or ("" if self.styled else "ffffff"))
        return self.gone or self.unseen or self.tiny or same or self.color == "transparent"


class OpenTags:
    """The tags that are open at a place of a page.

    ``hidden`` by: the attributes hidden, aria-hidden="true"; the styles display:none,
    visibility:hidden, opacity:0, a font, width and height of no size, a place outside the page,
    a clip that leaves nothing, text of the colour of its ground (white without one, where no
    class or sheet may give another); template, noscript, closed dialogs and what only shows
    where a picture or a frame does not.

    >>> tags = OpenTags()
    >>> tags.start("div", ' style="display: none"')
    >>> tags.hidden
    True
    """

    def __init__(self) -> None:
        self._looks = [_Look()]
        self._names = [""]
        self._places: dict[str, list[int]] = {}
        self._styled = False

    @property
    def hidden(self) -> bool:
        """Whether text at this place is not shown to people."""
        return self._looks[-1].hidden

    def start(self, name: str, attributes: str) -> None:
        """A tag opens; some that are open end by it."""
        if name in _BLOCKS:
            self._close(("p",), ("table", "button", "td", "th"))
        if name in _IMPLIED:
            self._close(*_IMPLIED[name])
        # A sheet may give any ground to what follows.
        self._styled = self._styled or name in ("style", "link")
        if name in _VOID or (name == "svg" and attributes.endswith("/")):
            return
        self._places.setdefault(name, []).append(len(self._names))
        self._names.append(name)
        look = self._looks[-1]
        if name in _SILENT:
            look = replace(look, gone=True)
        elif not look.gone:
            look = _changed(look, name, attributes, self._styled)
        self._looks.append(look)

    def end(self, name: str) -> None:
        """A tag closes, and all that was opened in it; one that is not open closes nothing."""
        if places := self._places.get(name):
            self._cut(places[-1])

    def _close(self, names: tuple[str, ...], walls: tuple[str, ...]) -> None:
        found = max(map(self._last, names))
        if found > max(map(self._last, walls)):
            self._cut(found)

    def _last(self, name: str) -> int:
        places = self._places.get(name)
        return places[-1] if places else 0

    def _cut(self, place: int) -> None:
        while len(self._names) > place:
            self._places[self._names.pop()].pop()
            self._looks.pop()


def _changed(look: _Look, name: str, attributes: str, styled: bool) -> _Look:
    """The look inside a tag."""
    low = attributes.lower()
    if styled and not look.styled:
        look = replace(look, styled=True)
    if name != "dialog" and not any(word in low for word in (*_WORDS, "class", "width", "&")):
        return look
    given: dict[str, str] = {}
    for found in _ATTRIBUTE.finditer(attributes):
        value = unescape((found[2] or "").strip("\"'"))
        given.setdefault(found[1].lower(), value.strip().lower())
    style = _declared(given.get("style", ""))
    gone = (
        ("hidden" in given and given["hidden"] != "false")
        or given.get("aria-hidden") == "true"
        or (name == "dialog" and "open" not in given)
        or _removed(style)
    )
    color = _color(style.get("color", given.get("color", ""))) or look.color
    ground = style.get("background-color", style.get("background", given.get("bgcolor", "")))
    if "class" in given or "url(" in ground or "gradient" in ground:
        look = replace(look, styled=True, ground="")
    seen = style.get("visibility")
    size = style.get("font-size", "0" if given.get("size") == "0" else "")
    return replace(
        look,
        gone=look.gone or gone,
        unseen=seen in ("hidden", "collapse") if seen else look.unseen,
        tiny=_tiny(size) if size else look.tiny,
        color=color,
        ground=_color(ground) or look.ground,
    )


def _declared(style: str) -> dict[str, str]:
    """The declarations of a style attribute."""
    pairs = (part.partition(":") for part in _COMMENT.sub("", style).split(";"))
    return {name.strip(): value.replace("!important", "").strip() for name, _, value in pairs}


def _removed(style: dict[str, str]) -> bool:
    """Whether a style takes its content out of sight, whatever stands in it."""
    if not style:
        return False
    opacity = style.get("opacity", "")
    cut = style.get("overflow", style.get("overflow-y", "")) in ("hidden", "clip")
    flat = any(
        _tiny(style.get(side, "")) for side in ("width", "height", "max-height", "max-width")
    )
    away = style.get("position") in ("absolute", "fixed") and any(
        (size := _size(style.get(side, ""))) is not None and size <= -500
        for side in ("left", "top", "right", "bottom")
    )
    indent = _size(style.get("text-indent", ""))
    clip = style.get("clip", "").replace(" ", "").replace(",", "")
    path = style.get("clip-path", "").replace(" ", "")
    return (
        style.get("display") == "none"
        or style.get("content-visibility") == "hidden"
        or (bool(opacity) and (share := _size(opacity)) is not None and share <= 0.01)
        or (cut and flat)
        or away
        or (indent is not None and indent <= -500)
        or clip in ("rect(0000)", "rect(0px0px0px0px)", "rect(1px1px1px1px)")
        or path in ("inset(50%)", "inset(100%)", "circle(0)", "circle(0px)")
        or "scale(0)" in style.get("transform", "").replace(" ", "")
    )


def _size(value: str) -> float | None:
    """The number of a length, whatever its unit; None for no number."""
    found = _NUMBER.fullmatch(value)
    try:
        return float(found[1]) if found else None
    except ValueError:
        return None


def _tiny(value: str) -> bool:
    size = _size(value)
    return size is not None and (size <= 0 or (size <= 1 and value.endswith(("px", "pt"))))


def _color(value: str) -> str:
    """A colour as six hexadecimal digits, "transparent", or a name of its own; "" for what is
    none, or is inherited."""
    value = value.split(" ")[0] if "(" not in value else value
    if value in ("", "inherit", "initial", "unset", "currentcolor", "none"):
        return ""
    if value.startswith("#"):
        digits = value[1:]
        if len(digits) in (4, 8) and set(digits[len(digits) * 3 // 4 :]) == {"0"}:
            return "transparent"
        short = "".join(2 * one for one in digits[:3]) if len(digits) < 5 else digits[:6]
        return _near_white(short)
    if found := _CHANNELS.search(value):
        parts = found[1].replace(",", " ").replace("/", " ").split()
        if len(parts) > 3 and _size(parts[3]) == 0:
            return "transparent"
        numbers = [_size(part) for part in parts[:3]]
        if len(numbers) == 3 and all(one is not None and 0 <= one <= 255 for one in numbers):
            return _near_white("".join(f"{round(one or 0):02x}" for one in numbers))
    return _near_white(_COLORS.get(value, value))


def _near_white(color: str) -> str:
    """Shades of white that nobody tells from it count as white."""
    try:
        near = len(color) == 6 and all(int(color[at : at + 2], 16) >= 0xF0 for at in (0, 2, 4))
    except ValueError:
        return color
    return "ffffff" if near else color
