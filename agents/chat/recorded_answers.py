"""Answers that a suspended turn keeps, so that its thought goes on with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...core import (
    Answer,
    Ask,
    AskHandler,
    AskId,
    Recalled,
    ToolResult,
    digest,
    to_json,
)
from ...memory import Memory
from ...memory.storage import has_source, name_forms
from ..thoughts import tokens_used


@dataclass(frozen=True, slots=True)
class UsageCount:
    """Number of tool calls and tokens used."""

    calls: int = 0
    tokens: int = 0

    def __add__(self, other: UsageCount) -> UsageCount:
        return UsageCount(self.calls + other.calls, self.tokens + other.tokens)


class RecordedAnswers:
    """An AskHandler that answers an ask by its recorded answer, found by path and digest, and
    passes every other ask on. ``new_usage`` is the usage of the asks that were passed on."""

    def __init__(self, inner: AskHandler, answers: dict[str, tuple[str, Answer]]) -> None:
        self._inner = inner
        self._answers = answers
        self._ready: list[tuple[AskId, Answer]] = []
        self._digests: dict[str, str] = {}
        self.new_usage = UsageCount()

    def submit(self, where: AskId, ask: Ask) -> None:
        ask_digest = digest(to_json(ask))
        recorded = self._answers.get(where.path)
        # A changed state changes the ask: then it, and all that follow, are answered anew.
        if recorded and recorded[0] == ask_digest:
            self._ready.append((where, recorded[1]))
            return
        self._digests[where.path] = ask_digest
        self._inner.submit(where, ask)

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        if self._ready:
            ready, self._ready = self._ready, []
            return ready
        answers = self._inner.wait()
        for where, answer in answers:
            self._answers[where.path] = (self._digests[where.path], answer)
            calls = int(isinstance(answer, ToolResult))
            self.new_usage += UsageCount(calls, tokens_used(answer))
        return answers


def rests_on_quarantined(memory: Memory, answer: Answer) -> bool:
    """Whether a recorded answer rests on the words of somebody who is quarantined now; its ask is
    then answered anew."""
    if not memory.quarantined:
        return False
    if isinstance(answer, ToolResult):
        return has_source(answer.sources, name_forms(memory.quarantined))
    if not isinstance(answer, Recalled):
        return False
    records = [record for hit in answer.hits for record in (hit.record, *hit.around)]
    return any(memory.index.is_quarantined(record.id) for record in records)
