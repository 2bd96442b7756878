"""How each kind of ask is put to an OpenAI-compatible server."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ...core import (
    Answer,
    Choose,
    Completion,
    Embed,
    Failed,
    Generate,
    Json,
    Message,
    ModelAsk,
    Rate,
    schema_problem,
)
from ...core import Vectors as VectorsAnswer
from .chat_completion import ChatCompletion, parse_chat_completion
from .chat_messages import append_question, drop_parts, to_chat_messages, without_prefill
from .completion_stream import AnswerFilter, cut_at_stop
from .embeddings import TextEmbeddings
from .remote_decider import RemoteDecider
from .request_errors import PromptTooLong, RequestError, RequestRejected
from .structured_output import parse_value, response_format, schema_instruction
from .transport import JSON_FORMATS, OpenAITransport, RequestUsage

log = logging.getLogger(__name__)

SMALL_MODEL_PARAMETERS = (
    1_000_000_000  # parameters; below, a model loops and its own choices are chance
)
REASONING_TOKENS = 1024  # tokens beyond an ask's own, for a model that reasons first
TEMPLATE_SERVERS = ("vllm", "sglang", "llamacpp")  # servers that take chat_template_kwargs
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model of a server: its id, the server's kind (vllm, sglang, llamacpp, ollama, lmstudio
    or other), and where they are told the window in tokens and the parameters."""

    model: str
    kind: str
    window: int | None = None
    parameters: int | None = None

    @property
    def is_small(self) -> bool:
        """Known to be too small to decide by itself."""
        return self.parameters is not None and self.parameters < SMALL_MODEL_PARAMETERS


class RemoteAskHandler:
    """Answers asks by requests to one model of a server. Lives on one event loop."""

    def __init__(
        self, wire: OpenAITransport, served: ServedModel, vectoriser: TextEmbeddings, method: str
    ) -> None:
        self.transport = wire
        self.served = served
        self.embeddings = vectoriser
        self._decider = RemoteDecider(self, method)
        self._merges_turns = False
        self._refuses_prefill = False
        self._reasons = wire.endpoint.settings.thinking
        self._reasoning_unopened = False
        self._warned: set[str] = set()

    async def answer(
        self, ask: ModelAsk, on_text: Callable[[str], None]
    ) -> tuple[Answer, RequestUsage]:
        """The answer and what it cost; what goes wrong is Failed with its reason."""
        cost = RequestUsage()
        try:
            if isinstance(ask, Generate):
                return await self._generate(ask, on_text, cost), cost
            if isinstance(ask, Choose):
                return await self._decider.choose(ask, cost), cost
            if isinstance(ask, Rate):
                return await self._decider.rate(ask, cost), cost
            return await self._embed(ask, cost), cost
        except RequestError as fault:
            return self.transport.redact(fault.failed), cost
        finally:
            if cost.estimated and not (isinstance(ask, Generate) and ask.stream):
                self.warn_once("tells no counts of tokens; they are estimated, three bytes for one")

    def warn_once(self, text: str, example: str = "") -> None:
        """Say once what is wrong with the server or its model, with the first example."""
        if text not in self._warned:
            self._warned.add(text)
            told = f"{text} ({example[:200]})" if example else text
            log.warning("%s#%s %s", self.transport.endpoint.url, self.served.model, told)

    async def _embed(self, ask: Embed, cost: RequestUsage) -> Answer:
        array = await self.embeddings.vectors(ask.texts, cost)
        return VectorsAnswer.of(array, cost.tokens_in)

    async def _generate(
        self, ask: Generate, on_text: Callable[[str], None], cost: RequestUsage
    ) -> Answer:
        if ask.schema is not None and (wrong := schema_problem(ask.schema)):
            return Failed(reason="schema", detail=wrong)
        try:
            reply, dropped = await self.chat(
                ask.messages,
                self._request_fields(ask),
                cost,
                schema=ask.schema,
                words=None if ask.schema is None else schema_instruction(ask.schema),
                on_text=on_text if ask.stream else None,
            )
        except RequestRejected as refused:
            if ask.schema is not None and refused.is_adaptable:
                # Whatever else it may be, this server makes no grammar of this schema.
                return Failed(reason="schema", detail=str(refused))
            raise
        return self._completion(ask, reply, dropped, cost)

    def _request_fields(self, ask: Generate) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "max_tokens": ask.max_tokens,
            "temperature": ask.temperature,
            "top_p": ask.top_p,
            "seed": ask.seed % 2**31,  # llama.cpp reads 32 bits, all ones meaning any
            **self._sampling_fields(ask),
        }
        if stops := [stop for stop in ask.stop if stop]:
            fields["stop"] = stops
        return fields

    async def chat(
        self,
        messages: Sequence[Message],
        fields: dict[str, Any],
        cost: RequestUsage,
        *,
        schema: Json = None,
        words: str | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> tuple[ChatCompletion, tuple[str, ...]]:
        """The reply to messages, and the texts that had to be dropped.

        With ``schema`` a server that binds no reply to it is asked for any JSON object, then
        in ``words`` alone. ``measure_text_facts`` is told the text as it comes. Raises
        RequestError."""

        async def send(messages: Sequence[Message], merged: bool) -> ChatCompletion:
            if schema is None:
                return await self._send_chat(messages, merged, fields, cost, on_text)
            first: RequestRejected | None = None
            for level in range(self.transport.dialect.format, len(JSON_FORMATS)):
                asked = append_question(messages, words) if level and words else messages
                bound = fields | response_format(schema, JSON_FORMATS[level])
                try:
                    reply = await self._send_chat(asked, merged, bound, cost, on_text)
                except RequestRejected as refused:
                    if not refused.is_adaptable:
                        raise
                    first = first or refused
                    continue
                self.transport.dialect.learn_format(level, first)
                return reply
            assert first is not None
            raise first

        return await self.send_fitting(messages, send)

    async def _send_chat(
        self,
        messages: Sequence[Message],
        merged: bool,
        fields: dict[str, Any],
        cost: RequestUsage,
        on_text: Callable[[str], None] | None,
    ) -> ChatCompletion:
        """The reply of a model that may reason first. Of one that is found to, an ask of which
        the reasoning has eaten up the tokens, or was cut by a stop string, is made again."""
        stops = fields.get("stop", ())
        while True:
            known, speech = (
                self._reasons,
                AnswerFilter(on_text, stops, begun=self._reasoning_unopened),
            )
            body: dict[str, Any] = {
                "model": self.served.model,
                "messages": to_chat_messages(messages, merged),
            }
            body |= fields | self._server_fields(messages)
            if known:
                # The stop strings are for the answer; they must not cut the reasoning.
                body.pop("stop", None)
                body["max_tokens"] += REASONING_TOKENS
            if on_text is None:
                raw = await self.transport.chat(body, cost)
            else:
                raw = await self.transport.stream(body, cost, speech.feed)
                speech.finish()
            reply = parse_chat_completion(raw, begun=self._reasoning_unopened)
            if reply.has_reasoning:
                self._learn_reasoning(reply)
            usable = reply.text.strip() and not reply.in_reasoning
            if known or not reply.has_reasoning or usable or speech.has_output:
                return reply

    def _learn_reasoning(self, reply: ChatCompletion) -> None:
        if not self.transport.endpoint.settings.thinking:
            self.warn_once(
                "reasons before it answers although it is asked not to; the reasoning is taken "
                "out, and costs tokens"
            )
        self._reasons = True
        self._reasoning_unopened |= reply.unopened

    def _sampling_fields(self, ask: Generate) -> dict[str, Any]:
        """The fields that OpenAI's own protocol lacks, as this kind of server names them.

        Servers have defaults of their own for what is not sent, so known ones are told
        what is off too; others only what the ask wants."""
        penalty = ask.repetition_penalty
        if penalty is None and self.served.is_small:
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

    def _server_fields(self, messages: Sequence[Message]) -> dict[str, Any]:
        """What known servers need to be told about a chat: whether the model may reason
        first, and that a last message of the assistant is the beginning of its answer."""
        thinking, kind = self.transport.endpoint.settings.thinking, self.served.kind
        if kind not in TEMPLATE_SERVERS:
            asked = kind in ("ollama", "lmstudio") or self._reasons
            return {"reasoning_effort": "none"} if asked and not thinking else {}
        extra: dict[str, Any] = {"chat_template_kwargs": {"enable_thinking": thinking}}
        begun = bool(messages) and messages[-1].role == "assistant"
        if begun and kind != "llamacpp":  # which goes on by itself
            extra |= {"continue_final_message": True, "add_generation_prompt": False}
        return extra

    def _completion(
        self, ask: Generate, reply: ChatCompletion, dropped: tuple[str, ...], cost: RequestUsage
    ) -> Answer:
        text, begun = reply.text, bool(ask.messages) and ask.messages[-1].role == "assistant"
        if begun:
            # llama.cpp's answer repeats the beginning that it was given.
            text = text.removeprefix(to_chat_messages(ask.messages[-1:], False)[0]["content"])
        data, stopped = None, False
        if ask.schema is not None:
            data, wrong = parse_value(ask.schema, text)
            if wrong:
                detail = f"{wrong}: {text[-80:]!r}" + (
                    "; raise max_tokens" if reply.truncated else ""
                )
                return Failed(reason="limit" if reply.truncated else "schema", detail=detail)
        else:
            text, stopped = cut_at_stop(text, ask.stop)
            # Of a begun answer there may be nothing left to say.
            whole = begun and not reply.has_reasoning and reply.finish_reason == "stop"
            if not text.strip() and not whole:
                failed = _empty_reply(reply)
                self.warn_once("gives no text to speak", failed.detail)
                return failed
        # Where the server says what it stopped at: vLLM, SGLang.
        at_stop = stopped or isinstance(reply.stop_string, str)
        return Completion(
            text=text,
            data=data,
            tokens_in=cost.tokens_in,
            tokens_out=cost.tokens_out,
            stopped="stop" if at_stop else "limit" if reply.truncated else "end",
            dropped=dropped,
        )

    async def send_fitting(
        self,
        messages: Sequence[Message],
        send: Callable[[Sequence[Message], bool], Awaitable[T]],
    ) -> tuple[T, tuple[str, ...]]:
        """What ``send`` returns for the messages, and the texts that had to be dropped.

        Sends less when the server says that it is too long, turns that alternate when it
        refuses them as they are, and a begun answer as a request to go on with it; what
        helped is remembered. Raises RequestError."""
        dropped: tuple[str, ...] = ()
        while True:
            try:
                return await self._send_continued(messages, send), dropped
            except PromptTooLong as fault:
                shorter, gone = drop_parts(messages, fault.fitting_share)
                if not gone:
                    raise
                messages, dropped = shorter, dropped + gone

    async def _send_continued(
        self, messages: Sequence[Message], send: Callable[[Sequence[Message], bool], Awaitable[T]]
    ) -> T:
        if self._refuses_prefill:
            messages = without_prefill(messages)
        try:
            return await self._send_merged(messages, send)
        except RequestRejected as refused:
            whole = without_prefill(messages)
            if whole == tuple(messages) or not refused.is_adaptable:
                raise
            try:
                found = await self._send_merged(whole, send)
            except RequestRejected:
                raise refused from None
            self._refuses_prefill = True
            return found

    async def _send_merged(
        self, messages: Sequence[Message], send: Callable[[Sequence[Message], bool], Awaitable[T]]
    ) -> T:
        if self._merges_turns:
            return await send(messages, True)
        try:
            return await send(messages, False)
        except RequestRejected as refused:
            same = to_chat_messages(messages, True) == to_chat_messages(messages, False)
            if same or not refused.is_adaptable:
                raise
            try:
                found = await send(messages, True)
            except RequestRejected:
                raise refused from None
            self._merges_turns = True
            return found


def _empty_reply(reply: ChatCompletion) -> Failed:
    """The answer to an ask for text that got none."""
    reason = "limit" if reply.truncated else "empty"
    if reply.has_reasoning:
        why = "the model reasoned and wrote no answer"
        remedy = "turn its reasoning off at the server, or take a model that answers at once"
        return Failed(reason=reason, detail=f"{why}; {remedy}")
    told = f" (it ended by '{reply.finish_reason}')" if reply.finish_reason else ""
    return Failed(reason=reason, detail=f"the server's answer holds no text{told}")
