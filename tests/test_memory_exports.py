"""Exports and imports that would harm what is there; writers given odd values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from denizens import Memory
from denizens.core import MemoryFault
from denizens.memory import Compaction, Documents, Facts, Notes, export_lines, import_lines

NOON = datetime(2026, 5, 2, 12)


def test_an_export_never_replaces_a_memory(tmp_path: Path) -> None:
    """Naming a memory's own file, its log or another's as the place of an export is refused."""
    Memory(tmp_path / "other.db", "Ada").close()
    memory = Memory(tmp_path / "bo.db", "Bo")
    memory.remember("It rained.", at=NOON)
    Facts(memory).assert_fact("Ada", "likes", "tea", at=NOON)
    for name in ("bo.db", "bo.db-wal", "other.db"):
        with pytest.raises(MemoryFault, match="would replace"):
            export_lines(memory, tmp_path / name)
        with pytest.raises(MemoryFault, match="would replace"):
            Facts(memory).export_graphml(tmp_path / name)
    for path in (None, 5, "", "a\0b"):
        with pytest.raises(MemoryFault, match="no path"):
            export_lines(memory, path)  # type: ignore[arg-type]
    assert export_lines(memory, tmp_path / "bo.jsonl") == export_lines(
        memory, tmp_path / "bo.jsonl"
    )
    memory.close()
    memory = Memory(tmp_path / "bo.db", "Bo")
    assert [record.text for record in memory.records()] == ["It rained."]
    memory.close()


@pytest.mark.parametrize("book", ["claims", "notes", "an audit log"])
def test_an_import_shifts_no_numbers(book: str, tmp_path: Path) -> None:
    """Lines name statements by number: into a memory that has claims, notes or a log of its own,
    though no record, nothing is imported."""
    memory = Memory(":memory:", "Bo")
    number = Facts(memory).assert_fact("Ada", "likes", "tea", at=NOON)
    Facts(memory).retract(number, at=NOON)
    export_lines(memory, tmp_path / "bo.jsonl")
    mine = Memory(":memory:", "Bo")
    if book == "claims":
        Facts(mine).assert_fact("Cem", "likes", "rye", at=NOON)
    elif book == "notes":
        Notes(mine).write("list", "rye", at=NOON)
    else:
        mine.quarantine("Eve")
    with pytest.raises(MemoryFault, match=f"holds {book} already"):
        import_lines(mine, tmp_path / "bo.jsonl")
    assert len(Facts(mine).find()) == (book == "claims")


ODD: dict[str, Callable[[Memory], Any]] = {
    "importance": lambda memory: memory.remember("x", at=NOON, importance=10**400),
    "evidence": lambda memory: memory.remember("x", at=NOON, evidence=None),  # type: ignore[arg-type]
    "touch": lambda memory: memory.mark_accessed(1, step=0, at=NOON),  # type: ignore[arg-type]
    "sources": lambda memory: Facts(memory).assert_fact("a", "likes", "b", at=NOON, sources=1),  # type: ignore[arg-type]
    "undo": lambda memory: Facts(memory).retract("1", at=NOON),  # type: ignore[arg-type]
    "restore": lambda memory: Facts(memory).restore(None, at=NOON),  # type: ignore[arg-type]
    "fold": lambda memory: Compaction(memory).summarise(None, at=NOON),  # type: ignore[arg-type]
    "folded texts": lambda memory: Compaction(memory).summarise(["a", "b"], at=NOON),  # type: ignore[list-item]
    "budget": lambda memory: Compaction(memory).compact(5, at=NOON),  # type: ignore[arg-type]
    "document": lambda memory: Documents(memory).add(None, at=NOON),  # type: ignore[arg-type]
    "name": lambda memory: Documents(memory).remove(["a"]),  # type: ignore[arg-type]
    "import": lambda memory: import_lines(Memory(":memory:", "A"), 5),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_values_are_refused_by_name(odd: str) -> None:
    """Our error, nothing written, and the memory goes on."""
    memory = Memory(":memory:", "Bo")
    memory.remember("It rained.", at=NOON)
    with pytest.raises(MemoryFault):
        ODD[odd](memory)
    assert len(memory) == 1
    memory.remember("It snowed.", at=NOON)


@pytest.mark.parametrize("rows", [None, (), [[1.0], [2.0]]])
def test_an_embedder_that_returns_no_row_is_named(rows: Any) -> None:
    """What an embedder returns is looked at before anything is written."""
    memory = Memory(":memory:", "Bo", embed=lambda texts: rows)
    with pytest.raises(MemoryFault, match="embed returned"):
        memory.remember("It rained.", at=NOON)
    assert not len(memory)
