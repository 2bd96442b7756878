"""Agents: one mind for worlds and for chats."""

from .agent import Agent
from .faculties import Minds
from .searching import facts_of
from .skills import use, with_skills

__all__ = ["Agent", "Minds", "facts_of", "use", "with_skills"]
