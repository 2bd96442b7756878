"""What the requests of one server share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ...agents import Agent
from .admission import Admission, Place
from .agent_hosts import AgentHosts
from .api_keys import ApiKeys
from .callers import Caller
from .hosting_settings import HostingSettings
from .person_directory import PersonDirectory


class HostingState:
    """Agents, settings, keys, persons and admission of a server. ``stopping`` is set once the
    server stops: streams without an end should end then."""

    def __init__(self, hosts: AgentHosts | None, settings: HostingSettings) -> None:
        self.hosts = hosts
        self.settings = settings
        self.keys = ApiKeys(settings.keys) if settings.keys is not None else None
        agents = [agent.id for agent in self.agents]
        keys = self.keys
        self.people = PersonDirectory(
            settings.people, agents=agents, bound=(lambda: keys.people) if keys else dict
        )
        self.admission = Admission(settings)
        self.stopping = asyncio.Event()
        self.on_stop: list[Callable[[], None]] = []

    @property
    def agents(self) -> tuple[Agent, ...]:
        """The agents that are served."""
        return () if self.hosts is None else self.hosts.agents

    def caller(self, authorization: str) -> Caller | None:
        """The caller with that header ``Authorization``; None for no key or a wrong one."""
        if self.keys is None:
            return Caller(people=self.people)
        scheme, _, key = authorization.partition(" ")
        entry = self.keys.find(key.strip()) if scheme.lower() == "bearer" else None
        return None if entry is None else Caller(entry.name, entry.person, self.people)

    def begin_stop(self) -> None:
        """Admit nothing more; called when the server begins to stop, in its event loop."""
        self.admission.stopping = True
        self.stopping.set()
        for act in self.on_stop:
            act()


@dataclass(slots=True)
class RequestContext:
    """One request: its server, its caller (None on an open path), its place once it has one."""

    hosting: HostingState
    caller: Caller | None = None
    request_id: str = ""
    place: Place | None = None
    admitted: bool = False
