"""A reply as JSON, whole or as server-sent events."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from ...agents.chat import ReplyEnd, ReplyEvent, ReplyStream, TextPiece
from ...core import (
    ApprovalRequest,
    Call,
    DenizensError,
    Json,
    Recall,
    Recalled,
    Reply,
    ToolResult,
    is_visible,
)
from .views import (
    ApprovalView,
    FailureView,
    HitView,
    ReplyView,
    ToolCallView,
    WhyView,
)

NO_BUFFER = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Headers of a stream, so that no cache or proxy holds its pieces back."""

log = logging.getLogger(__name__)

_KEEPALIVE_SECONDS = 1.0
"""Seconds of silence after which a comment is sent: a client that is gone is noticed by it."""


def why_view(reply: Reply, person: str) -> WhyView:
    """What a reply rests on, as far as the person may see it."""
    recalled: dict[int, HitView] = {}
    calls: list[ToolCallView] = []
    for answered in reply.step.asks:
        ask, answer = answered.ask, answered.answer
        if isinstance(ask, Recall) and isinstance(answer, Recalled):
            for hit in answer.hits:
                record = hit.record
                if record.id in recalled or not is_visible(record.audience, person):
                    continue
                recalled[record.id] = HitView(
                    id=record.id,
                    kind=record.kind,
                    text=record.text,
                    created=record.created,
                    who=record.who,
                    score=hit.score,
                    recency=hit.recency,
                    importance=hit.importance,
                    relevance=hit.relevance,
                    lexical=hit.lexical,
                    cited=record.id in reply.cited,
                )
        elif isinstance(ask, Call) and isinstance(answer, ToolResult):
            calls.append(
                ToolCallView(
                    tool=ask.tool,
                    arguments=ask.arguments,
                    ok=answer.ok,
                    result=answer.value,
                    error=answer.error,
                )
            )
    return WhyView(
        text=reply.step.why,
        recalled=list(recalled.values()),
        calls=calls,
        sources=list(reply.sources),
    )


def approval_view(request: ApprovalRequest) -> ApprovalView:
    """A request for approval as JSON."""
    return ApprovalView(
        key=request.key,
        agent=request.who,
        person=request.person,
        tool=request.tool,
        arguments=request.arguments,
        why=request.why,
        because=request.because,
        sources=list(request.sources),
        doubt=request.doubt,
    )


def reply_view(reply: Reply, person: str, session: str) -> ReplyView:
    """A reply as JSON, with what of it the person may see."""
    failure = reply.failure
    return ReplyView(
        session=session,
        text=reply.text,
        resolve=reply.resolve,
        why=why_view(reply, person),
        waiting=[approval_view(request) for request in reply.waits],
        failure=FailureView(reason=failure.reason, detail=failure.detail) if failure else None,
    )


async def respond(
    stream: ReplyStream, person: str, session: str, *, streamed: bool
) -> Response | ReplyView:
    """The reply of a stream, ``streamed`` as events or whole."""
    if streamed:
        events = reply_events(stream, person, session)
        return StreamingResponse(events, media_type="text/event-stream", headers=NO_BUFFER)
    return reply_view(await whole_reply(stream), person, session)


async def whole_reply(stream: ReplyStream) -> Reply:
    """The reply of a stream; a request that is cancelled cancels it."""
    async for event in stream:
        if isinstance(event, ReplyEnd):
            return event.reply
    raise RuntimeError("a stream of a reply has ended without a reply")


async def reply_events(stream: ReplyStream, person: str, session: str) -> AsyncIterator[str]:
    """The events of a reply as text/event-stream: ``text``, ``tool``, then ``end`` (a ReplyView)
    or ``error`` (``{"detail"}``). A client that is gone cancels the reply."""
    events = aiter(stream)
    waiting: asyncio.Task[ReplyEvent] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait({waiting}, timeout=_KEEPALIVE_SECONDS)
            if not done:
                yield ": thinking\n\n"
                continue
            event, waiting = waiting.result(), None
            if isinstance(event, ReplyEnd):
                yield _event("end", reply_view(event.reply, person, session))
                return
            if isinstance(event, TextPiece):
                yield _event("text", {"text": event.text})
            else:
                yield _event("tool", {"tool": event.tool, "text": event.text, "share": event.share})
    except DenizensError as error:
        yield _event("error", {"detail": str(error)})
    except Exception:
        # The status is sent already: all that can still be told is that it failed.
        log.exception("a reply failed")
        yield _event("error", {"detail": "the reply failed; the server's log says why"})
    finally:
        stream.cancel()
        if waiting:
            waiting.cancel()


def _event(name: str, data: BaseModel | dict[str, Json]) -> str:
    """One server-sent event. JSON without line ends needs one line of data."""
    body = data.model_dump(mode="json") if isinstance(data, BaseModel) else data
    return f"event: {name}\ndata: {json.dumps(body)}\n\n"
