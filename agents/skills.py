"""Running skills inside the thought that calls them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar, cast

from ..core import (
    AgentId,
    Answer,
    Approver,
    Ask,
    Call,
    Json,
    Label,
    SettingError,
    Thought,
    Time,
    ToolResult,
    all_of,
    call,
    drive,
    source_name,
    validate_person_name,
)
from ..memory import ToolCallLog
from ..planners import call_key
from ..tools import (
    TERMINATION_ERRORS,
    AnyTool,
    ProgressListener,
    Skill,
    Toolbox,
    ToolContext,
    skill_of,
    with_labels,
)
from .ask_router import AskRouter
from .thought_guard import StoppedThought, ThoughtGuard, answer_summary, repeated_call, run_guarded
from .tool_executor import ToolExecutor

if TYPE_CHECKING:
    from .agent import Agent

T = TypeVar("T")

log = logging.getLogger(__name__)

MAX_SKILL_DEPTH = 4
"""A skill may call skills so deep, so that none calls itself for ever."""


def run_skills(
    thought: Thought[T],
    box: Toolbox,
    *,
    who: AgentId,
    now: Time,
    person: AgentId = "",
    guard: ThoughtGuard | None = None,
) -> Thought[T]:
    """Pass a thought through; where it calls a skill of ``box`` and the call is let through,
    the skill's own thought runs in place, side by side with whatever was asked beside it.

    The guard goes around this: it sees the call as well as each ask of the skill. ``person``
    is on whose behalf it is done: what is not for them is not recalled. The ``new_guard``
    knows on whose words a skill is called, and takes in what it says that its result rests on.
    """
    skills = {one.name: (one, found) for one in box if (found := skill_of(one))}
    if not skills:
        return (yield from thought)
    context = ToolContext(who, now, person=person)
    return (yield from _SkillRunner(box, skills, context, guard).run(thought, MAX_SKILL_DEPTH))


@dataclass(frozen=True, slots=True)
class _SkillRunner:
    box: Toolbox
    skills: dict[str, tuple[AnyTool, Skill]]
    context: ToolContext
    guard: ThoughtGuard | None = None
    made: dict[str, ToolResult] = field(default_factory=dict)

    def run(self, thought: Thought[T], depth: int) -> Thought[T]:
        """The thought, its calls of skills answered by thinking."""
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
        begun = yield from call(ask)
        key = call_key(ask.tool, ask.arguments)
        if isinstance(begun, ToolResult) and begun.reason == "repeated" and key in self.made:
            return repeated_call(ask.tool, answer_summary(self.made[key]))
        if not isinstance(begun, ToolResult) or not begun.ok:
            return begun
        self.made[key] = result = yield from self._run_skill(ask, begun.receipt, depth)
        return result

    def _run_skill(self, ask: Call, receipt: str, depth: int) -> Thought[ToolResult]:
        """What comes of the skill; like a tool it never raises for what a model does."""
        named, found = self.skills[ask.tool]
        labels: list[Label] = []

        def heard(label: Label) -> None:
            labels.append(label)
            if self.guard:
                self.guard.add_labels(label)

        context = replace(
            self.context,
            key=receipt,
            sources=tuple(sorted(self.guard.sources)) if self.guard else ask.sources,
            person=ask.person or self.context.person,
            label=self.guard.label if self.guard else Label(ask.read, ask.audience),
            on_label=heard,
        )
        try:
            if not depth:
                raise ValueError(f"skills call each other more than {MAX_SKILL_DEPTH} deep")
            thought = found.think(ask.arguments, context)
            value = yield from self.run(thought, depth - 1)
        except (
            *TERMINATION_ERRORS,
            Exception,
        ) as error:  # A skill may raise anything, as a tool may.
            kind = type(error).__name__
            log.warning("skill %s of %s failed", ask.tool, context.who, exc_info=True)
            problem = f"{kind}: {error}"[:500]
            failed = ToolResult(ok=False, error=problem, receipt=receipt, reason="failed")
            return with_labels(failed, labels, context.who)
        return with_labels(self.box.serialize_result(named, value, receipt), labels, context.who)


def tool_call_thought(
    agent: Agent, ask: Call, guard: ThoughtGuard, *, at: Time
) -> Thought[ToolResult]:
    """One call from outside any thought of the agent's, under a guard like a thought: so is
    what a skill reads and calls on the way."""
    thought = run_skills(
        call(ask), agent.tools, who=agent.id, now=at, person=guard.person, guard=guard
    )
    answer = yield from run_guarded(thought, guard, [])
    if isinstance(answer, ToolResult):
        return answer
    if isinstance(answer, StoppedThought):
        return ToolResult(ok=False, error=answer.why, reason=answer.reason)
    return ToolResult(ok=False, error=answer.detail, reason="failed")


def run_tool(
    agent: Agent,
    tool: str,
    arguments: Json,
    *,
    at: Time,
    person: AgentId | None = None,
    why: str = "",
    sources: tuple[str, ...] = (),
    approve: Approver | None = None,
    listener: ProgressListener | None = None,
) -> ToolResult:
    """Call one tool or skill of an agent from outside any thought of its: for a server, a
    command, a test. ``person`` is for whom and on whose word (None: its owner's, who sees all
    and whose word is trusted), ``sources`` on whose word besides. Where the policy wants a
    person's leave ``approve`` is asked; Waiting is raised without an answer."""
    if isinstance(sources, str):
        raise SettingError(f"{agent.id}: 'sources' is {sources!r}; give a tuple of names")
    whose = "" if person is None else validate_person_name(agent.id, person)
    guard = agent.new_guard(
        listeners=(whose,) if whose else (),
        labels=(Label((source_name(whose),)),) if whose else (),
    )
    ask = Call(tool=tool, arguments=arguments, why=why, sources=sources)
    store = agent.memory.store
    with store.owner:
        return _run_tool_call(agent, ask, guard, at, approve, listener)


def _run_tool_call(
    agent: Agent,
    ask: Call,
    guard: ThoughtGuard,
    at: Time,
    approve: Approver | None,
    listener: ProgressListener | None,
) -> ToolResult:
    store = agent.memory.store
    thought = tool_call_thought(agent, ask, guard, at=at)
    # As for a message of a chat: so that each call that acts has a key of its own.
    caller = ToolExecutor(
        {agent.id: agent},
        at,
        ToolCallLog(store) if store.write else None,
        approve,
        listener,
        in_chat=True,
        person=guard.person,
    )
    minds = AskRouter({agent.id: agent}, at=at, caller=caller)
    try:
        return drive({agent.id: thought}, minds)[agent.id]
    finally:
        if caller.call_log:
            with store.transaction():
                caller.call_log.flush()
                agent.charge_guard(guard)
        else:
            agent.charge_guard(guard)
