"""Routes about the agents and about who is asking."""

from __future__ import annotations

from fastapi import APIRouter

from ...agents import Agent
from .chat_service import ChatRoute, CurrentCaller, CurrentPerson, CurrentVisit, Service
from .views import AgentView, CallerView

router = APIRouter(tags=["agents"], route_class=ChatRoute)


@router.get("/caller")
def read_caller(caller: CurrentCaller, person: CurrentPerson) -> CallerView:
    """Who the request is from, and what it may do."""
    return CallerView(
        person=person,
        names_persons=not caller.bound_person,
        may_approve=not caller.bound_person,
        key=caller.key,
    )


@router.get("/agents")
def list_agents(service: Service, person: CurrentPerson) -> list[AgentView]:
    """The agents of the server, with what everybody may know of them."""
    ids = list(service.hosts)
    return [agent_view(agent_id, service.agent(agent_id), person) for agent_id in ids]


@router.get("/agents/{agent}")
def read_agent(visit: CurrentVisit) -> AgentView:
    """One agent."""
    return agent_view(visit.agent_id, visit.agent, visit.person)


def agent_view(agent_id: str, agent: Agent, person: str) -> AgentView:
    """What everybody may know of an agent: name, age and traits, which it shows in any talk. Its
    background and plans are for its prompts."""
    persona = agent.persona
    return AgentView(
        id=agent_id,
        name=persona.name,
        age=persona.age,
        about=persona.traits,
        tools=[spec.name for spec in agent.tools.specs()],
    )
