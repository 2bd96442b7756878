"""Texts as stemmed words: what the lexical index counts."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import pairwise
from typing import Any

from .normalization import graphemes, is_unspaced, normalize, written_words

# English words that say nothing about a subject (pronouns, auxiliaries, prepositions, what
# questions begin with), and what the tokenizer leaves of contractions.
_STOP_WORD_LIST = """
a about above after again against all am an and any are as at be because been before being
below between both but by can could did do does doing down during each few for from further
had has have having he her here hers herself him himself his how i if in into is it its itself
just me more most my myself no nor not now of off on once only or other our ours ourselves out
over own same she should so some such than that the their theirs them themselves then there
these they this those through to too under until up very was we were what when where which
while who whom why will with would you your yours yourself yourselves s t d ll m re ve don
didn doesn isn wasn weren won wouldn couldn shouldn haven hasn hadn aren
"""
STOP_WORDS = frozenset(_STOP_WORD_LIST.split())
_WORD = re.compile(r"[^\W_]+")
# A word cut at the end of a line, also where a reader put a blank for the line's end.
_HYPHENATION = re.compile(
    r"(?<![^\W\d_])([^\W\d_]++)[-\u2010\u00ad](?: |[ \t]*\r?\n[ \t]*)([^\W\d_]+)"
)
# Snowball's stemmers by the script that a letter's Unicode name begins with.
_STEMMERS = {
    "ARABIC": "arabic",
    "ARMENIAN": "armenian",
    "CYRILLIC": "russian",
    "DEVANAGARI": "hindi",
    "GREEK": "greek",
    "TAMIL": "tamil",
}


def split_words(text: str) -> list[str]:
    """The words of a text, normalised, stop words included.

    A script without blanks gives its characters and the pairs of neighbours; so does Hangul,
    whose words carry their particles. A word hyphenated at the end of a line is there whole
    and in both parts, since "well-known" is cut like "gar-den".

    >>> split_words("Ada's 2 loaves; CAFÉ!")
    ['ada', '2', 'loaves', 'café']
    >>> split_words("我的猫"), split_words("the gar-\\nden")
    (['我', '我的', '的', '的猫', '猫'], ['the', 'gar', 'garden', 'den'])
    """
    if "- " in text or "\n" in text or not text.isascii():
        text = _HYPHENATION.sub(_joined_hyphenation, text)
    if text.isascii():
        return _WORD.findall(text.lower().replace("'s", ""))
    tokens: list[str] = []
    for run in written_words(normalize(text).replace("'s", "").replace("\u2019s", "")):
        if not run.isascii() and (is_unspaced(run[0]) or "\uac00" <= run[0] <= "\ud7a3"):
            tokens.extend(_character_bigrams(run))
        else:
            tokens.append(run)
    return tokens


def _character_bigrams(run: str) -> list[str]:
    """The characters of a run, and after each but the last the bigram that it begins."""
    characters = graphemes(run)
    tokens = characters[:1]
    for first, second in pairwise(characters):
        tokens += (first + second, second)
    return tokens


def _joined_hyphenation(match: re.Match[str]) -> str:
    """A word hyphenated at a line end as both parts, and between them the whole word if it can be
    one."""
    first, second = match[1], match[2]
    # Not one word: "It rained- so we left", "pre- and post-war", and a second part that is a name.
    if second[0].isupper() or first.lower() in STOP_WORDS or second.lower() in STOP_WORDS:
        return f"{first} {second}"
    return f"{first} {first}{second} {second}"


def terms(text: str) -> list[str]:
    """The stems of the words of a text, without stop words, in order.

    Snowball's stemmers (snowballstem.org) by PyStemmer: English (Porter 2) for Latin letters.

    >>> terms("She was researching adoption agencies")
    ['research', 'adopt', 'agenc']
    """
    return [stem(word) for word in split_words(text) if word not in STOP_WORDS]


def stem(word: str) -> str:
    """The stem of a lower-case word; its script decides the language of the stemmer."""
    language = "english" if word.isascii() else _language(word[:1])
    stemmed: str = _stemmer(language).stemWord(word)
    return stemmed


def _language(letter: str) -> str:
    return _STEMMERS.get(unicodedata.name(letter, "").partition(" ")[0], "english")


@cache
def _stemmer(language: str) -> Any:
    import Stemmer

    # No cache of its own: the index keeps one, word by word.
    return Stemmer.Stemmer(language, 0)
