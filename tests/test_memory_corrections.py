"""Correcting and forgetting single records, with their history kept or erased."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from denizens.core import RECALLED_BY, Cue, MemoryFault, Record, RecordKind, format_utterance
from denizens.memory import Compaction, Corrections, Documents, Facts, Memory, Notes, ToolCallLog
from denizens.memory.storage import SESSION_LOG
from denizens.store import Store

NOW = datetime(2023, 6, 1, 9)


def embed(texts: Sequence[str]) -> np.ndarray:
    """A row of letter counts for each text."""
    rows = np.zeros((len(texts), 26), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for letter in text.lower():
            if "a" <= letter <= "z":
                row[ord(letter) - 97] += 1
        row /= max(1e-6, float(np.linalg.norm(row)))
    return rows


def add(
    memory: Memory,
    text: str,
    who: str = "Ada",
    *,
    kind: RecordKind = "utterance",
    evidence: Sequence[int] = (),
    people: tuple[str, ...] = ("Ada",),
) -> int:
    """A record in the memory, a minute after the one before; its number."""
    at = NOW + timedelta(minutes=len(memory))
    return memory.remember(
        text, at=at, kind=kind, who=who, evidence=evidence, audience=people, importance=3
    ).id


def said(memory: Memory, text: str, who: str = "Ada") -> int:
    """The record of an utterance of Ada to Bo, or of Bo to her; its number."""
    whom = "Bo" if who == "Ada" else "Ada"
    return add(memory, format_utterance(who, whom, text), who)


def recalled(memory: Memory, text: str = "dog", person: str = "Ada") -> list[str]:
    """The texts that are recalled for a person, best first."""
    cue = Cue(text=text, at=NOW + timedelta(days=1), limit=50, rules="hybrid", person=person)
    return [hit.record.text for hit in memory.recall(cue)]


def talked(path: Path) -> Memory:
    """Bo's memory after a talk about Ada's dog, with everything that rests on one line of it."""
    memory = Memory(path, "Bo", embed=embed)
    said(memory, "My dog is called Rexanus.")
    said(memory, "Rexanus is a fine name!", "Bo")
    said(memory, "It rains.")
    add(memory, "Ada keeps a dog", "Bo", kind="thought", evidence=[1])
    add(memory, "Ada is fond of animals", "Bo", kind="thought", evidence=[4])
    add(memory, "Rain makes people talk", "Bo", kind="thought", evidence=[3])
    Facts(memory).assert_fact("Ada", "has dog", "Rexanus", at=NOW, sources=[1])
    Facts(memory).assert_fact("Ada", "talks of", "rain", at=NOW, sources=[3])
    line = {"session": "main", "person": "Ada", "event": "line", "at": NOW.isoformat()}
    for number, text in [(1, "My dog is called Rexanus."), (2, "Rexanus is a fine name!")]:
        data = {"who": "Ada", "text": text, "records": [number]}
        SESSION_LOG.append(memory.store, "Bo", {**line, "data": data}, step=0)
    Notes(memory).write("pets", "Rexanus likes bones", at=NOW, person="Ada")
    Notes(memory).write("weather", "Rain", at=NOW, person="Ada")
    Compaction(memory).summarise([memory.record(n) for n in (1, 2, 3)], at=NOW, why="old")
    Compaction(memory).summarise([memory.record(7), memory.record(6)], at=NOW, why="older")
    memory.store.intern_text("Ada's dog is called Rexanus.")
    return memory


def leftovers(folder: Path, canary: str) -> list[str]:
    """The files that hold a text."""
    return [
        file.name
        for file in folder.iterdir()
        if any(form in file.read_bytes() for form in (canary.encode(), canary.lower().encode()))
    ]


@pytest.mark.parametrize("keep", [True, False])
def test_a_corrected_memory_is_what_is_recalled(tmp_path: Path, keep: bool) -> None:
    """Recall, words and facts follow the new text; what rested on the old one is not recalled;
    what rested on other records is."""
    memory = talked(tmp_path / "bo.db")
    new = Corrections(memory).correct(1, "My dog is called Max.", keep_history=keep, at=NOW)
    assert new.text == 'Ada said to Bo: "My dog is called Max."'
    assert (new.who, new.audience, new.created) == (
        "Ada",
        ("Ada",),
        memory.record(3).created - timedelta(minutes=2),
    )
    texts = recalled(memory)
    assert new.text in texts
    assert 'Ada said to Bo: "It rains."' in texts
    assert "Rain makes people talk" in texts
    assert not any("Rexanus" in text or "fond" in text or "keeps" in text for text in texts)
    facts = [str(fact) for fact in Facts(memory).find(person="Ada")]
    assert "Ada talks of rain" in facts
    assert not any("Rexanus" in fact for fact in facts)
    assert memory.store.verify() == ()
    memory.close()
    with Memory(tmp_path / "bo.db", "Bo", embed=embed) as again:
        assert recalled(again) == texts


def test_history_is_kept(tmp_path: Path) -> None:
    """The versions of a record are listed oldest first, with who replaced them, when and why; a
    view of the past has the old text."""
    memory = talked(tmp_path / "bo.db")
    corrections = Corrections(memory)
    with memory.store.transaction():
        second = corrections.correct(1, "My dog is called Max.", by="Ada", why="typo", at=NOW)
    third = corrections.correct(second.id, "My dog is called Moritz.", at=NOW)
    versions = corrections.history(third.id)
    assert corrections.history(1) == versions
    assert [version.number for version in versions] == [1, second.id, third.id]
    assert (versions[0].by, versions[0].why, versions[0].replaced_at) == ("Ada", "typo", NOW)
    assert versions[0].record == memory.record(1)
    assert (versions[2].record, versions[2].replaced_at) == (third, None)
    assert {1, 2, 4, 5, 7, second.id} <= corrections.withdrawn
    assert third.id not in corrections.withdrawn
    for number in (1, second.id):
        with pytest.raises(MemoryFault, match="was corrected or forgotten"):
            corrections.correct(number, "My dog is called Hasso.", at=NOW)
    report = corrections.forget(third.id, keep_history=True, by="Ada", at=NOW)
    assert report.records == (third.id,)
    assert not any("dog is called" in text for text in recalled(memory))
    assert corrections.history(1)[-1].by == "Ada"
    memory.close()


@pytest.mark.parametrize("how", ["forget", "correct", "forget after a correction"])
def test_erased_history_is_nowhere(tmp_path: Path, how: str) -> None:
    """The old text, and what could only be known from it, is in no byte of the file or of its log,
    in no snapshot, and the file says so itself."""
    memory = talked(tmp_path / "bo.db")
    early = memory.snapshot("of Rexanus", at=NOW, state={"plan": "Ask about Rexanus"})
    said(memory, "The weather is fine.")
    other = memory.snapshot("other", at=NOW)
    memory.restore(early)
    said(memory, "So Rexanus it is.", "Bo")
    memory.snapshot("third", at=NOW, state={"plan": "rest"})
    corrections = Corrections(memory)
    if how == "correct":
        corrections.correct(1, "My dog is called Max.", keep_history=False, at=NOW)
    else:
        number = 1
        if how != "forget":
            number = corrections.correct(1, "My dog is called Max.", at=NOW).id
        report = corrections.forget(number, at=NOW)
        assert (report.found, report.left) == (0, ())
        assert report.searched >= 5
        assert report.beside.keys() >= {"claims", "sessions", "notes", "texts"}
    assert leftovers(tmp_path, "Rexanus") == []
    assert memory.store.verify() == ()
    expected = ["My dog is called Max."] if how == "correct" else []
    for snapshot in (None, *memory.snapshots()):
        if snapshot:
            assert snapshot.state in (None, {"plan": "rest"})
            memory.restore(snapshot)
        assert memory.store.verify() == ()
        texts = recalled(memory)
        assert 'Ada said to Bo: "It rains."' in texts
        assert [text for text in texts if "dog" in text] == [
            format_utterance("Ada", "Bo", text) for text in expected
        ]
        assert Notes(memory).names("Ada") == ["weather"]
    assert [one.label for one in memory.snapshots()] == ["", "other", "third"]
    memory.restore(other)
    assert 'Ada said to Bo: "The weather is fine."' in recalled(memory, "weather")
    memory.close()
    assert leftovers(tmp_path, "Rexanus") == []


def test_what_somebody_else_also_said_stays(tmp_path: Path) -> None:
    """A reply whose words have another source too is kept, and so is that source."""
    memory = Memory(tmp_path / "bo.db", "Bo", embed=embed)
    said(memory, "Cy told me that the mill burned.")
    add(memory, format_utterance("Cy", "Bo", "The mill burned."), "Cy", people=())
    said(memory, "The mill burned, yes.", "Bo")
    report = Corrections(memory).forget(1, at=NOW)
    assert report.records == (1,)
    assert len(memory.records()) == 2
    memory.close()


def test_documents_take_the_corrected_passage(tmp_path: Path) -> None:
    """A corrected passage takes the old one's place in its document; a forgotten one is out."""
    note = tmp_path / "plan.txt"
    note.write_text("Open at nine.\n\nClosed on Sundays.")
    memory = Memory(tmp_path / "bo.db", "Bo", embed=embed)
    Documents(memory).add(note, at=NOW)
    (first, *rest) = Documents(memory).passages("plan.txt")
    new = Corrections(memory).correct(first.id, "Open at ten.", at=NOW)
    assert Documents(memory).passages("plan.txt") == (new, *rest)
    assert Documents(memory).cite(new) == Documents(memory).cite(first)
    Corrections(memory).forget(new.id, keep_history=True, at=NOW)
    assert Documents(memory).passages("plan.txt") == tuple(rest)
    assert recalled(memory, "open", "") == [record.text for record in rest]
    memory.close()


def test_lore_keeps_its_keys(tmp_path: Path) -> None:
    """A corrected entry of a lorebook is recalled by the same keys; the parts of an event go."""
    memory = Memory(tmp_path / "bo.db", "Bo", embed=embed)
    plain: dict[str, Any] = {"kind": "thought", "text": "Old", "created": NOW}
    memory.add([Record(id=1, predicate=RECALLED_BY, object="tower", **plain)])
    memory.add([Record(id=2, subject="Ada", predicate="likes", object="rye", **plain)])
    lore, event = (Corrections(memory).correct(n, "New text", at=NOW) for n in (1, 2))
    assert lore.keys == ("tower",)
    assert (event.subject, event.predicate, event.object) == ("", "", "")
    memory.close()


def test_the_corrector_is_a_source(tmp_path: Path) -> None:
    """A correction by somebody else rests on their word too: their quarantine hides it."""
    memory = Memory(tmp_path / "bo.db", "Bo", embed=embed)
    add(memory, "The dog is brown", people=())
    new = Corrections(memory).correct(1, "The dog is black", by="Eve", at=NOW)
    assert memory.sources(new.id) == ("Ada", "Eve")
    memory.quarantine("Eve")
    assert recalled(memory) == []
    memory.close()


def test_withdrawn_records_are_put_back(tmp_path: Path) -> None:
    """What was withdrawn for a reason is recalled again for that reason only."""
    memory = Memory(tmp_path / "bo.db", "Bo", embed=embed)
    for text in ("a dog", "my dog"):
        add(memory, text)
    corrections, generation = Corrections(memory), memory.generation
    corrections.withdraw([1, 2], why="another branch", at=NOW)
    assert recalled(memory) == []
    corrections.put_back([1, 2], why="other", at=NOW)
    assert recalled(memory) == []
    corrections.put_back([1], why="another branch", at=NOW)
    assert recalled(memory) == ["a dog"]
    assert corrections.withdrawn == {2}
    assert memory.generation == generation
    corrections.forget(1, keep_history=True, at=NOW)
    assert memory.generation == generation + 1
    memory.close()


def test_refusals_change_nothing(tmp_path: Path) -> None:
    """Unknown, erased and foreign records, an empty text, a view of the past, a run, an open
    transaction and a missing embedder are refused in one line."""
    path = tmp_path / "bo.db"
    memory = talked(path)
    corrections = Corrections(memory)
    add(memory, "A secret of Cy", "Cy", people=("Cy",))
    gone = add(memory, "Gone", "Cy", people=("Cy",))
    corrections.forget(gone, at=NOW)
    before = path.read_bytes()
    refusals: list[Callable[[], object]] = [
        lambda: corrections.correct(99, "x", at=NOW),
        lambda: corrections.forget(99, at=NOW),
        lambda: corrections.forget(gone, at=NOW),
        lambda: corrections.correct(gone - 1, "x", by="Ada", at=NOW),
        lambda: corrections.forget(gone - 1, by="Ada", at=NOW),
        lambda: corrections.correct(1, "  ", at=NOW),
        lambda: corrections.correct(1, 7, at=NOW),  # type: ignore[arg-type]
        lambda: Corrections(memory.as_of(0)).forget(1, at=NOW),
        lambda: Corrections(Memory(memory.store, "Bo")).correct(1, "x", at=NOW),
    ]
    for refused in refusals:
        with pytest.raises(MemoryFault) as error:
            refused()
        assert "\n" not in str(error.value)
    messages = []
    for number in (gone - 1, gone, 99):
        with pytest.raises(MemoryFault) as error:
            corrections.forget(number, by="Ada", at=NOW)
        messages.append(str(error.value).replace(f"record {number} ", "record N "))
    assert len(set(messages)) == 1  # Nobody learns which numbers exist.
    for change in (corrections.correct, corrections.forget):
        arguments = (1, "x") if change == corrections.correct else (1,)
        with memory.store.transaction(), pytest.raises(MemoryFault, match="transaction"):
            change(*arguments, keep_history=False, at=NOW)
    assert path.read_bytes() == before
    memory.store.put("start", {})
    with pytest.raises(MemoryFault, match="part of a run"):
        corrections.forget(1, at=NOW)
    memory.close()


@pytest.mark.parametrize("keep", [True, False])
def test_several_records_are_forgotten_at_once(tmp_path: Path, keep: bool) -> None:
    """All records of a talk go in one pass over the file."""
    memory = talked(tmp_path / "bo.db")
    report = Corrections(memory).forget([1, 2, 3], keep_history=keep, at=NOW)
    assert {1, 2, 3, 4, 5, 6} <= set(report.records)
    assert recalled(memory) == []
    assert memory.store.verify() == ()
    assert Corrections(memory).forget([], at=NOW).records == ()
    assert (leftovers(tmp_path, "Rexanus") == []) is not keep
    memory.close()


def test_calls_that_repeat_an_erased_text_go(tmp_path: Path) -> None:
    """A suspended reply that has the text in it is dropped; a call of something else stays."""
    memory = talked(tmp_path / "bo.db")
    log = ToolCallLog(memory.store)
    message = {"who": "Ada", "text": "Tell me of Rexanus", "at": NOW.isoformat()}
    thought = {"message": message, "session": [], "answers": []}
    log.save_suspended("talk1", "Bo", thought)
    message = {**message, "text": "Tell me of rain"}
    log.save_suspended("talk2", "Bo", {**thought, "message": message})
    report = Corrections(memory).forget(1, at=NOW)
    assert [scope for scope, _, _ in log.suspended_replies()] == ["talk2"]
    assert report.beside["calls"] == 1
    assert leftovers(tmp_path, "Rexanus") == []
    memory.close()


def test_a_memory_without_a_file_is_corrected_too() -> None:
    """In a store in RAM nothing is searched."""
    with Store(":memory:") as store:
        memory = Memory(store, "Bo")
        memory.add([Record(id=1, kind="utterance", text="A dog", created=NOW, who="Ada")])
        report = Corrections(memory).forget(1, at=NOW)
        assert (report.records, report.found) == ((1,), 0)
        assert memory.records() == ()
