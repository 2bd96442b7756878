"""Maintenance of a memory as part of a step: importing documents and records, compaction, and
learning facts by rule."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

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
    SettingError,
    Step,
    Thought,
    Time,
    ToolResult,
    Utterance,
    Vectors,
    all_of,
    apply_label,
    embed,
    format_utterance,
    join_labels,
    traced,
)
from ..core.text import terms
from ..memory import Compaction, CompactionBudget, Documents, Facts, Memory, records_of_input
from .thoughts import utterance_label

UNRATED_IMPORTANCE = 3.0
"""Importance of an utterance that no thought has rated."""
EMBED_BATCH = 64
"""Texts per Embed ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """What is done at the first step of each day.

    ``budget`` (records; 0: no compaction), ``per_day``, ``fresh_hours`` and ``importance`` are the
    fields of ``CompactionBudget``. With ``claims`` facts are extracted by rules from yesterday's
    records."""

    budget: int = 0
    per_day: int = 0
    fresh_hours: float = 48.0
    importance: float = 9.0
    claims: bool = False

    @property
    def compaction_budget(self) -> CompactionBudget | None:
        """The budget of compaction; None if there is none."""
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
    thought: Thought[Step],
    memory: Memory,
    inputs: Sequence[Input],
    now: Time,
    budget: CompactionBudget | None = None,
) -> Thought[Step]:
    """The step of a thought, extended by the records that the memory imports from ``inputs`` and,
    with a ``budget``, by the summaries of compaction.

    Writes nothing: records, embeddings and log lines are part of the step, so that they are
    committed, recorded and replayed with it."""
    step = yield from thought
    planned = list(_planned_records(memory, inputs, now, step.state.records + 1, budget))
    if not planned:
        return step
    records = tuple(record for batch, _ in planned for record in batch)
    step = yield from _with_records(step, records)
    return replace(step, beside=(*step.beside, *(line for _, line in planned if line is not None)))


def add_utterances(
    who: AgentId, step: Step, lines: Sequence[Utterance], now: Time
) -> Thought[Step]:
    """The step, extended by records of utterances that its thought was not given."""
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
    """The step, extended by records, which are embedded."""
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
    """A thought that does nothing and keeps the state."""
    yield from ()
    return Step(action=Action("wait"), state=state)


def _planned_records(
    memory: Memory,
    inputs: Sequence[Input],
    now: Time,
    first: RecordId,
    budget: CompactionBudget | None,
) -> Iterator[tuple[tuple[Record, ...], tuple[str, Json] | None]]:
    """Batches of new records, numbered from ``first``, each with its log line if it has one."""
    for given in inputs:
        if given.kind == "document":
            texts = [(str(text), str(place)) for text, place in given.fields["pieces"]]
            plan = Documents(memory).plan_import(
                given.text, texts, at=now, first=first, who=given.who
            )
            if plan.line is not None:
                first += len(plan.records)
                yield plan.records, ("documents", plan.line)
        elif given.kind == "memories":
            records = records_of_input(given, first)
            first += len(records)
            yield records, None
    if budget:
        for summary, line in Compaction(memory).plan_compaction(budget, at=now, first=first):
            yield (summary,), ("folds", line)


def _embed_texts(texts: Sequence[str]) -> Thought[list[tuple[float, ...]]]:
    """One vector for each text; an empty one if it could not be embedded."""
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
    """Extract facts by rules from yesterday's records; returns the number of new facts."""
    today = datetime(now.year, now.month, now.day)
    return Facts(memory, step=step).learn_between(today - timedelta(days=1), today)


def cited_places(
    asks: Sequence[AnsweredAsk],
    text: str,
    question: str,
    memory: Memory,
    based_on: Collection[RecordId] = (),
) -> tuple[str, ...]:
    """At most two places in recalled documents that a reply took words from: first pieces that it
    is ``based_on``, then those with most words.

    A word counts if it is in the reply and in the piece of the document, but neither in the
    question nor in another recalled record, nor in a piece that it is based on."""
    recalls = [one.answer for one in asks if isinstance(one.answer, Recalled)]
    if any(isinstance(one.answer, ToolResult) for one in asks):
        # The reply reports a tool's result, so that only what the tool recalled counts, and not
        # the recall for the message, which comes first.
        recalls = recalls[1:]
    records = [hit.record for recalled in recalls for hit in recalled.hits]
    pieces = [record for record in records if record.kind == "document"]
    if not pieces:
        return ()
    basis = [piece for piece in pieces if piece.id in based_on]
    others = {
        term
        for record in records
        if record.kind != "document" or record in basis
        for term in terms(record.text)
    }
    # "Yes, it is possible." has no word of its own, and yet it was read there.
    basis = [piece for piece in basis if set(terms(text)) & set(terms(piece.text))]
    new_terms = set(terms(text)) - set(terms(question)) - others
    counts = [(len(new_terms & set(terms(piece.text))), piece) for piece in pieces]
    ranked = [piece for count, piece in sorted(counts, key=lambda pair: -pair[0]) if count > 1]
    cite = Documents(memory).cite
    return tuple(dict.fromkeys(cite(piece) for piece in (*basis, *ranked)))[:2]


def unique_documents(who: AgentId, documents: Sequence[Path | str]) -> tuple[Path, ...]:
    """The files without duplicates. Raises SettingError for two files of one name: a memory
    identifies documents by their file names."""
    files: dict[str, Path] = {}
    for path in map(Path, documents):
        other = files.setdefault(path.name, path)
        if other.absolute() != path.absolute():
            raise SettingError(
                f"{who}: the documents {other} and {path} have one name, by which they are cited; "
                "rename one of them"
            )
    return tuple(files.values())
