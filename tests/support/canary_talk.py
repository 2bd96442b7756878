"""Two people who talk with one agent, each with words that must not reach the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from denizens import Agent, Memory, Persona
from denizens.core import Answer, Cue, Model, ModelAsk, answer_all, to_json
from denizens.memory import Facts, Notes, export_lines
from denizens.models import InstantClient
from denizens.planners import Dialogue
from denizens.testing import EchoModel

START = datetime(2026, 5, 2, 9)
CANARIES = {"Ada": "quixotry", "Cem": "xylograph"}
"""The word of each person; the n-th line has it with n."""


def line_of(person: str, turn: int) -> str:
    """What a person says in a turn: a statement with their canary, or a question for it."""
    if turn % 4 == 3:
        return "What did I tell you of my box? Do you remember what I keep?"
    return f"I keep {CANARIES[person]}{turn} in box {turn}, and it is a secret of mine."


class RecordingEcho:
    """A model that leaks its whole prompt into its texts, and keeps all asks."""

    def __init__(self) -> None:
        self.asks: list[ModelAsk] = []
        self._echo = EchoModel()

    def client(self) -> InstantClient:
        """A client that answers at once."""
        return InstantClient(self._answer)

    def describe(self) -> dict[str, str]:
        """Its name."""
        return {"name": "recording echo"}

    def _answer(self, ask: ModelAsk) -> Answer:
        self.asks.append(ask)
        return answer_all(self._echo.client(), [ask])[0]

    def crossings(self) -> list[str]:
        """The asks that have the canaries of two people."""
        texts = (json.dumps(to_json(ask)) for ask in self.asks)
        return [text for text in texts if all(word in text for word in CANARIES.values())]


def listener(path: Path, model: Model, **settings: object) -> Agent:
    """Bo, who leaks whatever he is shown."""
    return Agent(
        Persona(name="Bo", background="Bo keeps the post office."),
        model=model,
        memory=Memory(path, "Bo"),
        dialogue=Dialogue(drafts=1, unknown=0, **settings),  # type: ignore[arg-type]
    )


def talk(agent: Agent, person: str, turns: Iterable[int]) -> list[str]:
    """The replies to a person's lines."""
    session = agent.session(person)
    return [
        session.say(line_of(person, turn), at=START + timedelta(minutes=turn)).text
        for turn in turns
    ]


def seen_by(agent: Agent, person: str, folder: Path) -> dict[str, str]:
    """All that a person can get of an agent, by where it comes from."""
    memory = agent.memory
    end = START + timedelta(days=1)
    words = (*CANARIES.values(), "box", "secret", "What do you know of the others?")
    recalls = [
        memory.recall(Cue(text=word, at=end, limit=200, rules=rules, person=person, around=3))
        for word in words
        for rules in ("hybrid", "paper")
    ]
    export = folder / f"{person}.jsonl"
    export_lines(memory, export, person=person)
    return {
        "recall": repr(recalls),
        "episodes": repr(memory.episodes(Cue(text="box", at=end, limit=50, person=person))),
        "records": repr(memory.records(person=person)),
        "export": export.read_text(),
        "facts": repr((Facts(memory).find(person=person), Facts(memory).statements(person))),
        "notes": repr(Notes(memory).names(person)),
        "sessions": repr([(n, agent.session(person, n).lines) for n in agent.sessions(person)]),
    }


def leaks(seen: Mapping[str, str], person: str) -> list[str]:
    """Where the canaries of other people are in what a person gets."""
    others = [word for name, word in CANARIES.items() if name != person]
    return [place for place, text in seen.items() if any(word in text for word in others)]


def remembered(text: str, person: str, turns: Iterable[int]) -> list[int]:
    """The turns whose canary is in a text."""
    return [turn for turn in turns if turn % 4 != 3 and f"{CANARIES[person]}{turn} " in text]


def assert_apart(
    get: Callable[[str], Mapping[str, str]],
    turns: Mapping[str, Iterable[int]],
    places: Iterable[str],
) -> None:
    """Each person is remembered in all ``places``, and gets nothing of another."""
    for person, said in turns.items():
        seen, stated = get(person), [turn for turn in said if turn % 4 != 3]
        assert leaks(seen, person) == []
        for place in places:
            assert remembered(seen[place], person, stated) == stated, (person, place)
