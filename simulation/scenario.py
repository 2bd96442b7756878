"""Scenarios: the world, the model, the people and the inputs of a simulation. Their files are
read by ``scenario_file``; docs/scenarios.md describes each key."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from ..core import AgentId, Clock, Input, Json, Persona, SettingError, Time, to_json
from ..core.protocols import InputKind
from ..models.remote import UserModelName


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioTable:
    """[scenario]: name, times, cast and seed."""

    name: str = ""
    title: str = ""
    about: str = ""
    start: str = "2026-05-02 06:00"
    step_seconds: int = 60
    until: str = ""
    extends: str = ""
    cast: tuple[str, ...] = ()
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldTable:
    """[world]: the kind of world, and its map or graph of places."""

    # Omitted from a run's record at their defaults.
    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("name",)

    kind: str = "town"
    name: str = ""
    map: str = ""
    speed: int = 1
    max_lines: int = 16
    places: tuple[Json, ...] = ()
    paths: tuple[Json, ...] = ()
    settings: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTable:
    """[model]: the model that answers asks, and how it is run.

    ``voice``: the voice it is loaded with, as of ``load_model``; its own default if empty.
    """

    name: str = "smollm2"
    device: str = "auto"
    dtype: str = "auto"
    embedder: str = "minilm"
    exact: bool = False
    rows: int = 0
    pass_tokens: int = 0
    cache_mb: int = 0
    voice: str = ""
    max_tokens_per_day: int = 0

    # Omitted from a run's record at their defaults.
    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = (
        "rows",
        "pass_tokens",
        "cache_mb",
        "voice",
        "max_tokens_per_day",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MindsTable:
    """[minds]: the defaults of all people: planner, memory rules, tools, policy."""

    # Omitted from a run's record at their defaults.
    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("policy", "memory")

    planner: str = "daily"
    rules: str = "paper"
    tools: tuple[str, ...] = ()
    daily: Json = field(default_factory=dict)
    settings: Json = field(default_factory=dict)
    policy: Json = None
    memory: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonEntry:
    """[[people]]: a persona, the documents it has read, the folder of Smallville memories that it
    starts with, and its settings in place of those of [minds].

    ``voice_folder``: the folder that the persona's ``voice`` names; empty where it names none.
    ``records`` are first memories as JSON, and ``card_json`` the text of the character card that
    they and the persona are from; no file sets them.
    """

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = (
        "policy",
        "documents",
        "memories",
        "memory",
        "voice_folder",
        "records",
        "card_json",
    )
    NOT_IN_FILES: ClassVar[tuple[str, ...]] = ("records", "card_json")

    persona: Persona
    planner: str = ""
    tools: tuple[str, ...] | None = None
    start: tuple[int, int] | None = None
    policy: Json = None
    documents: tuple[str, ...] = ()
    memories: str = ""
    memory: Json = None
    voice_folder: str = ""
    records: tuple[Json, ...] = ()
    card_json: str = ""

    @property
    def name(self) -> AgentId:
        """The persona's name."""
        return self.persona.name


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedInput:
    """[[inputs]]: an input from outside at a simulated time."""

    at: str
    kind: InputKind = "whisper"
    to: str = ""
    text: str = ""
    who: str = ""
    place: str = ""
    fields: Json = field(default_factory=dict)

    @property
    def input(self) -> Input:
        """The input without its time."""
        return Input(**{field.name: getattr(self, field.name) for field in fields(Input)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A complete scenario: what it inherits from other scenario files is part of it."""

    scenario: ScenarioTable
    world: WorldTable
    model: ModelTable
    minds: MindsTable
    people: tuple[PersonEntry, ...]
    inputs: tuple[PlannedInput, ...] = ()
    source: str = ""

    @property
    def world_name(self) -> str:
        """The root of the addresses in a world of places: its own name, else the scenario's."""
        return self.world.name or self.scenario.name

    @property
    def start(self) -> Time:
        """The simulated time of step 0."""
        return parse_scenario_time(self.scenario.start, f"{self.source}: [scenario] start")

    @property
    def end(self) -> Time | None:
        """The simulated time at which it ends; None when it names none. Raises SettingError."""
        until = self.scenario.until
        return parse_scenario_time(until, f"{self.source}: [scenario] until") if until else None

    @property
    def clock(self) -> Clock:
        """The clock of its simulation. Raises SettingError."""
        if self.scenario.step_seconds < 1:
            raise SettingError(f"{self.source}: [scenario] step_seconds must be at least 1")
        return Clock(self.start, self.scenario.step_seconds)

    def with_overrides(self, **changes: Json) -> Scenario:
        """A copy with the user's ``seed``, ``until``, ``exact``, ``device``, ``dtype``, ``model``,
        ``voice``, ``planner`` and ``max_tokens_per_day``; those that are None are ignored. A server
        named here gets the user's API key, one named by a file does not."""
        heading = {key: changes[key] for key in ("seed", "until") if changes.get(key) is not None}
        model = {key: changes[key] for key in ("exact", "device", "dtype") if changes.get(key)}
        if changes.get("max_tokens_per_day") is not None:
            model["max_tokens_per_day"] = changes["max_tokens_per_day"]
        if changes.get("model"):
            model["name"] = UserModelName(changes["model"])
        if changes.get("voice"):
            model["voice"] = resolve_voice(changes["voice"], Path())
        people, minds = self.people, self.minds
        if changes.get("planner"):
            minds = replace(minds, planner=changes["planner"])
            people = tuple(replace(person, planner="") for person in people)
        return replace(
            self,
            scenario=replace(self.scenario, **heading),
            model=replace(self.model, **model),
            minds=minds,
            people=people,
        )

    def without_local_paths(self) -> Scenario:
        """A copy without file folders and the cap on tokens: no hash may depend on them."""
        world = replace(self.world, map=Path(self.world.map).name)
        voice = Path(self.model.voice).name
        model = replace(self.model, max_tokens_per_day=0, voice=voice)
        people = tuple(
            replace(
                person,
                documents=tuple(Path(name).name for name in person.documents),
                memories=Path(person.memories).name,
                voice_folder="",
            )
            for person in self.people
        )
        source = Path(self.source).name
        return replace(self, world=world, model=model, people=people, source=source)

    def as_json(self) -> Json:
        """The scenario as JSON; the inverse is ``from_json(Scenario, data)``."""
        return to_json(self)


def resolve_voice(voice: str, folder: Path) -> str:
    """A voice whose folder is given relative to ``folder`` as an absolute path; other values,
    like ``none`` or a server's name of one, unchanged."""
    path = folder / Path(voice).expanduser()
    is_path = path.is_dir() or voice.startswith((".", "~")) or Path(voice).is_absolute()
    return str(path.resolve()) if voice and is_path else voice


def parse_scenario_time(text: str, where: str) -> Time:
    """A time like "2023-02-13 12:00", with or without seconds. Raises SettingError."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingError(f"{where}: '{text}' is no time; write it as 2023-02-13 12:00") from error
    if time.tzinfo is not None:
        raise SettingError(f"{where}: '{text}' has a time zone; the world's clock has none")
    return time
