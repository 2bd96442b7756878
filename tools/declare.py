"""``@tool``: a typed function becomes a tool, its schema read from signature and docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import update_wrapper
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
    overload,
    runtime_checkable,
)

from ..core import AgentId, Json, Time, ToolError, ToolSpec

if TYPE_CHECKING:
    from pydantic import BaseModel

P = ParamSpec("P")
R = TypeVar("R")
Effect: TypeAlias = Literal["pure", "reads", "acts"]

_NAME = re.compile(r"(?=.{1,64}$)[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*")
_ARGS = re.compile(r"(?m)^Args:[ \t]*$\n((?:[ \t]+.*\n?|[ \t]*\n)*)")


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Who calls, when in the world's time, and under which idempotency key. A tool that has
    a parameter of this type is given it; the model never sees that parameter."""

    who: AgentId
    now: Time
    key: str = ""


@runtime_checkable
class AnyTool(Protocol):
    """What a Toolbox takes: a function of our own made by ``@tool``, or a foreign one."""

    @property
    def name(self) -> str:
        """Its name; dots divide it into namespaces: ``web.fetch``."""
        ...

    @property
    def spec(self) -> ToolSpec:
        """What a mind is shown."""
        ...

    @property
    def context(self) -> str:
        """Name of the parameter that is given the ToolContext; empty for none."""
        ...

    @property
    def function(self) -> Callable[..., object]:
        """What is called with the arguments by name, plain or ``async``."""
        ...

    def arguments(self, given: Mapping[str, Json]) -> dict[str, Any]:
        """The function's arguments, converted; raises ValueError (pydantic.ValidationError
        is one) when they do not fit."""
        ...


def checked_name(name: str) -> str:
    """The name itself. Raises ToolError for one that no prompt and no schema could carry."""
    if not _NAME.fullmatch(name):
        raise ToolError(
            f"tool '{name}': a name has letters, digits, _ and -, in parts divided by dots, at "
            "most 64 in all, and each part starts with a letter or _; give one with "
            '@tool(name="...")'
        )
    return name


class Tool(Generic[P, R]):
    """A function with the schema a model is shown; calling it calls the function as it is.

    ``spec`` is what a mind sees, ``context`` the name of the injected parameter (or "").
    Made by ``@tool``.
    """

    def __init__(self, function: Callable[P, R], *, name: str = "", effect: Effect = "pure"):
        self.function = function
        self.name = checked_name(name or getattr(function, "__name__", ""))
        if effect not in get_args(Effect):
            raise ToolError(f"tool '{self.name}': effect is pure, reads or acts, not '{effect}'")
        doc = inspect.getdoc(function) or ""
        description = _description(doc)
        if not description:
            raise ToolError(
                f"tool '{self.name}' has no docstring; say in it what the tool does, "
                "the model chooses by it"
            )
        self.context, parameters = _parameters(self.name, function)
        self._names = {f"a{place}": name for place, name in enumerate(parameters)}
        self._model = _model(self.name, parameters, _arguments_doc(self.name, doc, parameters))
        self.spec = ToolSpec(self.name, description, _schema(self.name, self._model), effect)
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Tool {self.name} ({self.spec.effect})>"

    def arguments(self, given: Mapping[str, Json]) -> dict[str, Any]:
        """The function's keyword arguments, converted to its types, defaults filled in.

        Raises pydantic.ValidationError when they do not fit.
        """
        checked = self._model.model_validate(dict(given))
        return {name: getattr(checked, field) for field, name in self._names.items()}


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(*, name: str = "", effect: Effect = "pure") -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(
    function: Callable[P, R] | None = None, /, *, name: str = "", effect: Effect = "pure"
) -> Tool[P, R] | Callable[[Callable[P, R]], Tool[P, R]]:
    """Make a tool of a typed function, plain or ``async``.

    The description is the docstring's first paragraph; arguments are described by its
    ``Args:`` lines (``name: text``), by ``Annotated[int, "text"]`` or by pydantic's
    ``Field``. ``effect``: ``pure`` depends on nothing but its arguments and the context,
    ``reads`` looks at the outside, ``acts`` changes it. Raises ToolError when a parameter
    has no type, or one that JSON cannot carry.

    >>> @tool
    ... def double(n: int) -> int:
    ...     '''Twice a number.'''
    ...     return 2 * n
    >>> double(4), double.spec.parameters["properties"]
    (8, {'n': {'type': 'integer'}})
    """
    if function is not None:
        return Tool(function, name=name, effect=effect)
    return lambda later: Tool(later, name=name, effect=effect)


def _description(doc: str) -> str:
    first = re.split(r"\n\s*\n", doc.strip(), maxsplit=1)[0]
    return " ".join(_ARGS.sub("", first + "\n").split())


def _arguments_doc(name: str, doc: str, parameters: Mapping[str, object]) -> dict[str, str]:
    """Descriptions from the docstring's ``Args:``, refused when they name no parameter."""
    found = _ARGS.search(doc)
    if not found:
        return {}
    lines = [line for line in found.group(1).splitlines() if line.strip()]
    indent = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    texts: dict[str, str] = {}
    last = ""
    for line in lines:
        entry = re.match(r"(\w+)(?: \([^)]*\))?:\s*(.*)", line[indent:])
        if entry:
            last = entry.group(1)
            texts[last] = entry.group(2).strip()
        elif last:
            texts[last] = f"{texts[last]} {line.strip()}".strip()
    for key in texts:
        if key not in parameters:
            raise ToolError(f"tool '{name}': the docstring describes '{key}', not a parameter")
    return texts


def _parameters(
    name: str, function: Callable[..., object]
) -> tuple[str, dict[str, tuple[Any, object]]]:
    """The name of the context parameter, and every other's type and default."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ToolError(
            f"tool '{name}': a type cannot be found ({error}); import it at the module's top, "
            "not under TYPE_CHECKING"
        ) from error
    context = ""
    found: dict[str, tuple[Any, object]] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ToolError(
                f"tool '{name}': parameter '{parameter.name}' must be an ordinary one, "
                "not *args, **kwargs or positional-only"
            )
        if parameter.name not in hints:
            raise ToolError(f"tool '{name}': parameter '{parameter.name}' has no type; add one")
        kind = hints[parameter.name]
        if kind is ToolContext:
            context = parameter.name
        else:
            default = ... if parameter.default is parameter.empty else parameter.default
            found[parameter.name] = (_described(kind), default)
    return context, found


def _described(kind: Any) -> Any:
    """``Annotated[int, "text"]`` means a description of ``text``."""
    if get_origin(kind) is not Annotated:
        return kind
    from pydantic import Field

    base, *extras = get_args(kind)
    marks = [Field(description=extra) if isinstance(extra, str) else extra for extra in extras]
    return Annotated[base, *marks]


def _model(
    name: str, parameters: Mapping[str, tuple[Any, object]], texts: Mapping[str, str]
) -> type[BaseModel]:
    """A pydantic model of the arguments. Its fields have made-up names and aliases, so that
    a parameter may be called ``copy`` or ``schema``, which a model's attributes forbid."""
    from pydantic import ConfigDict, Field, create_model
    from pydantic.errors import PydanticUserError

    fields: dict[str, Any] = {}
    for place, (parameter, (kind, default)) in enumerate(parameters.items()):
        if parameter in texts:
            kind = Annotated[kind, Field(description=texts[parameter])]
        fields[f"a{place}"] = (Annotated[kind, Field(alias=parameter)], default)
    try:
        return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    except PydanticUserError as error:
        raise ToolError(f"tool '{name}': a parameter's type cannot be checked: {error}") from error


def _schema(name: str, model: type[BaseModel]) -> Json:
    """JSON Schema of the arguments, without the titles that only repeat the names."""
    from pydantic.errors import PydanticUserError
    from pydantic.json_schema import GenerateJsonSchema

    class Plain(GenerateJsonSchema):
        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

    try:
        schema = model.model_json_schema(schema_generator=Plain)
    except PydanticUserError as error:
        raise ToolError(
            f"tool '{name}': a parameter's type does not fit into JSON: {error}; "
            "use str, int, float, bool, Literal, list, dict, datetime or a dataclass of those"
        ) from error
    schema.pop("title", None)
    return schema
