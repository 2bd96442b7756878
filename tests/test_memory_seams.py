"""Where memory's parts meet: quarantine, erasure, damage and secrets through all of them."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from denizens.core import Cue, MemoryFault, Record, RunLocked
from denizens.memory import Compaction, Documents, Facts, Memory, TemporalQA
from denizens.memory.storage import repair_file
from denizens.store import Store
from denizens.tests.support.cli_commands import run_command

NOW = datetime(2023, 6, 1, 9)


def say(memory: Memory, text: str, who: str = "", people: tuple[str, ...] = (), **more: Any) -> int:
    """One line in the memory; its number."""
    number = memory.next_id
    line = Record(
        id=number, kind="utterance", text=text, created=NOW, who=who, audience=people, **more
    )
    memory.add([line])
    return number


def ids(hits: Any) -> set[int]:
    """Numbers of the records found."""
    return {hit.record.id for hit in hits}


def test_claims_lead_to_nothing_that_recall_leaves_out(tmp_path: Path) -> None:
    """What a claim rests on does not come back through it when its source is quarantined, its
    time is over, or damage has left only its number."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        claims = Facts(memory)
        for n, who in enumerate(("Eve", "Ada", "Cy"), 1):
            say(memory, f"Line {n} of the mill", who)
            claims.assert_fact("Zoe", "likes", f"thing {n}", at=NOW, sources=[n])
        memory.remember("Soon over", at=NOW, until=NOW + timedelta(hours=1))
        claims.assert_fact("Zoe", "likes", "thing 4", at=NOW, sources=[4])
        cue = Cue(text="What does Zoe like?", at=NOW + timedelta(hours=2), limit=9)
        assert ids(claims.recall(cue)) == {1, 2, 3}
        memory.quarantine("Eve")
        assert ids(claims.recall(cue)) == {2, 3}
        assert ids(claims.recall(Cue(text="Zoe", at=cue.at, limit=9, tokens=9))) <= {2, 3}
    with Store(path) as store:
        store.execute("UPDATE memory_records SET body = '{}' WHERE id = 3")
    repair_file(path)
    with Memory(path, "Bo") as memory:
        claims = Facts(memory)
        assert ids(claims.recall(cue)) == {2}
        (lost,) = (claim for claim in claims.find("Zoe") if claim.object == "thing 3")
        assert claims.sources(lost) == ()


def test_nothing_follows_from_what_a_quarantined_source_said() -> None:
    """Claims said by one, or resting on their records alone, hold no longer; what they had
    ended holds again; released, all is as it was."""
    memory = Memory(":memory:", "Bo")
    claims = Facts(memory)
    first, lie = say(memory, "Ada lives in Leeds", "Ada"), say(memory, "Ada lives in Rome", "Eve")
    claims.assert_fact("Ada", "lives in", "Leeds", at=NOW, sources=[first])
    claims.assert_fact(
        "Ada", "lives in", "Rome", at=NOW + timedelta(days=1), sources=[lie], who="Ada"
    )
    claims.assert_fact("Ada", "likes", "gold", at=NOW, who="Eve")
    assert str(claims.lookup("Ada", "lives in")) == "Ada lives in Rome"
    memory.quarantine("Eve")
    assert str(claims.lookup("Ada", "lives in")) == "Ada lives in Leeds"
    assert claims.lookup("Ada", "likes") is None
    assert claims.related_records("Ada") == [(first, 1.0)]
    memory.release("Eve")
    assert str(claims.lookup("Ada", "lives in")) == "Ada lives in Rome"


def test_summaries_tell_nothing_of_a_quarantined_source() -> None:
    """Their records are not folded, so no summary of the owner's repeats them."""
    memory = Memory(":memory:", "Bo")
    folding = Compaction(memory)
    lines = [say(memory, f"Line {n}", "Eve" if n == 1 else "Ada") for n in range(3)]
    memory.quarantine("Eve")
    with pytest.raises(MemoryFault, match="Eve"):
        folding.summarise(memory.records()[:2], at=NOW)
    assert folding.recallable_count(NOW) == len(lines) - 1


def test_thoughts_and_texts_for_a_person_keep_secrets() -> None:
    """A thought that rests on a private record is for the same people, and a retriever for a
    person finds neither."""
    memory = Memory(":memory:", "Bo", embed=lambda texts: np.ones((len(texts), 2), np.float32))
    memory.remember("The debt is Ada's", at=NOW, audience=("Ada",))
    thought = memory.remember("A debt weighs", at=NOW, kind="thought", evidence=[1])
    assert thought.audience == ("Ada",)
    both = memory.remember("Both", at=NOW, kind="thought", evidence=[1], audience=("Cy",))
    assert both.audience == ("Bo",)
    memory.remember("Rye is sold out", at=NOW)
    assert memory.retriever(person="Cy")("debt") == ["Rye is sold out"]
    assert len(memory.retriever()("debt")) == 4


def test_documents_and_folds_live_on_with_lost_records(tmp_path: Path) -> None:
    """A document some of whose pieces are gone is listed, and imported again; a fold is
    unfolded."""
    note = tmp_path / "note.md"
    note.write_text("# One\n\nRye.\n\n# Two\n\nOats by Cy.\n")
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        Documents(memory).add(note, at=NOW)
        for n in range(3):
            say(memory, f"Line {n} of Cy" if n == 1 else f"Line {n}")
        folded = Compaction(memory).summarise(memory.records()[2:], at=NOW, text="Lines")
    with Store(path) as store:
        store.execute("UPDATE memory_records SET body = '{}' WHERE id IN (2, 4)")
    repair_file(path)
    with Memory(path, "Bo") as memory:
        documents = Documents(memory)
        assert [piece.id for piece in documents.passages("note.md")] == [1]
        assert documents.add(note, at=NOW).kept == (1,)
        assert len(documents.passages("note.md")) == 2
        assert [r.id for r in Compaction(memory).expand(folded.id, at=NOW)] == [3, 5]


def crowded(path: Path) -> Path:
    """A file of Bo's in which Cy, who is to be forgotten, is in everything: records, claims,
    what was undone, documents, folds, pictures, reasons. Every "canary" must go."""
    note = path.with_name("cy.txt")
    note.write_text("A canary of a diary.")
    plain = path.with_name("plain.txt")
    plain.write_text("The oven is hot.")
    with Memory(path, "Bo") as memory, memory.store.transaction():
        say(memory, "The mill turns", "Ada")
        say(memory, "canary said", "Cy")
        say(memory, "canary for one", "Bo", ("Cy",))
        say(memory, "Rain at noon", "Ada")
        say(memory, "canary long " + "and long " * 1500, "Cy")
        folding = Compaction(memory)
        folding.summarise(memory.records()[:2], at=NOW, why="canary fold")
        told = [memory.record(4), memory.record(5)]
        again = folding.summarise(told, at=NOW, text="canary sum", why="canary again")
        folding.expand(again.id, at=NOW)
        documents = Documents(memory)
        documents.add(note, at=NOW, who="Cy", name="canary.txt")
        documents.add(plain, at=NOW)
        claims = Facts(memory)
        claims.assert_fact("Cy", "likes", "canary seed", at=NOW, sources=[2])
        claims.assert_fact("Ada", "likes", "canary song", at=NOW, who="Cy")
        kept = claims.assert_fact("Ada", "likes", "rye", at=NOW, sources=[1])
        off = claims.assert_fact("Ada", "owes", "Dee", at=NOW, sources=[4])
        claims.retract(1, at=NOW, why="canary wrong")
        claims.retract(kept, at=NOW)
        claims.restore([1, kept], at=NOW, why="canary right")
        claims.restore([2], at=NOW, why="canary once more")
        claims.retract(off, at=NOW)
        memory.quarantine("Cy", why="canary lies")
        say(Memory(memory.store, "Bo/images"), "canary picture", "Cy")
    note.unlink()
    plain.unlink()
    return path


def left(folder: Path, word: bytes) -> list[str]:
    """Names of the files of a folder that hold a word."""
    return [item.name for item in sorted(folder.iterdir()) if word in item.read_bytes()]


@pytest.mark.parametrize("agent", [(), ("--agent", "Bo")])
def test_forgotten_in_every_part_and_file(tmp_path: Path, agent: tuple[str, ...]) -> None:
    """After ``denizens memory forget`` no file of the folder holds a word of theirs, not even
    the log that a killed writer left; all else holds: claims, undoings, folds, documents."""
    path = crowded(tmp_path / "bo.db")
    with Store(path) as store:
        store.execute("UPDATE memory_records SET body = body || ' '")
        store.execute("UPDATE memory_records SET body = rtrim(body)")
        copies = {item: item.read_bytes() for item in (path, path.with_name("bo.db-wal"))}
    for item, data in copies.items():
        item.write_bytes(data)
    assert left(tmp_path, b"canary") == ["bo.db", "bo.db-wal"]
    assert run_command("memory", "forget", path, "--person", "Cy", *agent) == 0
    assert left(tmp_path, b"canary") == []
    with Memory(path, "Bo") as memory:
        assert memory.store.verify() == ()
        claims, cue = Facts(memory), Cue(text="mill, rain, oven", at=NOW, limit=99)
        assert [str(claim) for claim in claims.find()] == ["Ada likes rye"]
        texts = {"The mill turns", "Rain at noon", "The oven is hot."}
        for rules in ("paper", "hybrid"):
            hits = memory.recall(Cue(text=cue.text, at=NOW, limit=99, rules=rules, around=3))
            assert {hit.record.text for hit in hits} == texts
        assert Documents(memory).names() == ("plain.txt",)
        assert Compaction(memory).history() == ()
        found = memory.episodes(cue)
        assert {hit.record.text for each in found for hit in each.hits} <= texts


def test_forgetting_with_mentions_reaches_reasons(tmp_path: Path) -> None:
    """With mentions no reason of a fold, an undoing or a quarantine names them either, and
    each of these still holds."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        for n in range(3):
            say(memory, f"Line {n}", "Eve" if n == 2 else "Ada")
        Compaction(memory).summarise(memory.records()[:2], at=NOW, text="Lines", why="Cy asked")
        claims = Facts(memory)
        claims.retract(claims.assert_fact("Ada", "likes", "rye", at=NOW), at=NOW, why="CY said so")
        memory.quarantine("Eve", why="Cy warned")
    assert run_command("memory", "forget", path, "--person", "Cy", "--mentions") == 0
    assert left(tmp_path, b"Cy ") == left(tmp_path, b"CY ") == []
    with Memory(path, "Bo") as memory:
        assert memory.quarantined == {"Eve"}
        assert ids(memory.recall(Cue(text="lines", at=NOW))) == {4}
        assert Facts(memory).find() == ()
        assert memory.store.verify() == ()


def test_claims_without_records_are_forgotten_too(tmp_path: Path) -> None:
    """A file that holds nothing but claims is none in which nobody is to be forgotten."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        Facts(memory).assert_fact("Cy", "likes", "canary seed", at=NOW)
    assert run_command("memory", "forget", path, "--person", "Cy", "--mentions") == 0
    assert left(tmp_path, b"canary") == []


def test_what_a_repair_left_is_not_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While a damaged original or rows set aside lie beside the file, forgetting is refused
    by their names; once they are gone it goes through."""
    path = crowded(tmp_path / "bo.db")
    with Store(path) as store:
        store.execute("UPDATE memory_records SET body = body || ' ' WHERE id = 2")
    repair_file(path)
    assert left(tmp_path, b"canary") == ["bo.db", "bo.db.aside.jsonl", "bo.db.damaged"]
    assert run_command("memory", "forget", path, "--person", "Cy") == 2
    assert "bo.db.aside.jsonl, bo.db.damaged" in capsys.readouterr().err
    for item in tmp_path.glob("bo.db.*"):
        item.unlink()
    assert run_command("memory", "forget", path, "--person", "Cy") == 0


def test_a_reader_is_not_taken_for_proof(tmp_path: Path) -> None:
    """Somebody who reads the file keeps old pages on disk: scrubbing says so, and when they
    have ended it is done."""
    path = crowded(tmp_path / "bo.db")
    with Store(path) as store:
        store.put("note", "x")
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM memory_records").fetchone()
        store.execute("PRAGMA busy_timeout = 1")
        with pytest.raises(RunLocked, match="reading"):
            store.scrub()
        reader.close()
        store.scrub()


def test_long_texts_are_searched_for_in_pieces(tmp_path: Path) -> None:
    """A text longer than a page, which the file holds in pieces, counts as found."""
    from denizens.memory.erasure.byte_search import search_texts

    path = tmp_path / "bo.db"
    text = "".join(f"{n} loaves " for n in range(3000))
    with Memory(path, "Bo") as memory:
        say(memory, text)
    assert search_texts(path, [text, "none" * 999], ["1 loaf"]) == (2, 1, 0)


def test_a_summary_of_a_source_quarantined_later_comes_apart() -> None:
    """Its other records are told by themselves, through summaries of summaries too; released,
    it stands for them again."""
    memory = Memory(":memory:", "Bo")
    folding, cue = Compaction(memory), Cue(text="line", at=NOW, limit=99)
    for n in range(4):
        say(memory, f"Line {n}", "Eve" if n == 1 else "Ada")
    inner = folding.summarise(memory.records()[:2], at=NOW, text="Eve says gold")
    outer = folding.summarise([inner, memory.record(3)], at=NOW, text="Gold and line")
    assert ids(memory.recall(cue)) == {4, outer.id}
    memory.quarantine("Eve")
    assert ids(memory.recall(cue)) == {1, 3, 4}
    assert ids(memory.recall(Cue(text="line", at=NOW, limit=99, rules="hybrid"))) == {1, 3, 4}
    memory.release("Eve")
    assert ids(memory.recall(cue)) == {4, outer.id}


def test_changed_facts_are_not_told_by_a_quarantined_source() -> None:
    """Questions about changed facts pass over what a quarantined source or a secret says."""
    memory = Memory(":memory:", "Bo", embed=lambda texts: np.ones((len(texts), 2), np.float32))
    say(memory, "Ada moved to Leeds.", "Dan")
    say(memory, "Ada moved to Rome.", "Eve")
    say(memory, "Ada moved to Bonn.", "Dan", ("Dan",))
    changing = TemporalQA(memory)

    def told(person: str = "") -> str:
        found = changing.ask("Where does Ada live?", person=person)
        return found.value if found else ""

    assert (told(), told("Cy")) == ("Bonn", "Rome")
    memory.quarantine("Eve")
    assert (told(), told("Cy")) == ("Bonn", "Leeds")
