"""What a mind may ask, and what it is answered.

Asks are values: no identity, no callback, no model. A driver gives them an identity,
answers them in batches and records every answer as it arrives.

Options with a meaning of their own: a tool, and none of the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
    """A piece of a message. When a prompt exceeds the window the engine drops whole
    parts, highest ``drop`` first; a part with ``drop`` 0 is never dropped."""

    text: str
    drop: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt. ``who`` names its author where that matters; the text is
    data: special tokens written in it never become control tokens."""

    role: Role
    parts: tuple[Part, ...]
    who: str = ""
    kind: Literal["message"] = "message"

    @classmethod
    def of(cls, role: Role, *texts: str, who: str = "") -> Message:
        """A message whose parts may not be dropped."""
        return cls(role, tuple(Part(text) for text in texts), who)

    @property
    def text(self) -> str:
        """All parts, joined by line breaks."""
        return "\n".join(part.text for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generate:
    """Ask for free text, or for JSON when ``schema`` is given: a JSON Schema, of a Python type
    by ``schema_of``; ``Completion.read`` reads the answer back as that type.

    Candidates for the next token are cut by ``top_k`` (0: off), ``top_p`` and ``min_p`` (a
    share of the likeliest one's probability; Nguyen et al. 2024), at ``temperature`` (0: the
    likeliest). ``repetition_penalty`` as in CTRL (Keskar et al. 2019); None: the model's own.
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

    # Left out of the JSON while at their defaults: runs recorded before they were there
    # keep the digests of their asks.
    OMITTED_AT_DEFAULT: ClassVar[tuple[str, ...]] = ("top_k", "min_p", "repetition_penalty")


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that can be chosen. ``description`` says in a sentence what it is; it is
    what a model scores (the name alone when empty)."""

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choose:
    """Ask which option fits; no token is generated.

    ``about`` is the short text the decision is about, scored by how well each option
    explains it. ``temperature`` 0 takes the most likely option, above 0 one is drawn.
    """

    messages: tuple[Message, ...]
    options: tuple[Option, ...]
    about: str
    temperature: float = 0.0
    seed: int = 0
    role: str = "decide"
    kind: Literal["choose"] = "choose"


@dataclass(frozen=True, slots=True)
class Anchor:
    """An example of what a rating means: ``text`` would be rated ``value``."""

    value: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Ask for a rating of ``about`` from ``low`` to ``high``, both whole numbers.

    ``anchors`` are rated examples; an engine may show them or measure nearness to them."""

    messages: tuple[Message, ...]
    about: str
    anchors: tuple[Anchor, ...] = ()
    low: int = 1
    high: int = 10
    role: str = "rate"
    kind: Literal["rate"] = "rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Embed:
    """Ask for the embeddings of texts."""

    texts: tuple[str, ...]
    role: str = "embed"
    kind: Literal["embed"] = "embed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """Ask the agent's own memory."""

    cue: Cue
    kind: Literal["recall"] = "recall"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Call one of the agent's tools. ``why`` is kept in the receipt.

    ``sources`` names whose words, beside its own and its friends', the thought had read
    before this call: strangers, documents, tools that bring text from outside. A thought
    need not set it: who drives it does, so that no planner can leave one out. So it is with
    ``person``, for whom the call is made (empty: whom a chat is with, else the owner;
    EVERYBODY where what comes of it shows): what is for others is not shown to them. ``read``
    and ``audience`` are the label of the thought: all its sources, and for whom it is."""

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
class Completion:
    """Generated text; ``data`` is the parsed JSON when a schema was given. ``dropped``
    lists the texts that did not fit the window."""

    text: str
    data: Json = None
    tokens_in: int = 0
    tokens_out: int = 0
    stopped: Literal["end", "stop", "limit"] = "end"
    dropped: tuple[str, ...] = ()
    kind: Literal["completion"] = "completion"

    def read(self, model: type[T]) -> T | Failed:
        """``data`` as an instance of the type whose schema was asked for; Failed where it
        breaks a rule of the type that no schema can say."""
        from pydantic import ValidationError

        try:
            return validate_json_values(model, self.data)
        except ValidationError as error:
            where, told = first_error(error)
            field = where or "the whole"
            return Failed(reason="schema", detail=f"field '{field}' of the answer: {told}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The chosen option's index and every option's probability (they sum to 1)."""

    index: int
    probabilities: tuple[float, ...]
    tokens_in: int = 0
    kind: Literal["choice"] = "choice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """Expected rating, ``sum p(i) * i``, and the probabilities from low to high."""

    value: float
    probabilities: tuple[float, ...]
    tokens_in: int = 0
    kind: Literal["rating"] = "rating"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """float32 rows of length 1, shape (n, d), as base64 so that they travel as JSON."""

    data: str
    rows: int
    columns: int
    tokens_in: int = 0
    kind: Literal["vectors"] = "vectors"

    @classmethod
    def of(cls, array: NDArray[np.float32], tokens_in: int = 0) -> Vectors:
        """Pack an array of shape (n, d)."""
        import base64

        import numpy as np

        packed = np.ascontiguousarray(array, dtype="<f4")
        data = base64.b64encode(packed.tobytes()).decode()
        return cls(data=data, rows=packed.shape[0], columns=packed.shape[1], tokens_in=tokens_in)

    def array(self) -> NDArray[np.float32]:
        """The rows, shape (n, d), float32, read only."""
        import base64

        import numpy as np

        flat = np.frombuffer(base64.b64decode(self.data), dtype="<f4")
        return flat.reshape(self.rows, self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """Records found, best first, each with its score and the parts of it; ``held`` is the
    probability that the memory holds what was asked (None: not estimated). ``audience`` is for
    whom all is that was searched: what was not found among it is told too."""

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
"""Why a call gave no value: no such tool, arguments that do not fit, not allowed, used up,
the same call again, too slow, the tool raised, a result that cannot be carried, or whatever
ran the tool is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a tool gave back: ``value`` when ``ok``, else ``error`` in words and its ``reason``.

    It has a ``receipt`` if and only if the tool began to run. ``sources`` are those whose words
    it holds and ``audience`` for whom it is, as far as the tool knows."""

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
    """An ask that could not be answered, by ``reason``: context_too_long, limit (of tokens),
    schema, engine, refused, denied (a server wants a key, a right or money), empty (an answer
    without text), contract (an answer of the wrong type, or out of range)."""

    reason: str
    detail: str
    kind: Literal["failed"] = "failed"


ModelAsk: TypeAlias = Generate | Choose | Rate | Embed
Ask: TypeAlias = ModelAsk | Recall | Call
Answer: TypeAlias = Completion | Choice | Rating | Vectors | Recalled | ToolResult | Failed


MAX_PARAMETERS = 12  # of a tool; more of them tell no more what it is for

NONE_OF_THESE = Option("none of these")
"""The option that all others are wrong; an engine gives it the probability that they are.

It is told by being equal to this one, so nothing else about it is scored."""


@check_arguments
def tool_option(name: str, description: str, parameters: Json = None) -> Option:
    """A tool as an option: its name in words, what it does, and a line for each parameter.

    ``parameters`` is its JSON Schema. The first line is what an embedder compares; a language
    model scores all of it, and needs the parameters: by likelihood alone SmolLM2-135M finds
    the right one of two to four tools (BFCL) in .96 of cases without them, 1.00 with them.

    >>> schema = {"properties": {"newTown": {"description": "Where to look."}}}
    >>> print(tool_option("weather.getNow", "The weather now.", schema).description)
    weather get Now: The weather now.
    - new Town: Where to look.
    """
    inner = parameters.get("properties") if isinstance(parameters, Mapping) else None
    fields: Mapping[str, Any] = inner if isinstance(inner, Mapping) else {}
    lines = [f"{identifier_to_words(name)}: {' '.join(description.split())}"]
    for field, schema in [*fields.items()][:MAX_PARAMETERS]:
        about = schema.get("description", "") if isinstance(schema, Mapping) else ""
        told = " ".join(str(about).split())
        lines.append(
            f"- {identifier_to_words(field)}: {told}" if told else f"- {identifier_to_words(field)}"
        )
    return Option(name, "\n".join(lines))


@check_arguments
def identifier_to_words(name: str) -> str:
    """An identifier as words: dots, dashes, underscores and humps become spaces.

    >>> identifier_to_words("get_userName.now")
    'get user Name now'
    """
    humps = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return re.sub(r"[\s._-]+", " ", humps).strip()


@cache
def _ask_adapter() -> TypeAdapter[Ask]:
    from pydantic import Field, TypeAdapter

    return TypeAdapter(Annotated[Ask, Field(discriminator="kind")])


@cache
def _answer_adapter() -> TypeAdapter[Answer]:
    from pydantic import Field, TypeAdapter

    return TypeAdapter(Annotated[Answer, Field(discriminator="kind")])


def ask_from_json(data: Json) -> Ask:
    """Any ask, told apart by its ``kind``. Raises DataError for what is none."""
    return validate_with(_ask_adapter(), data, "ask")


def answer_from_json(data: Json) -> Answer:
    """Any answer, told apart by its ``kind``. Raises DataError for what is none."""
    return validate_with(_answer_adapter(), data, "answer")
