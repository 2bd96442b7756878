"""Reckoning with units of measurement, exactly, by a grammar of our own and pint's units."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any, TypedDict

from ...core import did_you_mean
from ..declaration import tool

if TYPE_CHECKING:
    from pint import UnitRegistry

_LONGEST = 200
_DEEPEST = 20
_MOST_BITS = 4096
_MOST_POWER = 20
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+/\d+(?=\s*[^\W\d])|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3}(?!\w))?)"
    r"|(?P<name>[^\W\d]\w{0,39}|°[CFK]?|[%µΩÅ])|(?P<mark>\*\*|[-+*/^()·×÷]))"
)
_MARKS = {"·": "*", "×": "*", "÷": "/", "per": "/", "^": "**"}
_TARGET = re.compile(r"\s(?:in|to|into|as)(?=\s+[^\s\d])|->|→", re.IGNORECASE)
_DEGREES = {"C": "degC", "F": "degF", "°": "degree"}


class Quantity(TypedDict):
    """A number and what it is measured in (empty: a plain number)."""

    value: int | float
    unit: str


@tool
def units(expression: str) -> Quantity:
    """Work out an expression with units of measurement, or convert between units, for example
    "12 km / 3 h in m/s", "5 ft 3 in to cm" or "20 degC in degF".

    Args:
        expression: numbers with units, + - * / ^ and parentheses; after "in" the wanted unit
    """
    if len(expression) > _LONGEST:
        raise ValueError(f"the expression has more than {_LONGEST} characters; split it up")
    _registry()
    import pint

    try:
        whole, target = _halves(expression.strip())
        found = _Reader(whole, degrees=_of_degrees(expression)).whole()
        if target:
            unit = _Reader(target, degrees=_of_degrees(expression)).whole()
            if unit.magnitude != 1:
                raise ValueError(f"'{target}' is not a unit")
            found = found.to(unit.units)
        elif found.units:
            found = found.to_reduced_units()
        value = _bounded(found).magnitude
        exact = value.denominator == 1
        return Quantity(value=int(value) if exact else float(value), unit=_shown(found))
    except ZeroDivisionError as error:
        raise ValueError("division by zero") from error
    except OverflowError as error:
        raise ValueError("a number in it is too large") from error
    except pint.DimensionalityError as error:
        # Its own words fail on powers that are fractions.
        raise ValueError(
            "the units do not fit: what they measure is not the same, as lengths and times"
        ) from error
    except pint.OffsetUnitCalculusError as error:
        raise ValueError(f"degrees cannot be reckoned with, only converted: {error}") from error


@cache
def _registry() -> UnitRegistry[Any]:
    # A ValueError, so that it is told like any complaint about a call.
    try:
        from pint import UnitRegistry
    except ImportError as error:
        raise ValueError("units need pint; whoever runs this: pip install denizens[units]") from (
            error
        )
    # Fractions keep it exact: a mile has 201168/125 metres.
    return UnitRegistry(non_int_type=Fraction, cache_folder=None)


def _halves(text: str) -> tuple[str, str]:
    """What is to be worked out, and the unit it is wanted in (or "")."""
    for found in reversed([*_TARGET.finditer(text)]):
        whole, target = text[: found.start()].strip(), text[found.end() :].strip()
        # "3 in + 2 in" holds no target: what follows would be more than a unit.
        if whole and target and not re.search(r"(?<![\^*\d.-])\d|[+]", target):
            return whole, target
    return text, ""


def _of_degrees(text: str) -> bool:
    """Whether C and F mean degrees here: where there is no other unit."""
    names = set(re.findall(r"[^\W\d]+", text)) - {"in", "to", "into", "as", "C", "F", "K"}
    return not names


def _bounded(quantity: Any) -> Any:
    value = quantity.magnitude
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
        raise OverflowError
    return quantity


def _shown(quantity: Any) -> str:
    """Its unit in symbols: "kg*m/s^2"."""
    over: list[str] = []
    under: list[str] = []
    for name, power in sorted(quantity.unit_items()):
        symbol = _registry().get_symbol(name)
        (over if power > 0 else under).append(
            symbol if abs(power) == 1 else f"{symbol}^{abs(power)}"
        )
    return "/".join(["*".join(over) or ("1" if under else ""), *under])


class _Reader:
    """Reads an expression from left to right; nothing of it is ever evaluated as code."""

    def __init__(self, text: str, *, degrees: bool) -> None:
        self._registry = _registry()
        self._degrees = degrees
        self._tokens: list[tuple[str, str]] = []
        self._at = 0
        place = 0
        while place < len(text.rstrip()):
            found = _TOKEN.match(text, place)
            if not found or not found.lastgroup:
                raise ValueError(f"'{text[place : place + 20].strip()}' is not understood here")
            token = found[found.lastgroup]
            kind = "mark" if token == "per" else found.lastgroup
            self._tokens.append((kind, _MARKS.get(token, token)))
            place = found.end()

    def whole(self) -> Any:
        """The quantity that the whole text is."""
        found = self._sum(_DEEPEST)
        if self._at < len(self._tokens):
            raise ValueError(f"'{self._tokens[self._at][1]}' is out of place")
        return found

    def _next(self, *wanted: str) -> str:
        """The next token if it is one of those marks; it is taken."""
        if self._at < len(self._tokens):
            kind, token = self._tokens[self._at]
            if kind == "mark" and token in wanted:
                self._at += 1
                return token
        return ""

    def _take(self, kind: str) -> str:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == kind:
            self._at += 1
            return self._tokens[self._at - 1][1]
        return ""

    def _sum(self, depth: int) -> Any:
        if depth == 0:
            raise ValueError("the expression is too deeply nested; split it up")
        found = self._product(depth)
        while sign := self._next("+", "-"):
            other = self._product(depth)
            found = _bounded(found + other if sign == "+" else found - other)
        return found

    def _product(self, depth: int) -> Any:
        found = self._signed(depth)
        while sign := self._next("*", "/"):
            other = self._signed(depth)
            found = _bounded(found * other if sign == "*" else found / other)
        return found

    def _signed(self, depth: int) -> Any:
        if self._next("-"):
            if depth == 0:
                raise ValueError("too many signs")
            return -self._signed(depth - 1)
        self._next("+")
        return self._atom(depth)

    def _atom(self, depth: int) -> Any:
        if self._next("("):
            found = self._sum(depth - 1)
            if not self._next(")"):
                raise ValueError("a parenthesis is not closed")
            return self._power(found)
        number = self._take("number")
        if not number:
            found = self._units()
            if found is None:
                here = self._tokens[self._at][1] if self._at < len(self._tokens) else "the end"
                raise ValueError(f"a number or a unit is missing before '{here}'")
            return found
        found = self._measured(number)
        # "5 ft 3 in": parts of one measure.
        while found.units and (number := self._take("number")):
            found = _bounded(found + self._measured(number))
        return found

    def _measured(self, number: str) -> Any:
        value = Fraction(number)
        plain = self._registry.Quantity(value)
        if self._at < len(self._tokens) and self._tokens[self._at] == ("mark", "**"):
            return self._power(plain)
        unit = self._units()
        if unit is None:
            return plain
        # Degrees have an offset: 20 times one degree is not 20 degrees.
        return _bounded(self._registry.Quantity(value * unit.magnitude, unit.units))

    def _units(self) -> Any:
        """Units side by side, "kg m": they bind closer than a division; None for none."""
        found = None
        while name := self._take("name"):
            one = self._power(self._unit(name))
            found = one if found is None else found * one
        return found

    def _unit(self, name: str) -> Any:
        import pint

        known = _DEGREES.get(name, name) if self._degrees or name == "°" else name
        try:
            return self._registry.Quantity(Fraction(1), self._registry.parse_units(known))
        except (pint.UndefinedUnitError, ValueError, TypeError, AssertionError) as error:
            hint = did_you_mean(name, list(self._registry))
            raise ValueError(f"'{name}' is not a unit{hint}; for example km, hour, kg") from error

    def _power(self, base: Any) -> Any:
        if not self._next("**"):
            return base
        sign = -1 if self._next("-") else 1
        number = self._take("number")
        if not number.isdigit() or int(number) > _MOST_POWER:
            raise ValueError(f"a power must be a whole number up to {_MOST_POWER}")
        value = base.magnitude
        size = max(value.numerator.bit_length(), value.denominator.bit_length())
        if size > 1 and size * int(number) > _MOST_BITS:
            raise OverflowError
        return _bounded(base ** (sign * int(number)))
