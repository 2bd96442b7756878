"""A game loop of 60 frames a second with two agents: replies that are polled, a conversation that
begins on cue, tools that act in the game's world, savegames. Run: python examples/game_loop/app.py
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import queue
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from denizens import Agent, Memory, Persona, Policy, load_model, tool
from denizens.agents import Conversation, ReplyEnd, ReplyStream, TextPiece
from denizens.store import Store
from denizens.tools import AnyTool

# -- the game's own world -----------------------------------------------------------------------

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


# -- frames --------------------------------------------------------------------------------------


class FrameLoop:
    """Frames at ``rate`` a second. ``label`` says what goes on; times are kept for each label.

    A frame time is the time from the start of a frame to the start of the next one: 16.7 ms at 60
    frames a second, longer where the loop came too late.
    """

    def __init__(self, rate: float = 60.0) -> None:
        self.length = 1.0 / rate
        self.label = "idle"
        self.frame_times: dict[str, list[float]] = defaultdict(list)
        self.work_times: dict[str, list[float]] = defaultdict(list)

    def frames(self) -> Iterator[float]:
        """The seconds since the last frame, frame after frame; the body of the loop is its work."""
        started = time.perf_counter()
        due = started + self.length
        passed = self.length
        while True:
            yield passed
            self.work_times[self.label].append(time.perf_counter() - started)
            time.sleep(max(0.0, due - time.perf_counter()))
            now = time.perf_counter()
            passed, started = now - started, now
            self.frame_times[self.label].append(passed)
            # After a hitch the loop goes on from now, and does not run faster to catch up.
            due = max(due + self.length, now + self.length / 2)

    def figures(self) -> dict[str, dict[str, float]]:
        """For each label the number of frames, and in ms the median, the 99th percentile and the
        longest of the frame times, and the 99th percentile of the work times."""
        return {
            label: {
                "frames": len(times),
                "p50": round(1000 * statistics.median(times), 1),
                "p99": round(1000 * _percentile(times, 0.99), 1),
                "max": round(1000 * max(times), 1),
                "work_p99": round(1000 * _percentile(self.work_times[label], 0.99), 1),
            }
            for label, times in self.frame_times.items()
        }


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


# -- the game ------------------------------------------------------------------------------------

PLAYER = "Robin"
PEOPLE = (
    Persona(
        name="Mira Holt",
        age=44,
        traits="patient, proud of her lamp",
        background="Mira Holt keeps the lighthouse. She has known Tam Reyes for years.",
        currently="Mira Holt is worried about the storm that comes tonight.",
        facts=("The lamp of the lighthouse burns whale oil.", "The storm comes tonight."),
    ),
    Persona(
        name="Tam Reyes",
        age=31,
        traits="cheerful, careless",
        background="Tam Reyes rows the ferry to the island. He has known Mira Holt for years.",
        currently="Tam Reyes is mending a net on the beach.",
        facts=("Tam Reyes sails only at high tide.", "Tam Reyes found a bottle with a map."),
    ),
)


class Game:
    """The world, its two agents, and what they are saying at the moment."""

    def __init__(self, model: Any, file: Path | str = ":memory:") -> None:
        self.island = Island(
            {
                "Mira Holt": Walker("Mira Holt", 50, 6, (50, 6)),
                "Tam Reyes": Walker("Tam Reyes", 20, 12, (20, 12)),
                PLAYER: Walker(PLAYER, 5, 15, (5, 15)),
            }
        )
        self.store = Store(file)
        tools = island_tools(self.island)
        # What they can do is part of the game, whoever asks for it.
        policy = Policy(strangers="allow")
        self.agents = {
            persona.name: Agent(
                persona,
                model=model,
                memory=Memory(self.store, persona.name),
                tools=tools,
                policy=policy,
            )
            for persona in PEOPLE
        }
        for agent in self.agents.values():
            agent.bootstrap()  # the facts are embedded now, not at the first word
        self.speaking: dict[str, ReplyStream] = {}
        self.heard: list[str] = []
        self.workers = ThreadPoolExecutor(1)
        self.loop = FrameLoop()

    # -- what the game does with agents: none of it blocks a frame --------------------------------

    def ask(self, name: str, text: str) -> ReplyStream:
        """The player says something to somebody, who begins to answer."""
        self.heard.append(f"{PLAYER}: {text}")
        self.speaking[name] = self.agents[name].begin_reply(text, PLAYER)
        return self.speaking[name]

    def next_line(self, talk: Conversation) -> ReplyStream:
        """The next line of a conversation begins."""
        name = talk.next_speaker
        self.speaking[name] = talk.begin_line()
        return self.speaking[name]

    def save(self, label: str) -> Future[dict[str, Any]]:
        """A savegame: the world as it is now, and a snapshot of each memory."""
        world = self.island.save()

        def work() -> dict[str, Any]:
            memories = {
                name: agent.memory.snapshot(label).id for name, agent in self.agents.items()
            }
            return {"world": world, "memories": memories}

        return self.workers.submit(work)

    def load(self, saved: dict[str, Any]) -> Future[None]:
        """Go back to a savegame: nobody remembers what was said since."""

        def work() -> None:
            for name, number in saved["memories"].items():
                self.agents[name].memory.restore(number)
            self.island.order.put(lambda: self.island.load(saved["world"]))

        return self.workers.submit(work)

    def poll(self) -> None:
        """Show what was said since the last frame."""
        for name, stream in list(self.speaking.items()):
            walker = self.island.walkers[name]
            for event in stream.poll():
                if isinstance(event, TextPiece):
                    walker.bubble += event.text
                elif isinstance(event, ReplyEnd):
                    del self.speaking[name]
                    if walker.bubble:
                        self.heard.append(f"{name}: {walker.bubble.strip()}")
                    walker.bubble = ""

    def run(self, story: Iterator[None], seconds: float) -> dict[str, dict[str, float]]:
        """Frames until the story or the time is over; the figures of the frame times."""
        for passed in self.loop.frames():
            self.island.update(passed)
            self.poll()
            self.loop.label = "model" if self.speaking else "idle"
            self.island.draw()
            if next(story, "over") == "over" or self.island.seconds > seconds:
                break
        return self.loop.figures()

    def close(self) -> None:
        for stream in self.speaking.values():
            stream.cancel()
        self.workers.shutdown()
        self.store.close()


def silence(game: Game) -> Iterator[None]:
    """Let frames pass until nobody is speaking."""
    yield from until(lambda: not game.speaking)


def until(done: Callable[[], bool]) -> Iterator[None]:
    """Let frames pass until something is done."""
    while not done():
        yield


def wait(game: Game, seconds: float) -> Iterator[None]:
    """Let some seconds of the game pass."""
    end = game.island.seconds + seconds
    yield from until(lambda: game.island.seconds >= end)


def walk(game: Game, name: str, to: str) -> Iterator[None]:
    """Somebody walks to somebody."""
    walker, other = game.island.walkers[name], game.island.walkers[to]
    walker.target = (other.x + 2, other.y)
    yield from until(lambda: walker.is_near(other))


def story(game: Game) -> Iterator[None]:
    """What the player does: a script here, keys and clicks in a real game."""
    yield from wait(game, 2)
    yield from walk(game, PLAYER, "Tam Reyes")
    game.ask("Tam Reyes", "Is the tide high or low now?")
    yield from silence(game)
    yield from until((saving := game.save("before the storm")).done)
    yield from walk(game, "Tam Reyes", "Mira Holt")
    yield from walk(game, PLAYER, "Mira Holt")
    talk = Conversation(
        [game.agents["Mira Holt"], game.agents["Tam Reyes"]], "the storm", near=[PLAYER]
    )
    for _ in range(3):
        game.next_line(talk)
        yield from silence(game)
    game.heard.append(f"{PLAYER}: {talk.say(PLAYER, 'Mira, what does the lamp burn?').text}")
    game.next_line(talk)
    yield from silence(game)
    closing = talk.begin_close()
    yield from until(lambda: closing.done)
    left = game.ask("Mira Holt", "Tell me about your life on the island.")
    yield from wait(game, 0.3)
    left.cancel()  # the player walks away
    yield from silence(game)
    game.ask("Mira Holt", "Please light the lamp of the lighthouse.")
    yield from silence(game)
    yield from wait(game, 0.1)
    game.heard.append(f"(the lamp is {'lit' if game.island.lamp_lit else 'dark'})")
    yield from until(game.load(saving.result()).done)
    yield from wait(game, 2)
    game.heard.append(f"(loaded: the lamp is {'lit' if game.island.lamp_lit else 'dark'})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--seconds", type=float, default=120)
    options = parser.parse_args()
    game = Game(load_model(options.model))
    smooth_frames()
    figures = game.run(story(game), options.seconds)
    print(*game.heard, sep="\n")
    for label, values in figures.items():
        print(f"{label}: {json.dumps(values)}")
    game.close()


def smooth_frames() -> None:
    """What keeps other threads from delaying a frame: see docs/games.md."""
    gc.collect()
    gc.freeze()  # the model's objects are not searched for garbage again
    sys.setswitchinterval(0.001)  # a waiting frame gets the interpreter within 1 ms


if __name__ == "__main__":
    main()
