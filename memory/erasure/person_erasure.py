"""Erasing a person from what memory keeps beside its records: claims, documents, folds,
notes and calls.

Erasing a person from a memory file, with proof.
"""

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
from ...store import Store, chain_digest
from ..documents import IMAGES_SUFFIX
from ..facts import Facts
from ..memory import Memory
from ..notes import Notes
from ..storage import (
    AUXILIARY_LOGS,
    DOCUMENT_LOG,
    FORGOTTEN,
    NOTE_LOG,
    PART,
    SUMMARY_LOG,
    LogTail,
    PersonMatcher,
    RecordSources,
    StoredRecord,
    ToolCallLog,
    agents_in,
    blank_record,
    body_of,
    content_digest,
    is_erased,
    prepare_store,
    read_heads,
    read_records,
    record_payload,
    repair_leftovers,
    summaries_in_force,
    unlabelled_count,
    write_heads,
)
from ..storage import audit_log as ledger
from .byte_search import search_cells, search_name, search_texts
from .text_columns import RECORD_TEXT_FIELDS, StoredText, stored_texts


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """Whom to erase, from whose memories, and which records of each are going; ``mentions``:
    whatever names them goes too. ``remarks`` takes what could not be erased, or must be known of
    what was, in words."""

    person: PersonMatcher
    agents: tuple[AgentId, ...]
    mentions: bool
    records: dict[AgentId, frozenset[RecordId]]
    remarks: list[str] = field(default_factory=list)

    def named(self) -> Callable[[str], bool]:
        """Whether a text goes since it names them."""
        return self.person.is_named_in if self.mentions else (lambda text: False)


def erase_claims(store: Store, erasure: ErasureRequest) -> int:
    """Empty the statements that were said by the person, are for them, or rest on records
    that are going (with ``mentions`` also those about them); returns how many."""
    return sum(
        Facts(Memory(store, agent)).erase(
            erasure.records.get(agent, ()),
            erasure.person.name,
            mentions=erasure.mentions,
            others=erasure.person.others,
        )
        for agent in erasure.agents
    )


def erase_documents(store: Store, erasure: ErasureRequest) -> int:
    """Empty the lines on documents that the person gave or of which records are going, and write
    the lines anew for those of which some stay (with ``mentions`` a name or a place in it that
    names them is left out); returns how many lines."""
    count, named = 0, erasure.named()
    for agent in erasure.agents:
        going = set(erasure.records.get(agent, ()))
        bodies = {
            e.n: e.body for e in LogTail.up_to_date(DOCUMENT_LOG, store, agent).entries if e.body
        }
        theirs = {
            b["document"]
            for b in bodies.values()
            if erasure.person.matches_name(b.get("giver", ""))
        }
        kept = {
            n: None if body["document"] in theirs else _document_line_left(body, going, named)
            for n, body in bodies.items()
        }
        stay = {body["document"] for body in kept.values() if body and body["records"]}
        first: dict[str, int] = {}
        for n, body in bodies.items():
            if kept[n] != body:
                first.setdefault(body["document"], n)
        # All later lines on such a document are written anew behind it: the last one counts.
        lines = [n for n, body in bodies.items() if n >= first.get(body["document"], n + 1)]
        DOCUMENT_LOG.erase(store, agent, lines)
        for n in lines:
            if kept[n] and bodies[n]["document"] in stay:
                DOCUMENT_LOG.append(store, agent, kept[n], step=_last_step(store, agent))
        count += len(lines)
    return count


def _document_line_left(
    body: dict[str, Json], going: set[RecordId], named: Callable[[str], bool]
) -> Json:
    """What stays of a line on a document; None for nothing."""
    records = [[number, place] for number, place in body["records"] if number not in going]
    if (body["records"] and not records) or named(body["document"]):
        return None
    places = [[number, "" if named(place) else place] for number, place in records]
    kept = {**body, "records": places}
    if kept != body and "digest" in body:
        kept["digest"] = ""  # It is one of what went too.
    if named(body.get("path", "")):
        kept["path"] = ""
    return kept


def erase_summaries(store: Store, erasure: ErasureRequest) -> int:
    """Unfold every summary that tells of a record that is going, so that the others it stands
    for are recalled themselves, and empty the line that says why it was made (with
    ``mentions`` also lines that name them); returns how many summaries came apart. The
    summary's own text is its record's."""
    count = 0
    named = erasure.named()
    for agent in erasure.agents:
        going = set(erasure.records.get(agent, ()))
        held = summaries_in_force(store, agent)
        lines, instead = [], []
        for entry in LogTail.up_to_date(SUMMARY_LOG, store, agent).entries:
            if not entry.body or "unfold" in entry.body:
                continue
            summary = entry.body["summary"]
            apart = summary in going or not going.isdisjoint(entry.body["records"])
            if not apart and not named(entry.body["why"]):
                continue
            lines.append(entry.n)
            if summary in held:
                gone = {"unfold": summary, "at": entry.body["at"]}
                instead.append(gone if apart else {**entry.body, "why": ""})
                count += apart
        SUMMARY_LOG.erase(store, agent, lines)
        for line in instead:
            SUMMARY_LOG.append(store, agent, line, step=_last_step(store, agent))
    return count


def erase_calls(store: Store, erasure: ErasureRequest) -> int:
    """Drop the calls and the waiting talks of the person, and those that rest on their words
    (with ``mentions`` also those that name them); returns how many. A call of somebody else's
    that was begun and has no receipt stays, so that it is not made twice unasked."""
    return ToolCallLog(store).erase(
        erasure.agents, erasure.person, erasure.named(), erasure.remarks
    )


def erase_notes(store: Store, erasure: ErasureRequest) -> int:
    """Empty the notes that were written for the person or of their words (with ``mentions`` also
    those that name them); returns how many lines. A note that is for others too is theirs only
    from then on."""
    count = 0
    for agent in erasure.agents:
        entries = [
            entry for entry in LogTail.up_to_date(NOTE_LOG, store, agent).entries if entry.body
        ]
        lines = [entry.n for entry in entries if _note_goes(entry.body or {}, erasure)]
        shared = [
            e for e in entries if e.n not in lines and _is_for_person(e.body or {}, erasure.person)
        ]
        held = {n for n, _ in Notes(Memory(store, agent)).lines.values()}
        NOTE_LOG.erase(store, agent, [*lines, *(entry.n for entry in shared)])
        for entry in shared:
            body = entry.body or {}
            if entry.n in held:
                people = [
                    name for name in body["audience"] if not erasure.person.matches_name(name)
                ]
                line = {**body, "audience": people}
                NOTE_LOG.append(store, agent, line, step=max(entry.step, _last_step(store, agent)))
        count += len(lines)
    return count


def _is_for_person(body: dict[str, Json], whom: PersonMatcher) -> bool:
    return any(map(whom.matches_name, body.get("audience", ())))


def _note_goes(body: dict[str, Json], erasure: ErasureRequest) -> bool:
    whom, people = erasure.person, body.get("audience", ())
    texts = (str(body.get(part, "")) for part in ("note", "removed", "text"))
    alone = bool(people) and all(map(whom.matches_name, people))
    theirs = whom.matches_name(body["person"]) or any(
        map(whom.matches_source, body.get("sources", ()))
    )
    return alone or theirs or any(map(erasure.named(), texts))


def erase_texts(store: Store, erasure: ErasureRequest) -> int:
    """Drop the shared texts that name the person; in a file without a journal nothing refers to
    them. Returns how many."""
    whom = erasure.person
    rows = store.rows("SELECT digest, text FROM texts")
    gone = [(mark,) for mark, text in rows if whom.is_named_in(text)]
    store.executemany("DELETE FROM texts WHERE digest = ?", gone)
    return len(gone)


def _last_step(store: Store, agent: AgentId) -> int:
    return Memory(store, agent).index.last_step


ERASERS: dict[str, Callable[[Store, ErasureRequest], int]] = {
    "calls": erase_calls,
    "claims": erase_claims,
    "documents": erase_documents,
    "folds": erase_summaries,
    "notes": erase_notes,
    "texts": erase_texts,
}
"""What erases beside the records, by name, inside the caller's transaction; see
``word_places.WORDS`` for which place is whose."""


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
    if foreign := [part for part in parts if part != PART and part not in ERASERS]:
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
    whom, going = erasure.person, erasure.records[agent]
    end = read_heads(store, agent)
    link = ""
    changed: list[tuple[str, bytes | None, str, str, AgentId, RecordId]] = []
    for row in read_records(store, agent):
        new = _erased_row(row, whom, row.record.id in going)
        body = body_of(new.record)
        mark = content_digest(body, new.vector)
        link = chain_digest(link, record_payload(agent, row.record.id, row.step, mark))
        # From the first change on every link is another.
        if new is not row or changed:
            changed.append((body, new.vector, mark, link, agent, row.record.id))
    store.executemany(
        "UPDATE memory_records SET body = ?, vector = ?, digest = ?, link = ? "
        "WHERE agent = ? AND id = ?",
        changed,
    )
    if changed:
        write_heads(store, agent, replace(end, link=link))
    ledger.erase_name(store, agent, whom.matches_name, erasure.named())
    if going:
        data = {"records": len(going), "when": now.isoformat(timespec="seconds")}
        last = store.first_row("SELECT max(step) FROM memory_records WHERE agent = ?", (agent,))
        step = int(last[0] or 0) if last else 0
        ledger.write_audit_entry(store, agent, ledger.AuditEntry(step, "forgotten", data))
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
