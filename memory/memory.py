"""What an agent remembers: a view of one agent's records in a store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ..core import (
    EVERYBODY,
    AgentId,
    ContextLock,
    Cue,
    Hit,
    Json,
    MemoryFault,
    Record,
    RecordId,
    RecordKind,
    RunCorrupt,
    SettingError,
    Time,
    check_arguments,
    exclusive,
    parse_audience,
    replace_surrogates,
    same_name,
    time_error,
)
from ..store import Store
from .recall import RuleSet, rule_set
from .storage import (
    TEXT_FIELDS,
    AuditEntry,
    ChainHeads,
    RecordAccess,
    StoredRecord,
    agents_in,
    append_access,
    append_records,
    as_vectors,
    body_of,
    embed_texts,
    is_erased,
    kinds_fault,
    name_fault,
    number_fault,
    numbers_fault,
    prepare_store,
    read_audit_log,
    read_body,
    read_heads,
    record_fault,
    step_fault,
    text_fault,
    unique_ids,
    validated_trust,
    vector_fault,
    vector_faults,
    write_audit_entry,
    write_heads,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .index import MemoryIndex
    from .recall import EpisodeHit

    Vector: TypeAlias = Sequence[float] | NDArray[np.float32]
    EmbedFunction: TypeAlias = Callable[[Sequence[str]], NDArray[np.float32]]

log = logging.getLogger(__name__)


def _owner(memory: Memory) -> ContextLock:
    return memory.store.owner


class Memory:
    """One agent's memory, durable in a store, recalled from arrays and FAISS in memory.

    Several memories may share a store; views of one agent see each other's writes. ``recall_one``
    writes nothing: the caller writes with ``add`` and ``mark_accessed``, inside its own transaction
    if it has one open.

    >>> from datetime import datetime
    >>> memory = Memory(":memory:", "Bo")
    >>> nine = datetime(2023, 2, 13, 9)
    >>> _ = memory.remember("Ada asked for a loaf of rye", at=nine, importance=3)
    >>> [hit.record.text for hit in memory.recall(Cue(text="What does Ada want?", at=nine))]
    ['Ada asked for a loaf of rye']
    """

    @check_arguments
    def __init__(
        self,
        store: Store | Path | str,
        agent: AgentId,
        *,
        rules: str | RuleSet = "paper",
        embed: EmbedFunction | None = None,
        decay: float | None = None,
        trust: Mapping[AgentId, float] | None = None,
        compact: bool = False,
    ) -> None:
        """A view of ``agent``'s records in ``store`` (a path opens its own).

        ``embed`` turns texts into rows of shape (n, d) for stand-alone use; a simulation
        hands vectors in. ``decay`` replaces the rule set's. ``trust`` multiplies the score
        of what somebody said by a weight from 0 to 1 (1 for who is not named). ``compact``
        keeps embeddings in RAM as float16, half as large and exact to 3 digits, unless
        another view of this memory in this process has loaded them already. Raises MemoryFault
        for a file that fails its checks, SettingError for unknown rules.
        """
        if fault := name_fault(agent):
            raise SettingError(f"memory in {store}: {fault}")
        self.agent = agent
        if decay is not None and not 0 < decay <= 1:
            raise SettingError(f"memory of {agent}: decay {decay} must lie in (0, 1]")
        self._decay = decay
        self.embed = embed
        self.trust = validated_trust(agent, trust or {})
        self.rules = self._with_own_settings(rule_set(rules) if isinstance(rules, str) else rules)
        self._compact = compact
        self._as_of_step: int | None = None
        self._owns_store = not isinstance(store, Store)
        try:
            self.store = store if isinstance(store, Store) else Store(store)
        except RunCorrupt as error:
            raise MemoryFault(str(error)) from error
        try:
            prepare_store(self.store)
            self._check_spelling()
            self._load_index()
        except BaseException:
            self.close()
            raise

    def _check_spelling(self) -> None:
        """Refuse a name under which nothing is kept where its other spelling has a memory: a
        second one would begin beside it, and the first be missed in silence."""
        if read_heads(self.store, self.agent).records:
            return
        known = agents_in(self.store)
        if self.agent in known:
            return
        if other := next((name for name in known if same_name(name, self.agent)), ""):
            raise self._fault(
                f"the file has the memory of '{other}'; write the name as it is there"
            )
        if self._owns_store and known:
            log.warning(
                "%s holds the memories of %s; a new one begins for %s",
                self.store.name,
                ", ".join(known),
                self.agent,
            )

    def _load_index(self) -> MemoryIndex:
        shelf: MemoryIndex | None = self.store.cache.get(("memory", self.agent))
        if shelf is None or (self._as_of_step is not None and len(shelf.unloaded)):
            from .index import load_index

            kind = "float16" if self._compact else "float32"
            return load_index(self.store, self.agent, self._as_of_step, kind)
        return shelf

    @property
    def index(self) -> MemoryIndex:
        """The arrays recall computes on; read again when the store says they are stale."""
        self.store.refresh()
        return self._load_index()

    # -- writing --------------------------------------------------------------------

    @exclusive(_owner)
    def add(
        self,
        records: Sequence[Record],
        vectors: Mapping[RecordId, Vector] | None = None,
        *,
        step: int = 0,
    ) -> None:
        """Append records, numbered on from ``next_id``, made at ``as_of_step``.

        ``vectors`` maps ids to embeddings of one length; a record without one is recalled
        with relevance 0. A record that rests on others is of their sources too, and for nobody
        for whom they are not. Raises MemoryFault, and writes nothing, when one does not fit.
        """
        if isinstance(records, Record | str) or not isinstance(records, Iterable):
            raise self._fault(f"{records!r:.60} is no sequence of records; write [record]")
        records = tuple(records)
        if not records:
            return
        self._check_writable(step)
        for number, record in enumerate(records, self.next_id):
            self._raise_fault(record_fault(record, number))
        records = self.with_evidence_labels(records)
        rows, bodies = self._rows_to_store(records, vectors, step)
        with self.store.transaction():
            end = read_heads(self.store, self.agent)
            link = append_records(self.store, self.agent, rows, end.link, bodies)
            new = ChainHeads(end.records + len(rows), link, end.touches, end.touch_link)
            write_heads(self.store, self.agent, new)
        self._update_indexes(lambda shelf: shelf.add(rows, bodies))

    def with_evidence_labels(self, records: tuple[Record, ...]) -> tuple[Record, ...]:
        """Records to be written, with the labels that they have of what they rest on."""
        if all(not record.evidence and record.sources is None for record in records):
            return records
        from .storage import record_sources as origins

        return origins.with_evidence_labels(
            records, self.index.record_sources, lambda number: self.stored_record(number).audience
        )

    def _rows_to_store(
        self, records: Sequence[Record], vectors: Mapping[RecordId, Vector] | None, step: int
    ) -> tuple[list[StoredRecord], list[str]]:
        """The rows that records become, with their bodies. Raises MemoryFault for any that
        could not be read again."""
        embedded = as_vectors(vectors)
        for fault in vector_faults(embedded, self.index.vectors.columns):
            self._raise_fault(fault)
        if stray := embedded.keys() - {record.id for record in records}:
            shown = ", ".join(sorted(map(repr, stray)))
            raise self._fault(f"vectors for records that are not added: {shown}")
        bodies = [body_of(record) for record in records]
        rows = []
        for record, body in zip(records, bodies, strict=True):
            vector = embedded.get(record.id)
            # A body differs from its record where half a character was replaced in it.
            kept = record if body.isascii() or not _has_lone_surrogate(record) else read_body(body)
            rows.append(StoredRecord(kept, step, None if vector is None else vector.tobytes()))
        return rows, bodies

    @exclusive(_owner)
    def remember(
        self,
        text: str,
        *,
        at: Time,
        kind: RecordKind = "observation",
        who: AgentId = "",
        importance: float = 1.0,
        evidence: Sequence[RecordId] = (),
        audience: AgentId | Sequence[AgentId] = (),
        until: Time | None = None,
    ) -> Record:
        """Write one record by itself, embedded with ``embed`` where there is one; it is for
        ``audience`` (one name or several), and for nobody for whom its ``evidence`` is not. Its
        sources are those of who said it and of its evidence.

        Raises MemoryFault or SettingError, and writes nothing, for what does not fit. Of half
        a character, which no file can hold, U+FFFD is kept."""
        self._raise_fault(numbers_fault("evidence", evidence))
        people, evidence = parse_audience(audience), tuple(evidence)
        basis = [self.record(i) for i in evidence]
        depth = 1 + max(record.depth for record in basis) if basis else 0
        record = Record(
            id=self.next_id,
            kind=kind,
            text=replace_surrogates(text) if isinstance(text, str) else text,
            created=at,
            who=replace_surrogates(who) if isinstance(who, str) else who,
            importance=importance,
            evidence=evidence,
            depth=depth,
            audience=tuple(map(replace_surrogates, people)),
            until=until,
        )
        self._raise_fault(record_fault(record, record.id))
        (record,) = self.with_evidence_labels((record,))
        vectors = {record.id: embed_texts(self.embed, [record.text])[0]} if self.embed else None
        self.add([record], vectors, step=self.index.last_step)
        return record

    @exclusive(_owner)
    def mark_accessed(self, ids: Sequence[RecordId], *, step: int, at: Time) -> None:
        """Log that these records were accessed at ``as_of_step``, at the world's time ``at``."""
        self._raise_fault(numbers_fault("ids", ids))
        ids = tuple(ids)
        if not ids:
            return
        self._check_writable(step)
        if unknown := [i for i in ids if number_fault(i, len(self))]:
            raise self._fault(f"cannot touch unknown records {unknown}")
        self._raise_fault(time_error(at))
        touch = RecordAccess(unique_ids(ids), step, at)
        with self.store.transaction():
            end = read_heads(self.store, self.agent)
            link = append_access(self.store, self.agent, end.touches + 1, touch, end.touch_link)
            write_heads(
                self.store, self.agent, replace(end, touches=end.touches + 1, touch_link=link)
            )
        self._update_indexes(lambda shelf: shelf.mark_accessed(touch))

    def _update_indexes(self, change: Callable[[MemoryIndex], None]) -> None:
        from .index import loaded_indexes

        for shelf in loaded_indexes(self.store, self.agent):
            change(shelf)

    @exclusive(_owner)
    def quarantine(self, who: AgentId, *, why: str = "") -> None:
        """Recall nothing more of what ``who`` said, nor of what rests on it: a source found to
        lie or to inject. ``who`` is a person, or another source such as "document:rye.txt".

        Nothing is deleted, the log says when and ``why``; ``release`` takes it back. Raises
        MemoryFault for an empty ``who`` and for the owner's name: its own thoughts.
        """
        self._raise_fault(text_fault("who", who) or text_fault("why", why))
        if not who.strip() or same_name(who, self.agent):
            raise self._fault("its own thoughts cannot be quarantined; name who said it")
        if who == EVERYBODY:
            raise self._fault(f"'{who}' is nobody's name; name who said it")
        self._append_audit_entry("quarantined", {"who": who, "why": why})
        self._update_indexes(lambda shelf: shelf.set_quarantined(shelf.quarantined | {who}))

    @exclusive(_owner)
    def release(self, who: AgentId, *, why: str = "") -> None:
        """Recall again what ``who`` said. Raises MemoryFault when it is not quarantined."""
        self._raise_fault(text_fault("who", who) or text_fault("why", why))
        held = sorted(name for name in self.quarantined if same_name(name, who))
        if not held:
            raise self._fault(
                f"'{who}' is not quarantined; quarantined: {sorted(self.quarantined)}"
            )
        for name in held:
            self._append_audit_entry("released", {"who": name, "why": why})
        self._update_indexes(
            lambda shelf: shelf.set_quarantined(shelf.quarantined.difference(held))
        )

    def _append_audit_entry(self, what: str, data: Json) -> None:
        step = self.index.last_step
        self._check_writable(step)
        write_audit_entry(self.store, self.agent, AuditEntry(step, what, data))

    # -- reading --------------------------------------------------------------------

    @property
    def quarantined(self) -> frozenset[AgentId]:
        """Whose word is not recalled."""
        return self.index.quarantined

    @property
    def audit_log(self) -> tuple[AuditEntry, ...]:
        """What was done to this memory apart from remembering, in order."""
        return tuple(read_audit_log(self.store, self.agent))

    @exclusive(_owner)
    def recall(
        self,
        cue: Cue,
        vector: Vector | None = None,
        *,
        accessed: Mapping[RecordId, Time] | None = None,
    ) -> tuple[Hit, ...]:
        """The records that fit ``cue``, best first, at most ``cue.limit``. Writes nothing.

        ``vector`` is the cue's embedding; without it ``embed`` makes one, and without that
        every relevance is equal. ``accessed`` are accesses not yet written (earlier cues of
        the same moment). A hit's recency, importance and relevance are scaled to [0, 1];
        its score is their sum weighted by the rules.
        """
        if not isinstance(cue, Cue):
            self._raise_fault(
                f"recall needs a Cue, not {type(cue).__name__}; write Cue(text=..., at=...)"
            )
        from .recall import recall_one

        if vector is None and self.embed:
            vector = self.embed([cue.text])[0]
        return recall_one(self, cue, vector, accessed or {})

    @exclusive(_owner)
    def episodes(self, cue: Cue, vector: Vector | None = None) -> tuple[EpisodeHit, ...]:
        """The episodes (sessions, conversations, documents) that ``cue`` is about, best first,
        at most ``cue.limit``, each with its best records as evidence.

        Words, meaning, time and speaker count by weights of ``denizens.memory.search_episodes``,
        whatever the rules; recency and importance do not. Records of no episode go by days.
        """
        from .recall import search_episodes

        if vector is None and self.embed:
            vector = self.embed([cue.text])[0]
        return search_episodes(self, cue, vector)

    @exclusive(_owner)
    def answer_probability(self, cue: Cue, vector: Vector | None = None) -> float | None:
        """The calibrated probability that this memory holds what ``cue`` asks for; None when
        there is neither ``vector`` nor ``embed``. Below a half: say "I don't know"."""
        from .recall import answer_probability

        if vector is None and self.embed:
            vector = self.embed([cue.text])[0]
        return answer_probability(self, cue, vector)

    def retriever(
        self,
        *,
        limit: int = 10,
        rules: str = "hybrid",
        at: Time | None = None,
        person: AgentId = "",
    ) -> Callable[[str], list[str]]:
        """A function from a question to the texts that fit it, best first. It touches nothing;
        ``at`` is the moment of asking (that of the latest record), ``person`` as in a cue."""
        from .recall import make_retriever

        return make_retriever(self, limit=limit, rules=rules, at=at, person=person)

    def rules_for(self, cue: Cue) -> RuleSet:
        """The rules a cue asks for, with this memory's decay; its own by default."""
        if not cue.rules or cue.rules == self.rules.name:
            return self.rules
        return self._with_own_settings(rule_set(cue.rules))

    def _with_own_settings(self, rules: RuleSet) -> RuleSet:
        """Rules with this memory's decay and trust."""
        if self._decay is not None:
            rules = replace(rules, decay=self._decay)
        return replace(rules, trust=self.trust) if self.trust else rules

    @check_arguments
    def records(
        self, *, kinds: Sequence[RecordKind] = (), last: int | None = None, person: AgentId = ""
    ) -> tuple[Record, ...]:
        """Records in order of writing: of ``kinds`` (all when empty), the ``last`` so many;
        for ``person`` only what is for everybody or for them."""
        from .index import list_records

        self._raise_fault(kinds_fault(kinds))
        return list_records(self, kinds, last, person)

    def record(self, id: RecordId) -> Record:
        """The record of that number. Raises MemoryFault when there is none."""
        self._raise_fault(number_fault(id, len(self)))
        record = self.stored_record(id)
        if is_erased(record):
            raise self._fault(f"record {id} is gone ({record.source.removeprefix('gone:')})")
        return record

    def existing_records(self, ids: Sequence[RecordId]) -> tuple[Record, ...]:
        """The records of those numbers, without those that are gone."""
        return tuple(record for record in map(self.stored_record, ids) if not is_erased(record))

    def stored_record(self, id: RecordId) -> Record:
        """The record of that number as it is kept, though nothing be left of it."""
        from .index import stored_record

        return stored_record(self, id)

    def sources(self, id: RecordId) -> tuple[str, ...]:
        """Whose words a record rests on besides its owner's, itself and through its evidence;
        ``core.UNKNOWN_SOURCE`` for an own thought of which nobody wrote that down."""
        return self.index.record_sources.of(id)

    def is_unlabelled(self, id: RecordId) -> bool:
        """Whether a record was written before there were labels: of its sources nothing is
        known but who said it and what it rests on."""
        return (
            id <= self.index.record_sources.unlabelled_count
            and self.stored_record(id).sources is None
        )

    def as_of(self, step: int) -> Memory:
        """A read-only view as of the end of ``as_of_step``: later records and accesses are not
        in it."""
        if type(step) is not int:
            raise self._fault(f"step {step!r:.60} is no whole number")
        view = copy(self)
        view._owns_store = False
        view._as_of_step = step if self._as_of_step is None else min(step, self._as_of_step)
        return view

    def __len__(self) -> int:
        shelf = self.index
        return shelf.record_count if self._as_of_step is None else shelf.count_at(self._as_of_step)

    @property
    def next_id(self) -> RecordId:
        """The number the next record gets."""
        return len(self) + 1

    @property
    def as_of_step(self) -> int | None:
        """The step a read-only view ends with; None for the living memory."""
        return self._as_of_step

    @property
    def digest(self) -> str:
        """The ends of the two chains: equal memories (with equal histories) have equal ones."""
        end = read_heads(self.store, self.agent)
        return f"{end.link}{end.touch_link}"

    def close(self) -> None:
        """Close the store if this memory opened it."""
        if self._owns_store and hasattr(self, "store"):
            self.store.close()

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    # -- checks ---------------------------------------------------------------------

    def _check_writable(self, step: int) -> None:
        if self._as_of_step is not None:
            raise self._fault(
                f"is seen as of step {self._as_of_step} and read-only; write to the memory"
            )
        self._raise_fault(step_fault(step))
        if step < self.index.last_step:
            raise self._fault(
                f"step {step} lies before step {self.index.last_step}, already written; "
                "steps only go forward"
            )

    def check_vector(self, row: NDArray[np.float32], columns: int) -> None:
        """Raises MemoryFault unless ``row`` is an embedding of ``columns`` finite numbers
        (of any length while the memory has none)."""
        self._raise_fault(vector_fault(row, columns))

    def _raise_fault(self, fault: str) -> None:
        if fault:
            raise self._fault(fault)

    def _fault(self, what: str) -> MemoryFault:
        return MemoryFault(f"{self.store.name}: memory of {self.agent}: {what}")


def _has_lone_surrogate(record: Record) -> bool:
    """Whether a record's texts hold half a character."""
    names = (*record.audience, *(record.sources or ()))
    whole = "".join((*(getattr(record, name) for name in TEXT_FIELDS), *names))
    return whole != replace_surrogates(whole)
