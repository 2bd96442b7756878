"""The tool call that a request means: the tool is chosen by likelihood, then its arguments are
filled under its schema."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ...core import (
    NONE_OF_THESE,
    Choice,
    Failed,
    Json,
    Option,
    Seed,
    Thought,
    Time,
    ToolSpec,
    canonical,
    identifier_to_words,
    tool_option,
)
from ..steps import choose_among
from .argument_filler import NOT_STATED, fill_fields, generate_arguments

FillMode: TypeAlias = Literal["fields", "whole"]


@dataclass(frozen=True, slots=True)
class ProposedCall:
    """A complete call, with the probability of its tool."""

    tool: ToolSpec
    arguments: Json = field(hash=False)
    probability: float


@dataclass(frozen=True, slots=True)
class IncompleteCall:
    """A call whose ``missing`` fields must be stated by the person."""

    tool: ToolSpec
    missing: tuple[str, ...]
    probability: float

    @property
    def question(self) -> str:
        """The question to the person. Its wording is fixed: a small model would answer its own
        question."""
        named = " and ".join(identifier_to_words(name.rpartition(".")[2]) for name in self.missing)
        return f"{call_question(self.tool)} {named}?"


def call_question(tool: ToolSpec) -> str:
    """How the question for missing fields of a call begins.

    >>> call_question(ToolSpec("book_train", "Book a train.", {}))
    'For book train: which'
    """
    return f"For {identifier_to_words(tool.name)}: which"


# A request not to do something: an opening, then a negated imperative other than "don't forget".
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
    """Whether a request asks for nothing but that something is not done.

    >>> forbids_action("Please don't call Bo."), forbids_action("Don't forget to call Bo.")
    (True, False)
    >>> forbids_action("Do not book the train, but a bus to Bern.")
    False
    """
    return (
        bool(_NEGATED_ORDER.match(request[:200])) and _ANOTHER_ORDER.search(request.strip()) is None
    )


def call_key(tool: str, arguments: Json) -> str:
    """The key of a call: equal for the same tool with the same arguments.

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
    """The call that ``request`` asks for; IncompleteCall if a field must be stated (see
    ``fill_arguments``); None if no tool fits or the request forbids an action.

    ``done``: keys of earlier calls, which are not repeated; the next most likely tool is tried
    instead. ``context``: earlier text from which arguments may be taken. Without ``none`` one of
    the tools is meant. ``others``: further options; a tool must be more likely than each of them
    and at least as likely as ``margin``. ``way``: see ``fill_arguments``.
    """
    if not tools or not request.strip() or forbids_action(request):
        return None
    offered = [tool_option(tool.name, tool.description, tool.parameters) for tool in tools]
    instead = (*others, NONE_OF_THESE) if none else tuple(others)
    choice = yield from choose_among(
        (*instead, *offered), about=request, role="tool", seed=seed.number
    )
    if not isinstance(choice, Choice):
        return None
    rivals = choice.probabilities[: len(instead)]
    ranked = zip(choice.probabilities[len(instead) :], tools)
    for probability, tool in sorted(ranked, key=lambda pair: (-pair[0], pair[1].name)):
        if probability < max((*rivals, margin)) or (rivals and probability == max(rivals)):
            break
        arguments = yield from fill_arguments(
            tool, request, seed=seed.child(tool.name), context=context, way=way, now=now
        )
        if isinstance(arguments, Failed) and arguments.reason == NOT_STATED:
            return IncompleteCall(tool, tuple(arguments.detail.split(", ")), probability)
        if not isinstance(arguments, Failed) and call_key(tool.name, arguments) not in done:
            return ProposedCall(tool, arguments, probability)
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
    """Arguments of a tool as ``request`` states them, valid under its schema.

    Relative dates such as "tomorrow" are resolved against ``now``; without it they are not read.
    Failed with the reason ``NOT_STATED`` if a required date, time or duration is not stated, or
    for a tool that acts a number or code.

    ``way``: "fields" selects the values of the fields among candidates from the request, which
    is far more accurate with a small model; "whole" generates all arguments as JSON."""
    if way == "fields":
        return (yield from fill_fields(spec, request, seed=seed, context=context, now=now))
    return (yield from generate_arguments(spec, request, seed=seed, context=context))
