"""A chat turn: one message of a person and the reply to it, which may wait for an approval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
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
    AskId,
    Failed,
    Json,
    Label,
    Model,
    Record,
    RecordId,
    Reply,
    Resolution,
    Seed,
    SettingError,
    Step,
    Thought,
    Time,
    Utterance,
    answer_from_json,
    cache_owner,
    current_cache_owner,
    drive,
    format_utterance,
    from_json,
    record_label,
    to_json,
)
from ...memory import Memory, ToolCallLog
from ...planners import DialogueInput
from ...tools import AnyTool, ProgressListener, Toolbox
from ..thoughts import AgentResources, AskRouter, ThoughtGuard, ToolExecutor
from .cancellation import CancelToken, ReplyCancelled
from .chat_settings import ChatMoment, ChatSettings, LineRefused, ModerationHooks, ReplyStopped
from .recorded_answers import RecordedAnswers, UsageCount, rests_on_quarantined
from .reply_trace import ReplyTrace
from .reply_why import explain_reply
from .session_log import SessionLog, are_gone
from .state_merge import merge_state
from .text_streamer import TextStreamer
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


class ChatAgent(AgentResources, Protocol):
    """An agent that a chat turn can drive."""

    state: AgentState
    turns: TurnQueue
    private_talk: bool

    @property
    def id(self) -> AgentId:
        """The agent's name."""

    def sync_record_count(self) -> None:
        """Count the records of the memory again."""

    def trace_reply(
        self,
        heard: DialogueInput,
        labels: Iterable[Label] = (),
        extra_tools: Sequence[AnyTool] = (),
    ) -> ReplyTrace:
        """A reply that begins, with the guard of its thought."""

    def traced_reply(self, trace: ReplyTrace, seed: Seed | None = None) -> Thought[Reply]:
        """The thought that answers a message."""

    def shown_reply(
        self, trace: ReplyTrace, text: str, why: str, resolve: Resolution
    ) -> Thought[Reply]:
        """The thought that records a message and what was shown of the reply."""

    def in_flight(self, guard: ThoughtGuard) -> AbstractContextManager[Callable[[], None]]:
        """Counts the usage of a guard towards the lifetime budget until it is committed."""

    def commit(self, step: Step, *, number: int = 0, at: Time) -> None:
        """Write a step."""

    def charge_usage(self, calls: int, tokens: int, *, persist: bool = True) -> None:
        """Add calls and tokens to the lifetime usage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCallbacks:
    """What a turn calls while it runs: for pieces of text, approvals and the progress of tools.
    ``check`` is called while it waits; what it raises ends the turn. ``cancel`` ends it from
    another thread."""

    on_text: Callable[[str], None] | None = None
    approve: Approver | None = None
    listener: ProgressListener | None = None
    check: Callable[[], None] | None = None
    cancel: CancelToken = field(default_factory=CancelToken)

    def check_all(self) -> None:
        """Raises ReplyCancelled once the turn is cancelled, and what ``check`` raises."""
        self.cancel.check()
        if self.check:
            self.check()


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnPlace:
    """The place of a turn in a session: its name (empty: in none), the summary of the lines before
    the window and the records of it, the episode of the session, whether the message has its
    record already, and how many replies it has had."""

    session: str = ""
    summary: str = ""
    summary_records: tuple[RecordId, ...] = ()
    episode: str = ""
    is_recorded: bool = False
    attempt: int = 0


@contextmanager
def hold_turn(agent: ChatAgent, person: AgentId, callbacks: TurnCallbacks) -> Iterator[None]:
    """Hold the turn of a person with an agent, and the store's lock. Waits for the earlier turns
    of the person; a cancelled turn waits too, since its message is heard all the same. Raises
    SettingError in a tool that a turn of the same agent calls."""
    lock = agent.memory.store.owner
    timeout = NESTED_TIMEOUT if lock.held else None
    owner = current_cache_owner()
    with (
        _not_nested(agent),
        agent.turns.hold(person, timeout=timeout, check=callbacks.check),
        lock,
        # Behind a server the engine keeps what persons say apart, since timing tells what it knows.
        cache_owner(f"{owner}/{person}") if owner else nullcontext(),
    ):
        yield


@dataclass
class ChatTurn:
    """A message to an agent and the work on its reply.

    A suspended turn stores the message, the session before it, and the answers so far, each with
    the path and the digest of its ask. It is resumed by running the thought again with these
    answers. ``charged_usage`` is the part of the usage that already counts towards the agent's
    lifetime limits. ``extra_tools`` are offered beside the agent's own; a turn that is resumed by
    its request has them no more."""

    agent: ChatAgent
    message: Utterance
    session: tuple[Utterance, ...] = ()
    scope: str = ""
    answers: dict[str, tuple[str, Answer]] = field(default_factory=dict)
    charged_usage: UsageCount = field(default_factory=UsageCount)
    settings: ChatSettings = field(default_factory=ChatSettings)
    hooks: ModerationHooks = field(default_factory=ModerationHooks)
    place: TurnPlace = field(default_factory=TurnPlace)
    line_records: tuple[RecordId, ...] = ()
    renew: Callable[[], ChatTurn] | None = None
    extra_tools: tuple[AnyTool, ...] = ()

    @staticmethod
    def waiting_person(agent: ChatAgent, key: str) -> AgentId:
        """The person whose reply waits for the request ``key``. Raises SettingError if there is
        none."""
        with agent.memory.store.owner:
            return str(_suspended(agent, key)["message"]["who"])

    @classmethod
    def resume(
        cls, agent: ChatAgent, key: str, approval: Approval, callbacks: TurnCallbacks
    ) -> Reply:
        """Go on with the turn that waits for the request ``key``. Raises SettingError if there is
        none, and for the second of two that answer it at once."""
        with hold_turn(agent, cls.waiting_person(agent, key), callbacks):
            return cls.from_suspended(agent, key, approval).run_held(callbacks)

    @classmethod
    def from_suspended(cls, agent: ChatAgent, key: str, approval: Approval) -> ChatTurn:
        """The turn that waits for the request ``key``, which ``approval`` answers; the caller holds
        the turn of its person. Raises SettingError if there is none."""
        saved = _suspended(agent, key)
        call_log = ToolCallLog(agent.memory.store)
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
            _scope_of(agent, key),
            {
                path: (ask_digest, answer)
                for path, (ask_digest, answer) in answers.items()
                if not rests_on_quarantined(agent.memory, answer)
            },
            UsageCount(*saved.get("used", (0, 0))),
            from_json(ChatSettings, saved.get("settings", {})),
            place=from_json(TurnPlace, saved.get("place", {})),
        )

    def run(self, callbacks: TurnCallbacks) -> Reply:
        """Drive the thought to a reply, which is committed, or to a call that waits for approval.

        Waits for the earlier turns of the same person. The store's lock is released while the
        thought waits for models, tools and approvals, so that other chats go on."""
        with hold_turn(self.agent, self.message.who, callbacks):
            return self.run_held(callbacks)

    def run_held(self, callbacks: TurnCallbacks) -> Reply:
        """``run`` for a caller that holds the turn.

        What was shown is what is remembered: a turn that is cancelled, or broken off by an error
        after its first piece, is committed with its message and the text that was shown. Then a
        cancelled one returns a reply with ``resolve`` "cancelled"; the error is raised."""
        agent, lock = self.agent, self.agent.memory.store.owner
        moment = ChatMoment(agent=agent.id, person=self.message.who, session=self.place.session)
        if not self.place.is_recorded:
            try:
                with lock.released():
                    text = self.hooks.filter_line(self.message.text, moment)
            except LineRefused as refusal:
                return self._unheard(Failed(reason="refused", detail=str(refusal)), "failed")
            self.message = replace(self.message, text=text)
        # The whole thought is charged at its end; take back what was charged while it waited.
        agent.charge_usage(-self.charged_usage.calls, -self.charged_usage.tokens, persist=False)
        streamer = TextStreamer(callbacks.on_text, self.hooks, moment)
        reply = None
        while reply is None:
            reply = self._attempt(callbacks, streamer)
        return reply

    def _attempt(self, callbacks: TurnCallbacks, streamer: TextStreamer) -> Reply | None:
        """The committed reply; None, for another attempt, if what it rests on was forgotten or
        corrected meanwhile and nothing was shown."""
        agent, memory = self.agent, self.agent.memory
        generation, before = _generation(memory), agent.state
        agent.sync_record_count()
        heard, labels = self._heard(streamer), self._summary_labels()
        trace = agent.trace_reply(heard, labels, self.extra_tools)
        stale = partial(self._is_stale, generation, trace)
        streamer.before_first = partial(_hold_back, stale)
        with agent.in_flight(trace.guard) as settle:
            work = _TurnWork(self, callbacks, streamer, trace, settle)
            try:
                reply = work.think()
            except _StaleBasis:
                settle()
                self._begin_again(trace)
                return None
            if reply.resolve == "waiting":
                return reply
            if stale():
                if not (streamer.shown or work.error):
                    settle()
                    self._begin_again(trace)
                    return None
                reply = work.as_shown("", "failed", _FORGOTTEN)
                reply = replace(reply, failure=Failed(reason="forgotten", detail=_FORGOTTEN))
            settle()
            reply = self._commit(reply, before, work)
        if work.error is not None:
            raise work.error
        return reply

    def _is_stale(self, generation: int, trace: ReplyTrace) -> bool:
        """Whether a line of the prompt or a recalled record, since the memory had this
        ``generation``, is gone."""
        memory = self.agent.memory
        with memory.store.owner:
            if _generation(memory) == generation:
                return False
            return are_gone(memory, self.line_records) or _rests_on_gone(memory, trace)

    def _begin_again(self, trace: ReplyTrace) -> None:
        """Charge an attempt whose basis is gone, and forget its answers."""
        self.answers = {}
        if self.renew:
            turn = self.renew()
            self.session, self.place = turn.session, turn.place
            self.line_records = turn.line_records
        self.agent.charge_usage(trace.guard.calls, trace.guard.tokens)

    def _heard(self, streamer: TextStreamer) -> DialogueInput:
        return DialogueInput(
            line=self.message,
            before=self.session,
            private=self.agent.private_talk,
            style=self.settings.style,
            summary=self.place.summary,
            episode=self.place.episode,
            is_recorded=self.place.is_recorded,
            zone=self.settings.time_zone,
            show=streamer.finish,
        )

    def _summary_labels(self) -> list[Label]:
        """The labels of the lines that stand in the prompt as a summary."""
        records = self.agent.memory.existing_records(self.place.summary_records)
        return [record_label(record, self.agent.id) for record in records]

    @property
    def seed(self) -> Seed | None:
        """The seed of a further reply to the same message; None: that of the message."""
        if not self.place.attempt:
            return None
        when, text = self.message.at.isoformat(), self.message.text
        return Seed.of(0).child(self.agent.id, when, text, self.place.attempt)

    def _unheard(self, failure: Failed, resolve: Resolution) -> Reply:
        step = Step(action=Action("wait"), state=self.agent.state, why=failure.detail)
        return Reply(text="", step=step, resolve=resolve, failure=failure)

    def _commit(self, reply: Reply, before: AgentState, work: _TurnWork) -> Reply:
        agent, memory = self.agent, self.agent.memory
        with memory.store.transaction():
            step = replace(reply.step, state=merge_state(reply.step.state, before, agent.state))
            reply = replace(reply, step=renumbered_step(step, memory.next_id))
            agent.commit(reply.step, number=memory.index.last_step, at=self.message.at)
            if work.call_log:
                work.call_log.flush()
                if self.scope:
                    work.call_log.delete_suspended(self.scope)
            if self.place.session:
                self._write_lines(reply)
        return reply

    def _write_lines(self, reply: Reply) -> None:
        """Add the message and the reply to the session, each with its records."""
        name, line = self.agent.id, self.message
        log = SessionLog(self.agent.memory)
        records = reply.step.records
        heard = _records_of(records, line.who, format_utterance(line.who, name, line.text))
        if not self.place.is_recorded and (heard or reply.text):
            log.add_line(line.who, self.place.session, line, heard)
        if reply.text:
            said = Utterance(name, reply.text, line.at)
            why = explain_reply(reply)
            log.add_line(
                line.who,
                self.place.session,
                said,
                _records_of(records, name, format_utterance(name, line.who, reply.text)),
                resolve="" if reply.resolve == "answer" else reply.resolve,
                why=why.text,
                recalled=[[hit.record.id, round(hit.score, 4)] for hit in why.recalled],
                places=list(reply.sources),
            )

    def suspended_json(self) -> Json:
        """What is stored of a turn that waits for an approval."""
        return {
            "message": to_json(self.message),
            "session": [to_json(line) for line in self.session],
            "answers": [
                [path, ask_digest, to_json(answer)]
                for path, (ask_digest, answer) in self.answers.items()
            ],
            "used": [self.charged_usage.calls, self.charged_usage.tokens],
            "settings": to_json(self.settings),
            "place": to_json(self.place),
        }


@dataclass
class TurnResources:
    """What answers the asks of one turn."""

    model: Model
    memory: Memory
    tools: Toolbox


class _TurnWork:
    """One attempt at the reply of a turn: its thought, or what was shown of it. ``error`` is what
    broke it off after something was shown."""

    def __init__(
        self,
        turn: ChatTurn,
        callbacks: TurnCallbacks,
        streamer: TextStreamer,
        trace: ReplyTrace,
        settle: Callable[[], None],
    ) -> None:
        self._settle = settle
        self._turn, self._callbacks = turn, callbacks
        self._streamer, self._trace = streamer, trace
        self._agent = turn.agent
        store = turn.agent.memory.store
        self._waiting = store.owner.released
        self.call_log = ToolCallLog(store) if store.write else None
        self.error: BaseException | None = None
        resources = TurnResources(turn.agent.model, turn.agent.memory, trace.toolbox)
        self._executor = ToolExecutor(
            {turn.agent.id: resources},
            turn.message.at,
            self.call_log,
            callbacks.approve,
            callbacks.listener,
            turn.scope,
            in_chat=True,
            person=turn.message.who,
            waiting=self._waiting,
            zone=turn.settings.time_zone,
        )

    def think(self) -> Reply:
        """The reply of the thought; what was shown of it, if it was cancelled or broken off after
        that; or one that waits for approvals. Nothing but the usage and the suspended turn is
        written."""
        agent, turn, streamer = self._agent, self._turn, self._streamer
        router = AskRouter(
            {agent.id: agent},
            at=turn.message.at,
            on_text=streamer,
            priority=-1,
            executor=self._executor,
            waiting=self._waiting,
            check=self._callbacks.check_all,
        )
        handler = RecordedAnswers(router, turn.answers)
        thought = agent.traced_reply(self._trace, turn.seed)
        try:
            with self._callbacks.cancel.calling(router.interrupt):
                self._callbacks.check_all()
                reply = drive({agent.id: thought}, handler)[agent.id]
                # Before the commit: the callback may still raise to stop the reply.
                shown = streamer.finish(reply.text) if reply.text else ""
        except ApprovalRequired as error:
            self._charge(handler)
            return self._suspended(error)
        except BaseException as error:  # noqa: BLE001  raised, after what was shown is kept
            return self._broken_off(error, handler)
        finally:
            router.close()
        if reply.failure and streamer.shown:
            failed = self.as_shown(streamer.shown, "failed", reply.failure.detail)
            return replace(failed, failure=reply.failure)
        if shown != reply.text:
            return self.as_shown(shown, reply.resolve, reply.step.why)
        return reply

    def _broken_off(self, error: BaseException, handler: RecordedAnswers) -> Reply:
        if isinstance(error, _StaleBasis):
            raise error
        is_end = isinstance(error, ReplyCancelled | ReplyStopped)
        # Once it is cancelled, an error may come from that.
        is_end = is_end or (isinstance(error, Exception) and self._callbacks.cancel.cancelled)
        if not (is_end or self._streamer.shown):
            # A thought that is not committed has used tokens all the same.
            self._charge(handler)
            raise error
        self.error = None if is_end else error
        why = "The reply was ended by a moderation hook."
        if not isinstance(error, ReplyStopped):
            why = "The reply was interrupted."
        return self.as_shown(self._streamer.shown, "cancelled", why)

    def _charge(self, handler: RecordedAnswers) -> None:
        self._settle()
        self._turn.charged_usage += handler.new_usage
        used = self._turn.charged_usage
        self._agent.charge_usage(used.calls, used.tokens)

    def _suspended(self, error: ApprovalRequired) -> Reply:
        if self.call_log:
            saved = self._turn.suspended_json()
            self.call_log.save_suspended(self._executor.scope, self._agent.id, saved)
        step = Step(action=Action("wait"), state=self._agent.state, why=str(error))
        return Reply(text="", step=step, waits=error.requests, resolve="waiting")

    def as_shown(self, text: str, resolve: Resolution, why: str) -> Reply:
        """A reply that records the message and ``text``, embedded if the model still answers."""
        agent = self._agent
        router = AskRouter(
            {agent.id: agent}, at=self._turn.message.at, priority=-1, waiting=self._waiting
        )
        try:
            thought = agent.shown_reply(self._trace, text, why, resolve)
            return drive({agent.id: thought}, router)[agent.id]
        except Exception:  # noqa: BLE001  the lines are kept, if without vectors
            thought = agent.shown_reply(self._trace, text, why, resolve)
            return drive({agent.id: thought}, _NoAnswers())[agent.id]
        finally:
            router.close()


class _NoAnswers:
    """An AskHandler that fails every ask, in place of a model that does not answer."""

    def __init__(self) -> None:
        self._asked: list[AskId] = []

    def submit(self, where: AskId, ask: Ask) -> None:
        self._asked.append(where)

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        asked, self._asked = self._asked, []
        return [(where, Failed(reason="engine", detail=_NO_MODEL)) for where in asked]


_NO_MODEL = "the model does not answer"
_FORGOTTEN = (
    "what it rests on was forgotten or corrected while it was thought of, so it is not remembered; "
    "say it again"
)


def _scope_of(agent: ChatAgent, key: str) -> str:
    return key.removeprefix(f"{agent.id}/").partition("/")[0]


def _suspended(agent: ChatAgent, key: str) -> Json:
    call_log = ToolCallLog(agent.memory.store)
    where = call_log.ask_id(key)
    saved = call_log.load_suspended(_scope_of(agent, key), agent.id)
    if saved is None or where is None or where.agent != agent.id:
        raise SettingError(f"{agent.id}: no reply waits for an answer to '{key}'")
    return saved


class _StaleBasis(BaseException):
    """What a reply rests on was forgotten or corrected before anything of it was shown."""


def _hold_back(stale: Callable[[], bool]) -> None:
    if stale():
        raise _StaleBasis


def _generation(memory: Memory) -> int:
    return int(getattr(memory, "generation", 0))


def _rests_on_gone(memory: Memory, trace: ReplyTrace) -> bool:
    """Whether a record that a thought has recalled was erased, withdrawn or undone meanwhile."""
    recalled = tuple(trace.guard.recalled)
    if are_gone(memory, [record.id for record in recalled]):
        return True
    return any(memory.stored_record(record.id).text != record.text for record in recalled)


def _records_of(records: Iterable[Record], who: AgentId, text: str) -> list[RecordId]:
    return [
        record.id
        for record in records
        if record.kind == "utterance" and record.who == who and record.text == text
    ]


def renumbered_step(step: Step, first: RecordId) -> Step:
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
