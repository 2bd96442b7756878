"""Erasing by name: every way in which a name is written, and nobody else's words."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from denizens import Memory, Record
from denizens.core import MemoryFault
from denizens.memory.erasure import erase_person
from denizens.memory.erasure.person_erasure import ErasureReport
from denizens.memory.storage import PersonMatcher

NOON = datetime(2026, 5, 2, 12)


def forgotten(path: Path, person: str, *lines: str) -> tuple[ErasureReport, list[str]]:
    """What came of forgetting somebody whom Cem's lines name, and what is left."""
    memory = Memory(path, "Bo")
    for line in lines:
        memory.remember(line, at=NOON, who="Cem")
    memory.close()
    done = erase_person(path, person, now=NOON, mentions=True)
    memory = Memory(path, "Bo")
    texts = [record.text for record in memory.records()]
    memory.close()
    return done, texts


@pytest.mark.parametrize(
    ("person", "line"),
    [
        ("O'Hara", "I met O\u2019Hara at the pier."),
        ("O\u2019Hara", "O'HARA sang."),
        ("Jean-Luc", "Jean\u2011Luc cooked."),
        ("محمد", "مُحَمَّد جاء"),
        ("Σωκράτης", "ΣΩΚΡΑΤΗΣ ήρθε"),
        ("Rose", "We met Rose there."),
        ("明", "「明」: hello"),
        ("Mary Ann", "Mary-Ann ran"),
        ("محمد", "ومحمد جاء"),
    ],
)
def test_a_name_is_erased_however_it_is_typed(tmp_path: Path, person: str, line: str) -> None:
    """Apostrophes, hyphens, vowel signs and capitals do not make another name."""
    done, texts = forgotten(tmp_path / "bo.db", person, line)
    assert not texts
    assert done.records == {"Bo": 1}
    assert not done.found


@pytest.mark.parametrize(
    ("person", "line"),
    [
        ("Ada Lund", "Lund, Ada"),
        ("Ada Lund", "Write to ada.lund@x.org"),
        ("Ada Lund", "AdaLund posted"),
        ("Владимир", "Я видел Владимира"),
        ("José", "Jose lives in Vigo"),
        ("Rose", "prices rose"),
        ("Mark", "mark the date"),
        ("明", "明天下雨。"),
        ("王", "国王来了"),
    ],
)
def test_what_may_be_another_word_is_kept_and_told(tmp_path: Path, person: str, line: str) -> None:
    """A form that may be another word or another person is not erased, and not passed over in
    silence."""
    done, texts = forgotten(tmp_path / "bo.db", person, line)
    assert texts == [line]
    assert (done.records, done.named, done.unclear, done.found) == ({"Bo": 0}, 0, 1, 0)


@pytest.mark.parametrize(
    ("person", "line"),
    [("Ann", "Anna sang"), ("Al", "Alan came"), ("Rose", "It rained"), ("Maria", "a marian hymn")],
)
def test_other_names_and_words_are_no_doubt(person: str, line: str) -> None:
    """What only begins like a name neither goes nor counts as unclear."""
    assert not PersonMatcher(person).is_named_in(line)
    assert not PersonMatcher(person).may_be_named_in(line)


def test_a_known_other_is_no_inflection() -> None:
    """Mariam is no form of Maria where somebody is called Mariam."""
    assert PersonMatcher("Maria").may_be_named_in("Mariam came")
    assert not PersonMatcher("Maria", ("Mariam",)).may_be_named_in("Mariam came")


@pytest.mark.parametrize("person", ["Al", "Eve", "李"])
def test_a_short_name_is_not_found_in_embeddings(tmp_path: Path, person: str) -> None:
    """The proof does not count bytes of embeddings that spell a short name by chance."""
    path, rng = tmp_path / "bo.db", np.random.default_rng(3)
    rows = rng.standard_normal((1000, 384)).astype("<f4")
    raw = b".".join([b"", person.encode(), person.encode("utf-16-le"), b""])
    raw = raw.ljust(16, b".")
    rows[0][200:204] = np.frombuffer(raw, "<f4")
    rows[0][~np.isfinite(rows[0])] = 1
    records = [
        Record(id=n, kind="observation", text=f"thing {n}", created=NOON) for n in range(1, 1001)
    ]
    memory = Memory(path, "Bo")
    memory.add(records, dict(enumerate(rows, 1)))
    memory.remember("hello", at=NOON, who=person)
    memory.close()
    done = erase_person(path, person, now=NOON, mentions=True)
    assert (done.records, done.found) == ({"Bo": 1}, 0)


@pytest.mark.parametrize("person", ["%", "_", "(", "...", " "])
def test_what_is_no_name_is_refused(tmp_path: Path, person: str) -> None:
    """Signs alone are no name that a file could be searched for."""
    Memory(tmp_path / "bo.db", "Bo").close()
    with pytest.raises(MemoryFault, match="name"):
        erase_person(tmp_path / "bo.db", person, now=NOON)
