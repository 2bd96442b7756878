"""Text of any script: normalisation for comparison, and segmentation into words and sentences."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

# Scripts without spaces between words. Their words are character bigrams, as in Lucene's CJK
# analysis; a dictionary would be larger than this package.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Bopomofo}"
# The general pattern of a word, restricted to ASCII.
_ASCII_WORD = re.compile(r"[0-9A-Za-z]+")
# Sentence ends: Latin ones need a space after them, those of other scripts do not.
_CLOSERS = "\"'\u201d\u2019)\\]\u300d\u300f\uff09\u00bb"
_SENTENCE = re.compile(
    rf"(?:(?<=[.!?\u2026\u061f\u06d4\u0964\u0965\u0589\u1362])"
    rf"|(?<=[.!?\u2026\u061f\u06d4][{_CLOSERS}]))\s+"
    rf"|(?<=[\u3002\uff01\uff1f\uff0e\uff61])(?![{_CLOSERS}\u3002\uff01\uff1f])\s*"
    rf"|(?<=[\u3002\uff01\uff1f][{_CLOSERS}])\s*"
    r"|\n[ \t]*\n\s*"
)
# Typographic apostrophes and hyphens.
_PLAIN_MARKS = str.maketrans(
    dict.fromkeys("\u2018\u2019\u02bc", "'") | dict.fromkeys("\u2010\u2011\u2012\u2013", "-")
)


@cache
def _patterns() -> dict[str, Any]:
    # The package regex supports Unicode scripts, which re does not.
    import regex

    shapes = {
        "hyphen": r"(?<=\p{L})[-\u2010\u00ad][ \t]*\r?\n[ \t]*(?=\p{Ll})",
        "invisible": r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]",
        "word": (
            rf"(?P<unspaced>[{_UNSPACED}ー々][{_UNSPACED}ー々\p{{M}}]*+)"
            rf"|(?:(?![{_UNSPACED}])[\p{{L}}\p{{N}}][\p{{M}}\u200d]*+)++"
            r"|\p{Regional_Indicator}{2}|\p{Extended_Pictographic}"
        ),
        # Hebrew and Arabic vowel points and the tatweel, which are optional.
        "optional": r"[\u0591-\u05bd\u05bf-\u05c7\u0640\u064b-\u0652\u0670]",
        "digit": r"[^\P{Nd}0-9]",
        "cluster": r"\X",
        "unspaced": rf"[{_UNSPACED}ー々]",
    }
    return {name: regex.compile(shape) for name, shape in shapes.items()}


def normalize(text: str) -> str:
    """The form in which texts are compared; it is never displayed.

    NFKC, case folded, without hyphenation at line ends, invisible characters and optional vowel
    points, with ASCII digits, apostrophes and hyphens, and single spaces.

    >>> normalize("  ＡＢＣ\\u00a0of\\ufb01ce, Cafe\\u0301 and gar-\\nden ")
    'abc office, café and garden'
    >>> normalize("O\u2019Neil, \u0661\u0662")
    "o'neil, 12"
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).casefold()
        # Case folding leaves a combining dot of the Turkish capital I.
        text = unicodedata.normalize("NFKC", re.sub("i\u0307+", "i", text))
        text = _patterns()["hyphen"].sub("", text)
        text = _patterns()["invisible"].sub("", text)
        text = _patterns()["optional"].sub("", text).translate(_PLAIN_MARKS)
        # Digits that only regex knows, from a newer Unicode version, are kept.
        text = _patterns()["digit"].sub(
            lambda match: str(unicodedata.decimal(match[0], match[0])), text
        )
    else:
        if "-" in text and "\n" in text:
            text = _patterns()["hyphen"].sub("", text)
        text = text.casefold()
    return " ".join(text.split())


def words(text: str) -> list[str]:
    """The normalised words and numbers of a text, in order. Words of a script without spaces are
    its character bigrams; an emoji is a word.

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
    """The words and numbers of a text as they are written, in order; a run of characters of a
    script without spaces is one word.

    >>> written_words("Ada's 我的猫")
    ['Ada', 's', '我的猫']
    """
    if text.isascii():
        return _ASCII_WORD.findall(text)
    return [match[0] for match in _patterns()["word"].finditer(text)]


def graphemes(text: str) -> list[str]:
    """The grapheme clusters of a text: characters with their combining marks.

    >>> len(graphemes("e\u0301e")), len("e\u0301e")
    (2, 3)
    """
    clusters: list[str] = _patterns()["cluster"].findall(text)
    return clusters


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
    """The sentences of a text: it is split after full stops, question and exclamation marks (with
    closing quotation marks), and at empty lines.

    >>> sentences('It rained. "Stay!" she said.  他来了。走吧！')
    ['It rained.', '"Stay!"', 'she said.', '他来了。', '走吧！']
    """
    return [sentence for part in _SENTENCE.split(text) if (sentence := part.strip())]


def sentence_ends(text: str) -> list[int]:
    """The end offsets of the sentences of a text, including the spaces after them.

    >>> sentence_ends("One.  Two.")
    [6, 10]
    """
    ends = [match.end() for match in _SENTENCE.finditer(text)]
    return ends if ends and ends[-1] == len(text) else [*ends, len(text)]


def count_words(text: str) -> int:
    """The number of words in a text; two characters of a script without spaces are one word.

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
    """Whether a character belongs to a script without spaces between words."""
    return _patterns()["unspaced"].match(character) is not None


def replace_surrogates(text: str) -> str:
    """The text with surrogate pairs joined, and each lone surrogate replaced by U+FFFD, so that it
    can be encoded as UTF-8.

    >>> replace_surrogates("\\ud83d\\ude00 and \\ud83d") == "\\U0001f600 and \\ufffd"
    True
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
