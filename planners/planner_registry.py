"""Planners by name: built-in ones by a short name, others as ``package.module:Class``."""

from __future__ import annotations

import dataclasses

from ..core import (
    PLANNER_METHODS,
    Json,
    Planner,
    SettingError,
    did_you_mean,
    load_object,
    require_class,
)

_BUILT_IN = {
    "daily": "denizens.planners:Daily",
    "routine": "denizens.planners:Routine",
    "scripted": "denizens.planners:Scripted",
    "react": "denizens.planners:React",
    "plan_and_execute": "denizens.planners:PlanAndExecute",
    "reflexion": "denizens.planners:Reflexion",
    "deliberate": "denizens.planners:TreeOfThoughts",
    "dialogue": "denizens.planners:Dialogue",
    "errands": "denizens.planners:GoalsInRoutine",
    "switch": "denizens.planners:RuleSwitch",
}


def planner_by_name(name: str, settings: Json = None) -> Planner:
    """The planner of a short name or of ``package.module:Class``, built with ``settings``.

    Raises SettingError for an unknown name or setting and for a class without ``decide``, and
    CodeNotAllowed for code outside the package within ``allow_foreign_code(False)``."""
    path = _BUILT_IN.get(name, name)
    if ":" not in path:
        hint = did_you_mean(name, _BUILT_IN)
        raise SettingError(
            f"planner '{name}': unknown{hint}; use {', '.join(_BUILT_IN)} or 'package.module:Class'"
        )
    planner_class = load_object(path, "planner")
    require_class(planner_class, PLANNER_METHODS, f"planner '{name}'", function=False)
    known = None
    if dataclasses.is_dataclass(planner_class):
        known = [field.name for field in dataclasses.fields(planner_class) if field.init]
    for key in settings or {}:
        if known is not None and key not in known:
            hint = did_you_mean(str(key), known)
            raise SettingError(f"planner '{name}': unknown setting '{key}'{hint}")
    try:
        planner: Planner = planner_class(**(settings or {}))
    except TypeError as error:
        raise SettingError(f"planner '{name}': wrong settings {settings!r} ({error})") from error
    return planner
