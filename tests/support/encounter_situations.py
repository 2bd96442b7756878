"""Bo Li meets Ada Byron: situations, conversations, and a mind that answers by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from denizens.core import (
    Affordance,
    AgentState,
    Answer,
    Ask,
    Choice,
    Choose,
    Completion,
    ConversationView,
    Embed,
    Event,
    Failed,
    Generate,
    Observation,
    Persona,
    Recall,
    Record,
    Seed,
    Situation,
    Utterance,
    VisibleAgent,
)
from denizens.tests.support.recalled_records import recalled

NINE = datetime(2023, 2, 13, 9)
BO = Persona(name="Bo Li", currently="Bo Li wants to sell rye.")
MEMORIES = [
    Record(id=1, kind="observation", text="Ada Byron likes rye bread.", created=NINE),
    Record(id=2, kind="thought", text="Bo Li misses the river.", created=NINE),
    Record(id=3, kind="utterance", text='Ada Byron said to Bo Li: "Hm."', created=NINE),
    Record(id=4, kind="thought", text="Bo Li owes Ada Byron a loaf.", created=NINE),
]
SEES_ADA = Event("doing", "Ada Byron", "is", "reading", "Ada Byron is reading")
SAY = (Affordance("wait"), Affordance("say"), Affordance("leave"))
HEAR = (Affordance("wait"), Affordance("listen"), Affordance("leave"))
MEET = (Affordance("wait"), Affordance("continue"), Affordance("talk", "Ada Byron"))


def situation(
    can: Sequence[Affordance],
    *,
    talk: ConversationView | None = None,
    fresh: tuple[Event, ...] = (),
    state: AgentState | None = None,
) -> Situation:
    people = (VisibleAgent("Ada Byron", 2, "reading"),)
    return Situation(
        persona=BO,
        state=state or AgentState(records=4),
        seen=Observation(BO.name, NINE, "v:Bakery:room", events=fresh, people=people, talk=talk),
        fresh=fresh,
        can=tuple(can),
        tools=(),
        inputs=(),
        now=NINE,
        seed=Seed.of(1),
    )


def told(*texts: str, floor: str = "Bo Li", ended: bool = False) -> ConversationView:
    """A talk in which Ada and Bo took turns, Ada first."""
    lines = [Utterance(("Ada Byron", "Bo Li")[n % 2], text, NINE) for n, text in enumerate(texts)]
    return ConversationView("t1", ("Ada Byron", "Bo Li"), floor, tuple(lines), ended)


class Mind:
    """Answers by hand: ``choices`` by role (a name or an index), texts in turn, memories."""

    def __init__(self, choices: dict[str, str | int] | None = None, *texts: str) -> None:
        self.choices = choices or {}
        self.texts = texts or ("Good morning, how is the rye?",)
        self.records = MEMORIES
        self.asks: list[Ask] = []
        self.said: list[str] = []

    def answer(self, ask: Ask) -> Answer:
        self.asks.append(ask)
        if isinstance(ask, Recall):
            return recalled(self.records[: ask.cue.limit])
        if isinstance(ask, Generate):
            self.said.append(self.texts[len(self.said) % len(self.texts)])
            return Completion(text=self.said[-1])
        if isinstance(ask, Embed):
            return Failed(reason="engine", detail="no embedder")
        assert isinstance(ask, Choose), f"nobody should ask {ask}"
        names = [option.name for option in ask.options]
        wanted = self.choices.get(ask.role, 0)
        index = wanted % len(names) if isinstance(wanted, int) else names.index(wanted)
        return Choice(
            index=index, probabilities=tuple(float(i == index) for i in range(len(names)))
        )

    def roles(self) -> list[str]:
        return [ask.role for ask in self.asks if isinstance(ask, Choose)]
