"""Somebody of a scenario or of a run without its world: for a chat."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..agents import Agent
from ..core import AgentId, Model, Time
from ..memory import document_input
from ..store import Store
from .builder import allow_run_code, load_scenario_model, make_agents
from .lazy_model import LazyModel
from .run import Run
from .scenario import Scenario, match_name


def agent_from_scenario(
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
    name = match_name(name, names)
    alone = replace(scenario, people=(scenario.people[names.index(name)],))
    lazy = LazyModel(alone.model.name, lambda: load_scenario_model(alone))
    (agent,) = make_agents(alone, store, model or lazy, read=True)
    if not len(agent.memory):
        for path in agent.documents:
            document_input(path, agent.id)  # what cannot be read is said before a model is loaded
    if model is None:
        agent.model = lazy.model
    agent.bootstrap(at=at)
    return agent


def agent_from_run(
    run: Run,
    folder: Path | str,
    name: AgentId,
    step: int,
    *,
    scenario: Scenario,
    model: Model | None = None,
    allow_code: bool = False,
) -> Agent:
    """Somebody of the run in ``folder`` as of after a step (-1: its beginning), with the model of
    the ``scenario`` or with ``model``. No trace may stay of a visit, so nothing may be done in
    it: calls that act are denied. ``allow_code``: see ``resume``."""
    lazy = LazyModel(scenario.model.name, lambda: load_scenario_model(scenario))
    with allow_run_code(folder, allow_code):
        agents = make_agents(scenario, run.store, model or lazy)
    agent = next(one for one in agents if one.id == name)
    if model is None:
        agent.model = lazy.model
    agent.memory = agent.memory.as_of(step)
    own = agent.tools.policy
    agent.tools = agent.tools.with_policy(replace(own, deny=(*own.deny, *own.ask, "@acts")))
    first = replace(agent.state, records=len(agent.memory))
    agent.state = run.journal.state(name, step) or first
    return agent
