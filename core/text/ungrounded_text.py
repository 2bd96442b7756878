"""Grounding: which names and numbers of a text its source does not contain."""

from __future__ import annotations

import re

from .normalization import sentences, words

_WORD = re.compile(r"[^\W_]+")


def ungrounded_terms(text: str, source: str) -> list[str]:
    """Numbers, and capitalised words that do not open a sentence, that occur in ``text`` but not in
    ``source``.

    >>> ungrounded_terms("In Leeds 40 people met Ada.", "40 people met in Leeds.")
    ['Ada']
    """
    known = set(words(source))
    terms = []
    for sentence in sentences(text):
        for place, word in enumerate(_WORD.findall(sentence)):
            is_name = word[0].isupper() and place > 0 and word != "I"
            if (is_name or word[0].isdigit()) and not known.issuperset(words(word)):
                terms.append(word)
    return terms
