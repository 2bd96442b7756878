"""Whom a server serves: somebody of a scenario, of a run, or of a persona file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ..agents import Agent
from ..core import Model, Persona, SettingError, Time, read_settings
from ..memory import Memory
from ..simulation import FILE, Run, load_scenario, visit, wake
from ..simulation.scenario import called
from ..store import Store


@dataclass(frozen=True, slots=True)
class Host:
    """An agent that receives visitors. With ``keeps`` it remembers them; without, it is as it
    was at the end of a run, and a visit leaves no trace there."""

    agent: Agent
    keeps: bool
    clock: Callable[[], Time]


@contextmanager
def hosted(
    where: Path | str,
    name: str = "",
    *,
    memory: Path | str | None = None,
    model: str | None = None,
    tools: Sequence[str] = (),
    trusted: Sequence[str] = (),
    loaded: Model | None = None,
    allow_code: bool = False,
) -> Iterator[Host]:
    """The agent called ``name`` in ``where``: a run's folder, a scenario (a file, a folder or
    a built-in name), or a persona's file, which needs no name.

    Its memory lies in the file ``memory`` (without one it ends with the process); a run has its
    own, which is only read. ``model`` overrides the scenario's by name, ``loaded`` is one that
    is there. ``tools`` are a persona's; on the word of ``trusted`` people tools may act.
    ``allow_code``: see ``resume``. Raises SettingError for what cannot be served,
    RunLocked where another process writes the memory.
    """
    place = Path(where)
    if (place / FILE).is_file():
        _unneeded(where, "a run has its own memory and tools", memory=memory, tool=tools)
        with Run(place) as run:
            scenario = run.scenario.settle(model=model)
            name, last = _one(where, name, list(run.people)), run.steps - 1
            agent = visit(
                run, where, name, last, scenario=scenario, model=loaded, allow_code=allow_code
            )
            at = run.time(max(last, 0))
            yield _trusting(Host(agent, False, lambda: at), trusted)
        return
    with Store(memory if memory is not None else ":memory:") as store:
        if place.is_file() and place.suffix in (".toml", ".json") and _is_persona(place):
            agent = _of_persona(Persona.load(place), name, store, model, tools, loaded)
        else:
            _unneeded(where, "the scenario says which tools", tool=tools)
            scenario = load_scenario(str(where)).settle(model=model)
            names = [member.persona.name for member in scenario.people]
            agent = wake(scenario, _one(where, name, names), store, model=loaded)
        yield _trusting(Host(agent, True, _now), trusted)


def _of_persona(
    persona: Persona,
    name: str,
    store: Store,
    model: str | None,
    tools: Sequence[str],
    loaded: Model | None,
) -> Agent:
    if name:
        called(name, [persona.name])
    if loaded is None:
        from ..models import model_from_name

        loaded = model_from_name(model or "smollm2")
    return Agent(persona, model=loaded, memory=Memory(store, persona.name), tools=tuple(tools))


def _trusting(host: Host, people: Sequence[str]) -> Host:
    box = host.agent.tools
    policy = replace(box.policy, trusted=(*box.policy.trusted, *people))
    host.agent.tools = box.under(policy)
    return host


def _is_persona(file: Path) -> bool:
    found = read_settings(file)
    return "name" in found and "scenario" not in found


def _one(where: object, name: str, names: Sequence[str]) -> str:
    if name:
        return called(name, names)
    if len(names) == 1:
        return names[0]
    raise SettingError(f"{where}: say who is served; there are {', '.join(names)}")


def _unneeded(where: object, why: str, **given: object) -> None:
    for option, value in given.items():
        if value:
            raise SettingError(f"{where}: {why}; leave out --{option}")


def _now() -> Time:
    return datetime.now().replace(microsecond=0)
