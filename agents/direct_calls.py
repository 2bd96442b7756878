"""Calling one tool of an agent from outside its thoughts: for a server, a command or a test."""

from __future__ import annotations

from ..core import (
    AgentId,
    Approver,
    Call,
    Json,
    Label,
    SettingError,
    Thought,
    Time,
    ToolResult,
    call,
    drive,
    source_name,
    validate_person_name,
)
from ..memory import ToolCallLog
from ..tools import ProgressListener
from .agent import Agent
from .thoughts import AskRouter, StoppedThought, ThoughtGuard, ToolExecutor, run_guarded, run_skills


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
    """Call one tool or skill of an agent.

    ``person`` is the person who requests the call and sees the result (None: the agent's owner,
    who sees everything and is trusted); ``sources`` are further sources that the call rests on.
    If the policy requires an approval, ``approve`` is called; without an answer ApprovalRequired
    is raised.
    """
    if isinstance(sources, str):
        raise SettingError(f"{agent.id}: 'sources' is {sources!r}; give a tuple of names")
    name = "" if person is None else validate_person_name(agent.id, person)
    guard = agent.new_guard(
        listeners=(name,) if name else (), labels=(Label((source_name(name),)),) if name else ()
    )
    ask = Call(tool=tool, arguments=arguments, why=why, sources=sources)
    store = agent.memory.store
    with store.owner:
        # As for a chat message: each call that acts gets a key of its own.
        executor = ToolExecutor(
            {agent.id: agent},
            at,
            ToolCallLog(store) if store.write else None,
            approve,
            listener,
            in_chat=True,
            person=guard.person,
        )
        router = AskRouter({agent.id: agent}, at=at, executor=executor)
        try:
            return drive({agent.id: _tool_call_thought(agent, ask, guard, at)}, router)[agent.id]
        finally:
            if executor.call_log:
                with store.transaction():
                    executor.call_log.flush()
                    agent.charge_usage(guard.calls, guard.tokens)
            else:
                agent.charge_usage(guard.calls, guard.tokens)


def _tool_call_thought(
    agent: Agent, ask: Call, guard: ThoughtGuard, at: Time
) -> Thought[ToolResult]:
    """The thought of one call, guarded like any thought, as are the asks of a skill."""
    thought = run_skills(
        call(ask), agent.tools, who=agent.id, now=at, person=guard.person, guard=guard
    )
    answer = yield from run_guarded(thought, guard, [])
    if isinstance(answer, ToolResult):
        return answer
    if isinstance(answer, StoppedThought):
        return ToolResult(ok=False, error=answer.why, reason=answer.reason)
    return ToolResult(ok=False, error=answer.detail, reason="failed")
