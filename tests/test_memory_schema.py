"""Files of the first schema, and the bytes of records."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from pathlib import Path

import pytest
from denizens.core import Cue, Record, RunError, canonical, to_json
from denizens.memory import Memory, prepare_store
from denizens.memory.storage import body_of, read_body
from denizens.memory.storage.memory_tables import MIGRATIONS, VERSION
from denizens.store import Store
from hypothesis import given
from hypothesis import strategies as st

NINE = datetime(2023, 2, 13, 9)
NAMES = st.text(max_size=8)


def link_of(previous: str, payload: str) -> str:
    """The chain as version 1 had it, written down again."""
    before = previous.encode()
    head = len(before).to_bytes(4, "little")
    return blake2b(head + before + payload.encode(), digest_size=16).hexdigest()


def version_1(path: Path) -> str:
    """A file as version 1 wrote it, by its SQL; returns the ends of the two chains."""
    with Store(path) as store:
        store.migrate("memory", 1, MIGRATIONS[:1])
        store.put("memory.agents", ["Bo"])
        link = touch = ""
        for number in range(1, 6):
            body = (
                '{"created":"2023-02-13T09:00:00","depth":0,"evidence":[],'
                f'"id":{number},"importance":{number}.0,"kind":"observation","object":"",'
                f'"place":"","predicate":"","subject":"","text":"loaf {number}","who":"Ada"}}'
            )
            vector = b"\x00\x00\x80\x3f" + bytes([0, 0, 128, 62 + number % 2])
            state = blake2b(body.encode(), digest_size=16)
            state.update(b"\x00\x01" + vector)
            link = link_of(link, f"{number} {number} {state.hexdigest()} Bo")
            row = ("Bo", number, number, body, vector, state.hexdigest(), link)
            store.execute("INSERT INTO memory_records VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        touch = link_of("", canonical(["Bo", 1, 5, "2023-02-13T10:00:00", "[2]"]))
        line = ("Bo", 1, 5, "2023-02-13T10:00:00", "[2]", touch)
        store.execute("INSERT INTO memory_touches VALUES (?, ?, ?, ?, ?, ?)", line)
        store.execute("INSERT INTO memory_heads VALUES ('Bo', 5, ?, 1, ?)", (link, touch))
    return link + touch


def test_file_of_version_1_migrates(tmp_path: Path) -> None:
    """Opened for writing it becomes the present version: the same records, digest and
    recall, whole, and able to do what came later."""
    path = tmp_path / "old.db"
    digest = version_1(path)
    with Store(path, write=False) as store:
        assert store.version("memory") == 1
        old = Memory(store, "Bo")
        before = old.recall(Cue(text="x", at=NINE), [1.0, 0.0])
        assert (old.digest, old.audit_log, store.verify()) == (digest, (), ())
    with Memory(path, "Bo") as memory:
        assert memory.store.version("memory") == VERSION == 3
        assert memory.digest == digest
        assert memory.recall(Cue(text="x", at=NINE), [1.0, 0.0]) == before
        assert [record.text for record in memory.records()] == [f"loaf {n}" for n in range(1, 6)]
        memory.quarantine("Ada")
        memory.remember("new", at=NINE)
        assert memory.store.verify() == ()


def test_newer_file_is_refused(tmp_path: Path) -> None:
    """What a later program wrote is not guessed at."""
    path = tmp_path / "new.db"
    with Store(path) as store:
        prepare_store(store)
        store.execute("UPDATE parts SET version = 9 WHERE part = 'memory'")
    with pytest.raises(RunError, match="upgrade denizens"):
        Memory(path, "Bo")


@given(
    st.builds(
        Record,
        id=st.integers(1, 10**9),
        kind=st.sampled_from(["observation", "utterance", "document", "summary"]),
        text=st.text(),
        created=st.datetimes(min_value=datetime(1900, 1, 1)),
        who=NAMES,
        importance=st.one_of(st.floats(1, 10), st.integers(1, 10)),
        evidence=st.lists(st.integers(1, 99), max_size=3).map(tuple),
        depth=st.integers(0, 9),
        place=NAMES,
        subject=NAMES,
        predicate=NAMES,
        object=NAMES,
        audience=st.lists(NAMES, max_size=3).map(tuple),
        episode=NAMES,
        source=NAMES,
        until=st.one_of(st.none(), st.datetimes()),
        pinned=st.booleans(),
    )
)
def test_fast_bytes_are_the_canonical_ones(record: Record) -> None:
    """The quick way to a record's bytes gives the canonical JSON, and back the record."""
    assert body_of(record) == canonical(to_json(record))
    assert read_body(body_of(record)) == record
