"""Keeping a memory bounded: old episodes folded into summaries that can be unfolded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    """How much of a memory stays in recall: at most ``records`` of what somebody may hear of (the
    owner: of all), and ``per_day`` of
    each day that is over (0: no bound). What was made in the last ``fresh_hours`` is left
    alone, and what is of ``importance`` or more."""

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
    """A line of the log of folds: which records a summary stands for, when and why it was
    made; ``expanded_at`` when they were brought back (None: they are folded)."""

    summary: RecordId
    records: tuple[RecordId, ...]
    at: Time
    why: str
    expanded_at: Time | None = None


class Compaction:
    """Folds old episodes of one memory into summaries, and unfolds them.

    A summary is a record of kind "summary" whose evidence are the folded records; they stay
    in the file, out of recall. Records are folded together only when they are of one episode
    (or one day) and for the same people, so a summary is for exactly those; pinned ones never
    are. Whether they are depends on what those people may hear of alone. Every fold is logged.
    """

    def __init__(self, memory: Memory, embed: EmbedFunction | None = None) -> None:
        self.memory = memory
        self._embed = embed or memory.embed

    def compact(self, budget: CompactionBudget, *, at: Time) -> tuple[Record, ...]:
        """Fold, oldest first, until the memory is within ``budget``; returns the summaries.

        Texts are made by rule (central sentences). It may stay above the budget where what
        is left is pinned, fresh or important.
        """
        made = [self.summarise(group, at=at, why=why) for group, why in [*self._due(budget, at)]]
        for people in self._circles(at):
            while (over := self._size(at, people) - budget.records) > 0:
                groups = self._old(budget, at, people)
                if not groups:
                    break
                made.append(self.summarise(groups[0][: max(2, over + 1)], at=at, why="budget"))
        return tuple(made)

    def plan_compaction(
        self, budget: CompactionBudget, *, at: Time, first: RecordId
    ) -> tuple[tuple[Record, Json], ...]:
        """What ``compact`` would fold now, for who writes it within a step: summaries numbered
        from ``first``, each with its line of the log. Summaries are folded in turn only once
        nothing else for the same people is left to fold."""
        groups = list(self._due(budget, at))
        due = {group[0].audience for group, _ in groups}
        for people in self._circles(at):
            over = self._size(at, people) - budget.records
            if people not in due and over > 0 and (old := self._old(budget, at, people)):
                groups.append((old[0][: max(2, over + 1)], "budget"))
        found: list[tuple[Record, Json]] = []
        for number, (group, why) in enumerate(groups, first):
            self._check(group)
            summary = self._summary(group, number, "")
            found.append((summary, _line(summary, at, why)))
        return tuple(found)

    def due_groups(self, budget: CompactionBudget, *, at: Time) -> tuple[tuple[Record, ...], ...]:
        """The groups that ``compact`` would fold first, for those who have a model summarise
        them: ``text = yield from summarising(group)``, then ``summarise(group, text=text)``."""
        return tuple(tuple(group) for group, _ in self._due(budget, at))

    def summarise(
        self, records: Sequence[Record], *, at: Time, text: str = "", why: str = ""
    ) -> Record:
        """Fold records into one summary, of ``text`` or of their central sentences.

        Raises MemoryFault when they are not of one audience, pinned, folded already, or of a
        quarantined source, whose words a summary would tell.
        """
        memory = self.memory
        if wrong := time_error(at, "at") or text_fault("text", text) or text_fault("why", why):
            raise self._fault(wrong)
        if isinstance(records, str | bytes) or not isinstance(records, Iterable):
            raise self._fault(f"{records!r:.60} is no sequence of records")
        records = tuple(records)
        self._check(records)
        summary = self._summary(records, memory.next_id, text)
        vectors = {summary.id: embed_texts(self._embed, [summary.text])[0]} if self._embed else None
        step = memory.index.last_step
        with memory.store.transaction():
            memory.add([summary], vectors, step=step)
            SUMMARY_LOG.append(memory.store, memory.agent, _line(summary, at, why), step=step)
        return summary

    def _summary(self, records: Sequence[Record], number: RecordId, text: str) -> Record:
        last = max(records, key=lambda record: (record.created, record.id))
        episodes = {record.episode for record in records}
        summary = Record(
            id=number,
            kind="summary",
            text=text or central_sentences([record.text for record in records], self._embed),
            # The time of what it tells, so that it is not taken for news.
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
        """Bring the records of a summary back into recall, and take the summary out."""
        if wrong := time_error(at, "at"):
            raise self._fault(wrong)
        held = summaries_in_force(self.memory.store, self.memory.agent)
        if summary not in held:
            raise self._fault(f"record {summary} is no summary with folded records")
        SUMMARY_LOG.append(
            self.memory.store,
            self.memory.agent,
            {"unfold": summary, "at": at.isoformat()},
            step=self.memory.index.last_step,
        )
        return self.memory.existing_records(held[summary])

    def history(self) -> tuple[CompactionEntry, ...]:
        """Every fold that was ever made, in order."""
        found: dict[RecordId, CompactionEntry] = {}
        for entry in SUMMARY_LOG.entries(self.memory.store, self.memory.agent):
            body = entry.body
            if not body or (
                self.memory.as_of_step is not None and entry.step > self.memory.as_of_step
            ):
                continue
            at = datetime.fromisoformat(body["at"])
            if "unfold" in body:
                # Its fold may have been erased, or lost to damage.
                if old := found.get(body["unfold"]):
                    found[old.summary] = CompactionEntry(
                        old.summary, old.records, old.at, old.why, at
                    )
            else:
                found[body["summary"]] = CompactionEntry(
                    body["summary"], tuple(body["records"]), at, body["why"]
                )
        return tuple(found.values())

    def recallable_count(self, at: Time) -> int:
        """How many records can be recalled at ``at``."""
        return len(self._open(at))

    def generate_summary(self, records: Sequence[Record]) -> Thought[str]:
        """The text of a summary by the model, or by rule where it tells what was not said."""
        return model_summary(records, self._embed)

    def _open(self, at: Time) -> list[Record]:

        return self.memory.candidates(Cue(text="", at=at, rules="paper"))

    def _due(self, budget: CompactionBudget, at: Time) -> Iterator[tuple[list[Record], str]]:
        if not isinstance(budget, CompactionBudget):
            raise self._fault(f"{budget!r:.60} is no Budget; write Budget(records=...)")
        sizes = self._sizes(at)
        groups: dict[Audience, list[list[Record]]] = {}
        for group in self._groups(budget, at, COMPACTED_KINDS):
            groups.setdefault(group[0].audience, []).append(group)
        for people in _in_order(groups, self.memory.agent):
            for group in groups[people]:
                if len(group) < 2:
                    continue
                over = _seen(sizes, people, self.memory.agent) - budget.records
                if over > 0:
                    # A whole episode at a time: half a talk makes no summary.
                    sizes[people] -= len(group) - 1
                    yield group, "budget"
                elif budget.per_day and len(group) > budget.per_day:
                    yield self._lightest(group, len(group) - budget.per_day + 1), "per_day"

    def _sizes(self, at: Time) -> Counter[Audience]:
        """How many records can be recalled, for each audience."""
        return Counter(record.audience for record in self._open(at))

    def _circles(self, at: Time) -> list[Audience]:
        return _in_order(self._sizes(at), self.memory.agent)

    def _size(self, at: Time, people: Audience) -> int:
        return _seen(self._sizes(at), people, self.memory.agent)

    def _old(self, budget: CompactionBudget, at: Time, people: Audience) -> list[list[Record]]:
        """The summaries for some people that may be folded together."""
        groups = self._groups(budget, at, ("summary",))
        return [g for g in groups if len(g) > 1 and g[0].audience == people]

    def _lightest(self, group: list[Record], count: int) -> list[Record]:
        chosen = sorted(group, key=lambda record: (record.importance, record.id))[:count]
        return sorted(chosen, key=lambda record: record.id)

    def _groups(
        self, budget: CompactionBudget, at: Time, kinds: Sequence[RecordKind]
    ) -> list[list[Record]]:
        """What may be folded together, oldest first."""
        fresh = at - timedelta(hours=budget.fresh_hours)
        found: dict[tuple[AgentId, ...] | tuple[object, ...], list[Record]] = {}
        # Of a summary that is quarantined the records are in recall again, and folded still.
        gone = set(hidden_ids(self.memory.store, self.memory.agent))
        for record in self._open(at):
            if record.kind not in kinds or record.pinned or record.created > fresh:
                continue
            if record.id in gone:
                continue
            if record.kind != "summary" and record.importance >= budget.importance:
                continue
            whole = "" if record.kind == "summary" else record.episode or record.created.date()
            found.setdefault((record.audience, whole), []).append(record)
        return sorted(found.values(), key=lambda group: (group[0].created, group[0].id))

    def _check(self, records: Sequence[Record]) -> None:
        if strange := [record for record in records if not isinstance(record, Record)]:
            raise self._fault(f"{strange[0]!r:.60} is no Record")
        if len(records) < 2:
            raise self._fault("fewer than two records make no summary")
        if len({record.audience for record in records}) > 1:
            raise self._fault("records for different people are not folded together")
        gone = set(hidden_ids(self.memory.store, self.memory.agent))
        for record in records:
            if record.pinned:
                raise self._fault(f"record {record.id} is pinned; it is never folded")
            if record.id in gone:
                raise self._fault(f"record {record.id} is folded already")
            held = self.memory.quarantined
            if held and (record.who in held or self.memory.index.is_quarantined(record.id)):
                names = ", ".join(sorted(held))
                raise self._fault(
                    f"record {record.id} rests on the words of who is quarantined: {names}"
                )
            if record != self.memory.record(record.id):
                raise self._fault(f"record {record.id} is not as it was written")

    def _fault(self, what: str) -> MemoryFault:
        return MemoryFault(f"{self.memory.store.name}: folds of {self.memory.agent}: {what}")


def _in_order(sizes: Iterable[Audience], owner: AgentId) -> list[Audience]:
    """The audiences, each after all that are for its people too; the owner's alone comes last."""
    return sorted(
        sizes, key=lambda people: (bool(people), -len(set(people) - {owner}), sorted(people))
    )


def _seen(sizes: Mapping[Audience, int], people: Audience, owner: AgentId) -> int:
    """How many records all of an audience may hear of: what is for others only must not decide
    what becomes of theirs."""
    if not people:
        return sizes.get((), 0)
    whom = set(people) - {owner}
    return sum(n for others, n in sizes.items() if not others or whom.issubset(others))


def _line(summary: Record, at: Time, why: str) -> dict[str, Json]:
    return {
        "summary": summary.id,
        "records": list(summary.evidence),
        "at": at.isoformat(),
        "why": why,
    }
