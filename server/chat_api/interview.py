"""Questions to an agent that leave no trace in it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import replace
from datetime import datetime

from ...agents import Agent, AskRouter
from ...agents.chat import (
    ChatMoment,
    LineRefused,
    ReplyCancelled,
    ReplyStopped,
    ReplyStream,
    ReplyWork,
    TextStreamer,
)
from ...core import (
    Action,
    Failed,
    Reply,
    Step,
    Utterance,
    cache_owner,
    current_cache_owner,
    drive,
)


def interview(
    agent: Agent, question: str, person: str, lines: Sequence[Utterance] = ()
) -> ReplyStream:
    """Ask an agent something as it is now: it answers as it would answer ``person``, after the
    ``lines`` before, and remembers nothing. Tool calls that act or need an approval are denied.
    Tokens and calls count towards its budget."""
    return ReplyStream(
        lambda work: _answer(agent, question, person, tuple(lines), work),
        name=f"interview of {agent.id}",
    )


def _answer(
    agent: Agent, question: str, person: str, lines: tuple[Utterance, ...], work: ReplyWork
) -> Reply:
    now = datetime.now().replace(microsecond=0)
    moment = ChatMoment(agent=agent.id, person=person)
    nothing = Step(action=Action("wait"), state=agent.state)
    try:
        question = agent.hooks.filter_line(question, moment)
    except LineRefused as refusal:
        failure = Failed(reason="refused", detail=str(refusal))
        return Reply(text="", step=nothing, resolve="failed", failure=failure)
    agent.bootstrap(at=now)
    interviewee = _without_actions(agent)
    lock, owner = agent.memory.store.owner, current_cache_owner()
    streamer = TextStreamer(work.on_text, agent.hooks, moment)
    with lock, cache_owner(f"{owner}/{person}") if owner else nullcontext():
        router = AskRouter(
            {agent.id: interviewee},
            at=now,
            on_text=streamer,
            priority=-1,
            waiting=lock.released,
            check=work.cancel.check,
        )
        try:
            thought = interviewee.reply(Utterance(person, question, now), lines)
            reply = drive({agent.id: thought}, router)[agent.id]
            reply = replace(reply, text=streamer.finish(reply.text))
        except (ReplyCancelled, ReplyStopped):
            return Reply(text=streamer.shown, step=nothing, resolve="cancelled")
        finally:
            router.close()
        after, before = reply.step.state, interviewee.state
        agent.charge_usage(after.calls - before.calls, after.tokens - before.tokens)
    return reply


def _without_actions(agent: Agent) -> Agent:
    """The agent, with its memory, so that its tools can change nothing."""
    policy = agent.tools.policy
    interviewee = copy(agent)
    interviewee.tools = agent.tools.with_policy(
        replace(policy, deny=(*policy.deny, *policy.ask, "@acts"))
    )
    return interviewee
