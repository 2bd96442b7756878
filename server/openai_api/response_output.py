"""Responses as JSON, whole and as a stream of events.

Source of the events: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from ...core import GeneratedToken, Json
from ..hosting import RequestRefused
from .chat_output import TokenUsage, event_line, token_json
from .chat_task import ChatLine, ChatTask, FunctionCall
from .reply_parts import AnswerCall, AnswerEnd, AnswerPart, AnswerParts, AnswerText
from .response_request import ResponsesRequest


@dataclass(slots=True)
class ResponseMessage:
    """The text of a response, as far as it has arrived."""

    id: str
    text: list[str] = field(default_factory=list)
    logprobs: list[GeneratedToken] = field(default_factory=list)


class ResponseOutput:
    """One response: its id, its JSON and its events. ``on_end`` is given the JSON and the lines of
    the answer."""

    def __init__(
        self,
        request: ResponsesRequest,
        task: ChatTask,
        on_end: Callable[[dict[str, Json], tuple[ChatLine, ...]], None],
    ) -> None:
        self._request = request
        self._on_end = on_end
        self._logprobs = task.top_logprobs is not None
        self.id = f"resp_{secrets.token_hex(24)}"
        self._created = int(time.time())
        self._items: list[dict[str, Json]] = []
        self._lines: list[ChatLine] = []
        self._message: ResponseMessage | None = None
        self._usage = TokenUsage()
        self._number = 0
        self._ended: dict[str, Json] = {}

    async def whole(self, parts: AnswerParts) -> dict[str, Json]:
        """The response once all parts are there."""
        async with aclosing(parts) as arriving:
            async for part in arriving:
                for _ in self._events_of(part):
                    pass
        return self._ended

    async def stream(self, parts: AnswerParts) -> AsyncIterator[str]:
        """The lines of server-sent events; an error is the last of them."""
        begun = self._body("in_progress")
        yield self._line("response.created", response=begun)
        yield self._line("response.in_progress", response=begun)
        try:
            async with aclosing(parts) as arriving:
                async for part in arriving:
                    for event in self._events_of(part):
                        yield event
        except RequestRefused as error:  # the status was sent: the error is an event
            failed = {"code": error.code or "server_error", "message": error.message}
            response = {**self._body("failed"), "error": failed}
            yield self._line("response.failed", response=response)

    # -- events ---------------------------------------------------------------------

    def _events_of(self, part: AnswerPart) -> Iterator[str]:
        if isinstance(part, AnswerText):
            if self._message is None:
                yield from self._open_message()
            yield from self._extend_message(part)
        elif isinstance(part, AnswerCall):
            yield from self._close_message()
            yield from self._call(part.call)
        else:
            yield from self._close_message(part)
            self._usage.add(part)
            yield self._finish(part)

    def _finish(self, end: AnswerEnd) -> str:
        status = "incomplete" if end.finish_reason == "length" else "completed"
        self._ended = self._body(status)
        self._on_end(self._ended, tuple(self._lines))
        return self._line(f"response.{status}", response=self._ended)

    def _open_message(self) -> Iterator[str]:
        self._message = ResponseMessage(f"msg_{secrets.token_hex(24)}")
        item = self._message_item(self._message, "in_progress")
        yield self._line("response.output_item.added", **self._place(), item=item)
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        yield self._line("response.content_part.added", **self._content_place(), part=part)

    def _extend_message(self, part: AnswerText) -> Iterator[str]:
        assert self._message is not None
        self._message.text.append(part.text)
        self._message.logprobs += part.logprobs
        logprobs = _token_list(part.logprobs) if self._logprobs else []
        if part.text or logprobs:
            yield self._line(
                "response.output_text.delta",
                **self._content_place(),
                delta=part.text,
                logprobs=logprobs,
            )

    def _close_message(self, end: AnswerEnd | None = None) -> Iterator[str]:
        message = self._message
        if message is None:
            return
        status = "incomplete" if end and end.finish_reason == "length" else "completed"
        item = self._message_item(message, status)
        text, place = "".join(message.text), self._content_place()
        part = self._text_part(message)
        yield self._line("response.output_text.done", **place, text=text, logprobs=part["logprobs"])
        yield self._line("response.content_part.done", **place, part=part)
        yield self._line("response.output_item.done", **self._place(), item=item)
        self._items.append(item)
        self._lines.append(ChatLine(role="assistant", text=text))
        self._message = None

    def _call(self, call: FunctionCall) -> Iterator[str]:
        item: dict[str, Json] = {
            "id": f"fc_{secrets.token_hex(24)}",
            "type": "function_call",
            "status": "completed",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }
        place = {**self._place(), "item_id": item["id"]}
        begun = {**item, "status": "in_progress", "arguments": ""}
        yield self._line("response.output_item.added", **self._place(), item=begun)
        yield self._line("response.function_call_arguments.delta", **place, delta=call.arguments)
        yield self._line(
            "response.function_call_arguments.done",
            **place,
            name=call.name,
            arguments=call.arguments,
        )
        yield self._line("response.output_item.done", **self._place(), item=item)
        self._items.append(item)
        self._lines.append(ChatLine(role="assistant", text="", calls=(call,)))

    def _line(self, kind: str, **fields: Json) -> str:
        number, self._number = self._number, self._number + 1
        return event_line({"type": kind, "sequence_number": number, **fields}, name=kind)

    def _place(self) -> dict[str, Json]:
        return {"output_index": len(self._items)}

    def _content_place(self) -> dict[str, Json]:
        assert self._message is not None
        return {**self._place(), "item_id": self._message.id, "content_index": 0}

    # -- the response ---------------------------------------------------------------

    def _text_part(self, message: ResponseMessage) -> dict[str, Json]:
        return {
            "type": "output_text",
            "text": "".join(message.text),
            "annotations": [],
            "logprobs": _token_list(message.logprobs) if self._logprobs else [],
        }

    def _message_item(self, message: ResponseMessage, status: str) -> dict[str, Json]:
        content: list[Json] = [] if status == "in_progress" else [self._text_part(message)]
        return {
            "id": message.id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content,
        }

    def _body(self, status: str) -> dict[str, Json]:
        request = self._request
        plain = request.model_dump(mode="json", by_alias=True, exclude_none=True)
        cut = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": cut,
            "instructions": request.instructions,
            "max_output_tokens": request.max_output_tokens,
            "metadata": plain.get("metadata", {}),
            "model": request.model,
            "output": [*self._items],
            "parallel_tool_calls": request.parallel_tool_calls is not False,
            "previous_response_id": request.previous_response_id,
            "reasoning": {"effort": None, "summary": None},
            "service_tier": "default",
            "store": request.store is not False,
            "temperature": request.temperature,
            "text": {"format": {"type": "text"}, **plain.get("text", {})},
            "tool_choice": plain.get("tool_choice", "auto"),
            "tools": [{"strict": True, **tool} for tool in plain.get("tools", ())],
            "top_logprobs": request.top_logprobs or 0,
            "top_p": request.top_p,
            "truncation": "disabled",
            "usage": None if status in ("in_progress", "failed") else self._usage_json(),
            "user": request.user,
        }

    def _usage_json(self) -> Json:
        return {
            "input_tokens": self._usage.prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": self._usage.completion,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self._usage.prompt + self._usage.completion,
        }


def _token_list(tokens: Sequence[GeneratedToken]) -> Json:
    return [*map(token_json, tokens)]
