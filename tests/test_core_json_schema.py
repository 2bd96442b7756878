"""JSON Schema in core: subschemas are visited and mapped, references followed, values validated."""

from __future__ import annotations

import pytest
from denizens.core import (
    Json,
    iter_subschemas,
    map_subschemas,
    resolve_pointer,
    schema_problem,
    schema_validator,
)

SCHEMA: Json = {
    "type": "object",
    "properties": {"type": {"enum": ["type"]}, "a/b": {"prefixItems": [{"const": 1}, True]}},
    "additionalProperties": {"anyOf": [{"$ref": "#/$defs/x%20y"}, False]},
    "$defs": {"x y": {"not": {"type": "null"}}},
    "examples": [{"properties": {"no": "schema"}}],
}


def test_every_subschema_is_visited_once() -> None:
    """Also below lists and maps; what only looks like a schema is not visited."""
    paths = [".".join(path) for path, _ in iter_subschemas(SCHEMA)]
    assert len(set(paths)) == len(paths) == 10
    assert {"properties.a/b.prefixItems.1", "additionalProperties.anyOf.0", "$defs.x y.not"} <= {
        *paths
    }
    assert not any(path.startswith("examples") for path in paths)


def test_mapping_changes_inner_schemas_first_and_copies() -> None:
    """The function sees schemas only, inner ones already mapped; the original stays as it was."""
    before = repr(SCHEMA)
    order: list[Json] = []

    def count(schema: Json) -> Json:
        order.append(schema)
        return {**schema, "n": len(order)} if isinstance(schema, dict) else schema

    mapped = map_subschemas(SCHEMA, count)
    assert mapped["n"] == len(order) == 10
    assert mapped["properties"]["type"]["enum"] == ["type"]
    assert repr(SCHEMA) == before


def test_pointers() -> None:
    """Escapes of JSON pointers and of URIs are decoded; what is not there raises KeyError."""
    assert resolve_pointer(SCHEMA, "#") is SCHEMA
    assert resolve_pointer(SCHEMA, "#/properties/a~1b/prefixItems/0") == {"const": 1}
    assert resolve_pointer(SCHEMA, "#/$defs/x%20y") == {"not": {"type": "null"}}
    for missing in ("#/nowhere", "#/properties/a~1b/prefixItems/-1", "#/type/0"):
        with pytest.raises(KeyError):
            resolve_pointer(SCHEMA, missing)
        assert resolve_pointer(SCHEMA, missing, None) is None


def test_validation_fetches_nothing_and_takes_own_keywords() -> None:
    """A reference to another document is an error, not a request; formats count when asked for."""
    assert schema_problem(SCHEMA) == ""
    assert "object" in schema_problem([])
    assert "no valid JSON schema" in schema_problem({"type": "nothing"})
    dates: Json = {"type": "string", "format": "date"}
    assert schema_validator(dates).is_valid("yesterday")
    assert not schema_validator(dates, formats=True).is_valid("yesterday")
    with pytest.raises(Exception, match="example"):
        schema_validator({"$ref": "http://example.org/schema"}).is_valid(1)
    strict = schema_validator({"type": "string"}, keywords={"type": lambda *given: iter(())})
    assert strict.is_valid(3)
