"""Where the steps of a block happen."""

from __future__ import annotations

from datetime import datetime

from denizens.core import (
    Affordance,
    AgentState,
    Answer,
    Choice,
    Choose,
    Completion,
    Observation,
    Persona,
    ScheduleEntry,
    Seed,
    Situation,
)
from denizens.planners import StepBuilder
from denizens.planners.daily.day_plan import next_schedule_entry

NINE = datetime(2023, 2, 13, 9)


def step(state: AgentState, minute: int, asked: list[str]) -> tuple[ScheduleEntry, AgentState]:
    """The next thing of the day at a minute after nine, the last option chosen each time."""
    now = NINE.replace(minute=minute)
    can = tuple(Affordance("act", f"v:{room}:hall:{thing}") for room in "ab" for thing in "xy")
    draft = StepBuilder(
        Situation(
            persona=Persona(name="Bo Li"),
            state=state,
            seen=Observation("Bo Li", now, "v:a:hall"),
            fresh=(),
            can=can,
            tools=(),
            inputs=(),
            now=now,
            seed=Seed.of(1),
        )
    )
    thought = next_schedule_entry(draft, 15, 1)
    asks = next(thought)
    while True:
        answers: list[Answer] = []
        for ask in asks:
            if isinstance(ask, Choose):
                asked.append(ask.role)
                count = len(ask.options)
                answers.append(Choice(index=count - 1, probabilities=(1 / count,) * count))
            else:
                answers.append(Completion(text="kneading dough"))
        try:
            asks = thought.send(tuple(answers))
        except StopIteration as end:
            slot: ScheduleEntry = end.value
            return slot, draft.state


def test_the_room_of_a_block_is_chosen_once() -> None:
    """Two steps of one block happen in one room, asked for once; the object at each step."""
    state = AgentState(schedule=(ScheduleEntry(start=NINE, minutes=120, doing="baking bread"),))
    asked: list[str] = []
    first, state = step(state, 0, asked)
    second, state = step(state, 30, asked)
    assert first.place == second.place == "v:b:hall:y"
    assert state.schedule[0].place == "v:b:hall"
    assert (asked.count("place"), asked.count("object")) == (1, 2)


def test_a_room_out_of_reach_is_chosen_anew() -> None:
    """A block that was to happen where one can no longer go happens elsewhere."""
    gone = ScheduleEntry(start=NINE, minutes=120, doing="baking bread", place="v:c:hall")
    asked: list[str] = []
    slot, _ = step(AgentState(schedule=(gone,)), 0, asked)
    assert slot.place == "v:b:hall:y"
    assert asked.count("place") == 1
