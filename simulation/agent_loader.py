"""Agents of a scenario or of a run without its world: for chats and interviews."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..agents import Agent
from ..core import AgentId, Model, SettingError, Time, did_you_mean
from ..memory import document_input
from ..store import Store
from .builder import allow_run_code, load_scenario_model, load_voices, make_agents
from .lazy_model import LazyModel
from .run import Run
from .scenario import Scenario


def match_name(word: str, names: Sequence[AgentId]) -> AgentId:
    """The name that ``word`` stands for: a whole name, or a first name that only one has, in any
    case. Raises SettingError.

    >>> match_name("ada", ["Ada Lund", "Bo Lund"])
    'Ada Lund'
    """
    folded = word.strip().lower()
    for key in (str.lower, lambda name: name.lower().split()[0]):
        matches = [name for name in names if key(name) == folded]
        if len(matches) == 1:
            return matches[0]
    raise SettingError(
        f"nobody is called '{word}'{did_you_mean(word, names)}; there are: {', '.join(names)}"
    )


def agent_from_scenario(
    scenario: Scenario,
    name: AgentId,
    store: Store,
    *,
    model: Model | None = None,
    at: Time | None = None,
) -> Agent:
    """The agent called ``name`` (a full or first name), to chat with; its memory is in ``store``.

    A memory that is empty gets the persona's facts and documents as its first records, as in a
    run, created at ``at`` (default: now). Raises SettingError for an unknown name.
    """
    names = [person.name for person in scenario.people]
    name = match_name(name, names)
    alone = replace(scenario, people=(scenario.people[names.index(name)],))
    lazy = LazyModel(alone.model.name, lambda: load_scenario_model(alone))
    (agent,) = make_agents(alone, store, model or lazy, read=True)
    if not len(agent.memory):
        for path in agent.documents:
            document_input(path, agent.id)  # raises before a model is loaded
    if model is None:
        agent.model = lazy.model
    load_voices(alone, [agent])
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
    """An agent of the run in ``folder`` as it was after a step (-1: at the start), with the model
    of ``scenario`` or with ``model``. Tool calls that act are denied, since an interview must not
    change anything. ``allow_code`` is as in ``resume``."""
    lazy = LazyModel(scenario.model.name, lambda: load_scenario_model(scenario))
    with allow_run_code(folder, allow_code):
        agents = make_agents(scenario, run.store, model or lazy)
    agent = next(agent for agent in agents if agent.id == name)
    if model is None:
        agent.model = lazy.model
    load_voices(scenario, [agent])
    agent.memory = agent.memory.as_of(step)
    policy = agent.tools.policy
    denied = (*policy.deny, *policy.ask, "@acts")
    agent.tools = agent.tools.with_policy(replace(policy, deny=denied))
    initial = replace(agent.state, records=len(agent.memory))
    agent.state = run.journal.state(name, step) or initial
    return agent
