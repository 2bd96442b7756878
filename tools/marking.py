"""Marks on tools that say where their results come from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from .declare import Tool

T = TypeVar("T", bound=Tool[..., Any])


def from_outside(made: T) -> T:
    """Mark a tool: its results are words from outside, which nobody vouches for, and take the
    right to act from whoever reads them.

    >>> from .declare import tool
    >>> @from_outside
    ... @tool(effect="reads")
    ... def horoscope(sign: str) -> str:
    ...     '''What a stranger says about a sign.'''
    ...     return "Beware."
    >>> horoscope.spec.outside
    True
    """
    made.spec = replace(made.spec, outside=True)
    return made
