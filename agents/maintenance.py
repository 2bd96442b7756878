"""What a memory does beside its life: it reads documents, folds old days, learns facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..core import (
    Action,
    AgentId,
    AgentState,
    AnsweredAsk,
    Embed,
    Input,
    Json,
    Recalled,
    Record,
    RecordId,
    Step,
    Thought,
    Time,
    Utterance,
    Vectors,
    all_of,
    apply_label,
    embed,
    format_utterance,
    join_labels,
    traced,
)
from ..memory import Compaction, CompactionBudget, Documents, Facts, Memory, records_of_input
from .thought_labels import utterance_label

if TYPE_CHECKING:
    from .agent import Agent

UNRATED_IMPORTANCE = 3.0
"""Importance of a line that no thought could rate: an ordinary memory."""
EMBED_BATCH = 64
"""Texts embedded by one ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """What is done at the first step of each day: with ``budget`` (0: none) and ``per_day``
    old records are folded, see ``CompactionBudget``; with ``claims`` the facts that yesterday's
    words
    state are learned by rule. Both are off unless asked for."""

    budget: int = 0
    per_day: int = 0
    fresh_hours: float = 48.0
    importance: float = 9.0
    claims: bool = False

    @property
    def compaction_budget(self) -> CompactionBudget | None:
        """The budget to fold by."""
        if not self.budget:
            return None
        return CompactionBudget(
            records=self.budget,
            per_day=self.per_day,
            fresh_hours=self.fresh_hours,
            importance=self.importance,
        )


def is_new_day(now: Time, step_seconds: int) -> bool:
    """Whether a step is the first of its day.

    >>> is_new_day(datetime(2026, 5, 2, 0, 0), 60), is_new_day(datetime(2026, 5, 2, 0, 1), 60)
    (True, False)
    """
    return (now - timedelta(seconds=step_seconds)).date() < now.date()


def with_maintenance(
    agent: Agent, life: Thought[Step], inputs: Sequence[Input], now: Time
) -> Thought[Step]:
    """A step of life, joined by what the memory takes in and folds at it. Writes nothing:
    records, their embeddings and lines of the logs are part of the step, so that they are
    committed, recorded and replayed with it."""
    step = yield from life
    made = list(_planned_records(agent, inputs, now, step.state.records + 1))
    if not made:
        return step
    records = tuple(record for some, _ in made for record in some)
    step = yield from _with_records(step, records)
    return replace(step, beside=(*step.beside, *(line for _, line in made if line is not None)))


def add_utterances(
    who: AgentId, step: Step, lines: Sequence[Utterance], now: Time
) -> Thought[Step]:
    """A step of life, joined by the memories of lines that its thought was not given."""
    records = []
    for number, line in enumerate(lines, step.state.records + 1):
        label = join_labels((utterance_label(line, who),), who)
        record = Record(
            id=number,
            kind="utterance",
            text=format_utterance(line.who, who, line.text),
            created=now,
            who=line.who,
            importance=UNRATED_IMPORTANCE,
        )
        records.append(apply_label(record, label, who))
    return (yield from _with_records(step, tuple(records)))


def _with_records(step: Step, records: tuple[Record, ...]) -> Thought[Step]:
    """A step with more records, embedded."""
    asks: list[AnsweredAsk] = []
    rows = yield from traced(_embed_texts([record.text for record in records]), asks)
    embedded = {record.id: row for record, row in zip(records, rows) if row}
    return replace(
        step,
        state=replace(step.state, records=step.state.records + len(records)),
        records=(*step.records, *records),
        embedded={**step.embedded, **embedded},
        asks=(*step.asks, *asks),
    )


def idle_step(state: AgentState) -> Thought[Step]:
    """A step at which nothing is done."""
    yield from ()
    return Step(action=Action("wait"), state=state)


def _planned_records(
    agent: Agent, inputs: Sequence[Input], now: Time, first: RecordId
) -> Iterator[tuple[tuple[Record, ...], tuple[str, Json] | None]]:
    for given in inputs:
        if given.kind == "document":
            texts = [(str(text), str(place)) for text, place in given.fields["pieces"]]
            plan = Documents(agent.memory).plan_import(
                given.text, texts, at=now, first=first, who=given.who
            )
            if plan.line is not None:
                first += len(plan.records)
                yield plan.records, ("documents", plan.line)
        elif given.kind == "memories":
            taken = records_of_input(given, first)
            first += len(taken)
            yield taken, None
    bounds = agent.maintenance.compaction_budget
    if bounds and is_new_day(now, agent.step_seconds):
        for summary, line in Compaction(agent.memory).plan_compaction(bounds, at=now, first=first):
            yield (summary,), ("folds", line)


def _embed_texts(texts: Sequence[str]) -> Thought[list[tuple[float, ...]]]:
    """A row for each text; an empty one where it could not be embedded."""
    parts = [
        tuple(texts[start : start + EMBED_BATCH]) for start in range(0, len(texts), EMBED_BATCH)
    ]
    answers = yield from all_of([embed(Embed(texts=part)) for part in parts])
    rows: list[tuple[float, ...]] = []
    for part, answer in zip(parts, answers, strict=True):
        if isinstance(answer, Vectors):
            rows += [tuple(float(value) for value in row) for row in answer.array()]
        else:
            rows += [()] * len(part)
    return rows


def learn_facts(memory: Memory, now: Time, step: int) -> int:
    """Learn by rule what the words of the day before state; how many facts are new."""
    today = datetime(now.year, now.month, now.day)
    return Facts(memory, step=step).learn_between(today - timedelta(days=1), today)


def cited_places(
    asks: Sequence[AnsweredAsk], text: str, question: str, memory: Memory
) -> tuple[str, ...]:
    """The places in recalled documents whose words a reply took, those of most words first:
    words that neither the question nor any other memory in sight had."""
    from ..core.text import terms

    hits = [h for one in asks if isinstance(one.answer, Recalled) for h in one.answer.hits]
    pages = [hit.record for hit in hits if hit.record.kind == "document"]
    if not pages:
        return ()
    other = {
        term for hit in hits if hit.record.kind != "document" for term in terms(hit.record.text)
    }
    said = set(terms(text)) - set(terms(question)) - other
    shared = [(len(said & set(terms(page.text))), page) for page in pages]
    ranked = sorted(shared, key=lambda pair: -pair[0])
    cite = Documents(memory).cite
    return tuple(dict.fromkeys(cite(page) for count, page in ranked if count))[:2]
