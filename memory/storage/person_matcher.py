"""Matching one person by name: in labels, and in texts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

from ...core import AgentId, is_unspaced, name_matcher, same_name, source_name
from ...core.text import STOP_WORDS, fold_name

# First names that are also words: unless spelled as the name they count as the word.
_WORDS = """
    amber april art august autumn bill bob carol chance chase charity cliff crystal daisy dawn dean
    dick don drew earnest eve faith felicity fern forest frank gene ginger glen grace grant guy
    harmony hazel heather holly honor hope hunter iris ivy jack jade jasmine jay jean jewel josh joy
    june lance lily mark mason max mercy miles nick olive opal page pat patience pearl penny peter
    poppy prudence ray reed rich river rob robin rocky rod rose ruby rusty sage sandy skip sky
    sterling stone storm sue summer terry victor violet wade warren willow young
"""
_WORD_NAMES = frozenset(_WORDS.split())


@dataclass(frozen=True)
class PersonMatcher:
    """A person called ``name`` among ``others`` with known names.

    Names are compared in any script, case and Unicode form. A longer name of another person does
    not match: with Ada Pell among the others, "Ada Pell came" does not name Ada. A name that is
    also a stop word (Will, May) or another word (Rose, Mark) counts only as it is written; one of a
    single character, in a script without blanks, only by itself. The empty name is nobody's.

    >>> ada = PersonMatcher("Ada", ("Ada Pell", "Bo"))
    >>> ada.matches_name("ADA"), ada.is_named_in("Ada came"), ada.is_named_in("Ada Pell came")
    (True, True, False)
    >>> will = PersonMatcher("Will")
    >>> will.is_named_in("I will come"), will.is_named_in("I met Will")
    (False, True)
    """

    name: AgentId
    others: Collection[AgentId] = ()

    def matches_name(self, label: str) -> bool:
        """Whether a label is this person's whole name."""
        return bool(self.name) and self._key in (label, fold_name(label))

    def matches_source(self, source: str) -> bool:
        """Whether a source of a label is this person; documents and tools never are, whatever their
        names."""
        if not self.name:
            return False
        if ":" not in source:
            return self.matches_name(source)
        return fold_name(source_name(self.name)) == fold_name(source)

    def is_named_in(self, text: str) -> bool:
        """Whether a text names the person."""
        if not self.name or not self._test(text):
            return False
        if self._is_word and not self._as_written.search(_composed(text)):
            return False
        if self._single and not self._single.search(fold_name(text)):
            return False
        if not self._longer:
            return True
        masked = fold_name(text)
        for other, test in self._longer:
            if test(masked):
                masked = masked.replace(other, " | ")
        return self._test(masked)

    def may_be_named_in(self, text: str) -> bool:
        """Whether a text may name the person: it has the given name alone, which may be somebody
        else's, or the name in a form that may be another word: inflected, without accents, as part
        of an address, family name first, or in lower case."""
        if self.is_named_in(text):
            return False
        return self._another_form(text) or self._given_in(text)

    def _another_form(self, text: str) -> bool:
        word = self._single or self._key in _WORD_NAMES
        if word and self._test(text) and not any(test(text) for _, test in self._longer):
            return True
        matches = self._loose.finditer(_bare(text)) if self._loose else ()
        size = sum(map(str.isalnum, _bare(self.name)))
        cased = self.name[:1].isupper()
        return any(
            # In lower case it is the name itself (as in an address) or another word.
            (not cased or match[0][:1].isupper() or sum(map(str.isalnum, match[0])) == size)
            and match[0].casefold() not in self._taken
            for match in matches
        )

    def _given_in(self, text: str) -> bool:
        if self._given is None or not self._given.search(_composed(text)):
            return False
        rest = _composed(text)
        for other in self._namesakes:
            rest = other.sub(" | ", rest)
        return self._given.search(rest) is not None

    @cached_property
    def _key(self) -> str:
        return fold_name(self.name)

    @cached_property
    def _test(self) -> Callable[[str], bool]:
        return name_matcher(self.name)

    @cached_property
    def _is_word(self) -> bool:
        return self._key in STOP_WORDS or self._key in ("may", "will") or self._key in _WORD_NAMES

    @cached_property
    def _single(self) -> re.Pattern[str] | None:
        """Matches a name of one character by itself, not as part of a word."""
        if len(self._key) != 1 or not is_unspaced(self._key):
            return None
        return re.compile(rf"(?<![^\W\d_]){re.escape(self._key)}(?![^\W\d_])")

    @cached_property
    def _taken(self) -> frozenset[str]:
        """The names of others, without accents and folded."""
        return frozenset(_bare(other).casefold() for other in self.others)

    @cached_property
    def _loose(self) -> re.Pattern[str] | None:
        """Matches the name in a form that may be another word."""
        words = re.findall(r"[^\W_]+", _bare(self.name))
        if not words or self._single or self._key in STOP_WORDS:
            return None
        forms = [re.escape(words[0])]
        if len(words) > 1:
            forms = [r"[\W_]{0,3}".join(map(re.escape, words))]
            turned = [words[-1], *words[:-1]]
            forms.append(r"[\W_]{1,3}".join(map(re.escape, turned)))
        name = "|".join(forms)
        letters = "".join(words)
        # Case endings, and the prefixes that Arabic and Hebrew write before a name.
        tail = r"[^\W\d_]{0,3}" if len(letters) > 3 and not is_unspaced(letters[0]) else ""
        rtl = unicodedata.bidirectional(letters[0]) in ("R", "AL")
        head = r"[^\W\d_]{0,2}" if rtl else ""
        if (len(words) == 1 and not letters.isascii()) or tail or rtl or len(words) > 1:
            return re.compile(rf"(?<![^\W\d_]){head}(?:{name}){tail}(?![^\W\d_])", re.IGNORECASE)
        return None

    @cached_property
    def _as_written(self) -> re.Pattern[str]:
        return _whole(self.name)

    @cached_property
    def _longer(self) -> list[tuple[str, Callable[[str], bool]]]:
        keys = {fold_name(other) for other in self.others} - {self._key}
        longer = sorted((key for key in keys if self._test(key)), key=len, reverse=True)
        return [(key, name_matcher(key)) for key in longer]

    @cached_property
    def _namesakes(self) -> list[re.Pattern[str]]:
        """Whole names of others that contain the given name."""
        given = self._given
        longest = sorted(self.others, key=len, reverse=True)
        return [_whole(other) for other in longest if given and given.search(_composed(other))]

    @cached_property
    def _given(self) -> re.Pattern[str] | None:
        parts = _composed(self.name).split()
        if len(parts) < 2:
            return None
        ends = (parts[0], parts[-1] if len(parts[-1]) > 2 else parts[0])
        # A part that is another person's whole name is that person's.
        alone = [
            part
            for part in dict.fromkeys(ends)
            if len(part) > 1 and not any(same_name(part, other) for other in self.others)
        ]
        # "Ивана Петрова": a name with case endings.
        stems = [re.escape(part[:-1] if len(part) > 4 else part) + r"\w{0,3}" for part in parts]
        shapes = [rf"{re.escape(part)}(?!\w)" for part in alone] + [r"\s+".join(stems) + r"(?!\w)"]
        return re.compile(rf"(?<!\w)(?:{'|'.join(shapes)})")


def _whole(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(_composed(name).strip())}(?!\w)")


def _bare(text: str) -> str:
    """The text without accents and vowel signs."""
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFKD", text)
    return "".join(sign for sign in parts if unicodedata.category(sign) != "Mn")


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)
