"""Tools as options, and none of these."""

from __future__ import annotations

import pytest
from denizens.core import (
    NONE_OF_THESE,
    Choose,
    Option,
    ask_from_json,
    identifier_to_words,
    to_json,
    tool_option,
)
from denizens.core.protocols.asks import MAX_PARAMETERS


def test_a_tool_tells_its_name_and_its_parameters() -> None:
    """The name stays the tool's; the description has the name in words and all parameters."""
    schema = {"properties": {"toTown": {"description": " Where\n to. "}, "day": {"type": "string"}}}
    option = tool_option("trains.find_next", "The next\ntrain.", schema)
    assert option.name == "trains.find_next"
    assert option.description.split("\n") == [
        "trains find next: The next train.",
        "- to Town: Where to.",
        "- day",
    ]


@pytest.mark.parametrize("schema", [None, {}, {"properties": None}, {"properties": []}, "x"])
def test_a_tool_without_parameters_is_a_line(schema: object) -> None:
    """No schema, or one that lists nothing, leaves name and description."""
    assert tool_option("now", "The time.", schema).description == "now: The time."


def test_only_so_many_parameters_are_told() -> None:
    """A tool with forty of them is not forty lines long."""
    schema = {"properties": {f"p{i}": True for i in range(40)}}
    assert tool_option("x", "y", schema).description.count("\n") == MAX_PARAMETERS


def test_words_of_identifiers() -> None:
    """Dots, dashes, underscores and humps part words; what is one word stays one."""
    assert identifier_to_words("a.b-c_dE") == "a b c d E"
    assert identifier_to_words("HTTPServer2") == "HTTPServer2"


def test_none_survives_the_record() -> None:
    """Told by equality, it is still itself after it was written down and read."""
    ask = Choose(messages=(), options=(Option("a"), NONE_OF_THESE), about="x")
    again = ask_from_json(to_json(ask))
    assert isinstance(again, Choose)
    assert again.options[1] == NONE_OF_THESE != again.options[0]
