"""Groundedness: whether a text states only what its sources contain."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...core import (
    is_unspaced,
    words,
)


def is_grounded(text: str, basis: Sequence[str], share: float) -> bool:
    """Whether every number in a text stands in what it rests on, and so do at least a share
    of its longer words, in some form.

    >>> found = ["Bern: rain, 9 degrees"]
    >>> is_grounded("It rains in Bern.", found, 0.5), is_grounded("It is 5 degrees.", found, 0.5)
    (True, False)
    >>> is_grounded("It is expected to be quite hot and humid in Bern.", found, 0.5)
    False
    """
    said, known = _word_stems(text), set[str]().union(*map(_word_stems, basis))
    longer = [one for one in said if not one[0].isdigit()]
    held = sum(one in known for one in longer)
    numbers = all(one in known for one in said if one[0].isdigit())
    return bool(said) and numbers and held >= share * len(longer)


def _word_stems(text: str) -> set[str]:
    """Numbers, and the beginnings of words of four letters or more; pairs of characters where
    words have no blanks."""
    plain = text.lower()
    pairs = {one for one in words(plain) if is_unspaced(one[0])} if not plain.isascii() else set()
    return pairs | {
        one[:4] if one[0].isalpha() else one
        for one in re.findall(r"\d+(?:[.:]\d+)*|[^\W\d_]{4,}", plain)
        if not is_unspaced(one[0])
    }
