"""An agent: a persona with a model, a memory, a planner and tools."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Literal

from ..core import (
    EVERYBODY,
    UNKNOWN_SOURCE,
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
    RecordKind,
    Reply,
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
    format_utterance,
    join_labels,
    parse_audience,
    record_label,
    replace_surrogates,
    source_name,
    to_json,
    traced,
    validate_person_name,
)
from ..memory import Documents, Memory, ToolCallLog, document_input, memories_input, write_log_line
from ..memory.documents import IMAGES_SUFFIX
from ..memory.storage import name_forms
from ..planners import Daily, Dialogue
from ..tools import AnyTool, Policy, ProgressListener, Toolbox, validate_patterns, validate_policy
from .ask_router import AskRouter, warn_of_failed_recall
from .chat_turn import ChatTurn, Responder, learn_thought, reply_thought, validate_utterance
from .declassification import RELEASE_LOG, log_release, release_record
from .maintenance import (
    Maintenance,
    add_utterances,
    cited_places,
    idle_step,
    is_new_day,
    learn_facts,
    with_maintenance,
)
from .skills import run_skills
from .thought_guard import StoppedThought, ThoughtGuard, run_guarded
from .thought_labels import (
    activity_labels,
    find_listeners,
    label_decision,
    label_heard_goals,
    label_state,
    labelled_inputs,
    parts_from_sources,
    redact_observation,
    restore_labels,
    utterance_label,
    visible_people,
    visible_state,
    withheld_utterances,
)

# Of what only happens once, these are perceived like what is around; refusals and the turns
# of a talk are for the planner, which has them in the observation.
NOTICE_KINDS = ("news", "object")
# Inputs for the memory alone, which no planner sees.
_MEMORY_INPUT_KINDS = ("document", "memories")
# Among so many of its last utterances a line of its own is looked for.
_RECENT_UTTERANCES = 400
# Key of the store's header: whose memory has what its agent begins with.
_BOOTSTRAP_KEY = "agent.begun"


def _store_lock(agent: Agent) -> ContextLock:
    return agent.memory.store.owner


class Agent:
    """Perceives, recalls, decides and acts; the very same mind lives in a world and chats.

    ``live`` and ``reply`` only think; ``commit`` alone writes, to the memory and the state.
    Without ``planner`` it lives by Daily.

    ``private_talk``: what a person says in a chat, and what is answered, is recalled in chats
    with that person only. On unless switched off, since what was let out cannot be taken
    back; off, the agent may tell everybody what anybody told it. ``dialogue`` is how it
    answers in a chat. ``documents`` are files it reads before its first step or chat,
    ``memories`` records it takes over then, ``maintenance`` says what its memory does each night.

    ``policy`` bounds what it may do with its tools (None: the toolbox's own); ``trusted`` are
    patterns of those whose words do not withdraw its right to act: see ``Policy``.
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
        upkeep: Maintenance | None = None,
    ) -> None:
        if memory.agent != persona.name:
            raise SettingError(
                f"{persona.name}: the memory in {memory.store.name} is opened as that of "
                f"'{memory.agent}'; open it as Memory(..., {persona.name!r})"
            )
        if persona.name.endswith(IMAGES_SUFFIX):
            raise SettingError(
                f"{persona.name}: a name that ends in '{IMAGES_SUFFIX}' is that of somebody's "
                f"pictures; "
                "give another"
            )
        self.private_talk = private_talk
        self.documents = _unique_documents(persona.name, documents)
        self.memories = tuple(memories)
        self.maintenance = upkeep or Maintenance()
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
        self.in_chat = False
        """Whether a chat with it is going on: a tool of its own cannot begin another."""
        self.state = state or AgentState(
            currently=persona.currently,
            reflect_left=persona.reflect_after,
            records=len(memory),
        )
        self._restore_usage()

    @property
    def id(self) -> AgentId:
        """The agent's name in a world."""
        return self.persona.name

    def live(
        self,
        seen: Observation,
        can: Sequence[Affordance],
        inputs: Sequence[Input] = (),
        seed: Seed | None = None,
        *,
        now: Time | None = None,
    ) -> Thought[Step]:
        """One step of life: perceive what is fresh and let the planner decide.

        Writes nothing; the Step says what ``commit`` will write.
        """
        self._sync_record_count()
        listeners = find_listeners(seen, can)
        whole, seen = seen, redact_observation(seen, listeners)
        own = restore_labels(self.state)
        state = self._visible_state(own, listeners)
        lately = set(self.state.perceived)
        around = (*seen.events, *(one for one in seen.notices if one.kind in NOTICE_KINDS))
        situation = Situation(
            persona=self.persona,
            state=state,
            seen=seen,
            # Runs from before there were labels have the texts themselves.
            fresh=tuple(e for e in around if e.key not in lately and e.text not in lately),
            can=tuple(can),
            tools=self.tools.specs(),
            inputs=tuple(inputs),
            now=now or seen.at,
            seed=seed or Seed.of(0).child(self.id, seen.at.isoformat()),
            step_seconds=self.step_seconds,
            listeners=listeners,
        )
        asks: list[AnsweredAsk] = []
        guard = self.new_guard(
            listeners=listeners,
            given=labelled_inputs(seen, inputs, self.id),
            labels=chain(activity_labels(seen, self.id), state.labels.values()),
        )
        thought = run_skills(
            self.planner.decide(situation),
            self.tools,
            who=self.id,
            now=situation.now,
            person=guard.person,
            guard=guard,
        )
        done = yield from run_guarded(thought, guard, asks)
        states = (own, state)
        if any(one.kind == "whisper" for one in inputs) and isinstance(done, Decision):
            states = label_heard_goals(own, situation, done.state)
        step = self._finish_step(done, asks, guard, states, can, visible_people(seen))
        if lines := withheld_utterances(whole, seen, own, step.state):
            step = yield from add_utterances(self.id, step, lines, situation.now)
        return step

    def tick(
        self,
        seen: Observation,
        can: Sequence[Affordance],
        inputs: Sequence[Input] = (),
        seed: Seed | None = None,
        *,
        now: Time | None = None,
    ) -> Thought[Step]:
        """``live``, and beside it the memory reads what it is given and does its ``maintenance``:
        all part of the one Step. Writes nothing."""
        other = tuple(given for given in inputs if given.kind not in _MEMORY_INPUT_KINDS)
        life = self.live(seen, can, other, seed, now=now)
        return with_maintenance(self, life, inputs, now or seen.at)

    def reply(
        self, message: Utterance, session: Sequence[Utterance] = (), *, seed: Seed | None = None
    ) -> Thought[Reply]:
        """Answer a person's line, given the lines before it. Writes nothing."""
        asks: list[AnsweredAsk] = []
        message = validate_utterance(message, "reply")
        message = replace(message, who=validate_person_name(self.id, message.who))
        self._sync_record_count()
        listeners = (message.who,)
        own = restore_labels(self.state)
        state = self._visible_state(own, listeners, getattr(self.dialogue, "reads_state", True))
        guard = self.new_guard(
            listeners=listeners,
            given=self._labelled_lines(message, session),
            labels=state.labels.values(),
        )
        answering = reply_thought(
            self.dialogue,
            self.persona,
            state,
            message,
            tuple(session),
            self.tools.specs(),
            seed or Seed.of(0).child(self.id, message.at.isoformat(), message.text),
            self.private_talk,
        )
        thought = run_skills(
            answering,
            self.tools,
            who=self.id,
            now=message.at,
            person=message.who,
            guard=guard,
        )
        done = yield from run_guarded(thought, guard, asks)
        warn_of_failed_recall(self.id, asks)
        if isinstance(done, StoppedThought):
            failure = Failed(reason=done.reason, detail=done.why)
            step = self._finish_step(done, asks, guard, (own, state))
            return Reply(text="", step=step, resolve="failed", failure=failure)
        said, decision = done
        return Reply(
            text=said.text,
            step=self._finish_step(decision, asks, guard, (own, state)),
            cited=said.cited,
            receipts=tuple(one.receipt for one in said.calls if one.receipt),
            held=said.held,
            resolve=said.resolve,
            sources=cited_places(asks, said.text, message.text, self.memory),
            failure=said.failure,
        )

    def _visible_state(
        self, state: AgentState, listeners: tuple[AgentId, ...], whole: bool = True
    ) -> AgentState:
        """What of its state a thought is given: nothing that is not for all its listeners, nor
        of the words of somebody who is quarantined; unless ``whole``, nothing of others' words."""
        distrusted = self.memory.quarantined
        forms = name_forms(distrusted)
        suspect = parts_from_sources(state, forms) if whole else tuple(state.labels)
        if whole and "schedule" in suspect:
            # The day is planned anew, of what is left.
            state = replace(state, day="")
        return visible_state(state, listeners, suspect, forms)

    def _restore_usage(self) -> None:
        """What was used in earlier processes counts for a life."""
        calls, tokens = ToolCallLog(self.memory.store).usage(self.id)
        if calls > self.state.calls or tokens > self.state.tokens:
            calls, tokens = max(calls, self.state.calls), max(tokens, self.state.tokens)
            self.state = replace(self.state, calls=calls, tokens=tokens)

    def _sync_record_count(self) -> None:
        """Count on from what the memory holds: records may have been added beside a thought."""
        held = len(self.memory)
        if self.state.records != held:
            self.state = replace(self.state, records=held)

    def new_guard(
        self,
        *,
        listeners: Iterable[AgentId] = (),
        given: Iterable[tuple[ThoughtInput, Label]] = (),
        labels: Iterable[Label] = (),
    ) -> ThoughtGuard:
        """What watches one thought of this agent: see ThoughtGuard."""
        return ThoughtGuard(
            self.id,
            self.tools,
            calls=self.state.calls,
            tokens=self.state.tokens,
            whose=lambda record: self.memory.sources(record.id),
            listeners=listeners,
            given=given,
            labels=labels,
        )

    def _labelled_lines(
        self, message: Utterance, session: Sequence[Utterance]
    ) -> Iterator[tuple[ThoughtInput, Label]]:
        """The lines of a chat, each with its label: in private they are for that person."""
        circle = (message.who,) if self.private_talk else ()
        kinds: tuple[RecordKind, ...] = ("utterance",)
        own = any(line.who == self.id for line in session)
        lately = self.memory.records(kinds=kinds, last=_RECENT_UTTERANCES) if own else ()
        known = {
            record.text: record_label(record, self.id) for record in lately if record.who == self.id
        }
        for line in (*session, message):
            label = utterance_label(line, self.id)
            if line.who == self.id and line.text.strip():
                text = format_utterance(self.id, message.who, line.text)
                label = known.get(text) or self._unknown_line_label(message.who, len(lately))
            elif not line.who:
                label = join_labels((label, Label((UNKNOWN_SOURCE,))), self.id)
            yield line, join_labels((label, Label((), circle)), self.id)

    def _unknown_line_label(self, person: AgentId, searched: int) -> Label:
        """The label of a line that it does not know to have said: somebody else puts it into
        its mouth, or it said it long ago, or on words that are forgotten now."""
        lost = searched >= _RECENT_UTTERANCES or any(
            one.what == "forgotten" for one in self.memory.audit_log
        )
        return Label(
            (source_name(person), UNKNOWN_SOURCE) if lost else (source_name(person),), (person,)
        )

    def _finish_step(
        self,
        done: Decision | StoppedThought,
        asks: list[AnsweredAsk],
        guard: ThoughtGuard,
        states: tuple[AgentState, AgentState],
        can: Sequence[Affordance] = (),
        people: Iterable[AgentId] = (),
    ) -> Step:
        """What is to be written, with its labels; a thought that was stopped waits, and changes
        nothing. ``states`` are the agent's own, and what of it the thought was shown;
        ``people`` are those it sees and hears."""
        own, shown = states
        stopped: Literal["", "budget"] = ""
        if isinstance(done, StoppedThought):
            stopped, why = done.reason, f"The thought was ended: {done.why}."
            done = Decision(action=Action("wait"), state=shown, why=why)
        done = label_decision(done, guard, can)
        done = replace(done, state=label_state(own, shown, done.state, guard, people))
        life = self.tools.policy.life
        if life.calls is not None or life.tokens is not None:
            calls, tokens = self.state.calls + guard.calls, self.state.tokens + guard.tokens
            done = replace(done, state=replace(done.state, calls=calls, tokens=tokens))
        step = _make_step(done, asks, stopped)
        if not guard.released:
            return step
        lines = tuple((RELEASE_LOG, to_json(one)) for one in guard.released)
        return replace(step, beside=(*step.beside, *lines))

    def commit(self, step: Step, *, number: int = 0, at: Time) -> None:
        """Write a step: new memories, last accesses, the next state. The only writer;
        all of it or nothing, inside the caller's transaction where one is open: with that the
        state is rolled back too."""
        if not self.memory.store.write:
            self.write_step(step, number=number, at=at)
            return
        with self.memory.store.transaction():
            self.write_step(step, number=number, at=at)

    def write_step(self, step: Step, *, number: int, at: Time) -> None:
        """What ``commit`` does, for who commits many agents in one transaction, and rolls all
        of it back where one raises."""
        if self.maintenance.claims and is_new_day(at, self.step_seconds):
            learn_facts(self.memory, at, number)
        if step.records:
            self.memory.add(step.records, step.embedded, step=number)
        if step.used:
            self.memory.mark_accessed(step.used, step=number, at=at)
        for log, line in step.beside:
            if log == RELEASE_LOG:
                log_release(self, step.records, line, number)
            else:
                write_log_line(self.memory.store, self.id, log, line, step=number)
        self._set_state(step.state)

    def charge_guard(self, guard: ThoughtGuard) -> None:
        """Count what a thought that is not committed has used, where a life is bounded."""
        self.charge_usage(guard.calls, guard.tokens)

    def charge_usage(self, calls: int, tokens: int, *, kept: bool = True) -> None:
        """Count calls and tokens for its life, where that is bounded; not ``from_suspended``: for
        as long
        as this object lives."""
        life = self.tools.policy.life
        if life.calls is None and life.tokens is None:
            return
        calls, tokens = self.state.calls + calls, self.state.tokens + tokens
        state = replace(self.state, calls=calls, tokens=tokens)
        if kept:
            self._set_state(state)
        else:
            self.state = state

    def _set_state(self, state: AgentState) -> None:
        """Take a state over; in a transaction, until that is rolled back."""
        before, store = self.state, self.memory.store
        if (state.calls, state.tokens) != (before.calls, before.tokens) and store.write:
            ToolCallLog(store).save_usage(self.id, state.calls, state.tokens)
        store.on_rollback(lambda: setattr(self, "state", before))
        self.state = state

    @check_arguments
    @exclusive(_store_lock)
    def read(self, path: Path | str, *, at: Time | None = None) -> None:
        """Take a document (text, Markdown, HTML, PDF, CSV) into the memory, embedded by the
        agent's model; recall finds its pieces, replies cite them. Raises as ``Documents.add``."""
        self._ingest(document_input(path, self.id), at)

    def _ingest(self, given: Input, at: Time | None) -> None:
        now = at or datetime.now().replace(microsecond=0)
        self._sync_record_count()
        thought = with_maintenance(self, idle_step(self.state), (given,), now)
        step = drive({self.id: thought}, AskRouter({self.id: self}, at=now))[self.id]
        with self.memory.store.transaction():
            self.commit(step, number=self.memory.index.last_step, at=now)

    @exclusive(_store_lock)
    def bootstrap(self, *, at: Time | None = None) -> None:
        """Once in the life of its memory it takes over its ``memories`` and learns the persona's
        facts, whatever else was written there before; of its documents it reads those that it
        never took in. Where an earlier start broke off, this one goes on from there."""
        if self._bootstrapped:
            return
        store, done = self.memory.store, f"{_BOOTSTRAP_KEY}.{self.id}"
        if store.write and self.memory.as_of_step is None and not store.get(done):
            memories, facts = self._missing_initial_memories()
            if memories:
                self._ingest(memories_input(memories, self.id), at)
            self.learn(facts, at=at)
            store.put(done, True)
        held = Documents(self.memory)
        for path in self.documents:
            if not held.was_imported(path.name):
                self.read(path, at=at)
        store.on_rollback(lambda: setattr(self, "_bootstrapped", False))
        self._bootstrapped = True

    def _missing_initial_memories(self) -> tuple[tuple[Record, ...], tuple[str, ...]]:
        """The memories and facts that are yet to be taken over; none where something was erased
        or lost since, which they might bring back."""
        if not (self.memories or self.persona.facts):
            return (), ()
        if any(entry.what in ("forgotten", "damaged") for entry in self.memory.audit_log):
            return (), ()
        texts = {record.text for record in self.memory.records()}
        new = texts.isdisjoint(record.text for record in self.memories)
        facts = tuple(fact for fact in self.persona.facts if replace_surrogates(fact) not in texts)
        return (self.memories if new else ()), facts

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
        """Take texts into the memory, rated and embedded: as thoughts of its own, or as what
        ``who`` said; they are for ``audience`` (empty: for everybody)."""
        if not texts:
            return
        now = at or datetime.now().replace(microsecond=0)
        asks: list[AnsweredAsk] = []
        self._sync_record_count()
        people = parse_audience(audience)
        # How they are rated is seen by those whom they are for.
        state = self._visible_state(self.state, people or (EVERYBODY,))
        made = learn_thought(self.persona, state, tuple(texts), now, who, people)
        thought = traced(made, asks)
        decision = drive({self.id: thought}, AskRouter({self.id: self}, at=now))[self.id]
        after = decision.state
        kept = replace(self.state, records=after.records, reflect_left=after.reflect_left)
        decision = replace(decision, state=kept)
        self.commit(_make_step(decision, asks), number=self.memory.index.last_step, at=now)

    @check_arguments
    @exclusive(_store_lock)
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
        """Answer and remember one message of a person. ``measure_text_facts`` gets the reply's text
        piece by piece, and empty pieces while drafts of it are written (what it raises breaks
        the reply off); ``listener`` what tools say while they work. Who remembers nothing yet
        learns the persona's facts and reads its documents first. ``person`` is a name (see
        ``validate_person_name``): who has none is not talked with. From several threads, chats of
        agents of
        one store go one after the other. Raises SettingError for a text, a person or a time that
        is none.

        Where no answer could be made the reply's ``resolve`` is ``failed``, its text empty and
        its ``failure`` says why; what the person said is remembered.

        Where the policy wants a person's leave for a call, ``approve`` is asked; without it the
        reply ``waits``, is kept in the memory's store, and goes on with ``answer``."""
        now = datetime.now().replace(microsecond=0) if at is None else at
        before = tuple(validate_utterance(line, f"session[{n}]") for n, line in enumerate(session))
        line = validate_utterance(
            Utterance(validate_person_name(self.id, person), text, now), "chat"
        )
        self.bootstrap(at=at)
        talk = ChatTurn(self, line, before)
        return talk.run(on_text=on_text, approve=approve, listener=listener)

    @check_arguments
    @exclusive(_store_lock)
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
        """Answer a request of a reply that waits, by its key, and go on with it, also in
        another process. Raises SettingError when nothing waits under that key."""
        talk = ChatTurn.from_suspended(self, key, Approval(yes, note, by))
        return talk.run(on_text=on_text, approve=approve, listener=listener)

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
        """Write a memory anew that is for more people or rests on fewer sources, on the word of
        ``by``; the book of calls keeps that. See ``agents.releases.release_record``."""
        return release_record(self, record, audience=audience, clear=clear, by=by, why=why)

    def pending_requests(self) -> tuple[ApprovalRequest, ...]:
        """The calls of this agent's replies and steps that wait for a person."""
        waiting = ToolCallLog(self.memory.store).pending_approvals()
        return tuple(request for request in waiting if request.who == self.id)


def _unique_documents(who: AgentId, documents: Sequence[Path | str]) -> tuple[Path, ...]:
    """The files, each once. Raises SettingError for two of one name: a memory knows documents by
    their names, and would take the second for the first."""
    files: dict[str, Path] = {}
    for path in map(Path, documents):
        other = files.setdefault(path.name, path)
        if other.absolute() != path.absolute():
            raise SettingError(
                f"{who}: the documents {other} and {path} have one name, by which they are cited; "
                "rename one of them"
            )
    return tuple(files.values())


def _toolbox_with_policy(box: Toolbox, policy: Policy | None, trusted: Iterable[str]) -> Toolbox:
    rules = box.policy if policy is None else validate_policy(policy, "agent")
    rules = replace(
        rules, trusted=(*rules.trusted, *validate_patterns(trusted, "agent: 'trusted'"))
    )
    return box if rules == box.policy else box.with_policy(rules)


def _make_step(
    decision: Decision, asks: list[AnsweredAsk], stopped: Literal["", "budget"] = ""
) -> Step:
    return Step(
        action=decision.action,
        state=decision.state,
        records=decision.records,
        embedded=decision.embedded,
        used=decision.used,
        why=decision.why,
        asks=tuple(asks),
        stopped=stopped,
    )
