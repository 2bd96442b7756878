"""What an ``act`` carries, read and checked."""

from __future__ import annotations

from ..core import Action, Json

DEFAULT_OBJECT_STATE = "being used"
"""The state of an object that is used, where nobody says another."""


def parse_activity(action: Action) -> tuple[str, str, str, bool]:
    """Doing, emoji, state of the object, whether it is sleep."""
    fields = action.fields
    return (
        fields["doing"].strip(),
        fields.get("emoji", ""),
        fields.get("state") or DEFAULT_OBJECT_STATE,
        bool(fields.get("asleep")),
    )


def activity_error(fields: dict[str, Json]) -> str:
    """What is wrong with the fields of an ``act``; empty when nothing is."""
    doing = fields.get("doing")
    if not isinstance(doing, str) or not doing.strip():
        return "the field 'doing' is empty"
    for name, kind in (("emoji", str), ("state", str), ("asleep", bool)):
        if name in fields and not isinstance(fields[name], kind):
            return f"the field '{name}' must be a {'truth value' if kind is bool else 'text'}"
    return ""
