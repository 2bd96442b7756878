"""Recalling: candidates, their parts, their scores, the best of them.

A small memory is scored whole. Of a large one a first pass over 8-bit codes says, with a
bound on its error, which records can be among the best; only these are scored, by the same
formulas to the bit. Only rules that are ``approximate`` leave out what might be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...core import RECORD_KINDS, Cue, Hit, RecordId, Time
from ..index import MIN_ROWS_FOR_CELLS, unit_rows
from ..storage import as_vector
from .hybrid_score import HybridMatch, explanation, match_candidates, query_words
from .recall_query import RecallQuery
from .rerank import candidate_limit, select_hits
from .scoring import listing_order, min_max_scale, rank_decay, recency_decay, top_positions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..index import IndexLoader, MemoryIndex
    from ..storage import Vector
    from .recall_rules import RuleSet

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

FULL_SCORE_LIMIT = 12_000
"""Up to so many candidates all are scored: a first pass would not be faster."""
CELL_PROBES = 64
"""Cells looked into under approximate rules."""
STATIC_CANDIDATES = 2_000
"""About how many of the newest and most important records are candidates in any case."""
STATIC_SCORE_ERROR = 2e-5
"""Error of ``RecallQuery.static_scores``, generously."""


@dataclass(frozen=True, slots=True)
class ScoredCandidates:
    """Candidates by their places, their parts scaled to [0, 1], and their scores."""

    places: Places
    recency: Floats
    importance: Floats
    relevance: Floats
    score: Floats


def recall_one(
    loader: IndexLoader,
    rules: RuleSet,
    cue: Cue,
    vector: Vector | None,
    accessed: Mapping[RecordId, Time],
) -> tuple[Hit, ...]:
    """Score every candidate by the cue's rules; see ``Memory.recall_one``."""
    query = None if vector is None else as_vector(vector, "the cue")
    scene = RecallQuery.for_cue(loader, rules, cue, query, accessed)
    held_against = None
    if scene.rules.matching == "hybrid":
        held_against = match_candidates(scene.shelf, scene.candidates(), query, cue, scene.count)
    chosen, found = _top_hits(scene, held_against, candidate_limit(cue))
    if held_against is not None:
        words = scene.shelf.lexical
        asked = query_words(words, cue)
        found = tuple(
            replace(hit, **explanation(held_against, words, place, asked))
            for hit, place in zip(found, chosen, strict=True)
        )
    return select_hits(found, scene, cue)


def _top_hits(
    scene: RecallQuery, held_against: HybridMatch | None, wanted: int
) -> tuple[list[int], tuple[Hit, ...]]:
    """The best ``wanted`` candidates, by their places among the scored ones, with their
    records, best first. Of those that say the same all but the best give way to others, as far
    as there are any."""
    wide, wanted = wanted, max(0, wanted)
    whole = None if held_against is None else _score_hybrid(scene, held_against)
    while True:
        parts = whole or score_candidates(scene, wide)
        chosen = top_positions(parts.score, wide)
        if not scene.rules.distinct:
            break
        said = scene.shelf.duplicate_key.array[parts.places[chosen]]
        different = len(set(said.tolist()))
        if different == len(said):
            break
        if different >= wanted or wide >= scene.count:
            copies = np.ones(len(said), np.bool_)
            copies[np.unique(said, return_index=True)[1]] = False
            chosen = chosen[np.sort(np.argsort(copies, kind="stable")[:wanted])]
            break
        wide *= 8
    chosen = chosen[:wanted]
    return chosen.tolist(), build_hits(scene.shelf, parts, chosen)


def score_candidates(scene: RecallQuery, limit: int) -> ScoredCandidates:
    """The parts of candidates among which are the ``limit`` best."""
    rules = scene.rules
    simple = rules.recency == "hours" and rules.listing == "written"
    if not simple or scene.query is None or scene.count <= FULL_SCORE_LIMIT:
        return score_all(scene)
    if scene.mask is not None and np.count_nonzero(scene.mask) <= FULL_SCORE_LIMIT:
        return score_all(scene)
    # Cells are made of all that there is, and what is near in them tells of what is for others.
    open_to_all = scene.mask is None or len(scene.shelf.audiences) == 1
    if rules.approximate and open_to_all and scene.shelf.vectors.rows >= MIN_ROWS_FOR_CELLS:
        return _prefilter_approximate(scene, limit)
    return _prefilter_exact(scene, limit)


def build_hits(shelf: MemoryIndex, parts: ScoredCandidates, chosen: Places) -> tuple[Hit, ...]:
    """Some of the scored candidates, by their places among them, with their records."""
    rows = zip(
        parts.places[chosen].tolist(),
        parts.score[chosen].tolist(),
        parts.recency[chosen].tolist(),
        parts.importance[chosen].tolist(),
        parts.relevance[chosen].tolist(),
    )
    kept = shelf.records.get
    return tuple(
        Hit(record=kept(place), score=score, recency=r, importance=i, relevance=c)
        for place, score, r, i, c in rows
    )


def score_all(scene: RecallQuery) -> ScoredCandidates:
    """Every candidate's parts, in the order in which the rules list them."""
    shelf, rules = scene.shelf, scene.rules
    places = scene.candidates()
    if rules.listing == "reverie" or rules.recency == "rank":
        happened = shelf.kind.array[places] == RECORD_KINDS.index("observation")
        places = listing_order(places, happened, scene.last_access[places], rules)
    relevance = min_max_scale(shelf.cosines(places, scene.query), rules.equal)
    return _weighted_sum(scene, places, *_scaled_recency_and_importance(scene, places), relevance)


def _score_hybrid(scene: RecallQuery, found: HybridMatch) -> ScoredCandidates:
    """The same by rules that match words and meaning together."""
    return _weighted_sum(
        scene, found.places, *_scaled_recency_and_importance(scene, found.places), found.score
    )


def _scaled_recency_and_importance(scene: RecallQuery, places: Places) -> tuple[Floats, Floats]:
    """Recency and importance of candidates, scaled over them."""
    rules = scene.rules
    if rules.recency == "rank":
        weight = rank_decay(len(places), rules.decay, rules.newest_first)
    else:
        weight = recency_decay((scene.at - scene.last_access[places]) / 3600.0, rules.decay)
    importance = scene.shelf.importance.array[places]
    return min_max_scale(weight, rules.equal), min_max_scale(importance, rules.equal)


def score_some(
    scene: RecallQuery, places: Places, cosines: Floats, bounds: tuple[float, float]
) -> ScoredCandidates:
    """The parts of some candidates, scaled by the bounds of all."""
    rules = scene.rules
    ages, worths = scene.bounds()
    weight = recency_decay((scene.at - scene.last_access[places]) / 3600.0, rules.decay)
    recency = min_max_scale(weight, rules.equal, scene.recency_bounds(ages))
    importance = min_max_scale(scene.shelf.importance.array[places], rules.equal, worths)
    return _weighted_sum(
        scene, places, recency, importance, min_max_scale(cosines, rules.equal, bounds)
    )


def _weighted_sum(
    scene: RecallQuery, places: Places, recency: Floats, importance: Floats, relevance: Floats
) -> ScoredCandidates:
    rules = scene.rules
    score = (
        rules.recency_weight * recency
        + rules.relevance_weight * relevance
        + rules.importance_weight * importance
    )
    if scene.trust is not None:
        score = score * scene.trust[places]
    return ScoredCandidates(places, recency, importance, relevance, score)


def _prefilter_exact(scene: RecallQuery, limit: int) -> ScoredCandidates:
    """Exactly those who can be among the best, by one pass over all codes."""
    shelf, mask = scene.shelf, scene.mask
    assert scene.query is not None
    query = unit_rows(scene.query[None])[0]
    rough, off = shelf.vectors.quantized.all_products(query)
    if shelf.vectors.rows == len(shelf.vector_row):
        rough = rough[: scene.count]
    else:
        # Row -1, of a record without an embedding, finds the 0 at the end.
        rough = np.append(rough, np.float32(0))[shelf.vector_row.array[: scene.count]]
    bounds = _cosine_bounds(scene, rough, off)
    score, window = _approximate_scores(scene, None, rough, off, bounds)
    if mask is not None:
        score[~mask] = -np.inf
    places = np.flatnonzero(score >= _score_threshold(score, limit) - window)
    if mask is not None:
        places = places[mask[places]]
    cosines = shelf.cosines(places, scene.query)
    return score_some(scene, places, cosines, bounds)


def _cosine_bounds(
    scene: RecallQuery, rough: NDArray[np.float32], off: float, places: Places | None = None
) -> tuple[float, float]:
    """The least and the largest cosine: exact ones of all that can be either."""
    if scene.mask is not None and places is None:
        low = float(np.where(scene.mask, rough, np.inf).min())
        high = float(np.where(scene.mask, rough, -np.inf).max())
    else:
        low, high = float(rough.min()), float(rough.max())
    ends = np.flatnonzero((rough >= high - 2 * off) | (rough <= low + 2 * off))
    if places is not None:
        ends = places[ends]
    elif scene.mask is not None:
        ends = ends[scene.mask[ends]]
    return scene.cosine_bounds(ends)


def _approximate_scores(
    scene: RecallQuery,
    places: Places | None,
    rough: NDArray[np.float32],
    off: float,
    bounds: tuple[float, float],
) -> tuple[NDArray[np.float32], float]:
    """Scores by rough cosines, and the width within which two may change places."""
    rules = scene.rules
    own = scene.static_scores() if places is None else scene.static_scores()[places]
    low, high = bounds
    if low == high:
        score = own + np.float32(rules.relevance_weight * rules.equal)
        slope = 0.0
    else:
        slope = rules.relevance_weight / (high - low)
        score = np.multiply(rough, np.float32(slope))
        score += np.float32(-slope * low)
        score += own
    if scene.trust is not None:
        score *= scene.trust if places is None else scene.trust[places]
    return score, 2 * (abs(slope) * off + STATIC_SCORE_ERROR)


def _score_threshold(score: NDArray[np.float32], limit: int) -> float:
    """A number not above the ``limit``-th highest score, found without sorting: of the
    highest of each of many blocks, the ``limit``-th."""
    size = max(1, min(64, len(score) // max(1, 4 * limit)))
    blocks = len(score) // size
    if limit < 1 or blocks < limit:
        return -np.inf
    tops = score[: blocks * size].reshape(blocks, size).max(axis=1)
    return float(np.partition(tops, blocks - limit)[blocks - limit])


def _prefilter_approximate(scene: RecallQuery, limit: int) -> ScoredCandidates:
    """Candidates from the cells nearest to the cue, and the most notable of all records."""
    shelf, mask = scene.shelf, scene.mask
    assert scene.query is not None
    query = unit_rows(scene.query[None])[0]
    codes, place_of = shelf.vectors.quantized, shelf.row_position.array
    (rows, rough), off = codes.nearest_cells(query, CELL_PROBES)
    (far_rows, far_rough), far_off = codes.nearest_cells(-query, max(4, CELL_PROBES // 8))
    places = place_of[rows]
    far = place_of[far_rows]
    if mask is not None or scene.count < len(shelf.vector_row):
        fits = _is_candidate(scene, places)
        places, rough = places[fits], rough[fits]
        fits = _is_candidate(scene, far)
        far, far_rough = far[fits], far_rough[fits]
    seen = np.zeros(scene.count, bool)
    seen[places] = True
    notable, rows_of = _top_static_candidates(scene)
    known = _cosines(shelf, notable, rows_of, query)[unseen := ~seen[notable]]
    notable = notable[unseen]
    top = places[rough >= rough.max() - 2 * off] if len(rough) else places
    end = far[far_rough >= far_rough.max() - 2 * far_off] if len(far) else far
    low, high = scene.cosine_bounds(np.concatenate([top, end]))
    if len(known):
        low, high = min(low, float(known.min())), max(high, float(known.max()))
    places = np.concatenate([places, notable])
    rough = np.concatenate([rough, known.astype(np.float32)])
    score, window = _approximate_scores(scene, places, rough, off, (low, high))
    # Ties go by number, so the order must be that of the records.
    places = np.sort(places[score >= _score_threshold(score, limit) - window])
    return score_some(scene, places, shelf.cosines(places, scene.query), (low, high))


def _is_candidate(scene: RecallQuery, places: Places) -> NDArray[np.bool_]:
    fits = places < scene.count
    if scene.mask is not None:
        fits[fits] = scene.mask[places[fits]]
    return fits


def _top_static_candidates(scene: RecallQuery) -> tuple[Places, NDArray[np.float32]]:
    """The candidates that score most whatever the cue, the newest of equal ones, and the
    rows of those that have one; kept with the shelf, since every cue needs them."""
    own = scene.static_scores()
    keep = scene.cacheable and scene.trust is None
    kept: tuple[object, Places, NDArray[np.float32]] | None = scene.shelf.derived.get("notable")
    if keep and kept is not None and kept[0] is own:
        return kept[1], kept[2]
    ranked = own if scene.trust is None else own * scene.trust
    if scene.mask is not None:
        ranked = np.where(scene.mask, ranked, np.float32(-np.inf))
    sample = ranked[:: max(1, len(ranked) // 50_000)]
    share = min(1.0, STATIC_CANDIDATES / len(ranked))
    bar = np.quantile(sample, 1 - share, method="lower") if share < 1 else -np.inf
    found = np.flatnonzero(ranked >= bar).astype(np.int64)
    if scene.mask is not None:
        found = found[scene.mask[found]]
    found = found[-2 * STATIC_CANDIDATES :]
    rows = scene.shelf.vector_row.array[found]
    taken = scene.shelf.vectors.blocks.take(rows[rows >= 0])
    if keep:
        scene.shelf.derived["notable"] = (own, found, taken)
    return found, taken


def _cosines(
    shelf: MemoryIndex, places: Places, rows: NDArray[np.float32], query: NDArray[np.float32]
) -> Floats:
    """Cosines of records whose rows have been taken already; 0 for those without."""
    cosines = np.zeros(len(places))
    cosines[shelf.vector_row.array[places] >= 0] = np.vecdot(rows, query)
    return cosines
