"""What the world affords, offered as tools: one mechanism for both."""

from __future__ import annotations

from collections.abc import Sequence

from ...core import Action, Affordance, Json, ToolSpec, canonical, check_arguments

WORLD_TOOL_PREFIX = "world."

"""What the names of a world's tools begin with."""

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
    """Affordances as tools, those alike but for their targets as one.

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
    """The action of a world's tool called with arguments; None where it is not afforded.

    >>> action_from_call("world.talk", {"target": "Bo"}, [Affordance("talk", "Bo")]).target
    'Bo'
    """
    if not isinstance(arguments, dict):
        return None
    fields = dict(arguments)
    target = fields.pop("target", "")
    for one in _group_by_tool(can).get(name, ()):
        if one.target == target:
            return Action(one.verb, one.target, fields)
    return None


def idle_action(can: Sequence[Affordance]) -> Action:
    """Go on with what one does, or wait where one cannot."""
    verbs = {one.verb for one in can}
    return Action(next((verb for verb in ("listen", "continue") if verb in verbs), "wait"))


def to_offered_action(action: Action, can: Sequence[Affordance]) -> Action:
    """The action as the world offers it, with the fields its schema knows; ``idle_action`` where it
    is not offered or wants fields that are not given. Outside a world it stays as it is.

    >>> to_offered_action(Action("continue"), [Affordance("wait")]).verb
    'wait'
    """
    if not can:
        return action
    for one in can:
        if (one.verb, one.target) == (action.verb, action.target):
            fields = _known_fields(action.fields, one.fields)
            return idle_action(can) if fields is None else Action(one.verb, one.target, fields)
    return idle_action(can)


def _known_fields(fields: Json, schema: Json) -> Json:
    """Of ``fields`` those that a schema names (all where it names none); None where one that
    it requires is missing."""
    given = fields if isinstance(fields, dict) else {}
    if not isinstance(schema, dict):
        return given
    known = schema.get("properties")
    if any(name not in given for name in schema.get("required", ())):
        return None
    if not known:
        return given
    return {name: value for name, value in given.items() if name in known}


def _group_by_tool(can: Sequence[Affordance]) -> dict[str, list[Affordance]]:
    """Affordances by the name of their tool; a verb whose fields differ has several."""
    kinds: dict[tuple[str, str], list[Affordance]] = {}
    for one in can:
        kinds.setdefault((one.verb, canonical(one.fields)), []).append(one)
    named: dict[str, list[Affordance]] = {}
    for (verb, _), group in kinds.items():
        again = sum(name.partition("#")[0] == WORLD_TOOL_PREFIX + verb for name in named)
        named[f"{WORLD_TOOL_PREFIX}{verb}#{again + 1}" if again else WORLD_TOOL_PREFIX + verb] = (
            group
        )
    return {name.replace("#", "_"): group for name, group in named.items()}


def _describe_tool(group: Sequence[Affordance]) -> str:
    verb = group[0].verb
    known = _VERB_DESCRIPTIONS.get(verb, f"{verb.replace('_', ' ').capitalize()} in the world.")
    targets = [one.target.rpartition(":")[2] for one in group if one.target]
    return f"{known} {'With: ' + ', '.join(targets[:12]) + '.' if targets else ''}".strip()


def _tool_parameters(group: Sequence[Affordance]) -> Json:
    fields = group[0].fields if isinstance(group[0].fields, dict) else {}
    targets = [one.target for one in group]
    aimed: Json = {"target": {"enum": targets}} if targets != [""] else {}
    return {
        "type": "object",
        "properties": {**aimed, **fields.get("properties", {})},
        "required": [*aimed, *fields.get("required", [])],
        "additionalProperties": False,
    }
