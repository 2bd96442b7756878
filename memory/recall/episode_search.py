"""Search for the episodes (conversations, sessions, days) that a cue is about."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core import Cue, Hit
from ..index import LexicalIndex, inverse_document_frequency, saturated_frequency
from ..storage import as_vector
from .hybrid_score import K1, HybridMatch, explanation, match_candidates, query_words
from .recall_query import RecallQuery
from .scoring import min_max_scale, top_positions

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..index import IndexLoader
    from ..storage import Vector
    from .recall_rules import RuleSet

    Floats = NDArray[np.float64]
    Positions = NDArray[np.int64]

B = 0.75
EVIDENCE_LIMIT = 3
"""Records shown of each episode."""
# Fitted on LoCoMo's conversations 1 and 2 and rounded; docs/memory.md has what each adds.
# Each part but nearness in time is min-max scaled over the episodes.
WEIGHTS = {
    "words": 0.2,  # BM25 with the episode as one document
    "phrases": 0.1,  # the same of pairs of words
    "cover": 0.2,  # the largest share of the cue's words in one record
    "meaning": 0.2,  # mean of the three best cosines
    "best": 0.2,  # the best record by words and meaning
    "speaker": 0.1,  # the best record of a person whom the cue names
    "time": 0.5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeHit:
    """An episode: its name (a day, "2023-05-08", for records of no episode), its score, the
    weighted parts of the score, and its best records as evidence."""

    episode: str
    score: float
    parts: dict[str, float]
    hits: tuple[Hit, ...]


def search_episodes(
    loader: IndexLoader, rules: RuleSet, cue: Cue, vector: Vector | None
) -> tuple[EpisodeHit, ...]:
    """The ``cue.limit`` best episodes, best first. Raises MemoryFault for a cue or a vector that
    does not fit."""
    embedding = None if vector is None else as_vector(vector, "the cue")
    query = RecallQuery.for_cue(loader, rules, cue, embedding)
    index, positions = query.index, query.candidates()
    if not len(positions):
        return ()
    match = match_candidates(index, positions, embedding, cue, query.count)
    lexical = index.lexical
    words = query_words(lexical, cue)
    groups = EpisodeGroups(match, lexical)
    parts = groups.parts()
    scores = np.zeros(len(groups.numbers))
    for name, part in parts.items():
        scores += WEIGHTS[name] * part
    return tuple(
        EpisodeHit(
            episode=lexical.episode_name(int(groups.numbers[group])),
            score=float(scores[group]),
            parts={name: float(WEIGHTS[name] * part[group]) for name, part in parts.items()},
            hits=tuple(
                Hit(
                    record=index.records[int(positions[place])],
                    score=float(match.score[place]),
                    recency=0.0,
                    importance=0.0,
                    relevance=float(match.score[place]),
                    **explanation(match, lexical, int(place), words),
                )
                for place in groups.top_records(group, EVIDENCE_LIMIT)
            ),
        )
        for group in top_positions(scores, cue.limit)
    )


class EpisodeGroups:
    """The candidates of a match grouped by episode, in order of the episodes' first records."""

    def __init__(self, match: HybridMatch, lexical: LexicalIndex) -> None:
        self._match = match
        self._lexical = lexical
        numbers, first, group_of = np.unique(
            lexical.episode.array[match.positions], return_index=True, return_inverse=True
        )
        order = np.argsort(first)
        self.numbers = numbers[order]
        self._group_of = np.argsort(order)[group_of]
        self._count = len(self.numbers)
        self._sizes = np.bincount(self._group_of, minlength=self._count).astype(np.float64)
        lengths = lexical.lengths(len(match.mask))[match.positions]
        self._lengths: Floats = np.bincount(self._group_of, lengths, self._count).astype(np.float64)
        # Where each group starts when the candidates are sorted by group.
        self._starts = (np.cumsum(self._sizes) - self._sizes).astype(np.int64)

    def parts(self) -> dict[str, Floats]:
        """The parts of the score, each an array over the episodes."""
        match = self._match
        terms = [term for term in match.terms if term >= 0]
        pairs = [pair for pair in pairwise(match.terms) if min(pair) >= 0]
        by_speaker = np.where(match.by_named_speaker, match.fused, 0.0)
        proximity = np.zeros(self._count)
        np.maximum.at(proximity, self._group_of, match.time_proximity)
        raw = {
            "words": self._bm25(Counter(terms), self._lexical.postings),
            "phrases": self._bm25(Counter(pairs), self._lexical.phrase),
            "cover": self._mean_of_best(match.coverage, 1),
            "meaning": self._mean_of_best(match.context_cosine, 3),
            "best": self._mean_of_best(match.fused, 1),
            "speaker": self._mean_of_best(by_speaker, 1),
        }
        scaled = {name: min_max_scale(part, 0.0) for name, part in raw.items()}
        return scaled | {"time": proximity}

    def _bm25(
        self, terms: Counter[Any], postings: Callable[..., tuple[Positions, Floats]]
    ) -> Floats:
        """BM25 with the episodes as documents."""
        scores = np.zeros(self._count)
        groups = np.zeros(len(self._match.mask), np.int64)
        groups[self._match.positions] = self._group_of
        mean = float(self._lengths.mean())
        for term, times in terms.items():
            positions, counts = postings(term, self._match.mask)
            sums = np.bincount(groups[positions], weights=counts, minlength=self._count)
            rarity = times * inverse_document_frequency(self._count, int((sums > 0).sum()))
            scores += rarity * saturated_frequency(
                sums.astype(np.float64), self._lengths, mean, K1, B
            )
        return scores

    def _mean_of_best(self, values: Floats, count: int) -> Floats:
        """The mean of the ``count`` highest values of each episode (of all, if it has fewer)."""
        order = np.lexsort((-values, self._group_of))
        sums, taken = np.zeros(self._count), np.minimum(self._sizes, count)
        for rank in range(count):
            has = self._sizes > rank
            sums[has] += values[order[self._starts[has] + rank]]
        return sums / taken

    def top_records(self, group: int, count: int) -> Positions:
        """The best ``count`` candidates of an episode by score, best first."""
        members = np.flatnonzero(self._group_of == group)
        return members[top_positions(self._match.score[members], count)]
