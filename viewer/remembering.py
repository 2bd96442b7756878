"""An agent's memories as Smallville's associative memory."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ..core import AgentId, Json, Record
from ..memory.table import read_records
from .tables import RunSpan

if TYPE_CHECKING:
    from collections.abc import Sequence

_NODE_TYPES = {
    "observation": "event",
    "utterance": "chat",
    "thought": "thought",
    "plan": "thought",
    "document": "thought",
    "summary": "thought",
}
_THOUGHT_LIFETIME = timedelta(days=30)


def write_associative_memory(span: RunSpan, agent: AgentId, folder: Path) -> None:
    """Write nodes, embeddings and keyword strengths; ``denizens.memory.load_smallville_memories``
    reads
    the first two back. A record without an embedding has none in the file either."""
    folder.mkdir()
    records = span.records(agent)
    counts: Counter[str] = Counter()
    nodes: dict[str, Json] = {}
    strength: dict[str, Counter[str]] = {"event": Counter(), "thought": Counter()}
    for record in records:
        kind = _NODE_TYPES[record.kind]
        counts[kind] += 1
        node = _node(record, agent, kind, counts[kind])
        nodes[_node_name(record.id)] = node
        if kind in strength and f"{node['predicate']} {node['object']}" != "is idle":
            strength[kind].update(word.lower() for word in node["keywords"])
    # Newest first, as in the files of the original.
    _write_compact(folder / "nodes.json", dict(reversed(nodes.items())))
    _write_compact(folder / "embeddings.json", _embeddings(span, agent))
    words = {f"kw_strength_{kind}": dict(counted) for kind, counted in strength.items()}
    _write_compact(folder / "kw_strength.json", words)


def _write_compact(path: Path, data: Json) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")


def _node_name(number: int) -> str:
    return f"node_{number}"


def _node(record: Record, agent: AgentId, kind: str, number: int) -> Json:
    subject = record.subject or record.who or agent
    predicate = "plan" if record.kind == "plan" else record.predicate
    ends = record.created + _THOUGHT_LIFETIME if kind == "thought" else None
    return {
        "node_count": record.id,
        "type_count": number,
        "type": kind,
        "depth": record.depth,
        "created": f"{record.created:%Y-%m-%d %H:%M:%S}",
        "expiration": f"{ends:%Y-%m-%d %H:%M:%S}" if ends else None,
        "subject": subject,
        "predicate": predicate,
        "object": record.object,
        "description": record.text,
        "embedding_key": record.text,
        "poignancy": record.importance,
        "keywords": _keywords(subject, record.object),
        # A chat's filling are its lines, of anything else the nodes it rests on.
        "filling": [[subject, record.text]]
        if kind == "chat"
        else [_node_name(one) for one in record.evidence],
    }


def _keywords(*parts: str) -> list[str]:
    """The last part of an address, and of anything else the whole."""
    return list(dict.fromkeys(part.rpartition(":")[2] for part in parts if part))


def _embeddings(span: RunSpan, agent: AgentId) -> dict[str, Sequence[float]]:
    import numpy as np

    found: dict[str, Sequence[float]] = {}
    for row in read_records(span.run.store, agent):
        if row.step < span.steps and row.vector is not None:
            # Nine digits give every float32 back.
            numbers = np.frombuffer(row.vector, "<f4").tolist()
            found[row.record.text] = [float(f"{number:.9g}") for number in numbers]
    return found
