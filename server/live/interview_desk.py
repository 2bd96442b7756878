"""Interviews of agents of a run, beside the run and without a trace in it."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ...core import AgentId, DenizensError, Model, Utterance
from ...simulation import interview

MAX_INTERVIEWS = 64
"""Interviews whose lines are kept; the oldest are forgotten."""
MAX_LINES = 24
MAX_AT_ONCE = 2
MAX_WAITING = 8


class DeskBusy(DenizensError):
    """Too many interviews wait for an answer."""


@dataclass(slots=True)
class _Interview:
    agent: AgentId
    lines: list[Utterance] = field(default_factory=list)


class InterviewDesk:
    """Asks agents as they are after the last step. The run's file is opened for reading, and what
    is said is kept here only. Thread-safe; ``ask`` blocks until the answer is there."""

    def __init__(
        self, folder: Path, model: Model | None = None, *, allow_code: bool = False
    ) -> None:
        self._folder = folder
        self._model = model
        self._allow_code = allow_code
        self._interviews: OrderedDict[str, _Interview] = OrderedDict()
        self._lock = threading.Lock()
        self._turns = threading.Semaphore(MAX_AT_ONCE)
        self._waiting = 0

    def ask(self, agent: AgentId, question: str, id: str = "") -> tuple[str, str, datetime]:
        """Ask a question, in the interview ``id`` or in a new one; returns the interview's id, the
        answer and its simulated time. Raises DeskBusy, and SettingError for an unknown agent."""
        with self._lock:
            if self._waiting >= MAX_AT_ONCE + MAX_WAITING:
                raise DeskBusy("too many interviews wait for an answer; try again soon")
            self._waiting += 1
            talk = self._interviews.get(id)
            if talk is None or talk.agent != agent:
                id, talk = secrets.token_urlsafe(12), _Interview(agent)
            earlier = tuple(talk.lines)
        try:
            with self._turns:
                reply = interview(
                    self._folder,
                    agent,
                    question,
                    model=self._model,
                    session=earlier,
                    allow_code=self._allow_code,
                )
        finally:
            with self._lock:
                self._waiting -= 1
        text = reply.text.strip()
        at = reply.step.records[0].created if reply.step.records else datetime.min
        with self._lock:
            lines = (Utterance("an interviewer", question, at), Utterance(agent, text, at))
            talk.lines = [*talk.lines, *lines][-MAX_LINES:]
            self._interviews[id] = talk
            self._interviews.move_to_end(id)
            while len(self._interviews) > MAX_INTERVIEWS:
                self._interviews.popitem(last=False)
        return id, text, at
