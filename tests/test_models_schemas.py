"""Schemas on their way to grammars: always valid or a typed answer, faults named, narrowed."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from denizens.core import Json, schema_validator
from denizens.models.grammar import GrammarMatcher, SchemaError
from denizens.models.grammar.completion import JsonCompleter, PartialJson
from denizens.models.grammar.schema import normalize_schema, restrict_schema
from denizens.models.grammar.schema_ir import SchemaIR, json_text
from denizens.tests.support.grammar_strategies import (
    SCALARS,
    SCHEMAS,
    grammars,
    tokenizer,
    value,
    write,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PATIENT = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
STRING: Json = {"type": "string"}


def matcher_of(schema: Json, limit: int, *faults: str) -> GrammarMatcher | None:
    """A matcher; None where one of some faults is told instead."""
    try:
        return grammars().matcher(schema, limit)
    except SchemaError as error:
        told = f"{error.reason}: {error}"
    assert any(fault in told for fault in faults), told
    return None


@given(schema=SCHEMAS, seed=st.integers(0, 10**6), limit=st.sampled_from([24, 60, 160]))
@PATIENT
def test_noise_gives_valid_json(schema: Json, seed: int, limit: int) -> None:
    """Random tokens under the mask of a random schema give a value that is valid under the
    schema as it was given and complete within the limit; or a typed fault up front."""
    matcher = matcher_of(schema, limit, "limit", "ever complete")
    if matcher is None:
        return
    write(matcher, seed, most=limit + 1)
    found = value(matcher)
    assert len(matcher.tokens) <= limit
    outcome: Any = matcher.result()
    assert tokenizer().decode(matcher.tokens) == outcome[0]
    with suppress(RecursionError):  # the validator's own, on {"$ref": itself} within anyOf
        assert schema_validator(schema, formats=True).is_valid(found), found
    json.dumps(found, allow_nan=False).encode()


@given(schema=SCHEMAS)
@PATIENT
def test_what_is_narrowed_is_still_a_grammar(schema: Json) -> None:
    """Narrowing never makes a grammar of a schema that has one impossible: the words it
    adds are those the grammar engine knows."""
    home: Any = grammars()
    if not home._compile_raw(normalize_schema(schema))[1]:
        assert home._compile_raw(restrict_schema(normalize_schema(schema)))[1] == ""


@given(schema=SCALARS, size=st.integers(1, 3))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_sets_hold_nothing_twice(schema: Json, size: int) -> None:
    """uniqueItems is kept for scalars; too few different values for minItems is a fault."""
    bound = {"type": "array", "items": schema, "uniqueItems": True, "minItems": size}
    bound["$defs"] = {"n0": STRING, "n1": STRING}
    matcher = matcher_of(bound, 150, "uniqueItems", "ever complete")
    if matcher is None:
        return
    write(matcher, size, most=151)
    assert schema_validator(bound, formats=True).is_valid(value(matcher)), value(matcher)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ([], "must be an object, not list"),
        ({"type": object}, "must be plain JSON"),
        ({"type": "banana"}, "the schema: Invalid type: banana"),
        ({"properties": {"age": {"minimum": 5, "maximum": 1}}}, "'properties.age': minimum 5 is"),
        ({"items": {"minLength": 4, "maxLength": 2}}, "'items': minLength 4 is above maxLength 2"),
        ({"anyOf": [STRING, {"enum": []}]}, "'anyOf.1': enum is empty"),
        ({"type": "integer", "minimum": 1, "maximum": 6, "multipleOf": 7}, "widen it"),
        ({"properties": {"a": {"$ref": "#/$defs/b"}}}, "'properties.a': '#/$defs/b' is not in"),
        ({"$ref": "http://example.com/x"}, "only references into the schema itself"),
        ({"properties": {"a": {"not": STRING}}}, "'properties.a': Unimplemented keys: "),
        ({"properties": {"a": {"pattern": "(?=x)y"}}}, "'properties.a': regex parse error"),
        (
            {"$defs": {"a": {"format": "iri"}}, "$ref": "#/$defs/a"},
            "'$defs.a': Unknown format: iri",
        ),
        ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, "use anyOf"),
        ({"allOf": [STRING, {"type": "integer"}]}, "no value can satisfy it"),
        ({"properties": {"a": 5}}, "'properties.a': holds 5, which is no schema"),
        ({"$ref": "#"}, "no value of it is ever complete"),
    ],
)
def test_a_fault_names_the_field_and_the_remedy(schema: Json, words: str) -> None:
    """What cannot be a grammar is refused with the place in the schema and what to do."""
    with pytest.raises(SchemaError) as caught:
        grammars().matcher(schema, 100)
    assert words in str(caught.value)
    assert caught.value.reason == "schema"


def test_recursion_without_end_is_found() -> None:
    """A value that must hold one of its kind is refused, wherever it is; one that may end
    is written."""
    node: Json = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    endless = {"$defs": {"node": {**node, "required": ["next"]}}, "$ref": "#/$defs/node"}
    for schema in (
        endless,
        {"$defs": endless["$defs"], "properties": {"first": {"$ref": "#/$defs/node"}}},
        {"type": "array", "items": False, "minItems": 1},
    ):
        with pytest.raises(SchemaError):
            grammars().matcher(schema, 100)
    listed = {"$defs": {"node": node}, "$ref": "#/$defs/node"}
    matcher = grammars().matcher(listed, 40)
    write(matcher, 1)
    assert set(value(matcher)) <= {"next"}


def test_an_alternative_without_grammar_is_left_out() -> None:
    """Of an anyOf the alternatives that can be written remain; the last one is not dropped."""
    odd = {"type": "string", "pattern": "(?!a)b"}
    schema = {"properties": {"pay": {"anyOf": [odd, {"type": "integer"}]}}, "required": ["pay"]}
    for seed in range(5):
        matcher = grammars().matcher({"type": "object", **schema}, 60)
        write(matcher, seed)
        assert isinstance(value(matcher)["pay"], int)
    with pytest.raises(SchemaError, match="look around"):
        grammars().matcher({"anyOf": [odd, odd]}, 60)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "number"}, "1.5", "1e999"),
        ({"type": "integer"}, "9007199254740991", "9007199254740993"),
        ({"type": "integer", "minimum": 10**17}, f"{10**17}", "5"),
        ({"properties": {"a": STRING}, "type": "object"}, '{"a": "x"}', '{"b": 1}'),
        ({"properties": {"a": STRING}, "additionalProperties": True}, '{"b": 1}', '{"b": 1e999}'),
        ({"type": "object", "required": ["b"], "properties": {}}, '{"b": [1]}', '{"b": 1, "c": 2}'),
        ({"type": "object"}, '{"a": {"b": []}}', "[]"),
        ({}, '[{"a": null}]', "[1e400]"),
        ({"type": "string", "format": "time"}, '"23:59:59Z"', '"23:59:60Z"'),
        ({"type": "string", "format": "date"}, '"2024-02-29"', '"0000-01-01"'),
        ({"type": "string", "format": "password"}, '"secret"', "1"),
        (STRING, '"a\\nb"', '"a\\u0000b"'),
        ({"enum": ["a\u0001"]}, '"a\\u0001"', '"a"'),
        ({"propertyNames": {"enum": ["a"]}, "type": "object"}, '{"a": 1}', '{"b": 1}'),
        ({"propertyNames": {"pattern": "^a"}, "type": "object"}, '{"ab": 1}', '{"b": 1}'),
        ({"x-guidance": {"whitespace_flexible": True}, "type": "array"}, "[]", "[ ]"),
    ],
)
def test_what_is_left_out(schema: Json, good: str, bad: str) -> None:
    """Numbers beyond what readers agree on, properties nobody asked for, seconds that clocks
    lack, NUL: not written, while ordinary values are."""

    def accepted(text: str) -> bool:
        matcher = grammars().matcher(schema, 100)
        for token in tokenizer()(text, add_special_tokens=False).input_ids:
            matcher.accept_token(token)
        return matcher.complete

    assert accepted(good)
    assert not accepted(bad)
    assert schema_validator(schema, formats=True).is_valid(json.loads(good))


@given(
    data=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    cuts=st.lists(st.integers(0, 200), max_size=6),
)
@settings(deadline=None)
def test_a_beginning_is_read_in_any_pieces(data: Json, cuts: list[int]) -> None:
    """Text taken piece by piece, cut within characters too, is understood as when whole."""
    raw = json_text(data).encode()
    places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
    whole, pieces = PartialJson(), PartialJson()
    whole.feed(raw)
    for start, end in pairwise(places):
        pieces.feed(raw[start:end])
    for one in (whole, pieces):
        assert one.partial_bytes == b""
        assert one.containers == []
    assert pieces.pending == whole.pending


@pytest.mark.parametrize(
    ("schema", "begun", "rest"),
    [
        ({"properties": {"a": STRING, "b": {"const": 1}}, "required": ["b"]}, "{", '"b": 1}'),
        (
            {"properties": {"a": STRING, "b": {"const": 1}}, "required": ["b"]},
            '{"a',
            '": "", "b": 1}',
        ),
        ({"properties": {"a": STRING}}, '{"a": "x\\', 'n"}'),
        ({"properties": {"a": {"minLength": 4, **STRING}}}, '{"a": "x\\n', '.."}'),
        ({"type": "array", "items": {"enum": [True]}, "minItems": 3}, "[true,", " true, true]"),
        ({"enum": ["abc", "abd!", {"k": [1]}]}, '"ab', 'c"'),
        ({"enum": ["abc", {"k": [1, 2]}]}, '{"k": [1', ", 2]}"),
        (
            {
                "anyOf": [
                    {"properties": {"t": {"const": 1}, "v": STRING}, "required": ["t", "v"]},
                    {"properties": {"t": {"const": 2}}, "required": ["t"]},
                ]
            },
            '{"t": 1',
            ', "v": ""}',
        ),
        ({"type": "object", "additionalProperties": {"type": "null"}}, '{"a": null, "', None),
        ({"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True}, "[1, ", "2]"),
        ({"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True}, "[1, 2, ", None),
    ],
)
def test_the_shortest_rest(schema: Json, begun: str, rest: str | None) -> None:
    """What completes a beginning, by the schema alone."""
    if "type" not in schema and "properties" in schema:
        schema = {"type": "object", **schema, "additionalProperties": False}
    shapes = SchemaIR(normalize_schema(schema), len, lambda one: "0")
    partial = PartialJson()
    partial.feed(begun.encode())
    found = JsonCompleter(shapes).shortest_completion(partial, lambda first: '"')
    if rest is None and "additionalProperties" in schema:
        assert found is not None
        assert json.loads(begun + found.decode()) != json.loads('{"a": null}')
    else:
        assert found == (None if rest is None else rest.encode())
