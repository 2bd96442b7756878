"""Agents: one mind for worlds and for chats."""

from .agent import Agent
from .calls import ToolExecutor
from .faculties import AskRouter
from .guarding import StoppedThought, ThoughtGuard, run_guarded
from .searching import fact_search_tool
from .skills import run_skills, run_tool
from .upkeep import Maintenance

__all__ = [
    "Agent",
    "ToolExecutor",
    "ThoughtGuard",
    "AskRouter",
    "StoppedThought",
    "Maintenance",
    "fact_search_tool",
    "run_guarded",
    "run_tool",
    "run_skills",
]
