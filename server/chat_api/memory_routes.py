"""Routes of the memory that an agent has for a person."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from ...core import RecordKind
from .chat_service import CurrentVisit
from .memory_view import MemoryScope, PersonMemory
from .session_view import session_content
from .views import (
    CorrectBody,
    ForgetView,
    MemoryExport,
    MemoryPage,
    RecordView,
    VersionView,
)

router = APIRouter(prefix="/agents/{agent}/memory", tags=["memory"])


def get_memory(
    visit: CurrentVisit,
    scope: Annotated[
        MemoryScope,
        Query(
            description="person: what is of or for the person. all: what is for everybody too, "
            "the agent's own thoughts among it; for the local caller of a server without keys."
        ),
    ] = "person",
) -> PersonMemory:
    """FastAPI dependency: what of the agent's memory the request is about. Raises AccessDenied
    (403)."""
    return PersonMemory(visit.agent, visit.person, visit.caller, scope)


OwnMemory = Annotated[PersonMemory, Depends(get_memory)]
RecordNumber = Annotated[int, Path(description="The number of the record.", ge=1, le=2**53)]


@router.get("")
def list_memory(
    memory: OwnMemory,
    kind: Annotated[list[RecordKind] | None, Query(description="Only these kinds.")] = None,
    before: Annotated[int | None, Query(description="Only lower numbers.", ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> MemoryPage:
    """What the agent remembers of the person or for it, the latest first."""
    return memory.page(kinds=kind or (), before=before, limit=limit)


@router.get("/search")
def search_memory(
    memory: OwnMemory,
    text: Annotated[str, Query(description="What to look for.", min_length=1, max_length=2_000)],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> list[RecordView]:
    """The records that fit a text best, by words and by meaning."""
    return memory.search(text, limit)


@router.get("/export")
def export_memory(visit: CurrentVisit, memory: OwnMemory) -> MemoryExport:
    """All that the agent has of this person or for it: records and sessions."""
    return MemoryExport(
        agent=visit.agent.id,
        person=visit.person,
        exported=datetime.now().replace(microsecond=0),
        records=[memory.view(record) for record in memory.records()],
        sessions=[session_content(visit, name) for name in visit.agent.sessions(visit.person)],
    )


@router.get("/{record}/history")
def read_history(record: RecordNumber, memory: OwnMemory) -> list[VersionView]:
    """The versions of a record, the oldest first."""
    return memory.history(record)


@router.patch("/{record}")
def correct_record(record: RecordNumber, body: CorrectBody, memory: OwnMemory) -> RecordView:
    """Correct a record; the answer is the new one. What the agent had derived from the old text
    goes with it."""
    return memory.correct(record, body.text, keep_history=body.keep_history, why=body.why)


@router.delete("/{record}")
def forget_record(
    record: RecordNumber,
    memory: OwnMemory,
    keep_history: Annotated[
        bool, Query(description="Keep the text in the history, where nothing recalls it.")
    ] = False,
    why: Annotated[str, Query(max_length=500)] = "",
) -> ForgetView:
    """Forget a record, with what was derived from it: from the file too, unless its history is
    kept."""
    return memory.forget(record, keep_history=keep_history, why=why)
