"""One person by name: what is their name, and which texts name them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

from ..core import AgentId, mentions, normalize, same_name
from .words import STOP


@dataclass(frozen=True)
class Person:
    """A person called ``name``, among ``others`` who are known by name too.

    Names are compared in any script, case and Unicode form. A longer name of somebody else
    does not name them: with Ada Pell among the others, "Ada Pell came" is not about Ada. A name
    that is also a word of every text (Will, May) counts only as it is written.

    >>> ada = Person("Ada", ("Ada Pell", "Bo"))
    >>> ada.is_name("ADA"), ada.named_in("Ada came"), ada.named_in("Ada Pell came")
    (True, True, False)
    >>> Person("Will").named_in("I will come"), Person("Will").named_in("I met Will")
    (False, True)
    """

    name: AgentId
    others: Collection[AgentId] = ()

    def is_name(self, label: str) -> bool:
        """Whether a label (who said it, for whom it is) is this person's name, all of it."""
        return self._key == label or same_name(self.name, label)

    def named_in(self, text: str) -> bool:
        """Whether a text names them."""
        if not self._test(text):
            return False
        if self._is_word and not self._as_written.search(_composed(text)):
            return False
        if not self._longer:
            return True
        masked = normalize(text)
        for other, test in self._longer:
            if test(masked):
                masked = masked.replace(other, " | ")
        return self._test(masked)

    def perhaps_in(self, text: str) -> bool:
        """Whether a text has a part of their name alone (given or family name), or all of it in
        another order or with other endings, by which somebody else may be meant."""
        if self._given is None or not self._given.search(_composed(text)) or self.named_in(text):
            return False
        rest = _composed(text)
        for other in self._namesakes:
            rest = other.sub(" | ", rest)
        return self._given.search(rest) is not None

    @cached_property
    def _key(self) -> str:
        return normalize(self.name)

    @cached_property
    def _test(self) -> Callable[[str], bool]:
        return mentions(self.name)

    @cached_property
    def _is_word(self) -> bool:
        return self._key in STOP or self._key in ("may", "will")

    @cached_property
    def _as_written(self) -> re.Pattern[str]:
        return _whole(self.name)

    @cached_property
    def _longer(self) -> list[tuple[str, Callable[[str], bool]]]:
        keys = {normalize(other) for other in self.others} - {self._key}
        found = sorted((key for key in keys if self._test(key)), key=len, reverse=True)
        return [(key, mentions(key)) for key in found]

    @cached_property
    def _namesakes(self) -> list[re.Pattern[str]]:
        """Whole names of others in which the given name stands."""
        given = self._given
        longest = sorted(self.others, key=len, reverse=True)
        return [_whole(other) for other in longest if given and given.search(_composed(other))]

    @cached_property
    def _given(self) -> re.Pattern[str] | None:
        parts = _composed(self.name).split()
        if len(parts) < 2:
            return None
        ends = (parts[0], parts[-1] if len(parts[-1]) > 2 else parts[0])
        # Another person's whole name is theirs.
        alone = [
            part
            for part in dict.fromkeys(ends)
            if len(part) > 1 and not any(same_name(part, other) for other in self.others)
        ]
        # "Ивана Петрова": a name with the endings of a case.
        stems = [re.escape(part[:-1] if len(part) > 4 else part) + r"\w{0,3}" for part in parts]
        shapes = [rf"{re.escape(part)}(?!\w)" for part in alone] + [r"\s+".join(stems) + r"(?!\w)"]
        return re.compile(rf"(?<!\w)(?:{'|'.join(shapes)})")


def _whole(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(_composed(name).strip())}(?!\w)")


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)
