"""The tool ``units``: exact arithmetic with units of measurement (own parser, units of pint)."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any, TypedDict

from ...core import did_you_mean
from ..declaration import tool

if TYPE_CHECKING:
    from pint import UnitRegistry

_MAX_CHARS = 200
_MAX_DEPTH = 20
_MAX_BITS = 4096
_MAX_POWER = 20
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+/\d+(?=\s*[^\W\d])|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3}(?!\w))?)"
    r"|(?P<name>[^\W\d]\w{0,39}|°[CFK]?|[%µΩÅ])|(?P<mark>\*\*|[-+*/^()·×÷]))"
)
_OPERATORS = {"·": "*", "×": "*", "÷": "/", "per": "/", "^": "**"}
_TARGET = re.compile(r"\s(?:in|to|into|as)(?=\s+[^\s\d])|->|→", re.IGNORECASE)
_DEGREES = {"C": "degC", "F": "degF", "°": "degree"}


class Quantity(TypedDict):
    """A number and its unit (empty: dimensionless)."""

    value: int | float
    unit: str


@tool
def units(expression: str) -> Quantity:
    """Work out an expression with units of measurement, or convert between units, for example
    "12 km / 3 h in m/s", "5 ft 3 in to cm" or "20 degC in degF".

    Args:
        expression: numbers with units, + - * / ^ and parentheses; after "in" the wanted unit
    """
    if len(expression) > _MAX_CHARS:
        raise ValueError(f"the expression has more than {_MAX_CHARS} characters; split it up")
    _registry()
    import pint

    try:
        text, target = _split_target(expression.strip())
        quantity = _Parser(text, degrees=_has_only_degrees(expression)).parse()
        if target:
            unit = _Parser(target, degrees=_has_only_degrees(expression)).parse()
            if unit.magnitude != 1:
                raise ValueError(f"'{target}' is not a unit")
            quantity = quantity.to(unit.units)
        elif quantity.units:
            quantity = quantity.to_reduced_units()
        value = _check_size(quantity).magnitude
        exact = value.denominator == 1
        return Quantity(value=int(value) if exact else float(value), unit=_unit_symbols(quantity))
    except ZeroDivisionError as error:
        raise ValueError("division by zero") from error
    except OverflowError as error:
        raise ValueError("a number in it is too large") from error
    except pint.DimensionalityError as error:
        # The message of pint's error fails for fractional powers.
        raise ValueError(
            "the units do not fit: what they measure is not the same, as lengths and times"
        ) from error
    except pint.OffsetUnitCalculusError as error:
        raise ValueError(f"degrees cannot be reckoned with, only converted: {error}") from error


@cache
def _registry() -> UnitRegistry[Any]:
    # A ValueError, so that it is returned like other faults of a call.
    try:
        from pint import UnitRegistry
    except ImportError as error:
        raise ValueError("units need pint; whoever runs this: pip install denizens[units]") from (
            error
        )
    # Fractions are exact: a mile has 201168/125 metres.
    return UnitRegistry(non_int_type=Fraction, cache_folder=None)


def _split_target(text: str) -> tuple[str, str]:
    """The expression, and the unit to convert it to (or "")."""
    for match in reversed([*_TARGET.finditer(text)]):
        expression, target = text[: match.start()].strip(), text[match.end() :].strip()
        # "3 in + 2 in" has no target: "+ 2 in" is more than a unit.
        if expression and target and not re.search(r"(?<![\^*\d.-])\d|[+]", target):
            return expression, target
    return text, ""


def _has_only_degrees(text: str) -> bool:
    """Whether C and F mean degrees: only if there is no other unit."""
    names = set(re.findall(r"[^\W\d]+", text)) - {"in", "to", "into", "as", "C", "F", "K"}
    return not names


def _check_size(quantity: Any) -> Any:
    value = quantity.magnitude
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MAX_BITS:
        raise OverflowError
    return quantity


def _unit_symbols(quantity: Any) -> str:
    """The unit in symbols: "kg*m/s^2"."""
    over: list[str] = []
    under: list[str] = []
    for name, power in sorted(quantity.unit_items()):
        symbol = _registry().get_symbol(name)
        (over if power > 0 else under).append(
            symbol if abs(power) == 1 else f"{symbol}^{abs(power)}"
        )
    return "/".join(["*".join(over) or ("1" if under else ""), *under])


class _Parser:
    """A recursive-descent parser of expressions; nothing is evaluated as code."""

    def __init__(self, text: str, *, degrees: bool) -> None:
        self._registry = _registry()
        self._degrees = degrees
        self._tokens: list[tuple[str, str]] = []
        self._at = 0
        place = 0
        while place < len(text.rstrip()):
            match = _TOKEN.match(text, place)
            if not match or not match.lastgroup:
                raise ValueError(f"'{text[place : place + 20].strip()}' is not understood here")
            token = match[match.lastgroup]
            kind = "mark" if token == "per" else match.lastgroup
            self._tokens.append((kind, _OPERATORS.get(token, token)))
            place = match.end()

    def parse(self) -> Any:
        """The quantity of the whole text."""
        quantity = self._sum(_MAX_DEPTH)
        if self._at < len(self._tokens):
            raise ValueError(f"'{self._tokens[self._at][1]}' is out of place")
        return quantity

    def _accept(self, *wanted: str) -> str:
        """Consume and return the next token if it is one of these operators, else ""."""
        if self._at < len(self._tokens):
            kind, token = self._tokens[self._at]
            if kind == "mark" and token in wanted:
                self._at += 1
                return token
        return ""

    def _accept_kind(self, kind: str) -> str:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == kind:
            self._at += 1
            return self._tokens[self._at - 1][1]
        return ""

    def _sum(self, depth: int) -> Any:
        if depth == 0:
            raise ValueError("the expression is too deeply nested; split it up")
        quantity = self._product(depth)
        while sign := self._accept("+", "-"):
            other = self._product(depth)
            quantity = _check_size(quantity + other if sign == "+" else quantity - other)
        return quantity

    def _product(self, depth: int) -> Any:
        quantity = self._signed(depth)
        while sign := self._accept("*", "/"):
            other = self._signed(depth)
            quantity = _check_size(quantity * other if sign == "*" else quantity / other)
        return quantity

    def _signed(self, depth: int) -> Any:
        if self._accept("-"):
            if depth == 0:
                raise ValueError("too many signs")
            return -self._signed(depth - 1)
        self._accept("+")
        return self._atom(depth)

    def _atom(self, depth: int) -> Any:
        if self._accept("("):
            quantity = self._sum(depth - 1)
            if not self._accept(")"):
                raise ValueError("a parenthesis is not closed")
            return self._power(quantity)
        number = self._accept_kind("number")
        if not number:
            quantity = self._units()
            if quantity is None:
                here = self._tokens[self._at][1] if self._at < len(self._tokens) else "the end"
                raise ValueError(f"a number or a unit is missing before '{here}'")
            return quantity
        quantity = self._quantity(number)
        # "5 ft 3 in": parts of one quantity.
        while quantity.units and (number := self._accept_kind("number")):
            quantity = _check_size(quantity + self._quantity(number))
        return quantity

    def _quantity(self, number: str) -> Any:
        value = Fraction(number)
        plain = self._registry.Quantity(value)
        if self._at < len(self._tokens) and self._tokens[self._at] == ("mark", "**"):
            return self._power(plain)
        unit = self._units()
        if unit is None:
            return plain
        # Degrees have an offset: 20 times one degree is not 20 degrees.
        return _check_size(self._registry.Quantity(value * unit.magnitude, unit.units))

    def _units(self) -> Any:
        """The product of adjacent units, "kg m", which binds closer than division; None without."""
        quantity = None
        while name := self._accept_kind("name"):
            unit = self._power(self._unit(name))
            quantity = unit if quantity is None else quantity * unit
        return quantity

    def _unit(self, name: str) -> Any:
        import pint

        known = _DEGREES.get(name, name) if self._degrees or name == "°" else name
        try:
            return self._registry.Quantity(Fraction(1), self._registry.parse_units(known))
        except (pint.UndefinedUnitError, ValueError, TypeError, AssertionError) as error:
            hint = did_you_mean(name, list(self._registry))
            raise ValueError(f"'{name}' is not a unit{hint}; for example km, hour, kg") from error

    def _power(self, base: Any) -> Any:
        if not self._accept("**"):
            return base
        sign = -1 if self._accept("-") else 1
        number = self._accept_kind("number")
        if not number.isdigit() or int(number) > _MAX_POWER:
            raise ValueError(f"a power must be a whole number up to {_MAX_POWER}")
        value = base.magnitude
        size = max(value.numerator.bit_length(), value.denominator.bit_length())
        if size > 1 and size * int(number) > _MAX_BITS:
            raise OverflowError
        return _check_size(base ** (sign * int(number)))
