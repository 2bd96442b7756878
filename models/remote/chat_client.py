"""Chat requests to one model of a server, adapted to what the server and model support."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...core import Json, Message
from .chat_completion import AnswerFilter, ChatCompletion, parse_chat_completion
from .chat_messages import append_question, drop_parts, to_chat_messages, without_prefill
from .request_errors import PromptTooLong, RequestRejected
from .structured_output import response_format
from .transport import JSON_FORMATS, OpenAITransport, RequestUsage

log = logging.getLogger(__name__)

SMALL_MODEL_PARAMETERS = 1_000_000_000  # smaller models loop and choose at random
REASONING_TOKENS = 1024  # added to max_tokens for a model that reasons before it answers
TEMPLATE_SERVERS = ("vllm", "sglang", "llamacpp")  # servers that accept chat_template_kwargs


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model of a server.

    ``kind`` is the server software: vllm, sglang, llamacpp, ollama, lmstudio or other.
    ``window`` is in tokens; it and ``parameters`` are None where the server does not report them.
    """

    model: str
    kind: str
    window: int | None = None
    parameters: int | None = None

    @property
    def is_small(self) -> bool:
        """Whether the model is known to be too small to choose by itself."""
        return self.parameters is not None and self.parameters < SMALL_MODEL_PARAMETERS


class ChatClient:
    """Sends chat requests and remembers what the server rejected. Used on one event loop."""

    def __init__(self, transport: OpenAITransport, served: ServedModel) -> None:
        self.transport = transport
        self.served = served
        self._merges_turns = False
        self._refuses_prefill = False
        self._reasons = transport.endpoint.settings.thinking
        self._reasoning_unopened = False
        self._warned: set[str] = set()

    def warn_once(self, text: str, example: str = "") -> None:
        """Log a warning about the server or its model, once, with its first example."""
        if text not in self._warned:
            self._warned.add(text)
            message = f"{text} ({example[:200]})" if example else text
            log.warning("%s#%s %s", self.transport.endpoint.url, self.served.model, message)

    async def chat(
        self,
        messages: Sequence[Message],
        fields: dict[str, Any],
        usage: RequestUsage,
        *,
        schema: Json = None,
        instruction: str | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> tuple[ChatCompletion, tuple[str, ...]]:
        """The completion of messages, and the texts of the parts that were dropped.

        With ``schema`` a server that cannot constrain a reply to it is asked for any JSON object,
        then by ``instruction`` alone. ``on_text`` receives the text as it arrives. The prompt is
        shortened when the server says that it is too long. Raises RequestError.
        """
        dropped: tuple[str, ...] = ()

        async def send(messages: Sequence[Message], merged: bool) -> ChatCompletion:
            if schema is None:
                return await self._send_chat(messages, merged, fields, usage, on_text)
            first: RequestRejected | None = None
            for level in range(self.transport.dialect.format, len(JSON_FORMATS)):
                prompt = (
                    append_question(messages, instruction) if level and instruction else messages
                )
                body = fields | response_format(schema, JSON_FORMATS[level])
                try:
                    reply = await self._send_chat(prompt, merged, body, usage, on_text)
                except RequestRejected as error:
                    if not error.is_adaptable:
                        raise
                    first = first or error
                    continue
                self.transport.dialect.learn_format(level, first)
                return reply
            assert first is not None
            raise first

        while True:
            try:
                return await self._send_continued(messages, send), dropped
            except PromptTooLong as error:
                messages, texts = drop_parts(messages, error.fitting_share)
                if not texts:
                    raise
                dropped += texts

    async def _send_chat(
        self,
        messages: Sequence[Message],
        merged: bool,
        fields: dict[str, Any],
        usage: RequestUsage,
        on_text: Callable[[str], None] | None,
    ) -> ChatCompletion:
        """One completion. It is requested a second time when the model turns out to reason and
        the reasoning used up the tokens or met a stop string."""
        stops = fields.get("stop", ())
        while True:
            reasons = self._reasons
            answer = AnswerFilter(on_text, stops, begun=self._reasoning_unopened)
            body: dict[str, Any] = {
                "model": self.served.model,
                "messages": to_chat_messages(messages, merged),
            }
            body |= fields | self._server_fields(messages)
            if reasons:
                # Stop strings are for the answer; they must not end the reasoning.
                body.pop("stop", None)
                body["max_tokens"] += REASONING_TOKENS
            if on_text is None:
                raw = await self.transport.chat(body, usage)
            else:
                raw = await self.transport.stream(body, usage, answer.feed)
                answer.finish()
            reply = parse_chat_completion(raw, begun=self._reasoning_unopened)
            if reply.has_reasoning:
                self._learn_reasoning(reply)
            usable = reply.text.strip() and not reply.in_reasoning
            if reasons or not reply.has_reasoning or usable or answer.has_output:
                return reply

    def _learn_reasoning(self, reply: ChatCompletion) -> None:
        if not self.transport.endpoint.settings.thinking:
            self.warn_once(
                "reasons before it answers although it is asked not to; the reasoning is "
                "removed, but costs tokens"
            )
        self._reasons = True
        self._reasoning_unopened |= reply.unopened

    def _server_fields(self, messages: Sequence[Message]) -> dict[str, Any]:
        """Fields for known servers: whether the model may reason first, and that a last message
        of the assistant is the beginning of its answer (a prefill)."""
        thinking, kind = self.transport.endpoint.settings.thinking, self.served.kind
        if kind not in TEMPLATE_SERVERS:
            can_reason = kind in ("ollama", "lmstudio") or self._reasons
            return {"reasoning_effort": "none"} if can_reason and not thinking else {}
        fields: dict[str, Any] = {"chat_template_kwargs": {"enable_thinking": thinking}}
        prefill = bool(messages) and messages[-1].role == "assistant"
        if prefill and kind != "llamacpp":  # llama.cpp continues a prefill by default
            fields |= {"continue_final_message": True, "add_generation_prompt": False}
        return fields

    async def _send_continued(
        self,
        messages: Sequence[Message],
        send: Callable[[Sequence[Message], bool], Awaitable[ChatCompletion]],
    ) -> ChatCompletion:
        """Send; where the server rejects a prefill, as a request to continue the answer."""
        if self._refuses_prefill:
            messages = without_prefill(messages)
        try:
            return await self._send_merged(messages, send)
        except RequestRejected as error:
            plain = without_prefill(messages)
            if plain == tuple(messages) or not error.is_adaptable:
                raise
            try:
                reply = await self._send_merged(plain, send)
            except RequestRejected:
                raise error from None
            self._refuses_prefill = True
            return reply

    async def _send_merged(
        self,
        messages: Sequence[Message],
        send: Callable[[Sequence[Message], bool], Awaitable[ChatCompletion]],
    ) -> ChatCompletion:
        """Send; where the server rejects the roles, with turns that alternate."""
        if self._merges_turns:
            return await send(messages, True)
        try:
            return await send(messages, False)
        except RequestRejected as error:
            same = to_chat_messages(messages, True) == to_chat_messages(messages, False)
            if same or not error.is_adaptable:
                raise
            try:
                reply = await send(messages, True)
            except RequestRejected:
                raise error from None
            self._merges_turns = True
            return reply
