"""Forgetting a person: every place where words of theirs lie, by any spelling, with proof."""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

import pytest
from denizens import Agent, Memory, Persona, Policy, tool
from denizens.agents import run_tool
from denizens.cli import main
from denizens.core import Approval, ApprovalRequired, MemoryFault, ModelAsk, Record
from denizens.memory import Compaction, Corrections, Documents, Facts, Notes, ToolCallLog
from denizens.memory.erasure import erase_person
from denizens.memory.erasure.erasers import ERASERS
from denizens.memory.erasure.text_columns import (
    DERIVED_COLUMNS,
    REFUSED_TABLES,
    TEXT_COLUMNS,
    TEXT_FREE_COLUMNS,
)
from denizens.memory.storage import CORRECTION_LOG, SESSION_LOG, PersonMatcher, repair_file
from denizens.simulation import Journal
from denizens.store import Store
from denizens.testing import ScriptedModel

NOW = datetime(2023, 6, 1, 9)


def say(memory: Memory, text: str, who: str = "", people: tuple[str, ...] = ()) -> int:
    """One line in the memory; its number."""
    number = memory.next_id
    memory.add(
        [Record(id=number, kind="utterance", text=text, created=NOW, who=who, audience=people)]
    )
    return number


def clerk(path: Path, policy: Policy) -> Agent:
    """Iris, who cancels a booking whenever she is asked to."""

    @tool(effect="acts")
    def cancel(booking: str) -> str:
        """Cancel a booking."""
        return f"booking {booking} is cancelled"

    def answer(ask: ModelAsk) -> object:
        if ask.kind == "choose":
            names = [option.name for option in ask.options]
            return "cancel" if "cancel" in names else names[-1]
        if ask.kind == "rate":
            return 4
        return '{"booking": "QX-88121"}' if getattr(ask, "schema", None) else "It is done."

    model = ScriptedModel(answer)  # type: ignore[arg-type]
    memory = Memory(path, "Iris")
    return Agent(Persona(name="Iris"), model=model, memory=memory, tools=[cancel], policy=policy)


def used(path: Path) -> Path:
    """A file in which everything was used at least once: records, pictures' memory, log, claims,
    documents, folds, notes, sessions, corrections, snapshots, calls, a reply that waits, shared
    texts."""
    agent = clerk(path, Policy(ask=("@acts",), trusted=("*",)))
    memory = agent.memory
    start = memory.snapshot("nothing", at=NOW)
    fill(memory, path.with_name("plan.txt"))
    memory.snapshot("all of it", at=NOW)
    memory.restore(start)
    agent.chat("Please cancel booking QX-88121.", "Zed", approve=lambda request: Approval(yes=True))
    agent.chat("Please cancel booking QX-88121 too.", "Zed")
    fill(memory, path.with_name("plan.txt"))
    memory.close()
    return path


def fill(memory: Memory, note: Path) -> None:
    """A line in every log of Iris's memory."""
    note.write_text("Beds for winter.")
    with memory.store.transaction():
        lines = [say(memory, f"Line {n}", "Ada") for n in range(3)]
        Compaction(memory).summarise(
            [memory.record(n) for n in lines[:2]], at=NOW, why="to be short"
        )
        Documents(memory).add(note, at=NOW)
        Facts(memory).assert_fact("Ada", "likes", "rye", at=NOW)
        Notes(memory).write("shopping", "rye", at=NOW, person="Ada")
        SESSION_LOG.append(
            memory.store,
            "Iris",
            {"session": "main", "person": "Ada", "event": "line", "at": NOW.isoformat()}
            | {"data": {"who": "Ada", "text": "Line 0", "records": [lines[0]]}},
            step=0,
        )
        line = {"withdrawn": lines[2], "with": [], "new": None, "by": "", "why": ""}
        CORRECTION_LOG.append(memory.store, "Iris", line | {"at": NOW.isoformat()}, step=0)
        memory.quarantine("Eve", why="she lies")
        memory.mark_accessed(lines, step=0, at=NOW)
        memory.store.intern_text("A text that is shared")
        say(Memory(memory.store, "Iris/images"), "A picture")


def columns(path: Path) -> dict[str, set[str]]:
    """The columns of every table in a file."""
    raw = sqlite3.connect(path)
    tables = [row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    found = {
        table: {row[1] for row in raw.execute(f"PRAGMA table_info({table})")} for table in tables
    }
    assert all(raw.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables)
    raw.close()
    return found


def test_every_column_of_a_used_file_is_on_the_list(tmp_path: Path) -> None:
    """Each column holds words and has its eraser, or is known to hold none: a new table or
    column that is on neither list fails here before it can escape erasing."""
    listed: dict[str, set[str]] = {table: set(names) for table, names in TEXT_FREE_COLUMNS.items()}
    for place in TEXT_COLUMNS:
        listed[place.table].add(place.column)
        assert place.eraser in {*ERASERS, "records", "log", "snapshots"}
    for table, names in DERIVED_COLUMNS.items():
        listed[table] |= names
    assert columns(used(tmp_path / "iris.db")) == listed


def test_tables_of_runs_are_on_the_list_and_refused(tmp_path: Path) -> None:
    """A run's journal cannot be forgotten from, since it is replayed: its tables are known, and
    a file with them is refused whole."""
    path = tmp_path / "run.db"
    with Store(path) as store:
        Journal(store)
        tables = {row[0] for row in store.rows("SELECT name FROM sqlite_master WHERE type='table'")}
        parts = {row[0] for row in store.rows("SELECT part FROM parts")}
    known = set().union(*REFUSED_TABLES.values())
    assert tables - set(TEXT_FREE_COLUMNS) <= known
    assert parts <= {*REFUSED_TABLES, "memory"}
    with pytest.raises(MemoryFault, match="more than memories"):
        erase_person(path, "Zed", now=NOW)


@pytest.mark.parametrize("trusted", [("*",), ()])
@pytest.mark.parametrize("answered", [True, False])
def test_calls_of_the_person_go_with_arguments_and_result(
    tmp_path: Path, trusted: tuple[str, ...], answered: bool
) -> None:
    """Of somebody who asked for one thing nothing is left, whether it is done or still waits for
    leave, and whether they are trusted or a stranger."""
    path = tmp_path / "iris.db"
    agent = clerk(path, Policy(ask=("@acts",), trusted=trusted, strangers="ask"))
    approve: Callable[[object], Approval] | None = (
        (lambda request: Approval(yes=True)) if answered else None
    )
    agent.chat("Cancel QX-88121, my mother has died.", "Zed", approve=approve)
    agent.memory.close()
    done = erase_person(path, "Zed", now=NOW)
    assert done.beside["calls"] >= 1
    assert done.found == 0
    assert done.searched >= 2
    data = path.read_bytes()
    assert not any(word in data for word in (b"QX-88121", b"mother", b"Zed"))
    with Memory(path, "Iris") as memory:
        assert memory.store.verify() == ()
        assert ToolCallLog(memory.store).pending_approvals() == ()


def begun(path: Path, to: str) -> Callable[[], Agent]:
    """A file in which a payment of Dora's was begun and its process ended; makes the agent."""
    paid: list[str] = []

    @tool(effect="acts")
    def pay(to: str) -> str:
        """Pay somebody."""
        paid.append(to)
        if len(paid) == 1:
            raise KeyboardInterrupt
        return "paid"

    def agent() -> Agent:
        memory = Memory(path, "Bo")
        model = ScriptedModel([])
        policy = Policy(trusted=("Dora",), strangers="ask")
        return Agent(Persona(name="Bo"), model=model, memory=memory, tools=[pay], policy=policy)

    bo = agent()
    say(bo.memory, "Al said hello", "Al")
    with pytest.raises(KeyboardInterrupt):
        run_tool(
            bo,
            "pay",
            {"to": to},
            at=NOW,
            person="Dora",
            sources=("Dora", "Al"),
            approve=lambda request: Approval(yes=True, note="do", by="Al"),
        )
    bo.memory.close()
    return agent


def test_an_intent_of_others_stays(tmp_path: Path) -> None:
    """Forgetting Al leaves the open payment to Almeda that Dora asked for, without Al among its
    sources: a person is asked before it is made again."""
    path = tmp_path / "bo.db"
    agent = begun(path, "Almeda Gas")
    done = erase_person(path, "Al", now=NOW, mentions=True)
    assert (done.records, done.left, done.found) == ({"Bo": 1}, (), 0)
    assert b'"Al"' not in path.read_bytes()
    bo = agent()
    with pytest.raises(ApprovalRequired, match="nobody knows whether it was done"):
        run_tool(bo, "pay", {"to": "Almeda Gas"}, at=NOW, person="Dora", sources=("Dora",))
    bo.memory.close()


def test_what_cannot_be_erased_is_said(tmp_path: Path) -> None:
    """An open payment to the person that somebody else asked for stays, is told, and counts as
    found; one of their own goes, and that is told too."""
    path = tmp_path / "bo.db"
    begun(path, "Al")
    kept = erase_person(path, "Al", now=NOW, mentions=True)
    assert kept.found == kept.named == 1
    assert any("has no receipt" in line and "stays" in line for line in kept.left)
    gone = erase_person(path, "Dora", now=NOW)
    assert gone.beside == {"calls": 1}
    assert any("was erased" in line for line in gone.left)
    assert b"Almeda" not in path.read_bytes()


@pytest.mark.parametrize(
    ("person", "line"),
    [
        ("李雷", "昨天李雷买了两个面包。"),
        ("Mia", "今天Mia来了。"),
        ("さくら", "さくらさんは駅で待っている。"),
        ("มาลี", "เมื่อวานมาลีไปตลาด"),
        ("K.O.", "K.O. left for Turin."),
        ("#kim", "ask #kim about it"),
        ("Zoë", unicodedata.normalize("NFD", "Zoë keeps bees.")),
        ("Mary Lind", "Mary \u00a0 Lind keeps bees."),
        ("ＭＩＡ", "mia keeps bees"),
    ],
)
def test_names_of_any_script_and_form(tmp_path: Path, person: str, line: str) -> None:
    """A text that names the person goes, and the file holds no form of the name."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        say(memory, line, "Cem")
        say(memory, "Rain at noon", "Cem")
    done = erase_person(path, person, now=NOW, mentions=True)
    assert (done.records, done.found, done.searched) == ({"Bo": 1}, 0, 2)
    with Memory(path, "Bo") as memory:
        assert [record.text for record in memory.records()] == ["Rain at noon"]


@pytest.mark.parametrize(
    "hidden",
    [
        "Zoë Q",
        unicodedata.normalize("NFD", "Zoë Q"),
        "ZOË  q",
        json.dumps("Zoë Q"),
        "Zoë Q".encode("utf-16-le"),
        "x\nZoë Q",
    ],
)
def test_the_search_finds_a_name_in_every_form(tmp_path: Path, hidden: str | bytes) -> None:
    """A name that lies where nothing erases counts as found, whatever its form: the proof does
    not trust the list."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        say(memory, "Rain at noon")
    raw = sqlite3.connect(path)
    raw.execute("INSERT INTO header VALUES ('left', ?, '')", (hidden,))
    raw.commit()
    raw.close()
    assert erase_person(path, "Zoë Q", now=NOW, mentions=True).found == 1
    assert erase_person(path, "Zoë Qu", now=NOW, mentions=True).found == 0


def test_a_name_that_is_a_word_of_the_file_is_no_find(tmp_path: Path) -> None:
    """The file's own tables have a column "mark": that is not Mark's name."""
    path = used(tmp_path / "iris.db")
    assert erase_person(path, "Mark", now=NOW, mentions=True).found == 0


def test_two_people_of_one_first_name(tmp_path: Path) -> None:
    """Of Ada Lund and Ada Pell one is forgotten, by her whole name: the other stays, texts with
    the first name alone are told, and no claim about it becomes the other's."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        say(memory, "I keep bees", "Ada Lund")
        say(memory, "I keep hens", "Ada Pell")
        say(memory, "Ada Pell came", "Cem")
        say(memory, "Ada Lund came", "Cem")
        say(memory, "Ada was here", "Cem")
        claims = Facts(memory)
        claims.assert_fact("Ada Lund", "likes", "rye", at=NOW)
        claims.assert_fact("Ada Pell", "likes", "oats", at=NOW)
        claims.assert_fact("Ada", "owns", "a boat", at=NOW)
    done = erase_person(path, "Ada Lund", now=NOW, mentions=True)
    assert (done.records, done.beside, done.found) == ({"Bo": 2}, {"claims": 2}, 0)
    assert done.unclear == 1
    with Memory(path, "Bo") as memory:
        assert [record.text for record in memory.records()] == [
            "I keep hens",
            "Ada Pell came",
            "Ada was here",
        ]
        assert [str(claim) for claim in Facts(memory).find()] == ["Ada Pell likes oats"]


def test_a_longer_name_of_somebody_else_is_not_theirs(tmp_path: Path) -> None:
    """Somebody called Ada is forgotten where Ada Pell speaks too: Ada Pell stays."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        say(memory, "I keep bees", "ada")
        say(memory, "I keep hens", "Ada Pell")
        say(memory, "Ada Pell told ada", "Cem")
        say(memory, "Ada Pell came", "Cem")
        Facts(memory).assert_fact("Ada Pell", "likes", "oats", at=NOW)
    done = erase_person(path, "Ada", now=NOW, mentions=True)
    assert (done.records, done.beside, done.found) == ({"Bo": 2}, {}, 0)
    with Memory(path, "Bo") as memory:
        assert [record.text for record in memory.records()] == ["I keep hens", "Ada Pell came"]


def test_names_that_are_words() -> None:
    """A name that every text has as a word counts only as it is written."""
    will = PersonMatcher("Will")
    assert [will.is_named_in(text) for text in ("I will go", "WILL it?", "Will came")] == [
        False,
        False,
        True,
    ]


def test_a_document_loses_only_their_pieces(tmp_path: Path) -> None:
    """With mentions the pieces that name somebody go, their places in the document's line too;
    the others are still the document, in its present version."""
    path, note = tmp_path / "bo.db", tmp_path / "guests.md"
    with Memory(path, "Bo") as memory:
        note.write_text("# Old\n\nOats.\n\n# Zed's room\n\nNo stairs.\n")
        Documents(memory).add(note, at=NOW)
        note.write_text("# New\n\nRye.\n\n# Zed's room\n\nNo stairs.\n")
        Documents(memory).add(note, at=NOW)
    done = erase_person(path, "Zed", now=NOW, mentions=True)
    assert (done.found, done.named) == (0, 0)
    assert b"Zed" not in path.read_bytes()
    with Memory(path, "Bo") as memory:
        (piece,) = Documents(memory).passages("guests.md")
        assert "Rye." in piece.text
        assert "Oats." not in " ".join(memory.retriever(rules="hybrid")("oats rye"))
        assert memory.store.verify() == ()


@pytest.mark.parametrize("whole", [False, True], ids=["record", "person"])
def test_no_erased_row_reaches_a_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """The rows of snapshots are held in temporary tables meanwhile: in memory."""
    path, settings = tmp_path / "bo.db", []
    with Memory(path, "Bo") as memory:
        say(memory, "Rex is my dog", who="Ada")
        memory.snapshot("before")
    transaction = Store.transaction

    def recorded(store: Store) -> AbstractContextManager[None]:
        if not store.in_transaction:
            settings.append(store.rows("PRAGMA temp_store"))
        return transaction(store)

    monkeypatch.setattr(Store, "transaction", recorded)
    if whole:
        erase_person(path, "Ada", now=NOW)
    else:
        with Memory(path, "Bo") as memory:
            settings.clear()
            Corrections(memory).forget(1)
    assert settings
    assert all(one == [(2,)] for one in settings)


def test_equal_names_are_one_person(tmp_path: Path) -> None:
    """Who said it and for whom it is are compared as names, not letter by letter; the owner's
    name in another case is still the owner's."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        say(memory, "secret one", unicodedata.normalize("NFD", "Zoë"))
        say(memory, "secret two", "Cem", ("ZOË",))
        Notes(memory).write("list", "secret three", at=NOW, person="zoë")
        Facts(memory).assert_fact("rye", "costs", "secret four", at=NOW, who="Zoë ")
        memory.quarantine("zoë", why="secret five")
    done = erase_person(path, "Zoë", now=NOW)
    assert (done.records, done.beside) == ({"Bo": 2}, {"claims": 1, "notes": 1})
    assert b"secret" not in path.read_bytes()
    with pytest.raises(MemoryFault, match="own"):
        erase_person(path, "BO", now=NOW)


@pytest.mark.parametrize("ending", [".bak", ".part77", ".damaged", ".aside.jsonl"])
def test_copies_beside_the_file_are_not_passed_over(tmp_path: Path, ending: str) -> None:
    """A backup, or what a killed copy left, would still hold their words: forgetting is refused
    by its name."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        say(memory, "Rain at noon", "Zed")
    path.with_name(f"bo.db{ending}").write_bytes(path.read_bytes())
    with pytest.raises(MemoryFault, match=f"bo.db{ending}"):
        erase_person(path, "Zed", now=NOW)


def test_damaged_calls_are_found_and_mended(tmp_path: Path) -> None:
    """The check of a memory file looks at its calls as well, and a repair loses the damaged one
    alone and says so."""
    path = used(tmp_path / "iris.db")
    raw = sqlite3.connect(path)
    raw.execute("UPDATE calls SET body = '{}' WHERE state = 'done'")
    raw.commit()
    raw.close()
    with Memory(path, "Iris") as memory:
        assert any("calls" in damage.where for damage in memory.store.verify())
    assert any("calls: 1 of them" in line for line in repair_file(path).lost)
    with Memory(path, "Iris") as memory:
        assert memory.store.verify() == ()
        assert len(ToolCallLog(memory.store).pending_approvals()) == 1


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What went beside the records, what still names them, and what is unclear is printed."""
    path = used(tmp_path / "iris.db")
    with Memory(path, "Iris") as memory:
        say(memory, "Ina Lund is here", "Cem")
        say(memory, "Ina is here", "Cem")
        say(memory, "I keep bees", "Ina Lund")
    with pytest.raises(SystemExit) as ended:
        main(["memory", "forget", str(path), "--person", "Ina Lund"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert "1 records erased" in told
    assert "1 kept texts name them; --mentions" in told
    assert "1 kept texts may mean them ('Ina' alone" in told
    with pytest.raises(SystemExit) as ended:
        main(["memory", "forget", str(path), "--person", "Zed", "--json"])
    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (ended.value.code, done["found"], done["beside"]) == (0, 0, {"calls": 3})


@pytest.mark.parametrize(
    ("person", "text", "erased", "unclear"),
    [
        ("De'Andre O'Neil", "De’Andre O’Neil came", 1, 0),
        ("Jean-Luc Ek", "jean luc ek waved", 1, 0),
        ("김민수", "김민수는 서울에 산다", 1, 0),
        ("محمد علي", "ومُحَمَّد علي هنا", 1, 0),
        ("Ludwig van Moor", "Moor was loud", 0, 1),
        ("Sándor Kis", "Kis Sándor jött", 0, 1),
        ("Иван Петров", "Я видел Ивана Петрова", 0, 1),
        ("Ng", "Nguyen came", 0, 0),
    ],
)
def test_a_name_in_other_forms(
    tmp_path: Path, person: str, text: str, erased: int, unclear: int
) -> None:
    """Marks, points and particles do not hide a name; a part of it, another order or a case's
    ending is told, since it may be another's."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        say(memory, text, "Cem")
    done = erase_person(path, person, now=NOW, mentions=True)
    assert (done.records["Bo"], done.unclear) == (erased, unclear)
