"""Where memory's parts meet: quarantine, erasure, damage and secrets through all of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from denizens.core import Cue, MemoryFault, Record
from denizens.memory import Claims, Documents, Folding, Memory
from denizens.memory.forgetting import forget
from denizens.memory.repairing import repair
from denizens.store import Store

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
        claims = Claims(memory)
        for n, who in enumerate(("Eve", "Ada", "Cy"), 1):
            say(memory, f"Line {n} of the mill", who)
            claims.tell("Zoe", "likes", f"thing {n}", at=NOW, sources=[n])
        memory.remember("Soon over", at=NOW, until=NOW + timedelta(hours=1))
        claims.tell("Zoe", "likes", "thing 4", at=NOW, sources=[4])
        cue = Cue(text="What does Zoe like?", at=NOW + timedelta(hours=2), limit=9)
        assert ids(claims.recall(cue)) == {1, 2, 3}
        memory.quarantine("Eve")
        assert ids(claims.recall(cue)) == {2, 3}
        assert ids(claims.recall(Cue(text="Zoe", at=cue.at, limit=9, tokens=9))) <= {2, 3}
    with Store(path) as store:
        store.execute("UPDATE memory_records SET body = '{}' WHERE id = 3")
    repair(path)
    with Memory(path, "Bo") as memory:
        claims = Claims(memory)
        assert ids(claims.recall(cue)) == {2}
        (lost,) = (claim for claim in claims.all("Zoe") if claim.object == "thing 3")
        assert claims.sources(lost) == ()


def test_nothing_follows_from_what_a_quarantined_source_said() -> None:
    """Claims said by one, or resting on their records alone, hold no longer; what they had
    ended holds again; released, all is as it was."""
    memory = Memory(":memory:", "Bo")
    claims = Claims(memory)
    first, lie = say(memory, "Ada lives in Leeds", "Ada"), say(memory, "Ada lives in Rome", "Eve")
    claims.tell("Ada", "lives in", "Leeds", at=NOW, sources=[first])
    claims.tell("Ada", "lives in", "Rome", at=NOW + timedelta(days=1), sources=[lie], who="Ada")
    claims.tell("Ada", "likes", "gold", at=NOW, who="Eve")
    assert str(claims.ask("Ada", "lives in")) == "Ada lives in Rome"
    memory.quarantine("Eve")
    assert str(claims.ask("Ada", "lives in")) == "Ada lives in Leeds"
    assert claims.ask("Ada", "likes") is None
    assert claims.related("Ada") == [(first, 1.0)]
    memory.release("Eve")
    assert str(claims.ask("Ada", "lives in")) == "Ada lives in Rome"


def test_summaries_tell_nothing_of_a_quarantined_source() -> None:
    """Their records are not folded, so no summary of the owner's repeats them."""
    memory = Memory(":memory:", "Bo")
    folding = Folding(memory)
    lines = [say(memory, f"Line {n}", "Eve" if n == 1 else "Ada") for n in range(3)]
    memory.quarantine("Eve")
    with pytest.raises(MemoryFault, match="Eve"):
        folding.fold(memory.records()[:2], at=NOW)
    assert folding.size(NOW) == len(lines) - 1


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
        folded = Folding(memory).fold(memory.records()[2:], at=NOW, text="Lines")
    with Store(path) as store:
        store.execute("UPDATE memory_records SET body = '{}' WHERE id IN (2, 4)")
    repair(path)
    with Memory(path, "Bo") as memory:
        documents = Documents(memory)
        assert [piece.id for piece in documents.pieces("note.md")] == [1]
        assert documents.add(note, at=NOW).kept == (1,)
        assert len(documents.pieces("note.md")) == 2
        assert [r.id for r in Folding(memory).unfold(folded.id, at=NOW)] == [3, 5]
