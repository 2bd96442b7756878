"""Named rule sets of recall; each difference between them is a field of RuleSet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...core import RecordKind, SettingError, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """How recall scores: a weighted sum of recency, importance and relevance, each min-max
    scaled to [0, 1] over the candidates (``equal`` for all of them if they are all equal).

    - ``recency``: "hours" is decay ** (hours since ``since``); "rank" is decay ** i for the i-th
      (from 1) candidate sorted by ``since``, the oldest first unless ``newest_first``.
    - Relevance is the cosine of cue and record, 0 for a record without an embedding; with
      ``matching`` "hybrid" it is the score of ``hybrid_score`` by words, meaning, time and
      speaker, which is not scaled again.
    - ``kinds`` are the candidates (all if empty), without those whose text contains one of
      ``without``.
    - ``listing`` orders the candidates before they are sorted by score or rank, and so decides
      between equal ones: as written, or like the reverie code, events before thoughts, each
      newest first.
    - ``successive``: of cues recalled together, each treats records that earlier cues recalled as
      just accessed.
    - ``approximate``: with some hundred thousand records or more, candidates are those in the cells
      nearest to the cue and the newest and most important ones, instead of all.
    - ``distinct``: of records with the same text, source and audience all but the best give way to
      others, so that duplicates do not fill a recall.
    - ``trust`` multiplies the score of what a person said by a weight from 0 to 1 (default 1).
    """

    name: str
    matching: Literal["meaning", "hybrid"] = "meaning"
    recency: Literal["hours", "rank"] = "hours"
    since: Literal["access", "creation"] = "access"
    decay: float = 0.995
    newest_first: bool = False
    listing: Literal["written", "reverie"] = "written"
    recency_weight: float = 1.0
    importance_weight: float = 1.0
    relevance_weight: float = 1.0
    equal: float = 0.5
    kinds: tuple[RecordKind, ...] = ()
    without: tuple[str, ...] = ()
    successive: bool = False
    approximate: bool = False
    distinct: bool = True
    trust: tuple[tuple[str, float], ...] = ()

    @property
    def weights(self) -> tuple[float, float, float]:
        """The weights of recency, importance and relevance."""
        return self.recency_weight, self.importance_weight, self.relevance_weight

    @property
    def estimates_answerability(self) -> bool:
        """Whether recall by these rules also estimates how likely the memory holds the answer."""
        return self.matching == "hybrid"


PAPER = RuleSet(name="paper")
"""Park et al. 2023, section 4.1. The paper does not say what scaling gives when all values
are equal: 0.5 here as in the published code; it shifts all scores alike."""

REVERIE = RuleSet(
    name="reverie",
    recency="rank",
    listing="reverie",
    recency_weight=0.5,
    importance_weight=2.0,
    relevance_weight=3.0,
    kinds=("observation", "thought", "plan"),
    without=("idle",),
    successive=True,
    distinct=False,
)
"""The paper's published code (``new_retrieve``), including its inverted recency. It takes the
top 30: use ``Cue(limit=30)``."""

RECENT = RuleSet(
    name="recent", since="creation", importance_weight=0.0, relevance_weight=0.0, distinct=False
)
"""The newest records, from which reflection starts (Park et al. 2023, section 4.2)."""

PAPER_APPROX = RuleSet(name="paper-approx", approximate=True)
"""The paper's score for large memories, over the likeliest candidates instead of all."""

HYBRID = RuleSet(
    name="hybrid", matching="hybrid", recency_weight=0.05, importance_weight=0.05, equal=0.0
)
"""For questions: words and meaning together, the times and the people the cue names; recency
and importance only break ties."""

_RULE_SETS = {rules.name: rules for rules in (PAPER, REVERIE, RECENT, PAPER_APPROX, HYBRID)}


def rule_set(name: str) -> RuleSet:
    """The rule set of that name. Raises SettingError with the nearest known name.

    >>> rule_set("paper").decay
    0.995
    """
    if name not in _RULE_SETS:
        known = ", ".join(_RULE_SETS)
        raise SettingError(
            f"unknown memory rules '{name}'{did_you_mean(name, _RULE_SETS)}; known: {known}"
        )
    return _RULE_SETS[name]
