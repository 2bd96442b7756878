"""Answers asks by requests to one model of an OpenAI-compatible server."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...core import (
    DEFAULT_VOICE,
    NO_VOICE,
    Answer,
    Choose,
    Completion,
    Embed,
    Failed,
    Generate,
    ModelAsk,
    Rate,
    Vectors,
    schema_problem,
)
from .chat_client import ChatClient
from .chat_completion import ChatCompletion, cut_at_stop
from .chat_messages import to_chat_messages
from .embeddings import TextEmbeddings
from .remote_decider import RemoteDecider
from .request_errors import RequestError, RequestRejected
from .structured_output import parse_value, schema_instruction
from .transport import RequestUsage

SMALL_MODEL_PENALTY = 1.1  # repetition penalty that the local engine gives small models too


class RemoteAskHandler:
    """Answers asks of every kind. Used on one event loop.

    ``voice``: the server's name of the adapter that is the default voice; empty for none.
    """

    def __init__(
        self, chat: ChatClient, embeddings: TextEmbeddings, method: str, voice: str = ""
    ) -> None:
        self._chat = chat
        self._voice = voice
        self._embeddings = embeddings
        self._decider = RemoteDecider(chat, embeddings, method)

    async def answer(
        self, ask: ModelAsk, on_text: Callable[[str], None]
    ) -> tuple[Answer, RequestUsage]:
        """The answer and the tokens it cost; an error becomes Failed with its reason."""
        usage = RequestUsage()
        try:
            if isinstance(ask, Generate):
                return await self._generate(ask, on_text, usage), usage
            if isinstance(ask, Choose):
                return await self._decider.choose(ask, usage), usage
            if isinstance(ask, Rate):
                return await self._decider.rate(ask, usage), usage
            return await self._embed(ask, usage), usage
        except RequestError as error:
            return self._chat.transport.redact(error.failed), usage
        finally:
            if usage.estimated and not (isinstance(ask, Generate) and ask.stream):
                self._chat.warn_once(
                    "reports no token counts; they are estimated at three bytes per token"
                )

    async def _embed(self, ask: Embed, usage: RequestUsage) -> Answer:
        return Vectors.of(await self._embeddings.vectors(ask.texts, usage), usage.tokens_in)

    async def _generate(
        self, ask: Generate, on_text: Callable[[str], None], usage: RequestUsage
    ) -> Answer:
        if ask.top_logprobs is not None:
            problem = "log-probabilities of a server's tokens are not passed on"
            return Failed(reason="refused", detail=f"{problem}; ask without top_logprobs")
        if ask.schema is not None and (problem := schema_problem(ask.schema)):
            return Failed(reason="schema", detail=problem)
        try:
            reply, dropped = await self._chat.chat(
                ask.messages,
                self._request_fields(ask),
                usage,
                schema=ask.schema,
                instruction=None if ask.schema is None else schema_instruction(ask.schema),
                on_text=on_text if ask.stream else None,
            )
        except RequestRejected as error:
            if ask.schema is not None and error.is_adaptable:
                # Every way to ask was rejected: the server cannot constrain a reply to this schema.
                return Failed(reason="schema", detail=str(error))
            raise
        return self._completion(ask, reply, dropped, usage)

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
        voice = self._voice if ask.voice == DEFAULT_VOICE else voice_name(ask.voice)
        return fields | ({"model": voice} if voice else {})

    def _sampling_fields(self, ask: Generate) -> dict[str, Any]:
        """Sampling fields that OpenAI's protocol lacks, under the names of this kind of server.

        Servers have defaults of their own for absent fields. Known servers therefore get every
        field, also where it is off; others only the fields that the ask sets.
        """
        served = self._chat.served
        penalty = ask.repetition_penalty
        if penalty is None and served.is_small:
            penalty = SMALL_MODEL_PENALTY
        if served.kind == "llamacpp":
            fields: dict[str, Any] = {"top_k": ask.top_k, "min_p": ask.min_p}
            return fields if penalty is None else fields | {"repeat_penalty": penalty}
        known = served.kind in ("vllm", "sglang")
        fields = {}
        if known or ask.top_k:
            fields["top_k"] = ask.top_k or -1
        if known or ask.min_p:
            fields["min_p"] = ask.min_p
        return fields if penalty is None else fields | {"repetition_penalty": penalty}

    def _completion(
        self, ask: Generate, reply: ChatCompletion, dropped: tuple[str, ...], usage: RequestUsage
    ) -> Answer:
        text, prefilled = reply.text, bool(ask.messages) and ask.messages[-1].role == "assistant"
        if prefilled:
            # llama.cpp repeats the prefill at the beginning of its answer.
            text = text.removeprefix(to_chat_messages(ask.messages[-1:], False)[0]["content"])
        data, stopped = None, False
        if ask.schema is not None:
            data, problem = parse_value(ask.schema, text)
            if problem:
                remedy = "; raise max_tokens" if reply.truncated else ""
                reason = "limit" if reply.truncated else "schema"
                return Failed(reason=reason, detail=f"{problem}: {text[-80:]!r}{remedy}")
        else:
            text, stopped = cut_at_stop(text, ask.stop)
            # After a prefill an empty text can be the whole rest of the answer.
            complete = prefilled and not reply.has_reasoning and reply.finish_reason == "stop"
            if not text.strip() and not complete:
                failed = _empty_reply(reply)
                self._chat.warn_once("sends replies without text", failed.detail)
                return failed
        # vLLM and SGLang report the stop string that ended the text.
        at_stop = stopped or isinstance(reply.stop_string, str)
        return Completion(
            text=text,
            data=data,
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            stopped="stop" if at_stop else "limit" if reply.truncated else "end",
            dropped=dropped,
        )


def voice_name(voice: str) -> str:
    """The model name under which servers offer a voice; empty for the default voice, the base
    weights, and with a warning for a folder, which a server cannot read."""
    if voice in ("", DEFAULT_VOICE, NO_VOICE):
        return ""
    if voice.startswith((".", "~", "/")) or Path(voice).is_dir():
        warnings.warn(
            f"voice '{voice}' is a folder, which a server does not read, so it is left out: give "
            "the name under which the server has it (vLLM: --lora-modules NAME=FOLDER)",
            stacklevel=2,
        )
        return ""
    return voice


def _empty_reply(reply: ChatCompletion) -> Failed:
    """The answer to an ask for text where the reply has none."""
    reason = "limit" if reply.truncated else "empty"
    if reply.has_reasoning:
        problem = "the model reasoned and wrote no answer"
        remedy = "turn its reasoning off at the server, or take a model that answers at once"
        return Failed(reason=reason, detail=f"{problem}; {remedy}")
    end = f" (it ended by '{reply.finish_reason}')" if reply.finish_reason else ""
    return Failed(reason=reason, detail=f"the server's answer holds no text{end}")
