"""Text of any script: one normalisation for what is compared, one segmentation for what is
counted in words, one reader for text files."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

# Scripts written without blanks between words: there a word is a pair of characters, as in
# Lucene's CJK analysis; a library with dictionaries would weigh more than the rest of us.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Bopomofo}"


# Letters and digits of ASCII: what the general shape comes to there.
_ASCII_WORD = re.compile(r"[0-9A-Za-z]+")


# Marks that end a sentence, of Latin and of other scripts; only the latter need no blank after.
_CLOSERS = "\"'\u201d\u2019)\\]\u300d\u300f\uff09\u00bb"


_SENTENCE = re.compile(
    rf"(?:(?<=[.!?\u2026\u061f\u06d4\u0964\u0965\u0589\u1362])"
    rf"|(?<=[.!?\u2026\u061f\u06d4][{_CLOSERS}]))\s+"
    rf"|(?<=[\u3002\uff01\uff1f\uff0e\uff61])(?![{_CLOSERS}\u3002\uff01\uff1f])\s*"
    rf"|(?<=[\u3002\uff01\uff1f][{_CLOSERS}])\s*"
    r"|\n[ \t]*\n\s*"
)


# Apostrophes and hyphens, whatever the keyboard made of them.
_PLAIN_MARKS = str.maketrans(
    dict.fromkeys("\u2018\u2019\u02bc", "'") | dict.fromkeys("\u2010\u2011\u2012\u2013", "-")
)


@cache
def _patterns() -> dict[str, Any]:
    # regex knows scripts and marks, which re does not; it comes with transformers.
    import regex

    shapes = {
        "hyphen": r"(?<=\p{L})[-\u2010\u00ad][ \t]*\r?\n[ \t]*(?=\p{Ll})",
        "invisible": r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]",
        "word": (
            rf"(?P<unspaced>[{_UNSPACED}ー々][{_UNSPACED}ー々\p{{M}}]*+)"
            rf"|(?:(?![{_UNSPACED}])[\p{{L}}\p{{N}}][\p{{M}}\u200d]*+)++"
            r"|\p{Regional_Indicator}{2}|\p{Extended_Pictographic}"
        ),
        # Vowel points of Hebrew and Arabic, the lengthening stroke: written or left out at will.
        "optional": r"[\u0591-\u05bd\u05bf-\u05c7\u0640\u064b-\u0652\u0670]",
        "digit": r"[^\P{Nd}0-9]",
        "cluster": r"\X",
        "unspaced": rf"[{_UNSPACED}ー々]",
    }
    return {name: regex.compile(shape) for name, shape in shapes.items()}


def normalize(text: str) -> str:
    """The form in which texts and names are compared: NFKC, case folded, words that were
    hyphenated at the end of a line joined, invisible characters and vowel points out, digits
    of every script, apostrophes and hyphens those of ASCII, blanks of every kind one space.
    Never shown to anybody: it loses what the writer wrote.

    >>> normalize("  ＡＢＣ\\u00a0of\\ufb01ce, Cafe\\u0301 and gar-\\nden ")
    'abc office, café and garden'
    >>> normalize("O\u2019Neil, \u0661\u0662")
    "o'neil, 12"
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).casefold()
        # The dot above that casefolding leaves of a Turkish capital.
        text = unicodedata.normalize("NFKC", re.sub("i\u0307+", "i", text))
        text = _patterns()["hyphen"].sub("", text)
        text = _patterns()["invisible"].sub("", text)
        text = _patterns()["optional"].sub("", text).translate(_PLAIN_MARKS)
        # regex may know digits of a newer Unicode than unicodedata does; they stay.
        text = _patterns()["digit"].sub(lambda one: str(unicodedata.decimal(one[0], one[0])), text)
    else:
        if "-" in text and "\n" in text:
            text = _patterns()["hyphen"].sub("", text)
        text = text.casefold()
    return " ".join(text.split())


def words(text: str) -> list[str]:
    """The words and numbers of a text, normalised, in order. Where a script has no blanks,
    pairs of neighbouring characters stand for words (one alone for itself); an emoji is a
    word.

    >>> words("Ada's 2 loaves; CAFÉ! हिन्दी")
    ['ada', 's', '2', 'loaves', 'café', 'हिन्दी']
    >>> words("我的猫 Tom 🐱")
    ['我的', '的猫', 'tom', '🐱']
    """
    text = normalize(text)
    if text.isascii():
        return _ASCII_WORD.findall(text)
    return list(_segment_words(text))


def written_words(text: str) -> list[str]:
    """The words and numbers of a text as they are written, in order; where a script has no
    blanks, each run of its characters in one piece.

    >>> written_words("Ada's 我的猫")
    ['Ada', 's', '我的猫']
    """
    if text.isascii():
        return _ASCII_WORD.findall(text)
    return [match[0] for match in _patterns()["word"].finditer(text)]


def graphemes(text: str) -> list[str]:
    """What a reader takes for single characters, each with its marks (grapheme clusters).

    >>> len(graphemes("e\u0301e")), len("e\u0301e")
    (2, 3)
    """
    found: list[str] = _patterns()["cluster"].findall(text)
    return found


def _segment_words(text: str) -> Iterator[str]:
    for match in _patterns()["word"].finditer(text):
        if not match["unspaced"]:
            yield match[0]
            continue
        clusters = graphemes(match[0])
        if len(clusters) == 1:
            yield clusters[0]
        for first, second in pairwise(clusters):
            yield first + second


def sentences(text: str) -> list[str]:
    """The sentences of a text, in any script: split after full stops, question and exclamation
    marks (with what closes a quotation) and at blank lines. Their own blanks are kept.

    >>> sentences('It rained. "Stay!" she said.  他来了。走吧！')
    ['It rained.', '"Stay!"', 'she said.', '他来了。', '走吧！']
    """
    return [found for part in _SENTENCE.split(text) if (found := part.strip())]


def sentence_ends(text: str) -> list[int]:
    """Where the sentences of a text end, with the blanks after them; the last is its length.

    >>> sentence_ends("One.  Two.")
    [6, 10]
    """
    ends = [place.end() for place in _SENTENCE.finditer(text)]
    return ends if ends and ends[-1] == len(text) else [*ends, len(text)]


def count_words(text: str) -> int:
    """How many words a text has; two characters count as one where a script has no blanks.

    >>> count_words("We met at noon."), count_words("昨天我和小明去了公园。")
    (4, 5)
    """
    if text.isascii():
        return len(_ASCII_WORD.findall(text))
    total = 0
    for match in _patterns()["word"].finditer(text):
        clusters = len(graphemes(match[0])) if match["unspaced"] else 0
        total += max(1, clusters // 2)
    return total


def is_unspaced(character: str) -> bool:
    """Whether a character belongs to a script that writes no blanks between words."""
    return _patterns()["unspaced"].match(character) is not None


def replace_surrogates(text: str) -> str:
    """A text that UTF-8 can hold: surrogate pairs joined, each half alone replaced by U+FFFD.

    >>> replace_surrogates("\\ud83d\\ude00 and \\ud83d") == "\\U0001f600 and \\ufffd"
    True
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
