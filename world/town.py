"""A town: people on a map of tiles."""

from __future__ import annotations

from collections.abc import Mapping

from ..core import (
    Action,
    Affordance,
    AgentId,
    Body,
    Event,
    Json,
    Observation,
    StepResult,
    Time,
    check_arguments,
)
from .stage import EmbodiedWorld
from .tiles import TileGeometry
from .townmap import TownMap


class Town:
    """A World on a TownMap. Bodies walk ``speed`` tiles a step along shortest paths.

    Perception, as in Park et al. 2023's code: objects and bodies in the square of a body's
    vision and in the same arena, the nearest ``attention`` of them. A conversation ends
    after ``most_lines`` lines; who stays silent for ``patience`` steps loses the floor.
    Raises WorldError for settings below 1.
    """

    @check_arguments
    def __init__(
        self,
        map: TownMap,
        *,
        start: Time,
        step_seconds: int,
        speed: int = 1,
        most_lines: int = 16,
        patience: int = 3,
    ) -> None:
        self.map = map
        self._world = EmbodiedWorld(
            TileGeometry(map),
            start=start,
            step_seconds=step_seconds,
            speed=speed,
            most_lines=most_lines,
            patience=patience,
        )

    def enter(self, body: Body) -> None:
        """Let somebody in: at its start tile, else at home, else at a spawn point."""
        self._world.enter(body)

    def leave(self, who: AgentId) -> None:
        """Take somebody out."""
        self._world.leave(who)

    def observe(self, who: AgentId) -> Observation:
        """What ``who`` sees now."""
        return self._world.observe(who)

    def affordances(self, who: AgentId) -> tuple[Affordance, ...]:
        """What ``who`` may do now: wait, continue, act at places it knows, talk or join; in a
        conversation say or listen, interrupt, and leave."""
        return self._world.affordances(who)

    def step(
        self, actions: Mapping[AgentId, Action], at: Time, order: tuple[AgentId, ...]
    ) -> StepResult:
        """Let these bodies act at once; conflicts are settled in ``order``."""
        return self._world.step(actions, at, order)

    def tell(self, event: Event, to: tuple[AgentId, ...] = ()) -> None:
        """Let something happen from outside."""
        self._world.tell(event, to)

    def save(self) -> Json:
        """The whole changing state as JSON (the map is not part of it)."""
        return self._world.save()

    def load(self, state: Json) -> None:
        """Take over a saved state of a town on the same map."""
        self._world.load(state)
