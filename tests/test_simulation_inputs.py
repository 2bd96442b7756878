"""What comes from outside: whispers, events, a person's lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from denizens.core import Event, Input, SettingError
from denizens.models import ImprovisedModel
from denizens.simulation import (
    Run,
    Simulation,
    Tick,
    begin,
    build_simulation,
    read_scenario,
    resume,
)
from denizens.store import Store

STOVE = "crossroads:tea house:tea stove"


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """The crossroads at seven in the morning, in memory; nobody thinks, all follow their
    routine."""
    scenario = read_scenario("crossroads").with_overrides(planner="routine")
    with Store(":memory:") as store:
        yield build_simulation(scenario, store=store, model=ImprovisedModel())


def said(tick: Tick) -> list[Event]:
    """The lines of a step."""
    return [event for event in tick.events if event.kind == "said"]


def test_facts_and_whispers_become_thoughts(tmp_path: Path) -> None:
    """A persona's facts are its first memories; a whisper is a thought of its hearer in the
    step after it was given, and of nobody else."""
    simulation = begin(read_scenario("crossroads"), tmp_path, model=ImprovisedModel())
    simulation.tick()
    simulation.add(Input(kind="whisper", to="Otto Lind", text="The mill is on fire."))
    tick = simulation.tick()
    texts = {
        name: [record.text for record in agent.memory.records(kinds=("thought",))]
        for name, agent in simulation.agents.items()
    }
    for name, agent in simulation.agents.items():
        assert set(agent.persona.facts) <= set(texts[name])
    assert "The mill is on fire." in texts["Otto Lind"]
    assert "The mill is on fire." not in texts["Hanna Brook"]
    made = [record.text for record in tick.steps["Otto Lind"].records]
    assert "The mill is on fire." in made
    simulation.store.close()


def test_an_event_changes_an_object_and_is_noticed(simulation: Simulation) -> None:
    """An object event sets that object's state, which those who see it take in."""
    list(simulation.run(steps=125))
    assert simulation.world.observe("Hanna Brook").place == "crossroads:tea house"
    simulation.add(
        Input(
            kind="event",
            place=STOVE,
            text="The tea stove is smoking.",
            fields={"kind": "object", "object": "smoking"},
        )
    )
    tick = simulation.tick()
    states = {event.text for event in tick.seen["Hanna Brook"].events}
    assert "tea stove is smoking" in states
    simulation.tick()
    remembered = {record.text for record in simulation.agents["Hanna Brook"].memory.records()}
    assert "tea stove is smoking" in remembered


def test_news_reaches_those_in_sight(simulation: Simulation) -> None:
    """News of a place is remembered by those who stand there and by nobody else; news for
    somebody reaches that person wherever it is."""
    list(simulation.run(steps=60))
    before = {name: simulation.world.observe(name).place for name in simulation.agents}
    assert len(set(before.values())) == 2
    for given in (
        Input(kind="event", place=before["Otto Lind"], text="A plate breaks."),
        Input(kind="event", to="Hanna Brook", text="Hanna Brook's telephone rings."),
    ):
        simulation.add(given)
    simulation.tick()
    heard = {
        name: {record.text for record in agent.memory.records()}
        for name, agent in simulation.agents.items()
    }
    assert "A plate breaks." in heard["Otto Lind"]
    assert "A plate breaks." not in heard["Hanna Brook"]
    assert "Hanna Brook's telephone rings." in heard["Hanna Brook"]


def test_a_line_brings_a_person_and_is_said(simulation: Simulation) -> None:
    """A person's line makes the person enter, open a talk with the one spoken to, and say
    exactly these words; a second line follows when the floor is theirs."""
    list(simulation.run(steps=70))
    for text in ("Good morning, Hanna!", "Is there tea?"):
        simulation.add(Input(kind="line", who="Sam", to="Hanna Brook", text=text))
    events = [event for tick in simulation.run(steps=12) for event in said(tick)]
    assert [event.text.partition(": ")[2] for event in events if event.subject == "Sam"] == [
        '"Good morning, Hanna!"',
        '"Is there tea?"',
    ]
    assert all(event.object == "Hanna Brook" for event in events if event.subject == "Sam")


def test_a_person_follows_who_has_walked_away(simulation: Simulation) -> None:
    """A later line to somebody who has gone elsewhere is said there, and one to somebody
    else is not said to those the person still talks with."""
    list(simulation.run(steps=55))
    simulation.add(Input(kind="line", who="Sam", to="Hanna Brook", text="Hello!"))
    list(simulation.run(steps=45))
    simulation.add(Input(kind="line", who="Sam", to="Otto Lind", text="A fine bicycle."))
    simulation.add(Input(kind="line", who="Sam", to="Hanna Brook", text="I am back."))
    heard = [
        (event.object, event.text.partition(": ")[2])
        for tick in simulation.run(steps=40)
        for event in said(tick)
    ]
    assert ("Otto Lind", '"A fine bicycle."') in heard
    assert ("Hanna Brook", '"I am back."') in heard


def test_a_line_joins_a_talk(simulation: Simulation) -> None:
    """Spoken to in the middle of a conversation, the person joins it."""
    list(simulation.run(steps=130))
    simulation.add(Input(kind="line", who="Sam", to="Hanna Brook", text="Hello!"))
    simulation.add(Input(kind="line", who="Kim", to="Hanna Brook", text="May I join?"))
    events = [event for tick in simulation.run(steps=20) for event in tick.events]
    assert any(event.subject == "Kim" and event.predicate == "joins" for event in events)
    texts = [event.text for event in events if event.kind == "said"]
    assert any("May I join?" in text and "Sam" in text for text in texts)


def test_inputs_survive_between_steps(tmp_path: Path) -> None:
    """What was added is there after a resume, is taken once, and gives the same run as
    without the break; so do lines that wait for the floor."""
    lives = []
    for broken in (False, True):
        place = tmp_path / str(broken)
        simulation = begin(read_scenario("crossroads"), place, model=ImprovisedModel())
        list(simulation.run(steps=40))
        for text in ("Good morning!", "How is business?", "Goodbye!"):
            simulation.add(Input(kind="line", who="Sam", to="Hanna Brook", text=text))
        for _ in range(8):
            if broken:
                simulation.store.close()
                simulation = resume(place, model=ImprovisedModel())
            simulation.tick()
        lives.append(simulation.hash)
        simulation.store.close()
    assert lives[0] == lives[1]
    with Run(tmp_path / "True") as run:
        given = [len(entry["inputs"]) for entry in run.entries(1)]
        assert sum(given) == 3


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (Input(kind="whisper", to="Nobody", text="x"), "no agent 'Nobody'"),
        (Input(kind="line", to="Otto Lind", who="Hanna Brook", text="x"), "is an agent"),
        (Input(kind="line", to="Otto Lind", who="a:b", text="x"), "in a person's name"),
        (Input(kind="line", to="Otto Lind", who="", text="x"), "has no name"),
        (Input(kind="event", place="crossroads:moon", text="x"), "no place 'crossroads:moon'"),
        (Input(kind="event", to="Nobody", text="x"), "Nobody"),
        (
            Input(kind="event", place="crossroads:moon:rock", text="x", fields={"kind": "object"}),
            "no object at",
        ),
        (Input(kind="event", text="x", fields={"kind": "party"}), "kind"),
        (Input(kind="song", text="x"), "kind"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_happen_is_refused_at_once(
    simulation: Simulation, given: Input, reason: str
) -> None:
    """An impossible input is raised when it is given, not in a later step, and leaves
    neither a trace in the run nor in the world."""
    before = simulation.world.save()
    with pytest.raises(SettingError, match=reason):
        simulation.add(given)
    assert simulation.world.save() == before
    assert simulation.journal.inputs(0) == tuple(
        Input(kind="whisper", to=name, text=fact)
        for name, agent in simulation.agents.items()
        for fact in agent.persona.facts
    )
    simulation.tick()


def test_the_past_takes_no_inputs(simulation: Simulation) -> None:
    """An input may be planned for a later step and not for one that is over."""
    list(simulation.run(steps=3))
    simulation.plan(5, Input(kind="whisper", to="Otto Lind", text="Later."))
    with pytest.raises(SettingError, match="step 2 is over"):
        simulation.plan(2, Input(kind="whisper", to="Otto Lind", text="Too late."))
    assert [len(simulation.journal.inputs(step)) for step in (3, 4, 5)] == [0, 0, 1]
