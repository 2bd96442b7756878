"""Answers of the plain model: words, JSON by a schema, or the call of a client's tool."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from ...core import (
    Answer,
    Completion,
    Delta,
    Done,
    Failed,
    Generate,
    Json,
    Message,
    Model,
    Seed,
)
from .api_error import ApiError, failed_error
from .chat_task import ChatLine, ChatTask
from .model_service import ModelService
from .reply_parts import AnswerCall, AnswerEnd, AnswerPart, AnswerParts, AnswerText, FinishReason
from .tool_choice import ToolQuestion, choose_call

DEFAULT_TOKENS = 512  # of an answer, where neither the request nor the model's window say more


@dataclass(slots=True)
class TokenCount:
    """Tokens that the asks of a request have cost."""

    tokens_in: int = 0
    tokens_out: int = 0

    def add(self, answer: Answer) -> None:
        """Count an answer's."""
        self.tokens_in += int(getattr(answer, "tokens_in", 0))
        self.tokens_out += int(getattr(answer, "tokens_out", 0))


class PlainModel:
    """The plain model as one that answers tasks. ``max_tokens`` is the server's limit."""

    def __init__(self, model: Model, service: ModelService, max_tokens: int) -> None:
        self._model = model
        self._service = service
        self._max_tokens = max_tokens

    async def answer(self, task: ChatTask, owner: str = "") -> AnswerParts:
        """The parts of the answer to a task. Raises ApiError."""
        seed = Seed.of(secrets.randbits(63) if task.seed is None else task.seed)
        count = TokenCount()
        if task.tools and task.tool_choice != "none":
            chosen = await self._service.think(choose_call(task, seed), owner, count.add)
            if isinstance(chosen, Failed):
                raise failed_error(chosen, "tools")
            if chosen is not None:
                for index in range(task.n):
                    if isinstance(chosen, ToolQuestion):
                        yield AnswerText(index, chosen.text)
                    else:
                        yield AnswerCall(index, replace(chosen, id=new_call_id()))
                    reason: FinishReason = (
                        "stop" if isinstance(chosen, ToolQuestion) else "tool_calls"
                    )
                    yield AnswerEnd(index, reason, *_counted(count, index))
                return
        asks = [self._ask(task, seed.child(index).number) for index in range(task.n)]
        async for part in self._choices(asks, owner, count):
            yield part

    def _ask(self, task: ChatTask, seed: int) -> Generate:
        messages = tuple(map(prompt_message, task.lines))
        return Generate(
            messages=messages,
            max_tokens=self._token_limit(task, messages),
            temperature=1.0 if task.temperature is None else task.temperature,
            top_p=1.0 if task.top_p is None else task.top_p,
            top_k=task.top_k,
            min_p=task.min_p,
            repetition_penalty=task.repetition_penalty,
            seed=seed,
            schema=task.schema,
            stop=task.stop,
            stream=True,
            role="api",
            top_logprobs=task.top_logprobs,
        )

    def _token_limit(self, task: ChatTask, messages: tuple[Message, ...]) -> int:
        """The request's limit; without one what is left of the model's window."""
        if task.max_tokens is not None:
            return task.max_tokens
        builder = getattr(self._model, "prompt_builder", None)
        if builder is None:
            return min(self._max_tokens, DEFAULT_TOKENS)
        left = int(builder.window) - len(builder.ids(messages))
        return max(1, min(self._max_tokens, left))

    async def _choices(
        self, asks: Sequence[Generate], owner: str, tools: TokenCount
    ) -> AnswerParts:
        """The parts of several choices as they arrive; the tokens of the choice of a tool are
        counted with the first."""
        parts: asyncio.Queue[AnswerPart | Exception] = asyncio.Queue()

        async def run(index: int, ask: Generate) -> None:
            try:
                async with aclosing(self._service.events(ask, owner)) as events:
                    async for event in events:
                        for part in _parts(index, ask, event):
                            parts.put_nowait(part)
            except Exception as error:  # noqa: BLE001  raised below
                parts.put_nowait(error)

        tasks = [asyncio.create_task(run(index, ask)) for index, ask in enumerate(asks)]
        left = len(tasks)
        try:
            while left:
                part = await parts.get()
                if isinstance(part, Exception):
                    raise part
                if isinstance(part, AnswerEnd):
                    left -= 1
                    first = part.index == 0
                    part = replace(
                        part,
                        prompt_tokens=part.prompt_tokens + tools.tokens_in if first else 0,
                        completion_tokens=part.completion_tokens + tools.tokens_out * first,
                    )
                yield part
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _parts(index: int, ask: Generate, event: Delta | Done) -> list[AnswerPart]:
    """The parts that an event of the model stands for. Raises ApiError."""
    if isinstance(event, Delta):
        _require_logprobs(ask, event.logprobs)
        return [AnswerText(index, event.text, event.logprobs)]
    answer = event.answer
    if isinstance(answer, Failed):
        raise failed_error(answer, None if ask.schema is None else "response_format")
    if not isinstance(answer, Completion):
        raise ApiError(f"the model answered with a {answer.kind}", status=500)
    if answer.tokens_out:
        _require_logprobs(ask, answer.logprobs)
    reason: FinishReason = "length" if answer.stopped == "limit" else "stop"
    return [AnswerEnd(index, reason, answer.tokens_in, answer.tokens_out)]


def _require_logprobs(ask: Generate, logprobs: Sequence[object]) -> None:
    if ask.top_logprobs is not None and not logprobs:
        raise ApiError("this model gives no log-probabilities of its tokens", param="logprobs")


def _counted(count: TokenCount, index: int) -> tuple[int, int]:
    return (count.tokens_in, count.tokens_out) if index == 0 else (0, 0)


def prompt_message(line: ChatLine) -> Message:
    """A line as a message of the prompt; its text, a name and calls are plain text there."""
    texts = [f"{line.name}: {line.text}" if line.name else line.text]
    texts += [call_text(call.name, call.arguments) for call in line.calls]
    return Message.of(line.role, "\n".join(filter(None, texts)), who=line.name)


def call_text(name: str, arguments: Json) -> str:
    """A call as the prompt shows it."""
    return json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)


def new_call_id() -> str:
    """An id for a call."""
    return f"call_{secrets.token_hex(12)}"
