"""Names, numbers and relatives in a line that stand in none of the texts its speaker has."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from ...core import normalize
from ...core.text import MONTH_NAMES, NUMBER_WORDS, WEEKDAY_NAMES, stem
from ..text import is_english, word_set

_WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)?")
_SENTENCE_START = re.compile(r"(?:^|[.!?…:;][\"”’»')]*\s+|[\"“„«‘(]\s*|\s[-–—]\s*)[\"“„«‘(]*$")
# Capitalised words that name nobody, wherever they stand.
_NO_NAMES = frozenset(word.lower() for word in (*MONTH_NAMES, *WEEKDAY_NAMES)) | word_set(
    "i ok okay tv mr mrs ms miss dr sir madam god mom mum dad internet english christmas"
)
_MULTIPLES = word_set("hundred hundreds thousand thousands million millions dozen dozens")
_UNCOUNTED = word_set("zero one two")  # "one of them", "the two of us"
# Who or what a line may give its speaker only if it is known to have it.
_RELATIVES = word_set(
    "wife husband boyfriend girlfriend fiance fiancee spouse kid kids child children son sons "
    "daughter daughters mother mom mum father dad parents brother brothers sister sisters "
    "siblings grandmother grandma grandfather grandpa grandparents grandson granddaughter "
    "grandchildren uncle aunt cousin cousins nephew niece dog dogs cat cats puppy kitten turtle "
    "parrot hamster horse horses roommate boss coworkers colleagues class classes major degree "
    "college university band team"
)
_OWN = re.compile(
    r"\bmy (?:[a-z]+ )??(?P<owned>[a-z]+)\b"
    r"|\bI(?:['’]ve| have|['’]ve got| have got| had) (?:a|an|two|three|some|many) "
    r"(?:[a-z]+ )??(?P<had>[a-z]+)\b",
    re.IGNORECASE,
)


@cache
def common_words() -> frozenset[str]:
    """Lower-case words of everyday talk: those that occur twice or more in the training part of
    Synthetic-Persona-Chat (Jandaghi et al. 2023), and some of village life."""
    source = files("denizens.planners.speech").joinpath("common_words.txt")
    return frozenset(source.read_text(encoding="utf-8").split())


def invented_names(text: str, known: str) -> list[str]:
    """Capitalised words of an English ``text`` that are names and do not occur in ``known``.

    The first word of a sentence is a name unless it is a common word.

    >>> invented_names("Laser found it. I met Cy Dunn on Friday.", "I met Bo.")
    ['Laser', 'Cy', 'Dunn']
    >>> invented_names("Bread is fresh. Have you seen Bo's boat?", "I met Bo.")
    []
    """
    if not is_english(text, ()):
        return []
    have = _known_words(known)
    names = []
    for match in _WORD.finditer(text):
        word = re.split(r"['’]", match[0])[0]
        if not word[0].isupper() or word == "I":
            continue
        lower = normalize(word)
        if lower in have or lower in _NO_NAMES or _plural_known(lower, have):
            continue
        opens = _SENTENCE_START.search(text[: match.start()]) is not None
        # "LASER" is a name even where "laser" is a word.
        if not opens or lower not in common_words() or (word.isupper() and len(word) > 1):
            names.append(word)
    return names


def invented_numbers(text: str, known: str) -> list[str]:
    """Numbers of a text, in figures or as words from three on, that do not occur in ``known``.

    >>> invented_numbers("At 7pm, in twenty minutes.", "The supper is at 7 pm."), (
    ...     invented_numbers("It took three of us.", "The 3 of us."))
    (['twenty'], [])
    """
    have = set(_numbers(known).values())
    return [written for written, number in _numbers(text).items() if number not in have]


def invented_relatives(text: str, known: str) -> list[str]:
    """Relatives, animals and the like that a speaker says to have and that ``known`` lacks.

    >>> invented_relatives("My husband and I have a dog.", "I am a baker.")
    ['husband', 'dog']
    >>> invented_relatives("My old father baked.", "She learned to bake from her father.")
    []
    """
    have = {stem(word) for word in _known_words(known)}
    words = [
        (match["owned"] or match["had"]).lower()
        for match in _OWN.finditer(re.sub(r"\b[Aa]nd I have\b", ". I have", text))
    ]
    return [word for word in words if word in _RELATIVES and stem(word) not in have]


def _known_words(known: str) -> set[str]:
    return {normalize(re.split(r"['’]", word)[0]) for word in _WORD.findall(known)}


def _plural_known(word: str, have: set[str]) -> bool:
    return word + "s" in have or (word.endswith("s") and word[:-1] in have)


def _numbers(text: str) -> dict[str, str]:
    """Numbers as written, with their value in figures."""
    numbers = {written: written.lstrip("0") or "0" for written in re.findall(r"\d+", text)}
    for word in re.findall(r"[a-z]+", text.lower()):
        if word in NUMBER_WORDS and word not in _UNCOUNTED:
            numbers[word] = str(NUMBER_WORDS[word])
        elif word in _MULTIPLES:
            numbers[word] = word.rstrip("s")
    return numbers
