"""Conversations of agents with one another, a line at a time, in which persons may take part."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Protocol

from ...core import (
    REDACTED_TEXT,
    Action,
    Affordance,
    AgentId,
    ConversationView,
    Failed,
    Generate,
    Input,
    ModelError,
    Observation,
    Planner,
    Reply,
    Resolution,
    Seed,
    SettingError,
    Step,
    Thought,
    Time,
    Utterance,
    drive,
    same_name,
    short_name,
    validate_person_name,
)
from ...planners import ConversationPlanner, DailySettings
from ..thoughts import AskRouter, ToolExecutor
from .cancellation import ReplyCancelled
from .chat_turn import ChatAgent, renumbered_step
from .reply_stream import ReplyStream, ReplyWork
from .responder import validate_utterance
from .state_merge import merge_state

_TEXT_FIELDS = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 1}},
    "required": ["text"],
}
_LISTENER_MAY = (Affordance("listen"), Affordance("leave"), Affordance("wait"))
_PATIENCE = 3
"""Silent turns of each agent after which a conversation ends."""
_VIEW_ID = "conversation"
_SPEAKER_MAY = (Affordance("say", "", _TEXT_FIELDS), *_LISTENER_MAY[1:])


class TalkingAgent(ChatAgent, Protocol):
    """An agent that can take part in a conversation: an ``Agent``."""

    planner: Planner

    def live(
        self,
        seen: Observation,
        can: Sequence[Affordance],
        inputs: Sequence[Input] = (),
        seed: Seed | None = None,
        *,
        now: Time | None = None,
    ) -> Thought[Step]:
        """The thought of one step in a world."""

    def bootstrap(self, *, at: Time | None = None) -> None:
        """Add the first memories, once."""


class Conversation:
    """A conversation of two or more agents, which persons may join; a line is made when the caller
    asks for one.

    The agents speak in turn, as in a simulated town: each says what its memory and the lines so
    far give it to say, all members hear it, and each remembers what was said. ``about`` is what
    the first line is about: a sentence to tell ("The mill is closed on Sunday.") or the name of a
    topic. ``near`` are persons within hearing, so nothing is said that is not for them.
    ``place`` is an address or a name of the place, for the scene. ``settings`` bound the number of
    lines; ``clock`` gives the time of a line (None: the computer's clock).

    A conversation ends when a member has nothing more to say or after ``settings.max_lines``
    lines. Its methods may be called from any thread; lines are made one after the other.

    Raises SettingError for fewer than two agents, or two of one name.
    """

    def __init__(
        self,
        agents: Sequence[TalkingAgent],
        about: str = "",
        *,
        near: Sequence[str] = (),
        place: str = "",
        settings: DailySettings | None = None,
        clock: Callable[[], Time] | None = None,
        seed: int = 0,
    ) -> None:
        self.agents = _checked_agents(agents)
        self.about = about.strip()
        self.near = tuple(near)
        self.place = place
        self.settings = settings or DailySettings()
        self._clock = clock or _now
        self._seed = Seed.of(seed)
        self._members: list[AgentId] = [agent.id for agent in self.agents]
        self._names = tuple(self._members)
        self._lines: tuple[Utterance, ...] = ()
        self._heard = dict.fromkeys(self._members, 0)
        self._silent = 0
        self._floor = self._members[0]
        self._ended = False
        self._closed: set[AgentId] = set()
        self._working = threading.Lock()
        self._changing = threading.Lock()
        self._current: ReplyStream | None = None

    @property
    def members(self) -> tuple[AgentId, ...]:
        """Who takes part now: the agents, and the persons who have said something."""
        return tuple(self._members)

    @property
    def lines(self) -> tuple[Utterance, ...]:
        """The lines so far."""
        return self._lines

    @property
    def ended(self) -> bool:
        """Whether it is over: no line will follow."""
        return self._ended

    @property
    def next_speaker(self) -> AgentId:
        """The agent whose line is next; empty at the end."""
        return "" if self._ended else self._floor

    # -- lines ---------------------------------------------------------------------------------

    def next_line(self, *, at: Time | None = None) -> Utterance | None:
        """The next line; None if it is over, or if the agent has nothing to say at this turn.

        Blocks until the line is made and all members have heard it. Raises ModelError if the
        model made none.
        """
        count = len(self._lines)
        reply = self._take_turn(at, None)
        if reply.failure is not None:
            raise ModelError(f"{self._floor}: no line could be made: {reply.failure.detail}")
        return self._lines[count] if reply.text else None

    def begin_line(self, *, at: Time | None = None) -> ReplyStream:
        """Begin to make the next line, in a thread: the stream is polled in the loop of a game,
        iterated, or cancelled.

        Its reply has the text and the step of the agent; the text is empty where ``next_line``
        returns None. A line that is cancelled before it was said has ``resolve`` "cancelled", and
        is remembered by nobody.
        """
        with self._changing:
            stream = ReplyStream(partial(self._take_turn, at), name="line of a conversation")
            self._current = stream
        return stream

    def __iter__(self) -> Iterator[Utterance]:
        while not self._ended:
            line = self.next_line()
            if line is not None:
                yield line

    def say(self, person: str, text: str, *, at: Time | None = None) -> Utterance:
        """A person says something, and takes part from now on. Returns at once.

        A line that is being made is cancelled, since it would not answer this. Who is called by
        name answers, else whose turn it is. Raises SettingError for an invalid person or text, and
        if the conversation is over.
        """
        for agent in self.agents:
            person = validate_person_name(agent.id, person)
        if any(same_name(person, name) for name in self._names):
            raise SettingError(f"conversation: '{person}' is an agent in it; use the person's name")
        if not isinstance(text, str) or not text.strip():
            raise SettingError("conversation: the text is empty; say something")
        line = validate_utterance(Utterance(person, text.strip(), at or self._clock()), "say")
        with self._changing:
            if self._ended:
                raise SettingError("conversation: is over; begin a new one")
            if self._current is not None:
                self._current.cancel()
            if person not in self._members:
                self._members.append(person)
            self._lines += (line,)
            self._silent = 0
            self._floor = self._called_by(line.text) or self._floor
        return line

    def leave(self, person: str) -> None:
        """A person goes out of the conversation, and hears nothing more."""
        with self._changing:
            if person in self._members and person not in self._names:
                self._members.remove(person)

    def _called_by(self, text: str) -> AgentId:
        """The agent whose name a text has; empty: none or several."""
        words = set(re.findall(r"\w+", text.lower()))
        present = [name for name in self._names if name in self._members]
        called = [name for name in present if short_name(name).lower() in words]
        return called[0] if len(called) == 1 else ""

    def _take_turn(self, at: Time | None, work: ReplyWork | None) -> Reply:
        """The turn of the agent that has the floor: a line, silence, or its leave."""
        with self._working:
            now = at or self._clock()
            agent = self._agent(self._floor)
            if self._ended:
                self._remember_all(now)
                return Reply(text="", step=Step(action=Action("wait"), state=agent.state))
            view = self._view(agent.id)

            def said(step: Step) -> None:
                text = _spoken_text(step)
                if work is not None:
                    work.on_text(text)

            try:
                step = self._live(agent, view, _SPEAKER_MAY, now, work, said)
            except ReplyCancelled:
                idle = Step(action=Action("wait"), state=agent.state)
                return Reply(text="", step=idle, resolve="cancelled")
            text = _spoken_text(step)
            failure = None if text else _failure_of(step)
            self._take_over(agent.id, step, text, now, failed=failure is not None)
            for other in self.agents:
                if text and other.id != agent.id and other.id in self._members:
                    heard = replace(self._view(other.id), floor=agent.id)
                    self._live(other, heard, _LISTENER_MAY, now, None, None)
            if step.action.verb == "leave" and not self._ended:
                self._remember(agent, now)
            if self._ended:
                self._remember_all(now)
            resolve: Resolution = "failed" if failure else "answer"
            return Reply(text=text, step=step, resolve=resolve, failure=failure)

    def _take_over(self, who: AgentId, step: Step, text: str, now: Time, *, failed: bool) -> None:
        """Change the conversation by what the agent did."""
        with self._changing:
            after = self._after(who)
            if text:
                label = (step.action.sources, step.action.audience)
                self._lines += (Utterance(who, text, now, *label),)
                self._silent = 0
            elif not failed:
                self._silent += 1
            if step.action.verb == "leave":
                self._members.remove(who)
            if not failed:
                self._floor = after
            agents = [name for name in self._members if name in self._names]
            longest = self._silent >= _PATIENCE * len(agents)
            if len(agents) < 2 or longest or len(self._lines) >= self.settings.max_lines:
                self._ended = True

    def _after(self, who: AgentId) -> AgentId:
        """The agent whose turn follows."""
        agents = [name for name in self._names if name in self._members]
        return agents[(agents.index(who) + 1) % len(agents)] if who in agents else agents[0]

    # -- the end -------------------------------------------------------------------------------

    def close(self, *, at: Time | None = None) -> None:
        """End the conversation: every agent remembers what it has learned from it. Blocks."""
        with self._changing:
            self._ended = True
            if self._current is not None:
                self._current.cancel()
        with self._working:
            self._remember_all(at or self._clock())

    def begin_close(self, *, at: Time | None = None) -> ReplyStream:
        """``close`` in a thread."""

        def work(stream: ReplyWork) -> Reply:
            self.close(at=at)
            return Reply(text="", step=Step(action=Action("wait"), state=self.agents[0].state))

        return ReplyStream(work, name="end of a conversation")

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def _remember_all(self, now: Time) -> None:
        for agent in self.agents:
            self._remember(agent, now)

    def _remember(self, agent: TalkingAgent, now: Time) -> None:
        """Let an agent remember the conversation as one that is over, once."""
        if agent.id in self._closed or not self._lines:
            return
        everybody = dict.fromkeys((*self._names, *self._members, *(x.who for x in self._lines)))
        view = replace(self._view(agent.id), members=tuple(everybody), floor="", ended=True)
        self._live(agent, view, (), now, None, None)
        self._closed.add(agent.id)

    # -- one agent -----------------------------------------------------------------------------

    def _agent(self, name: AgentId) -> TalkingAgent:
        return next(agent for agent in self.agents if agent.id == name)

    def _view(self, who: AgentId) -> ConversationView:
        """The conversation as one agent hears it."""
        with self._changing:
            lines = tuple(
                line
                if not line.audience or who == line.who or who in line.audience
                else Utterance(line.who, REDACTED_TEXT, line.at)
                for line in self._lines
            )
            return ConversationView(_VIEW_ID, tuple(self._members), self._floor, lines)

    def _live(
        self,
        agent: TalkingAgent,
        view: ConversationView,
        may: Sequence[Affordance],
        now: Time,
        work: ReplyWork | None,
        before_commit: Callable[[Step], None] | None,
    ) -> Step:
        """One step of an agent in the conversation, committed. The agent's store is free while the
        thought waits for the model; what other turns of the agent changed meanwhile is kept."""
        store = agent.memory.store
        check = partial(work.on_text, "") if work is not None else None
        seen = Observation(agent.id, now, self.place, talk=view, hearers=self.near)
        seed = self._seed.child(agent.id, str(len(view.lines)), str(self._silent), str(view.ended))
        with store.owner:
            agent.bootstrap(at=now)
            agent.sync_record_count()
            before, generation = agent.state, agent.memory.generation
            talker = copy(agent)
            talker.planner = ConversationPlanner(settings=self.settings, about=self.about)
            talker.state = replace(before, talk_seen=self._heard[agent.id])
            router = AskRouter(
                {agent.id: agent},
                at=now,
                executor=ToolExecutor({agent.id: agent}, now),
                waiting=store.owner.released,
                check=check,
            )
            try:
                thought = talker.live(seen, may, (), seed, now=now)
                with work.cancel.calling(router.interrupt) if work else nullcontext():
                    step = drive({agent.id: thought}, router)[agent.id]
            finally:
                router.close()
            if agent.memory.generation != generation:
                # A savegame was loaded, or a record corrected: it may rest on what is gone.
                if before_commit:
                    raise ReplyCancelled
                return self._live(agent, view, may, now, work, before_commit)
            if before_commit:
                before_commit(step)
            heard = step.state.talk_seen
            state = replace(step.state, talk_seen=before.talk_seen)
            with store.transaction():
                step = replace(step, state=merge_state(state, before, agent.state))
                step = renumbered_step(step, agent.memory.next_id)
                agent.commit(step, number=agent.memory.index.last_step, at=now)
            self._heard[agent.id] = heard
        return step


def _checked_agents(agents: Sequence[TalkingAgent]) -> tuple[TalkingAgent, ...]:
    names = [agent.id for agent in agents]
    if len(names) < 2:
        raise SettingError("conversation: needs two agents or more; give [a, b]")
    for place, name in enumerate(names):
        if any(same_name(name, other) for other in names[:place]):
            raise SettingError(f"conversation: two agents are called '{name}'; rename one of them")
    return tuple(agents)


def _spoken_text(step: Step) -> str:
    """The line that a step says; empty if it says none."""
    fields = step.action.fields or {}
    return str(fields.get("text", "")).strip() if step.action.verb == "say" else ""


def _failure_of(step: Step) -> Failed | None:
    """Why a step has no line, if the model could not make one."""
    failures = (
        asked.answer
        for asked in step.asks
        if isinstance(asked.ask, Generate) and isinstance(asked.answer, Failed)
    )
    return next(failures, None)


def _now() -> Time:
    return datetime.now().replace(microsecond=0)
