"""Text of any script: one normalisation for what is compared, one segmentation for what is
counted in words, one reader for text files."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..errors import DenizensError, SettingError

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
# What stands joined to a name and is no part of it: particles after one in Korean, "and", "to",
# "in" before one in Arabic and Hebrew.
_KOREAN_PARTICLES = re.compile(
    r"(?:은|는|이|가|을|를|의|에게서|에게|에|한테|께서|께|와|과|이랑|랑|도|만|야|아|씨|님|로|으로|부터|까지"
    r"|처럼|보다|하고|이라고|라고|네|들){1,3}(?!\w)"
)
_PROCLITICS = re.compile(r"(?:^|\W)(?:[\u0648\u0641]?[\u0628\u0643\u0644]?|[ושמ]?[בהכל]?)$")
# Marks between the words of a name, and after what is shortened in it.
_NAME_MARKS = re.compile(r"[-_']+|(?<=\b\w)\.|(?<=\b\w\w)\.")
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


# Signs of names that writers exchange and normalize leaves: more apostrophes and hyphens, and
# the accent that Greek capitals lack.
_FOLDED_NAME_SIGNS = str.maketrans(
    dict.fromkeys("\u201b\u02b9\u2032\u05f3`", "'")
    | dict.fromkeys("\u2212\u05be", "-")
    | dict(zip("\u03ac\u03ad\u03ae\u03af\u03cc\u03cd\u03ce\u0390\u03b0", "αεηιουωϊϋ"))
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


def fold_name(text: str) -> str:
    """The form in which names are compared: ``normalize``, apostrophes and hyphens of every kind
    one, without the accents of Greek.

    >>> fold_name("O\u2019Brien") == fold_name("o'brien")
    True
    """
    text = normalize(text)
    return text.replace("`", "'") if text.isascii() else text.translate(_FOLDED_NAME_SIGNS)


def normalize_name(name: str) -> str:
    """A name as it is kept and compared where its case counts: composed (NFC), each run of
    blanks one space.

    >>> normalize_name("  Zoe\\u0308   Lind ") == "Zoë Lind"
    True
    """
    return unicodedata.normalize("NFC", " ".join(name.split()))


def reserved_sign(name: str) -> str:
    """The first sign in a name that stands in no name of a person or an agent, or empty: a colon
    divides kinds of sources from their names (``document:rules.md``), ``*`` is everybody.

    >>> reserved_sign("tool:bank"), reserved_sign("*"), reserved_sign("Ada")
    (':', '*', '')
    """
    return next((sign for sign in name if sign in ":*"), "")


def same_name(one: str, other: str) -> bool:
    """Whether two names are the same name, whatever their case, blanks and Unicode form.

    >>> same_name("Zoe\\u0308  Lind", "zoë lind"), same_name("Ada", "Adam")
    (True, False)
    """
    return fold_name(one) == fold_name(other)


def name_matcher(name: str) -> Callable[[str], bool]:
    """A test of whether a text names somebody or something, in any script and form: as a whole
    word where words have blanks, anywhere where they have none. Korean particles after a name
    and Arabic and Hebrew ones before it are no part of it, and the marks between the words of
    a name may be others or none.

    >>> name_matcher("Ada")("ask ADA"), name_matcher("Ada")("Adam"),
    name_matcher("Ada")("我和Ada去了")
    (True, False, True)
    >>> name_matcher("J.R.")("I met J.R. today"), name_matcher("小明")("昨天我和小明去了公园")
    (True, True)
    >>> name_matcher("Jean-Luc Ek")("jean luc ek"), name_matcher("김민수")("김민수는 왔다")
    (True, True)
    """
    wanted = fold_name(name)
    parts = _NAME_MARKS.sub(" ", wanted).split()
    spaced = " ".join(parts) if len(parts) > 1 and max(map(len, parts)) > 1 else ""
    unspaced = "".join(parts) if spaced and is_unspaced(spaced[0]) else ""

    def test(text: str) -> bool:
        if not wanted:
            return False
        body = fold_name(text)
        if _stands_alone(wanted, body) or (unspaced and _stands_alone(unspaced, body)):
            return True
        if not spaced or not all(part in body for part in parts):
            return False
        return _stands_alone(spaced, " ".join(_NAME_MARKS.sub(" ", body).split()))

    return test


def _stands_alone(name: str, text: str) -> bool:
    """Whether a name stands in a text, both normalised, by itself."""
    at = text.find(name)
    while at >= 0:
        end = at + len(name)
        before = not _inside_word(text, at) or _PROCLITICS.search(text, max(0, at - 3), at)
        if before and (not _inside_word(text, end) or _KOREAN_PARTICLES.match(text, end)):
            return True
        at = text.find(name, at + 1)
    return False


def _inside_word(text: str, at: int) -> bool:
    """Whether one word goes over the place before ``text[at]``."""
    if at <= 0 or at >= len(text):
        return False
    before, after = text[at - 1], text[at]
    if unicodedata.category(after)[0] == "M":
        return True
    if is_unspaced(before) or is_unspaced(after):
        return False
    # A combining mark before the place ends a letter.
    return (before.isalnum() or unicodedata.category(before)[0] == "M") and after.isalnum()


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


def decode_text(
    data: bytes, source: Path | str, *, error: type[DenizensError] = SettingError
) -> str:
    """The text of a file's bytes: UTF-8, or what its byte order mark says; the mark is left out.

    Raises ``error``, naming the source, the first byte that does not fit and the remedy: a
    guessed encoding would put wrong letters into names without a word.
    """
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise error(
            f"{source}: is not {encoding.upper().removesuffix('-SIG')} (line {line}, byte "
            f"{data[fault.start]:#04x}); save the file as UTF-8 and try again"
        ) from fault


def read_text_file(path: Path | str, *, error: type[DenizensError] = SettingError) -> str:
    """The text of a file, by ``decode_text``; line ends are ``\\n``. Raises ``error``, also for a
    file that cannot be read."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as fault:
        # A path with a NUL is a ValueError.
        reason = getattr(fault, "strerror", None) or fault
        raise error(f"{path}: cannot be read ({reason}); check the path") from fault
    return decode_text(data, path, error=error).replace("\r\n", "\n").replace("\r", "\n")
