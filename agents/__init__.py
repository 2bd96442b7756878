"""Agents: one mind for worlds and for chats."""

from .agent import Agent
from .faculties import Minds

__all__ = ["Agent", "Minds"]
