"""Routes of sessions: the conversations of a person with an agent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import Response

from ...agents.chat import Session
from ...core import SettingError
from .chat_service import ChatRoute, CurrentVisit, Visit
from .reply_events import respond
from .views import EVENTS, CreateBody, LineView, ReplyView, SayBody, SessionContent, SessionSummary

router = APIRouter(prefix="/agents/{agent}/sessions", tags=["sessions"], route_class=ChatRoute)
SessionName = Annotated[str, Path(description="The name of the session.", max_length=80)]


@router.get("")
def list_sessions(visit: CurrentVisit) -> list[SessionSummary]:
    """The person's sessions with the agent, the latest first."""
    summaries = [session_summary(visit, visit.session(name)) for name in session_names(visit)]
    return sorted(summaries, key=lambda one: one.last or datetime.max, reverse=True)


@router.post("", status_code=201)
def create_session(body: CreateBody, visit: CurrentVisit) -> SessionSummary:
    """Begin a session. Raises SettingError (400) for a name that is taken."""
    taken = session_names(visit)
    if body.name in taken:
        raise SettingError(f"there is a session '{body.name}' already; give another name")
    number = len(taken) + 1
    while f"talk {number}" in taken:
        number += 1
    return session_summary(visit, visit.session(body.name or f"talk {number}"))


@router.get("/{session}")
def read_session(session: SessionName, visit: CurrentVisit) -> SessionContent:
    """A session with its lines; one that nobody has spoken in is empty."""
    return session_content(visit, visit.session(session))


@router.post("/{session}/messages", response_model=ReplyView, responses=EVENTS)
async def say(session: SessionName, body: SayBody, visit: CurrentVisit) -> Any:
    """Say something and get the reply, whole or as events. Who ends the request early stops the
    reply: what was sent of it is remembered."""
    return await answer(visit, session, body)


async def answer(visit: Visit, name: str, body: SayBody) -> Response | ReplyView:
    """The reply of a stream, in the form that the request wants."""
    stream = visit.session(name).stream(body.text)
    return await respond(stream, visit.person, name, streamed=body.stream)


TITLE_CHARS = 60


def session_names(visit: Visit) -> tuple[str, ...]:
    """The names of the person's sessions with the agent."""
    return visit.agent.sessions(visit.person)


def session_summary(visit: Visit, session: Session) -> SessionSummary:
    """A session in short."""
    lines = session.lines
    own = next((line.text for line in lines if line.who != visit.agent.id), "")
    title = own if len(own) <= TITLE_CHARS else own[: TITLE_CHARS - 1].rstrip() + "…"
    return SessionSummary(
        name=session.name, lines=len(lines), last=lines[-1].at if lines else None, title=title
    )


def session_content(visit: Visit, session: Session) -> SessionContent:
    """A session as JSON."""
    lines = [
        LineView(
            number=number, who=line.who, text=line.text, at=line.at, own=line.who != visit.agent.id
        )
        for number, line in enumerate(session.lines, 1)
    ]
    return SessionContent(name=session.name, agent=visit.agent_id, person=visit.person, lines=lines)
