"""What the routes of the own API share: the agents, the caller's person, replies in progress."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Header, Path, Request

from ...agents import Agent, Session
from ...agents.chat import ReplyStream
from ...core import validate_person_name
from ...interop.cards import CharacterCard
from ..hosting import AccessDenied, AgentHosts, Caller, HostingSettings, current_caller
from .memory_view import PersonMemory


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

    def forget_reply(self, key: tuple[str, str, str], stream: ReplyStream) -> None:
        """A reply has ended: it is no longer the one in progress."""
        if self.replies.get(key) is stream:
            del self.replies[key]

    def card(self, agent_id: str) -> CharacterCard | None:
        """The character card of an agent; None if it has none."""
        return self.hosts.card(agent_id)

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

    @property
    def card(self) -> CharacterCard | None:
        """The character card that the agent was made from; None if there was none."""
        return self.service.card(self.agent_id)

    @property
    def greeting(self) -> str:
        """The agent's opening line for this person; may be empty."""
        return self.card.greeting(self.person) if self.card else ""

    @property
    def memory(self) -> PersonMemory:
        """What the agent's memory has of the person or for it."""
        return PersonMemory(self.agent, self.person, self.caller)

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
