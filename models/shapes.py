"""What a schema's values look like, and the shortest one of each part."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ..core import Json
from .expanding import expanded
from .schema import UNIQUE, SchemaFault

Kind: TypeAlias = Literal["literal", "string", "number", "array", "object"]
TYPES = ("null", "boolean", "string", "number", "integer", "array", "object")
MANY = 200  # alternatives of one value that are looked at; a schema of more still works
FEW = 16  # of many values listed, those counted in tokens
FILLER = "."
SPARE = 6  # tokens: separators, and what a token of several signs may open at once


def text_of(value: Json) -> str:
    """JSON as the grammar writes it: ", " and ": " between, one line.

    >>> text_of({"a": [1, 2.0]})
    '{"a": [1, 2]}'
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text_of(k)}: {text_of(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(text_of(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)


@dataclass(slots=True)
class Shape:
    """One way a value may look: values listed, or a string, a number, an array, an object.

    ``shaped``: a string with a pattern or a format. ``low`` and ``high`` count characters,
    elements or properties. ``extra``: the values of properties not named, each with the
    pattern of its names. ``unique``: no element comes twice. ``step``: what a number must be
    a multiple of where that is a fraction, whose quotient readers compute in floating point.
    """

    kind: Kind
    schema: Json
    texts: tuple[str, ...] = ()
    shaped: bool = False
    low: int = 0
    high: int | None = None
    prefix: tuple[Node, ...] = ()
    rest: Node | None = None
    names: dict[str, Node] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    extra: tuple[tuple[str, Node], ...] = ()
    unique: bool = False
    step: float = 0.0

    def element(self, place: int) -> Node | None:
        """What the array's element number ``place`` is."""
        return self.prefix[place] if place < len(self.prefix) else self.rest

    def member(self, name: str) -> Node | None:
        """What the object's property ``name`` is."""
        if name in self.names:
            return self.names[name]
        return next((node for pattern, node in self.extra if _found(pattern, name)), None)

    def inner(self) -> Iterator[Node]:
        """The values in this value."""
        yield from self.prefix
        if self.rest is not None:
            yield self.rest
        yield from self.names.values()
        yield from (node for _, node in self.extra)


def _found(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:  # patterns are the grammar engine's, whose syntax is not quite Python's
        return True


@dataclass(slots=True, eq=False)
class Node:
    """A place in a schema; ``shapes`` are its alternatives, ``shortest`` its shortest text."""

    schema: Json
    shapes: list[Shape] | None = None
    shortest: str | None = None
    path: str = ""


class Shapes:
    """All shapes of a schema. Raises SchemaFault where a value could never end.

    The shortest texts are the least fixed point of "the shortest alternative made of the
    shortest parts" (Knuth 1977, A generalization of Dijkstra's algorithm): what is still
    without one in the end holds itself without end.
    """

    def __init__(
        self, schema: Json, cost: Callable[[str], int], scalar: Callable[[Json], str | None]
    ) -> None:
        self._root = schema
        self._cost = cost
        self._scalar = scalar
        self._nodes: dict[str, Node] = {}
        self.root = self._node(schema, "")
        self._settle()

    @property
    def nodes(self) -> list[Node]:
        """Every place that can be reached, the root first."""
        return list(self._nodes.values())

    def cheapest(self, texts: list[str]) -> str | None:
        """The text of the fewest tokens, the first of equals."""
        if len(texts) > FEW:
            texts = sorted(texts, key=len)[:FEW]
        return min(texts, key=self._cost) if len(texts) > 1 else next(iter(texts), None)

    def growth(self) -> int:
        """Tokens by which one more token can lengthen what a value still needs, about: what
        it takes to begin what may be left out, and to choose the longest alternative."""
        optional = dearer = 0
        for node in self.nodes:
            least = self._cost(node.shortest or "")
            for shape in node.shapes or ():
                texts = sorted(self._compose(shape), key=len)[-FEW:]
                dearer = max([dearer, *(self._cost(text) - least for text in texts)])
                names = [n for n in shape.names if n not in shape.required]
                more = [self._cost(f"{text_of(n)}: ") for n in names] + [0]
                parts = [shape.names[n] for n in names] + [one for _, one in shape.extra]
                if shape.rest is not None and shape.high != shape.low:
                    parts.append(shape.rest)
                costs = [self._cost(part.shortest or "") for part in parts]
                optional = max(optional, max(more) + max(costs, default=0))
        return optional + dearer + SPARE

    def _node(self, schema: Json, path: str) -> Node:
        key = json.dumps(schema)
        if key not in self._nodes:
            self._nodes[key] = Node(schema, path=path)
        return self._nodes[key]

    def traits(self) -> frozenset[str]:
        """What a grammar cannot see to by itself: names, unique, step."""
        shapes = [shape for node in self.nodes for shape in node.shapes or ()]
        found = {"names"} if any(shape.extra for shape in shapes) else set()
        for shape in shapes:
            if shape.unique:
                inner = [one.kind for node in shape.inner() for one in node.shapes or ()]
                if "array" in inner or "object" in inner:
                    raise SchemaFault(
                        "uniqueItems is kept for texts, numbers and listed values only, not for "
                        "objects and arrays; leave it out and drop the doubles"
                    )
                found.add("unique")
            if shape.step:
                found.add("step")
        return frozenset(found)

    def _settle(self) -> None:
        todo = [self.root]
        while todo:
            node = todo.pop()
            if node.shapes is None:
                node.shapes = list(self._shapes(node))
                todo += [inner for shape in node.shapes for inner in shape.inner()]
        changed = True
        while changed:
            changed = False
            for node in self._nodes.values():
                found = self.cheapest([t for s in node.shapes or () for t in self._compose(s)])
                if found is not None and (
                    node.shortest is None or self._cost(found) < self._cost(node.shortest)
                ):
                    node.shortest, changed = found, True
        for node in self._nodes.values():
            if node.shortest is None and node.schema is not False:
                raise SchemaFault(
                    f"schema field '{node.path or '(the whole)'}': no value of it is ever "
                    "complete: each holds another of its kind, or more different elements than "
                    "there are; make the inner one optional, or ask for fewer"
                )

    def _compose(self, shape: Shape) -> Iterator[str]:
        if shape.kind == "literal":
            yield from shape.texts
        elif shape.kind == "string" and not shape.shaped:
            yield f'"{FILLER * shape.low}"'
        elif shape.kind in ("string", "number"):
            found = self._scalar(shape.schema)
            yield found if found is not None else "0" if shape.kind == "number" else '""'
        elif shape.kind == "array":
            parts = self.elements(shape, {})
            if parts is not None:
                yield f"[{', '.join(parts)}]"
        else:
            members = self.missing(shape, {})
            if members is not None:
                yield "{" + ", ".join(members) + "}"

    def missing(self, shape: Shape, there: Mapping[str, object]) -> list[str] | None:
        """The shortest properties that an object with those ``there`` still needs; None
        where one is not known."""
        made: dict[str, str] = {}
        for name in shape.required:
            if name not in there:
                node = shape.member(name)
                if node is None or node.shortest is None:
                    return None
                made[name] = f"{text_of(name)}: {node.shortest}"
        for letter in "abcdefghijklmnopqrstuvwxyz":
            if len(made) + len(there) >= shape.low:
                break
            node = shape.member(letter)
            if letter not in there and letter not in made and node and node.shortest is not None:
                made[letter] = f"{text_of(letter)}: {node.shortest}"
        return list(made.values()) if len(made) + len(there) >= shape.low else None

    def elements(self, shape: Shape, there: Mapping[str, object]) -> list[str] | None:
        """The same of an array's elements. ``there``: the texts of those that are there."""
        made: list[str] = []
        for place in range(len(there), shape.low):
            node = shape.element(place)
            text = node.shortest if node else None
            if node and text is not None and shape.unique and (text in there or text in made):
                text = next((t for t in others(node) if t not in there and t not in made), None)
            if text is None:
                return None
            made.append(text)
        return made

    def _shapes(self, node: Node) -> Iterator[Shape]:
        for number, schema in enumerate(expanded(self._root, node.schema)):
            if number == MANY:
                return
            yield from self._by_type(schema, node.path)

    def _by_type(self, schema: dict[str, Json], path: str) -> Iterator[Shape]:
        kinds = schema.get("type", TYPES)
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if "const" in schema or "enum" in schema:
            values = schema["enum"] if "enum" in schema else [schema["const"]]
            fitting = [one for one in values if any(_is(one, kind) for kind in kinds)]
            if "const" in schema:
                fitting = [one for one in fitting if one == schema["const"]]
            plain = [one for one in fitting if not isinstance(one, dict | list)]
            yield Shape("literal", schema, texts=tuple(text_of(one) for one in plain))
            for one in fitting:
                yield from self._by_type(_spelled(one), path)
            return
        if "null" in kinds or "boolean" in kinds:
            words = (("null",) if "null" in kinds else ()) + (
                ("true", "false") if "boolean" in kinds else ()
            )
            yield Shape("literal", schema, texts=words)
        if "string" in kinds:
            low, high = int(schema.get("minLength", 0)), schema.get("maxLength")
            shaped = "pattern" in schema or "format" in schema
            yield Shape("string", _only(schema, "string"), shaped=shaped, low=low, high=high)
        if "number" in kinds or "integer" in kinds:
            kind = "number" if "number" in kinds else "integer"
            step = schema.get("multipleOf", 1)
            # Whole numbers of any size, halves, quarters: no error in floats.
            exact = isinstance(step, int) or float(step * 1024).is_integer()
            yield Shape("number", _only(schema, kind), step=0.0 if exact else step)
        if "array" in kinds:
            yield self._array(schema, path)
        if "object" in kinds:
            yield self._object(schema, path)

    def _array(self, schema: dict[str, Json], path: str) -> Shape:
        items = schema.get("items", {})
        prefix, rest = schema.get("prefixItems", []), items
        if isinstance(items, list):
            prefix, rest = items, schema.get("additionalItems", {})
        return Shape(
            "array",
            schema,
            unique=bool(schema.get(UNIQUE)),
            low=int(schema.get("minItems", 0)),
            high=schema.get("maxItems"),
            prefix=tuple(self._node(one, f"{path}.{n}") for n, one in enumerate(prefix)),
            rest=None if rest is False else self._node(rest, f"{path}.items"),
        )

    def _object(self, schema: dict[str, Json], path: str) -> Shape:
        def at(inner: Json, name: str) -> Node:
            return self._node(inner, f"{path}.{name}".strip("."))

        extra = [(p, at(one, p)) for p, one in schema.get("patternProperties", {}).items()]
        others = schema.get("additionalProperties", {})
        if others is not False:
            extra.append(("", at(others, "*")))
        named = schema.get("properties", {})
        wanted = schema.get("required", [])
        order = [name for name in named if name in wanted]
        order += [name for name in dict.fromkeys(wanted) if name not in named]
        return Shape(
            "object",
            schema,
            low=int(schema.get("minProperties", 0)),
            high=schema.get("maxProperties"),
            names={name: at(one, name) for name, one in named.items() if one is not False},
            required=tuple(order),
            extra=tuple(extra),
        )


def others(node: Node) -> Iterator[str]:
    """More texts of a scalar, short ones first."""
    for shape in node.shapes or ():
        yield from sorted(shape.texts, key=len)
        if shape.kind == "string" and not shape.shaped:
            most = 20 if shape.high is None else min(20, shape.high - shape.low + 1)
            yield from (f'"{FILLER * (shape.low + more)}"' for more in range(most))
        elif shape.kind == "number":
            yield from _numbers(shape.schema)


def _numbers(schema: dict[str, Json]) -> Iterator[str]:
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


def _spelled(value: Json) -> dict[str, Json]:
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


def _only(schema: dict[str, Json], kind: str) -> dict[str, Json]:
    return {**schema, "type": kind}


def _is(value: Json, kind: str) -> bool:
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
