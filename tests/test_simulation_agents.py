"""A simulation in Python: observers, failing minds, own worlds of agents."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from denizens.agents import Agent
from denizens.core import Action, Clock, Failed, Json, Persona, RunError, SettingError
from denizens.memory import Memory
from denizens.models import ImprovisedModel, InstantClient
from denizens.planners import Daily, Routine, Scripted
from denizens.simulation import (
    Journal,
    Simulation,
    Tick,
    agent_from_scenario,
    begin,
    build_simulation,
    check_run,
    open_store,
    read_scenario,
    resume,
    run_stats,
)
from denizens.store import Store
from denizens.world import Town, ascii_map

START = datetime(2026, 5, 2, 8, 0)
MAP = ascii_map(
    "########\n#aa..bb#\n#aa..bb#\n########", {"a": "house:hall:bed", "b": "house:kitchen:table"}
)


class Failing:
    """A model without power: it answers everything with a failure."""

    def client(self) -> InstantClient:
        """A mailbox of failures."""
        return InstantClient(lambda ask: Failed(reason="engine", detail="no power"))

    def describe(self) -> dict[str, Json]:
        """Its name."""
        return {"name": "failing"}


def household(store: Store, **minds: Json) -> Simulation:
    """Ann and Ben in a small house; ``minds`` are their planners by first name."""
    agents = [
        Agent(
            Persona(name=f"{first} Wood", home="town:house:hall"),
            model=ImprovisedModel(),
            memory=Memory(store, f"{first} Wood"),
            planner=minds.get(first) or Routine(),
        )
        for first in ("Ann", "Ben")
    ]
    return Simulation(
        Town(MAP, start=START, step_seconds=60), agents, seed=3, clock=Clock(START), store=store
    )


def test_observers_see_every_tick(tmp_path: Path) -> None:
    """Each observer is called once a step, after it is committed, with what ``run`` yields."""
    heard: list[Tick] = []
    committed: list[int] = []
    with Store(tmp_path / "run.db") as store:
        simulation = household(store)

        def look(tick: Tick) -> None:
            heard.append(tick)
            with open_store(tmp_path / "run.db") as reader:
                committed.append(Journal(reader).steps)

        simulation.observers.append(look)
        yielded = list(simulation.run(steps=5))
    assert heard == yielded
    assert committed == [1, 2, 3, 4, 5]
    assert [tick.at.minute for tick in heard] == [0, 1, 2, 3, 4]


def test_stopping_ends_after_the_step(tmp_path: Path) -> None:
    """A run told to stop by an observer ends with that step, whole."""
    with Store(tmp_path / "run.db") as store:
        simulation = household(store)
        simulation.observers.append(lambda tick: setattr(simulation, "stopping", tick.step == 3))
        assert [tick.step for tick in simulation.run(steps=50)] == [0, 1, 2, 3]
        assert check_run(store) == ()


def test_a_failing_mind_disturbs_nobody() -> None:
    """A person whose model answers every ask with a failure goes on living, the run does
    not end, and a neighbour who never meets that person lives exactly the life it had."""
    scenario = read_scenario("crossroads")
    knows = {"Otto Lind": ("crossroads:Otto's room",), "Hanna Brook": ("crossroads:garden",)}
    people = tuple(
        replace(one, persona=replace(one.persona, knows=knows[one.persona.name]))
        for one in scenario.people
    )
    scenario = replace(scenario, people=people)
    lives = []
    for broken in (False, True):
        with Store(":memory:") as store:
            simulation = build_simulation(scenario, store=store, model=ImprovisedModel())
            if broken:
                simulation.agents["Otto Lind"].model = Failing()
            ticks = list(simulation.run(steps=60))
            assert check_run(store) == ()
            if broken:
                answers = [row.answer for row in simulation.journal.asks(agent="Otto Lind")]
                assert len(answers) > 10
                assert all(isinstance(one, Failed) for one in answers)
        assert not any(tick.seen["Hanna Brook"].people for tick in ticks)
        lives.append([(tick.actions["Hanna Brook"], tick.steps["Hanna Brook"]) for tick in ticks])
    assert lives[0] == lives[1]


def test_a_failing_mind_in_a_talk_does_not_end_the_run() -> None:
    """Where the failing person is met, both still live to the end of the morning, if the run is
    to keep going."""
    with Store(":memory:") as store:
        simulation = build_simulation(
            read_scenario("crossroads"), store=store, model=ImprovisedModel(), keep_going=True
        )
        simulation.agents["Otto Lind"].model = Failing()
        assert len(list(simulation.run(steps=250))) == 250
        assert check_run(store) == ()


def test_refused_actions_are_events() -> None:
    """An action the world does not allow becomes an event, and the run goes on."""
    script = Scripted([Action("fly", "the moon"), Action("say", "", {"text": "Hello?"})])
    with Store(":memory:") as store:
        ticks = list(household(store, Ann=script).run(steps=3))
    assert [
        [event.subject for event in tick.events if event.kind == "refused"] for tick in ticks
    ] == [["Ann Wood"], ["Ann Wood"], []]


def test_a_run_made_in_python_is_taken_up(tmp_path: Path) -> None:
    """Without a scenario a run is taken up by building it again on its file; the command
    says so; another seed or other people are refused."""
    with Store(":memory:") as store:
        whole = household(store, Ann=Daily())
        list(whole.run(steps=30))
        head = whole.hash
    for steps in (11, 19):
        with Store(tmp_path / "run.db") as store:
            simulation = household(store, Ann=Daily())
            list(simulation.run(steps=steps))
    with open_store(tmp_path) as store:
        assert run_stats(store)["hash"] == head
    with pytest.raises(RunError, match="not started from a scenario"):
        resume(tmp_path)


def test_wrong_casts_are_refused() -> None:
    """No agents, two of one name, or a memory in another store."""
    town = Town(MAP, start=START, step_seconds=60)
    with Store(":memory:") as store, Store(":memory:") as other:
        agents = [
            Agent(Persona(name="Ann"), model=ImprovisedModel(), memory=Memory(one, "Ann"))
            for one in (store, other)
        ]
        for cast, reason in (
            ([], "at least one agent"),
            (agents, "the same name"),
            (agents[1:], "in another store"),
        ):
            with pytest.raises(SettingError, match=reason):
                Simulation(town, cast, seed=1, clock=Clock(START), store=store)


def test_figures_count_the_run(tmp_path: Path) -> None:
    """Figures add up over pieces: steps, model calls by kind, tokens, seconds."""
    asks = 0
    for _ in range(2):
        if (tmp_path / "run.db").exists():
            simulation = resume(tmp_path, model=ImprovisedModel())
        else:
            simulation = begin(read_scenario("crossroads"), tmp_path, model=ImprovisedModel())
        asks += sum(tick.asks for tick in simulation.run(steps=30))
        simulation.store.close()
    with open_store(tmp_path) as store:
        found = run_stats(store)
        written = store.rows("SELECT SUM(tokens_out) FROM asks")[0][0]
    assert (found["steps"], found["agents"]) == (60, 2)
    assert sum(found["asks"].values()) == asks
    assert found["model_calls"] == asks - found["asks"]["recall"]
    assert found["generated_tokens"] == written > 0
    assert found["agent_steps_per_s"] == pytest.approx(120 / found["seconds"], rel=0.05)


def test_woken_for_a_chat(tmp_path: Path) -> None:
    """Somebody woken without a world knows its facts, once, and keeps what was said."""
    scenario = read_scenario("crossroads")
    facts = scenario.people[0].persona.facts
    for turn in (1, 2):
        with Store(tmp_path / "hanna.db") as store:
            hanna = agent_from_scenario(scenario, "Hanna Brook", store, model=ImprovisedModel())
            assert len(hanna.memory) == len(facts) + 2 * (turn - 1)
            reply = hanna.chat("What about the summer party?", "Sam")
            assert reply.text
            assert 1 in reply.cited
    with Store(":memory:") as store, pytest.raises(SettingError, match="did you mean 'Hanna Brook"):
        agent_from_scenario(scenario, "Hana Brook", store, model=ImprovisedModel())
