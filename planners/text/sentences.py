"""Sentences of a text in any script: boundaries, fragments, overlap, groundedness, excerpts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...core import count_words, is_unspaced, words


def word_set(text: str) -> frozenset[str]:
    """The words of a space-separated list."""
    return frozenset(text.split())


SENTENCE_END_MARKS = ".!?…。！？｡؟۔।॥։።"
"""Characters that end a sentence: Latin, CJK, Arabic, Devanagari, Armenian, Ethiopic."""
_MARKS_AND_BLANKS = SENTENCE_END_MARKS + "\"'”»’』」)）] \n\t"
# A text that ends with one of these is unfinished.
_OPEN_ENDS = (":", ",", ";", "-", "–", "—", "，", "：", "；", "、", "،", "؛")
_SENTENCE_END = re.compile(
    r"(?<!^)(?:[.!?…]++[\"”»’')\]]*+(?=\s|$)|[。！？｡؟۔।॥։።]++[」』”»\")）]*+)"
)
# Words with which no English sentence begins unless it is a question: "to the post office
# every day." is a fragment.
_MID_SENTENCE_WORDS = word_set(
    "a an the to of in on at for with by from and or but that which who whose whom as than then is "
    "are was were am be been being has have had does did will would can could should may might "
    "must not"
)


def is_fragment(text: str) -> bool:
    """Whether a text begins in the middle of a sentence: its first letter is lower case, and it
    either contains capitals, or lacks an end mark, or begins with a word such as "with".

    >>> is_fragment("with me."), is_fragment("¡Hola, Ada!"), is_fragment("good morning, ada!")
    (True, False, False)
    """
    first = next((character for character in text if character.isalnum()), "")
    if not first:
        return True
    if not first.islower():
        return False
    word = re.search(r"\w+", text)
    is_question = text.rstrip().endswith(("?", "؟", "？"))
    mid_sentence = word is not None and word[0] in _MID_SENTENCE_WORDS and not is_question
    capitals = any(character.isupper() for character in text)
    ended = text.rstrip("\"”»') ").endswith(tuple(SENTENCE_END_MARKS))
    return mid_sentence or capitals or not ended


def has_two_words(text: str) -> bool:
    """Whether a text has two words, or two characters of a script without spaces."""
    return count_words(text) >= 2 or sum(map(is_unspaced, text)) >= 2


def is_unfinished(text: str) -> bool:
    """Whether a text ends with a comma, colon, dash or semicolon (a question mark in Greek)."""
    text = text.rstrip()
    greek = text.endswith(";") and any("Ͱ" <= character <= "Ͽ" for character in text)
    return text.endswith(_OPEN_ENDS) and not greek


def finished_sentences(text: str) -> list[str]:
    """The sentences of a text that have an end mark, in any script.

    >>> finished_sentences("Good day! It costs 3.50 now. And")
    ['Good day!', 'It costs 3.50 now.']
    >>> finished_sentences("你好！面包很香。")
    ['你好！', '面包很香。']
    """
    starts = [0, *(ends := finished_sentence_ends(text))]
    return [text[start:end].strip() for start, end in zip(starts, ends, strict=False)]


def finished_sentence_ends(text: str) -> list[int]:
    """The end positions of the finished sentences; marks alone belong to the sentence before."""
    ends: list[int] = []
    for match in _SENTENCE_END.finditer(text):
        if ends and not text[ends[-1] : match.end()].strip(_MARKS_AND_BLANKS):
            ends.pop()
        ends.append(match.end())
    return ends


def join_sentences(parts: Iterable[str]) -> str:
    """Sentences joined with spaces, without a space after a full-width mark."""
    text = ""
    for part in parts:
        text += f" {part}" if text and text[-1] not in "。！？」』" else part
    return text


def repeats(text: str, earlier: Sequence[str], share: float = 0.7) -> bool:
    """Whether a line repeats an earlier one: their word overlap is above ``share``.

    >>> repeats("See you at the cafe!", ["see you at the cafe"]), repeats("Hello.", ["Bread?"])
    (True, False)
    """
    return word_overlap(text, earlier) > share


def word_overlap(text: str, earlier: Iterable[str]) -> float:
    """The largest overlap coefficient between the words of a text and of an earlier one: shared
    words divided by the words of the shorter of the two."""
    own_words = set(words(text))
    largest = 0.0
    for line in earlier if own_words else ():
        other = set(words(line))
        largest = max(largest, len(own_words & other) / max(1, min(len(own_words), len(other))))
    return largest


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


def excerpt(text: str, about: str, limit: int) -> str:
    """At most about ``limit`` characters of a text: its beginning, and the sentences that share
    the most words with ``about``; omissions are marked with "…".

    >>> excerpt("My essay. " + "Rye is grass. " * 50 + "The cat sleeps.", "Where is the cat?", 60)
    'My essay. Rye is grass. … The cat sleeps.'
    """
    if len(text) <= limit:
        return text
    marks = SENTENCE_END_MARKS
    # Only the first 50 limits of a text are split, so that a book costs no more than a page.
    pieces = [
        sentence[start : start + limit // 2].strip()
        for sentence in re.findall(rf"[^{marks}\n]+[{marks}\n]*", text[: 50 * limit])
        for start in range(0, len(sentence), max(1, limit // 2))
    ]
    if not (pieces := [piece for piece in pieces if piece]):
        return f"{text[:limit]} …"  # Nothing but marks.
    query = set(words(about))
    scores = [len(query & set(words(piece))) / (1 + len(piece) / limit) for piece in pieces]
    chosen, size = set[int](), 0
    order = [0, *sorted(range(1, len(pieces)), key=lambda index: (-scores[index], index))]
    for index in order:
        if pieces[index] in {pieces[other] for other in chosen}:
            continue
        if size + len(pieces[index]) > limit:
            break
        chosen.add(index)
        size += len(pieces[index]) + 1
    result, last = "", -1
    for index in sorted(chosen):
        separator = "" if not result else " " if index == last + 1 else " … "
        result, last = result + separator + pieces[index], index
    return result if last == len(pieces) - 1 else f"{result} …"
