"""The open tags of an HTML page, and whether they hide what stands in them from people.

Each tag costs the same, however deep the page nests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import unescape

_VOID_NAMES = "area base br col embed hr img input link meta param source track wbr frame keygen"
_SILENT_NAMES = (
    "script style template noscript svg iframe noembed noframes datalist canvas audio video "
    "object rp"
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
_WORDS = ("hidden", "style", "color", "size", "dialog", "popover")
_ATTRIBUTE = re.compile(r"([^\s=/>\"']++)(?:\s*+=\s*+(\"[^\"]*+\"|'[^']*+'|[^\s\"'>]*+))?+")
_COMMENT = re.compile(r"/\*(?:.*?\*/|.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.DOTALL)
# Each match takes in what it has looked at, up to the end.
_BRACE = re.compile(r"([^{}]*+)([{}]|\Z)")
_SELECTOR = re.compile(r"[a-z][a-z0-9]*+|[a-z0-9]*+[.#][\w-]++|\[[\w-]++\]")
_NUMBER = re.compile(r"([+-]?\d*+\.?\d*+)(px|pt|em|rem|ex|ch|%|vw|vh|in|cm|mm)?")
_CHANNELS = re.compile(r"rgba?\(([^()]*+)\)")
_COLORS = {"white": "ffffff", "black": "000000", "snow": "fffafa", "whitesmoke": "f5f5f5"}


@dataclass(frozen=True, slots=True)
class _Style:
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
        self._looks = [_Style()]
        self._names = [""]
        self._places: dict[str, list[int]] = {}
        self._styled = False
        self._sheet: dict[str, bool] = {}

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
            look = _changed(look, name, attributes, self._styled, self._sheet)
        self._looks.append(look)

    def sheet(self, text: str) -> None:
        """Take in the rules of a style sheet that hide what has one tag, class, id or attribute;
        other selectors, and rules for some media alone, are not applied."""
        if self._names[-1] != "style":
            return
        open_rules: list[str] = []
        for found in _BRACE.finditer(_COMMENT.sub("", text.lower())):
            if found[2] == "{":
                open_rules.append(found[1].rpartition(";")[2].strip())
            elif found[2] and open_rules:
                selectors = open_rules.pop()
                if not open_rules and not selectors.startswith("@"):
                    self._rule(selectors, _declared(found[1]))

    def _rule(self, selectors: str, style: dict[str, str]) -> None:
        hides = _removed(style) or style.get("visibility") in ("hidden", "collapse")
        if not hides and not {"display", "visibility", "opacity"} & style.keys():
            return
        for one in selectors.split(","):
            if _SELECTOR.fullmatch(one := one.strip()) and one not in ("html", "body"):
                self._sheet[one] = hides

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


def _changed(
    look: _Style, name: str, attributes: str, styled: bool, sheet: Mapping[str, bool]
) -> _Style:
    """The look inside a tag."""
    low = attributes.lower()
    if styled and not look.styled:
        look = replace(look, styled=True)
    words = (*_WORDS, "class", "width", "&")
    if name != "dialog" and not sheet and not any(word in low for word in words):
        return look
    given: dict[str, str] = {}
    for found in _ATTRIBUTE.finditer(attributes):
        value = unescape((found[2] or "").strip("\"'"))
        given.setdefault(found[1].lower(), value.strip().lower())
    style = _declared(given.get("style", ""))
    gone = (
        "hidden" in given
        or "popover" in given
        or given.get("aria-hidden") == "true"
        or (name == "dialog" and "open" not in given)
        or _removed(style)
        or ("display" not in style and _by_sheet(name, given, sheet))
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


def _by_sheet(name: str, given: Mapping[str, str], sheet: Mapping[str, bool]) -> bool:
    """Whether the page's style sheets hide a tag, the more exact rule before the less."""
    if not sheet:
        return False
    classes, own = given.get("class", "").split(), given.get("id", "")
    return next(
        (
            sheet[one]
            for one in (
                *((f"{name}#{own}", f"#{own}") if own else ()),
                *(f"{name}.{one}" for one in classes),
                *(f".{one}" for one in classes),
                *(f"[{one}]" for one in given),
                name,
            )
            if one in sheet
        ),
        False,
    )


def _unescaped(found: re.Match[str]) -> str:
    code = int(found[1], 16) if found[1] else 0
    return found[2] or (chr(code) if 0 < code <= 0x10FFFF else "")


def _declared(style: str) -> dict[str, str]:
    """The declarations of a style attribute."""
    plain = _ESCAPE.sub(_unescaped, _COMMENT.sub("", style))
    pairs = (part.partition(":") for part in plain.split(";"))
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
        (size := _size(value := style.get(side, ""))) is not None
        and size <= (-100 if value.endswith(("%", "vw", "vh", "em")) else -500)
        for side in ("left", "top", "right", "bottom")
    )
    shifts = (_size(style.get(side, "")) for side in ("margin-left", "margin-top"))
    font = style.get("font", "").split("/")[0].split(" ")[-1]
    indent = _size(style.get("text-indent", ""))
    clip = style.get("clip", "").replace(" ", "").replace(",", "")
    path = style.get("clip-path", "").replace(" ", "")
    return (
        style.get("display") == "none"
        or style.get("content-visibility") == "hidden"
        or (bool(opacity) and (share := _size(opacity)) is not None and share <= 0.01)
        or (cut and flat)
        or away
        or any(size is not None and size <= -999 for size in shifts)
        or ("/" in style.get("font", "") and _size(font) == 0)
        or _size(style.get("zoom", "")) == 0
        or style.get("filter", "").replace(" ", "") in ("opacity(0)", "opacity(0%)")
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
