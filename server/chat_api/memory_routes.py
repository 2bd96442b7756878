"""Routes of the memory that an agent has for a person."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from ...core import RecordKind
from .chat_service import CurrentVisit
from .memory_view import PersonMemory
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


def get_memory(visit: CurrentVisit) -> PersonMemory:
    """FastAPI dependency: what of the agent's memory the person may see."""
    return PersonMemory(visit.agent, visit.person, visit.caller)


OwnMemory = Annotated[PersonMemory, Depends(get_memory)]
RecordNumber = Annotated[int, Path(description="The number of the record.", ge=1, le=2**53)]


@router.get("")
def list_memory(
    memory: OwnMemory,
    kind: Annotated[list[RecordKind] | None, Query(description="Only these kinds.")] = None,
    private: Annotated[bool, Query(description="Only what is for this person alone.")] = False,
    before: Annotated[int | None, Query(description="Only lower numbers.", ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> MemoryPage:
    """What the agent remembers that is for everybody or for this person, the latest first."""
    return memory.page(kinds=kind or (), private=private, before=before, limit=limit)


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
    """All that the agent has for this person: the records that it may see, and its sessions."""
    return MemoryExport(
        agent=visit.agent.id,
        person=visit.person,
        exported=datetime.now().replace(microsecond=0),
        records=[memory.view(record) for record in memory.records()],
        sessions=[session_content(visit, name) for name in visit.agent.sessions(visit.person)],
    )


@router.get(
    "/export.jsonl",
    response_class=Response,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
def export_memory_lines(memory: OwnMemory) -> Response:
    """The records that this person may see as JSON Lines, as ``denizens memory export`` writes
    them."""
    return Response(memory.export(), media_type="application/x-ndjson")


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
