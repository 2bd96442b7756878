"""The built-in tools: calculator, clock and calendar."""

from __future__ import annotations

import math
import operator
from datetime import datetime, timedelta
from typing import Any

import pytest
from denizens.tools import Toolbox, ToolContext, calculator, calendar, clock
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2023, 2, 13, 9, 30)
BO = ToolContext(who="Bo", now=NOW)

OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}

numbers = st.integers(0, 10**6) | st.floats(0, 1e6, allow_nan=False)
leaves = numbers.map(lambda number: (repr(number), number))


def joined(parts: Any) -> tuple[str, Any]:
    """Text and value of a larger expression; the value is None when it has none."""
    (left, a), symbol, (right, b) = parts
    text = f"({left} {symbol} {right})"
    if a is None or b is None:
        return text, None
    try:
        return text, OPERATORS[symbol](a, b)
    except (ZeroDivisionError, OverflowError):
        return text, None


def negated(part: tuple[str, Any]) -> tuple[str, Any]:
    return f"-{part[0]}", None if part[1] is None else -part[1]


expressions = st.recursive(
    leaves,
    lambda inner: (
        st.tuples(inner, st.sampled_from(list(OPERATORS)), inner).map(joined) | inner.map(negated)
    ),
    max_leaves=12,
)


@given(expressions)
def test_calculator_equals_python(expression: tuple[str, Any]) -> None:
    """For random expressions it gives Python's value and type, or an error where Python does."""
    text, value = expression
    if len(text) > 400:
        return
    if value is None or not math.isfinite(value):
        with pytest.raises(ValueError, match=r"zero|too large"):
            calculator(text)
    else:
        found = calculator(text)
        assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 + 3 * 4", 14),
        (" 2 ** 10 ", 1024),
        ("2 ** 3 ** 2", 512),
        ("-2 ** 2", -4),
        ("7 // 2 + 7 % 2", 4),
        ("sqrt(16) + abs(-3)", 7.0),
        ("round(2.567, 2)", 2.57),
        ("round(2.5)", 2),
        ("max(1, 2, 3) - min(4, 5)", -1),
        ("floor(2.7) + ceil(2.1)", 5),
        ("log(8, 2)", 3.0),
        ("10 ** 1000 // 10 ** 999", 10),
        ("cos(pi)", -1.0),
    ],
)
def test_calculator_knows(expression: str, value: float) -> None:
    """Precedence, functions and exact large whole numbers work as in Python."""
    assert calculator(expression) == value


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "not an arithmetic expression"),
        ("2 +", "not an arithmetic expression"),
        ("1; 2", "not an arithmetic expression"),
        ("1 / 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("2 ^ 3", r"powers are written \*\*"),
        ("sqrt(-1)", r"sqrt\(-1\)"),
        ("(-8) ** 0.5", "not a real number"),
        ("sqrt(1, 2)", "sqrt takes 1 numbers, not 2"),
        ("round(1, 10 ** 9)", "at most 50"),
        ("1e999", "too large"),
        ("True + 1", "not arithmetic"),
        ("1j", "not arithmetic"),
        ("x + 1", "'x' is not arithmetic"),
        ("'a' * 3", "not arithmetic"),
        ("[1, 2]", "not arithmetic"),
        ("max(*[1, 2])", "not arithmetic"),
        ("(1).__class__", "not arithmetic"),
        ("__import__('os').system('true')", "not arithmetic"),
        ("open('/etc/passwd')", "not arithmetic"),
        ("(lambda: 1)()", "not arithmetic"),
        ("1 if 1 else 2", "not arithmetic"),
        ("-" * 200 + "1", "too deeply nested"),
        ("(" * 250 + "1" + ")" * 100, "not an arithmetic|too deeply"),
        ("1+" * 300 + "1", "more than 400"),
    ],
)
def test_calculator_refuses(expression: str, words: str) -> None:
    """Whatever is not arithmetic is refused with a reason; nothing of it is executed."""
    with pytest.raises(ValueError, match=words):
        calculator(expression)


@pytest.mark.parametrize(
    "expression",
    ["9 ** 9 ** 9 ** 9", "(10 ** 1000) ** 1000", "2 ** 4097", "*".join(["10 ** 900"] * 30)],
)
def test_calculator_does_not_hang(expression: str) -> None:
    """A huge power is refused before it is computed, not after hours."""
    # Computing the first of these would take longer than the age of the universe.
    with pytest.raises(ValueError, match="too large"):
        calculator(expression)


@given(st.text(max_size=60))
def test_calculator_never_raises_anything_else(text: str) -> None:
    """Any text gives a number or a ValueError."""
    try:
        value = calculator(text)
    except ValueError:
        return
    assert isinstance(value, int | float)


def test_clock_tells_the_worlds_time() -> None:
    """The time is the caller's, not this machine's, so a replay tells it again."""
    result = Toolbox(["clock"]).call("clock", {}, context=BO, key="k")
    assert result.value == {
        "moment": "2023-02-13 09:30",
        "weekday": "Monday",
        "minutes_from_now": 0,
    }
    assert clock(BO)["moment"] == "2023-02-13 09:30"


@pytest.mark.parametrize(
    ("arguments", "moment"),
    [
        ({}, "2023-02-13 09:30"),
        ({"days": 1}, "2023-02-14 09:30"),
        ({"hours": -10}, "2023-02-12 23:30"),
        ({"start": "tomorrow"}, "2023-02-14 00:00"),
        ({"start": "Tomorrow 7:30 pm"}, "2023-02-14 19:30"),
        ({"start": "yesterday, 12:00 am"}, "2023-02-12 00:00"),
        ({"start": "17:05", "minutes": 60}, "2023-02-13 18:05"),
        ({"start": "2024-02-28", "days": 1}, "2024-02-29 00:00"),
        ({"start": "2024-02-28T08:15"}, "2024-02-28 08:15"),
    ],
)
def test_calendar_reckons(arguments: dict[str, Any], moment: str) -> None:
    """Starts in words or figures, leap days and going back are right."""
    assert calendar(BO, **arguments)["moment"] == moment


@given(st.integers(-900, 900), st.integers(-99, 99), st.integers(-999, 999))
def test_calendar_equals_timedelta(days: int, hours: int, minutes: int) -> None:
    """Adding is Python's; the distance given is the distance added."""
    found = calendar(BO, days=days, hours=hours, minutes=minutes)
    expected = NOW + timedelta(days=days, hours=hours, minutes=minutes)
    assert found["moment"] == expected.strftime("%Y-%m-%d %H:%M")
    assert found["weekday"] == expected.strftime("%A")
    assert found["minutes_from_now"] == days * 1440 + hours * 60 + minutes


@pytest.mark.parametrize("start", ["noonish", "25:00", "2023-02-30", "9:30 and 4", "13:00 pm x"])
def test_calendar_refuses_what_is_no_moment(start: str) -> None:
    """A start that is no moment is refused with the forms that are."""
    with pytest.raises(ValueError, match=r"is not a moment .* write 'now'"):
        calendar(BO, start=start)


def test_every_built_in_tool_is_found_by_name() -> None:
    """Each built-in tool is found under its name and says what it does; one that needs a
    setting is named with what makes it."""
    from denizens.core import ToolError
    from denizens.tools import BUILT_IN, tool_by_name
    from denizens.tools.registry import CONFIGURED_TOOLS

    assert len(BUILT_IN) == len({one.name for one in BUILT_IN}) >= 12
    for one in BUILT_IN:
        assert tool_by_name(one.name) is one
        assert len(one.spec.description) > 20
        described = one.spec.parameters.get("properties", {}).values()
        assert all("description" in field for field in described), one.name
    for name, how in CONFIGURED_TOOLS.items():
        with pytest.raises(ToolError, match="make it in code") as told:
            tool_by_name(name)
        assert how in str(told.value)
