"""The shortest completion of a partial JSON text, so that a value ends within a token limit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import Json
from .schema_ir import FILLER, SchemaIR, SchemaNode, ValueShape, json_text, more_texts

LEXEME = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[ \n\r\t]+|[^\s{}\[\],:"]+', re.S)
ESCAPE = re.compile(r"\\.", re.S)
ScalarEnding = Callable[[bytes], "str | None"]
EndingSearch = Callable[[], "str | None"]


@dataclass(slots=True)
class OpenContainer:
    """An object or array that is not closed yet.

    ``state``, after the last lexeme: open, colon, value, done or comma. ``members`` are the texts
    of the complete properties by name, or of the elements by index; None for an object or array.
    ``has_duplicate``: two elements are equal.
    """

    bracket: str
    state: str = "open"
    key: str = ""
    count: int = 0
    members: dict[str, str | None] = field(default_factory=dict)
    seen: dict[str, None] = field(default_factory=dict)
    has_duplicate: bool = False

    def copy(self) -> OpenContainer:
        """An independent copy."""
        return replace(self, members=dict(self.members), seen=dict(self.seen))


@dataclass(slots=True)
class PartialJson:
    """The state of an incomplete JSON text: its open containers and its incomplete scalar.

    ``pending`` is the text of the scalar, ``partial_bytes`` an incomplete UTF-8 character.
    ``duplicate_key``: an object has two properties of one name, of which parsers keep one.
    """

    containers: list[OpenContainer] = field(default_factory=list)
    pending: str = ""
    separator: str = ""
    partial_bytes: bytes = b""
    duplicate_key: bool = False

    def copy(self) -> PartialJson:
        """An independent copy."""
        return replace(self, containers=[container.copy() for container in self.containers])

    def feed(self, data: bytes) -> None:
        """Append bytes, which may end within a character."""
        text, self.partial_bytes = _decode_prefix(self.partial_bytes + data)
        text = self.pending + text
        end = 0
        while match := LEXEME.match(text, end):
            lexeme = match.group()
            if lexeme[0] not in '"{}[],: \n\r\t' and match.end() == len(text):
                break  # a number or a literal may continue
            end = match.end()
            self._add_lexeme(lexeme)
        self.pending = text[end:]

    @property
    def in_key(self) -> bool:
        """Whether the next lexeme is a property's name."""
        return self.state in ("{open", "{comma")

    @property
    def state(self) -> str:
        """The innermost container's bracket and state; empty outside of any container."""
        return self.containers[-1].bracket + self.containers[-1].state if self.containers else ""

    @property
    def in_array(self) -> bool:
        """Whether the innermost container is an array."""
        return bool(self.containers) and self.containers[-1].bracket == "["

    def _add_lexeme(self, lexeme: str) -> None:
        container = self.containers[-1] if self.containers else None
        if lexeme.isspace():
            self.separator = ""
        elif lexeme in ",:":
            self.separator = " "
            if container:
                container.state = "value" if lexeme == ":" else "comma"
        elif lexeme in "{[":
            self.separator = ""
            self.containers.append(OpenContainer(lexeme))
        elif lexeme in "}]":
            self.containers.pop()
            self._end_value(None)
        elif container is not None and self.in_key:
            self.separator = ""
            container.key = _decode_string(lexeme)
            self.duplicate_key |= container.key in container.members
            container.state = "colon"
        else:
            self.separator = ""
            self._end_value(lexeme)

    def _end_value(self, lexeme: str | None) -> None:
        if self.containers:
            container = self.containers[-1]
            container.members[
                container.key if container.bracket == "{" else str(container.count)
            ] = lexeme
            if container.bracket == "[":
                text = (
                    f"element {container.count}"
                    if lexeme is None
                    else json_text(_parse_scalar(lexeme))
                )
                container.has_duplicate |= text in container.seen
                container.seen[text] = None
            container.count += 1
            container.state = "done"


def _parse_scalar(lexeme: str) -> Json:
    try:
        return json.loads(lexeme)
    except ValueError:
        return lexeme


def _decode_string(lexeme: str) -> str:
    return str(_parse_scalar(lexeme))


def _decode_prefix(data: bytes) -> tuple[str, bytes]:
    """The complete characters, and the bytes of an incomplete one at the end."""
    for size in range(min(4, len(data) + 1)):
        try:
            return data[: len(data) - size].decode(), data[len(data) - size :]
        except UnicodeDecodeError:
            continue
    return data.decode(errors="replace"), b""


def _complete_character(prefix: bytes) -> bytes:
    """The bytes that complete a UTF-8 character."""
    if not prefix:
        return b""
    lead = prefix[0]
    missing = (2 if lead < 0xE0 else 3 if lead < 0xF0 else 4) - len(prefix)
    for second in (0x80, 0xA0, 0x90, 0xBF):
        rest = (bytes([second]) + b"\x80" * 3)[:missing]
        if not _decode_prefix(prefix + rest)[1]:
            return rest
    return b""


class JsonCompleter:
    """Completes partial values of one schema."""

    def __init__(self, schema_ir: SchemaIR) -> None:
        self._schema_ir = schema_ir

    def shortest_completion(self, partial: PartialJson, find_ending: ScalarEnding) -> bytes | None:
        """The shortest text found that completes the value; None where none is found.

        ``find_ending`` returns the rest of the scalar that the grammar is in, a number or a string
        with a pattern or format, after the bytes it is given.
        """
        odd_backslashes = (len(partial.pending) - len(partial.pending.rstrip("\\"))) % 2
        first = _complete_character(partial.partial_bytes) + b"n" * odd_backslashes
        if first:
            partial = partial.copy()
            partial.feed(first)
        text = self._value(partial, 0, self._schema_ir.root, lambda: find_ending(first))
        return None if text is None else first + text.encode()

    def _value(
        self, partial: PartialJson, depth: int, node: SchemaNode | None, find_ending: EndingSearch
    ) -> str | None:
        if node is None:
            return None
        if depth == len(partial.containers):
            if not partial.pending:
                return None if node.shortest is None else partial.separator + node.shortest
            return self._scalar(partial.pending, node, find_ending)
        container = partial.containers[depth]
        texts: list[str] = []
        for shape in node.alternatives or ():
            if (
                shape.kind == "object"
                and container.bracket == "{"
                and _may_be_object(shape, container)
            ):
                texts += self._object(partial, depth, shape, find_ending)
            elif (
                shape.kind == "array"
                and container.bracket == "["
                and _may_be_array(shape, container)
            ):
                texts += self._array(partial, depth, shape, find_ending)
        return self._schema_ir.cheapest(texts)

    def _scalar(self, prefix: str, node: SchemaNode, find_ending: EndingSearch) -> str | None:
        texts = []
        for shape in node.alternatives or ():
            if shape.kind == "literal":
                texts += [text[len(prefix) :] for text in shape.texts if text.startswith(prefix)]
            elif shape.kind == "string" and prefix[0] == '"' and not shape.constrained:
                length = len(ESCAPE.sub("x", prefix[1:]))
                texts.append(f'{FILLER * (shape.min_size - length)}"')
            elif shape.kind == _lexeme_kind(prefix):
                end = find_ending()
                if end is not None and _is_multiple(shape, prefix + end):
                    texts.append(end)
        return self._schema_ir.cheapest(texts)

    def _array(
        self, partial: PartialJson, depth: int, shape: ValueShape, find_ending: EndingSearch
    ) -> Iterator[str]:
        container = partial.containers[depth]
        is_innermost = depth == len(partial.containers) - 1
        if is_innermost and (
            container.state == "done" or (container.state == "open" and not partial.pending)
        ):
            yield from self._close_array(shape, dict(container.seen))
            return
        element = self._value(partial, depth + 1, shape.element(container.count), find_ending)
        if element is None:
            return
        present: dict[str, object] = dict(container.seen)
        key = f"element {container.count}"
        if shape.unique:
            element, key = self._distinct_element(
                partial, element, shape.element(container.count), present
            )
        if element is not None:
            yield from (element + text for text in self._close_array(shape, {**present, key: None}))

    def _distinct_element(
        self,
        partial: PartialJson,
        shortest: str,
        node: SchemaNode | None,
        present: Mapping[str, object],
    ) -> tuple[str | None, str]:
        """The rest of an element that differs from those present, and the element's whole text."""
        candidates = [shortest]
        if partial.pending.startswith('"'):
            candidates += [FILLER * candidate + '"' for candidate in range(1, 20)]
        elif partial.pending:
            candidates += [f"{shortest}{digit}" for digit in "123456789"]
        for shape in node.alternatives if node and node.alternatives else ():
            candidates += [
                (partial.separator if not partial.pending else "") + text[len(partial.pending) :]
                for text in shape.texts
                if text.startswith(partial.pending)
            ]
        if node and not partial.pending:
            candidates += [partial.separator + text for text in more_texts(node)]
        for candidate in candidates:
            element = json_text(_parse_scalar((partial.pending + candidate).strip()))
            if element not in present:
                return candidate, element
        return None, ""

    def _close_array(self, shape: ValueShape, present: Mapping[str, object]) -> Iterator[str]:
        """The rest of an array with the element texts ``present``."""
        elements = self._schema_ir.missing_elements(shape, present)
        if elements is not None:
            comma = ", " if present and elements else ""
            yield f"{comma}{', '.join(elements)}]"

    def _object(
        self, partial: PartialJson, depth: int, shape: ValueShape, find_ending: EndingSearch
    ) -> Iterator[str]:
        container = partial.containers[depth]
        present: dict[str, str | None] = dict(container.members)
        if depth < len(partial.containers) - 1 or container.state == "value":
            value = self._value(partial, depth + 1, shape.member(container.key), find_ending)
            present[container.key] = None
        elif container.state == "colon":
            node = shape.member(container.key)
            value = f": {node.shortest}" if node and node.shortest is not None else None
            present[container.key] = None
        elif container.state == "done":
            value = ""
        else:
            yield from self._open_property(partial, shape, container, find_ending)
            return
        if value is not None:
            yield from (value + text for text in self._close_object(shape, present))

    def _close_object(self, shape: ValueShape, present: Mapping[str, object]) -> Iterator[str]:
        """The rest of an object with the properties ``present``."""
        members = self._schema_ir.missing_members(shape, present)
        if members is not None:
            comma = ", " if present and members else ""
            yield f"{comma}{', '.join(members)}}}"

    def _open_property(
        self,
        partial: PartialJson,
        shape: ValueShape,
        container: OpenContainer,
        find_ending: EndingSearch,
    ) -> Iterator[str]:
        """The rest of an object whose next or incomplete lexeme is a property's name."""
        if container.state == "open" and not partial.pending:
            yield from self._close_object(shape, {})
        for name in self._next_names(shape, container):
            quoted, node = json_text(name), shape.member(name)
            if quoted.startswith(partial.pending) and node and node.shortest is not None:
                present = {**container.members, name: None}
                prefix = f"{partial.separator}{quoted[len(partial.pending) :]}: {node.shortest}"
                yield from (prefix + text for text in self._close_object(shape, present))
        if partial.pending and shape.additional:
            yield from self._free_name(partial, shape, container, find_ending)

    def _next_names(self, shape: ValueShape, container: OpenContainer) -> list[str]:
        """The names that may come next: those after the last written one, up to a required one,
        else also one that the schema does not name."""
        ordered = list(dict.fromkeys([*shape.properties, *shape.required]))
        written = [index for index, name in enumerate(ordered) if name in container.members]
        names = []
        for name in ordered[written[-1] + 1 if written else 0 :]:
            names.append(name)
            if name in shape.required:
                return names
        unused = (a for a in "abcdefghijklmnopqrstuvwxyz" if a not in container.members)
        letter = next((a for a in unused if a not in ordered and shape.member(a)), None)
        return [*names, *([letter] if letter else [])]

    def _free_name(
        self,
        partial: PartialJson,
        shape: ValueShape,
        container: OpenContainer,
        find_ending: EndingSearch,
    ) -> Iterator[str]:
        end = find_ending()
        if end is None:
            return
        name = _decode_string(partial.pending + end)
        while name in container.members or name in shape.properties:
            end, name = f"_{end}", f"{name}_"
        node = shape.member(name)
        if node and node.shortest is not None:
            present = {**container.members, name: None}
            for text in self._close_object(shape, present):
                yield f"{end}: {node.shortest}{text}"


def _may_be_object(shape: ValueShape, container: OpenContainer) -> bool:
    """Whether an object with these properties may have this shape."""
    return all(_accepts(shape.member(name), text) for name, text in container.members.items())


def _may_be_array(shape: ValueShape, container: OpenContainer) -> bool:
    """Whether an array with these elements may have this shape."""
    if shape.unique and container.has_duplicate:
        return False
    return all(
        _accepts(shape.element(int(index)), text) for index, text in container.members.items()
    )


def _accepts(node: SchemaNode | None, text: str | None) -> bool:
    """Whether a node accepts a value of that text (None: an object or an array)."""
    if node is None:
        return False
    for shape in node.alternatives or ():
        if text is None:
            accepted = shape.kind in ("array", "object")
        elif shape.kind == "literal":
            accepted = text in shape.texts
        elif shape.kind == "number":
            accepted = _lexeme_kind(text) == "number" and _is_multiple(shape, text)
        else:
            accepted = shape.kind == "string" == _lexeme_kind(text)
        if accepted:
            return True
    return False


def _lexeme_kind(text: str) -> str:
    return "string" if text[0] == '"' else "number" if text[0] in "-0123456789" else "word"


def _is_multiple(shape: ValueShape, text: str) -> bool:
    """Whether the number is a multiple when divided in floating point, as validators do."""
    if not shape.multiple_of:
        return True
    try:
        return (float(text) / shape.multiple_of).is_integer()
    except OverflowError:
        return False


MAX_LENGTH = 400  # bytes of a scalar
BEAM_WIDTH = 24  # states per length
MAX_BRANCHES = 12  # bytes tried after a state
BYTE_ORDER = "0159aeAZ.-:@/T+_ 2346780bcdfxz"


class ScalarCompleter:
    """Completes scalars by a search over the single-byte tokens of a byte-level vocabulary."""

    def __init__(self, table: Any, vocab_size: int, mask_width: int) -> None:
        self._mask: NDArray[np.int32] = np.zeros(mask_width, dtype=np.int32)
        self._tokens: dict[bytes, int] = {}
        for token in range(vocab_size):
            if not table.is_special_token(token):
                data = table.decode_bytes([token])
                if len(data) == 1:
                    self._tokens.setdefault(data, token)
        order = dict.fromkeys(
            [character.encode() for character in BYTE_ORDER]
            + [bytes([code]) for code in range(32, 256)]
        )
        self._ordered_bytes = [
            (byte, self._tokens[byte])
            for byte in order
            if byte in self._tokens and byte not in b'"\\'
        ]
        self._quote_token = self._tokens.get(b'"', -1)
        self._stop_tokens = [
            [self._tokens[byte]] for byte in (b",", b"}", b"]") if byte in self._tokens
        ]

    def shortest_ending(self, matcher: Any, prefix: bytes, is_string: bool) -> str | None:
        """The shortest text after which the current scalar may end, once ``prefix`` is added; a
        string's closing quote is part of it. None where the search finds none.

        A breadth-first search over bytes. States with the same set of allowed next tokens count
        as one, so a shorter text may be missed.
        """
        start = matcher.deep_copy()
        for code in prefix:
            start.consume_token(self._tokens.get(bytes([code]), -1))
        if start.is_error():
            return None
        layer = [(start, b"")]
        for _ in range(MAX_LENGTH):
            successors: dict[bytes, tuple[Any, bytes]] = {}
            for state, text in layer:
                if is_string and state.validate_tokens([self._quote_token]):
                    return _decode_or_none(text + b'"')
                if not is_string and (
                    state.is_accepting() or any(map(state.validate_tokens, self._stop_tokens))
                ):
                    return _decode_or_none(text)
                for byte, token in self._next_bytes(state):
                    successor = state.deep_copy()
                    successor.consume_token(token)
                    if len(successors) < BEAM_WIDTH:
                        successors.setdefault(self._signature(successor), (successor, text + byte))
            layer = list(successors.values())
            if not layer:
                return None
        return None

    def _signature(self, state: Any) -> bytes:
        state.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        return self._mask.tobytes()

    def _next_bytes(self, state: Any) -> Iterator[tuple[bytes, int]]:
        """At most ``MAX_BRANCHES`` of the allowed bytes. The grammar's mask cannot tell them:
        where text is forced, it has only the longest token."""
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
