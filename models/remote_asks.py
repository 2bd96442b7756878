"""How each kind of ask is put to an OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..core import Answer, Choose, Completion, Embed, Failed, Generate, Message, ModelAsk, Rate
from ..core import Vectors as VectorsAnswer
from .remote_decisions import Decisions
from .remote_prompts import shorten, turns
from .remote_schema import json_format, schema_fault, value_of
from .remote_vectors import Vectoriser
from .remote_wire import Cost, Fault, Refused, TooLong, Wire, first_choice

SMALL = 1_000_000_000  # parameters; below, a model loops and its own choices are chance
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Served:
    """A model of a server: its id, the server's kind (vllm, sglang, llamacpp, ollama or
    other), and where they are told the window in tokens and the parameters."""

    model: str
    kind: str
    window: int | None = None
    parameters: int | None = None

    @property
    def small(self) -> bool:
        """Known to be too small to decide by itself."""
        return self.parameters is not None and self.parameters < SMALL


class Asker:
    """Answers asks by requests to one model of a server. Lives on one event loop."""

    def __init__(self, wire: Wire, served: Served, vectoriser: Vectoriser, method: str) -> None:
        self.wire = wire
        self.served = served
        self.vectoriser = vectoriser
        self._decisions = Decisions(self, method)
        self._merged = False

    async def answer(self, ask: ModelAsk, on_text: Callable[[str], None]) -> tuple[Answer, Cost]:
        """The answer and what it cost; what goes wrong is Failed with its reason."""
        cost = Cost()
        try:
            if isinstance(ask, Generate):
                return await self._generate(ask, on_text, cost), cost
            if isinstance(ask, Choose):
                return await self._decisions.choose(ask, cost), cost
            if isinstance(ask, Rate):
                return await self._decisions.rate(ask, cost), cost
            return await self._embed(ask, cost), cost
        except Fault as fault:
            return fault.failed, cost

    async def _embed(self, ask: Embed, cost: Cost) -> Answer:
        array = await self.vectoriser.vectors(ask.texts, cost)
        return VectorsAnswer.of(array, cost.tokens_in)

    async def _generate(self, ask: Generate, on_text: Callable[[str], None], cost: Cost) -> Answer:
        if ask.schema is not None and (wrong := schema_fault(ask.schema)):
            return Failed(reason="schema", detail=wrong)

        async def send(messages: Sequence[Message], merged: bool) -> dict[str, Any]:
            fields = self._fields(ask, messages, merged)
            try:
                if ask.stream:
                    return await self.wire.stream(fields, cost, on_text)
                return await self.wire.chat(fields, cost)
            except Refused as refused:
                if ask.schema is not None and refused.status in (400, 422):
                    # Whatever else it may be, this server makes no grammar of this schema.
                    refused.failed = Failed(reason="schema", detail=str(refused))
                raise

        reply, dropped = await self.fitted(ask.messages, send)
        return self._completion(ask, first_choice(reply), dropped, cost)

    def _fields(self, ask: Generate, messages: Sequence[Message], merged: bool) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "model": self.served.model,
            "messages": turns(messages, merged),
            "max_tokens": ask.max_tokens,
            "temperature": ask.temperature,
            "top_p": ask.top_p,
            "seed": ask.seed % 2**31,  # llama.cpp reads 32 bits, all ones meaning any
            "extra_body": self.extra(messages) | self._sampling(ask),
        }
        if ask.stop:
            fields["stop"] = [stop for stop in ask.stop if stop]
        if ask.schema is not None:
            fields["response_format"] = json_format(ask.schema)
        return fields

    def _sampling(self, ask: Generate) -> dict[str, Any]:
        """The fields that OpenAI's own protocol lacks, as this kind of server names them.

        Servers have defaults of their own for what is not sent, so known ones are told
        what is off too; others only what the ask wants."""
        penalty = ask.repetition_penalty
        if penalty is None and self.served.small:
            penalty = 1.1  # what the local engine holds small models from looping with
        if self.served.kind == "llamacpp":
            extra: dict[str, Any] = {"top_k": ask.top_k, "min_p": ask.min_p}
            return extra if penalty is None else extra | {"repeat_penalty": penalty}
        known = self.served.kind in ("vllm", "sglang")
        extra = {}
        if known or ask.top_k:
            extra["top_k"] = ask.top_k or -1
        if known or ask.min_p:
            extra["min_p"] = ask.min_p
        return extra if penalty is None else extra | {"repetition_penalty": penalty}

    def extra(self, messages: Sequence[Message]) -> dict[str, Any]:
        """What known servers need to be told about a chat: whether the model may reason
        first, and that a last message of the assistant is the beginning of its answer."""
        if self.served.kind not in ("vllm", "sglang", "llamacpp"):
            return {}
        thinking = {"enable_thinking": self.wire.name.settings.thinking}
        extra: dict[str, Any] = {"chat_template_kwargs": thinking}
        begun = bool(messages) and messages[-1].role == "assistant"
        if begun and self.served.kind != "llamacpp":  # which goes on by itself
            extra |= {"continue_final_message": True, "add_generation_prompt": False}
        return extra

    def _completion(
        self, ask: Generate, choice: dict[str, Any], dropped: tuple[str, ...], cost: Cost
    ) -> Answer:
        text = str((choice.get("message") or {}).get("content") or "")
        if ask.messages and ask.messages[-1].role == "assistant":
            # llama.cpp's answer repeats the beginning that it was given.
            text = text.removeprefix(turns(ask.messages[-1:], False)[0]["content"])
        cut = choice.get("finish_reason") == "length"
        data = None
        if ask.schema is not None:
            data, wrong = value_of(ask.schema, text)
            if wrong:
                detail = f"{wrong}: {text[-80:]!r}" + ("; raise max_tokens" if cut else "")
                return Failed(reason="limit" if cut else "schema", detail=detail)
        # Where the server says what it stopped at: vLLM, SGLang.
        at = choice.get("stop_reason") or choice.get("matched_stop")
        return Completion(
            text=text,
            data=data,
            tokens_in=cost.tokens_in,
            tokens_out=cost.tokens_out,
            stopped="limit" if cut else "stop" if isinstance(at, str) else "end",
            dropped=dropped,
        )

    async def fitted(
        self,
        messages: Sequence[Message],
        send: Callable[[Sequence[Message], bool], Awaitable[T]],
    ) -> tuple[T, tuple[str, ...]]:
        """What ``send`` returns for the messages, and the texts that had to be dropped.

        Sends less when the server says that it is too long, and turns that alternate when
        it refuses them as they are; what helped is remembered. Raises Fault."""
        dropped: tuple[str, ...] = ()
        while True:
            try:
                return await self._turned(messages, send), dropped
            except TooLong as fault:
                shorter, gone = shorten(messages, fault.share)
                if not gone:
                    raise
                messages, dropped = shorter, dropped + gone

    async def _turned(
        self, messages: Sequence[Message], send: Callable[[Sequence[Message], bool], Awaitable[T]]
    ) -> T:
        if self._merged:
            return await send(messages, True)
        try:
            return await send(messages, False)
        except Refused as refused:
            same = turns(messages, True) == turns(messages, False)
            if same or refused.status not in (400, 422):
                raise
            try:
                found = await send(messages, True)
            except Refused:
                raise refused from None
            self._merged = True
            return found
