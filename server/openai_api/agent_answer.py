"""Answers of agents: the conversation is what the client sends, the memory is the agent's."""

from __future__ import annotations

from datetime import datetime

from ...agents import Agent
from ...agents.chat import ReplyStream, ReplyWork, TextPiece
from ...core import Reply, Time, Utterance
from ...tools import ToolProgress
from .api_error import api_error, failed_error
from .chat_task import ChatTask
from .reply_parts import AnswerEnd, AnswerPart, AnswerParts, AnswerText

REFUSED_FIELDS = (
    *("stop", "seed", "logprobs", "top_logprobs", "top_k", "min_p", "repetition_penalty"),
    *("temperature", "max_tokens", "max_completion_tokens", "tools", "tool_choice"),
)
"""Fields of which an agent takes no value."""


async def agent_answer(agent: Agent, task: ChatTask, person: str) -> AnswerParts:
    """The parts of an agent's answer. Raises RequestRefused."""
    check_agent_task(agent, task)
    now = datetime.now().replace(microsecond=0)
    message, session = conversation(agent, task, person, now)

    def work(reply: ReplyWork) -> Reply:
        turn = agent.new_turn(message, person, session, now)
        return turn.run(reply.callbacks())

    stream = ReplyStream(work, name=f"reply of {agent.id}")
    try:
        async for event in stream:
            if isinstance(event, TextPiece):
                yield AnswerText(0, event.text)
            elif not isinstance(event, ToolProgress):
                for part in _end_parts(event.reply):
                    yield part
    finally:
        stream.cancel()


def check_agent_task(agent: Agent, task: ChatTask) -> None:
    """Raises RequestRefused for what an agent cannot be asked."""
    refused = [name for name in REFUSED_FIELDS if name in task.fields]
    if task.top_p not in (None, 1.0):
        refused.append("top_p")
    if task.schema is not None:
        refused.append("response_format")
    if task.n > 1:
        refused.append("n")
    if refused:
        raise api_error(
            f"'{refused[0]}' is not supported by '{task.model}', which is an agent; leave it out, "
            "or ask the plain model",
            param=refused[0],
            code="unsupported_parameter",
        )
    if task.lines[-1].role != "user":
        raise api_error("the last message must be a user's", param="messages")


def conversation(
    agent: Agent, task: ChatTask, person: str, now: Time
) -> tuple[str, tuple[Utterance, ...]]:
    """The message to answer, and the utterances before it."""
    spoken = [line for line in task.lines if line.role in ("user", "assistant")]
    session = tuple(
        Utterance(person if line.role == "user" else agent.id, line.text, now)
        for line in spoken[:-1]
        if line.text
    )
    return spoken[-1].text, session


def _end_parts(reply: Reply) -> list[AnswerPart]:
    """The end of a reply; one that waits says for what. Raises RequestRefused for a failed one."""
    if reply.failure is not None:
        raise failed_error(reply.failure)
    answers = [asked.answer for asked in reply.step.asks]
    tokens_in = sum(int(getattr(answer, "tokens_in", 0)) for answer in answers)
    tokens_out = sum(int(getattr(answer, "tokens_out", 0)) for answer in answers)
    parts: list[AnswerPart] = [AnswerText(0, reply.step.why)] if reply.waits else []
    return [*parts, AnswerEnd(0, "stop", tokens_in, tokens_out)]
