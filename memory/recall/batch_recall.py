"""What many recalls of one mind share: all but the cue's moment and its embedding.

The exact scores of many minds' likely records in one arithmetic, and their hits.

Many minds recalling at once: one first pass and one arithmetic for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...core import AgentId, Cue, Hit, Record
from ...store import Store
from ..index import (
    InvertedLists,
    MemoryIndex,
    VectorIndex,
    construct_many,
    gc_paused,
    quantization_scale,
    to_seconds,
    unit_rows,
)
from ..storage import hiding_log_sizes
from .recall_query import RecallQuery, recency_valid_until
from .scoring import recency_decay
from .single_recall import FULL_SCORE_LIMIT, STATIC_SCORE_ERROR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...core import Cue
    from ..index import IndexLoader, MemoryIndex
    from ..storage import Vector
    from .recall_query import Mask
    from .recall_rules import RuleSet


class RecallRequest(NamedTuple):
    """One cue for one memory, with its rules and its embedding."""

    loader: IndexLoader
    rules: RuleSet
    cue: Cue
    vector: Vector | None


@dataclass(frozen=True, slots=True)
class RecallCache:
    """A mind as cues find it: scores apart from likeness (``static_scores``),
    last access and importance (``columns``, shape (count, 2)) and their ``bounds`` over the
    candidates. For cues that admit everything it is kept with the shelf until something is
    written, and good for the moments from ``valid_from`` to before ``valid_until``."""

    rules: RuleSet
    shelf: MemoryIndex
    log_sizes: tuple[int, ...]
    mask: Mask | None
    trust: NDArray[np.float32] | None
    static_scores: NDArray[np.float32]
    columns: NDArray[np.float64]
    bounds: tuple[float, float, float, float]
    valid_from: float
    valid_until: float

    @classmethod
    def for_request(
        cls, request: RecallRequest, at: float, sizes: tuple[int, ...]
    ) -> RecallCache | None:
        """That of a memory whose logs of folds and documents are of these ``log_sizes``; None
        where its rules weigh the words of a cue or the order of access."""
        loader, rules, cue, _ = request
        shelf = loader.index
        whole = not (cue.kinds or cue.hearers) and cue.since is None and cue.before is None
        kept: RecallCache | None = shelf.derived.get("standing") if whole else None
        if kept is not None and kept.rules is rules and kept.log_sizes == sizes:
            if kept.valid_from <= at < kept.valid_until:
                return kept
        elif not _is_cacheable(rules):
            return None
        made = cls.compute(RecallQuery.for_cue(loader, rules, cue, None, {}), sizes)
        if whole:
            shelf.derived["standing"] = made
        return made

    @classmethod
    def compute(cls, scene: RecallQuery, sizes: tuple[int, ...]) -> RecallCache:
        """Worked out anew."""
        ages, worths = scene.bounds()
        worth = scene.shelf.importance.array[: scene.count]
        return cls(
            rules=scene.rules,
            shelf=scene.shelf,
            log_sizes=sizes,
            mask=scene.mask,
            trust=scene.trust,
            static_scores=scene.static_scores(),
            columns=np.stack([scene.last_access, worth], axis=1),
            bounds=(*ages, *worths),
            valid_from=ages[1],
            valid_until=min(scene.shelf.earliest_expiry, recency_valid_until(ages[0], scene.rules)),
        )


def _is_cacheable(rules: RuleSet) -> bool:
    """Whether all but likeness is the same for every cue."""
    plain = rules.recency == "hours" and rules.listing == "written"
    return plain and rules.matching == "meaning" and not rules.successive


if TYPE_CHECKING:
    from numpy.typing import NDArray

    Positions = NDArray[np.int64]
    Floats = NDArray[np.float64]
    SegmentBounds = tuple[Floats, Floats]


def exact_cosines(
    stands: list[RecallCache], queries: NDArray[np.float32], places: Positions, cuts: Positions
) -> Floats:
    """Exact cosines of each mind's ``places[cuts[i]:cuts[i + 1]]`` with its query."""
    found = np.empty(len(places), np.float32)
    spans = zip(cuts[:-1].tolist(), cuts[1:].tolist())
    for stand, query, (start, stop) in zip(stands, queries, spans, strict=True):
        rows = stand.shelf.vectors.blocks.take(places[start:stop])
        np.vecdot(rows, query, out=found[start:stop])
    return found.astype(np.float64)


def segment_bounds(values: Floats, cuts: Positions) -> SegmentBounds:
    """The least and the largest of each mind's values; 0 for a scene without any."""
    full = np.diff(cuts) > 0
    low, high = np.zeros(len(full)), np.zeros(len(full))
    if full.any():
        begin = cuts[:-1][full]
        low[full] = np.minimum.reduceat(values, begin)
        high[full] = np.maximum.reduceat(values, begin)
    return low, high


def exact_rescore(
    stands: list[RecallCache],
    queries: NDArray[np.float32],
    at: Floats,
    places: Positions,
    cuts: Positions,
    limits: list[int],
    alike: SegmentBounds,
) -> list[tuple[Hit, ...]]:
    """The hits of each mind, whose likely records are ``places[cuts[i]:cuts[i + 1]]``, asked
    ``at``, by its least and largest cosine, ``alike``; all rules have one decay. The numbers
    are, to the bit, those that ``score_some`` gives mind by mind."""
    sizes = np.diff(cuts)
    columns = np.empty((len(places), 2))
    spans = list(zip(cuts[:-1].tolist(), cuts[1:].tolist()))
    for stand, (start, stop) in zip(stands, spans, strict=True):
        stand.columns.take(places[start:stop], 0, columns[start:stop], "clip")
    exact = exact_cosines(stands, queries, places, cuts)
    rules = [stand.rules for stand in stands]
    known = np.array([stand.bounds for stand in stands])
    decay = rules[0].decay
    weights = recency_decay((np.repeat(at, sizes) - columns[:, 0]) / 3600.0, decay)
    ends = recency_decay((at[:, None] - known[:, :2]) / 3600.0, decay)
    equal = np.array([one.equal for one in rules])
    recency = _min_max_scaled(weights, (ends[:, 0], ends[:, 1]), equal, sizes)
    importance = _min_max_scaled(columns[:, 1], (known[:, 2], known[:, 3]), equal, sizes)
    relevance = _min_max_scaled(exact, alike, equal, sizes)
    score = (
        np.repeat([one.recency_weight for one in rules], sizes) * recency
        + np.repeat([one.relevance_weight for one in rules], sizes) * relevance
        + np.repeat([one.importance_weight for one in rules], sizes) * importance
    )
    for stand, (start, stop) in zip(stands, spans, strict=True):
        if stand.trust is not None:
            score[start:stop] *= stand.trust[places[start:stop]]
    parts = (places, score, recency, importance, relevance)
    return _build_hits(stands, parts, sizes, cuts, limits)


def _min_max_scaled(
    values: Floats, bounds: SegmentBounds, equal: Floats, sizes: Positions
) -> Floats:
    low, high = bounds
    flat = low == high
    spread = np.where(flat, 1.0, high - low)
    within: Floats = (values - np.repeat(low, sizes)) / np.repeat(spread, sizes)
    if flat.any():
        within = np.where(np.repeat(flat, sizes), np.repeat(equal, sizes), within)
    return within


def _build_hits(
    stands: list[RecallCache],
    parts: tuple[Positions, Floats, Floats, Floats, Floats],
    sizes: Positions,
    cuts: Positions,
    limits: list[int],
) -> list[tuple[Hit, ...]]:
    """Each mind's best, equal ones in the order of their places."""
    score = parts[1]
    # One stable sort for all of them, mind by mind.
    order = np.lexsort((-score, np.repeat(np.arange(len(stands)), sizes)))
    rank = np.arange(len(score)) - np.repeat(cuts[:-1], sizes)
    order = order[rank < np.repeat(np.array(limits), sizes)]
    places, *numbers = (part[order].tolist() for part in parts)
    ends = np.cumsum(np.minimum(sizes, limits)).tolist()
    spans = list(zip([0, *ends[:-1]], ends))
    records: list[Record] = []
    for stand, (start, stop) in zip(stands, spans, strict=True):
        records += stand.shelf.records.get_many(places[start:stop])
    names = ("score", "recency", "importance", "relevance")
    hits = construct_many(
        Hit, len(records), record=records, **dict(zip(names, numbers, strict=True))
    )
    return [tuple(hits[start:stop]) for start, stop in spans]


if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Singles = NDArray[np.float32]

MIN_REQUESTS = 64
"""Fewer cues than this are not worth a pool, whose threads a busy machine may keep waiting."""
MIN_RECORDS = 128
"""Records a mind must have to be worth it."""
BATCH_SIZE = 256
"""Cues answered together, so that the arrays between fit the processor's cache."""


class PooledVectors:
    """The embeddings of all the minds of a store in 8 bits, in one table by owner."""

    def __init__(self, columns: int, scale: float, owners: int) -> None:
        self.columns = columns
        self._lists = InvertedLists(columns, owners, scale)
        self._capacity = owners
        self._owners: dict[AgentId, tuple[int, VectorIndex, int]] = {}

    @classmethod
    def of(cls, store: Store, shelves: dict[AgentId, MemoryIndex]) -> PooledVectors:
        """The store's pool, with all rows of these shelves in it."""
        columns = next(iter(shelves.values())).vectors.columns
        key = ("memory pool", columns)
        pool: PooledVectors | None = store.cache.get(key)
        if pool is None or len(pool._owners | shelves) > pool._capacity:
            sample = [shelf.vectors.blocks.slice(0, 64) for shelf in list(shelves.values())[:256]]
            known = len(pool._owners | shelves) if pool else len(shelves)
            pool = cls(columns, quantization_scale(np.concatenate(sample)), max(64, 2 * known))
            store.cache[key] = pool
        for agent, shelf in shelves.items():
            pool._append_new_rows(agent, shelf)
        return pool

    def _append_new_rows(self, agent: AgentId, shelf: MemoryIndex) -> None:
        index = shelf.vectors
        number, old, done = self._owners.get(agent, (len(self._owners), index, 0))
        if old is not index:
            self._lists.clear(number)
            done = 0
        if done < index.rows:
            self._lists.add(
                number, np.arange(done, index.rows), index.blocks.slice(done, index.rows)
            )
        self._owners[agent] = (number, index, index.rows)

    def products(
        self, owners: Sequence[AgentId], queries: Singles
    ) -> tuple[Ints, Singles, Singles]:
        """Each query with all rows of its owner in order: where each begins, the products,
        and how far each query's may be off."""
        numbers = np.array([[self._owners[owner][0]] for owner in owners], np.int64)
        starts, _, found, within = self._lists.products(queries, numbers)
        return starts, found, within


class BatchRequest(NamedTuple):
    """One request that a pool can answer, by its place among all."""

    place: int
    owner: AgentId
    cached: RecallCache
    at: float
    limit: int
    row: Vector


def recall_batch(requests: Sequence[RecallRequest]) -> dict[int, tuple[Hit, ...]]:
    """The answers, by place, to those requests that a pool can answer; the very answers
    that ``Memory.recall`` gives to each alone."""
    answers: dict[int, tuple[Hit, ...]] = {}
    if len(requests) < MIN_REQUESTS:
        return answers
    for store, group in _group_requests(requests):
        queries = unit_rows(np.array([asked.row for asked in group], np.float32))
        if not np.isfinite(queries).all():
            continue  # asked alone, the one with such a row is named
        pool = PooledVectors.of(store, {asked.owner: asked.cached.shelf for asked in group})
        for start in range(0, len(group), BATCH_SIZE):
            piece = group[start : start + BATCH_SIZE]
            with gc_paused():
                found = _recall_group(pool, piece, queries[start : start + BATCH_SIZE])
            answers.update(
                (asked.place, hits)
                for asked, hits in zip(piece, found, strict=True)
                # Copies among them: asked alone, others make up for these.
                if not (asked.cached.rules.distinct and _has_duplicates(hits))
            )
    return answers


def _has_duplicates(found: Sequence[Hit]) -> bool:
    """Whether some of the hits say the same."""
    said = {(hit.record.text, hit.record.who, hit.record.audience) for hit in found}
    return len(said) < len(found)


def _group_requests(
    requests: Sequence[RecallRequest],
) -> list[tuple[Store, list[BatchRequest]]]:
    """What one arithmetic can answer: minds of one store, with embeddings of one length and
    rules of one decay."""
    groups: dict[tuple[int, int, float], list[BatchRequest]] = {}
    logs: dict[int, tuple[Store, dict[AgentId, tuple[int, ...]]]] = {}
    moment, at = None, 0.0
    for place, request in enumerate(requests):
        loader, _, cue, row = request
        if row is None or loader.as_of_step is not None or not _is_batchable(cue):
            continue
        store, owner = loader.store, loader.agent
        if id(store) not in logs:
            store.refresh()
            logs[id(store)] = (store, hiding_log_sizes(store))
        if cue.at is not moment:
            moment, at = cue.at, to_seconds(cue.at)
        stand = RecallCache.for_request(request, at, logs[id(store)][1].get(owner, ()))
        if stand is None or not MIN_RECORDS <= len(stand.static_scores) <= FULL_SCORE_LIMIT:
            continue
        index = stand.shelf.vectors
        if index.rows == len(stand.static_scores) and index.columns == len(row):
            key = (id(store), len(row), stand.rules.decay)
            groups.setdefault(key, []).append(BatchRequest(place, owner, stand, at, cue.limit, row))
    return [(logs[key[0]][0], group) for key, group in groups.items() if len(group) >= MIN_REQUESTS]


def _is_batchable(cue: Cue) -> bool:
    """Whether a cue asks for nothing that is worked out mind by mind."""
    return cue.limit >= 1 and not (cue.variety or cue.tokens or cue.around)


def _recall_group(
    pool: PooledVectors, piece: list[BatchRequest], queries: Singles
) -> list[tuple[Hit, ...]]:
    stands = [asked.cached for asked in piece]
    limits = [asked.limit for asked in piece]
    at = np.array([asked.at for asked in piece])
    starts, rough, off = pool.products([asked.owner for asked in piece], queries)
    begin, sizes = starts[:-1], np.diff(starts)
    fits = None
    lows, highs = rough, rough
    if any(stand.mask is not None for stand in stands):
        fits = np.concatenate(
            [np.ones(len(s.static_scores), bool) if s.mask is None else s.mask for s in stands]
        )
        lows, highs = np.where(fits, rough, np.inf), np.where(fits, rough, -np.inf)
    low = np.minimum.reduceat(lows, begin)
    high = np.maximum.reduceat(highs, begin)
    # What may be the least or the largest is computed exactly.
    edge = (lows <= np.repeat(low + 2 * off, sizes)) | (highs >= np.repeat(high - 2 * off, sizes))
    if fits is not None:
        edge &= fits
    ends, end_cuts = _selected(edge, starts)
    alike = segment_bounds(exact_cosines(stands, queries, ends, end_cuts), end_cuts)
    score, window = _approximate_scores(stands, rough, alike, off, sizes)
    if fits is not None:
        score[~fits] = -np.inf
    bars = _score_thresholds(score, begin, sizes, limits) - window
    wanted = score >= np.repeat(bars.astype(np.float32), sizes)
    if fits is not None:
        wanted &= fits
    places, cuts = _selected(wanted, starts)
    return exact_rescore(stands, queries, at, places, cuts, limits, alike)


def _selected(wanted: NDArray[np.bool_], starts: Ints) -> tuple[Ints, Ints]:
    """The places of what is wanted, each within its scene, and where each scene's begin."""
    chosen = np.flatnonzero(wanted)
    cuts = np.searchsorted(chosen, starts)
    return chosen - np.repeat(starts[:-1], np.diff(cuts)), cuts


def _approximate_scores(
    stands: list[RecallCache], rough: Singles, alike: SegmentBounds, off: Singles, sizes: Ints
) -> tuple[Singles, NDArray[np.float64]]:
    """Scores by rough cosines scaled by exact bounds, and the width within which two of a
    scene may change places."""
    low, high = alike
    weights = np.array([stand.rules.relevance_weight for stand in stands])
    # Where all are equally alike their part is one number, which changes no order.
    slope = np.where(high > low, weights / np.where(high > low, high - low, 1.0), 0.0)
    score: Singles = rough * np.repeat(slope.astype(np.float32), sizes)
    shift = np.where(high > low, -slope * low, weights * [s.rules.equal for s in stands])
    score += np.repeat(shift.astype(np.float32), sizes)
    score += np.concatenate([stand.static_scores for stand in stands])
    if any(stand.trust is not None for stand in stands):
        score *= np.concatenate(
            [
                np.ones(len(s.static_scores), np.float32) if s.trust is None else s.trust
                for s in stands
            ]
        )
    window: NDArray[np.float64] = 2 * (np.abs(slope) * off.astype(np.float64) + STATIC_SCORE_ERROR)
    return score, window


def _score_thresholds(
    score: Singles, begin: Ints, sizes: Ints, limits: list[int]
) -> NDArray[np.float64]:
    """For each mind a number not above its ``limit``-th highest score."""
    most = max(limits)
    blocks = int(min(4 * most, sizes.min()))
    if blocks < most:
        return np.full(len(sizes), -np.inf)
    cuts = begin[:, None] + (np.arange(blocks)[None] * sizes[:, None]) // blocks
    tops = np.maximum.reduceat(score, cuts.ravel()).reshape(len(sizes), blocks)
    tops.sort(axis=1)
    picked: NDArray[np.float64] = tops[np.arange(len(sizes)), blocks - np.array(limits)]
    return picked.astype(np.float64)
