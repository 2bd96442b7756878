"""Routes of sessions: the conversations of a person with an agent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool

from ...agents import Session
from ...agents.chat import ReplyStream
from ...core import SettingError
from ..hosting import AccessDenied, admit
from .chat_service import CurrentVisit, Visit
from .reply_events import ReplyKey, respond
from .session_view import session_content, session_summary
from .views import (
    EVENTS,
    AgainBody,
    BranchBody,
    CancelView,
    CreateBody,
    ReplyView,
    SayBody,
    SessionContent,
    SessionSummary,
)

router = APIRouter(prefix="/agents/{agent}/sessions", tags=["sessions"])
SessionName = Annotated[str, Path(description="The name of the session.", max_length=80)]
LineNumber = Annotated[int, Path(description="The number of the line.", ge=1, le=2**53)]


@router.get("")
def list_sessions(visit: CurrentVisit) -> list[SessionSummary]:
    """The person's sessions with the agent in which something was said, the latest first."""
    names = visit.agent.sessions(visit.person)
    summaries = [session_summary(visit, name) for name in names]
    kept = [one for one in summaries if one.lines]
    return sorted(kept, key=lambda one: one.last or datetime.min, reverse=True)


@router.post("", status_code=201)
def create_session(body: CreateBody, visit: CurrentVisit) -> SessionSummary:
    """A new session: its name, under which nothing has been said yet. It is kept from its first
    line on. A name that is taken is refused (400)."""
    taken = set(visit.agent.sessions(visit.person))
    if body.name in taken:
        raise SettingError(f"there is a session '{body.name}' already; give another name")
    number = len(taken) + 1
    while f"talk {number}" in taken:
        number += 1
    return session_summary(visit, visit.session(body.name or f"talk {number}").name)


@router.get("/{session}")
def read_session(session: SessionName, visit: CurrentVisit) -> SessionContent:
    """A session with the lines of its current path; one that nobody has spoken in is empty."""
    return session_content(visit, session)


@router.delete("/{session}", status_code=204)
def delete_session(session: SessionName, visit: CurrentVisit) -> None:
    """Delete a session with all its branches, what the agent remembers of it, and what rests on
    that, as ``forget`` of the memory does."""
    chat = visit.session(session)
    lines = {line.id: line for path in (chat.lines, *chat.branches) for line in path}
    if not lines:
        raise AccessDenied(404, f"there is no session '{session:.80}' of {visit.person}")
    records = dict.fromkeys(number for line in lines.values() for number in line.records)
    kept = visit.agent.memory.existing_records(list(records))
    if kept:
        visit.agent.corrections.forget([record.id for record in kept], why="its talk was deleted")


@router.post("/{session}/messages", response_model=ReplyView, responses=EVENTS)
async def say(session: SessionName, body: SayBody, visit: CurrentVisit, request: Request) -> Any:
    """Say something and get the reply, whole or as events. Who ends the request early stops the
    reply: what was sent of it is remembered."""
    chat = visit.session(session)
    if visit.greeting:
        await admit(request)
        await run_in_threadpool(greet, chat, visit.greeting)
    return await answer(
        visit, session, request, lambda: chat.stream(body.text), streamed=body.stream
    )


@router.post("/{session}/replies", response_model=ReplyView, responses=EVENTS)
async def regenerate(
    session: SessionName, body: AgainBody, visit: CurrentVisit, request: Request
) -> Any:
    """Answer the last message anew; the reply so far is kept as a variant of the line."""
    chat = visit.session(session)
    return await answer(visit, session, request, chat.stream_regenerate, streamed=body.stream)


@router.put("/{session}/lines/{line}", response_model=ReplyView, responses=EVENTS)
async def edit(
    session: SessionName, line: LineNumber, body: SayBody, visit: CurrentVisit, request: Request
) -> Any:
    """Say something else instead of an earlier line of the person; that line, and what came after
    it, are kept as a variant."""
    chat = visit.session(session)
    return await answer(
        visit, session, request, lambda: chat.stream_edit(line, body.text), streamed=body.stream
    )


@router.post("/{session}/branch")
def branch(session: SessionName, body: BranchBody, visit: CurrentVisit) -> SessionContent:
    """Go to a line, of the current path or of another variant, so that the talk goes on from
    there; the agent remembers the lines of the current path."""
    chat = visit.session(session)
    line = body.line
    if body.to_end:
        paths = [path for path in (chat.lines, *chat.branches) if any(x.id == line for x in path)]
        line = max((path[-1].id for path in paths), default=line)
    chat.branch(line)
    return session_content(visit, session)


@router.post("/{session}/cancel")
async def cancel(session: SessionName, visit: CurrentVisit) -> CancelView:
    """Stop the reply that is being made in this session, if there is one; what was sent of it is
    remembered."""
    stream = visit.service.replies.get((visit.agent_id, visit.person, session))
    if stream is not None:
        stream.cancel()
    return CancelView(cancelled=stream is not None and not stream.done)


def greet(session: Session, greeting: str) -> None:
    """Begin a session with the agent's greeting, unless it has begun, also at this moment."""
    if session.lines:
        return
    try:
        session.greet(greeting)
    except SettingError:
        if not session.lines:
            raise


async def answer(
    visit: Visit, name: str, request: Request, start: Callable[[], ReplyStream], *, streamed: bool
) -> Any:
    """The reply that ``start`` begins once the request is admitted, in the form that is wanted."""
    await admit(request)
    stream = start()
    key: ReplyKey = (visit.agent_id, visit.person, name)
    visit.service.replies[key] = stream
    return await respond(
        stream,
        visit.memory,
        name,
        streamed=streamed,
        numbers=lambda: line_numbers(visit, name),
        at_end=lambda: visit.service.forget_reply(key, stream),
    )


def line_numbers(visit: Visit, name: str) -> tuple[int, int]:
    """The numbers of the person's last line and of the agent's after it; 0: there is none."""
    lines = visit.session(name).lines[-2:]
    said = next((line.id for line in lines if line.who == visit.person), 0)
    reply = lines[-1].id if lines and lines[-1].who != visit.person else 0
    return said, reply
