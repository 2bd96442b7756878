"""The shortest way to complete a JSON text that a schema's grammar has let begin.

How a number, or a string with a pattern, can end from where a grammar stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import Json
from .schema_ir import FILLER, SchemaIR, SchemaNode, ValueShape, json_text, more_texts

LEXEME = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[ \n\r\t]+|[^\s{}\[\],:"]+', re.S)
ESCAPE = re.compile(r"\\.", re.S)
ScalarEnding = Callable[[bytes], "str | None"]
EndingSearch = Callable[[], "str | None"]


class OpenContainer:
    """An open object or array. ``state``: open, colon, value, done or comma. ``members``:
    the texts of the properties that are whole by name, or of the elements by number (None:
    an object or an array). ``has_duplicate``: an element came again."""

    __slots__ = ("bracket", "count", "has_duplicate", "key", "members", "seen", "state")

    def __init__(self, kind: str) -> None:
        self.bracket = kind
        self.state = "open"
        self.key = ""
        self.count = 0
        self.members: dict[str, str | None] = {}
        self.seen: dict[str, None] = {}
        self.has_duplicate = False

    def copy(self) -> OpenContainer:
        """A frame of its own."""
        made = OpenContainer(self.bracket)
        made.state, made.key, made.count = self.state, self.key, self.count
        made.members, made.seen, made.has_duplicate = (
            dict(self.members),
            dict(self.seen),
            self.has_duplicate,
        )
        return made


class PartialJson:
    """The beginning of a JSON text: its open objects and arrays, and the scalar being written.

    ``duplicate_key``: a property was named twice, which readers of JSON take for one.
    """

    def __init__(self) -> None:
        self.frames: list[OpenContainer] = []
        self.pending = ""
        self.separator = ""
        self.partial_bytes = b""
        self.duplicate_key = False

    def copy(self) -> PartialJson:
        """A beginning of its own."""
        made = PartialJson()
        made.frames = [frame.copy() for frame in self.frames]
        made.pending, made.separator, made.partial_bytes = (
            self.pending,
            self.separator,
            self.partial_bytes,
        )
        made.duplicate_key = self.duplicate_key
        return made

    def feed(self, more: bytes) -> None:
        """Go on by some bytes, which may end within a character."""
        text, self.partial_bytes = _decode_prefix(self.partial_bytes + more)
        text = self.pending + text
        at = 0
        while found := LEXEME.match(text, at):
            word = found.group()
            if word[0] not in '"{}[],: \n\r\t' and found.end() == len(text):
                break  # a number or a word may go on
            at = found.end()
            self._add_lexeme(word)
        self.pending = text[at:]

    @property
    def in_key(self) -> bool:
        """Whether a property's name is being written, or must come."""
        return self.state in ("{open", "{comma")

    @property
    def state(self) -> str:
        """The innermost frame's kind and state; empty outside of any."""
        return self.frames[-1].bracket + self.frames[-1].state if self.frames else ""

    @property
    def in_array(self) -> bool:
        """Whether an array's element is being written, or may be begun."""
        return bool(self.frames) and self.frames[-1].bracket == "["

    def _add_lexeme(self, word: str) -> None:
        frame = self.frames[-1] if self.frames else None
        if word.isspace():
            self.separator = ""
        elif word in ",:":
            self.separator = " "
            if frame:
                frame.state = "value" if word == ":" else "comma"
        elif word in "{[":
            self.separator = ""
            self.frames.append(OpenContainer(word))
        elif word in "}]":
            self.frames.pop()
            self._end_value(None)
        elif frame is not None and self.in_key:
            self.separator = ""
            frame.key = _decode_string(word)
            self.duplicate_key |= frame.key in frame.members
            frame.state = "colon"
        else:
            self.separator = ""
            self._end_value(word)

    def _end_value(self, word: str | None) -> None:
        if self.frames:
            frame = self.frames[-1]
            frame.members[frame.key if frame.bracket == "{" else str(frame.count)] = word
            if frame.bracket == "[":
                same = f"element {frame.count}" if word is None else json_text(_parse_scalar(word))
                frame.has_duplicate |= same in frame.seen
                frame.seen[same] = None
            frame.count += 1
            frame.state = "done"


def _parse_scalar(word: str) -> Json:
    try:
        return json.loads(word)
    except ValueError:
        return word


def _decode_string(word: str) -> str:
    return str(_parse_scalar(word))


def _decode_prefix(raw: bytes) -> tuple[str, bytes]:
    """The whole characters, and the bytes of one that is not whole."""
    for cut in range(min(4, len(raw) + 1)):
        try:
            return raw[: len(raw) - cut].decode(), raw[len(raw) - cut :]
        except UnicodeDecodeError:
            continue
    return raw.decode(errors="replace"), b""


def _complete_character(broken: bytes) -> bytes:
    """The bytes that make a whole character of its beginning."""
    if not broken:
        return b""
    lead = broken[0]
    missing = (2 if lead < 0xE0 else 3 if lead < 0xF0 else 4) - len(broken)
    for first in (0x80, 0xA0, 0x90, 0xBF):
        more = (bytes([first]) + b"\x80" * 3)[:missing]
        if not _decode_prefix(broken + more)[1]:
            return more
    return b""


class JsonCompleter:
    """Completes the beginnings of one schema's values."""

    def __init__(self, shapes: SchemaIR) -> None:
        self._schema_ir = shapes

    def shortest_completion(self, begun: PartialJson, ending: ScalarEnding) -> bytes | None:
        """The shortest text known that completes the value; None where none is known.

        ``ending`` finds what ends a number, or a string with a pattern or a format, at the
        present place of the grammar, once it has taken some bytes.
        """
        lone = (len(begun.pending) - len(begun.pending.rstrip("\\"))) % 2
        first = _complete_character(begun.partial_bytes) + b"n" * lone
        if first:
            begun = begun.copy()
            begun.feed(first)
        text = self._value(begun, 0, self._schema_ir.root, lambda: ending(first))
        return None if text is None else first + text.encode()

    def _value(
        self, begun: PartialJson, depth: int, node: SchemaNode | None, ending: EndingSearch
    ) -> str | None:
        if node is None:
            return None
        if depth == len(begun.frames):
            if not begun.pending:
                return None if node.shortest is None else begun.separator + node.shortest
            return self._scalar(begun.pending, node, ending)
        frame = begun.frames[depth]
        texts: list[str] = []
        for shape in node.alternatives or ():
            if shape.kind == "object" and frame.bracket == "{" and _may_be_object(shape, frame):
                texts += self._object(begun, depth, shape, ending)
            elif shape.kind == "array" and frame.bracket == "[" and _may_be_array(shape, frame):
                texts += self._array(begun, depth, shape, ending)
        return self._schema_ir.cheapest(texts)

    def _scalar(self, begun: str, node: SchemaNode, ending: EndingSearch) -> str | None:
        texts = []
        for shape in node.alternatives or ():
            if shape.kind == "literal":
                texts += [t[len(begun) :] for t in shape.texts if t.startswith(begun)]
            elif shape.kind == "string" and begun[0] == '"' and not shape.constrained:
                size = len(ESCAPE.sub("x", begun[1:]))
                texts.append(f'{FILLER * (shape.min_size - size)}"')
            elif shape.kind == _lexeme_kind(begun):
                found = ending()
                if found is not None and _is_multiple(shape, begun + found):
                    texts.append(found)
        return self._schema_ir.cheapest(texts)

    def _array(
        self, begun: PartialJson, depth: int, shape: ValueShape, ending: EndingSearch
    ) -> Iterator[str]:
        frame = begun.frames[depth]
        inmost = depth == len(begun.frames) - 1
        if inmost and (frame.state == "done" or (frame.state == "open" and not begun.pending)):
            yield from self._close_array(shape, dict(frame.seen))
            return
        inner = self._value(begun, depth + 1, shape.element(frame.count), ending)
        if inner is None:
            return
        there: dict[str, object] = dict(frame.seen)
        last = f"element {frame.count}"
        if shape.unique:
            inner, last = self._distinct_element(begun, inner, shape.element(frame.count), there)
        if inner is not None:
            yield from (inner + text for text in self._close_array(shape, {**there, last: None}))

    def _distinct_element(
        self, begun: PartialJson, inner: str, node: SchemaNode | None, there: Mapping[str, object]
    ) -> tuple[str | None, str]:
        """An element that is not there yet, as it begins, and its text."""
        tries = [inner]
        if begun.pending.startswith('"'):
            tries += [FILLER * more + '"' for more in range(1, 20)]
        elif begun.pending:
            tries += [f"{inner}{digit}" for digit in "123456789"]
        for shape in node.alternatives if node and node.alternatives else ():
            tries += [
                (begun.separator if not begun.pending else "") + text[len(begun.pending) :]
                for text in shape.texts
                if text.startswith(begun.pending)
            ]
        if node and not begun.pending:
            tries += [begun.separator + text for text in more_texts(node)]
        for more in tries:
            same = json_text(_parse_scalar((begun.pending + more).strip()))
            if same not in there:
                return more, same
        return None, ""

    def _close_array(self, shape: ValueShape, there: Mapping[str, object]) -> Iterator[str]:
        """What closes an array with the elements ``there``."""
        more = self._schema_ir.missing_elements(shape, there)
        if more is not None:
            comma = ", " if there and more else ""
            yield f"{comma}{', '.join(more)}]"

    def _object(
        self, begun: PartialJson, depth: int, shape: ValueShape, ending: EndingSearch
    ) -> Iterator[str]:
        frame = begun.frames[depth]
        there: dict[str, str | None] = dict(frame.members)
        if depth < len(begun.frames) - 1 or frame.state == "value":
            inner = self._value(begun, depth + 1, shape.member(frame.key), ending)
            there[frame.key] = None
        elif frame.state == "colon":
            node = shape.member(frame.key)
            inner = f": {node.shortest}" if node and node.shortest is not None else None
            there[frame.key] = None
        elif frame.state == "done":
            inner = ""
        else:
            yield from self._open_property(begun, shape, frame, ending)
            return
        if inner is not None:
            yield from (inner + text for text in self._close_object(shape, there))

    def _close_object(self, shape: ValueShape, there: Mapping[str, object]) -> Iterator[str]:
        """What closes an object with the properties ``there``."""
        more = self._schema_ir.missing_members(shape, there)
        if more is not None:
            comma = ", " if there and more else ""
            yield f"{comma}{', '.join(more)}}}"

    def _open_property(
        self, begun: PartialJson, shape: ValueShape, frame: OpenContainer, ending: EndingSearch
    ) -> Iterator[str]:
        """What closes an object in which a property's name is begun, or must come."""
        if frame.state == "open" and not begun.pending:
            yield from self._close_object(shape, {})
        for name in self._next_names(shape, frame):
            quoted, node = json_text(name), shape.member(name)
            if quoted.startswith(begun.pending) and node and node.shortest is not None:
                there = {**frame.members, name: None}
                opening = f"{begun.separator}{quoted[len(begun.pending) :]}: {node.shortest}"
                yield from (opening + text for text in self._close_object(shape, there))
        if begun.pending and shape.additional:
            yield from self._free_name(begun, shape, frame, ending)

    def _next_names(self, shape: ValueShape, frame: OpenContainer) -> list[str]:
        """The names that may come next: those after the last one, up to a required one."""
        named = list(dict.fromkeys([*shape.properties, *shape.required]))
        used = [place for place, name in enumerate(named) if name in frame.members]
        names = []
        for name in named[used[-1] + 1 if used else 0 :]:
            names.append(name)
            if name in shape.required:
                return names
        fresh = (a for a in "abcdefghijklmnopqrstuvwxyz" if a not in frame.members)
        letter = next((a for a in fresh if a not in named and shape.member(a)), None)
        return [*names, *([letter] if letter else [])]

    def _free_name(
        self, begun: PartialJson, shape: ValueShape, frame: OpenContainer, ending: EndingSearch
    ) -> Iterator[str]:
        end = ending()
        if end is None:
            return
        name = _decode_string(begun.pending + end)
        while name in frame.members or name in shape.properties:
            end, name = f"_{end}", f"{name}_"
        node = shape.member(name)
        if node and node.shortest is not None:
            there = {**frame.members, name: None}
            for text in self._close_object(shape, there):
                yield f"{end}: {node.shortest}{text}"


def _may_be_object(shape: ValueShape, frame: OpenContainer) -> bool:
    """Whether an object that begins like that may be of this shape."""
    return all(_accepts(shape.member(name), text) for name, text in frame.members.items())


def _may_be_array(shape: ValueShape, frame: OpenContainer) -> bool:
    """Whether an array that begins like that may be of this shape."""
    if shape.unique and frame.has_duplicate:
        return False
    return all(_accepts(shape.element(int(n)), text) for n, text in frame.members.items())


def _accepts(node: SchemaNode | None, text: str | None) -> bool:
    """Whether a value of that text (None: an object or an array) may stand there."""
    if node is None:
        return False
    for shape in node.alternatives or ():
        if text is None:
            fits = shape.kind in ("array", "object")
        elif shape.kind == "literal":
            fits = text in shape.texts
        elif shape.kind == "number":
            fits = _lexeme_kind(text) == "number" and _is_multiple(shape, text)
        else:
            fits = shape.kind == "string" == _lexeme_kind(text)
        if fits:
            return True
    return False


def _lexeme_kind(text: str) -> str:
    return "string" if text[0] == '"' else "number" if text[0] in "-0123456789" else "word"


def _is_multiple(shape: ValueShape, text: str) -> bool:
    """Whether validators, who divide in floating point, find a number to be a multiple."""
    if not shape.multiple_of:
        return True
    try:
        return (float(text) / shape.multiple_of).is_integer()
    except OverflowError:
        return False


MAX_LENGTH = 400
BEAM_WIDTH = 24
MAX_BRANCHES = 12
BYTE_ORDER = "0159aeAZ.-:@/T+_ 2346780bcdfxz"


class ScalarCompleter:
    """The tokens of one byte each, which every byte-level vocabulary has."""

    def __init__(self, table: Any, vocabulary: int, words: int) -> None:
        self._mask: NDArray[np.int32] = np.zeros(words, dtype=np.int32)
        self._tokens: dict[bytes, int] = {}
        for token in range(vocabulary):
            if not table.is_special_token(token):
                raw = table.decode_bytes([token])
                if len(raw) == 1:
                    self._tokens.setdefault(raw, token)
        order = dict.fromkeys(
            [c.encode() for c in BYTE_ORDER] + [bytes([i]) for i in range(32, 256)]
        )
        self._ordered_bytes = [
            (one, self._tokens[one]) for one in order if one in self._tokens and one not in b'"\\'
        ]
        self._quote_token = self._tokens.get(b'"', -1)
        self._stop_tokens = [
            [self._tokens[one]] for one in (b",", b"}", b"]") if one in self._tokens
        ]

    def shortest_ending(self, matcher: Any, first: bytes, string: bool) -> str | None:
        """The shortest text, in characters, after which the scalar that is being written may
        end, once ``first`` is written too (a string's closing quote is part of it); None where
        the search finds none.

        Breadth first over single bytes. Of the states that one more byte leads to only one
        is kept for each set of bytes allowed next, so the text may not be the very shortest.
        """
        start = matcher.deep_copy()
        for one in first:
            start.consume_token(self._tokens.get(bytes([one]), -1))
        if start.is_error():
            return None
        layer = [(start, b"")]
        for _ in range(MAX_LENGTH):
            found: dict[bytes, tuple[Any, bytes]] = {}
            for state, text in layer:
                if string and state.validate_tokens([self._quote_token]):
                    return _decode_or_none(text + b'"')
                if not string and (
                    state.is_accepting() or any(map(state.validate_tokens, self._stop_tokens))
                ):
                    return _decode_or_none(text)
                for byte, token in self._next_bytes(state):
                    after = state.deep_copy()
                    after.consume_token(token)
                    if len(found) < BEAM_WIDTH:
                        found.setdefault(self._signature(after), (after, text + byte))
            layer = list(found.values())
            if not layer:
                return None
        return None

    def _signature(self, state: Any) -> bytes:
        state.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        return self._mask.tobytes()

    def _next_bytes(self, state: Any) -> Iterator[tuple[bytes, int]]:
        """Some of the bytes allowed: few stand for many where many are. The mask does not
        say, for where text is forced it holds only the longest token of it."""
        count = 0
        for byte, token in self._ordered_bytes:
            if state.validate_tokens([token]):
                yield byte, token
                count += 1
                if count == MAX_BRANCHES:
                    return


def _decode_or_none(text: bytes) -> str | None:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return None
