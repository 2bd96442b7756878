"""Files that hold claims, documents and folds: verified, mended, carried elsewhere."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path

import pytest
from denizens.core import Cue, MemoryFault, Record
from denizens.memory import Compaction, Documents, Facts, Memory, export_lines, import_lines
from denizens.memory.storage import repair_file

NOW = datetime(2023, 6, 1, 9)


def made(path: Path) -> Path:
    """Bo's memory with two versions of a document, folds, and claims one of which is undone
    and one erased."""
    note = path.with_name("note.txt")
    with Memory(path, "Bo") as memory:
        for n in range(1, 5):
            line = Record(id=n, kind="utterance", text=f"Line {n}", created=NOW, who="Ada")
            memory.add([line], step=n)
        documents = Documents(memory)
        for text in ("The oven is hot.", "The oven is cold."):
            note.write_text(text)
            documents.add(note, at=NOW)
        Compaction(memory).summarise(memory.records()[:2], at=NOW, text="Lines one and two")
        claims = Facts(memory)
        claims.assert_fact("Ada", "likes", "rye", at=NOW, sources=[1])
        claims.assert_fact("Ada", "likes", "oats", at=NOW, sources=[2])
        claims.assert_fact("Ada", "owes", "Dee", at=NOW)
        claims.assert_fact("Ada", "knows", "Cy", at=NOW)
        claims.retract(2, at=NOW)
        claims.erase(person="Dee")
    return path


def state(memory: Memory) -> object:
    """All that is held there, as it is seen from outside."""
    hits = memory.recall(Cue(text="line", at=NOW, limit=99))
    return (
        sorted(hit.record.text for hit in hits),
        [(str(claim), claim.sources) for claim in Facts(memory).find()],
        Documents(memory).names(),
        [(fold.summary, fold.records) for fold in Compaction(memory).history()],
    )


def run(path: Path, *statements: str) -> None:
    """Change a file behind the store's back."""
    raw = sqlite3.connect(path)
    for statement in statements:
        raw.execute(statement)
    raw.commit()
    raw.close()


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("UPDATE claims_lines SET body = body || ' ' WHERE n = 1", "claims of Bo: 1 lines"),
        ("UPDATE claims_lines SET link = 'x' WHERE n = 4", ""),
        ("DELETE FROM claims_lines WHERE n = 1", "claims of Bo: 1 lines"),
        ("DELETE FROM claims_heads", ""),
        ("DELETE FROM folds_lines", "folds of Bo: 1 lines"),
        ("UPDATE documents_lines SET body = x'ff' WHERE n = 1", "documents of Bo: 1 lines"),
        ("UPDATE memory_records SET body = '{}' WHERE id = 4", "record 4"),
    ],
)
def test_damage_beside_the_records_is_mended(tmp_path: Path, harm: str, told: str) -> None:
    """Damage to a claim, a document or a fold is found, and mended like that of a record: it
    alone is lost, said to be, and what was undone stays undone."""
    path = made(tmp_path / "bo.db")
    run(path, harm)
    done = repair_file(path)
    assert done.original is not None
    assert len(done.lost) == bool(told)
    assert all(told in line for line in done.lost)
    with Memory(path, "Bo") as memory:
        assert memory.store.verify() == ()
        claims = [str(claim) for claim in Facts(memory).find()]
        assert claims == (
            ["Ada knows Cy"] if "claims of" in told else ["Ada likes rye", claims[-1]]
        )
        assert claims[-1] == "Ada knows Cy"
        assert Documents(memory).names() == ("note.txt",)
        texts = [hit.record.text for hit in memory.recall(Cue(text="line", at=NOW, limit=99))]
        assert "The oven is cold." in texts
        assert ("Line 1" in texts) == ("folds" in harm)


def test_whole_books_come_through_a_repair(tmp_path: Path) -> None:
    """A repair for a record's sake leaves claims, documents and folds as they were; empty
    ones too, as a fork to before their first line has."""
    path = made(tmp_path / "bo.db")
    with Memory(path, "Bo") as memory:
        before = state(memory)
    run(path, "UPDATE memory_heads SET link = 'x'")
    assert repair_file(path).original is not None
    with Memory(path, "Bo") as memory:
        assert state(memory) == before
    run(path, "DELETE FROM folds_lines", "DELETE FROM folds_heads")
    run(path, "UPDATE memory_heads SET link = 'x'")
    repair_file(path)
    with Memory(path, "Bo") as memory:
        assert memory.store.verify() == ()
        assert Compaction(memory).history() == ()


def test_a_memory_travels_with_its_claims_documents_and_folds(tmp_path: Path) -> None:
    """Exported and imported, what was folded stays so, an older version of a document is not
    recalled, claims are the same; for a person none of it is told."""
    path, lines = made(tmp_path / "bo.db"), tmp_path / "bo.jsonl"
    with Memory(path, "Bo") as memory, Memory(tmp_path / "copy.db", "Bo") as copy:
        export_lines(memory, lines)
        import_lines(copy, lines)
        assert state(copy) == state(memory)
        assert copy.store.verify() == ()
        assert "Dee" not in lines.read_text()
        export_lines(copy, tmp_path / "again.jsonl")
        assert (tmp_path / "again.jsonl").read_text() == lines.read_text()
        export_lines(memory, lines, person="Ada")
        assert "book" not in lines.read_text()
        lines.write_text('{"book": "songs", "line": {}, "step": 1}\n')
        with pytest.raises(MemoryFault, match="line 1"):
            import_lines(Memory(":memory:", "Bo"), lines)
