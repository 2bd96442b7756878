"""What may go wrong with one ask while the engine goes on."""

from __future__ import annotations

from ..core import Failed

REQUEST_ERRORS = (RuntimeError, ValueError, IndexError, ArithmeticError)
"""What an ask's text, schema or numbers may raise; anything else is an error of the engine."""


def failed_answer(error: Exception) -> Failed:
    """The answer to an ask that raised."""
    return Failed(reason="engine", detail=f"{type(error).__name__}: {error}")
