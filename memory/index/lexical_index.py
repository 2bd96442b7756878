"""An incremental BM25 over one agent's records, with their neighbours and their phrases."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...core.text import STOP_WORDS, split_words, stem
from .growable_arrays import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...core import Record

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]
    Flags = NDArray[np.bool_]

INDEX_BATCH = 20_000  # records read at a time: bounds what reading a large memory takes besides


class LexicalIndex:
    """Words, speakers and episodes of records, counted as they come; place i holds record
    i + 1.

    Kept in memory only and derived from the records alone, so reading them one by one gives
    what reading them all at once gives. Nothing is read before ``index_records`` is called: an
    agent
    whose recall needs no words pays nothing. Words are numbers, a record's words are a run
    of them, and each word has a list of the records it is in.
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
        self._names: list[str] = []
        self._day = Column(np.bool_)
        # The record before and after each one in its episode, -1 where there is none.
        self.previous = Column(np.int64)
        self.next = Column(np.int64)
        self._latest: dict[int, int] = {}
        # A word as it is written: the number of its stem, -1 for a stop word.
        self._forms: dict[str, int] = dict.fromkeys(STOP_WORDS, -1)
        self._places: list[array[int]] = []
        self._counts: list[array[int]] = []

    def __len__(self) -> int:
        return len(self.who)

    def index_records(self, records: Sequence[Record], count: int) -> None:
        """Read the records up to ``count`` that were not read yet."""
        while len(self) < count:
            start = len(self)
            self._add(records[start : min(count, start + INDEX_BATCH)])

    def _add(self, records: Sequence[Record]) -> None:
        first = len(self)
        runs = [self._term_ids(record.text) for record in records]
        sizes = np.array([len(run) for run in runs], np.int64)
        flat = np.array([number for run in runs for number in run], np.int64)
        self.starts.extend((self.starts.array[-1] + np.cumsum(sizes)).tolist())
        self.terms.extend([number for run in runs for number in run])
        self.who.extend([self.people.setdefault(r.who, len(self.people)) for r in records])
        self._link_episodes(records, first)
        self._add_postings(flat, np.repeat(np.arange(first, first + len(records)), sizes))

    def _term_ids(self, text: str) -> list[int]:
        run = []
        for word in split_words(text):
            number = self._forms.get(word)
            if number is None:
                number = self._term_id(word)
            if number >= 0:
                run.append(number)
        return run

    def _term_id(self, word: str) -> int:
        number = self.vocabulary.setdefault(stem(word), len(self.vocabulary))
        if number == len(self._places):
            self._places.append(array("i"))
            self._counts.append(array("H"))
        self._forms[word] = number
        return number

    def _link_episodes(self, records: Sequence[Record], first: int) -> None:
        names = [record.episode or f"{_DAY_PREFIX}{record.created:%Y-%m-%d}" for record in records]
        numbers = [self.episodes.setdefault(name, len(self.episodes)) for name in names]
        new = list(self.episodes)[len(self._names) :]
        self._names.extend(new)
        self._day.extend([name.startswith(_DAY_PREFIX) for name in new])
        self.episode.extend(numbers)
        self.next.extend([-1] * len(records))
        earlier = []
        for place, (record, number) in enumerate(zip(records, numbers), first):
            before = self._latest.get(number, -1) if record.episode else -1
            earlier.append(before)
            if before >= 0:
                self.next.array[before] = place
            if record.episode:
                self._latest[number] = place
        self.previous.extend(earlier)

    def _add_postings(self, flat: Places, owners: Places) -> None:
        if not len(flat):
            return
        # One sort for all: by word, then by record; equal pairs are counted.
        pairs, counts = np.unique((flat << 32) | owners, return_counts=True)
        numbers, places = pairs >> 32, (pairs & 0xFFFFFFFF).astype(np.int32)
        counts = np.minimum(counts, 65_535).astype(np.uint16)
        edges = np.flatnonzero(np.diff(numbers, prepend=-1))
        for start, stop in zip(edges.tolist(), [*edges[1:].tolist(), len(numbers)]):
            number = int(numbers[start])
            self._places[number].frombytes(places[start:stop].tobytes())
            self._counts[number].frombytes(counts[start:stop].tobytes())

    # -- reading it -----------------------------------------------------------------

    def term_id(self, word: str) -> int:
        """The number of a word that ``split_words`` gives; -1 for a stop word or one no record
        has."""
        return -1 if word in STOP_WORDS else self.vocabulary.get(stem(word), -1)

    def query_terms(self, text: str) -> list[int]:
        """The numbers of a text's words, in order; words that no record has get numbers of
        their own below 0."""
        found: list[int] = []
        unknown: dict[str, int] = {}
        for word in split_words(text):
            if word not in STOP_WORDS:
                root = stem(word)
                number = self.vocabulary.get(root)
                if number is None:
                    number = unknown.setdefault(root, -1 - len(unknown))
                found.append(number)
        return found

    def postings(self, number: int, keep: Flags) -> tuple[Places, Floats]:
        """The places in ``keep`` (shape (count,)) that hold the word, and how often."""
        if number < 0:
            return np.empty(0, np.int64), np.empty(0)
        places = np.array(self._places[number], np.int64)
        counts = np.array(self._counts[number], np.float64)
        places = places[: np.searchsorted(places, len(keep))]
        kept = keep[places]
        return places[kept], counts[: len(places)][kept]

    def phrase(self, pair: tuple[int, int], keep: Flags) -> tuple[Places, Floats]:
        """The places in ``keep`` where the two words follow each other, and how often."""
        first, _ = self.postings(pair[0], keep)
        second, _ = self.postings(pair[1], keep)
        both = np.intersect1d(first, second, assume_unique=True)
        if not len(both):
            return both, np.empty(0)
        starts = self.starts.array
        sizes = starts[both + 1] - starts[both]
        ends = np.cumsum(sizes)
        owner = np.repeat(np.arange(len(both)), sizes)
        within = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
        run = self.terms.array[starts[both][owner] + within]
        follows = (run[:-1] == pair[0]) & (run[1:] == pair[1]) & (owner[:-1] == owner[1:])
        counts = np.bincount(owner[:-1][follows], minlength=len(both)).astype(np.float64)
        return both[counts > 0], counts[counts > 0]

    def lengths(self, count: int) -> Floats:
        """Words of each of the first ``count`` records."""
        found: Floats = np.diff(self.starts.array[: count + 1]).astype(np.float64)
        return found

    def neighbours(self, keep: Flags) -> tuple[Places, Places]:
        """The place before and after each record among those of its episode in ``keep``,
        shape (count,) both; -1 where there is none."""
        count = len(keep)
        if keep.all():
            earlier, later = self.previous.array[:count], self.next.array[:count]
            return earlier, np.where(later < count, later, -1)
        earlier, later = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
        places = np.flatnonzero(keep & ~self._day.array[self.episode.array[:count]])
        # Stable: within an episode they stay in order of writing.
        places = places[np.argsort(self.episode.array[places], kind="stable")]
        episodes = self.episode.array[places]
        same = episodes[1:] == episodes[:-1]
        earlier[places[1:][same]] = places[:-1][same]
        later[places[:-1][same]] = places[1:][same]
        return earlier, later

    def episode_name(self, number: int) -> str:
        """What an episode's number stands for; a day for records of no episode."""
        return self._names[number].removeprefix(_DAY_PREFIX)


# Before the name of a day that stands in for an episode; no episode a person names has it.
_DAY_PREFIX = "\x00"


def inverse_document_frequency(total: int, having: int) -> float:
    """BM25's inverse document frequency, never negative (as in Lucene).

    >>> inverse_document_frequency(10, 10) < inverse_document_frequency(10, 1)
    True
    """
    return float(np.log1p((total - having + 0.5) / (having + 0.5)))


def saturated_frequency(
    counts: Floats, lengths: Floats, mean: float, k1: float, b: float
) -> Floats:
    """BM25's term frequency part, below k1 + 1 (Robertson and Zaragoza 2009, section 3).

    >>> round(float(saturated_frequency(np.array([1.0]), np.array([5.0]), 5.0, 1.2, 0.75)[0]), 6)
    1.0
    """
    part: Floats = counts * (k1 + 1) / (counts + k1 * (1 - b + b * lengths / (mean or 1.0)))
    return part
