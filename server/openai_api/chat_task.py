"""What a request asks for, whatever API it came by: the conversation and how to answer it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ...core import (
    Json,
    ToolSpec,
    iter_subschemas,
    replace_surrogates,
    resolve_pointer,
    schema_problem,
)
from ..hosting import HostingSettings, check_schema_depth
from .api_error import api_error
from .request_types import (
    AssistantMessage,
    ChatCompletionRequest,
    ChatMessage,
    FunctionTool,
    JsonObjectResponseFormat,
    JsonSchemaResponseFormat,
    NamedToolChoice,
    RefusalContentPart,
    TextContentPart,
    ToolMessage,
)

ToolChoice: TypeAlias = Literal["none", "auto", "required"]
ANY_OBJECT: Json = {"type": "object"}
"""The schema of response_format json_object."""


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call of a client's tool; ``arguments`` are JSON as text."""

    id: str
    name: str
    arguments: str


def parsed_arguments(call: FunctionCall) -> Json:
    """The arguments of a call; their text if it is no JSON."""
    try:
        parsed: Json = json.loads(call.arguments)
    except ValueError:
        return call.arguments
    return parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatLine:
    """A message of a conversation. ``calls`` are those of an assistant's message, ``call_id``
    names the call that a tool's message answers."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    name: str = ""
    calls: tuple[FunctionCall, ...] = ()
    call_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTask:
    """A conversation to answer. None stands for what the request does not say; ``tool`` is the
    name of the one tool that is to be called (empty: see ``tool_choice``)."""

    model: str
    lines: tuple[ChatLine, ...]
    opening: ChatLine | None = None
    """The instructions of this request alone, one of the lines."""
    person: str | None = None
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = "auto"
    tool: str = ""
    schema: Json = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    n: int = 1
    top_logprobs: int | None = None
    stream: bool = False

    @property
    def instructions(self) -> str:
        """The texts of all system messages."""
        return "\n\n".join(line.text for line in self.lines if line.role == "system" and line.text)


def chat_task(request: ChatCompletionRequest, settings: HostingSettings) -> ChatTask:
    """The task of a request for a chat completion. Raises RequestRefused."""
    if request.stream_options is not None and not request.stream:
        raise api_error("stream_options are for streams: set stream", param="stream_options")
    tools, choice, named = requested_tools(request.tools, request.tool_choice, settings)
    stops = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ())
    if "" in stops:
        raise api_error("a stop text is empty; leave it out", param="stop")
    return ChatTask(
        model=request.model,
        lines=tuple(_lines(request.messages, settings)),
        person=request.user,
        tools=tools,
        tool_choice=choice,
        tool=named,
        schema=_requested_schema(request, settings),
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=max(0, request.top_k or 0),
        min_p=request.min_p or 0.0,
        repetition_penalty=request.repetition_penalty,
        max_tokens=_token_limit(request, settings),
        stop=stops,
        seed=request.seed,
        n=request.n or 1,
        top_logprobs=_top_logprobs(request),
        stream=bool(request.stream),
    )


def _top_logprobs(request: ChatCompletionRequest) -> int | None:
    if not request.logprobs:
        if request.top_logprobs:
            raise api_error("top_logprobs needs logprobs: true", param="top_logprobs")
        return None
    return request.top_logprobs or 0


def _token_limit(request: ChatCompletionRequest, settings: HostingSettings) -> int | None:
    """The limit of the answer's tokens; max_tokens is the older name of the field."""
    old, new = request.max_tokens, request.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise api_error(
            "max_tokens and max_completion_tokens are two names of one limit; give one",
            param="max_completion_tokens",
        )
    param = "max_tokens" if new is None else "max_completion_tokens"
    return checked_token_limit(old if new is None else new, param, settings)


def checked_token_limit(limit: int | None, param: str, settings: HostingSettings) -> int | None:
    """A limit of tokens. Raises RequestRefused above the server's."""
    if limit is not None and limit > settings.max_tokens:
        raise api_error(
            f"'{param}': this server answers with at most {settings.max_tokens} tokens, not "
            f"{limit}",
            param=param,
        )
    return limit


def requested_tools(
    tools: Sequence[FunctionTool] | None, choice: object, settings: HostingSettings
) -> tuple[tuple[ToolSpec, ...], ToolChoice, str]:
    """The tools of a request, the choice among them, and the name of the one to call."""
    specs = tuple(tool_spec(tool, settings) for tool in tools or ())
    names = [spec.name for spec in specs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise api_error(f"two tools are called '{twice[0]}'", param="tools")
    if isinstance(choice, NamedToolChoice):
        if choice.function.name not in names:
            raise api_error(
                f"tool_choice names '{choice.function.name}', which is none of the tools",
                param="tool_choice",
            )
        return specs, "required", choice.function.name
    if choice in ("required", "auto") and not specs:
        raise api_error(f"tool_choice is '{choice}' and there are no tools", param="tool_choice")
    picked: ToolChoice = "required" if choice == "required" else "auto"
    return specs, "none" if choice == "none" else picked, ""


def tool_spec(tool: FunctionTool, settings: HostingSettings) -> ToolSpec:
    """A client's tool. What it does is unknown, so it counts as one that acts: numbers and dates
    must be stated."""
    parameters = tool.function.parameters or {"type": "object", "properties": {}}
    if parameters.get("type", "object") != "object":
        raise api_error(
            f"the parameters of '{tool.function.name}' must be of the type object", param="tools"
        )
    checked_schema(parameters, "tools", settings)
    text = tool.function.description or tool.function.name.replace("_", " ")
    return ToolSpec(tool.function.name, text, parameters, effect="acts", outside=True)


def _requested_schema(request: ChatCompletionRequest, settings: HostingSettings) -> Json:
    wanted = request.response_format
    if isinstance(wanted, JsonObjectResponseFormat):
        return ANY_OBJECT
    if not isinstance(wanted, JsonSchemaResponseFormat):
        return None
    schema = wanted.json_schema.schema_
    return checked_schema(schema, "response_format", settings)


def checked_schema(schema: dict[str, Any] | None, param: str, settings: HostingSettings) -> Json:
    """The schema of an answer or of arguments; any object if there is none. Raises RequestRefused
    if it is no JSON Schema, or refers to what is not in it."""
    if schema is None:
        return ANY_OBJECT
    check_schema_depth(schema, settings.max_schema_depth, param)
    problem = schema_problem(schema)
    for _, inner in () if problem else iter_subschemas(schema):
        reference = inner.get("$ref") if isinstance(inner, dict) else None
        local = reference is None or reference == "#" or str(reference).startswith("#/")
        if not local or (reference and resolve_pointer(schema, reference, None) is None):
            problem = f"'{reference}' refers to what is not in the schema"
    if problem:
        raise api_error(problem, param=param, code="invalid_json_schema")
    return schema


def _lines(messages: Sequence[ChatMessage], settings: HostingSettings) -> Iterator[ChatLine]:
    """The lines of messages; results must answer a call that was made before them."""
    if len(messages) > settings.max_messages:
        raise api_error(
            f"{len(messages)} messages, more than the {settings.max_messages} that this server "
            "takes; leave the oldest out",
            param="messages",
        )
    called: set[str] = set()
    for place, message in enumerate(messages):
        text = replace_surrogates(content_text(message.content))
        name = replace_surrogates(message.name or "")
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in called:
                raise api_error(
                    f"'{message.tool_call_id}' is the id of no tool call before this message",
                    param=f"messages.{place}.tool_call_id",
                )
            yield ChatLine(role="tool", text=text, call_id=message.tool_call_id)
        elif isinstance(message, AssistantMessage):
            calls = tuple(
                FunctionCall(one.id, one.function.name, one.function.arguments)
                for one in message.tool_calls or ()
            )
            called |= {one.id for one in calls}
            yield ChatLine(
                role="assistant", text=text or message.refusal or "", name=name, calls=calls
            )
        else:
            role: Literal["system", "user"] = "user" if message.role == "user" else "system"
            yield ChatLine(role=role, text=text, name=name)


def content_text(content: str | Sequence[TextContentPart | RefusalContentPart] | None) -> str:
    """The text of a message's content; parts are lines of their own."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(
        part.refusal if isinstance(part, RefusalContentPart) else part.text for part in content
    )
