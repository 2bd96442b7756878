"""How each kind of ask is put to an OpenAI-compatible server."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..core import (
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
)
from ..core import Vectors as VectorsAnswer
from .remote_decisions import Decisions
from .remote_dialect import FORMATS
from .remote_faults import Fault, Refused, TooLong
from .remote_prompts import continued, shorten, turns, with_question
from .remote_reply import Reply, read_reply
from .remote_schema import json_format, schema_fault, schema_request, value_of
from .remote_speech import Speech, cut_at
from .remote_vectors import Vectoriser
from .remote_wire import Cost, Wire

log = logging.getLogger(__name__)

SMALL = 1_000_000_000  # parameters; below, a model loops and its own choices are chance
REASONING_ROOM = 1024  # tokens beyond an ask's own, for a model that reasons first
TEMPLATED = ("vllm", "sglang", "llamacpp")  # servers that take chat_template_kwargs
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Served:
    """A model of a server: its id, the server's kind (vllm, sglang, llamacpp, ollama, lmstudio
    or other), and where they are told the window in tokens and the parameters."""

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
        self._unbegun = False
        self._reasons = wire.name.settings.thinking
        self._unopened = False
        self._said: set[str] = set()

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
            return self.wire.cleaned(fault.failed), cost
        finally:
            if cost.estimated and not (isinstance(ask, Generate) and ask.stream):
                self.warn("tells no counts of tokens; they are estimated, three bytes for one")

    def warn(self, text: str, example: str = "") -> None:
        """Say once what is wrong with the server or its model, with the first example."""
        if text not in self._said:
            self._said.add(text)
            told = f"{text} ({example[:200]})" if example else text
            log.warning("%s#%s %s", self.wire.name.url, self.served.model, told)

    async def _embed(self, ask: Embed, cost: Cost) -> Answer:
        array = await self.vectoriser.vectors(ask.texts, cost)
        return VectorsAnswer.of(array, cost.tokens_in)

    async def _generate(self, ask: Generate, on_text: Callable[[str], None], cost: Cost) -> Answer:
        if ask.schema is not None and (wrong := schema_fault(ask.schema)):
            return Failed(reason="schema", detail=wrong)
        try:
            reply, dropped = await self.chat(
                ask.messages,
                self._fields(ask),
                cost,
                schema=ask.schema,
                words=None if ask.schema is None else schema_request(ask.schema),
                on_text=on_text if ask.stream else None,
            )
        except Refused as refused:
            if ask.schema is not None and refused.untaken:
                # Whatever else it may be, this server makes no grammar of this schema.
                return Failed(reason="schema", detail=str(refused))
            raise
        return self._completion(ask, reply, dropped, cost)

    def _fields(self, ask: Generate) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "max_tokens": ask.max_tokens,
            "temperature": ask.temperature,
            "top_p": ask.top_p,
            "seed": ask.seed % 2**31,  # llama.cpp reads 32 bits, all ones meaning any
            **self._sampling(ask),
        }
        if stops := [stop for stop in ask.stop if stop]:
            fields["stop"] = stops
        return fields

    async def chat(
        self,
        messages: Sequence[Message],
        fields: dict[str, Any],
        cost: Cost,
        *,
        schema: Json = None,
        words: str | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> tuple[Reply, tuple[str, ...]]:
        """The reply to messages, and the texts that had to be dropped.

        With ``schema`` a server that binds no reply to it is asked for any JSON object, then
        in ``words`` alone. ``on_text`` is told the text as it comes. Raises Fault."""

        async def send(messages: Sequence[Message], merged: bool) -> Reply:
            if schema is None:
                return await self._spoken(messages, merged, fields, cost, on_text)
            first: Refused | None = None
            for level in range(self.wire.dialect.format, len(FORMATS)):
                asked = with_question(messages, words) if level and words else messages
                bound = fields | json_format(schema, FORMATS[level])
                try:
                    reply = await self._spoken(asked, merged, bound, cost, on_text)
                except Refused as refused:
                    if not refused.untaken:
                        raise
                    first = first or refused
                    continue
                self.wire.dialect.learn_format(level, first)
                return reply
            assert first is not None
            raise first

        return await self.fitted(messages, send)

    async def _spoken(
        self,
        messages: Sequence[Message],
        merged: bool,
        fields: dict[str, Any],
        cost: Cost,
        on_text: Callable[[str], None] | None,
    ) -> Reply:
        """The reply of a model that may reason first. Of one that is found to, an ask of which
        the reasoning has eaten up the tokens, or was cut by a stop string, is made again."""
        stops = fields.get("stop", ())
        while True:
            known, speech = self._reasons, Speech(on_text, stops, begun=self._unopened)
            body: dict[str, Any] = {"model": self.served.model, "messages": turns(messages, merged)}
            body |= fields | self._extra(messages)
            if known:
                # The stop strings are for the answer; they must not cut the reasoning.
                body.pop("stop", None)
                body["max_tokens"] += REASONING_ROOM
            if on_text is None:
                raw = await self.wire.chat(body, cost)
            else:
                raw = await self.wire.stream(body, cost, speech.feed)
                speech.finish()
            reply = read_reply(raw, begun=self._unopened)
            if reply.reasoned:
                self._learn_reasoning(reply)
            usable = reply.text.strip() and not reply.hidden
            if known or not reply.reasoned or usable or speech.told:
                return reply

    def _learn_reasoning(self, reply: Reply) -> None:
        if not self.wire.name.settings.thinking:
            self.warn(
                "reasons before it answers although it is asked not to; the reasoning is taken "
                "out, and costs tokens"
            )
        self._reasons = True
        self._unopened |= reply.unopened

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

    def _extra(self, messages: Sequence[Message]) -> dict[str, Any]:
        """What known servers need to be told about a chat: whether the model may reason
        first, and that a last message of the assistant is the beginning of its answer."""
        thinking, kind = self.wire.name.settings.thinking, self.served.kind
        if kind not in TEMPLATED:
            asked = kind in ("ollama", "lmstudio") or self._reasons
            return {"reasoning_effort": "none"} if asked and not thinking else {}
        extra: dict[str, Any] = {"chat_template_kwargs": {"enable_thinking": thinking}}
        begun = bool(messages) and messages[-1].role == "assistant"
        if begun and kind != "llamacpp":  # which goes on by itself
            extra |= {"continue_final_message": True, "add_generation_prompt": False}
        return extra

    def _completion(
        self, ask: Generate, reply: Reply, dropped: tuple[str, ...], cost: Cost
    ) -> Answer:
        text, begun = reply.text, bool(ask.messages) and ask.messages[-1].role == "assistant"
        if begun:
            # llama.cpp's answer repeats the beginning that it was given.
            text = text.removeprefix(turns(ask.messages[-1:], False)[0]["content"])
        data, stopped = None, False
        if ask.schema is not None:
            data, wrong = value_of(ask.schema, text)
            if wrong:
                detail = f"{wrong}: {text[-80:]!r}" + ("; raise max_tokens" if reply.cut else "")
                return Failed(reason="limit" if reply.cut else "schema", detail=detail)
        else:
            text, stopped = cut_at(text, ask.stop)
            # Of a begun answer there may be nothing left to say.
            whole = begun and not reply.reasoned and reply.finish == "stop"
            if not text.strip() and not whole:
                failed = _no_text(reply)
                self.warn("gives no text to speak", failed.detail)
                return failed
        # Where the server says what it stopped at: vLLM, SGLang.
        at_stop = stopped or isinstance(reply.stopped_at, str)
        return Completion(
            text=text,
            data=data,
            tokens_in=cost.tokens_in,
            tokens_out=cost.tokens_out,
            stopped="stop" if at_stop else "limit" if reply.cut else "end",
            dropped=dropped,
        )

    async def fitted(
        self,
        messages: Sequence[Message],
        send: Callable[[Sequence[Message], bool], Awaitable[T]],
    ) -> tuple[T, tuple[str, ...]]:
        """What ``send`` returns for the messages, and the texts that had to be dropped.

        Sends less when the server says that it is too long, turns that alternate when it
        refuses them as they are, and a begun answer as a request to go on with it; what
        helped is remembered. Raises Fault."""
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
        if self._unbegun:
            messages = continued(messages)
        try:
            return await self._merging(messages, send)
        except Refused as refused:
            whole = continued(messages)
            if whole == tuple(messages) or not refused.untaken:
                raise
            try:
                found = await self._merging(whole, send)
            except Refused:
                raise refused from None
            self._unbegun = True
            return found

    async def _merging(
        self, messages: Sequence[Message], send: Callable[[Sequence[Message], bool], Awaitable[T]]
    ) -> T:
        if self._merged:
            return await send(messages, True)
        try:
            return await send(messages, False)
        except Refused as refused:
            same = turns(messages, True) == turns(messages, False)
            if same or not refused.untaken:
                raise
            try:
                found = await send(messages, True)
            except Refused:
                raise refused from None
            self._merged = True
            return found


def _no_text(reply: Reply) -> Failed:
    """The answer to an ask for text that got none."""
    reason = "limit" if reply.cut else "empty"
    if reply.reasoned:
        why = "the model reasoned and wrote no answer"
        remedy = "turn its reasoning off at the server, or take a model that answers at once"
        return Failed(reason=reason, detail=f"{why}; {remedy}")
    told = f" (it ended by '{reply.finish}')" if reply.finish else ""
    return Failed(reason=reason, detail=f"the server's answer holds no text{told}")
