"""Names of people and things: which spellings denote the same entity."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .normalization import is_unspaced, normalize, written_words

_ARTICLES = ("the ", "a ", "an ")
_TITLES = {"mr", "mrs", "ms", "miss", "dr", "sir", "madam", "prof", "professor"}
_WORDS = re.compile(r"\w+(?:'\w+)*")
_POSSESSIVE = re.compile(r"(?<=\w)'s\b")
_MAX_NAME_WORDS = 6


def name_key(name: str) -> str:
    """A name in lower case, without article, title, possessive and punctuation.

    >>> name_key("The  Harbour-Bakery's"), name_key("Mrs. Ada Pell"), name_key("a Volvo")
    ('harbour bakery', 'ada pell', 'volvo')
    """
    words = _tokens(name)
    while len(words) > 1 and (words[0] in _TITLES or words[0] + " " in _ARTICLES):
        words = words[1:]
    return " ".join(words)


def _tokens(text: str) -> list[str]:
    """Normalised words without possessives; in a script without blanks each run of characters."""
    if text.isascii():
        return [word.removesuffix("'s") for word in _WORDS.findall(text.casefold())]
    text = normalize(text).replace("’", "'")
    return written_words(_POSSESSIVE.sub("", text))


class EntityNames:
    """Resolves spellings to entities.

    A given name (or any first word) denotes the one known entity that begins with it. If several
    entities begin with it, or the word itself is an entity, it denotes itself.

    >>> names = EntityNames(["Ada Pell", "Bo Lind", "Bo Marsh", "the Harbour Bakery"])
    >>> names.resolve("ada"), names.resolve("Bo"), names.resolve("harbour bakery")
    ('ada pell', 'bo', 'harbour bakery')
    >>> names.display_name("ada")
    'Ada Pell'
    """

    def __init__(self, spellings: Iterable[str], aliases: Iterable[tuple[str, str]] = ()) -> None:
        """``aliases`` are pairs of a full name and another name of the same entity."""
        self._display_names: dict[str, str] = {}
        for spelling in spellings:
            self._display_names.setdefault(name_key(spelling), spelling)
        keys_by_first_word: dict[str, set[str]] = {}
        for key in self._display_names:
            first, _, rest = key.partition(" ")
            # "room 12" and "room 14" share no given name; names of people are capitalised.
            if rest and self._display_names[key][:1].isupper():
                keys_by_first_word.setdefault(first, set()).add(key)
        self._aliases = {
            first: next(iter(keys)) for first, keys in keys_by_first_word.items() if len(keys) == 1
        }
        for full, alias in aliases:
            self._aliases[name_key(alias)] = name_key(full)

    def resolve(self, name: str) -> str:
        """The key of the entity that ``name`` denotes."""
        key = name_key(name)
        for _ in range(3):  # An alias may lead to a given name, and that to the full name.
            if self._aliases.get(key, key) == key:
                break
            key = self._aliases[key]
        return key

    def display_name(self, name: str) -> str:
        """The first spelling seen of the entity that ``name`` denotes."""
        return self._display_names.get(self.resolve(name), name)

    def mentioned(self, text: str) -> list[str]:
        """Keys of the entities that a text names, in their order; longer spellings match first."""
        words = _tokens(text)
        positions: dict[str, int] = {}
        place = 0
        while place < len(words):
            for length in range(min(_MAX_NAME_WORDS, len(words) - place), 0, -1):
                key = " ".join(words[place : place + length])
                if key in self._display_names or key in self._aliases:
                    positions.setdefault(self.resolve(key), place)
                    place += length - 1
                    break
            place += 1
        if not text.isascii():
            body = normalize(text)
            for key in {**self._display_names, **self._aliases}:
                # In a script without blanks a name lies within a run of characters.
                if key and is_unspaced(key[0]) and (at := body.find(key)) >= 0:
                    positions.setdefault(self.resolve(key), len(words) + at)
        return sorted(positions, key=positions.__getitem__)
