"""Asks of a thought and the answers to them.

Asks are values without identity, callback or model. The driver gives each an identity, and asks
of all agents are answered in batches.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar

from ..argument_checks import check_arguments
from ..codec import first_error, validate_json_values, validate_with
from ..records import Cue, Hit
from ..types import AgentId, Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydantic import TypeAdapter

T = TypeVar("T")
Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a message. If a prompt exceeds the model's context, the engine drops whole parts,
    highest ``drop`` first; a part with ``drop`` 0 is never dropped."""

    text: str
    drop: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt. ``who`` is its author, if that matters. Special tokens in the text
    are tokenized as plain text."""

    role: Role
    parts: tuple[Part, ...]
    who: str = ""
    kind: Literal["message"] = "message"

    @classmethod
    def of(cls, role: Role, *texts: str, who: str = "") -> Message:
        """A message whose parts are never dropped."""
        return cls(role, tuple(Part(text) for text in texts), who)

    @property
    def text(self) -> str:
        """All parts, separated by line breaks."""
        return "\n".join(part.text for part in self.parts)


def drop_order(messages: Sequence[Message]) -> list[tuple[int, int]]:
    """The positions (message, part) of the parts that may be dropped, in the order of dropping:
    the highest ``drop`` first, of equals the earlier one."""
    parts = [
        (-part.drop, index, part_index)
        for index, message in enumerate(messages)
        for part_index, part in enumerate(message.parts)
        if part.drop > 0
    ]
    return [(index, part_index) for _, index, part_index in sorted(parts)]


def without_parts(
    messages: Sequence[Message], positions: Collection[tuple[int, int]]
) -> tuple[Message, ...]:
    """The messages without the parts at ``positions``, and without messages that lose all."""
    kept = []
    for index, message in enumerate(messages):
        parts = [p for i, p in enumerate(message.parts) if (index, i) not in positions]
        if parts or not message.parts:
            kept.append(Message(message.role, tuple(parts), message.who))
    return tuple(kept)


DEFAULT_VOICE = "default"
"""The value of ``voice`` that stands for the voice the model was loaded with. A voice is a trained
adapter of the model's weights. An empty ``voice`` asks the weights without adapter; any other
value names a voice by its folder. A model without voices ignores the field."""

NO_VOICE = "none"
"""The value of a persona's, scenario's or model's setting ``voice`` that stands for the base
weights; asks have an empty ``voice`` for them."""

NEXT_LINE_ROLE = "next_line"
"""The role of a Choose whose options are drafts of the next line of the conversation in its
messages. Where the model has a critic, the probability of ``NONE_OF_THESE`` is calibrated: an
option with a higher one is more likely a true next line than not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generate:
    """Generate text, or JSON that fits ``schema``, a JSON Schema: of a Python type by
    ``schema_of``; ``Completion.read`` reads the answer as that type.

    Sampling by ``temperature`` (0: greedy), ``top_k`` (0: off), ``top_p`` and ``min_p`` (relative
    to the most likely token; Nguyen et al. 2024). ``repetition_penalty`` as in CTRL (Keskar et
    al. 2019); None: the model's own. ``stop`` are texts that end the generation. With ``stream``
    the client returns text as it is generated. ``voice``: see ``DEFAULT_VOICE``.
    ``top_logprobs``: the completion has the log-probability of each token, and of so many of the
    likeliest tokens at its place (None: no log-probabilities). With ``clip`` a model of this
    process reduces ``max_tokens`` to what its window leaves behind the prompt.
    """

    messages: tuple[Message, ...]
    max_tokens: int = 64
    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float | None = None
    seed: int = 0
    schema: Json = None
    stop: tuple[str, ...] = ()
    stream: bool = False
    role: str = "speech"
    kind: Literal["generate"] = "generate"
    voice: str = ""
    top_logprobs: int | None = None
    clip: bool = False

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = (
        "top_k",
        "min_p",
        "repetition_penalty",
        "voice",
        "top_logprobs",
        "clip",
    )


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a Choose. A model scores the ``description`` (the name if it is empty)."""

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choose:
    """Choose an option by likelihood; no token is generated.

    ``about`` is the short text that the decision is about: options are scored by how well they
    predict it. ``temperature`` 0 takes the most likely option; above 0 one is sampled.
    ``voice``: see ``DEFAULT_VOICE``; of the built-in methods only the critic of next lines
    (role ``NEXT_LINE_ROLE``) scores with it.
    """

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("voice",)

    messages: tuple[Message, ...]
    options: tuple[Option, ...]
    about: str
    temperature: float = 0.0
    seed: int = 0
    role: str = "decide"
    kind: Literal["choose"] = "choose"
    voice: str = ""


@dataclass(frozen=True, slots=True)
class Anchor:
    """An example of a rating: ``text`` has the rating ``value``."""

    value: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Rate ``about`` from ``low`` to ``high``, both integers.

    ``anchors`` are rated examples, which an engine may put in the prompt or compare with."""

    messages: tuple[Message, ...]
    about: str
    anchors: tuple[Anchor, ...] = ()
    low: int = 1
    high: int = 10
    role: str = "rate"
    kind: Literal["rate"] = "rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Embed:
    """Embed texts. With ``whole`` a model of this process counts their tokens, and fails if the
    embedder would cut one of them."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("whole",)

    texts: tuple[str, ...]
    role: str = "embed"
    kind: Literal["embed"] = "embed"
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """Recall records from the agent's own memory."""

    cue: Cue
    kind: Literal["recall"] = "recall"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Call one of the agent's tools. ``why`` is kept in the receipt.

    The other fields are set by the guard of the thought, not by the planner. ``sources`` are the
    untrusted sources that the thought has read; ``read`` and ``audience`` are its label.
    ``person`` is for whom the call is made (empty: the partner of the chat, else the owner;
    EVERYBODY if its effects are visible): the tool shows only what that person may know."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("sources", "person", "read", "audience")

    tool: str
    arguments: Json
    why: str = ""
    sources: tuple[str, ...] = ()
    person: AgentId = ""
    read: tuple[str, ...] = ()
    audience: tuple[AgentId, ...] = ()
    kind: Literal["call"] = "call"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprob:
    """A token: its text ("\ufffd" for a part of a character), its bytes, and the natural logarithm
    of its probability."""

    token: str
    logprob: float
    data: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedToken:
    """A token of a completion, and ``top``, the likeliest tokens at its place, best first.

    The probability is the model's, among the tokens that a schema allows, before penalties and
    temperature. A token without an alternative under the schema has the probability 1."""

    token: str
    logprob: float
    data: tuple[int, ...]
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Generated text; ``data`` is the parsed JSON if a schema was given. ``dropped`` are the
    parts of the prompt that did not fit the context, ``logprobs`` the tokens of the text, if the
    ask wants them."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("logprobs",)

    text: str
    data: Json = None
    tokens_in: int = 0
    tokens_out: int = 0
    stopped: Literal["end", "stop", "limit"] = "end"
    dropped: tuple[str, ...] = ()
    kind: Literal["completion"] = "completion"
    logprobs: tuple[GeneratedToken, ...] = ()

    def read(self, model: type[T]) -> T | Failed:
        """``data`` as an instance of the type whose schema was given; Failed if it violates a rule
        of the type that its schema does not express."""
        from pydantic import ValidationError

        try:
            return validate_json_values(model, self.data)
        except ValidationError as error:
            field, message = first_error(error)
            field = field or "the whole"
            return Failed(reason="schema", detail=f"field '{field}' of the answer: {message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The index of the chosen option, and the probabilities of all options, which sum to 1."""

    index: int
    probabilities: tuple[float, ...]
    tokens_in: int = 0
    kind: Literal["choice"] = "choice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """The expected rating, ``sum p(i) * i``, and the probabilities from low to high."""

    value: float
    probabilities: tuple[float, ...]
    tokens_in: int = 0
    kind: Literal["rating"] = "rating"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """Embeddings: float32 rows of Euclidean length 1, shape (rows, columns), encoded in base64."""

    data: str
    rows: int
    columns: int
    tokens_in: int = 0
    kind: Literal["vectors"] = "vectors"

    @classmethod
    def of(cls, array: NDArray[np.float32], tokens_in: int = 0) -> Vectors:
        """Encode an array of shape (rows, columns)."""
        import base64

        import numpy as np

        packed = np.ascontiguousarray(array, dtype="<f4")
        data = base64.b64encode(packed.tobytes()).decode()
        return cls(data=data, rows=packed.shape[0], columns=packed.shape[1], tokens_in=tokens_in)

    def array(self) -> NDArray[np.float32]:
        """The array of shape (rows, columns), float32, read-only."""
        import base64

        import numpy as np

        flat = np.frombuffer(base64.b64decode(self.data), dtype="<f4")
        return flat.reshape(self.rows, self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """The recalled records, best first. ``held`` is the probability that the memory holds the
    answer (None: not estimated). ``audience`` is who may know everything that was searched, since
    a record that is missing from the hits is information too."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("held", "audience")

    hits: tuple[Hit, ...]
    kind: Literal["recalled"] = "recalled"
    held: float | None = None
    audience: tuple[AgentId, ...] = ()


ToolErrorReason: TypeAlias = Literal[
    "",
    "unknown",
    "arguments",
    "denied",
    "budget",
    "repeated",
    "timeout",
    "failed",
    "result",
    "gone",
]
"""Why a call has no value: unknown tool, invalid arguments, denied, budget used up, repeated call,
timeout, the tool raised, its result cannot be serialized, or the process of the tool is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """The result of a tool call: ``value`` if ``ok``, else a message ``error`` and its ``reason``.

    It has a ``receipt`` if and only if the tool was started. ``sources`` and ``audience`` are the
    label that the tool has given it."""

    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("reason", "sources", "audience")

    ok: bool
    value: Json = None
    error: str = ""
    receipt: str = ""
    reason: ToolErrorReason = ""
    sources: tuple[str, ...] = ()
    audience: tuple[AgentId, ...] = ()
    kind: Literal["tool_result"] = "tool_result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The answer to an ask that failed. ``reason``: context_too_long, limit (of tokens), schema,
    engine, refused, denied (a server wants a key, a permission or payment), empty (a completion
    without text), contract (an answer of the wrong type or out of range), budget."""

    reason: str
    detail: str
    kind: Literal["failed"] = "failed"


ModelAsk: TypeAlias = Generate | Choose | Rate | Embed
Ask: TypeAlias = ModelAsk | Recall | Call
Answer: TypeAlias = Completion | Choice | Rating | Vectors | Recalled | ToolResult | Failed


MAX_PARAMETERS = 12  # of a tool that its option lists

NONE_OF_THESE = Option("none of these")
"""The option that no other option fits; an engine gives it that probability. It is recognized by
equality and not scored itself."""


@check_arguments
def tool_option(name: str, description: str, parameters: Json = None) -> Option:
    """A tool as an option: its name in words, its description, and a line for each parameter.

    ``parameters`` is its JSON Schema. An embedder compares the first line, a language model scores
    all of it. With the parameters SmolLM2-135M chooses the right one of two to four tools (BFCL)
    by likelihood in 1.00 of cases, without them in .96.

    >>> schema = {"properties": {"newTown": {"description": "Where to look."}}}
    >>> print(tool_option("weather.getNow", "The weather now.", schema).description)
    weather get Now: The weather now.
    - new Town: Where to look.
    """
    inner = parameters.get("properties") if isinstance(parameters, Mapping) else None
    fields: Mapping[str, Any] = inner if isinstance(inner, Mapping) else {}
    lines = [f"{identifier_to_words(name)}: {' '.join(description.split())}"]
    for field, schema in [*fields.items()][:MAX_PARAMETERS]:
        text = schema.get("description", "") if isinstance(schema, Mapping) else ""
        description_text = " ".join(str(text).split())
        line = f"- {identifier_to_words(field)}"
        lines.append(f"{line}: {description_text}" if description_text else line)
    return Option(name, "\n".join(lines))


@check_arguments
def identifier_to_words(name: str) -> str:
    """An identifier as words: dots, dashes, underscores and camel case become spaces.

    >>> identifier_to_words("get_userName.now")
    'get user Name now'
    """
    humps = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return re.sub(r"[\s._-]+", " ", humps).strip()


@cache
def _tagged_adapter(union: Any) -> TypeAdapter[Any]:
    from pydantic import Field, TypeAdapter

    return TypeAdapter(Annotated[union, Field(discriminator="kind")])


def ask_from_json(data: Json) -> Ask:
    """An ask from its JSON, by its ``kind``. Raises DataError."""
    ask: Ask = validate_with(_tagged_adapter(Ask), data, "ask")
    return ask


def answer_from_json(data: Json) -> Answer:
    """An answer from its JSON, by its ``kind``. Raises DataError."""
    answer: Answer = validate_with(_tagged_adapter(Answer), data, "answer")
    return answer
