"""Arguments of the wrong type are told in one line, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import pytest
from denizens import DenizensError
from denizens.core import ArgumentError, check_arguments


class Bell(Protocol):
    def ring(self) -> None: ...


class Brass:
    def ring(self) -> None: ...


@check_arguments
def visit(
    place: Path | str,
    people: Sequence[str] = (),
    *,
    hours: float = 1.0,
    seats: int | None = None,
    kind: Literal["tea", "cake"] = "tea",
    bell: Bell | None = None,
    then: Callable[[], None] | None = None,
    notes: Mapping[str, str] | None = None,
) -> str:
    return f"{place} {people} {hours} {seats} {kind}"


FINE: list[dict[str, Any]] = [
    {"people": ["Ada"]},
    {"hours": 2},
    {"seats": None},
    {"kind": "cake"},
    {"bell": Brass()},
    {"then": lambda: None},
    {"notes": {}},
]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"people": "Ada"}, "'people' must be Sequence of str, not str"),
    ({"hours": "2"}, "'hours' must be float"),
    ({"hours": True}, "'hours' must be float"),
    ({"seats": 2.5}, "'seats' must be int or None, not float"),
    ({"kind": "beer"}, "'kind' must be one of 'tea', 'cake', not str"),
    ({"bell": object()}, "'bell' must be Bell or None"),
    ({"then": 3}, "'then' must be Callable or None"),
    ({"notes": []}, "'notes' must be Mapping or None"),
    ({"guests": 2}, "unexpected keyword argument 'guests'"),
]


@pytest.mark.parametrize("given", FINE)
def test_what_fits_is_passed_on(given: dict[str, Any]) -> None:
    """The function runs as if it were not wrapped."""
    assert visit("here", **given).startswith("here")
    assert visit.__name__ == "visit"


@pytest.mark.parametrize(("given", "told"), WRONG)
def test_what_does_not_fit_is_told(given: dict[str, Any], told: str) -> None:
    """The error names the function, the argument, what it must be and what it is."""
    with pytest.raises(ArgumentError, match=r"visit\(\)") as caught:
        visit("here", **given)
    assert told in str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, DenizensError)


@pytest.mark.parametrize("path", ["\ud83d", "x" * 5_000, "a\0b"])
def test_what_is_no_path(path: str) -> None:
    """Half an emoji, a whole document and a zero byte are no paths; the message is short."""
    with pytest.raises(ArgumentError, match="no path") as caught:
        visit(path)
    assert len(str(caught.value)) < 200
    assert str(caught.value).encode()


def test_a_missing_argument_is_told() -> None:
    """Too few arguments are our error as well."""
    with pytest.raises(ArgumentError, match="missing a required argument: 'place'"):
        visit()  # type: ignore[call-arg]
