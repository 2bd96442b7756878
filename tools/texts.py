"""Sentences, words and likeness of texts: what the language skills check their work by."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core import Embed, Failed, Thought, Vectors, embed

_END = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+(?=[\"'“‘(]*[A-ZÀ-ÞΑ-ΩА-Я0-9])|\n\s*\n|(?<=[。！？])")


def sentences(text: str) -> list[str]:
    """The sentences of a text, as far as full stops and blank lines tell.

    >>> sentences("It rained. We stayed in.\\n\\nLater it cleared")
    ['It rained.', 'We stayed in.', 'Later it cleared']
    """
    return [found for part in _END.split(text) if part and (found := " ".join(part.split()))]


def words(text: str) -> list[str]:
    """The words and numbers of a text, small."""
    return re.findall(r"[^\W_]+", text.casefold())


def truncate_words(text: str, most: int) -> str:
    """A text of at most so many words: whole sentences where one fits, else cut and marked."""
    kept: list[str] = []
    used = 0
    for sentence in sentences(text):
        size = len(sentence.split())
        if used + size > most:
            break
        kept.append(sentence)
        used += size
    if kept:
        return " ".join(kept)
    return " ".join(text.split()[:most]).rstrip(",;:") + "…"


def ungrounded_terms(text: str, source: str) -> list[str]:
    """The numbers and names in a text that its source does not have.

    >>> ungrounded_terms("In Leeds 40 people met Ada.", "40 people met in Leeds.")
    ['Ada']
    """
    known = set(words(source))
    found = []
    for sentence in sentences(text):
        for place, word in enumerate(re.findall(r"[^\W_]+", sentence)):
            named = word[0].isupper() and place > 0
            if (named or word[0].isdigit()) and word.casefold() not in known and word != "I":
                found.append(word)
    return found


def text_similarity(text: str, others: Sequence[str]) -> Thought[list[float]]:
    """Cosine of a text with each of the others, by the mind's own embedder. Raises ValueError
    where there is none."""
    found = yield from embed(Embed(texts=(text, *others)))
    if isinstance(found, Failed):
        raise ValueError(f"texts cannot be compared: {found.detail}")
    assert isinstance(found, Vectors)
    rows = found.array()
    return [float(value) for value in rows[1:] @ rows[0]]
