"""Somebody of a scenario without its world: for a chat."""

from __future__ import annotations

from dataclasses import replace

from ..agents import Agent
from ..core import AgentId, Model, Time
from ..memory import document_input
from ..store import Store
from .building import load_minds, make_agents
from .lazy_model import LazyModel
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

    Where that holds nothing of it yet, the persona's facts and documents become its first
    memories, as in a run, made at ``at`` (now by default). Raises SettingError for a name that
    is nobody's.
    """
    names = [member.persona.name for member in scenario.people]
    name = called(name, names)
    alone = replace(scenario, people=(scenario.people[names.index(name)],))
    lazy = LazyModel(alone.model.name, lambda: load_minds(alone))
    (agent,) = make_agents(alone, store, model or lazy, read=True)
    if not len(agent.memory):
        for path in agent.documents:
            document_input(path, agent.id)  # what cannot be read is said before a model is loaded
    if model is None:
        agent.model = lazy.model
    agent.grow_up(at=at)
    return agent
