"""Loading of objects that a settings file names as ``package.module:attribute``.

Importing a module runs it, so a name in somebody else's run file must not be enough to load it:
objects of the package itself may always be named, other code only if the user allows it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from types import FunctionType
from typing import Any

from .errors import CodeNotAllowed, DenizensError, SettingError
from .settings import did_you_mean

PLANNER_METHODS = ("decide",)
WORLD_METHODS = ("enter", "leave", "affordances", "observe", "step", "tell", "save", "load")

_ROOT = __name__.partition(".")[0]
_foreign_allowed: ContextVar[bool] = ContextVar("foreign_code", default=True)


@contextmanager
def allow_foreign_code(allowed: bool) -> Iterator[None]:
    """A context in which code outside of the package may be loaded, or not (default: it may). An
    inner context never allows more than the outer one."""
    token = _foreign_allowed.set(allowed and _foreign_allowed.get())
    try:
        yield
    finally:
        _foreign_allowed.reset(token)


def foreign_code_allowed() -> bool:
    """Whether code outside of the package may be loaded in this context."""
    return _foreign_allowed.get()


def is_package_name(name: str) -> bool:
    """Whether a name refers to the package itself.

    >>> is_package_name("denizens.planners:Daily"), is_package_name("denizensx:A")
    (True, False)
    """
    return name.partition(":")[0].partition(".")[0] == _ROOT


def load_object(
    name: str,
    what: str,
    *,
    kind: str = "Class",
    error: type[DenizensError] = SettingError,
    remedy: str = "check its spelling, and that it is installed",
) -> Any:
    """The object that ``package.module:attribute`` names; its module is imported.

    Error messages begin with ``what`` and the name; ``kind`` is the kind of attribute and
    ``remedy`` what to do about a missing module. Raises ``error`` if the name is malformed or the
    object missing, SettingError if the module's own code raises, and CodeNotAllowed.
    """
    module, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), *attribute.split(".")]):
        raise error(f"{what} '{name}': write it as 'package.module:{kind}'")
    if not _foreign_allowed.get() and not is_package_name(name):
        raise CodeNotAllowed(
            f"{what} '{name}' is code that this file names and that would run on your machine; if "
            "the file is yours, or you trust who made it: --allow-code, in Python allow_code=True"
        )
    try:
        return resolve_name(name)
    except DenizensError:
        raise
    except ImportError as fault:
        raise error(f"{what} '{name}': cannot import {module} ({fault}); {remedy}") from fault
    except Exception as fault:  # whatever a user's module does while it is imported
        if isinstance(fault, AttributeError) and module in sys.modules:
            hint = did_you_mean(attribute, dir(sys.modules[module]))
            raise error(f"{what} '{name}': {module} has no '{attribute}'{hint}") from fault
        raise SettingError(
            f"{what} '{name}': its module fails ({type(fault).__name__}: {fault})"
        ) from fault


def require_unshadowed(name: str, folder: Path, where: str) -> None:
    """Raise SettingError if a module in ``folder`` is hidden by another module of that name,
    which would be imported instead."""
    top = name.partition(":")[0].partition(".")[0]
    candidates = [
        file for file in (folder / f"{top}.py", folder / top / "__init__.py") if file.is_file()
    ]
    loaded = sys.modules.get(top)
    if not candidates or (loaded is not None and loaded.__spec__ is None):
        return
    spec = find_spec(top)
    origin = (spec.origin if spec else None) or ""
    if Path(origin).resolve() not in [file.resolve() for file in candidates]:
        raise SettingError(
            f"{where} '{name}': Python finds another module '{top}' before {candidates[0]} "
            f"({origin or 'its own'}); rename {candidates[0].name}, or use another process for it"
        )


def require_class(value: object, methods: Sequence[str], where: str, *, function: bool) -> None:
    """Raise SettingError unless ``value`` is a class with these methods or, with ``function``, a
    function of the user's own code, which is not called here."""
    if isinstance(value, type):
        missing = missing_methods(value, methods)
        if missing:
            raise SettingError(f"{where}: class {value.__name__} has no {', '.join(missing)}")
        return
    is_users = (
        isinstance(value, FunctionType)
        and _foreign_allowed.get()
        and _is_user_module(value.__module__)
    )
    if not (function and is_users):
        kinds = "a class, or a function of your own that makes one," if function else "a class"
        raise SettingError(f"{where}: is not {kinds} with the methods {', '.join(methods)}")


def missing_methods(value: object, methods: Sequence[str]) -> list[str]:
    """Those of the methods that a value does not have."""
    return [name for name in methods if not callable(getattr(value, name, None))]


def _is_user_module(module: str) -> bool:
    top = module.partition(".")[0]
    return top != _ROOT and top not in sys.stdlib_module_names
