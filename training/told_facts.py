"""Which facts the lines of a dialogue tell, by the content words that they share."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from ..planners.text import word_set
from .dialogues import PersonaDialogue

TOLD_SHARE = 0.5  # share of a fact's weighted content words that the line must have
_STOP_WORDS = word_set(
    "i me my mine myself am is are was were be been being do does did have has had a an the and or "
    "but of to in on at for with from by as it its that this these those you your we our they them "
    "he she his her so very really just also too not no don't dont i'm im i've i'd i'll it's there "
    "what who when where why how about like love enjoy lot lots get got go going been would can "
    "could will some any all more most much many one things thing time"
)


@lru_cache(maxsize=1)
def _stemmer() -> object:
    import Stemmer

    return Stemmer.Stemmer("english")


@lru_cache(maxsize=200_000)
def content_stems(text: str) -> frozenset[str]:
    """The stems of a text's content words.

    >>> sorted(content_stems("I love to bake cookies."))
    ['bake', 'cooki']
    """
    words = [word for word in re.findall(r"[a-z0-9']+", text.lower()) if word not in _STOP_WORDS]
    stemmer: object = _stemmer()
    return frozenset(stemmer.stemWords(words))  # type: ignore[attr-defined]


class FactMatcher:
    """Finds the fact that a line tells. Stems are weighted by their inverse frequency in the
    ``texts``, so that a rare word counts more."""

    def __init__(self, texts: Iterable[str]) -> None:
        counts: Counter[str] = Counter()
        total = 0
        for text in texts:
            counts.update(content_stems(text))
            total += 1
        self._weights = {stem: math.log(total / count) for stem, count in counts.items()}
        self._unseen = math.log(max(total, 2))

    @classmethod
    def of_dialogues(cls, dialogues: Iterable[PersonaDialogue]) -> FactMatcher:
        """A matcher with the frequencies in the lines and facts of dialogues."""
        return cls(
            text
            for dialogue in dialogues
            for text in (
                *(line.text for line in dialogue.lines),
                *dialogue.facts[0],
                *dialogue.facts[1],
            )
        )

    def share(self, fact: str, line: str) -> float:
        """The share of the fact's weighted content words that the line has, in [0, 1]."""
        stems = content_stems(fact)
        total = sum(self._weights.get(stem, self._unseen) for stem in stems)
        shared = sum(self._weights.get(stem, self._unseen) for stem in stems & content_stems(line))
        return shared / total if total else 0.0

    def told(self, facts: Iterable[str], line: str) -> int | None:
        """The index of the fact that the line tells; None if it tells none."""
        shares = [self.share(fact, line) for fact in facts]
        best = max(range(len(shares)), key=lambda index: shares[index], default=None)
        return best if best is not None and shares[best] >= TOLD_SHARE else None
