"""Texts made to take for ever: every rule and reader that sees foreign text is linear."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from denizens.core import Record, count_words, normalize, sentences, words
from denizens.core.text import name_key, terms
from denizens.memory.extractive_summary import central_sentences, is_grounded_summary
from denizens.memory.facts import question_subject
from denizens.memory.facts.extracted_facts import attributed_line
from denizens.memory.facts.model_extraction import candidate_objects as objects
from denizens.memory.facts.model_extraction import candidate_subjects
from denizens.memory.facts.rule_extraction import extract_facts
from denizens.memory.facts.temporal_qa import question_date
from denizens.memory.index import find_date_spans
from denizens.readers import html_blocks, split_passages
from denizens.readers.file_reader import READERS

NOW = datetime(2023, 6, 14)
SIZE = 3_000
UNITS = [
    *"A<#|*(-`~>\"'1 .,_=[\n\t\u0301\u201c猫é",
    "- ", "# ", "> ", "a\n=\n", "|a", "|-", "* a\n", "1. ", "``", "a- ", "A ", "I ", "</", "<!",
    "<a ",
    "&#", "I live in ", "I like a, ", "Ada and ", '"I ', "said ", "May ", "3 ", "in May ", "when, ",
    "a\u0301", "\r\n", "\n ", " \n", "\\|", "1,", ":-", "and I ", ", I ", "of the ", "A' ",
]  # fmt: skip
EDGES = [
    ("", ""),
    ("# a", "b\n\nText.\n"),
    ("I live in ", "!"),
    ("|a|b|\n|-|-|\n|", "|"),
    ("- ", "x"),
]


def lines(text: str) -> Record:
    """A line that Ada said."""
    return Record(id=1, kind="utterance", text=f'Ada said to Bo: "{text}"', created=NOW)


def document(ending: str) -> Callable[[str], object]:
    """Reads and cuts a document of that kind."""
    return lambda text: list(split_passages(READERS[ending](text.encode(), Path("x" + ending))))


READ: dict[str, Callable[[str], object]] = {
    "claims": lambda text: extract_facts(lines(text)),
    "claims of a plain text": lambda text: extract_facts(
        Record(id=1, kind="thought", text=text, created=NOW)
    ),
    "subjects": lambda text: candidate_subjects(attributed_line(lines(text))),
    "objects": lambda text: objects(attributed_line(lines(text))),
    "names": name_key,
    "asked name": question_subject,
    "asked day": question_date,
    "times": lambda text: find_date_spans(text, NOW),
    "text": document(".txt"),
    "markdown": document(".md"),
    "page": html_blocks,
    "summary": lambda text: central_sentences([text]),
    "told only": lambda text: is_grounded_summary(text, [text]),
    "terms": terms,
    "words": words,
    "count": count_words,
    "sentences": sentences,
    "normal form": normalize,
}


def seconds(read: Callable[[str], object], text: str) -> float:
    """Processor time of one reading."""
    begin = time.process_time()
    read(text)
    return time.process_time() - begin


@pytest.mark.parametrize("name", READ)
def test_time_grows_with_the_length(name: str) -> None:
    """3 kB of any hostile shape are read in a moment; where it is not that short, eight times
    the text takes no more than 24 times as long (a square would be 64)."""
    edges = EDGES if name in ("markdown", "claims") else EDGES[:1]
    for unit in UNITS:
        for before, after in edges:
            text = f"{before}{unit * (SIZE // len(unit))}{after}"
            short = seconds(READ[name], text)
            if short > 0.1:
                longer = f"{before}{unit * (8 * SIZE // len(unit))}{after}"
                assert seconds(READ[name], longer) < 24 * short, (name, unit, before)
            assert short < 5, (name, unit, before)
