"""What the routes of the own API share: the agents, the caller's person, replies in progress."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Depends, Header, HTTPException, Path, Request, Response
from fastapi.routing import APIRoute

from ...agents import Agent, Session
from ...agents.chat import ReplyStream
from ...core import (
    DenizensError,
    MemoryFault,
    RunLocked,
    SettingError,
    validate_person_name,
)
from ..hosting import AccessDenied, AgentHosts, Caller, HostingSettings, current_caller

_STATUS: tuple[tuple[type[DenizensError], int], ...] = (
    (SettingError, 400),
    (MemoryFault, 400),
    (RunLocked, 503),
)


class ChatRoute(APIRoute):
    """A route that answers our own errors with their status and ``{"detail": text}``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except AccessDenied as error:
                headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
                raise HTTPException(error.status, str(error), headers) from error
            except DenizensError as error:
                raise HTTPException(status_of(error), str(error)) from error

        return answer


def status_of(error: DenizensError) -> int:
    """The HTTP status of one of our errors."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


@dataclass
class ChatService:
    """The agents of a server, and the replies that are being made for the own API, by agent,
    person and session."""

    hosts: AgentHosts
    settings: HostingSettings
    replies: dict[tuple[str, str, str], ReplyStream] = field(default_factory=dict)

    async def provide(self, request: Request) -> None:
        """FastAPI dependency of a router: gives its routes this service."""
        request.state.chat_service = self

    def agent(self, agent_id: str) -> Agent:
        """The agent of an id. Raises AccessDenied (404)."""
        agent = self.hosts.agent(agent_id)
        if agent is None:
            raise AccessDenied(
                404, f"there is no agent '{agent_id:.80}'; GET /api/agents lists them"
            )
        return agent


@dataclass(frozen=True)
class Visit:
    """A request about one agent for one person."""

    service: ChatService
    agent_id: str
    agent: Agent
    person: str
    caller: Caller

    def session(self, name: str) -> Session:
        """The person's session of that name."""
        return self.agent.session(self.person, name)


def get_service(request: Request) -> ChatService:
    """FastAPI dependency: the service that the router was made with."""
    service: ChatService = request.state.chat_service
    return service


Service = Annotated[ChatService, Depends(get_service)]
CurrentCaller = Annotated[Caller, Depends(current_caller)]


def get_person(
    caller: CurrentCaller,
    x_denizens_person: Annotated[
        str | None,
        Header(description="For whom the request speaks, as percent-encoded UTF-8."),
    ] = None,
) -> str:
    """FastAPI dependency: the person of the request. Raises AccessDenied, SettingError."""
    named = unquote(x_denizens_person) if x_denizens_person else None
    return validate_person_name("chat", caller.person(named))


CurrentPerson = Annotated[str, Depends(get_person)]
AgentPath = Annotated[str, Path(description="The id of the agent.", max_length=200)]


def get_visit(
    agent: AgentPath, service: Service, person: CurrentPerson, caller: CurrentCaller
) -> Visit:
    """FastAPI dependency: the agent of the path and the person. Raises AccessDenied, and
    SettingError for a person with the agent's name."""
    found = service.agent(agent)
    return Visit(service, agent, found, validate_person_name(found.id, person), caller)


CurrentVisit = Annotated[Visit, Depends(get_visit)]
