"""Answers of agents: the conversation is what the client sends, the memory is the agent's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ...agents import Agent
from ...agents.chat import (
    ChatSettings,
    ChatTurn,
    ReplyStream,
    ReplyWork,
    Session,
    SessionLog,
    TextPiece,
    hold_turn,
)
from ...core import Answer, Reply, SettingError, Time, ToolError
from ...tools import ToolProgress
from .agent_conversation import find_place
from .api_error import api_error, failed_error
from .chat_task import ChatLine, ChatTask, FunctionCall
from .client_tools import (
    ClientToolCalled,
    PendingTurn,
    PendingTurns,
    client_tools,
)
from .plain_answer import new_call_id
from .reply_parts import AnswerCall, AnswerEnd, AnswerPart, AnswerParts, AnswerText


class AgentAnswers:
    """Answers tasks by agents; turns that wait for a client's tool are kept meanwhile."""

    def __init__(self) -> None:
        self._pending = PendingTurns()

    async def answer(self, agent: Agent, task: ChatTask, person: str) -> AnswerParts:
        """The parts of an agent's answer. Raises RequestRefused."""
        check_agent_task(agent, task)
        work = AgentWork(agent, task, person, self._pending)
        stream = ReplyStream(work.run, name=f"reply of {agent.id}")
        try:
            async for event in stream:
                if isinstance(event, TextPiece):
                    yield AnswerText(0, event.text)
                elif not isinstance(event, ToolProgress):
                    for part in work.end_parts(event.reply):
                        yield part
        except ClientToolCalled as called:
            for part in work.call_parts(called):
                yield part
        finally:
            stream.cancel()


def check_agent_task(agent: Agent, task: ChatTask) -> None:
    """Raises RequestRefused for what an agent cannot be asked."""
    given = {
        "stop": bool(task.stop),
        "seed": task.seed is not None,
        "logprobs": task.top_logprobs is not None,
        "top_k": task.top_k > 0,
        "min_p": task.min_p > 0,
        "repetition_penalty": task.repetition_penalty not in (None, 1.0),
        "top_p": task.top_p not in (None, 1.0),
        "response_format": task.schema is not None,
        "n": task.n > 1,
        "tool_choice": task.tool_choice == "required",
    }
    for name in (name for name, is_given in given.items() if is_given):
        raise api_error(
            f"'{name}' is not supported by '{task.model}', which is an agent; leave it out, or "
            "ask the plain model",
            param=name,
            code="unsupported_parameter",
        )
    if _message_place(task) < 0:
        raise api_error(
            "the last message must be a user's, or the results of calls for one", param="messages"
        )
    _settings(agent, task)
    if task.tools and task.tool_choice != "none":
        try:
            agent.tools.with_tools(client_tools(task.tools, ()))
        except ToolError as error:
            raise api_error(str(error), param="tools") from error


def _message_place(task: ChatTask) -> int:
    """The place of the message to answer; -1 if something else than calls and their results
    follows it."""
    place = max((i for i, line in enumerate(task.lines) if line.role == "user"), default=-1)
    after = [line for line in task.lines[place + 1 :] if line.role != "system"]
    is_called = all(line.role == "tool" or line.calls for line in after)
    return place if is_called and (not after or after[-1].role == "tool") else -1


def _settings(agent: Agent, task: ChatTask) -> ChatSettings:
    """The agent's settings with those of the request: system messages are the manner in which it
    is to reply. Raises RequestRefused."""
    own = agent.chat_settings
    manner = " ".join(f"{own.manner} {task.instructions}".split())
    try:
        return replace(
            own,
            manner="".join(sign for sign in manner if sign.isprintable()),
            max_tokens=own.max_tokens if task.max_tokens is None else task.max_tokens,
            temperature=own.temperature if task.temperature is None else task.temperature,
        )
    except SettingError as error:
        raise api_error(f"system messages: {error}", param="messages") from error


@dataclass
class AgentWork:
    """The work on one answer, which ``run`` does in a thread."""

    agent: Agent
    task: ChatTask
    person: str
    pending: PendingTurns
    turn: ChatTurn | None = None
    line: int = 0
    reported: tuple[int, int] = (0, 0)

    def run(self, reply: ReplyWork) -> Reply:
        """Take the turn of the person. Raises ClientToolCalled."""
        callbacks = reply.callbacks()
        with hold_turn(self.agent, self.person, callbacks):
            self.turn = self._resumed() or self._begun()
            return self.turn.run_held(callbacks)

    def _begun(self) -> ChatTurn:
        """The turn of a new message, or of one that is to be answered anew."""
        now = datetime.now().replace(microsecond=0)
        last = _message_place(self.task)
        message = self._said(self.task.lines[last])
        before = [
            (self.person if line.role == "user" else self.agent.id, self._said(line))
            for line in self.task.lines[:last]
            if line.role in ("user", "assistant") and line.text
        ]
        place = find_place(self.agent, self.person, before, message, now)
        session = Session(
            self.agent,
            self.person,
            name=place.session,
            settings=_settings(self.agent, self.task),
        )
        self.line = place.said or place.parent
        # Before the lines are read: those of a path that was left are withdrawn until then.
        self._go_to_line(place.session, now)
        offered = self.task.tools if self.task.tool_choice != "none" else ()
        return session.turn_after(
            place.lines,
            message,
            now,
            place.turn_place,
            client_tools(offered, self.task.lines),
        )

    def _said(self, line: ChatLine) -> str:
        """The text of a line, with the name that it gives, if that is not the person's."""
        other = line.name and line.name not in (self.person, self.agent.id)
        return f"{line.name}: {line.text}" if other else line.text

    def _resumed(self) -> ChatTurn | None:
        """The turn that has waited for the results that the request has; None if it has none.
        Raises RequestRefused if the turn is not known any more and has acted, perhaps."""
        last = _message_place(self.task)
        calls = [line.call_id for line in self.task.lines[last:] if line.role == "tool"]
        if not calls:
            return None
        pending = self.pending.take(self.agent.id, self.person, calls[::-1])
        if pending is None:
            if any(tool.spec.effect == "acts" for tool in self.agent.tools):
                raise api_error(
                    "the reply that made this call is not known any more, and may have acted; "
                    "ask again without the call",
                    param="messages",
                    code="call_expired",
                )
            return None
        turn = pending.turn
        turn.extra_tools = client_tools(self.task.tools, self.task.lines)
        self.line, self.reported = pending.line, (pending.tokens_in, pending.tokens_out)
        self._go_to_line(turn.place.session, turn.message.at)
        return turn

    def _go_to_line(self, session: str, at: Time) -> None:
        """Let the session go on from the line of this turn."""
        log = SessionLog(self.agent.memory)
        if log.tree(self.person, session).head != self.line:
            log.go_to(self.person, session, self.line, at)

    def end_parts(self, reply: Reply) -> list[AnswerPart]:
        """The end of a reply; one that waits says for what. Raises RequestRefused for a failed
        one."""
        if reply.failure is not None:
            raise failed_error(reply.failure)
        parts: list[AnswerPart] = [AnswerText(0, reply.step.why)] if reply.waits else []
        answers = [asked.answer for asked in reply.step.asks]
        if reply.waits and self.turn:
            answers = _given_answers(self.turn)
        return [*parts, AnswerEnd(0, "stop", *self._new_tokens(answers))]

    def call_parts(self, called: ClientToolCalled) -> Sequence[AnswerPart]:
        """The call that the client is to make; the turn is kept until it has."""
        assert self.turn is not None
        arguments = json.dumps(called.arguments, ensure_ascii=False)
        call = FunctionCall(new_call_id(), called.name, arguments)
        tokens = self._new_tokens(_given_answers(self.turn))
        seen = (self.reported[0] + tokens[0], self.reported[1] + tokens[1])
        pending = PendingTurn(self.turn, self.line, *seen)
        self.pending.add(self.agent.id, self.person, call.id, pending)
        return AnswerCall(0, call), AnswerEnd(0, "tool_calls", *tokens)

    def _new_tokens(self, answers: Iterable[Answer]) -> tuple[int, int]:
        """The tokens of answers that the client was not told of."""
        listed = list(answers)
        tokens_in = sum(int(getattr(answer, "tokens_in", 0)) for answer in listed)
        tokens_out = sum(int(getattr(answer, "tokens_out", 0)) for answer in listed)
        return max(0, tokens_in - self.reported[0]), max(0, tokens_out - self.reported[1])


def _given_answers(turn: ChatTurn) -> list[Answer]:
    return [answer for _, answer in turn.answers.values()]
