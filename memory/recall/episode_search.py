"""Which conversations, sessions or days a cue is about, each with its best records."""

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
    Places = NDArray[np.int64]

B = 0.75
EVIDENCE_LIMIT = 3  # records shown of each episode
# Fitted on LoCoMo's conversations 1 and 2 and rounded; docs/memory.md has what each adds.
# Each part is min-max scaled over the episodes, only nearness in time is not.
WEIGHTS = {
    "words": 0.2,  # BM25 with the episode as one document
    "phrases": 0.1,  # the same of pairs of words
    "cover": 0.2,  # the largest share of the cue's words in one place
    "meaning": 0.2,  # mean of the three best cosines
    "best": 0.2,  # the best record by words and meaning
    "speaker": 0.1,  # the best record of those whom the cue names
    "time": 0.5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeHit:
    """An episode found: its name (a day, "2023-05-08", for records of no episode), its score
    and the weighted parts of it, and its best records as evidence."""

    episode: str
    score: float
    parts: dict[str, float]
    hits: tuple[Hit, ...]


def search_episodes(
    loader: IndexLoader, rules: RuleSet, cue: Cue, vector: Vector | None
) -> tuple[EpisodeHit, ...]:
    """The ``cue.limit`` best episodes, best first; see ``Memory.search_episodes``."""
    query = None if vector is None else as_vector(vector, "the cue")
    scene = RecallQuery.for_cue(loader, rules, cue, query, {})
    shelf, count, places = scene.shelf, scene.count, scene.candidates()
    if not len(places):
        return ()
    found = match_candidates(shelf, places, query, cue, count)
    index = shelf.lexical
    asked = query_words(index, cue)
    groups = EpisodeGroups(found, index)
    parts = groups.parts()
    score = np.zeros(len(groups.numbers))
    for name, part in parts.items():
        score += WEIGHTS[name] * part
    return tuple(
        EpisodeHit(
            episode=index.episode_name(int(groups.numbers[group])),
            score=float(score[group]),
            parts={name: float(WEIGHTS[name] * part[group]) for name, part in parts.items()},
            hits=tuple(
                Hit(
                    record=shelf.records[int(places[place])],
                    score=float(found.score[place]),
                    recency=0.0,
                    importance=0.0,
                    relevance=float(found.score[place]),
                    **explanation(found, index, int(place), asked),
                )
                for place in groups.top_records(group, EVIDENCE_LIMIT)
            ),
        )
        for group in top_positions(score, cue.limit)
    )


class EpisodeGroups:
    """The candidates of a match by episode, in order of the episodes' first records."""

    def __init__(self, found: HybridMatch, index: LexicalIndex) -> None:
        self._found = found
        self._index = index
        # Every candidate's episode as a number from 0.
        numbers, first, of = np.unique(
            index.episode.array[found.places], return_index=True, return_inverse=True
        )
        order = np.argsort(first)
        self.numbers = numbers[order]
        self._of = np.argsort(order)[of]
        self._size = len(self.numbers)
        self._sizes = np.bincount(self._of, minlength=self._size).astype(np.float64)
        lengths = index.lengths(len(found.keep))[found.places]
        self._lengths: Floats = np.bincount(self._of, lengths, self._size).astype(np.float64)
        # Where each group begins when the candidates are sorted by group.
        self._first = (np.cumsum(self._sizes) - self._sizes).astype(np.int64)

    def parts(self) -> dict[str, Floats]:
        """What the score is made of, an array over the episodes each."""
        found, words = self._found, [word for word in self._found.query if word >= 0]
        pairs = [pair for pair in pairwise(found.query) if min(pair) >= 0]
        own = np.where(found.by_named_speaker, found.fused, 0.0)
        close = np.zeros(self._size)
        np.maximum.at(close, self._of, found.time_proximity)
        raw = {
            "words": self._bm25(Counter(words), self._index.postings),
            "phrases": self._bm25(Counter(pairs), self._index.phrase),
            "cover": self._mean_of_best(found.coverage, 1),
            "meaning": self._mean_of_best(found.context_cosine, 3),
            "best": self._mean_of_best(found.fused, 1),
            "speaker": self._mean_of_best(own, 1),
        }
        return {name: min_max_scale(part, 0.0) for name, part in raw.items()} | {"time": close}

    def _bm25(self, asked: Counter[Any], postings: Callable[..., tuple[Places, Floats]]) -> Floats:
        """BM25 with the episodes as documents."""
        found = np.zeros(self._size)
        where = np.zeros(len(self._found.keep), np.int64)
        where[self._found.places] = self._of
        mean = float(self._lengths.mean())
        for one, times in asked.items():
            places, counts = postings(one, self._found.keep)
            sums = np.bincount(where[places], weights=counts, minlength=self._size)
            rarity = times * inverse_document_frequency(self._size, int((sums > 0).sum()))
            found += rarity * saturated_frequency(
                sums.astype(np.float64), self._lengths, mean, K1, B
            )
        return found

    def _mean_of_best(self, values: Floats, count: int) -> Floats:
        """The mean of the ``count`` highest values of each episode (of all, if it has less)."""
        order = np.lexsort((-values, self._of))
        sums, taken = np.zeros(self._size), np.minimum(self._sizes, count)
        for rank in range(count):
            has = self._sizes > rank
            sums[has] += values[order[self._first[has] + rank]]
        return sums / taken

    def top_records(self, group: int, count: int) -> Places:
        """The best ``count`` candidates of an episode, best first, by the fit."""
        members = np.flatnonzero(self._of == group)
        return members[top_positions(self._found.score[members], count)]
