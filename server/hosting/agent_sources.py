"""Opening the agents of a server: of scenarios, folders of character cards, and persona files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...agents import Agent
from ...core import Model, ModelError, Persona, SettingError, read_settings
from ...interop import load_scenario
from ...interop.cards import CharacterCard, load_cards, load_character_card
from ...memory import Memory
from ...simulation import RUN_FILE, Scenario, agent_from_scenario, resolve_voice
from ...store import Store
from .agent_hosts import AgentHosts, model_id_of, model_ids

DEFAULT_MEMORY = Path("denizens-memory")
"""The folder, below the current one, where a server keeps the memories of its agents."""
MEMORY_FILE = "agents.db"
PEOPLE_FILE = "people.log"

DEFAULT_MODEL = "smollm2"
_CARD_MARKS = {"spec", "first_mes", "mes_example"}


@dataclass(frozen=True, slots=True)
class _Source:
    """What one argument names: the people of a scenario, a character card, or a persona."""

    where: Path
    names: tuple[str, ...]
    scenario: Scenario | None = None
    card: CharacterCard | None = None
    persona: Persona | None = None


def memory_files(memory: Path | None) -> tuple[Path, Path]:
    """The memory file of a server, and the file beside it that keeps which API key a person
    belongs to. ``memory`` is a file (``.db``) or a folder; None: ``DEFAULT_MEMORY``."""
    memory = memory or DEFAULT_MEMORY
    if memory.suffix == ".db" or memory.is_file():
        return memory, memory.with_name(f"{memory.stem}.{PEOPLE_FILE}")
    return memory / MEMORY_FILE, memory / PEOPLE_FILE


@contextmanager
def open_agents(
    where: Sequence[str],
    *,
    memory: Path | str,
    model: str | None = None,
    voice: str | None = None,
    tools: Sequence[str] = (),
    loaded: Model | None = None,
    progress: Callable[[str], None] | None = None,
) -> Iterator[AgentHosts]:
    """The agents that ``where`` names, one model for all of them, their memories in one file.

    ``memory`` is that file, or ``:memory:``. ``model`` overrides the scenario's model by name,
    ``loaded`` by one that is loaded. ``tools`` are for personas and cards. Raises SettingError
    for what is missing or does not fit together, RunLocked if another process writes the memory.
    """
    sources = [source for name in where for source in _read_sources(name)]
    names = [name for source in sources for name in source.names]
    model_name = _model_name(sources, model)
    plain_id = model_id_of(Path(model_name).stem if "/" in model_name else model_name)
    ids = model_ids(names, plain_id)
    if str(memory) != ":memory:":
        Path(memory).parent.mkdir(parents=True, exist_ok=True)
    with Store(memory) as store:
        engine = loaded or _load(model_name, voice, sources, progress)
        agents: dict[str, Agent] = {}
        cards: dict[str, CharacterCard] = {}
        by_name = {name: model_id for model_id, name in ids.items()}
        for source in sources:
            for name in source.names:
                if progress:
                    progress(f"Opening {name}")
                agents[by_name[name]] = _open_agent(source, name, store, engine, tools)
                if source.card is not None:
                    cards[by_name[name]] = source.card
        yield AgentHosts(agents, engine, plain_id, cards=cards)


def _read_sources(name: str) -> list[_Source]:
    path = Path(name)
    if (path / RUN_FILE).is_file():
        raise SettingError(f"{path}: is a run; look at it with: denizens view --serve {path}")
    if path.is_dir() and any(file.suffix.lower() in (".png", ".json") for file in path.iterdir()):
        return [_Source(card.source, (card.name,), card=card) for card in load_cards(path)]
    if path.is_file() and path.suffix.lower() in (".png", ".json", ".toml"):
        if path.suffix.lower() == ".png":
            settings: set[str] = set(_CARD_MARKS)
        else:
            settings = set(read_settings(path))
        if settings & _CARD_MARKS:
            card = load_character_card(path)
            return [_Source(path, (card.name,), card=card)]
        if "name" in settings and "scenario" not in settings:
            persona = Persona.load(path)
            return [_Source(path, (persona.name,), persona=persona)]
    scenario = load_scenario(name)
    return [_Source(path, tuple(one.name for one in scenario.people), scenario=scenario)]


def _model_name(sources: Sequence[_Source], model: str | None) -> str:
    """The one model of all. Raises SettingError if the scenarios name several."""
    if model:
        return model
    named = {source.scenario.model.name for source in sources if source.scenario is not None}
    if len(named) > 1:
        raise SettingError(
            f"serve: the scenarios name the models {', '.join(sorted(named))}, and a server has "
            "one; say which by --model"
        )
    return named.pop() if named else DEFAULT_MODEL


def _load(
    name: str,
    voice: str | None,
    sources: Sequence[_Source],
    progress: Callable[[str], None] | None,
) -> Model:
    from ...models import model_from_name
    from ...simulation import load_scenario_model

    scenarios = [source.scenario for source in sources if source.scenario is not None]
    if scenarios:
        table = scenarios[0].with_overrides(model=name, voice=voice)
        if scenarios[0].model.name == name:
            table = scenarios[0].with_overrides(voice=voice)
        return load_scenario_model(table, progress)
    if progress:
        progress(f"Loading the model {name}")
    return model_from_name(name, voice=voice)


def _open_agent(
    source: _Source, name: str, store: Store, model: Model, tools: Sequence[str]
) -> Agent:
    if source.scenario is not None:
        if tools:
            raise SettingError(f"{source.where}: the scenario says which tools; omit --tool")
        return agent_from_scenario(source.scenario, name, store, model=model)
    persona = source.persona if source.card is None else source.card.persona
    assert persona is not None
    from ...models import load_voice

    try:
        load_voice(model, persona.voice, Path(resolve_voice(persona.voice, source.where.parent)))
    except ModelError as error:
        raise SettingError(f"{source.where}: voice: {error}") from error
    memories = () if source.card is None else source.card.memories
    agent = Agent(
        persona,
        model=model,
        memory=Memory(store, persona.name),
        tools=tuple(tools),
        memories=memories,
    )
    agent.bootstrap()
    return agent
