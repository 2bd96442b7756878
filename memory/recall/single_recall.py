"""Recall for one cue: scores of the candidates, and the best of them.

Of a small memory all candidates are scored. For a large one a first pass over 8-bit embeddings
finds, by a bound on its error, the records that can be among the best; these alone are scored, by
the same formulas, bit by bit. Only ``approximate`` rules may miss a record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...core import RECORD_KINDS, Cue, Hit, Record, RecordId, Time
from ...core.text import terms
from ..index import MIN_ROWS_FOR_CELLS, unit_rows
from ..storage import as_vector
from .hybrid_score import HybridMatch, explanation, match_candidates, query_words
from .recall_query import RecallQuery
from .scoring import (
    listing_order,
    min_max_scale,
    rank_decay,
    recency_decay,
    top_positions,
    weighted_sum,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..index import IndexLoader, MemoryIndex
    from ..storage import Vector
    from .recall_rules import RuleSet

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]
    Positions = NDArray[np.int64]

FULL_SCORE_LIMIT = 12_000
"""Up to this many candidates all are scored: a first pass would not be faster."""
CELL_PROBES = 64
"""Number of cells searched under approximate rules."""
STATIC_CANDIDATES = 2_000
"""About how many of the newest and most important records are always candidates under
approximate rules."""
STATIC_SCORE_ERROR = 2e-5
"""An upper bound of the error of ``RecallQuery.static_scores``."""

CANDIDATE_FACTOR = 5
"""For variety or a token budget this many times the limit are considered."""
NEIGHBOUR_REACH = 200
"""Neighbours of an episode are searched for among this many records on each side."""


@dataclass(frozen=True, slots=True)
class ScoredCandidates:
    """Candidates by position in the index, the parts of their scores scaled to [0, 1], and the
    scores."""

    positions: Positions
    recency: Floats
    importance: Floats
    relevance: Floats
    score: Floats


def recall_one(
    loader: IndexLoader,
    rules: RuleSet,
    cue: Cue,
    vector: Vector | None,
    accessed: Mapping[RecordId, Time] | None,
) -> tuple[Hit, ...]:
    """The records that fit a cue by these rules, best first; ``accessed`` are accesses not yet
    written. Raises MemoryFault for a cue or a vector that does not fit."""
    embedding = None if vector is None else as_vector(vector, "the cue")
    query = RecallQuery.for_cue(loader, rules, cue, embedding, accessed)
    match = None
    if rules.matching == "hybrid":
        match = match_candidates(query.index, query.candidates(), embedding, cue, query.count)
    chosen, hits = _top_hits(query, match, candidate_limit(cue))
    if match is not None:
        lexical = query.index.lexical
        words = query_words(lexical, cue)
        hits = tuple(
            replace(hit, **explanation(match, lexical, position, words))
            for hit, position in zip(hits, chosen, strict=True)
        )
    return select_hits(hits, query, cue)


def _top_hits(
    query: RecallQuery, match: HybridMatch | None, limit: int
) -> tuple[list[int], tuple[Hit, ...]]:
    """The best ``limit`` candidates, best first: their positions among the scored ones, and their
    hits. Duplicates give way to other records as far as there are any."""
    width, limit = limit, max(0, limit)
    matched = None if match is None else _score_hybrid(query, match)
    while True:
        scored = matched or score_candidates(query, width)
        chosen = top_positions(scored.score, width)
        if not query.rules.distinct:
            break
        keys = query.index.duplicate_key.array[scored.positions[chosen]]
        distinct = len(set(keys.tolist()))
        if distinct == len(keys):
            break
        if distinct >= limit or width >= query.count:
            duplicate = np.ones(len(keys), np.bool_)
            duplicate[np.unique(keys, return_index=True)[1]] = False
            chosen = chosen[np.sort(np.argsort(duplicate, kind="stable")[:limit])]
            break
        width *= 8
    chosen = chosen[:limit]
    return chosen.tolist(), build_hits(query.index, scored, chosen)


def score_candidates(query: RecallQuery, limit: int) -> ScoredCandidates:
    """The scores of some candidates, the ``limit`` best among them."""
    rules = query.rules
    plain = rules.recency == "hours" and rules.listing == "written"
    if not plain or query.embedding is None or query.count <= FULL_SCORE_LIMIT:
        return score_all(query)
    if query.mask is not None and np.count_nonzero(query.mask) <= FULL_SCORE_LIMIT:
        return score_all(query)
    # Cells are computed from all records, so they reveal something of those for other audiences.
    for_everybody = query.mask is None or len(query.index.audiences) == 1
    has_cells = query.index.vectors.rows >= MIN_ROWS_FOR_CELLS
    if rules.approximate and for_everybody and has_cells:
        return _prefilter_approximate(query, limit)
    return _prefilter_exact(query, limit)


def build_hits(index: MemoryIndex, scored: ScoredCandidates, chosen: Positions) -> tuple[Hit, ...]:
    """Hits for some of the scored candidates, by their positions among them."""
    rows = zip(
        scored.positions[chosen].tolist(),
        scored.score[chosen].tolist(),
        scored.recency[chosen].tolist(),
        scored.importance[chosen].tolist(),
        scored.relevance[chosen].tolist(),
    )
    record_at = index.records.get
    return tuple(
        Hit(
            record=record_at(position),
            score=score,
            recency=recency,
            importance=importance,
            relevance=relevance,
        )
        for position, score, recency, importance, relevance in rows
    )


def score_all(query: RecallQuery) -> ScoredCandidates:
    """Every candidate's scores, in the order in which the rules list the candidates."""
    index, rules = query.index, query.rules
    positions = query.candidates()
    if rules.listing == "reverie" or rules.recency == "rank":
        is_event = index.kind.array[positions] == RECORD_KINDS.index("observation")
        positions = listing_order(positions, is_event, query.last_access[positions], rules)
    relevance = min_max_scale(index.cosines(positions, query.embedding), rules.equal)
    return _scored(query, positions, *_scaled_recency_and_importance(query, positions), relevance)


def _score_hybrid(query: RecallQuery, match: HybridMatch) -> ScoredCandidates:
    """Every candidate's scores by rules that match words and meaning together."""
    parts = _scaled_recency_and_importance(query, match.positions)
    return _scored(query, match.positions, *parts, match.score)


def _scaled_recency_and_importance(
    query: RecallQuery, positions: Positions
) -> tuple[Floats, Floats]:
    """Recency and importance of candidates, scaled over these."""
    rules = query.rules
    if rules.recency == "rank":
        weight = rank_decay(len(positions), rules.decay, rules.newest_first)
    else:
        weight = recency_decay((query.at - query.last_access[positions]) / 3600.0, rules.decay)
    importance = query.index.importance.array[positions]
    return min_max_scale(weight, rules.equal), min_max_scale(importance, rules.equal)


def score_some(
    query: RecallQuery, positions: Positions, cosines: Floats, cosine_bounds: tuple[float, float]
) -> ScoredCandidates:
    """The scores of some candidates, scaled by the bounds of all candidates."""
    rules = query.rules
    access_bounds, importance_bounds = query.bounds()
    weight = recency_decay((query.at - query.last_access[positions]) / 3600.0, rules.decay)
    recency = min_max_scale(weight, rules.equal, query.recency_bounds(access_bounds))
    importance = min_max_scale(
        query.index.importance.array[positions], rules.equal, importance_bounds
    )
    relevance = min_max_scale(cosines, rules.equal, cosine_bounds)
    return _scored(query, positions, recency, importance, relevance)


def _scored(
    query: RecallQuery, positions: Positions, recency: Floats, importance: Floats, relevance: Floats
) -> ScoredCandidates:
    score = weighted_sum(recency, importance, relevance, query.rules.weights)
    if query.trust is not None:
        score = score * query.trust[positions]
    return ScoredCandidates(positions, recency, importance, relevance, score)


# -- first pass over 8-bit embeddings ---------------------------------------------------


def _prefilter_exact(query: RecallQuery, limit: int) -> ScoredCandidates:
    """The scores of those candidates that can be among the best, by one pass over all codes."""
    index, mask = query.index, query.mask
    assert query.embedding is not None
    unit = unit_rows(query.embedding[None])[0]
    products, error = index.vectors.quantized.all_products(unit)
    if index.vectors.rows == len(index.vector_row):
        products = products[: query.count]
    else:
        # Row -1, of a record without an embedding, reads the 0 at the end.
        products = np.append(products, np.float32(0))[index.vector_row.array[: query.count]]
    cosine_bounds = _cosine_bounds(query, products, error)
    score, window = _approximate_scores(query, None, products, error, cosine_bounds)
    if mask is not None:
        score[~mask] = -np.inf
    positions = np.flatnonzero(score >= _score_threshold(score, limit) - window)
    if mask is not None:
        positions = positions[mask[positions]]
    return score_some(query, positions, index.cosines(positions, query.embedding), cosine_bounds)


def _cosine_bounds(query: RecallQuery, products: Singles, error: float) -> tuple[float, float]:
    """The least and the largest cosine of the candidates, exact: computed for all records whose
    approximate product may be either."""
    if query.mask is not None:
        low = float(np.where(query.mask, products, np.inf).min())
        high = float(np.where(query.mask, products, -np.inf).max())
    else:
        low, high = float(products.min()), float(products.max())
    extreme = np.flatnonzero((products >= high - 2 * error) | (products <= low + 2 * error))
    if query.mask is not None:
        extreme = extreme[query.mask[extreme]]
    return query.cosine_bounds(extreme)


def _approximate_scores(
    query: RecallQuery,
    positions: Positions | None,
    products: Singles,
    error: float,
    cosine_bounds: tuple[float, float],
) -> tuple[Singles, float]:
    """Scores computed with approximate cosines, of the records at ``positions`` (None: of all), and
    a window: two records whose scores differ by more than it are in the right order."""
    rules = query.rules
    static = query.static_scores() if positions is None else query.static_scores()[positions]
    low, high = cosine_bounds
    if low == high:
        score = static + np.float32(rules.relevance_weight * rules.equal)
        slope = 0.0
    else:
        slope = rules.relevance_weight / (high - low)
        score = np.multiply(products, np.float32(slope))
        score += np.float32(-slope * low)
        score += static
    if query.trust is not None:
        score *= query.trust if positions is None else query.trust[positions]
    return score, 2 * (abs(slope) * error + STATIC_SCORE_ERROR)


def _score_threshold(score: Singles, limit: int) -> float:
    """A number not above the ``limit``-th highest score, found without sorting: the ``limit``-th
    of the maxima of many blocks."""
    size = max(1, min(64, len(score) // max(1, 4 * limit)))
    blocks = len(score) // size
    if limit < 1 or blocks < limit:
        return -np.inf
    maxima = score[: blocks * size].reshape(blocks, size).max(axis=1)
    return float(np.partition(maxima, blocks - limit)[blocks - limit])


def _prefilter_approximate(query: RecallQuery, limit: int) -> ScoredCandidates:
    """The scores of records in the cells nearest to the cue and of those with the highest static
    scores."""
    index, mask = query.index, query.mask
    assert query.embedding is not None
    unit = unit_rows(query.embedding[None])[0]
    quantized, position_of_row = index.vectors.quantized, index.row_position.array
    (rows, products), error = quantized.nearest_cells(unit, CELL_PROBES)
    (far_rows, far_products), far_error = quantized.nearest_cells(-unit, max(4, CELL_PROBES // 8))
    positions = position_of_row[rows]
    far = position_of_row[far_rows]
    if mask is not None or query.count < len(index.vector_row):
        admitted = _is_candidate(query, positions)
        positions, products = positions[admitted], products[admitted]
        admitted = _is_candidate(query, far)
        far, far_products = far[admitted], far_products[admitted]
    seen = np.zeros(query.count, bool)
    seen[positions] = True
    static, static_rows = _top_static_candidates(query)
    unseen = ~seen[static]
    cosines = _cosines_of_rows(index, static, static_rows, unit)[unseen]
    static = static[unseen]
    nearest = positions[products >= products.max() - 2 * error] if len(products) else positions
    farthest = far[far_products >= far_products.max() - 2 * far_error] if len(far) else far
    low, high = query.cosine_bounds(np.concatenate([nearest, farthest]))
    if len(cosines):
        low, high = min(low, float(cosines.min())), max(high, float(cosines.max()))
    positions = np.concatenate([positions, static])
    products = np.concatenate([products, cosines.astype(np.float32)])
    score, window = _approximate_scores(query, positions, products, error, (low, high))
    # Ties go by record number, so the order must be that of the records.
    positions = np.sort(positions[score >= _score_threshold(score, limit) - window])
    return score_some(query, positions, index.cosines(positions, query.embedding), (low, high))


def _is_candidate(query: RecallQuery, positions: Positions) -> NDArray[np.bool_]:
    admitted = positions < query.count
    if query.mask is not None:
        admitted[admitted] = query.mask[positions[admitted]]
    return admitted


def _top_static_candidates(query: RecallQuery) -> tuple[Positions, Singles]:
    """The candidates with the highest static scores, the newest of equal ones, and the embedding
    rows of those that have one; kept with the index, since every cue needs them."""
    static = query.static_scores()
    keep = query.cacheable and query.trust is None
    cached: tuple[object, Positions, Singles] | None
    cached = query.index.derived.get("top static candidates")
    if keep and cached is not None and cached[0] is static:
        return cached[1], cached[2]
    ranked = static if query.trust is None else static * query.trust
    if query.mask is not None:
        ranked = np.where(query.mask, ranked, np.float32(-np.inf))
    sample = ranked[:: max(1, len(ranked) // 50_000)]
    share = min(1.0, STATIC_CANDIDATES / len(ranked))
    threshold = np.quantile(sample, 1 - share, method="lower") if share < 1 else -np.inf
    positions = np.flatnonzero(ranked >= threshold).astype(np.int64)
    if query.mask is not None:
        positions = positions[query.mask[positions]]
    positions = positions[-2 * STATIC_CANDIDATES :]
    row_numbers = query.index.vector_row.array[positions]
    rows = query.index.vectors.blocks.take(row_numbers[row_numbers >= 0])
    if keep:
        query.index.derived["top static candidates"] = (static, positions, rows)
    return positions, rows


def _cosines_of_rows(
    index: MemoryIndex, positions: Positions, rows: Singles, unit: Singles
) -> Floats:
    """Cosines of records whose embedding rows were read already; 0 for those without one."""
    cosines = np.zeros(len(positions))
    cosines[index.vector_row.array[positions] >= 0] = np.vecdot(rows, unit)
    return cosines


# -- selection among the best hits ------------------------------------------------------


def candidate_limit(cue: Cue) -> int:
    """How many of the best hits to select from: the cue's limit, or more if some may be
    skipped."""
    skips = cue.variety > 0 or cue.tokens > 0
    return cue.limit * (CANDIDATE_FACTOR if skips else 1)


def select_hits(hits: Sequence[Hit], query: RecallQuery, cue: Cue) -> tuple[Hit, ...]:
    """What the cue asks for of the best hits: at most its limit, varied, within its token budget,
    each with its neighbours among the candidates."""
    if cue.variety > 0 and len(hits) > 1:
        limit = cue.limit if not cue.tokens else len(hits)
        hits = maximal_marginal_relevance(hits, min(cue.variety, 1.0), limit)
    if cue.tokens > 0:
        hits = fit_token_budget(hits, cue.tokens)
    hits = hits[: max(0, cue.limit)]
    if cue.around > 0 and hits:
        candidates = query.candidates()
        records = query.index.records
        positions = query.index.positions_of([hit.record.id for hit in hits]).tolist()
        hits = [
            replace(hit, around=neighbours(records, hit.record, position, cue.around, candidates))
            for hit, position in zip(hits, positions)
        ]
    return tuple(hits)


def maximal_marginal_relevance(hits: Sequence[Hit], variety: float, limit: int) -> list[Hit]:
    """Up to ``limit`` hits, one by one the best of (1 - variety) * score - variety * similarity
    to those selected before (Carbonell and Goldstein 1998).

    Scores are min-max scaled; similarity is the cosine of the texts' sets of terms.
    """
    scores = min_max_scale(np.array([hit.score for hit in hits]), 1.0)
    term_sets = [frozenset(terms(hit.record.text)) for hit in hits]
    similarity = np.zeros(len(hits))
    left = list(range(len(hits)))
    selected: list[int] = []
    while left and len(selected) < limit:
        # The first of equals: hits come best first.
        best = max(left, key=lambda i: ((1 - variety) * scores[i] - variety * similarity[i], -i))
        left.remove(best)
        selected.append(best)
        for i in left:
            similarity[i] = max(similarity[i], _set_cosine(term_sets[i], term_sets[best]))
    return [hits[i] for i in selected]


def _set_cosine(first: frozenset[str], second: frozenset[str]) -> float:
    if not first or not second:
        return float(first == second)
    return float(len(first & second) / np.sqrt(len(first) * len(second)))


def fit_token_budget(hits: Sequence[Hit], tokens: int) -> list[Hit]:
    """The hits in order, without those whose text no longer fits into ``tokens`` in total."""
    selected, left = [], tokens
    for hit in hits:
        if (size := estimate_tokens(hit.record.text)) <= left:
            selected.append(hit)
            left -= size
    return selected


def estimate_tokens(text: str) -> int:
    """About how many tokens a text takes, rather too many: memory has no tokenizer.

    >>> estimate_tokens("Ada asked for a loaf of rye")
    9
    """
    return max(-(-len(text) // 3), len(text.split()))


def neighbours(
    records: Sequence[Record], middle: Record, position: int, count: int, candidates: Positions
) -> tuple[Record, ...]:
    """The ``count`` records before and the ``count`` after ``middle`` (at ``position``) in its
    episode, in order; other records than ``candidates`` (ascending positions) are skipped. Empty
    for a record of no episode."""
    if not middle.episode:
        return ()
    sides = []
    start = int(np.searchsorted(candidates, position))
    after = start + (start < len(candidates) and candidates[start] == position)
    for side in (candidates[:start][::-1], candidates[after:]):
        near: list[Record] = []
        for candidate in side[:NEIGHBOUR_REACH].tolist():
            if len(near) == count:
                break
            if records[candidate].episode == middle.episode:
                near.append(records[candidate])
        sides.append(near)
    return (*reversed(sides[0]), *sides[1])
