"""An incremental index of the words of one agent's records: postings, neighbours, phrases; and
the parts of the BM25 formula."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...core.text import STOP_WORDS, split_words, stem
from .columns import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...core import Record

    Floats = NDArray[np.float64]
    Positions = NDArray[np.int64]
    Mask = NDArray[np.bool_]

INDEX_BATCH = 20_000
"""Records indexed at a time, which bounds the memory that this takes."""
_DAY_PREFIX = "\x00"
"""Prefix of a day's name where it stands in for an episode; no episode's name has it."""


class LexicalIndex:
    """Words, speakers and episodes of records, by position.

    Kept in RAM only and derived from the records alone: indexing them one by one gives the same as
    indexing all at once. Nothing is indexed before ``index_records`` is called, so recall without
    words costs nothing. A term is the number of a stemmed word; ``terms`` holds all records' terms
    in order (those of position i in ``starts[i]:starts[i + 1]``), and each term has postings: the
    positions of its records, with counts. ``previous`` and ``next`` are the positions of the
    neighbours in the same episode, -1 for none.
    """

    def __init__(self) -> None:
        self.vocabulary: dict[str, int] = {}
        self.terms = Column(np.int32)
        self.starts = Column(np.int64)
        self.starts.extend([0])
        self.who = Column(np.int32)
        self.people: dict[str, int] = {}
        self.episode = Column(np.int32)
        self.episodes: dict[str, int] = {}
        self.previous = Column(np.int64)
        self.next = Column(np.int64)
        self._episode_names: list[str] = []
        self._is_day = Column(np.bool_)
        self._last_in_episode: dict[int, int] = {}
        # The term of a word as written; -1 for a stop word.
        self._term_of_word: dict[str, int] = dict.fromkeys(STOP_WORDS, -1)
        self._positions: list[array[int]] = []
        self._counts: list[array[int]] = []

    def __len__(self) -> int:
        return len(self.who)

    def index_records(self, records: Sequence[Record], count: int) -> None:
        """Index those of the first ``count`` records that are not indexed yet."""
        while len(self) < count:
            start = len(self)
            self._add(records[start : min(count, start + INDEX_BATCH)])

    def _add(self, records: Sequence[Record]) -> None:
        first = len(self)
        term_lists = [self._terms_of(" ".join((*r.keys, r.text))) for r in records]
        sizes = np.array([len(terms) for terms in term_lists], np.int64)
        flat = np.array([term for terms in term_lists for term in terms], np.int64)
        self.starts.extend(self.starts.array[-1] + np.cumsum(sizes))
        self.terms.extend(flat)
        self.who.extend([self.people.setdefault(r.who, len(self.people)) for r in records])
        self._link_episodes(records, first)
        self._add_postings(flat, np.repeat(np.arange(first, first + len(records)), sizes))

    def _terms_of(self, text: str) -> list[int]:
        terms = []
        for word in split_words(text):
            term = self._term_of_word.get(word)
            if term is None:
                term = self._new_word(word)
            if term >= 0:
                terms.append(term)
        return terms

    def _new_word(self, word: str) -> int:
        term = self.vocabulary.setdefault(stem(word), len(self.vocabulary))
        if term == len(self._positions):
            self._positions.append(array("i"))
            self._counts.append(array("H"))
        self._term_of_word[word] = term
        return term

    def _link_episodes(self, records: Sequence[Record], first: int) -> None:
        names = [record.episode or f"{_DAY_PREFIX}{record.created:%Y-%m-%d}" for record in records]
        numbers = [self.episodes.setdefault(name, len(self.episodes)) for name in names]
        new = list(self.episodes)[len(self._episode_names) :]
        self._episode_names.extend(new)
        self._is_day.extend([name.startswith(_DAY_PREFIX) for name in new])
        self.episode.extend(numbers)
        self.next.extend([-1] * len(records))
        previous = []
        for position, (record, number) in enumerate(zip(records, numbers), first):
            before = self._last_in_episode.get(number, -1) if record.episode else -1
            previous.append(before)
            if before >= 0:
                self.next.array[before] = position
            if record.episode:
                self._last_in_episode[number] = position
        self.previous.extend(previous)

    def _add_postings(self, terms: Positions, positions: Positions) -> None:
        """Add postings of terms, each with its record's position; equal pairs are counted."""
        if not len(terms):
            return
        # One sort for all: by term, then by position.
        pairs, counts = np.unique((terms << 32) | positions, return_counts=True)
        sorted_terms, where = pairs >> 32, (pairs & 0xFFFFFFFF).astype(np.int32)
        counts = np.minimum(counts, 65_535).astype(np.uint16)
        edges = np.flatnonzero(np.diff(sorted_terms, prepend=-1))
        for start, stop in zip(edges.tolist(), [*edges[1:].tolist(), len(sorted_terms)]):
            term = int(sorted_terms[start])
            self._positions[term].frombytes(where[start:stop].tobytes())
            self._counts[term].frombytes(counts[start:stop].tobytes())

    # -- queries --------------------------------------------------------------------

    def term_id(self, word: str) -> int:
        """The term of a word from ``split_words``; -1 for a stop word or a word of no record."""
        return -1 if word in STOP_WORDS else self.vocabulary.get(stem(word), -1)

    def query_terms(self, text: str) -> list[int]:
        """The terms of a text, in order, without stop words; words of no record get numbers of
        their own below 0."""
        terms: list[int] = []
        unknown: dict[str, int] = {}
        for word in split_words(text):
            if word not in STOP_WORDS:
                root = stem(word)
                term = self.vocabulary.get(root)
                if term is None:
                    term = unknown.setdefault(root, -1 - len(unknown))
                terms.append(term)
        return terms

    def postings(self, term: int, mask: Mask) -> tuple[Positions, Floats]:
        """The positions in ``mask`` (shape (count,)) that contain the term, and how often."""
        if term < 0:
            return np.empty(0, np.int64), np.empty(0)
        positions = np.array(self._positions[term], np.int64)
        counts = np.array(self._counts[term], np.float64)
        positions = positions[: np.searchsorted(positions, len(mask))]
        selected = mask[positions]
        return positions[selected], counts[: len(positions)][selected]

    def phrase(self, pair: tuple[int, int], mask: Mask) -> tuple[Positions, Floats]:
        """The positions in ``mask`` where the two terms follow each other, and how often."""
        first, _ = self.postings(pair[0], mask)
        second, _ = self.postings(pair[1], mask)
        both = np.intersect1d(first, second, assume_unique=True)
        if not len(both):
            return both, np.empty(0)
        starts = self.starts.array
        sizes = starts[both + 1] - starts[both]
        ends = np.cumsum(sizes)
        owner = np.repeat(np.arange(len(both)), sizes)
        within = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
        terms = self.terms.array[starts[both][owner] + within]
        follows = (terms[:-1] == pair[0]) & (terms[1:] == pair[1]) & (owner[:-1] == owner[1:])
        counts = np.bincount(owner[:-1][follows], minlength=len(both)).astype(np.float64)
        return both[counts > 0], counts[counts > 0]

    def lengths(self, count: int) -> Floats:
        """The number of terms of each of the first ``count`` records."""
        lengths: Floats = np.diff(self.starts.array[: count + 1]).astype(np.float64)
        return lengths

    def neighbours(self, mask: Mask) -> tuple[Positions, Positions]:
        """The positions before and after each record among those of its episode in ``mask``, both
        of shape (count,); -1 for none."""
        count = len(mask)
        if mask.all():
            following = self.next.array[:count]
            return self.previous.array[:count], np.where(following < count, following, -1)
        before, after = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
        positions = np.flatnonzero(mask & ~self._is_day.array[self.episode.array[:count]])
        # Stable: within an episode they stay in the order in which they were written.
        positions = positions[np.argsort(self.episode.array[positions], kind="stable")]
        episodes = self.episode.array[positions]
        same = episodes[1:] == episodes[:-1]
        before[positions[1:][same]] = positions[:-1][same]
        after[positions[:-1][same]] = positions[1:][same]
        return before, after

    def episode_name(self, number: int) -> str:
        """The name of an episode's number; a day for records of no episode."""
        return self._episode_names[number].removeprefix(_DAY_PREFIX)


def inverse_document_frequency(total: int, matching: int) -> float:
    """The inverse document frequency of BM25 for a term in ``matching`` of ``total`` documents,
    never negative (as in Lucene).

    >>> inverse_document_frequency(10, 10) < inverse_document_frequency(10, 1)
    True
    """
    return float(np.log1p((total - matching + 0.5) / (matching + 0.5)))


def saturated_frequency(
    counts: Floats, lengths: Floats, mean: float, k1: float, b: float
) -> Floats:
    """The term frequency factor of BM25, below k1 + 1 (Robertson and Zaragoza 2009, section 3).

    >>> saturated = saturated_frequency(np.array([1.0]), np.array([5.0]), 5.0, 1.2, 0.75)
    >>> round(float(saturated[0]), 6)
    1.0
    """
    factor: Floats = counts * (k1 + 1) / (counts + k1 * (1 - b + b * lengths / (mean or 1.0)))
    return factor
