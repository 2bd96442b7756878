"""Opens the agent that a server serves: from a scenario, a run, or a persona file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ..agents import Agent
from ..core import Model, ModelError, Persona, SettingError, Time, read_settings
from ..interop import load_scenario
from ..memory import Memory
from ..simulation import (
    RUN_FILE,
    Run,
    agent_from_run,
    agent_from_scenario,
    match_name,
    resolve_voice,
)
from ..store import Store


@dataclass(frozen=True, slots=True)
class HostedAgent:
    """An agent that visitors can talk to.

    With ``remembers`` it stores what visitors say; without, it is the agent as it was at the end
    of a run, and visits change nothing.
    """

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
    a built-in name), or a persona file, which needs no name.

    ``memory`` is the agent's memory file; without one its memory lasts as long as the process.
    The memory of a run is only read. ``model`` overrides the scenario's model by name, ``loaded``
    by a model that is already loaded. ``tools`` are for a persona; tools may act on what
    ``trusted`` people say. ``allow_code`` allows a run's scenario to name code outside this
    package. Raises SettingError for options that do not fit together, RunLocked where another
    process writes the memory.
    """
    path = Path(where)
    if (path / RUN_FILE).is_file():
        _reject_options(where, "a run has its own memory and tools", memory=memory, tool=tools)
        with Run(path) as run:
            scenario = run.scenario.with_overrides(model=model)
            name, last = _pick_name(where, name, list(run.people)), run.steps - 1
            agent = agent_from_run(
                run, where, name, last, scenario=scenario, model=loaded, allow_code=allow_code
            )
            end = run.time(max(last, 0))
            yield _with_trusted(HostedAgent(agent, False, lambda: end), trusted)
        return
    with Store(memory if memory is not None else ":memory:") as store:
        if path.is_file() and path.suffix in (".toml", ".json") and _is_persona(path):
            agent = _agent_of_persona(path, name, store, model, tools, loaded)
        else:
            _reject_options(where, "the scenario says which tools", tool=tools)
            scenario = load_scenario(str(where)).with_overrides(model=model)
            names = [member.persona.name for member in scenario.people]
            agent = agent_from_scenario(
                scenario, _pick_name(where, name, names), store, model=loaded
            )
        yield _with_trusted(HostedAgent(agent, True, _now), trusted)


def _agent_of_persona(
    path: Path,
    name: str,
    store: Store,
    model: str | None,
    tools: Sequence[str],
    loaded: Model | None,
) -> Agent:
    from ..models import load_voice, model_from_name

    persona = Persona.load(path)
    if name:
        match_name(name, [persona.name])
    if loaded is None:
        loaded = model_from_name(model or "smollm2")
    try:
        load_voice(loaded, persona.voice, Path(resolve_voice(persona.voice, path.parent)))
    except ModelError as error:
        raise SettingError(f"{path}: voice: {error}") from error
    return Agent(persona, model=loaded, memory=Memory(store, persona.name), tools=tuple(tools))


def _with_trusted(host: HostedAgent, people: Sequence[str]) -> HostedAgent:
    toolbox = host.agent.tools
    policy = replace(toolbox.policy, trusted=(*toolbox.policy.trusted, *people))
    host.agent.tools = toolbox.with_policy(policy)
    return host


def _is_persona(file: Path) -> bool:
    settings = read_settings(file)
    return "name" in settings and "scenario" not in settings


def _pick_name(where: object, name: str, names: Sequence[str]) -> str:
    if name:
        return match_name(name, names)
    if len(names) == 1:
        return names[0]
    raise SettingError(f"{where}: name the agent to serve; there are {', '.join(names)}")


def _reject_options(where: object, reason: str, **options: object) -> None:
    for option, value in options.items():
        if value:
            raise SettingError(f"{where}: {reason}; omit --{option}")


def _now() -> Time:
    return datetime.now().replace(microsecond=0)
