"""Erasing a person from a memory file, with proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from ...core import (
    EVERYBODY,
    UNKNOWN_SOURCE,
    AgentId,
    MemoryFault,
    Record,
    RecordId,
    normalize,
    record_sources,
    time_error,
)
from ...store import Store
from ..documents import IMAGES_SUFFIX
from ..storage import (
    AUXILIARY_LOGS,
    FORGOTTEN,
    MEMORY_PART,
    RECORD_CHAIN,
    AuditEntry,
    PersonMatcher,
    RecordSources,
    StoredRecord,
    ToolCallLog,
    agents_in,
    blank_record,
    body_of,
    erase_name,
    is_erased,
    prepare_store,
    read_records,
    repair_leftovers,
    unlabelled_count,
    write_audit_entry,
)
from .byte_search import search_cells, search_name, search_texts
from .erasers import ERASERS, ErasureRequest
from .text_columns import RECORD_TEXT_FIELDS, StoredText, stored_texts


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What was erased: ``records`` for each agent, and how much ``beside`` them, by part.

    The proof: ``found``, how many of the erased texts (words of records, claims, notes, and of
    calls with their arguments and results; with mentions their name too) the file still holds
    though nothing kept says the same (0: none), of ``searched`` that were looked for; ``shared``
    are those that kept things say too. ``named`` kept texts still name them, ``unclear`` ones
    may: they have the given or family name alone, or the name in a form that may be another word.
    ``remarks`` says what could not be erased, and what must be known of what was."""

    records: dict[AgentId, int]
    searched: int
    found: int
    shared: int
    beside: dict[str, int] = field(default_factory=dict)
    named: int = 0
    unclear: int = 0
    left: tuple[str, ...] = ()


def erase_person(
    path: Path | str,
    person: AgentId,
    *,
    now: datetime,
    agent: AgentId = "",
    mentions: bool = False,
) -> ErasureReport:
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
        prepare_store(store)
        chosen = _chosen_agents(store, person, agent)
        before = list(stored_texts(store))
        whom = PersonMatcher(person, _known_people(before) | frozenset(agents_in(store)))
        counts: dict[AgentId, int] = {}
        beside: dict[str, int] = {}
        with store.transaction():
            notes: list[str] = []
            marked = {
                name: _records_to_erase(store, name, whom, mentions, notes) for name in chosen
            }
            erasure = ErasureRequest(whom, chosen, mentions, marked, notes)
            for part, erase in ERASERS.items():
                if count := erase(store, erasure):
                    beside[part] = count
            for name in chosen:
                counts[name] = _erase_records(store, erasure, name, now)
        store.cache.clear()
        store.scrub()
        after = list(stored_texts(store))
        cells = search_cells(store, whom) if mentions and not agent else 0
        schema = "\n".join(row[0] for row in store.rows("SELECT sql FROM sqlite_master") if row[0])
    mine = _texts_of(chosen, after)
    lost = {
        text
        for text in _removed_texts(_texts_of(chosen, before), mine)
        if not whom.matches_name(text)
    }
    kept = [text for one in after for text in (*one.words, *one.labels)]
    searched, found, shared = search_texts(Path(path), lost, kept)
    named = sum(any(map(whom.is_named_in, (*one.words, *one.labels))) for one in mine)
    unclear = sum(any(map(whom.may_be_named_in, one.words)) for one in mine)
    if mentions:
        searched += 1
        # Where others' memories stay, their words may go on naming them.
        alone = not agent or len(mine) == len(after)
        found += bool(named or cells or (alone and search_name(Path(path), whom, schema)))
    left = tuple(erasure.remarks)
    return ErasureReport(counts, searched, found, shared, beside, named, unclear, left)


def _check_call(path: Path | str, person: AgentId, now: datetime) -> None:
    if not isinstance(person, str) or not normalize(person):
        raise MemoryFault(f"{path}: name the person to forget")
    if person.isascii() and not any(sign.isalnum() for sign in person):
        raise MemoryFault(f"{path}: {person!r} is no name that could be searched for")
    if wrong := time_error(now, "now"):
        raise MemoryFault(f"{path}: {wrong}")
    if not Path(path).is_file():
        raise MemoryFault(f"{path}: no such file; check the path")
    if aside := repair_leftovers(path):
        raise MemoryFault(
            f"{path}: {', '.join(item.name for item in aside)} were left beside it, where "
            f"{person} may still be read; delete these (or move them to where they are wanted) "
            "and try again"
        )


def _known_people(kept: Iterable[StoredText]) -> frozenset[AgentId]:
    """Everybody who is named as who said something, or as whom it is for."""
    labels = {label for one in kept for label in one.labels}
    plain = {label for label in labels if ":" not in label and label != EVERYBODY}
    return frozenset(
        plain | {_person_name(label) for label in labels if label.startswith("person:")}
    )


def _person_name(source: str) -> AgentId:
    return source.removeprefix("person:")


def _texts_of(chosen: Sequence[AgentId], kept: Iterable[StoredText]) -> list[StoredText]:
    """What is in some memories, or in what they share."""
    return [one for one in kept if one.agent in chosen or not one.agent]


def _removed_texts(before: Iterable[StoredText], after: Iterable[StoredText]) -> set[str]:
    """The texts of which there are fewer than before."""
    counts = Counter(text for one in before for text in one.words)
    counts.subtract(text for one in after for text in one.words)
    return {text for text, count in counts.items() if count > 0}


def _chosen_agents(store: Store, person: AgentId, agent: AgentId) -> tuple[AgentId, ...]:
    beside = {name for book in AUXILIARY_LOGS for name in book.agents(store)}
    known = tuple(sorted({*agents_in(store), *beside, *ToolCallLog(store).agents()}))
    parts = [row[0] for row in store.rows("SELECT part FROM parts ORDER BY part")]
    if foreign := [part for part in parts if part != MEMORY_PART and part not in ERASERS]:
        raise MemoryFault(
            f"{store.name}: holds more than memories ({', '.join(foreign)}), which would go on "
            f"naming {person}; forget works on memory files: export the memory and import it "
            "into a file of its own"
        )
    if any(map(PersonMatcher(person).matches_name, known)) and not agent:
        raise MemoryFault(
            f"{store.name}: {person} has a memory of their own in it; name whose memory is to "
            "forget them with --agent, or delete the file"
        )
    if agent and agent not in known:
        raise MemoryFault(f"{store.name}: no memory of '{agent}'; known: {', '.join(known)}")
    if agent:
        return tuple(name for name in known if name in (agent, f"{agent}{IMAGES_SUFFIX}"))
    return known


def _records_to_erase(
    store: Store, agent: AgentId, whom: PersonMatcher, mentions: bool, left: list[str]
) -> frozenset[RecordId]:
    """Which of an agent's records go: those that rest on the person's words, or are for them
    only; ``remarks`` takes how many may and cannot be told."""
    going: set[RecordId] = set()
    unclear: set[RecordId] = set()
    origins = RecordSources(agent, unlabelled_count(store, agent))
    # A source that was cleared is one still, where it comes to whose words they were.
    released = ToolCallLog(store).released_labels(agent)
    for row in read_records(store, agent):
        record = row.record
        cleared = released.get(record.id, ())
        whole = {*record_sources(record, agent), *cleared} if cleared else ()
        origins.extend([replace(record, sources=tuple(sorted(whole))) if whole else record])
        if is_erased(record):
            continue
        # What rests on what goes alone, and a summary of any of it, which repeats sentences.
        rests = bool(record.evidence) and going.issuperset(record.evidence)
        rests |= record.kind == "summary" and not going.isdisjoint(record.evidence)
        alone = bool(record.audience) and all(map(whom.matches_name, record.audience))
        sources = any(map(whom.matches_source, origins.of(record.id)))
        theirs = whom.matches_name(record.who) or sources or alone or rests
        if theirs or (mentions and _mentions(record, whom)):
            going.add(record.id)
        elif UNKNOWN_SOURCE in origins.of(record.id):
            unclear.add(record.id)
    if unclear:
        left.append(
            f"memory of {agent}: {len(unclear)} own records from before there were labels, of "
            f"which nobody knows whose words they rest on: records {_id_list(unclear)}"
        )
    return frozenset(going)


def _id_list(numbers: set[RecordId]) -> str:
    first = sorted(numbers)[:20]
    more = f" and {len(numbers) - 20} more" if len(numbers) > 20 else ""
    return f"{', '.join(map(str, first))}{more}"


def _mentions(record: Record, whom: PersonMatcher) -> bool:
    words = (getattr(record, name) for name in RECORD_TEXT_FIELDS)
    return any(map(whom.is_named_in, (*words, *(record.sources or ()))))


def _erase_records(store: Store, erasure: ErasureRequest, agent: AgentId, now: datetime) -> int:
    person, going = erasure.person, erasure.records[agent]
    first, changed = 0, []
    for row in read_records(store, agent):
        new = _erased_row(row, person, row.record.id in going)
        first = first or (row.record.id if new is not row else 0)
        if first:  # From the first change on every link is another.
            changed.append((row.step, body_of(new.record), new.vector))
    if changed:
        RECORD_CHAIN.replace(store, agent, changed, after=first - 1)
    erase_name(store, agent, person.matches_name, erasure.named())
    if going:
        data = {"records": len(going), "when": now.isoformat(timespec="seconds")}
        last = store.first_row("SELECT max(step) FROM memory_records WHERE agent = ?", (agent,))
        step = int(last[0] or 0) if last else 0
        write_audit_entry(store, agent, AuditEntry(step, "forgotten", data))
    return len(going)


def _erased_row(row: StoredRecord, whom: PersonMatcher, going: bool) -> StoredRecord:
    """The row with nothing left of the record, or with the person out of its audience."""
    record = row.record
    if going:
        return StoredRecord(blank_record(record.id, record.created, FORGOTTEN), row.step, None)
    others = tuple(name for name in record.audience if not whom.matches_name(name))
    if len(others) < len(record.audience):
        return StoredRecord(replace(record, audience=others), row.step, row.vector)
    return row
