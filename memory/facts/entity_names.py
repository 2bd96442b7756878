"""Names of people and things: which spellings mean the same one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...core import is_unspaced, normalize, written_words

_ARTICLES = ("the ", "a ", "an ")
_TITLES = {"mr", "mrs", "ms", "miss", "dr", "sir", "madam", "prof", "professor"}
_WORDS = re.compile(r"\w+(?:'\w+)*")
_POSSESSIVE = re.compile(r"(?<=\w)'s\b")


def name_key(name: str) -> str:
    """A name without its case, article, title, possessive and punctuation.

    >>> name_key("The  Harbour-Bakery's"), name_key("Mrs. Ada Pell"), name_key("a Volvo")
    ('harbour bakery', 'ada pell', 'volvo')
    """
    words = _tokens(name)
    while len(words) > 1 and (words[0] in _TITLES or words[0] + " " in _ARTICLES):
        words = words[1:]
    return " ".join(words)


def _tokens(text: str) -> list[str]:
    """The words of a text in one form, without possessives; where a script has no blanks, each
    run of its characters."""
    if text.isascii():
        return [word.removesuffix("'s") for word in _WORDS.findall(text.casefold())]
    text = normalize(text).replace("’", "'")
    return written_words(_POSSESSIVE.sub("", text))


class EntityNames:
    """Entities by every spelling that means only one of them.

    A given name (or any first word) means the one known entity that begins with it; where
    there are several, or the word itself is an entity, it means itself.

    >>> names = EntityNames(["Ada Pell", "Bo Lind", "Bo Marsh", "the Harbour Bakery"])
    >>> names.resolve("ada"), names.resolve("Bo"), names.resolve("harbour bakery")
    ('ada pell', 'bo', 'harbour bakery')
    >>> names.display_name("ada")
    'Ada Pell'
    """

    def __init__(self, spellings: Iterable[str], aliases: Iterable[tuple[str, str]] = ()) -> None:
        """``aliases`` are pairs of a full name and another name of the same one."""
        self._shown: dict[str, str] = {}
        for spelling in spellings:
            self._shown.setdefault(name_key(spelling), spelling)
        short: dict[str, set[str]] = {}
        for key in self._shown:
            first, _, rest = key.partition(" ")
            # "room 12" and "room 14" share no given name; those of people are capitalised.
            if rest and self._shown[key][:1].isupper():
                short.setdefault(first, set()).add(key)
        self._meant = {first: next(iter(keys)) for first, keys in short.items() if len(keys) == 1}
        for full, other in aliases:
            self._meant[name_key(other)] = name_key(full)

    def resolve(self, name: str) -> str:
        """The key of the entity that ``name`` means."""
        key = name_key(name)
        for _ in range(3):  # An alias may lead to a given name, that to the full one.
            if self._meant.get(key, key) == key:
                break
            key = self._meant[key]
        return key

    def display_name(self, name: str) -> str:
        """How the entity's name was first written."""
        return self._shown.get(self.resolve(name), name)

    def mentioned(self, text: str) -> list[str]:
        """Keys of the entities a text names, longest spellings first taken, in their order."""
        words = _tokens(text)
        found: dict[str, int] = {}
        place = 0
        while place < len(words):
            for length in range(min(6, len(words) - place), 0, -1):
                key = " ".join(words[place : place + length])
                if key in self._shown or key in self._meant:
                    found.setdefault(self.resolve(key), place)
                    place += length - 1
                    break
            place += 1
        if not text.isascii():
            body = normalize(text)
            for key in {**self._shown, **self._meant}:
                # A name in a script without blanks stands within a run of characters.
                if key and is_unspaced(key[0]) and (at := body.find(key)) >= 0:
                    found.setdefault(self.resolve(key), len(words) + at)
        return sorted(found, key=found.__getitem__)
