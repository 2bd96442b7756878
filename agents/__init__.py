"""Agents: one mind for worlds and for chats."""

from .agent import Agent
from .calls import Caller
from .faculties import Minds
from .guarding import Guard, Stopped, guarded

__all__ = ["Agent", "Caller", "Guard", "Minds", "Stopped", "guarded"]
