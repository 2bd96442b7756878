"""Chat completions as JSON, whole and as a stream of chunks."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from ...core import GeneratedToken, Json, TokenLogprob
from ..hosting import OPENAI_PREFIX, RequestRefused, error_body
from .chat_task import ChatTask, FunctionCall
from .reply_parts import AnswerCall, AnswerEnd, AnswerPart, AnswerParts, AnswerText

DONE_LINE = "data: [DONE]\n\n"
LOWEST_LOGPROB = -9999.0  # OpenAI's stand-in for minus infinity


@dataclass(slots=True)
class CollectedChoice:
    """What has arrived of one choice."""

    text: list[str] = field(default_factory=list)
    logprobs: list[GeneratedToken] = field(default_factory=list)
    calls: list[FunctionCall] = field(default_factory=list)
    finish_reason: str = "stop"


@dataclass(slots=True)
class TokenUsage:
    """The tokens of a request: prompts and answers of all that was asked of the model for it."""

    prompt: int = 0
    completion: int = 0

    def add(self, end: AnswerEnd) -> None:
        """Count a choice."""
        self.prompt += end.prompt_tokens
        self.completion += end.completion_tokens

    @property
    def json(self) -> dict[str, Json]:
        """OpenAI's usage object."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
        }


class ChatCompletionOutput:
    """One chat completion: its id, and its parts as JSON."""

    def __init__(self, task: ChatTask, fingerprint: str) -> None:
        self._task = task
        self._logprobs = task.top_logprobs is not None
        self._head: dict[str, Json] = {
            "id": f"chatcmpl-{secrets.token_hex(14)}",
            "created": int(time.time()),
            "model": task.model,
            "system_fingerprint": fingerprint,
        }

    async def whole(self, parts: AnswerParts) -> dict[str, Json]:
        """The completion once all parts are there."""
        choices = [CollectedChoice() for _ in range(self._task.n)]
        usage = TokenUsage()
        async for part in parts:
            choice = choices[part.index]
            if isinstance(part, AnswerText):
                choice.text.append(part.text)
                choice.logprobs += part.logprobs
            elif isinstance(part, AnswerCall):
                choice.calls.append(part.call)
            else:
                choice.finish_reason = part.finish_reason
                usage.add(part)
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [self._choice(i, choice) for i, choice in enumerate(choices)],
            "usage": usage.json,
        }

    def _choice(self, index: int, choice: CollectedChoice) -> Json:
        message: dict[str, Json] = {
            "role": "assistant",
            "content": "".join(choice.text) or (None if choice.calls else ""),
            "refusal": None,
        }
        if choice.calls:
            message["tool_calls"] = [call_json(call) for call in choice.calls]
        return {
            "index": index,
            "message": message,
            "logprobs": logprobs_json(choice.logprobs) if self._logprobs else None,
            "finish_reason": choice.finish_reason,
        }

    async def stream(self, parts: AnswerParts, include_usage: bool) -> AsyncIterator[str]:
        """The lines of server-sent events; an error ends them."""
        usage = TokenUsage()
        opened: set[int] = set()
        try:
            async with aclosing(parts) as arriving:
                async for part in arriving:
                    if isinstance(part, AnswerEnd):
                        usage.add(part)
                    if part.index not in opened:
                        opened.add(part.index)
                        opening = {"role": "assistant", "content": "", "refusal": None}
                        yield self._chunk(include_usage, part.index, opening)
                    yield self._part_chunk(part, include_usage)
        except RequestRefused as error:  # the status was sent: the error is an event
            yield event_line(error_body(OPENAI_PREFIX, error))
            return
        if include_usage:
            head = {**self._head, "object": "chat.completion.chunk"}
            yield event_line({**head, "choices": [], "usage": usage.json})
        yield DONE_LINE

    def _part_chunk(self, part: AnswerPart, include_usage: bool) -> str:
        if isinstance(part, AnswerText):
            logprobs = logprobs_json(part.logprobs) if self._logprobs else None
            return self._chunk(include_usage, part.index, {"content": part.text}, logprobs)
        if isinstance(part, AnswerCall):
            call = {"index": 0, **call_json(part.call)}
            return self._chunk(include_usage, part.index, {"tool_calls": [call]})
        return self._chunk(include_usage, part.index, {}, finish_reason=part.finish_reason)

    def _chunk(
        self,
        include_usage: bool,
        index: int,
        delta: dict[str, Json],
        logprobs: Json = None,
        finish_reason: str | None = None,
    ) -> str:
        choice: dict[str, Json] = {
            "index": index,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }
        chunk = {**self._head, "object": "chat.completion.chunk", "choices": [choice]}
        return event_line({**chunk, "usage": None} if include_usage else chunk)


def call_json(call: FunctionCall) -> dict[str, Json]:
    """A call in an assistant's message."""
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def logprobs_json(tokens: Sequence[GeneratedToken]) -> Json:
    """The log-probabilities of tokens as a choice has them."""
    return {"content": [*map(token_json, tokens)], "refusal": None}


def token_json(token: GeneratedToken) -> Json:
    """A token with its alternatives."""
    return {**_logprob_json(token), "top_logprobs": [*map(_logprob_json, token.top)]}


def _logprob_json(one: GeneratedToken | TokenLogprob) -> dict[str, Json]:
    return {
        "token": one.token,
        "logprob": max(one.logprob, LOWEST_LOGPROB),
        "bytes": list(one.data),
    }


def event_line(data: Json, name: str = "") -> str:
    """A server-sent event with JSON data."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n\n" if name else f"data: {text}\n\n"
