"""Which text of an HTML page is hidden from readers, by its open tags and style sheets.

Each tag takes constant time, independent of the nesting depth.
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
# A start tag closes an open tag of the first tuple, unless one of the second was opened since.
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
_STYLE_ATTRIBUTES = ("hidden", "style", "color", "size", "dialog", "popover")
_ATTRIBUTE = re.compile(r"([^\s=/>\"']++)(?:\s*+=\s*+(\"[^\"]*+\"|'[^']*+'|[^\s\"'>]*+))?+")
_COMMENT = re.compile(r"/\*(?:.*?\*/|.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.DOTALL)
# Each match consumes what it has scanned, which keeps the time linear.
_BRACE = re.compile(r"([^{}]*+)([{}]|\Z)")
_SELECTOR = re.compile(r"[a-z][a-z0-9]*+|[a-z0-9]*+[.#][\w-]++|\[[\w-]++\]")
_NUMBER = re.compile(r"([+-]?\d*+\.?\d*+)(px|pt|em|rem|ex|ch|%|vw|vh|in|cm|mm)?")
_CHANNELS = re.compile(r"rgba?\(([^()]*+)\)")
_COLORS = {"white": "ffffff", "black": "000000", "snow": "fffafa", "whitesmoke": "f5f5f5"}


@dataclass(frozen=True, slots=True)
class _Style:
    """The effect of a tag on its content: ``removed`` holds for all of it, the rest can be
    overridden inside."""

    removed: bool = False
    invisible: bool = False
    tiny: bool = False
    color: str = ""
    background: str = ""
    styled: bool = False

    @property
    def hidden(self) -> bool:
        same = bool(self.color) and self.color == (
            self.background or ("" if self.styled else "ffffff")
        )
        return self.removed or self.invisible or self.tiny or same or self.color == "transparent"


class OpenTags:
    """The stack of open tags while a page is read.

    Text is ``hidden`` by the attributes hidden and aria-hidden="true"; by the styles display:none,
    visibility:hidden, opacity:0, zero font size, width or height, a position outside the page, an
    empty clip, or text in the colour of its background (white by default, unless a class or style
    sheet may set another); inside template, noscript and closed dialogs; and in fallback content
    of pictures and frames.

    >>> tags = OpenTags()
    >>> tags.start("div", ' style="display: none"')
    >>> tags.hidden
    True
    """

    def __init__(self) -> None:
        self._styles = [_Style()]
        self._names = [""]
        self._indices: dict[str, list[int]] = {}
        self._styled = False
        self._sheet_rules: dict[str, bool] = {}

    @property
    def hidden(self) -> bool:
        """Whether text at the current place is hidden."""
        return self._styles[-1].hidden

    def start(self, name: str, attributes: str) -> None:
        """Open a tag, which closes some open tags."""
        if name in _BLOCKS:
            self._close_implied(("p",), ("table", "button", "td", "th"))
        if name in _IMPLIED:
            self._close_implied(*_IMPLIED[name])
        # A style sheet may give any background to what follows.
        self._styled = self._styled or name in ("style", "link")
        if name in _VOID or (name == "svg" and attributes.endswith("/")):
            return
        self._indices.setdefault(name, []).append(len(self._names))
        self._names.append(name)
        style = self._styles[-1]
        if name in _SILENT:
            style = replace(style, removed=True)
        elif not style.removed:
            style = _inner_style(style, name, attributes, self._styled, self._sheet_rules)
        self._styles.append(style)

    def sheet(self, text: str) -> None:
        """Add the rules of a style sheet that hide or show elements by a single tag, class, id or
        attribute; other selectors and rules within ``@media`` are ignored."""
        if self._names[-1] != "style":
            return
        open_rules: list[str] = []
        for match in _BRACE.finditer(_COMMENT.sub("", text.lower())):
            if match[2] == "{":
                open_rules.append(match[1].rpartition(";")[2].strip())
            elif match[2] and open_rules:
                selectors = open_rules.pop()
                if not open_rules and not selectors.startswith("@"):
                    self._rule(selectors, _declarations(match[1]))

    def _rule(self, selectors: str, style: dict[str, str]) -> None:
        hides = _is_hidden_by_style(style) or style.get("visibility") in ("hidden", "collapse")
        if not hides and not {"display", "visibility", "opacity"} & style.keys():
            return
        for one in selectors.split(","):
            if _SELECTOR.fullmatch(one := one.strip()) and one not in ("html", "body"):
                self._sheet_rules[one] = hides

    def end(self, name: str) -> None:
        """Close a tag and all tags opened in it; ignored if it is not open."""
        if places := self._indices.get(name):
            self._truncate(places[-1])

    def _close_implied(self, names: tuple[str, ...], walls: tuple[str, ...]) -> None:
        found = max(map(self._last_index, names))
        if found > max(map(self._last_index, walls)):
            self._truncate(found)

    def _last_index(self, name: str) -> int:
        places = self._indices.get(name)
        return places[-1] if places else 0

    def _truncate(self, place: int) -> None:
        while len(self._names) > place:
            self._indices[self._names.pop()].pop()
            self._styles.pop()


def _inner_style(
    outer: _Style, name: str, attributes: str, styled: bool, sheet: Mapping[str, bool]
) -> _Style:
    if styled and not outer.styled:
        outer = replace(outer, styled=True)
    keywords = (*_STYLE_ATTRIBUTES, "class", "width", "&")
    text = attributes.lower()
    if name != "dialog" and not sheet and not any(keyword in text for keyword in keywords):
        return outer
    values: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(attributes):
        value = unescape((match[2] or "").strip("\"'"))
        values.setdefault(match[1].lower(), value.strip().lower())
    css = _declarations(values.get("style", ""))
    removed = (
        "hidden" in values
        or "popover" in values
        or values.get("aria-hidden") == "true"
        or (name == "dialog" and "open" not in values)
        or _is_hidden_by_style(css)
        or ("display" not in css and _is_hidden_by_sheet(name, values, sheet))
    )
    color = _color(css.get("color", values.get("color", ""))) or outer.color
    background = css.get("background-color", css.get("background", values.get("bgcolor", "")))
    if "class" in values or "url(" in background or "gradient" in background:
        outer = replace(outer, styled=True, background="")
    visibility = css.get("visibility")
    size = css.get("font-size", "0" if values.get("size") == "0" else "")
    return replace(
        outer,
        removed=outer.removed or removed,
        invisible=visibility in ("hidden", "collapse") if visibility else outer.invisible,
        tiny=_is_tiny(size) if size else outer.tiny,
        color=color,
        background=_color(background) or outer.background,
    )


def _is_hidden_by_sheet(name: str, given: Mapping[str, str], sheet: Mapping[str, bool]) -> bool:
    """Whether the page's style sheets hide a tag; the most specific rule decides."""
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


def _declarations(style: str) -> dict[str, str]:
    plain = _ESCAPE.sub(_unescaped, _COMMENT.sub("", style))
    pairs = (part.partition(":") for part in plain.split(";"))
    return {name.strip(): value.replace("!important", "").strip() for name, _, value in pairs}


def _is_hidden_by_style(style: dict[str, str]) -> bool:
    """Whether a style hides its content, independent of the content's own styles."""
    if not style:
        return False
    opacity = style.get("opacity", "")
    cut = style.get("overflow", style.get("overflow-y", "")) in ("hidden", "clip")
    flat = any(
        _is_tiny(style.get(side, "")) for side in ("width", "height", "max-height", "max-width")
    )
    away = style.get("position") in ("absolute", "fixed") and any(
        (size := _length(value := style.get(side, ""))) is not None
        and size <= (-100 if value.endswith(("%", "vw", "vh", "em")) else -500)
        for side in ("left", "top", "right", "bottom")
    )
    shifts = (_length(style.get(side, "")) for side in ("margin-left", "margin-top"))
    font = style.get("font", "").split("/")[0].split(" ")[-1]
    indent = _length(style.get("text-indent", ""))
    clip = style.get("clip", "").replace(" ", "").replace(",", "")
    path = style.get("clip-path", "").replace(" ", "")
    return (
        style.get("display") == "none"
        or style.get("content-visibility") == "hidden"
        or (bool(opacity) and (share := _length(opacity)) is not None and share <= 0.01)
        or (cut and flat)
        or away
        or any(size is not None and size <= -999 for size in shifts)
        or ("/" in style.get("font", "") and _length(font) == 0)
        or _length(style.get("zoom", "")) == 0
        or style.get("filter", "").replace(" ", "") in ("opacity(0)", "opacity(0%)")
        or (indent is not None and indent <= -500)
        or clip in ("rect(0000)", "rect(0px0px0px0px)", "rect(1px1px1px1px)")
        or path in ("inset(50%)", "inset(100%)", "circle(0)", "circle(0px)")
        or "scale(0)" in style.get("transform", "").replace(" ", "")
    )


def _length(value: str) -> float | None:
    """The number of a length without its unit; None if it is no number."""
    found = _NUMBER.fullmatch(value)
    try:
        return float(found[1]) if found else None
    except ValueError:
        return None


def _is_tiny(value: str) -> bool:
    size = _length(value)
    return size is not None and (size <= 0 or (size <= 1 and value.endswith(("px", "pt"))))


def _color(value: str) -> str:
    """A colour as six hexadecimal digits, "transparent", or an unknown name; "" if it is inherited
    or no colour."""
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
        if len(parts) > 3 and _length(parts[3]) == 0:
            return "transparent"
        numbers = [_length(part) for part in parts[:3]]
        if len(numbers) == 3 and all(one is not None and 0 <= one <= 255 for one in numbers):
            return _near_white("".join(f"{round(one or 0):02x}" for one in numbers))
    return _near_white(_COLORS.get(value, value))


def _near_white(color: str) -> str:
    try:
        near = len(color) == 6 and all(int(color[at : at + 2], 16) >= 0xF0 for at in (0, 2, 4))
    except ValueError:
        return color
    return "ffffff" if near else color
