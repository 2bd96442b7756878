"""An agent: a persona with a model, a memory, a planner and tools."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path

from ..core import (
    EVERYBODY,
    Action,
    Affordance,
    AgentId,
    AgentState,
    AnsweredAsk,
    Approval,
    ApprovalRequest,
    Approver,
    ContextLock,
    Decision,
    Failed,
    Input,
    Label,
    Model,
    Observation,
    Persona,
    Planner,
    Record,
    RecordId,
    Reply,
    Resolution,
    Seed,
    SettingError,
    Situation,
    Step,
    Thought,
    ThoughtInput,
    Time,
    Utterance,
    check_arguments,
    drive,
    exclusive,
    parse_audience,
    replace_surrogates,
    to_json,
    traced,
    validate_person_name,
)
from ..memory import (
    CompactionBudget,
    Corrections,
    Documents,
    Memory,
    Snapshot,
    ToolCallLog,
    document_input,
    memories_input,
    write_log_line,
)
from ..memory.storage import BEGUN_KEY, IMAGES_SUFFIX
from ..planners import Daily, Dialogue, DialogueInput
from ..tools import AnyTool, Policy, ProgressListener, Toolbox, validate_patterns, validate_policy
from .chat import (
    ChatSettings,
    ChatTurn,
    ModerationHooks,
    ReplyEvent,
    ReplyStream,
    ReplyTrace,
    Responder,
    Session,
    SessionLog,
    TurnCallbacks,
    TurnPlace,
    TurnQueue,
    learn_thought,
    reply_thought,
    shown_thought,
    validate_utterance,
)
from .declassification import RELEASE_LOG, log_release, release_record
from .maintenance import (
    Maintenance,
    add_utterances,
    cited_places,
    idle_step,
    is_new_day,
    learn_facts,
    unique_documents,
    with_maintenance,
)
from .memory_edits import agent_corrections, state_at_restore
from .thoughts import (
    AskRouter,
    StoppedThought,
    ThoughtGuard,
    activity_labels,
    find_listeners,
    label_decision,
    label_heard_goals,
    label_state,
    labelled_inputs,
    labelled_session,
    redact_observation,
    run_guarded,
    run_skills,
    trusted_state,
    visible_people,
    warn_of_failed_recall,
    withheld_utterances,
)

NOTICE_KINDS = ("news", "object")
"""Kinds of notices that are perceived like lasting events. Refusals and the turns of a
conversation are not: the planner reads them in the observation."""
_MEMORY_INPUT_KINDS = ("document", "memories")
"""Kinds of inputs that only the memory takes; no planner sees them."""


def _store_lock(agent: Agent) -> ContextLock:
    return agent.memory.store.owner


class Agent:
    """A persona with a model, a memory, a planner and tools, in a world or in a chat.

    ``live``, ``tick`` and ``reply`` are thoughts and write nothing; ``commit`` alone writes, to
    the memory and the state.

    ``planner`` decides (None: Daily) and ``dialogue`` replies in chats. With ``private_talk`` the
    messages and replies of a chat are recalled only in chats with that person. ``documents`` are
    imported, and ``memories`` added, before the first step or chat. ``maintenance`` says what the
    memory does at the first step of each day. ``policy`` bounds the use of tools (None: the
    toolbox's own); ``trusted`` are patterns of further sources that the policy trusts. ``chat``
    says how it replies in chats, ``hooks`` may change what is heard and shown there.

    Raises SettingError if the memory is another agent's, or two documents have one file name.
    """

    @check_arguments
    def __init__(
        self,
        persona: Persona,
        *,
        model: Model,
        memory: Memory,
        planner: Planner | None = None,
        tools: Toolbox | Iterable[AnyTool | str] = (),
        state: AgentState | None = None,
        step_seconds: int = 60,
        private_talk: bool = True,
        dialogue: Responder | None = None,
        policy: Policy | None = None,
        trusted: Iterable[str] = (),
        documents: Sequence[Path | str] = (),
        memories: Sequence[Record] = (),
        maintenance: Maintenance | None = None,
        chat: ChatSettings | None = None,
        hooks: ModerationHooks | None = None,
    ) -> None:
        if memory.agent != persona.name:
            raise SettingError(
                f"{persona.name}: the memory in {memory.store.name} is opened as that of "
                f"'{memory.agent}'; open it as Memory(..., {persona.name!r})"
            )
        if persona.name.endswith(IMAGES_SUFFIX):
            raise SettingError(
                f"{persona.name}: a name that ends in '{IMAGES_SUFFIX}' is that of somebody's "
                "pictures; give another"
            )
        self.private_talk = private_talk
        self.documents = unique_documents(persona.name, documents)
        self.memories = tuple(memories)
        self.maintenance = maintenance or Maintenance()
        self.dialogue: Responder = dialogue or Dialogue()
        self.persona = persona
        self.model = model
        self.memory = memory
        self.planner = planner or Daily()
        self.tools = _toolbox_with_policy(
            tools if isinstance(tools, Toolbox) else Toolbox(tools), policy, trusted
        )
        self.step_seconds = step_seconds
        self._bootstrapped = False
        self.turns = TurnQueue(persona.name)
        """The turns of its chats: those of one person run one after the other."""
        self.chat_settings = chat or ChatSettings()
        self.hooks = hooks or ModerationHooks()
        self._guards_in_flight: list[ThoughtGuard] = []
        self.state = state or AgentState(
            currently=persona.currently, reflect_left=persona.reflect_after, records=len(memory)
        )
        self._restore_usage()

    @property
    def id(self) -> AgentId:
        """The agent's name in a world."""
        return self.persona.name

    # -- thoughts ----------------------------------------------------------------------------

    def live(
        self,
        seen: Observation,
        can: Sequence[Affordance],
        inputs: Sequence[Input] = (),
        seed: Seed | None = None,
        *,
        now: Time | None = None,
    ) -> Thought[Step]:
        """One step in a world: the planner decides on what is seen. Writes nothing; the Step says
        what ``commit`` will write."""
        self.sync_record_count()
        listeners = find_listeners(seen, can)
        full, seen = seen, redact_observation(seen, listeners)
        own = self.state
        shown = trusted_state(own, listeners, self.memory)
        situation = self._situation(seen, can, inputs, seed, now, shown, listeners)
        guard = self.new_guard(
            listeners=listeners,
            given=labelled_inputs(seen, inputs, self.id),
            labels=chain(activity_labels(seen, self.id), shown.labels.values()),
        )
        thought = run_skills(
            self.planner.decide(situation),
            self.tools,
            who=self.id,
            now=situation.now,
            person=guard.person,
            guard=guard,
        )
        asks: list[AnsweredAsk] = []
        decision = yield from run_guarded(thought, guard, asks)
        states = (own, shown)
        if any(given.kind == "whisper" for given in inputs) and isinstance(decision, Decision):
            states = label_heard_goals(own, situation, decision.state)
        step = self._finish_step(decision, asks, guard, states, can, visible_people(seen))
        if lines := withheld_utterances(full, seen, own, step.state):
            step = yield from add_utterances(self.id, step, lines, situation.now)
        return step

    def _situation(
        self,
        seen: Observation,
        can: Sequence[Affordance],
        inputs: Sequence[Input],
        seed: Seed | None,
        now: Time | None,
        shown: AgentState,
        listeners: tuple[AgentId, ...],
    ) -> Situation:
        perceived = set(self.state.perceived)
        events = (*seen.events, *(one for one in seen.notices if one.kind in NOTICE_KINDS))
        return Situation(
            persona=self.persona,
            state=shown,
            seen=seen,
            fresh=tuple(e for e in events if e.key not in perceived and e.text not in perceived),
            can=tuple(can),
            tools=self.tools.specs(),
            inputs=tuple(inputs),
            now=now or seen.at,
            seed=seed or Seed.of(0).child(self.id, seen.at.isoformat()),
            step_seconds=self.step_seconds,
            listeners=listeners,
        )

    def tick(
        self,
        seen: Observation,
        can: Sequence[Affordance],
        inputs: Sequence[Input] = (),
        seed: Seed | None = None,
        *,
        now: Time | None = None,
    ) -> Thought[Step]:
        """``live``, with the imports and the maintenance of the memory as part of the same Step.
        Writes nothing."""
        now = now or seen.at
        others = tuple(given for given in inputs if given.kind not in _MEMORY_INPUT_KINDS)
        thought = self.live(seen, can, others, seed, now=now)
        return with_maintenance(thought, self.memory, inputs, now, self._due_compaction(now))

    def _due_compaction(self, now: Time) -> CompactionBudget | None:
        due = is_new_day(now, self.step_seconds)
        return self.maintenance.compaction_budget if due else None

    def reply(
        self, message: Utterance, session: Sequence[Utterance] = (), *, seed: Seed | None = None
    ) -> Thought[Reply]:
        """Reply to a person's message, after the utterances of a session. Writes nothing."""
        message = validate_utterance(message, "reply")
        message = replace(message, who=validate_person_name(self.id, message.who))
        self.sync_record_count()
        heard = DialogueInput(line=message, before=tuple(session), private=self.private_talk)
        return (yield from self.traced_reply(self.trace_reply(heard), seed))

    def trace_reply(
        self,
        heard: DialogueInput,
        labels: Iterable[Label] = (),
        extra_tools: Sequence[AnyTool] = (),
    ) -> ReplyTrace:
        """A reply that begins, with the guard of its thought; ``labels`` are of what the prompt
        shows besides the lines, ``extra_tools`` are offered beside the agent's own."""
        toolbox = self.tools.with_tools(extra_tools) if extra_tools else self.tools
        listeners = (heard.line.who,)
        own_words_only = not getattr(self.dialogue, "reads_state", True)
        shown = trusted_state(self.state, listeners, self.memory, own_words_only)
        guard = self.new_guard(
            listeners=listeners,
            given=labelled_session(heard.line, heard.before, self.memory, heard.private),
            labels=(*shown.labels.values(), *labels),
            toolbox=toolbox,
        )
        return ReplyTrace(heard=heard, toolbox=toolbox, guard=guard, own=self.state, shown=shown)

    def traced_reply(self, trace: ReplyTrace, seed: Seed | None = None) -> Thought[Reply]:
        """The thought of a reply, whose asks the trace keeps. Writes nothing."""
        heard, guard, states = trace.heard, trace.guard, (trace.own, trace.shown)
        message = heard.line
        thought = reply_thought(
            self.dialogue,
            self.persona,
            trace.shown,
            heard,
            trace.toolbox.specs(),
            seed or Seed.of(0).child(self.id, message.at.isoformat(), message.text),
        )
        thought = run_skills(
            thought,
            trace.toolbox,
            who=self.id,
            now=message.at,
            person=message.who,
            guard=guard,
            zone=heard.zone,
        )
        outcome = yield from run_guarded(thought, guard, trace.asks)
        warn_of_failed_recall(self.id, trace.asks)
        if isinstance(outcome, StoppedThought):
            failure = Failed(reason=outcome.reason, detail=outcome.why)
            step = self._finish_step(outcome, trace.asks, guard, states)
            return Reply(text="", step=step, resolve="failed", failure=failure)
        said, decision = outcome
        return Reply(
            text=said.text,
            step=self._finish_step(decision, trace.asks, guard, states),
            cited=said.cited,
            receipts=tuple(one.receipt for one in said.calls if one.receipt),
            held=said.held,
            resolve=said.resolve,
            sources=cited_places(trace.asks, said.text, message.text, self.memory, said.based_on)
            if said.resolve == "answer"
            else (),
            failure=said.failure,
        )

    def shown_reply(
        self, trace: ReplyTrace, text: str, why: str, resolve: Resolution
    ) -> Thought[Reply]:
        """The thought that records a message and what was shown of the reply to it, under the
        labels of what the reply had read by then."""
        asks = list(trace.asks)
        thought = traced(shown_thought(self.persona, trace.shown, trace.heard, text, why), asks)
        decision = yield from thought
        step = self._finish_step(decision, asks, trace.guard, (trace.own, trace.shown))
        cited = cited_places(asks, text, trace.heard.line.text, self.memory) if text else ()
        return Reply(text=text, step=step, resolve=resolve, sources=cited)

    def new_guard(
        self,
        *,
        listeners: Iterable[AgentId] = (),
        given: Iterable[tuple[ThoughtInput, Label]] = (),
        labels: Iterable[Label] = (),
        toolbox: Toolbox | None = None,
    ) -> ThoughtGuard:
        """A guard for one thought of this agent, which may call the tools of ``toolbox`` (None:
        its own)."""
        return ThoughtGuard(
            self.id,
            toolbox or self.tools,
            used=self._life_usage,
            sources_of=lambda record: self.memory.sources(record.id),
            listeners=listeners,
            given=given,
            labels=labels,
        )

    def _finish_step(
        self,
        decision: Decision | StoppedThought,
        asks: list[AnsweredAsk],
        guard: ThoughtGuard,
        states: tuple[AgentState, AgentState],
        can: Sequence[Affordance] = (),
        people: Iterable[AgentId] = (),
    ) -> Step:
        """The Step of a decision, with labels and usage; a stopped thought waits and changes
        nothing. ``states`` are the agent's own state and what of it the thought was shown;
        ``people`` are those in sight."""
        own, shown = states
        stopped = decision.reason if isinstance(decision, StoppedThought) else ""
        if isinstance(decision, StoppedThought):
            why = f"The thought was ended: {decision.why}."
            decision = Decision(action=Action("wait"), state=shown, why=why)
        decision = label_decision(decision, guard, can)
        state = label_state(own, shown, decision.state, guard, people)
        if self._has_lifetime_budget():
            calls, tokens = self.state.calls + guard.calls, self.state.tokens + guard.tokens
            state = replace(state, calls=calls, tokens=tokens)
        return replace(
            _make_step(replace(decision, state=state), asks),
            stopped=stopped,
            beside=tuple((RELEASE_LOG, to_json(released)) for released in guard.released),
        )

    # -- writing -----------------------------------------------------------------------------

    def commit(self, step: Step, *, number: int = 0, at: Time) -> None:
        """Write a step: new records, last accesses, log lines, and the next state.

        All or nothing, within the caller's transaction if one is open; if that is rolled back,
        so is the state."""
        if not self.memory.store.write:
            self.write_step(step, number=number, at=at)
            return
        with self.memory.store.transaction():
            self.write_step(step, number=number, at=at)

    def write_step(self, step: Step, *, number: int, at: Time) -> None:
        """``commit`` without a transaction of its own, for a caller that commits several agents
        in one."""
        if self.maintenance.claims and is_new_day(at, self.step_seconds):
            learn_facts(self.memory, at, number)
        if step.records:
            self.memory.add(step.records, step.embedded, step=number)
        if step.used:
            self.memory.mark_accessed(step.used, step=number, at=at)
        for log, line in step.beside:
            if log == RELEASE_LOG:
                log_release(self.memory, self.tools.policy, step.records, line, number)
            else:
                write_log_line(self.memory.store, self.id, log, line, step=number)
        self._set_state(step.state)

    def charge_usage(self, calls: int, tokens: int, *, persist: bool = True) -> None:
        """Add calls and tokens to the lifetime usage, if the policy bounds it; without ``persist``
        for the lifetime of this object only."""
        if not self._has_lifetime_budget():
            return
        calls, tokens = self.state.calls + calls, self.state.tokens + tokens
        state = replace(self.state, calls=calls, tokens=tokens)
        if persist:
            self._set_state(state)
        else:
            self.state = state

    def _life_usage(self, guard: ThoughtGuard) -> tuple[int, int]:
        """The lifetime usage, with that of other replies that are being made, in calls and
        tokens."""
        others = [other for other in self._guards_in_flight if other is not guard]
        calls = self.state.calls + sum(other.calls for other in others)
        return calls, self.state.tokens + sum(other.tokens for other in others)

    @contextmanager
    def in_flight(self, guard: ThoughtGuard) -> Iterator[Callable[[], None]]:
        """Count the usage of a reply's guard for the other replies, until the function that it
        gives is called: before the usage is committed."""

        def settle() -> None:
            if guard in self._guards_in_flight:
                self._guards_in_flight.remove(guard)

        self._guards_in_flight.append(guard)
        try:
            yield settle
        finally:
            settle()

    def _has_lifetime_budget(self) -> bool:
        life = self.tools.policy.life
        return life.calls is not None or life.tokens is not None

    def _restore_usage(self) -> None:
        """Take over the lifetime usage that earlier processes have saved."""
        calls, tokens = ToolCallLog(self.memory.store).usage(self.id)
        if calls > self.state.calls or tokens > self.state.tokens:
            calls, tokens = max(calls, self.state.calls), max(tokens, self.state.tokens)
            self.state = replace(self.state, calls=calls, tokens=tokens)

    def sync_record_count(self) -> None:
        """Count the records of the memory again: some may have been added outside of a step."""
        count = len(self.memory)
        if self.state.records != count:
            self.state = replace(self.state, records=count)

    def _set_state(self, state: AgentState) -> None:
        """Take over a state until the transaction, if one is open, is rolled back."""
        before, store = self.state, self.memory.store
        if (state.calls, state.tokens) != (before.calls, before.tokens) and store.write:
            # With the calls of replies that are being made: a process may end in them.
            others = sum(guard.calls for guard in self._guards_in_flight)
            ToolCallLog(store).save_usage(self.id, state.calls + others, state.tokens)
        store.on_rollback(lambda: setattr(self, "state", before))
        self.state = state

    # -- documents and memories --------------------------------------------------------------

    @check_arguments
    @exclusive(_store_lock)
    def read(self, path: Path | str, *, at: Time | None = None) -> None:
        """Import a document (text, Markdown, HTML, PDF, CSV, Word) into the memory, embedded by the
        agent's model. Raises the errors of ``Documents.add``."""
        self._ingest(document_input(path, self.id), at)

    def _ingest(self, given: Input, at: Time | None) -> None:
        now = at or datetime.now().replace(microsecond=0)
        self.sync_record_count()
        thought = with_maintenance(
            idle_step(self.state), self.memory, (given,), now, self._due_compaction(now)
        )
        step = drive({self.id: thought}, AskRouter({self.id: self}, at=now))[self.id]
        with self.memory.store.transaction():
            self.commit(step, number=self.memory.index.last_step, at=now)

    @exclusive(_store_lock)
    def bootstrap(self, *, at: Time | None = None) -> None:
        """Add the initial ``memories`` and the persona's facts, once for a memory, and import
        those ``documents`` that it does not hold. A bootstrap that was interrupted goes on."""
        if self._bootstrapped:
            return
        store, key = self.memory.store, f"{BEGUN_KEY}.{self.id}"
        if store.write and self.memory.as_of_step is None and not store.get(key):
            memories, facts = self._missing_initial_memories()
            if memories:
                self._ingest(memories_input(memories, self.id), at)
            self.learn(facts, at=at)
            store.put(key, True)
        documents = Documents(self.memory)
        for path in self.documents:
            if not documents.was_imported(path.name):
                self.read(path, at=at)
        store.on_rollback(lambda: setattr(self, "_bootstrapped", False))
        self._bootstrapped = True

    def _missing_initial_memories(self) -> tuple[tuple[Record, ...], tuple[str, ...]]:
        """The initial memories and facts that are not in the memory; none after something was
        forgotten or damaged, since they might bring it back."""
        if not (self.memories or self.persona.facts):
            return (), ()
        if any(entry.what in ("forgotten", "damaged") for entry in self.memory.audit_log):
            return (), ()
        texts = {record.text for record in self.memory.records()}
        missing = texts.isdisjoint(record.text for record in self.memories)
        facts = tuple(fact for fact in self.persona.facts if replace_surrogates(fact) not in texts)
        return (self.memories if missing else ()), facts

    @check_arguments
    @exclusive(_store_lock)
    def learn(
        self,
        texts: Sequence[str],
        *,
        at: Time | None = None,
        who: str = "",
        audience: str | Sequence[str] = (),
    ) -> None:
        """Record texts, rated and embedded: as thoughts of the agent, or as utterances of ``who``.
        ``audience`` are the people who may know them (empty: everybody)."""
        if not texts:
            return
        now = at or datetime.now().replace(microsecond=0)
        asks: list[AnsweredAsk] = []
        self.sync_record_count()
        people = parse_audience(audience)
        # The audience sees the ratings, so they rest on nothing that is not for it.
        shown = trusted_state(self.state, people or (EVERYBODY,), self.memory)
        thought = traced(learn_thought(self.persona, shown, tuple(texts), now, who, people), asks)
        decision = drive({self.id: thought}, AskRouter({self.id: self}, at=now))[self.id]
        after = decision.state
        state = replace(self.state, records=after.records, reflect_left=after.reflect_left)
        step = _make_step(replace(decision, state=state), asks)
        self.commit(step, number=self.memory.index.last_step, at=now)

    # -- chats -------------------------------------------------------------------------------

    @check_arguments
    def chat(
        self,
        text: str,
        person: str = "user",
        *,
        session: Sequence[Utterance] = (),
        at: Time | None = None,
        on_text: Callable[[str], None] | None = None,
        approve: Approver | None = None,
        listener: ProgressListener | None = None,
    ) -> Reply:
        """Reply to one message of a person, and record both. The first chat bootstraps the agent.

        ``session`` are the utterances before the message. ``on_text`` receives the reply piece by
        piece, and empty pieces while drafts are generated; an exception that it raises stops the
        reply. ``listener`` receives the progress of tools. Chats may run in any number of
        threads: different persons are answered at once, in one batch of the model, the messages
        of one person in their order.

        If no reply could be made, its ``resolve`` is "failed", its text empty, and ``failure``
        says why; the message is recorded. If the policy wants a person's approval of a tool call,
        ``approve`` is asked; without it the reply has requests in ``waits``, is kept in the
        store, and goes on with ``answer``.

        Raises SettingError for an invalid text, person, time or session.
        """
        now = datetime.now().replace(microsecond=0) if at is None else at
        turn = self.new_turn(text, person, session, now)
        return turn.run(TurnCallbacks(on_text=on_text, approve=approve, listener=listener))

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
        """A turn of a chat, which ``run`` answers, with other settings and hooks than the agent's
        if given, and with further tools. Raises the errors of ``chat``."""
        before = tuple(validate_utterance(line, f"session[{n}]") for n, line in enumerate(session))
        settings = settings or self.chat_settings
        if isinstance(at, datetime):
            settings, at = settings.at_moment(at)
        message = Utterance(validate_person_name(self.id, person), text, at)
        turn = ChatTurn(
            self,
            validate_utterance(message, "chat"),
            before,
            settings=settings,
            hooks=hooks or self.hooks,
            place=place or TurnPlace(),
            extra_tools=tuple(extra_tools),
        )
        self.bootstrap(at=at)
        return turn

    @check_arguments
    def session(
        self, person: str = "user", name: str = "main", *, settings: ChatSettings | None = None
    ) -> Session:
        """The conversation of a person with this agent, as the store keeps it; ``name``
        distinguishes several of them. ``settings`` are the agent's own unless given."""
        return Session(self, person, name=name, settings=settings)

    @exclusive(_store_lock)
    def sessions(self, person: str = "user") -> tuple[str, ...]:
        """The names of a person's sessions, the oldest first."""
        return SessionLog(self.memory).names(validate_person_name(self.id, person))

    def stream(
        self, text: str, person: str = "user", *, approve: Approver | None = None
    ) -> ReplyStream:
        """Reply to a message of a person's main session as a stream of events."""
        return self.session(person).stream(text, approve=approve)

    begin_reply = stream
    """The same for a loop that polls, such as that of a game."""

    async def achat(
        self, text: str, person: str = "user", *, approve: Approver | None = None
    ) -> Reply:
        """Reply to a message of a person's main session, in an event loop."""
        return await self.stream(text, person, approve=approve)

    def astream(
        self, text: str, person: str = "user", *, approve: Approver | None = None
    ) -> AsyncIterator[ReplyEvent]:
        """``stream`` for ``async for``."""
        return aiter(self.stream(text, person, approve=approve))

    @check_arguments
    def answer(
        self,
        key: str,
        yes: bool,
        *,
        note: str = "",
        by: str = "",
        on_text: Callable[[str], None] | None = None,
        approve: Approver | None = None,
        listener: ProgressListener | None = None,
    ) -> Reply:
        """Answer the approval request ``key`` of a reply that waits, and go on with the reply,
        also in another process. Raises SettingError if nothing waits under that key."""
        approval = Approval(yes, note, by)
        callbacks = TurnCallbacks(on_text=on_text, approve=approve, listener=listener)
        return ChatTurn.resume(self, key, approval, callbacks)

    def stream_answer(
        self,
        key: str,
        yes: bool,
        *,
        note: str = "",
        by: str = "",
        approve: Approver | None = None,
    ) -> ReplyStream:
        """``answer`` as a stream of events."""
        approval = Approval(yes, note, by)
        return ReplyStream(
            lambda work: ChatTurn.resume(self, key, approval, work.callbacks(approve)),
            name=f"reply of {self.id}",
        )

    def pending_requests(self) -> tuple[ApprovalRequest, ...]:
        """The tool calls of this agent's replies and steps that wait for an approval."""
        requests = ToolCallLog(self.memory.store).pending_approvals()
        return tuple(request for request in requests if request.who == self.id)

    @check_arguments
    @exclusive(_store_lock)
    def release(
        self,
        record: RecordId,
        *,
        audience: str | Sequence[str] | None = None,
        clear: Sequence[str] = (),
        by: str,
        why: str = "",
    ) -> Record:
        """Copy a record under a wider ``audience``, or without the sources that the patterns
        ``clear`` match, on the authority of ``by``; the tool-call log keeps that. Returns the
        copy. Raises SettingError if nothing would be released."""
        return release_record(self.memory, record, audience=audience, clear=clear, by=by, why=why)

    # -- corrections and snapshots -----------------------------------------------------------

    @property
    def corrections(self) -> Corrections:
        """Corrects and forgets single records of the memory, embedded by the agent's model."""
        return agent_corrections(self, self.persona)

    @check_arguments
    @exclusive(_store_lock)
    def snapshot(self, label: str = "", *, at: Time | None = None) -> Snapshot:
        """``Memory.snapshot``, with the state of the agent: a savegame."""
        return self.memory.snapshot(label, at=at, state=to_json(self.state))

    @exclusive(_store_lock)
    def restore(self, snapshot: Snapshot | int) -> Snapshot:
        """``Memory.restore``, with the state of then. What its lifetime budget has paid for stays
        paid, and a reply that is being made meanwhile is made again."""
        restored = self.memory.restore(snapshot)
        self._set_state(state_at_restore(restored, self.persona, self.state))
        self._bootstrapped = False
        return restored


def _toolbox_with_policy(
    toolbox: Toolbox, policy: Policy | None, trusted: Iterable[str]
) -> Toolbox:
    rules = toolbox.policy if policy is None else validate_policy(policy, "agent")
    patterns = validate_patterns(trusted, "agent: 'trusted'")
    rules = replace(rules, trusted=(*rules.trusted, *patterns))
    return toolbox if rules == toolbox.policy else toolbox.with_policy(rules)


def _make_step(decision: Decision, asks: Sequence[AnsweredAsk]) -> Step:
    return Step(
        action=decision.action,
        state=decision.state,
        records=decision.records,
        embedded=decision.embedded,
        used=decision.used,
        why=decision.why,
        asks=tuple(asks),
    )
