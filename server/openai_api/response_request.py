"""The body of POST /v1/responses, and the task that it stands for.

Source: https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AliasChoices, Discriminator, Field, Tag

from ...core import Json, replace_surrogates
from ..hosting import HostingSettings
from .api_error import api_error
from .chat_task import (
    ANY_OBJECT,
    ChatLine,
    ChatTask,
    FunctionCall,
    checked_schema,
    checked_token_limit,
    requested_tools,
)
from .request_types import (
    MAX_TOOLS,
    MAX_TOP_LOGPROBS,
    ApiModel,
    Count,
    FunctionDefinition,
    FunctionTool,
    JsonObjectResponseFormat,
    NamedFunction,
    NamedToolChoice,
    Probability,
    Temperature,
    TextResponseFormat,
    ToolName,
)

ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]


class InputText(ApiModel):
    """A part of a message's content: what was said, or answered."""

    type: Literal["input_text", "output_text"]
    text: str
    annotations: list[Any] | None = None  # of an answer that is sent back; changes nothing
    logprobs: list[Any] | None = None  # of an answer that is sent back; changes nothing


class InputRefusal(ApiModel):
    """A refusal that is sent back."""

    type: Literal["refusal"]
    refusal: str


class InputMessage(ApiModel):
    """A message of the conversation."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[Annotated[InputText | InputRefusal, Field(discriminator="type")]]
    id: str | None = None
    status: ItemStatus | None = None
    phase: str | None = None  # of an answer that is sent back; changes nothing


class DirectCaller(ApiModel):
    """A call that the model itself made, which all are."""

    type: Literal["direct"]


class InputCall(ApiModel):
    """A call of a client's tool."""

    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: ItemStatus | None = None
    caller: DirectCaller | None = None
    namespace: None = None
    # Under its Python name in what the official client dumps.
    async_: Annotated[
        Literal[False] | None, Field(validation_alias=AliasChoices("async", "async_"))
    ] = None


class InputCallOutput(ApiModel):
    """The result of a call."""

    type: Literal["function_call_output"]
    call_id: str
    output: str | list[InputText]
    id: str | None = None
    status: ItemStatus | None = None


def _item_type(item: Any) -> str:
    kind = item.get("type") if isinstance(item, dict) else getattr(item, "type", None)
    return "message" if kind is None else str(kind)


InputItem: TypeAlias = Annotated[
    Annotated[InputMessage, Tag("message")]
    | Annotated[InputCall, Tag("function_call")]
    | Annotated[InputCallOutput, Tag("function_call_output")],
    Discriminator(_item_type),
]


class ResponseFunctionTool(ApiModel):
    """A function that the model may call; the built-in tools of OpenAI are not supported."""

    type: Literal["function"]
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None  # arguments always fit the schema


class ResponseToolChoice(ApiModel):
    """A tool that is to be called."""

    type: Literal["function"]
    name: str


class ResponseJsonSchema(ApiModel):
    """An answer that fits a JSON Schema."""

    type: Literal["json_schema"]
    name: ToolName
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    description: str | None = None  # for the reader of the request; changes nothing
    strict: bool | None = None  # an answer always fits the schema


class ResponseTextSettings(ApiModel):
    """The form of an answer's text."""

    format: (
        Annotated[
            TextResponseFormat | JsonObjectResponseFormat | ResponseJsonSchema,
            Field(discriminator="type"),
        ]
        | None
    ) = None
    verbosity: Literal["medium"] | None = None


class ResponseStreamOptions(ApiModel):
    """What a stream has besides its events."""

    include_obfuscation: bool | None = None  # padding against traffic analysis: never sent


class ResponseReasoning(ApiModel):
    """Reasoning before the answer: there is none."""

    effort: Literal["none"] | None = None
    summary: None = None


class ResponsesRequest(ApiModel):
    """The body of POST /v1/responses."""

    model: str
    input: str | Annotated[list[InputItem], Field(min_length=1)]
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    temperature: Temperature | None = None
    top_p: Probability | None = None
    max_output_tokens: Count | None = None
    tools: Annotated[list[ResponseFunctionTool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ResponseToolChoice | None = None
    parallel_tool_calls: bool | None = None  # at most one tool is called at a time
    text: ResponseTextSettings | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    include: list[Literal["message.output_text.logprobs"]] | None = None
    user: Annotated[str, Field(max_length=200)] | None = None
    metadata: Annotated[dict[str, str], Field(max_length=16)] | None = None
    # Accepted with the value that has no effect only.
    truncation: Literal["disabled"] | None = None
    background: Literal[False] | None = None
    service_tier: Literal["auto", "default"] | None = None
    reasoning: ResponseReasoning | None = None
    prompt: None = None
    conversation: None = None
    max_tool_calls: None = None
    # Labels of OpenAI's own bookkeeping: accepted, of no effect here.
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in-memory", "in_memory", "24h"] | None = None


def response_task(
    request: ResponsesRequest, earlier: Sequence[ChatLine], settings: HostingSettings
) -> ChatTask:
    """The task of a request; ``earlier`` are the lines of the response that it continues. Raises
    ApiError."""
    tools, choice, named = requested_tools(
        [_function_tool(tool) for tool in request.tools or ()],
        _named_choice(request.tool_choice),
        settings,
    )
    lines = (*earlier, *_lines(request.input, earlier))
    if len(lines) > settings.max_messages:
        raise api_error(
            f"{len(lines)} items with those of earlier responses, more than the "
            f"{settings.max_messages} that this server takes; begin anew",
            param="input",
        )
    opening = (
        ChatLine(role="system", text=replace_surrogates(request.instructions))
        if request.instructions
        else None
    )
    return ChatTask(
        model=request.model,
        lines=(opening, *lines) if opening else lines,
        opening=opening,
        person=request.user,
        tools=tools,
        tool_choice=choice,
        tool=named,
        schema=_requested_schema(request, settings),
        temperature=request.temperature,
        top_p=request.top_p,
        max_tokens=checked_token_limit(request.max_output_tokens, "max_output_tokens", settings),
        top_logprobs=_top_logprobs(request),
        stream=bool(request.stream),
    )


def _top_logprobs(request: ResponsesRequest) -> int | None:
    if request.include or request.top_logprobs:
        return request.top_logprobs or 0
    return None


def _requested_schema(request: ResponsesRequest, settings: HostingSettings) -> Json:
    wanted = request.text.format if request.text else None
    if isinstance(wanted, JsonObjectResponseFormat):
        return ANY_OBJECT
    if isinstance(wanted, ResponseJsonSchema):
        return checked_schema(wanted.schema_, "text", settings)
    return None


def _function_tool(tool: ResponseFunctionTool) -> FunctionTool:
    function = FunctionDefinition(
        name=tool.name, description=tool.description, parameters=tool.parameters
    )
    return FunctionTool(type="function", function=function)


def _named_choice(choice: object) -> object:
    if isinstance(choice, ResponseToolChoice):
        return NamedToolChoice(type="function", function=NamedFunction(name=choice.name))
    return choice


def _lines(
    given: str | Sequence[InputMessage | InputCall | InputCallOutput], earlier: Sequence[ChatLine]
) -> Iterator[ChatLine]:
    """The lines of the input; results must answer a call before them."""
    if isinstance(given, str):
        yield ChatLine(role="user", text=replace_surrogates(given))
        return
    called = {call.id for line in earlier for call in line.calls}
    for place, item in enumerate(given):
        if isinstance(item, InputCall):
            called.add(item.call_id)
            call = FunctionCall(item.call_id, item.name, item.arguments)
            yield ChatLine(role="assistant", text="", calls=(call,))
        elif isinstance(item, InputCallOutput):
            if item.call_id not in called:
                raise api_error(
                    f"'{item.call_id}' is the id of no call before this item",
                    param=f"input.{place}.call_id",
                )
            yield ChatLine(role="tool", text=_text(item.output), call_id=item.call_id)
        else:
            role: Literal["system", "user", "assistant"] = (
                "system" if item.role == "developer" else item.role
            )
            yield ChatLine(role=role, text=_text(item.content))


def _text(content: str | Sequence[InputText | InputRefusal]) -> str:
    if isinstance(content, str):
        return replace_surrogates(content)
    texts = [part.refusal if isinstance(part, InputRefusal) else part.text for part in content]
    return replace_surrogates("\n".join(texts))
