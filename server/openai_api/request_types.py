"""The bodies of requests for chat completions and embeddings.

Fields that are not listed are refused. Fields that are accepted though they change nothing have a
comment; those with one permitted value are refused with any other.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Name: TypeAlias = Annotated[str, Field(max_length=64)]
Temperature: TypeAlias = Annotated[float, Field(ge=0, le=2)]
Probability: TypeAlias = Annotated[float, Field(gt=0, le=1)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=2**31 - 1)]
SeedNumber: TypeAlias = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Nothing: TypeAlias = Annotated[list[Any], Field(max_length=0)] | None
ToolName: TypeAlias = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
MAX_CHOICES = 8
MAX_TOP_LOGPROBS = 20
MAX_STOPS = 16
MAX_TOOLS = 128


class ApiModel(BaseModel):
    """A part of a body: of the declared types, without unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TextContentPart(ApiModel):
    """A part of a message's content; images, audio and files are not supported."""

    type: Literal["text"]
    text: str


class RefusalContentPart(ApiModel):
    """A refusal as a part of an assistant's content."""

    type: Literal["refusal"]
    refusal: str


class CalledFunction(ApiModel):
    """The function of a call; ``arguments`` are JSON as text."""

    name: Annotated[str, Field(max_length=256)]
    arguments: str


class AssistantToolCall(ApiModel):
    """A tool call in an assistant's message."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class SystemMessage(ApiModel):
    """Instructions; developer is the newer name of the role."""

    role: Literal["system", "developer"]
    content: str | list[TextContentPart]
    name: Name | None = None


class UserMessage(ApiModel):
    """What a person says."""

    role: Literal["user"]
    content: str | list[TextContentPart]
    name: Name | None = None


class AssistantMessage(ApiModel):
    """What the model said, as clients send it back."""

    role: Literal["assistant"]
    content: (
        str
        | list[Annotated[TextContentPart | RefusalContentPart, Field(discriminator="type")]]
        | None
    ) = None
    name: Name | None = None
    tool_calls: list[AssistantToolCall] | None = None
    refusal: str | None = None
    annotations: list[Any] | None = None  # citations, which clients send back; changes nothing
    audio: None = None
    function_call: None = None


class ToolMessage(ApiModel):
    """The result of a tool call."""

    role: Literal["tool"]
    content: str | list[TextContentPart]
    tool_call_id: str
    name: Name | None = None  # LangChain's; the name is that of the call


ChatMessage: TypeAlias = Annotated[
    SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")
]


class FunctionDefinition(ApiModel):
    """A function that a model may call."""

    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None  # arguments always fit the schema


class FunctionTool(ApiModel):
    """A tool of a request."""

    type: Literal["function"]
    function: FunctionDefinition


class NamedFunction(ApiModel):
    """A function by name."""

    name: str


class NamedToolChoice(ApiModel):
    """A tool that is to be called."""

    type: Literal["function"]
    function: NamedFunction


class JsonSchemaFormat(ApiModel):
    """The schema of a JSON answer."""

    name: ToolName
    description: str | None = None  # for the reader of the request; changes nothing
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None  # an answer always fits the schema


class TextResponseFormat(ApiModel):
    """An answer in words."""

    type: Literal["text"]


class JsonObjectResponseFormat(ApiModel):
    """An answer that is any JSON object."""

    type: Literal["json_object"]


class JsonSchemaResponseFormat(ApiModel):
    """An answer that fits a JSON Schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchemaFormat


ResponseFormat: TypeAlias = Annotated[
    TextResponseFormat | JsonObjectResponseFormat | JsonSchemaResponseFormat,
    Field(discriminator="type"),
]


class StreamOptions(ApiModel):
    """What a stream has besides its text."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None  # padding against traffic analysis: never sent


class ChatCompletionRequest(ApiModel):
    """The body of POST /v1/chat/completions."""

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    top_p: Probability | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    stop: str | Annotated[list[str], Field(max_length=MAX_STOPS)] | None = None
    seed: SeedNumber | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    parallel_tool_calls: bool | None = None  # at most one tool is called at a time
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    user: Annotated[str, Field(max_length=200)] | None = None
    # Fields of vLLM, which the engine has too.
    top_k: Annotated[int, Field(ge=-1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=2)] | None = None
    # Accepted with the value that has no effect only.
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    modalities: list[Literal["text"]] | None = None
    store: Literal[False] | None = None
    service_tier: Literal["auto", "default"] | None = None
    reasoning_effort: Literal["none"] | None = None
    verbosity: Literal["medium"] | None = None
    functions: Nothing = None
    function_call: None = None
    audio: None = None
    prediction: None = None
    web_search_options: None = None
    # Labels of OpenAI's own bookkeeping: accepted, of no effect here.
    metadata: dict[str, str] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in-memory", "in_memory", "24h"] | None = None


class EmbeddingRequest(ApiModel):
    """The body of POST /v1/embeddings. Tokens in place of texts are refused: they are those of
    another model's tokenizer."""

    model: str
    input: str | Annotated[list[str], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Count | None = None
    user: str | None = None  # embeddings are nobody's; changes nothing
