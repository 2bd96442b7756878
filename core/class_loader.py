"""Code that a settings file names as ``package.module:attribute``: found, and only where allowed.

Importing a module runs it, so a name in somebody else's run file must not be enough to load one.
The package's own classes may always be named; other code only where the user chose the file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType

from .errors import CodeNotAllowed, DenizensError, SettingError

PLANNER_METHODS = ("decide",)
WORLD_METHODS = ("enter", "leave", "affordances", "observe", "step", "tell", "save", "load")

_ROOT = __name__.partition(".")[0]
_foreign_allowed: ContextVar[bool] = ContextVar("foreign_code", default=True)


@contextmanager
def allow_foreign_code(allowed: bool) -> Iterator[None]:
    """Within it, whether names may load code that is not the package's own (by default yes:
    the caller gave the name). An inner one never allows more than the outer."""
    token = _foreign_allowed.set(allowed and _foreign_allowed.get())
    try:
        yield
    finally:
        _foreign_allowed.reset(token)


def foreign_code_allowed() -> bool:
    """Whether code that is not the package's own may be loaded here."""
    return _foreign_allowed.get()


def is_package_name(name: str) -> bool:
    """Whether a name means something of the package itself.

    >>> is_package_name("denizens.planners:Daily"), is_package_name("castle:Castle"),
    is_package_name("denizensx:A")
    (True, False, False)
    """
    return name.partition(":")[0].partition(".")[0] == _ROOT


def import_named_module(name: str, what: str) -> ModuleType:
    """The module of ``package.module:attribute``, imported. ``what`` says in errors what is
    named. Raises CodeNotAllowed, ImportError where there is none, and SettingError where its own
    code fails."""
    if not _foreign_allowed.get() and not is_package_name(name):
        raise CodeNotAllowed(
            f"{what} '{name}' is code that this file names and that would run on your machine; if "
            "the file is yours, or you trust who made it: --allow-code, in Python allow_code=True"
        )
    try:
        return import_module(name.partition(":")[0])
    except (ImportError, DenizensError):
        raise
    except Exception as error:  # whatever a user's module does while it is imported
        raise SettingError(
            f"{what} '{name}': its module fails ({type(error).__name__}: {error})"
        ) from error


def require_unshadowed(name: str, folder: Path, where: str) -> None:
    """Refuse a name whose module beside a file is hidden by another one of that name, as one of
    another folder that was imported before: it would be taken in silence. Raises SettingError."""
    top = name.partition(":")[0].partition(".")[0]
    beside = [
        file for file in (folder / f"{top}.py", folder / top / "__init__.py") if file.is_file()
    ]
    loaded = sys.modules.get(top)
    if not beside or (loaded is not None and loaded.__spec__ is None):
        return
    spec = find_spec(top)
    origin = (spec.origin if spec else None) or ""
    if Path(origin).resolve() not in [file.resolve() for file in beside]:
        raise SettingError(
            f"{where} '{name}': Python finds another module '{top}' before {beside[0]} "
            f"({origin or 'its own'}); rename {beside[0].name}, or use another process for it"
        )


def require_class(found: object, methods: Sequence[str], where: str, *, function: bool) -> None:
    """Refuse what is no class with these methods; with ``function`` a function of the user's
    own that makes such an object will do. Raises SettingError before anything is called."""
    if isinstance(found, type):
        absent = missing_methods(found, methods)
        if absent:
            raise SettingError(f"{where}: class {found.__name__} has no {', '.join(absent)}")
        return
    ours = (
        isinstance(found, FunctionType)
        and _foreign_allowed.get()
        and _is_user_module(found.__module__)
    )
    if not (function and ours):
        kinds = "a class, or a function of your own that makes one," if function else "a class"
        raise SettingError(f"{where}: is not {kinds} with the methods {', '.join(methods)}")


def missing_methods(found: object, methods: Sequence[str]) -> list[str]:
    """Those of the methods that something has not."""
    return [name for name in methods if not callable(getattr(found, name, None))]


def _is_user_module(module: str) -> bool:
    top = module.partition(".")[0]
    return top != _ROOT and top not in sys.stdlib_module_names
