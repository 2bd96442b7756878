"""Texts as stemmed words: what the lexical index counts."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

# English words that say nothing about a subject (pronouns, auxiliaries, prepositions, what
# questions begin with), and what the tokenizer leaves of contractions.
_STOP = """
a about above after again against all am an and any are as at be because been before being
below between both but by can could did do does doing down during each few for from further
had has have having he her here hers herself him himself his how i if in into is it its itself
just me more most my myself no nor not now of off on once only or other our ours ourselves out
over own same she should so some such than that the their theirs them themselves then there
these they this those through to too under until up very was we were what when where which
while who whom why will with would you your yours yourself yourselves s t d ll m re ve don
didn doesn isn wasn weren won wouldn couldn shouldn haven hasn hadn aren
"""
STOP = frozenset(_STOP.split())
_WORD = re.compile(r"[^\W_]+")


def split(text: str) -> list[str]:
    """The words of a text in lower case, stop words included.

    >>> split("Ada's 2 loaves; CAFÉ!")
    ['ada', '2', 'loaves', 'café']
    """
    return _WORD.findall(text.lower().replace("'s", "").replace("\u2019s", ""))


def terms(text: str) -> list[str]:
    """The stems of a text's words, without stop words, in order.

    Snowball's English stemmer (Porter 2, snowballstem.org), by PyStemmer.

    >>> terms("She was researching adoption agencies")
    ['research', 'adopt', 'agenc']
    """
    return [stem(word) for word in split(text) if word not in STOP]


def stem(word: str) -> str:
    """The stem of one word in lower case."""
    found: str = _stemmer().stemWord(word)
    return found


@cache
def _stemmer() -> Any:
    import Stemmer

    # No cache of its own: the index keeps one, word by word.
    return Stemmer.Stemmer("english", 0)
