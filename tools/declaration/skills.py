"""Skills: tools whose work is a thought, which asks the mind's own model and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, overload

from ...core import Json, Thought, ToolError, ToolSpec
from .declare import AnyTool, Effect, Tool, ToolContext, ToolLimits

P = ParamSpec("P")


class Skill:
    """A tool made of a generator that asks. Made by ``@skill``.

    A mind calls it like any tool, so policy, budget, leave and receipts hold for it alike;
    when the call was let through, whoever drives the thought runs ``think`` in its place (see
    ``denizens.agents.skills``). Its asks are then asks of the calling thought: answered in the
    same batches, counted and recorded like any other. Outside a mind a call only begins it.
    """

    def __init__(self, made: Tool[..., Thought[Json]]) -> None:
        self._tool = made
        self.name = made.name
        self.spec: ToolSpec = made.spec
        self.limits: ToolLimits = made.limits

    def __repr__(self) -> str:
        return f"<Skill {self.name} ({self.spec.effect})>"

    @property
    def context(self) -> str:
        """Name of the parameter that is given the ToolContext; empty for none."""
        return self._tool.context

    @property
    def function(self) -> Callable[..., Json]:
        """What a toolbox calls: it begins, and has done nothing yet."""
        return self._begin

    def arguments(self, given: Mapping[str, Json]) -> dict[str, Any]:
        """The arguments, converted. Raises pydantic.ValidationError when they do not fit."""
        return self._tool.arguments(given)

    def think(self, arguments: Mapping[str, Json], context: ToolContext) -> Thought[Json]:
        """The work itself. It raises ValueError for what cannot be done, as any tool."""
        given = self.arguments(arguments)
        if self.context:
            given[self.context] = context
        return self._tool.function(**given)

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
    """Make a skill of a typed generator function; everything is as for ``tool``.

    >>> from ...core import Completion, Generate, Message, generate
    >>> @skill
    ... def rhyme(word: str) -> Thought[Json]:
    ...     '''Find a word that rhymes with another.'''
    ...     messages = (Message.of("user", f"What rhymes with {word}? One word."),)
    ...     said = yield from generate(Generate(messages=messages, max_tokens=4))
    ...     return said.text if isinstance(said, Completion) else None
    >>> rhyme.name, rhyme.spec.effect
    ('rhyme', 'pure')
    """

    def made(given: Callable[P, Thought[Json]]) -> Skill:
        import inspect

        if not inspect.isgeneratorfunction(given):
            raise ToolError(
                f"skill '{getattr(given, '__name__', given)}' is no generator: a skill asks by "
                "'yield from'; what asks nothing is a tool"
            )
        limits = ToolLimits(characters=limit)
        return Skill(Tool(given, name=name, effect=effect, outside=outside, limits=limits))

    return made if function is None else made(function)


def skill_of(tool: AnyTool) -> Skill | None:
    """The skill behind a tool of a toolbox, whatever name it has there; None for others."""
    owner = getattr(tool.function, "__self__", None)
    return owner if isinstance(owner, Skill) else None
