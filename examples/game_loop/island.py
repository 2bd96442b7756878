"""The game's own world: an island with a lighthouse. The loop alone changes it."""

from __future__ import annotations

import math
import queue
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from denizens import tool
from denizens.tools import AnyTool

WIDTH, HEIGHT, SPARKS = 64, 20, 400
NEAR = 4.0
"""How far one hears and is heard, in tiles."""


@dataclass
class Walker:
    """Somebody on the island: where it is, where it goes, and what stands in its bubble."""

    name: str
    x: float
    y: float
    target: tuple[float, float]
    bubble: str = ""

    def is_near(self, other: Walker) -> bool:
        return math.dist((self.x, self.y), (other.x, other.y)) <= NEAR


@dataclass
class Island:
    """Walkers, a lamp, the tide, and sparks on the sea, which only cost time as a game's do.

    A tool of an agent runs in another thread: it reads plain values, and what it changes it asks
    for with ``order``; the loop carries orders out at its next frame.
    """

    walkers: dict[str, Walker]
    lamp_lit: bool = False
    seconds: float = 0.0
    sparks: list[list[float]] = field(
        default_factory=lambda: [[random.random() * WIDTH, random.random()] for _ in range(SPARKS)]
    )
    order: queue.SimpleQueue[Callable[[], None]] = field(default_factory=queue.SimpleQueue)

    @property
    def tide(self) -> str:
        """Where the water is now."""
        return "high" if math.sin(self.seconds / 20) > 0 else "low"

    def update(self, seconds: float) -> None:
        """One frame: orders, walkers, sparks."""
        self.seconds += seconds
        while not self.order.empty():
            self.order.get()()
        for walker in self.walkers.values():
            dx, dy = walker.target[0] - walker.x, walker.target[1] - walker.y
            distance = math.hypot(dx, dy)
            step = min(1.0, 6.0 * seconds / distance) if distance else 0.0
            walker.x, walker.y = walker.x + dx * step, walker.y + dy * step
        for spark in self.sparks:
            spark[0] = (spark[0] + 3.0 * seconds) % WIDTH
            spark[1] = 0.5 + 0.5 * math.sin(spark[0] + self.seconds)

    def draw(self) -> str:
        """The picture of a frame, as text."""
        rows = [[" "] * WIDTH for _ in range(HEIGHT)]
        for x, height in self.sparks:
            rows[HEIGHT - 1 - int(height * 3)][int(x)] = "~"
        rows[2][WIDTH - 4] = "*" if self.lamp_lit else "o"
        for walker in self.walkers.values():
            rows[int(walker.y)][int(walker.x)] = walker.name[0]
        return "\n".join(map("".join, rows))

    def save(self) -> dict[str, object]:
        """The part of a savegame that is the game's own."""
        places = {name: (one.x, one.y, one.target) for name, one in self.walkers.items()}
        return {"lamp_lit": self.lamp_lit, "seconds": self.seconds, "places": places}

    def load(self, saved: dict[str, object]) -> None:
        """Go back to what ``save`` returned."""
        self.lamp_lit, self.seconds = bool(saved["lamp_lit"]), float(str(saved["seconds"]))
        places = saved["places"]
        assert isinstance(places, dict)
        for name, (x, y, target) in places.items():
            walker = self.walkers[name]
            walker.x, walker.y, walker.target, walker.bubble = x, y, target, ""


def island_tools(island: Island) -> list[AnyTool]:
    """What the people of the island can find out and do."""

    @tool
    def tide_table() -> str:
        """Say whether the tide is high or low now."""
        return f"The tide is {island.tide}."

    @tool(effect="acts")
    def light_lamp() -> str:
        """Light the lamp of the lighthouse."""
        island.order.put(lambda: setattr(island, "lamp_lit", True))
        return "The lamp is lit."

    return [tide_table, light_lamp]
