"""Whose private text a prompt may contain: it decides which cached computation may serve it.

A model that keeps what it computed of a prompt answers sooner where two prompts begin alike. If
they come from two people who must not know of each other, that time would tell one what the other
wrote. So what was computed for one owner serves only that owner, but for text that is public.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_owner: ContextVar[str] = ContextVar("denizens_cache_owner", default="")


def current_cache_owner() -> str:
    """The owner of the prompts of this context; empty: all share one cache."""
    return _owner.get()


@contextmanager
def cache_owner(owner: str) -> Iterator[None]:
    """Prompts that are submitted inside the block, also by threads and tasks that it starts with
    its context, belong to ``owner``.

    >>> with cache_owner("key:shop"):
    ...     current_cache_owner()
    'key:shop'
    """
    token = _owner.set(owner)
    try:
        yield
    finally:
        _owner.reset(token)
