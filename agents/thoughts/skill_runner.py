"""Running skills (tools that are implemented as thoughts) inside the thought that calls them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

from ...core import AgentId, Answer, Ask, Call, Label, Thought, Time, ToolResult, all_of, call
from ...planners import call_key
from ...tools import TERMINATION_ERRORS, AnyTool, Skill, Toolbox, ToolContext, skill_of, with_labels
from .thought_guard import ThoughtGuard, answer_summary, repeated_call

T = TypeVar("T")

log = logging.getLogger(__name__)

MAX_SKILL_DEPTH = 4
"""Levels of skills that call skills; the bound ends recursion."""


def run_skills(
    thought: Thought[T],
    toolbox: Toolbox,
    *,
    who: AgentId,
    now: Time,
    person: AgentId = "",
    guard: ThoughtGuard | None = None,
    zone: str = "",
) -> Thought[T]:
    """Pass a thought's asks through, but answer its calls of skills by the thought of the skill,
    which runs side by side with the other asks of the round.

    The guard wraps the result: it checks the call and every ask of the skill, and receives the
    labels that the skill adds. ``person`` is for whom the calls are made, ``zone`` their time zone.
    """
    skills = {tool.name: (tool, skill) for tool in toolbox if (skill := skill_of(tool))}
    if not skills:
        return (yield from thought)
    context = ToolContext(who, now, person=person, zone=zone)
    return (yield from _SkillRunner(toolbox, skills, context, guard).run(thought, MAX_SKILL_DEPTH))


@dataclass(frozen=True, slots=True)
class _SkillRunner:
    toolbox: Toolbox
    skills: dict[str, tuple[AnyTool, Skill]]
    context: ToolContext
    guard: ThoughtGuard | None = None
    results: dict[str, ToolResult] = field(default_factory=dict)

    def run(self, thought: Thought[T], depth: int) -> Thought[T]:
        """The thought, with its calls of skills answered here."""
        try:
            asks = next(thought)
            while True:
                if any(isinstance(ask, Call) and ask.tool in self.skills for ask in asks):
                    answers = yield from all_of([self._answer(ask, depth) for ask in asks])
                else:
                    answers = yield asks
                asks = thought.send(answers)
        except StopIteration as end:
            return cast(T, end.value)
        finally:
            thought.close()

    def _answer(self, ask: Ask, depth: int) -> Thought[Answer]:
        if not isinstance(ask, Call) or ask.tool not in self.skills:
            (answer,) = yield (ask,)
            return answer
        # The call itself is passed on first: policy, approval and receipt are those of any tool.
        started = yield from call(ask)
        key = call_key(ask.tool, ask.arguments)
        if isinstance(started, ToolResult) and started.reason == "repeated" and key in self.results:
            return repeated_call(ask.tool, answer_summary(self.results[key]))
        if not isinstance(started, ToolResult) or not started.ok:
            return started
        self.results[key] = result = yield from self._run_skill(ask, started.receipt, depth)
        return result

    def _run_skill(self, ask: Call, receipt: str, depth: int) -> Thought[ToolResult]:
        """The result of the skill; an exception in it becomes a failed result, as for any tool."""
        tool, skill = self.skills[ask.tool]
        labels: list[Label] = []

        def add_label(label: Label) -> None:
            labels.append(label)
            if self.guard:
                self.guard.add_labels(label)

        context = replace(
            self.context,
            key=receipt,
            sources=tuple(sorted(self.guard.sources)) if self.guard else ask.sources,
            person=ask.person or self.context.person,
            label=self.guard.label if self.guard else Label(ask.read, ask.audience),
            on_label=add_label,
        )
        try:
            if not depth:
                raise ValueError(f"skills call each other more than {MAX_SKILL_DEPTH} deep")
            value = yield from self.run(skill.think(ask.arguments, context), depth - 1)
        except (*TERMINATION_ERRORS, Exception) as error:  # a skill may raise anything
            log.warning("skill %s of %s failed", ask.tool, context.who, exc_info=True)
            problem = f"{type(error).__name__}: {error}"[:500]
            failed = ToolResult(ok=False, error=problem, receipt=receipt, reason="failed")
            return with_labels(failed, labels, context.who)
        result = self.toolbox.serialize_result(tool, value, receipt)
        return with_labels(result, labels, context.who)
