"""Sentences of a text in any script: boundaries, fragments, word overlap, excerpts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...core import count_words, is_unspaced, words


def _word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Marks that end a sentence in any script: Latin, CJK, Arabic, Devanagari, Armenian, Ethiopic.
_END_OF_SENTENCE = ".!?…。！？｡؟۔।॥։።"
_END_MARKS = _END_OF_SENTENCE + "\"'”»’』」)）] \n\t"
# A line that breaks off at one of these is not finished.
_OPEN_ENDS = (":", ",", ";", "-", "–", "—", "，", "：", "；", "、", "،", "؛")
_SENTENCE_END = re.compile(
    r"(?<!^)(?:[.!?…]++[\"”»’')\]]*+(?=\s|$)|[。！？｡؟۔।॥։።]++[」』”»\")）]*+)"
)
# With these an English sentence does not begin unless it asks: a line that does is the middle
# of one, such as "to the post office every day."
_MID_SENTENCE_WORDS = _word_set(
    "a an the to of in on at for with by from and or but that which who whose whom as than then is "
    "are was were am be been being has have had does did will would can could should may might "
    "must not"
)


def is_fragment(text: str) -> bool:
    """Whether a text begins in the middle of a sentence. Scripts without capitals have no such
    sign, and who writes none at all must end what it says and not begin in the middle.

    >>> is_fragment("with me."), is_fragment("¡Hola, Ada!"), is_fragment("good morning, ada!")
    (True, False, False)
    """
    first = next((one for one in text if one.isalnum()), "")
    if not first:
        return True
    if not first.islower():
        return False
    start = re.search(r"\w+", text)
    asks = text.rstrip().endswith(("?", "؟", "？"))
    middle = start is not None and start[0] in _MID_SENTENCE_WORDS and not asks
    capitals = any(one.isupper() for one in text)
    return middle or capitals or not text.rstrip("\"”»') ").endswith(tuple(_END_OF_SENTENCE))


def has_two_words(text: str) -> bool:
    """Whether a text has two words or more; one of two characters where words have no blanks."""
    return count_words(text) >= 2 or sum(map(is_unspaced, text)) >= 2


def is_unfinished(text: str) -> bool:
    """Whether a text breaks off at a comma or the like; Greek asks with a semicolon."""
    said = text.rstrip()
    greek = said.endswith(";") and any("Ͱ" <= one <= "Ͽ" for one in said)
    return said.endswith(_OPEN_ENDS) and not greek


def sentences(text: str) -> list[str]:
    """The finished sentences of a text, in any script.

    >>> sentences("Good day! It costs 3.50 now. And"), sentences("你好！面包很香。")
    (['Good day!', 'It costs 3.50 now.'], ['你好！', '面包很香。'])
    """
    starts = [0, *(ends := sentence_ends(text))]
    return [text[start:end].strip() for start, end in zip(starts, ends, strict=False)]


def sentence_ends(text: str) -> list[int]:
    """Where the finished sentences of a text end; marks by themselves end the one before."""
    ends: list[int] = []
    for found in _SENTENCE_END.finditer(text):
        if ends and not text[ends[-1] : found.end()].strip(_END_MARKS):
            ends.pop()
        ends.append(found.end())
    return ends


def join_sentences(parts: Iterable[str]) -> str:
    """Sentences as a text; those that end with a full-width mark take no blank after them."""
    text = ""
    for part in parts:
        text += f" {part}" if text and text[-1] not in "。！？」』" else part
    return text


def repeats(text: str, told: Sequence[str], share: float = 0.7) -> bool:
    """Whether a line says again what was said: most of its words stand in an earlier one.

    >>> repeats("See you at the cafe!", ["see you at the cafe"]), repeats("Hello.", ["Bread?"])
    (True, False)
    """
    return word_overlap(text, told) > share


def word_overlap(text: str, told: Iterable[str]) -> float:
    """The largest share of a line's words that it has in common with an earlier one; of the
    shorter of both."""
    said = set(words(text))
    most = 0.0
    for line in told if said else ():
        other = set(words(line))
        most = max(most, len(said & other) / max(1, min(len(said), len(other))))
    return most


def excerpt(text: str, about: str, limit: int) -> str:
    """At most about ``limit`` characters of a long text: its beginning, and the sentences that
    share most words with ``about``; what was left out shows as "…".

    >>> excerpt("My essay. " + "Rye is grass. " * 50 + "The cat sleeps.", "Where is the cat?", 60)
    'My essay. Rye is grass. … The cat sleeps.'
    """
    if len(text) <= limit:
        return text
    # What is far beyond the limit is cut first: a book must not be read for one line.
    pieces = [
        piece[at : at + limit // 2].strip()
        for piece in re.findall(
            rf"[^{_END_OF_SENTENCE}\n]+[{_END_OF_SENTENCE}\n]*", text[: 50 * limit]
        )
        for at in range(0, len(piece), max(1, limit // 2))
    ]
    if not (pieces := [piece for piece in pieces if piece]):
        return f"{text[:limit]} …"  # Nothing but marks.
    asked = set(words(about))
    scores = [len(asked & set(words(piece))) / (1 + len(piece) / limit) for piece in pieces]
    chosen, size = set[int](), 0
    order = [0, *sorted(range(1, len(pieces)), key=lambda place: (-scores[place], place))]
    for place in order:
        if pieces[place] in {pieces[one] for one in chosen}:
            continue
        if size + len(pieces[place]) > limit:
            break
        chosen.add(place)
        size += len(pieces[place]) + 1
    shown, last = "", -1
    for place in sorted(chosen):
        joint = "" if not shown else " " if place == last + 1 else " … "
        shown, last = shown + joint + pieces[place], place
    return shown if last == len(pieces) - 1 else f"{shown} …"
