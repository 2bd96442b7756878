"""Recall for many agents at once: one first pass over the pooled 8-bit embeddings of their
memories, then exact scores of the likely records of all of them in one array computation.

In names of this module, concatenated arrays have a segment for each request; ``offsets`` of shape
(requests + 1,) says where each segment starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...core import AgentId, Cue, Hit, Record, to_seconds
from ...store import Store
from ..index import (
    IndexLoader,
    InvertedLists,
    MemoryIndex,
    VectorIndex,
    construct_many,
    gc_paused,
    quantization_scale,
    unit_rows,
)
from ..storage import Vector, hiding_log_sizes
from .recall_query import RecallQuery, recency_valid_until
from .recall_rules import RuleSet
from .scoring import recency_decay, weighted_sum
from .single_recall import FULL_SCORE_LIMIT, STATIC_SCORE_ERROR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]
    Mask = NDArray[np.bool_]
    SegmentBounds = tuple[Floats, Floats]

MIN_REQUESTS = 64
"""Fewer requests are not worth a pool, whose threads a busy machine may keep waiting."""
MIN_RECORDS = 128
"""Smaller memories are recalled one by one."""
BATCH_SIZE = 256
"""Requests answered together, so that the intermediate arrays fit the processor's cache."""


class RecallRequest(NamedTuple):
    """One cue for one memory, with its rules and its embedding."""

    loader: IndexLoader
    rules: RuleSet
    cue: Cue
    vector: Vector | None


@dataclass(frozen=True, slots=True)
class RecallCache:
    """What recalls of one memory share, whatever the cue's embedding: ``static_scores``,
    ``columns`` (last access and importance, shape (count, 2)) and their ``bounds`` over the
    candidates. For cues that admit every record it is kept with the index until something is
    written, and is valid for moments in [``valid_from``, ``valid_until``)."""

    rules: RuleSet
    index: MemoryIndex
    log_sizes: tuple[int, ...]
    mask: Mask | None
    trust: Singles | None
    static_scores: Singles
    columns: Floats
    bounds: tuple[float, float, float, float]
    valid_from: float
    valid_until: float

    @classmethod
    def for_request(
        cls, request: RecallRequest, at: float, log_sizes: tuple[int, ...]
    ) -> RecallCache | None:
        """The cache for a request at moment ``at``; ``log_sizes`` are the sizes of the logs that
        hide records. None for rules whose other scores depend on the cue's words or on the order of
        accesses."""
        loader, rules, cue, _ = request
        index = loader.index
        unrestricted = not (cue.kinds or cue.hearers) and cue.since is None and cue.before is None
        cache: RecallCache | None = index.derived.get("recall cache") if unrestricted else None
        if cache is not None and cache.rules is rules and cache.log_sizes == log_sizes:
            if cache.valid_from <= at < cache.valid_until:
                return cache
        elif not _is_cacheable(rules):
            return None
        cache = cls.compute(RecallQuery.for_cue(loader, rules, cue), log_sizes)
        if unrestricted:
            index.derived["recall cache"] = cache
        return cache

    @classmethod
    def compute(cls, query: RecallQuery, log_sizes: tuple[int, ...]) -> RecallCache:
        """The cache for queries that differ from this one in the embedding alone."""
        access_bounds, importance_bounds = query.bounds()
        importance = query.index.importance.array[: query.count]
        valid_until = recency_valid_until(access_bounds[0], query.rules)
        return cls(
            rules=query.rules,
            index=query.index,
            log_sizes=log_sizes,
            mask=query.mask,
            trust=query.trust,
            static_scores=query.static_scores(),
            columns=np.stack([query.last_access, importance], axis=1),
            bounds=(*access_bounds, *importance_bounds),
            valid_from=access_bounds[1],
            valid_until=min(query.index.earliest_expiry, valid_until),
        )


def _is_cacheable(rules: RuleSet) -> bool:
    """Whether only the relevance of a record depends on the cue."""
    plain = rules.recency == "hours" and rules.listing == "written"
    return plain and rules.matching == "meaning" and not rules.successive


class PooledVectors:
    """The embeddings of all agents of a store in 8 bits, an inverted list for each agent."""

    def __init__(self, columns: int, scale: float, owners: int) -> None:
        self.columns = columns
        self._lists = InvertedLists(columns, owners, scale)
        self._capacity = owners
        self._owners: dict[AgentId, tuple[int, VectorIndex, int]] = {}

    @classmethod
    def of(cls, store: Store, indexes: dict[AgentId, MemoryIndex]) -> PooledVectors:
        """The store's pool, with all rows of these indexes in it."""
        columns = next(iter(indexes.values())).vectors.columns
        key = ("memory pool", columns)
        pool: PooledVectors | None = store.cache.get(key)
        if pool is None or len(pool._owners | indexes) > pool._capacity:
            first = list(indexes.values())[:256]
            sample = np.concatenate([index.vectors.blocks.slice(0, 64) for index in first])
            owners = len(pool._owners | indexes) if pool else len(indexes)
            pool = cls(columns, quantization_scale(sample), max(64, 2 * owners))
            store.cache[key] = pool
        for agent, index in indexes.items():
            pool._append_new_rows(agent, index.vectors)
        return pool

    def _append_new_rows(self, agent: AgentId, vectors: VectorIndex) -> None:
        number, pooled, done = self._owners.get(agent, (len(self._owners), vectors, 0))
        if pooled is not vectors:
            self._lists.clear(number)
            done = 0
        if done < vectors.rows:
            self._lists.add(
                number, np.arange(done, vectors.rows), vectors.blocks.slice(done, vectors.rows)
            )
        self._owners[agent] = (number, vectors, vectors.rows)

    def products(
        self, owners: Sequence[AgentId], queries: Singles
    ) -> tuple[Ints, Singles, Singles]:
        """The products of each query with all rows of its owner, in order: offsets, products, and
        for each query the error bound of its products."""
        numbers = np.array([[self._owners[owner][0]] for owner in owners], np.int64)
        offsets, _, products, errors = self._lists.products(queries, numbers)
        return offsets, products, errors


class PooledRequest(NamedTuple):
    """One request that can be answered from the pool, by its position among all requests."""

    position: int
    owner: AgentId
    cache: RecallCache
    at: float
    limit: int
    vector: Vector


def recall_batch(requests: Sequence[RecallRequest]) -> dict[int, tuple[Hit, ...]]:
    """The answers to those requests that can be answered from the pool, by position; each is
    equal to what ``recall_one`` returns."""
    answers: dict[int, tuple[Hit, ...]] = {}
    if len(requests) < MIN_REQUESTS:
        return answers
    for store, group in _group_requests(requests):
        queries = unit_rows(np.array([request.vector for request in group], np.float32))
        if not np.isfinite(queries).all():
            continue  # Recalled one by one instead, so that the error names the request.
        pool = PooledVectors.of(store, {request.owner: request.cache.index for request in group})
        for start in range(0, len(group), BATCH_SIZE):
            batch = group[start : start + BATCH_SIZE]
            with gc_paused():
                results = _recall_group(pool, batch, queries[start : start + BATCH_SIZE])
            answers.update(
                (request.position, hits)
                for request, hits in zip(batch, results, strict=True)
                # These are recalled one by one, where other records replace duplicates.
                if not (request.cache.rules.distinct and _has_duplicates(hits))
            )
    return answers


def _has_duplicates(hits: Sequence[Hit]) -> bool:
    """Whether two hits have the same text, source and audience."""
    keys = {(hit.record.text, hit.record.who, hit.record.audience) for hit in hits}
    return len(keys) < len(hits)


def _group_requests(requests: Sequence[RecallRequest]) -> list[tuple[Store, list[PooledRequest]]]:
    """The requests that one array computation can answer together: of one store, with embeddings
    of one length and rules of one decay."""
    groups: dict[tuple[int, int, float], list[PooledRequest]] = {}
    stores: dict[int, tuple[Store, dict[AgentId, tuple[int, ...]]]] = {}
    moment, at = None, 0.0
    for position, request in enumerate(requests):
        loader, _, cue, vector = request
        if vector is None or loader.as_of_step is not None or not _is_batchable(cue):
            continue
        store, owner = loader.store, loader.agent
        if id(store) not in stores:
            store.refresh()
            stores[id(store)] = (store, hiding_log_sizes(store))
        if cue.at is not moment:
            moment, at = cue.at, to_seconds(cue.at)
        cache = RecallCache.for_request(request, at, stores[id(store)][1].get(owner, ()))
        if cache is None or not MIN_RECORDS <= len(cache.static_scores) <= FULL_SCORE_LIMIT:
            continue
        vectors = cache.index.vectors
        if vectors.rows == len(cache.static_scores) and vectors.columns == len(vector):
            key = (id(store), len(vector), cache.rules.decay)
            pooled = PooledRequest(position, owner, cache, at, cue.limit, vector)
            groups.setdefault(key, []).append(pooled)
    return [
        (stores[key[0]][0], group) for key, group in groups.items() if len(group) >= MIN_REQUESTS
    ]


def _is_batchable(cue: Cue) -> bool:
    """Whether a cue asks for nothing that is computed request by request."""
    return cue.limit >= 1 and not (cue.variety or cue.tokens or cue.around)


def _recall_group(
    pool: PooledVectors, batch: list[PooledRequest], queries: Singles
) -> list[tuple[Hit, ...]]:
    caches = [request.cache for request in batch]
    limits = [request.limit for request in batch]
    at = np.array([request.at for request in batch])
    offsets, products, errors = pool.products([request.owner for request in batch], queries)
    starts, sizes = offsets[:-1], np.diff(offsets)
    mask = None
    lows, highs = products, products
    if any(cache.mask is not None for cache in caches):
        mask = np.concatenate(
            [
                np.ones(len(cache.static_scores), bool) if cache.mask is None else cache.mask
                for cache in caches
            ]
        )
        lows, highs = np.where(mask, products, np.inf), np.where(mask, products, -np.inf)
    low = np.minimum.reduceat(lows, starts)
    high = np.maximum.reduceat(highs, starts)
    # Cosines that may be the least or the largest of their segment are computed exactly.
    extreme = (lows <= np.repeat(low + 2 * errors, sizes)) | (
        highs >= np.repeat(high - 2 * errors, sizes)
    )
    if mask is not None:
        extreme &= mask
    ends, end_offsets = _selected(extreme, offsets)
    cosine_bounds = segment_bounds(exact_cosines(caches, queries, ends, end_offsets), end_offsets)
    scores, windows = _approximate_scores(caches, products, cosine_bounds, errors, sizes)
    if mask is not None:
        scores[~mask] = -np.inf
    thresholds = _score_thresholds(scores, starts, sizes, limits) - windows
    likely = scores >= np.repeat(thresholds.astype(np.float32), sizes)
    if mask is not None:
        likely &= mask
    positions, position_offsets = _selected(likely, offsets)
    return exact_rescore(caches, queries, at, positions, position_offsets, limits, cosine_bounds)


def _selected(mask: Mask, offsets: Ints) -> tuple[Ints, Ints]:
    """The selected positions, each within its segment, and the offsets of their segments."""
    selected = np.flatnonzero(mask)
    selected_offsets = np.searchsorted(selected, offsets)
    return selected - np.repeat(offsets[:-1], np.diff(selected_offsets)), selected_offsets


def _approximate_scores(
    caches: list[RecallCache],
    products: Singles,
    cosine_bounds: SegmentBounds,
    errors: Singles,
    sizes: Ints,
) -> tuple[Singles, Floats]:
    """Scores computed with approximate cosines, and for each segment a window: two records whose
    scores differ by more than it are in the right order."""
    low, high = cosine_bounds
    weights = np.array([cache.rules.relevance_weight for cache in caches])
    # Where all cosines are equal their part is one number, which changes no order.
    slope = np.where(high > low, weights / np.where(high > low, high - low, 1.0), 0.0)
    scores: Singles = products * np.repeat(slope.astype(np.float32), sizes)
    equal = [cache.rules.equal for cache in caches]
    shift = np.where(high > low, -slope * low, weights * equal)
    scores += np.repeat(shift.astype(np.float32), sizes)
    scores += np.concatenate([cache.static_scores for cache in caches])
    if any(cache.trust is not None for cache in caches):
        scores *= np.concatenate(
            [
                np.ones(len(cache.static_scores), np.float32)
                if cache.trust is None
                else cache.trust
                for cache in caches
            ]
        )
    windows: Floats = 2 * (np.abs(slope) * errors.astype(np.float64) + STATIC_SCORE_ERROR)
    return scores, windows


def _score_thresholds(scores: Singles, starts: Ints, sizes: Ints, limits: list[int]) -> Floats:
    """For each segment a number not above its ``limit``-th highest score, found without sorting:
    the ``limit``-th of the maxima of several blocks."""
    largest = max(limits)
    blocks = int(min(4 * largest, sizes.min()))
    if blocks < largest:
        return np.full(len(sizes), -np.inf)
    block_starts = starts[:, None] + (np.arange(blocks)[None] * sizes[:, None]) // blocks
    maxima = np.maximum.reduceat(scores, block_starts.ravel()).reshape(len(sizes), blocks)
    maxima.sort(axis=1)
    thresholds: Floats = maxima[np.arange(len(sizes)), blocks - np.array(limits)].astype(np.float64)
    return thresholds


# -- exact scores -----------------------------------------------------------------------


def exact_cosines(
    caches: list[RecallCache], queries: Singles, positions: Ints, offsets: Ints
) -> Floats:
    """The exact cosines of each query with the records at its segment of ``positions``."""
    cosines = np.empty(len(positions), np.float32)
    segments = zip(offsets[:-1].tolist(), offsets[1:].tolist())
    for cache, query, (start, stop) in zip(caches, queries, segments, strict=True):
        rows = cache.index.vectors.blocks.take(positions[start:stop])
        np.vecdot(rows, query, out=cosines[start:stop])
    return cosines.astype(np.float64)


def segment_bounds(values: Floats, offsets: Ints) -> SegmentBounds:
    """The least and the largest value of each segment; 0 for an empty one."""
    filled = np.diff(offsets) > 0
    low, high = np.zeros(len(filled)), np.zeros(len(filled))
    if filled.any():
        starts = offsets[:-1][filled]
        low[filled] = np.minimum.reduceat(values, starts)
        high[filled] = np.maximum.reduceat(values, starts)
    return low, high


def exact_rescore(
    caches: list[RecallCache],
    queries: Singles,
    at: Floats,
    positions: Ints,
    offsets: Ints,
    limits: list[int],
    cosine_bounds: SegmentBounds,
) -> list[tuple[Hit, ...]]:
    """The hits of each request among the likely records at its segment of ``positions``, scored at
    moments ``at``. All rules have one decay. The numbers equal those of
    ``single_recall.score_some`` bit by bit."""
    sizes = np.diff(offsets)
    columns = np.empty((len(positions), 2))
    segments = list(zip(offsets[:-1].tolist(), offsets[1:].tolist()))
    for cache, (start, stop) in zip(caches, segments, strict=True):
        cache.columns.take(positions[start:stop], 0, columns[start:stop], "clip")
    cosines = exact_cosines(caches, queries, positions, offsets)
    rules = [cache.rules for cache in caches]
    bounds = np.array([cache.bounds for cache in caches])
    decay = rules[0].decay
    decayed = recency_decay((np.repeat(at, sizes) - columns[:, 0]) / 3600.0, decay)
    decayed_bounds = recency_decay((at[:, None] - bounds[:, :2]) / 3600.0, decay)
    equal = np.array([rule_set.equal for rule_set in rules])
    recency = _min_max_scaled(decayed, (decayed_bounds[:, 0], decayed_bounds[:, 1]), equal, sizes)
    importance = _min_max_scaled(columns[:, 1], (bounds[:, 2], bounds[:, 3]), equal, sizes)
    relevance = _min_max_scaled(cosines, cosine_bounds, equal, sizes)
    weights = np.repeat([rule_set.weights for rule_set in rules], sizes, axis=0).T
    scores = weighted_sum(recency, importance, relevance, tuple(weights))
    for cache, (start, stop) in zip(caches, segments, strict=True):
        if cache.trust is not None:
            scores[start:stop] *= cache.trust[positions[start:stop]]
    parts = (positions, scores, recency, importance, relevance)
    return _build_hits(caches, parts, sizes, offsets, limits)


def _min_max_scaled(values: Floats, bounds: SegmentBounds, equal: Floats, sizes: Ints) -> Floats:
    """``scoring.min_max_scale`` segment by segment."""
    low, high = bounds
    flat = low == high
    spread = np.where(flat, 1.0, high - low)
    scaled: Floats = (values - np.repeat(low, sizes)) / np.repeat(spread, sizes)
    if flat.any():
        scaled = np.where(np.repeat(flat, sizes), np.repeat(equal, sizes), scaled)
    return scaled


def _build_hits(
    caches: list[RecallCache],
    parts: tuple[Ints, Floats, Floats, Floats, Floats],
    sizes: Ints,
    offsets: Ints,
    limits: list[int],
) -> list[tuple[Hit, ...]]:
    """The best of each segment, equal ones in the order of their positions."""
    scores = parts[1]
    # One stable sort for all segments.
    order = np.lexsort((-scores, np.repeat(np.arange(len(caches)), sizes)))
    rank = np.arange(len(scores)) - np.repeat(offsets[:-1], sizes)
    order = order[rank < np.repeat(np.array(limits), sizes)]
    positions, *numbers = (part[order].tolist() for part in parts)
    ends = np.cumsum(np.minimum(sizes, limits)).tolist()
    segments = list(zip([0, *ends[:-1]], ends))
    records: list[Record] = []
    for cache, (start, stop) in zip(caches, segments, strict=True):
        records += cache.index.records.get_many(positions[start:stop])
    names = ("score", "recency", "importance", "relevance")
    hits = construct_many(
        Hit, len(records), record=records, **dict(zip(names, numbers, strict=True))
    )
    return [tuple(hits[start:stop]) for start, stop in segments]
