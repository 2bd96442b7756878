"""Type checks of the arguments of public functions: a wrong type raises an error of one line that
names the function and the argument."""

from __future__ import annotations

import collections.abc
import inspect
import types
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import ArgumentError

P = ParamSpec("P")
R = TypeVar("R")

_MAX_PATH_BYTES = 4_096  # PATH_MAX of Linux
_MAX_SHOWN = 60
_MAX_ITEMS_CHECKED = 20  # of a sequence
# How to make an object of these types, for callers who pass its name.
_CONSTRUCTORS = {
    "Scenario": "load_scenario({})",
    "Model": "load_model({})",
    "Persona": "Persona(name={})",
    "Memory": "Memory({}, NAME)",
}


def check_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Check the types of a function's arguments before it runs.

    The checks are shallow: classes, the length of a path, the first items of a sequence (a str is
    not a sequence), the presence of a protocol's methods. The call raises ArgumentError, a
    TypeError, for a wrong, missing or unknown argument.

    >>> @check_arguments
    ... def double(n: int) -> int:
    ...     return 2 * n
    >>> double("four")
    Traceback (most recent call last):
    denizens.core.errors.ArgumentError: double(): 'n' must be int, not str ('four')
    """
    signature = inspect.signature(function)
    cache: dict[str, dict[str, Any]] = {}

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if "types" not in cache:
            cache["types"] = _parameter_types(function)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(f"{_function_name(function)}(): {error}") from None
        for name, value in bound.arguments.items():
            hint = cache["types"].get(name)
            parameter = signature.parameters[name]
            if hint is None or name == "self" or parameter.default is value:
                continue
            variadic = parameter.kind is parameter.VAR_POSITIONAL
            for argument in value if variadic else (value,):
                if parameter.kind is not parameter.VAR_KEYWORD:
                    _check_argument(function, name, argument, hint)
        return function(*args, **kwargs)

    return checked


def _parameter_types(function: Callable[..., object]) -> dict[str, Any]:
    """The types of the parameters; a type that is not importable at run time is left out."""
    try:
        return get_type_hints(function)
    except NameError:
        hints: dict[str, Any] = {}
        for name, hint in getattr(function, "__annotations__", {}).items():
            holder = types.SimpleNamespace(__annotations__={name: hint})
            namespace = getattr(inspect.unwrap(function), "__globals__", {})
            try:
                hints |= get_type_hints(holder, globalns=namespace)
            except NameError:
                continue
        return hints


def _function_name(function: Callable[..., object]) -> str:
    qualified = function.__qualname__.removesuffix(".__init__")
    return qualified.rpartition("<locals>.")[2]


def _check_argument(function: Callable[..., object], name: str, value: object, hint: Any) -> None:
    if not _matches_type(value, hint):
        fault = (
            f"{_function_name(function)}(): '{name}' must be {_type_name(hint)}, "
            f"not {_value_text(value)}"
        )
        kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        names = [getattr(kind, "__name__", "") for kind in kinds]
        makers = [_CONSTRUCTORS[kind] for kind in names if kind in _CONSTRUCTORS]
        if isinstance(value, str) and makers:
            fault = f"{fault}; write {makers[0].format(ascii(value[:_MAX_SHOWN]))}"
        raise ArgumentError(fault)
    is_path = hint is Path or Path in get_args(hint)
    if isinstance(value, str) and is_path and not _is_valid_path(value):
        raise ArgumentError(
            f"{_function_name(function)}(): '{name}' is no path that a system takes: "
            f"{_value_text(value)}"
        )


def _is_valid_path(text: str) -> bool:
    try:
        return "\0" not in text and len(text.encode()) < _MAX_PATH_BYTES
    except UnicodeEncodeError:
        return False


def _matches_type(value: object, hint: Any) -> bool:
    if hint is Any or hint is object or isinstance(hint, (TypeVar, ParamSpec)):
        return True
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(_matches_type(value, member) for member in get_args(hint))
    if origin is Literal:
        return value in get_args(hint)
    if hint is None or hint is type(None):
        return value is None
    kind = origin or hint
    if kind in (collections.abc.Callable, Callable):
        return callable(value)
    if not isinstance(kind, type):
        return True
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if getattr(kind, "_is_protocol", False) and kind.__module__ not in (
        "typing",
        "collections.abc",
    ):
        return all(hasattr(value, member) for member in _protocol_members(kind))
    if kind in (collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection):
        # A str is a sequence of its characters, which is never meant.
        return _is_sequence_of(value, kind, get_args(hint)) and not isinstance(value, str | bytes)
    return isinstance(value, kind) or _has_methods_of(value, kind)


def _has_methods_of(value: object, kind: type) -> bool:
    """Whether a value has every public method of a class of this package, and may replace it."""
    methods = [name for name, item in vars(kind).items() if callable(item) and name[:1] != "_"]
    own = kind.__module__.startswith(__name__.partition(".")[0] + ".")
    return own and bool(methods) and all(callable(getattr(value, m, None)) for m in methods)


def _is_sequence_of(value: object, kind: type, items: tuple[Any, ...]) -> bool:
    """Whether a value is such a sequence; the first items of a list or tuple are checked."""
    if not isinstance(value, kind):
        return False
    if not isinstance(value, list | tuple) or len(items) != 1:
        return True
    return all(_matches_type(item, items[0]) for item in value[:_MAX_ITEMS_CHECKED])


def _protocol_members(protocol: type) -> set[str]:
    members: set[str] = set()
    for base in protocol.__mro__:
        if getattr(base, "_is_protocol", False):
            members |= {name for name in vars(base) if not name.startswith("_")}
            members |= set(getattr(base, "__annotations__", {}))
    return members


def _type_name(hint: Any) -> str:
    """A type as text."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type_name(member) for member in get_args(hint)))
    if origin is Literal:
        return "one of " + ", ".join(map(repr, get_args(hint)))
    if hint is type(None):
        return "None"
    name = str(getattr(origin or hint, "__name__", hint))
    items = get_args(hint)
    if origin in (collections.abc.Sequence, collections.abc.Iterable) and len(items) == 1:
        return f"{name} of {_type_name(items[0])}"
    return name


def _value_text(value: object) -> str:
    kind = type(value).__name__
    if isinstance(value, str | int | float | bytes):
        text = ascii(value[:_MAX_SHOWN] if isinstance(value, str | bytes) else value)[:_MAX_SHOWN]
        return f"{kind} ({text})"
    return "None" if value is None else kind
