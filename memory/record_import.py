"""Records from elsewhere: a Smallville persona's memory folder, and a simulation's input."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..core import (
    AgentId,
    Input,
    Json,
    MemoryFault,
    Record,
    RecordId,
    RecordKind,
    SettingError,
    from_json,
    parse_settings,
    read_text_file,
    record_sources,
    source_name,
    to_json,
)
from .storage import record_fault

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

_KINDS: dict[str, RecordKind] = {"event": "observation", "thought": "thought", "chat": "utterance"}


def load_smallville_memories(
    folder: Path | str,
) -> tuple[tuple[Record, ...], dict[RecordId, NDArray[np.float32]]]:
    """The records of a Smallville persona, oldest first and numbered from 1, and their embeddings
    as far as the folder has them.

    ``folder`` is the persona's folder, its ``bootstrap_memory`` or that one's
    ``associative_memory``. Events become observations; chats become utterances (the summary
    without the lines); thoughts become thoughts, or plans if the predicate is "plan". Poignancy
    becomes importance unchanged, also above 10, because scores are min-max scaled over it; below
    1 it is 1, with a warning. Raises MemoryFault naming file and node.
    """
    import numpy as np

    home = _memory_home(Path(folder))
    source = home / "nodes.json"
    nodes = _read_object(source)
    embedding_file = home / "embeddings.json"
    embeddings = _read_object(embedding_file) if embedding_file.exists() else {}
    scratch = home.parent / "scratch.json"
    owner = str(_read_object(scratch).get("name", "")) if scratch.exists() else ""
    try:
        names = sorted(nodes, key=lambda name: int(name.removeprefix("node_")))
    except ValueError as error:
        raise MemoryFault(f"{source}: a node is not called node_<number> ({error})") from error
    numbers = {name: place for place, name in enumerate(names, 1)}
    records, vectors = [], {}
    for name in names:
        try:
            record = _node_record(nodes[name], numbers[name], numbers, owner)
            row = embeddings.get(nodes[name]["embedding_key"])
            if row is not None:
                vectors[record.id] = np.asarray(row, np.float32)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise MemoryFault(f"{source}: {name} cannot be read ({error!r}); correct it") from error
        if fault := record_fault(record, record.id):
            raise MemoryFault(f"{source}: {name}: {fault}; correct it")
        records.append(record)
    low = [name for name in names if float(nodes[name]["poignancy"]) < 1]
    if low:
        log.warning("%s: poignancy below 1 is taken as 1: %s", source, ", ".join(low[:5]))
    return tuple(records), vectors


def memories_input(records: Sequence[Record], to: AgentId) -> Input:
    """The simulation input by which agent ``to`` adds these records to its memory."""
    return Input(
        kind="memories", to=to, fields={"records": [to_json(record) for record in records]}
    )


def records_of_input(given: Input, first: RecordId) -> tuple[Record, ...]:
    """The records of a ``memories_input``, renumbered from ``first``. If somebody other than the
    agent gave them, that person is a source of each."""
    records = [from_json(Record, record) for record in given.fields["records"]]
    numbers = {record.id: number for number, record in enumerate(records, first)}
    return tuple(
        replace(
            record,
            id=numbers[record.id],
            evidence=tuple(numbers[number] for number in record.evidence),
            sources=_sources_with_giver(record, given),
        )
        for record in records
    )


def _sources_with_giver(record: Record, given: Input) -> tuple[str, ...] | None:
    if given.who in ("", given.to):
        return record.sources
    return tuple(sorted({*record_sources(record, given.to), source_name(given.who)}))


def _memory_home(folder: Path) -> Path:
    for below in ("", "associative_memory", "bootstrap_memory/associative_memory"):
        if (folder / below / "nodes.json").is_file():
            return folder / below
    raise MemoryFault(
        f"{folder}: holds no Smallville memories (associative_memory/nodes.json); "
        "name a persona's folder"
    )


def _read_object(path: Path) -> dict[str, Json]:
    text = read_text_file(path, error=MemoryFault)
    try:
        data = parse_settings(text, path)
    except SettingError as error:
        raise MemoryFault(str(error)) from error
    if not isinstance(data, dict):
        raise MemoryFault(f"{path}: must hold an object, not a {type(data).__name__}")
    return data


def _node_record(node: Json, number: RecordId, numbers: dict[str, RecordId], owner: str) -> Record:
    kind = _KINDS[node["type"]]
    if kind == "thought" and node["predicate"] == "plan":
        kind = "plan"
    # The filling of an event is a list of nodes, a node's name or nothing; of a chat its lines.
    filling = node["filling"] or []
    filling = [filling] if isinstance(filling, str) else filling
    evidence = () if kind == "utterance" else tuple(numbers[name] for name in filling)
    if any(basis >= number for basis in evidence):
        raise ValueError("its filling names a node that is not older than itself")
    if not isinstance(node["description"], str):
        raise TypeError(f"its description is {node['description']!r}, no text")
    subject = _node_text(node, "subject")
    is_object = ":" in subject
    partner = _node_text(node, "object") if kind == "utterance" else ""
    # A chat is stored as the owner's own event, but contains the partner's words.
    speakers = {source_name(name) for name in (subject, partner) if name not in ("", owner)}
    return Record(
        id=number,
        kind=kind,
        text=node["description"],
        created=datetime.strptime(node["created"], "%Y-%m-%d %H:%M:%S"),
        who=owner if kind in ("thought", "plan") else "" if is_object else subject,
        importance=max(1.0, float(node["poignancy"])),
        evidence=evidence,
        depth=int(node["depth"]),
        place=subject if is_object else "",
        subject=subject,
        predicate=_node_text(node, "predicate"),
        object=_node_text(node, "object"),
        sources=tuple(sorted(speakers)) if partner not in ("", owner) else None,
    )


def _node_text(node: Json, key: str) -> str:
    value = node[key]
    if value is not None and not isinstance(value, str):
        raise TypeError(f"its {key} is {value!r}, no text")
    return value or ""
