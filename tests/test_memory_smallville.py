"""Smallville's memories as records."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from denizens.core import Cue, Json, MemoryFault
from denizens.memory import Memory, load_smallville_memories

FINISHED = "smallville/July1_the_ville_isabella_maria_klaus-step-3-20/personas"


def node(**fields: Json) -> Json:
    """A node with some fields set."""
    return {
        "type": "event",
        "depth": 0,
        "created": "2023-02-13 09:00:00",
        "subject": "Bo",
        "predicate": "is",
        "object": "up",
        "description": "Bo is up",
        "embedding_key": "Bo is up",
        "poignancy": 0,
        "filling": None,
        **fields,
    }


def folder_of(tmp_path: Path, nodes: Json, embeddings: Json = None) -> Path:
    """A persona's folder with these memories."""
    home = tmp_path / "bootstrap_memory" / "associative_memory"
    home.mkdir(parents=True)
    (home / "nodes.json").write_text(json.dumps(nodes), encoding="utf-8")
    if embeddings is not None:
        (home / "embeddings.json").write_text(json.dumps(embeddings), encoding="utf-8")
    return tmp_path


def test_nodes_become_records(tmp_path: Path) -> None:
    """Each type becomes its kind; order, evidence, places, embeddings and importances are
    kept, those above 10 too."""
    nodes = {
        "node_3": node(type="thought", filling=["node_1", "node_2"], depth=1, poignancy=7),
        "node_2": node(subject="town:house:bed", description="bed is idle", filling="node_1"),
        "node_1": node(),
        "node_10": node(type="thought", predicate="plan"),
        "node_4": node(type="chat", filling=[["Bo", "Hello"]], poignancy=11),
    }
    records, vectors = load_smallville_memories(
        folder_of(tmp_path, nodes, {"Bo is up": [1.0, 0.5]})
    )
    kinds = ["observation", "observation", "thought", "utterance", "plan"]
    assert [record.kind for record in records] == kinds
    assert [record.id for record in records] == [1, 2, 3, 4, 5]
    assert [record.evidence for record in records] == [(), (1,), (1, 2), (), ()]
    assert [record.importance for record in records] == [1, 1, 7, 11, 1]
    assert (records[1].who, records[1].place) == ("", "town:house:bed")
    assert records[2].depth == 1
    assert records[0].created == datetime(2023, 2, 13, 9)
    assert {number: row.tolist() for number, row in vectors.items()}[1] == [1.0, 0.5]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ({"node_1": node(created="Monday")}, "node_1"),
        ({"node_1": node(type="dream")}, "node_1"),
        ({"node_1": node(filling=["node_9"])}, "node_9"),
        ({"node_1": {"type": "event"}}, "node_1"),
        ({"first": node()}, "first"),
        ({"node_1": node(predicate=["is"])}, "node_1 .*its predicate is"),
        ({"node_1": node(poignancy="much")}, "node_1"),
        ({"node_1": node(poignancy=None)}, "node_1"),
        ([], "must hold an object"),
    ],
)
def test_bad_nodes_are_named(tmp_path: Path, nodes: Json, message: str) -> None:
    """A node that cannot be read is named with its file."""
    with pytest.raises(MemoryFault, match=rf"nodes\.json.*{message}"):
        load_smallville_memories(folder_of(tmp_path, nodes))


def test_missing_memories_are_named(tmp_path: Path) -> None:
    """A folder without memories, and one with a broken file, say what is wrong."""
    with pytest.raises(MemoryFault, match="no Smallville memories"):
        load_smallville_memories(tmp_path)
    (tmp_path / "nodes.json").write_text("{", encoding="utf-8")
    with pytest.raises(MemoryFault, match=r"nodes\.json: is not well-formed JSON"):
        load_smallville_memories(tmp_path)


@pytest.mark.data
def test_isabellas_day_loads_and_recalls(data: Path, tmp_path: Path) -> None:
    """All 912 nodes of her finished day become records, survive the file and are recalled
    by both rule sets; reverie's candidates are all but conversations and idle things."""
    records, vectors = load_smallville_memories(data / FINISHED / "Isabella Rodriguez")
    assert len(records) == 912
    assert vectors == {}
    counts = {kind: sum(r.kind == kind for r in records) for kind in {r.kind for r in records}}
    assert counts == {"observation": 762, "utterance": 4, "thought": 138, "plan": 8}
    assert max(record.depth for record in records) == 10
    rows = np.random.default_rng(7).normal(size=(912, 32)).astype(np.float32)
    path = tmp_path / "isabella.db"
    with Memory(path, "Isabella Rodriguez") as memory:
        memory.add(records, {record.id: row for record, row in zip(records, rows, strict=True)})
    with Memory(path, "Isabella Rodriguez", decay=0.99) as memory:
        plain = [replace(one, sources=None) for one in memory.records()]
        assert plain == [replace(one, sources=None) for one in records]
        # A chat holds the other's words, and so does what was made of it.
        chat, memo = memory.existing_records([287, 288])
        assert (chat.kind, chat.who, memo.evidence) == ("utterance", "Isabella Rodriguez", (287,))
        assert chat.sources == memo.sources == ("Klaus Mueller",)
        at = datetime(2023, 2, 14)
        best = memory.recall(Cue(text="party", at=at, limit=30), rows[890])
        assert len(best) == 30
        assert max(best, key=lambda hit: hit.relevance).record.id == 891
        everything = memory.recall(Cue(text="party", at=at, limit=999, rules="reverie"), rows[0])
        wanted = {r.id for r in records if r.kind != "utterance" and "idle" not in r.text}
        assert {hit.record.id for hit in everything} == wanted
        assert memory.store.verify() == ()


@pytest.mark.data
def test_every_persona_of_the_data_loads(data: Path) -> None:
    """The other two of the finished day, and the empty memories of the base towns."""
    sizes = {
        path.name: len(load_smallville_memories(path)[0])
        for path in sorted((data / FINISHED).iterdir())
    }
    assert sizes == {"Isabella Rodriguez": 912, "Klaus Mueller": 593, "Maria Lopez": 600}
    base = data / "smallville" / "base_the_ville_n25" / "personas"
    assert {len(load_smallville_memories(path)[0]) for path in base.iterdir() if path.is_dir()} == {
        0
    }
