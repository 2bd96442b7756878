"""A session: the conversation of one person with one agent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from ...core import AgentId, Approver, Reply, Time, Utterance
from ...tools import ProgressListener
from .chat_turn import ChatTurn
from .reply_stream import ReplyStream, ReplyWork


class SessionAgent(Protocol):
    """What a session needs of its agent."""

    @property
    def id(self) -> AgentId:
        """The agent's name."""

    def new_turn(
        self, text: str, person: str, session: tuple[Utterance, ...], at: Time
    ) -> ChatTurn:
        """A turn of the chat: the message is validated, nothing is answered yet."""


class Session:
    """The conversation of a person with an agent: its lines, and the next reply.

    Messages of one person are answered one after the other, those of different persons at once.
    """

    def __init__(self, agent: SessionAgent, person: str = "user", *, name: str = "main") -> None:
        self.agent = agent
        self.person = person
        self.name = name
        self._lines: list[Utterance] = []

    @property
    def lines(self) -> tuple[Utterance, ...]:
        """The lines so far, the person's and the agent's."""
        return tuple(self._lines)

    def say(
        self,
        text: str,
        *,
        at: Time | None = None,
        on_text: Callable[[str], None] | None = None,
        approve: Approver | None = None,
        listener: ProgressListener | None = None,
        check: Callable[[], None] | None = None,
    ) -> Reply:
        """Say something and get the reply; the arguments are those of ``Agent.chat``. ``check`` is
        called while the agent thinks; what it raises ends the reply."""
        now = at or datetime.now().replace(microsecond=0)
        turn = self.agent.new_turn(text, self.person, self.lines, now)
        reply = turn.run(on_text=on_text, approve=approve, listener=listener, check=check)
        if reply.text:
            self._lines += [turn.message, Utterance(self.agent.id, reply.text, now)]
        return reply

    def stream(
        self, text: str, *, at: Time | None = None, approve: Approver | None = None
    ) -> ReplyStream:
        """Say something and get the reply as a stream, which a thread works on from now on."""

        def work(reply: ReplyWork) -> Reply:
            return self.say(
                text,
                at=at,
                approve=approve,
                on_text=reply.on_text,
                listener=reply.listener,
                check=reply.check,
            )

        return ReplyStream(work, name=f"reply of {self.agent.id}")
