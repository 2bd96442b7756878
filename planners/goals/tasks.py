"""A piece of work and how it ended: what planners that work off goals share."""

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

"""Done; stopped at a bound; gave up, since nothing fits or nothing helped; waiting for the
world, for a person's answer or permission; failed, since the model could not be asked."""

MAX_RESULT_CHARS = 600

"""Characters of a result that a prompt shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallRecord:
    """A call that was made and what came of it, in words. ``doubted``: other sources say
    something else. A world's action is one too, its tool called ``world.`` and the verb."""

    tool: str
    arguments: Json = field(hash=False)
    ok: bool = True
    text: str = ""
    reason: ToolErrorReason = ""
    receipt: str = ""
    doubted: bool = False

    @classmethod
    def from_answer(cls, tool: str, arguments: Json, answer: ToolResult | Failed) -> ToolCallRecord:
        """Of a call's answer."""
        if isinstance(answer, Failed):
            return cls(tool=tool, arguments=arguments, ok=False, text=answer.detail, reason="gone")
        said = answer.value if isinstance(answer.value, str) else canonical(answer.value)
        return cls(
            tool=tool,
            arguments=arguments,
            ok=answer.ok,
            text=(said if answer.ok else answer.error)[:MAX_RESULT_CHARS],
            reason=answer.reason,
            receipt=answer.receipt,
        )

    @property
    def key(self) -> str:
        """What tells the call from others."""
        return call_key(self.tool, self.arguments)

    @property
    def is_world_action(self) -> bool:
        """Whether it was an action in the world, which tells nothing."""
        return self.tool.startswith(WORLD_TOOL_PREFIX)

    @property
    def summary(self) -> str:
        """The call and its result in a line."""
        given = self.arguments if isinstance(self.arguments, dict) else {}
        shown = ", ".join(f"{name} {_plain(value)}" for name, value in given.items())
        asked = f"{self.tool} ({shown})" if shown else self.tool
        return f"{asked} {'says' if self.ok else 'failed'}: {self.text}"


def _plain(value: Json) -> str:
    return value if isinstance(value, str) else canonical(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something to work off. ``goal`` is what is wanted, ``known`` what is known already, such
    as results of earlier steps, ``hints`` what may help but tells nothing: lessons, thoughts.
    ``made`` are calls of earlier steps of the
    same work, ``barred`` keys of further calls that must not be made again; ``can`` is what
    the world affords. With ``speak`` the answer is put into words, else it is what was found.
    ``progress`` is where a worker left off.
    """

    goal: str
    seed: Seed
    now: Time
    who: str = ""
    tools: tuple[ToolSpec, ...] = ()
    can: tuple[Affordance, ...] = ()
    known: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    made: tuple[ToolCallRecord, ...] = ()
    barred: tuple[str, ...] = ()
    speak: bool = True
    progress: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOutcome:
    """How a piece of work ended, or where it stands while it waits.

    ``answer`` is what was found, or the question while it waits for a person; ``action`` what
    to do in the world while it waits for that. ``lessons`` are for later tries, ``progress``
    is where the worker goes on when asked again.
    """

    status: TaskStatus
    answer: str = ""
    calls: tuple[ToolCallRecord, ...] = ()
    why: str = ""
    action: Action | None = None
    lessons: tuple[str, ...] = ()
    progress: Json = None


class TaskWorker(Protocol):
    """Works off a task by yielding asks; holds no state, ends within a bound."""

    def work(self, task: Task) -> Thought[TaskOutcome]:
        """Work until it is done or waits."""
        ...


def previous_calls(progress: Json) -> tuple[ToolCallRecord, ...]:
    """The calls that a worker's progress tells of."""
    rows = progress.get("made", ()) if isinstance(progress, dict) else ()
    return tuple(from_json(ToolCallRecord, row) for row in rows)


def context_lines(task: Task, made: Sequence[ToolCallRecord]) -> list[str]:
    """What is known in the course of a task, and what may help, a line each."""
    return [*task.hints, *known_facts(task, made)]


def known_facts(task: Task, made: Sequence[ToolCallRecord]) -> list[str]:
    """What is known in the course of a task, a line each."""
    kept = [one.summary for one in made if not one.doubted]
    doubted = [f"{one.summary} (other sources do not agree)" for one in made if one.doubted]
    return [*task.known, *kept, *doubted]


def compose_answer(
    task: Task, made: Sequence[ToolCallRecord], *, borne: float, found: Sequence[str] = ()
) -> Thought[TaskOutcome]:
    """The end of a task that is done: its answer from what was found.

    Without ``found`` that is what the calls gave. An answer that it does not bear out (see
    ``is_grounded``; 0: any will do) is not given: what was found is."""
    calls = tuple(made)
    told = [one for one in calls if one.ok and not one.doubted and not one.is_world_action]
    found = found or [one.text for one in told]
    if not task.speak:
        return TaskOutcome(status="done", answer=found[-1] if found else "", calls=calls)
    said = yield from generate(
        Generate(
            messages=render_prompt(
                "answer", goal=task.goal, notes=context_lines(task, made) or ["nothing yet"]
            ),
            max_tokens=96,
            temperature=0.0,
            seed=task.seed.child("answer").number,
            role="answer",
        )
    )
    if not isinstance(said, Completion):
        return TaskOutcome(status="failed", calls=calls, why=f"no answer: {said.detail}")
    answer = said.text.strip()
    if found and borne and not is_grounded(answer, [task.goal, *known_facts(task, calls)], borne):
        why = f"said what was found, since nothing bears out '{answer}'"
        return TaskOutcome(status="done", answer="; ".join(found), calls=calls, why=why)
    return TaskOutcome(status="done", answer=answer, calls=calls)
