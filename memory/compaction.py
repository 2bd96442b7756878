"""Compaction: old episodes are replaced in recall by summaries, which can be expanded again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..core import (
    AgentId,
    Audience,
    Cue,
    Json,
    MemoryFault,
    Record,
    RecordId,
    RecordKind,
    SettingError,
    Thought,
    Time,
    time_error,
)
from .extractive_summary import central_sentences, model_summary
from .memory import Memory
from .storage import SUMMARY_LOG, embed_texts, hidden_ids, summaries_in_force, text_fault

if TYPE_CHECKING:
    from .storage import EmbedFunction

COMPACTED_KINDS: tuple[RecordKind, ...] = ("observation", "utterance", "thought", "plan")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionBudget:
    """How much of a memory stays recallable: at most ``records`` among those visible to each
    audience, and ``per_day`` records of each past day (0: no limit). Records created in the last
    ``fresh_hours`` or with at least ``importance`` are not compacted."""

    records: int = 5000
    per_day: int = 0
    fresh_hours: float = 48.0
    importance: float = 9.0

    def __post_init__(self) -> None:
        if self.records < 10 or self.per_day < 0 or self.fresh_hours < 0:
            raise SettingError(
                f"budget: records {self.records} must be at least 10, per_day {self.per_day} and "
                f"fresh_hours {self.fresh_hours} not negative"
            )


@dataclass(frozen=True, slots=True)
class CompactionEntry:
    """A log entry: which records a summary replaces, when and why, and when it was expanded (None:
    not yet)."""

    summary: RecordId
    records: tuple[RecordId, ...]
    at: Time
    why: str
    expanded_at: Time | None = None


class Compaction:
    """Replaces old episodes of one memory by summaries in recall, and expands them again.

    A summary is a record of kind "summary" whose evidence are the compacted records, which stay
    stored. Records are summarised together only if they belong to one episode (or day) and have
    the same audience, which is also the summary's. Pinned records are never compacted. What is
    compacted for an audience depends only on records that it may see. Every compaction is logged.
    """

    def __init__(self, memory: Memory, embed: EmbedFunction | None = None) -> None:
        self.memory = memory
        self._embed = embed or memory.embed

    def compact(self, budget: CompactionBudget, *, at: Time) -> tuple[Record, ...]:
        """Summarise groups of records, oldest first, until the memory is within ``budget``; returns
        the summaries.

        Texts are extractive (central sentences). The memory may stay above the budget if the
        remaining records are pinned, recent or important.
        """
        due = [*self._due(budget, at)]
        summaries = [self.summarise(group, at=at, why=why) for group, why in due]
        for people in self._audiences(at):
            while (excess := self._visible_count(at, people) - budget.records) > 0:
                groups = self._summary_groups(budget, at, people)
                if not groups:
                    break
                group = groups[0][: max(2, excess + 1)]
                summaries.append(self.summarise(group, at=at, why="budget"))
        return tuple(summaries)

    def plan_compaction(
        self, budget: CompactionBudget, *, at: Time, first: RecordId
    ) -> tuple[tuple[Record, Json], ...]:
        """The summaries that ``compact`` would write now, numbered from ``first``, each with the
        body of its log entry; a simulation step writes them. Summaries are summarised in turn only
        if no other records of the same audience are due."""
        groups = list(self._due(budget, at))
        due = {group[0].audience for group, _ in groups}
        for people in self._audiences(at):
            excess = self._visible_count(at, people) - budget.records
            if people in due or excess <= 0:
                continue
            if summaries := self._summary_groups(budget, at, people):
                groups.append((summaries[0][: max(2, excess + 1)], "budget"))
        plan: list[tuple[Record, Json]] = []
        for number, (group, why) in enumerate(groups, first):
            self._validate(group)
            summary = self._summary(group, number, "")
            plan.append((summary, _log_body(summary, at, why)))
        return tuple(plan)

    def due_groups(self, budget: CompactionBudget, *, at: Time) -> tuple[tuple[Record, ...], ...]:
        """The groups that ``compact`` would summarise first, for summaries by a model:
        ``text = yield from generate_summary(group)``, then ``summarise(group, text=text)``."""
        return tuple(tuple(group) for group, _ in self._due(budget, at))

    def summarise(
        self, records: Sequence[Record], *, at: Time, text: str = "", why: str = ""
    ) -> Record:
        """Replace records in recall by one summary with ``text`` (default: their central
        sentences).

        Raises MemoryFault if the records have different audiences, are pinned, compacted already,
        or rest on a quarantined source.
        """
        memory = self.memory
        if problem := time_error(at, "at") or text_fault("text", text) or text_fault("why", why):
            raise self._fault(problem)
        if isinstance(records, str | bytes) or not isinstance(records, Iterable):
            raise self._fault(f"{records!r:.60} is no sequence of records")
        records = tuple(records)
        self._validate(records)
        summary = self._summary(records, memory.next_id, text)
        vectors = {summary.id: embed_texts(self._embed, [summary.text])[0]} if self._embed else None
        step = memory.index.last_step
        with memory.store.transaction():
            memory.add([summary], vectors, step=step)
            SUMMARY_LOG.append(memory.store, memory.agent, _log_body(summary, at, why), step=step)
        return summary

    def _summary(self, records: Sequence[Record], number: RecordId, text: str) -> Record:
        last = max(records, key=lambda record: (record.created, record.id))
        episodes = {record.episode for record in records}
        summary = Record(
            id=number,
            kind="summary",
            text=text or central_sentences([record.text for record in records], self._embed),
            # The time of its newest record, so that recency does not favour the summary.
            created=last.created,
            who=self.memory.agent,
            importance=max(record.importance for record in records),
            evidence=tuple(sorted(record.id for record in records)),
            depth=1 + max(record.depth for record in records),
            audience=records[0].audience,
            episode=last.episode if len(episodes) == 1 else "",
        )
        return self.memory.with_evidence_labels((summary,))[0]

    def expand(self, summary: RecordId, *, at: Time) -> tuple[Record, ...]:
        """Return the records of a summary to recall and remove the summary from it; returns the
        records."""
        if problem := time_error(at, "at"):
            raise self._fault(problem)
        evidence = summaries_in_force(self.memory.store, self.memory.agent)
        if summary not in evidence:
            raise self._fault(f"record {summary} is no summary of compacted records")
        SUMMARY_LOG.append(
            self.memory.store,
            self.memory.agent,
            {"unfold": summary, "at": at.isoformat()},
            step=self.memory.index.last_step,
        )
        return self.memory.existing_records(evidence[summary])

    def history(self) -> tuple[CompactionEntry, ...]:
        """Every compaction so far, in order, also those expanded since."""
        entries: dict[RecordId, CompactionEntry] = {}
        memory = self.memory
        for _, _, body in SUMMARY_LOG.as_of(memory.store, memory.agent, memory.as_of_step):
            at = datetime.fromisoformat(body["at"])
            if "unfold" in body:
                # The entry of the summary may be erased or damaged.
                if old := entries.get(body["unfold"]):
                    entries[old.summary] = replace(old, expanded_at=at)
            else:
                entries[body["summary"]] = CompactionEntry(
                    body["summary"], tuple(body["records"]), at, body["why"]
                )
        return tuple(entries.values())

    def recallable_count(self, at: Time) -> int:
        """Number of records that can be recalled at ``at``."""
        return len(self._recallable(at))

    def generate_summary(self, records: Sequence[Record]) -> Thought[str]:
        """A summary text by the model, or extractive if the model adds names or numbers."""
        return model_summary(records, self._embed)

    def _recallable(self, at: Time) -> list[Record]:
        return self.memory.candidates(Cue(text="", at=at, rules="paper"))

    def _due(self, budget: CompactionBudget, at: Time) -> Iterator[tuple[list[Record], str]]:
        if not isinstance(budget, CompactionBudget):
            raise self._fault(
                f"{budget!r:.60} is no CompactionBudget; write CompactionBudget(records=...)"
            )
        counts = self._counts(at)
        groups: dict[Audience, list[list[Record]]] = {}
        for group in self._groups(budget, at, COMPACTED_KINDS):
            groups.setdefault(group[0].audience, []).append(group)
        for people in _widest_first(groups, self.memory.agent):
            for group in groups[people]:
                if len(group) < 2:
                    continue
                if _visible_to(counts, people, self.memory.agent) > budget.records:
                    # A whole episode at a time: part of a conversation makes no summary.
                    counts[people] -= len(group) - 1
                    yield group, "budget"
                elif budget.per_day and len(group) > budget.per_day:
                    excess = len(group) - budget.per_day
                    lightest = sorted(group, key=lambda record: (record.importance, record.id))
                    yield sorted(lightest[: excess + 1], key=lambda record: record.id), "per_day"

    def _counts(self, at: Time) -> Counter[Audience]:
        return Counter(record.audience for record in self._recallable(at))

    def _audiences(self, at: Time) -> list[Audience]:
        return _widest_first(self._counts(at), self.memory.agent)

    def _visible_count(self, at: Time, people: Audience) -> int:
        return _visible_to(self._counts(at), people, self.memory.agent)

    def _summary_groups(
        self, budget: CompactionBudget, at: Time, people: Audience
    ) -> list[list[Record]]:
        """The summaries of an audience that may be summarised together."""
        groups = self._groups(budget, at, ("summary",))
        return [group for group in groups if len(group) > 1 and group[0].audience == people]

    def _groups(
        self, budget: CompactionBudget, at: Time, kinds: Sequence[RecordKind]
    ) -> list[list[Record]]:
        """Records that may be summarised together (one audience; one episode or day), oldest group
        first."""
        newest = at - timedelta(hours=budget.fresh_hours)
        groups: dict[tuple[Audience, object], list[Record]] = {}
        # If a summary is quarantined, its records are recallable, but still compacted.
        compacted = set(hidden_ids(self.memory.store, self.memory.agent))
        for record in self._recallable(at):
            if record.kind not in kinds or record.pinned or record.created > newest:
                continue
            if record.id in compacted:
                continue
            if record.kind != "summary" and record.importance >= budget.importance:
                continue
            unit = "" if record.kind == "summary" else record.episode or record.created.date()
            groups.setdefault((record.audience, unit), []).append(record)
        return sorted(groups.values(), key=lambda group: (group[0].created, group[0].id))

    def _validate(self, records: Sequence[Record]) -> None:
        if invalid := [record for record in records if not isinstance(record, Record)]:
            raise self._fault(f"{invalid[0]!r:.60} is no Record")
        if len(records) < 2:
            raise self._fault("a summary needs at least two records")
        if len({record.audience for record in records}) > 1:
            raise self._fault("records with different audiences cannot be summarised together")
        compacted = set(hidden_ids(self.memory.store, self.memory.agent))
        quarantined = self.memory.quarantined
        for record in records:
            if record.pinned:
                raise self._fault(f"record {record.id} is pinned and cannot be compacted")
            if record.id in compacted:
                raise self._fault(f"record {record.id} is compacted already")
            if quarantined and (
                record.who in quarantined or self.memory.index.is_quarantined(record.id)
            ):
                names = ", ".join(sorted(quarantined))
                raise self._fault(
                    f"record {record.id} rests on a source that is quarantined: {names}"
                )
            if record != self.memory.record(record.id):
                raise self._fault(f"record {record.id} differs from the stored record")

    def _fault(self, problem: str) -> MemoryFault:
        return MemoryFault(
            f"{self.memory.store.name}: compaction of {self.memory.agent}: {problem}"
        )


def _widest_first(audiences: Iterable[Audience], owner: AgentId) -> list[Audience]:
    """The audiences, each after those that include its people; the owner alone comes last."""
    return sorted(
        audiences, key=lambda people: (bool(people), -len(set(people) - {owner}), sorted(people))
    )


def _visible_to(counts: Mapping[Audience, int], people: Audience, owner: AgentId) -> int:
    """Number of records visible to all of an audience. Records for others do not count, so that
    they cannot influence which of the audience's records are compacted."""
    if not people:
        return counts.get((), 0)
    others = set(people) - {owner}
    return sum(n for audience, n in counts.items() if not audience or others.issubset(audience))


def _log_body(summary: Record, at: Time, why: str) -> dict[str, Json]:
    return {
        "summary": summary.id,
        "records": list(summary.evidence),
        "at": at.isoformat(),
        "why": why,
    }
