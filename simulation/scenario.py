"""What is asked of people, casts and memories in a scenario, beside their types.

Scenario files: what is simulated, with whom, by which minds. See docs/scenarios.md.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from unicodedata import category

from ..core import (
    AgentId,
    Clock,
    Input,
    Json,
    Persona,
    SettingError,
    Time,
    build_settings,
    check_arguments,
    did_you_mean,
    read_settings,
    reserved_sign,
    to_json,
)
from ..core.protocols import InputKind
from ..models.remote import UserModelName

if TYPE_CHECKING:
    from pathlib import Path


MERGED_SETTINGS = {"policy": "[minds.policy]", "memory": "memory.budget = 1200"}
"""Keys of [minds] that a person's own are laid over, each with how it is written."""


def check_name(name: str, where: str) -> None:
    """Raises SettingError for a scenario's name that would lead out of the folder of runs: it
    becomes a folder's name and the root of a world's addresses."""
    if not name:
        return
    # Joiners belong to the spelling of some scripts.
    seen = name.replace("\u200c", "").replace("\u200d", "")
    hidden = any(category(sign) in ("Cc", "Cf") for sign in seen)
    if (
        hidden
        or re.search(r'[/\\:<>"|?*\x00-\x1f]', name)
        or not name.strip(". ")
        or name != name.strip()
    ):
        raise SettingError(
            f"{where}: name = {name!r} cannot name a folder; use letters, digits, blanks, "
            "'-' and '_', without '/' and ':'"
        )
    if len(name.encode(errors="surrogatepass")) > 200:
        raise SettingError(f"{where}: name is longer than 200 bytes; choose a shorter one")


def check_minds(made: Scenario) -> None:
    """Raises SettingError for settings of minds that are no table, and for documents given at
    a moment."""
    for key, example in MERGED_SETTINGS.items():
        tables = {f"[minds] {key}": getattr(made.minds, key)}
        tables |= {f"{one.persona.name}: {key}": getattr(one, key) for one in made.people}
        for where, table in tables.items():
            if table is not None and not isinstance(table, dict):
                raise SettingError(f"{made.source}: {where} must be a table, as in {example}")
    for given in made.inputs:
        if given.kind == "document":
            raise SettingError(
                f"{made.source}: [[inputs]] at {given.at}: a document is given to somebody with "
                "documents = ['handbook.md'] in its [[people]]"
            )
        if given.kind == "memories":
            raise SettingError(
                f"{made.source}: [[inputs]] at {given.at}: memories are given to somebody with "
                "memories = 'folder' in its [[people]]"
            )


def check_persona(persona: Persona, where: str) -> None:
    """Raises SettingError for a persona whose values cannot be lived with."""
    if not persona.name.strip() or reserved_sign(persona.name):
        raise SettingError(f"{where}: name = '{persona.name}' is none; give words without colons")
    if not 0 < persona.recency_decay <= 1:
        raise SettingError(f"{where}: recency_decay must lie in (0, 1]")
    for key in ("vision", "attention", "retention"):
        if getattr(persona, key) < 0:
            raise SettingError(f"{where}: {key} must not be negative")
    for entry in persona.routine:
        if not re.fullmatch(r"([01]?\d|2[0-4]):[0-5]\d", entry.at):
            raise SettingError(f"{where}: routine: at = '{entry.at}' is no time; write it as 07:30")


def select_cast(
    people: tuple[PersonEntry, ...], cast: tuple[str, ...], path: Path
) -> tuple[PersonEntry, ...]:
    """Those of the people who are in the cast (all without one). Raises SettingError for a
    name that two have, or nobody."""
    names = [member.persona.name for member in people]
    for name in names:
        if names.count(name) > 1:
            raise SettingError(f"{path}: two people are called '{name}'; rename one of them")
    for name in cast:
        if name not in names:
            raise SettingError(
                f"{path}: cast names '{name}'{did_you_mean(name, names)}, who is not in it"
            )
    return tuple(m for m in people if m.persona.name in cast) if cast else people


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioTable:
    """[scenario]: what it is and when."""

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
    """[world]: the map or the graph of places."""

    # Left out of a run's record while at their defaults.
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
    """[model]: the mind's engine."""

    name: str = "smollm2"
    device: str = "auto"
    dtype: str = "auto"
    embedder: str = "minilm"
    exact: bool = False
    rows: int = 0
    pass_tokens: int = 0
    cache_mb: int = 0
    max_tokens_per_day: int = 0

    # Left out of a run's record while at their defaults: earlier runs have none of them.
    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = (
        "rows",
        "pass_tokens",
        "cache_mb",
        "max_tokens_per_day",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MindsTable:
    """[minds]: planner, memory rules, tools and policy of everybody who does not say otherwise."""

    # Left out of a run's record while at their defaults: earlier runs have none of them.
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
    """[[people]]: a persona, the documents it has read, the folder of Smallville memories it
    begins with, and what differs from [minds] for it."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("policy", "documents", "memories", "memory")

    persona: Persona
    planner: str = ""
    tools: tuple[str, ...] | None = None
    start: tuple[int, int] | None = None
    policy: Json = None
    documents: tuple[str, ...] = ()
    memories: str = ""
    memory: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedInput:
    """[[inputs]]: something that comes from outside at a moment."""

    at: str
    kind: InputKind = "whisper"
    to: str = ""
    text: str = ""
    who: str = ""
    place: str = ""
    fields: Json = field(default_factory=dict)

    @property
    def input(self) -> Input:
        """What a simulation is given."""
        own = {name.name: getattr(self, name.name) for name in fields(Input)}
        return Input(**own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A whole scenario, resolved: nothing in it refers to another scenario file."""

    scenario: ScenarioTable
    world: WorldTable
    model: ModelTable
    minds: MindsTable
    people: tuple[PersonEntry, ...]
    inputs: tuple[PlannedInput, ...] = ()
    source: str = ""

    @property
    def world_name(self) -> str:
        """The root of the addresses of a world of places: its own name, else the scenario's."""
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
        """A copy with settings that the user gives; those that are None change nothing. A
        ``model`` given here may get the user's key, one that a file names may not."""
        heading = {key: changes[key] for key in ("seed", "until") if changes.get(key) is not None}
        model = {key: changes[key] for key in ("exact", "device", "dtype") if changes.get(key)}
        if changes.get("max_tokens_per_day") is not None:
            model["max_tokens_per_day"] = changes["max_tokens_per_day"]
        if changes.get("model"):
            model["name"] = UserModelName(changes["model"])
        members, minds = self.people, self.minds
        if changes.get("planner"):
            minds = replace(minds, planner=changes["planner"])
            members = tuple(replace(member, planner="") for member in members)
        return replace(
            self,
            scenario=replace(self.scenario, **heading),
            model=replace(self.model, **model),
            minds=minds,
            people=members,
        )

    def without_local_paths(self) -> Scenario:
        """A copy without the folders its files lie in, so that a run's hash is the same
        wherever the files are, and without the cap on tokens, which may change."""
        world = replace(self.world, map=Path(self.world.map).name)
        model = replace(self.model, max_tokens_per_day=0)
        people = tuple(
            replace(
                member,
                documents=tuple(Path(name).name for name in member.documents),
                memories=Path(member.memories).name,
            )
            for member in self.people
        )
        source = Path(self.source).name
        return replace(self, world=world, model=model, people=people, source=source)

    def as_json(self) -> Json:
        """Plain JSON, of which ``from_json(Scenario, data)`` makes the scenario again."""
        return {**to_json(self), "model": to_json(self.model)}


TABLES: Mapping[str, type] = {
    "scenario": ScenarioTable,
    "world": WorldTable,
    "model": ModelTable,
    "minds": MindsTable,
}


def parse_scenario_time(text: str, where: str) -> Time:
    """A time written "2023-02-13 12:00", with seconds or not; SettingError names ``where``."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingError(f"{where}: '{text}' is no time; write it as 2023-02-13 12:00") from error
    if found.tzinfo is not None:
        raise SettingError(f"{where}: '{text}' has a time zone; the world's clock has none")
    return found


def built_in_scenarios() -> tuple[str, ...]:
    """Names of the scenarios that come with the package."""
    folder = files(__package__).joinpath("scenarios")
    return tuple(sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".toml")))


def find_scenario(name: str | Path) -> Path:
    """The file of a scenario given by path or by built-in name. Raises SettingError."""
    path = Path(name)
    if path.is_file():
        return path
    known = built_in_scenarios()
    if str(name) in known:
        return Path(str(files(__package__).joinpath("scenarios", f"{name}.toml")))
    toml = path.with_name(f"{path.name}.toml") if path.name else path
    beside = [str(one) for one in path.parent.glob("*.toml")] if path.parent.is_dir() else []
    hint = (
        f" (did you mean '{toml}'?)"
        if toml.is_file()
        else did_you_mean(str(name), [*known, *beside])
    )
    raise SettingError(
        f"scenario '{name}': no such file and no built-in scenario of that name{hint}; "
        f"built in: {', '.join(known)}"
    )


@check_arguments
def read_scenario(name: str | Path) -> Scenario:
    """A scenario from a TOML file or a built-in name (``denizens.load_scenario`` also reads
    Smallville folders).

    Raises SettingError naming file and key for whatever is missing, unknown or wrong."""
    folder = Path(name)
    if folder.is_dir() and str(name) not in built_in_scenarios():
        if (folder / "run.db").is_file():
            command = f"denizens resume {shlex.quote(str(folder))}"
            raise SettingError(f"{folder}: is a run, not a scenario; use: {command}")
        raise SettingError(
            f"{folder}: is a folder, not a scenario file; denizens.load_scenario reads Smallville "
            "folders"
        )
    path = find_scenario(name)
    data = _read_with_parents(path, ())
    parts: dict[str, Json] = {
        key: build_settings(cls, data.get(key, {}), f"{path}: [{key}]")
        for key, cls in TABLES.items()
    }
    everybody = tuple(_read_person(one, path) for one in data.get("people", ()))
    people = select_cast(everybody, parts["scenario"].cast, path)
    if not people:
        raise SettingError(f"{path}: has no [[people]]; a scenario needs at least one person")
    inputs = tuple(
        build_settings(PlannedInput, one, f"{path}: [[inputs]]") for one in data.get("inputs", ())
    )
    made = Scenario(
        **parts,
        people=people,
        inputs=_inputs_for_cast(inputs, everybody, people, path),
        source=str(path),
    )
    _check_values(made)
    check_minds(made)
    return made


def _check_values(made: Scenario) -> None:
    """What no type can say; all of it must be found before anything is begun."""
    heading = made.scenario
    check_name(heading.name, f"{made.source}: [scenario]")
    check_name(made.world.name, f"{made.source}: [world]")
    _ = made.start
    if heading.until:
        parse_scenario_time(heading.until, f"{made.source}: [scenario] until")
    if heading.step_seconds < 1:
        raise SettingError(f"{made.source}: [scenario] step_seconds must be at least 1")
    if made.model.max_tokens_per_day < 0:
        raise SettingError(f"{made.source}: [model] max_tokens_per_day must not be negative")
    for table, key in (("minds", "daily"), ("minds", "settings"), ("world", "settings")):
        if not isinstance(getattr(getattr(made, table), key), dict):
            raise SettingError(f"{made.source}: '{key}' must be a table, written [{table}.{key}]")
    for given in made.inputs:
        parse_scenario_time(given.at, f"{made.source}: [[inputs]] at")
        if not isinstance(given.fields, dict):
            raise SettingError(f"{made.source}: [[inputs]] fields must be a table")


def _inputs_for_cast(
    inputs: tuple[PlannedInput, ...],
    everybody: tuple[PersonEntry, ...],
    people: tuple[PersonEntry, ...],
    path: Path,
) -> tuple[PlannedInput, ...]:
    """The inputs for people who take part. One for somebody outside the cast is left out."""
    names = [member.persona.name for member in everybody]
    absent = set(names) - {member.persona.name for member in people}
    for given in inputs:
        if given.to not in names and (given.to or given.kind != "event"):
            raise SettingError(
                f"{path}: [[inputs]] at {given.at}: to = "
                f"'{given.to}'{did_you_mean(given.to, names)} "
                f"is nobody here; there are: {', '.join(names)}"
            )
        if given.kind == "line" and (not given.who or given.who in names):
            raise SettingError(
                f"{path}: [[inputs]] at {given.at}: a line needs who = a person's name that is "
                "none of the scenario's own"
            )
    return tuple(given for given in inputs if given.to not in absent)


def _read_with_parents(path: Path, seen: tuple[Path, ...]) -> dict[str, Json]:
    """The file's tables over those of the scenario it extends."""
    path = path.resolve()
    if path in seen:
        raise SettingError(f"{path}: 'extends' goes in a circle; remove one of them")
    data = read_settings(path)
    known = [*TABLES, "people", "inputs"]
    for key in data:
        if key not in known:
            raise SettingError(
                f"{path}: unknown table '{key}'{did_you_mean(key, known)}; known: "
                f"{', '.join(known)}"
            )
    for key in TABLES:
        if not isinstance(data.get(key, {}), dict):
            raise SettingError(f"{path}: '{key}' must be a table, written [{key}]")
    for key in ("people", "inputs"):
        rows = data.get(key, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise SettingError(f"{path}: '{key}' must be a list of tables, written [[{key}]]")
    _resolve_file_names(data, path)
    base = data.get("scenario", {}).get("extends")
    if not base:
        return data
    sibling = path.parent / str(base)
    try:
        above = sibling if sibling.is_file() else find_scenario(base)
    except SettingError as error:
        raise SettingError(f"{path}: [scenario] extends: {error}") from error
    parent = _read_with_parents(above, (*seen, path))
    merged = {key: {**parent.get(key, {}), **data.get(key, {})} for key in TABLES}
    ours = merged["world"].get("kind") == "places" and "places" not in data.get("world", {})
    if ours and not merged["world"].get("name"):
        # People and inputs keep their addresses, whatever the new scenario is called.
        merged["world"]["name"] = str(parent.get("scenario", {}).get("name", ""))
    if merged["world"].get("name") == merged["scenario"].get("name"):
        merged["world"].pop("name", None)
    for key in ("people", "inputs"):
        merged[key] = data.get(key) or parent.get(key, [])
    return merged


def _resolve_file_names(data: dict[str, Json], path: Path) -> None:
    """Make file names relative to the scenario file absolute."""
    world = data.get("world", {})
    if world.get("map"):
        world["map"] = str((path.parent / world["map"]).resolve())
    for one in data.get("people", ()):
        if isinstance(one, dict) and isinstance(one.get("persona"), str):
            one["persona"] = str((path.parent / one["persona"]).resolve())
        if isinstance(one, dict) and isinstance(one.get("memories"), str) and one["memories"]:
            one["memories"] = str((path.parent / one["memories"]).resolve())
        if isinstance(one, dict) and isinstance(one.get("documents"), list):
            files = map(str, one["documents"])
            one["documents"] = [str((path.parent / file).resolve()) for file in files]


def _read_person(data: dict[str, Json], path: Path) -> PersonEntry:
    own = {name.name for name in fields(PersonEntry)} - {"persona"}
    rest = {key: value for key, value in data.items() if key in own}
    identity = {key: value for key, value in data.items() if key not in own}
    given = identity.pop("persona", None)
    where = f"{path}: [[people]] {identity.get('name', '')}".rstrip()
    if given is None:
        persona = Persona.parse(identity, where)
    elif not isinstance(given, str):
        raise SettingError(f"{where}: persona must be a file's name, not {given!r}")
    elif identity:
        raise SettingError(
            f"{where} with persona = '{given}' may not also set {', '.join(identity)}; "
            "put them into the persona's file"
        )
    else:
        where = given
        persona = Persona.load(given)
    check_persona(persona, where)
    return build_settings(
        PersonEntry, {**rest, "persona": to_json(persona)}, f"{path}: {persona.name}"
    )


def match_name(word: str, names: Sequence[AgentId]) -> AgentId:
    """Whom a word means: a whole name or a first name that only one has, in any case.
    Raises SettingError.

    >>> match_name("ada", ["Ada Lund", "Bo Lund"])
    'Ada Lund'
    """
    folded = word.strip().lower()
    for key in (str.lower, lambda name: name.lower().split()[0]):
        found = [name for name in names if key(name) == folded]
        if len(found) == 1:
            return found[0]
    raise SettingError(
        f"nobody is called '{word}'{did_you_mean(word, names)}; there are: {', '.join(names)}"
    )
