"""A game loop of 60 frames a second with two agents: replies that are polled, a conversation that
begins on cue, tools that act in the game's world, savegames. Run: python examples/game_loop/game.py
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from denizens import Agent, Memory, Persona, load_model
from denizens.agents import Conversation, ReplyEnd, ReplyStream, TextPiece
from denizens.store import Store

sys.path.append(str(Path(__file__).parent))
from frames import FrameLoop
from island import Island, Walker, island_tools

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
        self.agents = {
            persona.name: Agent(
                persona, model=model, memory=Memory(self.store, persona.name), tools=tools
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
