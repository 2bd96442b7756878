"""What a memory takes in is checked before it is written: what was let in can be read again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from denizens import Agent, ImprovisedModel, Persona
from denizens.cli import main
from denizens.core import (
    Cue,
    DenizensError,
    MemoryFault,
    Record,
    SettingError,
    canonical,
    digest_text,
    parse_audience,
    replace_surrogates,
)
from denizens.memory import (
    Compaction,
    Documents,
    Facts,
    Images,
    Memory,
    Notes,
    export_lines,
    import_lines,
    prepare_store,
    recall_many,
    write_log_line,
)
from denizens.memory.erasure import erase_person
from denizens.memory.storage import (
    AUXILIARY_LOGS,
    AuditEntry,
    StoredRecord,
    append_records,
    repair_file,
    write_audit_entry,
)
from denizens.store import Store, chain_digest
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = datetime(2023, 6, 1, 9)
ZONED = NOW.replace(tzinfo=UTC)
GOOD = Record(id=1, kind="observation", text="rye is sold out", created=NOW, importance=3.0)


def opens(path: Path) -> list[str]:
    """The texts in Bo's memory, after all that can be asked of it was asked."""
    with Memory(path, "Bo") as memory:
        assert memory.store.verify() == ()
        for rules in ("paper", "hybrid"):
            memory.recall(Cue(text="rye", at=NOW, rules=rules), None)
        Facts(memory).find()
        Documents(memory).names()
        Compaction(memory).history()
        Notes(memory).names()
        assert memory.audit_log is not None
        return [record.text for record in memory.records()]


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "fact"},
        {"kind": None},
        {"kind": ["plan"]},
        {"text": None},
        {"text": 7},
        {"who": b"Ada"},
        {"place": None},
        {"source": 1.5},
        {"created": ZONED},
        {"created": date(2023, 6, 1)},
        {"created": "2023-06-01"},
        {"until": ZONED},
        {"until": "tomorrow"},
        {"importance": None},
        {"importance": "3"},
        {"importance": True},
        {"importance": float("nan")},
        {"importance": float("inf")},
        {"importance": 0},
        {"evidence": (1,)},
        {"evidence": (-1,)},
        {"evidence": (10**30,)},
        {"evidence": [1]},
        {"evidence": ("1",)},
        {"depth": True},
        {"depth": -1},
        {"depth": 10**40},
        {"audience": "Ada"},
        {"audience": (None,)},
        {"audience": ["Ada"]},
        {"pinned": "yes"},
        {"id": True},
        {"id": 2},
        {"id": "1"},
    ],
)
def test_a_record_that_does_not_fit_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    """Every field of the wrong kind or range is refused by name, and the file is as before."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        with pytest.raises(MemoryFault, match="record"):
            memory.add([replace(GOOD, **changed)])
        assert len(memory) == 0
        memory.add([GOOD])
    assert opens(path) == [GOOD.text]


@pytest.mark.parametrize(
    "records", [GOOD, "rye", 5, [None], [{"id": 1}], [GOOD, GOOD], [GOOD, "rye"]]
)
def test_what_is_no_list_of_records_is_refused(tmp_path: Path, records: Any) -> None:
    """So is anything else in their place, all or nothing; a generator of records is taken."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        with pytest.raises(MemoryFault):
            memory.add(records)
        memory.add(iter([GOOD]))  # type: ignore[arg-type]
    assert opens(path) == [GOOD.text]


@pytest.mark.parametrize(
    "vectors",
    [
        np.ones((1, 3), np.float32),
        [[1.0, 2.0]],
        "1",
        {1: None},
        {1: "0.5"},
        {1: ["0.5", "1"]},
        {1: [True, False]},
        {1: [1 + 2j, 0]},
        {1: [[1.0], [2.0, 3.0]]},
        {1: [[1.0, 2.0]]},
        {1: []},
        {1: 3.0},
        {1: [float("nan"), 1.0]},
        {1: [1e300, 1.0]},
        {2: [1.0, 2.0]},
        {"1": [1.0, 2.0], 1: [1.0, 2.0]},
    ],
)
def test_embeddings_of_the_wrong_kind_are_refused(tmp_path: Path, vectors: Any) -> None:
    """An array in the place of a mapping, and rows that are no real, finite numbers of one
    length; what is recalled by is held to the same."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        with pytest.raises(MemoryFault):
            memory.add([GOOD], vectors)
        memory.add([GOOD], {1: [1.0, 2.0]})
        for row in ([1.0], "x", [None, 1.0], [float("inf"), 0.0]):
            with pytest.raises(MemoryFault):
                memory.recall(Cue(text="rye", at=NOW), row)  # type: ignore[arg-type]
    assert opens(path) == [GOOD.text]


@pytest.mark.parametrize("step", [-1, True, 1.5, "1", None, 1 << 63])
def test_steps_are_whole_numbers(tmp_path: Path, step: Any) -> None:
    """Records, accesses, the lines beside them and the log are of a step that a file can hold."""
    with Memory(tmp_path / "bo.db", "Bo") as memory:
        memory.add([GOOD])
        writes: list[Callable[[], object]] = [
            lambda: memory.add([replace(GOOD, id=2)], step=step),
            lambda: memory.mark_accessed([1], step=step, at=NOW),
            lambda: write_log_line(
                memory.store, "Bo", "folds", {"unfold": 1, "at": NOW.isoformat()}, step=step
            ),
            lambda: write_audit_entry(
                memory.store, "Bo", AuditEntry(step, "quarantined", {"who": "Eve", "why": ""})
            ),
        ]
        for write in writes:
            with pytest.raises(MemoryFault, match="step"):
                write()
    assert opens(tmp_path / "bo.db") == [GOOD.text]


def timed(memory: Memory, at: Any) -> list[Callable[[], object]]:
    """Everything that takes a moment."""
    claims, notes, folding = Facts(memory), Notes(memory), Compaction(memory)
    note = Path(memory.store.name).with_name("note.txt")
    note.write_text("Words.")
    two = list(memory.records()[:2])

    class Encoder:
        def text_vectors(self, texts: Any) -> Any:
            return np.ones((len(texts), 2), np.float32)

        def image_vectors(self, paths: Any) -> Any:
            return np.ones((len(paths), 2), np.float32)

    return [
        lambda: memory.remember("x", at=at),
        lambda: memory.remember("x", at=NOW, until=at),
        lambda: memory.mark_accessed([1], step=0, at=at),
        lambda: memory.recall(Cue(text="x", at=at)),
        lambda: memory.recall(Cue(text="x", at=NOW, since=at)),
        lambda: memory.episodes(Cue(text="x", at=NOW, before=at)),
        lambda: recall_many([(memory, Cue(text="x", at=at))]),
        lambda: claims.assert_fact("Ada", "likes", "rye", at=at),
        lambda: claims.assert_fact("Ada", "likes", "rye", at=NOW, since=at),
        lambda: claims.assert_fact("Ada", "likes", "rye", at=NOW, until=at),
        lambda: claims.deny("Ada", "likes", at=at),
        lambda: claims.retract(1, at=at),
        lambda: claims.restore([1], at=at),
        lambda: folding.summarise(two, at=at),
        lambda: folding.expand(3, at=at),
        lambda: notes.write("list", "rye", at=at),
        lambda: notes.remove("list", at=at),
        lambda: Documents(memory).add(note, at=at),
        lambda: Images(memory, Encoder()).add(["a.png"], at=at),
        lambda: erase_person(memory.store.name, "Ada", now=at),
    ]


@pytest.mark.parametrize("at", [ZONED, date(2023, 6, 1), "2023-06-01", 1685610000])
def test_one_rule_for_times(tmp_path: Path, at: Any) -> None:
    """Wherever a moment enters it is a datetime without a time zone; anything else is refused
    with the remedy, and nothing is written."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        memory.add([replace(GOOD, id=n, text=f"rye {n}") for n in (1, 2)])
        Facts(memory).assert_fact("Bo", "likes", "oats", at=NOW)
        before = memory.store.rows("SELECT count(*) FROM claims_lines"), memory.digest
        for write in timed(memory, at):
            with pytest.raises(DenizensError, match="time zone"):
                write()
        assert (memory.store.rows("SELECT count(*) FROM claims_lines"), memory.digest) == before
    opens(path)


def test_an_audience_of_one_name_is_one_person(tmp_path: Path) -> None:
    """A name in the place of a tuple of names means that person, not its letters, and an empty
    one does not mean everybody."""
    memory = Memory(":memory:", "Bo")
    note = tmp_path / "note.txt"
    note.write_text("Words.")
    assert memory.remember("x", at=NOW, audience="Ada").audience == ("Ada",)
    claims = Facts(memory)
    claims.assert_fact("rye", "costs", "two", at=NOW, audience="Ada")
    assert claims.statements()[0].audience == ("Ada",)
    added = Documents(memory).add(note, at=NOW, audience="Ada").added
    assert memory.record(added[0]).audience == ("Ada",)
    bo = Agent(Persona(name="Bo"), model=ImprovisedModel(), memory=memory)
    bo.learn(["y"], at=NOW, who="Ada", audience="Ada")
    assert memory.records(last=1)[0].audience == ("Ada",)
    for nobody in ("", " ", ("Ada", ""), None, 5, (None,)):
        with pytest.raises(SettingError, match="nobody's name"):
            parse_audience(nobody)  # type: ignore[arg-type]
        with pytest.raises(SettingError, match="nobody's name"):
            memory.remember("x", at=NOW, audience=nobody)  # type: ignore[arg-type]


def test_half_a_character_is_replaced(tmp_path: Path) -> None:
    """Half an emoji, which UTF-8 cannot hold, leaves a mark wherever text enters; a pair of
    halves is the emoji."""
    path, half, whole = tmp_path / "bo.db", "hi \ud83d", "hi \ud83d\ude00"
    with Memory(path, "Bo") as memory:
        assert memory.remember(half, at=NOW, who=half).text == "hi \ufffd"
        memory.add([replace(GOOD, id=2, text=whole, episode=half, audience=(half,))])
        Facts(memory).assert_fact("Ada", "likes", half, at=NOW, audience=half)
        Notes(memory).write(half, half, at=NOW)
        memory.quarantine(half, why=half)
        assert memory.record(2).audience == ("hi \ufffd",)
        assert canonical({half: half}) == '{"hi \ufffd":"hi \ufffd"}'
    assert opens(path) == ["hi \ufffd", replace_surrogates(whole)]
    with pytest.raises(SettingError, match="name"):
        Memory(path, half)


AnyClaims: Any = Facts
AnyNotes: Any = Notes


@pytest.mark.parametrize(
    "wrong",
    [
        lambda memory: memory.remember("x", at=NOW, evidence=[9]),
        lambda memory: memory.remember("x", at=NOW, evidence=["1"]),
        lambda memory: memory.remember("x", at=NOW, kind="fact"),
        lambda memory: memory.remember(None, at=NOW),
        lambda memory: memory.mark_accessed(["1"], step=0, at=NOW),
        lambda memory: memory.mark_accessed([2], step=0, at=NOW),
        lambda memory: memory.record("1"),
        lambda memory: memory.record(1.0),
        lambda memory: memory.quarantine(5),
        lambda memory: memory.quarantine("Eve", why=None),
        lambda memory: memory.recall(Cue(text=None, at=NOW)),  # type: ignore[arg-type]
        lambda memory: memory.recall(Cue(text="x", at=NOW, kinds="plan")),  # type: ignore[arg-type]
        lambda memory: memory.recall(Cue(text="x", at=NOW, kinds=("fact",))),  # type: ignore[arg-type]
        lambda memory: memory.recall(Cue(text="x", at=NOW, limit=None)),  # type: ignore[arg-type]
        lambda memory: memory.recall(Cue(text="x", at=NOW, person=5)),  # type: ignore[arg-type]
        lambda memory: AnyClaims(memory).assert_fact(None, "likes", "x", at=NOW),
        lambda memory: AnyClaims(memory).assert_fact("Ada", "likes", 7, at=NOW),
        lambda memory: AnyClaims(memory).assert_fact("Ada", "likes", "x", at=NOW, sources=[4]),
        lambda memory: AnyClaims(memory).assert_fact("Ada", "likes", "x", at=NOW, sources=["1"]),
        lambda memory: AnyClaims(memory).assert_fact("Ada", "likes", "x", at=NOW, confidence="1"),
        lambda memory: AnyClaims(memory).assert_fact(
            "Ada", "likes", "x", at=NOW, confidence=float("nan")
        ),
        lambda memory: AnyClaims(memory).assert_fact("Ada", "likes", "x", at=NOW, who=None),
        lambda memory: AnyClaims(memory).restore(["1"], at=NOW),
        lambda memory: AnyNotes(memory).write("list", None, at=NOW),
        lambda memory: AnyNotes(memory).write("list", "x", at=NOW, person=None),
        lambda memory: write_log_line(memory.store, "Bo", "claims", {}, step=0),
        lambda memory: write_log_line(memory.store, "Bo", "folds", {"summary": 1}, step=0),
        lambda memory: write_log_line(
            memory.store, "Bo", "documents", {"document": "x", "records": [[7, ""]]}, step=0
        ),
    ],
)
def test_other_ways_in_are_held_to_the_same(tmp_path: Path, wrong: Any) -> None:
    """Claims, notes, accesses, logs and cues of the wrong kind are refused as plainly."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        memory.add([GOOD])
        with pytest.raises(DenizensError):
            wrong(memory)
    assert opens(path) == [GOOD.text]


FIELDS = [each.name for each in fields(Record)]
ANYTHING: Any = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=4),
    st.just("\ud800x"),
    st.datetimes(),
    st.just(ZONED),
    st.lists(st.integers(-1, 3), max_size=2).map(tuple),
    st.lists(st.text(max_size=2), max_size=2).map(tuple),
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=3))
def test_what_is_let_in_is_read_again(changed: dict[str, Any]) -> None:
    """Whatever a record's fields hold: it is refused, or read back from the file as it was but
    for half characters."""
    memory = Memory(":memory:", "Bo")
    try:
        memory.add([replace(GOOD, **changed)])
    except DenizensError:
        assert (len(memory), memory.store.verify()) == (0, ())
        return
    memory.store.cache.clear()
    assert memory.store.verify() == ()
    kept = memory.stored_record(1)
    assert canonical(str(kept.text)) == canonical(str(replace(GOOD, **changed).text))
    memory.recall(Cue(text="rye", at=NOW))


def poison(path: Path, how: str) -> None:
    """Write into a file what no check lets in, with every checksum right."""
    body = canonical({"id": 2, "kind": "fact", "text": "x", "created": "2023-06-01T09:00:00"})
    with Memory(path, "Bo") as memory, memory.store.transaction():
        memory.add([GOOD], {1: [1.0, 2.0]})
        store = memory.store
        if how.startswith("record"):
            row = StoredRecord(replace(GOOD, id=2), 0, None)
            if how == "record zone":
                body = canonical({**json.loads(body), "kind": "plan", "until": ZONED.isoformat()})
            if how == "record number":
                body = canonical({**json.loads(body), "kind": "plan", "id": 7})
            if how == "record vector":
                row = replace(row, vector=b"\0" * 12)
                body = canonical({**json.loads(body), "kind": "plan"})
            append_records(store, "Bo", [row], [body])
        elif how == "log":
            payload = canonical(["Bo", 1, 0, "quarantined", "[]"])
            row_ = ("Bo", 1, 0, "quarantined", "[]", chain_digest("", payload))
            store.execute("INSERT INTO memory_log VALUES (?, ?, ?, ?, ?, ?)", row_)
            store.put("memory.log", {"Bo": [1, chain_digest("", payload)]})
        else:
            (book,) = (book for book in AUXILIARY_LOGS if book.part == how)
            text = '{"subject":1,"records":[[9,"x"]],"document":"x","summary":1,"note":3}'
            book.create_tables(store)
            link = chain_digest("", f"1 0 {digest_text(text)} Bo")
            line = ("Bo", 1, 0, text, digest_text(text), link)
            store.execute(f"INSERT INTO {book.tables[0]} VALUES (?, ?, ?, ?, ?, ?)", line)
            store.execute(f"INSERT INTO {book.tables[1]} VALUES ('Bo', 1, ?)", (link,))


@pytest.mark.parametrize(
    "how",
    [
        "record kind",
        "record zone",
        "record number",
        "record vector",
        "log",
        "claims",
        "documents",
        "folds",
        "notes",
    ],
)
def test_verify_loads_what_it_calls_whole(tmp_path: Path, how: str) -> None:
    """Rows whose checksums fit but which cannot be loaded are damage, told by our own error
    when they are read; repair sets them aside, and the file opens."""
    path = tmp_path / "bo.db"
    poison(path, how)
    with Store(path, write=False) as store:
        prepare_store(store)
        assert store.verify() != ()
    with pytest.raises(MemoryFault):
        _read_all(path)
    done = repair_file(path)
    assert done.lost
    opens(path)


def _read_all(path: Path) -> None:
    with Memory(path, "Bo") as memory:
        memory.recall(Cue(text="rye", at=NOW))
        for book in AUXILIARY_LOGS:
            list(book.read(memory.store, "Bo"))
        Documents(memory).passages("x")


IMPORTED = [
    "null",
    "7",
    "[]",
    "{}",
    "rye",
    "[" * 100_000,
    '{"step": 1e999, "touch": [1], "at": "2023-06-01T09:00:00"}',
    '{"step": 0, "touch": [2], "at": "2023-06-01T09:00:00"}',
    '{"step": 0, "touch": [1], "at": "2023-06-01T09:00:00Z"}',
    '{"step": 0, "touch": [true], "at": "2023-06-01T09:00:00"}',
    '{"step": -5, "book": "notes", "line": {"removed": "x"}}',
    '{"step": true, "book": "notes", "line": null}',
    '{"step": 0, "book": "diary", "line": {}}',
    '{"step": 0, "book": "claims", "line": {"subject": 1}}',
    '{"step": 0, "book": "claims", "line": {"undo": "1", "at": "2023-06-01T09:00:00", "why": ""}}',
    '{"step": 0, "book": "folds", "line": {"summary": 3, "records": [1, 2], "why": "",'
    ' "at": "2023-06-01T09:00:00"}}',
    '{"step": 0, "book": "documents", "line": {"document": "x", "records": [1]}}',
    '{"step": 0, "book": "notes", "line": [3]}',
    '{"step": 0, "log": "quarantined", "data": {}}',
    '{"step": 0, "log": "shouted", "data": {"who": "Eve", "why": ""}}',
    '{"step": 0, "record": {"id": 2}, "vector": null}',
    '{"step": 0, "record": 5, "vector": null}',
    '{"step": 0, "record": {"id": 2, "kind": "fact", "text": "x", '
    '"created": "2023-06-01T09:00:00"}, "vector": null}',
    '{"step": 0, "record": {"id": 9, "kind": "plan", "text": "x", '
    '"created": "2023-06-01T09:00:00"}, "vector": null}',
    '{"step": 0, "record": {"id": 2, "kind": "plan", "text": "x", '
    '"created": "2023-06-01T09:00:00"}, "vector": "AAA="}',
    '{"step": 0, "record": {"id": 2, "kind": "plan", "text": "x", '
    '"created": "2023-06-01T09:00:00"}, "vector": 5}',
]


@pytest.mark.parametrize("line", IMPORTED, ids=range(len(IMPORTED)))
def test_an_imported_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    """A line that is no record, or does not follow from those before it, is named by its number,
    and nothing of the file is written."""
    with Memory(tmp_path / "good.db", "Bo") as memory:
        memory.add([GOOD], {1: [1.0, 2.0]})
        export_lines(memory, tmp_path / "lines.jsonl")
    with (tmp_path / "lines.jsonl").open("a") as file:
        file.write(line + "\n")
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory, pytest.raises(MemoryFault, match="line 2 "):
        import_lines(memory, tmp_path / "lines.jsonl")
    assert opens(path) == []


def test_a_name_that_is_written_otherwise(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Under another spelling of its owner's name a file is not opened as an empty memory; under
    another name it is, and says whose are there. An agent has no memory of somebody else's."""
    path = tmp_path / "bo.db"
    with Memory(path, "Zoë") as memory:
        memory.add([GOOD])
    for other in ("zoë", "Zoe\u0308", " Zoë"):
        with pytest.raises(MemoryFault, match="'Zoë'"):
            Memory(path, other)
    with Memory(path, "Cem") as memory:
        assert "memories of Zoë" in caplog.text
        with pytest.raises(SettingError, match="'Cem'"):
            Agent(Persona(name="Zoë"), model=ImprovisedModel(), memory=memory)
    for nobody in ("", "  ", None, 5):
        with pytest.raises(SettingError, match=r"nobody's name|'agent' must be str"):
            Memory(path, nobody)  # type: ignore[arg-type]


def test_copies_do_not_fill_a_recall() -> None:
    """Of fifty equal memories one is found beside what else there is, by every default rule and
    for many at once; where nothing else is there they fill up the places."""
    memory = Memory(":memory:", "Bo")
    for n in range(1, 161):
        text = f"loaf {n}" if n % 40 == 0 else "the oven is hot"
        memory.add([replace(GOOD, id=n, text=text)], {n: [1.0, 0.0 if n % 40 else 1.0]})
    for rules in ("paper", "hybrid", "paper-approx"):
        cue = Cue(text="the oven", at=NOW, limit=5, rules=rules)
        hits = memory.recall(cue, [1.0, 0.0])
        assert sorted({hit.record.text for hit in hits}) == sorted(
            ["the oven is hot", "loaf 40", "loaf 80", "loaf 120", "loaf 160"]
        )
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        rows = np.tile(np.array([1.0, 0.0], np.float32), (70, 1))
        assert recall_many([(memory, cue)] * 70, rows) == [hits] * 70
        assert len(memory.recall(replace(cue, limit=9), [1.0, 0.0])) == 9
    found = memory.recall(Cue(text="x", at=NOW, limit=5, rules="reverie"), [1.0, 0.0])
    assert len({hit.record.text for hit in found}) < 5


def test_a_failed_import_leaves_no_file(tmp_path: Path) -> None:
    """The command checks the lines before it makes the file."""
    (tmp_path / "lines.jsonl").write_text("null\n")
    with pytest.raises(SystemExit) as ended:
        main(["memory", "import", f"{tmp_path}/bo.db", f"{tmp_path}/lines.jsonl", "--agent", "Bo"])
    assert ended.value.code
    assert [item.name for item in tmp_path.iterdir()] == ["lines.jsonl"]


@pytest.mark.parametrize("at", [ZONED, "now", date(2023, 6, 1)])
def test_questions_keep_to_the_rule_for_times(at: Any) -> None:
    """A moment of asking with a time zone is refused like one of writing."""
    claims: Any = Facts(Memory(":memory:", "Bo"))
    claims.assert_fact("Ada", "likes", "rye", at=NOW)
    asks: list[Callable[[], object]] = [
        lambda: claims.lookup("Ada", "likes", as_of=at),
        lambda: claims.lookup("Ada", "likes", known=at),
        lambda: claims.find(as_of=at),
        lambda: claims.graph(as_of=at),
        lambda: claims.view(known=at),
    ]
    for ask in asks:
        with pytest.raises(MemoryFault, match="time zone"):
            ask()
