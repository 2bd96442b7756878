"""The candidates that a cue admits, and the arrays from which they are scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np

from ...core import (
    RECORD_KINDS,
    AgentId,
    Cue,
    Record,
    RecordId,
    Time,
    intersect_audiences,
    to_seconds,
)
from ..index import IndexLoader, MemoryIndex
from ..storage import check_cue, vector_fault
from .scoring import min_max_scale, recency_decay

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .recall_rules import RuleSet

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]
    Positions = NDArray[np.int64]
    Mask = NDArray[np.bool_]
    Bounds = tuple[float, float]

_MIN_RECENCY_WEIGHT = 1e-200
"""Recency weights below this lose their differences."""


@dataclass(frozen=True, slots=True)
class RecallQuery:
    """One cue against one index. Of its first ``count`` records ``mask`` selects the candidates
    (None: all), ``last_access`` holds the last accesses in seconds, and ``trust`` the factors of
    the scores (None: 1). ``cacheable`` queries of an index differ in moment and embedding alone.
    """

    index: MemoryIndex
    rules: RuleSet
    at: float
    count: int
    mask: Mask | None
    last_access: Floats
    trust: Singles | None
    embedding: Singles | None
    cacheable: bool

    @classmethod
    def for_cue(
        cls,
        loader: IndexLoader,
        rules: RuleSet,
        cue: Cue,
        embedding: Singles | None = None,
        accessed: Mapping[RecordId, Time] | None = None,
    ) -> RecallQuery:
        """The query of a cue; ``accessed`` are accesses not written yet. Raises MemoryFault for a
        cue or an embedding that does not fit."""
        # First, since it may unload hidden records from the index.
        mask = candidate_mask(loader, rules, cue)
        index = loader.index
        count = index.count_at(loader.as_of_step)
        if embedding is not None:
            loader.refuse(vector_fault(embedding, index.vectors.columns))
        if rules.since == "creation":
            last_access = index.created.array[:count]
        else:
            last_access = index.last_access_at(loader.as_of_step)[:count]
            if accessed:
                last_access = last_access.copy()
                for number, at in accessed.items():
                    last_access[index.positions_of([number])] = to_seconds(at)
        cacheable = mask is None and loader.as_of_step is None and not accessed
        trust = _trust_weights(index, count, rules)
        now = to_seconds(cue.at)
        return cls(index, rules, now, count, mask, last_access, trust, embedding, cacheable)

    def candidates(self) -> Positions:
        """The positions of the candidates, ascending."""
        if self.mask is None:
            return np.arange(self.count)
        return np.flatnonzero(self.mask).astype(np.int64)

    def value_bounds(self, values: Floats) -> Bounds:
        """The least and the largest of the candidates' values."""
        if self.mask is not None:
            values = values[self.mask]
        return (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)

    def bounds(self) -> tuple[Bounds, Bounds]:
        """The bounds of the last accesses, and of the importances."""
        key = ("bounds", self.rules.since)
        cached: tuple[Bounds, Bounds] | None
        cached = self.index.derived.get(key) if self.cacheable else None
        if cached is None:
            importance = self.index.importance.array[: self.count]
            cached = self.value_bounds(self.last_access), self.value_bounds(importance)
            if self.cacheable:
                self.index.derived[key] = cached
        return cached

    def static_scores(self) -> Singles:
        """The part of each of the ``count`` records' scores that does not depend on the cue's
        embedding: weighted recency and importance, exact to 5 digits."""
        access_bounds, importance_bounds = self.bounds()
        rules = self.rules
        # While no access lies in the future, time passing multiplies all recency weights by one
        # factor, which scaling removes: the same numbers hold for every moment.
        steady = access_bounds[1] <= self.at < recency_valid_until(access_bounds[0], rules)
        weights = (rules.recency_weight, rules.importance_weight)
        key = ("static scores", rules.since, rules.decay, rules.equal, *weights)
        if steady and self.cacheable and key in self.index.derived:
            cached: Singles = self.index.derived[key]
            return cached
        if steady:
            recency = _time_invariant_recency(self.last_access, access_bounds, rules)
        else:
            decayed = recency_decay((self.at - self.last_access) / 3600.0, rules.decay)
            recency_bounds = self.recency_bounds(access_bounds)
            recency = min_max_scale(decayed, rules.equal, recency_bounds).astype(np.float32)
        importance = self.index.importance.array[: self.count]
        scaled = min_max_scale(importance, rules.equal, importance_bounds)
        scores = (rules.importance_weight * scaled).astype(np.float32)
        scores += np.float32(rules.recency_weight) * recency
        if steady and self.cacheable:
            self.index.derived[key] = scores
        return scores

    def cosine_bounds(self, positions: Positions) -> Bounds:
        """The least and the largest cosine of some records with the cue."""
        cosines = self.index.cosines(positions, self.embedding)
        return (float(cosines.min()), float(cosines.max())) if len(cosines) else (0.0, 0.0)

    def recency_bounds(self, access_bounds: Bounds) -> Bounds:
        """The recency weights of the oldest and of the latest last access."""
        hours = (self.at - np.array(access_bounds)) / 3600.0
        low, high = recency_decay(hours, self.rules.decay).tolist()
        return low, high


def recency_valid_until(oldest: float, rules: RuleSet) -> float:
    """The moment, in seconds, up to which recency weights keep their differences; the weight of an
    access at ``oldest`` is the least."""
    if rules.decay >= 1:
        return np.inf
    return oldest + 3600.0 * log(_MIN_RECENCY_WEIGHT) / log(rules.decay)


def _time_invariant_recency(last_access: Floats, bounds: Bounds, rules: RuleSet) -> Singles:
    """Scaled recency, exact to 6 digits, if no access lies in the future."""
    if bounds[0] == bounds[1]:
        return np.full(len(last_access), rules.equal, np.float32)
    rate = np.log(rules.decay) / 3600.0
    # expm1, for the differences of nearly equal weights.
    recency: Singles = ((bounds[1] - last_access) * rate).astype(np.float32)
    np.expm1(recency, out=recency)
    least = np.float32(np.expm1((bounds[1] - bounds[0]) * rate))
    if least == 0:
        return np.full(len(last_access), rules.equal, np.float32)
    recency -= least
    recency /= -least
    return recency


def _trust_weights(index: MemoryIndex, count: int, rules: RuleSet) -> Singles | None:
    weights = {who: weight for who, weight in rules.trust if who in index.sources}
    if not weights:
        return None
    table = np.ones(len(index.sources), np.float32)
    for who, weight in weights.items():
        table[index.sources[who]] = weight
    trust: Singles = table[index.who.array[:count]]
    return trust


def candidate_mask(loader: IndexLoader, rules: RuleSet, cue: Cue) -> Mask | None:
    """Which records of the index a cue admits; None if all.

    Applied before scoring, so that records that are for others, expired, summarized, erased or
    quarantined influence neither scores nor scales. Raises MemoryFault for an invalid cue.
    """
    check_cue(cue)
    index, hidden = loader.current()
    count = index.count_at(loader.as_of_step)
    masks: list[Mask] = []
    if len(hidden):
        shown = np.ones(count, bool)
        shown[hidden[hidden < count]] = False
        masks.append(shown)
    if cue.kinds or rules.kinds:
        admitted = [
            (not cue.kinds or kind in cue.kinds) and (not rules.kinds or kind in rules.kinds)
            for kind in RECORD_KINDS
        ]
        masks.append(np.array(admitted)[index.kind.array[:count]])
    masks += [~index.contains_word(word)[:count] for word in rules.without]
    if cue.hearers and len(index.audiences) > 1:
        masks.append(index.audience_mask(count, cue.hearers))
    now = to_seconds(cue.at)
    if index.earliest_expiry <= now:
        masks.append(index.until.array[:count] > now)
    quarantined = index.quarantined_mask(count)
    if quarantined is not None:
        masks.append(~quarantined)
    if cue.since is not None:
        masks.append(index.created.array[:count] >= to_seconds(cue.since))
    if cue.before is not None:
        masks.append(index.created.array[:count] < to_seconds(cue.before))
    if not masks:
        return None
    mask = np.logical_and.reduce(masks)
    return None if mask.all() else mask


def candidate_records(loader: IndexLoader, rules: RuleSet, cue: Cue) -> list[Record]:
    """The records that a cue admits, in order of number."""
    mask = candidate_mask(loader, rules, cue)
    index = loader.index
    count = index.count_at(loader.as_of_step)
    positions = range(count) if mask is None else np.flatnonzero(mask).tolist()
    return [index.records[position] for position in positions]


def searched_audience(loader: IndexLoader, cue: Cue) -> tuple[AgentId, ...]:
    """The persons who may see every record that a cue searches; empty: everybody."""
    if len(loader.index.audiences) == 1:
        return ()
    # Only records in recall count: which others are loaded depends on when they were read.
    index, hidden = loader.current()
    count = index.count_at(loader.as_of_step)
    key = ("searched audience", cue.hearers, count, hidden.tobytes())
    if key not in index.derived:
        numbers = index.audience.array[:count]
        if len(hidden):
            numbers = np.delete(numbers, hidden[hidden < count])
        audiences = list(index.audiences)
        present = [audiences[number] for number in np.flatnonzero(np.bincount(numbers)).tolist()]
        hearers = set(cue.hearers)
        heard = (audience for audience in present if audience and hearers.issubset(audience))
        index.derived[key] = intersect_audiences(heard, loader.agent)
    searched: tuple[AgentId, ...] = index.derived[key]
    return searched
