"""Scenario files: TOML tables, what they inherit, and what is checked before a run begins."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from unicodedata import category

from ..core import (
    Json,
    Persona,
    SettingError,
    build_settings,
    check_arguments,
    did_you_mean,
    read_settings,
    reserved_sign,
    to_json,
)
from .scenario import (
    MindsTable,
    ModelTable,
    PersonEntry,
    PlannedInput,
    Scenario,
    ScenarioTable,
    WorldTable,
    parse_scenario_time,
    resolve_voice,
)

_TABLES: Mapping[str, type] = {
    "scenario": ScenarioTable,
    "world": WorldTable,
    "model": ModelTable,
    "minds": MindsTable,
}
_LISTS = ("people", "inputs")
_MERGED_SETTINGS = {"policy": "[minds.policy]", "memory": "memory.budget = 1200"}
"""Keys of [minds] that a person's own settings are merged with; each with an example."""


def built_in_scenarios() -> tuple[str, ...]:
    """The names of the scenarios in the package."""
    folder = files(__package__).joinpath("scenarios")
    return tuple(sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".toml")))


def find_scenario(name: str | Path) -> Path:
    """The file of a scenario given by path or by built-in name. Raises SettingError."""
    path = Path(name)
    if path.is_file():
        return path
    built_in = built_in_scenarios()
    if str(name) in built_in:
        return Path(str(files(__package__).joinpath("scenarios", f"{name}.toml")))
    toml = path.with_name(f"{path.name}.toml") if path.name else path
    siblings = [str(file) for file in path.parent.glob("*.toml")] if path.parent.is_dir() else []
    if toml.is_file():
        hint = f" (did you mean '{toml}'?)"
    else:
        hint = did_you_mean(str(name), [*built_in, *siblings])
    raise SettingError(
        f"scenario '{name}': no such file and no built-in scenario of that name{hint}; "
        f"built in: {', '.join(built_in)}"
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
    tables: dict[str, Json] = {
        key: build_settings(table, data.get(key, {}), f"{path}: [{key}]")
        for key, table in _TABLES.items()
    }
    everybody = tuple(_read_person(entry, path) for entry in data.get("people", ()))
    people = _select_cast(everybody, tables["scenario"].cast, path)
    if not people:
        raise SettingError(f"{path}: has no [[people]]; a scenario needs at least one person")
    inputs = tuple(
        build_settings(PlannedInput, entry, f"{path}: [[inputs]]")
        for entry in data.get("inputs", ())
    )
    scenario = Scenario(
        **tables,
        people=people,
        inputs=_inputs_for_cast(inputs, everybody, people, path),
        source=str(path),
    )
    _check_tables(scenario)
    _check_inputs(scenario)
    return scenario


# -- reading ---------------------------------------------------------------------------------


def _read_with_parents(path: Path, children: tuple[Path, ...]) -> dict[str, Json]:
    """The tables of a file, merged over those of the scenario that it extends."""
    path = path.resolve()
    if path in children:
        raise SettingError(f"{path}: 'extends' goes in a circle; remove one of them")
    data = read_settings(path)
    _check_shape(data, path)
    _resolve_file_names(data, path)
    base = data.get("scenario", {}).get("extends")
    if not base:
        return data
    sibling = path.parent / str(base)
    try:
        parent_path = sibling if sibling.is_file() else find_scenario(base)
    except SettingError as error:
        raise SettingError(f"{path}: [scenario] extends: {error}") from error
    parent = _read_with_parents(parent_path, (*children, path))
    merged = {key: {**parent.get(key, {}), **data.get(key, {})} for key in _TABLES}
    world = merged["world"]
    inherits_places = world.get("kind") == "places" and "places" not in data.get("world", {})
    if inherits_places and not world.get("name"):
        # People and inputs keep their addresses, whatever the new scenario is called.
        world["name"] = str(parent.get("scenario", {}).get("name", ""))
    if world.get("name") == merged["scenario"].get("name"):
        world.pop("name", None)
    for key in _LISTS:
        merged[key] = data.get(key) or parent.get(key, [])
    return merged


def _check_shape(data: Mapping[str, Json], path: Path) -> None:
    known = [*_TABLES, *_LISTS]
    for key in data:
        if key not in known:
            hint = did_you_mean(key, known)
            raise SettingError(f"{path}: unknown table '{key}'{hint}; known: {', '.join(known)}")
    for key in _TABLES:
        if not isinstance(data.get(key, {}), dict):
            raise SettingError(f"{path}: '{key}' must be a table, written [{key}]")
    for key in _LISTS:
        rows = data.get(key, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise SettingError(f"{path}: '{key}' must be a list of tables, written [[{key}]]")


def _resolve_file_names(data: dict[str, Json], path: Path) -> None:
    """Make file names absolute that are relative to the scenario file."""

    def resolve(name: str) -> str:
        return str((path.parent / name).resolve())

    world = data.get("world", {})
    if world.get("map"):
        world["map"] = resolve(world["map"])
    model = data.get("model", {})
    if isinstance(model.get("voice"), str):
        model["voice"] = resolve_voice(model["voice"], path.parent)
    for person in data.get("people", ()):
        if isinstance(person.get("persona"), str):
            person["persona"] = resolve(person["persona"])
        if isinstance(person.get("voice"), str):
            person["voice_folder"] = resolve_voice(person["voice"], path.parent)
        if isinstance(person.get("memories"), str) and person["memories"]:
            person["memories"] = resolve(person["memories"])
        if isinstance(person.get("documents"), list):
            person["documents"] = [resolve(str(name)) for name in person["documents"]]


def _read_person(data: dict[str, Json], path: Path) -> PersonEntry:
    """An entry of [[people]]; keys that PersonEntry lacks belong to the persona."""
    keys = {field.name for field in fields(PersonEntry)} - {"persona", *PersonEntry.NOT_IN_FILES}
    settings = {key: value for key, value in data.items() if key in keys}
    identity = {key: value for key, value in data.items() if key not in keys}
    file = identity.pop("persona", None)
    where = f"{path}: [[people]] {identity.get('name', '')}".rstrip()
    if file is None:
        persona = Persona.parse(identity, where)
    elif not isinstance(file, str):
        raise SettingError(f"{where}: persona must be a file's name, not {file!r}")
    elif identity:
        raise SettingError(
            f"{where} with persona = '{file}' may not also set {', '.join(identity)}; "
            "put them into the persona's file"
        )
    else:
        where = file
        persona = Persona.load(file)
        settings["voice_folder"] = resolve_voice(persona.voice, Path(file).parent)
    check_persona(persona, where)
    return build_settings(
        PersonEntry, {**settings, "persona": to_json(persona)}, f"{path}: {persona.name}"
    )


def _select_cast(
    people: tuple[PersonEntry, ...], cast: tuple[str, ...], path: Path
) -> tuple[PersonEntry, ...]:
    """The people in the cast, all if it is empty. Raises SettingError for wrong or equal names."""
    names = [person.name for person in people]
    for name in names:
        if names.count(name) > 1:
            raise SettingError(f"{path}: two people are called '{name}'; rename one of them")
    for name in cast:
        if name not in names:
            raise SettingError(
                f"{path}: cast names '{name}'{did_you_mean(name, names)}, who is not in it"
            )
    return tuple(person for person in people if person.name in cast) if cast else people


def _inputs_for_cast(
    inputs: tuple[PlannedInput, ...],
    everybody: tuple[PersonEntry, ...],
    people: tuple[PersonEntry, ...],
    path: Path,
) -> tuple[PlannedInput, ...]:
    """The inputs without those for people outside the cast. Raises SettingError for an input to
    nobody, and for a line without a person's name."""
    names = [person.name for person in everybody]
    absent = set(names) - {person.name for person in people}
    for planned in inputs:
        where = f"{path}: [[inputs]] at {planned.at}"
        if planned.to not in names and (planned.to or planned.kind != "event"):
            raise SettingError(
                f"{where}: to = '{planned.to}'{did_you_mean(planned.to, names)} "
                f"is nobody here; there are: {', '.join(names)}"
            )
        if planned.kind == "line" and (not planned.who or planned.who in names):
            raise SettingError(
                f"{where}: a line needs who = a person's name that is none of the scenario's own"
            )
    return tuple(planned for planned in inputs if planned.to not in absent)


# -- checks ----------------------------------------------------------------------------------


def check_persona(persona: Persona, where: str) -> None:
    """Raises SettingError for a persona with values out of range."""
    if not persona.name.strip() or reserved_sign(persona.name):
        raise SettingError(f"{where}: '{persona.name}' is no name; give words without colons")
    if not 0 < persona.recency_decay <= 1:
        raise SettingError(f"{where}: recency_decay must lie in (0, 1]")
    for key in ("vision", "attention", "retention"):
        if getattr(persona, key) < 0:
            raise SettingError(f"{where}: {key} must not be negative")
    for entry in persona.routine:
        if not re.fullmatch(r"([01]?\d|2[0-4]):[0-5]\d", entry.at):
            raise SettingError(f"{where}: routine: at = '{entry.at}' is no time; write it as 07:30")


def _check_tables(scenario: Scenario) -> None:
    source = scenario.source
    _check_name(scenario.scenario.name, f"{source}: [scenario]")
    _check_name(scenario.world.name, f"{source}: [world]")
    _ = scenario.start, scenario.end, scenario.clock
    if scenario.model.max_tokens_per_day < 0:
        raise SettingError(f"{source}: [model] max_tokens_per_day must not be negative")
    for table, key in (("minds", "daily"), ("minds", "settings"), ("world", "settings")):
        if not isinstance(getattr(getattr(scenario, table), key), dict):
            raise SettingError(f"{source}: '{key}' must be a table, written [{table}.{key}]")
    for key, example in _MERGED_SETTINGS.items():
        tables = {f"[minds] {key}": getattr(scenario.minds, key)}
        tables |= {f"{p.name}: {key}": getattr(p, key) for p in scenario.people}
        for where, settings in tables.items():
            if settings is not None and not isinstance(settings, dict):
                raise SettingError(f"{source}: {where} must be a table, as in {example}")


def _check_name(name: str, where: str) -> None:
    if not name:
        return
    # Joiners belong to the spelling of some scripts.
    visible = name.replace("\u200c", "").replace("\u200d", "")
    if (
        any(category(sign) in ("Cc", "Cf") for sign in visible)
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


def _check_inputs(scenario: Scenario) -> None:
    for planned in scenario.inputs:
        where = f"{scenario.source}: [[inputs]] at"
        parse_scenario_time(planned.at, where)
        if not isinstance(planned.fields, dict):
            raise SettingError(f"{scenario.source}: [[inputs]] fields must be a table")
        if planned.kind == "document":
            raise SettingError(
                f"{where} {planned.at}: a document is given to somebody with "
                "documents = ['handbook.md'] in its [[people]]"
            )
        if planned.kind == "memories":
            raise SettingError(
                f"{where} {planned.at}: memories are given to somebody with "
                "memories = 'folder' in its [[people]]"
            )
