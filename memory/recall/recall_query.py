"""What one recall works on: the candidates a cue admits and the numbers they are scored by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np

from ...core import RECORD_KINDS, AgentId, Cue, Record, RecordId, Time, intersect_audiences
from ..index import IndexLoader, MemoryIndex, to_seconds
from ..storage import check_cue, vector_fault
from .scoring import min_max_scale, recency_decay

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .recall_rules import RuleSet

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]
    Bounds = tuple[float, float]

_MIN_RECENCY_WEIGHT = 1e-200
"""Weights of recency below this lose their differences."""


@dataclass(frozen=True, slots=True)
class RecallQuery:
    """One recall: ``mask`` says which of the first ``count`` records are candidates (None:
    all of them), ``last_access`` when each was last accessed, ``trust`` what its score counts
    (None: all alike). ``cacheable`` scenes differ from others of the shelf in the query alone."""

    shelf: MemoryIndex
    rules: RuleSet
    at: float
    count: int
    mask: Mask | None
    last_access: Floats
    trust: NDArray[np.float32] | None
    query: NDArray[np.float32] | None
    cacheable: bool

    @classmethod
    def for_cue(
        cls,
        loader: IndexLoader,
        rules: RuleSet,
        cue: Cue,
        query: NDArray[np.float32] | None,
        accessed: Mapping[RecordId, Time],
    ) -> RecallQuery:
        """The scene of a cue."""
        # First: a shelf that is too full of what is hidden is emptied of it.
        mask = candidate_mask(loader, rules, cue)
        shelf = loader.index
        count = shelf.count_at(loader.as_of_step)
        if query is not None:
            loader.refuse(vector_fault(query, shelf.vectors.columns))
        if rules.since == "creation":
            last = shelf.created.array[:count]
        else:
            last = shelf.last_access_at(loader.as_of_step)[:count]
            if accessed:
                last = last.copy()
                for number, at in accessed.items():
                    last[shelf.positions_of([number])] = to_seconds(at)
        plain = mask is None and loader.as_of_step is None and not accessed
        trust = _trust_weights(shelf, count, rules)
        return cls(shelf, rules, to_seconds(cue.at), count, mask, last, trust, query, plain)

    def candidates(self) -> NDArray[np.int64]:
        """The places of the candidates, rising."""
        if self.mask is None:
            return np.arange(self.count)
        return np.flatnonzero(self.mask).astype(np.int64)

    def value_bounds(self, values: NDArray[np.float64]) -> Bounds:
        """The least and the largest of the candidates' values."""
        if self.mask is not None:
            values = values[self.mask]
        return (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)

    def bounds(self) -> tuple[Bounds, Bounds]:
        """Of the last accesses, and of the importances."""
        kept = self.shelf.derived.get(("bounds", self.rules.since)) if self.cacheable else None
        if kept is None:
            kept = (
                self.value_bounds(self.last_access),
                self.value_bounds(self.shelf.importance.array[: self.count]),
            )
            if self.cacheable:
                self.shelf.derived["bounds", self.rules.since] = kept
        found: tuple[Bounds, Bounds] = kept
        return found

    def static_scores(self) -> NDArray[np.float32]:
        """What each of the ``count`` records scores whatever the cue: recency and importance
        by their weights, to 5 digits."""
        ages, worths = self.bounds()
        rules = self.rules
        # As long as none lies ahead, time passing changes all weights by one factor, which
        # scaling takes out again: so the same numbers hold for every moment.
        steady = ages[1] <= self.at < recency_valid_until(ages[0], rules)
        weights_of = (rules.recency_weight, rules.importance_weight)
        key = ("own", rules.since, rules.decay, rules.equal, *weights_of)
        if steady and self.cacheable and key in self.shelf.derived:
            kept: NDArray[np.float32] = self.shelf.derived[key]
            return kept
        if steady:
            recency = _time_invariant_recency(self.last_access, ages, rules)
        else:
            weights = recency_decay((self.at - self.last_access) / 3600.0, rules.decay)
            recency = min_max_scale(weights, rules.equal, self.recency_bounds(ages)).astype(
                np.float32
            )
        own = min_max_scale(self.shelf.importance.array[: self.count], rules.equal, worths)
        total = (rules.importance_weight * own).astype(np.float32)
        total += np.float32(rules.recency_weight) * recency
        if steady and self.cacheable:
            self.shelf.derived[key] = total
        return total

    def cosine_bounds(self, places: NDArray[np.int64]) -> Bounds:
        """The least and the largest cosine of some records with the query."""
        found = self.shelf.cosines(places, self.query)
        return (float(found.min()), float(found.max())) if len(found) else (0.0, 0.0)

    def recency_bounds(self, ages: Bounds) -> Bounds:
        """The weights of recency of the longest and the most lately accessed candidate."""
        hours = (self.at - np.array(ages)) / 3600.0
        low, high = recency_decay(hours, self.rules.decay).tolist()
        return low, high


def recency_valid_until(oldest: float, rules: RuleSet) -> float:
    """Up to when weights of recency, the least that of an access at ``oldest``, keep their
    differences."""
    if rules.decay >= 1:
        return np.inf
    return oldest + 3600.0 * log(_MIN_RECENCY_WEIGHT) / log(rules.decay)


def _time_invariant_recency(last: Floats, ages: Bounds, rules: RuleSet) -> NDArray[np.float32]:
    """Scaled recency to 6 digits when no access lies ahead."""
    if ages[0] == ages[1]:
        return np.full(len(last), rules.equal, np.float32)
    pace = np.log(rules.decay) / 3600.0
    # expm1, for the differences of nearly equal weights.
    past: NDArray[np.float32] = ((ages[1] - last) * pace).astype(np.float32)
    np.expm1(past, out=past)
    least = np.float32(np.expm1((ages[1] - ages[0]) * pace))
    if least == 0:
        return np.full(len(last), rules.equal, np.float32)
    past -= least
    past /= -least
    return past


def _trust_weights(shelf: MemoryIndex, count: int, rules: RuleSet) -> NDArray[np.float32] | None:
    known = {who: weight for who, weight in rules.trust if who in shelf.sources}
    if not known:
        return None
    table = np.ones(len(shelf.sources), np.float32)
    for who, weight in known.items():
        table[shelf.sources[who]] = weight
    found: NDArray[np.float32] = table[shelf.who.array[:count]]
    return found


def candidate_mask(loader: IndexLoader, rules: RuleSet, cue: Cue) -> Mask | None:
    """Which of the records on a memory's shelf a cue admits; None when it admits all.

    Decided before anything is scored, so that what is not for a person, has expired, is
    folded away, gone or quarantined moves neither a score nor a scale.
    """
    check_cue(cue)
    shelf, hidden = loader.current()
    count = shelf.count_at(loader.as_of_step)
    masks: list[Mask] = []
    if len(hidden):
        kept = np.ones(count, bool)
        kept[hidden[hidden < count]] = False
        masks.append(kept)
    if cue.kinds or rules.kinds:
        wanted = [
            (not cue.kinds or kind in cue.kinds) and (not rules.kinds or kind in rules.kinds)
            for kind in RECORD_KINDS
        ]
        masks.append(np.array(wanted)[shelf.kind.array[:count]])
    masks += [~shelf.contains_word(word)[:count] for word in rules.without]
    masks += _audience_masks(shelf, count, cue.hearers)
    now = to_seconds(cue.at)
    if shelf.earliest_expiry <= now:
        masks.append(shelf.until.array[:count] > now)
    suspect = shelf.quarantined_mask(count)
    if suspect is not None:
        masks.append(~suspect)
    if cue.since is not None:
        masks.append(shelf.created.array[:count] >= to_seconds(cue.since))
    if cue.before is not None:
        masks.append(shelf.created.array[:count] < to_seconds(cue.before))
    if not masks:
        return None
    mask = np.logical_and.reduce(masks)
    return None if mask.all() else mask


def candidate_records(loader: IndexLoader, rules: RuleSet, cue: Cue) -> list[Record]:
    """Those records, in order."""
    mask = candidate_mask(loader, rules, cue)
    shelf = loader.index
    places = (
        range(shelf.count_at(loader.as_of_step)) if mask is None else np.flatnonzero(mask).tolist()
    )
    return [shelf.records[place] for place in places]


def _audience_masks(shelf: MemoryIndex, count: int, people: tuple[AgentId, ...]) -> list[Mask]:
    if not people or len(shelf.audiences) == 1:
        return []
    return [shelf.audience_mask(count, people)]


def searched_audience(loader: IndexLoader, cue: Cue) -> tuple[AgentId, ...]:
    """For whom all is that a cue searches: for those alone is what it finds, and what it does
    not find. Empty: for everybody."""
    if len(loader.index.audiences) == 1:
        return ()
    # By what is in recall alone: how much else is held in RAM is a matter of when it was read.
    shelf, hidden = loader.current()
    count = shelf.count_at(loader.as_of_step)
    key = ("searched", cue.hearers, count, hidden.tobytes())
    if key not in shelf.derived:
        numbers = shelf.audience.array[:count]
        if len(hidden):
            numbers = np.delete(numbers, hidden[hidden < count])
        known = list(shelf.audiences)
        there = [known[number] for number in np.flatnonzero(np.bincount(numbers)).tolist()]
        people = set(cue.hearers)
        found = (one for one in there if one and people.issubset(one))
        shelf.derived[key] = intersect_audiences(found, loader.agent)
    audience: tuple[AgentId, ...] = shelf.derived[key]
    return audience
