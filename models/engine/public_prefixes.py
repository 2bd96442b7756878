"""Beginnings of prompts that are nobody's private text, as a persona's own."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from .kv_cache import common_prefix_length


class PublicPrefixes:
    """Token sequences of which every beginning is public.

    >>> public = PublicPrefixes()
    >>> public.add([1, 2, 3, 4])
    >>> public.match_length([1, 2, 3, 9, 9])
    3
    """

    def __init__(self) -> None:
        self._sorted: list[tuple[int, ...]] = []

    def add(self, ids: Sequence[int]) -> None:
        """Make a sequence public."""
        added = tuple(ids)
        place = bisect_left(self._sorted, added)
        if self.match_length(added) < len(added):
            self._sorted.insert(place, added)

    def match_length(self, ids: Sequence[int]) -> int:
        """How many leading tokens of ``ids`` are public."""
        wanted = tuple(ids)
        place = bisect_left(self._sorted, wanted)
        # The longest common prefix is one with a neighbour in the order.
        neighbours = self._sorted[max(0, place - 1) : place + 1]
        return max((common_prefix_length(one, wanted) for one in neighbours), default=0)
