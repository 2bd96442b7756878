"""The values of a schema as alternatives of shapes, and the shortest text of each."""

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
MAX_ALTERNATIVES = 200  # alternatives of one value that are examined; further ones are ignored
MAX_COUNTED = 16  # texts whose tokens are counted, the shortest in characters
FILLER = "."
SPARE_TOKENS = 6  # for separators, and for tokens that open several containers at once


def json_text(value: Json) -> str:
    """JSON as the grammar writes it: on one line, with the separators ", " and ": ".

    >>> json_text({"a": [1, 2.0]})
    '{"a": [1, 2]}'
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{json_text(key)}: {json_text(item)}" for key, item in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(json_text(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


@dataclass(slots=True)
class ValueShape:
    """One alternative of a value: listed literals, or a string, a number, an array, an object.

    ``texts`` are the JSON texts of literals. ``constrained``: a string with a pattern or a format.
    ``min_size`` and ``max_size`` count characters, elements or properties. ``prefix`` are the
    first elements of an array and ``items`` all others. ``additional`` maps patterns of property
    names to values. ``unique``: elements differ. ``multiple_of`` is set for fractions only, since
    validators compute the quotient in floating point.
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

    def element(self, index: int) -> SchemaNode | None:
        """The node of an array's element; None where there may be none."""
        return self.prefix[index] if index < len(self.prefix) else self.items

    def member(self, name: str) -> SchemaNode | None:
        """The node of an object's property; None where there may be none."""
        if name in self.properties:
            return self.properties[name]
        return next(
            (node for pattern, node in self.additional if _pattern_matches(pattern, name)), None
        )

    def inner(self) -> Iterator[SchemaNode]:
        """The nodes of all elements and properties."""
        yield from self.prefix
        if self.items is not None:
            yield self.items
        yield from self.properties.values()
        yield from (node for _, node in self.additional)


def _pattern_matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:  # llguidance's syntax of patterns differs from Python's
        return True


@dataclass(slots=True, eq=False)
class SchemaNode:
    """A subschema; ``shortest`` is the shortest JSON text of its values, None while unknown."""

    schema: Json
    alternatives: list[ValueShape] | None = None
    shortest: str | None = None
    path: str = ""


class SchemaIR:
    """All nodes of a schema, with their shortest texts.

    The shortest texts are the least fixed point of "the shortest alternative made of the shortest
    parts" (Knuth 1977, A generalization of Dijkstra's algorithm). A node without one is
    infinitely recursive; then SchemaError is raised.

    ``cost`` counts the tokens of a text; ``scalar`` returns the shortest text of a number, or of a
    string with a pattern or format, or None where it finds none.
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
        """Every reachable node, the root first."""
        return list(self._nodes.values())

    def cheapest(self, texts: list[str]) -> str | None:
        """The text with the fewest tokens, the first of equals; None for no texts."""
        if len(texts) > MAX_COUNTED:
            texts = sorted(texts, key=len)[:MAX_COUNTED]
        return min(texts, key=self._token_count) if len(texts) > 1 else next(iter(texts), None)

    def max_growth(self) -> int:
        """An estimate of how many tokens one generated token can add to the shortest completion:
        it may open an optional property or element, and select the longest alternative."""
        optional = longer = 0
        for node in self.nodes:
            shortest = self._token_count(node.shortest or "")
            for shape in node.alternatives or ():
                texts = sorted(self._shortest_texts(shape), key=len)[-MAX_COUNTED:]
                longer = max([longer, *(self._token_count(text) - shortest for text in texts)])
                names = [name for name in shape.properties if name not in shape.required]
                names_cost = [self._token_count(f"{json_text(name)}: ") for name in names] + [0]
                optional_values = [shape.properties[name] for name in names]
                optional_values += [value for _, value in shape.additional]
                if shape.items is not None and shape.max_size != shape.min_size:
                    optional_values.append(shape.items)
                costs = [self._token_count(part.shortest or "") for part in optional_values]
                optional = max(optional, max(names_cost) + max(costs, default=0))
        return optional + longer + SPARE_TOKENS

    def _node(self, schema: Json, path: str) -> SchemaNode:
        key = json.dumps(schema)
        if key not in self._nodes:
            self._nodes[key] = SchemaNode(schema, path=path)
        return self._nodes[key]

    def unenforced(self) -> frozenset[str]:
        """What the grammar does not enforce by itself, out of "names" (no property twice),
        "unique" (no element twice) and "step" (fractional multipleOf)."""
        shapes = [shape for node in self.nodes for shape in node.alternatives or ()]
        traits = {"names"} if any(shape.additional for shape in shapes) else set()
        for shape in shapes:
            if shape.unique:
                element_kinds = [
                    element.kind for node in shape.inner() for element in node.alternatives or ()
                ]
                if "array" in element_kinds or "object" in element_kinds:
                    raise SchemaError(
                        "uniqueItems is supported for strings, numbers and enums only, not for "
                        "objects and arrays; omit it and remove duplicates afterwards"
                    )
                traits.add("unique")
            if shape.multiple_of:
                traits.add("step")
        return frozenset(traits)

    def _solve(self) -> None:
        pending = [self.root]
        while pending:
            node = pending.pop()
            if node.alternatives is None:
                node.alternatives = list(self._alternatives(node))
                pending += [child for shape in node.alternatives for child in shape.inner()]
        changed = True
        while changed:
            changed = False
            for node in self._nodes.values():
                shortest = self.cheapest(
                    [text for s in node.alternatives or () for text in self._shortest_texts(s)]
                )
                if shortest is not None and (
                    node.shortest is None
                    or self._token_count(shortest) < self._token_count(node.shortest)
                ):
                    node.shortest, changed = shortest, True
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
            text = self._shortest_scalar(shape.schema)
            yield text if text is not None else "0" if shape.kind == "number" else '""'
        elif shape.kind == "array":
            elements = self.missing_elements(shape, {})
            if elements is not None:
                yield f"[{', '.join(elements)}]"
        else:
            members = self.missing_members(shape, {})
            if members is not None:
                yield "{" + ", ".join(members) + "}"

    def missing_members(self, shape: ValueShape, present: Mapping[str, object]) -> list[str] | None:
        """The shortest properties that complete an object with the properties ``present``; None
        where none are known."""
        members: dict[str, str] = {}
        for name in shape.required:
            if name not in present:
                node = shape.member(name)
                if node is None or node.shortest is None:
                    return None
                members[name] = f"{json_text(name)}: {node.shortest}"
        for letter in "abcdefghijklmnopqrstuvwxyz":
            if len(members) + len(present) >= shape.min_size:
                break
            node = shape.member(letter)
            if (
                letter not in present
                and letter not in members
                and node
                and node.shortest is not None
            ):
                members[letter] = f"{json_text(letter)}: {node.shortest}"
        return list(members.values()) if len(members) + len(present) >= shape.min_size else None

    def missing_elements(
        self, shape: ValueShape, present: Mapping[str, object]
    ) -> list[str] | None:
        """The shortest elements that complete an array with the element texts ``present``; None
        where none are known."""
        elements: list[str] = []
        for index in range(len(present), shape.min_size):
            node = shape.element(index)
            text = node.shortest if node else None
            if node and text is not None and shape.unique and (text in present or text in elements):
                unused = (t for t in more_texts(node) if t not in present and t not in elements)
                text = next(unused, None)
            if text is None:
                return None
            elements.append(text)
        return elements

    def _alternatives(self, node: SchemaNode) -> Iterator[ValueShape]:
        for count, schema in enumerate(flatten_schema(self._root, node.schema)):
            if count == MAX_ALTERNATIVES:
                return
            yield from self._by_type(schema, node.path)

    def _by_type(self, schema: dict[str, Json], path: str) -> Iterator[ValueShape]:
        types = schema.get("type", TYPES)
        types = [types] if isinstance(types, str) else types
        if "const" in schema or "enum" in schema:
            values = schema["enum"] if "enum" in schema else [schema["const"]]
            allowed = [
                value for value in values if any(_has_type(value, type_name) for type_name in types)
            ]
            if "const" in schema:
                allowed = [value for value in allowed if value == schema["const"]]
            scalars = [value for value in allowed if not isinstance(value, dict | list)]
            yield ValueShape("literal", schema, texts=tuple(json_text(value) for value in scalars))
            for value in allowed:
                yield from self._by_type(_schema_of_value(value), path)
            return
        if "null" in types or "boolean" in types:
            literals = (("null",) if "null" in types else ()) + (
                ("true", "false") if "boolean" in types else ()
            )
            yield ValueShape("literal", schema, texts=literals)
        if "string" in types:
            min_size, max_size = int(schema.get("minLength", 0)), schema.get("maxLength")
            shaped = "pattern" in schema or "format" in schema
            yield ValueShape(
                "string",
                _with_type(schema, "string"),
                constrained=shaped,
                min_size=min_size,
                max_size=max_size,
            )
        if "number" in types or "integer" in types:
            type_name = "number" if "number" in types else "integer"
            step = schema.get("multipleOf", 1)
            # Integers and multiples of 1/1024 have no rounding error in floating point.
            exact = isinstance(step, int) or float(step * 1024).is_integer()
            yield ValueShape(
                "number", _with_type(schema, type_name), multiple_of=0.0 if exact else step
            )
        if "array" in types:
            yield self._array(schema, path)
        if "object" in types:
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
            prefix=tuple(self._node(item, f"{path}.{index}") for index, item in enumerate(prefix)),
            items=None if rest is False else self._node(rest, f"{path}.items"),
        )

    def _object(self, schema: dict[str, Json], path: str) -> ValueShape:
        def node_at(subschema: Json, name: str) -> SchemaNode:
            return self._node(subschema, f"{path}.{name}".strip("."))

        additional = [
            (pattern, node_at(subschema, pattern))
            for pattern, subschema in schema.get("patternProperties", {}).items()
        ]
        other_properties = schema.get("additionalProperties", {})
        if other_properties is not False:
            additional.append(("", node_at(other_properties, "*")))
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        order = [name for name in properties if name in required]
        order += [name for name in dict.fromkeys(required) if name not in properties]
        return ValueShape(
            "object",
            schema,
            min_size=int(schema.get("minProperties", 0)),
            max_size=schema.get("maxProperties"),
            properties={
                name: node_at(subschema, name)
                for name, subschema in properties.items()
                if subschema is not False
            },
            required=tuple(order),
            additional=tuple(additional),
        )


def more_texts(node: SchemaNode) -> Iterator[str]:
    """Different texts of a scalar node, short ones first."""
    for shape in node.alternatives or ():
        yield from sorted(shape.texts, key=len)
        if shape.kind == "string" and not shape.constrained:
            count = 20 if shape.max_size is None else min(20, shape.max_size - shape.min_size + 1)
            yield from (f'"{FILLER * (shape.min_size + extra)}"' for extra in range(count))
        elif shape.kind == "number":
            yield from _small_numbers(shape.schema)


def _small_numbers(schema: dict[str, Json]) -> Iterator[str]:
    """Numbers within a schema's bounds: integers first, then tenths and hundredths."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None:
        low = 0 if high is None or high > 20 else high - 20
    for divisor in (1,) if schema.get("type") == "integer" else (1, 10, 100):
        for step in range(21):
            number = (math.ceil(low * divisor) + step) / divisor
            below = number == schema.get("exclusiveMinimum")
            above = (high is not None and number > high) or number == schema.get("exclusiveMaximum")
            if not below and not above:
                yield str(int(number)) if number == int(number) else repr(number)


def _schema_of_value(value: Json) -> dict[str, Json]:
    """The schema of exactly one object or array; for other values, a schema of no value."""
    if isinstance(value, dict):
        return {
            "type": "object",
            "properties": {name: {"const": item} for name, item in value.items()},
            "required": list(value),
            "additionalProperties": False,
        }
    if isinstance(value, list):
        items = [{"const": item} for item in value]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    return {"type": []}


def _with_type(schema: dict[str, Json], type_name: str) -> dict[str, Json]:
    return {**schema, "type": type_name}


def _has_type(value: Json, type_name: str) -> bool:
    match value:
        case None:
            return type_name == "null"
        case bool():
            return type_name == "boolean"
        case int() | float():
            integral = isinstance(value, int) or value.is_integer()
            return type_name == "number" or (type_name == "integer" and integral)
        case str():
            return type_name == "string"
        case list():
            return type_name == "array"
    return type_name == "object"
