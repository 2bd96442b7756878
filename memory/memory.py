"""The memory of one agent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..core import (
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
from .index import IndexLoader, MemoryIndex
from .recall import (
    EpisodeHit,
    RecallRequest,
    RuleSet,
    answer_probability,
    candidate_records,
    recall_batch,
    recall_one,
    rule_set,
    search_episodes,
    searched_audience,
)
from .record_writer import RecordWriter
from .storage import (
    ACCESS_CHAIN,
    IMAGES_SUFFIX,
    RECORD_CHAIN,
    AuditEntry,
    EmbedFunction,
    Snapshot,
    Vector,
    agents_in,
    check_cue,
    delete_snapshot,
    embed_texts,
    is_erased,
    kinds_fault,
    memory_generation,
    name_fault,
    number_fault,
    numbers_fault,
    prepare_store,
    read_audit_log,
    read_snapshots,
    record_fault,
    restore_snapshot,
    take_snapshot,
    text_fault,
    validated_trust,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)


def _owner(memory: Memory) -> ContextLock:
    return memory.store.owner


class Memory:
    """One agent's memory: records in a store, recalled from arrays in RAM.

    Several memories may share a store; views of one agent see each other's writes. ``recall``
    writes nothing: the caller writes with ``add`` and ``mark_accessed``, inside its own
    transaction if one is open.

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
        """Open ``agent``'s records in ``store``; a path opens a store of its own.

        ``embed`` maps n texts to embeddings of shape (n, d) for stand-alone use; a simulation
        passes vectors in. ``decay`` replaces the rules' decay. ``trust`` multiplies the score of
        what a person said by a weight from 0 to 1 (1 for persons not named). ``compact`` keeps
        embeddings in RAM as float16, half as large and exact to 3 digits, unless another view of
        this memory in this process has loaded them already. Raises MemoryFault for a file that
        fails its checks, SettingError for unknown rules.
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
        self._owns_store = not isinstance(store, Store)
        try:
            self.store = store if isinstance(store, Store) else Store(store)
        except RunCorrupt as error:
            raise MemoryFault(str(error)) from error
        try:
            prepare_store(self.store)
            self._check_spelling()
            self._attach(IndexLoader(self.store, agent, compact=compact))
            _ = self.index
        except BaseException:
            self.close()
            raise

    def _attach(self, loader: IndexLoader) -> None:
        self.loader = loader
        self._writer = RecordWriter(loader)

    def _check_spelling(self) -> None:
        """Raises MemoryFault if this name has no memory in the file and another spelling of it
        has one: a second memory would begin unnoticed."""
        if RECORD_CHAIN.head(self.store, self.agent)[0]:
            return
        known = agents_in(self.store)
        if self.agent in known:
            return
        if other := next((name for name in known if same_name(name, self.agent)), ""):
            raise MemoryFault(
                f"{self.store.name}: memory of {self.agent}: the file has the memory of "
                f"'{other}'; write the name as it is there"
            )
        if self._owns_store and known:
            log.warning(
                "%s holds the memories of %s; a new one begins for %s",
                self.store.name,
                ", ".join(known),
                self.agent,
            )

    @property
    def index(self) -> MemoryIndex:
        """The arrays that recall computes on, read again if the store has changed."""
        return self.loader.index

    # -- writing --------------------------------------------------------------------

    @exclusive(_owner)
    def add(
        self,
        records: Sequence[Record],
        vectors: Mapping[RecordId, Vector] | None = None,
        *,
        step: int = 0,
    ) -> None:
        """Append records, numbered on from ``next_id``, written at ``step``.

        ``vectors`` maps record numbers to embeddings of one length; a record without one has
        relevance 0. A record also gets the sources of its evidence, and an audience no wider than
        its evidence's. Raises MemoryFault, and writes nothing, if one does not fit.
        """
        self._writer.add(records, vectors, step)

    def with_evidence_labels(self, records: tuple[Record, ...]) -> tuple[Record, ...]:
        """Records to be written, with the sources and audiences that follow from their
        evidence."""
        return self._writer.labelled(records)

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
        """Write one record, embedded with ``embed`` if the memory has one, for ``audience`` (one
        name or several; empty: everybody); sources and audience follow from its evidence as in
        ``add``.

        Lone surrogates, which no file can hold, become U+FFFD. Raises MemoryFault or
        SettingError, and writes nothing, for what does not fit."""
        self.loader.refuse(numbers_fault("evidence", evidence))
        people, evidence = parse_audience(audience), tuple(evidence)
        basis = [self.record(number) for number in evidence]
        record = Record(
            id=self.next_id,
            kind=kind,
            text=replace_surrogates(text) if isinstance(text, str) else text,
            created=at,
            who=replace_surrogates(who) if isinstance(who, str) else who,
            importance=importance,
            evidence=evidence,
            depth=1 + max(record.depth for record in basis) if basis else 0,
            audience=tuple(map(replace_surrogates, people)),
            until=until,
        )
        self.loader.refuse(record_fault(record, record.id))
        (record,) = self.with_evidence_labels((record,))
        vector = self._embedded(record.text)
        vectors = None if vector is None else {record.id: vector}
        self.add([record], vectors, step=self.index.last_step)
        return record

    @exclusive(_owner)
    def mark_accessed(self, ids: Sequence[RecordId], *, step: int, at: Time) -> None:
        """Write to the access log that records were accessed at ``step``, at the world's time
        ``at``."""
        self._writer.mark_accessed(ids, step, at)

    @exclusive(_owner)
    def quarantine(self, who: AgentId, *, why: str = "") -> None:
        """Exclude from recall what ``who`` said and what rests on it, for a source found to lie
        or to inject instructions. ``who`` is a person, or another source such as
        "document:rye.txt".

        Nothing is deleted; the audit log keeps when and ``why``; ``release`` ends it. Raises
        MemoryFault for an empty ``who`` and for the owner's name.
        """
        self._writer.quarantine(who, why)

    @exclusive(_owner)
    def release(self, who: AgentId, *, why: str = "") -> None:
        """End the quarantine of ``who``. Raises MemoryFault if there is none."""
        self._writer.release(who, why)

    # -- snapshots ------------------------------------------------------------------

    @check_arguments
    @exclusive(_owner)
    def snapshot(self, label: str = "", *, at: Time | None = None, state: Json = None) -> Snapshot:
        """Take a snapshot for ``restore``: of the records with their accesses, facts, documents,
        summaries, notes, corrections, chat sessions, quarantines and pictures. It is kept in the
        same file and takes no room of its own until the memory is restored to another one.
        ``state`` is any JSON to be kept with it; ``at`` is its time (default: now).

        Raises MemoryFault in a view of the past, and in the file of a run, which is forked
        instead."""
        self._check_restorable()
        self.loader.refuse(text_fault("label", label))
        now = datetime.now().replace(microsecond=0) if at is None else at
        self.loader.refuse(time_error(now, "at"))
        return take_snapshot(self.store, self._with_images, label, now, state)

    def snapshots(self) -> tuple[Snapshot, ...]:
        """The snapshots of this memory, oldest first."""
        return read_snapshots(self.store, self.agent)

    @exclusive(_owner)
    def restore(self, snapshot: Snapshot | int) -> Snapshot:
        """Make the memory what it was in a snapshot (or its number), an earlier or a later one; all
        or nothing. What is in no snapshot is lost. What was erased since the snapshot stays erased;
        calls of tools stay logged, and replies that wait for an approval since then are dropped.

        Raises MemoryFault, and changes nothing, if there is no such snapshot or it is damaged."""
        self._check_restorable()
        restored = restore_snapshot(self.store, self.agent, self._snapshot_number(snapshot))
        self.store.on_rollback(self.store.cache.clear)
        return restored

    @exclusive(_owner)
    def delete_snapshot(self, snapshot: Snapshot | int) -> None:
        """Delete a snapshot (also a damaged one), with the rows that it alone needed. Raises
        MemoryFault if there is none."""
        self._check_restorable()
        delete_snapshot(self.store, self.agent, self._snapshot_number(snapshot))

    def _snapshot_number(self, snapshot: object) -> int:
        if type(snapshot) is int:
            return snapshot
        if not isinstance(snapshot, Snapshot):
            raise self.loader.fault(f"{snapshot!r:.60} is no Snapshot; see Memory.snapshots()")
        known = [one for one in self.snapshots() if one.id == snapshot.id]
        if snapshot.agent != self.agent or (known and known[0].at != snapshot.at):
            raise self.loader.fault(
                f"snapshot {snapshot.id} of {snapshot.agent} at {snapshot.at} is of another memory"
            )
        return snapshot.id

    def _check_restorable(self) -> None:
        if self.as_of_step is not None:
            raise self.loader.fault(
                f"is seen as of step {self.as_of_step} and read-only; use the memory itself"
            )
        if self.store.get("start") is not None:
            raise self.loader.fault(
                "is part of a run, which replays as it was lived; fork the run at an earlier step"
            )

    @property
    def _with_images(self) -> tuple[AgentId, ...]:
        return (self.agent, f"{self.agent}{IMAGES_SUFFIX}")

    @property
    def generation(self) -> int:
        """How often records were taken back: restored, corrected or forgotten. What was thought
        out at an earlier generation may rest on records that are gone."""
        return memory_generation(self.store, self.agent)

    # -- recall ---------------------------------------------------------------------

    @exclusive(_owner)
    def recall(
        self,
        cue: Cue,
        vector: Vector | None = None,
        *,
        accessed: Mapping[RecordId, Time] | None = None,
    ) -> tuple[Hit, ...]:
        """The records that fit ``cue``, best first, at most ``cue.limit``. Writes nothing.

        ``vector`` is the cue's embedding; without it ``embed`` computes one, and without either
        all relevances are equal. ``accessed`` are accesses not written yet, of earlier cues of the
        same moment. A hit's recency, importance and relevance are scaled to [0, 1]; its score is
        their sum weighted by the rules.
        """
        if not isinstance(cue, Cue):
            raise self.loader.fault(
                f"recall needs a Cue, not {type(cue).__name__}; write Cue(text=..., at=...)"
            )
        if vector is None:
            vector = self._embedded(cue.text)
        return recall_one(self.loader, self.rules_for(cue), cue, vector, accessed)

    @exclusive(_owner)
    def episodes(self, cue: Cue, vector: Vector | None = None) -> tuple[EpisodeHit, ...]:
        """The episodes (sessions, conversations, documents) that ``cue`` is about, best first, at
        most ``cue.limit``, each with its best records as evidence.

        They are scored by words, meaning, time and speaker, whatever the rules; recency and
        importance do not count. Records of no episode are grouped by day.
        """
        if vector is None:
            vector = self._embedded(cue.text)
        return search_episodes(self.loader, self.rules_for(cue), cue, vector)

    @exclusive(_owner)
    def answer_probability(self, cue: Cue, vector: Vector | None = None) -> float | None:
        """The calibrated probability that this memory holds what ``cue`` asks for; None if there
        is neither ``vector`` nor ``embed``. Below a half: say "I don't know"."""
        if vector is None:
            vector = self._embedded(cue.text)
        return answer_probability(self.loader, self.rules_for(cue), cue, vector)

    def retriever(
        self,
        *,
        limit: int = 10,
        rules: str = "hybrid",
        at: Time | None = None,
        person: AgentId = "",
    ) -> Callable[[str], list[str]]:
        """A function from a question to the texts that fit it, best first. It marks no record as
        accessed. ``at`` is the moment of asking (by default that of the latest record),
        ``person`` as in a cue."""

        def retrieve(question: str) -> list[str]:
            now = at or self.index.latest_time(self.index.count_at(self.as_of_step))
            cue = Cue(text=question, at=now, limit=limit, rules=rules, touch=False, person=person)
            return [hit.record.text for hit in self.recall(cue)]

        return retrieve

    def candidates(self, cue: Cue) -> list[Record]:
        """The records that ``cue`` admits, in order of number."""
        return candidate_records(self.loader, self.rules_for(cue), cue)

    def searched_audience(self, cue: Cue) -> tuple[AgentId, ...]:
        """The persons who may see every record that a cue searches; empty: everybody. Only they may
        hear what it finds, and that it finds nothing."""
        return searched_audience(self.loader, cue)

    def rules_for(self, cue: Cue) -> RuleSet:
        """The rules a cue asks for (by default the memory's own), with the memory's decay and
        trust."""
        if not cue.rules or cue.rules == self.rules.name:
            return self.rules
        return self._with_own_settings(rule_set(cue.rules))

    def _with_own_settings(self, rules: RuleSet) -> RuleSet:
        if self._decay is not None:
            rules = replace(rules, decay=self._decay)
        return replace(rules, trust=self.trust) if self.trust else rules

    def _embedded(self, text: str) -> Vector | None:
        """The embedding of a text; None without ``embed``."""
        return embed_texts(self.embed, [text])[0] if self.embed else None

    # -- reading --------------------------------------------------------------------

    @property
    def quarantined(self) -> frozenset[AgentId]:
        """The persons and sources excluded from recall."""
        return self.index.quarantined

    @property
    def audit_log(self) -> tuple[AuditEntry, ...]:
        """What was done to this memory besides remembering, in order."""
        return tuple(read_audit_log(self.store, self.agent))

    @check_arguments
    def records(
        self, *, kinds: Sequence[RecordKind] = (), last: int | None = None, person: AgentId = ""
    ) -> tuple[Record, ...]:
        """Records in order of number: of ``kinds`` (all if empty), the ``last`` so many; for a
        ``person`` only those for everybody or for them."""
        self.loader.refuse(kinds_fault(kinds))
        return self.loader.records(kinds, last, person)

    def record(self, id: RecordId) -> Record:
        """The record of a number. Raises MemoryFault if there is none or it was erased."""
        self.loader.refuse(number_fault(id, len(self)))
        record = self.stored_record(id)
        if is_erased(record):
            raise self.loader.fault(f"record {id} is gone ({record.source.removeprefix('gone:')})")
        return record

    def existing_records(self, ids: Sequence[RecordId]) -> tuple[Record, ...]:
        """The records of these numbers, without erased ones."""
        return tuple(record for record in map(self.stored_record, ids) if not is_erased(record))

    def stored_record(self, id: RecordId) -> Record:
        """The record of a number as it is stored, also if it was erased."""
        return self.loader.record(id)

    def sources(self, id: RecordId) -> tuple[str, ...]:
        """The sources of a record besides its owner, its own and those of its evidence;
        ``core.UNKNOWN_SOURCE`` for an own thought whose sources were not recorded."""
        return self.index.record_sources.of(id)

    def is_unlabelled(self, id: RecordId) -> bool:
        """Whether a record was written before labels existed: of its sources only who said it
        and its evidence are known."""
        if id > self.index.record_sources.unlabelled_count:
            return False
        return self.stored_record(id).sources is None

    def as_of(self, step: int) -> Memory:
        """A read-only view as of the end of ``step``, without later records and accesses."""
        if type(step) is not int:
            raise self.loader.fault(f"step {step!r:.60} is no whole number")
        view = copy(self)
        view._owns_store = False
        view._attach(self.loader.as_of(step))
        return view

    def __len__(self) -> int:
        return len(self.loader)

    @property
    def next_id(self) -> RecordId:
        """The number of the next record."""
        return len(self) + 1

    @property
    def as_of_step(self) -> int | None:
        """The step at which a read-only view ends; None for the memory itself."""
        return self.loader.as_of_step

    @property
    def digest(self) -> str:
        """The last links of the record and access chains: equal for memories with equal
        histories."""
        chains = (RECORD_CHAIN, ACCESS_CHAIN)
        return "".join(chain.head(self.store, self.agent)[1] for chain in chains)

    def close(self) -> None:
        """Close the store if this memory opened it."""
        if self._owns_store and hasattr(self, "store"):
            self.store.close()

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()


def recall_many(
    requests: Sequence[tuple[Memory, Cue]], vectors: NDArray[np.float32] | None = None
) -> list[tuple[Hit, ...]]:
    """Recall for many agents at once; writes nothing. Answers are in the order of ``requests``.

    ``vectors`` has a row for each cue, shape (n, d); without it each memory's ``embed`` is called,
    once for all cues of memories that share it. Under rules that are ``successive`` (reverie), what
    a cue with ``touch`` set recalled counts as accessed for later cues of its memory.
    """
    for _, cue in requests:
        check_cue(cue)
    rows: Sequence[Vector | None] = list(vectors) if vectors is not None else _embedded(requests)
    if len(rows) != len(requests):
        raise ValueError(f"{len(requests)} cues, but {len(rows)} rows of vectors")
    answers = recall_batch(
        [
            RecallRequest(memory.loader, memory.rules_for(cue), cue, row)
            for (memory, cue), row in zip(requests, rows, strict=True)
        ]
    )
    accessed: dict[tuple[int, str, int | None], dict[RecordId, Time]] = {}
    for position, ((memory, cue), row) in enumerate(zip(requests, rows, strict=True)):
        if position in answers:
            continue
        before = accessed.setdefault((id(memory.store), memory.agent, memory.as_of_step), {})
        successive = memory.rules_for(cue).successive
        hits = memory.recall(cue, row, accessed=before if successive else None)
        if successive and cue.touch:
            before.update({hit.record.id: cue.at for hit in hits})
        answers[position] = hits
    return [answers[position] for position in range(len(requests))]


def _embedded(requests: Sequence[tuple[Memory, Cue]]) -> list[Vector | None]:
    """The embedding of each cue's text; None for memories without ``embed``."""
    rows: list[Vector | None] = [None] * len(requests)
    groups: dict[EmbedFunction, list[int]] = {}
    for position, (memory, _) in enumerate(requests):
        if memory.embed:
            groups.setdefault(memory.embed, []).append(position)
    for embed, positions in groups.items():
        vectors = embed_texts(embed, [requests[position][1].text for position in positions])
        for position, row in zip(positions, vectors, strict=True):
            rows[position] = row
    return rows
