"""Somebody of a scenario without its world: for a chat."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ..agents import Agent, Minds
from ..core import (
    Action,
    AgentId,
    Decision,
    Model,
    Observation,
    Seed,
    Situation,
    Step,
    Thought,
    Time,
    drive,
)
from ..planners import Draft
from ..store import Store
from .building import load_minds, make_agents
from .scenario import Scenario, called


def wake(
    scenario: Scenario,
    name: AgentId,
    store: Store,
    *,
    model: Model | None = None,
    at: Time | None = None,
) -> Agent:
    """The agent called ``name`` (a first name will do), to chat with; its memory lies in
    ``store``.

    Where that holds nothing of it yet, the persona's facts become its first memories, as in
    a run, made at ``at`` (now by default). Raises SettingError for a name that is nobody's.
    """
    names = [member.persona.name for member in scenario.people]
    name = called(name, names)
    alone = replace(scenario, people=(scenario.people[names.index(name)],))
    (agent,) = make_agents(alone, store, model if model is not None else load_minds(alone))
    if not len(agent.memory) and agent.persona.facts:
        now = at or datetime.now().replace(microsecond=0)
        decision = drive({name: _facts(agent, now)}, Minds({name: agent}, at=now))[name]
        agent.commit(
            Step(
                action=decision.action,
                state=decision.state,
                records=decision.records,
                embedded=decision.embedded,
            ),
            at=now,
        )
    return agent


def _facts(agent: Agent, now: Time) -> Thought[Decision]:
    draft = Draft(
        Situation(
            persona=agent.persona,
            state=agent.state,
            seen=Observation(agent.id, now, ""),
            fresh=(),
            can=(),
            tools=(),
            inputs=(),
            now=now,
            seed=Seed.of(0).child(agent.id, "facts"),
        )
    )
    for fact in agent.persona.facts:
        draft.note("thought", fact)
    yield from draft.settle()
    return draft.decide(Action("wait"))
