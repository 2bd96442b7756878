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
    source_of,
)
from ..memory import CallBook
from ..planners import call_key
from ..tools import AnyTool, Listener, Skill, Toolbox, ToolContext, skill_of
from ..tools.running import ENDS
from ..tools.toolbox import rested
from .calls import Caller
from .faculties import Minds
from .guarding import Guard, Stopped, answered, guarded, repeated
from .visitors import visitor

if TYPE_CHECKING:
    from .agent import Agent

T = TypeVar("T")

log = logging.getLogger(__name__)

DEEPEST = 4
"""A skill may call skills so deep, so that none calls itself for ever."""


def with_skills(
    thought: Thought[T],
    box: Toolbox,
    *,
    who: AgentId,
    now: Time,
    person: AgentId = "",
    guard: Guard | None = None,
) -> Thought[T]:
    """Pass a thought through; where it calls a skill of ``box`` and the call is let through,
    the skill's own thought runs in place, side by side with whatever was asked beside it.

    The guard goes around this: it sees the call as well as each ask of the skill. ``person``
    is on whose behalf it is done: what is not for them is not recalled. The ``guard``
    knows on whose words a skill is called, and takes in what it says that its result rests on.
    """
    skills = {one.name: (one, found) for one in box if (found := skill_of(one))}
    if not skills:
        return (yield from thought)
    context = ToolContext(who, now, person=person)
    return (yield from _Running(box, skills, context, guard).through(thought, DEEPEST))


@dataclass(frozen=True, slots=True)
class _Running:
    box: Toolbox
    skills: dict[str, tuple[AnyTool, Skill]]
    context: ToolContext
    guard: Guard | None = None
    made: dict[str, ToolResult] = field(default_factory=dict)

    def through(self, thought: Thought[T], depth: int) -> Thought[T]:
        """The thought, its calls of skills answered by thinking."""
        try:
            asks = next(thought)
            while True:
                if any(isinstance(ask, Call) and ask.tool in self.skills for ask in asks):
                    answers = yield from all_of([self._one(ask, depth) for ask in asks])
                else:
                    answers = yield asks
                asks = thought.send(answers)
        except StopIteration as end:
            return cast(T, end.value)
        finally:
            thought.close()

    def _one(self, ask: Ask, depth: int) -> Thought[Answer]:
        if not isinstance(ask, Call) or ask.tool not in self.skills:
            (answer,) = yield (ask,)
            return answer
        begun = yield from call(ask)
        key = call_key(ask.tool, ask.arguments)
        if isinstance(begun, ToolResult) and begun.reason == "repeated" and key in self.made:
            return repeated(ask.tool, answered(self.made[key]))
        if not isinstance(begun, ToolResult) or not begun.ok:
            return begun
        self.made[key] = result = yield from self._think(ask, begun.receipt, depth)
        return result

    def _think(self, ask: Call, receipt: str, depth: int) -> Thought[ToolResult]:
        """What comes of the skill; like a tool it never raises for what a model does."""
        named, found = self.skills[ask.tool]
        labels: list[Label] = []

        def heard(label: Label) -> None:
            labels.append(label)
            if self.guard:
                self.guard.take(label)

        context = replace(
            self.context,
            key=receipt,
            sources=tuple(sorted(self.guard.sources)) if self.guard else ask.sources,
            person=ask.person or self.context.person,
            label=self.guard.label if self.guard else Label(ask.read, ask.audience),
            heard=heard,
        )
        try:
            if not depth:
                raise ValueError(f"skills call each other more than {DEEPEST} deep")
            thought = found.think(ask.arguments, context)
            value = yield from self.through(thought, depth - 1)
        except (*ENDS, Exception) as error:  # A skill may raise anything, as a tool may.
            kind = type(error).__name__
            log.warning("skill %s of %s failed", ask.tool, context.who, exc_info=True)
            problem = f"{kind}: {error}"[:500]
            failed = ToolResult(ok=False, error=problem, receipt=receipt, reason="failed")
            return rested(failed, labels, context.who)
        return rested(self.box.carried(named, value, receipt), labels, context.who)


def asked_for(agent: Agent, ask: Call, guard: Guard, *, at: Time) -> Thought[ToolResult]:
    """One call from outside any thought of the agent's, under a guard like a thought: so is
    what a skill reads and calls on the way."""
    thought = with_skills(
        call(ask), agent.tools, who=agent.id, now=at, person=guard.person, guard=guard
    )
    answer = yield from guarded(thought, guard, [])
    if isinstance(answer, ToolResult):
        return answer
    if isinstance(answer, Stopped):
        return ToolResult(ok=False, error=answer.why, reason=answer.reason)
    return ToolResult(ok=False, error=answer.detail, reason="failed")


def use(
    agent: Agent,
    tool: str,
    arguments: Json,
    *,
    at: Time,
    person: AgentId | None = None,
    why: str = "",
    sources: tuple[str, ...] = (),
    approve: Approver | None = None,
    listener: Listener | None = None,
) -> ToolResult:
    """Call one tool or skill of an agent from outside any thought of its: for a server, a
    command, a test. ``person`` is for whom and on whose word (None: its owner's, who sees all
    and whose word is trusted), ``sources`` on whose word besides. Where the policy wants a
    person's leave ``approve`` is asked; Waiting is raised without an answer."""
    if isinstance(sources, str):
        raise SettingError(f"{agent.id}: 'sources' is {sources!r}; give a tuple of names")
    whose = "" if person is None else visitor(agent.id, person)
    guard = agent.guard(
        listeners=(whose,) if whose else (),
        labels=(Label((source_of(whose),)),) if whose else (),
    )
    ask = Call(tool=tool, arguments=arguments, why=why, sources=sources)
    store = agent.memory.store
    with store.owner:
        return _used(agent, ask, guard, at, approve, listener)


def _used(
    agent: Agent,
    ask: Call,
    guard: Guard,
    at: Time,
    approve: Approver | None,
    listener: Listener | None,
) -> ToolResult:
    store = agent.memory.store
    thought = asked_for(agent, ask, guard, at=at)
    # As for a message of a chat: so that each call that acts has a key of its own.
    caller = Caller(
        {agent.id: agent},
        at,
        CallBook(store) if store.write else None,
        approve,
        listener,
        talk=True,
        person=guard.person,
    )
    minds = Minds({agent.id: agent}, at=at, caller=caller)
    try:
        return drive({agent.id: thought}, minds)[agent.id]
    finally:
        if caller.book:
            with store.transaction():
                caller.book.flush()
                agent.spend(guard)
        else:
            agent.spend(guard)
