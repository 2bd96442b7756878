"""Planners: stateless minds that decide by yielding asks."""

from __future__ import annotations

from .acting import action_from_call, idle_action, to_offered_action, world_tools
from .calling import IncompleteCall, ProposedCall, call_key, fill_arguments, propose_call
from .daily import Daily
from .deliberate import TreeOfThoughts
from .dialogue import Dialogue, DialogueInput, DialogueReply
from .draft import StepBuilder, identity_text
from .executing import PlanAndExecute
from .goals import Goal, goals_of, with_goals
from .outcome import Task, TaskOutcome, TaskWorker, ToolCallRecord
from .planner_registry import planner_by_name
from .prompts import render_prompt
from .react import React
from .reflexion import Reflexion
from .routine import Routine
from .scripted import Scripted
from .speech import to_first_person
from .switch import GoalsInRoutine, RuleSwitch
from .understanding import Classification, Intent, Understanding, understand

__all__ = [
    "Daily",
    "TreeOfThoughts",
    "Dialogue",
    "StepBuilder",
    "ProposedCall",
    "GoalsInRoutine",
    "Goal",
    "Classification",
    "Intent",
    "ToolCallRecord",
    "TaskOutcome",
    "PlanAndExecute",
    "React",
    "Reflexion",
    "Routine",
    "DialogueReply",
    "Scripted",
    "RuleSwitch",
    "Task",
    "DialogueInput",
    "IncompleteCall",
    "Understanding",
    "TaskWorker",
    "action_from_call",
    "to_offered_action",
    "to_first_person",
    "call_key",
    "propose_call",
    "fill_arguments",
    "goals_of",
    "identity_text",
    "idle_action",
    "planner_by_name",
    "render_prompt",
    "understand",
    "with_goals",
    "world_tools",
]
