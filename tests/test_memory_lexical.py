"""The incremental BM25: its formula, its increments, its phrases and its neighbours."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

import numpy as np
import pytest
from denizens.core import Cue, Record
from denizens.core.text import split_words, terms
from denizens.memory import Memory
from denizens.memory.index import LexicalIndex
from denizens.memory.recall.hybrid_score import (
    K1,
    NEXT_RECORD_WEIGHT,
    PREVIOUS_RECORD_WEIGHT,
    B,
    BM25Scorer,
    named_people,
)
from hypothesis import given, settings
from hypothesis import strategies as st

TEN = datetime(2023, 2, 13, 10)
WORDS = ["bread", "rye", "loaf", "ada", "baking", "the", "oven", "river"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), max_size=12)


def made(texts: list[str], episodes: list[str] | None = None) -> list[Record]:
    """Records of these texts, each in its episode."""
    return [
        Record(
            id=n,
            kind="utterance",
            text=text,
            created=TEN,
            episode=episodes[n - 1] if episodes else "one",
        )
        for n, text in enumerate(texts, 1)
    ]


def read(records: list[Record]) -> LexicalIndex:
    """An index of these records."""
    index = LexicalIndex()
    index.index_records(records, len(records))
    return index


def scores(index: LexicalIndex, text: str, keep: np.ndarray | None = None) -> np.ndarray:
    """BM25 of the records by themselves."""
    keep = np.ones(len(index), bool) if keep is None else keep
    return BM25Scorer(index, keep, None).term_scores(index.query_terms(text))


def test_words() -> None:
    """Capitals, possessives and punctuation go; stop words are no terms; plurals meet."""
    assert split_words("Ada's LOAVES, 2 of them!") == ["ada", "loaves", "2", "of", "them"]
    assert terms("The adoption agencies") == terms("adopt an agency") == ["adopt", "agenc"]
    assert terms("of the and") == []


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_words_are_runs_of_letters_and_digits(text: str) -> None:
    """English keeps its words: but for a word cut at a line's end, ASCII text is its runs of
    letters and digits in lower case."""
    if not re.search(r"[A-Za-z]-[ \t]*\r?[ \n]", text):
        assert split_words(text) == re.findall(r"[^\W_]+", text.lower().replace("'s", ""))


FORMS = [
    ("The caf\u00e9 opens at nine", "cafe\u0301"),
    ("The \ufb01re of\ufb01ce is red", "fire office"),
    ("\uff21\uff22\uff23 shop", "ABC"),
    ("We met in the gar- den", "garden"),
    ("We met in the gar-\nden", "garden"),
    ("A well-\nknown baker", "known"),
    ("Stra\u00dfe 5", "STRASSE"),
    ("The co\u00adop\u200b shop", "coop"),
    ("\u0130stanbul was warm", "istanbul"),
    ("Я вижу чёрную кошку", "кошка"),
    ("제 고양이의 이름은 눈송이", "고양이"),
    ("我的猫叫雪球。", "猫"),
    ("แมวของฉันชื่อมะลิ", "แมว"),
    ("The bill came to \u0663 \u20ac \U0001f431", "\U0001f431"),
]


@pytest.mark.parametrize(("text", "asked"), FORMS)
def test_words_meet_in_every_form_and_script(text: str, asked: str) -> None:
    """Composed or not, ligatures, full width, a cut word, scripts without blanks: what reads
    as the same word is found by words alone."""
    memory = Memory(":memory:", "Bo", rules="hybrid")
    for other in ("Nothing to see", text, "他去了公园。", "Дом стоит"):
        memory.remember(other, at=TEN)
    hit = memory.recall(Cue(text=asked, at=TEN, limit=1))[0]
    assert (hit.record.text, hit.lexical) == (text, 1.0)


def test_recall_in_chinese() -> None:
    """Questions without blanks find the line that answers them, and a name without blanks is
    a person, not its characters."""
    memory = Memory(":memory:", "Bo", rules="hybrid")
    told = {
        "我的猫叫什么名字？": "我的猫叫雪球。",
        "我对什么过敏？": "我对花生过敏。",
        "我在哪里工作？": "我在北京的一家银行工作。",
        "我哥哥住在哪里？": "我哥哥住在上海。",
    }
    for line in told.values():
        memory.remember(f'小李 said to Bo: "{line}"', at=TEN, who="小李", kind="utterance")
    for asked, line in told.items():
        assert line in memory.recall(Cue(text=asked, at=TEN, limit=1))[0].record.text
    index = read([replace(record, who="小李") for record in made(["我不吃肉。"])])
    assert named_people(index, "小李吃什么？") == {0}
    assert named_people(index, "小猫吃什么？") == frozenset()


def test_bm25_worked_by_hand() -> None:
    """Of 2 records of 1 and 3 words, "rye" in the second twice: idf ln(1 + 1.5 / 1.5) = ln 2,
    length 3 over mean 2, tf 2 * 2.2 / (2 + 1.2 * (0.7 + 0.3 * 1.5))."""
    index = read(made(["bread", "rye rye loaf"]))
    found = scores(index, "Rye?")
    assert found[0] == 0
    assert found[1] == pytest.approx(math.log(2) * 2 * 2.2 / (2 + 1.2 * (0.7 + 0.3 * 1.5)))


@given(texts=TEXTS.filter(bool), query=st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join))
@settings(max_examples=60, deadline=None)
def test_bm25_is_the_textbook_one(texts: list[str], query: str) -> None:
    """Any texts and query score as a plain reading of the formula does."""
    docs = [terms(text) for text in texts]
    mean = sum(map(len, docs)) / len(docs) or 1.0
    expected = []
    for doc in docs:
        total = 0.0
        for word, times in Counter(terms(query)).items():
            having = sum(word in other for other in docs)
            idf = math.log(1 + (len(docs) - having + 0.5) / (having + 0.5))
            tf = doc.count(word)
            total += times * idf * tf * (K1 + 1) / (tf + K1 * (1 - B + B * len(doc) / mean))
        expected.append(total)
    assert scores(read(made(texts)), query) == pytest.approx(expected)


@given(texts=TEXTS, cut=st.integers(0, 12), query=st.sampled_from(WORDS))
@settings(max_examples=60, deadline=None)
def test_rebuilt_equals_incremental(texts: list[str], cut: int, query: str) -> None:
    """Read in two steps, one by one or at once: equal to the bit."""
    records = made(texts, [f"e{n % 3}" for n in range(len(texts))])
    at_once, in_steps, singly = read(records), LexicalIndex(), LexicalIndex()
    in_steps.index_records(records, min(cut, len(records)))
    in_steps.index_records(records, len(records))
    for n in range(len(records)):
        singly.index_records(records, n + 1)
    for other in (in_steps, singly):
        assert np.array_equal(scores(at_once, query), scores(other, query))
        assert at_once.vocabulary == other.vocabulary
        for column in ("terms", "starts", "previous", "next", "episode"):
            assert np.array_equal(getattr(at_once, column).array, getattr(other, column).array)


@given(texts=TEXTS.filter(bool), keep=st.data())
@settings(max_examples=60, deadline=None)
def test_only_candidates_count(texts: list[str], keep: st.DataObject) -> None:
    """Scores over some of the records, neighbours and phrases included, are those of an index
    that never saw the others: what is private leaves no trace in numbers."""
    flags = keep.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts)))
    # Neighbours are neighbours in the whole episode, so each record gets its own here.
    records = made(texts, [f"e{n}" for n in range(len(texts))])
    some = [r for r, flag in zip(records, flags, strict=True) if flag]
    alone = read([replace(r, id=n) for n, r in enumerate(some, 1)])
    whole, mask = read(records), np.array(flags, bool)
    for text in ("ada baking bread", "rye loaf"):
        expected = scores(alone, text)
        assert np.array_equal(scores(whole, text, mask)[mask], expected)
        assert not scores(whole, text, mask)[~mask].any()


@given(texts=TEXTS.filter(bool), pair=st.lists(st.sampled_from(WORDS[:5]), min_size=2, max_size=2))
@settings(max_examples=60, deadline=None)
def test_phrases_are_words_in_order(texts: list[str], pair: list[str]) -> None:
    """A phrase is counted where its two words follow each other (stop words left out)."""
    index = read(made(texts))
    first, second = index.query_terms(" ".join(pair))
    if min(first, second) < 0:
        return
    places, counts = index.phrase((first, second), np.ones(len(index), bool))
    wanted = tuple(terms(" ".join(pair)))
    expected = [sum(two == wanted for two in pairwise(terms(text))) for text in texts]
    found = np.zeros(len(texts))
    found[places] = counts
    assert found.tolist() == expected


def test_neighbours_lend_their_words() -> None:
    """A word of the record before counts BEFORE, of the one after AFTER, and none across
    episodes or from a record that is no candidate."""
    records = made(["river", "loaf", "oven", "bread"], ["a", "a", "a", "b"])
    index = read(records)
    keep = np.ones(4, bool)
    scorer = BM25Scorer(index, keep, index.neighbours(keep))
    near = scorer.term_scores(index.query_terms("loaf"))
    assert near[3] == 0
    assert near[1] > near[2] > near[0] > 0
    assert PREVIOUS_RECORD_WEIGHT > NEXT_RECORD_WEIGHT
    keep[1] = False
    assert (
        not BM25Scorer(index, keep, index.neighbours(keep))
        .term_scores(index.query_terms("loaf"))
        .any()
    )


def test_interleaved_episodes_keep_apart() -> None:
    """The neighbours of a record are those of its own episode, whoever wrote in between."""
    index = read(made(["a1", "b1", "a2", "b2"], ["a", "b", "a", "b"]))
    earlier, later = index.neighbours(np.ones(4, bool))
    assert earlier.tolist() == [-1, -1, 0, 1]
    assert later.tolist() == [2, 3, -1, -1]


def test_records_of_no_episode_have_no_neighbours() -> None:
    """What is of no episode goes by days as a group, but nothing is next to it."""
    index = read(made(["x", "y"], ["", ""]))
    assert index.neighbours(np.ones(2, bool))[0].tolist() == [-1, -1]
    assert index.episode_name(0) == "2023-02-13"


def test_cover_counts_unknown_words() -> None:
    """The share covered is 1 where all the words are, and falls with a word nobody knows."""
    index = read(made(["rye loaf", "oven"]))
    keep = np.ones(2, bool)
    scorer = BM25Scorer(index, keep, None)
    assert scorer.coverage(index.query_terms("a loaf of rye")).tolist() == [1.0, 0.0]
    assert 0 < scorer.coverage(index.query_terms("rye dragon"))[0] < 0.5


def test_lazy() -> None:
    """An agent that never asks for words has no index of them."""
    memory = Memory(":memory:", "Bo")
    memory.remember("Ada asked for rye", at=TEN)
    memory.recall(Cue(text="rye", at=TEN))
    assert memory.index._lexical is None
    memory.recall(Cue(text="rye", at=TEN, rules="hybrid"))
    assert len(memory.index.lexical) == 1


def test_earlier_view_counts_what_was_there() -> None:
    """A view as of a step scores as the memory did then, though more was read since."""
    memory = Memory(":memory:", "Bo", rules="hybrid")
    records = made(["rye loaf", "oven", "rye rye"], ["a", "a", "a"])
    memory.add(records[:2], step=1)
    cue = Cue(text="who has rye in an oven?", at=TEN)
    then = memory.recall(cue)
    memory.add(records[2:], step=2)
    assert memory.recall(cue) != then
    assert memory.as_of(1).recall(cue) == then


def test_fast_enough() -> None:
    """Texts of some twenty words are read at 20,000 a second or more."""
    text = "Ada asked in the bakery for {} loaves of rye bread and told Bo about the river {}"
    records = made([text.format(n, n % 7) for n in range(5000)])
    best = 0.0
    for _ in range(3):
        began = time.process_time()
        read(records)
        best = max(best, len(records) / (time.process_time() - began))
    assert best > 20_000
