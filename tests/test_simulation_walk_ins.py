"""People who walk into a run: what they do is an input, and a replay repeats it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from denizens.core import Body, Input, SettingError, Situation
from denizens.models import ImprovisedModel
from denizens.planners import Routine
from denizens.simulation import (
    Simulation,
    Tick,
    begin,
    build_simulation,
    fork,
    read_scenario,
    replay,
    resume,
)
from denizens.store import Store

HANNA = "Hanna Brook"


def lark(folder: Path, steps: int = 0) -> Simulation:
    """A morning in Larkspur, a town of tiles, with the improvised model."""
    model = ImprovisedModel()
    simulation = begin(read_scenario("larkspur-morning"), folder, model=model)
    list(simulation.run(steps=steps, progress=False))
    return simulation


@pytest.fixture
def crossroads() -> Iterator[Simulation]:
    """The crossroads after seventy steps, in memory; all follow their routine."""
    scenario = read_scenario("crossroads").with_overrides(planner="routine")
    with Store(":memory:") as store:
        simulation = build_simulation(scenario, store=store, model=ImprovisedModel())
        list(simulation.run(steps=70, progress=False))
        yield simulation


def does(simulation: Simulation, kind: str, **fields: object) -> None:
    """An input of Sam for the next step."""
    simulation.add(Input(kind=kind, who="Sam", **fields))  # type: ignore[arg-type]


def enters_beside(simulation: Simulation, agent: str) -> None:
    """Sam enters where an agent is."""
    seen = simulation.world.observe(agent)
    if seen.position is None:
        does(simulation, "enter", place=seen.place)
    else:
        does(simulation, "enter", fields={"x": seen.position[0], "y": seen.position[1]})


def said(tick: Tick) -> list[tuple[str, str]]:
    """Who said what in a step."""
    return [
        (event.subject, event.text.partition(': "')[2][:-1])
        for event in tick.events
        if event.kind == "said"
    ]


def test_a_run_into_which_somebody_walked_replays(tmp_path: Path) -> None:
    """Entering, walking to a tile, talking, leaving and coming back, with a restart in the middle
    of a conversation: the replay has the same hash."""
    simulation = lark(tmp_path / "r", 40)
    agent = next(iter(simulation.agents))
    enters_beside(simulation, agent)
    does(simulation, "say", to=agent, text="Good morning!")
    does(simulation, "say", to=agent, text="Is there bread?")
    ticks = list(simulation.run(steps=3, progress=False))
    simulation.store.close()
    simulation = resume(tmp_path / "r", model=ImprovisedModel())
    ticks += simulation.run(steps=4, progress=False)
    does(simulation, "end_talk")
    ticks += simulation.run(steps=2, progress=False)
    x, y = simulation.world.observe("Sam").position or (0, 0)
    does(simulation, "move", fields={"x": x, "y": y})
    does(simulation, "leave")
    ticks += simulation.run(steps=1, progress=False)
    does(simulation, "enter", fields={"look": {"color": "#336699"}})
    ticks += simulation.run(steps=60, progress=False)
    assert ("Sam", "Good morning!") in [line for tick in ticks for line in said(tick)]
    assert any(who == agent for tick in ticks for who, _ in said(tick))
    hash, steps = simulation.hash, simulation.step
    simulation.store.close()
    again = replay(tmp_path / "r")
    assert (again.hash, again.steps) == (hash, steps)


def test_a_restart_changes_nothing_that_a_person_does(tmp_path: Path) -> None:
    """The same inputs give the same hash whether the run was stopped in between or not."""
    hashes = []
    for name, stops in (("whole", False), ("stopped", True)):
        simulation = lark(tmp_path / name, 60)
        agent = next(iter(simulation.agents))
        enters_beside(simulation, agent)
        for text in ("Hello!", "How are you?", "See you."):
            does(simulation, "say", to=agent, text=text)
        for _ in range(6):
            simulation.tick()
            if stops:
                simulation.store.close()
                simulation = resume(tmp_path / name, model=ImprovisedModel())
        hashes.append(simulation.hash)
        simulation.store.close()
    assert hashes[0] == hashes[1]


def test_a_person_walks_to_the_tile_that_it_named(tmp_path: Path) -> None:
    """Step by step along free tiles, at the world's speed; a blocked tile is refused and the
    person told so; a move ends a conversation."""
    simulation = lark(tmp_path / "r", 60)
    does(simulation, "enter", fields={"x": 20, "y": 10})
    simulation.tick()
    assert simulation.world.observe("Sam").position == (20, 10)
    does(simulation, "move", fields={"x": 45, "y": 10})
    ticks = list(simulation.run(steps=3, progress=False))
    places = [tick.seen["Sam"].position for tick in ticks]
    assert places[-1] == (45, 10)
    assert places[0] not in ((20, 10), (45, 10))
    does(simulation, "move", fields={"x": 0, "y": 10_000})
    tick = simulation.tick()
    assert any(e.kind == "refused" and e.subject == "Sam" for e in tick.events)
    simulation.store.close()


def test_a_line_finds_its_hearer_across_the_town(tmp_path: Path) -> None:
    """A line to somebody far away makes the person walk there, open a conversation and say it."""
    simulation = lark(tmp_path / "r", 60)
    does(simulation, "enter")
    does(simulation, "say", to="Tobias Reed", text="Tobias, there you are!")
    lines = [line for tick in simulation.run(steps=40, progress=False) for line in said(tick)]
    assert ("Sam", "Tobias, there you are!") in lines
    simulation.store.close()


def test_the_floor_passes_at_the_persons_deadline(crossroads: Simulation) -> None:
    """A person who holds the floor and says nothing loses it after its patience, not before, and
    not after that of the others."""
    enters = crossroads.world.observe(HANNA).place
    does(crossroads, "enter", place=enters, fields={"patience": 7})
    does(crossroads, "talk", to=HANNA)
    crossroads.tick()
    floors = []
    for _ in range(9):
        crossroads.tick()
        talk = crossroads.world.observe("Sam").talk
        floors.append(talk.floor if talk and not talk.ended else "")
    assert floors[:6] == ["Sam"] * 6
    assert floors[6] == HANNA


def test_lines_that_will_not_be_said_are_named(crossroads: Simulation) -> None:
    """Who leaves with a line unsaid is told which."""
    enters_beside(crossroads, HANNA)
    does(crossroads, "say", to=HANNA, text="One.")
    does(crossroads, "say", to=HANNA, text="Two.")
    crossroads.tick()
    does(crossroads, "leave")
    crossroads.tick()
    assert [text for text, _ in crossroads.unsaid["Sam"]] == ["One.", "Two."]
    assert "Sam" not in crossroads.people
    crossroads.tick()
    assert crossroads.unsaid == {}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown place": ({"kind": "enter", "place": "nowhere"}, "no place 'nowhere'"),
    "half a tile": ({"kind": "enter", "fields": {"x": 3}}, "whole numbers"),
    "not here": ({"kind": "say", "text": "Hello"}, "has not walked in"),
    "no patience": ({"kind": "enter", "fields": {"patience": 0}}, "patience is 0"),
    "an agent's name": ({"kind": "enter", "who": HANNA.upper()}, "(its own name|is an agent)"),
    "no name": ({"kind": "enter", "who": " "}, "no name"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_happen_is_refused_at_once(crossroads: Simulation, case: str) -> None:
    """The error says what is wrong, and nothing is recorded."""
    fields, message = REFUSED[case]
    with pytest.raises(SettingError, match=message):
        crossroads.add(Input(**{"who": "Sam", **fields}))
    assert crossroads.journal.inputs(crossroads.step) == ()


def test_a_person_is_checked_after_what_it_did_before(crossroads: Simulation) -> None:
    """In one step one may enter and then speak, but not enter twice, nor speak to nobody."""
    does(crossroads, "enter", place="crossroads:roadside")
    with pytest.raises(SettingError, match="nobody is near"):
        does(crossroads, "say", text="Is anybody here?")
    with pytest.raises(SettingError, match="already here"):
        does(crossroads, "enter", place="crossroads:roadside")
    does(crossroads, "say", to=HANNA, text="Hello!")
    assert len(crossroads.journal.inputs(crossroads.step)) == 2


class Listening(Routine):
    """Routine, which notes the inputs that its thoughts are given."""

    heard: list[str] = []  # noqa: RUF012

    def decide(self, situation: Situation):  # type: ignore[no-untyped-def]
        self.heard += [given.kind for given in situation.inputs]
        return super().decide(situation)


def test_an_agent_hears_a_line_when_it_is_said_and_not_before(crossroads: Simulation) -> None:
    """What a person will do is no input of an agent's thought; a whisper is."""
    crossroads.agents[HANNA].planner = Listening()
    enters_beside(crossroads, HANNA)
    does(crossroads, "talk", to=HANNA)
    does(crossroads, "say", to=HANNA, text="Soon.")
    crossroads.add(Input(kind="whisper", who="Sam", to=HANNA, text="Psst."))
    crossroads.tick()
    assert Listening.heard == ["whisper"]


def test_a_fork_keeps_the_person_that_was_there(tmp_path: Path) -> None:
    """A copy of the run as of a step in which somebody was in the town goes on with them."""
    simulation = lark(tmp_path / "r", 10)
    does(simulation, "enter")
    list(simulation.run(steps=5, progress=False))
    simulation.store.close()
    fork(tmp_path / "r", 12, tmp_path / "copy")
    copy = resume(tmp_path / "copy", model=ImprovisedModel())
    assert list(copy.people) == ["Sam"]
    does(copy, "leave")
    copy.tick()
    assert list(copy.people) == []
    copy.store.close()


def test_bodies_of_agents_are_saved_as_before() -> None:
    """The patience of a body changes no digest of a run without it."""
    from denizens.core import to_json

    assert "patience" not in to_json(Body("Bo"))
    assert to_json(Body("Bo", patience=3))["patience"] == 3
