"""``@tool``: a typed function becomes a tool, its schema read from signature and docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial, update_wrapper
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
    cast,
    get_args,
    get_origin,
    get_type_hints,
    overload,
    runtime_checkable,
)

from ...core import (
    AgentId,
    Json,
    Label,
    Time,
    ToolError,
    ToolSpec,
    did_you_mean,
    local_time,
    time_zone,
)

if TYPE_CHECKING:
    from docstring_parser import Docstring
    from pydantic import BaseModel

P = ParamSpec("P")
R = TypeVar("R")
Effect: TypeAlias = Literal["pure", "reads", "acts"]
ProgressCallback: TypeAlias = Callable[[str, float | None], None]
"""Receives the progress of a running tool: a text, and the share done (0 to 1, None: unknown)."""

_NAME = re.compile(r"(?=.{1,64}$)[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*")
_MAX_FAULTS = 5
_UNMARKED = Label()


@dataclass(frozen=True, slots=True)
class ToolContext:
    """The context of a tool call: the calling agent, the simulated time, the idempotency key, the
    untrusted ``sources`` read before the call, and the ``person`` for whom the result is (empty:
    the agent itself; EVERYBODY: anybody). The result must hold nothing that this person may not
    know. ``zone`` is their time zone (empty: that of ``now``). ``label`` holds the sources and the
    audience on which the call rests. A parameter of this type is filled in by the caller and hidden
    from the model."""

    who: AgentId
    now: Time
    key: str = ""
    sources: tuple[str, ...] = ()
    person: AgentId = ""
    listener: ProgressCallback | None = field(default=None, compare=False, repr=False)
    label: Label = _UNMARKED
    on_label: Callable[[Label], None] | None = field(default=None, compare=False, repr=False)
    zone: str = ""

    @property
    def local_now(self) -> Time:
        """What the person's clock shows now."""
        return local_time(self.now, time_zone(self.zone))

    def report_progress(self, text: str, share: float | None = None) -> None:
        """Report progress: a text, and the share done (0 to 1)."""
        if self.listener:
            self.listener(text, share)

    def add_label(self, label: Label) -> None:
        """Add sources and audience of the result. The labels of several calls are joined; the
        caller's thought rests on them too."""
        parts = isinstance(label, Label) and (label.sources, label.audience)
        if not parts or not all(isinstance(part, tuple) for part in parts):
            raise ToolError(
                f"add_label() takes a Label, such as Label(('Ada',)), not {label!r:.80}"
            )
        if self.on_label:
            self.on_label(label)


@dataclass(frozen=True, slots=True)
class Unit:
    """Unit of a number: ``Annotated[float, Unit("km")]``. It is added to the description."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolLimits:
    """Limits of a tool: ``timeout`` in seconds (0: none), number of ``retries`` after a failure,
    maximum ``characters`` of its result as JSON (0: the toolbox's limit)."""

    timeout: float = 0.0
    retries: int = 0
    characters: int = 0


@runtime_checkable
class AnyTool(Protocol):
    """A tool as a Toolbox takes it: made by ``@tool`` or ``@skill``, or external."""

    @property
    def name(self) -> str:
        """Its name; dots divide it into namespaces: ``web.fetch``."""

    @property
    def spec(self) -> ToolSpec:
        """Name, description and JSON Schema as shown to a model, and its effect."""

    @property
    def context(self) -> str:
        """Name of the parameter for the ToolContext, empty without one."""

    @property
    def function(self) -> Callable[..., object]:
        """The function to call with keyword arguments, plain or ``async``."""

    def arguments(self, given: Mapping[str, Json]) -> dict[str, Any]:
        """The arguments converted to the function's types. Raises ValueError, such as
        pydantic.ValidationError, if they are invalid."""


def checked_name(name: str) -> str:
    """The name, if it is valid as a tool's name in prompts and schemas; else raises ToolError."""
    if not _NAME.fullmatch(name):
        raise ToolError(
            f"tool '{name}': a name has letters, digits, _ and -, in parts divided by dots, at "
            "most 64 in all, and each part starts with a letter or _; give one with "
            '@tool(name="...")'
        )
    return name


def unknown_argument(name: str, known: Collection[str]) -> str:
    """The error message for an argument that is not in ``known``."""
    names = ", ".join(known) or "none"
    return f"there is no argument '{name}'{did_you_mean(name, known)}; arguments: {names}"


def join_faults(faults: Sequence[str]) -> str:
    """The first five faults of a call's arguments, and the number of further ones."""
    more = len(faults) - _MAX_FAULTS
    return "; ".join(faults[:_MAX_FAULTS]) + (f"; and {more} more" if more > 0 else "")


class Tool(Generic[P, R]):
    """A function with a JSON Schema of its parameters; calling it calls the function directly.

    Made by ``@tool``. ``spec`` is what a model is shown, ``context`` the name of the parameter for
    the ToolContext (or ""). A decorated method is a tool of each object: ``Toolbox([bo.bake])``.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str = "",
        effect: Effect = "pure",
        outside: bool = False,
        limits: ToolLimits = ToolLimits(),
    ):
        function = _plain_callable(function)
        self.function = function
        self.limits = limits
        self.name = checked_name(name or _name_of(function))
        if effect not in get_args(Effect):
            raise ToolError(f"tool '{self.name}': effect is pure, reads or acts, not '{effect}'")
        if not isinstance(outside, bool):
            raise ToolError(f"tool '{self.name}': outside is True or False, not {outside!r}")
        doc = _parsed(_doc_of(function))
        description = _description(doc)
        if not description:
            raise ToolError(
                f"tool '{self.name}' has no docstring; say in it what the tool does, "
                "the model chooses by it"
            )
        _check_limits(self.name, effect, limits)
        self.method = _is_method(function)
        self.context, parameters = _parameters(self.name, function, skip=self.method)
        self._names = {f"a{place}": name for place, name in enumerate(parameters)}
        self._model = _model(self.name, parameters, _arguments_doc(self.name, doc, parameters))
        schema = _schema(self.name, self._model)
        _add_units(schema, parameters)
        self.spec = ToolSpec(self.name, description, schema, effect, outside)
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __get__(self, owner: object, kind: type | None = None) -> Tool[..., R]:
        """The tool bound to one object, if it was made of a method."""
        if owner is None or not self.method:
            return self
        bound = copy(self)
        bound.function = self.function.__get__(owner, kind)
        bound.method = False
        return bound

    def __repr__(self) -> str:
        return f"<Tool {self.name} ({self.spec.effect})>"

    def arguments(self, given: Mapping[str, Json]) -> dict[str, Any]:
        """The keyword arguments, converted and with defaults. Raises pydantic.ValidationError if
        they are invalid."""
        checked = self._model.model_validate(dict(given))
        return {name: getattr(checked, field) for field, name in self._names.items()}


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *,
    name: str = "",
    effect: Effect = "pure",
    outside: bool = False,
    timeout: float = 0.0,
    retries: int = 0,
    limit: int = 0,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str = "",
    effect: Effect = "pure",
    outside: bool = False,
    timeout: float = 0.0,
    retries: int = 0,
    limit: int = 0,
) -> Tool[P, R] | Callable[[Callable[P, R]], Tool[P, R]]:
    """Make a tool of a typed function or method, plain or ``async``.

    The description is the docstring's first paragraph. Parameters are described by the docstring
    (Google, NumPy or Sphinx style), by ``Annotated[int, "text"]`` or by pydantic's ``Field``.
    ``effect``: ``pure`` depends on its arguments and the context only, ``reads`` reads outside
    state, ``acts`` changes it. ``outside``: its results are untrusted words. With a ``timeout`` in
    seconds the function runs in a thread of its own. A failed call is repeated up to ``retries``
    times, which is refused for a tool that acts. ``limit`` is the maximum number of characters of
    the result as JSON. Raises ToolError if a parameter has no type, or one without a JSON Schema.

    >>> @tool
    ... def double(n: int) -> int:
    ...     '''Twice a number.'''
    ...     return 2 * n
    >>> double(4), double.spec.parameters["properties"]
    (8, {'n': {'type': 'integer'}})
    """
    limits = ToolLimits(timeout=timeout, retries=retries, characters=limit)

    def decorate(decorated: Callable[P, R]) -> Tool[P, R]:
        return Tool(decorated, name=name, effect=effect, outside=outside, limits=limits)

    return decorate if function is None else decorate(function)


def _check_limits(name: str, effect: Effect, limits: ToolLimits) -> None:
    if min(limits.timeout, limits.retries, limits.characters) < 0:
        raise ToolError(f"tool '{name}': timeout, retries and limit must not be negative")
    if limits.retries and effect == "acts":
        raise ToolError(
            f"tool '{name}' acts, so it must not be retried: a failed call may have had its "
            "effect; leave retries out"
        )


def _is_method(function: Callable[..., object]) -> bool:
    scope = getattr(function, "__qualname__", "").rpartition(".")[0]
    within = bool(scope) and not scope.endswith("<locals>") and inspect.isfunction(function)
    first = next(iter(inspect.signature(function).parameters), "") if within else ""
    return first == "self"


def _plain_callable(function: Callable[P, R]) -> Callable[P, R]:
    """The function, if it can become a tool; raises ToolError for a class or a non-callable."""
    if isinstance(function, staticmethod | classmethod):
        raise ToolError(
            f"tool '{function.__func__.__name__}': put @tool below @staticmethod, not above it; "
            "a classmethod is no tool: make one of a function"
        )
    if isinstance(function, type) or not callable(function):
        shown = getattr(function, "__name__", type(function).__name__)
        raise ToolError(f"'{shown}' is no function, method or callable object; write a function")
    return function


def _inner(function: Callable[..., object]) -> Callable[..., object]:
    """The function with a callable's types and docstring: that of a partial, or ``__call__``."""
    function = _unwrap_partial(function)
    if inspect.isroutine(function):
        return function
    return cast(Callable[..., object], type(function).__call__)


def _unwrap_partial(function: Callable[..., object]) -> Callable[..., object]:
    while isinstance(function, partial):
        function = function.func
    return function


def _name_of(function: Callable[..., object]) -> str:
    function = _unwrap_partial(function)
    return str(getattr(function, "__name__", "") or type(function).__name__)


def _doc_of(function: Callable[..., object]) -> str:
    own = "" if isinstance(function, partial) else inspect.getdoc(function)
    return inspect.getdoc(_inner(function)) or own or ""


def _description(doc: Docstring) -> str:
    parts = [doc.short_description or ""]
    if doc.long_description and not doc.blank_after_short_description:
        parts.append(re.split(r"\n\s*\n", doc.long_description, maxsplit=1)[0])
    return " ".join(" ".join(parts).split())


def _parsed(doc: str) -> Docstring:
    import docstring_parser

    return docstring_parser.parse(doc)


def _arguments_doc(name: str, doc: Docstring, parameters: Mapping[str, object]) -> dict[str, str]:
    """Descriptions of the parameters; raises ToolError for a name that is no parameter."""
    texts: dict[str, str] = {}
    for entry in doc.params:
        if entry.args[0] not in ("param", "parameter", "arg", "argument", "key", "keyword"):
            continue  # attributes and the like
        for key in (part.strip().lstrip("*") for part in entry.arg_name.split(",")):
            if key not in parameters:
                raise ToolError(f"tool '{name}': the docstring describes '{key}', not a parameter")
            texts[key] = " ".join((entry.description or "").split())
    return texts


def _parameters(
    name: str, function: Callable[..., object], *, skip: bool
) -> tuple[str, dict[str, tuple[Any, object]]]:
    """The name of the context parameter (or ""), and type and default of every other parameter."""
    try:
        hints = get_type_hints(_inner(function), include_extras=True)
    except NameError as error:
        raise ToolError(
            f"tool '{name}': a type cannot be found ({error}); import it at the module's top, "
            "not under TYPE_CHECKING"
        ) from error
    context = ""
    parameters: dict[str, tuple[Any, object]] = {}
    for parameter in [*inspect.signature(function).parameters.values()][int(skip) :]:
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
            parameters[parameter.name] = (kind, default)
    return context, parameters


def _pydantic_type(kind: Any) -> Any:
    """The type with the text of ``Annotated[int, "text"]`` as a Field and without Units."""
    if get_origin(kind) is not Annotated:
        return kind
    from pydantic import Field

    base, *extras = get_args(kind)
    text = next((extra for extra in extras if isinstance(extra, str)), "")
    marks = [extra for extra in extras if not isinstance(extra, str | Unit)]
    if text:
        marks.append(Field(description=text))
    return Annotated[base, *marks] if marks else base


def _add_units(schema: Json, parameters: Mapping[str, tuple[Any, object]]) -> None:
    for name, (kind, _) in parameters.items():
        for mark in get_args(kind)[1:] if get_origin(kind) is Annotated else ():
            if isinstance(mark, Unit):
                member = schema["properties"][name]
                text = f"{member.get('description', '')}, in {mark.name}"
                member["description"] = text.lstrip(", ")


def _model(
    name: str, parameters: Mapping[str, tuple[Any, object]], texts: Mapping[str, str]
) -> type[BaseModel]:
    """A pydantic model of the arguments. Its fields are called a0, a1, ... with aliases, because
    parameters may have names that are attributes of a model, such as ``copy``."""
    from pydantic import ConfigDict, Field, create_model
    from pydantic.errors import PydanticUserError

    fields: dict[str, Any] = {}
    for place, (parameter, (kind, default)) in enumerate(parameters.items()):
        kind = _pydantic_type(kind)
        if parameter in texts:
            kind = Annotated[kind, Field(description=texts[parameter])]
        fields[f"a{place}"] = (Annotated[kind, Field(alias=parameter)], default)
    try:
        return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    except PydanticUserError as error:
        raise ToolError(f"tool '{name}': a parameter's type cannot be checked: {error}") from error


def _schema(name: str, model: type[BaseModel]) -> Json:
    """JSON Schema of the arguments, without titles, which would repeat the names."""
    from pydantic.errors import PydanticUserError
    from pydantic.json_schema import GenerateJsonSchema

    class UntitledSchema(GenerateJsonSchema):
        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

    try:
        schema = model.model_json_schema(schema_generator=UntitledSchema)
    except PydanticUserError as error:
        raise ToolError(
            f"tool '{name}': a parameter's type does not fit into JSON: {error}; "
            "use str, int, float, bool, Literal, list, dict, datetime or a dataclass of those"
        ) from error
    schema.pop("title", None)
    return schema
