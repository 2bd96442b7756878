"""Whom a server serves: somebody of a scenario, of a run, or of a persona file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ..agents import Agent
from ..core import Model, Persona, SettingError, Time, read_settings
from ..interop import load_scenario
from ..memory import Memory
from ..simulation import (
    RUN_FILE,
    Run,
    agent_from_run,
    agent_from_scenario,
    match_name,
)
from ..store import Store


@dataclass(frozen=True, slots=True)
class HostedAgent:
    """An agent that receives visitors. With ``remembers`` it remembers them; without, it is as it
    was at the end of a run, and a visit leaves no trace there."""

    agent: Agent
    remembers: bool
    clock: Callable[[], Time]


@contextmanager
def open_hosted_agent(
    where: Path | str,
    name: str = "",
    *,
    memory: Path | str | None = None,
    model: str | None = None,
    tools: Sequence[str] = (),
    trusted: Sequence[str] = (),
    loaded: Model | None = None,
    allow_code: bool = False,
) -> Iterator[HostedAgent]:
    """The agent called ``name`` in ``where``: a run's folder, a scenario (a file, a folder or
    a built-in name), or a persona's file, which needs no name.

    Its memory lies in the file ``memory`` (without one it ends with the process); a run has its
    own, which is only read. ``model`` overrides the scenario's by name, ``loaded`` is one that
    is there. ``tools`` are a persona's; on the word of ``trusted`` people tools may act.
    ``allow_code``: see ``resume``. Raises SettingError for what cannot be served,
    RunLocked where another process writes the memory.
    """
    place = Path(where)
    if (place / RUN_FILE).is_file():
        _reject_options(where, "a run has its own memory and tools", memory=memory, tool=tools)
        with Run(place) as run:
            scenario = run.scenario.with_overrides(model=model)
            name, last = _pick_name(where, name, list(run.people)), run.steps - 1
            agent = agent_from_run(
                run, where, name, last, scenario=scenario, model=loaded, allow_code=allow_code
            )
            at = run.time(max(last, 0))
            yield _with_trusted(HostedAgent(agent, False, lambda: at), trusted)
        return
    with Store(memory if memory is not None else ":memory:") as store:
        if place.is_file() and place.suffix in (".toml", ".json") and _is_persona(place):
            agent = _agent_of_persona(Persona.load(place), name, store, model, tools, loaded)
        else:
            _reject_options(where, "the scenario says which tools", tool=tools)
            scenario = load_scenario(str(where)).with_overrides(model=model)
            names = [member.persona.name for member in scenario.people]
            agent = agent_from_scenario(
                scenario, _pick_name(where, name, names), store, model=loaded
            )
        yield _with_trusted(HostedAgent(agent, True, _now), trusted)


def _agent_of_persona(
    persona: Persona,
    name: str,
    store: Store,
    model: str | None,
    tools: Sequence[str],
    loaded: Model | None,
) -> Agent:
    if name:
        match_name(name, [persona.name])
    if loaded is None:
        from ..models import model_from_name

        loaded = model_from_name(model or "smollm2")
    return Agent(persona, model=loaded, memory=Memory(store, persona.name), tools=tuple(tools))


def _with_trusted(host: HostedAgent, people: Sequence[str]) -> HostedAgent:
    box = host.agent.tools
    policy = replace(box.policy, trusted=(*box.policy.trusted, *people))
    host.agent.tools = box.with_policy(policy)
    return host


def _is_persona(file: Path) -> bool:
    found = read_settings(file)
    return "name" in found and "scenario" not in found


def _pick_name(where: object, name: str, names: Sequence[str]) -> str:
    if name:
        return match_name(name, names)
    if len(names) == 1:
        return names[0]
    raise SettingError(f"{where}: say who is served; there are {', '.join(names)}")


def _reject_options(where: object, why: str, **given: object) -> None:
    for option, value in given.items():
        if value:
            raise SettingError(f"{where}: {why}; leave out --{option}")


def _now() -> Time:
    return datetime.now().replace(microsecond=0)
