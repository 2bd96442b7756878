"""Runs commands of the command line in this process."""

from __future__ import annotations

import pytest
from denizens.cli import main


def run_command(*arguments: object) -> int:
    """Run a command; its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)
