"""``@tool``: what a signature and a docstring become."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pytest
from denizens.core import Json, ToolError
from denizens.tools import Tool, Toolbox, ToolContext, tool
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

if TYPE_CHECKING:
    from decimal import Decimal


@dataclass
class Seat:
    row: int
    window: bool = False


@tool(effect="acts")
def book(
    context: ToolContext,
    train: str,
    seats: Annotated[int, Field(ge=1, le=9), "how many seats"],
    kind: Literal["first", "second"] = "second",
    at: datetime | None = None,
    where: Seat | None = None,
    copy: bool = False,
) -> str:
    """Book seats
    on a train.

    More than a model needs to know.

    Args:
        train: the train's number,
            as on the board
        kind (str): the class

    Returns nothing that matters.
    """
    return f"{context.who}: {seats} {kind} on {train} {at} {where} {copy}"


def properties(made: Tool[..., Any]) -> dict[str, Json]:
    found: dict[str, Json] = made.spec.parameters["properties"]
    return found


def test_spec_follows_signature_and_docstring() -> None:
    """Name, first paragraph, effect, types, bounds, defaults and descriptions are all taken."""
    assert (book.spec.name, book.spec.effect) == ("book", "acts")
    assert book.spec.description == "Book seats on a train."
    found = properties(book)
    assert found["train"] == {
        "type": "string",
        "description": "the train's number, as on the board",
    }
    assert found["seats"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 9,
        "description": "how many seats",
    }
    assert found["kind"] == {
        "type": "string",
        "enum": ["first", "second"],
        "default": "second",
        "description": "the class",
    }
    assert found["at"]["anyOf"][0]["format"] == "date-time"
    assert book.spec.parameters["required"] == ["train", "seats"]
    assert book.spec.parameters["additionalProperties"] is False


def test_context_is_not_shown() -> None:
    """The injected parameter does not appear in the schema, so no model can forge it."""
    assert "context" not in properties(book)
    assert book.context == "context"


def test_a_parameter_may_have_any_name() -> None:
    """Names that a pydantic model keeps for itself are fine as parameters."""

    @tool
    def odd(copy: int, schema: int, model_dump: int, _hidden: int) -> int:
        """Add oddly named numbers."""
        return copy + schema + model_dump + _hidden

    given = {"copy": 1, "schema": 2, "model_dump": 3, "_hidden": 4}
    assert odd.arguments(given) == given
    assert list(properties(odd)) == list(given)


def test_a_tool_is_still_the_function() -> None:
    """Calling a tool in Python calls the function, with its name and docstring."""

    @tool(name="twice")
    def double(n: int) -> int:
        """Twice a number."""
        return 2 * n

    assert double(4) == 8
    assert double.spec.name == "twice"
    assert double.__doc__ == "Twice a number."


def test_arguments_are_converted() -> None:
    """JSON values become the function's own types, nested ones too."""
    taken = book.arguments(
        {"train": "IC 5", "seats": "2", "at": "2023-02-13T09:30", "where": {"row": 4}}
    )
    assert taken["at"] == datetime(2023, 2, 13, 9, 30)
    assert taken["where"] == Seat(4)
    assert (taken["seats"], taken["kind"], taken["copy"]) == (2, "second", False)


def untyped(n) -> int:  # type: ignore[no-untyped-def]
    """Miss a type."""
    return int(n)


def starred(*numbers: int) -> int:
    """Take any number."""
    return sum(numbers)


def silent(n: int) -> int:
    return n


def hidden_type(n: Decimal) -> int:
    """Use a type that exists only for the checker."""
    return int(n)


def not_json(n: Callable[[int], int]) -> int:
    """Take what JSON cannot hold."""
    return n(1)


def opaque(n: Tool[..., Any]) -> int:
    """Take a class that pydantic does not know."""
    return len(n.name)


def misdescribed(n: int) -> int:
    """Describe what is not there.

    Args:
        m: a number
    """
    return n


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (untyped, "'n' has no type"),
        (starred, "'numbers' must be an ordinary one"),
        (silent, "has no docstring"),
        (hidden_type, "not under TYPE_CHECKING"),
        (not_json, "does not fit into JSON"),
        (opaque, "cannot be checked"),
        (misdescribed, "describes 'm'"),
        (lambda n: n, "a name has letters"),
    ],
)
def test_wrong_declarations_are_refused(function: Any, words: str) -> None:
    """A tool that a model could not be shown fails where it is declared, with the remedy."""
    with pytest.raises(ToolError, match=words):
        tool(function)


def test_an_unknown_effect_is_refused() -> None:
    """Only pure, reads and acts exist: a typing slip must not make an acting tool harmless."""
    with pytest.raises(ToolError, match="not 'act'"):
        tool(effect="act")(silent)  # type: ignore[call-overload]


TYPES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(max_size=20),
    bool: st.booleans(),
    list[int]: st.lists(st.integers(), max_size=4),
    dict[str, float]: st.dictionaries(
        st.text(max_size=4), st.floats(allow_nan=False, allow_infinity=False), max_size=3
    ),
    Literal["a", "b"]: st.sampled_from(["a", "b"]),
    str | None: st.none() | st.text(max_size=5),
    Annotated[int, Field(ge=0)]: st.integers(0, 10**6),
}


@given(st.data())
def test_values_of_the_declared_types_pass_unchanged(data: st.DataObject) -> None:
    """Whatever the types, their values come through; a value missing or one too many is told."""
    kinds = data.draw(st.lists(st.sampled_from(list(TYPES)), max_size=5))
    names = [f"p{place}" for place in range(len(kinds))]
    values = {name: data.draw(TYPES[kind]) for name, kind in zip(names, kinds)}

    def function(**given: object) -> None:
        """Do nothing."""

    function.__annotations__ = dict(zip(names, kinds))
    function.__signature__ = _signature(names)  # type: ignore[attr-defined]
    made = tool(function)
    assert made.arguments(values) == values
    assert list(properties(made)) == names
    assert made.spec.parameters.get("required", []) == names
    with pytest.raises(ValueError, match="extra_forbidden"):
        made.arguments({**values, "more": 1})
    if names:
        del values[names[0]]
        with pytest.raises(ValueError, match="missing"):
            made.arguments(values)


def _signature(names: list[str]) -> Any:
    from inspect import Parameter, Signature

    return Signature([Parameter(name, Parameter.KEYWORD_ONLY) for name in names])


def numpy_style(count: int, kind: str = "rye") -> str:
    """Bake loaves
    of one kind.

    Parameters
    ----------
    count : int
        how many
    kind : str, optional
        which grain

    Returns
    -------
    str
        what was baked
    """
    return f"{count} {kind}"


def sphinx_style(count: int, kind: str = "rye") -> str:
    """Bake loaves
    of one kind.

    :param count: how many
    :param str kind: which grain
    :returns: what was baked
    """
    return f"{count} {kind}"


def google_style(count: int, kind: str = "rye") -> str:
    """Bake loaves
    of one kind.

    Args:
        count (int): how many
        kind: which
            grain

    Returns:
        what was baked
    """
    return f"{count} {kind}"


@pytest.mark.parametrize("function", [numpy_style, sphinx_style, google_style])
def test_docstring_styles(function: Callable[..., str]) -> None:
    """The usual styles of docstrings give the same description and texts of arguments."""
    spec = tool(function).spec
    assert spec.description == "Bake loaves of one kind."
    texts = {name: one["description"] for name, one in spec.parameters["properties"].items()}
    assert texts == {"count": "how many", "kind": "which grain"}


class Oven:
    """An oven."""

    def __call__(self, minutes: int) -> int:
        """Bake for some minutes."""
        return 2 * minutes


def test_callables_that_are_no_plain_functions() -> None:
    """A partial and a callable object are tools; a class and a classmethod are refused."""
    half = tool(functools.partial(google_style, kind="oat"))
    assert (half.name, half.spec.description) == ("google_style", "Bake loaves of one kind.")
    assert half.spec.parameters["required"] == ["count"]
    oven = tool(name="oven")(Oven())
    assert oven.spec.description == "Bake for some minutes."
    assert oven(3) == 6
    made: Any = classmethod
    refused: tuple[Any, ...] = (Oven, 3, made(google_style), staticmethod(google_style))
    for wrong in refused:
        with pytest.raises(ToolError):
            tool(wrong)


def test_results_of_arrays_and_tables() -> None:
    """Arrays and numbers of NumPy arrive as plain values, at any depth; a tensor too."""

    @tool
    def count() -> object:
        """Count."""
        return {"n": np.int64(3), "rows": [np.arange(2), np.float32(0.5), np.bool_(True)]}

    context = ToolContext("Bo", datetime(2026, 5, 1))
    told = Toolbox([count]).call("count", {}, context=context, key="k")
    assert told.value == {"n": 3, "rows": [[0, 1], 0.5, True]}


class Frame:
    """As much of a pandas table as a result needs; pandas is no dependency."""

    def __init__(self, named: bool) -> None:
        self.index = SimpleNamespace(name="day" if named else None, dtype="int64", is_unique=True)
        self.columns = ["n"]
        self.named = named

    def reset_index(self) -> Frame:
        return self

    def to_json(self, **how: str) -> str:
        return '[{"day": 3, "n": 1}]' if self.named else '[{"n": 1}]'


def test_results_keep_labels_and_names() -> None:
    """The labels of a table's rows and the names of NumPy's columns arrive; keys that JSON would
    make one are refused."""
    made: list[tuple[object, Json]] = [
        (np.array([(1, 0.5)], dtype=[("n", "i4"), ("share", "f8")]), [{"n": 1, "share": 0.5}]),
        ({"rows": Frame(True)}, {"rows": [{"day": 3, "n": 1}]}),
        (Frame(False), [{"n": 1}]),
    ]
    results = iter([value for value, _ in made] + [[{1: "a", "1": "b"}]])

    @tool
    def look() -> object:
        """Look."""
        return next(results)

    box, context = Toolbox([look]), ToolContext("Bo", datetime(2026, 5, 1))
    for place, (_, wanted) in enumerate(made):
        told = box.call("look", {}, context=context, key=str(place))
        assert (told.value, told.error) == (wanted, "")
    told = box.call("look", {}, context=context, key="twice")
    assert (told.ok, told.reason) == (False, "result")
    assert "two keys of a dict are the same text" in told.error
