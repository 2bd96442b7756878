"""What the thought of a reply was given, and what it has read so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...core import AgentState, AnsweredAsk
from ...planners import DialogueInput
from ...tools import Toolbox
from ..thoughts import ThoughtGuard


@dataclass(kw_only=True)
class ReplyTrace:
    """What a reply was given (``heard``, and the tools it may call), the guard of its thought, its
    asks so far, and the agent's state: its ``own``, and what of it the thought was ``shown``."""

    heard: DialogueInput
    toolbox: Toolbox
    guard: ThoughtGuard
    own: AgentState
    shown: AgentState
    asks: list[AnsweredAsk] = field(default_factory=list)
