"""The entry point: registers all commands, turns errors into exit codes."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from ..core import AsksFailed, DenizensError
from .application import EXIT_ASKS_FAILED, EXIT_INTERRUPTED, EXIT_USER_ERROR, app, print_error

# Importing a module registers its commands, listed by --help in this order.
# isort: off
from . import run_commands  # noqa: F401
from . import approval_commands  # noqa: F401
from . import view_commands  # noqa: F401
from . import chat_commands  # noqa: F401
from . import serve_commands  # noqa: F401
from . import memory_commands  # noqa: F401
from . import card_commands  # noqa: F401
from . import model_commands  # noqa: F401
from . import training_commands  # noqa: F401
from . import critic_commands  # noqa: F401
from . import bench_commands  # noqa: F401
# isort: on

# The common base of all usage errors; typer exports only this child of it.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit. An error that the user can correct is printed as one line, with
    exit code 2."""
    from pydantic import ValidationError

    code: object = EXIT_USER_ERROR
    try:
        code = app(arguments, prog_name="denizens", standalone_mode=False)
    except AsksFailed as error:
        print_error(str(error))
        code = EXIT_ASKS_FAILED
    except DenizensError as error:
        print_error(str(error))
    except UsageError as error:
        _print_usage_error(error)
    except (KeyboardInterrupt, typer.Abort):
        print_error("interrupted; committed steps are kept, continue with: denizens resume DIR")
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader closed the pipe; without this, Python reports the error again on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print_error(f"{where}{error.strerror or error}; check path, permissions and free space")
    except (sqlite3.Error, ValidationError) as error:
        print_error(f"the file cannot be used ({error}); check it with: denizens verify DIR")
    sys.exit(code if isinstance(code, int) else 0)


def _print_usage_error(error: Exception) -> None:
    context = getattr(error, "ctx", None)
    # Without arguments typer prints the help and raises an error without a message.
    if message := str(getattr(error, "format_message", lambda: "")()):
        command = context.command_path if context else "denizens"
        print_error(f"{message.rstrip('.')}; see: {command} --help")
