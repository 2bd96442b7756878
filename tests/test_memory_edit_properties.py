"""Whatever is done to a memory: a restore gives the state of its snapshot, and what was erased is
nowhere."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from denizens.core import MemoryFault, Record
from denizens.memory import Compaction, Corrections, Facts, Memory, Notes
from denizens.memory.storage import SESSION_LOG
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = datetime(2023, 6, 1, 9)
PEOPLE = ("Ada", "Cem")
_KINDS = ("say", "think", "fact", "note", "session", "touch", "quarantine", "compact", "correct")
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from((*_KINDS, "forget", "erase", "snapshot", "restore", "reopen", "drop")),
        st.integers(0, 11),
    ),
    max_size=14,
)


def state_of(memory: Memory) -> list[object]:
    """Everything that the memory holds besides its snapshots."""
    store = memory.store
    tables = [row[0] for row in store.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [
        (table, row)
        for table in sorted(tables)
        if table not in ("header", "parts", "memory_snapshots") and not table.endswith("_kept")
        for row in sorted(map(repr, store.rows(f"SELECT * FROM {table}")))
        if ", 0, '')" not in row  # The head of a log without lines.
    ]


class Life:
    """A memory to which things are done, with what each snapshot should restore."""

    def __init__(self, path: Path) -> None:
        self.path, self.count = path, 0
        self.memory = Memory(path, "Bo")
        self.expected: dict[int, list[object] | None] = {}
        """The state of each snapshot; None after an erasure, which changes it."""
        self.erased: list[str] = []

    def do(self, deed: str, number: int) -> None:
        """One operation; those that cannot be are refused and change nothing."""
        memory, self.count = self.memory, self.count + 1
        at, step = NOW + timedelta(minutes=self.count), memory.index.last_step
        records = memory.records()
        record = records[number % len(records)] if records else None
        text = f"word{self.count}x of {PEOPLE[number % 2]}"
        if deed == "say":
            self._add("utterance", text, PEOPLE[number % 2], at)
        elif deed == "think" and record:
            self._add("thought", f"So it is {self.count}", "Bo", at, (record.id,))
        elif deed == "fact" and record:
            Facts(memory).assert_fact("Ada", "likes", text, at=at, sources=[record.id])
        elif deed == "note":
            Notes(memory).write(f"note{number % 3}", f"note {self.count}", at=at, person="Ada")
        elif deed == "session" and record:
            data = {"text": record.text, "records": [record.id]}
            line = {"session": "main", "person": "Ada", "event": "line", "at": at.isoformat()}
            SESSION_LOG.append(memory.store, "Bo", {**line, "data": data}, step=step)
        elif deed == "touch" and record:
            memory.mark_accessed([record.id], step=step, at=at)
        elif deed == "quarantine":
            (memory.release if "Eve" in memory.quarantined else memory.quarantine)("Eve")
        elif deed == "compact" and len(records) > 2:
            Compaction(memory).summarise(records[:2], at=at)
        elif deed in ("correct", "forget", "erase") and record:
            self._edit(deed, record, text, at)
        else:
            self._save_or_load(deed, number, at)

    def _add(
        self, kind: Any, text: str, who: str, at: datetime, basis: tuple[int, ...] = ()
    ) -> None:
        record = Record(
            id=self.memory.next_id,
            kind=kind,
            text=text,
            created=at,
            who=who,
            evidence=basis,
            depth=len(basis),
        )
        self.memory.add([record], {record.id: [1.0, self.count, 0.0]}, step=self.count)

    def _edit(self, deed: str, record: Record, text: str, at: datetime) -> None:
        corrections = Corrections(self.memory, lambda texts: np.ones((len(texts), 3), np.float32))
        if deed == "correct":
            corrections.correct(record.id, f"right {text}", at=at)
        elif deed == "forget":
            corrections.forget(record.id, keep_history=True, at=at)
        else:
            report = corrections.forget(record.id, at=at)
            assert report.found == 0
            kept = "\n".join(one.text for one in self.memory.records())
            self.erased += (
                [record.text] if record.text not in kept and len(record.text) > 11 else []
            )
            self.expected = dict.fromkeys(self.expected)

    def _save_or_load(self, deed: str, number: int, at: datetime) -> None:
        known = sorted(self.expected)
        chosen = known[number % len(known)] if known else 0
        if deed == "snapshot":
            self.expected[self.memory.snapshot(at=at).id] = state_of(self.memory)
        elif deed == "restore" and chosen:
            self.memory.restore(chosen)
            expected = self.expected[chosen]
            assert expected is None or state_of(self.memory) == expected
        elif deed == "drop" and chosen:
            self.memory.delete_snapshot(chosen)
            del self.expected[chosen]
        elif deed == "reopen":
            self.memory.close()
            self.memory = Memory(self.path, "Bo")

    def check(self) -> None:
        """The file is whole, every snapshot restores what it should, and nothing erased is left."""
        assert self.memory.store.verify() == ()
        for number, expected in sorted(self.expected.items()):
            self.memory.restore(number)
            assert expected is None or state_of(self.memory) == expected
            assert self.memory.store.verify() == ()
        self.memory.close()
        data = self.path.read_bytes()
        assert [text for text in self.erased if text.encode() in data] == []


@settings(max_examples=60, deadline=None)
@given(OPERATIONS)
def test_any_life_of_a_memory(operations: list[tuple[str, int]]) -> None:
    """After any sequence of writing, correcting, forgetting, erasing, saving and loading, each
    snapshot restores the state in which it was taken, without what was erased since."""
    with tempfile.TemporaryDirectory() as folder:
        life = Life(Path(folder) / "bo.db")
        for deed, number in operations:
            before = state_of(life.memory)
            try:
                life.do(deed, number)
            except MemoryFault:
                # Withdrawn and compacted records are refused.
                assert state_of(life.memory) == before
        life.check()
