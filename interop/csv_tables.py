"""Tables of a run for CSV export: columns and rows (docs/exports.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..core import (
    AgentId,
    AgentState,
    Answer,
    Ask,
    Call,
    Choice,
    Choose,
    Clock,
    Completion,
    Embed,
    Failed,
    Json,
    Rate,
    Rating,
    Recall,
    Recalled,
    Record,
    Time,
    ToolResult,
    Vectors,
    canonical,
)
from ..simulation import ConversationCollector, Run
from ..viewer import memory_entry

CsvRow: TypeAlias = tuple[Json, ...]

_MAX_OPTIONS = 5


@dataclass(frozen=True, slots=True)
class RunSpan:
    """The first ``steps`` steps of a run."""

    run: Run
    steps: int
    clock: Clock

    @classmethod
    def of(cls, run: Run) -> RunSpan:
        """All steps committed so far."""
        return cls(run, run.steps, run.clock)

    def entries(self) -> Iterator[Json]:
        """The journal's entries."""
        return self.run.entries(0, self.steps - 1)

    def time_of(self, step: int) -> str:
        """The start time of a step in ISO format."""
        return self.clock.at(step).isoformat()

    @property
    def end(self) -> Time:
        """The time after the last step."""
        return self.clock.at(self.steps)

    def states(self, agent: AgentId) -> Iterator[tuple[int, AgentState]]:
        """Every change of an agent's state."""
        return ((step, state) for step, state in self.run.states(agent) if step < self.steps)

    def records(self, agent: AgentId) -> tuple[Record, ...]:
        """An agent's memories."""
        return self.run.memory(agent).as_of(self.steps - 1).records()

    def conversations(self) -> ConversationCollector:
        """All conversations."""
        talks = ConversationCollector()
        for entry in self.entries():
            talks.add_events(entry["step"], entry["events"])
        return talks


@dataclass(frozen=True, slots=True)
class CsvTable:
    """Columns of a table, and a function that yields its rows."""

    columns: tuple[str, ...]
    rows: Callable[[RunSpan], Iterator[CsvRow]]


def csv_cell(value: Json) -> Json:
    """A value as written to a CSV file: a text that begins with ``=``, ``+``, ``-``, ``@``, a tab,
    a line break or an apostrophe gets an apostrophe in front.

    Spreadsheets would run such a text as a formula, and texts of a run are untrusted. Removing one
    leading apostrophe restores every text. Numbers are unchanged.

    >>> [csv_cell(value) for value in ("=1+1", "'tis late", "Good day", -3)]
    ["'=1+1", "''tis late", 'Good day', -3]
    """
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "'")):
        return f"'{value}"
    return value


def _people(span: RunSpan) -> Iterator[CsvRow]:
    for p in span.run.people.values():
        yield (
            *(p.name, "agent", p.age, p.traits, p.background, p.currently, p.lifestyle, p.daily),
            *(p.home, p.vision, p.attention, p.retention, p.recency_decay, p.reflect_after),
            *(canonical(list(p.knows)), canonical(list(p.facts))),
        )
    known = set(span.run.people)
    for entry in span.entries():
        for who in entry["bodies"].keys() - known:
            known.add(who)
            yield (who, "visitor", *[None] * (len(TABLES["people.csv"].columns) - 2))


def _positions(span: RunSpan) -> Iterator[CsvRow]:
    for entry in span.entries():
        step = entry["step"]
        for who, (x, y, place, doing, emoji, target) in sorted(entry["bodies"].items()):
            yield step, span.time_of(step), who, x, y, place, doing, emoji, target


_EVENT = ("kind", "subject", "predicate", "object", "text", "place")


def _events(span: RunSpan) -> Iterator[CsvRow]:
    for entry in span.entries():
        for event in entry["events"]:
            yield entry["step"], span.time_of(entry["step"]), *(event[key] for key in _EVENT)


def _conversations(span: RunSpan) -> Iterator[CsvRow]:
    for talk in span.conversations().all:
        members = canonical(list(talk.members))
        for step, who, text in talk.lines:
            yield int(talk.id), step, span.time_of(step), who, text, members, talk.place


def _asks(span: RunSpan) -> Iterator[CsvRow]:
    for step in range(span.steps):
        rows = list(span.run.asks(step=step))
        # By path in the thought as numbers: "2.0" before "10.0".
        rows.sort(key=lambda row: (row.where.agent, *map(int, row.where.path.split("."))))
        for row in rows:
            ask, answer = row.ask, row.answer
            chosen: tuple[str | None, float | None] = (None, None)
            if isinstance(ask, Choose) and isinstance(answer, Choice):
                chosen = ask.options[answer.index].name, answer.probabilities[answer.index]
            yield (
                *(step, row.where.agent, row.where.path, row.kind, row.role),
                *(_ask_text(ask), _answer_text(ask, answer), *chosen),
                getattr(answer, "tokens_in", 0),
                getattr(answer, "tokens_out", 0),
            )


def _ask_text(ask: Ask) -> str:
    """The subject of an ask; for a Generate its last user message."""
    if isinstance(ask, Choose | Rate):
        return ask.about
    if isinstance(ask, Recall):
        return ask.cue.text
    if isinstance(ask, Call):
        return f"{ask.tool} {canonical(ask.arguments)}"
    if isinstance(ask, Embed):
        return "\n".join(ask.texts)
    messages = [message for message in ask.messages if message.role == "user"] or ask.messages
    return messages[-1].text if messages else ""


def _answer_text(ask: Ask, answer: Answer) -> str:
    if isinstance(answer, Completion):
        return answer.text
    if isinstance(answer, Choice) and isinstance(ask, Choose):
        pairs = sorted(
            zip(answer.probabilities, (option.name for option in ask.options)), reverse=True
        )
        return "; ".join(f"{name} {chance:.3f}" for chance, name in pairs[:_MAX_OPTIONS])
    if isinstance(answer, Rating):
        return f"{answer.value:.2f}"
    if isinstance(answer, Recalled):
        return " ".join(f"#{hit.record.id}" for hit in answer.hits)
    if isinstance(answer, Vectors):
        return f"{answer.rows} x {answer.columns}"
    if isinstance(answer, ToolResult):
        return canonical(answer.value) if answer.ok else f"error: {answer.error}"
    return f"{answer.reason}: {answer.detail}" if isinstance(answer, Failed) else ""


def _memories(span: RunSpan) -> Iterator[CsvRow]:
    for agent in span.run.people:
        for record in span.records(agent):
            yield (
                *(agent, record.id, memory_entry(record, span.clock).step),
                *(record.created.isoformat(), record.kind, record.text, record.who),
                *(record.importance, record.depth, canonical(list(record.evidence)), record.place),
            )


def _plans(span: RunSpan) -> Iterator[CsvRow]:
    """The whole plan and schedule at every step at which one of them changed."""
    for agent in span.run.people:
        previous = None
        for step, state in span.states(agent):
            current = (state.plan, state.schedule)
            if current == previous or not (state.plan or state.schedule):
                continue
            previous = current
            head = (agent, step, span.time_of(step), state.day)
            for number, stroke in enumerate(state.plan, 1):
                yield (*head, "stroke", number, None, None, stroke, None, None, None)
            for number, slot in enumerate(state.schedule, 1):
                times = slot.start.isoformat(), slot.minutes
                rest = (slot.doing, slot.place, slot.emoji, int(slot.fine))
                yield (*head, "slot", number, *times, *rest)


def _columns(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TABLES: Mapping[str, CsvTable] = {
    "people.csv": CsvTable(
        _columns(
            "agent kind age traits background currently lifestyle daily home vision attention "
            "retention recency_decay reflect_after knows facts"
        ),
        _people,
    ),
    "positions.csv": CsvTable(_columns("step time agent x y place doing emoji target"), _positions),
    "events.csv": CsvTable(("step", "time", *_EVENT), _events),
    "conversations.csv": CsvTable(
        _columns("talk step time speaker text members place"), _conversations
    ),
    "asks.csv": CsvTable(
        _columns("step agent path kind role about answer option probability tokens_in tokens_out"),
        _asks,
    ),
    "memories.csv": CsvTable(
        _columns("agent id step time kind text who importance depth evidence place"), _memories
    ),
    "plans.csv": CsvTable(
        _columns("agent step time day part number start minutes doing place emoji fine"), _plans
    ),
}
"""Tables by file name. New columns are added at the end only."""
