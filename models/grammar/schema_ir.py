"""What a schema's values look like, and the shortest one of each part."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ...core import Json
from .schema import UNIQUE_KEYWORD, SchemaError, flatten_schema

ValueKind: TypeAlias = Literal["literal", "string", "number", "array", "object"]
TYPES = ("null", "boolean", "string", "number", "integer", "array", "object")
MAX_ALTERNATIVES = 200  # alternatives of one value that are looked at; a schema of more still works
MAX_COUNTED = 16  # of many values listed, those counted in tokens
FILLER = "."
SPARE_TOKENS = 6  # tokens: separators, and what a token of several signs may open at once


def json_text(value: Json) -> str:
    """JSON as the grammar writes it: ", " and ": " between, one line.

    >>> json_text({"a": [1, 2.0]})
    '{"a": [1, 2]}'
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json_text(k)}: {json_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(json_text(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)


@dataclass(slots=True)
class ValueShape:
    """One way a value may look: values listed, or a string, a number, an array, an object.

    ``constrained``: a string with a pattern or a format. ``min_size`` and ``max_size`` count
    characters,
    elements or properties. ``additional``: the values of properties not named, each with the
    pattern of its names. ``unique``: no element comes twice. ``multiple_of``: what a number must be
    a multiple of where that is a fraction, whose quotient readers compute in floating point.
    """

    kind: ValueKind
    schema: Json
    texts: tuple[str, ...] = ()
    constrained: bool = False
    min_size: int = 0
    max_size: int | None = None
    prefix: tuple[SchemaNode, ...] = ()
    items: SchemaNode | None = None
    properties: dict[str, SchemaNode] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    additional: tuple[tuple[str, SchemaNode], ...] = ()
    unique: bool = False
    multiple_of: float = 0.0

    def element(self, place: int) -> SchemaNode | None:
        """What the array's element number ``place`` is."""
        return self.prefix[place] if place < len(self.prefix) else self.items

    def member(self, name: str) -> SchemaNode | None:
        """What the object's property ``name`` is."""
        if name in self.properties:
            return self.properties[name]
        return next(
            (node for pattern, node in self.additional if _pattern_matches(pattern, name)), None
        )

    def inner(self) -> Iterator[SchemaNode]:
        """The values in this value."""
        yield from self.prefix
        if self.items is not None:
            yield self.items
        yield from self.properties.values()
        yield from (node for _, node in self.additional)


def _pattern_matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:  # patterns are the grammar engine's, whose syntax is not quite Python's
        return True


@dataclass(slots=True, eq=False)
class SchemaNode:
    """A place in a schema; ``alternatives`` are its alternatives, ``shortest`` its shortest
    text."""

    schema: Json
    alternatives: list[ValueShape] | None = None
    shortest: str | None = None
    path: str = ""


class SchemaIR:
    """All shapes of a schema. Raises SchemaError where a value could never end.

    The shortest texts are the least fixed point of "the shortest alternative made of the
    shortest parts" (Knuth 1977, A generalization of Dijkstra's algorithm): what is still
    without one in the end holds itself without end.
    """

    def __init__(
        self, schema: Json, cost: Callable[[str], int], scalar: Callable[[Json], str | None]
    ) -> None:
        self._root = schema
        self._token_count = cost
        self._shortest_scalar = scalar
        self._nodes: dict[str, SchemaNode] = {}
        self.root = self._node(schema, "")
        self._solve()

    @property
    def nodes(self) -> list[SchemaNode]:
        """Every place that can be reached, the root first."""
        return list(self._nodes.values())

    def cheapest(self, texts: list[str]) -> str | None:
        """The text of the fewest tokens, the first of equals."""
        if len(texts) > MAX_COUNTED:
            texts = sorted(texts, key=len)[:MAX_COUNTED]
        return min(texts, key=self._token_count) if len(texts) > 1 else next(iter(texts), None)

    def max_growth(self) -> int:
        """Tokens by which one more token can lengthen what a value still needs, about: what
        it takes to begin what may be left out, and to choose the longest alternative."""
        optional = dearer = 0
        for node in self.nodes:
            least = self._token_count(node.shortest or "")
            for shape in node.alternatives or ():
                texts = sorted(self._shortest_texts(shape), key=len)[-MAX_COUNTED:]
                dearer = max([dearer, *(self._token_count(text) - least for text in texts)])
                names = [n for n in shape.properties if n not in shape.required]
                more = [self._token_count(f"{json_text(n)}: ") for n in names] + [0]
                parts = [shape.properties[n] for n in names] + [one for _, one in shape.additional]
                if shape.items is not None and shape.max_size != shape.min_size:
                    parts.append(shape.items)
                costs = [self._token_count(part.shortest or "") for part in parts]
                optional = max(optional, max(more) + max(costs, default=0))
        return optional + dearer + SPARE_TOKENS

    def _node(self, schema: Json, path: str) -> SchemaNode:
        key = json.dumps(schema)
        if key not in self._nodes:
            self._nodes[key] = SchemaNode(schema, path=path)
        return self._nodes[key]

    def unenforced(self) -> frozenset[str]:
        """What a grammar cannot see to by itself: names, unique, step."""
        shapes = [shape for node in self.nodes for shape in node.alternatives or ()]
        found = {"names"} if any(shape.additional for shape in shapes) else set()
        for shape in shapes:
            if shape.unique:
                inner = [one.kind for node in shape.inner() for one in node.alternatives or ()]
                if "array" in inner or "object" in inner:
                    raise SchemaError(
                        "uniqueItems is kept for texts, numbers and listed values only, not for "
                        "objects and arrays; leave it out and drop the doubles"
                    )
                found.add("unique")
            if shape.multiple_of:
                found.add("step")
        return frozenset(found)

    def _solve(self) -> None:
        todo = [self.root]
        while todo:
            node = todo.pop()
            if node.alternatives is None:
                node.alternatives = list(self._alternatives(node))
                todo += [inner for shape in node.alternatives for inner in shape.inner()]
        changed = True
        while changed:
            changed = False
            for node in self._nodes.values():
                found = self.cheapest(
                    [t for s in node.alternatives or () for t in self._shortest_texts(s)]
                )
                if found is not None and (
                    node.shortest is None
                    or self._token_count(found) < self._token_count(node.shortest)
                ):
                    node.shortest, changed = found, True
        for node in self._nodes.values():
            if node.shortest is None and node.schema is not False:
                raise SchemaError(
                    f"schema field '{node.path or '(the whole)'}': no value of it is ever "
                    "complete: each holds another of its kind, or more different elements than "
                    "there are; make the inner one optional, or ask for fewer"
                )

    def _shortest_texts(self, shape: ValueShape) -> Iterator[str]:
        if shape.kind == "literal":
            yield from shape.texts
        elif shape.kind == "string" and not shape.constrained:
            yield f'"{FILLER * shape.min_size}"'
        elif shape.kind in ("string", "number"):
            found = self._shortest_scalar(shape.schema)
            yield found if found is not None else "0" if shape.kind == "number" else '""'
        elif shape.kind == "array":
            parts = self.missing_elements(shape, {})
            if parts is not None:
                yield f"[{', '.join(parts)}]"
        else:
            members = self.missing_members(shape, {})
            if members is not None:
                yield "{" + ", ".join(members) + "}"

    def missing_members(self, shape: ValueShape, there: Mapping[str, object]) -> list[str] | None:
        """The shortest properties that an object with those ``there`` still needs; None
        where one is not known."""
        made: dict[str, str] = {}
        for name in shape.required:
            if name not in there:
                node = shape.member(name)
                if node is None or node.shortest is None:
                    return None
                made[name] = f"{json_text(name)}: {node.shortest}"
        for letter in "abcdefghijklmnopqrstuvwxyz":
            if len(made) + len(there) >= shape.min_size:
                break
            node = shape.member(letter)
            if letter not in there and letter not in made and node and node.shortest is not None:
                made[letter] = f"{json_text(letter)}: {node.shortest}"
        return list(made.values()) if len(made) + len(there) >= shape.min_size else None

    def missing_elements(self, shape: ValueShape, there: Mapping[str, object]) -> list[str] | None:
        """The same of an array's elements. ``there``: the texts of those that are there."""
        made: list[str] = []
        for place in range(len(there), shape.min_size):
            node = shape.element(place)
            text = node.shortest if node else None
            if node and text is not None and shape.unique and (text in there or text in made):
                text = next((t for t in more_texts(node) if t not in there and t not in made), None)
            if text is None:
                return None
            made.append(text)
        return made

    def _alternatives(self, node: SchemaNode) -> Iterator[ValueShape]:
        for number, schema in enumerate(flatten_schema(self._root, node.schema)):
            if number == MAX_ALTERNATIVES:
                return
            yield from self._by_type(schema, node.path)

    def _by_type(self, schema: dict[str, Json], path: str) -> Iterator[ValueShape]:
        kinds = schema.get("type", TYPES)
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if "const" in schema or "enum" in schema:
            values = schema["enum"] if "enum" in schema else [schema["const"]]
            fitting = [one for one in values if any(_has_type(one, kind) for kind in kinds)]
            if "const" in schema:
                fitting = [one for one in fitting if one == schema["const"]]
            plain = [one for one in fitting if not isinstance(one, dict | list)]
            yield ValueShape("literal", schema, texts=tuple(json_text(one) for one in plain))
            for one in fitting:
                yield from self._by_type(_schema_of_value(one), path)
            return
        if "null" in kinds or "boolean" in kinds:
            words = (("null",) if "null" in kinds else ()) + (
                ("true", "false") if "boolean" in kinds else ()
            )
            yield ValueShape("literal", schema, texts=words)
        if "string" in kinds:
            low, high = int(schema.get("minLength", 0)), schema.get("maxLength")
            shaped = "pattern" in schema or "format" in schema
            yield ValueShape(
                "string",
                _with_type(schema, "string"),
                constrained=shaped,
                min_size=low,
                max_size=high,
            )
        if "number" in kinds or "integer" in kinds:
            kind = "number" if "number" in kinds else "integer"
            step = schema.get("multipleOf", 1)
            # Whole numbers of any size, halves, quarters: no error in floats.
            exact = isinstance(step, int) or float(step * 1024).is_integer()
            yield ValueShape("number", _with_type(schema, kind), multiple_of=0.0 if exact else step)
        if "array" in kinds:
            yield self._array(schema, path)
        if "object" in kinds:
            yield self._object(schema, path)

    def _array(self, schema: dict[str, Json], path: str) -> ValueShape:
        items = schema.get("items", {})
        prefix, rest = schema.get("prefixItems", []), items
        if isinstance(items, list):
            prefix, rest = items, schema.get("additionalItems", {})
        return ValueShape(
            "array",
            schema,
            unique=bool(schema.get(UNIQUE_KEYWORD)),
            min_size=int(schema.get("minItems", 0)),
            max_size=schema.get("maxItems"),
            prefix=tuple(self._node(one, f"{path}.{n}") for n, one in enumerate(prefix)),
            items=None if rest is False else self._node(rest, f"{path}.items"),
        )

    def _object(self, schema: dict[str, Json], path: str) -> ValueShape:
        def at(inner: Json, name: str) -> SchemaNode:
            return self._node(inner, f"{path}.{name}".strip("."))

        extra = [(p, at(one, p)) for p, one in schema.get("patternProperties", {}).items()]
        others = schema.get("additionalProperties", {})
        if others is not False:
            extra.append(("", at(others, "*")))
        named = schema.get("properties", {})
        wanted = schema.get("required", [])
        order = [name for name in named if name in wanted]
        order += [name for name in dict.fromkeys(wanted) if name not in named]
        return ValueShape(
            "object",
            schema,
            min_size=int(schema.get("minProperties", 0)),
            max_size=schema.get("maxProperties"),
            properties={name: at(one, name) for name, one in named.items() if one is not False},
            required=tuple(order),
            additional=tuple(extra),
        )


def more_texts(node: SchemaNode) -> Iterator[str]:
    """More texts of a scalar, short ones first."""
    for shape in node.alternatives or ():
        yield from sorted(shape.texts, key=len)
        if shape.kind == "string" and not shape.constrained:
            most = 20 if shape.max_size is None else min(20, shape.max_size - shape.min_size + 1)
            yield from (f'"{FILLER * (shape.min_size + more)}"' for more in range(most))
        elif shape.kind == "number":
            yield from _small_numbers(shape.schema)


def _small_numbers(schema: dict[str, Json]) -> Iterator[str]:
    """Numbers within a schema's bounds: whole ones first, then tenths and hundredths."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None:
        low = 0 if high is None or high > 20 else high - 20
    for parts in (1,) if schema.get("type") == "integer" else (1, 10, 100):
        for more in range(21):
            number = (math.ceil(low * parts) + more) / parts
            below = number == schema.get("exclusiveMinimum")
            above = (high is not None and number > high) or number == schema.get("exclusiveMaximum")
            if not below and not above:
                yield str(int(number)) if number == int(number) else repr(number)


def _schema_of_value(value: Json) -> dict[str, Json]:
    """The schema of just one object or array; of anything else, that of no value."""
    if isinstance(value, dict):
        return {
            "type": "object",
            "properties": {name: {"const": one} for name, one in value.items()},
            "required": list(value),
            "additionalProperties": False,
        }
    if isinstance(value, list):
        inner = [{"const": one} for one in value]
        return {"type": "array", "prefixItems": inner, "items": False, "minItems": len(inner)}
    return {"type": []}


def _with_type(schema: dict[str, Json], kind: str) -> dict[str, Json]:
    return {**schema, "type": kind}


def _has_type(value: Json, kind: str) -> bool:
    match value:
        case None:
            return kind == "null"
        case bool():
            return kind == "boolean"
        case int() | float():
            whole = isinstance(value, int) or value.is_integer()
            return kind == "number" or (kind == "integer" and whole)
        case str():
            return kind == "string"
        case list():
            return kind == "array"
    return kind == "object"
