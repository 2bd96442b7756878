"""The result of one step of a simulation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..core import Action, AgentId, Event, Observation, Step, Time
from ..models import Usage
from .record import Failure


@dataclass(frozen=True, slots=True)
class Tick:
    """What happened in one step. ``hash`` is the head of the run's hash chain after it; ``asks``
    counts the asks that were not on record, ``spent`` is what they cost; ``failed`` are the asks
    of the step without a usable answer."""

    step: int
    at: Time
    actions: Mapping[AgentId, Action]
    steps: Mapping[AgentId, Step]
    events: tuple[Event, ...]
    seen: Mapping[AgentId, Observation]
    hash: str
    asks: int
    spent: tuple[Usage, ...] = ()
    failed: tuple[Failure, ...] = ()
