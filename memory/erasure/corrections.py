"""Correcting and forgetting single records, with their history kept or erased."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from ...core import (
    RECALLED_BY,
    AgentId,
    Json,
    MemoryFault,
    Record,
    RecordId,
    Time,
    is_visible,
    replace_surrogates,
    same_name,
    source_name,
    time_error,
)
from ..facts import Facts
from ..memory import Memory
from ..storage import (
    CORRECTION_LOG,
    DOCUMENT_LOG,
    FACT_LOG,
    IMAGES_SUFFIX,
    SUMMARY_LOG,
    PersonMatcher,
    embed_texts,
    is_erased,
    next_generation,
    number_fault,
    read_records,
    rewrite_states,
    summaries_in_force,
    text_fault,
    withdrawals_in_force,
    withdrawn_ids,
)
from .byte_search import search_texts
from .dependents import (
    changed_names,
    changed_words,
    dependent_records,
    spoken_text,
    with_spoken_text,
)
from .erasers import ERASERS, ErasureRequest, hold_in_memory
from .person_erasure import erase_records
from .text_columns import stored_texts, text_leaves

if TYPE_CHECKING:
    from ..storage import EmbedFunction, Vector


@dataclass(frozen=True, slots=True)
class MemoryVersion:
    """A version of a corrected record (None: erased), and when it was replaced or forgotten, by
    whom and why (None: it is the current one)."""

    number: RecordId
    record: Record | None
    replaced_at: Time | None = None
    by: AgentId = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class ForgetReport:
    """The result of forgetting a record: its number and those of its older versions and of what
    rested on them, and how much ``beside``, by part.

    Where history was erased, the file was searched for every erased text: ``searched`` is their
    number, ``found`` of those that are still in the file (0 proves the erasure), ``shared`` of
    those not counted since kept texts have them too. ``left`` says what could not be erased."""

    records: tuple[RecordId, ...]
    beside: dict[str, int] = field(default_factory=dict)
    searched: int = 0
    found: int = 0
    shared: int = 0
    left: tuple[str, ...] = ()


class Corrections:
    """Corrects and forgets single records of one memory.

    A corrected record is a new one with the new text, in the place of the old one (speaker, time,
    audience, episode, document). With it goes what rested on the old one: thoughts and summaries
    with it as evidence, what the agent itself said with words that it knew from nowhere else, and
    facts. ``known`` are texts that the agent knows anyway (its background).

    With their history kept, the old records are withdrawn: stored, listed by ``history``, and not
    recalled. With their history erased, the old ones are blank in the present and in every
    snapshot, and facts, session lines, notes and calls that repeat them are emptied; then the file
    is written anew and searched for their texts.

    >>> from datetime import datetime
    >>> memory = Memory(":memory:", "Bo")
    >>> old = memory.remember("Ada's dog is Rex", at=datetime(2023, 2, 13, 9), who="Ada")
    >>> new = Corrections(memory).correct(old.id, "Ada's dog is Max", by="Ada")
    >>> [version.record.text for version in Corrections(memory).history(new.id)]
    ["Ada's dog is Rex", "Ada's dog is Max"]
    """

    def __init__(
        self, memory: Memory, embed: EmbedFunction | None = None, *, known: Sequence[str] = ()
    ) -> None:
        self.memory = memory
        self._embed = embed or memory.embed
        self._known = tuple(known)

    def correct(
        self,
        record: RecordId,
        text: str,
        *,
        keep_history: bool = True,
        by: AgentId = "",
        why: str = "",
        at: Time | None = None,
    ) -> Record:
        """Replace a record by one with ``text``, on the word of ``by`` (empty: the owner), who is
        a source of it then; returns the new record. Of an utterance, ``text`` may be what was
        said alone.

        Raises MemoryFault, and changes nothing, if there is no such record or it was corrected or
        forgotten before, if it is not for ``by``, if the memory has embeddings and there is no
        function to embed, and, without ``keep_history``, inside a transaction."""
        now = self._check(by, why, at)
        memory = self.memory
        if wrong := text_fault("text", text) or ("" if text.strip() else "give the new text"):
            raise self._fault(wrong)
        old = self._record(record, by)
        if record in self.withdrawn:
            versions = [version.number for version in self.history(record)]
            raise self._fault(f"record {record} was corrected or forgotten; versions: {versions}")
        if self._embed is None and memory.index.vectors.columns:
            raise self._fault("its records have embeddings; give the function that embeds")
        text = with_spoken_text(old, replace_surrogates(text))
        vector = embed_texts(self._embed, [text])[0] if self._embed else None

        def write_new(corrections: Corrections) -> Record:
            return corrections.write_new(old, text, by, vector)

        with memory.store.owner:
            if not keep_history:
                self._erase([old], text, now, write_new)
                return memory.record(memory.next_id - 1)
            with memory.store.transaction():
                new = write_new(self)
                self._withdraw_with_dependents([old], new, by, why, now)
                self._learn_facts(new)
            return new

    def forget(
        self,
        records: RecordId | Sequence[RecordId],
        *,
        keep_history: bool = False,
        by: AgentId = "",
        why: str = "",
        at: Time | None = None,
    ) -> ForgetReport:
        """Forget one or several records with what rests on them: withdraw them from recall, or
        erase them with all of their older versions. Raises MemoryFault as ``correct`` does."""
        now = self._check(by, why, at)
        numbers = (records,) if isinstance(records, int) else tuple(dict.fromkeys(records))
        olds = [self._record(number, by) for number in numbers]
        if not olds:
            return ForgetReport(())
        with self.memory.store.owner:
            if not keep_history:
                return self._erase(olds, "", now)
            if gone := sorted(self.withdrawn.intersection(numbers)):
                raise self._fault(f"records {gone} were corrected or forgotten before")
            with self.memory.store.transaction():
                return self._withdraw_with_dependents(olds, None, by, why, now)

    def withdraw(
        self, records: Sequence[RecordId], *, why: str, by: AgentId = "", at: Time | None = None
    ) -> None:
        """Leave these records, and nothing else, out of recall until ``put_back`` with the same
        ``why``; inside the caller's transaction if one is open."""
        now = self._check(by, why, at)
        for number in records:
            self.memory.record(number)
        with self.memory.store.transaction():
            for number in records:
                self._log_withdrawal(number, (), None, by, why, now)

    def put_back(
        self, records: Sequence[RecordId], *, why: str, by: AgentId = "", at: Time | None = None
    ) -> None:
        """Recall records again that were withdrawn, or forgotten with their history kept, for the
        reason ``why``."""
        now = self._check(by, why, at)
        with self.memory.store.transaction():
            for number in records:
                self._append({"returned": number, "by": by, "why": why, "at": now.isoformat()})

    # -- reading --------------------------------------------------------------------

    @property
    def withdrawn(self) -> frozenset[RecordId]:
        """The numbers of the records that are stored and no longer recalled, since they or what
        they rest on was corrected or forgotten."""
        memory = self.memory
        return frozenset(withdrawn_ids(memory.store, memory.agent, step=memory.as_of_step))

    def history(self, record: RecordId) -> tuple[MemoryVersion, ...]:
        """All versions of a record, oldest first. Raises MemoryFault for an unknown number."""
        memory = self.memory
        memory.loader.refuse(number_fault(record, len(memory)))
        lines = withdrawals_in_force(memory.store, memory.agent, step=memory.as_of_step)
        before = {body["new"]: body["withdrawn"] for body in lines if body["new"]}
        after = {body["withdrawn"]: body for body in lines}
        number = record
        while number in before:
            number = before[number]
        versions: list[MemoryVersion] = []
        while True:
            stored = memory.stored_record(number)
            shown = None if is_erased(stored) else stored
            body = after.get(number)
            if body is None:
                return (*versions, MemoryVersion(number, shown))
            at = datetime.fromisoformat(body["at"])
            versions.append(MemoryVersion(number, shown, at, body["by"], body["why"]))
            if body["new"] is None:
                return tuple(versions)
            number = body["new"]

    # -- the new record -------------------------------------------------------------

    def write_new(self, old: Record, text: str, by: AgentId, vector: Vector | None) -> Record:
        """Add a record with a new text in the place of an old one."""
        memory, owner = self.memory, self.memory.agent
        sources = old.sources
        if old.evidence or by not in ("", owner, old.who):
            corrector = {source_name(by)} if by and not same_name(by, owner) else set()
            sources = tuple(sorted({*memory.sources(old.id), *corrector}))
        new = replace(old, id=memory.next_id, text=text, evidence=(), depth=0, sources=sources)
        if old.predicate != RECALLED_BY:  # The parts of an event are those of the old text.
            new = replace(new, subject="", predicate="", object="")
        vectors = None if vector is None else {new.id: vector}
        memory.add([new], vectors, step=memory.index.last_step)
        return memory.record(new.id)

    def _learn_facts(self, new: Record) -> None:
        """Learn the facts of a new record, where facts are learned at all."""
        memory = self.memory
        if FACT_LOG.size(memory.store, memory.agent):
            Facts(memory).learn([new])

    # -- with the history kept ------------------------------------------------------

    def _withdraw_with_dependents(
        self, olds: Sequence[Record], new: Record | None, by: AgentId, why: str, now: Time
    ) -> ForgetReport:
        memory = self.memory
        number = new.id if new else None
        dependents = self._dependents(olds, new.text if new else "", number)
        gone = frozenset((*(old.id for old in olds), *dependents))
        for old in olds:
            rests = dependents if old is olds[-1] else ()
            self._log_withdrawal(old.id, rests, number, by, why, now)
        beside = Counter[str]()
        for summary, evidence in summaries_in_force(memory.store, memory.agent).items():
            if summary in gone or not gone.isdisjoint(evidence):
                line = {"unfold": summary, "at": now.isoformat()}
                SUMMARY_LOG.append(memory.store, memory.agent, line, step=memory.index.last_step)
                beside["folds"] += 1
        facts = Facts(memory)
        for statement in facts.statements():
            if statement.sources and gone.issuperset(statement.sources):
                facts.retract(statement.id, at=now)
                beside["claims"] += 1
        for old in olds:
            self._change_document(old, new)
        next_generation(memory.store, memory.agent)
        return ForgetReport(tuple(sorted(gone)), dict(beside))

    def _log_withdrawal(
        self,
        number: RecordId,
        dependents: Sequence[RecordId],
        new: RecordId | None,
        by: AgentId,
        why: str,
        now: Time,
    ) -> None:
        body = {"withdrawn": number, "with": list(dependents), "new": new, "by": by, "why": why}
        self._append({**body, "at": now.isoformat()})

    def _append(self, body: Json) -> None:
        memory = self.memory
        CORRECTION_LOG.append(memory.store, memory.agent, body, step=memory.index.last_step)

    def _change_document(self, old: Record, new: Record | None) -> None:
        """Write the new passage in the place of the old one into the log of its document."""
        memory = self.memory
        entries = DOCUMENT_LOG.entries(memory.store, memory.agent)
        bodies = [entry.body for entry in entries if entry.body]
        body = next((one for one in bodies[::-1] if one["document"] == old.episode), None)
        if old.kind != "document" or body is None:
            return
        numbers = [number for number, _ in body["records"]]
        if old.id not in numbers:
            return
        records = [
            [new.id if new and number == old.id else number, place]
            for number, place in body["records"]
            if new or number != old.id
        ]
        # The digest is that of the file, which the passages no longer are.
        line = {**body, "records": records, **({"digest": ""} if "digest" in body else {})}
        DOCUMENT_LOG.append(memory.store, memory.agent, line, step=memory.index.last_step)

    # -- with the history erased ----------------------------------------------------

    def _erase(
        self,
        olds: Sequence[Record],
        text: str,
        now: Time,
        write_new: Callable[[Corrections], Record] | None = None,
    ) -> ForgetReport:
        """Erase records with their older versions and what rests on them from the present and from
        every snapshot; ``write_new`` writes the new record into each."""
        memory, store = self.memory, self.memory.store
        if store.in_transaction:
            raise self._fault("the file is written anew to erase; end the transaction first")
        hold_in_memory(store)
        before = Counter(self._stored_words())
        versions = self._older_versions(olds)
        names = changed_names(versions, text, self._other_texts(versions))
        reports: list[ForgetReport] = []

        def rewrite(_: tuple[AgentId, ...]) -> None:
            state = Corrections(Memory(store, memory.agent), self._embed, known=self._known)
            request = state.erasure_request(versions, text, names)
            if request is None:
                return
            beside = state.erase_parts(request, now)
            gone = tuple(sorted(request.records[memory.agent]))
            reports.append(ForgetReport(gone, beside, left=tuple(request.remarks)))
            if write_new:
                state._learn_facts(write_new(state))

        def clean(label: str, saved: Json) -> tuple[str, Json]:
            request = _request(memory.agent, versions, frozenset(), names)
            label = "" if request.repeats(label) else label
            return label, None if any(map(request.repeats, text_leaves(saved))) else saved

        with store.transaction():
            rewrite_states(store, [memory.agent.removesuffix(IMAGES_SUFFIX)], rewrite, clean)
            next_generation(store, memory.agent)
        store.cache.clear()
        store.scrub()
        searched, found, shared = self._search(before)
        return replace(reports[0], searched=searched, found=found, shared=shared)

    def erasure_request(
        self, versions: Sequence[Record], text: str, names: Sequence[str]
    ) -> ErasureRequest | None:
        """What to erase in the state that this memory is in; None if it has none of the versions:
        another record may have the number in another snapshot."""
        memory, agent = self.memory, self.memory.agent
        here = [v for v in versions if v.id <= len(memory) and memory.stored_record(v.id) == v]
        if not here:
            return None
        gone = frozenset((*(record.id for record in here), *self._dependents(here, text, None)))
        records = memory.existing_records(sorted(gone))
        return _request(agent, records, gone, names)

    def erase_parts(self, request: ErasureRequest, now: Time) -> dict[str, int]:
        """Erase a request's records and what repeats them in the state that this memory is in;
        returns how much of each part beside the records."""
        store = self.memory.store
        counts = {part: erase(store, request) for part, erase in ERASERS.items()}
        erase_records(store, request, self.memory.agent, now)
        store.cache.clear()
        return {part: count for part, count in counts.items() if count}

    def _older_versions(self, records: Sequence[Record]) -> list[Record]:
        """The stored versions of records up to themselves."""
        versions: dict[RecordId, Record] = {}
        for record in records:
            for version in self.history(record.id):
                if version.record is not None:
                    versions[version.number] = version.record
                if version.number == record.id:
                    break
        return [versions[number] for number in sorted(versions)]

    def _dependents(
        self, roots: Sequence[Record], text: str, new: RecordId | None
    ) -> tuple[RecordId, ...]:
        memory = self.memory
        words = changed_words(roots, text, self._known)
        rows = read_records(memory.store, memory.agent)
        records = (row.record for row in rows if row.record.id != new)
        present = (record for record in records if not is_erased(record))
        return dependent_records(present, [one.id for one in roots], words, memory.agent)

    def _other_texts(self, versions: Sequence[Record]) -> list[str]:
        """The texts of records that do not rest on the versions, and what is known anyway."""
        gone = {*(one.id for one in versions), *self._dependents(versions, "", None)}
        rows = read_records(self.memory.store, self.memory.agent)
        return [*self._known, *(row.record.text for row in rows if row.record.id not in gone)]

    def _stored_words(self) -> list[str]:
        return [text for stored in stored_texts(self.memory.store) for text in stored.words]

    def _search(self, before: Counter[str]) -> tuple[int, int, int]:
        """Search the file for the texts of which there are fewer than before."""
        store = self.memory.store
        after = list(stored_texts(store))
        counts = before - Counter(text for stored in after for text in stored.words)
        kept = [text for stored in after for text in (*stored.words, *stored.labels)]
        if store.path is None:
            return len(counts), 0, 0
        return search_texts(store.path, set(counts), kept)

    # -- checks ---------------------------------------------------------------------

    def _check(self, by: AgentId, why: str, at: Time | None) -> Time:
        """The time of a change. Raises MemoryFault for a change that cannot be."""
        memory = self.memory
        if memory.as_of_step is not None:
            raise self._fault(f"this is a read-only view as of step {memory.as_of_step}")
        if memory.store.get("start") is not None:
            raise self._fault("is part of a run, which replays as it was lived")
        now = datetime.now().replace(microsecond=0) if at is None else at
        wrong = text_fault("by", by) or text_fault("why", why) or time_error(now, "at")
        if wrong:
            raise self._fault(wrong)
        return now

    def _record(self, number: RecordId, by: AgentId) -> Record:
        memory = self.memory
        if not by or same_name(by, memory.agent):
            return memory.record(number)
        if type(number) is int and 1 <= number <= len(memory):
            record = memory.stored_record(number)
            if is_visible(record.audience, by) and not is_erased(record):
                return record
        # The same words whatever the reason, so that nobody learns which records exist.
        raise self._fault(f"there is no record {number!r:.20} for {by}")

    def _fault(self, problem: str) -> MemoryFault:
        memory = self.memory
        return MemoryFault(f"{memory.store.name}: corrections of {memory.agent}: {problem}")


def _request(
    agent: AgentId, records: Sequence[Record], gone: frozenset[RecordId], names: Sequence[str]
) -> ErasureRequest:
    quotes = {text for record in records for text in (record.text, spoken_text(record)) if text}
    return ErasureRequest(
        PersonMatcher(""),
        (agent,),
        True,
        {agent: gone},
        quotes=tuple(sorted(quotes)),
        terms=tuple(names),
    )
