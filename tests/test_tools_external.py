"""Schemas, names and arguments of tools that others wrote: whatever they hold, sound ones come
out, and no process hangs."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from importlib import import_module
from typing import Any

import pytest
from denizens.core import Json, ToolError
from denizens.tests.support.grammar_strategies import SCHEMAS, grammars
from denizens.tools import AnyTool, Toolbox
from denizens.tools.declaration import checked_name
from denizens.tools.external.external_tool import ExternalTool, unique_tool_name
from denizens.tools.external.schema_sanitizer import clean_text, sanitize_schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Draft202012Validator: Any = import_module("jsonschema").Draft202012Validator

ROUGH = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
TEXTS = st.text(st.characters(codec=None), max_size=12)
WORDS = """type properties required additionalProperties patternProperties items prefixItems anyOf
oneOf allOf not enum const default pattern format minimum maximum exclusiveMinimum minLength
maxLength minItems maxItems $ref $defs $dynamicRef $id nullable description"""
KEYWORDS = st.sampled_from(WORDS.split())
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    TEXTS,
    st.sampled_from(
        ["object", "string", "#", "#/$defs/a", "#/properties/a", "http://x/y", "(a+)+"]
    ),
)
JUNK: st.SearchStrategy[Json] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(KEYWORDS, st.sampled_from(["a", "b"]), TEXTS), inner, max_size=5),
    ),
    max_leaves=25,
)


def tool(schema: Json, name: str = "far.away") -> ExternalTool:
    """A foreign tool that hands back its arguments."""
    return ExternalTool(name, "Far away.", schema, effect="acts", run=lambda given, tell: given)


def keywords(schema: Json) -> set[str]:
    """All keys of a schema, names of properties left out."""
    if isinstance(schema, list):
        return {key for one in schema for key in keywords(one)}
    if not isinstance(schema, dict):
        return set()
    found = set(schema)
    for key, inner in schema.items():
        if key == "properties":
            found |= {key for one in inner.values() for key in keywords(one)}
        elif key not in ("enum", "const", "default"):
            found |= keywords(inner)
    return found


@given(schema=JUNK)
@ROUGH
def test_any_schema_becomes_sound(schema: Json) -> None:
    """Of whatever JSON a server sends there comes a valid schema of an object that refers to
    nothing, is short, can be written as UTF-8, and with which arguments can be checked."""
    found = sanitize_schema(schema)
    assert found["type"] == "object"
    assert "$ref" not in keywords(found)
    Draft202012Validator.check_schema(found)
    assert len(json.dumps(found, allow_nan=False, ensure_ascii=False).encode()) <= 40_000
    with suppress(ValueError):
        assert tool(schema).arguments({"a": 1}) == {"a": 1}


@given(schema=SCHEMAS)
@ROUGH
def test_tamed_schemas_are_grammars(schema: Json) -> None:
    """A schema that a grammar can hold still has one when it is a tool's argument: taming adds
    no words that the grammar engine does not know."""
    home: Any = grammars()
    if not home._compile_raw({"type": "object", "properties": {"a": {}}})[1]:
        definitions = schema.pop("$defs", {}) if isinstance(schema, dict) else {}
        whole = {"type": "object", "properties": {"a": schema}, "$defs": definitions}
        assert home._compile_raw(sanitize_schema(whole))[1] == ""


@given(schema=SCHEMAS, value=st.integers(0, 5))
@ROUGH
def test_taming_only_loosens(schema: Json, value: int) -> None:
    """What the server's schema takes the tamed one takes too, arguments it never named aside."""
    whole = {"type": "object", "properties": {"a": schema}, "additionalProperties": True}
    if isinstance(schema, dict) and "$defs" in schema:
        whole["$defs"] = schema["$defs"]
    given = {"a": [value, f"{value}", None, {"a": value}, [value], True][value]}
    try:
        fits = Draft202012Validator(whole).is_valid(given)
    except RecursionError:  # the validator's own, on {"$ref": itself} within anyOf
        return
    if fits:
        assert tool(whole).arguments(given) == given


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"properties": {"n": {"$ref": "#/properties/n"}}}, {"n": {}}),
        ({"properties": {"n": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "null"}}}, None),
        ({"properties": {"n": {"$ref": "file:///etc/passwd"}}}, {"n": {}}),
        ({"properties": {"n": {"type": "string", "pattern": "(?=a)a"}}}, {"n": {"type": "string"}}),
        ({"properties": {"n": {"minimum": 3, "maximum": 2}}}, {"n": {}}),
        ({"required": ["n"]}, {"n": {}}),
        ({"properties": {"n\u202e": {}, "m": True}}, {"m": {}}),
    ],
)
def test_hostile_parts(schema: Json, said: Json) -> None:
    """Circles, foreign references, patterns that look around, contradictions and names that
    cannot be seen are left out; what is sound stays."""
    assert sanitize_schema(schema)["properties"] == (said or {"n": {"type": "null"}})


def test_references_in_their_thousands() -> None:
    """A schema that grows to 3 ** 30 parts when its references are followed is cut short."""
    bomb: dict[str, Any] = {"d0": {"type": "string"}}
    for level in range(1, 30):
        bomb[f"d{level}"] = {
            "type": "array",
            "prefixItems": [{"$ref": f"#/$defs/d{level - 1}"}] * 3,
        }
    start = time.perf_counter()
    found = sanitize_schema({"properties": {"n": {"$ref": "#/$defs/d29"}}, "$defs": bomb})
    assert time.perf_counter() - start < 2
    assert len(json.dumps(found)) <= 12_000


def test_arguments_are_told_in_words() -> None:
    """What is missing, made up, or does not fit is said so that a model can mend it."""
    schema: Json = {
        "properties": {"city": {"type": "string", "pattern": "^[A-Z]"}, "days": {"maximum": 9}},
        "required": ["city"],
    }
    with pytest.raises(ValueError, match=r"argument 'city' is missing"):
        tool(schema).arguments({})
    with pytest.raises(
        ValueError, match=r"no argument 'cty' \(did you mean 'city'\?\); arguments: c"
    ):
        tool(schema).arguments({"cty": "Ulm", "city": "Ulm"})
    with pytest.raises(ValueError, match=r"'city': 'ulm' does not match .*'days': 12 is greater"):
        tool(schema).arguments({"city": "ulm", "days": 12})
    assert tool(schema).arguments({"city": "Ulm"}) == {"city": "Ulm"}


def test_a_pattern_cannot_stall() -> None:
    """A pattern that takes Python's own engine for ever is checked in linear time."""
    schema = {"properties": {"n": {"type": "string", "pattern": "^(a+)+$"}}}
    start = time.perf_counter()
    with pytest.raises(ValueError, match="does not match"):
        tool(schema).arguments({"n": "a" * 5000 + "!"})
    assert time.perf_counter() - start < 1


@given(names=st.lists(st.one_of(TEXTS, st.text("ab ./", max_size=80)), max_size=8))
@ROUGH
def test_names_fit_and_differ(names: list[str]) -> None:
    """Any names that a server gives become names that a toolbox takes, all different."""
    found: list[str] = []
    for name in names:
        found.append(checked_name(unique_tool_name("far.away", name, found)))
    assert len(set(found)) == len(names)
    assert all(name.startswith("far.away.") for name in found)


@given(text=st.text(st.characters(codec=None)), most=st.integers(1, 40))
def test_texts_are_cleaned(text: str, most: int) -> None:
    """A foreign text becomes one line of visible characters within its length."""
    found = clean_text(text, most)
    assert len(found) <= most
    assert found.isprintable()
    found.encode()


def test_a_foreign_tool_is_a_tool() -> None:
    """A toolbox takes it; its words are from outside; arguments may be called like anything."""
    made = tool({"properties": {"self": {}, "context": {}, "function": {}}})
    assert isinstance(made, AnyTool)
    assert made.spec.outside
    box = Toolbox({"very": [made]})
    assert box.names() == ("very.far.away",)
    given = {"self": 1, "context": 2, "function": 3}
    assert made.function(**made.arguments(given)) == given
    with pytest.raises(ToolError, match="at most 64"):
        tool({}, "no such name!")
