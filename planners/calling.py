"""Calling a tool: which one a request means, and with which arguments.

The tool is chosen by likelihood, so no name can be invented; its arguments fit its schema.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ..core import (
    NONE,
    Choice,
    Choose,
    Failed,
    Json,
    Option,
    Seed,
    Thought,
    ToolSpec,
    canonical,
    choose,
    tool_option,
)
from .filling import fill_fields, write_whole

Way: TypeAlias = Literal["fields", "whole"]


@dataclass(frozen=True, slots=True)
class Drafted:
    """A call that is ready to be made; ``probability`` is that of the tool's choice."""

    tool: ToolSpec
    arguments: Json = field(hash=False)
    probability: float


def call_key(tool: str, arguments: Json) -> str:
    """What tells a call from others: equal for the same tool with the same arguments.

    >>> call_key("add", {"b": 2, "a": 1})
    '["add",{"a":1,"b":2}]'
    """
    return canonical([tool, arguments])


def draft_call(
    request: str,
    tools: Sequence[ToolSpec],
    *,
    seed: Seed,
    done: Collection[str] = (),
    context: str = "",
    none: bool = True,
    others: Sequence[Option] = (),
    margin: float = 0.0,
    way: Way = "fields",
) -> Thought[Drafted | None]:
    """The call that ``request`` asks for; None where no tool fits, or all that fit were
    called so already.

    ``done`` are the keys of calls made before: none of them is drafted again, the next
    likeliest tool is taken instead. ``context`` is what was said and found before the
    request, from which arguments may be taken too. Without ``none`` some tool is meant;
    ``others`` are what else it may be, likelier than which a tool must be, and at least as
    likely as ``margin``. For ``way`` see ``fill``.
    """
    if not tools or not request.strip():
        return None
    offered = [tool_option(tool.name, tool.description, tool.parameters) for tool in tools]
    instead = (*others, NONE) if none else tuple(others)
    picked = yield from choose(
        Choose(
            messages=(),
            options=(*instead, *offered),
            about=request,
            role="tool",
            seed=seed.number,
        )
    )
    if not isinstance(picked, Choice):
        return None
    spread, beside = picked.probabilities[len(instead) :], picked.probabilities[: len(instead)]
    least = max((*beside, margin))
    for place in sorted(range(len(tools)), key=lambda i: (-spread[i], tools[i].name)):
        if spread[place] < least or (beside and spread[place] == max(beside)):
            break
        tool = tools[place]
        filled = yield from fill(
            tool, request, seed=seed.child(tool.name), context=context, way=way
        )
        if isinstance(filled, Failed) or call_key(tool.name, filled) in done:
            continue
        return Drafted(tool, filled, spread[place])
    return None


def fill(
    spec: ToolSpec, request: str, *, seed: Seed, context: str = "", way: Way = "fields"
) -> Thought[Json | Failed]:
    """Arguments for a tool as ``request`` wants them; they fit the tool's schema.

    ``way``: "fields" finds them one by one among what the request offers, which a tiny model
    does far better; "whole" has the model write all of them as JSON, under the grammar."""
    if way == "fields":
        return (yield from fill_fields(spec, request, seed=seed, context=context))
    return (yield from write_whole(spec, request, seed=seed, context=context))
