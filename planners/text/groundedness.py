"""Groundedness: whether a text states only what its sources contain."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...core import is_unspaced, words


def is_grounded(text: str, basis: Sequence[str], share: float) -> bool:
    """Whether every number of ``text``, and at least ``share`` of its stems of words of four or
    more letters, occur in the ``basis``. False for a text without either.

    >>> basis = ["Bern: rain, 9 degrees"]
    >>> is_grounded("It rains in Bern.", basis, 0.5), is_grounded("It is 5 degrees.", basis, 0.5)
    (True, False)
    >>> is_grounded("It is expected to be quite hot and humid in Bern.", basis, 0.5)
    False
    """
    stems, known = _word_stems(text), set[str]().union(*map(_word_stems, basis))
    numbers = {stem for stem in stems if stem[0].isdigit()}
    longer = stems - numbers
    return bool(stems) and numbers <= known and len(longer & known) >= share * len(longer)


def _word_stems(text: str) -> set[str]:
    """Numbers, the first four letters of words of four or more, and pairs of characters in
    scripts without spaces between words."""
    text = text.lower()
    pairs = {word for word in words(text) if is_unspaced(word[0])} if not text.isascii() else set()
    return pairs | {
        token[:4] if token[0].isalpha() else token
        for token in re.findall(r"\d+(?:[.:]\d+)*|[^\W\d_]{4,}", text)
        if not is_unspaced(token[0])
    }
