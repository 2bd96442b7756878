"""Routes of tool calls that wait for an approval."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool

from ...agents import Agent
from ...core import EVERYBODY, ApprovalRequest
from ..hosting import AccessDenied, Caller, admit
from .chat_service import ChatService, CurrentCaller, Service
from .memory_view import PersonMemory
from .reply_events import approval_view, respond
from .views import EVENTS, AnswerBody, ApprovalView, ReplyView

router = APIRouter(prefix="/approvals", tags=["approvals"])


@router.get("")
def list_approvals(service: Service, caller: CurrentCaller) -> list[ApprovalView]:
    """The tool calls that wait and that the caller may answer, the oldest first. A key that is
    bound to a person may answer none: nobody approves what is done for themselves. A key of an
    application may answer those for its persons; without keys the local caller answers all."""
    if not may_approve(caller):
        raise AccessDenied(403, "a key that is bound to a person may approve nothing")
    return [
        approval_view(request) for _, request in pending(service) if may_answer(caller, request)
    ]


@router.post("/{key:path}", response_model=ReplyView, responses=EVENTS)
async def answer_approval(
    key: Annotated[str, Path(description="The key of the request.", max_length=500)],
    body: AnswerBody,
    service: Service,
    caller: CurrentCaller,
    request: Request,
) -> Any:
    """Approve or refuse a tool call; the agent goes on with the reply that waited for it."""
    if not may_approve(caller):
        raise AccessDenied(403, "a key that is bound to a person may approve nothing")
    waiting = await run_in_threadpool(pending, service)
    found = next((one for one in waiting if one[1].key == key and may_answer(caller, one[1])), None)
    if found is None:
        raise AccessDenied(404, "no tool call of that key waits for this caller's answer")
    agent, waiting_call = found
    await admit(request)
    by = caller.key or "the local caller"
    stream = agent.stream_answer(key, body.yes, note=body.note, by=by)
    memory = PersonMemory(agent, waiting_call.person, caller)
    return await respond(stream, memory, "", streamed=body.stream)


def pending(service: ChatService) -> list[tuple[Agent, ApprovalRequest]]:
    """The requests that wait in all agents' memories."""
    agents = [service.agent(agent_id) for agent_id in service.hosts]
    return [(agent, request) for agent in agents for request in agent.pending_requests()]


def may_approve(caller: Caller) -> bool:
    """Whether the caller may answer any request at all."""
    return not caller.bound_person


def may_answer(caller: Caller, request: ApprovalRequest) -> bool:
    """Whether the caller may see and answer a request."""
    if not may_approve(caller):
        return False
    if not caller.key:
        return True
    if caller.people is None or request.person in ("", EVERYBODY):
        return False
    return caller.people.owner(request.person) == caller.key
