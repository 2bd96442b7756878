"""Routes about the agents and about who is asking."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from ...core import Utterance
from ..hosting import AccessDenied, admit
from .chat_service import ChatService, CurrentCaller, CurrentPerson, CurrentVisit, Service
from .interview import interview
from .memory_view import owns_agents
from .reply_events import respond
from .views import EVENTS, AgentView, CallerView, QuestionBody, ReplyView

router = APIRouter(tags=["agents"])


@router.get("/caller")
def read_caller(caller: CurrentCaller, person: CurrentPerson) -> CallerView:
    """Who the request is from, and what it may do."""
    return CallerView(
        person=person,
        names_persons=not caller.bound_person,
        may_approve=not caller.bound_person,
        owner=owns_agents(caller),
        key=caller.key,
    )


@router.get("/agents")
def list_agents(service: Service, person: CurrentPerson) -> list[AgentView]:
    """The agents of the server, with what everybody may know of them."""
    ids = list(service.hosts)
    return [agent_view(service, agent_id, person) for agent_id in ids]


@router.get("/agents/{agent}")
def read_agent(visit: CurrentVisit) -> AgentView:
    """One agent."""
    return agent_view(visit.service, visit.agent_id, visit.person)


@router.get(
    "/agents/{agent}/portrait",
    response_class=Response,
    responses={200: {"content": {"image/png": {"schema": {"type": "string"}}}}},
)
def read_portrait(visit: CurrentVisit) -> Response:
    """The agent's picture (PNG). 404 for an agent without one."""
    if visit.card is None or not visit.card.look:
        raise AccessDenied(404, f"{visit.agent.id} has no picture")
    return Response(visit.card.look, media_type="image/png")


@router.post("/agents/{agent}/interview", response_model=ReplyView, responses=EVENTS)
async def ask_without_trace(body: QuestionBody, visit: CurrentVisit, request: Request) -> Any:
    """Ask the agent something that it will not remember; it answers as it would answer this
    person. Tool calls that act are denied."""
    now = datetime.now().replace(microsecond=0)
    name = visit.agent.id
    lines = [Utterance(visit.person if line.own else name, line.text, now) for line in body.lines]
    await admit(request)
    stream = interview(visit.agent, body.text, visit.person, lines)
    return await respond(stream, visit.memory, "", streamed=body.stream)


def agent_view(service: ChatService, agent_id: str, person: str) -> AgentView:
    """What everybody may know of an agent: what it shows in any talk. Its background, plans and
    facts are for its prompts."""
    agent, card = service.agent(agent_id), service.card(agent_id)
    persona = agent.persona
    picture = f"/api/agents/{quote(agent_id, safe='')}/portrait" if card and card.look else ""
    return AgentView(
        id=agent_id,
        name=persona.name,
        age=persona.age,
        about=persona.traits,
        greeting=card.greeting(person) if card else "",
        portrait=picture,
        tools=[spec.name for spec in agent.tools.specs()],
    )
