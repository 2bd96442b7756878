"""Names of people and agents: normal forms, comparison, and finding a name in a text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from .normalization import is_unspaced, normalize

# Written together with a name but not part of it: Korean particles after it; Arabic and Hebrew
# words for "and", "to", "in" before it.
_KOREAN_PARTICLES = re.compile(
    r"(?:은|는|이|가|을|를|의|에게서|에게|에|한테|께서|께|와|과|이랑|랑|도|만|야|아|씨|님|로|으로|부터|까지"
    r"|처럼|보다|하고|이라고|라고|네|들){1,3}(?!\w)"
)
_PROCLITICS = re.compile(r"(?:^|\W)(?:[\u0648\u0641]?[\u0628\u0643\u0644]?|[ושמ]?[בהכל]?)$")
# Marks between the words of a name, and after an abbreviation in it.
_NAME_MARKS = re.compile(r"[-_']+|(?<=\b\w)\.|(?<=\b\w\w)\.")
# Variants that ``normalize`` keeps: further apostrophes and hyphens, and Greek accents, which
# capitals lack.
_FOLDED_NAME_SIGNS = str.maketrans(
    dict.fromkeys("\u201b\u02b9\u2032\u05f3`", "'")
    | dict.fromkeys("\u2212\u05be", "-")
    | dict(zip("\u03ac\u03ad\u03ae\u03af\u03cc\u03cd\u03ce\u0390\u03b0", "αεηιουωϊϋ"))
)


def fold_name(text: str) -> str:
    """The form in which names are compared: ``normalize``, with one apostrophe, one hyphen, and no
    Greek accents.

    >>> fold_name("O\u2019Brien") == fold_name("o'brien")
    True
    """
    text = normalize(text)
    return text.replace("`", "'") if text.isascii() else text.translate(_FOLDED_NAME_SIGNS)


def normalize_name(name: str) -> str:
    """A name as it is stored, and compared where case counts: Unicode NFC, without surplus spaces.

    >>> normalize_name("  Zoe\\u0308   Lind ") == "Zoë Lind"
    True
    """
    return unicodedata.normalize("NFC", " ".join(name.split()))


def reserved_sign(name: str) -> str:
    """The first reserved character in a name, or an empty text: a colon, which separates the kind
    of a source from its name (``document:rules.md``), or ``*``, which stands for everybody.

    >>> reserved_sign("tool:bank"), reserved_sign("*"), reserved_sign("Ada")
    (':', '*', '')
    """
    return next((character for character in name if character in ":*"), "")


def same_name(one: str, other: str) -> bool:
    """Whether two names are equal apart from case, spaces and Unicode form.

    >>> same_name("Zoe\\u0308  Lind", "zoë lind"), same_name("Ada", "Adam")
    (True, False)
    """
    return fold_name(one) == fold_name(other)


def name_matcher(name: str) -> Callable[[str], bool]:
    """A function that tells whether a text contains a name, apart from case and Unicode form.

    The name must be a whole word, except in scripts without spaces. Korean particles after it and
    Arabic and Hebrew prefixes may be attached, and the marks between its words may differ.

    >>> name_matcher("Ada")("ask ADA"), name_matcher("Ada")("Adam")
    (True, False)
    >>> name_matcher("Ada")("我和Ada去了")
    True
    >>> name_matcher("J.R.")("I met J.R. today"), name_matcher("小明")("昨天我和小明去了公园")
    (True, True)
    >>> name_matcher("Jean-Luc Ek")("jean luc ek"), name_matcher("김민수")("김민수는 왔다")
    (True, True)
    """
    folded = fold_name(name)
    parts = _NAME_MARKS.sub(" ", folded).split()
    spaced = " ".join(parts) if len(parts) > 1 and max(map(len, parts)) > 1 else ""
    unspaced = "".join(parts) if spaced and is_unspaced(spaced[0]) else ""

    def test(text: str) -> bool:
        if not folded:
            return False
        body = fold_name(text)
        if _stands_alone(folded, body) or (unspaced and _stands_alone(unspaced, body)):
            return True
        if not spaced or not all(part in body for part in parts):
            return False
        return _stands_alone(spaced, " ".join(_NAME_MARKS.sub(" ", body).split()))

    return test


def _stands_alone(name: str, text: str) -> bool:
    """Whether a folded name occurs in a folded text as a whole word."""
    at = text.find(name)
    while at >= 0:
        end = at + len(name)
        before = not _inside_word(text, at) or _PROCLITICS.search(text, max(0, at - 3), at)
        if before and (not _inside_word(text, end) or _KOREAN_PARTICLES.match(text, end)):
            return True
        at = text.find(name, at + 1)
    return False


def _inside_word(text: str, at: int) -> bool:
    """Whether the characters before and at ``text[at]`` belong to one word."""
    if at <= 0 or at >= len(text):
        return False
    before, after = text[at - 1], text[at]
    if unicodedata.category(after)[0] == "M":
        return True
    if is_unspaced(before) or is_unspaced(after):
        return False
    # A combining mark belongs to the letter before it.
    return (before.isalnum() or unicodedata.category(before)[0] == "M") and after.isalnum()


# A person is not called by one of these alone.
_TITLE_LIST = (
    "the a an mr mrs ms miss mx dr prof professor doctor sir lady lord saint st old little big "
    "young uncle aunt captain king queen prince princess father mother sister brother grandma "
    "grandpa granny el la le les los las der die das doña señor señora herr frau monsieur madame "
    "signor signora"
)
_TITLES = frozenset(_TITLE_LIST.split())


def short_name(name: str) -> str:
    """The first word of a name, or the whole name if that word is an article, a title or an
    initial.

    >>> short_name("Bo Lind"), short_name("The Doctor"), short_name("J. R. Ek"), short_name("小明")
    ('Bo', 'The Doctor', 'J. R. Ek', '小明')
    """
    first, _, rest = name.strip().partition(" ")
    bare = first.rstrip(".").lower()
    return name.strip() if rest and (bare in _TITLES or first.endswith(".")) else first
