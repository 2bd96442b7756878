"""Erasing a person from a memory file, with proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from ..core import (
    EVERYBODY,
    UNKNOWN,
    AgentId,
    MemoryFault,
    Record,
    RecordId,
    normalize,
    sources_of,
    time_fault,
)
from ..store import Store, chain
from . import ledger
from .callbook import CallBook
from .encoding import FORGOTTEN, body_of, gone
from .erasing import ERASERS, Erasure
from .images import SPACE
from .logbook import BESIDE
from .origins import Origins
from .person_names import Person
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
    unlabelled,
    write_head,
)
from .traces import search_cells, search_name, search_texts
from .word_places import RECORD_WORDS, Kept, kept_in


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was erased: ``records`` for each agent, and how much ``beside`` them, by part.

    The proof: ``found``, how many of the erased texts (words of records, claims, notes, and of
    calls with their arguments and results; with mentions their name too) the file still holds
    though nothing kept says the same (0: none), of ``searched`` that were looked for; ``shared``
    are those that kept things say too. ``named`` kept texts still name them, ``unclear`` ones
    may: they have the given or family name alone, or the name in a form that may be another word.
    ``left`` says what could not be erased, and what must be known of what was."""

    records: dict[AgentId, int]
    searched: int
    found: int
    shared: int
    beside: dict[str, int] = field(default_factory=dict)
    named: int = 0
    unclear: int = 0
    left: tuple[str, ...] = ()


def forget(
    path: Path | str,
    person: AgentId,
    *,
    now: datetime,
    agent: AgentId = "",
    mentions: bool = False,
) -> Forgotten:
    """Erase what ``person`` said or gave, what rests on their words, what is for them only, what
    rests on that alone and every summary that tells of it, from one agent's memory (with its
    pictures) or from all in the file, and their calls and waiting requests; with ``mentions``
    whatever names them. What is looked through is the list ``word_places.WORDS``.

    Each erased record leaves its number, and the log a line that says how many went and
    when, not whose they were. The file is written anew, so that nothing is left in free
    pages or its log; then it is searched for every erased text. Raises MemoryFault, and
    changes nothing, for a file in which more than memories would have to be erased, or beside
    which a repair has left what it set aside.
    """
    _check_call(path, person, now)
    with Store(path, create=False) as store:
        prepare(store)
        chosen = _chosen(store, person, agent)
        before = list(kept_in(store))
        whom = Person(person, _people(before) | frozenset(agents(store)))
        counts: dict[AgentId, int] = {}
        beside: dict[str, int] = {}
        with store.transaction():
            notes: list[str] = []
            marked = {name: _marked(store, name, whom, mentions, notes) for name in chosen}
            erasure = Erasure(whom, chosen, mentions, marked, notes)
            for part, erase in ERASERS.items():
                if count := erase(store, erasure):
                    beside[part] = count
            for name in chosen:
                counts[name] = _erase(store, erasure, name, now)
        store.cache.clear()
        store.scrub()
        after = list(kept_in(store))
        cells = search_cells(store, whom) if mentions and not agent else 0
        schema = "\n".join(row[0] for row in store.rows("SELECT sql FROM sqlite_master") if row[0])
    mine = _kept_of(chosen, after)
    lost = {text for text in _lost(_kept_of(chosen, before), mine) if not whom.is_name(text)}
    kept = [text for one in after for text in (*one.words, *one.labels)]
    searched, found, shared = search_texts(Path(path), lost, kept)
    named = sum(any(map(whom.named_in, (*one.words, *one.labels))) for one in mine)
    unclear = sum(any(map(whom.perhaps_in, one.words)) for one in mine)
    if mentions:
        searched += 1
        # Where others' memories stay, their words may go on naming them.
        alone = not agent or len(mine) == len(after)
        found += bool(named or cells or (alone and search_name(Path(path), whom, schema)))
    left = tuple(erasure.left)
    return Forgotten(counts, searched, found, shared, beside, named, unclear, left)


def _check_call(path: Path | str, person: AgentId, now: datetime) -> None:
    if not isinstance(person, str) or not normalize(person):
        raise MemoryFault(f"{path}: name the person to forget")
    if person.isascii() and not any(sign.isalnum() for sign in person):
        raise MemoryFault(f"{path}: {person!r} is no name that could be searched for")
    if wrong := time_fault(now, "now"):
        raise MemoryFault(f"{path}: {wrong}")
    if not Path(path).is_file():
        raise MemoryFault(f"{path}: no such file; check the path")
    if aside := leftovers(path):
        raise MemoryFault(
            f"{path}: {', '.join(item.name for item in aside)} were left beside it, where "
            f"{person} may still be read; delete these (or move them to where they are wanted) "
            "and try again"
        )


def _people(kept: Iterable[Kept]) -> frozenset[AgentId]:
    """Everybody who is named as who said something, or as whom it is for."""
    labels = {label for one in kept for label in one.labels}
    plain = {label for label in labels if ":" not in label and label != EVERYBODY}
    return frozenset(plain | {_name(label) for label in labels if label.startswith("person:")})


def _name(source: str) -> AgentId:
    return source.removeprefix("person:")


def _kept_of(chosen: Sequence[AgentId], kept: Iterable[Kept]) -> list[Kept]:
    """What is in some memories, or in what they share."""
    return [one for one in kept if one.agent in chosen or not one.agent]


def _lost(before: Iterable[Kept], after: Iterable[Kept]) -> set[str]:
    """The texts of which there are fewer than before."""
    counts = Counter(text for one in before for text in one.words)
    counts.subtract(text for one in after for text in one.words)
    return {text for text, count in counts.items() if count > 0}


def _chosen(store: Store, person: AgentId, agent: AgentId) -> tuple[AgentId, ...]:
    beside = {name for book in BESIDE for name in book.agents(store)}
    known = tuple(sorted({*agents(store), *beside, *CallBook(store).agents()}))
    parts = [row[0] for row in store.rows("SELECT part FROM parts ORDER BY part")]
    if foreign := [part for part in parts if part != PART and part not in ERASERS]:
        raise MemoryFault(
            f"{store.name}: holds more than memories ({', '.join(foreign)}), which would go on "
            f"naming {person}; forget works on memory files: export the memory and import it "
            "into a file of its own"
        )
    if any(map(Person(person).is_name, known)) and not agent:
        raise MemoryFault(
            f"{store.name}: {person} has a memory of their own in it; name whose memory is to "
            "forget them with --agent, or delete the file"
        )
    if agent and agent not in known:
        raise MemoryFault(f"{store.name}: no memory of '{agent}'; known: {', '.join(known)}")
    if agent:
        return tuple(name for name in known if name in (agent, f"{agent}{SPACE}"))
    return known


def _marked(
    store: Store, agent: AgentId, whom: Person, mentions: bool, left: list[str]
) -> frozenset[RecordId]:
    """Which of an agent's records go: those that rest on the person's words, or are for them
    only; ``left`` takes how many may and cannot be told."""
    going: set[RecordId] = set()
    unclear: set[RecordId] = set()
    origins = Origins(agent, unlabelled(store, agent))
    # A source that was cleared is one still, where it comes to whose words they were.
    released = CallBook(store).released(agent)
    for row in read_rows(store, agent):
        record = row.record
        cleared = released.get(record.id, ())
        whole = {*sources_of(record, agent), *cleared} if cleared else ()
        origins.extend([replace(record, sources=tuple(sorted(whole))) if whole else record])
        if gone(record):
            continue
        # What rests on what goes alone, and a summary of any of it, which repeats sentences.
        rests = bool(record.evidence) and going.issuperset(record.evidence)
        rests |= record.kind == "summary" and not going.isdisjoint(record.evidence)
        alone = bool(record.audience) and all(map(whom.is_name, record.audience))
        sources = any(map(whom.is_source, origins.of(record.id)))
        theirs = whom.is_name(record.who) or sources or alone or rests
        if theirs or (mentions and _mentioned(record, whom)):
            going.add(record.id)
        elif UNKNOWN in origins.of(record.id):
            unclear.add(record.id)
    if unclear:
        left.append(
            f"memory of {agent}: {len(unclear)} own records from before there were labels, of "
            f"which nobody knows whose words they rest on: records {_shown(unclear)}"
        )
    return frozenset(going)


def _shown(numbers: set[RecordId]) -> str:
    first = sorted(numbers)[:20]
    more = f" and {len(numbers) - 20} more" if len(numbers) > 20 else ""
    return f"{', '.join(map(str, first))}{more}"


def _mentioned(record: Record, whom: Person) -> bool:
    words = (getattr(record, name) for name in RECORD_WORDS)
    return any(map(whom.named_in, (*words, *(record.sources or ()))))


def _erase(store: Store, erasure: Erasure, agent: AgentId, now: datetime) -> int:
    whom, going = erasure.whom, erasure.records[agent]
    end = head(store, agent)
    link = ""
    changed: list[tuple[str, bytes | None, str, str, AgentId, RecordId]] = []
    for row in read_rows(store, agent):
        new = _without(row, whom, row.record.id in going)
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
    if changed:
        write_head(store, agent, replace(end, link=link))
    ledger.unname(store, agent, whom.is_name, erasure.named())
    if going:
        data = {"records": len(going), "when": now.isoformat(timespec="seconds")}
        last = store.one("SELECT max(step) FROM memory_records WHERE agent = ?", (agent,))
        step = int(last[0] or 0) if last else 0
        ledger.write_entry(store, agent, ledger.Entry(step, "forgotten", data))
    return len(going)


def _without(row: Row, whom: Person, going: bool) -> Row:
    """The row with nothing left of the record, or with the person out of its audience."""
    record = row.record
    if going:
        return Row(blank(record.id, record.created, FORGOTTEN), row.step, None)
    others = tuple(name for name in record.audience if not whom.is_name(name))
    if len(others) < len(record.audience):
        return Row(replace(record, audience=others), row.step, row.vector)
    return row
