"""Erasing a person from a memory file, with proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from ...core import (
    EVERYBODY,
    UNKNOWN_SOURCE,
    AgentId,
    Json,
    MemoryFault,
    Record,
    RecordId,
    normalize,
    record_sources,
    time_error,
)
from ...store import Store
from ..storage import (
    AUXILIARY_LOGS,
    FORGOTTEN,
    IMAGES_SUFFIX,
    MEMORY_PART,
    RECORD_CHAIN,
    SNAPSHOT_PART,
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
    next_generation,
    prepare_store,
    read_records,
    repair_leftovers,
    rewrite_states,
    snapshot_agents,
    unlabelled_count,
    write_audit_entry,
)
from .byte_search import search_cells, search_name, search_texts
from .erasers import ERASERS, ErasureRequest, hold_in_memory
from .text_columns import (
    RECORD_TEXT_FIELDS,
    StoredText,
    label_leaves,
    stored_texts,
    text_leaves,
)


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """The result of an erasure: how many ``records`` of each agent were erased, and how much
    ``beside`` them, by part.

    The file is searched for each erased text (of records, facts, notes and tool calls; with
    mentions also for the name). ``searched`` is the number of texts, ``found`` of those still in
    the file (0 proves the erasure), ``shared`` of those not counted since kept texts contain them
    too. ``named`` is the number of kept texts that name the person, ``unclear`` of those that may:
    with the given or family name alone, or a form that may be another word. ``left`` says what
    could not be erased."""

    records: dict[AgentId, int]
    searched: int
    found: int
    shared: int
    beside: dict[str, int] = field(default_factory=dict)
    named: int = 0
    unclear: int = 0
    left: tuple[str, ...] = ()


def erase_person(
    path: Path | str, person: AgentId, *, now: datetime, agent: AgentId = "", mentions: bool = False
) -> ErasureReport:
    """Erase a person from one agent's memory (with its images) or, without ``agent``, from all in
    the file: records that they said or gave, or that are for them only; records derived from these
    (thoughts whose evidence is all erased, summaries of any of them); their tool calls and requests
    for approval; with ``mentions`` also texts that name them. The columns are listed in
    ``text_columns.TEXT_COLUMNS``.

    An erased record leaves its number, and the audit log a line with how many were erased and when,
    without the name. The file is written anew, so that nothing stays in free pages or in its log;
    then it is searched for every erased text. Raises MemoryFault, and changes nothing, for a file
    that holds more than memories, or beside which a repair has left files.
    """
    _check_call(path, person, now)
    with Store(path, create=False) as store:
        prepare_store(store)
        agents = _chosen_agents(store, person, agent)
        before = list(stored_texts(store))
        matcher = PersonMatcher(person, _known_people(before) | frozenset(agents_in(store)))
        counts, beside, remarks = _erase_everywhere(store, agents, matcher, mentions, now)
        store.cache.clear()
        store.scrub()
        after = list(stored_texts(store))
        cells = search_cells(store, matcher) if mentions and not agent else 0
        schema = "\n".join(row[0] for row in store.rows("SELECT sql FROM sqlite_master") if row[0])
    theirs = _texts_of(agents, after)
    removed = _removed_texts(_texts_of(agents, before), theirs)
    removed = {text for text in removed if not matcher.matches_name(text)}
    kept = [text for stored in after for text in (*stored.words, *stored.labels)]
    searched, found, shared = search_texts(Path(path), removed, kept)
    named = sum(any(map(matcher.is_named_in, (*stored.words, *stored.labels))) for stored in theirs)
    unclear = sum(any(map(matcher.may_be_named_in, stored.words)) for stored in theirs)
    if mentions:
        searched += 1
        # Memories of other agents in the file may go on naming the person.
        alone = not agent or len(theirs) == len(after)
        found += bool(named or cells or (alone and search_name(Path(path), matcher, schema)))
    return ErasureReport(counts, searched, found, shared, beside, named, unclear, tuple(remarks))


def _erase_everywhere(
    store: Store, agents: tuple[AgentId, ...], matcher: PersonMatcher, mentions: bool, now: datetime
) -> tuple[dict[AgentId, int], dict[str, int], list[str]]:
    """Erase a person from the present memories and from their snapshots; returns the erased
    records of each agent, what was erased beside them, and remarks, all of the present."""
    counts: dict[AgentId, int] = {}
    beside: dict[str, int] = {}
    remarks: list[str] = []

    def rewrite(covered: tuple[AgentId, ...]) -> None:
        names = tuple(name for name in agents if name in covered) if covered else agents
        notes: list[str] = [] if covered else remarks
        records = {name: _records_to_erase(store, name, matcher, mentions, notes) for name in names}
        request = ErasureRequest(matcher, names, mentions, records, notes)
        erased = {part: erase(store, request) for part, erase in ERASERS.items()}
        gone = {name: erase_records(store, request, name, now) for name in names}
        if not covered:
            beside.update({part: count for part, count in erased.items() if count})
            counts.update(gone)

    hold_in_memory(store)
    with store.transaction():
        owners = [name for name in agents if name in snapshot_agents(store)]
        rewrite_states(store, owners, rewrite, _snapshot_cleaner(matcher, mentions))
        for name in agents:
            next_generation(store, name)
    return counts, beside, remarks


def _snapshot_cleaner(
    matcher: PersonMatcher, mentions: bool
) -> Callable[[str, Json], tuple[str, Json]]:
    """Label and saved state of a snapshot as they may stay: without a label that names the person,
    and without a state that rests on their words or names them."""

    def clean(label: str, state: Json) -> tuple[str, Json]:
        labels = label_leaves(state)
        theirs = any(matcher.matches_name(one) or matcher.matches_source(one) for one in labels)
        if theirs or any(map(matcher.is_named_in, text_leaves(state))):
            state = None
        return ("" if mentions and matcher.is_named_in(label) else label), state

    return clean


def _check_call(path: Path | str, person: AgentId, now: datetime) -> None:
    if not isinstance(person, str) or not normalize(person):
        raise MemoryFault(f"{path}: name the person to forget")
    if person.isascii() and not any(sign.isalnum() for sign in person):
        raise MemoryFault(f"{path}: {person!r} is no name that could be searched for")
    if wrong := time_error(now, "now"):
        raise MemoryFault(f"{path}: {wrong}")
    if not Path(path).is_file():
        raise MemoryFault(f"{path}: no such file; check the path")
    if leftovers := repair_leftovers(path):
        raise MemoryFault(
            f"{path}: {', '.join(item.name for item in leftovers)} are beside it and may still "
            f"name {person}; delete them (or move them to where they are wanted) and try again"
        )


def _known_people(texts: Iterable[StoredText]) -> frozenset[AgentId]:
    """Everybody named in labels, as a source or in an audience."""
    labels = {label for stored in texts for label in stored.labels}
    plain = {label for label in labels if ":" not in label and label != EVERYBODY}
    prefix = "person:"
    return frozenset(
        plain | {label.removeprefix(prefix) for label in labels if label.startswith(prefix)}
    )


def _texts_of(agents: Sequence[AgentId], texts: Iterable[StoredText]) -> list[StoredText]:
    """The texts in some agents' memories, or in tables that all share."""
    return [stored for stored in texts if stored.agent in agents or not stored.agent]


def _removed_texts(before: Iterable[StoredText], after: Iterable[StoredText]) -> set[str]:
    """The texts of which there are fewer than before."""
    counts = Counter(text for stored in before for text in stored.words)
    counts.subtract(text for stored in after for text in stored.words)
    return {text for text, count in counts.items() if count > 0}


def _chosen_agents(store: Store, person: AgentId, agent: AgentId) -> tuple[AgentId, ...]:
    logged = {name for log in AUXILIARY_LOGS for name in log.agents(store)}
    known = tuple(sorted({*agents_in(store), *logged, *ToolCallLog(store).agents()}))
    parts = [row[0] for row in store.rows("SELECT part FROM parts ORDER BY part")]
    if foreign := [part for part in parts if part not in {MEMORY_PART, SNAPSHOT_PART, *ERASERS}]:
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
    store: Store, agent: AgentId, matcher: PersonMatcher, mentions: bool, remarks: list[str]
) -> frozenset[RecordId]:
    """The numbers of an agent's records that rest on the person's words or are for them only.
    ``remarks`` gets a line if this is unknown for some records."""
    erased: set[RecordId] = set()
    unclear: set[RecordId] = set()
    sources = RecordSources(agent, unlabelled_count(store, agent))
    # A source whose label was released is still a source here.
    released = ToolCallLog(store).released_labels(agent)
    for row in read_records(store, agent):
        record = row.record
        if removed := released.get(record.id, ()):
            complete = tuple(sorted({*record_sources(record, agent), *removed}))
            sources.extend([replace(record, sources=complete)])
        else:
            sources.extend([record])
        if is_erased(record):
            continue
        # Records whose evidence is all erased, and summaries of any, which repeat its sentences.
        rests = bool(record.evidence) and erased.issuperset(record.evidence)
        rests |= record.kind == "summary" and not erased.isdisjoint(record.evidence)
        only_for_them = bool(record.audience) and all(map(matcher.matches_name, record.audience))
        said = matcher.matches_name(record.who) or any(
            map(matcher.matches_source, sources.of(record.id))
        )
        if said or only_for_them or rests or (mentions and _mentions(record, matcher)):
            erased.add(record.id)
        elif UNKNOWN_SOURCE in sources.of(record.id):
            unclear.add(record.id)
    if unclear:
        remarks.append(
            f"memory of {agent}: {len(unclear)} own records from before labels existed, whose "
            f"sources are unknown: records {_id_list(unclear)}"
        )
    return frozenset(erased)


def _id_list(numbers: set[RecordId]) -> str:
    first = sorted(numbers)[:20]
    more = f" and {len(numbers) - 20} more" if len(numbers) > 20 else ""
    return f"{', '.join(map(str, first))}{more}"


def _mentions(record: Record, matcher: PersonMatcher) -> bool:
    texts = (getattr(record, name) for name in RECORD_TEXT_FIELDS)
    return any(map(matcher.is_named_in, (*texts, *(record.sources or ()))))


def erase_records(store: Store, request: ErasureRequest, agent: AgentId, now: datetime) -> int:
    """Blank the records of a request in an agent's memory, remove the person from the audiences of
    the others, and log how many were forgotten; returns that."""
    person, erased = request.person, request.records[agent]
    first, changed = 0, []
    for row in read_records(store, agent):
        new = _erased_row(row, person, row.record.id in erased)
        first = first or (row.record.id if new is not row else 0)
        if first:  # From the first changed row on, every link changes.
            changed.append((row.step, body_of(new.record), new.vector))
    if changed:
        RECORD_CHAIN.replace(store, agent, changed, after=first - 1)
    erase_name(store, agent, person.matches_name, request.names_person)
    if erased:
        data = {"records": len(erased), "when": now.isoformat(timespec="seconds")}
        last = store.first_row("SELECT max(step) FROM memory_records WHERE agent = ?", (agent,))
        step = int(last[0] or 0) if last else 0
        write_audit_entry(store, agent, AuditEntry(step, "forgotten", data))
    return len(erased)


def _erased_row(row: StoredRecord, person: PersonMatcher, erase: bool) -> StoredRecord:
    """The row with a blank record, or with the person removed from its audience."""
    record = row.record
    if erase:
        return StoredRecord(blank_record(record.id, record.created, FORGOTTEN), row.step, None)
    others = tuple(name for name in record.audience if not person.matches_name(name))
    if len(others) < len(record.audience):
        return StoredRecord(replace(record, audience=others), row.step, row.vector)
    return row
