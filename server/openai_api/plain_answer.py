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
    Message,
    Model,
    Seed,
    identifier_to_words,
)
from .api_error import api_error, failed_error
from .chat_task import ChatLine, ChatTask, FunctionCall
from .model_service import ModelService
from .reply_parts import AnswerCall, AnswerEnd, AnswerPart, AnswerParts, AnswerText, FinishReason
from .tool_choice import ToolQuestion, choose_call

DEFAULT_TOKENS = 512  # of an answer of another server's model, where the request has no limit


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
        """The parts of the answer to a task. Raises RequestRefused."""
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
        # Without a limit of the request a model of this process may fill its window.
        local = hasattr(self._model, "prompt_builder")
        limit = self._max_tokens if local else min(self._max_tokens, DEFAULT_TOKENS)
        return Generate(
            messages=prompt_messages(task.lines),
            max_tokens=limit if task.max_tokens is None else task.max_tokens,
            clip=task.max_tokens is None,
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
    """The parts that an event of the model stands for. Raises RequestRefused."""
    if isinstance(event, Delta):
        _require_logprobs(ask, event.logprobs)
        return [AnswerText(index, event.text, event.logprobs)]
    answer = event.answer
    if isinstance(answer, Failed):
        raise failed_error(answer, None if ask.schema is None else "response_format")
    if not isinstance(answer, Completion):
        raise api_error(f"the model answered with a {answer.kind}", status=500)
    if answer.tokens_out:
        _require_logprobs(ask, answer.logprobs)
    reason: FinishReason = "length" if answer.stopped == "limit" else "stop"
    return [AnswerEnd(index, reason, answer.tokens_in, answer.tokens_out)]


def _require_logprobs(ask: Generate, logprobs: Sequence[object]) -> None:
    if ask.top_logprobs is not None and not logprobs:
        raise api_error("this model gives no log-probabilities of its tokens", param="logprobs")


def _counted(count: TokenCount, index: int) -> tuple[int, int]:
    return (count.tokens_in, count.tokens_out) if index == 0 else (0, 0)


def prompt_messages(lines: Sequence[ChatLine]) -> tuple[Message, ...]:
    """The lines as messages of the prompt; texts, names, calls and results are plain text there.

    A call and its result are told in words, and the question is asked again behind the last
    result: SmolLM2 imitates JSON that it is shown, and answers this way.
    """
    calls = {call.id: call for line in lines for call in line.calls}
    question = next((line.text for line in reversed(lines) if line.role == "user"), "")
    messages: list[Message] = []
    for place, line in enumerate(lines):
        text = f"{line.name}: {line.text}" if line.name else line.text
        if line.role == "tool":
            text = f"The {identifier_to_words(calls[line.call_id].name)} says: {line.text}"
            if place == len(lines) - 1 and question:
                text = f"{text}\nNow answer: {question}"
            messages.append(Message.of("user", text))
            continue
        uses = [f"I use {_call_text(call)}." for call in line.calls]
        messages.append(
            Message.of(line.role, "\n".join(filter(None, [text, *uses])), who=line.name)
        )
    return tuple(messages)


def _call_text(call: FunctionCall) -> str:
    """A call in words: its tool, and its arguments."""
    name = identifier_to_words(call.name)
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        arguments = call.arguments
    if isinstance(arguments, dict):
        arguments = ", ".join(
            f"{identifier_to_words(key)}: {value if isinstance(value, str) else json.dumps(value)}"
            for key, value in arguments.items()
        )
    return f"{name} ({arguments})" if arguments else name


def new_call_id() -> str:
    """An id for a call."""
    return f"call_{secrets.token_hex(12)}"
