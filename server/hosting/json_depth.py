"""How deeply JSON may be nested: parsers and schema compilers recurse."""

from __future__ import annotations

import re

from .refusals import RequestRefused

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[][{}]")


def check_json_depth(body: bytes, most: int) -> None:
    """Raises RequestRefused (400) for JSON that is nested more than ``most`` deep; looks at
    brackets only, before anything parses the body.

    >>> check_json_depth(b'{"a": ["[[["]}', 2)
    """
    if body.count(b"[") + body.count(b"{") <= most:
        return
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", body)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > most:
            raise RequestRefused(400, f"the JSON is nested more than {most} deep", code="too_deep")


def check_schema_depth(schema: object, most: int, param: str = "schema") -> None:
    """Raises RequestRefused (400) for a JSON schema that is nested more than ``most`` deep:
    ``{"type": "string"}`` is 1 deep, each list or object in it one more."""
    level: list[object] = [schema]
    depth = 0
    while level:
        depth += 1
        if depth > most:
            message = f"{param}: the schema is nested more than {most} deep"
            raise RequestRefused(400, message, code="schema_too_deep", param=param)
        inner: list[object] = []
        for node in level:
            values = node.values() if isinstance(node, dict) else node
            inner += [one for one in values if isinstance(one, dict | list)]  # type: ignore[attr-defined]
        level = inner
