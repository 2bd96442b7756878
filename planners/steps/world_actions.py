"""Affordances of the world as tools, and tool calls as actions of the world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...core import Action, Affordance, Json, ToolSpec, canonical, check_arguments

WORLD_TOOL_PREFIX = "world."
"""Prefix of the names of tools that are affordances of the world."""

_VERB_DESCRIPTIONS = {
    "act": "Go to a place and do something there, or with a thing that stands there.",
    "talk": "Walk up to somebody and begin a conversation.",
    "say": "Say a line in the conversation.",
    "interrupt": "Say a line though it is somebody else's turn.",
    "leave": "Take leave and end one's part in the conversation.",
    "listen": "Listen to the conversation.",
    "wait": "Stay and wait.",
    "continue": "Go on with what one is doing.",
}


@check_arguments
def world_tools(can: Sequence[Affordance]) -> tuple[ToolSpec, ...]:
    """Affordances as tools; those that differ only in their target become one tool.

    >>> [spec.name for spec in world_tools([Affordance("talk", "Bo"), Affordance("talk", "Cy")])]
    ['world.talk']
    >>> world_tools([Affordance("talk", "Bo")])[0].parameters["properties"]
    {'target': {'enum': ['Bo']}}
    """
    return tuple(
        ToolSpec(name, _describe_tool(group), _tool_parameters(group), "acts")
        for name, group in _group_by_tool(can).items()
    )


def action_from_call(name: str, arguments: Json, can: Sequence[Affordance]) -> Action | None:
    """The action that a call of a world's tool stands for; None if it is not afforded.

    >>> action_from_call("world.talk", {"target": "Bo"}, [Affordance("talk", "Bo")]).target
    'Bo'
    """
    if not isinstance(arguments, dict):
        return None
    fields = dict(arguments)
    target = fields.pop("target", "")
    for affordance in _group_by_tool(can).get(name, ()):
        if affordance.target == target:
            return Action(affordance.verb, affordance.target, fields)
    return None


def idle_action(can: Sequence[Affordance]) -> Action:
    """The action that changes nothing: listen, else continue, else wait."""
    verbs = {affordance.verb for affordance in can}
    return Action(next((verb for verb in ("listen", "continue") if verb in verbs), "wait"))


def to_offered_action(action: Action, can: Sequence[Affordance]) -> Action:
    """The action with the fields that the affordance's schema names, or ``idle_action`` if the
    world does not offer it or a required field is missing. Without affordances (outside a
    world) the action is returned unchanged.

    >>> to_offered_action(Action("continue"), [Affordance("wait")]).verb
    'wait'
    """
    if not can:
        return action
    for affordance in can:
        if (affordance.verb, affordance.target) == (action.verb, action.target):
            fields = _known_fields(action.fields, affordance.fields)
            if fields is None:
                break
            return Action(action.verb, action.target, fields)
    return idle_action(can)


def _known_fields(fields: Json, schema: Json) -> Json:
    """The fields that a schema names (all if it names none); None if a required one is missing."""
    given = fields if isinstance(fields, dict) else {}
    if not isinstance(schema, dict):
        return given
    if any(name not in given for name in schema.get("required", ())):
        return None
    known = schema.get("properties")
    return {name: value for name, value in given.items() if name in known} if known else given


def _group_by_tool(can: Sequence[Affordance]) -> dict[str, list[Affordance]]:
    """Affordances by tool name: one tool for each verb and schema of fields. Further tools of
    the same verb get a number: ``world.act``, ``world.act_2``."""
    groups: dict[tuple[str, str], list[Affordance]] = {}
    for affordance in can:
        groups.setdefault((affordance.verb, canonical(affordance.fields)), []).append(affordance)
    count = Counter[str]()
    tools: dict[str, list[Affordance]] = {}
    for (verb, _), group in groups.items():
        count[verb] += 1
        number = f"_{count[verb]}" if count[verb] > 1 else ""
        tools[f"{WORLD_TOOL_PREFIX}{verb}{number}"] = group
    return tools


def _describe_tool(group: Sequence[Affordance]) -> str:
    verb = group[0].verb
    description = _VERB_DESCRIPTIONS.get(
        verb, f"{verb.replace('_', ' ').capitalize()} in the world."
    )
    targets = [affordance.target.rpartition(":")[2] for affordance in group if affordance.target]
    return f"{description} {'With: ' + ', '.join(targets[:12]) + '.' if targets else ''}".strip()


def _tool_parameters(group: Sequence[Affordance]) -> Json:
    fields = group[0].fields if isinstance(group[0].fields, dict) else {}
    targets = [affordance.target for affordance in group]
    target: Json = {"target": {"enum": targets}} if targets != [""] else {}
    return {
        "type": "object",
        "properties": {**target, **fields.get("properties", {})},
        "required": [*target, *fields.get("required", [])],
        "additionalProperties": False,
    }
