"""The example game loop: frames go on while agents speak; a talk on cue, tools, savegames."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from denizens.core import Choice, Choose, ModelAsk, Rate
from denizens.testing import ScriptedModel
from denizens.tests.support.example_programs import load_example


@pytest.fixture(scope="module")
def app() -> ModuleType:
    return load_example("game_loop")


def answer(ask: ModelAsk) -> Any:
    """Calls the tool that the line asks for, and else says something short."""
    if isinstance(ask, Choose):
        names = [option.name for option in ask.options]
        wanted = {"tide": "tide_table", "light the lamp": "light_lamp"}
        about = ask.about.lower()
        picked = next((tool for word, tool in wanted.items() if word in about), "")
        index = (
            names.index(picked)
            if picked in names
            else names.index("chat") * ("chat" in names)
            if "chat" in names
            else 0
        )
        shares = [0.0] * len(names)
        shares[index] = 1.0
        return Choice(index=index, probabilities=tuple(shares))
    return 3 if isinstance(ask, Rate) else "I see. That is good to know."


def test_the_story_of_the_game(app: ModuleType) -> None:
    """The whole story runs: an answer by a tool, a talk near the player who steps in, a reply that
    is left, the lamp that a tool lights, and a savegame in which it is dark again and nobody
    remembers what was said since. The loop keeps its rate."""
    game = app.Game(ScriptedModel(answer))
    try:
        figures = game.run(app.story(game), 60)
        heard = "\n".join(game.heard)
        assert "Tam Reyes: The tide is high." in heard
        assert "Mira Holt: The storm comes tonight." in heard
        assert heard.count("\nMira Holt: ") >= 3  # the player, who stepped in, was answered
        assert "(the lamp is lit)" in heard
        assert "(loaded: the lamp is dark)" in heard
        mira, tam = game.agents.values()
        assert not mira.memory.records(kinds=("utterance",))
        assert len(tam.memory.records(kinds=("utterance",))) == 2
        assert figures["idle"]["p50"] < 20
    finally:
        game.close()
