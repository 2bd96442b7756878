"""A chat turn: one message of a person and the reply to it, which may wait for an approval."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Protocol

from ...core import (
    Action,
    AgentId,
    AgentState,
    Answer,
    Approval,
    ApprovalRequired,
    Approver,
    Ask,
    AskHandler,
    AskId,
    Decision,
    Json,
    Observation,
    Persona,
    Recalled,
    RecordId,
    Reply,
    Seed,
    SettingError,
    Situation,
    Step,
    Thought,
    Time,
    ToolResult,
    ToolSpec,
    Utterance,
    answer_from_json,
    digest,
    drive,
    from_json,
    replace_surrogates,
    time_error,
    to_json,
)
from ...memory import Memory, ToolCallLog
from ...memory.storage import has_source, name_forms
from ...planners import DialogueInput, DialogueReply, StepBuilder
from ...tools import ProgressListener
from ..thoughts import AgentResources, AskRouter, ToolExecutor, tokens_used
from .state_merge import merge_state
from .turn_queue import NESTED_TIMEOUT, TurnQueue

_chatting: ContextVar[tuple[object, ...]] = ContextVar("denizens_chatting", default=())


@contextmanager
def _not_nested(agent: ChatAgent) -> Iterator[None]:
    """Marks a turn of an agent. Raises SettingError inside of another one: of a tool that calls
    it, also in a thread of its own."""
    agents = _chatting.get()
    if any(one is agent for one in agents):
        raise SettingError(
            f"{agent.id}: is answering somebody, and what is called meanwhile cannot talk "
            "with it too; let a tool use its memory, or talk with another agent"
        )
    token = _chatting.set((*agents, agent))
    try:
        yield
    finally:
        _chatting.reset(token)


class TextStreamer:
    """Passes the text of a reply to a callback while it is generated.

    ``finish`` passes on what was not streamed: the whole text if it is one of several drafts."""

    def __init__(self, on_text: Callable[[str], None] | None) -> None:
        self._on_text = on_text
        self._streamed: list[str] = []

    def __call__(self, piece: str) -> None:
        """Pass a piece on: an empty one too, which marks progress while drafts are generated,
        since the callback may raise to stop the reply."""
        self._streamed.append(piece)
        if self._on_text:
            self._on_text(piece)

    def finish(self, text: str) -> None:
        """Pass on, word by word, the part of the whole text that was not streamed."""
        streamed = "".join(self._streamed).strip()
        rest = text.removeprefix(streamed) if streamed else text
        if self._on_text:
            for piece in re.findall(r"\s*\S+", rest):
                self._on_text(piece)


@dataclass(frozen=True, slots=True)
class UsageCount:
    """Number of tool calls and tokens used."""

    calls: int = 0
    tokens: int = 0

    def __add__(self, other: UsageCount) -> UsageCount:
        return UsageCount(self.calls + other.calls, self.tokens + other.tokens)


class ChatAgent(AgentResources, Protocol):
    """An agent that a chat turn can drive."""

    state: AgentState
    turns: TurnQueue

    @property
    def id(self) -> AgentId:
        """The agent's name."""

    def sync_record_count(self) -> None:
        """Count the records of the memory again."""

    def reply(
        self, message: Utterance, session: Sequence[Utterance] = (), *, seed: Seed | None = None
    ) -> Thought[Reply]:
        """The thought that answers a message."""

    def commit(self, step: Step, *, number: int = 0, at: Time) -> None:
        """Write a step."""

    def charge_usage(self, calls: int, tokens: int, *, persist: bool = True) -> None:
        """Add calls and tokens to the lifetime usage."""


@dataclass
class ChatTurn:
    """A message to an agent and the work on its reply.

    A suspended turn stores the message, the session before it, and the answers so far, each with
    the path and the digest of its ask. It is resumed by running the thought again with these
    answers. ``charged_usage`` is the part of the usage that already counts towards the agent's
    lifetime limits."""

    agent: ChatAgent
    message: Utterance
    session: tuple[Utterance, ...] = ()
    scope: str = ""
    answers: dict[str, tuple[str, Answer]] = field(default_factory=dict)
    charged_usage: UsageCount = UsageCount()

    @classmethod
    def from_suspended(cls, agent: ChatAgent, key: str, approval: Approval) -> ChatTurn:
        """The turn that waits for the request ``key``, which ``approval`` answers. Raises
        SettingError if there is none."""
        call_log = ToolCallLog(agent.memory.store)
        where = call_log.ask_id(key)
        scope = key.removeprefix(f"{agent.id}/").partition("/")[0]
        saved = call_log.load_suspended(scope, agent.id)
        if saved is None or where is None or where.agent != agent.id:
            raise SettingError(f"{agent.id}: no reply waits for an answer to '{key}'")
        # The process may have ended after the approval was recorded and before the call.
        if key in {request.key for request in call_log.pending_approvals()}:
            call_log.record_approval(key, approval)
        answers = {
            path: (ask_digest, answer_from_json(data))
            for path, ask_digest, data in saved["answers"]
        }
        return cls(
            agent,
            from_json(Utterance, saved["message"]),
            tuple(from_json(Utterance, line) for line in saved["session"]),
            scope,
            {
                path: (ask_digest, answer)
                for path, (ask_digest, answer) in answers.items()
                if not _rests_on_quarantined(agent.memory, answer)
            },
            UsageCount(*saved.get("used", (0, 0))),
        )

    def run(
        self,
        *,
        on_text: Callable[[str], None] | None = None,
        approve: Approver | None = None,
        listener: ProgressListener | None = None,
        check: Callable[[], None] | None = None,
    ) -> Reply:
        """Drive the thought to a reply, which is committed, or to a call that waits for approval.

        Waits for the earlier turns of the same person. The store's lock is released while the
        thought waits for models, tools and approvals, so that other chats go on. ``check`` is
        called meanwhile; what it raises ends the turn. Raises SettingError if a tool calls it in
        a turn of the same agent."""
        agent, lock = self.agent, self.agent.memory.store.owner
        timeout = NESTED_TIMEOUT if lock.held else None
        with (
            _not_nested(agent),
            agent.turns.hold(self.message.who, timeout=timeout, check=check),
            lock,
        ):
            # The whole thought is charged at its end; take back what was charged while it waited.
            agent.charge_usage(-self.charged_usage.calls, -self.charged_usage.tokens, persist=False)
            return self._run(on_text, approve, listener, check)

    def _run(
        self,
        on_text: Callable[[str], None] | None,
        approve: Approver | None,
        listener: ProgressListener | None,
        check: Callable[[], None] | None,
    ) -> Reply:
        agent = self.agent
        store = agent.memory.store
        call_log = ToolCallLog(store) if store.write else None
        executor = ToolExecutor(
            {agent.id: agent},
            self.message.at,
            call_log,
            approve,
            listener,
            self.scope,
            in_chat=True,
            person=self.message.who,
            waiting=store.owner.released,
        )
        streamer = TextStreamer(on_text)
        router = AskRouter(
            {agent.id: agent},
            at=self.message.at,
            on_text=streamer,
            priority=-1,
            executor=executor,
            waiting=store.owner.released,
            check=check,
        )
        handler = _RecordedAnswers(router, self.answers)
        agent.sync_record_count()
        before = agent.state
        thought = agent.reply(self.message, self.session)
        try:
            reply = drive({agent.id: thought}, handler)[agent.id]
            # Before the commit: the callback may still raise to stop the reply.
            streamer.finish(reply.text)
        except BaseException as error:
            # A thought that is not committed has used tokens all the same.
            self.charged_usage += handler.new_usage
            agent.charge_usage(self.charged_usage.calls, self.charged_usage.tokens)
            if not isinstance(error, ApprovalRequired):
                raise
            if call_log:
                call_log.save_suspended(executor.scope, agent.id, self._suspended_json())
            step = Step(action=Action("wait"), state=agent.state, why=str(error))
            return Reply(text="", step=step, waits=error.requests, resolve="waiting")
        finally:
            router.close()
        with store.transaction():
            step = replace(reply.step, state=merge_state(reply.step.state, before, agent.state))
            reply = replace(reply, step=_renumbered(step, agent.memory.next_id))
            agent.commit(reply.step, number=agent.memory.index.last_step, at=self.message.at)
            if call_log:
                call_log.flush()
                if self.scope:
                    call_log.delete_suspended(self.scope)
        return reply

    def _suspended_json(self) -> Json:
        return {
            "message": to_json(self.message),
            "session": [to_json(line) for line in self.session],
            "answers": [
                [path, ask_digest, to_json(answer)]
                for path, (ask_digest, answer) in self.answers.items()
            ],
            "used": [self.charged_usage.calls, self.charged_usage.tokens],
        }


def _rests_on_quarantined(memory: Memory, answer: Answer) -> bool:
    """Whether a recorded answer rests on the words of somebody who is quarantined now; its ask is
    then answered anew."""
    if not memory.quarantined:
        return False
    if isinstance(answer, ToolResult):
        return has_source(answer.sources, name_forms(memory.quarantined))
    if not isinstance(answer, Recalled):
        return False
    records = [record for hit in answer.hits for record in (hit.record, *hit.around)]
    return any(memory.index.is_quarantined(record.id) for record in records)


def _renumbered(step: Step, first: RecordId) -> Step:
    """The step with its records numbered from ``first``: a tool may have added records while it
    was thought out."""
    offset = first - step.records[0].id if step.records else 0
    if not offset:
        return step

    def shifted(number: RecordId) -> RecordId:
        return number + offset if number >= first - offset else number

    return replace(
        step,
        records=tuple(
            replace(record, id=shifted(record.id), evidence=tuple(map(shifted, record.evidence)))
            for record in step.records
        ),
        embedded={shifted(number): vector for number, vector in step.embedded.items()},
        state=replace(step.state, records=step.state.records + offset),
    )


def validate_utterance(line: Utterance, where: str) -> Utterance:
    """The utterance, with lone surrogates replaced by U+FFFD. Raises SettingError, which begins
    with ``where``, if it is not one, or if its person, text or time is invalid."""
    if not isinstance(line, Utterance):
        raise SettingError(
            f"{where}: must be an Utterance, such as Utterance('Ada', 'Hello!', at), "
            f"not {_type_name(line)}"
        )
    for name, value in (("person", line.who), ("text", line.text)):
        if not isinstance(value, str):
            raise SettingError(f"{where}: {name} must be a string, not {_type_name(value)}")
    if fault := time_error(line.at, f"{where}: at"):
        raise SettingError(fault)
    return replace(line, who=replace_surrogates(line.who), text=replace_surrogates(line.text))


def _type_name(value: object) -> str:
    return "None" if value is None else type(value).__name__


class _RecordedAnswers:
    """An AskHandler that answers an ask by its recorded answer, found by path and digest, and
    passes every other ask on. ``new_usage`` is the usage of the asks that were passed on."""

    def __init__(self, inner: AskHandler, answers: dict[str, tuple[str, Answer]]) -> None:
        self._inner = inner
        self._answers = answers
        self._ready: list[tuple[AskId, Answer]] = []
        self._digests: dict[str, str] = {}
        self.new_usage = UsageCount()

    def submit(self, where: AskId, ask: Ask) -> None:
        ask_digest = digest(to_json(ask))
        recorded = self._answers.get(where.path)
        # A changed state changes the ask: then it, and all that follow, are answered anew.
        if recorded and recorded[0] == ask_digest:
            self._ready.append((where, recorded[1]))
            return
        self._digests[where.path] = ask_digest
        self._inner.submit(where, ask)

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        if self._ready:
            ready, self._ready = self._ready, []
            return ready
        answers = self._inner.wait()
        for where, answer in answers:
            self._answers[where.path] = (self._digests[where.path], answer)
            calls = int(isinstance(answer, ToolResult))
            self.new_usage += UsageCount(calls, tokens_used(answer))
        return answers


class Responder(Protocol):
    """How an agent replies to a person: ``Dialogue``, or a class of your own.

    If it has an attribute ``reads_state`` that is False, it is given no part of the agent's state
    that rests on the words of others."""

    def reply(
        self, situation: Situation, heard: DialogueInput
    ) -> Thought[tuple[DialogueReply, Decision]]:
        """The reply, and the decision that records it."""


def reply_thought(
    dialogue: Responder,
    persona: Persona,
    state: AgentState,
    message: Utterance,
    session: tuple[Utterance, ...],
    tools: tuple[ToolSpec, ...],
    seed: Seed,
    private: bool = True,
) -> Thought[tuple[DialogueReply, Decision]]:
    """The thought of the dialogue that replies to a message outside of any world. With
    ``private`` the message and the reply are recorded for its person alone."""
    situation = _situation_outside_world(persona, state, tools, message.at, seed)
    heard = DialogueInput(line=message, before=session, private=private)
    return (yield from dialogue.reply(situation, heard))


def learn_thought(
    persona: Persona,
    state: AgentState,
    texts: tuple[str, ...],
    now: Time,
    who: str = "",
    audience: tuple[str, ...] = (),
) -> Thought[Decision]:
    """The thought that rates and embeds texts as records: thoughts of the agent, or utterances of
    ``who``."""
    seed = Seed.of(0).child(persona.name, "learning")
    builder = StepBuilder(_situation_outside_world(persona, state, (), now, seed))
    for text in texts:
        builder.add_record("utterance" if who else "thought", text, who=who, audience=audience)
    yield from builder.finalize()
    return builder.build(Action("wait"))


def _situation_outside_world(
    persona: Persona, state: AgentState, tools: tuple[ToolSpec, ...], now: Time, seed: Seed
) -> Situation:
    """The situation of an agent that is in no world."""
    return Situation(
        persona=persona,
        state=state,
        seen=Observation(persona.name, now, ""),
        fresh=(),
        can=(),
        tools=tools,
        inputs=(),
        now=now,
        seed=seed,
    )
