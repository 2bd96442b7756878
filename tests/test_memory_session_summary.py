"""Summaries of the older lines of a session, with the records that they rest on."""

from __future__ import annotations

from datetime import datetime

from denizens.core import Utterance
from denizens.memory import summarize_lines
from denizens.memory.extractive_summary import _block_summary

NINE = datetime(2023, 2, 13, 9)


def lines(count: int) -> list[tuple[Utterance, tuple[int, ...]]]:
    """Lines of Ada and Bo in turns, each with a record."""
    texts = ["I bake rye. It rains.", "Rye is good.", "My sister lives in Porto.", "I see."]
    return [
        (Utterance(("Ada", "Bo")[n % 2], f"{texts[n % 4]} Day {n}.", NINE), (n + 1,))
        for n in range(count)
    ]


def test_each_sentence_names_the_records_of_its_line() -> None:
    """Every sentence of a summary was said in a line whose records it names."""
    said = lines(40)
    summary = summarize_lines(said, limit=5)
    assert len(summary.sentences) == 5
    for sentence in summary.sentences:
        assert sentence.records
        for number in sentence.records:
            line, _ = said[number - 1]
            assert sentence.text in line.text
            assert sentence.who == line.who
    assert summary.records == tuple(sorted({n for s in summary.sentences for n in s.records}))
    assert summarize_lines(said, limit=5) == summary


def test_a_sentence_said_twice_rests_on_both_lines() -> None:
    """The same words of one person are one sentence with the records of both lines."""
    said = [(Utterance("Ada", "I bake rye.", NINE), (n,)) for n in (3, 8)]
    (sentence,) = summarize_lines(said).sentences
    assert sentence.records == (3, 8)
    assert summarize_lines(said).text == 'Ada: "I bake rye."'
    assert summarize_lines([]).text == ""


def test_a_longer_session_computes_its_last_block_only() -> None:
    """Blocks that are complete are kept: four more lines compute one block."""
    said = lines(64)
    summarize_lines(said)
    before = _block_summary.cache_info().misses
    summarize_lines(lines(68))
    assert _block_summary.cache_info().misses == before + 1
