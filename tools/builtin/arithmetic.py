"""The tool ``calculator``: evaluates the syntax tree of an expression, never code."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import TypeAlias

from ..declaration import tool

Number: TypeAlias = int | float

_MAX_CHARS = 400
_MAX_DEPTH = 60
_MAX_BITS = 4096
_MAX_ROUND_DIGITS = 50
_MAX_ARGUMENTS = 100


def _round(value: Number, digits: Number = 0) -> Number:
    if not isinstance(digits, int) or abs(digits) > _MAX_ROUND_DIGITS:
        raise ValueError(f"round: digits must be whole and at most {_MAX_ROUND_DIGITS}")
    return round(value, digits) if digits else round(value)


_OPERATORS: Mapping[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}
# Function, and the minimum and maximum number of its arguments.
_FUNCTIONS: Mapping[str, tuple[Callable[..., Number], int, int]] = {
    "sqrt": (math.sqrt, 1, 1),
    "abs": (abs, 1, 1),
    "round": (_round, 1, 2),
    "floor": (math.floor, 1, 1),
    "ceil": (math.ceil, 1, 1),
    "min": (min, 2, _MAX_ARGUMENTS),
    "max": (max, 2, _MAX_ARGUMENTS),
    "exp": (math.exp, 1, 1),
    "log": (math.log, 1, 2),
    "log10": (math.log10, 1, 1),
    "sin": (math.sin, 1, 1),
    "cos": (math.cos, 1, 1),
    "tan": (math.tan, 1, 1),
}


@tool
def calculator(expression: str) -> int | float:
    """Work out an arithmetic expression, for example "(3 + 4) * 2 / 7".

    Numbers are Python's: whole ones stay exact (up to 4096 bits), angles are in radians.

    Args:
        expression: numbers, + - * / // % **, parentheses, sqrt, abs, round, floor, ceil, min,
            max, exp, log, log10, sin, cos, tan, pi, e

    Raises ValueError saying what cannot be worked out.
    """
    if len(expression) > _MAX_CHARS:
        raise ValueError(f"the expression has more than {_MAX_CHARS} characters; split it up")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "too deeply nested"
        raise ValueError(f"'{expression}' is not an arithmetic expression: {reason}") from error
    try:
        return _evaluate(tree.body, _MAX_DEPTH)
    except ZeroDivisionError as error:
        raise ValueError("division by zero") from error
    except OverflowError as error:
        raise ValueError("a number in it is too large") from error


def _evaluate(node: ast.expr, depth: int) -> Number:
    if depth == 0:
        raise ValueError("the expression is too deeply nested; split it up")
    match node:
        case ast.Constant(value=bool() | complex()):
            pass
        case ast.Constant(value=int() | float() as number):
            return _check_size(number)
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand, depth - 1)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _evaluate(operand, depth - 1)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _apply_operator(op, _evaluate(left, depth - 1), _evaluate(right, depth - 1))
        case ast.BinOp(op=ast.BitXor()):
            raise ValueError("'^' is not an operator here; powers are written **")
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _call_function(name, [_evaluate(arg, depth - 1) for arg in args])
    raise ValueError(
        f"'{ast.unparse(node)[:60]}' is not arithmetic; use numbers, + - * / // % **, "
        f"{', '.join([*_CONSTANTS, *_FUNCTIONS])}"
    )


def _apply_operator(op: ast.operator, left: Number, right: Number) -> Number:
    is_int_power = isinstance(op, ast.Pow) and isinstance(left, int) and isinstance(right, int)
    # Checked before computing: 9**9**9 would take hours.
    if is_int_power and abs(left) > 1 and int(left).bit_length() * right > 2 * _MAX_BITS:
        raise OverflowError
    result = _OPERATORS[type(op)](left, right)
    if isinstance(result, complex):
        raise ValueError(f"{left} ** {right} is not a real number")
    return _check_size(result)


def _call_function(name: str, arguments: list[Number]) -> Number:
    function, least, most = _FUNCTIONS[name]
    if not least <= len(arguments) <= most:
        expected = f"{least}" if least == most else f"{least} to {most}"
        raise ValueError(f"{name} takes {expected} numbers, not {len(arguments)}")
    try:
        return _check_size(function(*arguments))
    except ValueError as error:
        shown = ", ".join(str(argument)[:40] for argument in arguments)
        raise ValueError(f"{name}({shown}): {error}") from error


def _check_size(number: Number) -> Number:
    if isinstance(number, int):
        if number.bit_length() > _MAX_BITS:
            raise OverflowError
    elif not math.isfinite(number):
        raise OverflowError
    return number
