"""A world of one's own that keeps the contract can be lived in by every planner."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import pytest
from denizens import (
    Action,
    Affordance,
    Agent,
    Clock,
    Daily,
    Event,
    ImprovisedModel,
    Memory,
    Observation,
    Persona,
    Planner,
    Routine,
    Simulation,
)
from denizens.core import (
    PLANNER_VERBS,
    Body,
    Json,
    RoutineEntry,
    StepResult,
    Time,
    VisibleAgent,
    WorldError,
    from_json,
    to_json,
)
from denizens.planners import Dialogue, GoalsInRoutine, to_offered_action
from denizens.store import Store
from denizens.testing import check_world

START = datetime(2026, 5, 2, 8)
DOING = {"type": "object", "properties": {"doing": {"type": "string"}}, "required": ["doing"]}
ONLY: tuple[Affordance, ...] = (
    Affordance("wait"),
    Affordance("act", "", DOING),
    Affordance("ring", "bell"),
)


class Cell:
    """One room with a bell: no place to go to, no ``continue``, no fields but ``doing``."""

    can = ONLY

    def __init__(self) -> None:
        self.now = START
        self.doing: dict[str, str] = {}
        self.notes: dict[str, list[Event]] = {}

    def enter(self, body: Body) -> None:
        if body.who in self.doing:
            raise WorldError(f"{body.who} is here")
        self.doing[body.who], self.notes[body.who] = "", []

    def _known(self, who: str) -> None:
        if who not in self.doing:
            raise WorldError(f"nobody called {who}")

    def leave(self, who: str) -> None:
        self._known(who)
        del self.doing[who], self.notes[who]

    def affordances(self, who: str) -> tuple[Affordance, ...]:
        self._known(who)
        return self.can

    def observe(self, who: str) -> Observation:
        self._known(who)
        others = [other for other in self.doing if other != who]
        events = (self._seen(other) for other in others)
        people = (VisibleAgent(other, 0, self.doing[other]) for other in others)
        return Observation(
            who,
            self.now,
            "cell:room",
            events=tuple(events),
            people=tuple(people),
            notices=tuple(self.notes[who]),
            doing=self.doing[who],
        )

    def _seen(self, who: str) -> Event:
        what = self.doing[who] or "idle"
        return Event("doing", who, "is", what, f"{who} is {what}", "cell:room")

    def step(self, actions: Mapping[str, Action], at: Time, order: tuple[str, ...]) -> StepResult:
        for who in actions:
            self._known(who)
        happened = []
        for who in (one for one in order if one in actions):
            action, self.notes[who] = actions[who], []
            pairs = [(one.verb, one.target) for one in self.can]
            strange = set(action.fields) - {"doing"}
            if (action.verb, action.target) not in pairs or strange:
                event = Event("refused", who, "cannot", action.verb, f"{who} cannot do that")
                self.notes[who].append(event)
                happened.append(event)
            elif action.verb == "act":
                self.doing[who] = action.fields["doing"]
                happened.append(self._seen(who))
        self.now = at + timedelta(minutes=1)
        return StepResult({who: self.observe(who) for who in actions}, tuple(happened))

    def tell(self, event: Event, to: tuple[str, ...] = ()) -> None:
        for who in to:
            self._known(who)
        for who in to or self.doing:
            self.notes[who].append(event)

    def save(self) -> Json:
        notes = {who: [to_json(one) for one in all_] for who, all_ in self.notes.items()}
        return {"now": self.now.isoformat(), "doing": dict(self.doing), "notes": notes}

    def load(self, state: Json) -> None:
        state = copy.deepcopy(state)
        self.now, self.doing = datetime.fromisoformat(state["now"]), state["doing"]
        self.notes = {who: [from_json(Event, e) for e in n] for who, n in state["notes"].items()}


def without(verb: str) -> type[Cell]:
    """The cell that does not offer a verb."""

    class Less(Cell):
        can = tuple(one for one in ONLY if one.verb != verb)

    return Less


MAKERS: tuple[Callable[[], Planner], ...] = (
    Daily,
    Routine,
    Dialogue,
    lambda: GoalsInRoutine(planner="daily"),
)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("world", [Cell, without("act"), without("ring")])
def test_nothing_is_refused(make: Callable[[], Planner], world: type[Cell]) -> None:
    """Planners do what is offered, with its target and the fields that it names, and no more;
    where something can be done at all, it is done."""
    check_world(world, steps=10)
    store = Store(":memory:")
    agents = [
        Agent(
            Persona(
                name=name,
                home="cell:room",
                lifestyle="wakes up at 6am, goes to bed at 8:30am",
                routine=(RoutineEntry(at="08:05", doing="reading"),),
            ),
            model=ImprovisedModel(),
            memory=Memory(store, name),
            planner=make(),
        )
        for name in ("Ada Lund", "Bo Lund")
    ]
    made = Simulation(world(), agents, seed=1, clock=Clock(START, 60))
    ticks = list(made.run(steps=40))
    assert [e.text for tick in ticks for e in tick.events if e.kind == "refused"] == []
    done = {tick.actions["Ada Lund"].verb for tick in ticks}
    assert done <= {"wait", "act", "ring"}
    if isinstance(agents[0].planner, Daily | Routine):
        assert ("act" in done) == any(one.verb == "act" for one in world.can)


def test_afforded() -> None:
    """What is not offered, or wants a field that is not given, becomes going on or waiting."""
    both = (Affordance("wait"), Affordance("continue"))
    assert to_offered_action(Action("talk", "Bo"), both) == Action("continue")
    assert to_offered_action(Action("talk", "Bo"), both[:1]) == Action("wait")
    assert to_offered_action(Action("listen"), (*both, Affordance("listen"))) == Action("listen")
    assert to_offered_action(Action("act", "", {"doing": "a", "asleep": False}), ONLY) == Action(
        "act", "", {"doing": "a"}
    )
    assert to_offered_action(Action("act", ""), ONLY) == Action("wait")
    assert to_offered_action(Action("act", "cell:bed", {"doing": "a"}), ONLY) == Action("wait")
    assert to_offered_action(Action("anything"), ()) == Action("anything")


def test_the_check_knows_the_verbs_of_planners() -> None:
    """A world whose ``act`` wants what no planner gives, or whose ``talk`` is aimed at nobody,
    fails the check with that clause."""
    assert {"wait", "continue", "act", "talk", "say"} <= set(PLANNER_VERBS)

    class Shop(Cell):
        can = (
            Affordance("wait"),
            Affordance("act", "", {"type": "object", "required": ["price"], "properties": {}}),
        )

    class Lonely(Cell):
        can = (*ONLY, Affordance("talk", "the moon"))

    with pytest.raises(WorldError, match="takes the fields they give: 'act' requires 'price'"):
        check_world(Shop)
    with pytest.raises(WorldError, match="talk and join are aimed at another body"):
        check_world(Lonely)
