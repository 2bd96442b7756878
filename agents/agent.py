"""An agent: a persona with a model, a memory, a planner and tools."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from ..core import (
    Affordance,
    AgentId,
    AgentState,
    Asked,
    Decision,
    Input,
    Line,
    Model,
    Observation,
    Persona,
    Planner,
    Reply,
    Seed,
    Situation,
    Step,
    Thought,
    Time,
    drive,
    traced,
)
from ..memory import Memory
from ..planners import Daily
from ..tools import AnyTool, Toolbox
from .faculties import Minds
from .replying import learning, replying

# Of what only happens once, these are perceived like what is around; refusals and the turns
# of a talk are for the planner, which has them in the observation.
TOLD = ("news", "object")


class Agent:
    """Perceives, recalls, decides and acts; the very same mind lives in a world and chats.

    ``live`` and ``reply`` only think; ``commit`` alone writes, to the memory and the state.
    Without ``planner`` it lives by Daily.

    ``private_talk``: what a person says in a chat, and what is answered, is recalled in chats
    with that person only. On unless switched off, since what was let out cannot be taken
    back; off, the agent may tell everybody what anybody told it.
    """

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
    ) -> None:
        self.private_talk = private_talk
        self.persona = persona
        self.model = model
        self.memory = memory
        self.planner = planner or Daily()
        self.tools = tools if isinstance(tools, Toolbox) else Toolbox(tools)
        self.step_seconds = step_seconds
        self.state = state or AgentState(
            currently=persona.currently,
            reflect_left=persona.reflect_after,
            records=len(memory),
        )

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
        lately = set(self.state.perceived)
        around = (*seen.events, *(one for one in seen.notices if one.kind in TOLD))
        situation = Situation(
            persona=self.persona,
            state=self.state,
            seen=seen,
            fresh=tuple(event for event in around if event.text not in lately),
            can=tuple(can),
            tools=self.tools.specs(),
            inputs=tuple(inputs),
            now=now or seen.at,
            seed=seed or Seed.of(0).child(self.id, seen.at.isoformat()),
            step_seconds=self.step_seconds,
        )
        asks: list[Asked] = []
        decision = yield from traced(self.planner.decide(situation), asks)
        return _step(decision, asks)

    def reply(
        self, message: Line, session: Sequence[Line] = (), *, seed: Seed | None = None
    ) -> Thought[Reply]:
        """Answer a person's line, given the lines before it. Writes nothing."""
        asks: list[Asked] = []
        text, decision = yield from traced(
            replying(
                self.persona,
                self.state,
                message,
                tuple(session),
                self.tools.specs(),
                seed or Seed.of(0).child(self.id, message.at.isoformat(), message.text),
                self.private_talk,
            ),
            asks,
        )
        return Reply(text=text, step=_step(decision, asks))

    def commit(self, step: Step, *, number: int = 0, at: Time) -> None:
        """Write a step: new memories, last accesses, the next state. The only writer;
        inside the caller's transaction where one is open."""
        if step.records:
            self.memory.add(step.records, step.embedded, step=number)
        if step.used:
            self.memory.touch(step.used, step=number, at=at)
        self.state = step.state

    def learn(
        self,
        texts: Sequence[str],
        *,
        at: Time | None = None,
        who: str = "",
        audience: Sequence[str] = (),
    ) -> None:
        """Take texts into the memory, rated and embedded: as thoughts of its own, or as what
        ``who`` said; they are for ``audience`` (empty: for everybody)."""
        if not texts:
            return
        now = at or datetime.now().replace(microsecond=0)
        asks: list[Asked] = []
        made = learning(self.persona, self.state, tuple(texts), now, who, tuple(audience))
        thought = traced(made, asks)
        decision = drive({self.id: thought}, Minds({self.id: self}, at=now))[self.id]
        self.commit(_step(decision, asks), number=self.memory.shelf.last_step, at=now)

    def chat(
        self,
        text: str,
        person: str = "user",
        *,
        session: Sequence[Line] = (),
        at: Time | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Reply:
        """Answer and remember one message of a person. ``on_text`` gets the reply's text
        piece by piece as it is made. Who remembers nothing yet learns the persona's facts
        first."""
        if not len(self.memory):
            self.learn(self.persona.facts, at=at)
        now = at or datetime.now().replace(microsecond=0)
        minds = Minds({self.id: self}, at=now, on_text=on_text, priority=-1)
        thought = self.reply(Line(person, text, now), session)
        reply = drive({self.id: thought}, minds)[self.id]
        self.commit(reply.step, number=self.memory.shelf.last_step, at=now)
        return reply


def _step(decision: Decision, asks: list[Asked]) -> Step:
    return Step(
        action=decision.action,
        state=decision.state,
        records=decision.records,
        embedded=decision.embedded,
        used=decision.used,
        why=decision.why,
        asks=tuple(asks),
    )
