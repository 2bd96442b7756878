"""Erasing a person beside the records: nothing of theirs is left in the file's logs."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from denizens.core import Cue, Record
from denizens.memory import Compaction, Documents, Facts, Memory
from denizens.memory.erasure.erasers import ERASERS, ErasureRequest
from denizens.memory.storage import PersonMatcher
from denizens.store import Store

NOW = datetime(2023, 6, 1, 9)


def erasing(person: str, records: Collection[int] = (), mentions: bool = True) -> ErasureRequest:
    """Whom to erase from Bo's memory."""
    return ErasureRequest(PersonMatcher(person), ("Bo",), mentions, {"Bo": frozenset(records)})


def memory(store: Store) -> Memory:
    """Bo's memory: two public lines, one of them Cy's, and a private one of Cy's."""
    made = Memory(store, "Bo")
    for n, (text, who, people) in enumerate(
        [("Rye is sold out", "Ada", ()), ("Oats came", "Cy", ()), ("A secret", "Cy", ("Cy",))], 1
    ):
        made.add([Record(id=n, kind="utterance", text=text, created=NOW, who=who, audience=people)])
    return made


def test_claims_of_the_person_are_emptied(tmp_path: Path) -> None:
    """What they said, what is for them and what rests on their records goes; about them, only
    when mentions are asked for; the log still verifies."""
    with Store(tmp_path / "bo.db") as store:
        claims = Facts(memory(store))
        claims.assert_fact("Ada", "likes", "rye", at=NOW, sources=[1])
        claims.assert_fact("Ada", "likes", "oats", at=NOW, sources=[2])
        claims.assert_fact("Cy", "likes", "jam", at=NOW, sources=[1])
        gone = erasing("Cy", records=[2, 3], mentions=False)
        assert ERASERS["claims"](store, gone) == 1
        assert [claim.object for claim in claims.find()] == ["rye", "jam"]
        assert ERASERS["claims"](store, erasing("Cy")) == 1
        assert [claim.object for claim in claims.find()] == ["rye"]
        assert store.verify() == ()


def test_summaries_that_tell_of_them_are_unfolded(tmp_path: Path) -> None:
    """A summary made of others' words and theirs comes apart: the others are recalled again."""
    with Store(tmp_path / "bo.db") as store:
        folding = Compaction(memory(store))
        folding.summarise(folding.memory.records()[:2], at=NOW)
        assert ERASERS["folds"](store, erasing("Cy", records=[2, 3])) == 1
        hits = folding.memory.recall(Cue(text="rye", at=NOW))
        assert {hit.record.id for hit in hits} == {1, 2, 3}
        assert ERASERS["folds"](store, erasing("Cy", records=[2, 3])) == 0


def test_documents_of_erased_records_lose_their_names(tmp_path: Path) -> None:
    """A document all of whose records go is not named in the file's log any more; one of
    others stays."""
    for name in ("cy.txt", "ada.txt"):
        (tmp_path / name).write_text("Words.")
    with Store(tmp_path / "bo.db") as store:
        documents = Documents(memory(store))
        theirs = documents.add(tmp_path / "cy.txt", at=NOW).added
        documents.add(tmp_path / "ada.txt", at=NOW)
        assert ERASERS["documents"](store, erasing("Cy", records=theirs)) == 1
        assert documents.names() == ("ada.txt",)
        rows = store.rows("SELECT body FROM documents_lines")
        assert not any(body and "cy.txt" in body for (body,) in rows)
        assert store.verify() == ()
