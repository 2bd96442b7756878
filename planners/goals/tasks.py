"""Tasks, their outcomes and the records of tool calls, shared by all planners for goals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from ...core import (
    Action,
    Affordance,
    Completion,
    Failed,
    Generate,
    Json,
    Seed,
    Thought,
    Time,
    ToolErrorReason,
    ToolResult,
    ToolSpec,
    canonical,
    from_json,
    generate,
)
from ..arguments import call_key
from ..steps import WORLD_TOOL_PREFIX, render_prompt
from ..text import is_grounded

TaskStatus: TypeAlias = Literal["done", "stopped", "gave_up", "waiting", "failed"]
"""``stopped`` at a limit; ``gave_up``: no action fits or helped; ``waiting`` for the world, or for
a person's answer or approval; ``failed``: the model gave no answer."""

MAX_RESULT_CHARS = 600
"""Longest text of a result that is kept and shown in prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallRecord:
    """A tool call with its result as text. ``doubted``: other sources contradict the result.

    An action in the world is recorded too, as a tool named ``world.`` and the verb."""

    tool: str
    arguments: Json = field(hash=False)
    ok: bool = True
    text: str = ""
    reason: ToolErrorReason = ""
    receipt: str = ""
    doubted: bool = False

    @classmethod
    def from_answer(cls, tool: str, arguments: Json, answer: ToolResult | Failed) -> ToolCallRecord:
        """The record of a call and of the answer to it."""
        if isinstance(answer, Failed):
            return cls(tool=tool, arguments=arguments, ok=False, text=answer.detail, reason="gone")
        text = _as_text(answer.value) if answer.ok else answer.error
        return cls(
            tool=tool,
            arguments=arguments,
            ok=answer.ok,
            text=text[:MAX_RESULT_CHARS],
            reason=answer.reason,
            receipt=answer.receipt,
        )

    @property
    def key(self) -> str:
        """The key of the call: equal for the same tool with the same arguments."""
        return call_key(self.tool, self.arguments)

    @property
    def is_world_action(self) -> bool:
        """Whether it is an action in the world, which has no result."""
        return self.tool.startswith(WORLD_TOOL_PREFIX)

    @property
    def summary(self) -> str:
        """The call and its result in one line."""
        fields = self.arguments if isinstance(self.arguments, dict) else {}
        arguments = ", ".join(f"{name} {_as_text(value)}" for name, value in fields.items())
        call = f"{self.tool} ({arguments})" if arguments else self.tool
        return f"{call} {'says' if self.ok else 'failed'}: {self.text}"


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else canonical(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A goal to work on, with what is known about it.

    ``known``: facts, such as results of earlier steps; ``hints``: lessons and thoughts, which are
    no facts. ``calls``: earlier calls for this task; ``forbidden``: keys of further calls that
    must not be repeated. ``can``: the affordances of the world. With ``speak`` the model writes
    the answer, else it is the result itself. ``progress``: where a worker continues.
    """

    goal: str
    seed: Seed
    now: Time
    who: str = ""
    tools: tuple[ToolSpec, ...] = ()
    can: tuple[Affordance, ...] = ()
    known: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    calls: tuple[ToolCallRecord, ...] = ()
    forbidden: tuple[str, ...] = ()
    speak: bool = True
    progress: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOutcome:
    """The result of a task, or its state while it waits.

    ``answer``: the result, or the question to the person it waits for; ``action``: the action in
    the world it waits for. ``lessons``: for later tries; ``progress``: where a worker continues.
    """

    status: TaskStatus
    answer: str = ""
    calls: tuple[ToolCallRecord, ...] = ()
    why: str = ""
    action: Action | None = None
    lessons: tuple[str, ...] = ()
    progress: Json = None


class TaskWorker(Protocol):
    """Works on a task by yielding asks; stateless, with a bounded number of asks."""

    def work(self, task: Task) -> Thought[TaskOutcome]:
        """Work until the task has ended or waits."""


def previous_calls(progress: Json) -> tuple[ToolCallRecord, ...]:
    """The calls stored in a worker's progress."""
    rows = progress.get("made", ()) if isinstance(progress, dict) else ()
    return tuple(from_json(ToolCallRecord, row) for row in rows)


def context_lines(task: Task, calls: Sequence[ToolCallRecord]) -> list[str]:
    """The hints and the known facts of a task, one line each."""
    return [*task.hints, *known_facts(task, calls)]


def known_facts(task: Task, calls: Sequence[ToolCallRecord]) -> list[str]:
    """The known facts of a task and the results of its calls, one line each, doubted ones last."""
    undoubted = [call.summary for call in calls if not call.doubted]
    doubted = [f"{call.summary} (other sources do not agree)" for call in calls if call.doubted]
    return [*task.known, *undoubted, *doubted]


def compose_answer(
    task: Task, calls: Sequence[ToolCallRecord], *, borne: float, results: Sequence[str] = ()
) -> Thought[TaskOutcome]:
    """The outcome of a task that is done: an answer generated from the results.

    ``results`` are by default the texts of the calls. An answer with less than the share
    ``borne`` of its words in the known facts (``is_grounded``; 0: no check) is replaced by the
    results themselves."""
    calls = tuple(calls)
    results = results or [
        call.text for call in calls if call.ok and not call.doubted and not call.is_world_action
    ]
    if not task.speak:
        return TaskOutcome(status="done", answer=results[-1] if results else "", calls=calls)
    completion = yield from generate(
        Generate(
            messages=render_prompt(
                "answer", goal=task.goal, notes=context_lines(task, calls) or ["nothing yet"]
            ),
            max_tokens=96,
            temperature=0.0,
            seed=task.seed.child("answer").number,
            role="answer",
        )
    )
    if not isinstance(completion, Completion):
        return TaskOutcome(status="failed", calls=calls, why=f"no answer: {completion.detail}")
    answer = completion.text.strip()
    if results and borne and not is_grounded(answer, [task.goal, *known_facts(task, calls)], borne):
        why = f"said what was found, since nothing bears out '{answer}'"
        return TaskOutcome(status="done", answer="; ".join(results), calls=calls, why=why)
    return TaskOutcome(status="done", answer=answer, calls=calls)
