"""Erasing a person from a memory file, with proof."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from json.encoder import encode_basestring
from pathlib import Path

from ..core import AgentId, MemoryFault, Record, RecordId
from ..store import Store, chain
from . import ledger
from .claim_names import naming
from .encoding import FORGOTTEN, body_of, gone
from .erasing import ERASERS, Erasure
from .images import SPACE
from .logbook import BESIDE
from .repairing import blank, leftovers
from .table import (
    PART,
    Row,
    agents,
    content_mark,
    head,
    prepare,
    read_rows,
    record_payload,
    write_head,
)

PIECE = 200
"""Bytes of a long text looked for at a time."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was erased: ``records`` for each agent; ``found``, how many of the erased texts
    the file still holds though no kept record says the same (0 is the proof), of ``searched``
    that were looked for; ``shared`` are those that kept records say too."""

    records: dict[AgentId, int]
    searched: int
    found: int
    shared: int


def forget(
    path: Path | str,
    person: AgentId,
    *,
    now: datetime,
    agent: AgentId = "",
    mentions: bool = False,
) -> Forgotten:
    """Erase what ``person`` said, what is for them only, what rests on that alone and every
    summary that tells of it, from one agent's memory (with its pictures) or from all in the
    file; with ``mentions`` whatever names them.

    Each erased record leaves its number, and the log a line that says how many went and
    when, not whose they were. The file is written anew, so that nothing is left in free
    pages or its log; then it is searched for every erased text. Raises MemoryFault, and
    changes nothing, for a file in which more than memories would have to be erased, or beside
    which a repair has left what it set aside.
    """
    if not person:
        raise MemoryFault(f"{path}: name the person to forget")
    if aside := leftovers(path):
        raise MemoryFault(
            f"{path}: a repair left {', '.join(item.name for item in aside)} beside it, where "
            f"{person} may still be read; delete these (or move them to where they are wanted) "
            "and try again"
        )
    with Store(path, create=False) as store:
        prepare(store)
        chosen = _chosen(store, person, agent)
        gone_texts: list[str] = []
        counts: dict[AgentId, int] = {}
        with store.transaction():
            marked = {name: _marked(store, name, person, mentions) for name in chosen}
            erasure = Erasure(person, chosen, mentions, marked)
            for erase in ERASERS.values():
                erase(store, erasure)
            for name in chosen:
                counts[name] = _erase(store, erasure, name, now, gone_texts)
        store.cache.clear()
        store.scrub()
        kept = [row.record.text for name in agents(store) for row in read_rows(store, name)]
    searched, found, shared = _search(Path(path), gone_texts, kept)
    return Forgotten(counts, searched, found, shared)


def _chosen(store: Store, person: AgentId, agent: AgentId) -> tuple[AgentId, ...]:
    beside = {name for book in BESIDE for name in book.agents(store)}
    known = tuple(sorted({*agents(store), *beside}))
    parts = [row[0] for row in store.rows("SELECT part FROM parts ORDER BY part")]
    if foreign := [part for part in parts if part != PART and part not in ERASERS]:
        raise MemoryFault(
            f"{store.name}: holds more than memories ({', '.join(foreign)}), which would go on "
            f"naming {person}; forget works on memory files: export the memory and import it "
            "into a file of its own"
        )
    if person in known and not agent:
        raise MemoryFault(
            f"{store.name}: {person} has a memory of their own in it; name whose memory is to "
            "forget them with --agent, or delete the file"
        )
    if agent and agent not in known:
        raise MemoryFault(f"{store.name}: no memory of '{agent}'; known: {', '.join(known)}")
    if agent:
        return tuple(name for name in known if name in (agent, f"{agent}{SPACE}"))
    return known


def _marked(store: Store, agent: AgentId, person: AgentId, mentions: bool) -> frozenset[RecordId]:
    """Which of an agent's records go."""
    named = naming(person)
    going: set[RecordId] = set()
    for row in read_rows(store, agent):
        record = row.record
        if gone(record):
            continue
        rests = bool(record.evidence) and going.issuperset(record.evidence)
        # A summary repeats sentences of what it stands for: of theirs, if one is among it.
        rests |= record.kind == "summary" and not going.isdisjoint(record.evidence)
        theirs = record.who == person or record.audience == (person,) or rests
        if theirs or (mentions and _mentioned(record, named)):
            going.add(record.id)
    return frozenset(going)


def _mentioned(record: Record, named: Callable[[str], bool]) -> bool:
    fields = (record.text, record.subject, record.object, record.place, record.episode)
    return any(map(named, (*fields, record.predicate, record.source)))


def _erase(store: Store, erasure: Erasure, agent: AgentId, now: datetime, texts: list[str]) -> int:
    person, going = erasure.person, erasure.records[agent]
    end = head(store, agent)
    link = ""
    changed: list[tuple[str, bytes | None, str, str, AgentId, RecordId]] = []
    for row in read_rows(store, agent):
        new = _without(row, person, row.record.id in going)
        if row.record.id in going:
            texts.append(row.record.text)
        body = body_of(new.record)
        mark = content_mark(body, new.vector)
        link = chain(link, record_payload(agent, row.record.id, row.step, mark))
        # From the first change on every link is another.
        if new is not row or changed:
            changed.append((body, new.vector, mark, link, agent, row.record.id))
    store.executemany(
        "UPDATE memory_records SET body = ?, vector = ?, digest = ?, link = ? "
        "WHERE agent = ? AND id = ?",
        changed,
    )
    write_head(store, agent, replace(end, link=link))
    named = naming(person) if erasure.mentions else (lambda text: False)
    ledger.unname(store, agent, person, named)
    if going:
        data = {"records": len(going), "when": now.isoformat(timespec="seconds")}
        last = store.one("SELECT max(step) FROM memory_records WHERE agent = ?", (agent,))
        step = int(last[0] or 0) if last else 0
        ledger.write_entry(store, agent, ledger.Entry(step, "forgotten", data))
    return len(going)


def _without(row: Row, person: AgentId, going: bool) -> Row:
    """The row with nothing left of the record, or with the person out of its audience."""
    record = row.record
    if going:
        return Row(blank(record.id, record.created, FORGOTTEN), row.step, None)
    if person in record.audience:
        others = tuple(name for name in record.audience if name != person)
        return Row(replace(record, audience=others), row.step, row.vector)
    return row


def _search(path: Path, texts: Sequence[str], kept: Sequence[str]) -> tuple[int, int, int]:
    """How many erased texts were looked for in the file, how many it still holds, and how
    many of them kept records say as well."""
    wanted = {text for text in texts if text}
    said = "\n".join(kept)
    shared = {text for text in wanted if text in said}
    left = wanted - shared
    kept_bytes = encode_basestring(said).encode() if any(map(_long, left)) else b""
    found = 0
    with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for text in left:
            found += any(data.find(part) >= 0 for part in _parts(text, kept_bytes))
    return len(wanted), found, len(shared)


def _long(text: str) -> bool:
    return len(text) > 2 * PIECE


def _parts(text: str, kept: bytes) -> list[bytes]:
    """A text as the file holds it; of a long one, which pages cut, pieces that are in no kept
    text."""
    stored = encode_basestring(text)[1:-1].encode()
    if not _long(text):
        return [stored]
    pieces = [stored[at : at + PIECE] for at in range(0, len(stored) - PIECE + 1, PIECE)]
    return [piece for piece in pieces if piece not in kept]
