"""A session: the conversation of one person with one agent, kept in the agent's store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol

from ...core import (
    AgentId,
    Approver,
    Reply,
    SettingError,
    Time,
    Utterance,
    format_utterance,
    validate_person_name,
)
from ...memory import summarize_lines
from ...memory.storage import withdrawn_ids
from ...tools import AnyTool, ProgressListener
from .cancellation import CancelToken
from .chat_settings import ChatSettings, ModerationHooks, time_of_chat
from .chat_turn import ChatAgent, ChatTurn, TurnCallbacks, TurnPlace, hold_turn
from .reply_stream import ReplyEvent, ReplyStream, ReplyWork
from .session_log import SessionLine, SessionLog, SessionTree

MAX_SESSION_NAME = 80
"""Most characters of the name of a session."""


class SessionAgent(ChatAgent, Protocol):
    """What a session needs of its agent."""

    chat_settings: ChatSettings
    hooks: ModerationHooks

    def new_turn(
        self,
        text: str,
        person: str,
        session: Sequence[Utterance],
        at: Time,
        *,
        settings: ChatSettings | None = None,
        hooks: ModerationHooks | None = None,
        place: TurnPlace | None = None,
        extra_tools: Sequence[AnyTool] = (),
    ) -> ChatTurn:
        """A turn of the chat: the message is validated, nothing is answered yet."""

    def learn(
        self,
        texts: Sequence[str],
        *,
        at: Time | None = None,
        who: str = "",
        audience: str | Sequence[str] = (),
    ) -> None:
        """Record texts as utterances of ``who``."""


class Session:
    """The conversation of a person with an agent: its lines, and the next reply.

    It is kept in the agent's store with every reply, so it survives a restart; a second object of
    the same person and name is the same session. Messages of one person are answered one after the
    other, those of different persons at once. ``settings`` and ``hooks`` are the agent's own
    unless given.

    Its lines are a tree with one current path: ``regenerate``, ``edit`` and ``branch`` go back to
    an earlier line, and what was said after it is kept in ``branches``. The agent remembers the
    lines of the current path: those that are left are withdrawn from recall, with their history
    kept, and put back when one branches there again.
    """

    def __init__(
        self,
        agent: SessionAgent,
        person: str = "user",
        *,
        name: str = "main",
        settings: ChatSettings | None = None,
        hooks: ModerationHooks | None = None,
    ) -> None:
        self.agent = agent
        self.person = validate_person_name(agent.id, person)
        self.name = _validated_name(agent.id, name)
        self.settings = settings or agent.chat_settings
        self.hooks = hooks or agent.hooks

    # -- the lines ---------------------------------------------------------------------------

    @property
    def lines(self) -> tuple[SessionLine, ...]:
        """The lines of the current path, the person's and the agent's."""
        with self._lock:
            return self._tree().path()

    @property
    def branches(self) -> tuple[tuple[SessionLine, ...], ...]:
        """The other paths, each from the first line to one that nothing follows."""
        with self._lock:
            tree = self._tree()
            return tuple(tree.path(tip) for tip in tree.tips())

    def line(self, id: int) -> SessionLine:
        """The line of a number, also of another branch. Raises SettingError if there is none."""
        with self._lock:
            line = self._tree().lines.get(id)
        if line is None:
            raise SettingError(f"{self._name}: no line {id!r}; give the id of one of its lines")
        return line

    @property
    def _name(self) -> str:
        return f"{self.agent.id}: session '{self.name}' of {self.person}"

    @property
    def _lock(self) -> AbstractContextManager[object]:
        return self.agent.memory.store.owner

    @property
    def _log(self) -> SessionLog:
        return SessionLog(self.agent.memory)

    def _tree(self) -> SessionTree:
        return self._log.tree(self.person, self.name)

    # -- talking -----------------------------------------------------------------------------

    def say(
        self,
        text: str,
        *,
        at: Time | None = None,
        on_text: Callable[[str], None] | None = None,
        approve: Approver | None = None,
        listener: ProgressListener | None = None,
        check: Callable[[], None] | None = None,
        cancel: CancelToken | None = None,
    ) -> Reply:
        """Say something and get the reply; the arguments are those of ``Agent.chat``.

        ``check`` is called while the agent thinks; what it raises ends the reply. After
        ``cancel.cancel()``, from any thread, the reply ends with ``resolve`` "cancelled" and the
        text that was shown so far. Message and shown text are remembered in both cases."""
        now = time_of_chat(None) if at is None else at
        calls = _callbacks(on_text, approve, listener, check, cancel)
        return self._take_turn(lambda: self._new_turn(text, now), calls)

    def regenerate(
        self,
        *,
        at: Time | None = None,
        on_text: Callable[[str], None] | None = None,
        approve: Approver | None = None,
        listener: ProgressListener | None = None,
        check: Callable[[], None] | None = None,
        cancel: CancelToken | None = None,
    ) -> Reply:
        """Answer the last message anew; the reply so far becomes a branch. Raises SettingError if
        the person has said nothing."""
        now = time_of_chat(at)
        calls = _callbacks(on_text, approve, listener, check, cancel)
        return self._take_turn(lambda: self._turn_again(now), calls)

    def edit(
        self,
        line: int,
        text: str,
        *,
        at: Time | None = None,
        on_text: Callable[[str], None] | None = None,
        approve: Approver | None = None,
        listener: ProgressListener | None = None,
        check: Callable[[], None] | None = None,
        cancel: CancelToken | None = None,
    ) -> Reply:
        """Say something else instead of an earlier line of the person, and go on from there; the
        line, and what was said after it, become a branch. Raises SettingError for a line of the
        agent."""
        now = time_of_chat(at)
        calls = _callbacks(on_text, approve, listener, check, cancel)
        return self._take_turn(lambda: self._edited_turn(line, text, now), calls)

    def branch(self, line: int, *, at: Time | None = None) -> None:
        """Go to a line, of this path or another branch, so that it is the last one; 0: before the
        first. Raises SettingError if there is none."""
        if line:
            self.line(line)
        with hold_turn(self.agent, self.person, TurnCallbacks()):
            self._log.go_to(self.person, self.name, line, time_of_chat(at))

    def greet(self, text: str, *, at: Time | None = None) -> SessionLine:
        """Begin the session with a line of the agent, which it remembers as its own. Raises
        SettingError if it has lines already."""
        now, agent, store = time_of_chat(at), self.agent, self.agent.memory.store
        if not isinstance(text, str) or not text.strip():
            raise SettingError(f"{self._name}: a greeting needs a text")
        with hold_turn(agent, self.person, TurnCallbacks()):
            if self._tree().path():
                raise SettingError(f"{self._name}: it has begun; a greeting is the first line")
            with store.transaction():
                said = format_utterance(agent.id, self.person, text)
                audience = (self.person,) if agent.private_talk else ()
                agent.learn([said], at=now, who=agent.id, audience=audience)
                line = Utterance(agent.id, text, now)
                number = len(agent.memory)
                id = self._log.add_line(self.person, self.name, line, [number])
            return self._tree().lines[id]

    def _take_turn(self, begin: Callable[[], ChatTurn], callbacks: TurnCallbacks) -> Reply:
        with hold_turn(self.agent, self.person, callbacks):
            return begin().run_held(callbacks)

    def _new_turn(self, text: str, at: Time) -> ChatTurn:
        """A turn after the current line."""
        path = self._tree().path()
        return self.turn_after(path, text, at, TurnPlace(session=self.name))

    def _turn_again(self, at: Time) -> ChatTurn:
        tree = self._tree()
        path = tree.path()
        said = next((line for line in reversed(path) if line.who == self.person), None)
        if said is None:
            raise SettingError(f"{self._name}: nothing to answer anew; say something first")
        if path[-1].id != said.id:
            self._log.go_to(self.person, self.name, said.id, at)
        place = TurnPlace(
            session=self.name, is_recorded=True, attempt=max(1, tree.following(said.id))
        )
        before = path[: path.index(said)]
        return self.turn_after(before, said.text, at, place)

    def _edited_turn(self, id: int, text: str, at: Time) -> ChatTurn:
        tree = self._tree()
        line = tree.lines.get(id)
        if line is None or line.who != self.person:
            raise SettingError(
                f"{self._name}: line {id!r} is none of {self.person}'s; edit a line of the person"
            )
        # Validated before anything changes.
        before = tree.path(tree.parents[id])
        turn = self.turn_after(before, text, at, TurnPlace(session=self.name))
        self._log.go_to(self.person, self.name, tree.parents[id], at)
        return turn

    def turn_after(
        self,
        lines: Sequence[SessionLine],
        text: str,
        at: Time,
        place: TurnPlace,
        extra_tools: Sequence[AnyTool] = (),
    ) -> ChatTurn:
        """A turn after some lines: the last ``settings.window`` of them as they are, the older
        ones as a summary. Lines whose records were corrected or forgotten are left out. The turn
        is run by a caller that holds the turn of the person (``hold_turn``)."""
        memory = self.agent.memory
        withdrawn = withdrawn_ids(memory.store, memory.agent)
        first = lines[0].at if lines else at
        lines = [line for line in lines if withdrawn.isdisjoint(line.records)]
        start = _window_start(len(lines), self.settings.window)
        older = [(line.utterance, line.records) for line in lines[:start]]
        summary = summarize_lines(older) if older else None
        place = replace(
            place,
            summary=" ".join(summary.text.split("\n")) if summary else "",
            summary_records=summary.records if summary else (),
            episode=f"{self.person} and {self.agent.id}, {first.isoformat()}",
        )
        window = [line.utterance for line in lines[start:]]
        return self.agent.new_turn(
            text,
            self.person,
            window,
            at,
            settings=self.settings,
            hooks=self.hooks,
            place=place,
            extra_tools=extra_tools,
        )

    # -- streams, and their twins in an event loop ---------------------------------------------

    def stream(
        self,
        text: str,
        *,
        at: Time | None = None,
        approve: Approver | None = None,
        check: Callable[[], None] | None = None,
    ) -> ReplyStream:
        """Say something and get the reply as a stream, which a thread works on from now on."""
        now = time_of_chat(None) if at is None else at
        return self._stream(lambda: self._new_turn(text, now), approve, check)

    begin_reply = stream
    """The same for a loop that polls: ``poll``, ``done``, ``cancel``, ``result``."""

    def stream_regenerate(
        self,
        *,
        at: Time | None = None,
        approve: Approver | None = None,
        check: Callable[[], None] | None = None,
    ) -> ReplyStream:
        """``regenerate`` as a stream."""
        now = time_of_chat(at)
        return self._stream(lambda: self._turn_again(now), approve, check)

    def stream_edit(
        self,
        line: int,
        text: str,
        *,
        at: Time | None = None,
        approve: Approver | None = None,
        check: Callable[[], None] | None = None,
    ) -> ReplyStream:
        """``edit`` as a stream."""
        now = time_of_chat(at)
        return self._stream(lambda: self._edited_turn(line, text, now), approve, check)

    def _stream(
        self,
        begin: Callable[[], ChatTurn],
        approve: Approver | None,
        check: Callable[[], None] | None,
    ) -> ReplyStream:
        def work(reply: ReplyWork) -> Reply:
            return self._take_turn(begin, reply.callbacks(approve, check))

        return ReplyStream(work, name=f"reply of {self.agent.id}")

    async def asay(
        self, text: str, *, at: Time | None = None, approve: Approver | None = None
    ) -> Reply:
        """``say`` in an event loop; cancelling the task cancels the reply."""
        return await self.stream(text, at=at, approve=approve)

    def astream(
        self, text: str, *, at: Time | None = None, approve: Approver | None = None
    ) -> AsyncIterator[ReplyEvent]:
        """``stream`` for ``async for``."""
        return aiter(self.stream(text, at=at, approve=approve))


def _callbacks(
    on_text: Callable[[str], None] | None,
    approve: Approver | None,
    listener: ProgressListener | None,
    check: Callable[[], None] | None,
    cancel: CancelToken | None,
) -> TurnCallbacks:
    return TurnCallbacks(
        on_text=on_text,
        approve=approve,
        listener=listener,
        check=check,
        cancel=cancel or CancelToken(),
    )


def _window_start(count: int, window: int) -> int:
    """Where the lines begin that a prompt shows as they are. It moves by blocks, so that for a
    while a prompt begins as the one before did, and the engine reuses its cached prefix.

    >>> [_window_start(count, 6) for count in (6, 7, 8, 9, 10)]
    [0, 2, 2, 4, 4]
    """
    block = max(1, window // 3)
    return -(-max(0, count - window) // block) * block


def _validated_name(agent: AgentId, name: object) -> str:
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise SettingError(f"{agent}: a session needs a printable name, not {name!r:.60}")
    if len(name) > MAX_SESSION_NAME:
        raise SettingError(f"{agent}: the name of a session has at most {MAX_SESSION_NAME} letters")
    return name
