"""A reply as JSON, whole or as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from ...agents.chat import ReplyEnd, ReplyStream, TextPiece, explain_reply
from ...core import ApprovalRequest, DenizensError, Json, Reply
from .memory_view import PersonMemory
from .views import (
    ApprovalView,
    FailureView,
    ReplyView,
)

ReplyKey: TypeAlias = tuple[str, str, str]
"""Agent, person and session of a reply in progress."""
NO_BUFFER = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Headers of a stream, so that no cache or proxy holds its pieces back."""


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


def reply_view(reply: Reply, memory: PersonMemory, session: str) -> ReplyView:
    """A reply as JSON, with what the person may see of its basis."""
    failure = reply.failure
    return ReplyView(
        session=session,
        text=reply.text,
        resolve=reply.resolve,
        why=memory.why_view(explain_reply(reply), reply.cited),
        waiting=[approval_view(request) for request in reply.waits],
        failure=FailureView(reason=failure.reason, detail=failure.detail) if failure else None,
    )


async def respond(
    stream: ReplyStream,
    memory: PersonMemory,
    session: str,
    *,
    streamed: bool,
    numbers: Callable[[], tuple[int, int]] | None = None,
    at_end: Callable[[], None] | None = None,
) -> Response | ReplyView:
    """The reply of a stream, ``streamed`` as events or whole. ``numbers`` gives those of its lines
    once it is kept; ``at_end`` is called at the end, also of a request that is cancelled."""

    async def view(reply: Reply) -> ReplyView:
        shown = reply_view(reply, memory, session)
        if numbers is not None and reply.resolve not in ("waiting", "failed"):
            said, line = await run_in_threadpool(numbers)
            return shown.model_copy(update={"said": said, "line": line})
        return shown

    if streamed:
        events = reply_events(stream, view, at_end)
        return StreamingResponse(events, media_type="text/event-stream", headers=NO_BUFFER)
    try:
        return await view(await stream)
    finally:
        if at_end:
            at_end()


async def reply_events(
    stream: ReplyStream,
    view: Callable[[Reply], Awaitable[ReplyView]],
    at_end: Callable[[], None] | None = None,
) -> AsyncIterator[str]:
    """The events of a reply as text/event-stream: ``text``, ``tool``, then ``end`` (a ReplyView)
    or ``error`` (``{"detail"}``). A client that is gone cancels the reply."""
    try:
        async for event in stream:
            if isinstance(event, ReplyEnd):
                yield _event("end", await view(event.reply))
            elif isinstance(event, TextPiece):
                yield _event("text", {"text": event.text})
            else:
                yield _event("tool", {"tool": event.tool, "text": event.text, "share": event.share})
    except DenizensError as error:
        yield _event("error", {"detail": str(error)})
    finally:
        stream.cancel()  # Without effect on one that is done.
        if at_end:
            at_end()


def _event(name: str, data: BaseModel | dict[str, Json]) -> str:
    """One server-sent event. JSON without line ends needs one line of data."""
    body = data.model_dump(mode="json") if isinstance(data, BaseModel) else data
    return f"event: {name}\ndata: {json.dumps(body)}\n\n"
