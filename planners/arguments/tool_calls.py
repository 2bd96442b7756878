"""Calling a tool: which one a request means, and with which arguments.

The tool is chosen by likelihood, so no name can be invented; its arguments fit its schema.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ...core import (
    NONE_OF_THESE,
    Choice,
    Choose,
    Failed,
    Json,
    Option,
    Seed,
    Thought,
    Time,
    ToolSpec,
    canonical,
    choose,
    identifier_to_words,
    tool_option,
)
from .argument_filler import NOT_STATED, fill_fields, generate_arguments

FillMode: TypeAlias = Literal["fields", "whole"]


@dataclass(frozen=True, slots=True)
class ProposedCall:
    """A call that is ready to be made; ``probability`` is that of the tool's choice."""

    tool: ToolSpec
    arguments: Json = field(hash=False)
    probability: float


@dataclass(frozen=True, slots=True)
class IncompleteCall:
    """A call that is meant but cannot be made: ``missing`` names the fields that must be told
    and were not. Nothing is made up for them; ask."""

    tool: ToolSpec
    missing: tuple[str, ...]
    probability: float

    @property
    def question(self) -> str:
        """What to ask the person. In fixed words: a tiny model answers its own question."""
        named = " and ".join(identifier_to_words(name.rpartition(".")[2]) for name in self.missing)
        return f"For {identifier_to_words(self.tool.name)}: which {named}?"


# An order not to do something, as a whole: openings of courtesy, then a negated imperative
# that is not of the "don't forget to" kind.
_NEGATED_ORDER = re.compile(
    r"\W*(?:(?:please|no|oh|well|hey|ok|okay|and|but|so|now|[a-z]+,),?\s+){0,3}"
    r"(?:(?:i|we) (?:do not|don['’]?t) want you to|you (?:must|should|may|can)(?: not|n['’]t)"
    r"|(?:there is |there's )?no need to|you (?:do not|don['’]?t) (?:have|need) to"
    r"|do not|don['’]?t|dont|never)\s+"
    r"(?!forget|hesitate|worry|mind|be |fail|neglect|miss|you |i |we |they )",
    re.IGNORECASE,
)
_ANOTHER_ORDER = re.compile(
    r"[.;!?]\s+\S|\b(?:but|instead|rather|just|only|until|unless|without)\b", re.I
)


def forbids_action(request: str) -> bool:
    """Whether a request says only that something is not to be done.

    >>> forbids_action("Please don't call the bakery."), forbids_action("Don't forget to call the
    bakery.")
    (True, False)
    >>> forbids_action("Do not book the train, but a bus to Bern.")
    False
    """
    return (
        bool(_NEGATED_ORDER.match(request[:200])) and _ANOTHER_ORDER.search(request.strip()) is None
    )


def call_key(tool: str, arguments: Json) -> str:
    """What tells a call from others: equal for the same tool with the same arguments.

    >>> call_key("add", {"b": 2, "a": 1})
    '["add",{"a":1,"b":2}]'
    """
    return canonical([tool, arguments])


def propose_call(
    request: str,
    tools: Sequence[ToolSpec],
    *,
    seed: Seed,
    done: Collection[str] = (),
    context: str = "",
    none: bool = True,
    others: Sequence[Option] = (),
    margin: float = 0.0,
    way: FillMode = "fields",
    now: Time | None = None,
) -> Thought[ProposedCall | IncompleteCall | None]:
    """The call that ``request`` asks for; Incomplete where something that it needs was not
    said (see ``fill_arguments``); None where no tool fits, all that fit were called so already, or
    the
    request only says what is not to be done.

    ``done`` are the keys of calls made before: none of them is drafted again, the next
    likeliest tool is taken instead. ``context`` is what was said and found before the
    request, from which arguments may be taken too. Without ``none`` some tool is meant;
    ``others`` are what else it may be, likelier than which a tool must be, and at least as
    likely as ``margin``. For ``way`` see ``fill_arguments``.
    """
    if not tools or not request.strip() or forbids_action(request):
        return None
    offered = [tool_option(tool.name, tool.description, tool.parameters) for tool in tools]
    instead = (*others, NONE_OF_THESE) if none else tuple(others)
    picked = yield from choose(
        Choose(
            messages=(), options=(*instead, *offered), about=request, role="tool", seed=seed.number
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
        filled = yield from fill_arguments(
            tool, request, seed=seed.child(tool.name), context=context, way=way, now=now
        )
        if isinstance(filled, Failed) and filled.reason == NOT_STATED:
            return IncompleteCall(tool, tuple(filled.detail.split(", ")), spread[place])
        if isinstance(filled, Failed) or call_key(tool.name, filled) in done:
            continue
        return ProposedCall(tool, filled, spread[place])
    return None


def fill_arguments(
    spec: ToolSpec,
    request: str,
    *,
    seed: Seed,
    context: str = "",
    way: FillMode = "fields",
    now: Time | None = None,
) -> Thought[Json | Failed]:
    """Arguments for a tool as ``request`` wants them; they fit the tool's schema. ``now`` is
    what "tomorrow" is reckoned from; without it such words are not read. Failed with the
    reason ``NOT_STATED`` where a date, time or duration is required and not told; of a tool that
    acts also a number or a code.

    ``way``: "fields" finds them one by one among what the request offers, which a tiny model
    does far better; "whole" has the model write all of them as JSON, under the grammar."""
    if way == "fields":
        return (yield from fill_fields(spec, request, seed=seed, context=context, now=now))
    return (yield from generate_arguments(spec, request, seed=seed, context=context))
