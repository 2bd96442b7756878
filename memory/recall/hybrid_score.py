"""How well each candidate matches a cue: by words, by meaning, by time, by who said it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core import is_unspaced, name_matcher
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
    Places = NDArray[np.int64]
    Flags = NDArray[np.bool_]

# Tuned on LoCoMo's conversations 1 and 2, where all of it lies on a plateau; docs/memory.md.
K1, B = 1.2, 0.3
PREVIOUS_RECORD_WEIGHT, NEXT_RECORD_WEIGHT = (
    0.7,
    0.3,
)  # what a neighbour's word counts beside the record's own
NEIGHBOUR_COSINE_WEIGHT = 0.25  # what a neighbour's cosine counts
PHRASE_WEIGHT = 0.5  # two words in the question's order, beside the words by themselves
DENSE_WEIGHT = 0.5  # of the fused score; the rest is words
TIME_WEIGHT, SPEAKER_WEIGHT = 0.3, 0.05  # added to it


@dataclass(frozen=True, slots=True)
class HybridMatch:
    """A cue held against candidates; arrays over ``places``, in their order.

    ``cosine`` is the record's own, ``context_cosine`` the one with its neighbours, ``words`` the
    BM25
    with theirs and with phrases. ``own_words`` is the BM25 of the record by itself without the
    names of people, as a share of the highest one possible, ``coverage`` the share of those words
    (each by its rarity) that the record and its neighbours hold. ``time_proximity`` is nearness to
    the
    time the cue speaks of (all 0: of none), ``by_named_speaker`` whether somebody whom the cue
    names said
    it (all True: it names nobody). ``fused`` is words and meaning, each min-max scaled, and
    ``score`` that with time and speaker.
    """

    places: Places
    cosine: Floats
    context_cosine: Floats
    bm25: Floats
    own_words: Floats
    coverage: Floats
    time_proximity: Floats
    by_named_speaker: Flags
    fused: Floats
    score: Floats
    query: tuple[int, ...]
    keep: Flags
    times: tuple[DateSpan, ...]
    named: frozenset[int]

    @property
    def has_time(self) -> bool:
        """Whether the cue speaks of a time."""
        return bool(self.times)


def match_candidates(
    shelf: MemoryIndex, places: Places, query: NDArray[np.float32] | None, cue: Cue, count: int
) -> HybridMatch:
    """Hold a cue against the candidates at ``places`` among the first ``count`` records.

    Only candidates are looked at, their neighbours and all counts of words included: what
    is no candidate (another person's, say) changes no score.
    """
    index = shelf.lexical
    index.index_records(shelf.records, count)
    keep = np.zeros(count, np.bool_)
    keep[places] = True
    around = index.neighbours(keep)
    words = index.query_terms(cue.text)
    # Only those who said a candidate: whether others are known here is no candidate's matter.
    named = named_people(index, cue.text) & set(np.unique(index.who.array[places]).tolist())
    scorer = BM25Scorer(index, keep, around)
    found = scorer.term_scores(words) + PHRASE_WEIGHT * scorer.phrase_scores(words)
    cosine = np.zeros(count)
    cosine[places] = shelf.cosines(places, query)
    meaning = cosine.copy()
    for near in around:
        meaning += NEIGHBOUR_COSINE_WEIGHT * np.where(near >= 0, cosine[near], 0.0)
    times = find_date_spans(cue.text, cue.at)
    close = time_proximity(shelf.created.array[places], times)
    said = np.isin(index.who.array[places], list(named)) if named else np.ones(len(places), bool)
    names = _name_terms(index, named)
    plain = [word for word in words if word not in names]
    most = (K1 + 1) * scorer.total_idf(plain)
    alone = BM25Scorer(index, keep, None).term_scores(plain) / (most or 1.0)
    fused = DENSE_WEIGHT * min_max_scale(meaning[places], 0.0) + (1 - DENSE_WEIGHT) * min_max_scale(
        found[places], 0.0
    )
    fit = fused + TIME_WEIGHT * close + SPEAKER_WEIGHT * (said & bool(named))
    return HybridMatch(
        places,
        cosine[places],
        meaning[places],
        found[places],
        alone[places],
        scorer.coverage(plain)[places],
        close,
        said,
        fused,
        fit,
        tuple(words),
        keep,
        times,
        named,
    )


def named_people(index: LexicalIndex, text: str) -> frozenset[int]:
    """Those who said or did something in memory and whom the text names, by their whole name
    or by the first of its words."""
    asked = set(split_words(text))
    written = set(re.findall(r"[^\W\d_]+", text))
    found = set()
    for name, number in index.people.items():
        if not name.isascii() and any(map(is_unspaced, name)):
            # Its single characters are words of all sorts.
            if _mention(name)(text):
                found.add(number)
            continue
        parts = split_words(name)
        # "will you" does not name Will: a name that is also such a word must be written large.
        if parts and parts[0] in asked and not (parts[0] in STOP_WORDS and parts[0] in written):
            found.add(number)
    return frozenset(found)


# The same people are looked for in every cue.
_mention = lru_cache(maxsize=1024)(name_matcher)


def _name_terms(index: LexicalIndex, named: frozenset[int]) -> set[int]:
    names = [name for name, number in index.people.items() if number in named]
    return {number for name in names for number in index.query_terms(name)}


class BM25Scorer:
    """BM25 over the records in ``keep``, and over those before and after each of them.

    A neighbour's words count as a weighted field of the record (as in BM25F), so that an
    answer is found by the words of the question before it.
    """

    def __init__(
        self, index: LexicalIndex, keep: Flags, around: tuple[Places, Places] | None
    ) -> None:
        self._index = index
        self._keep = keep
        self._total = int(keep.sum())
        # (neighbours, what their words count): a word of the one before counts BEFORE.
        self._around = (
            ()
            if around is None
            else ((around[1], PREVIOUS_RECORD_WEIGHT), (around[0], NEXT_RECORD_WEIGHT))
        )
        own = np.where(keep, index.lengths(len(keep)), 0.0)
        self._lengths = own.copy()
        if around is not None:
            self._lengths += PREVIOUS_RECORD_WEIGHT * np.where(around[0] >= 0, own[around[0]], 0.0)
            self._lengths += NEXT_RECORD_WEIGHT * np.where(around[1] >= 0, own[around[1]], 0.0)
        # Over those in keep alone, as sums round by where zeros stand between.
        self._mean = float(self._lengths[keep].sum()) / max(1, self._total)

    def term_scores(self, query: list[int]) -> Floats:
        """The sum over the query's words, shape (count,)."""
        asked = Counter(word for word in query if word >= 0)
        found = np.zeros(len(self._keep))
        for word, times in asked.items():
            self._add_scores(found, *self._index.postings(word, self._keep), times)
        return found

    def phrase_scores(self, query: list[int]) -> Floats:
        """The sum over pairs of words in the query's order, shape (count,)."""
        pairs = Counter(pair for pair in pairwise(query) if min(pair) >= 0)
        found = np.zeros(len(self._keep))
        for pair, times in pairs.items():
            self._add_scores(found, *self._index.phrase(pair, self._keep), times)
        return found

    def coverage(self, query: list[int]) -> Floats:
        """The share of the query's words, each by its rarity, that a record and its
        neighbours hold, shape (count,), in [0, 1]; words that no record holds count too."""
        found = np.zeros(len(self._keep))
        for word in dict.fromkeys(query):
            places, _ = self._index.postings(word, self._keep)
            rarity = inverse_document_frequency(self._total, len(places))
            held = np.zeros(len(found), np.bool_)
            held[places] = True
            for near, _ in self._around:
                to = near[places]
                held[to[to >= 0]] = True
            found[held] += rarity
        return found / (self.total_idf(query) or 1.0)

    def total_idf(self, query: list[int]) -> float:
        """The rarities of the query's words together, those that no record holds included."""
        return sum(
            inverse_document_frequency(self._total, len(self._index.postings(word, self._keep)[0]))
            for word in dict.fromkeys(query)
        )

    def _add_scores(self, found: Floats, places: Places, counts: Floats, times: int) -> None:
        rarity = times * inverse_document_frequency(self._total, len(places))
        at, amount = [places], [counts]
        for near, part in self._around:
            to = near[places]
            there = to >= 0
            at.append(to[there])
            amount.append(part * counts[there])
        where, sums = _sum_by_position(np.concatenate(at), np.concatenate(amount), len(found))
        found[where] += rarity * saturated_frequency(
            sums.astype(np.float64), self._lengths[where], self._mean, K1, B
        )


def _sum_by_position(places: Places, amounts: Floats, size: int) -> tuple[Places, Floats]:
    """Each place once, in order, and its amounts together, summed in the given order."""
    if 8 * len(places) > size:  # a sum over all places is cheaper than sorting these
        sums = np.bincount(places, weights=amounts, minlength=size).astype(np.float64)
        there = np.flatnonzero(sums)
        return there, sums[there]
    where, back = np.unique(places, return_inverse=True)
    return where, np.bincount(back, weights=amounts, minlength=len(where)).astype(np.float64)


def query_words(index: LexicalIndex, cue: Cue) -> dict[str, int]:
    """The words of a cue by their numbers in the index; see ``LexicalIndex.term_id``."""
    return {word: index.term_id(word) for word in split_words(cue.text)}


def explanation(
    found: HybridMatch, index: LexicalIndex, place: int, asked: dict[str, int]
) -> dict[str, Any]:
    """``lexical`` and ``why`` of the hit at a place among the candidates, for a cue that has the
    words ``asked``."""
    number = int(found.places[place])
    high = float(found.bm25.max())
    starts = index.starts.array
    own = set(index.terms.array[starts[number] : starts[number + 1]].tolist())
    shared = [word for word, known in asked.items() if known in own]
    reasons = []
    if shared:
        reasons.append(f"words: {', '.join(shared)}")
    if found.cosine[place] > 0:
        reasons.append(f"meaning {found.cosine[place]:.2f}")
    if found.named and found.by_named_speaker[place]:
        names = {number: name for name, number in index.people.items()}
        reasons.append(f"said by {names[int(index.who.array[number])]}")
    if found.time_proximity[place] >= 0.5:
        reasons.append(f"near the time of '{found.times[0].matched_text}'")
    lexical = float(found.bm25[place]) / high if high > 0 else 0.0
    return {"lexical": lexical, "why": "; ".join(reasons)}
