"""Planners: stateless minds that decide by yielding asks."""

from __future__ import annotations

import dataclasses

from ..core import (
    PLANNER_METHODS,
    Json,
    Planner,
    SettingError,
    module_named,
    nearest,
    require_class,
)
from .acting import action_of, afforded, idle, world_tools
from .calling import Drafted, Incomplete, call_key, draft_call, fill
from .daily import Daily
from .deliberate import Deliberate
from .dialogue import Dialogue, Heard, Said
from .draft import Draft, identity
from .executing import PlanAndExecute
from .goals import Goal, goals_of, with_goals
from .outcome import Made, Outcome, Task, Worker
from .prompts import prompt
from .react import React
from .reflexion import Reflexion
from .routine import Routine
from .scripted import Scripted
from .speech import as_speech
from .switch import Errands, Switch
from .understanding import Guess, Intent, Understood, understand

_BUILT_IN = {
    "daily": "denizens.planners:Daily",
    "routine": "denizens.planners:Routine",
    "scripted": "denizens.planners:Scripted",
    "react": "denizens.planners:React",
    "plan_and_execute": "denizens.planners:PlanAndExecute",
    "reflexion": "denizens.planners:Reflexion",
    "deliberate": "denizens.planners:Deliberate",
    "dialogue": "denizens.planners:Dialogue",
    "errands": "denizens.planners:Errands",
    "switch": "denizens.planners:Switch",
}


def planner_by_name(name: str, settings: Json = None) -> Planner:
    """A planner by its short name or as ``package.module:Class``, built with ``settings``.

    Built-in planners are found the way a user's are. Raises SettingError, also for what is no
    class with ``decide``; CodeNotAllowed for a user's within ``foreign_code(False)``."""
    path = _BUILT_IN.get(name, name)
    module, _, attribute = path.partition(":")
    if not attribute or not module or module.startswith("."):
        hint = nearest(name, _BUILT_IN)
        raise SettingError(
            f"planner '{name}': unknown{hint}; use {', '.join(_BUILT_IN)} or 'package.module:Class'"
        )
    try:
        found = getattr(module_named(path, "planner"), attribute)
    except ImportError as error:
        raise SettingError(f"planner '{name}': cannot import {module} ({error})") from error
    except AttributeError as error:
        raise SettingError(f"planner '{name}': {module} has no '{attribute}'") from error
    require_class(found, PLANNER_METHODS, f"planner '{name}'", function=False)
    known = None
    if dataclasses.is_dataclass(found):
        known = [one.name for one in dataclasses.fields(found) if one.init]
    for key in settings or {}:
        if known is not None and key not in known:
            hint = nearest(str(key), known)
            raise SettingError(f"planner '{name}': unknown setting '{key}'{hint}")
    try:
        made: Planner = found(**(settings or {}))
    except TypeError as error:
        raise SettingError(f"planner '{name}': wrong settings {settings!r} ({error})") from error
    return made


__all__ = [
    "Daily",
    "Deliberate",
    "Dialogue",
    "Draft",
    "Drafted",
    "Errands",
    "Goal",
    "Guess",
    "Intent",
    "Made",
    "Outcome",
    "PlanAndExecute",
    "React",
    "Reflexion",
    "Routine",
    "Said",
    "Scripted",
    "Switch",
    "Task",
    "Heard",
    "Incomplete",
    "Understood",
    "Worker",
    "action_of",
    "afforded",
    "as_speech",
    "call_key",
    "draft_call",
    "fill",
    "goals_of",
    "identity",
    "idle",
    "planner_by_name",
    "prompt",
    "understand",
    "with_goals",
    "world_tools",
]
