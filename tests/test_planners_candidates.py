"""Reading a request: its numbers, pieces, and the fields of a schema."""

from __future__ import annotations

from datetime import date

import pytest
from denizens.core import Json, ToolSpec, schema_validator
from denizens.planners.arguments import satisfies_schema
from denizens.planners.arguments.argument_fields import (
    ArgumentField,
    default_in,
    fields_of,
    hints_in,
    is_checkable,
)
from denizens.planners.arguments.number_parser import ParsedNumber, convert_unit, numbers_in
from denizens.planners.arguments.text_spans import spans_in
from denizens.planners.arguments.value_candidates import ParsedRequest, candidates_for, find_mention
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=1, b=-3, c=2", [1, -3, 2]),
        ("$1,500.50 at 10%", [1500.5, 10]),
        ("213 million people", [213_000_000]),
        ("at 300K", [300]),
        ("twenty-five cats and one hundred thousand dogs", [25, 100_000]),
        ("roll a six-sided die twice", [6, 2]),
        ("from rest", [0]),
        ("the next two weeks, the past decade", [2, 1]),
        ("open until 11 PM", [23]),
        ("33.4484 N, 112.0740 W", [33.4484, -112.074]),
        ("9.8 m/s^2", [9.8]),
        ("5-10 cats, -3 dogs, 2-bedroom", [5, 10, -3, 2]),
        ("on 01-01-1980, id `DNA123`, order #12-3, C6H12O6, 10:30", []),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, values: list[float]) -> None:
    """Digits, words, scales, shares, compass and clock; not dates, codes or exponents."""
    assert [one.value for one in numbers_in(text)] == values


@given(st.text(max_size=80))
def test_numbers_and_spans_lie_in_the_text(text: str) -> None:
    """Of any text: numbers in order without overlap, spans as they stand there."""
    end = 0
    for number in numbers_in(text):
        assert end <= number.start < number.end <= len(text)
        end = number.end
    for span in spans_in(text):
        assert text[span.start : span.end] == span.text
        assert span.text


@given(st.integers(-(10**6), 10**6))
def test_a_number_written_is_read_back(value: int) -> None:
    """Whatever whole number, with and without its thousands' commas."""
    for text in (f"take {value} of it", f"take {value:,} of it"):
        assert [one.value for one in numbers_in(text)] == [value]


def test_units_are_converted_within_their_kind() -> None:
    """Hours to seconds, not metres to seconds."""
    assert convert_unit(ParsedNumber(0, 1, 2.0, "hours"), "seconds") == 7200
    assert convert_unit(ParsedNumber(0, 1, 2.0, "meters"), "seconds") is None


@pytest.mark.parametrize(
    ("text", "piece", "kind"),
    [
        ("titled 'Roe v. Wade' please", "Roe v. Wade", "quoted"),
        ("from Boston, MA, to Rome", "Boston, MA", "name"),
        ("near Letterkenny,Ireland", "Letterkenny,Ireland", "name"),
        ("the Museum of Modern Art in town", "Museum of Modern Art", "name"),
        ("docket 123456-ABC now", "123456-ABC", "typed"),
        ("mail ada@lovelace.org.", "ada@lovelace.org", "typed"),
        ("for the function y = x^3 there", "x^3", "formula"),
        ("cases about land disputes in", "land disputes", "phrase"),
    ],
)
def test_pieces_of_a_request(text: str, piece: str, kind: str) -> None:
    """Quotations, names, codes, formulas and phrases are found whole."""
    assert piece in [one.text for one in spans_in(text) if one.kind == kind]


@pytest.mark.parametrize("text", ["2021-03-04", "3/4/2021", "March 4th, 2021", "4 March 2021"])
def test_days_are_understood(text: str) -> None:
    """A date in any of the usual ways is that day."""
    (span,) = [one for one in spans_in(f"on {text} at home") if one.kind == "date"]
    assert span.day == date(2021, 3, 4)


def test_a_value_is_mentioned_in_other_spellings() -> None:
    """Case, blanks and plurals do not matter; a single letter's case does."""
    assert find_mention("full_text", "the Full Text of it") == (4, 13)
    assert find_mention("ounce", "in ounces") == (3, 9)
    assert find_mention("A", "a cat") is None


def test_what_descriptions_tell() -> None:
    """Defaults, and the values that are listed."""
    assert default_in("The format (default to 'fasta').") == "fasta"
    assert default_in("Rounded. Default 0") == 0
    assert default_in("Nothing told.") is None
    assert hints_in("One of 'open', 'closed'.") == ("open", "closed")
    assert hints_in("Such as 'Paris, France'.") == ()


def test_fields_of_objects_are_told_apart() -> None:
    """Each value of an object is a field of its own, required only if the object is."""
    inner = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    schema = {"type": "object", "properties": {"a": inner, "b": inner}, "required": ["a"]}
    found = [(one.path, one.required) for one in fields_of(ToolSpec("t", "t", schema))]
    assert found == [(("a", "x"), True), (("b", "x"), False)]


PAIRS = ("pairs", {"type": "array", "items": {"type": "integer"}})


@pytest.mark.parametrize(
    ("text", "name", "schema", "value"),
    [
        ("A(3,4) and B", *PAIRS, [3, 4]),
        ("scores 85, 90 and 88", *PAIRS, [85, 90, 88]),
        ("from 2015 to 2021", *PAIRS, [2015, 2021]),
        (
            "stops at Oslo, Bergen and Voss",
            "stops",
            {"type": "array", "items": {"type": "string"}},
            ["Oslo", "Bergen", "Voss"],
        ),
        ("scores {'math': 90}", "scores", {"type": "object"}, {"math": 90}),
        ("5ft 10in tall", "height", {"type": "integer", "description": "Height in inches."}, 70),
        ("the past hour", "span", {"type": "integer", "description": "Span in seconds."}, 3600),
    ],
)
def test_candidates_hold_the_value(text: str, name: str, schema: Json, value: Json) -> None:
    """Rows, ranges, enumerations, objects, sums of units, converted lengths of time."""
    (one,) = fields_of(ToolSpec("t", "t", {"type": "object", "properties": {name: schema}}))
    assert value in [candidate.value for candidate in candidates_for(one, ParsedRequest(text))]


@given(st.text(max_size=60), st.sampled_from(["integer", "number", "string", "boolean", "array"]))
def test_candidates_are_of_the_fields_type(text: str, kind: str) -> None:
    """Whatever a request says: every candidate fits, and none is offered twice."""
    schema: Json = (
        {"type": kind, "items": {"type": "string"}} if kind == "array" else {"type": kind}
    )
    found = candidates_for(
        ArgumentField(("x",), kind, schema, True, item_kind="string"), ParsedRequest(text)
    )
    assert all(satisfies_schema(one.value, schema) for one in found)
    assert len({one.label for one in found}) == len(found)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(-5, 5),
    st.sampled_from(["", "ab", "abcd"]),
)
CHECKED = st.sampled_from(
    [
        {"type": "integer", "minimum": 1, "maximum": 3},
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "minLength": 2, "maxLength": 3},
        {"type": "string", "enum": ["ab", ""]},
        {"type": "boolean"},
        {"type": "array", "items": {"type": "integer"}, "minItems": 1, "uniqueItems": True},
        {"type": "string", "pattern": "^a"},
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        {"type": "object", "additionalProperties": False, "properties": {"b": {"type": "string"}}},
    ]
)


@given(
    st.one_of(VALUES, st.lists(VALUES, max_size=3), st.dictionaries(st.sampled_from("ab"), VALUES)),
    CHECKED,
)
def test_our_check_agrees_with_jsonschema(value: Json, schema: Json) -> None:
    """What ``satisfies_schema`` approves of is what the standard's validator does."""
    assert is_checkable(schema)
    assert satisfies_schema(value, schema) == schema_validator(schema, formats=True).is_valid(value)
