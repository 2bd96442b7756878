"""A session as JSON."""

from __future__ import annotations

from collections.abc import Iterable

from ...agents.chat import SessionLine
from .chat_service import Visit
from .memory_view import PersonMemory
from .reply_events import approval_view
from .views import LineView, SessionContent, SessionSummary

TITLE_CHARS = 60


def session_summary(visit: Visit, name: str) -> SessionSummary:
    """A session in short."""
    lines = visit.session(name).lines
    own = next((line.text for line in lines if line.who != visit.agent.id), "")
    title = own if len(own) <= TITLE_CHARS else own[: TITLE_CHARS - 1].rstrip() + "…"
    return SessionSummary(
        name=name, lines=len(lines), last=lines[-1].at if lines else None, title=title
    )


def session_content(visit: Visit, name: str) -> SessionContent:
    """A session with the lines of its current path, and the tool calls that the person's replies
    wait for."""
    session = visit.session(name)
    lines = session.lines
    variants = line_variants([lines, *session.branches])
    memory = visit.memory
    previous = (0, *(line.id for line in lines))
    stream = visit.service.replies.get((visit.agent_id, visit.person, name))
    return SessionContent(
        name=session.name,
        agent=visit.agent_id,
        person=visit.person,
        lines=[
            line_view(line, visit, memory, variants[before])
            for line, before in zip(lines, previous, strict=False)
        ],
        waiting=[
            approval_view(request)
            for request in visit.agent.pending_requests()
            if request.person == visit.person
        ],
        answering=stream is not None and not stream.done,
    )


def line_view(
    line: SessionLine, visit: Visit, memory: PersonMemory, variants: list[int]
) -> LineView:
    """A line as JSON; of the agent's lines also why it was said."""
    own = line.who != visit.agent.id
    return LineView(
        number=line.id,
        who=line.who,
        text=line.text,
        at=line.at,
        own=own,
        why=None if own else memory.line_why(line),
        cut=line.resolve == "cancelled",
        variants=variants,
    )


def line_variants(paths: Iterable[tuple[SessionLine, ...]]) -> dict[int, list[int]]:
    """The numbers of the lines that follow each line on some path, in order (0: the first
    lines)."""
    following: dict[int, set[int]] = {}
    for path in paths:
        for before, line in zip((0, *(line.id for line in path)), path, strict=False):
            following.setdefault(before, set()).add(line.id)
    return {before: sorted(numbers) for before, numbers in following.items()}
