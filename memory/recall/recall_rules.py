"""What is recalled first: the rule sets by name, every deviation a switch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...core import RecordKind, SettingError, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """How recall scores: a weighted sum of recency, importance and relevance, each min-max
    scaled to [0, 1] over the candidates (``equal`` for all of them when they are all equal).

    ``recency``: "hours" is decay ** (hours since ``since``); "rank" is decay ** i for the
    i-th (from 1) candidate sorted by ``since``, the oldest first unless ``newest_first``.
    Relevance is the cosine of cue and record, 0 for a record without an embedding; or, where
    ``matching`` is "hybrid", what ``denizens.memory.recall.hybrid_score`` makes of words, meaning,
    time
    and speaker, which is not scaled again.

    ``kinds`` are the candidates (all when empty), less those whose text holds one of
    ``without``. ``listing`` is the order before that (stable) sort: as written, or as
    reverie keeps it, events before thoughts, each newest first. Equal scores keep the order
    that results. ``successive``: of cues asked at once, each sees what those before it
    chose as just accessed.

    ``approximate``: from some hundred thousand records on, candidates are those in the
    parts of the index nearest to the cue and the newest and most important ones, instead
    of all; below that it changes nothing. ``distinct``: of records that say the same (text,
    source and audience) all but the best give way to others, so that copies do not fill a
    recall. ``trust`` multiplies the score of what somebody
    said by a weight from 0 to 1 (1 for everybody else).
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
    def estimates_answerability(self) -> bool:
        """Whether recall by these rules also says how likely the memory holds the answer."""
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
"""What the paper's published code does (``new_retrieve``), its inversion of recency
included. It takes the top 30: ask with ``Cue(limit=30)``."""

RECENT = RuleSet(
    name="recent",
    since="creation",
    importance_weight=0.0,
    relevance_weight=0.0,
    distinct=False,
)
"""The newest memories: what reflection starts from (Park et al. 2023, section 4.2)."""

PAPER_APPROX = RuleSet(name="paper-approx", approximate=True)
"""The paper's score for large memories, from the likeliest candidates instead of all."""

HYBRID = RuleSet(
    name="hybrid", matching="hybrid", recency_weight=0.05, importance_weight=0.05, equal=0.0
)
"""What answers a question: words and meaning together, the time and the people it names;
recency and importance only settle what these leave open."""

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
