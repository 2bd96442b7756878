"""Scenario files: what is simulated, with whom, by which minds. See docs/scenarios.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from ..core import Json, Persona, SettingError, Time, checked, nearest, read_settings, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
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

    kind: str = "town"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class MindsTable:
    """[minds]: planner, memory rules and tools of everybody who does not say otherwise."""

    planner: str = "daily"
    rules: str = "paper"
    tools: tuple[str, ...] = ()
    daily: Json = field(default_factory=dict)
    settings: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """[[people]]: a persona and what differs from [minds] for it."""

    persona: Persona
    planner: str = ""
    tools: tuple[str, ...] | None = None
    start: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """[[inputs]]: something that comes from outside at a moment."""

    at: str
    kind: str = "whisper"
    to: str = ""
    text: str = ""
    who: str = ""
    place: str = ""
    fields: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A whole scenario, resolved: nothing in it refers to another scenario file."""

    scenario: Heading
    world: WorldTable
    model: ModelTable
    minds: MindsTable
    people: tuple[Member, ...]
    inputs: tuple[Planned, ...] = ()
    source: str = ""

    @property
    def start(self) -> Time:
        """The simulated time of step 0."""
        return moment(self.scenario.start, f"{self.source}: [scenario] start")

    def settle(self, **changes: Json) -> Scenario:
        """A copy with settings of the command line; those that are None change nothing."""
        heading = {key: changes[key] for key in ("seed", "until") if changes.get(key) is not None}
        model = {key: changes[key] for key in ("exact", "device", "dtype") if changes.get(key)}
        if changes.get("model"):
            model["name"] = changes["model"]
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

    def as_json(self) -> Json:
        """Plain JSON that ``Scenario.parse`` accepts."""
        return to_json(self)


TABLES: Mapping[str, type] = {
    "scenario": Heading,
    "world": WorldTable,
    "model": ModelTable,
    "minds": MindsTable,
}


def moment(text: str, where: str) -> Time:
    """A time written "2023-02-13 12:00", with seconds or not; SettingError names ``where``."""
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingError(f"{where}: '{text}' is no time; write it as 2023-02-13 12:00") from error


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
    hint = nearest(str(name), known)
    raise SettingError(
        f"scenario '{name}': no such file and no built-in scenario of that name{hint}; "
        f"built in: {', '.join(known)}"
    )


def load_scenario(name: str | Path) -> Scenario:
    """A scenario from a TOML file, a built-in name, or a Smallville folder.

    Raises SettingError naming file and key for whatever is missing, unknown or wrong."""
    folder = Path(name)
    if folder.is_dir():
        from .smallville import smallville_scenario

        return smallville_scenario(folder)
    path = find_scenario(name)
    data = _inherited(path, ())
    parts = {
        key: checked(cls, data.get(key, {}), f"{path}: [{key}]") for key, cls in TABLES.items()
    }
    people = tuple(_member(one, path) for one in data.get("people", ()))
    people = _cast(people, parts["scenario"].cast, path)
    if not people:
        raise SettingError(f"{path}: has no [[people]]; a scenario needs at least one person")
    inputs = tuple(checked(Planned, one, f"{path}: [[inputs]]") for one in data.get("inputs", ()))
    made = Scenario(**parts, people=people, inputs=inputs, source=str(path))
    _ = made.start
    return made


def _inherited(path: Path, seen: tuple[Path, ...]) -> dict[str, Json]:
    """The file's tables over those of the scenario it extends."""
    if path in seen:
        raise SettingError(f"{path}: 'extends' goes in a circle; remove one of them")
    data = read_settings(path)
    known = [*TABLES, "people", "inputs"]
    for key in data:
        if key not in known:
            raise SettingError(
                f"{path}: unknown table '{key}'{nearest(key, known)}; known: {', '.join(known)}"
            )
    for key in TABLES:
        if not isinstance(data.get(key, {}), dict):
            raise SettingError(f"{path}: '{key}' must be a table, written [{key}]")
    for key in ("people", "inputs"):
        if not isinstance(data.get(key, []), list):
            raise SettingError(f"{path}: '{key}' must be a list of tables, written [[{key}]]")
    _anchor_files(data, path)
    base = data.get("scenario", {}).get("extends")
    if not base:
        return data
    sibling = path.parent / str(base)
    parent = _inherited(sibling if sibling.is_file() else find_scenario(base), (*seen, path))
    merged = {key: {**parent.get(key, {}), **data.get(key, {})} for key in TABLES}
    for key in ("people", "inputs"):
        merged[key] = data.get(key) or parent.get(key, [])
    return merged


def _anchor_files(data: dict[str, Json], path: Path) -> None:
    """Make file names relative to the scenario file absolute."""
    world = data.get("world", {})
    if world.get("map"):
        world["map"] = str((path.parent / world["map"]).resolve())
    for one in data.get("people", ()):
        if isinstance(one, dict) and isinstance(one.get("persona"), str):
            one["persona"] = str((path.parent / one["persona"]).resolve())


def _member(data: Json, path: Path) -> Member:
    if not isinstance(data, dict):
        raise SettingError(f"{path}: [[people]] must be tables")
    own = {name.name for name in fields(Member)} - {"persona"}
    rest = {key: value for key, value in data.items() if key in own}
    identity = {key: value for key, value in data.items() if key not in own}
    given = identity.pop("persona", None)
    if isinstance(given, str):
        if identity:
            raise SettingError(
                f"{path}: [[people]] with persona = '{given}' may not also set "
                f"{', '.join(identity)}; put them into the persona's file"
            )
        persona = Persona.load(given)
    else:
        persona = Persona.parse(given or identity, f"{path}: [[people]] {identity.get('name', '')}")
    where = f"{path}: [[people]] {persona.name}"
    return checked(Member, {**rest, "persona": to_json(persona)}, where)


def _cast(people: tuple[Member, ...], cast: tuple[str, ...], path: Path) -> tuple[Member, ...]:
    names = [member.persona.name for member in people]
    for name in names:
        if names.count(name) > 1:
            raise SettingError(f"{path}: two people are called '{name}'; rename one of them")
    for name in cast:
        if name not in names:
            raise SettingError(
                f"{path}: cast names '{name}'{nearest(name, names)}, who is not in it"
            )
    return tuple(m for m in people if m.persona.name in cast) if cast else people
