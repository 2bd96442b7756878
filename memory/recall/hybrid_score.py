"""Scores of candidates by words (BM25), meaning (cosine), time and speaker together."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core import is_unspaced, name_matcher, time_zone
from ...core.text import STOP_WORDS, split_words
from ..index import (
    DateSpan,
    LexicalIndex,
    find_date_spans,
    inverse_document_frequency,
    saturated_frequency,
    time_proximity,
)
from .scoring import min_max_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...core import Cue
    from ..index import MemoryIndex

    Floats = NDArray[np.float64]
    Positions = NDArray[np.int64]
    Mask = NDArray[np.bool_]
    Neighbours = tuple[Positions, Positions]

# Tuned on LoCoMo's conversations 1 and 2, all on a plateau; see docs/memory.md.
K1, B = 1.2, 0.3
PREVIOUS_RECORD_WEIGHT = 0.7
"""Weight of a word in the record before, relative to one in the record itself."""
NEXT_RECORD_WEIGHT = 0.3
NEIGHBOUR_COSINE_WEIGHT = 0.25
PHRASE_WEIGHT = 0.5
"""Weight of two words in the query's order, beside the words by themselves."""
DENSE_WEIGHT = 0.5
"""Weight of meaning in the fused score; the rest is words."""
TIME_WEIGHT, SPEAKER_WEIGHT = 0.3, 0.05
"""Added to the fused score."""


@dataclass(frozen=True, slots=True)
class HybridMatch:
    """A cue matched against candidates; arrays over ``positions``, in their order.

    - ``cosine``: of the record; ``context_cosine``: with weighted cosines of its neighbours.
    - ``bm25``: of the record with its neighbours and with phrases.
    - ``own_words``: BM25 of the record alone, without names of people, as a share of the highest
      possible; ``coverage``: the share of these words, weighted by rarity, in the record and its
      neighbours.
    - ``time_proximity``: to the times that the cue names (0 if none); ``by_named_speaker``:
      whether a person whom the cue names said it (True if it names nobody).
    - ``fused``: words and meaning, each min-max scaled; ``score``: ``fused`` with time and
      speaker.
    """

    positions: Positions
    cosine: Floats
    context_cosine: Floats
    bm25: Floats
    own_words: Floats
    coverage: Floats
    time_proximity: Floats
    by_named_speaker: Mask
    fused: Floats
    score: Floats
    terms: tuple[int, ...]
    mask: Mask
    times: tuple[DateSpan, ...]
    named: frozenset[int]


def match_candidates(
    index: MemoryIndex,
    positions: Positions,
    embedding: NDArray[np.float32] | None,
    cue: Cue,
    count: int,
) -> HybridMatch:
    """Match a cue against the candidates at ``positions`` among the first ``count`` records.

    Neighbours and word counts come from the candidates alone: other records, such as those for
    other persons, change no score.
    """
    lexical = index.lexical
    lexical.index_records(index.records, count)
    mask = np.zeros(count, np.bool_)
    mask[positions] = True
    neighbours = lexical.neighbours(mask)
    terms = lexical.query_terms(cue.text)
    # Only speakers of candidates, so that no others are revealed.
    speakers = lexical.who.array[positions]
    named = named_people(lexical, cue.text) & set(np.unique(speakers).tolist())
    scorer = BM25Scorer(lexical, mask, neighbours)
    bm25 = scorer.term_scores(terms) + PHRASE_WEIGHT * scorer.phrase_scores(terms)
    cosine = np.zeros(count)
    cosine[positions] = index.cosines(positions, embedding)
    context_cosine = cosine.copy()
    for side in neighbours:
        context_cosine += NEIGHBOUR_COSINE_WEIGHT * np.where(side >= 0, cosine[side], 0.0)
    times = find_date_spans(cue.text, cue.at, time_zone(cue.zone))
    proximity = time_proximity(index.created.array[positions], times)
    said = np.isin(speakers, list(named)) if named else np.ones(len(positions), bool)
    names = _name_terms(lexical, named)
    plain = [term for term in terms if term not in names]
    highest = (K1 + 1) * scorer.total_idf(plain)
    own_words = BM25Scorer(lexical, mask, None).term_scores(plain) / (highest or 1.0)
    meaning = min_max_scale(context_cosine[positions], 0.0)
    fused = DENSE_WEIGHT * meaning + (1 - DENSE_WEIGHT) * min_max_scale(bm25[positions], 0.0)
    return HybridMatch(
        positions=positions,
        cosine=cosine[positions],
        context_cosine=context_cosine[positions],
        bm25=bm25[positions],
        own_words=own_words[positions],
        coverage=scorer.coverage(plain)[positions],
        time_proximity=proximity,
        by_named_speaker=said,
        fused=fused,
        score=fused + TIME_WEIGHT * proximity + SPEAKER_WEIGHT * (said & bool(named)),
        terms=tuple(terms),
        mask=mask,
        times=times,
        named=named,
    )


def named_people(index: LexicalIndex, text: str) -> frozenset[int]:
    """The numbers of the people in ``index`` whom a text names, by their whole name or by its
    first word."""
    words = set(split_words(text))
    as_written = set(re.findall(r"[^\W\d_]+", text))
    named = set()
    for name, number in index.people.items():
        if not name.isascii() and any(map(is_unspaced, name)):
            # The words of such a name are single characters, which are parts of other words.
            if _matcher(name)(text):
                named.add(number)
            continue
        first = next(iter(split_words(name)), None)
        # "will you" does not name Will: a name that is a stop word counts only capitalized.
        if first in words and not (first in STOP_WORDS and first in as_written):
            named.add(number)
    return frozenset(named)


# The same people are searched for in every cue.
_matcher = lru_cache(maxsize=1024)(name_matcher)


def _name_terms(index: LexicalIndex, named: frozenset[int]) -> set[int]:
    names = [name for name, number in index.people.items() if number in named]
    return {term for name in names for term in index.query_terms(name)}


class BM25Scorer:
    """BM25 over the records in ``mask`` with, if ``neighbours`` are given, the words of the record
    before and after each as weighted fields (as in BM25F), so that an answer is found by the words
    of the question before it."""

    def __init__(self, index: LexicalIndex, mask: Mask, neighbours: Neighbours | None) -> None:
        self._index = index
        self._mask = mask
        self._total = int(mask.sum())
        own = np.where(mask, index.lengths(len(mask)), 0.0)
        self._lengths = own.copy()
        # (positions to which a record's words spread, weight): to the next record as its
        # predecessor, to the previous one as its successor.
        self._spread: tuple[tuple[Positions, float], ...] = ()
        if neighbours is not None:
            before, after = neighbours
            self._spread = ((after, PREVIOUS_RECORD_WEIGHT), (before, NEXT_RECORD_WEIGHT))
            self._lengths += PREVIOUS_RECORD_WEIGHT * np.where(before >= 0, own[before], 0.0)
            self._lengths += NEXT_RECORD_WEIGHT * np.where(after >= 0, own[after], 0.0)
        # Over the records in mask alone: a sum with zeros in between rounds differently.
        self._mean = float(self._lengths[mask].sum()) / max(1, self._total)

    def term_scores(self, terms: list[int]) -> Floats:
        """The sum over the query's terms, shape (count,)."""
        scores = np.zeros(len(self._mask))
        for term, times in Counter(term for term in terms if term >= 0).items():
            self._add_scores(scores, *self._index.postings(term, self._mask), times)
        return scores

    def phrase_scores(self, terms: list[int]) -> Floats:
        """The sum over pairs of successive terms, shape (count,)."""
        scores = np.zeros(len(self._mask))
        for pair, times in Counter(pair for pair in pairwise(terms) if min(pair) >= 0).items():
            self._add_scores(scores, *self._index.phrase(pair, self._mask), times)
        return scores

    def coverage(self, terms: list[int]) -> Floats:
        """The share of the query's terms, weighted by rarity, in a record and its neighbours, shape
        (count,), in [0, 1]; terms in no record count too."""
        covered = np.zeros(len(self._mask))
        for term in dict.fromkeys(terms):
            positions, _ = self._index.postings(term, self._mask)
            has_term = np.zeros(len(covered), np.bool_)
            has_term[positions] = True
            for side, _ in self._spread:
                targets = side[positions]
                has_term[targets[targets >= 0]] = True
            covered[has_term] += inverse_document_frequency(self._total, len(positions))
        return covered / (self.total_idf(terms) or 1.0)

    def total_idf(self, terms: list[int]) -> float:
        """The sum of the terms' inverse document frequencies, terms in no record included."""
        return sum(
            inverse_document_frequency(self._total, len(self._index.postings(term, self._mask)[0]))
            for term in dict.fromkeys(terms)
        )

    def _add_scores(self, scores: Floats, positions: Positions, counts: Floats, times: int) -> None:
        rarity = times * inverse_document_frequency(self._total, len(positions))
        targets, amounts = [positions], [counts]
        for side, weight in self._spread:
            spread = side[positions]
            exists = spread >= 0
            targets.append(spread[exists])
            amounts.append(weight * counts[exists])
        where, sums = _sum_by_position(
            np.concatenate(targets), np.concatenate(amounts), len(scores)
        )
        lengths = self._lengths[where]
        scores[where] += rarity * saturated_frequency(
            sums.astype(np.float64), lengths, self._mean, K1, B
        )


def _sum_by_position(positions: Positions, amounts: Floats, size: int) -> tuple[Positions, Floats]:
    """Each position once, ascending, and the sum of its amounts in the given order."""
    if 8 * len(positions) > size:  # A sum over all positions is cheaper than sorting these.
        sums = np.bincount(positions, weights=amounts, minlength=size).astype(np.float64)
        where = np.flatnonzero(sums)
        return where, sums[where]
    where, back = np.unique(positions, return_inverse=True)
    return where, np.bincount(back, weights=amounts, minlength=len(where)).astype(np.float64)


def query_words(index: LexicalIndex, cue: Cue) -> dict[str, int]:
    """The words of a cue with their numbers in the index (see ``LexicalIndex.term_id``)."""
    return {word: index.term_id(word) for word in split_words(cue.text)}


def explanation(
    match: HybridMatch, index: LexicalIndex, place: int, words: dict[str, int]
) -> dict[str, Any]:
    """The fields ``lexical`` and ``why`` of the hit at ``place`` among the candidates, for a cue
    with these words."""
    position = int(match.positions[place])
    highest = float(match.bm25.max())
    starts = index.starts.array
    own_terms = set(index.terms.array[starts[position] : starts[position + 1]].tolist())
    shared = [word for word, term in words.items() if term in own_terms]
    reasons = []
    if shared:
        reasons.append(f"words: {', '.join(shared)}")
    if match.cosine[place] > 0:
        reasons.append(f"meaning {match.cosine[place]:.2f}")
    if match.named and match.by_named_speaker[place]:
        names = {number: name for name, number in index.people.items()}
        reasons.append(f"said by {names[int(index.who.array[position])]}")
    if match.time_proximity[place] >= 0.5:
        reasons.append(f"near the time of '{match.times[0].matched_text}'")
    lexical = float(match.bm25[place]) / highest if highest > 0 else 0.0
    return {"lexical": lexical, "why": "; ".join(reasons)}
