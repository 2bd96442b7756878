"""One message of a chat and its answer, which may wait for a person and go on later.

The thought behind an answer to a person: a turn of the agent's dialogue.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from ..core import (
    Action,
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
    to_json,
)
from ..memory import ToolCallLog
from ..memory.storage import has_source, name_forms
from ..planners import DialogueInput, DialogueReply, StepBuilder
from ..tools import ProgressListener
from .ask_router import AskRouter
from .thought_guard import tokens_used
from .tool_executor import ToolExecutor

if TYPE_CHECKING:
    from .agent import Agent


class TextStreamer:
    """Passes a reply's text on while it is made, and at last what of it was not: all of it
    where one of several drafts was chosen."""

    def __init__(self, on_text: Callable[[str], None] | None) -> None:
        self._on_text = on_text
        self._streamed: list[str] = []

    def __call__(self, piece: str) -> None:
        """Pass a piece on; empty ones, while drafts are written, too: who no longer listens
        may raise then."""
        self._streamed.append(piece)
        if self._on_text:
            self._on_text(piece)

    def finish(self, text: str) -> None:
        """Tell in words what of the whole text was not told."""
        streamed = "".join(self._streamed).strip()
        rest = text.removeprefix(streamed) if streamed else text
        if self._on_text:
            for piece in re.findall(r"\s*\S+", rest):
                self._on_text(piece)


@dataclass(frozen=True, slots=True)
class UsageCount:
    """How many calls and tokens something has used."""

    calls: int = 0
    tokens: int = 0


@dataclass
class ChatTurn:
    """A message to an agent on its way to an answer. A thought that waits is the message,
    the lines before it and the answers so far; running it again rebuilds it."""

    agent: Agent
    message: Utterance
    session: tuple[Utterance, ...] = ()
    scope: str = ""
    answers: dict[str, tuple[str, Answer]] = field(default_factory=dict)
    charged_usage: UsageCount = UsageCount()
    """The calls and tokens that its life was charged for already, while it waited."""

    @classmethod
    def from_suspended(cls, agent: Agent, key: str, approval: Approval) -> ChatTurn:
        """The message whose answer waits under ``key``, answered with ``approval``. Raises
        SettingError when there is none."""
        book = ToolCallLog(agent.memory.store)
        where = book.ask_id(key)
        scope = key.removeprefix(f"{agent.id}/").partition("/")[0]
        thought = book.load_suspended(scope, agent.id)
        if thought is None or where is None or where.agent != agent.id:
            raise SettingError(f"{agent.id}: no reply waits for an answer to '{key}'")
        # A process may have ended between a person's answer and what followed from it.
        if key in {request.key for request in book.pending_approvals()}:
            book.record_approval(key, approval)
        return cls(
            agent,
            from_json(Utterance, thought["message"]),
            tuple(from_json(Utterance, line) for line in thought["session"]),
            scope,
            {
                path: (mark, answer)
                for path, mark, one in thought["answers"]
                if not _rests_on_quarantined(agent, answer := answer_from_json(one))
            },
            UsageCount(*thought.get("used", (0, 0))),
        )

    def run(
        self,
        *,
        on_text: Callable[[str], None] | None = None,
        approve: Approver | None = None,
        listener: ProgressListener | None = None,
    ) -> Reply:
        """Think until there is an answer, which is committed, or a call that waits."""
        agent = self.agent
        if agent.in_chat:
            raise SettingError(
                f"{agent.id}: is answering somebody, and what is called meanwhile cannot talk "
                "with it too; let a tool use its memory, or talk with another agent"
            )
        agent.in_chat = True
        # Charged for anew with all of the thought, whether it is committed or not.
        agent.charge_usage(-self.charged_usage.calls, -self.charged_usage.tokens, kept=False)
        try:
            return self._run(on_text, approve, listener)
        finally:
            agent.in_chat = False

    def _run(
        self,
        on_text: Callable[[str], None] | None,
        approve: Approver | None,
        listener: ProgressListener | None,
    ) -> Reply:
        agent = self.agent
        store = agent.memory.store
        book = ToolCallLog(store) if store.write else None
        minds = {agent.id: agent}
        caller = ToolExecutor(
            minds,
            self.message.at,
            book,
            approve,
            listener,
            self.scope,
            in_chat=True,
            person=self.message.who,
        )
        telling = TextStreamer(on_text)
        faculties = _RecordedAnswers(
            AskRouter(minds, at=self.message.at, on_text=telling, priority=-1, caller=caller),
            self.answers,
        )
        thought = agent.reply(self.message, self.session)
        try:
            reply = drive({agent.id: thought}, faculties)[agent.id]
            # Before it is written: who no longer listens may still break it off.
            telling.finish(reply.text)
        except BaseException as error:
            # What is not committed has cost something all the same.
            self.charged_usage = UsageCount(
                self.charged_usage.calls + faculties.used.calls,
                self.charged_usage.tokens + faculties.used.tokens,
            )
            agent.charge_usage(self.charged_usage.calls, self.charged_usage.tokens)
            if not isinstance(error, ApprovalRequired):
                raise
            if book:
                book.save_suspended(caller.scope, agent.id, self._suspended_json())
            idle = Step(action=Action("wait"), state=agent.state, why=str(error))
            return Reply(text="", step=idle, waits=error.requests, resolve="waiting")
        with store.transaction():
            reply = replace(reply, step=_renumbered(reply.step, agent.memory.next_id))
            agent.commit(reply.step, number=agent.memory.index.last_step, at=self.message.at)
            if book:
                book.flush()
                if self.scope:
                    book.delete_suspended(self.scope)
        return reply

    def _suspended_json(self) -> Json:
        return {
            "message": to_json(self.message),
            "session": [to_json(line) for line in self.session],
            "answers": [[path, mark, to_json(one)] for path, (mark, one) in self.answers.items()],
            "used": [self.charged_usage.calls, self.charged_usage.tokens],
        }


def _rests_on_quarantined(agent: Agent, answer: Answer) -> bool:
    """Whether an answer from before rests on the words of somebody who is quarantined by now:
    then it is asked anew."""
    memory = agent.memory
    if not memory.quarantined:
        return False
    if isinstance(answer, ToolResult):
        return has_source(answer.sources, name_forms(memory.quarantined))
    if not isinstance(answer, Recalled):
        return False
    records = [one for hit in answer.hits for one in (hit.record, *hit.around)]
    return any(memory.index.is_quarantined(record.id) for record in records)


def _renumbered(step: Step, number: RecordId) -> Step:
    """A step whose records begin with ``number``: a tool may have added some meanwhile."""
    by = number - step.records[0].id if step.records else 0
    if not by:
        return step

    def moved(one: RecordId) -> RecordId:
        return one + by if one >= number - by else one

    return replace(
        step,
        records=tuple(
            replace(one, id=moved(one.id), evidence=tuple(map(moved, one.evidence)))
            for one in step.records
        ),
        embedded={moved(one): vector for one, vector in step.embedded.items()},
        state=replace(step.state, records=step.state.records + by),
    )


def validate_utterance(line: Utterance, where: str) -> Utterance:
    """A line as it may be said: half an emoji is replaced by U+FFFD. Raises SettingError, with
    what to give instead, for what is no line."""
    if not isinstance(line, Utterance):
        raise SettingError(
            f"{where}: must be a Line, such as Line('Ada', 'Hello!', at), not {_type_name(line)}"
        )
    for name, value in (("person", line.who), ("text", line.text)):
        if not isinstance(value, str):
            raise SettingError(f"{where}: {name} must be a string, not {_type_name(value)}")
    if not isinstance(line.at, datetime):
        raise SettingError(f"{where}: at must be a datetime, not {_type_name(line.at)}")
    if line.at.tzinfo is not None:
        raise SettingError(
            f"{where}: at has a time zone ({line.at.isoformat()}), and the clock of a mind has "
            "none; give the time on its clock, such as at.replace(tzinfo=None)"
        )
    return replace(line, who=replace_surrogates(line.who), text=replace_surrogates(line.text))


def _type_name(value: object) -> str:
    return "None" if value is None else type(value).__name__


class _RecordedAnswers:
    """Faculties that take answers from before where the same is asked again."""

    def __init__(self, inner: AskHandler, answers: dict[str, tuple[str, Answer]]) -> None:
        self._inner = inner
        self._answers = answers
        self._ready: list[tuple[AskId, Answer]] = []
        self._asked: dict[str, str] = {}
        self.used = UsageCount()
        """What the answers used that were not there before."""

    def submit(self, where: AskId, ask: Ask) -> None:
        mark = digest(to_json(ask))
        known = self._answers.get(where.path)
        # The state may have changed since: then this is asked anew, and so is what follows.
        if known and known[0] == mark:
            self._ready.append((where, known[1]))
            return
        self._asked[where.path] = mark
        self._inner.submit(where, ask)

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        if self._ready:
            ready, self._ready = self._ready, []
            return ready
        answers = self._inner.wait()
        for where, answer in answers:
            self._answers[where.path] = (self._asked[where.path], answer)
            calls = int(isinstance(answer, ToolResult))
            self.used = UsageCount(self.used.calls + calls, self.used.tokens + tokens_used(answer))
        return answers


class Responder(Protocol):
    """How a mind answers a person's line: ``Dialogue``, or one's own.

    One with an attribute ``reads_state`` that is False is shown no part of the agent's state that
    rests on anybody's words, so that a chat does not rest on them either."""

    def reply(
        self, situation: Situation, heard: DialogueInput
    ) -> Thought[tuple[DialogueReply, Decision]]:
        """What to say, and the decision that remembers it."""
        ...


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
    """Answer a line of a person as the dialogue does, in no world. Only what is for everybody
    or for this person is recalled; with ``private`` both lines are remembered as for them."""
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
    """Make memories of texts, rated and embedded, and do nothing else: thoughts of its own, or
    of what ``who`` said."""
    draft = StepBuilder(
        _situation_outside_world(
            persona, state, (), now, Seed.of(0).child(persona.name, "learning")
        )
    )
    for text in texts:
        draft.add_record("utterance" if who else "thought", text, who=who, audience=audience)
    yield from draft.finalize()
    return draft.build(Action("wait"))


def _situation_outside_world(
    persona: Persona, state: AgentState, tools: tuple[ToolSpec, ...], now: Time, seed: Seed
) -> Situation:
    """The situation of a mind that is in no world."""
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
