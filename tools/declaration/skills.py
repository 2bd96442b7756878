"""Skills: tools implemented as a thought, which asks the agent's own model and memory."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, overload

from ...core import Json, Thought, ToolError, ToolSpec
from .declare import AnyTool, Effect, Tool, ToolContext, ToolLimits

P = ParamSpec("P")


class Skill:
    """A tool made of a generator that asks. Made by ``@skill``.

    It is called like any tool, with policy, budget, approval and receipts. After an allowed call
    ``denizens.agents.skill_runner`` runs ``think``, whose asks are batched, counted and recorded as
    asks of the calling thought. A call outside a thought returns an acknowledgement only.
    """

    def __init__(self, tool: Tool[..., Thought[Json]]) -> None:
        self._tool = tool
        self.name = tool.name
        self.spec: ToolSpec = tool.spec
        self.limits: ToolLimits = tool.limits

    def __repr__(self) -> str:
        return f"<Skill {self.name} ({self.spec.effect})>"

    @property
    def context(self) -> str:
        """Name of the parameter for the ToolContext, empty without one."""
        return self._tool.context

    @property
    def function(self) -> Callable[..., Json]:
        """The function a toolbox calls: it only acknowledges the call; ``think`` does the work."""
        return self._begin

    def arguments(self, given: Mapping[str, Json]) -> dict[str, Any]:
        """The arguments, converted. Raises pydantic.ValidationError if they are invalid."""
        return self._tool.arguments(given)

    def think(self, arguments: Mapping[str, Json], context: ToolContext) -> Thought[Json]:
        """The work as a thought. Raises ValueError if it cannot be done, like any tool."""
        keywords = self.arguments(arguments)
        if self.context:
            keywords[self.context] = context
        return self._tool.function(**keywords)

    def _begin(self, **arguments: Any) -> Json:
        return {"thinking": self.name}


@overload
def skill(function: Callable[P, Thought[Json]], /) -> Skill: ...
@overload
def skill(
    *, name: str = "", effect: Effect = "pure", outside: bool = False, limit: int = 0
) -> Callable[[Callable[P, Thought[Json]]], Skill]: ...
def skill(
    function: Callable[P, Thought[Json]] | None = None,
    /,
    *,
    name: str = "",
    effect: Effect = "pure",
    outside: bool = False,
    limit: int = 0,
) -> Skill | Callable[[Callable[P, Thought[Json]]], Skill]:
    """Make a skill of a typed generator function; the parameters are those of ``tool``.

    >>> from ...core import Completion, Generate, Message, generate
    >>> @skill
    ... def rhyme(word: str) -> Thought[Json]:
    ...     '''Find a word that rhymes with another.'''
    ...     messages = (Message.of("user", f"What rhymes with {word}? One word."),)
    ...     answer = yield from generate(Generate(messages=messages, max_tokens=4))
    ...     return answer.text if isinstance(answer, Completion) else None
    >>> rhyme.name, rhyme.spec.effect
    ('rhyme', 'pure')
    """

    def decorate(decorated: Callable[P, Thought[Json]]) -> Skill:
        if not inspect.isgeneratorfunction(decorated):
            raise ToolError(
                f"skill '{getattr(decorated, '__name__', decorated)}' is no generator: a skill "
                "asks by 'yield from'; a function that asks nothing is a tool"
            )
        limits = ToolLimits(characters=limit)
        return Skill(Tool(decorated, name=name, effect=effect, outside=outside, limits=limits))

    return decorate if function is None else decorate(function)


def skill_of(tool: AnyTool) -> Skill | None:
    """The skill behind a tool of a toolbox, also if it was renamed; None for other tools."""
    owner = getattr(tool.function, "__self__", None)
    return owner if isinstance(owner, Skill) else None
