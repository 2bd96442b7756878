"""Every tool call of a run: what was asked for, what came of it, when and how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..core import AskId, Call, Time, ToolResult
from ..memory import ToolCallEntry, ToolCallLog
from .journal import AskTable
from .packing import decode_answer, decode_ask
from .run import Run


@dataclass(frozen=True, slots=True)
class CallReceipt:
    """One call. ``result`` is None while it waits for a person, or where it began and its
    process ended; ``entry`` is what the book of calls knows of it beside the journal."""

    where: AskId
    at: Time
    call: Call
    result: ToolResult | None
    entry: ToolCallEntry | None = None

    @property
    def state(self) -> str:
        """``done``, ``refused`` (it never ran), ``waits``, ``began``, or ``allowed`` (and not
        yet run)."""
        if self.result is not None:
            return "done" if self.result.receipt else "refused"
        return (self.entry.state if self.entry else "") or "allowed"


def call_receipts(run: Run) -> Iterator[CallReceipt]:
    """The calls of a run by step, agent and path; those of the step under way too."""
    known = dict(ToolCallLog(run.store).entries())
    made: list[CallReceipt] = []
    tables: tuple[AskTable, ...] = ("asks", "pending")
    for table in tables:
        for row in run.journal.checked_rows(table, "WHERE kind = 'call'"):
            where = AskId(int(row[0]), row[1], row[2])
            call, result = decode_ask(run.store, row[6]), decode_answer(run.store, row[7])
            if isinstance(call, Call) and isinstance(result, ToolResult):
                entry = known.pop(where, None)
                made.append(CallReceipt(where, run.time(where.step), call, result, entry))
    for where, entry in known.items():
        if asked := entry.request:
            call = Call(
                tool=asked.tool, arguments=asked.arguments, why=asked.why, sources=asked.sources
            )
            made.append(CallReceipt(where, run.time(where.step), call, entry.result, entry))
    yield from sorted(made, key=lambda one: one.where)
