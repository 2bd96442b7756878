"""Agents: one mind for worlds and for chats."""

from .agent import Agent
from .calls import Caller
from .faculties import Minds
from .guarding import Guard, Stopped, guarded
from .searching import facts_of
from .skills import use, with_skills

__all__ = [
    "Agent",
    "Caller",
    "Guard",
    "Minds",
    "Stopped",
    "facts_of",
    "guarded",
    "use",
    "with_skills",
]
