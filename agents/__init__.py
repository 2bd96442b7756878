"""Agents: one mind for worlds and for chats."""

from .agent import Agent
from .faculties import Minds
from .upkeep import Upkeep

__all__ = ["Agent", "Minds", "Upkeep"]
